//! The traces' part of the configuration: sampling and collector.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::yaml::Located;
use crate::config::secret;
use crate::diagnostic::Diagnostic;
use crate::input::Property;
use crate::monitor::traces::{TraceExport, TraceSettings};

/// Traces of batches for a collector (OpenTelemetry). The program must have been built with the
/// feature `otlp`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracesForm {
    /// The collector, which speaks OTLP/HTTP: `http://HOST:4318` or `https://…`. An address without
    /// a path gets `/v1/traces`.
    pub endpoint: Located<String>,
    /// Headers of each request, such as `Authorization`; `${NAME}` and `file:PATH` keep secrets out
    /// of this file.
    #[serde(default)]
    pub headers: BTreeMap<String, Located<Property>>,
    /// Authorities of the collector's certificate in PEM form; the system's where not named.
    pub authorities: Option<PathBuf>,
    /// Share of the batches of which a trace is told, 0 to 1; one in a hundred where not named.
    pub sample: Option<Located<f64>>,
    /// `service.name` of the traces.
    #[serde(default = "service")]
    pub service: String,
    /// Other attributes of this program, such as `deployment.environment.name`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A batch has up to some thousand records: at full speed this is a few traces a second.
const DEFAULT_SHARE: f64 = 0.01;

fn service() -> String {
    env!("CARGO_PKG_NAME").to_owned()
}

/// Checks the traces' part.
pub fn check_traces(
    path: &Path,
    form: Located<TracesForm>,
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> TraceSettings {
    let Located { value: mut form, place } = form;
    secret::resolve_text(path, &mut form.endpoint, at, diagnostics);
    form.headers
        .values_mut()
        .for_each(|value| secret::resolve_property(path, value, at, diagnostics));
    let share = form.sample.as_ref().map_or(DEFAULT_SHARE, |sample| sample.value);
    if let Some(sample) = form.sample.filter(|sample| !(0.0..=1.0).contains(&sample.value)) {
        let message = format!("`sample` is {}; allowed: 0 to 1", sample.value);
        let help = "it is the fraction of batches that are traced";
        diagnostics.push(Diagnostic::error(path, sample.place, message).help(help));
    }
    let headers = form.headers.into_iter().map(|(name, value)| (name, value.value)).collect();
    let settings = TraceSettings {
        endpoint: form.endpoint.value,
        headers,
        authorities: form.authorities.as_deref().map(at),
        share,
        service: form.service,
        attributes: form.attributes,
    };
    if let Err(reason) = TraceExport::check(&settings) {
        diagnostics.push(Diagnostic::error(path, place, format!("`traces`: {reason}")));
    }
    settings
}
