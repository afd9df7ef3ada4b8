//! The state of a source's connection: brokers, topics, assigned partitions, refusals; and what
//! follows from it for readiness. Knows no client library.

mod problem;
mod topic;

pub(super) use problem::News;
pub use problem::{InputProblem, ProblemCode};
pub(super) use topic::TopicAnswer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::limits::{
    KAFKA_SILENCE_GRACE, KAFKA_START_GRACE, MAX_REMEMBERED_TROUBLES, SAME_TROUBLE_QUIET,
};
use topic::{About, Topic};

/// Shared between a source and whoever shows it.
pub struct InputHealth {
    clock: Arc<dyn Clock>,
    group: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connected: bool,
    connected_since: Moment,
    answered: Moment,
    last_error: Option<LastError>,
    refusals: BTreeMap<Refusal, LastError>,
    topics: BTreeMap<String, Topic>,
    /// Troubles that were news lately.
    told: VecDeque<LastError>,
    /// Problems that are in the log.
    logged: BTreeSet<(ProblemCode, String)>,
}

/// A moment on both clocks: the wall clock for people, the monotonic one for grace periods.
#[derive(Debug, Clone, Copy)]
struct Moment {
    ms: i64,
    at: Duration,
}

/// The part of a broker that refuses this client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// The connection: authentication, TLS, protocol version. Ends with a connection.
    Connection,
    /// Membership of the group. Ends with an assignment, a commit or a settled membership.
    Group,
    /// Asking where partitions of this topic begin. Ends with an answer, or with the question.
    Offsets(String),
    /// Reading records. Ends with records of every topic, or once reading was tried again.
    Fetch,
    /// Looking up this topic. Ends with an answer about it.
    Topic(String),
}

/// The health of a source at one moment. The default is that of a source without a connection,
/// such as a file: nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthReport {
    /// The consumer group; `None` where the source has no cluster.
    pub group: Option<String>,
    /// True if at least one broker is reached.
    pub connected: bool,
    /// Since when `connected` has its value, in milliseconds since 1970.
    pub since_ms: i64,
    /// The last trouble; `None` where there was none since connecting.
    pub last_error: Option<LastError>,
    /// The reasons why the broker refuses this client.
    pub refusals: Vec<LastError>,
    /// Each configured topic.
    pub topics: Vec<TopicReport>,
    /// The problems, worst first.
    pub problems: Vec<InputProblem>,
}

/// One configured topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicReport {
    /// Its name.
    pub name: String,
    /// True if the cluster knows it; `None` before it has answered.
    pub known: Option<bool>,
    /// Number of its partitions; `None` before the cluster has answered.
    pub partitions: Option<u32>,
    /// Partitions that this process reads.
    pub assigned: u32,
    /// Since when `assigned` is zero or is not, in milliseconds since 1970.
    pub since_ms: i64,
}

/// A trouble of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// In words for a person.
    pub message: String,
    /// Its time, in milliseconds since 1970.
    pub at_ms: i64,
}

impl std::fmt::Debug for InputHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InputHealth").field("report", &self.report()).finish_non_exhaustive()
    }
}

impl InputHealth {
    /// Not connected yet, and nothing known of the topics.
    #[must_use]
    pub fn new(group: &str, topics: &[String], clock: Arc<dyn Clock>) -> Self {
        let now = Moment { ms: clock.now_ms(), at: clock.monotonic() };
        let topics = topics.iter().map(|topic| (topic.clone(), Topic::new(now)));
        let state = State {
            connected: false,
            connected_since: now,
            answered: now,
            last_error: None,
            refusals: BTreeMap::new(),
            topics: topics.collect(),
            told: VecDeque::new(),
            logged: BTreeSet::new(),
        };
        Self { clock, group: group.to_owned(), state: Mutex::new(state) }
    }

    /// The present state.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let now = self.now();
        let state = self.lock();
        let topic = |(name, topic): (&String, &Topic)| TopicReport {
            name: name.clone(),
            known: topic.known,
            partitions: topic.partitions,
            assigned: topic.assigned,
            since_ms: topic.assigned_since.ms,
        };
        HealthReport {
            group: Some(self.group.clone()),
            connected: state.connected,
            since_ms: state.connected_since.ms,
            last_error: state.last_error.clone(),
            refusals: state.refusals.values().cloned().collect(),
            topics: state.topics.iter().map(topic).collect(),
            problems: state.problems(&self.group, now.at),
        }
    }

    /// The consumer group.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// True if at least one broker is reached.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.lock().connected
    }

    /// Notes whether a broker is reached. Returns whether that is news. The last error goes when the
    /// connection comes back.
    pub(super) fn set_connected(&self, connected: bool) -> bool {
        let now = self.now();
        let mut state = self.lock();
        if state.connected == connected {
            return false;
        }
        state.connected = connected;
        state.connected_since = now;
        if connected {
            state.answered = now;
            state.last_error = None;
            state.refusals.remove(&Refusal::Connection);
        }
        state.told.clear();
        true
    }

    /// Notes that a broker answers requests.
    pub(super) fn answered(&self) {
        let now = self.now();
        self.lock().answered = now;
    }

    /// Notes a trouble that passes by itself or needs a person. Returns whether it is news: not told
    /// since the connection came or went, or not for [`SAME_TROUBLE_QUIET`].
    pub(super) fn set_error(&self, message: &str) -> bool {
        let at_ms = self.clock.now_ms();
        let error = LastError { message: message.to_owned(), at_ms };
        let mut state = self.lock();
        state.last_error = Some(error.clone());
        let quiet = i64::try_from(SAME_TROUBLE_QUIET.as_millis()).unwrap_or(i64::MAX);
        // A clock that went back must not silence a trouble for good.
        state.told.retain(|told| (0..quiet).contains(&at_ms.saturating_sub(told.at_ms)));
        if state.told.iter().any(|told| told.message == message) {
            return false;
        }
        state.told.truncate(MAX_REMEMBERED_TROUBLES - 1);
        state.told.push_front(error);
        true
    }

    /// Notes that the broker refuses this client.
    pub(super) fn refuse(&self, refusal: Refusal, message: &str) {
        let at_ms = self.clock.now_ms();
        let refused = LastError { message: message.to_owned(), at_ms };
        // The first time counts as the beginning; the newest reason is shown.
        self.lock()
            .refusals
            .entry(refusal)
            .and_modify(|known| refused.message.clone_into(&mut known.message))
            .or_insert(refused);
    }

    /// Notes that a refusal has ended.
    pub(super) fn accept(&self, refusal: &Refusal) {
        self.lock().refusals.remove(refusal);
    }

    /// Notes an answer about a topic. Returns whether the topic or some of its partitions are new.
    pub(super) fn set_topic(&self, name: &str, answer: TopicAnswer) -> bool {
        let now = self.now();
        let mut state = self.lock();
        state.answered = now;
        state.refusals.remove(&Refusal::Topic(name.to_owned()));
        state.topics.get_mut(name).is_some_and(|topic| topic.set(answer, now))
    }

    /// Notes how many partitions of each topic are read, and how many could not begin yet.
    pub(super) fn set_assigned(&self, count: impl Fn(&str) -> (u32, u32)) {
        let now = self.now();
        let mut state = self.lock();
        for (name, topic) in &mut state.topics {
            topic.set_assigned(count(name), now);
        }
    }

    /// Notes which other members of the group hold partitions of a topic, in words.
    pub(super) fn set_holders(&self, name: &str, holders: Vec<String>, held: u32) {
        if let Some(topic) = self.lock().topics.get_mut(name) {
            (topic.holders, topic.held) = (holders, held);
        }
    }

    /// Number of a topic's partitions in the first answer about it: those with higher numbers were
    /// created since. `None` before there is an answer.
    pub(super) fn first_count(&self, name: &str) -> Option<u32> {
        self.lock().topics.get(name).and_then(|topic| topic.first_count)
    }

    /// Topics of which this process does not read every partition.
    pub(super) fn incomplete_topics(&self) -> Vec<String> {
        let state = self.lock();
        let lacks = |topic: &Topic| topic.assigned == 0 || topic.elsewhere() > 0;
        state
            .topics
            .iter()
            .filter(|(_, topic)| lacks(topic))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Every configured topic.
    pub(super) fn topics(&self) -> Vec<String> {
        self.lock().topics.keys().cloned().collect()
    }

    /// The changes since the last call, for the log.
    pub(super) fn news(&self) -> Vec<News> {
        let now = self.now();
        let mut state = self.lock();
        let problems = state.problems(&self.group, now.at);
        let key = |problem: &InputProblem| (problem.code, problem.topic.clone());
        let present: BTreeSet<_> = problems.iter().map(key).collect();
        let before = std::mem::replace(&mut state.logged, present.clone());
        let ended = before.difference(&present).cloned();
        let ended = ended.map(|(code, topic)| News::Ended(code, topic));
        let began = problems.into_iter().filter(|problem| !before.contains(&key(problem)));
        ended.chain(began.map(News::Began)).collect()
    }

    fn now(&self) -> Moment {
        Moment { ms: self.clock.now_ms(), at: self.clock.monotonic() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is an assignment of plain values, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The problems at this moment of the monotonic clock, worst first.
    fn problems(&self, group: &str, now: Duration) -> Vec<InputProblem> {
        let refused = self.refusals.values().map(|refused| InputProblem {
            code: ProblemCode::BrokerRefused,
            topic: String::new(),
            message: refused.message.clone(),
            since_ms: Some(refused.at_ms),
            is_blocking: true,
        });
        let mut problems: Vec<_> = refused.collect();
        match self.connection(now) {
            Some(problem) if problems.is_empty() => problems.push(problem),
            // A broker that refuses is the reason why none is connected.
            Some(_) => {}
            None => {
                let last_error = self.last_error.as_ref().map(|error| error.message.as_str());
                let about = About { group, now, connected: self.connected_since, last_error };
                for (name, topic) in &self.topics {
                    problems.extend(topic.problems(name, &about));
                }
                if !self.refusals.is_empty() {
                    // It does not come about by waiting.
                    problems.retain(|problem| problem.code != ProblemCode::Starting);
                }
            }
        }
        problems.sort_by_key(|problem| problem.code);
        problems
    }

    /// The problem of the connection as such.
    fn connection(&self, now: Duration) -> Option<InputProblem> {
        let problem = |code, message, since_ms| {
            let topic = String::new();
            Some(InputProblem { code, topic, message, since_ms: Some(since_ms), is_blocking: true })
        };
        if self.connected {
            let silent = now.saturating_sub(self.answered.at) >= KAFKA_SILENCE_GRACE;
            return silent
                .then(|| "a broker is connected but answers no request".to_owned())
                .and_then(|message| {
                    problem(ProblemCode::BrokerUnreachable, message, self.answered.ms)
                });
        }
        let since_ms = self.connected_since.ms;
        let Some(error) = &self.last_error else {
            let is_young = now.saturating_sub(self.connected_since.at) < KAFKA_START_GRACE;
            return match is_young {
                true => problem(ProblemCode::Starting, "connecting to Kafka".to_owned(), since_ms),
                false => {
                    let message = "no Kafka broker is reachable".to_owned();
                    problem(ProblemCode::BrokerUnreachable, message, since_ms)
                }
            };
        };
        // It may begin with the same words.
        let reason = error.message.trim_start_matches("no broker is reachable: ");
        let message = format!("no Kafka broker is reachable: {reason}");
        problem(ProblemCode::BrokerUnreachable, message, since_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that stands until it is moved.
    #[derive(Default)]
    struct Still(AtomicU64);

    impl Still {
        fn pass(&self, time: Duration) {
            self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
        }
    }

    impl Clock for Still {
        fn now_ms(&self) -> i64 {
            i64::try_from(self.0.load(Ordering::SeqCst)).unwrap()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    /// More than any grace period.
    const LONG: Duration = Duration::from_secs(60);

    fn health(topics: &[&str]) -> (InputHealth, Arc<Still>) {
        let clock = Arc::new(Still::default());
        clock.pass(SECOND);
        let topics: Vec<_> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        (InputHealth::new("g", &topics, clock.clone()), clock)
    }

    /// Time passes while the broker answers.
    fn pass(health: &InputHealth, clock: &Still, time: Duration) {
        clock.pass(time);
        health.answered();
    }

    fn known(partitions: u32) -> TopicAnswer {
        TopicAnswer { known: true, partitions, ..TopicAnswer::default() }
    }

    fn assign(health: &InputHealth, count: u32) {
        health.set_assigned(|_| (count, 0));
    }

    /// Codes of the problems; in capitals where they block.
    fn codes(health: &InputHealth) -> Vec<String> {
        let code = |problem: InputProblem| match problem.is_blocking {
            true => problem.code.name().to_uppercase(),
            false => problem.code.name().to_owned(),
        };
        health.report().problems.into_iter().map(code).collect()
    }

    fn message(health: &InputHealth) -> String {
        health.report().problems.remove(0).message
    }

    #[test]
    fn only_changes_are_news() {
        let (health, clock) = health(&["t"]);
        assert!(!health.connected());
        assert!(!health.set_connected(false));
        assert!(health.set_error("refused"));
        assert!(health.set_error("no such name"));
        clock.pass(SECOND);
        assert!(!health.set_error("refused"), "the two troubles take turns");
        clock.pass(LONG);
        assert!(health.set_error("refused"), "it is said again after a while");
        for number in 0..MAX_REMEMBERED_TROUBLES {
            assert!(health.set_error(&number.to_string()));
        }
        assert!(health.set_error("refused"), "only so many are remembered");
        assert_eq!(health.report().since_ms, 1_000);
        assert!(health.set_connected(true));
        let report = health.report();
        assert!(report.connected && report.since_ms == 62_000 && report.last_error.is_none());
    }

    #[test]
    fn ready_once_every_topic_is_known_and_read() {
        let (health, clock) = health(&["t", "u"]);
        assert_eq!(codes(&health), ["STARTING"]);
        clock.pass(LONG);
        assert_eq!(codes(&health), ["BROKER_UNREACHABLE"]);
        health.set_error("no broker is reachable: refused");
        assert_eq!(message(&health), "no Kafka broker is reachable: refused");
        health.set_connected(true);
        assert_eq!(
            codes(&health),
            ["STARTING", "STARTING"],
            "the grace begins with the connection"
        );
        pass(&health, &clock, LONG);
        assert_eq!(codes(&health), ["NO_PARTITION", "NO_PARTITION"]);
        health.set_topic("u", TopicAnswer::default());
        assert_eq!(codes(&health), ["TOPIC_MISSING", "NO_PARTITION"]);
        health.set_assigned(|topic| (u32::from(topic == "t"), 0));
        assert_eq!(codes(&health), ["TOPIC_MISSING"], "one topic alone is not enough");
        assert_eq!(message(&health), "the topic `u` does not exist");
        assert!(health.set_topic("u", known(1)), "it is news that it exists");
        assign(&health, 1);
        assert_eq!(codes(&health), [""; 0]);
    }

    #[test]
    fn a_loss_is_told_after_a_grace_period() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        health.set_topic("t", known(2));
        assign(&health, 2);
        pass(&health, &clock, LONG);
        assign(&health, 0);
        pass(&health, &clock, KAFKA_START_GRACE.min(SECOND));
        assert_eq!(codes(&health), [""; 0], "a rebalance");
        pass(&health, &clock, LONG);
        assert_eq!(codes(&health), ["NO_PARTITION"]);
        assign(&health, 2);
        assert_eq!(codes(&health), [""; 0]);
        health.set_topic("t", TopicAnswer::default());
        assert_eq!(codes(&health), [""; 0], "a broker that does not know yet");
        pass(&health, &clock, LONG);
        assert_eq!(codes(&health), ["TOPIC_MISSING"]);
        health.set_topic("t", known(2));
        health.set_connected(false);
        assert_eq!(codes(&health), ["STARTING"], "without a connection it is never ready");
    }

    #[test]
    fn the_holder_of_the_partitions_is_named() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        health.set_topic("t", known(2));
        pass(&health, &clock, LONG);
        let says = |expected: &str| assert_eq!(message(&health), expected);
        says(
            "no partition of topic `t` is assigned to this process: another member of group `g` may hold them",
        );
        health.set_holders("t", vec!["client `c` at h".to_owned()], 2);
        says("another member of group `g` holds all partitions of topic `t`: client `c` at h");
        health.set_holders("t", vec!["c".to_owned(), "d".to_owned()], 1);
        says("other members of group `g` hold the partitions of topic `t`: c, d");
        health.set_assigned(|_| (0, 2));
        health.set_error("not allowed");
        says(
            "group `g` has assigned partitions of topic `t`, but the starting offset cannot be read: not allowed",
        );
        assign(&health, 1);
        assert_eq!(codes(&health), [""; 0], "the other partition may be on its way");
        pass(&health, &clock, LONG);
        assert_eq!(codes(&health), ["partitions_elsewhere"]);
        assert_eq!(health.incomplete_topics(), ["t"]);
    }

    #[test]
    fn partitions_that_cannot_begin_are_not_said_to_be_elsewhere() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        health.set_topic("t", known(5));
        health.set_error("timed out");
        let waiting = "partitions of topic `t` are assigned to this process, but the starting offset cannot be read: timed out";
        let elsewhere = "partitions of topic `t` are not assigned to this process: other members of group `g` may hold them";
        let table = [
            ((3, 2), format!("2 of 5 {waiting}")),
            ((3, 0), format!("2 of 5 {elsewhere}")),
            ((2, 2), format!("2 of 5 {waiting}; 1 of 5 {elsewhere}")),
        ];
        for (counts, expected) in table {
            health.set_assigned(|_| counts);
            pass(&health, &clock, LONG);
            assert_eq!(codes(&health), ["partitions_elsewhere"]);
            assert_eq!(message(&health), expected);
        }
    }

    #[test]
    fn a_topic_that_is_created_later_has_its_own_grace_period() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        health.set_topic("t", TopicAnswer::default());
        pass(&health, &clock, 60 * LONG);
        assert_eq!(codes(&health), ["TOPIC_MISSING"]);
        health.set_topic("t", known(1));
        assert_eq!(codes(&health), ["STARTING"], "the group has not assigned it yet");
        pass(&health, &clock, LONG);
        assert_eq!(codes(&health), ["NO_PARTITION"]);
    }

    #[test]
    fn partitions_of_the_first_answer_are_told_from_later_ones() {
        let (health, _) = health(&["t", "u"]);
        assert_eq!(health.first_count("t"), None);
        for (topic, answer) in [("t", known(2)), ("u", TopicAnswer::default())] {
            health.set_topic(topic, answer);
            health.set_topic(topic, known(4));
        }
        assert_eq!([health.first_count("t"), health.first_count("u")], [Some(2), Some(0)]);
    }

    #[test]
    fn partitions_without_a_leader_are_told() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        assign(&health, 2);
        for (leaderless, expected) in
            [(vec![1], "partition_without_leader"), (vec![0, 1], "PARTITION_WITHOUT_LEADER")]
        {
            let leaderless = leaderless.into_iter().collect();
            health.set_topic("t", TopicAnswer { leaderless, ..known(2) });
            pass(&health, &clock, LONG);
            assert_eq!(codes(&health), [expected]);
        }
        assert_eq!(message(&health), "topic `t`: no broker leads partition 0, 1");
        health.set_topic("t", known(2));
        assert_eq!(codes(&health), [""; 0]);
    }

    #[test]
    fn a_refusal_lasts_until_what_ends_it() {
        let (health, _) = health(&["t"]);
        health.refuse(Refusal::Connection, "wrong password");
        assert_eq!(codes(&health), ["BROKER_REFUSED"], "and not: unreachable");
        assert_eq!(message(&health), "wrong password");
        health.refuse(Refusal::Group, "no such right");
        health.set_connected(true);
        assert_eq!(codes(&health), ["BROKER_REFUSED"], "and not: starting");
        health.set_topic("t", known(1));
        assign(&health, 1);
        assert_eq!(codes(&health), ["BROKER_REFUSED"]);
        assert_eq!(message(&health), "no such right");
        health.accept(&Refusal::Group);
        health.refuse(Refusal::Topic("t".to_owned()), "not to be described");
        assert_eq!(codes(&health), ["BROKER_REFUSED"]);
        health.set_topic("t", known(1));
        assert_eq!(codes(&health), [""; 0]);
    }

    #[test]
    fn a_broker_that_answers_nothing_is_unreachable() {
        let (health, clock) = health(&["t"]);
        health.set_connected(true);
        health.set_topic("t", known(1));
        assign(&health, 1);
        clock.pass(LONG);
        assert_eq!(codes(&health), ["BROKER_UNREACHABLE"]);
        assert_eq!(message(&health), "a broker is connected but answers no request");
        health.answered();
        assert_eq!(codes(&health), [""; 0]);
    }

    #[test]
    fn the_log_is_told_of_each_change_once() {
        let (health, _) = health(&["t"]);
        health.set_connected(true);
        let [News::Began(starting)] = &health.news()[..] else { panic!("no news") };
        assert_eq!(starting.code, ProblemCode::Starting);
        assert_eq!(health.news(), []);
        health.set_topic("t", TopicAnswer::default());
        let news = health.news();
        assert_eq!(news[0], News::Ended(ProblemCode::Starting, "t".to_owned()));
        assert!(matches!(&news[1], News::Began(missing) if missing.topic == "t"), "{news:?}");
        assert_eq!((news.len(), health.news()), (2, vec![]));
    }
}
