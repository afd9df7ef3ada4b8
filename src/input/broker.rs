//! A Kafka broker within the process: librdkafka's mock cluster, which speaks the real protocol on
//! 127.0.0.1. For the demonstration, benchmarks and tests.
//!
//! It keeps nothing on disk and at most 5 MiB or 100,000 batches a partition, so producers must be held
//! back by what was consumed ([`crate::input::producer`]). Never for production.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&Cluster) + Send>;

/// Why the embedded broker did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It could not be started.
    #[error("the embedded Kafka broker failed to start: {0}")]
    Start(String),
    /// It refused.
    #[error("the embedded Kafka broker: {0}")]
    Refused(String),
    /// Its thread has ended.
    #[error("the embedded Kafka broker has stopped")]
    Ended,
}

/// A request of the protocol that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerRequest {
    /// Writing records.
    Produce,
    /// Reading records.
    Fetch,
    /// Asking for watermarks.
    ListOffsets,
    /// Writing a group's offsets.
    OffsetCommit,
    /// Asking for a group's offsets.
    OffsetFetch,
    /// A group member's sign of life.
    Heartbeat,
    /// Joining a group.
    JoinGroup,
    /// Asking which broker keeps a group.
    FindCoordinator,
}

/// The failure of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerFault {
    /// The connection is closed.
    Disconnect,
    /// Another broker leads the partition.
    NotLeader,
    /// The offset is not there.
    OffsetOutOfRange,
    /// The user has no right to the topic.
    Forbidden,
    /// The user has no right to the group.
    GroupForbidden,
    /// Other members of the group divide partitions by other strategies.
    OtherStrategy,
    /// Another process has joined the group with the same member id.
    Fenced,
    /// The member belongs to a former generation of its group.
    IllegalGeneration,
    /// Another broker keeps the group.
    NotCoordinator,
    /// The request took too long.
    TimedOut,
}

/// A running broker, or several; ends when dropped.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap: String,
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a cluster of so many brokers on free ports of 127.0.0.1.
    pub fn start(brokers: u8) -> Result<Self, BrokerError> {
        let (commands, todo) = mpsc::channel();
        let (started, bootstrap) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || serve(brokers, &started, &todo))
            .map_err(|error| BrokerError::Start(error.to_string()))?;
        let bootstrap = bootstrap.recv().map_err(|_| BrokerError::Ended)??;
        Ok(Self { bootstrap, commands: Some(commands), thread: Some(thread) })
    }

    /// `host:port` of every broker, with commas. Other processes may use it too.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic with partitions from 0.
    pub fn create_topic(&self, topic: &str, partitions: u16) -> Result<(), BrokerError> {
        let topic = topic.to_owned();
        self.tell(move |cluster| cluster.create_topic(&topic, i32::from(partitions), 1))
    }

    /// Closes every connection and takes no new ones.
    pub fn down(&self) -> Result<(), BrokerError> {
        self.tell(|cluster| cluster.broker_down(-1))
    }

    /// Takes connections again.
    pub fn up(&self) -> Result<(), BrokerError> {
        self.tell(|cluster| cluster.broker_up(-1))
    }

    /// Makes a broker, counted from 1, the leader of a partition; `None` leaves it without one.
    pub fn set_leader(
        &self,
        topic: &str,
        partition: u16,
        broker: Option<u8>,
    ) -> Result<(), BrokerError> {
        let topic = topic.to_owned();
        self.tell(move |cluster| {
            cluster.partition_leader(&topic, i32::from(partition), broker.map(i32::from))
        })
    }

    /// Lets the next so many requests of a kind fail.
    pub fn fail(
        &self,
        request: BrokerRequest,
        diagnostic: BrokerFault,
        times: u16,
    ) -> Result<(), BrokerError> {
        let diagnostics = vec![diagnostic.code(); usize::from(times)];
        self.tell(move |cluster| {
            cluster.request_errors(request.key(), &diagnostics);
            Ok(())
        })
    }

    /// Lets whoever asks for a topic be told that there is none, or that it is there again.
    pub fn set_absent(&self, topic: &str, absent: bool) -> Result<(), BrokerError> {
        let answer = match absent {
            true => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            false => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
        };
        self.answer(topic, answer)
    }

    /// Lets whoever asks for a topic be told that the user has no right to it, or has it again.
    pub fn set_forbidden(&self, topic: &str, forbidden: bool) -> Result<(), BrokerError> {
        let answer = match forbidden {
            true => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            false => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
        };
        self.answer(topic, answer)
    }

    fn answer(&self, topic: &str, answer: RDKafkaRespErr) -> Result<(), BrokerError> {
        let topic = topic.to_owned();
        self.tell(move |cluster| cluster.topic_error(&topic, answer))
    }

    /// Delays every answer by this.
    pub fn set_delay(&self, delay: Duration) -> Result<(), BrokerError> {
        self.tell(move |cluster| cluster.broker_round_trip_time(-1, delay))
    }

    fn tell(
        &self,
        command: impl FnOnce(&Cluster) -> KafkaResult<()> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let (answer, answered) = mpsc::channel();
        let command = Box::new(move |cluster: &Cluster| {
            // Nobody may wait for the answer any more.
            let _ = answer.send(command(cluster));
        });
        let commands = self.commands.as_ref().ok_or(BrokerError::Ended)?;
        commands.send(command).map_err(|_| BrokerError::Ended)?;
        let result = answered.recv().map_err(|_| BrokerError::Ended)?;
        result.map_err(|error| BrokerError::Refused(error.to_string()))
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the broker's thread has been reported by then.
            let _ = thread.join();
        }
    }
}

/// The thread that owns the cluster, which may not move between threads.
fn serve(brokers: u8, started: &Sender<Result<String, BrokerError>>, commands: &Receiver<Command>) {
    let cluster = match MockCluster::new(i32::from(brokers)) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(BrokerError::Start(error.to_string())));
            return;
        }
    };
    if started.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    for command in commands {
        command(&cluster);
    }
}

impl BrokerRequest {
    fn key(self) -> RDKafkaApiKey {
        match self {
            Self::Produce => RDKafkaApiKey::Produce,
            Self::Fetch => RDKafkaApiKey::Fetch,
            Self::ListOffsets => RDKafkaApiKey::ListOffsets,
            Self::OffsetCommit => RDKafkaApiKey::OffsetCommit,
            Self::OffsetFetch => RDKafkaApiKey::OffsetFetch,
            Self::Heartbeat => RDKafkaApiKey::Heartbeat,
            Self::JoinGroup => RDKafkaApiKey::JoinGroup,
            Self::FindCoordinator => RDKafkaApiKey::FindCoordinator,
        }
    }
}

impl BrokerFault {
    fn code(self) -> RDKafkaRespErr {
        use RDKafkaRespErr as Code;
        match self {
            Self::Disconnect => Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Self::NotLeader => Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Self::OffsetOutOfRange => Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
            Self::Forbidden => Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Self::GroupForbidden => Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            Self::OtherStrategy => Code::RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL,
            Self::Fenced => Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
            Self::IllegalGeneration => Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            Self::NotCoordinator => Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Self::TimedOut => Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        }
    }
}
