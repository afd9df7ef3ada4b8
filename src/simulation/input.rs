//! Records in memory, and a consumer group that assigns and revokes partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::event::SourcePartition;
use crate::fleet::random::Random;
use crate::input::{Assignments, BatchBuilder, Generation, Input, InputError, Polled};
use crate::simulation::model::{Fate, Model};

/// Most records of one poll.
const MOST_RECORDS: i64 = 8;

/// An input of one topic.
pub(crate) struct SimulatedInput {
    assignments: Arc<Assignments>,
    random: Random,
    records: BTreeMap<SourcePartition, Vec<Fate>>,
    /// The read position of each assigned partition.
    reading: BTreeMap<SourcePartition, (Generation, u64)>,
}

impl SimulatedInput {
    pub(crate) fn new(
        topic: &str,
        model: &Model,
        assignments: Arc<Assignments>,
        random: Random,
    ) -> Self {
        let records = |partition: SourcePartition| {
            let produced = 0..model.end(&partition);
            let fates = produced.filter_map(|offset| model.fate(&partition, offset)).collect();
            (partition.clone(), fates)
        };
        let partitions = model.partitions().filter(|partition| &*partition.topic == topic);
        let records = partitions.map(records).collect();
        Self { assignments, random, records, reading: BTreeMap::new() }
    }

    /// The group gives every partition that is not ours; each is read from where the ledger is.
    pub(crate) fn assign_all(&mut self) {
        for partition in self.records.keys() {
            if !self.reading.contains_key(partition) {
                let place = self.assignments.assign(partition, 0);
                self.reading.insert(partition.clone(), place);
            }
        }
    }

    /// The group takes some partitions back.
    pub(crate) fn revoke_some(&mut self) {
        let random = &mut self.random;
        self.reading.retain(|partition, _| {
            let stays = random.one_in(2);
            if !stays {
                self.assignments.revoke(partition);
            }
            stays
        });
    }
}

impl Input for SimulatedInput {
    fn poll(&mut self, _wait: Duration) -> Result<Polled, InputError> {
        let ready: Vec<_> = self.reading.keys().cloned().collect();
        let Some(first) = ready.first() else { return Ok(Polled::Idle) };
        let index: Vec<_> = (0..ready.len()).collect();
        let partition = ready.get(self.random.pick(&index, 0)).unwrap_or(first).clone();
        let Some((generation, next)) = self.reading.get_mut(&partition) else {
            return Ok(Polled::Idle);
        };
        let mut batch = BatchBuilder::new(partition.clone(), *generation, *next);
        let fates = self.records.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let from = usize::try_from(*next).unwrap_or(usize::MAX);
        let count = usize::try_from(self.random.between(1, MOST_RECORDS)).unwrap_or(1);
        for fate in fates.iter().skip(from).take(count) {
            let (key, value) = Model::content(&partition, *next, *fate);
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            batch.push(*next, Some(1_769_860_800_000), key, value, std::iter::empty());
            *next += 1;
        }
        Ok(if batch.is_empty() { Polled::Idle } else { Polled::Batch(batch.build()) })
    }

    fn pause(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn durable(&mut self, _: &SourcePartition, _: u64) -> Result<bool, InputError> {
        Ok(true)
    }

    fn close(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}
