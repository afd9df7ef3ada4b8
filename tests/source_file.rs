//! A file yields every line once, as a record or as a dead letter, and resumes at the ledger's
//! position.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ledgerline::event::{Cause, Decoder, Event, Rejection, SourcePartition};
use ledgerline::input::{Accepted, Assignments, FileForm, FileInput, Input, InputError, Polled};
use ledgerline::limits::{MAX_FILE_PARTITIONS, MAX_LINE_BYTES};

/// One record as read: partition, offset, and event or rejection.
type Read1 = (String, u64, Result<Event, Rejection>);

fn open(path: &Path, assignments: &Arc<Assignments>) -> FileInput {
    let form = FileForm { path: path.to_owned(), epoch: 0 };
    FileInput::open(&form, Arc::clone(assignments)).unwrap()
}

/// Reads to the end, or until this many records were accepted.
fn read(source: &mut FileInput, assignments: &Assignments, most: usize) -> Vec<Read1> {
    let (decoder, mut records) = (Decoder::default(), Vec::new());
    while records.len() < most {
        match source.poll(Duration::from_secs(10)).unwrap() {
            Polled::Batch(batch) => {
                assert_eq!(
                    assignments.accept(&batch.partition, batch.generation, batch.from..batch.next),
                    Accepted::Next
                );
                for record in batch.records() {
                    let partition = record.partition.to_string();
                    records.push((partition, record.offset, decoder.decode(&record)));
                }
            }
            Polled::Idle => {}
            Polled::End => break,
        }
    }
    records
}

fn written(lines: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("readings.jsonl");
    std::fs::write(&path, lines).unwrap();
    (directory, path)
}

fn line(partition: u32, offset: u64) -> String {
    format!(
        r#"{{"topic":"t","partition":{partition},"offset":{offset},"ts":5,"key":null,"payload":"{{\"n\":{offset}}}"}}"#
    )
}

#[test]
fn every_line_becomes_a_record_or_a_dead_letter() {
    let lines = [
        line(0, 3),
        "not a record".to_owned(),
        String::new(),
        line(1, 0),
        r#"{"topic":"t","partition":0,"offset":4,"key":"k","payload":null}"#.to_owned(),
        line(0, 3),
        r#"{"topic":"readings.lines","partition":0,"offset":9,"payload":"{}"}"#.to_owned(),
        line(0, 9) + "\r",
    ];
    let (_directory, path) = written(lines.join("\n").as_bytes());
    let assignments = Arc::new(Assignments::default());
    let mut source = open(&path, &assignments);
    let records = read(&mut source, &assignments, usize::MAX);
    let mut told: Vec<(String, u64, String)> = records
        .into_iter()
        .map(|(partition, offset, result)| {
            let told = match result {
                Ok(event) => event.payload.to_string(),
                Err(rejection) => format!("{}", rejection.cause),
            };
            (partition, offset, told)
        })
        .collect();
    told.sort();
    let expected = [
        ("readings.lines/0", 1, "envelope"),
        ("readings.lines/0", 5, "envelope"),
        ("readings.lines/0", 6, "envelope"),
        ("t/0", 3, r#"{"n":3}"#),
        ("t/0", 4, "null"),
        ("t/0", 9, r#"{"n":9}"#),
        ("t/1", 0, r#"{"n":0}"#),
    ];
    let expected = expected.map(|(p, offset, told)| (p.to_owned(), offset, told.to_owned()));
    assert_eq!(told, expected);
    assert!(matches!(source.poll(Duration::ZERO).unwrap(), Polled::End), "it stays at its end");
}

#[test]
fn a_bad_line_keeps_its_bytes_and_says_why() {
    let (_directory, path) = written(b"{\"topic\":\"t\"}\n\xff\xfe\n");
    let assignments = Arc::new(Assignments::default());
    let mut source = open(&path, &assignments);
    let mut found = Vec::new();
    loop {
        match source.poll(Duration::from_secs(10)).unwrap() {
            Polled::Batch(batch) => found.extend(batch.records().map(|record| {
                let rejection = Decoder::default().decode(&record).unwrap_err();
                assert_eq!(rejection.cause, Cause::Envelope);
                (record.value.unwrap().to_vec(), rejection.message)
            })),
            Polled::Idle => {}
            Polled::End => break,
        }
    }
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].0, b"{\"topic\":\"t\"}");
    assert!(found[0].1.contains("`partition` is missing"), "{}", found[0].1);
    assert_eq!(found[1].0, b"\xff\xfe");
    assert!(found[1].1.contains("not UTF-8"), "{}", found[1].1);
}

#[test]
fn a_line_over_the_limit_is_a_dead_letter_of_bounded_size() {
    let mut bytes = vec![b'9'; MAX_LINE_BYTES + 1];
    bytes.extend_from_slice(b"\n");
    bytes.extend_from_slice(line(0, 0).as_bytes());
    let (_directory, path) = written(&bytes);
    let assignments = Arc::new(Assignments::default());
    let records = read(&mut open(&path, &assignments), &assignments, usize::MAX);
    let results: BTreeMap<_, _> =
        records.into_iter().map(|(p, o, result)| ((p, o), result)).collect();
    let rejection = results[&("readings.lines/0".to_owned(), 0)].as_ref().unwrap_err();
    assert_eq!(rejection.cause, Cause::Envelope);
    let digest = ledgerline::codec::Digest::of(&bytes[..=MAX_LINE_BYTES]);
    assert!(rejection.message.contains(&digest.to_string()), "{}", rejection.message);
    assert!(results[&("t/0".to_owned(), 0)].is_ok());
}

#[test]
fn reading_goes_on_where_the_ledger_stands() {
    let lines: Vec<String> = (0..5_000)
        .map(|n| if n % 50 == 7 { format!("bad {n}") } else { line(n % 3, u64::from(n)) })
        .collect();
    let (_directory, path) = written(lines.join("\n").as_bytes());
    let whole = {
        let assignments = Arc::new(Assignments::default());
        read(&mut open(&path, &assignments), &assignments, usize::MAX)
    };
    assert_eq!(whole.len(), 5_000);
    let order = |records: Vec<Read1>| {
        let mut by_partition: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (partition, offset, _) in records {
            by_partition.entry(partition).or_default().push(offset);
        }
        by_partition
    };
    let whole = order(whole);
    for stop in [1, 300, 1_700, 4_999] {
        let assignments = Arc::new(Assignments::default());
        let mut records = read(&mut open(&path, &assignments), &assignments, stop);
        let progress = assignments.status().into_iter();
        let progress: Vec<(SourcePartition, u64)> =
            progress.filter_map(|status| Some((status.partition, status.next?))).collect();
        let assignments = Arc::new(Assignments::new(progress));
        records.extend(read(&mut open(&path, &assignments), &assignments, usize::MAX));
        assert_eq!(order(records), whole, "stopped after {stop}");
    }
}

#[test]
fn a_file_that_grew_gives_what_is_new() {
    let (_directory, path) = written(format!("{}\nbad\n", line(0, 0)).as_bytes());
    let assignments = Arc::new(Assignments::default());
    assert_eq!(read(&mut open(&path, &assignments), &assignments, usize::MAX).len(), 2);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    write!(file, "{}\nworse\n", line(0, 1)).unwrap();
    let records = read(&mut open(&path, &assignments), &assignments, usize::MAX);
    let mut positions: Vec<_> = records.into_iter().map(|(p, offset, _)| (p, offset)).collect();
    positions.sort();
    assert_eq!(positions, [("readings.lines/0".to_owned(), 3), ("t/0".to_owned(), 1)]);
}

#[test]
fn another_epoch_is_another_stream() {
    let (_directory, path) = written(line(0, 0).as_bytes());
    let assignments = Arc::new(Assignments::default());
    for (epoch, partition) in [(0, "t/0"), (1, "t@1/0")] {
        let form = FileForm { path: path.clone(), epoch };
        let mut source = FileInput::open(&form, Arc::clone(&assignments)).unwrap();
        let records = read(&mut source, &assignments, usize::MAX);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].0, partition);
    }
}

#[test]
fn a_pause_holds_records_back() {
    let (_directory, path) = written(line(0, 0).as_bytes());
    let assignments = Arc::new(Assignments::default());
    let mut source = open(&path, &assignments);
    source.pause().unwrap();
    for _ in 0..3 {
        assert!(matches!(source.poll(Duration::from_millis(1)).unwrap(), Polled::Idle));
    }
    source.resume().unwrap();
    assert_eq!(read(&mut source, &assignments, usize::MAX).len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let assignments = Arc::new(Assignments::default());
    let form = FileForm { path: "no/such/file.jsonl".into(), epoch: 0 };
    let error = FileInput::open(&form, Arc::clone(&assignments)).unwrap_err();
    assert_eq!(error.to_string(), "reading no/such/file.jsonl");
    let directory = tempfile::tempdir().unwrap();
    let form = FileForm { path: directory.path().to_owned(), epoch: 0 };
    let mut source = FileInput::open(&form, assignments).unwrap();
    let error = loop {
        match source.poll(Duration::from_secs(10)) {
            Ok(Polled::Idle) => {}
            Ok(other) => panic!("a directory gave {other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, InputError::File { .. }));
}

#[test]
fn the_published_readings_are_read_whole() {
    #[allow(clippy::disallowed_methods)] // where published data lies is no setting of the program
    let directory =
        std::env::var("LEDGERLINE_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let packed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join("device-readings.kcat.jsonl.gz");
    let Ok(file) = std::fs::File::open(&packed) else {
        println!("skipped: {} is not there", packed.display());
        return;
    };
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let (_directory, path) = written(&bytes);
    let assignments = Arc::new(Assignments::default());
    let records = read(&mut open(&path, &assignments), &assignments, usize::MAX);
    assert_eq!(records.len(), 29_962);
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for (partition, offset, result) in records {
        let expected = next.entry(partition).or_default();
        assert_eq!(offset, *expected);
        *expected += 1;
        let event = result.unwrap();
        assert!(!event.device.id.is_empty());
        assert_eq!(event.info.event_type, "temperature");
        assert_eq!(event.info.time_ms, event.timestamp_ms);
    }
    assert_eq!(next.len(), 2);
}

#[test]
fn a_file_names_only_so_many_partitions() {
    let most = u32::try_from(MAX_FILE_PARTITIONS).unwrap();
    let named = (0..most + 2).map(|partition| line(partition, 0));
    let lines: Vec<_> = named.chain([line(0, 1), line(most, 1)]).collect();
    let (_directory, path) = written(lines.join("\n").as_bytes());
    let assignments = Arc::new(Assignments::default());
    let records = read(&mut open(&path, &assignments), &assignments, usize::MAX);
    assert_eq!(records.len(), lines.len(), "no line is lost");
    let rejected: Vec<_> = records
        .iter()
        .filter_map(|(_, offset, result)| Some((offset, result.as_ref().err()?)))
        .collect();
    let numbers: Vec<_> = rejected.iter().map(|(offset, _)| **offset).collect();
    let most = u64::from(most);
    assert_eq!(numbers, [most, most + 1, most + 3]);
    assert!(rejected[0].1.to_string().contains("more than 10000 partitions"), "{}", rejected[0].1);
    assert_eq!(assignments.status().len(), MAX_FILE_PARTITIONS + 1);
}

#[test]
fn a_paused_file_gives_nothing() {
    let (_directory, path) = written(line(0, 0).as_bytes());
    let assignments = Arc::new(Assignments::default());
    let mut source = open(&path, &assignments);
    source.pause().unwrap();
    for _ in 0..5 {
        assert!(matches!(source.poll(Duration::from_millis(5)).unwrap(), Polled::Idle));
    }
    source.resume().unwrap();
    assert_eq!(read(&mut source, &assignments, usize::MAX).len(), 1);
}
