//! A simulated fleet: what a demonstration and a benchmark read, without any hardware.
//!
//! Refrigerated containers drift, warm up, lose a door and leave their geofence; medical kits travel
//! and are dropped; machines run hot. Now and then a device sends rubbish. The same seed gives the
//! same records, byte for byte; time is an argument. Nothing here knows Kafka.
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
//!       "geofence":{"latitude":53.5413,"longitude":9.9841,"radius":25000}},"ts":"…"}
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
//! {"d":{"kitID":"KIT001","contents":"O-neg","hospital":{"name":"St. Anna","latitude":48.2167,"longitude":16.3500,"radius":500}},"ts":"…"}
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
//! | no value at all | dead letter `empty` |
//! | key is `?` | dead letter `identity`, or an event without a device where plain records are allowed |
//! | `"temperature":"warm"` | dead letter `field_type` of the mapping |
//! | no `assetID`, `kitID` or `temperature` | dead letter `missing_field` of the mapping |
//! | `"latitude":943.1` | a verdict of the contract: outside its schema |
//! | event type `selftest` with `{"d":{"ok":true},"ts":"…"}` | filtered: no mapping asks for it |

/// Topic of containers and medical kits.
pub const TELEMETRY: &str = "telemetry";
/// Topic of machines.
pub const MACHINES: &str = "machines";
