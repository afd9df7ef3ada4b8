//! The watch over topics and the group: a thread that asks the cluster what the configured topics
//! are and who reads them, and writes to the log what is wrong.
//!
//! It never polls the consumer and never changes what is read. A request of its own waits at most
//! [`KAFKA_REQUEST_TIMEOUT`]; the poll loop never waits for it, only the end of the source does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::groups::GroupMemberInfo;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};

use crate::input::health::{News, ProblemCode, Refusal, TopicAnswer};
use crate::input::kafka::context::{Context, refuses};
use crate::input::kafka::members;
use crate::input::{InputError, InputProblem};
use crate::limits::{
    KAFKA_REQUEST_TIMEOUT, KAFKA_WATCH_CALM, KAFKA_WATCH_EVERY, MAX_NAMED_MEMBERS,
    MAX_WATCHED_OFFSETS,
};

/// Interval at which the watch wakes to check for due work.
const TICK: Duration = Duration::from_millis(500);

/// A running watch. It ends when dropped, and has let go of the consumer then.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the watch over a consumer.
    pub(super) fn start(consumer: &Arc<BaseConsumer<Context>>) -> Result<Self, InputError> {
        let (stop, stopped) = mpsc::channel();
        let consumer = Arc::clone(consumer);
        let thread = Builder::new()
            .name("kafka-watch".to_owned())
            .spawn(move || run(&consumer, &stopped))
            .map_err(|error| {
                InputError::Kafka(format!("cannot start the watch thread: {error}"))
            })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its thread.
            let _ = thread.join();
        }
    }
}

fn run(consumer: &BaseConsumer<Context>, stopped: &Receiver<()>) {
    let health = consumer.context().health();
    let mut asked = None;
    loop {
        let now = consumer.context().monotonic();
        let pause = match health.incomplete_topics().is_empty() {
            true => KAFKA_WATCH_CALM,
            false => KAFKA_WATCH_EVERY,
        };
        let is_due = asked.is_none_or(|asked| now.saturating_sub(asked) >= pause);
        if is_due && health.connected() {
            look(consumer, stopped);
            asked = Some(now);
        }
        let mut news = health.news();
        if health.connected() && news.iter().any(wants_members) {
            look(consumer, stopped);
            asked = Some(consumer.context().monotonic());
            with_present_words(&mut news, &health.report().problems);
        }
        news.iter().for_each(tell);
        match stopped.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// True if a change is explained by the group's members.
fn wants_members(news: &News) -> bool {
    matches!(
        news,
        News::Began(InputProblem {
            code: ProblemCode::NoPartition | ProblemCode::PartitionsElsewhere,
            ..
        })
    )
}

/// Lets problems that began say what is known of them by now.
fn with_present_words(news: &mut [News], problems: &[InputProblem]) {
    for one in news {
        let News::Began(began) = one else { continue };
        let is_same = |now: &&InputProblem| (now.code, &now.topic) == (began.code, &began.topic);
        if let Some(now) = problems.iter().find(is_same) {
            *began = now.clone();
        }
    }
}

/// Writes a change to the log.
fn tell(news: &News) {
    match news {
        News::Began(problem) if problem.code == ProblemCode::Starting => {
            tracing::info!(code = problem.code.name(), "{}", problem.message);
        }
        News::Began(problem) => {
            let (code, ready) = (problem.code.name(), !problem.is_blocking);
            tracing::warn!(code, ready, "{}", problem.message);
        }
        News::Ended(code, topic) => {
            tracing::info!(code = code.name(), topic, "resolved");
        }
    }
}

/// Asks about every topic, and about those who read what this process does not.
fn look(consumer: &BaseConsumer<Context>, stopped: &Receiver<()>) {
    let context = consumer.context();
    let mut is_new = false;
    for topic in context.health().topics() {
        if stopped.try_recv() != Err(TryRecvError::Empty) {
            return;
        }
        match consumer.fetch_metadata(Some(&topic), KAFKA_REQUEST_TIMEOUT) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                is_new |= found.is_some_and(|found| note_topic(context, found));
            }
            Err(error) => note_error(context, &topic, &error),
        }
    }
    if is_new {
        // Only an answer about all topics makes the client look at its subscription at once. The
        // topics are known already, so a failure merely means to wait for its own refresh.
        let _ = consumer.fetch_metadata(None, KAFKA_REQUEST_TIMEOUT);
    }
    let problems = context.health().report().problems.into_iter();
    let wanting = problems.filter(|problem| {
        matches!(problem.code, ProblemCode::NoPartition | ProblemCode::PartitionsElsewhere)
    });
    let topics: Vec<_> = wanting.map(|problem| problem.topic).collect();
    if topics.is_empty() || stopped.try_recv() != Err(TryRecvError::Empty) {
        return;
    }
    note_members(consumer, &topics);
    for topic in topics {
        note_offsets(consumer, &topic, stopped);
    }
}

/// Takes an answer about a topic in; whether something of it is new.
fn note_topic(context: &Context, topic: &MetadataTopic) -> bool {
    let is_unknown = match topic.error().map(RDKafkaErrorCode::from) {
        None => false,
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => true,
        Some(code) => {
            // Other errors pass: a topic that is being made has no leader yet.
            note_code(context, topic.name(), code);
            return false;
        }
    };
    let number = |partition: &MetadataPartition| u32::try_from(partition.id()).ok();
    let leaderless = topic.partitions().iter().filter(|partition| partition.leader() < 0);
    let answer = TopicAnswer {
        known: !is_unknown,
        partitions: u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX),
        leaderless: leaderless.filter_map(number).collect(),
    };
    for partition in topic.partitions() {
        context.discover(topic.name(), partition.id(), None);
    }
    context.health().set_topic(topic.name(), answer)
}

fn note_error(context: &Context, topic: &str, error: &KafkaError) {
    match error.rdkafka_error_code() {
        Some(code) => note_code(context, topic, code),
        None => tracing::debug!("Kafka: describing topic {topic}: {error}"),
    }
}

fn note_code(context: &Context, topic: &str, code: RDKafkaErrorCode) {
    if refuses(code) {
        let message = format!("the broker refuses to describe topic `{topic}`: {code}");
        context.refuse(Refusal::Topic(topic.to_owned()), &message);
    } else {
        tracing::debug!("Kafka: describing topic {topic}: {code}");
    }
}

/// Asks who else reads these topics. A broker may not know or not tell.
fn note_members(consumer: &BaseConsumer<Context>, topics: &[String]) {
    let context = consumer.context();
    let answer = consumer.fetch_group_list(Some(context.health().group()), KAFKA_REQUEST_TIMEOUT);
    let groups = match answer {
        Ok(groups) => groups,
        Err(error) => return tracing::debug!("Kafka: listing the group's members: {error}"),
    };
    for topic in topics {
        let ours: BTreeSet<_> = context.partitions_read(topic).into_iter().collect();
        let (mut holders, mut held) = (Vec::new(), 0);
        for member in groups.groups().iter().flat_map(|group| group.members()) {
            let partitions = members::assigned(member.assignment().unwrap_or_default(), topic);
            let is_ours = |number: &i32| u32::try_from(*number).is_ok_and(|n| ours.contains(&n));
            if partitions.is_empty() || partitions.iter().any(is_ours) {
                continue;
            }
            held += u32::try_from(partitions.len()).unwrap_or(u32::MAX);
            holders.push(context.redacted(&named(member)));
        }
        let more = holders.len().saturating_sub(MAX_NAMED_MEMBERS);
        holders.truncate(MAX_NAMED_MEMBERS);
        if more > 0 {
            holders.push(format!("{more} more"));
        }
        context.health().set_holders(topic, holders, held);
    }
}

/// A member as a person finds it: its client, machine and id. The texts are the member's own.
fn named(member: &GroupMemberInfo) -> String {
    let (client, host) = (member.client_id(), member.client_host().trim_start_matches('/'));
    let [client, host, id] = [client, host, member.id()].map(str::escape_debug);
    // The id of a static member begins with its `group.instance.id`.
    format!("client `{client}` at {host}, member `{id}`")
}

/// Asks where partitions end that this process does not read, so that their lag is known.
fn note_offsets(consumer: &BaseConsumer<Context>, topic: &str, stopped: &Receiver<()>) {
    let context = consumer.context();
    for number in context.unassigned(topic).into_iter().take(MAX_WATCHED_OFFSETS) {
        if stopped.try_recv() != Err(TryRecvError::Empty) {
            return;
        }
        match consumer.fetch_watermarks(topic, number, KAFKA_REQUEST_TIMEOUT) {
            Ok(watermarks) => context.discover(topic, number, Some(watermarks)),
            // The next look asks again.
            Err(error) => {
                return tracing::debug!(
                    "Kafka: fetching the end offset of {topic}/{number}: {error}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_logged_in_the_words_of_the_last_look() {
        let problem = |code, message: &str| InputProblem {
            code,
            topic: "t".to_owned(),
            message: message.to_owned(),
            since_ms: None,
            is_blocking: true,
        };
        let lost = problem(ProblemCode::NoPartition, "another member may hold them");
        let starting = problem(ProblemCode::Starting, "joining");
        let mut news = [News::Began(lost), News::Began(starting.clone())];
        assert!(wants_members(&news[0]) && !wants_members(&news[1]));
        let named = problem(ProblemCode::NoPartition, "client `c` holds them");
        with_present_words(&mut news, std::slice::from_ref(&named));
        assert_eq!(news, [News::Began(named), News::Began(starting)]);
    }
}
