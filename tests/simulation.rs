//! Simulated runs of the program: whatever the seed makes of scheduling, rebalances, faults and
//! power losses, the ledger holds each record once and in order, and the state follows from it.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::ops::Range;

use ledgerline::simulation::{Plan, hunt, simulate};

/// Seeds of every run of the tests; `ledgerline simulate` takes others.
const SEEDS: Range<u64> = 0..10_000;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn no_seed_breaks_a_promise() {
    let folder = folder();
    let mut go_on = |hunted: &ledgerline::simulation::Hunted| hunted.broken.is_empty();
    let hunted = hunt(SEEDS, false, folder.path(), &mut go_on).unwrap();
    if let Some(broken) = hunted.broken.first() {
        panic!("{broken}");
    }
    let total = hunted.total;
    println!("{SEEDS:?}: {total:?}");
    let seeds = SEEDS.end - SEEDS.start;
    assert!(total.faults > seeds && total.power_losses > seeds, "hardly anything happened");
}

#[test]
fn a_seed_tells_the_same_story_again() {
    // Errors name files, so it is the same folder.
    let folder = folder();
    let place = folder.path().join("place");
    for seed in 0..8 {
        let stories = [(); 2].map(|()| {
            std::fs::create_dir(&place).unwrap();
            let story = simulate(Plan { seed, disk_lies: false }, &place).unwrap();
            std::fs::remove_dir_all(&place).unwrap();
            story
        });
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let folder = folder();
    let hunted = hunt(0..20, true, folder.path(), &mut |_| true).unwrap();
    let noticed = hunted.broken.len();
    assert!(noticed > 10, "only {noticed} of {}", hunted.seeds);
}
