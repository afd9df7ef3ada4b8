//! Tells a collector (OpenTelemetry protocol, OTLP) of the batches that the pipeline noted: one trace
//! each. Only with the feature `otlp`; without it this refuses, and nothing is ever noted.
//!
//! It must never hold up the pipeline, whatever the collector does, or print a header's value.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod spans;

#[cfg(not(feature = "otlp"))]
pub use absent::TraceExport;
#[cfg(feature = "otlp")]
pub use export::TraceExport;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::input::Property;

/// Sampling and destination of traces.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector: `http://…` or `https://…`, with `/v1/traces` behind it where it has no path.
    pub endpoint: String,
    /// Headers of each request, such as a key of the collector's.
    pub headers: BTreeMap<String, Property>,
    /// PEM file of the authorities of the collector's certificate; the system's where not named.
    pub authorities: Option<PathBuf>,
    /// Share of the batches, 0 to 1.
    pub share: f64,
    /// `service.name`.
    pub service: String,
    /// Other attributes of this program, such as `deployment.environment.name`.
    pub attributes: BTreeMap<String, String>,
}
