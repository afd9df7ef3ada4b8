//! Readiness is measured by work that can be done: a reached broker is not enough. Topics that are
//! missing, partitions that others hold, refusals: each is named in `/readyz`, findings, metrics and
//! the log, and the service becomes ready by itself once the cause is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use common::records::produce;
use common::service::Service;
use common::{Deployment, Site, TOPIC, kafka};
use ledgerline::input::broker::{BrokerFault, BrokerRequest, EmbeddedBroker};
use ledgerline::input::producer::{GatedProducer, Outgoing, Sent};
use serde_json::Value;

const GROUP: &str = "ledger";

fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start(1).unwrap()
}

fn write(broker: &EmbeddedBroker, numbers: std::ops::Range<u64>) {
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, 1, numbers);
}

fn start(site: &Site, broker: &EmbeddedBroker) -> (Service, Deployment) {
    let deployment = site.configure_kafka("ledger", broker, GROUP);
    (Service::start(&deployment), deployment)
}

/// The finding of a code, where there is one.
fn finding(service: &Service, code: &str) -> Option<Value> {
    let (_, findings) = service.get("/api/v1/findings")?;
    findings.as_array()?.iter().find(|finding| finding["code"] == code).cloned()
}

/// Waits until a finding stands that says all of this; gives it.
fn until_found(service: &mut Service, code: &str, says: &[&str]) -> Value {
    service.until(&format!("the finding {code} with {says:?}"), |service| {
        let found = finding(service, code)?;
        let what = found["what"].as_str()?;
        says.iter().all(|part| what.contains(part)).then_some(found)
    })
}

/// Waits until these lines are among the metrics.
fn until_measured(service: &mut Service, lines: &[&str]) {
    service.until(&format!("the metrics {lines:?}"), |service| {
        let (_, text) = service.get("/metrics")?;
        let text = text.as_str()?;
        lines.iter().all(|line| text.lines().any(|found| found == *line)).then_some(())
    });
}

fn until_ready(service: &mut Service) {
    service.until("ready", |service| service.get("/readyz").filter(|(code, _)| *code == 200));
}

/// Waits until the service is not ready and says all of this.
fn until_not_ready(service: &mut Service, says: &[&str]) {
    service.until(&format!("not ready with {says:?}"), |service| {
        let (code, answer) = service.get("/readyz")?;
        let detail = answer["detail"].as_str().unwrap_or_default();
        (code == 503 && says.iter().all(|part| detail.contains(part))).then_some(())
    });
}

fn topic(status: &Value) -> &Value {
    &status["source"]["topics"][0]
}

#[test]
fn a_topic_that_does_not_exist_is_named_until_it_is_created() {
    let (broker, site) = (broker(), Site::new());
    let (mut service, _) = start(&site, &broker);
    let found = until_found(&mut service, "topic_missing", &["`telemetry` does not exist"]);
    assert_eq!(found["gravity"], "critical");
    until_not_ready(&mut service, &["`telemetry` does not exist", "since 20"]);
    service.until_logged("\"code\":\"topic_missing\"");
    until_measured(
        &mut service,
        &[
            "ledgerline_ready 0",
            "ledgerline_source_connected 1",
            "ledgerline_source_refused 0",
            "ledgerline_topic_known{topic=\"telemetry\"} 0",
            "ledgerline_topic_partitions{topic=\"telemetry\"} 0",
            "ledgerline_topic_assigned_partitions{topic=\"telemetry\"} 0",
            "ledgerline_topic_lag_records{topic=\"telemetry\"} NaN",
            "ledgerline_findings{code=\"topic_missing\"} 1",
            "ledgerline_findings{code=\"no_partition\"} 0",
        ],
    );
    broker.create_topic(TOPIC, 1).unwrap();
    write(&broker, 0..10);
    service.until_durable(1, 10);
    until_ready(&mut service);
    until_measured(
        &mut service,
        &[
            "ledgerline_ready 1",
            "ledgerline_topic_known{topic=\"telemetry\"} 1",
            "ledgerline_topic_partitions{topic=\"telemetry\"} 1",
            "ledgerline_topic_assigned_partitions{topic=\"telemetry\"} 1",
            "ledgerline_topic_lag_records{topic=\"telemetry\"} 0",
            "ledgerline_findings{code=\"topic_missing\"} 0",
        ],
    );
    service.until_logged("\"resolved\"");
    service.end();
}

#[test]
fn a_topic_that_goes_away_later_is_told_after_a_while() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_ready(&mut service);
    broker.set_absent(TOPIC, true).unwrap();
    until_not_ready(&mut service, &["`telemetry` does not exist"]);
    broker.set_absent(TOPIC, false).unwrap();
    until_ready(&mut service);
    write(&broker, 0..10);
    service.until_durable(1, 10);
    service.end();
}

#[test]
fn partitions_that_another_member_holds_are_told() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    write(&broker, 0..10);
    let rival = kafka::rival(&broker, GROUP);
    // Stays a member while the service joins.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let member = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            rival.poll(std::time::Duration::from_millis(50));
        }
    });
    let (mut service, _) = start(&site, &broker);
    let says = ["topic `telemetry`", "group `ledger`"];
    let found = until_found(&mut service, "no_partition", &says);
    assert_eq!(found["gravity"], "critical");
    until_not_ready(&mut service, &says);
    service.until_logged("\"code\":\"no_partition\"");
    // The consumer lag is counted although another member holds the partition.
    until_measured(
        &mut service,
        &[
            "ledgerline_ready 0",
            "ledgerline_topic_known{topic=\"telemetry\"} 1",
            "ledgerline_topic_assigned_partitions{topic=\"telemetry\"} 0",
            "ledgerline_topic_lag_records{topic=\"telemetry\"} 10",
            "ledgerline_source_assigned{partition=\"telemetry/0\"} 0",
            "ledgerline_source_lag_records{partition=\"telemetry/0\"} 10",
            "ledgerline_findings{code=\"no_partition\"} 1",
        ],
    );
    drop(stop);
    member.join().unwrap();
    service.until_durable(1, 10);
    until_ready(&mut service);
    service.end();
}

#[test]
fn partitions_that_others_share_are_told_and_do_not_stop_the_rest() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 2).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_ready(&mut service);
    let rival = kafka::rival(&broker, GROUP);
    let found = service.until("partitions elsewhere", |service| {
        rival.poll(std::time::Duration::from_millis(20));
        finding(service, "partitions_elsewhere")
    });
    assert_eq!(found["gravity"], "warning");
    assert!(found["what"].as_str().unwrap().contains("1 of 2 partitions"), "{found}");
    assert_eq!(service.get("/readyz").unwrap().0, 200);
    service.end();
}

#[test]
fn a_broker_that_refuses_is_named_and_tried_again() {
    for (request, fault, says) in [
        (BrokerRequest::JoinGroup, BrokerFault::GroupForbidden, "Group authorization failed"),
        (BrokerRequest::JoinGroup, BrokerFault::OtherStrategy, "JoinGroup"),
        (BrokerRequest::OffsetFetch, BrokerFault::GroupForbidden, "Group authorization failed"),
        (BrokerRequest::ListOffsets, BrokerFault::Forbidden, "Topic authorization failed"),
    ] {
        println!("{request:?}: {fault:?}");
        let (broker, site) = (broker(), Site::new());
        broker.create_topic(TOPIC, 1).unwrap();
        broker.fail(request, fault, 4).unwrap();
        let (mut service, _) = start(&site, &broker);
        let found = until_found(&mut service, "broker_refused", &[says]);
        assert_eq!(found["gravity"], "critical");
        write(&broker, 0..10);
        service.until_durable(1, 10);
        until_ready(&mut service);
        let ended = service.end();
        assert!(ended.log.contains("\"code\":\"broker_refused\""), "{}", ended.log);
    }
}

#[test]
fn a_topic_that_may_not_be_looked_up_is_a_refusal() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    broker.set_forbidden(TOPIC, true).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_found(&mut service, "broker_refused", &["`telemetry`", "authorization failed"]);
    until_measured(&mut service, &["ledgerline_source_refused 1", "ledgerline_ready 0"]);
    broker.set_forbidden(TOPIC, false).unwrap();
    write(&broker, 0..10);
    service.until_durable(1, 10);
    until_ready(&mut service);
    service.end();
}

#[test]
fn a_refusal_to_read_ends_with_the_next_record() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let (mut service, _) = start(&site, &broker);
    write(&broker, 0..10);
    service.until_durable(1, 10);
    broker.fail(BrokerRequest::Fetch, BrokerFault::Forbidden, 3).unwrap();
    until_found(&mut service, "broker_refused", &["Topic authorization failed"]);
    write(&broker, 10..20);
    service.until_durable(1, 20);
    until_ready(&mut service);
    service.end();
}

#[test]
fn a_login_that_is_refused_is_told_from_a_broker_that_is_away() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let deployment = site.configure_kafka("ledger", &broker, GROUP);
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let login = "{ security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, \
                 sasl.username: u, sasl.password: hunter22, ";
    let text = text.replace("properties: { ", &format!("properties: {login}"));
    std::fs::write(&deployment.config, text).unwrap();
    let mut service = Service::start(&deployment);
    until_found(&mut service, "broker_refused", &["rejects this client"]);
    until_measured(
        &mut service,
        &[
            "ledgerline_source_connected 0",
            "ledgerline_source_refused 1",
            "ledgerline_findings{code=\"broker_unreachable\"} 0",
        ],
    );
    let ended = service.end();
    assert!(!ended.log.contains("hunter22"), "{}", ended.log);
}

#[test]
fn a_broker_that_stops_answering_is_told() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_ready(&mut service);
    broker.set_delay(std::time::Duration::from_secs(3_600)).unwrap();
    until_not_ready(&mut service, &["Kafka"]);
    service.kill();
}

/// Sends events of a device with this time and type.
fn send(broker: &EmbeddedBroker, count: u64, event: &str, time: &str) {
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    let key = serde_json::json!({
        "deviceType": "press", "deviceId": "c1", "eventType": event, "timestamp": time,
    });
    let key = key.to_string();
    for _ in 0..count {
        let record = Outgoing {
            topic: TOPIC,
            partition: 0,
            key: Some(key.as_bytes()),
            value: Some(br#"{"d":{"temperature":20}}"#),
            headers: &[],
            timestamp_ms: 1_769_860_800_000,
        };
        assert_eq!(producer.offer(&record, |_, _| u64::MAX).unwrap(), Sent::Taken);
    }
    producer.flush(std::time::Duration::from_secs(60)).unwrap();
}

#[test]
fn an_event_from_the_future_is_shown_as_such() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_ready(&mut service);
    send(&broker, 1, "reading", "2026-01-31T12:00:00Z");
    let status = service.until_durable(1, 1);
    let freshness = status["freshness_seconds"].as_f64().unwrap();
    assert_eq!(status["future_events"]["count"], 0);
    send(&broker, 1, "reading", "2099-01-01T00:00:00Z");
    let status = service.until_status("the event", |s| s["future_events"]["count"] == 1);
    assert_eq!(status["future_events"]["last"]["device"], "press:c1");
    assert_eq!(status["future_events"]["last"]["time"], "2099-01-01T00:00:00.000Z");
    assert_eq!(status["freshness_seconds"].as_f64(), Some(freshness), "it is left out");
    let says = ["telemetry/0/1/0", "`press:c1`", "2099-01-01"];
    let found = until_found(&mut service, "events_in_future", &says);
    assert_eq!(found["gravity"], "warning");
    until_measured(&mut service, &["ledgerline_future_events_total 1"]);
    service.until_logged("\"code\":\"events_in_future\"");
    service.end();
}

#[test]
fn records_that_match_no_mapping_are_told() {
    let (broker, site) = (broker(), Site::new());
    broker.create_topic(TOPIC, 1).unwrap();
    let mapping = site.path().join("mappings/burst.yaml");
    let text = std::fs::read_to_string(&mapping).unwrap();
    std::fs::write(&mapping, text.replace("topic: telemetry", "topic: telemetri")).unwrap();
    let (mut service, _) = start(&site, &broker);
    until_found(&mut service, "mapping_without_topic", &["`burst`", "did you mean `telemetry`?"]);
    until_ready(&mut service);
    send(&broker, 99, "heartbeat", "2026-01-31T12:00:00Z");
    service.until_durable(1, 99);
    assert_eq!(finding(&service, "everything_filtered"), None, "too few");
    send(&broker, 1, "heartbeat", "2026-01-31T12:00:00Z");
    until_found(&mut service, "everything_filtered", &["100 of `telemetry`"]);
    until_found(&mut service, "mapping_idle", &["`reading` (100 records)"]);
    until_measured(&mut service, &["ledgerline_findings{code=\"everything_filtered\"} 1"]);
    service.until_logged("\"code\":\"everything_filtered\"");
    send(&broker, 1, "reading", "2026-01-31T12:00:00Z");
    service.until("a record that is matched", |service| {
        let codes = ["everything_filtered", "mapping_idle"];
        codes.iter().all(|code| finding(service, code).is_none()).then_some(())
    });
    service.end();
}

#[test]
fn the_topics_are_in_the_status_from_the_start() {
    let (broker, site) = (broker(), Site::new());
    broker.down().unwrap();
    let (mut service, _) = start(&site, &broker);
    let status = service.until_status("a status", |_| true);
    assert_eq!(status["source"]["group"], GROUP);
    assert_eq!(status["source"]["connected"], false);
    assert_eq!((&topic(&status)["topic"], &topic(&status)["assigned"]), (&TOPIC.into(), &0.into()));
    assert!(topic(&status)["known"].is_null() && topic(&status)["lag"].is_null(), "{status}");
    until_not_ready(&mut service, &["no Kafka broker is reachable"]);
    until_measured(
        &mut service,
        &[
            "ledgerline_topic_known{topic=\"telemetry\"} 0",
            "ledgerline_topic_assigned_partitions{topic=\"telemetry\"} 0",
            "ledgerline_findings{code=\"broker_unreachable\"} 1",
        ],
    );
    service.end();
}
