//! A thread that asks the brokers whether the group may be joined, and then where partitions begin,
//! so that the poll loop never waits for an answer: whatever blocks there for long costs the
//! membership of the group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::input::InputError;
use crate::input::kafka::context::{Context, refuses};
use crate::input::kafka::join::{Joining, join};
use crate::input::kafka::lookups::{Name, Question};
use crate::limits::KAFKA_RETRY_PAUSE;

/// Pause between two looks whether the thread has ended.
const END_LOOK: Duration = Duration::from_millis(10);
/// Looks before its end is no longer waited for: seven seconds, longer than a request may take.
const END_LOOKS: u32 = 700;

/// Offsets of a partition, from the group and the brokers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offsets {
    /// The group's committed offset.
    pub(super) committed: Option<u64>,
    /// Earliest offset that the broker has.
    pub(super) low: u64,
    /// Offset after the last record.
    pub(super) high: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) message: String,
    /// True if the broker understood the request and refused it.
    pub(super) is_refusal: bool,
}

/// The answer to a question, or why there is none.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) name: Name,
    pub(super) offsets: Result<Offsets, Failure>,
}

/// A running thread. It ends when dropped, and has let go of the consumer then, unless a request in
/// hand takes far longer than it may.
#[derive(Debug)]
pub(super) struct Asker {
    questions: Option<Sender<Vec<Question>>>,
    thread: Option<JoinHandle<()>>,
}

impl Asker {
    /// Starts the thread. Its answers go to the consumer's context.
    pub(super) fn start(consumer: &Arc<BaseConsumer<Context>>) -> Result<Self, InputError> {
        let (questions, asked) = mpsc::channel();
        let consumer = Arc::clone(consumer);
        let thread = Builder::new()
            .name("kafka-offsets".to_owned())
            .spawn(move || run(&consumer, &asked))
            .map_err(|error| {
                InputError::Kafka(format!("cannot start the offset thread: {error}"))
            })?;
        Ok(Self { questions: Some(questions), thread: Some(thread) })
    }

    /// Asks these questions. Does not wait.
    pub(super) fn ask(&self, questions: Vec<Question>) {
        if let Some(sender) = self.questions.as_ref().filter(|_| !questions.is_empty()) {
            // A thread that has ended has reported its panic; readiness tells that nothing begins.
            let _ = sender.send(questions);
        }
    }

    /// Lets the thread come to its end without waiting for it.
    pub(super) fn stop(&mut self) {
        self.questions = None;
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.stop();
        let Some(thread) = self.thread.take() else { return };
        // The client's waits end by the calendar, and one that was set back can keep them for hours.
        // The process then ends without having left the group.
        for _ in 0..END_LOOKS {
            if thread.is_finished() {
                // A panic there was reported by its thread.
                let _ = thread.join();
                return;
            }
            std::thread::sleep(END_LOOK);
        }
        tracing::warn!("a request to the Kafka brokers timed out");
    }
}

/// A question of which the group's offset is known.
struct Open {
    question: Question,
    committed: Option<u64>,
}

fn run(consumer: &BaseConsumer<Context>, asked: &Receiver<Vec<Question>>) {
    let context = consumer.context();
    while matches!(join(consumer), Joining::Again) {
        // Partitions are asked about once they are assigned, so nothing but the end comes before.
        if asked.recv_timeout(KAFKA_RETRY_PAUSE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
    let mut open: Vec<Open> = Vec::new();
    loop {
        let more = match open.is_empty() {
            true => asked.recv().map_err(|_| TryRecvError::Disconnected),
            false => asked.try_recv(),
        };
        match more {
            Ok(questions) => {
                open.extend(committed(consumer, questions));
                // Those that failed before wait behind those that did not.
                open.sort_by_key(|one| std::cmp::Reverse(one.question.timeout));
                continue;
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        let Some(Open { question, committed }) = open.pop() else { continue };
        let (topic, number) = &question.name;
        let offsets = match consumer.fetch_watermarks(topic, *number, question.timeout) {
            Ok((low, high)) => {
                let at = |offset: i64| u64::try_from(offset).unwrap_or_default();
                Ok(Offsets { committed, low: at(low), high: at(high) })
            }
            Err(error) => {
                Err(failure(&format!("fetching the offsets of {topic}/{number}"), &error))
            }
        };
        context.answer(Answer { id: question.id, name: question.name, offsets });
    }
}

/// Asks for the group's offsets, in one request. Questions that it fails for are answered.
fn committed(consumer: &BaseConsumer<Context>, questions: Vec<Question>) -> Vec<Open> {
    let mut list = TopicPartitionList::with_capacity(questions.len());
    for Question { name: (topic, number), .. } in &questions {
        list.add_partition(topic, *number);
    }
    let timeout = questions.iter().map(|question| question.timeout).max();
    let found = consumer.committed_offsets(list, timeout.unwrap_or(Duration::ZERO));
    // The list must not outlive the consumer, so it is let go of here.
    let found: Result<BTreeMap<Name, Result<Option<u64>, Failure>>, Failure> = match &found {
        Ok(list) => Ok(list
            .elements()
            .iter()
            .map(|element| {
                let offset = match element.offset() {
                    Offset::Offset(offset) => u64::try_from(offset).ok(),
                    _ => None,
                };
                let failed = |error| failure("fetching the group's offset", &error);
                let offset = element.error().map(|()| offset).map_err(failed);
                ((element.topic().to_owned(), element.partition()), offset)
            })
            .collect()),
        Err(error) => Err(failure("fetching the group's offsets", error)),
    };
    let mut open = Vec::with_capacity(questions.len());
    for question in questions {
        let committed = match &found {
            Ok(offsets) => offsets.get(&question.name).cloned().unwrap_or(Ok(None)),
            Err(failure) => Err(failure.clone()),
        };
        match committed {
            Ok(committed) => open.push(Open { question, committed }),
            Err(failure) => {
                let Question { id, name, .. } = question;
                consumer.context().answer(Answer { id, name, offsets: Err(failure) });
            }
        }
    }
    open
}

fn failure(what: &str, error: &KafkaError) -> Failure {
    let is_refusal = error.rdkafka_error_code().is_some_and(refuses);
    Failure { message: format!("{what}: {error}"), is_refusal }
}
