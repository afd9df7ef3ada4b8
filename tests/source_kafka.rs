//! Kafka yields every record once and in order: across rebalances, outages, leader changes and
//! restarts; and it is refused where the ledger's position and the broker contradict each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ledgerline::clock::{Clock, SystemClock};
use ledgerline::codec::yaml;
use ledgerline::event::{RecordDigests, SourcePartition};
use ledgerline::input::broker::{BrokerFault, BrokerRequest, EmbeddedBroker};
use ledgerline::input::producer::{GatedProducer, Outgoing, Sent};
use ledgerline::input::{
    Accepted, Assignments, BatchBuilder, Generation, Input, InputError, KafkaForm, KafkaInput,
    LastTaken, LastTakenOf, Polled, ProblemCode,
};
use ledgerline::limits::KAFKA_REFUSED_EVERY;

/// Polls that a condition may take: with [`WAIT`] each, two minutes.
const MOST_POLLS: usize = 2_400;
const WAIT: Duration = Duration::from_millis(50);

/// One member of the group `ledger`. Several may share the same assignments, as one ledger has them.
struct Member {
    source: KafkaInput,
    assignments: Arc<Assignments>,
}

/// Offsets and values accepted so far, in order.
type Seen = BTreeMap<String, Vec<(u64, Vec<u8>)>>;

impl Member {
    fn join(broker: &EmbeddedBroker, assignments: &Arc<Assignments>, more: &str) -> Self {
        Self::join_with(broker, assignments, more, "heartbeat.interval.ms: 500")
    }

    fn join_with(
        broker: &EmbeddedBroker,
        assignments: &Arc<Assignments>,
        more: &str,
        properties: &str,
    ) -> Self {
        let properties = format!("session.timeout.ms: 3000, {properties}");
        Self::join_after(broker, assignments, always(None), (more, &properties))
    }

    /// A member whose ledger says what it has taken last of each partition.
    fn join_after(
        broker: &EmbeddedBroker,
        assignments: &Arc<Assignments>,
        last_taken: LastTakenOf,
        (more, properties): (&str, &str),
    ) -> Self {
        let clock = Arc::new(SystemClock::new());
        let text = form(broker, "telemetry", more, properties);
        Self::join_by(&text, assignments, last_taken, clock)
    }

    /// A member with this configuration and clock.
    fn join_by(
        text: &str,
        assignments: &Arc<Assignments>,
        last_taken: LastTakenOf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let form = yaml::parse::<KafkaForm>(Path::new("ledgerline.yaml"), text).unwrap();
        let settings = form[0].check(Path::new("ledgerline.yaml"), &mut Vec::new()).unwrap();
        let source =
            KafkaInput::new(&settings, Arc::clone(assignments), last_taken, clock).unwrap();
        Self { source, assignments: Arc::clone(assignments) }
    }

    /// One poll; what is accepted is told durable at once.
    fn step(&mut self, seen: &mut Seen) -> Result<(), InputError> {
        let Polled::Batch(batch) = self.source.poll(WAIT)? else { return Ok(()) };
        if self.assignments.accept(&batch.partition, batch.generation, batch.from..batch.next)
            == Accepted::Stale
        {
            return Ok(());
        }
        let lane = seen.entry(batch.partition.to_string()).or_default();
        lane.extend(batch.records().map(|r| (r.offset, r.value.unwrap_or_default().to_vec())));
        self.source.durable(&batch.partition, batch.next).map(|_| ())
    }

    /// True if a broker refuses this client.
    fn is_refused(&self) -> bool {
        let problems = self.source.health().report().problems;
        problems.iter().any(|problem| problem.code == ProblemCode::BrokerRefused)
    }

    fn assigned(&self) -> usize {
        self.assignments.status().iter().filter(|status| status.assigned).count()
    }

    fn until(&mut self, seen: &mut Seen, done: impl Fn(&Self, &Seen) -> bool) {
        for _ in 0..MOST_POLLS {
            if done(self, seen) {
                return;
            }
            self.step(seen).unwrap();
        }
        panic!("it never came to that: {:?}", self.assignments.status());
    }

    /// The error that ends it, whatever it reads before.
    fn end(&mut self, seen: &mut Seen) -> InputError {
        (0..MOST_POLLS).find_map(|_| self.step(seen).err()).expect("an error")
    }

    fn error(&mut self) -> InputError {
        let mut seen = Seen::new();
        for _ in 0..MOST_POLLS {
            if let Err(error) = self.step(&mut seen) {
                return error;
            }
            assert!(seen.is_empty(), "records came instead of an error");
        }
        panic!("no error came")
    }
}

/// The configuration of a member.
fn form(broker: &EmbeddedBroker, topics: &str, more: &str, properties: &str) -> String {
    let brokers = broker.bootstrap();
    format!(
        "brokers: '{brokers}'\ngroup: ledger\ntopics: [{topics}]\n{more}\nproperties: {{{properties}}}"
    )
}

/// The machine's clock, moved forward by hand.
#[derive(Default)]
struct Moved {
    clock: SystemClock,
    by_ms: AtomicU64,
}

impl Moved {
    fn pass(&self, time: Duration) {
        self.by_ms.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms() + i64::try_from(self.by_ms.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + Duration::from_millis(self.by_ms.load(Ordering::SeqCst))
    }
}

fn broker(brokers: u8, partitions: u16) -> (EmbeddedBroker, GatedProducer) {
    let broker = EmbeddedBroker::start(brokers).unwrap();
    broker.create_topic("telemetry", partitions).unwrap();
    let producer = GatedProducer::new(broker.bootstrap()).unwrap();
    (broker, producer)
}

/// Value of the nth record of a partition.
fn value(partition: u16, n: u64) -> Vec<u8> {
    format!("{{\"partition\":{partition},\"n\":{n}}}").into_bytes()
}

fn offer(producer: &mut GatedProducer, partition: u16, value: Option<&[u8]>) {
    offer_to(producer, "telemetry", partition, value);
}

fn offer_to(producer: &mut GatedProducer, topic: &str, partition: u16, value: Option<&[u8]>) {
    let headers: &[(&str, &[u8])] = &[("h", b"1")];
    let record = Outgoing {
        topic,
        partition,
        key: Some(b"key"),
        value,
        headers,
        timestamp_ms: 1_700_000_000_000,
    };
    while producer.offer(&record, |_, _| u64::MAX).unwrap() == Sent::Held {
        producer.wait(Duration::from_millis(1));
    }
}

fn produce(producer: &mut GatedProducer, partitions: u16, numbers: std::ops::Range<u64>) {
    for n in numbers {
        for partition in 0..partitions {
            offer(producer, partition, Some(&value(partition, n)));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn count(seen: &Seen) -> usize {
    seen.values().map(Vec::len).sum()
}

/// Every partition has every record once and in order.
fn assert_whole(seen: &Seen, partitions: u16, numbers: std::ops::Range<u64>) {
    assert_eq!(seen.len(), usize::from(partitions));
    for partition in 0..partitions {
        let expected: Vec<_> = numbers.clone().map(|n| (n, value(partition, n))).collect();
        assert!(seen[&format!("telemetry/{partition}")] == expected, "partition {partition}");
    }
}

fn at(next: u64) -> Arc<Assignments> {
    Arc::new(Assignments::new([(SourcePartition::new("telemetry", 0), next)]))
}

#[test]
fn records_come_whole() {
    let (broker, mut producer) = broker(1, 1);
    offer(&mut producer, 0, Some(b"{}"));
    offer(&mut producer, 0, None);
    producer.flush(Duration::from_secs(60)).unwrap();
    let assignments = Arc::new(Assignments::default());
    let mut member = Member::join(&broker, &assignments, "epochs: {telemetry: 3}");
    let mut records = 0;
    for _ in 0..MOST_POLLS {
        let Polled::Batch(batch) = member.source.poll(WAIT).unwrap() else { continue };
        assert_eq!(
            assignments.accept(&batch.partition, batch.generation, batch.from..batch.next),
            Accepted::Next
        );
        for record in batch.records() {
            assert_eq!(record.partition.to_string(), "telemetry@3/0");
            assert_eq!(record.offset, records);
            assert_eq!(record.timestamp_ms, Some(1_700_000_000_000));
            assert_eq!(record.key, Some(b"key".as_slice()));
            assert_eq!(
                record.value,
                [Some(b"{}".as_slice()), None][usize::try_from(records).unwrap()]
            );
            assert_eq!(record.headers.iter().collect::<Vec<_>>(), [("h", Some(b"1".as_slice()))]);
            records += 1;
        }
        if records == 2 {
            break;
        }
    }
    assert_eq!(records, 2);
    let mut seen = Seen::new();
    member.until(&mut seen, |m, _| m.source.health().connected());
    member.until(&mut seen, |m, _| m.assignments.status()[0].end == Some(2));
}

#[test]
fn everything_comes_once_across_rebalances() {
    let (broker, mut producer) = broker(1, 4);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    produce(&mut producer, 4, 0..200);
    let mut first = Member::join(&broker, &assignments, "");
    first.until(&mut seen, |_, seen| count(seen) == 800);

    // A second member joins and takes over some of the partitions.
    let mut second = Member::join(&broker, &assignments, "");
    let mut by_second = 0;
    let mut number = 200;
    for _ in 0..MOST_POLLS {
        if by_second > 0 && number >= 400 {
            break;
        }
        produce(&mut producer, 4, number..number + 1);
        number += 1;
        first.step(&mut seen).unwrap();
        let before = count(&seen);
        second.step(&mut seen).unwrap();
        by_second += count(&seen) - before;
    }
    assert!(by_second > 0, "the second member never got a record");

    // The first leaves; the second goes on alone.
    first.source.close().unwrap();
    assert!(matches!(first.source.poll(WAIT).unwrap(), Polled::End));
    produce(&mut producer, 4, number..number + 50);
    let expected = usize::try_from(number + 50).unwrap() * 4;
    second.until(&mut seen, |m, seen| count(seen) == expected && m.assigned() == 4);
    assert_whole(&seen, 4, 0..number + 50);
}

#[test]
fn a_broker_that_is_away_loses_nothing() {
    let (broker, mut producer) = broker(1, 2);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    produce(&mut producer, 2, 0..100);
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |m, seen| count(seen) == 200 && m.source.health().connected());
    broker.down().unwrap();
    member.until(&mut seen, |m, _| !m.source.health().connected());
    assert!(member.source.health().report().last_error.is_some());
    broker.up().unwrap();
    produce(&mut producer, 2, 100..200);
    member.until(&mut seen, |m, seen| count(seen) == 400 && m.source.health().connected());
    assert_whole(&seen, 2, 0..200);
}

#[test]
fn a_start_without_a_broker_waits_for_it() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    broker.down().unwrap();
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |m, _| m.source.health().report().last_error.is_some());
    assert!(!member.source.health().connected());
    broker.up().unwrap();
    member.until(&mut seen, |_, seen| count(seen) == 10);
    assert_whole(&seen, 1, 0..10);
}

#[test]
fn a_new_leader_goes_on() {
    let (broker, mut producer) = broker(2, 1);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    for (round, leader) in [(0, 2), (1, 1), (2, 2)] {
        broker.set_leader("telemetry", 0, Some(leader)).unwrap();
        produce(&mut producer, 1, round * 100..(round + 1) * 100);
        let expected = usize::try_from((round + 1) * 100).unwrap();
        member.until(&mut seen, |_, seen| count(seen) == expected);
    }
    assert_whole(&seen, 1, 0..300);
}

#[test]
fn requests_that_fail_are_asked_again() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..50);
    broker.fail(BrokerRequest::OffsetFetch, BrokerFault::TimedOut, 2).unwrap();
    broker.fail(BrokerRequest::ListOffsets, BrokerFault::Disconnect, 3).unwrap();
    broker.fail(BrokerRequest::Fetch, BrokerFault::Forbidden, 2).unwrap();
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |_, seen| count(seen) == 50);
    broker.fail(BrokerRequest::Fetch, BrokerFault::NotLeader, 2).unwrap();
    broker.fail(BrokerRequest::Heartbeat, BrokerFault::IllegalGeneration, 1).unwrap();
    broker.fail(BrokerRequest::OffsetCommit, BrokerFault::IllegalGeneration, 1).unwrap();
    produce(&mut producer, 1, 50..100);
    member.until(&mut seen, |_, seen| count(seen) == 100);
    assert_whole(&seen, 1, 0..100);
}

#[test]
fn reading_begins_where_the_ledger_stands() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..100);
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &at(40), "start: latest");
    member.until(&mut seen, |_, seen| count(seen) == 60);
    assert_whole(&seen, 1, 40..100);
}

#[test]
fn the_groups_offset_follows_the_ledger_and_fences_others() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..30);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |_, seen| count(seen) == 30);
    member.source.close().unwrap();

    // The ledger that is refused takes no partition from the one that reads.
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |member, _| member.assigned() == 1);
    let mut rival = Member::join(&broker, &Arc::default(), "");
    let error = (0..MOST_POLLS).find_map(|_| {
        member.step(&mut seen).unwrap();
        assert_eq!(member.assigned(), 1);
        rival.step(&mut Seen::new()).err()
    });
    assert!(matches!(error, Some(InputError::TakenByAnotherLedger { .. })), "{error:?}");
    assert!(!rival.source.health().report().topics.iter().any(|topic| topic.assigned > 0));
    drop(rival);
    member.source.close().unwrap();

    for (assignments, holds) in [(Arc::new(Assignments::default()), 0), (at(29), 29)] {
        match Member::join(&broker, &assignments, "").error() {
            InputError::TakenByAnotherLedger { partition, committed, expected } => {
                assert_eq!(partition.to_string(), "telemetry/0");
                assert_eq!((committed, expected), (30, holds));
            }
            other => panic!("{other}"),
        }
    }

    // The ledger itself goes on.
    produce(&mut producer, 1, 30..40);
    Member::join(&broker, &at(30), "").until(&mut seen, |_, seen| count(seen) == 40);
    assert_whole(&seen, 1, 0..40);
}

#[test]
fn a_shrunk_topic_is_refused() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    match Member::join(&broker, &at(500), "").error() {
        InputError::TopicShrank { expected, end, .. } => assert_eq!((expected, end), (500, 10)),
        other => panic!("{other}"),
    }
}

/// A ledger that says the same of every partition.
fn always(last: Option<LastTaken>) -> LastTakenOf {
    Arc::new(move |_| last)
}

/// The ledger's copy of the nth record of partition 0.
fn taken(n: u64) -> LastTaken {
    let mut builder =
        BatchBuilder::new(SourcePartition::new("telemetry", 0), Generation::default(), n);
    let header: (&str, Option<&[u8]>) = ("h", Some(b"1"));
    let value = value(0, n);
    let time = Some(1_700_000_000_000);
    builder.push(n, time, Some(b"key"), Some(&value), [header].into_iter());
    let batch = builder.build();
    let digest = RecordDigests::of(&batch.records().next().unwrap()).record;
    LastTaken { offset: n, digest }
}

const QUICK: &str = "session.timeout.ms: 3000, heartbeat.interval.ms: 500";

#[test]
fn the_last_record_is_compared_before_reading_on() {
    // The position may lie behind offsets without records.
    for (position, last) in [(40, taken(39)), (45, taken(39))] {
        let (broker, mut producer) = broker(1, 1);
        produce(&mut producer, 1, 0..100);
        let mut seen = Seen::new();
        let mut member =
            Member::join_after(&broker, &at(position), always(Some(last)), ("", QUICK));
        let expected = usize::try_from(100 - position).unwrap();
        member.until(&mut seen, |_, seen| count(seen) == expected);
        assert_whole(&seen, 1, position..100);
    }
}

#[test]
fn a_topic_that_was_made_again_and_grew_past_the_position_is_refused() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..100);
    // The ledger has taken another record at offset 39.
    let last = LastTaken { offset: 39, ..taken(38) };
    match Member::join_after(&broker, &at(40), always(Some(last)), ("", QUICK)).error() {
        InputError::RecordChanged { offset, found, taken: of_ledger, .. } => {
            assert_eq!(offset, 39);
            assert_eq!(found, taken(39).digest);
            assert_eq!(of_ledger, last.digest);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_last_record_is_compared_again_after_an_outage() {
    let (broker, mut producer) = broker(1, 2);
    produce(&mut producer, 2, 0..40);
    let assignments = Arc::new(Assignments::default());
    let is_changed = Arc::new(AtomicBool::new(false));
    let (changed, other) = (is_changed.clone(), LastTaken { offset: 39, ..taken(38) });
    let last_taken: LastTakenOf = Arc::new(move |partition| {
        let last = if changed.load(Ordering::SeqCst) { other } else { taken(39) };
        (partition.partition == 0).then_some(last)
    });
    let mut member = Member::join_after(&broker, &assignments, last_taken, ("", QUICK));
    let mut seen = Seen::new();
    member.until(&mut seen, |m, seen| count(seen) == 80 && m.source.health().connected());
    // An outage without a change goes on, one with another record at the same offset does not.
    broker.down().unwrap();
    member.until(&mut seen, |m, _| !m.source.health().connected());
    broker.up().unwrap();
    member.until(&mut seen, |m, _| m.source.health().connected());
    produce(&mut producer, 2, 40..50);
    member.until(&mut seen, |_, seen| count(seen) == 100);
    broker.down().unwrap();
    member.until(&mut seen, |m, _| !m.source.health().connected());
    is_changed.store(true, Ordering::SeqCst);
    broker.up().unwrap();
    let error = member.error();
    assert!(matches!(error, InputError::RecordChanged { offset: 39, .. }), "{error}");
    assert_whole(&seen, 2, 0..50);
}

#[test]
fn a_new_epoch_reads_a_topic_that_was_made_again_from_its_beginning() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..30);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |_, seen| count(seen) == 30);
    member.source.close().unwrap();
    // The group still has the offset of the topic that was there before.
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "epochs: {telemetry: 1}");
    member.until(&mut seen, |_, seen| count(seen) == 30);
    assert_eq!(seen["telemetry@1/0"].len(), 30);
}

#[test]
fn a_new_epoch_goes_on_where_it_is_told_to() {
    let (broker, mut producer) = broker(1, 2);
    produce(&mut producer, 2, 0..100);
    let read =
        [(SourcePartition::new("telemetry", 0), 60), (SourcePartition::new("telemetry", 1), 50)];
    let assignments = Arc::new(Assignments::new(read));
    let mut seen = Seen::new();
    let epochs = "epochs: {telemetry: {epoch: 1, continue_at: {0: 45}}}";
    let mut member = Member::join(&broker, &assignments, epochs);
    member.until(&mut seen, |_, seen| count(seen) == 55 + 50);
    assert_eq!(seen["telemetry@1/0"][0], (45, value(0, 45)));
    assert_eq!(seen["telemetry@1/1"][0], (50, value(1, 50)));
}

#[test]
fn a_topic_that_is_behind_for_a_moment_is_waited_for() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    let mut seen = Seen::new();
    let mut member = Member::join_after(&broker, &at(50), always(Some(taken(49))), ("", QUICK));
    member.until(&mut seen, |m, _| {
        let told = m.source.health().report().last_error;
        told.is_some_and(|told| told.message.contains("the topic ends at offset 10"))
    });
    produce(&mut producer, 1, 10..60);
    member.until(&mut seen, |_, seen| count(seen) == 10);
    assert_whole(&seen, 1, 50..60);
}

#[test]
fn an_offset_out_of_range_for_a_moment_is_read_again() {
    for strategy in ["cooperative-sticky", "range"] {
        let (broker, mut producer) = broker(1, 2);
        produce(&mut producer, 2, 0..10);
        let assignments = Arc::new(Assignments::default());
        let mut seen = Seen::new();
        let properties = format!("{QUICK}, partition.assignment.strategy: {strategy}");
        let mut member = Member::join_after(&broker, &assignments, always(None), ("", &properties));
        member.until(&mut seen, |_, seen| count(seen) == 20);
        broker.fail(BrokerRequest::Fetch, BrokerFault::OffsetOutOfRange, 1).unwrap();
        member.until(&mut seen, |m, _| {
            let told = m.source.health().report().last_error;
            told.is_some_and(|told| told.message.contains("out of range"))
        });
        produce(&mut producer, 2, 10..20);
        member.until(&mut seen, |_, seen| count(seen) == 40);
        assert_whole(&seen, 2, 0..20);
    }
}

#[test]
fn an_offset_out_of_range_at_the_start_is_read_again() {
    for strategy in ["cooperative-sticky", "range"] {
        let (broker, mut producer) = broker(1, 2);
        produce(&mut producer, 2, 0..20);
        let read = [0, 1].map(|number| (SourcePartition::new("telemetry", number), 20));
        let assignments = Arc::new(Assignments::new(read));
        broker.fail(BrokerRequest::Fetch, BrokerFault::OffsetOutOfRange, 1).unwrap();
        let mut seen = Seen::new();
        let properties = format!("{QUICK}, partition.assignment.strategy: {strategy}");
        let mut member = Member::join_after(&broker, &assignments, always(None), ("", &properties));
        member.until(&mut seen, |m, _| m.source.health().connected());
        produce(&mut producer, 2, 20..30);
        member.until(&mut seen, |_, seen| count(seen) == 20);
        assert_whole(&seen, 2, 20..30);
    }
}

#[test]
fn the_group_protocol_of_kip_848_works() {
    let (broker, mut producer) = broker(1, 4);
    produce(&mut producer, 4, 0..50);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let properties = "group.protocol: consumer";
    let mut first = Member::join_after(&broker, &assignments, always(None), ("", properties));
    first.until(&mut seen, |_, seen| count(seen) == 200);
    let mut second = Member::join_after(&broker, &assignments, always(None), ("", properties));
    let (mut by_second, mut number) = (0, 50);
    for _ in 0..MOST_POLLS {
        if by_second > 0 {
            break;
        }
        produce(&mut producer, 4, number..number + 1);
        number += 1;
        first.step(&mut seen).unwrap();
        let before = count(&seen);
        second.step(&mut seen).unwrap();
        by_second += count(&seen) - before;
    }
    assert!(by_second > 0, "the second member never got a record");
    first.source.close().unwrap();
    produce(&mut producer, 4, number..number + 10);
    let expected = usize::try_from(number + 10).unwrap() * 4;
    second.until(&mut seen, |_, seen| count(seen) == expected);
    assert_whole(&seen, 4, 0..number + 10);
}

#[test]
fn records_lost_by_retention_are_noticed() {
    let (broker, mut producer) = broker(1, 1);
    // The embedded broker keeps 5 MiB of a partition; these bytes do not compress.
    let mut state = 1_u64;
    for _ in 0..12 {
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let large: Vec<u8> = std::iter::repeat_with(next).take(800_000).collect();
        offer(&mut producer, 0, Some(&large));
        producer.flush(Duration::from_secs(60)).unwrap();
    }
    match Member::join(&broker, &at(3), "").error() {
        InputError::LostByRetention { expected, earliest, .. } => {
            assert_eq!(expected, 3);
            assert!(earliest > 3);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_offset_out_of_range_later_halts() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |_, seen| count(seen) == 10);
    // Several, because the broker may spend one on a request that it answers later.
    broker.fail(BrokerRequest::Fetch, BrokerFault::OffsetOutOfRange, 10).unwrap();
    assert!(matches!(member.error(), InputError::Kafka(_)));
}

#[test]
fn a_first_start_with_the_latest_keeps_its_place() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..20);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "start: latest");
    member.until(&mut seen, |m, _| m.assigned() == 1);
    member.source.close().unwrap();
    assert_eq!(count(&seen), 0);
    // Nothing of it is in the ledger when the process starts again, and records came meanwhile.
    produce(&mut producer, 1, 20..30);
    let assignments = Arc::new(Assignments::default());
    let mut member = Member::join(&broker, &assignments, "start: latest");
    member.until(&mut seen, |_, seen| count(seen) == 10);
    assert_whole(&seen, 1, 20..30);
}

#[test]
fn a_pause_holds_records_back() {
    let (broker, mut producer) = broker(1, 1);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.source.pause().unwrap();
    member.until(&mut seen, |m, _| m.assigned() == 1);
    produce(&mut producer, 1, 0..10);
    member.until(&mut seen, |m, _| m.source.health().connected());
    for _ in 0..20 {
        member.step(&mut seen).unwrap();
    }
    assert_eq!(count(&seen), 0);
    member.source.resume().unwrap();
    member.until(&mut seen, |_, seen| count(seen) == 10);
    assert_whole(&seen, 1, 0..10);
}

#[test]
fn a_source_closes_without_a_broker() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    member.until(&mut seen, |_, seen| count(seen) == 10);
    drop(broker);
    member.until(&mut seen, |m, _| !m.source.health().connected());
    member.source.close().unwrap();
    assert!(matches!(member.source.poll(WAIT).unwrap(), Polled::End));
}

#[test]
fn a_login_that_fails_is_told_without_its_secret() {
    let (broker, _producer) = broker(1, 1);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let login = "heartbeat.interval.ms: 500, security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.username: hunter, sasl.password: hunter22";
    let mut member = Member::join_with(&broker, &assignments, "", login);
    // The embedded broker knows no logins.
    member.until(&mut seen, |m, _| m.source.health().report().last_error.is_some());
    let report = member.source.health().report();
    let message = &report.last_error.as_ref().unwrap().message;
    assert!(message.contains("rejects this client"), "{message}");
    assert!(!report.connected);
    assert!(!format!("{report:?} {:?}", member.source).contains("hunter22"));
}

#[test]
fn the_producer_keeps_the_broker_from_dropping_records() {
    let (broker, mut producer) = broker(1, 1);
    let assignments = Arc::new(Assignments::default());
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &assignments, "");
    let total = 20_000;
    let (mut number, mut held) = (0, 0);
    let partition = SourcePartition::new("telemetry", 0);
    while count(&seen) < usize::try_from(total).unwrap() {
        while number < total {
            let value = value(0, number);
            let record = Outgoing {
                topic: "telemetry",
                partition: 0,
                key: None,
                value: Some(&value),
                headers: &[],
                timestamp_ms: 0,
            };
            let consumed = |_: &str, _: u16| assignments.next(&partition).unwrap_or_default();
            if producer.offer(&record, consumed).unwrap() == Sent::Held {
                held += 1;
                break;
            }
            number += 1;
        }
        producer.wait(Duration::ZERO);
        member.step(&mut seen).unwrap();
    }
    assert!(held > 0, "it never held back");
    assert_whole(&seen, 1, 0..total);
    assert_eq!(producer.written(), total);
}

#[test]
fn a_partition_that_cannot_be_asked_about_holds_up_no_other() {
    for strategy in ["cooperative-sticky", "range"] {
        let (broker, mut producer) = broker(1, 3);
        produce(&mut producer, 3, 0..10);
        broker.set_leader("telemetry", 1, None).unwrap();
        let assignments = Arc::new(Assignments::default());
        let mut seen = Seen::new();
        let properties = format!("{QUICK}, partition.assignment.strategy: {strategy}");
        let mut member = Member::join_after(&broker, &assignments, always(None), ("", &properties));
        member.until(&mut seen, |_, seen| count(seen) == 20);
        assert_eq!(member.assigned(), 2);
        broker.set_leader("telemetry", 1, Some(1)).unwrap();
        produce(&mut producer, 3, 10..20);
        member.until(&mut seen, |m, seen| count(seen) == 60 && m.assigned() == 3);
        assert_whole(&seen, 3, 0..20);
    }
}

#[test]
fn with_the_latest_a_later_partition_is_read_from_its_beginning() {
    let (broker, mut producer) = broker(1, 2);
    produce(&mut producer, 2, 0..30);
    // The ledger has read the topic before; of its second partition, neither it nor the group knows.
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &at(30), "start: latest");
    member.until(&mut seen, |_, seen| count(seen) == 30);
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["telemetry/1"]);
    assert_eq!(seen["telemetry/1"][0], (0, value(1, 0)));
}

#[test]
fn the_position_of_a_former_epoch_is_not_written_as_the_groups_offset() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..30);
    let epochs = "start: latest\nepochs: {telemetry: 1}";
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &at(5_000), epochs);
    member.until(&mut seen, |m, _| m.assigned() == 1);
    // The pipeline tells of every partition that the ledger has read.
    let former = SourcePartition::new("telemetry", 0);
    assert!(member.source.durable(&former, 5_000).unwrap(), "there is nothing to tell again");
    member.source.close().unwrap();
    // Nothing of the new epoch is in the ledger when the process starts again.
    produce(&mut producer, 1, 30..40);
    let mut member = Member::join(&broker, &at(5_000), epochs);
    member.until(&mut seen, |_, seen| count(seen) == 10);
    assert_eq!(seen["telemetry@1/0"][0], (30, value(0, 30)));
}

#[test]
fn a_kill_before_the_first_commit_of_a_new_epoch_is_gone_on_from() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..50);
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &Arc::default(), "");
    member.until(&mut seen, |_, seen| count(seen) == 50);
    member.source.close().unwrap();
    // The new epoch began at 45, and its first block came as far as 47.
    produce(&mut producer, 1, 50..60);
    let new = SourcePartition { epoch: 1, ..SourcePartition::new("telemetry", 0) };
    let read = [(SourcePartition::new("telemetry", 0), 50), (new, 47)];
    let epochs = "epochs: {telemetry: {epoch: 1, continue_at: {0: 45}}}";
    let mut seen = Seen::new();
    let mut member = Member::join(&broker, &Arc::new(Assignments::new(read)), epochs);
    member.until(&mut seen, |_, seen| count(seen) == 13);
    assert_eq!(seen["telemetry@1/0"][0], (47, value(0, 47)));
}

#[test]
fn a_refusal_to_read_lasts_until_every_topic_is_read_again() {
    let (broker, mut producer) = broker(1, 1);
    broker.create_topic("other", 1).unwrap();
    let send = |producer: &mut GatedProducer, topic| {
        offer_to(producer, topic, 0, Some(b"{}"));
        producer.flush(Duration::from_secs(60)).unwrap();
    };
    let clock = Arc::new(Moved::default());
    let text = form(&broker, "telemetry, other", "", QUICK);
    let mut member = Member::join_by(&text, &Arc::default(), always(None), clock.clone());
    let mut seen = Seen::new();
    send(&mut producer, "telemetry");
    send(&mut producer, "other");
    member.until(&mut seen, |_, seen| count(seen) == 2);

    // The client says once for each partition that it may not be read, and not of which. It drops the
    // answer to a request from before an assignment, so there are two.
    broker.fail(BrokerRequest::Fetch, BrokerFault::Forbidden, 2).unwrap();
    member.until(&mut seen, |m, _| m.is_refused());
    send(&mut producer, "telemetry");
    member.until(&mut seen, |_, seen| count(seen) == 3);
    assert!(member.is_refused(), "a record of one topic says nothing of the other");
    send(&mut producer, "other");
    member.until(&mut seen, |m, seen| count(seen) == 4 && !m.is_refused());

    // Without any record, reading is tried again after a while.
    broker.fail(BrokerRequest::Fetch, BrokerFault::Forbidden, 1).unwrap();
    member.until(&mut seen, |m, _| m.is_refused());
    clock.pass(KAFKA_REFUSED_EVERY);
    member.until(&mut seen, |m, _| !m.is_refused());

    // A refusal that lasts is seen again then.
    broker.fail(BrokerRequest::Fetch, BrokerFault::Forbidden, 1_000).unwrap();
    member.until(&mut seen, |m, _| m.is_refused());
    clock.pass(KAFKA_REFUSED_EVERY);
    let now_ms = clock.now_ms();
    member.until(&mut seen, |m, _| {
        let last = m.source.health().report().last_error;
        last.is_some_and(|last| last.at_ms > now_ms && last.message.contains("Fetch"))
    });
    assert!(member.is_refused());
}

#[test]
fn a_refusal_by_the_group_ends_while_nothing_is_read() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..10);
    let mut seen = Seen::new();
    // Nothing comes, so nothing is committed either.
    let mut member = Member::join(&broker, &at(10), "");
    member.until(&mut seen, |m, _| m.assigned() == 1);
    // The member looks for its group anew, is refused once, and stays a member all the while.
    broker.fail(BrokerRequest::FindCoordinator, BrokerFault::GroupForbidden, 1).unwrap();
    broker.fail(BrokerRequest::Heartbeat, BrokerFault::NotCoordinator, 1).unwrap();
    member.until(&mut seen, |m, _| m.is_refused());
    member.until(&mut seen, |m, _| !m.is_refused());
    assert_eq!(member.assigned(), 1);
}

/// A static member that reads.
fn static_member(broker: &EmbeddedBroker) -> Member {
    let properties = "heartbeat.interval.ms: 500, group.instance.id: one";
    let mut member = Member::join_with(broker, &Arc::default(), "", properties);
    member.until(&mut Seen::new(), |_, seen| count(seen) == 5);
    member
}

#[test]
fn a_member_that_is_fenced_ends() {
    for request in [BrokerRequest::Heartbeat, BrokerRequest::OffsetCommit] {
        let (broker, mut producer) = broker(1, 1);
        produce(&mut producer, 1, 0..5);
        let mut member = static_member(&broker);
        broker.fail(request, BrokerFault::Fenced, 100).unwrap();
        produce(&mut producer, 1, 5..6);
        let error = member.end(&mut Seen::new());
        assert!(matches!(error, InputError::Fenced(_)), "{request:?}: {error}");
    }
}

#[test]
fn a_refused_commit_is_told() {
    let (broker, mut producer) = broker(1, 1);
    produce(&mut producer, 1, 0..5);
    let mut member = static_member(&broker);
    broker.fail(BrokerRequest::OffsetCommit, BrokerFault::GroupForbidden, 2).unwrap();
    produce(&mut producer, 1, 5..6);
    member.until(&mut Seen::new(), |member, _| member.is_refused());
    member.until(&mut Seen::new(), |member, _| !member.is_refused());
}

#[test]
fn a_topic_that_is_made_again_while_it_is_read_ends_the_source() {
    // Another cluster takes over, with a topic of the same name that is longer.
    let (before, mut producer) = broker(1, 1);
    let (after, mut others) = broker(1, 1);
    produce(&mut producer, 1, 0..5);
    produce(&mut others, 1, 500..600);
    after.down().unwrap();
    let both = format!("{},{}", before.bootstrap(), after.bootstrap());
    let text = form(&before, "telemetry", "", QUICK).replace(before.bootstrap(), &both);
    let clock = Arc::new(SystemClock::new());
    let mut member = Member::join_by(&text, &Arc::default(), always(None), clock);
    let mut seen = Seen::new();
    member.until(&mut seen, |_, seen| count(seen) == 5);
    before.down().unwrap();
    after.up().unwrap();
    let error = member.end(&mut seen);
    assert!(matches!(error, InputError::TopicReplaced { .. }), "{error}");
    assert!(error.to_string().contains("epochs: { telemetry: 1 }"), "{error}");
    assert_whole(&seen, 1, 0..5);
}
