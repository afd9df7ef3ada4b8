//! The state is a fold over the log: whatever happens to its store, the next start has the same
//! state again, and never one that the log does not say.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/ledger.rs"]
mod ledger;

use std::fs;
use std::path::{Path, PathBuf};

use ledger::*;
use ledgerline::app::offline;
use ledgerline::app::offline::look_within;
use ledgerline::follower::Follower;
use ledgerline::ledger::LedgerReader;
use ledgerline::ledger::embedded::open_read_only;
use ledgerline::pipeline::catch_up;
use ledgerline::state::world::Found;
use ledgerline::state::{Member, Room, STATE_DIRECTORY, Savepoint, StateError, World};

const WORKS: u64 = 10;
/// Rounds in which bits of the store flip.
const FLIPS: usize = 60;
/// Rounds in which blocks, steps of savepoints and ends come in any order.
const INTERLEAVED: usize = 30;

/// A ledger with its state.
fn made(works: u64, note: &str) -> tempfile::TempDir {
    let folder = folder();
    make(folder.path(), works, note);
    folder
}

fn state(directory: &Path) -> PathBuf {
    directory.join(STATE_DIRECTORY)
}

/// Puts a copy of one ledger's state beside another.
fn give_state(from: &Path, to: &Path) {
    fs::remove_dir_all(state(to)).unwrap();
    copy(&state(from), &state(to));
}

/// Checks the result of a start; afterwards the state matches the log, now and after the next
/// start.
fn check_start(directory: &Path, what: &str) -> Found {
    let expected = fresh_listing(directory);
    assert!(expected.len() > 10, "{expected:?}");
    let reader = open_read_only(directory, &mut |_, _| {}).unwrap();
    let (world, found) = World::open(&state(directory), &*reader).unwrap();
    catch_up(&*reader, &world, &mut |_, _| {}).unwrap();
    assert_eq!(listing(&world), expected, "{what}");
    drop(world);
    let (world, again) = World::open(&state(directory), &*reader).unwrap();
    assert!(is_unusable(&found) <= (again == Found::Usable), "{what}: a new store is a good one");
    catch_up(&*reader, &world, &mut |_, _| {}).unwrap();
    assert_eq!(listing(&world), expected, "{what}");
    drop(world);
    assert_sound(directory);
    found
}

fn is_unusable(found: &Found) -> bool {
    matches!(found, Found::Unusable(_))
}

type Break = fn(&Path);
type Holds = fn(&Found) -> bool;
const IS_NEW: Holds = |found| *found == Found::New;
const IS_USABLE: Holds = |found| *found == Found::Usable;
const IS_UNUSABLE: Holds = is_unusable;
const ANY: Holds = |_| true;

/// Damage to the state, and the permitted results of a start.
const CASES: [(&str, Break, Holds); 13] = [
    ("untouched", |_| {}, IS_USABLE),
    ("deleted", |path| fs::remove_dir_all(path).unwrap(), IS_NEW),
    (
        "emptied",
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        IS_NEW,
    ),
    (
        "a file in its place",
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "no store").unwrap();
        },
        IS_UNUSABLE,
    ),
    (
        "a file in its place, and one that was set aside",
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "no store").unwrap();
            fs::write(path.with_extension("set-aside"), "an older one").unwrap();
        },
        IS_UNUSABLE,
    ),
    (
        "someone else's folder",
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir_all(path.join("photos")).unwrap();
            fs::write(path.join("photos/1.jpg"), "a photo").unwrap();
        },
        IS_UNUSABLE,
    ),
    (
        "someone else's files",
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("db"), "a photo").unwrap();
            fs::write(path.join("conf"), "no store").unwrap();
        },
        IS_UNUSABLE,
    ),
    ("without its settings", |path| fs::remove_file(path.join("conf")).unwrap(), ANY),
    ("without its data", |path| fs::remove_file(path.join("db")).unwrap(), ANY),
    (
        "its data cut in two",
        |path| {
            let len = fs::metadata(path.join("db")).unwrap().len();
            let file = fs::OpenOptions::new().write(true).open(path.join("db")).unwrap();
            file.set_len(len / 2).unwrap();
        },
        ANY,
    ),
    (
        "its data zeroed",
        |path| {
            let len = fs::metadata(path.join("db")).unwrap().len();
            fs::write(path.join("db"), vec![0; usize::try_from(len).unwrap()]).unwrap();
        },
        ANY,
    ),
    (
        "a snapshot that was being written",
        |path| {
            fs::write(path.join("snap.0000000000000001.generating"), "half").unwrap();
        },
        ANY,
    ),
    (
        "a snapshot of nothing",
        |path| {
            fs::write(path.join("snap.00000000000FFFFF"), "").unwrap();
        },
        ANY,
    ),
];

#[test]
fn a_look_folds_the_same_state_in_memory_and_in_a_temporary_folder() {
    let folder = folder();
    make(folder.path(), 40, "a note");
    let expected = fresh_listing(folder.path());
    let few = Room { bytes: 4_000, unsaved_bytes: 3_000, batch_assets: 3 };
    for (room, is_in_memory) in [(Room::default(), true), (few, false)] {
        let looking = look_within(folder.path(), None, room, &mut |_, _, _| {})
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(looking.queries.world().is_in_memory(), is_in_memory);
        assert_eq!(listing(looking.queries.world()), expected);
        assert_eq!(looking.log.notes.len(), usize::from(!is_in_memory), "{:?}", looking.log.notes);
    }
}

#[test]
fn whatever_is_in_its_place_the_state_is_the_same_after_a_start() {
    let original = made(WORKS, "");
    for (what, break_it, holds) in CASES {
        let folder = folder();
        copy(original.path(), folder.path());
        break_it(&state(folder.path()));
        let found = check_start(folder.path(), what);
        println!("{what}: {found:?}");
        assert!(holds(&found), "{what}: {found:?}");
    }
}

#[test]
fn a_state_behind_the_log_catches_up() {
    let ledger = made(3, "");
    let older = folder();
    copy(&state(ledger.path()), &state(older.path()));
    let (mut writer, world) = start(&opening(ledger.path())).unwrap();
    grow(&mut writer, 3..WORKS, "");
    drop((writer, world));
    give_state(older.path(), ledger.path());
    assert_eq!(check_start(ledger.path(), "behind"), Found::Usable);
}

#[test]
fn a_state_ahead_of_the_log_or_of_another_one_is_set_aside() {
    // Of the same ledger, whose log lost its last blocks.
    let longer = made(WORKS, "");
    let shorter = folder();
    let segment = fs::read(&segments(longer.path())[0]).unwrap();
    let end = usize::try_from(frames(&segment)[7].offset).unwrap();
    write_log(shorter.path(), &segment[..end]);
    copy(&state(longer.path()), &state(shorter.path()));
    assert!(is_unusable(&check_start(shorter.path(), "ahead")));
    // Of a ledger with as many blocks, with more, and with fewer.
    for works in [WORKS, WORKS + 5, 2] {
        let (ours, theirs) = (made(WORKS, ""), made(works, "another"));
        give_state(theirs.path(), ours.path());
        let found = check_start(ours.path(), "of another ledger");
        assert!(is_unusable(&found), "{works}: {found:?}");
        let aside = state(ours.path()).with_extension("set-aside");
        assert!(aside.join("db").exists(), "what was there is kept");
    }
}

#[test]
fn damage_anywhere_in_the_store_never_shows() {
    let mut random = Random(seed());
    let original = made(WORKS, &"x".repeat(100));
    // The same log with a state that is behind it.
    let behind = folder();
    make(behind.path(), 3, &"x".repeat(100));
    let older = folder();
    copy(&state(behind.path()), &state(older.path()));
    let (mut writer, world) = start(&opening(behind.path())).unwrap();
    grow(&mut writer, 3..WORKS, &"x".repeat(100));
    drop((writer, world));
    give_state(older.path(), behind.path());
    let (mut unusable, mut rounds) = (0, 0);
    while rounds < FLIPS {
        let folder = folder();
        copy(if rounds % 4 == 3 { behind.path() } else { original.path() }, folder.path());
        let files = files_under(&state(folder.path()));
        let path = &files[random.below(files.len())];
        let mut bytes = fs::read(path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        rounds += 1;
        // Most of the data file has never been written; damage there harms nobody.
        let written = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        let flips = 1 + random.below(3);
        for _ in 0..flips {
            let at = random.below(written);
            bytes[at] ^= 1 << random.below(8);
        }
        fs::write(path, bytes).unwrap();
        let what = format!("round {rounds}, {flips} bits in {}", path.display());
        unusable += usize::from(is_unusable(&check_start(folder.path(), &what)));
    }
    println!("{unusable} of {rounds} were set aside");
    assert!(unusable > 0, "no round did any harm");
}

fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_under(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

#[test]
fn a_store_whose_content_was_changed_is_built_again() {
    type Change = fn(&sled::Db);
    let changes: [(&str, Change); 8] = [
        ("an asset is gone", |db| {
            let first = db.scan_prefix("s/").keys().next().unwrap().unwrap();
            db.remove(first).unwrap();
        }),
        ("an asset has another value", |db| {
            let mut pairs = db.scan_prefix("s/");
            let ((first, _), (_, second)) =
                (pairs.next().unwrap().unwrap(), pairs.next().unwrap().unwrap());
            db.insert(first, second).unwrap();
        }),
        ("an asset is new", |db| {
            let (_, value) = db.scan_prefix("s/").next().unwrap().unwrap();
            db.insert(b"s/cold_chain\0C-99", value).unwrap();
        }),
        ("an alert is gone", |db| {
            let first = db.scan_prefix("a/").keys().next().unwrap().unwrap();
            db.remove(first).unwrap();
        }),
        ("an alert is new", |db| _ = db.insert(b"a/cold_chain\0C-99", &[]).unwrap()),
        ("the savepoint is gone", |db| _ = db.remove("m/savepoint").unwrap()),
        ("a newer program wrote it", |db| other_version(db, 1)),
        ("an older program wrote it", |db| other_version(db, -1)),
    ];
    let original = made(WORKS, "");
    for (what, change) in changes {
        let folder = folder();
        copy(original.path(), folder.path());
        let db = open_store(folder.path());
        assert!(db.contains_key(b"s/cold_chain\0C-00").unwrap(), "the keys are as known here");
        change(&db);
        db.flush().unwrap();
        drop(db);
        let found = check_start(folder.path(), what);
        assert!(is_unusable(&found), "{what}: {found:?}");
    }
}

/// A savepoint begins with the number of its form.
fn other_version(db: &sled::Db, step: i8) {
    let mut savepoint = db.get("m/savepoint").unwrap().unwrap().to_vec();
    savepoint[0] = savepoint[0].checked_add_signed(step).unwrap();
    db.insert("m/savepoint", savepoint).unwrap();
}

/// A ledger whose state has taken in so many blocks of its log.
fn behind(original: &Path, blocks: u64) -> tempfile::TempDir {
    let folder = folder();
    copy(original, folder.path());
    fs::remove_dir_all(state(folder.path())).unwrap();
    advance(folder.path(), blocks);
    folder
}

/// Lets the state take in so many blocks more, and a savepoint; what opening it found.
fn advance(directory: &Path, blocks: u64) -> Found {
    let reader = open_read_only(directory, &mut |_, _| {}).unwrap();
    let (world, found) = World::open(&state(directory), &*reader).unwrap();
    let next = world.next_block();
    for number in next..next + blocks {
        world.apply(&reader.block(number).unwrap()).unwrap();
    }
    world.savepoint().unwrap();
    found
}

fn savepoint(db: &sled::Db) -> Savepoint {
    Savepoint::decode(&db.get("m/savepoint").unwrap().unwrap()).unwrap()
}

/// Puts some of what the newer store has into the older one, as a savepoint does that is cut short;
/// then the fingerprint is changed, and how far the savepoint was to come.
fn cut_short(
    (older, newer): (&Path, &Path),
    mut is_written: impl FnMut() -> bool,
    change: impl FnOnce(&sled::Db, &mut Savepoint),
) {
    let (older, newer) = (open_store(older), open_store(newer));
    let mut begun = savepoint(&older).begin(savepoint(&newer).place.mark);
    for pair in newer.scan_prefix("s/") {
        let (key, value) = pair.unwrap();
        let old = older.get(&key).unwrap();
        if old.as_ref() == Some(&value) || !is_written() {
            continue;
        }
        old.iter().for_each(|old| begun.fingerprint.remove(&Member::of(&key, old)));
        begun.fingerprint.add(&Member::of(&key, &value));
        older.insert(&key, value).unwrap();
        let alert_key = [b"a/", &key[2..]].concat();
        match newer.get(&alert_key).unwrap() {
            Some(since) => older.insert(alert_key, since).unwrap(),
            None => older.remove(alert_key).unwrap(),
        };
    }
    change(&older, &mut begun);
    older.insert("m/savepoint", begun.encode()).unwrap();
    older.flush().unwrap();
}

#[test]
fn a_savepoint_that_was_cut_short_is_completed() {
    let mut random = Random(seed());
    let newer = made(WORKS, "");
    let height = open_read_only(newer.path(), &mut |_, _| {}).unwrap().head().height;
    for (blocks, share) in [0, 1, 5, height - 1]
        .into_iter()
        .flat_map(|blocks| (0..=4).map(move |share| (blocks, share)))
    {
        let what = format!("{share} of 4 assets at {blocks} blocks");
        let older = behind(newer.path(), blocks);
        let is_written = || random.below(4) < share;
        cut_short((older.path(), newer.path()), is_written, |_, _| {});
        let report = report(older.path());
        assert!(report.is_sound(), "{what}: {:?}", report.problems);
        let note = format!("an unfinished savepoint of the first {height} blocks");
        assert!(report.notes.iter().any(|found| found.contains(&note)), "{:?}", report.notes);
        if share % 2 == 0 {
            // A start that is cut short itself, behind a savepoint of its own.
            assert_eq!(advance(older.path(), 1), Found::Usable, "{what}");
            assert_sound(older.path());
        }
        assert_eq!(check_start(older.path(), &what), Found::Usable, "{what}");
    }
}

/// Listings of the state after each number of blocks.
fn listings(directory: &Path) -> Vec<Vec<String>> {
    let reader = open_read_only(directory, &mut |_, _| {}).unwrap();
    let folder = folder();
    let (world, _) = World::open(&state(folder.path()), &*reader).unwrap();
    let mut listings = vec![listing(&world)];
    for number in 0..reader.head().height {
        world.apply(&reader.block(number).unwrap()).unwrap();
        listings.push(listing(&world));
    }
    listings
}

/// Lets blocks, steps of savepoints and ends come in any order, and the memory hold little.
fn interleave(directory: &Path, listings: &[Vec<String>], random: &mut Random) -> [usize; 3] {
    let reader = open_read_only(directory, &mut |_, _| {}).unwrap();
    let bytes = random.below(8_000);
    let room = Room { bytes, unsaved_bytes: bytes / 2, batch_assets: 1 + random.below(5) };
    let open = || World::open_within(&state(directory), &*reader, room).unwrap();
    let (mut world, _) = open();
    let mut most_unsaved = 0;
    // Blocks that it had taken in before it was opened again.
    let (mut before, mut ends, mut steps, mut savepoints) = (0, 0, 0, 0);
    while world.next_block() + 1 < listings.len() as u64 {
        match random.below(64) {
            0..=15 => {
                world.apply(&reader.block(world.next_block()).unwrap()).unwrap();
                most_unsaved = most_unsaved.max(world.unsaved_assets());
            }
            16..=55 => {
                steps += 1;
                savepoints += usize::from(world.save_some().unwrap());
            }
            56 => {
                before = before.max(world.next_block());
                drop(world);
                assert_sound(directory);
                let found;
                (world, found) = open();
                assert!(!is_unusable(&found), "{found:?}");
                ends += 1;
            }
            _ if world.next_block() >= before => {
                let blocks = usize::try_from(world.next_block()).unwrap();
                assert_eq!(listing(&world), listings[blocks], "{room:?} at {blocks} blocks");
            }
            _ => {}
        }
    }
    world.savepoint().unwrap();
    assert!(most_unsaved > 0 && world.unsaved_assets() == 0, "{most_unsaved}");
    let memory = world.memory_bytes();
    assert!(memory <= room.bytes, "{memory} of {room:?}");
    [ends, steps, savepoints]
}

#[test]
fn blocks_and_ends_come_between_the_steps_of_a_savepoint() {
    let mut random = Random(seed());
    let ledger = made(4 * WORKS, "");
    let listings = listings(ledger.path());
    let mut all = [0; 3];
    for _ in 0..INTERLEAVED {
        let folder = behind(ledger.path(), 1);
        let counts = interleave(folder.path(), &listings, &mut random);
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
        assert_eq!(check_start(folder.path(), "at the end"), Found::Usable);
    }
    println!("{all:?} ends, steps and savepoints");
    assert!(all.iter().all(|count| *count > INTERLEAVED), "{all:?}");
}

#[test]
fn a_savepoint_cut_short_of_another_log_or_with_more_than_the_log_has_is_not_used() {
    let newer = made(WORKS, "");
    type Change = fn(&sled::Db, &mut Savepoint);
    let changes: [(&str, Change, bool); 3] = [
        ("another log", |_, begun| begun.begun.as_mut().unwrap().block_hash.0[7] ^= 1, false),
        ("a longer log", |_, begun| begun.begun.as_mut().unwrap().blocks += 1, false),
        (
            "an asset that the log does not have",
            |db, begun| {
                let key = b"s/cold_chain\0C-99";
                begun.fingerprint.add(&Member::of(key, &[0, 0]));
                db.insert(key, &[0, 0]).unwrap();
            },
            true,
        ),
    ];
    for (what, change, opens) in changes {
        let older = behind(newer.path(), 5);
        cut_short((older.path(), newer.path()), || true, change);
        assert!(!report(older.path()).is_sound(), "{what}");
        let reader = open_read_only(older.path(), &mut |_, _| {}).unwrap();
        let (_, found) = World::open(&state(older.path()), &*reader).unwrap();
        assert_eq!(found == Found::Usable, opens, "{what}: {found:?}");
    }
}

#[test]
fn a_state_in_use_is_not_touched() {
    let ledger = made(WORKS, "");
    let (_writer, world) = start(&opening(ledger.path())).unwrap();
    let reader = open_read_only(ledger.path(), &mut |_, _| {}).unwrap();
    let error = World::open(&state(ledger.path()), &*reader).unwrap_err();
    assert!(matches!(error, StateError::InUse(_)), "{error}");
    assert_eq!(listing(&world), fresh_listing(ledger.path()));
    // Looking folds the log in a place of its own instead, and verifying says what it left out.
    let looking = offline::look(ledger.path(), None, &mut |_, _, _| {}).unwrap();
    assert_eq!(looking.queries.ledger().head(), reader.head());
    let report = report(ledger.path());
    assert!(report.is_sound());
    assert!(report.notes.iter().any(|note| note.contains("in use")), "{:?}", report.notes);
    assert!(offline::rebuild(ledger.path(), &mut |_, _, _| {}).is_err(), "a service runs");
}

#[test]
fn a_rebuild_gives_the_same_tree_and_state() {
    let ledger = made(WORKS, "");
    let head = |directory: &Path| open_read_only(directory, &mut |_, _| {}).unwrap().head();
    let log = fs::read(&segments(ledger.path())[0]).unwrap();
    let before = (head(ledger.path()), fresh_listing(ledger.path()));
    for _ in 0..2 {
        let mut told = 0;
        let observe = &mut |doing: &'static str, done, _| {
            if doing == "building the state" {
                told = done;
            }
        };
        let blocks = offline::rebuild(ledger.path(), observe).unwrap();
        assert_eq!((blocks, told), (before.0.height, before.0.height));
        let (writer, world) = start(&opening(ledger.path())).unwrap();
        assert_eq!(world.next_block(), before.0.height);
        assert_eq!((writer.reader().head(), listing(&world)), before);
    }
    assert!(fs::read(&segments(ledger.path())[0]).unwrap() == log, "the log is left as it is");
    assert_sound(ledger.path());
}

#[test]
fn a_log_that_is_written_again_from_the_same_records_gives_the_same_tree_and_state() {
    let ledgers = [made(WORKS, ""), made(WORKS, "")];
    let [first, second] = ledgers.each_ref().map(|ledger| {
        let reader = open_read_only(ledger.path(), &mut |_, _| {}).unwrap();
        (reader.head(), fresh_listing(ledger.path()))
    });
    assert_eq!(first, second);
}
