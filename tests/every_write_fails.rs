//! Every write fails once: each call on the disk of a run that appends, rotates, keeps checkpoints
//! and saves the state fails in turn, in every way, and the machine may lose its power then. Nothing
//! that was acknowledged is lost, nothing is doubled, and the next start comes to what an undisturbed
//! run comes to.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/ledger.rs"]
mod ledger;

use std::path::PathBuf;
use std::sync::Arc;

use ledger::*;
use ledgerline::clock::Clock;
use ledgerline::disk::Disk;
use ledgerline::follower::{Follower, FollowerError};
use ledgerline::ledger::embedded::{
    EmbeddedLedger, EmbeddedReader, Opening, keep_checkpoint, open, open_on, open_read_only,
};
use ledgerline::ledger::{Entry, LedgerError, LedgerReader, LedgerWriter, Pending, Receipt};
use ledgerline::pipeline::catch_up;
use ledgerline::simulation::disk::{Call, Failure, Fault, FaultyDisk, Operation};
use ledgerline::state::world::Found;
use ledgerline::state::{STATE_DIRECTORY, World};

/// Blocks of records in a whole run.
const WORKS: u64 = 12;
/// Works that are appended one by one; then come groups of three.
const SINGLE: u64 = 6;
/// A few blocks fill a segment.
const SEGMENT_BYTES: u64 = 4_000;

/// A folder with a ledger, and its kept checkpoint in another place.
struct Place {
    folder: tempfile::TempDir,
    disk: FaultyDisk,
}

impl Place {
    fn new() -> Self {
        let folder = folder();
        std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
        Self { folder, disk: FaultyDisk::new() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("elsewhere/checkpoint")
    }

    fn opening(&self) -> Opening {
        Opening {
            checkpoint_copy: Some(self.copy()),
            max_segment_bytes: SEGMENT_BYTES,
            ..opening(&self.directory())
        }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }
}

/// The durable results of a run, and its end.
#[derive(Default)]
struct Told {
    /// Entries of the newest receipt.
    entries: u64,
    /// Why the ledger took nothing more, or did not open.
    error: Option<LedgerError>,
    /// True if it was open when that happened.
    was_open: bool,
    /// Calls on the disk before the first work.
    opened_at: usize,
    /// True if every checkpoint was kept.
    all_kept: bool,
}

/// A ledger with all that a service has around it, but for the threads.
struct Run<'a> {
    place: &'a Place,
    ledger: EmbeddedLedger,
    reader: Arc<EmbeddedReader>,
    world: Arc<World>,
}

impl<'a> Run<'a> {
    fn open(place: &'a Place) -> Result<Self, LedgerError> {
        let opened = open_on(&place.disk(), &place.opening(), &mut |_, _| {})?;
        let reader = opened.reader();
        let (world, _) = World::open(&place.directory().join(STATE_DIRECTORY), &*reader).unwrap();
        let world = Arc::new(world);
        let clock: Arc<dyn Clock> = Ticks::new();
        // What is read back of the log for the state is read from the same disk.
        let caught_up = catch_up(&*reader, &*world, &mut |_, _| {});
        caught_up.map_err(|error| LedgerError::Halted(error.to_string()))?;
        let ledger = opened.start_stepped(&keys(), contracts(), world.clone(), clock)?;
        Ok(Self { place, ledger, reader, world })
    }

    /// The periodic work of a service, done once a second.
    fn save(&self, told: &mut Told) -> Result<(), LedgerError> {
        let halted = |error: FollowerError| LedgerError::Halted(error.to_string());
        catch_up(&*self.reader, &*self.world, &mut |_, _| {}).map_err(halted)?;
        self.world.savepoint().map_err(halted)?;
        let kept = keep_checkpoint(&self.place.disk, &self.place.copy(), &self.reader.checkpoint());
        told.all_kept &= kept.is_ok();
        Ok(())
    }

    fn append_all(&mut self, told: &mut Told) -> Result<(), LedgerError> {
        let next = self.reader.progress().first().map_or(0, |(_, next)| next / RECORDS);
        // The definitions of a ledger stand in front of its first record.
        if self.reader.definitions().len() < 5 {
            told.take(self.ledger.append(definitions())?)?;
        }
        let singles: Vec<_> = (next..SINGLE).collect();
        let grouped: Vec<_> = (next.max(SINGLE)..WORKS).collect();
        for group in singles.chunks(1).chain(grouped.chunks(3)) {
            let mut pending = Vec::new();
            for number in group {
                pending.push(self.ledger.append(work(*number, ""))?);
            }
            pending.into_iter().try_for_each(|pending| told.take(pending))?;
            if group.contains(&1) || group.contains(&8) || group.contains(&(WORKS - 1)) {
                self.save(told)?;
            }
        }
        Ok(())
    }
}

impl Told {
    fn take(&mut self, pending: Box<dyn Pending>) -> Result<(), LedgerError> {
        let receipts: Vec<Receipt> = pending.wait()?;
        self.entries += receipts.len() as u64;
        Ok(())
    }
}

/// Opens a ledger and appends what it does not hold yet, up to the end or the first error.
fn run(place: &Place) -> Told {
    let mut told = Told { all_kept: true, ..Told::default() };
    match Run::open(place) {
        Ok(mut run) => {
            (told.was_open, told.opened_at) = (true, place.disk.count());
            told.entries = entries(&run.reader).len() as u64;
            told.error = run.append_all(&mut told).err();
            if told.error.is_some() {
                check_halted(place, &mut run.ledger);
            }
        }
        Err(error) => told.error = Some(error),
    }
    told
}

/// A halted ledger takes nothing more and touches its files no more.
fn check_halted(place: &Place, ledger: &mut EmbeddedLedger) {
    if place.disk.is_dead() || ledger.check().is_ok() {
        return;
    }
    let before = place.disk.count();
    let refused = ledger.append(work(WORKS, "")).map(|_| ()).unwrap_err();
    assert!(matches!(refused, LedgerError::Halted(_)), "{refused}");
    assert!(!ledger.step());
    assert_eq!(place.disk.count(), before, "a halted ledger goes on");
}

/// The result of an undisturbed run.
struct Undisturbed {
    operations: Vec<Operation>,
    opened_at: usize,
    /// Its entries, each as it stands in the ledger.
    entries: Vec<Vec<u8>>,
    listing: Vec<String>,
}

impl Undisturbed {
    fn new() -> Self {
        let place = Place::new();
        let told = run(&place);
        assert!(told.error.is_none() && told.all_kept);
        assert!(segments(&place.directory()).len() > 2, "it rotates");
        let reader = open_read_only(&place.directory(), &mut |_, _| {}).unwrap();
        Self {
            operations: place.disk.operations(),
            opened_at: told.opened_at,
            entries: entries(&reader),
            listing: fresh_listing(&place.directory()),
        }
    }

    /// The log holds the beginning of what an undisturbed run holds, so nothing is doubled, changed
    /// or out of order; how many entries.
    fn check_prefix(&self, reader: &EmbeddedReader, what: &str) -> u64 {
        let found = entries(reader);
        assert!(self.entries.starts_with(&found), "{what}: other entries");
        found.len() as u64
    }
}

/// The entries of a ledger in order; blocks and the versions that writes replace are left out: they
/// hang on how often the ledger was opened.
fn entries(reader: &EmbeddedReader) -> Vec<Vec<u8>> {
    let blocks = (0..reader.head().height).map(|number| reader.block(number).unwrap());
    let entry_bytes = |entry: &Entry| {
        let mut entry = entry.clone();
        if let Entry::Transaction { writes, .. } = &mut entry {
            writes.iter_mut().for_each(|write| write.replaced = None);
        }
        entry.to_bytes()
    };
    blocks.flat_map(|block| block.entries.iter().map(entry_bytes).collect::<Vec<_>>()).collect()
}

/// The fate of bytes and names that are not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// All: the machine goes on.
    Nothing,
    /// None.
    Everything,
    /// Each on its own or not.
    Some(u64),
}

/// One run with a fault, what is left of it, and the run after it.
fn check(undisturbed: &Undisturbed, number: usize, fault: Fault, loss: Loss) {
    let operation = &undisturbed.operations[number];
    let what = format!("{fault:?} of {operation:?}, call {number}; lost: {loss:?}");
    let place = Place::new();
    place.disk.inject(number, fault);
    let told = run(&place);
    assert_eq!(place.disk.operations()[number].call, operation.call, "{what}");
    check_told(undisturbed, (number, fault), &told, &what);
    check_next(undisturbed, &place, (told.entries, loss), &what);
}

/// Checks the reports of a run that met a fault.
fn check_told(undisturbed: &Undisturbed, at: (usize, Fault), told: &Told, what: &str) {
    let (number, fault) = at;
    let Operation { call, path } = &undisturbed.operations[number];
    let (Fault::Fail(failure) | Fault::FailHalfway(failure)) = fault else {
        let is_whole = told.error.is_none() && told.all_kept;
        // A program may die when there is nothing more to do.
        assert!(is_whole || fault != Fault::Short, "{what}: {:?}", told.error);
        return;
    };
    if path.components().any(|part| part.as_os_str() == "elsewhere") && *call != Call::Open {
        assert!(told.error.is_none() && !told.all_kept, "{what}: {:?}", told.error);
    } else if number >= undisturbed.opened_at && call.changes() {
        let waits = failure == Failure::NoSpace && *call != Call::SyncData;
        // A leftover that cannot be removed is told when the new segment is made.
        let goes_on = waits || *call == Call::Remove;
        match &told.error {
            None => assert!(goes_on, "{what}: it went on"),
            Some(LedgerError::Halted(_)) => assert!(!goes_on, "{what}: it halted"),
            Some(error) => panic!("{what}: {error}"),
        }
    }
    if told.error.is_none() {
        assert_eq!(told.entries, undisturbed.entries.len() as u64, "{what}");
    }
}

/// Opens what is left with the machine's own disk, and goes on with it.
fn check_next(undisturbed: &Undisturbed, place: &Place, (told, loss): (u64, Loss), what: &str) {
    match loss {
        Loss::Nothing => place.disk.restart(),
        Loss::Everything => place.disk.lose_power(&mut || false).unwrap(),
        Loss::Some(seed) => {
            let mut random = Random(seed);
            place.disk.lose_power(&mut || random.below(2) == 0).unwrap();
        }
    }
    assert!(opened_copy(undisturbed, place, what) >= told, "{what}: lost what was acknowledged");
    let again = run(place);
    assert!(again.error.is_none() && again.all_kept, "{what}: {:?}", again.error);
    // Whatever was acknowledged at last is durable, be the power gone now.
    place.disk.lose_power(&mut || false).unwrap();
    let report = report(&place.directory());
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
    let reader = open_read_only(&place.directory(), &mut |_, _| {}).unwrap();
    assert_eq!(undisturbed.check_prefix(&reader, what), undisturbed.entries.len() as u64);
    let (world, found) = World::open(&place.directory().join(STATE_DIRECTORY), &*reader).unwrap();
    assert_eq!(found, Found::Usable, "{what}");
    assert_eq!(listing(&world), undisturbed.listing, "{what}");
}

/// Opens a copy of a log as the next start would; how many entries it has.
fn opened_copy(undisturbed: &Undisturbed, place: &Place, what: &str) -> u64 {
    let directory = place.folder.path().join("copy");
    if place.directory().join("log").exists() {
        copy(&place.directory().join("log"), &directory.join("log"));
    }
    let opening = Opening { directory: directory.clone(), ..place.opening() };
    let opened = open(&opening, &mut |_, _| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    let entries = undisturbed.check_prefix(&opened.reader(), what);
    let report = report(&directory);
    // Without a block there is nothing to verify.
    assert!(entries == 0 || report.is_sound(), "{what}: {:#?}", report.problems);
    entries
}

/// Every call that fits, with every fault and every loss.
fn check_every(table: &[(Fault, Fits)]) {
    let undisturbed = Undisturbed::new();
    let seed = seed();
    let mut rounds = 0;
    for (number, operation) in undisturbed.operations.iter().enumerate() {
        for (fault, _) in table.iter().filter(|(_, fits)| fits(operation.call)) {
            for loss in [Loss::Nothing, Loss::Everything, Loss::Some(seed ^ number as u64)] {
                check(&undisturbed, number, *fault, loss);
                rounds += 1;
            }
        }
    }
    println!("{rounds} rounds over {} calls", undisturbed.operations.len());
    assert!(rounds > 90, "only {rounds} rounds");
}

/// True if a fault fits a call.
type Fits = fn(Call) -> bool;
const WRITES: Fits = |call| call == Call::Write;

#[test]
fn an_error_halts_the_ledger_and_loses_nothing() {
    check_every(&[(Fault::Fail(Failure::Io), |_| true)]);
}

#[test]
fn a_full_disk_is_waited_out() {
    let halfway = Fault::FailHalfway(Failure::NoSpace);
    check_every(&[(Fault::Fail(Failure::NoSpace), Call::changes), (halfway, WRITES)]);
}

#[test]
fn a_write_of_a_part_is_completed_or_taken_back() {
    check_every(&[(Fault::Short, WRITES), (Fault::FailHalfway(Failure::Io), WRITES)]);
}

#[test]
fn a_death_before_a_call_loses_nothing() {
    check_every(&[(Fault::Kill, Call::changes)]);
}

#[test]
fn a_death_within_a_call_loses_nothing() {
    check_every(&[(Fault::KillWithin, Call::changes)]);
}

/// Damage that a start has to repair: a torn write, a failed sync, a segment without a block.
const BROKEN: [(Call, Fault); 4] = [
    (Call::Write, Fault::KillWithin),
    (Call::SyncData, Fault::Fail(Failure::Io)),
    (Call::SyncDirectory, Fault::Kill),
    (Call::Create, Fault::KillWithin),
];

#[test]
fn a_fault_while_the_log_is_repaired_loses_nothing() {
    let undisturbed = Undisturbed::new();
    let mut rounds = 0;
    for (call, fault) in BROKEN {
        let is_it = |number: &usize| undisturbed.operations[*number].call == call;
        let number = (undisturbed.opened_at..undisturbed.operations.len()).find(is_it).unwrap();
        let again = [Fault::Fail(Failure::Io), Fault::Kill, Fault::KillWithin];
        for (second, loss) in again
            .into_iter()
            .flat_map(|fault| [Loss::Nothing, Loss::Everything].map(|loss| (fault, loss)))
        {
            // Up to the first call of the second start that is none of its repairs.
            for later in 0..undisturbed.opened_at {
                let what =
                    format!("{fault:?} of {call:?}, then {second:?} of call {later}; {loss:?}");
                let place = Place::new();
                place.disk.inject(number, fault);
                let first = run(&place);
                assert!(first.error.is_some(), "{what}");
                place.disk.restart();
                place.disk.inject(place.disk.count() + later, second);
                let told = run(&place);
                check_next(&undisturbed, &place, (first.entries.max(told.entries), loss), &what);
                rounds += 1;
            }
        }
    }
    println!("{rounds} rounds");
    assert!(rounds > 100, "only {rounds} rounds");
}

/// A disk that lies loses what was acknowledged, and that is seen here: these checks can fail.
#[test]
fn a_sync_that_lies_is_noticed() {
    let undisturbed = Undisturbed::new();
    let syncs = (0..).zip(&undisturbed.operations);
    let syncs = syncs.filter(|(number, operation)| {
        *number >= undisturbed.opened_at && operation.call == Call::SyncData
    });
    let mut noticed = 0;
    for (number, _) in syncs {
        let place = Place::new();
        place.disk.inject(number, Fault::Lie);
        let told = run(&place);
        assert!(told.error.is_none(), "nobody could tell");
        place.disk.lose_power(&mut || false).unwrap();
        let found = open(&place.opening(), &mut |_, _| {});
        let is_whole =
            found.is_ok_and(|opened| entries(&opened.reader()).len() as u64 == told.entries);
        assert!(!is_whole, "call {number}: nothing is lost");
        noticed += 1;
    }
    assert!(noticed > 3, "only {noticed} syncs");
}
