//! A simulated fleet: input for demos and benchmarks, without any hardware.
//!
//! Refrigerated containers drift, warm up, lose a door and leave their geofence; medical kits travel
//! and are dropped; machines run hot. Now and then a device sends rubbish. The same seed gives the
//! same records, byte for byte; time is an argument. Nothing here knows Kafka.
//!
//! All arithmetic is on integers, so that every machine gives the same fleet.
//!
//! # What is sent
//!
//! Every key has the platform's form, the value its usual envelope. `ts` equals the key's `timestamp`.
//! Temperatures are in °C for containers and kits and in °F for machines, as the real readings are.
//!
//! ```text
//! key  {"orgId":"northlane","deviceType":"reefer","deviceId":"CON001","eventType":"status","format":"json","timestamp":"2024-05-01T12:00:00.000Z"}
//! ```
//!
//! ## Topic `telemetry`, device type `reefer`, device ids `CON001`…
//!
//! `manifest` is the first event of each container and comes again when it gets new cargo:
//!
//! ```text
//! {"d":{"assetID":"CON001","carrier":"C-ABC","cargo":"vaccines",
//!       "limits":{"minTemperature":2,"maxTemperature":8},
//!       "geofence":{"latitude":53.54130,"longitude":9.98410,"radius":25000}},"ts":"…"}
//! ```
//!
//! `cargo` is `vaccines` (2…8), `bananas` (12…15) or `fish` (-25…-15). `radius` is in metres.
//! `status` is the ordinary event; `humidity` is an integer per cent, `door` is `open` or `closed`,
//! `power` is `mains` or `battery`:
//!
//! ```text
//! {"d":{"assetID":"CON001","temperature":4.31,"humidity":61,"door":"closed","power":"mains",
//!       "location":{"longitude":9.98410,"latitude":53.54130}},"ts":"…"}
//! ```
//!
//! `door` is sent the moment it opens or closes; `count` counts openings of this voyage:
//!
//! ```text
//! {"d":{"assetID":"CON001","door":"open","count":3},"ts":"…"}
//! ```
//!
//! ## Topic `telemetry`, device type `medkit`, device ids `KIT001`…
//!
//! `register` comes first; `transit` is the ordinary event. `status` is `hospital`, `transit` or
//! `delivered`; `force` is in g, `tilt` in degrees from -180 to 180; `radius` in metres:
//!
//! ```text
//! {"d":{"kitID":"KIT001","contents":"O-neg","hospital":{"name":"St. Anna","latitude":48.21670,"longitude":16.35000,"radius":500}},"ts":"…"}
//! {"d":{"kitID":"KIT001","status":"hospital","force":0.12,"tilt":-3,"temperature":5.10,
//!       "location":{"longitude":16.35012,"latitude":48.21660}},"ts":"…"}
//! ```
//!
//! ## Topic `machines`, device type `industrial-machine`, device ids `press-1`…
//!
//! `temperature` has the very shape of the published real readings; `vibration` is in mm/s:
//!
//! ```text
//! {"d":{"temperature":73.96,"unit":"F"},"ts":"…"}
//! {"d":{"vibration":2.31,"unit":"mm/s"},"ts":"…"}
//! ```
//!
//! ## Rubbish, about one record in a hundred
//!
//! | what | expected end |
//! |---|---|
//! | `temp=21.5;door=closed` | dead letter `not_json` |
//! | JSON cut in the middle | dead letter `not_json` |
//! | `"temperature":NaN` | dead letter `not_json` |
//! | `"temperature":4.1` twice in `d` | dead letter `duplicate_key` |
//! | bytes that are not UTF-8 | dead letter `not_utf8` |
//! | no value at all | dead letter `missing_field` of the mapping |
//! | key is `?` | dead letter `identity`, or an event without a device where plain records are allowed |
//! | `"temperature":"warm"` | dead letter `field_type` of the mapping |
//! | no `assetID`, `kitID` or `temperature` | dead letter `missing_field` of the mapping |
//! | `"latitude":943.1` | a verdict of the contract: outside its schema |
//! | event type `selftest` with `{"d":{"ok":true},"ts":"…"}` | filtered: no matching mapping |

mod device;
pub(crate) mod random;
mod rubbish;
mod steady;

pub use rubbish::Rubbish;
pub use steady::{READINGS, Steady};

use std::io::Write as _;

use crate::event::time;
use device::{Container, Kit, Machine};
use random::Random;

/// Topic of containers and medical kits.
pub const TELEMETRY: &str = "telemetry";
/// Topic of machines.
pub const MACHINES: &str = "machines";
/// One record in this many is rubbish.
const RUBBISH_EVERY: u64 = 100;

/// The number of devices of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetSize {
    /// Refrigerated containers.
    pub containers: u32,
    /// Medical kits.
    pub kits: u32,
    /// Machines.
    pub machines: u32,
}

impl Default for FleetSize {
    fn default() -> Self {
        Self { containers: 12, kits: 6, machines: 4 }
    }
}

/// One record of a device. Its buffers are used again for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Topic.
    pub topic: &'static str,
    /// The device's number: records of one device must go to one partition.
    pub device: u32,
    /// Key.
    pub key: Vec<u8>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The kind of bad input, if it is meant to be bad.
    pub rubbish: Option<Rubbish>,
}

impl Message {
    /// The partition of a topic with so many. The key will not do: it also holds the event's type and
    /// time.
    #[must_use]
    pub fn partition(&self, partitions: u16) -> u16 {
        let partition = self.device % u32::from(partitions.max(1));
        u16::try_from(partition).unwrap_or_default()
    }
}

/// The devices and their state.
#[derive(Debug)]
pub struct Fleet {
    random: Random,
    devices: Vec<Device>,
    turn: usize,
    /// Time of the last message, and the same in text.
    now: (i64, String),
    body: Vec<u8>,
}

#[derive(Debug)]
enum Device {
    Container(Container),
    Kit(Kit),
    Machine(Machine),
}

impl Fleet {
    /// A fleet; the same seed and size give the same messages for the same times.
    #[must_use]
    pub fn new(seed: u64, size: FleetSize) -> Self {
        let mut random = Random::new(seed);
        let mut devices = Vec::new();
        devices.extend(
            (1..=size.containers).map(|n| Device::Container(Container::new(n, &mut random))),
        );
        devices.extend((1..=size.kits).map(|n| Device::Kit(Kit::new(n, &mut random))));
        devices.extend((1..=size.machines).map(|n| Device::Machine(Machine::new(n, &mut random))));
        Self { random, devices, turn: 0, now: (i64::MIN, String::new()), body: Vec::new() }
    }

    /// Writes the next record into `message`: one device after another. A fleet without devices
    /// writes an empty one.
    pub fn next(&mut self, now_ms: i64, message: &mut Message) {
        if self.now.0 != now_ms {
            self.now = (now_ms, time::format(now_ms).unwrap_or_default());
        }
        let index = self.turn;
        self.turn = if index + 1 < self.devices.len() { index + 1 } else { 0 };
        let rubbish = self.random.one_in(RUBBISH_EVERY).then(|| Rubbish::any(&mut self.random));
        self.body.clear();
        let (topic, device_type, id, event_type) = match self.devices.get_mut(index) {
            None => return message.clone_from(&Message::default()),
            Some(Device::Container(container)) => {
                let event = container.step(now_ms, &mut self.random, rubbish, &mut self.body);
                (TELEMETRY, "reefer", container.id(), event)
            }
            Some(Device::Kit(kit)) => {
                let event = kit.step(&mut self.random, rubbish, &mut self.body);
                (TELEMETRY, "medkit", kit.id(), event)
            }
            Some(Device::Machine(machine)) => {
                let event = machine.step(&mut self.random, rubbish, &mut self.body);
                (MACHINES, "industrial-machine", machine.id(), event)
            }
        };
        let now = self.now.1.as_str();
        let event_type = if rubbish == Some(Rubbish::SelfTest) { "selftest" } else { event_type };
        message.topic = topic;
        message.device = u32::try_from(index).unwrap_or_default();
        message.timestamp_ms = now_ms;
        message.rubbish = rubbish;
        message.key.clear();
        // Writing to memory cannot fail.
        let _ = write!(
            message.key,
            r#"{{"orgId":"northlane","deviceType":"{device_type}","deviceId":"{id}","eventType":"{event_type}","format":"json","timestamp":"{now}"}}"#
        );
        let mut value = message.value.take().unwrap_or_default();
        value.clear();
        value.extend_from_slice(b"{\"d\":{");
        value.extend_from_slice(&self.body);
        let _ = write!(value, r#"}},"ts":"{now}"}}"#);
        message.value = Some(value);
        if let Some(rubbish) = rubbish {
            rubbish.spoil(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::Text;
    use crate::event::{Cause, Decoder, Headers, Record, SourcePartition};
    use std::collections::BTreeMap;

    const START_MS: i64 = 1_714_564_800_000;

    fn messages(seed: u64, count: usize) -> Vec<Message> {
        let mut fleet = Fleet::new(seed, FleetSize::default());
        let times = (START_MS..).step_by(250).take(count);
        times
            .map(|now| {
                let mut message = Message::default();
                fleet.next(now, &mut message);
                message
            })
            .collect()
    }

    fn decode(message: &Message) -> Result<crate::event::Event, crate::event::Rejection> {
        let partition = SourcePartition::new(message.topic, 0);
        Decoder::default().decode(&Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: Some(message.timestamp_ms),
            key: Some(&message.key),
            value: message.value.as_deref(),
            headers: Headers::default(),
            damage: None,
        })
    }

    #[test]
    fn the_same_seed_gives_the_same_fleet() {
        assert_eq!(messages(7, 2_000), messages(7, 2_000));
        assert_ne!(messages(7, 200), messages(8, 200));
        let text: Vec<u8> = messages(42, 5_000)
            .iter()
            .flat_map(|m| [m.key.as_slice(), m.value.as_deref().unwrap_or_default()].concat())
            .collect();
        let digest = crate::codec::Digest::of(&text).to_string();
        assert_eq!(&digest[..16], "1e4d78884f7b5de6", "the fleet of a seed has changed");
    }

    #[test]
    fn messages_end_as_documented() {
        let mut ends: BTreeMap<(Option<Rubbish>, String), usize> = BTreeMap::new();
        for message in messages(1, 40_000) {
            let end = match decode(&message) {
                Ok(event) => {
                    assert_eq!(event.info.time_ms, Some(message.timestamp_ms));
                    let nameless = event.device.id.is_empty();
                    if nameless { "nameless".to_owned() } else { "event".to_owned() }
                }
                Err(rejection) => rejection.cause.name().to_owned(),
            };
            *ends.entry((message.rubbish, end)).or_default() += 1;
        }
        let expected = Rubbish::ALL.map(|rubbish| {
            let end = match rubbish {
                Rubbish::NotJson | Rubbish::Cut | Rubbish::NotANumber => Cause::NotJson.name(),
                Rubbish::DuplicateKey => Cause::DuplicateKey.name(),
                Rubbish::NotUtf8 => Cause::NotUtf8.name(),
                Rubbish::BadKey => "nameless",
                Rubbish::WrongType
                | Rubbish::MissingField
                | Rubbish::BadLocation
                | Rubbish::SelfTest
                | Rubbish::Tombstone => "event",
            };
            (Some(rubbish), end.to_owned())
        });
        let mut expected = expected.to_vec();
        expected.push((None, "event".to_owned()));
        expected.sort();
        assert_eq!(ends.keys().cloned().collect::<Vec<_>>(), expected);
        let rubbish: usize = ends.iter().filter(|((r, _), _)| r.is_some()).map(|(_, n)| n).sum();
        assert!((300..500).contains(&rubbish), "{rubbish} of 40,000");
    }

    #[test]
    fn every_documented_shape_comes() {
        let mut shapes: BTreeMap<(Text, Text), (String, u64)> = BTreeMap::new();
        for message in messages(1, 20_000).iter().filter(|message| message.rubbish.is_none()) {
            let event = decode(message).unwrap();
            let names = event.payload["d"].as_object().unwrap().keys().cloned();
            let names = names.collect::<Vec<_>>().join(",");
            let shape = (event.device.device_type, event.info.event_type);
            let entry = shapes.entry(shape).or_insert_with(|| (names.clone(), 0));
            assert_eq!(entry.0, names);
            entry.1 += 1;
        }
        let found: Vec<_> = shapes
            .iter()
            .map(|((device, event), (names, _))| (device.as_str(), event.as_str(), names.as_str()))
            .collect();
        let expected = [
            ("industrial-machine", "temperature", "temperature,unit"),
            ("industrial-machine", "vibration", "unit,vibration"),
            ("medkit", "register", "contents,hospital,kitID"),
            ("medkit", "transit", "force,kitID,location,status,temperature,tilt"),
            ("reefer", "buffered", "assetID,readings"),
            ("reefer", "door", "assetID,count,door"),
            ("reefer", "manifest", "assetID,cargo,carrier,geofence,limits"),
            ("reefer", "status", "assetID,door,humidity,location,power,temperature"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn things_go_wrong_and_right_again() {
        let number = |event: &crate::event::Event, path: &[&str]| {
            let value = path.iter().fold(&event.payload["d"], |value, name| &value[*name]);
            value.as_f64().unwrap()
        };
        let (mut warm, mut cold, mut far, mut near, mut dropped, mut hot) = (0, 0, 0, 0, 0, 0);
        let mut limits: BTreeMap<Text, (f64, f64)> = BTreeMap::new();
        for message in messages(3, 40_000).iter().filter(|message| message.rubbish.is_none()) {
            let event = decode(message).unwrap();
            match (event.device.device_type.as_str(), event.info.event_type.as_str()) {
                ("reefer", "manifest") => {
                    let most = number(&event, &["limits", "maxTemperature"]);
                    limits.insert(
                        event.device.id.clone(),
                        (most, number(&event, &["geofence", "latitude"])),
                    );
                }
                ("reefer", "status") => {
                    let (most, home) = limits[&event.device.id];
                    let over = number(&event, &["temperature"]) > most;
                    *(if over { &mut warm } else { &mut cold }) += 1;
                    // A quarter of a degree of latitude is about 28 km.
                    let away = (number(&event, &["location", "latitude"]) - home).abs() > 0.25;
                    *(if away { &mut far } else { &mut near }) += 1;
                }
                ("medkit", "transit") => dropped += usize::from(number(&event, &["force"]) > 2.0),
                ("industrial-machine", "temperature") => {
                    hot += usize::from(number(&event, &["temperature"]) > 100.0);
                }
                _ => {}
            }
        }
        for (what, count) in [("warm", warm), ("far", far), ("dropped", dropped), ("hot", hot)] {
            assert!((20..6_000).contains(&count), "{what}: {count}");
        }
        assert!(cold > 3 * warm && near > 3 * far, "{cold} {warm} {near} {far}");
    }

    #[test]
    fn a_device_keeps_its_partition() {
        let message = Message { device: 7, ..Message::default() };
        assert_eq!(
            [1, 2, 4, 8, 0].map(|partitions| message.partition(partitions)),
            [0, 1, 3, 7, 0]
        );
        let mut message = Message::default();
        let none = FleetSize { containers: 0, kits: 0, machines: 0 };
        Fleet::new(1, none).next(0, &mut message);
        assert_eq!(message, Message::default());
    }
}
