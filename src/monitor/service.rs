//! The state of a running service beyond its ledger: readiness and lag.

mod followers;
mod inputs;

pub use followers::{FollowerView, HeldView};
pub use inputs::{FutureEventView, FutureView, InputStatus, InputView, SourceView, TopicView};

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::Clock;
use crate::codec::Digest;
use crate::contract::Contract;
use crate::diagnostic::did_you_mean;
use crate::event::is_topic;
use crate::follower::Follower;
use crate::input::{Assignments, Calls, HealthReport, InputProblem, PartitionStatus, StreamNames};
use crate::ledger::checkpoint::verifier_key;
use crate::ledger::keys::LEDGER_ROLE;
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::mapping::Mapping;
use crate::monitor::AnswerCounts;
use crate::monitor::findings::{Code, Problem, Signs};
use crate::monitor::watch::Sample;
use crate::pipeline::status::Status;
use crate::pipeline::{DeadLetterTopic, DefinitionCounts, Followers, Verdicts};
use crate::query::views::seconds;
use crate::query::views::{AlertCountView, FleetView, time_text};
use crate::query::{Queries, Trial};
use crate::state::World;

/// A running service: what [`Queries`] answers, and what only the process knows.
pub struct Service {
    /// Questions about the ledger and its state.
    pub queries: Queries,
    /// Counters and timings of the stages.
    pub status: Arc<Status>,
    /// Positions of the inputs.
    pub assignments: Arc<Assignments>,
    /// The inputs.
    pub inputs: Vec<InputStatus>,
    /// The followers of the log.
    pub followers: Arc<Followers>,
    /// Submits manual calls, where an input takes them.
    pub calls: Option<Calls>,
    /// The definitions and state for dry runs.
    pub trial: Trial,
    /// Counters of the endpoint's answers.
    pub answers: AnswerCounts,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The state of a service, at a glance.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusView {
    /// Name of the ledger.
    pub ledger: String,
    /// Version of this program.
    pub version: &'static str,
    /// True if it takes in records.
    pub ready: bool,
    /// Why not.
    pub obstacles: Vec<String>,
    /// Number of blocks.
    pub height: u64,
    /// Number of entries.
    pub entries: u64,
    /// Leaves of the tree: the entries, and one for each block of format 2.
    pub tree_size: u64,
    /// Root of the tree.
    pub tree_root: Digest,
    /// Hash of the newest block.
    pub block_hash: Digest,
    /// Creation time of the newest block; absent before the first.
    pub block_time: Option<String>,
    /// Age of that block, in seconds.
    pub block_age_seconds: Option<f64>,
    /// The ledger's keys in the form that C2SP tools take.
    pub verifier_keys: Vec<String>,
    /// Dispositions of all records.
    pub records: RecordsView,
    /// The state's lag behind the ledger.
    pub state: StateView,
    /// The number of assets with an active alert.
    pub assets_with_alerts: usize,
    /// The same by the worst alert of each asset.
    pub fleet: FleetView,
    /// The number of assets with each alert.
    pub alerts: Vec<AlertCountView>,
    /// Progress of the dead letter copies; absent without a topic for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<CopiesView>,
    /// Every follower of the ledger, the state and the topic of dead letters included.
    pub followers: Vec<FollowerView>,
    /// The connection of the first input that has one; `inputs` has all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
    /// Every input.
    pub inputs: Vec<InputView>,
    /// Partitions of the inputs' topics.
    pub partitions: Vec<PartitionView>,
    /// Records that were read and are not in a block yet.
    pub in_flight_records: u64,
    /// Age of the newest event of the newest block when its state could be read, in seconds. Events
    /// from the future are left out.
    pub freshness_seconds: Option<f64>,
    /// Events that were dated ahead of this machine's clock, since this process started.
    pub future_events: FutureView,
    /// Signs for the findings.
    #[serde(skip)]
    pub signs: Signs,
}

/// Dispositions of all records since the first block.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordsView {
    /// Records read.
    pub read: u64,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Records that could not become a transaction.
    pub dead_lettered: u64,
    /// The same by cause.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Valid transactions.
    pub valid: u64,
    /// Transactions that are not valid.
    pub invalid: u64,
    /// The same by reason.
    pub invalid_reasons: BTreeMap<&'static str, u64>,
}

/// Progress of the state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateView {
    /// Blocks that it has not taken in yet.
    pub blocks_behind: u64,
    /// Changed assets that wait for the next savepoint.
    pub unsaved_assets: usize,
    /// The reason why it takes nothing in; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// Copies of dead letters on a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CopiesView {
    /// Blocks whose dead letters were not copied yet.
    pub blocks_behind: u64,
    /// The reason why the topic takes none; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// One partition of the source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PartitionView {
    /// Topic, epoch and partition, such as `telemetry/3`.
    pub partition: String,
    /// The topic alone.
    #[serde(skip)]
    pub topic: Arc<str>,
    /// True if this process reads it now.
    pub assigned: bool,
    /// Offset after its last durable record.
    pub durable: u64,
    /// Offset after its last record, where known.
    pub end: Option<u64>,
    /// Records that are not durable yet, where known.
    pub lag: Option<u64>,
}

/// Counters of a mapping or contract in this process.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ThroughputView {
    /// `mapping` or `contract`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Valid transactions.
    pub valid: u64,
    /// Transactions that are not valid.
    pub invalid: u64,
    /// Records that the mapping took and could not carry out; 0 for a contract.
    pub rejected: u64,
    /// Transactions a second over the last minutes; absent where they are not over yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

impl ThroughputView {
    fn new(kind: DefinitionKind, name: &str, verdicts: Verdicts, per_second: Option<f64>) -> Self {
        let Verdicts { valid, invalid } = verdicts;
        let name = name.to_owned();
        Self { kind: kind.name(), name, valid, invalid, rejected: 0, per_second }
    }
}

impl Service {
    /// Reasons not to be ready; none where it is.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        reasons(&self.problems(&self.health()))
    }

    /// Health of each input.
    fn health(&self) -> Vec<HealthReport> {
        self.inputs.iter().map(|input| (input.health)()).collect()
    }

    /// Problems of the ledger and of inputs with this health.
    fn problems(&self, health: &[HealthReport]) -> Vec<Problem> {
        let is_one = self.inputs.iter().filter(|input| input.gives_topics()).count() <= 1;
        let of_input = |(input, health): (&InputStatus, &HealthReport)| {
            let problem = |problem: &InputProblem| Problem {
                code: problem.code.into(),
                what: match is_one {
                    true => problem.message.clone(),
                    false => format!("input `{}`: {}", input.name, problem.message),
                },
                since_ms: problem.since_ms,
                is_blocking: problem.is_blocking,
            };
            health.problems.iter().map(problem).collect::<Vec<_>>()
        };
        let of_inputs = self.inputs.iter().zip(health).flat_map(of_input);
        self.ledger_problems().chain(of_inputs).collect()
    }

    fn ledger_problems(&self) -> impl Iterator<Item = Problem> + use<> {
        let health = self.queries.ledger().health();
        let problem = |code, what| Problem { code, what, since_ms: None, is_blocking: true };
        let halted = health.halted.map(|reason| format!("the ledger has halted: {reason}"));
        let full = health.full.map(|reason| format!("the ledger waits for space: {reason}"));
        let halted = halted.map(|what| problem(Code::LedgerHalted, what));
        halted.into_iter().chain(full.map(|what| problem(Code::DiskFull, what)))
    }

    /// Reasons why the ledger takes nothing in; none where it does.
    pub fn ledger_obstacles(&self) -> impl Iterator<Item = String> {
        self.ledger_problems().map(|problem| problem.what)
    }

    /// Every partition of a topic that was ever read or assigned.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionView> {
        let durable: BTreeMap<_, _> = self.queries.ledger().progress().into_iter().collect();
        let view = |status: PartitionStatus| {
            let durable = durable.get(&status.partition).copied();
            // Before its first block, a partition stands where it was told to start.
            let durable = durable.or(status.next).or(status.first).unwrap_or(0);
            PartitionView {
                partition: status.partition.to_string(),
                assigned: status.assigned,
                durable,
                end: status.end,
                lag: status.end.map(|end| end.saturating_sub(durable)),
                topic: status.partition.topic,
            }
        };
        let partitions = self.assignments.status().into_iter();
        // A stream of this process's own, such as `~calls`, has no lag.
        partitions.filter(|status| is_topic(&status.partition.topic)).map(view).collect()
    }

    /// Blocks that the state has not taken in yet.
    #[must_use]
    pub fn blocks_behind(&self) -> u64 {
        self.behind(&**self.queries.world())
    }

    /// Blocks that the newest savepoint of the state lacks.
    #[must_use]
    pub fn savepoint_behind(&self) -> u64 {
        let height = self.queries.ledger().head().height;
        height.saturating_sub(self.queries.world().saved_block())
    }

    /// Blocks whose dead letters were not copied yet; `None` where no topic takes them.
    #[must_use]
    pub fn copies_behind(&self) -> Option<u64> {
        let copies = self.followers.get(DeadLetterTopic::NAME)?;
        Some(self.behind(copies.follower()))
    }

    fn behind(&self, follower: &dyn Follower) -> u64 {
        self.queries.ledger().head().height.saturating_sub(follower.next_block())
    }

    /// Age of the newest block in milliseconds; `None` before the first.
    #[must_use]
    pub fn block_age_ms(&self) -> Option<i64> {
        let head = self.queries.ledger().head();
        // A clock that is behind is a finding, not a negative age.
        (head.height > 0).then(|| self.clock.now_ms().saturating_sub(head.time_ms).max(0))
    }

    /// Counters of each running mapping and contract in this process, mappings first; the rate is
    /// that of the samples' time.
    #[must_use]
    pub fn throughput(&self, samples: &[Sample]) -> Vec<ThroughputView> {
        let now = self.status.by_definition();
        let since = samples.first().map(|first| (first.time_ms, &first.by_definition));
        let per_second = |count: u64, earlier: &dyn Fn(&DefinitionCounts) -> u64| {
            let (time_ms, then) = since?;
            let passed = seconds(self.clock.now_ms().saturating_sub(time_ms));
            let grown = u32::try_from(count.saturating_sub(earlier(then))).ok()?;
            (passed > 0.0).then(|| f64::from(grown) / passed)
        };
        let mapping = |mapping: &Mapping| {
            let of = |counts: &DefinitionCounts| {
                counts.mappings.get(&mapping.digest).copied().unwrap_or_default()
            };
            let rejected = now.rejected.get(&*mapping.name).copied().unwrap_or(0);
            let rate = per_second(of(&now).all(), &|then| of(then).all());
            let view = ThroughputView::new(DefinitionKind::Mapping, &mapping.name, of(&now), rate);
            ThroughputView { rejected, ..view }
        };
        let contract = |contract: &Contract| {
            let of = |counts: &DefinitionCounts| {
                counts.contracts.get(&contract.name).copied().unwrap_or_default()
            };
            let rate = per_second(of(&now).all(), &|then| of(then).all());
            ThroughputView::new(DefinitionKind::Contract, &contract.name, of(&now), rate)
        };
        let mappings = self.trial.mappings.mappings.iter().map(mapping);
        mappings.chain(self.trial.contracts.iter().map(contract)).collect()
    }

    /// Everything at a glance.
    #[must_use]
    pub fn status(&self) -> StatusView {
        let (ledger, world) = (self.queries.ledger(), self.queries.world());
        let (head, totals) = (ledger.head(), world.totals());
        let health = self.health();
        let partitions = self.partitions();
        let signs = self.signs(&health);
        let view = |(input, health)| InputView::new(input, health, &partitions);
        let inputs: Vec<_> = self.inputs.iter().zip(&health).map(view).collect();
        let obstacles = reasons(&signs.problems);
        let followers = self.follower_views();
        let reason = |one: &FollowerView| one.held.as_ref().map(|held| held.reason.clone());
        let copies = followers.iter().find(|one| one.name == DeadLetterTopic::NAME);
        let state = followers.iter().find(|one| one.name == World::NAME);
        let keys = ledger.keys_of(LEDGER_ROLE);
        StatusView {
            ledger: ledger.name().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            ready: obstacles.is_empty(),
            obstacles,
            height: head.height,
            entries: head.entries,
            tree_size: head.tree_size,
            tree_root: head.tree_root,
            block_hash: head.block_hash,
            block_time: (head.height > 0).then(|| time_text(head.time_ms)),
            block_age_seconds: self.block_age_ms().map(seconds),
            verifier_keys: keys.iter().map(|key| verifier_key(ledger.name(), key)).collect(),
            records: RecordsView {
                read: totals.records,
                filtered: totals.filtered,
                dead_lettered: totals.dead_letter_count(),
                dead_letters: totals.dead_letters_by_name().collect(),
                valid: totals.valid,
                invalid: totals.invalid_count(),
                invalid_reasons: totals.invalid_by_name().collect(),
            },
            state: StateView {
                blocks_behind: self.blocks_behind(),
                unsaved_assets: world.unsaved_assets(),
                held: state.and_then(reason),
            },
            assets_with_alerts: world.assets_with_alerts(),
            fleet: self.queries.fleet(),
            alerts: self.queries.alert_counts(),
            dead_letter_topic: copies.map(|copies| CopiesView {
                blocks_behind: copies.lag_blocks,
                held: reason(copies),
            }),
            followers,
            source: inputs.iter().find_map(|input| input.connection.clone()),
            inputs,
            partitions,
            in_flight_records: self.status.in_flight(),
            freshness_seconds: self.status.freshness_ms().map(seconds),
            future_events: FutureView::new(self.status.future_events()),
            signs,
        }
    }

    /// Every topic that is read, by its stream's name; none where an input does not tell.
    fn topics_read(&self) -> Vec<&str> {
        let mut read = Vec::new();
        for input in &self.inputs {
            match &input.streams {
                StreamNames::Listed(names) => read.extend(names.iter().map(String::as_str)),
                StreamNames::Prefixed(_) => return Vec::new(),
            }
        }
        read.retain(|stream| is_topic(stream));
        read
    }

    /// Signs of trouble, for the findings.
    fn signs(&self, health: &[HealthReport]) -> Signs {
        let (topics, counts) = (self.status.topics(), self.status.by_definition());
        let filtered = topics.iter().map(|(topic, of)| (topic.to_string(), of.filtered_in_a_row));
        let mut signs = Signs {
            problems: self.problems(health),
            filtered_topics: filtered.collect(),
            ..Signs::default()
        };
        let head = self.queries.ledger().head();
        if head.height > 0 {
            signs.clock_behind_ms = head.time_ms.saturating_sub(self.clock.now_ms());
        }
        let read = self.topics_read();
        for mapping in &self.trial.mappings.mappings {
            let name = mapping.name.to_string();
            if !read.is_empty() && !read.iter().any(|topic| mapping.may_take(topic)) {
                let named = mapping.named_topics();
                let help =
                    did_you_mean(named.first().map_or("", String::as_str), read.iter().copied());
                signs.mappings_without_topic.push((name, named, help));
                continue;
            }
            let made = counts.mappings.get(&mapping.digest).copied().unwrap_or_default().all();
            let rejected = counts.rejected.get(&*mapping.name).copied().unwrap_or(0);
            if made + rejected == 0 {
                let taken = topics.iter().filter(|(topic, _)| mapping.may_take(topic));
                signs.idle_mappings.push((name, taken.map(|(_, of)| of.records).sum()));
            }
        }
        signs
    }
}

/// The reasons among problems why a service is not ready.
fn reasons(problems: &[Problem]) -> Vec<String> {
    let blocking = problems.iter().filter(|problem| problem.is_blocking);
    blocking
        .map(|problem| match problem.since_ms {
            Some(since_ms) => format!("{} (since {})", problem.what, time_text(since_ms)),
            None => problem.what.clone(),
        })
        .collect()
}
