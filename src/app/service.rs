//! The service: opens the ledger, brings the state up to it, records the definitions, and runs.

use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use crate::app::inputs::{last_taken, open_inputs};
use crate::app::{AppError, Observe};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DeadLetterTopicConfig, LedgerConfig};
use crate::contract::{Contract, ContractSet};
use crate::disk::SystemDisk;
use crate::follower::{Follower, FollowerError};
use crate::input::{self, Assignments, FileCounts, InputHealth};
use crate::ledger::embedded::{
    self, EmbeddedLedger, EmbeddedReader, LedgerKeys, OpenLedger, Opening, keep_checkpoint,
};
use crate::ledger::{Definition, DefinitionKind, LedgerReader};
use crate::mapping::MappingSet;
use crate::monitor::access::Settings;
use crate::monitor::traces::{TraceExport, TraceSettings};
use crate::monitor::{self, AnswerCounts, Endpoint, Service};
use crate::pipeline::status::Status;
use crate::pipeline::{
    CheckpointCopy, DeadLetterTopic, Followers, Pipeline, PipelineError, Stop, Traces, catch_up,
    state_observers,
};
use crate::query::{Queries, Trial};
use crate::state::world::Found;
use crate::state::{STATE_DIRECTORY, World};
use crate::transaction::{Signer, read_key_file};

/// Everything that is open before the first record.
pub struct Opened {
    pipeline: Pipeline,
    /// Readers' side of the ledger.
    pub reader: Arc<EmbeddedReader>,
    /// The state.
    pub world: Arc<World>,
    /// The followers of the log; others may be added before the start.
    pub followers: Arc<Followers>,
    /// Counters and timings of the stages.
    pub status: Arc<Status>,
    /// Positions of the inputs.
    pub assignments: Arc<Assignments>,
    /// Connections of the inputs that have one.
    pub health: Vec<Arc<InputHealth>>,
    /// Counts of the input, where it is the only one of events and a file.
    pub file: Option<Arc<FileCounts>>,
    /// The endpoint, where one is configured.
    pub endpoint: Option<Endpoint>,
    /// The trace exporter, if configured.
    trace_export: Option<TraceExport>,
    /// Asks for the end.
    pub stop: Stop,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Pause before a start looks again whether there is space on the disk.
const SPACE_PAUSE: Duration = Duration::from_millis(500);

/// A running pipeline.
pub struct Running {
    thread: std::thread::JoinHandle<Result<(), crate::pipeline::PipelineError>>,
    endpoint: Option<Endpoint>,
    trace_export: Option<TraceExport>,
}

/// Opens everything that a configuration asks for.
pub fn open(config: Config, observe: Observe<'_>) -> Result<Opened, AppError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (keys, submitter) = read_keys(&config.ledger)?;
    config.inputs.iter().try_for_each(|input| input.adapter.preflight())?;
    let opened = open_log(&config.ledger, observe)?;
    let reader = opened.reader();
    let world = open_world(&config.ledger.directory, (&reader, &*clock), observe)?;
    let definitions = definitions(&config.mappings, &config.contracts);
    let contracts = Arc::new(config.contracts);
    let mut ledger = opened.start(&keys, contracts.clone(), world.clone(), clock.clone())?;
    define(&mut ledger, definitions)?;
    bring_up(&world, (&reader, &*clock), &mut |_, _| {})?;
    let assignments = Arc::new(Assignments::new(reader.progress()));
    let opening = input::Opening {
        assignments: assignments.clone(),
        last_taken: last_taken(&reader),
        directory: &config.ledger.directory,
        clock: clock.clone(),
    };
    let mappings = Arc::new(config.mappings);
    let inputs = open_inputs(&config.inputs, &mappings, &opening)?;
    let (status, stop) = (Arc::new(Status::default()), Stop::default());
    let (trace_export, traces) = start_traces(config.traces.as_ref(), reader.name(), &clock)?;
    let keep = keep_newest(&config.ledger, &reader);
    let mut observers = state_observers(&status, &traces, &clock);
    observers.push(Box::new(CheckpointCopy::new(keep, clock.clone())));
    // Every follower of the log, one line each.
    let followers = Arc::new(Followers::default());
    followers.add_observed(world.clone(), observers);
    let letters =
        open_letters(config.dead_letter_topic.as_ref(), opening.directory, &*reader, &stop)?;
    letters.into_iter().for_each(|letters| followers.add(letters));
    let pipeline = Pipeline {
        inputs: inputs.pipeline,
        assignments: assignments.clone(),
        mapper_threads: config.mapper_threads,
        signer: submitter,
        limits: config.submission,
        writer: Box::new(ledger),
        reader: reader.clone(),
        followers: followers.clone(),
        clock: clock.clone(),
        status: status.clone(),
        traces,
        stop: stop.clone(),
    };
    let service = Service {
        queries: Queries::new(reader.clone(), world.clone()),
        status: status.clone(),
        assignments: assignments.clone(),
        inputs: inputs.status,
        followers: followers.clone(),
        calls: inputs.calls,
        trial: Trial { inputs: inputs.decoders, mappings, contracts },
        answers: AnswerCounts::default(),
        clock: clock.clone(),
    };
    let endpoint = start_monitor(config.monitor.as_ref(), service)?;
    Ok(Opened {
        pipeline,
        reader,
        world,
        followers,
        status,
        assignments,
        health: inputs.health,
        file: inputs.file,
        endpoint,
        trace_export,
        stop,
        clock,
    })
}

impl Opened {
    /// Starts the pipeline.
    pub fn start(self) -> Result<Running, AppError> {
        let Self { pipeline, endpoint, trace_export, .. } = self;
        let thread = Builder::new().name("pipeline".to_owned()).spawn(move || pipeline.run());
        let thread = thread.map_err(|_| PipelineError::Thread("pipeline".into()))?;
        Ok(Running { thread, endpoint, trace_export })
    }

    /// Splits off the pipeline, so that what is around it can be looked at while it runs.
    pub fn run(self) -> Result<(), AppError> {
        self.start()?.wait()
    }
}

impl Running {
    /// True if the pipeline has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the pipeline's end, then stops the endpoint and what tells a collector.
    pub fn wait(self) -> Result<(), AppError> {
        let ended = self.thread.join();
        if let Some(endpoint) = self.endpoint {
            endpoint.stop();
        }
        if let Some(export) = self.trace_export {
            export.stop();
        }
        match ended {
            Ok(result) => Ok(result?),
            Err(_) => Err(PipelineError::Panicked("pipeline".into()).into()),
        }
    }
}

/// Opens the log; tells where an interrupted write was cut off it.
fn open_log(config: &LedgerConfig, observe: Observe<'_>) -> Result<OpenLedger, AppError> {
    let opening = Opening {
        directory: config.directory.clone(),
        name: config.name.clone(),
        checkpoint_copy: Some(config.checkpoint_copy.clone()),
        max_segment_bytes: config.max_segment_bytes,
    };
    let opened = embedded::open(&opening, &mut |done, all| observe("reading the log", done, all))?;
    if opened.repaired_bytes > 0 {
        let bytes = opened.repaired_bytes;
        tracing::warn!(
            bytes,
            "truncated bytes at the end of the log that were not a complete block: an interrupted write, none of \
             which was acknowledged, or a last block damaged since"
        );
    }
    Ok(opened)
}

fn read_keys(config: &LedgerConfig) -> Result<(LedgerKeys, Signer), AppError> {
    let signer = read_key_file(&config.key)?;
    let previous = config.previous_key.as_deref().map(read_key_file).transpose()?;
    let submitter = read_key_file(&config.submitter_key)?;
    Ok((LedgerKeys { signer, previous, submitter: submitter.id() }, submitter))
}

/// Opens the state and brings it up to the log.
fn open_world(
    directory: &Path,
    (reader, clock): (&Arc<EmbeddedReader>, &dyn Clock),
    observe: Observe<'_>,
) -> Result<Arc<World>, AppError> {
    let (world, found) = World::open(&directory.join(STATE_DIRECTORY), &**reader)?;
    if let Found::Unusable(reason) = found {
        tracing::warn!(reason, "the state store does not match the log: rebuilt from it");
    }
    let observe = &mut |done, all| observe("building the state", done, all);
    bring_up(&world, (reader, clock), observe)?;
    Ok(Arc::new(world))
}

/// Brings the state up to the log. On a disk that is nearly full it waits for space.
fn bring_up(
    world: &World,
    (reader, clock): (&Arc<EmbeddedReader>, &dyn Clock),
    observe: &mut dyn FnMut(u64, u64),
) -> Result<(), FollowerError> {
    let is_held =
        |result: &Result<(), FollowerError>| matches!(result, Err(FollowerError::Held(_)));
    loop {
        let mut result = catch_up(&**reader, world, observe);
        let Err(error @ FollowerError::Held(_)) = &result else { return result };
        tracing::warn!(%error, "startup is waiting for disk space");
        while is_held(&result) {
            clock.sleep(SPACE_PAUSE);
            result = world.savepoint();
        }
        result?;
        tracing::info!("disk space is available again; startup continues");
    }
}

fn definitions(mappings: &MappingSet, contracts: &ContractSet) -> Vec<Definition> {
    let mapping = |mapping: &crate::mapping::Mapping| Definition {
        kind: DefinitionKind::Mapping,
        name: mapping.name.to_string(),
        version: 0,
        text: mapping.text.clone(),
    };
    contracts.iter().map(contract_definition).chain(mappings.mappings.iter().map(mapping)).collect()
}

/// A contract as the ledger records it.
pub(super) fn contract_definition(contract: &Contract) -> Definition {
    Definition {
        kind: DefinitionKind::Contract,
        name: contract.name.to_string(),
        version: contract.version,
        text: contract.text.clone(),
    }
}

fn define(ledger: &mut EmbeddedLedger, definitions: Vec<Definition>) -> Result<(), AppError> {
    let recorded = ledger.define(definitions)?;
    if recorded > 0 {
        tracing::info!(recorded, "recorded new mappings and contracts in the ledger");
    }
    Ok(())
}

/// The follower that copies dead letters to a topic, where one is configured.
fn open_letters(
    config: Option<&DeadLetterTopicConfig>,
    directory: &Path,
    reader: &dyn LedgerReader,
    stop: &Stop,
) -> Result<Option<Arc<dyn Follower>>, AppError> {
    let Some(DeadLetterTopicConfig { topic, input }) = config else { return Ok(None) };
    let Some(cluster) = input.adapter.cluster() else { return Ok(None) };
    let place = directory.join("dead-letter-topic.next");
    let copies = DeadLetterTopic::open(cluster, topic, &place, reader, stop.clone())?;
    Ok(Some(Arc::new(copies)))
}

/// Starts the trace exporter, if configured, and returns the recorder of batches.
fn start_traces(
    settings: Option<&TraceSettings>,
    ledger: &str,
    clock: &Arc<dyn Clock>,
) -> Result<(Option<TraceExport>, Traces), AppError> {
    let Some(settings) = settings else { return Ok((None, Traces::default())) };
    let started = TraceExport::start(settings, ledger, clock.clone());
    let (export, traces) = started.map_err(AppError::Traces)?;
    Ok((Some(export), traces))
}

/// Starts the endpoint, where one is configured.
fn start_monitor(
    settings: Option<&Settings>,
    service: Service,
) -> Result<Option<Endpoint>, AppError> {
    let start = |settings| monitor::start_with(settings, Arc::new(service));
    Ok(settings.map(start).transpose()?)
}

/// Keeps the newest checkpoint outside the ledger's directory: now, because new definitions and keys
/// are blocks too and no record may follow them, and at each call.
fn keep_newest(config: &LedgerConfig, reader: &Arc<EmbeddedReader>) -> Box<dyn Fn() + Send + Sync> {
    let (path, reader) = (config.checkpoint_copy.clone(), reader.clone());
    let keep = move || {
        if let Err(error) = keep_checkpoint(&SystemDisk, &path, &reader.checkpoint()) {
            let path = path.display();
            tracing::warn!(%path, %error, "the checkpoint could not be saved outside the ledger");
        }
    };
    keep();
    Box::new(keep)
}
