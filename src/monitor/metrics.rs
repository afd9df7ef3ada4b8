//! Metrics in Prometheus' text form, made of what is counted elsewhere at the moment they are asked
//! for. Base units, `_total` for what only grows. Labels come from closed lists and from the
//! source's partitions, never from a device.

use std::error::Error;

use crate::contract::InvalidCode;
use crate::disk;
use crate::event::Cause;
use crate::exposition::{Families, Value};
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::limits::MAX_RESIDENT_BYTES;
use crate::monitor::findings::{self, Code};
use crate::monitor::service::{
    FollowerView, InputView, Service, SourceView, StatusView, TopicView,
};
use crate::monitor::watch::Sample;
use crate::pipeline::status::Stage;
use crate::query::views::seconds;

/// Content type of the text form.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a service; findings also look at the samples of the last minutes.
pub fn to_text(service: &Service, samples: &[Sample]) -> Result<String, impl Error + use<>> {
    let mut families = Families::default();
    let status = service.status();
    findings(&mut families, &status, samples);
    connection(&mut families, &status);
    records(&mut families, service);
    definitions(&mut families, service);
    source(&mut families, service);
    stages(&mut families, service);
    ledger(&mut families, service);
    state(&mut families, service);
    followers(&mut families, &status);
    answers(&mut families, service);
    families.into_text()
}

/// Dispositions of all records.
fn records(families: &mut Families, service: &Service) {
    let totals = service.queries.world().totals();
    let count = |counts: &std::collections::BTreeMap<u16, u64>, code: u16| {
        counts.get(&code).copied().unwrap_or(0)
    };
    families
        .counters("ledgerline_records_total", "Records read, over the whole ledger.")
        .add(&[], totals.records);
    families
        .counters("ledgerline_records_filtered_total", "Records that no mapping matched.")
        .add(&[], totals.filtered);
    let mut letters =
        families.counters("ledgerline_dead_letters_total", "Records that produced no transaction.");
    for cause in Cause::ALL {
        letters.add(&[("cause", cause.name())], count(&totals.dead_letters, cause.code()));
    }
    let mut transactions =
        families.counters("ledgerline_transactions_total", "Transactions by verdict.");
    transactions.add(&[("verdict", "valid")], totals.valid);
    for code in InvalidCode::ALL {
        transactions.add(&[("verdict", code.name())], count(&totals.invalid, code.code()));
    }
}

/// Counters of each mapping and contract.
fn definitions(families: &mut Families, service: &Service) {
    let throughput = service.throughput(&[]);
    let mut transactions = families.counters(
        "ledgerline_definition_transactions_total",
        "Transactions of each running mapping and contract in this process.",
    );
    for of in &throughput {
        for (verdict, count) in [("valid", of.valid), ("invalid", of.invalid)] {
            let labels = [("kind", of.kind), ("name", &*of.name), ("verdict", verdict)];
            transactions.add(&labels, count);
        }
    }
    let mut rejected = families.counters(
        "ledgerline_mapping_rejected_total",
        "Records that a mapping matched but could not evaluate in this process.",
    );
    for of in throughput.iter().filter(|of| of.kind == DefinitionKind::Mapping.name()) {
        rejected.add(&[("mapping", &of.name)], of.rejected);
    }
}

/// A gauge for each kind of finding. Every code exists from the start, so that an alert never
/// refers to an absent series.
fn findings(families: &mut Families, status: &StatusView, samples: &[Sample]) {
    let present = findings::findings(status, samples);
    let mut gauges = families.gauges("ledgerline_findings", "1 if the finding is present.");
    for code in Code::ALL {
        let is_present = present.iter().any(|finding| finding.code == code);
        gauges.add(&[("code", code.name())], u64::from(is_present));
    }
}

/// The connections of the inputs, and each configured topic from the start.
fn connection(families: &mut Families, status: &StatusView) {
    let connection = |input: &InputView| Some((input.name.clone(), input.connection.clone()?));
    let connected: Vec<_> = status.inputs.iter().filter_map(connection).collect();
    if connected.is_empty() {
        return;
    }
    let is_refused = |source: &SourceView| !source.refused.is_empty();
    families
        .gauges("ledgerline_source_connected", "1 where every Kafka input reaches a broker.")
        .add(&[], u64::from(connected.iter().all(|(_, source)| source.connected)));
    families
        .gauges("ledgerline_source_refused", "1 if a Kafka broker refuses this client.")
        .add(&[], u64::from(connected.iter().any(|(_, source)| is_refused(source))));
    let mut gauges = families.gauges("ledgerline_input_connected", "1 where a broker is reached.");
    for (name, source) in &connected {
        gauges.add(&[("input", name)], u64::from(source.connected));
    }
    let mut gauges =
        families.gauges("ledgerline_input_refused", "1 where a broker refuses this client.");
    for (name, source) in &connected {
        gauges.add(&[("input", name)], u64::from(is_refused(source)));
    }
    type Read = fn(&TopicView) -> Value;
    let read: [(&str, &str, Read); 4] = [
        ("ledgerline_topic_known", "1 if the cluster knows the topic.", |topic| {
            Value::from(u64::from(topic.known == Some(true)))
        }),
        (
            "ledgerline_topic_partitions",
            "Partitions of the topic; 0 before it is known.",
            |topic| Value::from(u64::from(topic.partitions.unwrap_or(0))),
        ),
        (
            "ledgerline_topic_assigned_partitions",
            "Partitions of the topic that this process reads.",
            |topic| Value::from(u64::from(topic.assigned)),
        ),
        (
            "ledgerline_topic_lag_records",
            "Consumer lag of the topic in records; NaN while the end is unknown.",
            |topic| topic.lag.map_or(Value(f64::NAN), Value::from),
        ),
    ];
    for (name, help, value) in read {
        let mut gauges = families.gauges(name, help);
        for topic in connected.iter().flat_map(|(_, source)| &source.topics) {
            gauges.add(&[("topic", &topic.topic)], value(topic));
        }
    }
}

/// Consumer lag of the service.
fn source(families: &mut Families, service: &Service) {
    let partitions = service.partitions();
    let mut lag =
        families.gauges("ledgerline_source_lag_records", "Consumer lag of a partition in records.");
    for partition in &partitions {
        if let Some(records) = partition.lag {
            lag.add(&[("partition", &partition.partition)], records);
        }
    }
    let mut assigned =
        families.gauges("ledgerline_source_assigned", "1 if this process reads the partition.");
    for partition in &partitions {
        assigned.add(&[("partition", &partition.partition)], u64::from(partition.assigned));
    }
    families
        .gauges("ledgerline_in_flight_records", "Records read that are not in a block yet.")
        .add(&[], service.status.in_flight());
    families
        .counters("ledgerline_future_events_total", "Events dated ahead of this machine's clock.")
        .add(&[], service.status.future_events().count);
    families
        .counters("ledgerline_stale_records_total", "Records dropped with an ended assignment.")
        .add(&[], service.status.stale_records());
    let ready = service.obstacles().is_empty();
    families.gauges("ledgerline_ready", "1 if ingesting.").add(&[], u64::from(ready));
    families
        .gauges("ledgerline_uptime_seconds", "Time since this process started.")
        .add(&[], Value(service.clock.monotonic().as_secs_f64()));
}

/// Work and time of each stage.
fn stages(families: &mut Families, service: &Service) {
    let status = &service.status;
    let mut items = families
        .counters("ledgerline_stage_items_total", "Records (apply: entries) processed by a stage.");
    for stage in Stage::ALL {
        items.add(&[("stage", stage.name())], status.stage(stage).0);
    }
    let mut time = families
        .counters("ledgerline_stage_seconds_total", "Time that a stage spent on its items.");
    for stage in Stage::ALL {
        time.add(&[("stage", stage.name())], Value(status.stage(stage).1.as_secs_f64()));
    }
    families
        .gauges("ledgerline_queued_batches", "Batches waiting to be mapped.")
        .add(&[], status.queued_batches().unsigned_abs());
    let help = "Time from the poll of a record to its receipt.";
    families.histogram("ledgerline_receipt_seconds", help, &status.receipts());
    if let Some(age_ms) = status.freshness_ms() {
        families
            .gauges("ledgerline_freshness_seconds", "Age of the newest event when it was applied.")
            .add(&[], Value(seconds(age_ms)));
    }
}

/// The log and its writer.
fn ledger(families: &mut Families, service: &Service) {
    let ledger = service.queries.ledger();
    let (head, counts) = (ledger.head(), ledger.counts());
    families.gauges("ledgerline_blocks", "Blocks in the ledger.").add(&[], head.height);
    families.gauges("ledgerline_entries", "Entries in the ledger.").add(&[], head.entries);
    if let Some(age_ms) = service.block_age_ms() {
        families
            .gauges("ledgerline_newest_block_age_seconds", "Age of the newest block.")
            .add(&[], Value(seconds(age_ms)));
    }
    for (name, help, value) in [
        ("ledgerline_commits_total", "Group commits: writes with one sync.", counts.commits),
        ("ledgerline_blocks_written_total", "Blocks written by this process.", counts.blocks),
        ("ledgerline_block_bytes_total", "Bytes of blocks written.", counts.bytes),
    ] {
        families.counters(name, help).add(&[], value);
    }
    let help = "Duration of a group commit: writing and syncing the log.";
    families.histogram("ledgerline_commit_seconds", help, &counts.times);
    families
        .gauges("ledgerline_commit_slowest_seconds", "The slowest group commit so far.")
        .add(&[], Value(counts.slowest.as_secs_f64()));
    let health = ledger.health();
    families
        .gauges("ledgerline_halted", "1 if the writer has halted; the process ends then.")
        .add(&[], u64::from(health.halted.is_some()));
    families
        .gauges("ledgerline_disk_full", "1 if the writer waits for disk space.")
        .add(&[], u64::from(health.full.is_some()));
    // Where the system cannot tell, there is no value, and no rule over it fires.
    if let Ok(space) = disk::space(ledger.directory()) {
        families
            .gauges("ledgerline_disk_free_bytes", "Free bytes of the disk with the ledger.")
            .add(&[], space.free_bytes);
        families
            .gauges("ledgerline_disk_size_bytes", "Bytes of the disk with the ledger.")
            .add(&[], space.size_bytes);
    }
}

/// The state that is folded from the log.
fn state(families: &mut Families, service: &Service) {
    let world = service.queries.world();
    families
        .counters("ledgerline_state_writes_total", "Assets written or deleted by transactions.")
        .add(&[], world.totals().writes);
    families
        .gauges("ledgerline_state_unsaved_assets", "Changed assets before the next savepoint.")
        .add(&[], Value::from(world.unsaved_assets() as u64));
    let help = format!("Memory used by assets; at most {} MiB.", MAX_RESIDENT_BYTES >> 20);
    families
        .gauges("ledgerline_state_memory_bytes", &help)
        .add(&[], Value::from(world.memory_bytes() as u64));
    families
        .gauges("ledgerline_state_blocks_behind", "Blocks not yet applied to the state.")
        .add(&[], service.blocks_behind());
    families
        .gauges("ledgerline_savepoint_blocks_behind", "Blocks after the newest savepoint.")
        .add(&[], service.savepoint_behind());
    let help = "Blocks with dead letters not yet copied to their topic.";
    if let Some(blocks) = service.copies_behind() {
        families.gauges("ledgerline_dead_letter_topic_blocks_behind", help).add(&[], blocks);
    }
    let mut alerts =
        families.gauges("ledgerline_alerts_active", "Assets with an active alert of a contract.");
    for alert in service.queries.alert_counts() {
        let labels = [("contract", alert.contract.as_str()), ("alert", alert.alert.as_str())];
        alerts.add(&labels, alert.assets);
    }
}

/// Progress of each follower of the ledger.
fn followers(families: &mut Families, status: &StatusView) {
    type Read = fn(&StatusView, &FollowerView) -> u64;
    let read: [(&str, &str, Read); 3] = [
        ("ledgerline_follower_lag_blocks", "Blocks that a follower has not taken in.", |_, one| {
            one.lag_blocks
        }),
        (
            "ledgerline_follower_savepoint_lag_blocks",
            "Blocks that the newest savepoint of a follower lacks.",
            |status, one| status.height.saturating_sub(one.saved_block),
        ),
        ("ledgerline_follower_held", "1 where a follower is held up.", |_, one| {
            u64::from(one.held.is_some())
        }),
    ];
    for (name, help, value) in read {
        let mut gauges = families.gauges(name, help);
        for follower in &status.followers {
            gauges.add(&[("follower", &follower.name)], value(status, follower));
        }
    }
}

/// Answers by status: many of 401, 403, 429 or 503 need attention.
fn answers(families: &mut Families, service: &Service) {
    let mut answers = families
        .counters("ledgerline_answers_total", "Answers of the monitoring endpoint by HTTP status.");
    for (status, count) in service.answers.all() {
        answers.add(&[("status", &status.to_string())], count);
    }
}
