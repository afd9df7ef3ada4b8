//! Prometheus' exposition format: families of metrics, filled with values counted elsewhere.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Error, TextEncoder};

use crate::timing::{TIME_BUCKETS_US, TimeCounts};

/// Microseconds of a second.
const MICROS: f64 = 1_000_000.0;

/// A number of a metric. Counts are exact up to 2⁵³.
pub struct Value(pub f64);

impl From<u64> for Value {
    #[allow(clippy::cast_precision_loss)] // said above
    fn from(count: u64) -> Self {
        Self(count as f64)
    }
}

/// Families in the order they are written.
#[derive(Default)]
pub struct Families(Vec<MetricFamily>);

/// A family that takes values.
pub struct Family<'a> {
    family: &'a mut MetricFamily,
}

impl Families {
    /// The text form, without families that have no values, such as the lag of a source that does
    /// not know its end: the encoder takes that for an error.
    pub fn into_text(mut self) -> Result<String, Error> {
        self.0.retain(|family| !family.get_metric().is_empty());
        TextEncoder::new().encode_to_string(&self.0)
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType) -> Family<'_> {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        let at = self.0.len();
        self.0.push(family);
        Family { family: &mut self.0[at] }
    }

    /// A family of values that only grow.
    pub fn counters(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, MetricType::COUNTER)
    }

    /// A family of values that rise and fall.
    pub fn gauges(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, help, MetricType::GAUGE)
    }

    /// A histogram of times, in seconds.
    pub fn histogram(&mut self, name: &str, help: &str, times: &TimeCounts) {
        let mut cumulative = 0;
        let mut buckets = Vec::new();
        for (end_us, count) in TIME_BUCKETS_US.into_iter().zip(times.counts) {
            cumulative += count;
            // The encoder adds the endless bucket by itself.
            if end_us < u64::MAX {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(Value::from(end_us).0 / MICROS);
                bucket.set_cumulative_count(cumulative);
                buckets.push(bucket);
            }
        }
        let mut histogram = Histogram::default();
        histogram.set_sample_count(cumulative);
        histogram.set_sample_sum(times.sum.as_secs_f64());
        histogram.set_bucket(buckets);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.family(name, help, MetricType::HISTOGRAM).family.mut_metric().push(metric);
    }
}

impl Family<'_> {
    /// Adds a value under its labels.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        let Value(value) = value.into();
        if self.family.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.family.mut_metric().push(metric);
    }
}
