//! The three kinds of devices. A step changes the state a little and writes one body.
//!
//! Temperatures and forces are in hundredths, degrees of latitude and longitude in hundred-thousandths.

use std::io::Write as _;

use crate::event::time;
use crate::fleet::Rubbish;
use crate::fleet::random::Random;

/// Metres around a container's home port.
const PORT_RADIUS: u32 = 25_000;
/// Metres around a kit's hospital.
const HOSPITAL_RADIUS: u32 = 500;
/// It is never warmer than this around a container.
const AMBIENT: i64 = 2_800;

/// A place in hundred-thousandths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    latitude: i64,
    longitude: i64,
}

impl Place {
    /// Somewhere within this distance in both directions.
    fn near(self, random: &mut Random, distance: i64) -> Self {
        Self {
            latitude: self.latitude + random.between(-distance, distance),
            longitude: self.longitude + random.between(-distance, distance),
        }
    }
}

/// The cargo of a container, with its permitted temperatures in whole degrees.
#[derive(Debug, Clone, Copy)]
struct Cargo {
    name: &'static str,
    least: i64,
    most: i64,
}

const CARGOES: [Cargo; 3] = [
    Cargo { name: "vaccines", least: 2, most: 8 },
    Cargo { name: "bananas", least: 12, most: 15 },
    Cargo { name: "fish", least: -25, most: -15 },
];
const CARRIERS: [&str; 4] = ["C-ABC", "C-DEF", "C-NOR", "C-SUD"];
const PORTS: [Place; 4] = [
    Place { latitude: 5_354_130, longitude: 998_410 },
    Place { latitude: 5_192_250, longitude: 447_917 },
    Place { latitude: 4_561_500, longitude: 1_376_700 },
    Place { latitude: 130_000, longitude: 10_380_000 },
];

/// A refrigerated container.
#[derive(Debug)]
pub(super) struct Container {
    id: String,
    cargo: Cargo,
    carrier: &'static str,
    port: Place,
    temperature: i64,
    humidity: i64,
    door_open: bool,
    openings: u32,
    on_mains: bool,
    /// Steps for which the compressor stays broken.
    broken: i64,
    /// Steps of a journey away from the port and back.
    away: i64,
    announced: bool,
}

/// Steps of a journey away and back.
const JOURNEY: i64 = 30;
/// Distance of each leg.
const JOURNEY_STEP: i64 = 3_000;

impl Container {
    pub(super) fn new(number: u32, random: &mut Random) -> Self {
        let mut container = Self {
            id: format!("CON{number:03}"),
            cargo: CARGOES[0],
            carrier: random.pick(&CARRIERS, CARRIERS[0]),
            port: random.pick(&PORTS, PORTS[0]),
            temperature: 0,
            humidity: 60,
            door_open: false,
            openings: 0,
            on_mains: true,
            broken: 0,
            away: 0,
            announced: false,
        };
        container.load(random);
        container
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn target(&self) -> i64 {
        (self.cargo.least + self.cargo.most) * 50
    }

    /// New cargo, of the right temperature.
    fn load(&mut self, random: &mut Random) {
        self.cargo = random.pick(&CARGOES, CARGOES[0]);
        self.temperature = self.target();
        (self.door_open, self.openings, self.broken) = (false, 0, 0);
    }

    /// One step; writes the body and gives the event's type.
    pub(super) fn step(
        &mut self,
        now_ms: i64,
        random: &mut Random,
        rubbish: Option<Rubbish>,
        body: &mut Vec<u8>,
    ) -> &'static str {
        if rubbish.is_some() {
            self.status(random, rubbish, body);
            return "status";
        }
        if !self.announced || random.one_in(2_000) {
            if self.announced {
                self.load(random);
            }
            self.announced = true;
            self.manifest(body);
            return "manifest";
        }
        if random.one_in(if self.door_open { 6 } else { 150 }) {
            self.door_open = !self.door_open;
            self.openings += u32::from(self.door_open);
            let door = self.door();
            let (id, count) = (&self.id, self.openings);
            let _ = write!(body, r#""assetID":"{id}","door":"{door}","count":{count}"#);
            return "door";
        }
        self.live(random);
        if random.one_in(120) {
            self.buffered(now_ms, random, body);
            return "buffered";
        }
        self.status(random, None, body);
        "status"
    }

    /// Readings of the last minutes, kept while the container was out of reach.
    fn buffered(&mut self, now_ms: i64, random: &mut Random, body: &mut Vec<u8>) {
        let _ = write!(body, r#""assetID":"{}","readings":["#, self.id);
        for minute in (0..3).rev() {
            let at = time::format(now_ms - minute * 60_000).unwrap_or_default();
            let _ = write!(body, r#"{{"at":"{at}","#);
            reading(body, "temperature", self.temperature, None);
            body.extend_from_slice(if minute == 0 { b"}]" } else { b"}," });
            self.temperature += random.between(-5, 5);
        }
    }

    fn live(&mut self, random: &mut Random) {
        if random.one_in(400) {
            self.broken = random.between(10, 40);
        }
        if self.away == 0 && random.one_in(500) {
            self.away = JOURNEY;
        }
        if random.one_in(300) {
            self.on_mains = !self.on_mains;
        }
        self.broken = (self.broken - 1).max(0);
        self.away = (self.away - 1).max(0);
        self.humidity = (self.humidity + random.between(-1, 1)).clamp(30, 95);
        let change = if self.broken > 0 || self.door_open {
            random.between(10, 60).min(AMBIENT - self.temperature)
        } else {
            (self.target() - self.temperature) / 6 + random.between(-12, 12)
        };
        self.temperature += change;
    }

    fn door(&self) -> &'static str {
        if self.door_open { "open" } else { "closed" }
    }

    fn manifest(&self, body: &mut Vec<u8>) {
        let (id, carrier) = (&self.id, self.carrier);
        let Cargo { name, least, most } = self.cargo;
        let _ = write!(
            body,
            r#""assetID":"{id}","carrier":"{carrier}","cargo":"{name}","limits":{{"minTemperature":{least},"maxTemperature":{most}}},"geofence":{{"#
        );
        fence(body, self.port, PORT_RADIUS);
        body.push(b'}');
    }

    fn status(&self, random: &mut Random, rubbish: Option<Rubbish>, body: &mut Vec<u8>) {
        if rubbish != Some(Rubbish::MissingField) {
            let _ = write!(body, r#""assetID":"{}","#, self.id);
        }
        reading(body, "temperature", self.temperature, rubbish);
        let (humidity, door) = (self.humidity, self.door());
        let power = if self.on_mains { "mains" } else { "battery" };
        let _ = write!(body, r#","humidity":{humidity},"door":"{door}","power":"{power}","#);
        let out = self.away.min(JOURNEY - self.away) * JOURNEY_STEP;
        let place = Place { latitude: self.port.latitude + out, ..self.port };
        location(body, place.near(random, 200), rubbish);
    }
}

/// A medical kit.
#[derive(Debug)]
pub(super) struct Kit {
    id: String,
    contents: &'static str,
    hospital: (&'static str, Place),
    status: usize,
    temperature: i64,
    /// Steps for which it is where it should not be.
    astray: i64,
    announced: bool,
}

const CONTENTS: [&str; 4] = ["O-neg", "plasma", "heart valve", "insulin"];
const HOSPITALS: [(&str, Place); 3] = [
    ("St. Anna", Place { latitude: 4_821_670, longitude: 1_635_000 }),
    ("Charity", Place { latitude: 5_252_700, longitude: 1_337_700 }),
    ("General", Place { latitude: 3_913_500, longitude: -8_451_000 }),
];
const STATUSES: [&str; 3] = ["hospital", "transit", "delivered"];

impl Kit {
    pub(super) fn new(number: u32, random: &mut Random) -> Self {
        Self {
            id: format!("KIT{number:03}"),
            contents: random.pick(&CONTENTS, CONTENTS[0]),
            hospital: random.pick(&HOSPITALS, HOSPITALS[0]),
            status: 0,
            temperature: 500,
            astray: 0,
            announced: false,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// One step; writes the body and gives the event's type.
    pub(super) fn step(
        &mut self,
        random: &mut Random,
        rubbish: Option<Rubbish>,
        body: &mut Vec<u8>,
    ) -> &'static str {
        if rubbish.is_none() && !self.announced {
            self.announced = true;
            let (id, contents, (name, place)) = (&self.id, self.contents, self.hospital);
            let _ = write!(
                body,
                r#""kitID":"{id}","contents":"{contents}","hospital":{{"name":"{name}","#
            );
            fence(body, place, HOSPITAL_RADIUS);
            body.push(b'}');
            return "register";
        }
        if random.one_in(80) {
            self.status = (self.status + 1) % STATUSES.len();
        }
        if random.one_in(400) {
            self.astray = random.between(5, 15);
        }
        self.astray = (self.astray - 1).max(0);
        self.temperature = (self.temperature + random.between(-15, 15)).clamp(150, 1_200);
        self.transit(random, rubbish, body);
        "transit"
    }

    fn transit(&self, random: &mut Random, rubbish: Option<Rubbish>, body: &mut Vec<u8>) {
        let dropped = random.one_in(200);
        let force = if dropped { random.between(201, 640) } else { random.between(2, 60) };
        let tilt = if dropped { random.between(91, 180) } else { random.between(-20, 20) };
        if rubbish != Some(Rubbish::MissingField) {
            let _ = write!(body, r#""kitID":"{}","#, self.id);
        }
        let status = STATUSES.get(self.status).unwrap_or(&STATUSES[0]);
        let _ = write!(body, r#""status":"{status}","force":"#);
        decimal(body, force, 2);
        let _ = write!(body, r#","tilt":{tilt},"#);
        reading(body, "temperature", self.temperature, rubbish);
        body.push(b',');
        let away = if self.astray > 0 || self.status > 0 { 2_500 } else { 0 };
        let home = self.hospital.1;
        let place = Place { longitude: home.longitude + away, ..home };
        location(body, place.near(random, 150), rubbish);
    }
}

/// An industrial machine.
#[derive(Debug)]
pub(super) struct Machine {
    id: String,
    /// True if its sensor measures in °C.
    in_celsius: bool,
    temperature: i64,
    /// Steps for which it runs hot.
    hot: i64,
}

/// °F in hundredths that a healthy machine returns to.
const HEALTHY: i64 = 8_500;

impl Machine {
    pub(super) fn new(number: u32, random: &mut Random) -> Self {
        let (id, temperature) = (format!("press-{number}"), random.between(7_500, 9_000));
        Self { id, in_celsius: number.is_multiple_of(4), temperature, hot: 0 }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// One step; writes the body and gives the event's type.
    pub(super) fn step(
        &mut self,
        random: &mut Random,
        rubbish: Option<Rubbish>,
        body: &mut Vec<u8>,
    ) -> &'static str {
        if random.one_in(500) {
            self.hot = random.between(20, 50);
        }
        self.hot = (self.hot - 1).max(0);
        self.temperature += if self.hot > 0 {
            random.between(20, 150).min(12_500 - self.temperature)
        } else {
            (HEALTHY - self.temperature) / 10 + random.between(-80, 80)
        };
        if rubbish.is_none() && random.one_in(4) {
            let vibration = random.between(120, 350) + (self.temperature - HEALTHY).max(0) / 6;
            body.extend_from_slice(br#""vibration":"#);
            decimal(body, vibration, 2);
            body.extend_from_slice(br#","unit":"mm/s""#);
            return "vibration";
        }
        let (shown, unit) = match self.in_celsius {
            true => ((self.temperature - 3_200) * 5 / 9, "C"),
            false => (self.temperature, "F"),
        };
        if rubbish != Some(Rubbish::MissingField) {
            reading(body, "temperature", shown, rubbish);
            body.push(b',');
        }
        let _ = write!(body, r#""unit":"{unit}""#);
        "temperature"
    }
}

/// A reading in hundredths, spoiled where asked.
fn reading(body: &mut Vec<u8>, name: &str, value: i64, rubbish: Option<Rubbish>) {
    let _ = write!(body, r#""{name}":"#);
    match rubbish {
        Some(Rubbish::NotANumber) => body.extend_from_slice(b"NaN"),
        Some(Rubbish::WrongType) => body.extend_from_slice(br#""warm""#),
        Some(Rubbish::DuplicateKey) => {
            decimal(body, value, 2);
            let _ = write!(body, r#","{name}":"#);
            decimal(body, value + 1, 2);
        }
        _ => decimal(body, value, 2),
    }
}

fn location(body: &mut Vec<u8>, place: Place, rubbish: Option<Rubbish>) {
    let wrong = rubbish == Some(Rubbish::BadLocation);
    body.extend_from_slice(br#""location":{"longitude":"#);
    decimal(body, place.longitude, 5);
    body.extend_from_slice(br#","latitude":"#);
    decimal(body, if wrong { 94_310_000 } else { place.latitude }, 5);
    body.push(b'}');
}

fn fence(body: &mut Vec<u8>, place: Place, radius: u32) {
    body.extend_from_slice(br#""latitude":"#);
    decimal(body, place.latitude, 5);
    body.extend_from_slice(br#","longitude":"#);
    decimal(body, place.longitude, 5);
    let _ = write!(body, r#","radius":{radius}"#);
}

/// Writes a number of hundredths (2 digits) or hundred-thousandths (5).
fn decimal(body: &mut Vec<u8>, value: i64, digits: u32) {
    let unit = 10_u64.pow(digits);
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (magnitude / unit, magnitude % unit);
    let width = usize::try_from(digits).unwrap_or_default();
    let _ = write!(body, "{sign}{whole}.{part:0width$}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let table =
            [(431, 2, "4.31"), (-5, 2, "-0.05"), (0, 2, "0.00"), (-8_451_000, 5, "-84.51000")];
        for (value, digits, expected) in table {
            let mut body = Vec::new();
            decimal(&mut body, value, digits);
            assert_eq!(body, expected.as_bytes());
        }
    }
}
