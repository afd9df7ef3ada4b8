//! The report of the measurements, for people and for programs.

use serde::Serialize;

use crate::cli::bench::BenchArgs;
use crate::cli::bench::readers::Readers;
use crate::cli::bench::whole::Whole;
use crate::command::output::line;
use crate::query::views::grouped;
use crate::timing::TimeCounts;

/// The measurements.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    events: u64,
    devices: u32,
    partitions: u16,
    /// Brokers outside of this process, whose topic was filled before.
    brokers: Option<String>,
    /// Kafka → durable and applied, records a second.
    whole_way: f64,
    #[serde(flatten)]
    limits: Limits,
    /// Records a second in the first million and in the last, where there are two.
    first_and_last_million: Option<(f64, f64)>,
    /// Processor time of each thread a record, in microseconds, from the end of the warm-up.
    threads_us: Vec<(String, f64)>,
    /// Time of each stage a record, waiting included, in microseconds.
    stages_us: Vec<(&'static str, f64)>,
    /// From poll to receipt at the full rate.
    receipt_ms: Quantiles,
    /// From poll to receipt at half of the full rate; not of a topic that was filled before.
    receipt_at_half_rate_ms: Option<Quantiles>,
    /// Median and 99th percentile of reads of one asset over HTTP meanwhile, in milliseconds.
    read_ms: (f64, f64),
    sign_each: SignEach,
    /// The whole way with many readers, where they were asked for.
    with_readers: Option<WithReaders>,
    /// Bytes of the log a record.
    log_bytes_per_event: f64,
    /// Peak resident memory of this process after the whole way in MiB; broker and senders included,
    /// where they run in it.
    resident_mib: f64,
}

/// The bare limits, records a second.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    /// Consuming from the same broker and nothing else.
    pub(super) consume: f64,
    /// Consuming and parsing by `serde_json` alone, numbers with their digits, by one thread: what a
    /// plain consumer does.
    pub(super) consume_and_parse: f64,
    /// The whole way over that.
    pub(super) parse_ratio: f64,
    /// Consuming, parsing strictly, identifying, by one thread, as the first stages here do it.
    pub(super) consume_and_decode: f64,
    /// The whole way over consuming and decoding.
    pub(super) ratio: f64,
    /// Appending the blocks of the whole way to a log, durably, and nothing else.
    pub(super) append: f64,
}

/// The way with a signature for each transaction.
#[derive(Debug, Serialize)]
pub(super) struct SignEach {
    /// Records a second.
    pub(super) rate: f64,
    /// Signatures made and checked a second by all processors that do nothing else.
    pub(super) raw: f64,
    /// One over the other.
    pub(super) ratio: f64,
}

/// The whole way while many read.
#[derive(Debug, Serialize)]
pub(super) struct WithReaders {
    /// Records a second.
    pub(super) rate: f64,
    /// That over the rate with one reader.
    pub(super) ratio: f64,
    /// The answers to concurrent readers.
    pub(super) many: Readers,
    /// The answers to one reader of the same ledger at rest.
    pub(super) large: Readers,
    /// The same of a small ledger at rest.
    pub(super) small: Readers,
}

/// Upper ends of the buckets that hold the quantiles, in milliseconds; `None` above the last bucket.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

impl Quantiles {
    pub(super) fn of(times: &TimeCounts) -> Self {
        let ms = |per_mille| times.quantile(per_mille).map(|took| took.as_secs_f64() * 1e3);
        Self { p50: ms(500), p99: ms(990), p999: ms(999) }
    }

    fn text(&self) -> String {
        let text = |ms: Option<f64>| ms.map_or("over 1,000".to_owned(), |ms| format!("{ms}"));
        format!("{} / {} / {} ms or less", text(self.p50), text(self.p99), text(self.p999))
    }
}

impl Report {
    pub(super) fn new(
        args: &BenchArgs,
        whole: Whole,
        limits: Limits,
        receipt_at_half_rate_ms: Option<Quantiles>,
        (sign_each, with_readers): (SignEach, Option<WithReaders>),
    ) -> Self {
        Self {
            events: args.events,
            devices: args.devices,
            partitions: whole.partitions,
            brokers: args.brokers.clone(),
            whole_way: whole.rate,
            limits,
            first_and_last_million: whole.ends,
            threads_us: whole.threads_us,
            stages_us: whole.stages_us,
            receipt_ms: whole.receipt_ms,
            receipt_at_half_rate_ms,
            read_ms: whole.read_ms,
            sign_each,
            with_readers,
            log_bytes_per_event: whole.log_bytes_per_event,
            resident_mib: whole.resident_mib,
        }
    }

    /// Prints it.
    pub(super) fn give(&self, json: bool) -> anyhow::Result<()> {
        match json {
            true => line(serde_json::to_string(self)?),
            false => self.print(),
        }
    }

    fn print_readers(&self) -> anyhow::Result<()> {
        let Some(WithReaders { rate, ratio, many, large, small }) = &self.with_readers else {
            return Ok(());
        };
        line(format!(
            "with {} readers{rate:>16.0} events/s, {ratio:.2} of the rate with one; {} answers, {} turned \
             away, {} failed",
            many.readers, many.answers, many.turned_away, many.failed
        ))?;
        line("first byte, p50 / p99 ms: with these readers; at rest; at rest over 10,000 records")?;
        let rows = many.first_byte_ms.iter().zip(&large.first_byte_ms).zip(&small.first_byte_ms);
        for (((path, p50, p99), (_, large, large_p99)), (_, small, _)) in rows {
            let times = format!("{p50:>7.1} / {p99:<7.1} {large:>6.2} / {large_p99:<6.2}");
            line(format!("  {path:<24} {times} {:.2} times", large / small))?;
        }
        Ok(())
    }

    fn print(&self) -> anyhow::Result<()> {
        let Self { events, devices, partitions, limits, sign_each, .. } = self;
        let place = match &self.brokers {
            None => "broker and senders on the same cores".to_owned(),
            Some(brokers) => format!("read from {brokers}, filled before"),
        };
        line(format!(
            "{} records of {} devices over {partitions} partitions; {place}",
            grouped(*events),
            grouped(u64::from(*devices))
        ))?;
        line(format!(
            "whole way            {:>10.0} events/s, durable and applied",
            self.whole_way
        ))?;
        line(format!("consume only         {:>10.0} events/s", limits.consume))?;
        line(format!(
            "consume and parse    {:>10.0} events/s, serde_json",
            limits.consume_and_parse
        ))?;
        line(format!("consume and decode   {:>10.0} events/s", limits.consume_and_decode))?;
        line(format!("append to the log    {:>10.0} events/s, durable", limits.append))?;
        line(format!("signature per event  {:>10.0} events/s", sign_each.rate))?;
        line(format!("sign and check only  {:>10.0} /s, all processors", sign_each.raw))?;
        line(format!("whole way over consume and parse         {:.2}", limits.parse_ratio))?;
        line(format!("whole way over consume and decode        {:.2}", limits.ratio))?;
        line(format!("signature per event over sign and check  {:.2}", sign_each.ratio))?;
        if let Some((first, last)) = self.first_and_last_million {
            line(format!("last million over the first              {:.2}", last / first))?;
        }
        self.print_readers()?;
        for (thread, micros) in &self.threads_us {
            line(format!("thread {thread:<13} {micros:>10.2} µs of processor time per event"))?;
        }
        for (stage, micros) in &self.stages_us {
            line(format!("stage {stage:<14} {micros:>10.2} µs per event, waiting included"))?;
        }
        line(format!("poll to receipt, p50 / p99 / p99.9   {}", self.receipt_ms.text()))?;
        if let Some(half) = &self.receipt_at_half_rate_ms {
            line(format!("the same at half of that rate        {}", half.text()))?;
        }
        let (p50, p99) = self.read_ms;
        line(format!("state reads meanwhile, p50 / p99     {p50:.2} / {p99:.2} ms"))?;
        line(format!("log                  {:>10.0} bytes per event", self.log_bytes_per_event))?;
        line(format!(
            "resident memory      {:>10.0} MiB, what runs in this process included",
            self.resident_mib
        ))
    }
}
