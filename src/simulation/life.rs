//! One run of the program: from its start to its end, a kill, or the first failure.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::contract::ContractSet;
use crate::diagnostic::chain;
use crate::disk::Disk;
use crate::event::Decoder;
use crate::fleet::random::Random;
use crate::follower::{Follower, FollowerError};
use crate::input::{Assignments, Content, Input, Polled};
use crate::ledger::embedded::{
    EmbeddedLedger, EmbeddedReader, LedgerKeys, Opening, keep_checkpoint, open_on, open_read_only,
};
use crate::ledger::{
    Definition, DefinitionKind, LedgerError, LedgerReader, LedgerWriter, Pending, Work,
};
use crate::mapping::MappingSet;
use crate::pipeline::status::Status;
use crate::pipeline::{
    self, EachSigner, MapStage, MappedBatch, Reading, SubmissionLimits, Traces, WriteLoop,
    catch_up, reading,
};
use crate::simulation::disk::{Failure, Fault, FaultyDisk};
use crate::simulation::input::SimulatedInput;
use crate::simulation::model::{CONTRACT, MAPPING, Model, TOPICS};
use crate::simulation::witness::Witness;
use crate::simulation::{End, SimulatedClock};
use crate::state::{Room, STATE_DIRECTORY, StateError, World};
use crate::transaction::Signer;

pub(crate) const CONTRACT_NAME: &str = "machine";
const LEDGER_NAME: &str = "example.com/simulated";
/// A few blocks fill a segment.
const SEGMENT_BYTES: u64 = 5_000;
/// Few assets stay in memory, and few go to the store at a time.
const ROOM: Room = Room { bytes: 1_000, unsaved_bytes: 500, batch_assets: 2 };
/// Most mapped batches that one step of the write loop gets.
const MOST_BATCHES: i64 = 5;
/// Steps after which a life is taken for one without end.
const MOST_STEPS: u64 = 20_000;
/// A death comes once in so many steps.
const DEATH_EVERY: u64 = 60;

/// The faults that a disk may have.
pub(crate) const FAULTS: &[Fault] = &[
    Fault::Fail(Failure::Io),
    Fault::Fail(Failure::NoSpace),
    Fault::FailHalfway(Failure::Io),
    Fault::FailHalfway(Failure::NoSpace),
    Fault::Short,
    Fault::Kill,
    Fault::KillWithin,
];

/// The ledger's location.
pub(crate) struct Place {
    pub(crate) ledger: PathBuf,
    pub(crate) kept: PathBuf,
    /// The second follower's file.
    pub(crate) witness: PathBuf,
}

/// The definitions of a configuration.
pub(crate) struct Definitions {
    contracts: Arc<ContractSet>,
    mappings: Arc<MappingSet>,
    list: Vec<Definition>,
}

impl Definitions {
    pub(crate) fn new() -> Result<Self, String> {
        let (contracts, faults) = ContractSet::load(&[("contract".into(), CONTRACT.to_owned())]);
        let (mappings, more) = MappingSet::from_texts(&[("mapping".into(), MAPPING.to_owned())]);
        if let Some(fault) = faults.iter().chain(&more).next() {
            return Err(fault.to_string());
        }
        let definition = |kind, name: &str, text: &str| Definition {
            kind,
            name: name.to_owned(),
            version: u32::from(kind == DefinitionKind::Contract),
            text: text.into(),
        };
        let list = vec![
            definition(DefinitionKind::Contract, CONTRACT_NAME, CONTRACT),
            definition(DefinitionKind::Mapping, "reading", MAPPING),
        ];
        Ok(Self { contracts: Arc::new(contracts), mappings: Arc::new(mappings), list })
    }
}

/// A life that is to come.
pub(crate) struct Life<'a> {
    pub(crate) place: &'a Place,
    pub(crate) disk: &'a FaultyDisk,
    pub(crate) definitions: &'a Definitions,
    pub(crate) random: &'a mut Random,
    pub(crate) steps: &'a mut Vec<String>,
    pub(crate) may_die: bool,
}

/// A life that goes on.
struct Living {
    clock: Arc<SimulatedClock>,
    reader: Arc<EmbeddedReader>,
    world: Arc<World>,
    /// A follower beside the state.
    witness: Witness,
    ledger: Lent,
    assignments: Arc<Assignments>,
    inputs: Vec<SimulatedInput>,
    reading: Arc<dyn Reading>,
    mapper: MapStage,
    mapped: VecDeque<MappedBatch>,
}

impl From<LedgerError> for End {
    fn from(error: LedgerError) -> Self {
        Self::Cut(chain(&error))
    }
}

impl From<FollowerError> for End {
    fn from(error: FollowerError) -> Self {
        Self::Cut(chain(&error))
    }
}

impl From<StateError> for End {
    fn from(error: StateError) -> Self {
        Self::Cut(chain(&error))
    }
}

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

impl Life<'_> {
    /// Lives it. What it acknowledges, the model is told.
    pub(crate) fn run(mut self, model: &mut Model) -> End {
        let mut living = match self.start(model) {
            Ok(living) => living,
            Err(end) => return self.judged(end),
        };
        for _ in 0..MOST_STEPS {
            if self.may_die && self.random.one_in(DEATH_EVERY) {
                return End::Cut("killed between two steps".to_owned());
            }
            match self.step(&mut living, model) {
                Ok(false) => {}
                Ok(true) => {
                    let checked = self.check(model, &living.world, &living.witness);
                    return checked.map_or_else(End::Broken, |()| End::Done);
                }
                Err(end) => return self.judged(end),
            }
        }
        End::Broken(format!("no end after {MOST_STEPS} steps"))
    }

    /// Judges the end of a run: a ledger refused although no disk fault was injected has been lost
    /// or damaged.
    fn judged(&self, end: End) -> End {
        match end {
            End::Cut(reason) if !self.disk.is_dead() && self.disk.faults_so_far() == 0 => {
                End::Broken(format!("without a fault in this life: {reason}"))
            }
            end => end,
        }
    }

    /// Compares ledger and state with the model. Reads by itself: looking meets no fault.
    fn check(&self, model: &Model, world: &World, witness: &Witness) -> Result<(), String> {
        if world.next_block() == 0 {
            return model.check(None, world).and_then(|()| witness.check(None));
        }
        let reader = open_read_only(&self.place.ledger, &mut |_, _| {});
        let reader = reader.map_err(|error| chain(&error))?;
        model.check(Some(&*reader), world)?;
        witness.check(Some(&*reader))
    }

    fn start(&mut self, model: &Model) -> Result<Living, End> {
        let opening = Opening {
            directory: self.place.ledger.clone(),
            name: LEDGER_NAME.to_owned(),
            checkpoint_copy: Some(self.place.kept.clone()),
            max_segment_bytes: SEGMENT_BYTES,
        };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = open_on(&disk, &opening, &mut |_, _| {})?;
        let reader = opened.reader();
        let (blocks, cut) = (reader.head().height, opened.repaired_bytes);
        self.steps.push(format!("start: {blocks} blocks, {cut} bytes cut off"));
        let state = self.place.ledger.join(STATE_DIRECTORY);
        let (world, found) = World::open_within(&state, &*reader, ROOM)?;
        catch_up(&*reader, &world, &mut |_, _| {})?;
        self.steps.push(format!("state: {found:?}"));
        let opened_witness = Witness::open(&disk, &self.place.witness);
        let witness = opened_witness.map_err(|error| End::Cut(format!("the witness: {error}")))?;
        self.check(model, &world, &witness).map_err(End::Broken)?;
        let world = Arc::new(world);
        let clock = SimulatedClock::new(self.random);
        let submitter = signer(2);
        let keys = LedgerKeys { signer: signer(1), previous: None, submitter: submitter.id() };
        let contracts = self.definitions.contracts.clone();
        let mut ledger = opened.start_stepped(&keys, contracts, world.clone(), clock.clone())?;
        ledger.define(self.definitions.list.clone())?;
        let assignments = Arc::new(Assignments::new(reader.progress()));
        let input = |topic: &&str| {
            let mut random = self.random.clone();
            // Inputs do not do the same at the same time.
            topic.bytes().for_each(|_| _ = random.between(0, 1));
            let mut input = SimulatedInput::new(topic, model, assignments.clone(), random);
            input.assign_all();
            input
        };
        let inputs = TOPICS.iter().map(input).collect();
        let mappings = self.definitions.mappings.clone();
        let reading = reading(Content::Events, Arc::new(Decoder::default()), mappings);
        let mapper = MapStage {
            sign_each: (self.random.one_in(4))
                .then(|| EachSigner { ledger: LEDGER_NAME.into(), signer: submitter }),
            clock: clock.clone(),
            status: Arc::default(),
            traces: Traces::default(),
        };
        let ledger = Lent { name: LEDGER_NAME, ledger: Arc::new(Mutex::new(ledger)) };
        let mapped = VecDeque::new();
        Ok(Living {
            clock,
            reader,
            world,
            witness,
            ledger,
            assignments,
            inputs,
            reading,
            mapper,
            mapped,
        })
    }

    /// One thing that some thread of the program might do next; whether all is done.
    fn step(&mut self, living: &mut Living, model: &mut Model) -> Result<bool, End> {
        living.clock.sleep(Duration::from_millis(1));
        match self.random.between(0, 11) {
            0..=2 if !living.mapped.is_empty() => {
                let count = usize::try_from(self.random.between(1, MOST_BATCHES)).unwrap_or(1);
                let most = usize::try_from(self.random.between(1, 12)).unwrap_or(1);
                self.steps.push(format!("write {count} batches of {}", living.mapped.len()));
                living.write(count, most, model)?;
            }
            0..=6 => {
                let input = usize::from(self.random.one_in(2));
                living.poll(input);
            }
            7..=8 => {
                let some = u64::try_from(self.random.between(1, 10)).unwrap_or(1);
                match self.random.one_in(2) {
                    true => living.apply(&living.witness, some)?,
                    false => living.apply(&*living.world, some)?,
                }
            }
            9 if self.random.one_in(3) => self.save(living)?,
            9 if self.random.one_in(3) => self.save_witness(living),
            9 => self.save_some(living)?,
            10 if self.random.one_in(4) => {
                self.steps.push("rebalance".to_owned());
                living.inputs.iter_mut().for_each(SimulatedInput::revoke_some);
            }
            10 => living.inputs.iter_mut().for_each(SimulatedInput::assign_all),
            _ => living.clock.jump(self.random.between(-5_000, 5_000)),
        }
        if !model.is_done() {
            return Ok(false);
        }
        living.apply(&living.witness, u64::MAX)?;
        living.apply(&*living.world, u64::MAX)?;
        self.save_witness(living);
        self.save(living)?;
        Ok(true)
    }

    /// Saves the second follower. Where that fails, nothing but this follower is held up.
    fn save_witness(&mut self, living: &Living) {
        let (blocks, saved) = (living.witness.next_block(), living.witness.savepoint());
        self.steps.push(format!("the witness at block {blocks}, saved: {}", saved.is_ok()));
    }

    /// The state follower's work between two blocks.
    fn save_some(&mut self, living: &Living) -> Result<(), End> {
        let is_complete = living.world.save_some()?;
        self.steps.push(format!("a step of a savepoint, the last: {is_complete}"));
        Ok(())
    }

    /// Its work once a second.
    fn save(&mut self, living: &Living) -> Result<(), End> {
        living.world.savepoint()?;
        let kept = keep_checkpoint(self.disk, &self.place.kept, &living.reader.checkpoint());
        let blocks = living.world.next_block();
        self.steps.push(format!("savepoint at block {blocks}, checkpoint kept: {}", kept.is_ok()));
        Ok(())
    }
}

impl Living {
    fn poll(&mut self, input: usize) {
        let Some(input) = self.inputs.get_mut(input) else { return };
        let Ok(Polled::Batch(batch)) = input.poll(Duration::ZERO) else { return };
        // As many as one batch can give.
        let (batches, waiting) = sync_channel(1);
        let (out, mapped) = sync_channel(batch.len() + 1);
        let polled = pipeline::Polled { batch, reading: self.reading.clone() };
        if batches.send(polled).is_ok() {
            drop(batches);
            self.mapper.run(&waiting, &out);
            drop(out);
            self.mapped.extend(mapped);
        }
    }

    /// A write loop that finds so many batches, and ends when it has made them durable.
    fn write(&mut self, count: usize, most: usize, model: &mut Model) -> Result<(), End> {
        let (batches, waiting) = sync_channel(count);
        for batch in self.mapped.drain(..count.min(self.mapped.len())) {
            let _ = batches.try_send(batch);
        }
        drop(batches);
        let write_loop = WriteLoop {
            assignments: self.assignments.clone(),
            signer: signer(2),
            limits: SubmissionLimits {
                max_transactions: most,
                max_bytes: 1 << 20,
                max_wait: Duration::from_millis(5),
                sign_each: self.mapper.sign_each.is_some(),
            },
            writer: Box::new(self.ledger.clone()),
            clock: self.clock.clone(),
            status: Arc::<Status>::default(),
        };
        write_loop.run(&waiting)?;
        let next = |status: crate::input::PartitionStatus| Some((status.partition, status.next?));
        model.tell(self.assignments.status().into_iter().filter_map(next));
        Ok(())
    }

    /// Takes the next blocks into a follower.
    fn apply(&self, follower: &dyn Follower, some: u64) -> Result<(), End> {
        let next = follower.next_block();
        for number in next..self.reader.head().height.min(next.saturating_add(some)) {
            follower.apply(&*self.reader.block(number)?)?;
        }
        Ok(())
    }
}

/// The ledger, lent to one write loop after the other.
#[derive(Clone)]
struct Lent {
    name: &'static str,
    ledger: Arc<Mutex<EmbeddedLedger>>,
}

impl Lent {
    fn ledger(&self) -> MutexGuard<'_, EmbeddedLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerWriter for Lent {
    fn name(&self) -> &str {
        self.name
    }

    fn append(&mut self, work: Work) -> Result<Box<dyn Pending>, LedgerError> {
        self.ledger().append(work)
    }

    fn check(&self) -> Result<(), LedgerError> {
        self.ledger().check()
    }
}
