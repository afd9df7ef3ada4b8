//! Lives of the program under a seed: records, scheduling, rebalances, clock jumps, faults of the
//! disk, deaths and power losses all follow from one number, on one thread, so that a failure comes
//! again with its number.
//!
//! What runs is the real thing: the mapping stage, the write loop, the executor, the log's writer, the
//! state and a second follower. The source, the clock and the disk are its own. After each life a model, which only knows
//! the records, says what the ledger and the state must hold. Nothing here waits for a time.

pub mod disk;
mod hunt;
mod input;
mod life;
mod model;
mod witness;

pub use hunt::{Hunted, hunt};

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::fleet::random::Random;
use crate::simulation::disk::FaultyDisk;
use crate::simulation::life::{Definitions, Life, Place};
use crate::simulation::model::Model;
use crate::verify::{Request, verify};

/// Most lives that a fault or a death ends; the one after them is left in peace.
const MOST_LIVES: u64 = 5;

/// The parameters of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The number that everything follows from.
    pub seed: u64,
    /// The disk says now and then that bytes are durable which are not. Nothing can survive that, so
    /// a simulation that notices nothing of it would notice nothing else either.
    pub disk_lies: bool,
}

/// The events of a simulation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// Starts of the program.
    pub lives: u64,
    /// Records, each of which the ledger held exactly once at the end.
    pub records: u64,
    /// Faults that came.
    pub faults: u64,
    /// Times that the power went.
    pub power_losses: u64,
    /// Every step, in words.
    pub steps: Vec<String>,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Broken {
    /// Repeats it.
    pub seed: u64,
    /// The broken promise.
    pub reason: String,
    /// The events up to that point.
    pub story: Story,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.story.steps {
            writeln!(f, "  {step}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.reason)
    }
}

/// Why a life ended.
pub(crate) enum End {
    /// Every record is in the ledger and the state.
    Done,
    /// A fault or a death.
    Cut(String),
    /// A promise was broken.
    Broken(String),
}

/// Simulates in an empty folder, which is left as the last life left it.
pub fn simulate(plan: Plan, folder: &Path) -> Result<Story, Box<Broken>> {
    let mut simulation = Simulation {
        plan,
        random: Random::new(plan.seed),
        disk: FaultyDisk::new(),
        story: Story::default(),
    };
    let result = simulation.run(folder);
    let story = simulation.story;
    match result {
        Ok(()) => Ok(story),
        Err(reason) => Err(Box::new(Broken { seed: plan.seed, reason, story })),
    }
}

struct Simulation {
    plan: Plan,
    random: Random,
    disk: FaultyDisk,
    story: Story,
}

impl Simulation {
    fn run(&mut self, folder: &Path) -> Result<(), String> {
        let definitions = Definitions::new()?;
        let mut model = Model::new(&mut self.random);
        let place = Place {
            ledger: folder.join("ledger"),
            kept: folder.join("checkpoint"),
            witness: folder.join("witness"),
        };
        for number in 0..=MOST_LIVES {
            let is_last = number == MOST_LIVES;
            self.story.lives += 1;
            model.grow(number + 1, MOST_LIVES + 1);
            let faults = if is_last { 0 } else { self.plan_faults() };
            let life = Life {
                place: &place,
                disk: &self.disk,
                definitions: &definitions,
                random: &mut self.random,
                steps: &mut self.story.steps,
                may_die: !is_last,
            };
            let end = life.run(&mut model);
            self.story.faults += faults - self.disk.pending_faults();
            match end {
                End::Broken(reason) => return Err(reason),
                End::Done => {
                    self.step("ended in order".to_owned());
                    if is_last {
                        break;
                    }
                }
                End::Cut(reason) if is_last => return Err(format!("without a fault: {reason}")),
                End::Cut(reason) => self.step(reason),
            }
            self.lose().map_err(|error| format!("the disk after a power loss: {error}"))?;
        }
        self.finish(&place, &model)
    }

    fn step(&mut self, what: String) {
        self.story.steps.push(what);
    }

    /// Lets a few of the next calls on the disk fail; how many.
    fn plan_faults(&mut self) -> u64 {
        if self.plan.disk_lies {
            // One of them is a sync.
            let first = self.disk.count() + self.number(20, 60);
            (first..first + 8)
                .for_each(|call| self.disk.inject(call, crate::simulation::disk::Fault::Lie));
            return 8;
        }
        if self.random.one_in(4) {
            return 0;
        }
        let fault = self.random.pick(life::FAULTS, crate::simulation::disk::Fault::Kill);
        let first = self.disk.count() + self.number(0, 70);
        let count = self.number(1, 3);
        (first..first + count).for_each(|call| self.disk.inject(call, fault));
        self.story.steps.push(format!("from call {first} on, {count} times: {fault:?}"));
        count as u64
    }

    fn number(&mut self, least: i64, most: i64) -> usize {
        usize::try_from(self.random.between(least, most)).unwrap_or(0)
    }

    /// Loses data that is not durable, at the end of a run.
    fn lose(&mut self) -> std::io::Result<()> {
        let random = &mut self.random;
        if !self.plan.disk_lies && random.one_in(3) {
            self.disk.restart();
            return Ok(());
        }
        self.story.power_losses += 1;
        // Nearly all, half, or none of it survives.
        let survives = if self.plan.disk_lies { 0 } else { random.pick(&[0, 1, 8, 15, 16], 8) };
        self.story.steps.push(format!("power loss: {survives} of 16 pieces survive"));
        self.disk.lose_power(&mut || random.between(1, 16) <= survives)
    }

    /// The whole ledger against the model, and every signature and hash in it.
    fn finish(&mut self, place: &Place, model: &Model) -> Result<(), String> {
        self.disk.lose_power(&mut || false).map_err(|error| error.to_string())?;
        let request = Request { directory: place.ledger.clone(), ..Request::default() };
        let report = verify(&request, &mut |_, _| {}).map_err(|error| error.to_string())?;
        match report.problems.first() {
            Some(problem) => return Err(format!("it does not verify: {problem}")),
            None => self.story.records = report.records,
        }
        match report.records == model.records() {
            true => Ok(()),
            false => Err(format!("{} records of {}", report.records, model.records())),
        }
    }
}

/// Time that passes only when it is told to.
#[derive(Debug, Default)]
pub(crate) struct SimulatedClock {
    wall_ms: std::sync::atomic::AtomicI64,
    monotonic_ms: std::sync::atomic::AtomicU64,
}

impl SimulatedClock {
    /// A clock at some time of the day.
    pub(crate) fn new(random: &mut Random) -> Arc<Self> {
        let wall_ms = random.between(1_700_000_000_000, 1_800_000_000_000).into();
        Arc::new(Self { wall_ms, ..Self::default() })
    }

    /// The wall clock is set, forward or back.
    pub(crate) fn jump(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, std::sync::atomic::Ordering::Relaxed);
    }
}

impl crate::clock::Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn monotonic(&self) -> std::time::Duration {
        let now = self.monotonic_ms.load(std::sync::atomic::Ordering::Relaxed);
        std::time::Duration::from_millis(now)
    }

    fn sleep(&self, time: std::time::Duration) {
        let passed = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.monotonic_ms.fetch_add(passed, std::sync::atomic::Ordering::Relaxed);
        self.jump(i64::try_from(passed).unwrap_or(i64::MAX));
    }
}
