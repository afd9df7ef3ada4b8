//! A ledger read back from its files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ledgerline::event::{SourcePartition, SourcePosition};
use ledgerline::ledger::embedded::open_read_only;
use ledgerline::ledger::{Block, Entry, LedgerReader};
use serde_json::Value;

use super::records::Fate;
use super::succeed;

/// The contents of a ledger.
#[derive(Debug, PartialEq)]
pub struct Contents {
    /// The disposition of each record, by partition, in the ledger's order.
    pub fates: BTreeMap<String, Vec<(u64, Fate)>>,
    /// Bytes of each transaction with its verdict and what it wrote, by partition, in the ledger's
    /// order. The versions are left out: they count entries of all partitions, and blocks.
    pub entries: BTreeMap<String, Vec<Vec<u8>>>,
    /// Of each of these, the transactions whose versions its writes replaced.
    pub replaced: BTreeMap<String, Vec<Vec<Option<SourcePosition>>>>,
}

/// Reads a ledger.
pub fn read(ledger: &Path) -> Contents {
    let reader = open_read_only(ledger, &mut |_, _| {}).unwrap();
    drop(reader);
    let (fates, entries, replaced) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut contents = Contents { fates, entries, replaced };
    let mut ids = BTreeMap::new();
    for block in blocks(ledger) {
        let by_index = block.numbered_entries();
        ids.extend(by_index.filter_map(|(at, entry)| Some((at, entry.transaction()?.id.clone()))));
        contents.take(&block, &ids);
    }
    contents
}

/// All blocks of a ledger.
pub fn blocks(ledger: &Path) -> Vec<Arc<Block>> {
    let reader = open_read_only(ledger, &mut |_, _| {}).unwrap();
    (0..reader.head().height).map(|number| reader.block(number).unwrap()).collect()
}

/// Records that a ledger holds so far; none where there is no ledger yet.
pub fn count(ledger: &Path) -> usize {
    let is_there = open_read_only(ledger, &mut |_, _| {}).is_ok();
    if is_there { read(ledger).fates.values().map(Vec::len).sum() } else { 0 }
}

impl Contents {
    fn take(&mut self, block: &Block, ids: &BTreeMap<u64, SourcePosition>) {
        let mut fates: BTreeMap<&SourcePartition, Vec<(u64, Fate)>> = BTreeMap::new();
        for entry in &block.entries {
            let Entry::Transaction { transaction, verdict, writes } = entry else { continue };
            let id = &transaction.id;
            let found = fates.entry(&id.partition).or_default();
            match found.last_mut() {
                Some((offset, Fate::Committed(count))) if *offset == id.offset => *count += 1,
                _ => found.push((id.offset, Fate::Committed(1))),
            }
            let replaced = writes.iter().map(|write| ids.get(&write.replaced?).cloned());
            let of_partition = self.replaced.entry(id.partition.to_string()).or_default();
            of_partition.push(replaced.collect());
            let mut writes = writes.clone();
            writes.iter_mut().for_each(|write| write.replaced = None);
            let (transaction, verdict) = (transaction.clone(), verdict.clone());
            let entry = Entry::Transaction { transaction, verdict, writes };
            self.entries.entry(id.partition.to_string()).or_default().push(entry.to_bytes());
        }
        for filtered in &block.records.filtered {
            let offsets = filtered.runs.iter().flat_map(|(first, count)| *first..first + count);
            let found = fates.entry(&filtered.partition).or_default();
            found.extend(offsets.map(|offset| (offset, Fate::Filtered)));
        }
        for letter in &block.records.dead_letters {
            let found = fates.entry(&letter.partition).or_default();
            found.push((letter.offset, Fate::DeadLettered));
        }
        for (partition, mut found) in fates {
            // Within a block, what is no transaction stands beside the transactions.
            found.sort_by_key(|(offset, _)| *offset);
            self.fates.entry(partition.to_string()).or_default().extend(found);
        }
    }
}

/// Last temperature and number of readings of each device, as `ledgerline state` shows them.
pub fn state(ledger: &Path) -> BTreeMap<String, (f64, u64)> {
    let text = succeed(&["state", "--json", "--limit", "500", ledger.to_str().unwrap(), "machine"]);
    let asset = |line: &str| {
        let view: Value = serde_json::from_str(line).unwrap();
        let key = view["key"].as_str().unwrap().to_owned();
        let temperature = view["state"]["temperature"].as_f64().unwrap();
        (key, (temperature, view["derived"]["readings"].as_u64().unwrap()))
    };
    text.lines().map(asset).collect()
}
