//! Runs many seeds on all processors.

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::ahead::{Weight, ahead_on};
use crate::simulation::{Broken, Plan, Story, simulate};

/// Seeds at a time for each processor: a life waits for threads of the state store half of its time.
const LIVES_A_PROCESSOR: usize = 3;

/// The result of a hunt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunted {
    /// Seeds that were simulated.
    pub seeds: u64,
    /// All their stories, without the steps.
    pub total: Story,
    /// The broken promises, in the order of the seeds.
    pub broken: Vec<Broken>,
}

/// Simulates each seed in a folder of its own under `within`, which goes after it. `go_on` is told of
/// each in order, and whether the next ones are to come. An error is one of making these folders.
pub fn hunt(
    seeds: Range<u64>,
    disk_lies: bool,
    within: &Path,
    go_on: &mut dyn FnMut(&Hunted) -> bool,
) -> io::Result<Hunted> {
    let one = |seed: u64, _: &Weight| {
        let folder = within.join(format!("seed-{seed}"));
        std::fs::create_dir(&folder)?;
        let result = simulate(Plan { seed, disk_lies }, &folder);
        std::fs::remove_dir_all(&folder)?;
        Ok::<_, io::Error>(result)
    };
    ahead_on(LIVES_A_PROCESSOR, one, |results| {
        let mut hunted = Hunted::default();
        for seed in seeds {
            if let Some(result) = results.push(seed) {
                hunted.take(result?);
                if !go_on(&hunted) {
                    return Ok(hunted);
                }
            }
        }
        while let Some(result) = results.take() {
            hunted.take(result?);
            if !go_on(&hunted) {
                break;
            }
        }
        Ok(hunted)
    })
}

impl Hunted {
    fn take(&mut self, result: Result<Story, Box<Broken>>) {
        self.seeds += 1;
        match result {
            Ok(story) => self.total.add(&story),
            Err(broken) => self.broken.push(*broken),
        }
    }
}

impl Story {
    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.records += other.records;
        self.faults += other.faults;
        self.power_losses += other.power_losses;
    }
}
