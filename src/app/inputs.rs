//! Opens the inputs, and hands each part of them to those who need it.

use std::sync::Arc;

use crate::config::InputConfig;
use crate::input::{
    Calls, Content, FileCounts, HealthReport, InputError, InputHealth, LastTaken, LastTakenOf,
    Opened, Opening, open_with_prefix,
};
use crate::ledger::LastRecord;
use crate::ledger::embedded::EmbeddedReader;
use crate::mapping::MappingSet;
use crate::monitor::InputStatus;
use crate::pipeline::{PipelineInput, reading};
use crate::query::TrialInput;

/// The open inputs, by what others need of them.
#[derive(Default)]
pub struct OpenInputs {
    /// For the pipeline.
    pub pipeline: Vec<PipelineInput>,
    /// For the monitor.
    pub status: Vec<InputStatus>,
    /// For dry runs.
    pub decoders: Vec<TrialInput>,
    /// Connections of those that have one.
    pub health: Vec<Arc<InputHealth>>,
    /// Counts of the input, where it is the only one of events and a file.
    pub file: Option<Arc<FileCounts>>,
    /// Submits manual calls, where an input takes them.
    pub calls: Option<Calls>,
}

/// Opens every input of a configuration.
pub fn open_inputs(
    configs: &[InputConfig],
    mappings: &Arc<MappingSet>,
    opening: &Opening<'_>,
) -> Result<OpenInputs, InputError> {
    let mut inputs = OpenInputs::default();
    for config in configs {
        let opened = open_with_prefix(&*config.adapter, &config.prefix, opening)?;
        let Opened { input, content, keeps_service_alive, health, counts, calls } = opened;
        inputs.health.extend(health.clone());
        inputs.calls = calls.or(inputs.calls);
        inputs.file = counts.or(inputs.file);
        inputs.status.push(InputStatus {
            name: config.name.clone(),
            kind: config.adapter.kind(),
            prefix: config.prefix.clone(),
            streams: config.streams.clone(),
            health: health_of(health),
        });
        if content == Content::Events {
            let (name, streams) = (config.name.clone(), config.streams.clone());
            inputs.decoders.push(TrialInput { name, streams, decoder: config.decoder.clone() });
        }
        inputs.pipeline.push(PipelineInput {
            name: config.name.clone(),
            input,
            streams: config.streams.clone(),
            reading: reading(content, config.decoder.clone(), mappings.clone()),
            keeps_service_alive,
        });
    }
    if inputs.decoders.len() != 1 {
        inputs.file = None;
    }
    Ok(inputs)
}

/// The health of an input. One without a connection has nothing to report.
fn health_of(health: Option<Arc<InputHealth>>) -> Box<dyn Fn() -> HealthReport + Send + Sync> {
    Box::new(move || health.as_ref().map(|health| health.report()).unwrap_or_default())
}

/// Asks the ledger for the last record that it took of a partition.
pub fn last_taken(reader: &Arc<EmbeddedReader>) -> LastTakenOf {
    let reader = reader.clone();
    Arc::new(move |partition| {
        let LastRecord { offset, digest } = reader.last_record(partition)?;
        Some(LastTaken { offset, digest })
    })
}
