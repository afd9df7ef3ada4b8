//! A ledger's folder may come from anyone: what is no file of a ledger is refused, and nothing in it
//! takes more memory or time than what it really holds.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filled::*;
use ledgerline::codec::Writer;
use ledgerline::ledger::embedded::frame;
use project::*;

/// Kilobytes of address space that a command has: far less than what the folders here seem to hold.
const MAX_KILOBYTES: u64 = 5 * 512 * 1024;
const SEGMENT: &str = "ledger/log/blocks-00000000000000000000.log";

/// Commands that read in different ways.
const LOOKS: &[&[&str]] = &[
    &["verify", "ledger"],
    &["state", "ledger", "machine"],
    &["block", "ledger"],
    &["export", "ledger"],
];

/// Runs the program with a bound on its memory.
fn run(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {MAX_KILOBYTES} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, PROGRAM]).args(arguments);
    command.current_dir(project.path(".")).stdin(Stdio::null());
    ended(command)
}

/// Runs every command; each ends so and says this.
#[track_caller]
fn all_say(project: &Project, code: i32, says: &str) {
    for look in LOOKS {
        let ended = run(project, look).exits(code);
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains(says), "{look:?} does not say {says:?}: {said}");
        assert_clean(&ended.err);
    }
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Moves a file or folder away and puts something else in its place.
fn replaced(project: &Project, name: &str, with: impl FnOnce(&Path, &Path)) -> PathBuf {
    let (path, away) = (project.path(name), project.path("away"));
    fs::rename(&path, &away).unwrap();
    with(&path, &away);
    away
}

fn restore(project: &Project, name: &str, away: &Path) {
    let path = project.path(name);
    match fs::symlink_metadata(&path).unwrap().is_dir() {
        true => fs::remove_dir_all(&path).unwrap(),
        false => fs::remove_file(&path).unwrap(),
    }
    fs::rename(away, path).unwrap();
}

type Replace = fn(&Path, &Path);

#[test]
fn links_and_special_files_are_refused_at_once() {
    let project = filled();
    let cases: [(&str, Replace, &str); 8] = [
        (SEGMENT, |path, away| symlink(away, path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| symlink("/nowhere", path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| symlink("/dev/zero", path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| mkfifo(path), "it is a named pipe, not a regular file"),
        (SEGMENT, |path, _| drop(UnixListener::bind(path).unwrap()), "it is a socket"),
        (SEGMENT, |path, _| fs::create_dir(path).unwrap(), "it is a directory, not a regular file"),
        (
            "ledger/log",
            |path, away| symlink(away, path).unwrap(),
            "it is a symbolic link, not a dir",
        ),
        ("ledger/log", |path, _| mkfifo(path), "it is a named pipe, not a directory"),
    ];
    for (name, with, says) in cases {
        let away = replaced(&project, name, with);
        all_say(&project, 65, says);
        restore(&project, name, &away);
    }
    all_say(&project, 0, "");
}

#[test]
fn a_strange_state_or_checkpoint_is_refused_by_whom_it_concerns() {
    let project = filled();
    let cases: [(&str, Replace); 4] = [
        ("ledger/state", |path, away| symlink(away, path).unwrap()),
        ("ledger/state/db", |path, _| mkfifo(path)),
        ("ledger/state/conf", |path, _| symlink("/etc/passwd", path).unwrap()),
        ("ledger.checkpoint", |path, _| mkfifo(path)),
    ];
    for (name, with) in cases {
        let away = replaced(&project, name, with);
        let wrong = run(&project, &["verify", "ledger"]).exits(65);
        let about = name.trim_start_matches("ledger/");
        let is_told = |line: &str| line.starts_with("WRONG") && line.contains(about);
        assert!(wrong.out.lines().any(is_told), "{name}: {}", wrong.out);
        for look in &LOOKS[1..] {
            let ended = run(&project, look).exits(0);
            assert_eq!(ended.err.contains("named pipe"), name == "ledger.checkpoint", "{ended:?}");
        }
        restore(&project, name, &away);
    }
    all_say(&project, 0, "");
}

fn append(project: &Project, bytes: &[u8]) -> u64 {
    let mut file = OpenOptions::new().append(true).open(project.path(SEGMENT)).unwrap();
    let before = file.metadata().unwrap().len();
    file.write_all(bytes).unwrap();
    before
}

fn extend(project: &Project, size: u64) -> File {
    let file = OpenOptions::new().write(true).open(project.path(SEGMENT)).unwrap();
    file.set_len(size).unwrap();
    file
}

#[test]
fn a_hole_of_64_gib_is_not_read() {
    let project = filled();
    let good = append(&project, b"");
    let file = extend(&project, 64 << 30);
    all_say(&project, 0, "an interrupted write");
    // A frame behind it still shows that bytes are missing which had been acknowledged.
    let mut bytes = Vec::new();
    frame::encode(b"any block", good + 1, &mut bytes);
    file.write_all_at(&bytes, 64 << 30).unwrap();
    all_say(&project, 65, &format!("is damaged at byte {good}"));
}

#[test]
fn a_frame_may_say_what_it_likes_of_its_length() {
    for (len, said) in [(512_u32 << 20, 1_u64 << 30), (u32::MAX, 8 << 30), (512 << 20, 0)] {
        let project = filled();
        let header = [b"LLfr", len.to_le_bytes().as_slice(), &[0; 8], &[1, 2, 3, 4]].concat();
        let good = append(&project, &header);
        extend(&project, (good + header.len() as u64).max(said));
        all_say(&project, 0, "an interrupted write");
    }
}

#[test]
fn a_hundred_thousand_forged_frames_are_one_pass() {
    let project = filled();
    let good = append(&project, b"no frame");
    let mut forged = Vec::new();
    for at in 0..100_000 {
        let (len, durable) = (1_000_000_u32.to_le_bytes(), (good + 1 + at).to_le_bytes());
        forged.extend([b"LLfr", len.as_slice(), &durable, &[1, 2, 3, 4]].concat());
    }
    append(&project, &forged);
    extend(&project, good + 4_000_000);
    all_say(&project, 65, &format!("is damaged at byte {good}"));
}

#[test]
fn a_hundred_thousand_segments_and_any_number_in_a_name_are_read() {
    let project = filled();
    let empty = |number: u64| {
        let path = project.path(&format!("ledger/log/blocks-{number:020}.log"));
        File::create(path).unwrap();
    };
    let says = "the log has no segment for it; the next one is ";
    empty(u64::MAX);
    let (all, verify) = (&LOOKS[1..], &LOOKS[0]);
    for look in all {
        let ended = run(&project, look).exits(65);
        assert!(ended.err.contains(says), "{look:?}: {}", ended.err);
    }
    let wrong = run(&project, verify).exits(65);
    assert!(wrong.out.contains("begins with block 18446744073709551615"), "{}", wrong.out);
    // Names that are not a number's are no segments.
    fs::remove_file(project.path("ledger/log/blocks-18446744073709551615.log")).unwrap();
    for name in ["blocks-99999999999999999999.log", "blocks--0000000000000000001.log", "x.log"] {
        File::create(project.path("ledger/log").join(name)).unwrap();
    }
    all_say(&project, 0, "");
    (0..100_000).for_each(|number| empty(1_000_000 + number));
    run(&project, all[0]).exits(65);
    run(&project, verify).exits(65);
}

/// A long run of the same bytes, as one LZ4 block that takes a 255th of them, in a frame's payload.
fn packed(before: &[u8], unit: &[u8], count: usize, behind: &[u8]) -> Vec<u8> {
    let length = |out: &mut Vec<u8>, rest: usize| {
        out.extend(vec![255; rest / 255]);
        out.push(u8::try_from(rest % 255).unwrap());
    };
    let sequence = |out: &mut Vec<u8>, literals: &[u8], copied: Option<usize>| {
        let nibble = |of: usize| u8::try_from(of.min(15)).unwrap();
        let copied = copied.map(|copied| copied - 4);
        out.push((nibble(literals.len()) << 4) | copied.map_or(0, nibble));
        if literals.len() >= 15 {
            length(out, literals.len() - 15);
        }
        out.extend_from_slice(literals);
        if let Some(copied) = copied {
            out.extend(u16::try_from(unit.len()).unwrap().to_le_bytes());
            if copied >= 15 {
                length(out, copied - 15);
            }
        }
    };
    let len = before.len() + unit.len() * count + behind.len();
    let mut out = u32::try_from(len).unwrap().to_le_bytes().to_vec();
    sequence(&mut out, &[before, unit].concat(), Some(unit.len() * (count - 1)));
    sequence(&mut out, behind, None);
    assert_eq!(lz4_len(&out), len);
    out
}

fn lz4_len(payload: &[u8]) -> usize {
    frame::unpack(payload).unwrap().len()
}

/// Everything of a block in front of its records, which nobody signed.
fn head(number: u64, entries: u64) -> Writer {
    let mut writer = Writer::onto(vec![0x80, 0, 2]);
    writer.uint(number);
    writer.raw(&[0; 32]);
    writer.uint(0);
    writer.uint(entries);
    writer.uint(0);
    writer.raw(&[0; 96]);
    writer.int(1);
    writer.raw(&[0; 96]);
    writer.text("");
    writer
}

fn bytes(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.into_bytes()
}

fn place(writer: &mut Writer) {
    writer.text("t");
    writer.uint(0);
    writer.uint(0);
}

/// The shortest item of each kind that a block holds many of: what stands in front of them, the item,
/// and what follows.
fn items(kind: &str, number: u64, count: u64) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let zeros = |count: usize| vec![0; count];
    let many = |lists: usize, count: u64| {
        let mut writer = head(number, 0);
        writer.raw(&zeros(lists));
        writer.uint(count);
        writer.into_bytes()
    };
    let letter = |headers: u64| {
        bytes(|w| {
            place(w);
            w.raw(&[5, 4, 0, 0, 0, 0, 0, 0]);
            w.raw(&[0; 33]);
            w.uint(headers);
        })
    };
    let entry = |w: &mut Writer| {
        w.byte(4);
        place(w);
        w.raw(&[1, 0, 0, 0, 0]);
        w.raw(&[0; 96]);
        w.text("c");
        w.byte(2);
        w.text("{}");
        w.uint(0);
    };
    let entries = |unit: Vec<u8>| {
        let mut writer = head(number, count);
        writer.raw(&[0; 4]);
        writer.uint(count);
        (writer.into_bytes(), bytes(|w| w.bytes(&unit)), Vec::new())
    };
    match kind {
        "submissions" => (many(0, count), zeros(129), zeros(4)),
        "progress" => (many(1, count), bytes(|w| (place(w), w.raw(&[0; 4])).1), zeros(3)),
        "filtered records" => (many(2, count), bytes(|w| (place(w), w.uint(0)).1), zeros(2)),
        "dead letters" => (many(3, count), letter(0), zeros(1)),
        "headers" => {
            let mut before = many(3, 1);
            let mut first = letter(count);
            before.append(&mut first);
            (before, zeros(2), zeros(1))
        }
        "definitions" => entries(bytes(|w| {
            w.raw(&[2, 4]);
            w.text("m");
            w.uint(0);
            w.text("x");
        })),
        "transactions" => entries(bytes(|w| (entry(w), w.uint(0)).1)),
        _ => {
            // One transaction that writes very much; the key and the two absent values are a unit.
            let unit = zeros(3);
            let transaction = bytes(|w| (entry(w), w.uint(count)).1);
            let mut writer = head(number, 1);
            writer.raw(&[0; 4]);
            writer.uint(1);
            writer.uint(transaction.len() as u64 + count * unit.len() as u64);
            writer.raw(&transaction);
            (writer.into_bytes(), unit, Vec::new())
        }
    }
}

#[test]
fn a_small_log_cannot_ask_for_gigabytes_or_for_minutes() {
    let most = 4_000_000;
    let too_much = "would take more memory than any valid value";
    for (kind, count, says) in [
        ("submissions", 400_000, "a transaction is not in any signed submission, or"),
        ("progress", 400_000, "names t/0 more than once"),
        ("filtered records", 400_000, ""),
        ("dead letters", most, too_much),
        ("headers", 400_000, ""),
        ("definitions", 100_000, ""),
        ("transactions", most, too_much),
        ("writes", 100_000_000, too_much),
    ] {
        let project = Project::new();
        let mut log = b"LEDGERLINE LOG 2".to_vec();
        for number in 0..3 {
            let (before, unit, behind) = items(kind, number, count);
            let unit_count = usize::try_from(count).unwrap();
            let durable = log.len() as u64;
            frame::encode(&packed(&before, &unit, unit_count, &behind), durable, &mut log);
        }
        fs::create_dir_all(project.path("ledger/log")).unwrap();
        fs::write(project.path(SEGMENT), &log).unwrap();
        let wrong = run(&project, &["verify", "ledger"]).exits(65);
        assert!(wrong.out.contains(says), "{kind}: {}", wrong.out);
        // Reading for a look only hashes transactions, millions of them here.
        if says != too_much || kind == "dead letters" {
            run(&project, &["state", "ledger", "machine"]).exits(65);
        }
    }
}

#[test]
fn a_file_that_is_named_is_read_up_to_a_bound() {
    let project = filled();
    File::create(project.path("hole")).unwrap().set_len(8 << 30).unwrap();
    for file in ["hole", "/dev/zero"] {
        let ended = run(&project, &["verify", "ledger", "--from-checkpoint", file]).exits(65);
        assert!(ended.err.contains("it has more than 65536 bytes"), "{file}: {}", ended.err);
    }
    // A pipe is a file like any other where a person names it.
    let script = "cat ledger.checkpoint | \"$0\" verify ledger --from-checkpoint /dev/stdin";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).current_dir(project.path("."));
    let sound = ended(command).exits(0);
    assert!(sound.out.contains("the log extends the older checkpoint"), "{}", sound.out);
}

#[test]
fn metrics_take_the_place_of_metrics_only() {
    let project = filled();
    mkfifo(&project.path("pipe"));
    symlink("elsewhere", project.path("link")).unwrap();
    fs::create_dir(project.path("folder")).unwrap();
    for (name, says) in [
        ("pipe", "it is a named pipe, not a regular file"),
        ("link", "it is a symbolic link, not a regular file"),
        ("folder", "it is a directory, not a regular file"),
        ("/dev/null", "it is a device, not a regular file"),
    ] {
        let ended = run(&project, &["verify", "ledger", "--metrics", name]).exits(65);
        assert!(ended.err.contains(says), "{name}: {}", ended.err);
        assert!(ended.out.ends_with("verified\n"), "{name}: {}", ended.out);
    }
    for path in ["/dev/null", "pipe", "link"] {
        let kind = fs::symlink_metadata(project.path(path)).unwrap().file_type();
        assert!(!kind.is_file(), "{path} is still what it was");
    }
}

#[test]
fn a_lock_that_is_a_link_leaves_what_it_leads_to() {
    let project = filled();
    project.write("precious", "text");
    fs::remove_file(project.path("ledger/lock")).unwrap();
    symlink(project.path("precious"), project.path("ledger/lock")).unwrap();
    let ended = run(&project, &["rebuild", "ledger"]).exits(65);
    assert!(ended.err.contains("it is a symbolic link, not a regular file"), "{}", ended.err);
    assert_eq!(project.read("precious"), "text");
}
