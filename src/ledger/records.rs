//! A block's account of the source: progress, and the dispositions of records that produced no
//! transaction. Together with the entries it accounts for every record.

use crate::codec::{ALLOCATION_BYTES, DecodeError, Digest, Reader, Writer};
use crate::event::{Cause, Record, RecordDigests, Rejection, SourcePartition};
use crate::ledger::block::BlockFormat;
use crate::limits::{MAX_BLOCK_ITEMS, MAX_DEAD_LETTER_BYTES};
use crate::transaction::{KeyId, decode_partition, encode_partition};

/// Bytes that a header of a dead letter counts besides its name and value: a record may have very many that
/// are empty.
const HEADER_BYTES: usize = 128;

/// A block's progress in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Next offset before the block.
    pub from: u64,
    /// Next offset after the block.
    pub next: u64,
    /// Records in between; fewer than `next - from` where offsets have gaps.
    pub records: u64,
    /// The last of these records; `None` where there is none, and in blocks of format 1.
    pub last: Option<LastRecord>,
}

/// The last record that a block read of a partition: by its digest a later start can tell whether
/// the partition is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRecord {
    /// Kafka offset.
    pub offset: u64,
    /// Digest of the whole record, see [`RecordDigests::record`].
    pub digest: Digest,
}

impl LastRecord {
    /// Notes a record.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Self {
        Self { offset: record.offset, digest: RecordDigests::of(record).record }
    }
}

/// Records of one partition that no mapping matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Runs of offsets without a gap: first offset and number of records. Rising.
    pub runs: Vec<(u64, u64)>,
}

impl Filtered {
    /// Adds the next offset.
    pub fn push(&mut self, offset: u64) {
        match self.runs.last_mut() {
            Some((first, count)) if *first + *count == offset => *count += 1,
            _ => self.runs.push((offset, 1)),
        }
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.runs.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// A record that could not become a transaction, with all that is needed to try it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Kafka offset.
    pub offset: u64,
    /// Why, where and what.
    pub rejection: Rejection,
    /// The broker's timestamp.
    pub timestamp_ms: Option<i64>,
    /// Record key.
    pub key: Option<Vec<u8>>,
    /// Record value, or its first [`MAX_DEAD_LETTER_BYTES`].
    pub value: Option<Vec<u8>>,
    /// Length of the whole value in bytes.
    pub value_len: u64,
    /// SHA-256 of the whole value.
    pub digest: Digest,
    /// Digest of the whole record, see [`RecordDigests::record`]; `None` in blocks of format 1.
    pub record_digest: Option<Digest>,
    /// Headers in order, each value cut like the record's.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl DeadLetter {
    /// The dead letter of a record.
    #[must_use]
    pub fn new(record: &Record<'_>, rejection: Rejection) -> Self {
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(MAX_DEAD_LETTER_BYTES)].to_vec();
        let value = record.value.unwrap_or_default();
        let digests = RecordDigests::of(record);
        let mut budget = MAX_DEAD_LETTER_BYTES;
        let mut headers = Vec::new();
        for (name, value) in record.headers.iter() {
            let size = HEADER_BYTES + name.len() + value.map_or(0, <[u8]>::len);
            if size > budget {
                break;
            }
            budget -= size;
            headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        }
        Self {
            partition: record.partition.clone(),
            offset: record.offset,
            rejection,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(cut),
            value: record.value.map(cut),
            value_len: value.len() as u64,
            digest: digests.value,
            record_digest: Some(digests.record),
            headers,
        }
    }
}

impl DeadLetter {
    /// Bytes of the record that it keeps.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let of_headers = self.headers.iter().map(|(name, value)| name.len() + len(value));
        len(&self.key) + len(&self.value) + of_headers.sum::<usize>()
    }
}

/// The signature over the transactions of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionSeal {
    /// Public key of the signer.
    pub signer: KeyId,
    /// Root of the tree over the transactions.
    pub root: Digest,
    /// Ed25519 signature.
    pub signature: [u8; 64],
    /// Number of transactions, which stand in the block one submission after the other.
    pub count: u64,
}

/// Everything of a block that is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// Signatures over the block's transactions.
    pub submissions: Vec<SubmissionSeal>,
    /// Source progress.
    pub progress: Vec<Progress>,
    /// Records without a mapping.
    pub filtered: Vec<Filtered>,
    /// Records that could not become a transaction.
    pub dead_letters: Vec<DeadLetter>,
}

impl Records {
    /// Appends the canonical bytes.
    pub fn encode(&self, format: BlockFormat, writer: &mut Writer) {
        writer.uint(self.submissions.len() as u64);
        for seal in &self.submissions {
            writer.raw(&seal.signer.0);
            writer.digest(&seal.root);
            writer.raw(&seal.signature);
            writer.uint(seal.count);
        }
        writer.uint(self.progress.len() as u64);
        for progress in &self.progress {
            encode_partition(&progress.partition, writer);
            writer.uint(progress.from);
            writer.uint(progress.next);
            writer.uint(progress.records);
            if format >= BlockFormat::V2 {
                writer.option(progress.last.as_ref(), encode_last_record);
            }
        }
        writer.uint(self.filtered.len() as u64);
        for filtered in &self.filtered {
            encode_partition(&filtered.partition, writer);
            writer.uint(filtered.runs.len() as u64);
            for (first, count) in &filtered.runs {
                writer.uint(*first);
                writer.uint(*count);
            }
        }
        writer.uint(self.dead_letters.len() as u64);
        for letter in &self.dead_letters {
            encode_dead_letter(letter, format, writer);
        }
    }

    /// About how many bytes they take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let runs = self.filtered.iter().map(|filtered| filtered.runs.len()).sum::<usize>();
        let of_letter = |letter: &DeadLetter| {
            let Rejection { place, message, .. } = &letter.rejection;
            let of_header = size_of::<(String, Option<Vec<u8>>)>() + 2 * ALLOCATION_BYTES;
            let texts = place.len() + message.len() + letter.kept_bytes();
            size_of::<DeadLetter>()
                + texts
                + 5 * ALLOCATION_BYTES
                + letter.headers.len() * of_header
        };
        self.submissions.len() * size_of::<SubmissionSeal>()
            + self.progress.len() * (size_of::<Progress>() + ALLOCATION_BYTES)
            + self.filtered.len() * (size_of::<Filtered>() + 2 * ALLOCATION_BYTES)
            + runs * size_of::<(u64, u64)>()
            + self.dead_letters.iter().map(of_letter).sum::<usize>()
    }

    /// Reads what [`Records::encode`] wrote.
    pub fn decode(format: BlockFormat, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let left = &mut Items(MAX_BLOCK_ITEMS);
        let letter = |r: &mut Reader<'_>, left: &mut Items| decode_dead_letter(format, r, left);
        Ok(Self {
            submissions: list(reader, left, "submissions", decode_seal)?,
            progress: list(reader, left, "progress", |r, _| decode_progress(format, r))?,
            filtered: list(reader, left, "filtered records", decode_filtered)?,
            dead_letters: list(reader, left, "dead letters", letter)?,
        })
    }
}

/// Items that a block's lists may still have, over all of them.
struct Items(usize);

fn list<T>(
    reader: &mut Reader<'_>,
    left: &mut Items,
    what: &'static str,
    mut read: impl FnMut(&mut Reader<'_>, &mut Items) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count(what)?;
    left.0 = left.0.checked_sub(count).ok_or(DecodeError::Malformed(what))?;
    reader.charge(count, size_of::<T>(), what)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(read(reader, left)?);
    }
    Ok(items)
}

fn decode_seal(reader: &mut Reader<'_>, _: &mut Items) -> Result<SubmissionSeal, DecodeError> {
    Ok(SubmissionSeal {
        signer: KeyId(reader.array("signer")?),
        root: reader.digest("submission root")?,
        signature: reader.array("submission signature")?,
        count: reader.uint("submission count")?,
    })
}

fn encode_last_record(writer: &mut Writer, last: &LastRecord) {
    writer.uint(last.offset);
    writer.digest(&last.digest);
}

fn decode_last_record(reader: &mut Reader<'_>) -> Result<LastRecord, DecodeError> {
    let offset = reader.uint("last record")?;
    Ok(LastRecord { offset, digest: reader.digest("last record")? })
}

fn decode_progress(format: BlockFormat, reader: &mut Reader<'_>) -> Result<Progress, DecodeError> {
    Ok(Progress {
        partition: decode_partition(reader)?,
        from: reader.uint("progress")?,
        next: reader.uint("progress")?,
        records: reader.uint("progress")?,
        last: match format {
            BlockFormat::V1 => None,
            BlockFormat::V2 => reader.option("last record", decode_last_record)?,
        },
    })
}

fn decode_filtered(reader: &mut Reader<'_>, left: &mut Items) -> Result<Filtered, DecodeError> {
    let partition = decode_partition(reader)?;
    let runs = list(reader, left, "runs", |r, _| Ok((r.uint("run")?, r.uint("run")?)))?;
    Ok(Filtered { partition, runs })
}

fn encode_dead_letter(letter: &DeadLetter, format: BlockFormat, writer: &mut Writer) {
    encode_partition(&letter.partition, writer);
    writer.uint(letter.offset);
    writer.uint(u64::from(letter.rejection.cause.code()));
    writer.text(&letter.rejection.place);
    writer.text(&letter.rejection.message);
    writer.option(letter.timestamp_ms, Writer::int);
    writer.option(letter.key.as_deref(), Writer::bytes);
    writer.option(letter.value.as_deref(), Writer::bytes);
    writer.uint(letter.value_len);
    writer.digest(&letter.digest);
    if format >= BlockFormat::V2 {
        writer.option(letter.record_digest.as_ref(), Writer::digest);
    }
    writer.uint(letter.headers.len() as u64);
    for (name, value) in &letter.headers {
        writer.text(name);
        writer.option(value.as_deref(), Writer::bytes);
    }
}

fn decode_dead_letter(
    format: BlockFormat,
    reader: &mut Reader<'_>,
    left: &mut Items,
) -> Result<DeadLetter, DecodeError> {
    let bytes = |r: &mut Reader<'_>| r.kept_bytes("dead letter");
    let partition = decode_partition(reader)?;
    let offset = reader.uint("dead letter")?;
    let cause = Cause::from_code(reader.small("cause")?).ok_or(DecodeError::Malformed("cause"))?;
    let place = reader.kept_text("dead letter")?;
    let message = reader.kept_text("dead letter")?;
    Ok(DeadLetter {
        partition,
        offset,
        rejection: Rejection { cause, place, message },
        timestamp_ms: reader.option("dead letter", |r| r.int("dead letter"))?,
        key: reader.option("dead letter", bytes)?,
        value: reader.option("dead letter", bytes)?,
        value_len: reader.uint("dead letter")?,
        digest: reader.digest("dead letter")?,
        record_digest: match format {
            BlockFormat::V1 => None,
            BlockFormat::V2 => reader.option("dead letter", |r| r.digest("dead letter"))?,
        },
        headers: list(reader, left, "headers", |r, _| {
            let name = r.kept_text("header")?;
            Ok((name, r.option("header", bytes)?))
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Headers;

    fn decoded(records: &Records) -> Result<Records, DecodeError> {
        let mut writer = Writer::new();
        records.encode(BlockFormat::NEWEST, &mut writer);
        Records::decode(BlockFormat::NEWEST, &mut Reader::new(&writer.into_bytes()))
    }

    #[test]
    fn a_block_has_no_more_items_than_a_writer_gives() {
        let partition = SourcePartition::new("telemetry", 0);
        let with_runs = |count: usize| {
            let filtered = Filtered { partition: partition.clone(), runs: vec![(0, 0); count] };
            Records { filtered: vec![filtered], ..Records::default() }
        };
        // The list of filtered records is an item itself.
        let most = with_runs(MAX_BLOCK_ITEMS - 1);
        assert!(decoded(&most).is_ok_and(|records| records == most));
        let more = decoded(&with_runs(MAX_BLOCK_ITEMS)).unwrap_err();
        assert_eq!(more, DecodeError::Malformed("runs"));
    }

    #[test]
    fn what_takes_little_of_a_block_takes_no_more_memory_than_a_block_may() {
        let partition = SourcePartition::new("t", 0);
        let record = Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Headers::default(),
            damage: None,
        };
        let letter = DeadLetter::new(&record, Rejection::new(Cause::Empty, "", ""));
        let letters =
            |count| Records { dead_letters: vec![letter.clone(); count], ..Records::default() };
        let (mut writer, few) = (Writer::new(), letters(10));
        few.encode(BlockFormat::NEWEST, &mut writer);
        let bytes = writer.into_bytes();
        let decoded_within = |room| {
            let mut reader = Reader::within(&bytes, room);
            Records::decode(BlockFormat::NEWEST, &mut reader).map(|_| room - reader.room())
        };
        let taken = decoded_within(1 << 20).unwrap();
        assert!(taken >= 10 * size_of::<DeadLetter>() && taken <= few.memory_bytes(), "{taken}");
        assert_eq!(decoded_within(taken), Ok(taken));
        assert!(matches!(decoded_within(taken - 1), Err(DecodeError::TooMuch(_))));
        // Earlier versions made a block due at so many letters; one of theirs is read still.
        let most = MAX_BLOCK_ITEMS / 2 + 2_048;
        assert!(taken / 10 * most < crate::limits::MAX_BLOCK_MEMORY_BYTES);
    }

    #[test]
    fn very_many_empty_headers_are_cut_like_long_ones() {
        let partition = SourcePartition::new("telemetry", 0);
        let mut writer = Writer::new();
        for _ in 0..10_000 {
            writer.text("");
            writer.option(None::<&[u8]>, Writer::bytes);
        }
        let headers = writer.into_bytes();
        let headers = Headers::from_encoded(&headers);
        let record = Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: None,
            headers,
            damage: None,
        };
        let letter = DeadLetter::new(&record, Rejection::new(Cause::NotJson, "", ""));
        assert_eq!(letter.headers.len(), MAX_DEAD_LETTER_BYTES / HEADER_BYTES);
    }
}
