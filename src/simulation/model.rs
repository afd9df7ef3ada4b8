//! The expected disposition of each record: derived from the records alone, by rules too simple to
//! share an error with the program.

use std::collections::BTreeMap;

use crate::event::SourcePartition;
use crate::fleet::random::Random;
use crate::ledger::{Block, EmbeddedReader, Entry, LedgerReader};
use crate::simulation::life::CONTRACT_NAME;
use crate::state::{Filter, ScanLimits, World};

/// A topic for each input.
pub(crate) const TOPICS: [&str; 2] = ["simulated", "other"];
/// Devices of a partition.
const DEVICES: i64 = 3;

/// The expected disposition of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is a transaction of this device's, with this temperature.
    Committed {
        device: i64,
        temperature: i64,
    },
    Filtered,
    DeadLettered,
}

/// The disposition found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Committed,
    Filtered,
    DeadLettered,
}

impl Fate {
    fn kind(self) -> Kind {
        match self {
            Self::Committed { .. } => Kind::Committed,
            Self::Filtered => Kind::Filtered,
            Self::DeadLettered => Kind::DeadLettered,
        }
    }
}

/// Every record of every partition, and what the ledger has acknowledged of them.
pub(crate) struct Model {
    partitions: Vec<Vec<Fate>>,
    /// The part of them that has been produced.
    produced: (u64, u64),
    /// Next offset after what was acknowledged.
    told: BTreeMap<SourcePartition, u64>,
}

/// Last temperature and number of readings of a device.
type Machines = BTreeMap<String, (i64, u64)>;

impl Model {
    pub(crate) fn new(random: &mut Random) -> Self {
        let fate = |random: &mut Random| match random.between(0, 9) {
            0 => Fate::Filtered,
            1 => Fate::DeadLettered,
            _ => Fate::Committed {
                device: random.between(0, DEVICES - 1),
                temperature: random.between(-20, 140),
            },
        };
        let partition = |random: &mut Random| {
            let records = random.between(6, 60);
            (0..records).map(|_| fate(random)).collect()
        };
        let count = random.between(1, 3);
        let partitions = (0..count).map(|_| partition(random)).collect();
        Self { partitions, produced: (1, 1), told: BTreeMap::new() }
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = SourcePartition> {
        let topics = TOPICS.iter().cycle();
        (0..)
            .zip(topics)
            .zip(&self.partitions)
            .map(|((number, topic), _)| SourcePartition::new(topic, number))
    }

    pub(crate) fn records(&self) -> u64 {
        self.partitions.iter().map(|records| records.len() as u64).sum()
    }

    /// Such a part of all records has been produced.
    pub(crate) fn grow(&mut self, part: u64, of: u64) {
        self.produced = (part, of);
    }

    /// Offset behind the last record that has been produced.
    pub(crate) fn end(&self, partition: &SourcePartition) -> u64 {
        let number = usize::try_from(partition.partition).unwrap_or(usize::MAX);
        let records = self.partitions.get(number).map_or(0, Vec::len) as u64;
        (records * self.produced.0).div_ceil(self.produced.1)
    }

    /// The fate of a record; `None` where there never is one.
    pub(crate) fn fate(&self, partition: &SourcePartition, offset: u64) -> Option<Fate> {
        let records = self.partitions.get(usize::try_from(partition.partition).ok()?)?;
        records.get(usize::try_from(offset).ok()?).copied()
    }

    /// Key and value of a record.
    pub(crate) fn content(
        partition: &SourcePartition,
        offset: u64,
        fate: Fate,
    ) -> (String, String) {
        let (device, event, value) = match fate {
            Fate::Committed { device, temperature } => {
                (device, "reading", format!(r#"{{"d":{{"temperature":{temperature}}}}}"#))
            }
            Fate::Filtered => (0, "heartbeat", r#"{"d":{}}"#.to_owned()),
            Fate::DeadLettered => (0, "reading", format!("rubbish {offset}")),
        };
        let device = name_of(partition, device);
        let key = format!(
            r#"{{"orgId":"o","deviceType":"machine","deviceId":"{device}","eventType":"{event}","format":"json","timestamp":"2026-01-31T12:00:00.000Z"}}"#
        );
        (key, value)
    }

    /// Everything below these offsets is durable, the ledger says.
    pub(crate) fn tell(&mut self, next: impl Iterator<Item = (SourcePartition, u64)>) {
        self.told.extend(next);
    }

    /// True if every record that was produced is acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        let told = |partition: &_| self.told.get(partition).copied().unwrap_or(0);
        self.partitions().all(|partition| told(&partition) >= self.end(&partition))
    }

    /// The ledger and its state, caught up, hold the first records of each partition, each once and
    /// in order, and none less than was acknowledged.
    pub(crate) fn check(
        &self,
        reader: Option<&EmbeddedReader>,
        world: &World,
    ) -> Result<(), String> {
        let mut found: BTreeMap<SourcePartition, Vec<(u64, Kind)>> = BTreeMap::new();
        if let Some(reader) = reader {
            for number in 0..reader.head().height {
                let block = reader.block(number).map_err(|error| error.to_string())?;
                take(&block, &mut found);
            }
        }
        let mut machines = Machines::new();
        for partition in self.partitions() {
            let found = found.remove(&partition).unwrap_or_default();
            let told = self.told.get(&partition).copied().unwrap_or(0);
            if (found.len() as u64) < told {
                let count = found.len();
                return Err(format!(
                    "{partition}: {told} records were acknowledged, {count} found"
                ));
            }
            for (expected, (offset, kind)) in (0..).zip(found) {
                let fate = self.fate(&partition, expected);
                let fits = offset == expected && fate.map(Fate::kind) == Some(kind);
                let Some(fate) = fate.filter(|_| fits) else {
                    return Err(format!(
                        "{partition}: record {offset} is {kind:?} where record {expected} should be \
                         {fate:?}"
                    ));
                };
                if let Fate::Committed { device, temperature } = fate {
                    let machine = machines.entry(name_of(&partition, device)).or_default();
                    *machine = (temperature, machine.1 + 1);
                }
            }
        }
        match listed(world)? {
            listed if listed == machines => Ok(()),
            listed => Err(format!("the state holds {listed:?} instead of {machines:?}")),
        }
    }
}

fn name_of(partition: &SourcePartition, device: i64) -> String {
    format!("m{}-{device}", partition.partition)
}

/// The records of a block, in order.
fn take(block: &Block, found: &mut BTreeMap<SourcePartition, Vec<(u64, Kind)>>) {
    let mut records: BTreeMap<&SourcePartition, Vec<(u64, Kind)>> = BTreeMap::new();
    for transaction in block.entries.iter().filter_map(Entry::transaction) {
        let id = &transaction.id;
        records.entry(&id.partition).or_default().push((id.offset, Kind::Committed));
    }
    for filtered in &block.records.filtered {
        let offsets = filtered.runs.iter().flat_map(|(first, count)| *first..first + count);
        let list = records.entry(&filtered.partition).or_default();
        list.extend(offsets.map(|offset| (offset, Kind::Filtered)));
    }
    for letter in &block.records.dead_letters {
        let list = records.entry(&letter.partition).or_default();
        list.push((letter.offset, Kind::DeadLettered));
    }
    for (partition, mut list) in records {
        // Within a block, what is no transaction stands beside the transactions.
        list.sort_by_key(|(offset, _)| *offset);
        found.entry(partition.clone()).or_default().extend(list);
    }
}

fn listed(world: &World) -> Result<Machines, String> {
    let all = ScanLimits { limit: usize::MAX - 1, max_scanned: usize::MAX - 1 };
    let (assets, _) = world
        .list(CONTRACT_NAME, None, &Filter::default(), all)
        .map_err(|error| error.to_string())?;
    let machine = |asset: &crate::state::StoredAsset| {
        let temperature = asset.asset.state.get("temperature")?.as_i64()?;
        let readings = asset.asset.derived.get("readings")?.as_u64()?;
        Some((asset.key.clone(), (temperature, readings)))
    };
    let broken = |asset: &crate::state::StoredAsset| format!("the state of {} is odd", asset.key);
    assets.iter().map(|asset| machine(asset).ok_or_else(|| broken(asset))).collect()
}

/// The contract of the records. The state shows that every entry of an executed contract is valid.
/// The mapping follows.
pub(crate) const CONTRACT: &str = "
contract: machine
version: 1
key: machineID
functions:
  update: { create_when_absent: true }
state:
  type: object
  properties:
    machineID: { type: string }
    temperature: { type: number }
rules:
  # Counts: a record that is lost or doubled shows in all that follow.
  - derive: readings
    value: '(has(old_derived.readings) ? old_derived.readings : 0) + 1'
  - alert: HOT
    raise_when: state.temperature > 100
";

/// See [`CONTRACT`].
pub(crate) const MAPPING: &str = "
mapping: reading
match: { topic: [simulated, other], event_type: reading }
contract: machine
function: update
fields:
  machineID: $.device.id
  temperature: { path: $.payload.d.temperature, type: integer }
";
