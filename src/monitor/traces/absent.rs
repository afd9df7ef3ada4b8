//! Replacement for tracing in a program built without the feature.

use std::sync::Arc;

use crate::clock::Clock;
use crate::monitor::traces::TraceSettings;
use crate::pipeline::Traces;

/// There is none.
pub enum TraceExport {}

impl TraceExport {
    /// Always refuses.
    pub fn check(_: &TraceSettings) -> Result<(), String> {
        Err("this program was built without tracing; build it with `cargo build \
             --release --features otlp`"
            .to_owned())
    }

    /// Always refuses.
    pub fn start(
        settings: &TraceSettings,
        _ledger: &str,
        _clock: Arc<dyn Clock>,
    ) -> Result<(Self, Traces), String> {
        Self::check(settings)?;
        Err("tracing is not available".to_owned())
    }

    /// There is nothing to stop.
    pub fn stop(self) {
        match self {}
    }
}
