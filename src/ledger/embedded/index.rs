//! The in-memory index of a block log: the position of each block, the records that it covers, the
//! definitions, and the newest blocks themselves. All of it is a fold over the log. A block takes
//! about five bytes here, and two for each partition that it has records of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::codec::Digest;
use crate::event::SourcePartition;
use crate::ledger::block::BlockOutline;
use crate::ledger::embedded::executor::BuiltBlock;
use crate::ledger::embedded::log::{Location, Segment};
use crate::ledger::embedded::rising::Rising;
use crate::ledger::keys::KeyRegistry;
use crate::ledger::{
    Block, BlockFormat, Definition, DefinitionKind, Entry, Head, LastRecord, Progress,
};

/// Newest blocks kept decoded: followers and pages ask for them again and again.
const RECENT_BLOCKS: usize = 32;

/// The index of a block log.
#[derive(Debug, Default)]
pub struct Index {
    /// Segment files in order.
    pub segments: Vec<Segment>,
    /// Each block's first entry and its place: segment and offset.
    blocks: Rising<3>,
    /// Blocks of format 1, which stand in front of all others.
    old_blocks: u64,
    partitions: BTreeMap<SourcePartition, PartitionIndex>,
    /// Numbers of blocks with dead letters.
    dead_letter_blocks: Rising<1>,
    /// Definitions, each with the number of its entry.
    pub definitions: Vec<(u64, Definition)>,
    /// The registered keys.
    pub keys: KeyRegistry,
    /// Bytes of the largest block.
    pub largest_block: usize,
    recent: VecDeque<Arc<Block>>,
    head: Option<Head>,
    effects: Digest,
    checkpoint: Box<str>,
}

#[derive(Debug, Default)]
struct PartitionIndex {
    next: u64,
    /// The last record that was read, where blocks say.
    last: Option<LastRecord>,
    /// Next offset before a block, and the block.
    blocks: Rising<2>,
}

/// The reason why a block cannot be the next one.
pub type BlockCheckError = String;

impl Index {
    /// The empty index of a log with these segments.
    #[must_use]
    pub fn over(segments: Vec<Segment>) -> Self {
        Self { segments, ..Self::default() }
    }

    /// The format that the ledger's newest definition of itself names; `None` before the first one,
    /// and where this program does not know it.
    #[must_use]
    pub fn format(&self) -> Option<BlockFormat> {
        let mut newest = self.definitions.iter().rev().map(|(_, definition)| definition);
        let ledger = newest.find(|definition| definition.kind == DefinitionKind::Ledger)?;
        BlockFormat::from_name(&ledger.text)
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Newest link of the effects chain.
    #[must_use]
    pub fn effects(&self) -> Digest {
        self.effects
    }

    /// The newest signed checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Number of blocks.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The location of a block.
    #[must_use]
    pub fn location(&self, number: u64) -> Option<Location> {
        let [_, segment, offset] = self.blocks.get(usize::try_from(number).ok()?)?;
        Some(Location { segment: u32::try_from(segment).ok()?, offset })
    }

    /// A block that is still in memory.
    #[must_use]
    pub fn recent(&self, number: u64) -> Option<Arc<Block>> {
        let first = self.recent.front()?.header.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.recent.get(at).cloned()
    }

    /// The block that holds an entry.
    #[must_use]
    pub fn block_of_entry(&self, entry: u64) -> Option<u64> {
        if entry >= self.head?.entries {
            return None;
        }
        // Blocks without entries share their first entry with the block behind them.
        self.blocks.last_up_to(entry).map(|(number, _)| number as u64)
    }

    /// The block that holds a leaf.
    #[must_use]
    pub fn block_of_leaf(&self, leaf: u64) -> Option<u64> {
        if leaf >= self.head?.tree_size {
            return None;
        }
        let (mut from, mut to) = (0, self.height());
        while from + 1 < to {
            let middle = from.midpoint(to);
            match self.first_leaf(middle)? <= leaf {
                true => from = middle,
                false => to = middle,
            }
        }
        Some(from)
    }

    /// Index of a block's first leaf: in front of it stand the entries, and a leaf for each block of
    /// format 2.
    fn first_leaf(&self, number: u64) -> Option<u64> {
        let [first_entry, ..] = self.blocks.get(usize::try_from(number).ok()?)?;
        Some(first_entry + number.saturating_sub(self.old_blocks))
    }

    /// The block whose progress covers a record.
    #[must_use]
    pub fn block_of_record(&self, partition: &SourcePartition, offset: u64) -> Option<u64> {
        let index = self.partitions.get(partition).filter(|index| offset < index.next)?;
        index.blocks.last_up_to(offset).map(|(_, [_, block])| block)
    }

    /// Numbers of blocks below `before` that hold dead letters, newest first.
    #[must_use]
    pub fn blocks_with_dead_letters(&self, before: u64, limit: usize) -> Vec<u64> {
        self.dead_letter_blocks.below(before).map(|[number]| number).take(limit).collect()
    }

    /// Next offset of a partition.
    #[must_use]
    pub fn next_offset(&self, partition: &SourcePartition) -> Option<u64> {
        self.partitions.get(partition).map(|index| index.next)
    }

    /// The last record that was read of a partition, where blocks say.
    #[must_use]
    pub fn last_record(&self, partition: &SourcePartition) -> Option<LastRecord> {
        self.partitions.get(partition)?.last
    }

    /// The first offset of a partition that was ever read.
    #[must_use]
    pub fn first_offset(&self, partition: &SourcePartition) -> Option<u64> {
        self.partitions.get(partition)?.blocks.get(0).map(|[from, _]| from)
    }

    /// Next offset of each partition.
    #[must_use]
    pub fn progress(&self) -> Vec<(SourcePartition, u64)> {
        let next = |(partition, index): (&SourcePartition, &PartitionIndex)| {
            (partition.clone(), index.next)
        };
        self.partitions.iter().map(next).collect()
    }

    /// Checks that a block follows the newest one.
    pub fn check(&self, outline: &BlockOutline) -> Result<(), BlockCheckError> {
        let header = &outline.header;
        let (number, previous, first) = match &self.head {
            None => (0, Digest::default(), (0, 0)),
            Some(head) => (head.height, head.block_hash, (head.entries, head.tree_size)),
        };
        if header.number != number {
            return Err(format!("its number is {}, expected {number}", header.number));
        }
        if header.previous != previous {
            return Err("its previous hash is not the hash of the block before".to_owned());
        }
        let begins = (header.first_entry, header.first_leaf);
        if begins != first {
            let ((entry, leaf), (next_entry, next_leaf)) = (begins, first);
            return Err(format!(
                "it begins at entry {entry} and leaf {leaf}, expected entry {next_entry} and \
                 leaf {next_leaf}"
            ));
        }
        if self.head.is_some_and(|head| header.time_ms < head.time_ms) {
            return Err("its time is before that of the previous block".to_owned());
        }
        let mut read = BTreeSet::new();
        for progress in &outline.records.progress {
            self.check_progress(progress)?;
            if !read.insert(&progress.partition) {
                return Err(format!("it reads {} twice", progress.partition));
            }
        }
        Ok(())
    }

    fn check_progress(&self, progress: &Progress) -> Result<(), BlockCheckError> {
        let Progress { partition, from, next, records, .. } = progress;
        let expected = self.partitions.get(partition).map(|index| index.next);
        if expected.is_some_and(|expected| expected != *from) || next < from {
            let expected = expected.unwrap_or(*from);
            return Err(format!("it reads {partition} from {from} to {next}, expected {expected}"));
        }
        if *records > next - from {
            return Err(format!(
                "it counts {records} records of {partition} from {from} to {next}"
            ));
        }
        Ok(())
    }

    /// Takes in a block that [`Index::check`] let pass.
    pub fn push_outline(&mut self, outline: &BlockOutline, location: Location, tree_root: Digest) {
        let header = &outline.header;
        self.old_blocks += u64::from(header.format == BlockFormat::V1);
        self.blocks.push([header.first_entry, u64::from(location.segment), location.offset]);
        for progress in &outline.records.progress {
            let index = self.partitions.entry(progress.partition.clone()).or_default();
            if progress.next > progress.from {
                index.blocks.push([progress.from, header.number]);
            }
            index.next = progress.next;
            index.last = progress.last.or(index.last);
        }
        if !outline.records.dead_letters.is_empty() {
            self.dead_letter_blocks.push([header.number]);
        }
        self.effects = header.effects;
        self.checkpoint = outline.checkpoint.clone();
        self.head = Some(Head {
            height: header.number + 1,
            entries: header.entries_end,
            tree_size: header.tree_size(),
            tree_root,
            block_hash: header.hash(),
            time_ms: header.time_ms,
        });
    }

    /// Takes in a definition.
    pub fn push_definition(&mut self, entry: u64, definition: &Definition) {
        self.keys.apply(definition);
        self.definitions.push((entry, definition.clone()));
    }

    /// Takes in a block that has just become durable.
    pub fn push_block(&mut self, built: BuiltBlock, location: Location) {
        let BuiltBlock { outline, block, payload, tree_root, .. } = built;
        self.largest_block = self.largest_block.max(payload.len());
        self.push_outline(&outline, location, tree_root);
        for (number, entry) in block.numbered_entries() {
            if let Entry::Definition(definition) = entry {
                self.push_definition(number, definition);
            }
        }
        self.recent.push_back(block);
        if self.recent.len() > RECENT_BLOCKS {
            self.recent.pop_front();
        }
    }
}
