//! Whatever a crash leaves at the end of the log is cut and nothing that was acknowledged is lost;
//! whatever else is damaged, missing or replaced is refused with its place and what helps.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/ledger.rs"]
mod ledger;

use std::path::Path;

use ledger::*;
use ledgerline::ledger::embedded::{Opening, frame, open, open_read_only};
use ledgerline::ledger::{LedgerError, LedgerReader, LedgerWriter};

/// Blocks of the keys and of the definitions, which every ledger begins with.
const FIRST: u64 = 2;

/// A ledger whose one segment is these bytes.
fn with_log(segment: &[u8]) -> tempfile::TempDir {
    let folder = folder();
    write_log(folder.path(), segment);
    folder
}

fn made(works: u64, note: &str) -> (tempfile::TempDir, Vec<u8>) {
    let folder = folder();
    make(folder.path(), works, note);
    let bytes = std::fs::read(&segments(folder.path())[0]).unwrap();
    (folder, bytes)
}

fn open_error(opening: &Opening) -> LedgerError {
    match open(opening, &mut |_, _| {}) {
        Ok(opened) => panic!("opened with {} blocks", opened.reader().head().height),
        Err(error) => error,
    }
}

/// Opens a log that ends in bytes which were not acknowledged: the tail is cut, the blocks in front
/// of it are there, and the log is sound. Where asked, writing goes on as if nothing had happened.
fn check_torn(segment: &[u8], (height, good_len): (u64, u64), thorough: bool) {
    let folder = with_log(segment);
    let directory = folder.path();
    if thorough {
        let looked = open_read_only(directory, &mut |_, _| {}).unwrap();
        assert_eq!(looked.head().height, height, "looking sees the whole blocks");
        assert_sound(directory);
        assert_eq!(std::fs::read(&segments(directory)[0]).unwrap(), segment, "and changes nothing");
    }
    let opened = open(&opening(directory), &mut |_, _| {}).unwrap();
    let what = format!("cut to {} bytes", segment.len());
    assert_eq!(opened.reader().head().height, height, "{what}");
    assert_eq!(opened.repaired_bytes, segment.len() as u64 - good_len, "{what}");
    drop(opened);
    let repaired = std::fs::read(&segments(directory)[0]).unwrap();
    assert!(repaired == segment[..usize::try_from(good_len).unwrap()], "{what}");
    if thorough {
        assert_sound(directory);
        let (mut ledger, world) = start(&opening(directory)).unwrap();
        grow(&mut ledger, height - FIRST..height - FIRST + 2, "");
        assert_eq!(ledger.reader().head().height, height + 2);
        drop((ledger, world));
        assert_sound(directory);
    }
}

#[test]
fn a_log_that_ends_anywhere_in_its_last_two_frames_is_repaired() {
    let (_folder, whole) = made(3, "");
    let frames = frames(&whole);
    let whole_len = whole.len() as u64;
    // Each block durable on its own, and the last two in one step.
    let (rest, last) = frames.split_at(frames.len() - 2);
    let grouped: Vec<_> = rest.chunks(1).chain([last]).collect();
    for segment in [whole, segment_of(&grouped)] {
        for len in last[0].offset..whole_len {
            let ends = [last[0].offset, last[1].offset];
            let cut = usize::from(len >= ends[1]);
            let height = (rest.len() + cut) as u64;
            let near = ends.iter().any(|end| len.abs_diff(*end) < 3);
            let thorough = near || len % 509 == 0;
            let bytes = &segment[..usize::try_from(len).unwrap()];
            check_torn(bytes, (height, ends[cut]), thorough);
        }
    }
}

#[test]
fn rubbish_behind_the_last_block_is_cut() {
    let (_folder, whole) = made(2, "");
    let height = FIRST + 2;
    let random = |len: usize| {
        let mut random = Random(seed());
        (0..len).map(|_| random.next().to_le_bytes()[0]).collect::<Vec<u8>>()
    };
    let mut later = Vec::new();
    // The file grew, its bytes were never written; or others' bytes; or a mark and little else.
    frame::encode(b"no block", whole.len() as u64, &mut later);
    later[frame::FRAME_HEADER_BYTES] ^= 1;
    let tails = [vec![0; 4096], vec![0xff; 5], random(700), b"LLfr".to_vec(), later];
    for tail in tails {
        let segment = [whole.as_slice(), &tail].concat();
        check_torn(&segment, (height, whole.len() as u64), true);
    }
}

#[test]
fn a_group_that_was_torn_in_front_is_cut_whole() {
    let (_folder, whole) = made(6, "");
    let frames = frames(&whole);
    let (rest, group) = frames.split_at(frames.len() - 3);
    let groups: Vec<_> = rest.chunks(1).chain([group]).collect();
    let segment = segment_of(&groups);
    // The disk wrote the later blocks of the group and not (all of) this one.
    for (at, torn) in group.iter().enumerate().take(2) {
        for place in [0, 5, 12, 17, frame::FRAME_HEADER_BYTES, torn.packed] {
            let mut segment = segment.clone();
            segment[usize::try_from(torn.offset).unwrap() + place] ^= 0x10;
            check_torn(&segment, ((rest.len() + at) as u64, torn.offset), true);
        }
    }
}

/// A log with damage in front of its last group: refused by all who open it, and left as it is.
fn check_damaged(segment: &[u8], offset: u64, what: &str) {
    let folder = with_log(segment);
    let path = segments(folder.path()).remove(0);
    let errors = [
        open_error(&opening(folder.path())),
        open_read_only(folder.path(), &mut |_, _| {}).unwrap_err(),
    ];
    for error in errors {
        let LedgerError::Damaged { path: named, offset: at, .. } = &error else {
            panic!("{what}: {error}");
        };
        assert_eq!((named, *at), (&path, offset), "{what}");
        let message = error.to_string();
        for part in [path.to_str().unwrap(), &offset.to_string(), "`ledgerline verify`"] {
            assert!(message.contains(part), "{what}: {message}");
        }
    }
    let report = report(folder.path());
    assert!(!report.is_sound(), "{what}");
    assert!(report.problems[0].contains(&format!("byte {offset} ")), "{:?}", report.problems);
    assert!(std::fs::read(&path).unwrap() == segment, "{what}: the file was changed");
}

/// Start of the frame that a byte stands in.
fn frame_of(frames: &[Frame], at: usize) -> u64 {
    frames.iter().rev().map(|frame| frame.offset).find(|offset| *offset <= at as u64).unwrap_or(0)
}

#[test]
fn a_flipped_bit_before_the_last_group_is_refused_with_its_place() {
    let mut random = Random(seed());
    let (_folder, whole) = made(90, &"x".repeat(400));
    let frames = frames(&whole);
    let last = usize::try_from(frames.last().unwrap().offset).unwrap();
    assert!(last > 20 * 4096, "only {last} bytes");
    let mut places: Vec<usize> =
        (0..last).step_by(4096).map(|at| at + random.below(4096)).collect();
    // The segment's own mark, and every byte of some frames' headers.
    places.extend(0..16);
    for frame in [&frames[0], &frames[1], &frames[frames.len() - 2]] {
        let start = usize::try_from(frame.offset).unwrap();
        places.extend(start..start + frame::FRAME_HEADER_BYTES);
    }
    for at in places.into_iter().filter(|at| *at < last) {
        let mut segment = whole.clone();
        segment[at] ^= 1 << random.below(8);
        check_damaged(&segment, frame_of(&frames, at), &format!("byte {at}"));
    }
}

#[test]
fn bytes_that_are_gone_or_new_in_the_middle_are_refused() {
    let mut random = Random(seed());
    let (_folder, whole) = made(8, "");
    let frames = frames(&whole);
    for round in 0..20 {
        let at = 16 + random.below(usize::try_from(frames[6].offset).unwrap() - 16);
        let len = 1 + random.below(50);
        let mut segment = whole.clone();
        match round % 3 {
            0 => drop(segment.drain(at..at + len)),
            1 => segment[at..at + len].fill(0),
            _ => drop(segment.splice(at..at, std::iter::repeat_n(7, len))),
        }
        if segment != whole {
            check_damaged(&segment, frame_of(&frames, at), &format!("round {round} at {at}"));
        }
    }
    // A whole frame that is not there any more: every frame is good, and one block is missing.
    let mut segment = whole.clone();
    let range = [3, 4].map(|at| usize::try_from(frames[at].offset).unwrap());
    segment.drain(range[0]..range[1]);
    let folder = with_log(&segment);
    let error = open_error(&opening(folder.path()));
    // The frame that moved forward calls more durable than is in front of it.
    assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    assert!(!report(folder.path()).is_sound());
}

#[test]
fn damage_under_a_running_reader_is_an_error_and_never_a_wrong_block() {
    let (folder, whole) = made(8, "");
    let frames = frames(&whole);
    let reader = open_read_only(folder.path(), &mut |_, _| {}).unwrap();
    let mut random = Random(seed());
    for _ in 0..200 {
        let number = random.below(frames.len());
        let frame = &frames[number];
        let at = random.below(frame::FRAME_HEADER_BYTES + frame.packed);
        // The durable length serves only those who open a log.
        let mut segment = whole.clone();
        segment[usize::try_from(frame.offset).unwrap() + at] ^= 1 << random.below(8);
        write_log(folder.path(), &segment);
        let error = reader.block(number as u64).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    }
    write_log(folder.path(), &whole);
    assert_eq!(reader.block(3).unwrap().header.number, 3);
}

/// A ledger over several segments.
fn in_segments() -> (tempfile::TempDir, Opening) {
    let folder = folder();
    let opening = Opening { max_segment_bytes: 3_000, ..opening(folder.path()) };
    let (mut ledger, _) = start(&opening).unwrap();
    ledger.append(definitions()).unwrap().wait().unwrap();
    grow(&mut ledger, 0..12, "");
    drop(ledger);
    assert!(segments(folder.path()).len() > 4);
    (folder, opening)
}

#[test]
fn a_new_segment_that_a_crash_left_empty_is_taken_up() {
    for content in [&b""[..], b"LEDGER", b"LEDGERLINE LOG 1", &[0; 16]] {
        let (folder, opening) = in_segments();
        let height = FIRST + 12;
        let stray = folder.path().join(format!("log/blocks-{height:020}.log"));
        std::fs::write(&stray, content).unwrap();
        assert_sound(folder.path());
        let (mut ledger, world) = start(&opening).unwrap();
        assert_eq!(ledger.reader().head().height, height);
        grow(&mut ledger, 12..14, "");
        drop((ledger, world));
        assert_sound(folder.path());
        let (ledger, _) = start(&opening).unwrap();
        assert_eq!(ledger.reader().head().height, height + 2);
        assert_eq!(ledger.reader().block(height).unwrap().header.number, height);
    }
}

#[test]
fn a_flipped_bit_in_any_segment_is_refused_with_its_place() {
    let mut random = Random(seed());
    let (folder, opening) = in_segments();
    let paths = segments(folder.path());
    for (number, path) in paths.iter().enumerate() {
        let whole = std::fs::read(path).unwrap();
        let mut frames = frames(&whole);
        let mut end = whole.len();
        if number + 1 == paths.len() {
            // What is wrong with the last block of all may come from an interrupted write.
            end = usize::try_from(frames.pop().unwrap().offset).unwrap();
        }
        // One in each block, and one in the segment's mark.
        let starts = frames.iter().map(|frame| usize::try_from(frame.offset).unwrap());
        let starts: Vec<_> = std::iter::once(0).chain(starts).chain([end]).collect();
        for block in starts.windows(2).filter(|block| block[0] < block[1]) {
            let at = block[0] + random.below(block[1] - block[0]);
            let mut segment = whole.clone();
            segment[at] ^= 1 << random.below(8);
            std::fs::write(path, &segment).unwrap();
            let error = open_error(&opening);
            let LedgerError::Damaged { path: named, offset, .. } = &error else {
                panic!("byte {at} of {}: {error}", path.display());
            };
            assert_eq!((named, *offset), (path, block[0] as u64), "byte {at}");
            assert!(!report(folder.path()).is_sound(), "byte {at} of {}", path.display());
            assert!(std::fs::read(path).unwrap() == segment, "it was changed");
        }
        std::fs::write(path, whole).unwrap();
    }
    assert_sound(folder.path());
}

#[test]
fn a_segment_that_is_missing_or_misnamed_is_refused() {
    let count = segments(in_segments().0.path()).len();
    for missing in 0..count - 1 {
        let (folder, opening) = in_segments();
        std::fs::remove_file(&segments(folder.path())[missing]).unwrap();
        let error = open_error(&opening);
        assert!(matches!(error, LedgerError::Inconsistent { .. }), "{error}");
        let next = segments(folder.path())[missing].clone();
        assert!(error.to_string().contains(next.to_str().unwrap()), "{error}");
        assert!(!report(folder.path()).is_sound());
    }
    let (folder, opening) = in_segments();
    let last = segments(folder.path()).pop().unwrap();
    std::fs::rename(&last, folder.path().join(format!("log/blocks-{:020}.log", 99))).unwrap();
    assert!(matches!(open_error(&opening), LedgerError::Inconsistent { .. }));
    assert!(!report(folder.path()).is_sound());
}

#[test]
fn damage_at_the_end_of_a_segment_that_others_follow_is_refused() {
    let (folder, opening) = in_segments();
    for path in &segments(folder.path())[..2] {
        let whole = std::fs::read(path).unwrap();
        let last = frames(&whole).pop().unwrap().offset;
        std::fs::write(path, &whole[..whole.len() - 1]).unwrap();
        let error = open_error(&opening);
        let LedgerError::Damaged { path: named, offset, .. } = &error else { panic!("{error}") };
        assert_eq!((named, *offset), (path, last));
        assert!(!report(folder.path()).is_sound());
        std::fs::write(path, &whole).unwrap();
    }
    assert_sound(folder.path());
}

/// The opening that compares the log with a checkpoint kept outside.
fn guarded(directory: &Path, copy: &Path) -> Opening {
    Opening { checkpoint_copy: Some(copy.to_owned()), ..opening(directory) }
}

#[test]
fn an_older_copy_of_the_ledger_is_refused() {
    let (folder, older) = made(3, "");
    let kept = tempfile::NamedTempFile::new().unwrap();
    let (mut ledger, world) = start(&opening(folder.path())).unwrap();
    grow(&mut ledger, 3..5, "");
    drop((ledger, world));
    std::fs::write(kept.path(), checkpoint(folder.path())).unwrap();
    open(&guarded(folder.path(), kept.path()), &mut |_, _| {}).unwrap();
    write_log(folder.path(), &older);
    let error = open_error(&guarded(folder.path(), kept.path()));
    assert!(matches!(error, LedgerError::RolledBack { .. }), "{error}");
    assert!(error.to_string().contains(kept.path().to_str().unwrap()), "{error}");
}

#[test]
fn an_acknowledged_block_that_was_damaged_at_the_end_is_not_cut() {
    let mut random = Random(seed());
    let (folder, whole) = made(3, "");
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), checkpoint(folder.path())).unwrap();
    let frames = frames(&whole);
    let last = usize::try_from(frames.last().unwrap().offset).unwrap();
    let header = last..last + frame::FRAME_HEADER_BYTES;
    for at in header.chain((last..whole.len()).step_by(61)) {
        let mut segment = whole.clone();
        segment[at] ^= 1 << random.below(8);
        // Who has no checkpoint cannot tell it from an interrupted write.
        check_torn(&segment, (frames.len() as u64 - 1, last as u64), at % 7 == 0);
        write_log(folder.path(), &segment);
        let error = open_error(&guarded(folder.path(), kept.path()));
        assert!(matches!(error, LedgerError::RolledBack { .. }), "byte {at}: {error}");
        let left = std::fs::read(&segments(folder.path())[0]).unwrap();
        assert!(left == segment, "byte {at}: a repair by hand must stay possible");
    }
}

#[test]
fn a_fork_of_the_ledger_is_refused() {
    let (folder, older) = made(3, "");
    let kept = tempfile::NamedTempFile::new().unwrap();
    let mut given_out = Vec::new();
    for note in ["one way", "another way"] {
        write_log(folder.path(), &older);
        let (mut ledger, world) = start(&opening(folder.path())).unwrap();
        grow(&mut ledger, 3..5, note);
        drop((ledger, world));
        given_out.push(checkpoint(folder.path()));
    }
    for (checkpoint, fits) in [(&given_out[1], true), (&given_out[0], false)] {
        std::fs::write(kept.path(), checkpoint).unwrap();
        match (open(&guarded(folder.path(), kept.path()), &mut |_, _| {}), fits) {
            (Ok(_), true) => {}
            (Err(error @ LedgerError::Inconsistent { .. }), false) => {
                assert!(error.to_string().contains("forked"), "{error}");
            }
            (result, _) => panic!("{:?}", result.map(|_| "opened")),
        }
    }
    std::fs::write(kept.path(), "no checkpoint").unwrap();
    assert!(matches!(
        open_error(&guarded(folder.path(), kept.path())),
        LedgerError::Inconsistent { .. }
    ));
}
