//! One configured topic: what the cluster says of it, and which of its partitions are read.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Moment;
use super::problem::{InputProblem, ProblemCode};
use crate::limits::{KAFKA_LOST_GRACE, KAFKA_START_GRACE};

/// An answer of the cluster about one topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::input) struct TopicAnswer {
    /// True if the topic exists.
    pub(in crate::input) known: bool,
    /// Number of its partitions.
    pub(in crate::input) partitions: u32,
    /// Those that no broker leads.
    pub(in crate::input) leaderless: BTreeSet<u32>,
}

/// The reason given if the broker has not answered.
const NO_ANSWER: &str = "the broker has not answered";

#[derive(Debug)]
pub(super) struct Topic {
    /// True if the cluster knows it; `None` before it has answered.
    pub(super) known: Option<bool>,
    /// Since when.
    pub(super) known_since: Moment,
    /// Number of its partitions, where known.
    pub(super) partitions: Option<u32>,
    /// The same in the first answer; 0 where the topic did not exist then.
    pub(super) first_count: Option<u32>,
    /// Partitions that no broker leads.
    pub(super) leaderless: BTreeSet<u32>,
    /// Since when there are such, or none.
    pub(super) leaderless_since: Moment,
    /// Partitions that this process reads.
    pub(super) assigned: u32,
    /// Partitions that were assigned and could not begin yet.
    pub(super) pending: u32,
    /// Since when `assigned` is zero, or is not.
    pub(super) assigned_since: Moment,
    /// Since when some partitions are not read, or none.
    pub(super) elsewhere_since: Moment,
    /// Other members of the group that hold partitions, in words.
    pub(super) holders: Vec<String>,
    /// Partitions that these hold.
    pub(super) held: u32,
    /// True if it was known and read once, so that a grace period applies to its loss.
    pub(super) was_read: bool,
}

/// Data shared by the problems of all topics.
pub(super) struct About<'a> {
    pub(super) group: &'a str,
    pub(super) now: Duration,
    pub(super) connected: Moment,
    pub(super) last_error: Option<&'a str>,
}

impl Topic {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            known: None,
            known_since: now,
            partitions: None,
            first_count: None,
            leaderless: BTreeSet::new(),
            leaderless_since: now,
            assigned: 0,
            pending: 0,
            assigned_since: now,
            elsewhere_since: now,
            holders: Vec::new(),
            held: 0,
            was_read: false,
        }
    }

    /// Takes an answer in; whether the topic or some of its partitions are new.
    pub(super) fn set(&mut self, answer: TopicAnswer, now: Moment) -> bool {
        if self.known != Some(answer.known) {
            self.known_since = now;
        }
        if self.leaderless.is_empty() != answer.leaderless.is_empty() {
            self.leaderless_since = now;
        }
        let was_absent = self.known == Some(false) && answer.known;
        let grew = self.partitions.is_some_and(|before| before < answer.partitions);
        let was_complete = self.elsewhere() == 0;
        self.first_count.get_or_insert(if answer.known { answer.partitions } else { 0 });
        self.known = Some(answer.known);
        self.partitions = answer.known.then_some(answer.partitions);
        self.leaderless = answer.leaderless;
        if was_complete != (self.elsewhere() == 0) {
            self.elsewhere_since = now;
        }
        was_absent || grew
    }

    /// Takes in how many partitions are read, and how many could not begin yet.
    pub(super) fn set_assigned(&mut self, (assigned, pending): (u32, u32), now: Moment) {
        let was_complete = self.elsewhere() == 0;
        let begins_or_ends = (assigned == 0) != (self.assigned == 0);
        (self.assigned, self.pending) = (assigned, pending);
        if begins_or_ends {
            self.assigned_since = now;
        }
        if begins_or_ends || was_complete != (self.elsewhere() == 0) {
            self.elsewhere_since = now;
        }
        if assigned > 0 {
            self.was_read = true;
            // The group assigns only what the cluster knows.
            if self.known.is_none() {
                (self.known, self.known_since) = (Some(true), now);
            }
        }
    }

    /// Partitions that this process does not read, whoever has them.
    pub(super) fn elsewhere(&self) -> u32 {
        self.partitions.unwrap_or(0).saturating_sub(self.assigned)
    }

    pub(super) fn problems(&self, name: &str, about: &About<'_>) -> Vec<InputProblem> {
        let since = |moment: Moment| match moment.at < about.connected.at {
            true => about.connected,
            false => moment,
        };
        let age = |moment: Moment| about.now.saturating_sub(since(moment).at);
        let is_told = |moment| !self.was_read || age(moment) >= KAFKA_LOST_GRACE;
        let problem = |code, message, moment: Moment, is_blocking| InputProblem {
            code,
            topic: name.to_owned(),
            message,
            since_ms: Some(since(moment).ms),
            is_blocking,
        };
        if self.known == Some(false) {
            let message = format!("the topic `{name}` does not exist");
            let missing = problem(ProblemCode::TopicMissing, message, self.known_since, true);
            return is_told(self.known_since).then_some(missing).into_iter().collect();
        }
        if self.assigned == 0 {
            // A topic that has just been created cannot have been assigned before.
            let absent_since = match self.known_since.at > self.assigned_since.at {
                true => self.known_since,
                false => self.assigned_since,
            };
            let is_starting = !self.was_read && age(absent_since) < KAFKA_START_GRACE;
            let (code, message) = match is_starting {
                true => {
                    let group = about.group;
                    let message = format!("joining group `{group}` for topic `{name}`");
                    (ProblemCode::Starting, message)
                }
                false => (ProblemCode::NoPartition, self.no_partition(name, about)),
            };
            let none = problem(code, message, absent_since, true);
            return is_told(absent_since).then_some(none).into_iter().collect();
        }
        let mut problems = Vec::new();
        if !self.leaderless.is_empty() && age(self.leaderless_since) >= KAFKA_LOST_GRACE {
            let numbers: Vec<_> = self.leaderless.iter().map(u32::to_string).collect();
            let is_all = self.partitions == u32::try_from(numbers.len()).ok();
            let numbers = numbers.join(", ");
            let message = format!("topic `{name}`: no broker leads partition {numbers}");
            let code = ProblemCode::PartitionWithoutLeader;
            problems.push(problem(code, message, self.leaderless_since, is_all));
        }
        if self.elsewhere() > 0 && age(self.elsewhere_since) >= KAFKA_LOST_GRACE {
            let message = self.not_read(name, about);
            let code = ProblemCode::PartitionsElsewhere;
            problems.push(problem(code, message, self.elsewhere_since, false));
        }
        problems
    }

    /// Says why some partitions of the topic are not read, as far as that is known.
    fn not_read(&self, name: &str, about: &About<'_>) -> String {
        let (missing, all) = (self.elsewhere(), self.partitions.unwrap_or(0));
        let waiting = self.pending.min(missing);
        let elsewhere = missing - waiting;
        let mut parts = Vec::new();
        if waiting > 0 {
            let reason = about.last_error.unwrap_or(NO_ANSWER);
            parts.push(format!(
                "{waiting} of {all} partitions of topic `{name}` are assigned to this process, but the starting offset cannot be read: {reason}"
            ));
        }
        if elsewhere > 0 {
            let holders = match self.holders.is_empty() {
                true => format!("other members of group `{}` may hold them", about.group),
                false => format!("held by {}", self.holders.join(", ")),
            };
            parts.push(format!(
                "{elsewhere} of {all} partitions of topic `{name}` are not assigned to this process: {holders}"
            ));
        }
        parts.join("; ")
    }

    /// Says why no partition of the topic is read, as far as that is known.
    fn no_partition(&self, name: &str, about: &About<'_>) -> String {
        let group = about.group;
        if self.pending > 0 {
            let reason = about.last_error.unwrap_or(NO_ANSWER);
            return format!(
                "group `{group}` has assigned partitions of topic `{name}`, but the starting offset cannot be read: {reason}"
            );
        }
        let which = if self.partitions == Some(self.held) { "all" } else { "the" };
        match self.holders.as_slice() {
            [] => format!(
                "no partition of topic `{name}` is assigned to this process: another member of group `{group}` may hold them"
            ),
            [holder] => format!(
                "another member of group `{group}` holds {which} partitions of topic `{name}`: {holder}"
            ),
            holders => format!(
                "other members of group `{group}` hold {which} partitions of topic `{name}`: {}",
                holders.join(", ")
            ),
        }
    }
}
