//! A steady load for measurements: records of one form and size, cheap to make, so that what is
//! measured is not the fleet.

use crate::event::time;
use crate::fleet::Message;

/// Topic of the steady load.
pub const READINGS: &str = "ledgerline-bench";

/// Every record is this but for the places that [`Steady::next`] writes over: 300 bytes.
const BODY: &str = concat!(
    r#"{"d":{"assetID":"D0000000","temperature":20.00,"humidity":50.0,"door":"closed","#,
    r#""location":{"latitude":43.03000,"longitude":-87.90000},"battery":87,"fan":[1200,1180],"#,
    r#""firmware":"2.4.1","carrier":"C-ABC","sequence":1000000000},"#,
    r#""ts":"2026-01-01T00:00:00.000Z","note":"in transit, no alarms, next check"}"#
);

/// Devices that send in turn.
#[derive(Debug)]
pub struct Steady {
    devices: u32,
    sequence: u64,
    places: Places,
    /// The newest time and its text.
    time: (i64, String),
}

/// Byte offsets in the body of what changes.
#[derive(Debug, Clone, Copy)]
struct Places {
    device: usize,
    temperature: usize,
    humidity: usize,
    door: usize,
    sequence: usize,
    time: usize,
}

impl Steady {
    /// So many devices, at least one.
    #[must_use]
    pub fn new(devices: u32) -> Self {
        // Each stands in the body, which is fixed.
        let behind = |before: &str| BODY.find(before).map_or(0, |at| at + before.len());
        let places = Places {
            device: behind("\"assetID\":\"D"),
            temperature: behind("\"temperature\":"),
            humidity: behind("\"humidity\":"),
            door: behind("\"door\":"),
            sequence: behind("\"sequence\":1"),
            time: behind("\"ts\":\""),
        };
        Self { devices: devices.max(1), sequence: 0, places, time: (i64::MIN, String::new()) }
    }

    /// The next record. Device numbers are spread over the sequence, so that neighbours differ.
    pub fn next(&mut self, now_ms: i64, message: &mut Message) {
        let sequence = self.sequence;
        self.sequence += 1;
        let device = sequence.wrapping_mul(7919) % u64::from(self.devices);
        if self.time.0 != now_ms {
            self.time = (now_ms, time::format(now_ms).unwrap_or_default());
        }
        let value = message.value.get_or_insert_default();
        value.clear();
        value.extend_from_slice(BODY.as_bytes());
        let places = self.places;
        digits(&mut value[places.device..][..7], device);
        digits(&mut value[places.temperature..][..2], 10 + sequence % 20);
        digits(&mut value[places.temperature + 3..][..2], sequence % 100);
        digits(&mut value[places.humidity..][..2], 10 + sequence.wrapping_mul(31) % 90);
        if sequence.is_multiple_of(64) {
            value[places.door..][..8].copy_from_slice(b"\"open\"  ");
        }
        digits(&mut value[places.sequence..][..9], sequence % 1_000_000_000);
        if let Some(place) = value.get_mut(places.time..places.time + self.time.1.len()) {
            place.copy_from_slice(self.time.1.as_bytes());
        }
        message.key.clear();
        message.key.extend_from_slice(&value[places.device - 1..places.device + 7]);
        message.topic = READINGS;
        message.device = u32::try_from(device).unwrap_or(u32::MAX);
        message.timestamp_ms = now_ms;
        message.rubbish = None;
    }
}

/// Writes a number with zeros in front.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json;

    #[test]
    fn every_record_is_json_of_300_bytes_for_its_device() {
        let mut steady = Steady::new(10_000);
        let mut message = Message::default();
        let mut devices = std::collections::BTreeSet::new();
        for number in 0..20_000 {
            steady.next(1_700_000_000_000 + number, &mut message);
            let value = message.value.as_ref().unwrap();
            assert_eq!(value.len(), 300);
            let body = json::parse(value).unwrap();
            let id = body["d"]["assetID"].as_str().unwrap();
            assert_eq!(id.as_bytes(), message.key);
            assert_eq!(id[1..].parse(), Ok(message.device));
            devices.insert(message.device);
        }
        assert_eq!(devices.len(), 10_000);
    }
}
