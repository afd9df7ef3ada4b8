//! Findings: what is wrong with a service and what helps, from its status and the figures of the last
//! minutes. Each kind has a code that never changes, for alerts.

mod code;

pub use code::Code;

use schemars::JsonSchema;
use serde::Serialize;

use crate::limits::FUTURE_TOLERANCE;
use crate::monitor::service::{FollowerView, StatusView};
use crate::monitor::watch::Sample;
use crate::pipeline::DeadLetterTopic;
use crate::query::views::seconds;
use crate::query::views::{grouped, time_text};
use crate::state::World;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Someone should look.
    Warning,
    /// Nothing is taken in.
    Critical,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The kind, for machines: it never changes.
    pub code: Code,
    /// Its severity.
    pub gravity: Gravity,
    /// The problem.
    pub what: String,
    /// The remedy.
    pub help: String,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl Finding {
    fn new(code: Code, what: String) -> Self {
        let (gravity, help) = (code.gravity(), code.help().to_owned());
        Self { code, gravity, what, help, since: None }
    }

    fn since(self, since_ms: Option<i64>) -> Self {
        Self { since: since_ms.map(time_text), ..self }
    }
}

/// Signs of trouble that a status holds for the findings and does not show by themselves.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// Problems of the source and the ledger.
    pub problems: Vec<Problem>,
    /// Topics whose newest records were all filtered, and how many of them.
    pub filtered_topics: Vec<(String, u64)>,
    /// Mappings that gave nothing so far, and the records of their topics.
    pub idle_mappings: Vec<(String, u64)>,
    /// Mappings whose topics the source does not read, with those topics and what may be meant.
    pub mappings_without_topic: Vec<(String, Vec<String>, String)>,
    /// Time of the newest block ahead of the clock, in milliseconds.
    pub clock_behind_ms: i64,
}

/// A problem of the source or the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// In words for a person.
    pub what: String,
    /// Since when, in milliseconds since 1970, where that is known.
    pub since_ms: Option<i64>,
    /// True if the service is not ready because of it.
    pub is_blocking: bool,
}

/// Blocks that a follower may be behind without anyone looking: a second or two at full speed.
const MOST_BLOCKS_BEHIND: u64 = 500;
/// Share of dead letters among the newest records above which something is wrong: one in twenty, as
/// its denominator. The shipped alert rule has the same.
const DEAD_LETTER_SHARE: u64 = 20;
/// Newest records below which a share says nothing.
const FEWEST_RECORDS: u64 = 100;
/// Records that may wait in Kafka without anyone looking.
const SMALL_LAG: u64 = 1_000;
/// Samples over which a lag that never shrinks is one that grows: half a minute.
const LAG_SAMPLES: usize = 15;
/// Samples without progress after which records that are on their way count as stuck: a minute.
const STALL_SAMPLES: usize = 30;
/// Samples without a savepoint after which a follower counts as stuck: two minutes, because a slow
/// destination makes its savepoints come once a minute.
const UNSAVED_SAMPLES: usize = 2 * STALL_SAMPLES;
/// Difference between the two clocks from one sample to the next that counts as a jump.
const CLOCK_JUMP_MS: i64 = 5_000;
/// Maximum time of the newest block ahead of the clock: a clock that is slewed goes back a little.
const CLOCK_BEHIND_MS: i64 = 1_000;

/// Everything that is wrong, the worst first; nothing where all is well.
#[must_use]
pub fn findings(status: &StatusView, samples: &[Sample]) -> Vec<Finding> {
    let problem = |problem: &Problem| {
        Finding::new(problem.code, problem.what.clone()).since(problem.since_ms)
    };
    let mut findings: Vec<_> = status.signs.problems.iter().map(problem).collect();
    findings.extend(figures(status, samples));
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.gravity), finding.code));
    findings
}

/// The findings without the problems of source and ledger, which write log lines of their own.
pub fn figures(status: &StatusView, samples: &[Sample]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(stalled(status, samples));
    findings.extend(state_behind(status));
    findings.extend(copies_behind(status, samples));
    findings.extend(followers_held(status));
    findings.extend(followers_behind(status, samples));
    findings.extend(growing_lag(samples));
    findings.extend(dead_letters(samples));
    findings.extend(filtered(status));
    findings.extend(idle_mappings(status));
    findings.extend(mappings_without_topic(status));
    findings.extend(future_events(status, samples));
    findings.extend(clock_behind(status));
    findings.extend(clock_jumped(samples));
    findings
}

fn stalled(status: &StatusView, samples: &[Sample]) -> Option<Finding> {
    // What stops the ledger as a whole is a finding of its own.
    let is_stopped =
        |problem: &Problem| matches!(problem.code, Code::DiskFull | Code::LedgerHalted);
    if status.signs.problems.iter().any(is_stopped) {
        return None;
    }
    let newest = &samples[samples.len().checked_sub(STALL_SAMPLES)?..];
    let first = newest.first()?;
    let is_stuck =
        |sample: &Sample| sample.in_flight > 0 && sample.written_records == first.written_records;
    if !newest.iter().all(is_stuck) {
        return None;
    }
    let waits = |p: &&crate::monitor::service::PartitionView| p.assigned && p.lag != Some(0);
    let places = status.partitions.iter().filter(waits);
    let places: Vec<_> = places.map(|p| format!("{}/{}", p.partition, p.durable)).collect();
    let next = match places.is_empty() {
        true => String::new(),
        false => format!(". Next offsets: {}", places.join(", ")),
    };
    let in_flight = grouped(newest.last()?.in_flight);
    let what = format!("no record processed since {}; {in_flight} in flight{next}", first.time);
    Some(Finding::new(Code::Stalled, what).since(Some(first.time_ms)))
}

fn state_behind(status: &StatusView) -> Option<Finding> {
    let behind = status.state.blocks_behind;
    let held = status.state.held.as_ref();
    (behind > MOST_BLOCKS_BEHIND || held.is_some()).then(|| {
        let reason = held.map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("the state is {} blocks behind the ledger{reason}", grouped(behind));
        Finding::new(Code::StateBehind, what).since(held_since(status, World::NAME))
    })
}

fn copies_behind(status: &StatusView, samples: &[Sample]) -> Option<Finding> {
    let copies = status.dead_letter_topic.as_ref()?;
    let behind = copies.blocks_behind;
    let (reason, since_ms) = match (&copies.held, unsaved_since(samples, DeadLetterTopic::NAME)) {
        (Some(reason), _) => (format!(": {reason}"), held_since(status, DeadLetterTopic::NAME)),
        (None, Some(first)) => {
            (format!(": no acknowledgement since {}", first.time), Some(first.time_ms))
        }
        (None, None) if behind > MOST_BLOCKS_BEHIND => (String::new(), None),
        (None, None) => return None,
    };
    let blocks = grouped(behind);
    let what = format!("dead letters do not reach their topic, {blocks} blocks behind{reason}");
    Some(Finding::new(Code::DeadLetterTopicBehind, what).since(since_ms))
}

/// Since when a follower is held up.
fn held_since(status: &StatusView, name: &str) -> Option<i64> {
    let follower = status.followers.iter().find(|one| one.name == name)?;
    Some(follower.held.as_ref()?.since_ms)
}

/// The first of the samples in which a follower has blocks left to save and saves none of them.
fn unsaved_since<'a>(samples: &'a [Sample], name: &str) -> Option<&'a Sample> {
    let newest = &samples[samples.len().checked_sub(UNSAVED_SAMPLES)?..];
    let first = newest.first()?;
    let saved = first.unsaved.get(name)?;
    newest.iter().all(|sample| sample.unsaved.get(name) == Some(saved)).then_some(first)
}

/// Followers without a finding of their own.
fn others(status: &StatusView) -> impl Iterator<Item = &FollowerView> {
    status.followers.iter().filter(|one| !one.has_own_findings())
}

fn followers_held(status: &StatusView) -> Option<Finding> {
    let held: Vec<_> = others(status).filter_map(|one| Some((one, one.held.as_ref()?))).collect();
    let since_ms = held.iter().map(|(_, held)| held.since_ms).min()?;
    let held: Vec<_> = held
        .iter()
        .map(|(one, held)| {
            format!("`{}`, {} blocks behind: {}", one.name, grouped(one.lag_blocks), held.reason)
        })
        .collect();
    let what = format!("followers of the ledger are held up: {}", held.join("; "));
    Some(Finding::new(Code::FollowerHeld, what).since(Some(since_ms)))
}

fn followers_behind(status: &StatusView, samples: &[Sample]) -> Option<Finding> {
    let is_behind = |one: &&FollowerView| {
        let is_far = one.lag_blocks > MOST_BLOCKS_BEHIND;
        one.held.is_none() && (is_far || unsaved_since(samples, &one.name).is_some())
    };
    let told = |one: &FollowerView| {
        let since = unsaved_since(samples, &one.name);
        let since = since.map(|first| format!(", nothing saved since {}", first.time));
        let behind = grouped(one.lag_blocks);
        format!("`{}`, {behind} blocks behind{}", one.name, since.unwrap_or_default())
    };
    let behind: Vec<_> = others(status).filter(is_behind).map(told).collect();
    let what = format!("followers of the ledger do not keep up: {}", behind.join("; "));
    (!behind.is_empty()).then(|| Finding::new(Code::FollowerBehind, what))
}

fn growing_lag(samples: &[Sample]) -> Option<Finding> {
    let newest = &samples[samples.len().checked_sub(LAG_SAMPLES)?..];
    let lags: Vec<_> = newest.iter().map(|sample| sample.lag).collect::<Option<_>>()?;
    let (first, last) = (*lags.first()?, *lags.last()?);
    let grows = lags.is_sorted() && last > first && last > SMALL_LAG;
    let what = format!("consumer lag of {} records, and growing", grouped(last));
    grows.then(|| Finding::new(Code::LagGrowing, what))
}

fn dead_letters(samples: &[Sample]) -> Option<Finding> {
    let (first, last) = (samples.first()?, samples.last()?);
    let records = last.records.saturating_sub(first.records);
    let dead = last.dead_lettered.saturating_sub(first.dead_lettered);
    let is_much = records >= FEWEST_RECORDS && dead.saturating_mul(DEAD_LETTER_SHARE) > records;
    let what =
        format!("{} of the newest {} records are dead letters", grouped(dead), grouped(records));
    is_much.then(|| Finding::new(Code::DeadLetters, what))
}

fn filtered(status: &StatusView) -> Option<Finding> {
    let topics = status.signs.filtered_topics.iter();
    let topics = topics.filter(|(_, in_a_row)| *in_a_row >= FEWEST_RECORDS);
    let topics: Vec<_> =
        topics.map(|(topic, in_a_row)| format!("{} of `{topic}`", grouped(*in_a_row))).collect();
    let what = format!("the newest records match no mapping: {}", topics.join(", "));
    (!topics.is_empty()).then(|| Finding::new(Code::EverythingFiltered, what))
}

fn idle_mappings(status: &StatusView) -> Option<Finding> {
    let mappings = status.signs.idle_mappings.iter();
    let mappings = mappings.filter(|(_, records)| *records >= FEWEST_RECORDS);
    let mappings: Vec<_> = mappings
        .map(|(name, records)| format!("`{name}` ({} records)", grouped(*records)))
        .collect();
    let what = format!(
        "mappings have matched nothing since the start while records of their topics came: {}",
        mappings.join(", ")
    );
    (!mappings.is_empty()).then(|| Finding::new(Code::MappingIdle, what))
}

fn mappings_without_topic(status: &StatusView) -> Option<Finding> {
    let mappings = status.signs.mappings_without_topic.iter();
    let mappings: Vec<_> = mappings
        .map(|(name, topics, help)| format!("`{name}` names {} ({help})", topics.join(", ")))
        .collect();
    let what = format!("mappings name topics that no input reads: {}", mappings.join("; "));
    (!mappings.is_empty()).then(|| Finding::new(Code::MappingWithoutTopic, what))
}

fn future_events(status: &StatusView, samples: &[Sample]) -> Option<Finding> {
    let count = status.future_events.count;
    let recent = count.saturating_sub(samples.first()?.future_events);
    let last = status.future_events.last.as_ref()?;
    let what = format!(
        "{} of the newest events are dated more than {} s in the future; the last is {} of device `{}`, dated {}",
        grouped(recent),
        FUTURE_TOLERANCE.as_secs(),
        last.id,
        last.device,
        last.time
    );
    (recent > 0).then(|| Finding::new(Code::EventsInFuture, what))
}

fn clock_behind(status: &StatusView) -> Option<Finding> {
    let behind = status.signs.clock_behind_ms;
    let what = format!(
        "this machine's clock is {} s behind the time of the newest block, {}",
        seconds(behind),
        status.block_time.as_deref().unwrap_or_default()
    );
    (behind > CLOCK_BEHIND_MS).then(|| Finding::new(Code::ClockBehind, what))
}

fn clock_jumped(samples: &[Sample]) -> Option<Finding> {
    let jump = |at: usize| {
        let (before, after) = (&samples[at - 1], &samples[at]);
        let passed = after.monotonic.saturating_sub(before.monotonic).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let jump = after.time_ms.saturating_sub(before.time_ms).saturating_sub(passed);
        (jump.saturating_abs() >= CLOCK_JUMP_MS).then_some((jump, after))
    };
    let jumps: Vec<_> = (1..samples.len()).filter_map(jump).collect();
    let (newest, at) = jumps.last()?;
    let direction = if *newest > 0 { "forward" } else { "back" };
    let by = seconds(newest.saturating_abs());
    let times = if jumps.len() > 1 { format!(", {} jumps", jumps.len()) } else { String::new() };
    let what = format!("the system clock jumped {direction} by {by} s at {}{times}", at.time);
    Some(Finding::new(Code::ClockJumped, what).since(Some(at.time_ms)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::codec::Digest;
    use crate::monitor::service::{
        CopiesView, FutureEventView, FutureView, HeldView, PartitionView, RecordsView, StateView,
    };
    use crate::pipeline::DefinitionCounts;
    use crate::query::views::FleetView;

    fn sample(records: u64, dead_lettered: u64, lag: Option<u64>) -> Sample {
        Sample {
            time: String::new(),
            time_ms: 0,
            monotonic: std::time::Duration::ZERO,
            records,
            valid: 0,
            invalid: 0,
            filtered: 0,
            dead_lettered,
            height: 0,
            lag,
            freshness_seconds: None,
            commit_seconds: 0.0,
            commits: 0,
            in_flight: 0,
            written_records: 0,
            unsaved: BTreeMap::new(),
            future_events: 0,
            by_definition: DefinitionCounts::default(),
        }
    }

    /// A follower without findings of its own.
    const WEBHOOK: &str = "webhook";

    /// A follower that is up to date.
    fn follower(name: &str) -> FollowerView {
        let name = name.to_owned();
        FollowerView { name, next_block: 1, saved_block: 1, lag_blocks: 0, held: None }
    }

    fn held(reason: &str, since_ms: i64) -> Option<HeldView> {
        Some(HeldView { reason: reason.to_owned(), since: time_text(since_ms), since_ms })
    }

    /// The savepoint of a follower, where it has blocks left to save.
    fn unsaved(name: &str, saved: Option<u64>) -> Sample {
        let unsaved = saved.map(|saved| (name.to_owned(), saved)).into_iter().collect();
        Sample { unsaved, time: "then".into(), ..sample(0, 0, None) }
    }

    /// The status of a service where all is well.
    fn status() -> StatusView {
        StatusView {
            ledger: "l".to_owned(),
            version: "1",
            ready: true,
            obstacles: Vec::new(),
            height: 1,
            entries: 1,
            tree_size: 1,
            tree_root: Digest::default(),
            block_hash: Digest::default(),
            block_time: Some("2026-01-31T12:00:00.000Z".to_owned()),
            block_age_seconds: None,
            verifier_keys: Vec::new(),
            records: RecordsView {
                read: 0,
                filtered: 0,
                dead_lettered: 0,
                dead_letters: BTreeMap::new(),
                valid: 0,
                invalid: 0,
                invalid_reasons: BTreeMap::new(),
            },
            state: StateView { blocks_behind: 0, unsaved_assets: 0, held: None },
            assets_with_alerts: 0,
            fleet: FleetView { critical: 0, warning: 0, info: 0, unknown: 0 },
            alerts: Vec::new(),
            dead_letter_topic: Some(CopiesView { blocks_behind: 0, held: None }),
            followers: [World::NAME, DeadLetterTopic::NAME, WEBHOOK].map(follower).into(),
            source: None,
            inputs: Vec::new(),
            partitions: Vec::new(),
            in_flight_records: 0,
            freshness_seconds: None,
            future_events: FutureView { count: 0, last: None },
            signs: Signs::default(),
        }
    }

    /// Asserts the only finding of a status: its code, and what its text holds.
    #[track_caller]
    fn check(status: &StatusView, samples: &[Sample], expected: Option<(Code, &[&str])>) {
        let found = findings(status, samples);
        let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, expected.iter().map(|(code, _)| *code).collect::<Vec<_>>(), "{found:?}");
        for part in expected.iter().flat_map(|(_, parts)| *parts) {
            assert!(found[0].what.contains(part), "`{part}` is missing: {}", found[0].what);
        }
    }

    #[test]
    fn nothing_is_found_where_all_is_well() {
        check(&status(), &vec![sample(0, 0, Some(0)); 30], None);
    }

    #[test]
    fn records_that_do_not_come_through_are_found() {
        let stuck = |at: usize| Sample {
            in_flight: 7,
            written_records: 5,
            time: format!("time {at}"),
            ..sample(0, 0, Some(9))
        };
        let mut samples: Vec<_> = (0..STALL_SAMPLES).map(stuck).collect();
        let mut status = status();
        status.partitions.push(PartitionView {
            partition: "t/3".to_owned(),
            topic: "t".into(),
            assigned: true,
            durable: 17,
            end: Some(26),
            lag: Some(9),
        });
        let parts = &["no record processed since time 0; 7 in flight. Next offsets: t/3/17"];
        check(&status, &samples, Some((Code::Stalled, parts)));
        let idle = std::mem::take(&mut status.partitions);
        check(&status, &samples, Some((Code::Stalled, &["since time 0; 7 in flight"])));
        assert!(findings(&status, &samples)[0].what.ends_with("in flight"), "and no empty list");
        status.partitions = idle;
        check(&status, &samples[1..], None);
        let full = Problem {
            code: Code::DiskFull,
            what: "full".to_owned(),
            since_ms: None,
            is_blocking: true,
        };
        status.signs.problems.push(full);
        check(&status, &samples, Some((Code::DiskFull, &["full"])));
        status.signs.problems.clear();
        samples[9].in_flight = 0;
        check(&status, &samples, None);
        (samples[9].in_flight, samples[9].written_records) = (7, 4);
        check(&status, &samples, None);
    }

    #[test]
    fn a_follower_that_lags_is_found() {
        let mut of_state = status();
        of_state.state.blocks_behind = MOST_BLOCKS_BEHIND;
        check(&of_state, &[], None);
        of_state.state.blocks_behind += 1;
        check(&of_state, &[], Some((Code::StateBehind, &["501 blocks behind"])));
        of_state.state = StateView { blocks_behind: 1, unsaved_assets: 0, held: Some("x".into()) };
        check(&of_state, &[], Some((Code::StateBehind, &["1 blocks behind the ledger: x"])));
        let mut of_copies = status();
        let copies = |blocks_behind, held| Some(CopiesView { blocks_behind, held });
        of_copies.dead_letter_topic = copies(MOST_BLOCKS_BEHIND, None);
        check(&of_copies, &[], None);
        of_copies.dead_letter_topic = copies(MOST_BLOCKS_BEHIND + 1, None);
        check(&of_copies, &[], Some((Code::DeadLetterTopicBehind, &["501 blocks"])));
        of_copies.dead_letter_topic = copies(1, Some("no right".to_owned()));
        check(&of_copies, &[], Some((Code::DeadLetterTopicBehind, &["1 blocks", "no right"])));
        of_copies.dead_letter_topic = copies(0, None);
        let waiting = |blocks| unsaved(DeadLetterTopic::NAME, blocks);
        let mut samples = vec![waiting(Some(4)); UNSAVED_SAMPLES];
        check(&of_copies, &samples, Some((Code::DeadLetterTopicBehind, &["since then"])));
        check(&of_copies, &samples[1..], None);
        for other in [None, Some(3)] {
            samples[0] = waiting(other);
            check(&of_copies, &samples, None);
        }
    }

    #[test]
    fn a_follower_that_is_held_up_says_since_when() {
        let mut status = status();
        status.state.held = Some("no space".to_owned());
        let copies = CopiesView { blocks_behind: 1, held: Some("no right".to_owned()) };
        status.dead_letter_topic = Some(copies);
        for (follower, since_ms) in status.followers.iter_mut().zip([1_000, 2_000, 3_000]) {
            follower.held = held("no answer", since_ms);
        }
        let since: Vec<_> =
            findings(&status, &[]).into_iter().map(|one| (one.code, one.since.unwrap())).collect();
        let expected = [
            (Code::StateBehind, "1970-01-01T00:00:01.000Z".to_owned()),
            (Code::DeadLetterTopicBehind, "1970-01-01T00:00:02.000Z".to_owned()),
            (Code::FollowerHeld, "1970-01-01T00:00:03.000Z".to_owned()),
        ];
        assert_eq!(since, expected);
    }

    #[test]
    fn any_follower_that_is_held_up_or_does_not_keep_up_is_found_by_its_name() {
        let status = |lag_blocks, held| {
            let (mut status, name) = (status(), WEBHOOK);
            status.followers[2] = FollowerView { lag_blocks, held, ..follower(name) };
            status
        };
        check(&status(MOST_BLOCKS_BEHIND, None), &[], None);
        let parts: &[&str] = &["`webhook`, 501 blocks behind"];
        let far = status(MOST_BLOCKS_BEHIND + 1, None);
        check(&far, &[], Some((Code::FollowerBehind, parts)));
        let parts: &[&str] = &["`webhook`, 501 blocks behind: no answer"];
        let mut both = status(MOST_BLOCKS_BEHIND + 1, held("no answer", 5_000));
        check(&both, &[], Some((Code::FollowerHeld, parts)));
        let earlier = FollowerView { held: held("it has ended", 4_000), ..follower("actions") };
        both.followers.push(earlier);
        let parts: &[&str] = &["no answer; `actions`, 0 blocks behind: it has ended"];
        check(&both, &[], Some((Code::FollowerHeld, parts)));
        assert_eq!(findings(&both, &[])[0].since.as_deref(), Some("1970-01-01T00:00:04.000Z"));
        let mut samples = vec![unsaved(WEBHOOK, Some(4)); UNSAVED_SAMPLES];
        let parts: &[&str] = &["`webhook`, 0 blocks behind, nothing saved since then"];
        check(&status(0, None), &samples, Some((Code::FollowerBehind, parts)));
        check(&status(0, None), &samples[1..], None);
        samples[9] = unsaved(WEBHOOK, Some(5));
        check(&status(0, None), &samples, None);
        samples.fill(unsaved(World::NAME, Some(4)));
        check(&status(0, None), &samples, None);
    }

    #[test]
    fn records_without_a_mapping_and_mappings_without_records_are_found() {
        let mut filtered = status();
        filtered.signs.filtered_topics = vec![("t".into(), 99), ("u".into(), 1_100)];
        check(&filtered, &[], Some((Code::EverythingFiltered, &["1,100 of `u`"])));
        filtered.signs.filtered_topics.pop();
        check(&filtered, &[], None);
        let mut idle = status();
        idle.signs.idle_mappings = vec![("m".into(), 100), ("n".into(), 99)];
        check(&idle, &[], Some((Code::MappingIdle, &["`m` (100 records)"])));
        let mut lost = status();
        let (topics, help) = (vec!["pump".to_owned()], "did you mean `pumps`?".to_owned());
        lost.signs.mappings_without_topic = vec![("m".into(), topics, help)];
        let parts = &["`m` names pump (did you mean `pumps`?)"];
        check(&lost, &[], Some((Code::MappingWithoutTopic, parts)));
    }

    #[test]
    fn events_from_the_future_are_found_while_they_come() {
        let mut status = status();
        let last = FutureEventView {
            id: "t/0/5/0".to_owned(),
            device: "x:c1".to_owned(),
            time: "2099-01-01T00:00:00.000Z".to_owned(),
        };
        status.future_events = FutureView { count: 3, last: Some(last) };
        let parts: &[&str] = &["2 of", "more than 60 s", "t/0/5/0", "`x:c1`", "2099-01-01"];
        let before = Sample { future_events: 1, ..sample(0, 0, None) };
        check(&status, &[before], Some((Code::EventsInFuture, parts)));
        let since = Sample { future_events: 3, ..sample(0, 0, None) };
        check(&status, &[since], None);
    }

    #[test]
    fn a_clock_that_is_behind_or_jumps_is_found() {
        let mut behind = status();
        behind.signs.clock_behind_ms = CLOCK_BEHIND_MS;
        check(&behind, &[], None);
        behind.signs.clock_behind_ms = 3_600_500;
        check(&behind, &[], Some((Code::ClockBehind, &["3600.5 s behind", "2026-01-31"])));
        let samples = |times: &[i64]| -> Vec<_> {
            let sample = |(at, time_ms): (u64, &i64)| Sample {
                time_ms: *time_ms,
                time: time_text(*time_ms),
                monotonic: std::time::Duration::from_secs(2 * at),
                ..sample(0, 0, None)
            };
            (0..).zip(times).map(sample).collect()
        };
        check(&status(), &samples(&[1_000, 3_000, 5_000, 7_100]), None);
        let there = samples(&[1_000, 3_000, 3_605_000]);
        let parts: &[&str] = &["forward by 3600 s", "1970-01-01T01:00:05"];
        check(&status(), &there, Some((Code::ClockJumped, parts)));
        let and_back = samples(&[1_000, 3_000, 3_605_000, 7_000]);
        check(&status(), &and_back, Some((Code::ClockJumped, &["back by 3600 s", "2 jumps"])));
        let wild = samples(&[i64::MIN, i64::MAX, i64::MIN]);
        check(&status(), &wild, Some((Code::ClockJumped, &["2 jumps"])));
    }

    #[test]
    fn every_code_has_a_name_of_its_own_that_answers_bear_too() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            assert!(!code.help().is_empty());
        }
    }

    #[test]
    fn a_lag_is_told_when_it_grows() {
        let lags = |lags: &mut dyn Iterator<Item = u64>| -> Vec<Sample> {
            lags.map(|lag| sample(0, 0, Some(lag))).collect()
        };
        assert!(growing_lag(&lags(&mut (0..15).map(|at| at * 100))).is_some());
        assert!(growing_lag(&lags(&mut (0..14).map(|at| at * 100))).is_none(), "too short");
        assert!(growing_lag(&lags(&mut (0..15))).is_none(), "small");
        assert!(growing_lag(&lags(&mut (0..15).rev().map(|at| at * 1_000))).is_none(), "shrinks");
        assert!(growing_lag(&lags(&mut std::iter::repeat_n(9_000, 15))).is_none(), "stays");
        assert!(growing_lag(&vec![sample(0, 0, None); 15]).is_none(), "unknown");
    }

    #[test]
    fn dead_letters_are_told_when_they_are_many() {
        let told = |records: u64, dead: u64| {
            dead_letters(&[sample(50, 5, None), sample(50 + records, 5 + dead, None)])
        };
        assert!(told(1_000, 51).is_some());
        assert!(told(1_000, 50).is_none());
        assert!(told(99, 99).is_none());
        assert!(dead_letters(&[]).is_none());
    }
}
