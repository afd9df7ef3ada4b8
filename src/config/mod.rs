//! Configuration: the YAML form, and the checked configuration.
//!
//! Paths in a file are relative to that file. Values may come from the environment (`${NAME}`), secrets
//! also from files (`file:PATH`); neither is ever printed.

mod cross_check;
mod definitions;
mod form;
mod inputs;
mod monitor;
mod paths;
mod secret;
mod traces;
mod variables;

pub use cross_check::cross_check;
pub use definitions::{Definitions, definitions};
pub use form::{ConfigForm, DeadLettersForm, InputForm, LedgerForm, SubmissionForm};
pub use inputs::InputConfig;
pub use monitor::{AccessForm, Anonymous, CertificateForm, JwtForm, MonitorForm, TlsForm};
pub use paths::preflight_paths;
pub use secret::environment;
pub use traces::TracesForm;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::yaml::{self, Located};
use crate::contract::ContractSet;
use crate::diagnostic::{Diagnostic, Place, Severity, did_you_mean};
use crate::input::KafkaWriter;
use crate::ledger::checkpoint::check_origin;
use crate::ledger::default_checkpoint_copy;
use crate::limits::{MAX_MAPPER_THREADS, MAX_SUBMISSION_TRANSACTIONS, SEGMENT_BYTES};
use crate::mapping::MappingSet;
use crate::monitor::access::Settings;
use crate::monitor::traces::TraceSettings;
use crate::pipeline::SubmissionLimits;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The ledger.
    pub ledger: LedgerConfig,
    /// The inputs, at least one.
    pub inputs: Vec<InputConfig>,
    /// Topic for copies of dead letters, and its cluster.
    pub dead_letter_topic: Option<DeadLetterTopicConfig>,
    /// Limits at which a submission is sent.
    pub submission: SubmissionLimits,
    /// Mapping threads.
    pub mapper_threads: usize,
    /// Address and access of the endpoint; `None` for no endpoint.
    pub monitor: Option<Settings>,
    /// Destination and sampling of traces.
    pub traces: Option<TraceSettings>,
    /// Every mapping.
    pub mappings: MappingSet,
    /// Every contract.
    pub contracts: ContractSet,
}

impl Config {
    /// The same with its places in the file moved.
    fn with_places(mut self, moved: impl Fn(Place) -> Place) -> Self {
        for input in &mut self.inputs {
            input.place = moved(input.place);
        }
        let LedgerPlaces { name, directory, checkpoint_copy, key, previous_key, submitter_key } =
            &mut self.ledger.places;
        for place in [name, directory, checkpoint_copy, key, previous_key, submitter_key] {
            *place = moved(*place);
        }
        self
    }
}

/// The ledger's part.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// Name, the origin of checkpoints.
    pub name: String,
    /// Directory.
    pub directory: PathBuf,
    /// Key file that seals blocks.
    pub key: PathBuf,
    /// Key file before a rotation.
    pub previous_key: Option<PathBuf>,
    /// Key file that signs submissions; the ledger's own where none is named.
    pub submitter_key: PathBuf,
    /// The checkpoint kept outside the directory.
    pub checkpoint_copy: PathBuf,
    /// A segment is closed when it has grown past this many bytes.
    pub max_segment_bytes: u64,
    /// Places of the above in the configuration file.
    pub places: LedgerPlaces,
}

/// Places of a ledger's settings in the configuration file.
#[derive(Debug, Clone, Copy)]
pub struct LedgerPlaces {
    /// Of `name`.
    pub name: Place,
    /// Of `directory`.
    pub directory: Place,
    /// Of `checkpoint_copy`; of `directory` where it is not named.
    pub checkpoint_copy: Place,
    /// Of `key`.
    pub key: Place,
    /// Of `previous_key`; of `key` where it is not named.
    pub previous_key: Place,
    /// Of `submitter_key`; of `key` where it is not named.
    pub submitter_key: Place,
}

/// A checked topic for copies of dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetterTopicConfig {
    /// The topic.
    pub topic: String,
    /// The input whose cluster has the topic.
    pub input: InputConfig,
}

/// The result of reading a configuration.
#[derive(Debug)]
pub struct Checked {
    /// The configuration, where nothing stands against it.
    pub config: Option<Config>,
    /// The configuration that was refused, as far as it could be read.
    pub refused: Option<Config>,
    /// Everything that was found, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a configuration and everything it names.
#[must_use]
pub fn load(path: &Path) -> Checked {
    let mut diagnostics = Vec::new();
    let config = read_form(path, &mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| (diagnostic.file.clone(), diagnostic.place));
    let is_refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let (config, refused) = if is_refused { (None, config) } else { (config, None) };
    Checked { config, refused, diagnostics }
}

fn read_form(path: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Config> {
    let text = match yaml::read(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(diagnostic.help("pass the configuration with `--config FILE`"));
            return None;
        }
    };
    let filled = variables::fill(path, &text);
    let mut found = Vec::new();
    let config = read_text(path, &filled.text, &mut found);
    let config = config.map(|config| config.with_places(|place| filled.place(place)));
    diagnostics.extend(filled.settle(path, found));
    config
}

/// Reads the form, its variables filled in. Places are those of this text.
fn read_text(path: &Path, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Config> {
    let documents =
        yaml::documents(path, text).map_err(|diagnostic| diagnostics.push(diagnostic)).ok()?;
    let [document] = documents.as_slice() else {
        let message = format!("contains {} YAML documents, expected one", documents.len());
        diagnostics.push(Diagnostic::error(path, Place::START, message));
        return None;
    };
    match document.parse::<ConfigForm>(path) {
        Ok(form) => check(path, form, diagnostics),
        Err(mut unsound) => {
            let mut found = Vec::new();
            let config = unsound.rest.take().and_then(|form| check(path, form, &mut found));
            let (mine, others): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|diagnostic| diagnostic.file == path);
            let more = unsound.sift(mine, &[], &[]);
            if unsound.is_sound(&["mappings", "contracts"]) {
                // Mappings are warned of what identity cannot give, where all of it was read.
                let has_source = unsound.is_sound(&["source"]) || unsound.is_sound(&["inputs"]);
                let is_certain =
                    |diagnostic: &Diagnostic| has_source || diagnostic.severity == Severity::Error;
                diagnostics.extend(others.into_iter().filter(is_certain));
            }
            // Keys and ledger can be looked at where all that they need is certain.
            let config = config.filter(|_| unsound.is_sound(&["ledger", "contracts"]));
            diagnostics.extend(unsound.diagnostics);
            diagnostics.extend(more);
            config
        }
    }
}

/// Checks one thing after the other and goes on after a fault, so that all are found at once.
fn check(path: &Path, mut form: ConfigForm, diagnostics: &mut Vec<Diagnostic>) -> Option<Config> {
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let at = |file: &Path| if file == Path::new("-") { file.to_owned() } else { base.join(file) };
    let mapping_files = files(path, &form.mappings, &at, diagnostics);
    let contract_files = files(path, &form.contracts, &at, diagnostics);
    let (mappings, mapping_diagnostics) =
        MappingSet::from_texts(&texts(&mapping_files, diagnostics));
    let mut contract_diagnostics = Vec::new();
    let (contracts, found) = ContractSet::load(&texts(&contract_files, &mut contract_diagnostics));
    contract_diagnostics.extend(found);
    let is_whole = |diagnostics: &[Diagnostic]| {
        diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    };
    diagnostics.extend(cross_check(&mappings, &contracts, is_whole(&contract_diagnostics)));
    if is_whole(&mapping_diagnostics) {
        diagnostics.extend(cross_check::unset_fields(&mappings, &contracts));
    }
    diagnostics.extend(mapping_diagnostics);
    diagnostics.extend(contract_diagnostics);
    if form.mappings.is_empty() {
        let message = "no mapping is configured, so every record would be filtered";
        diagnostics.push(Diagnostic::warning(path, Place::START, message));
    }
    let before = diagnostics.len();
    let inputs = inputs::check(path, &mut form, &at, diagnostics);
    if is_whole(&diagnostics[before..]) {
        diagnostics.extend(cross_check::identity(&mappings, &inputs));
        diagnostics.extend(cross_check::topics(&mappings, &inputs));
    }
    let ledger = check_ledger(path, &form.ledger, &at, diagnostics);
    diagnostics.extend(paths::check_copy(path, &ledger));
    let submission = check_submission(path, &form.submission, diagnostics);
    let monitor = monitor::check_monitor(path, &form.monitor, &at, diagnostics);
    let traces = form.traces.map(|form| traces::check_traces(path, form, &at, diagnostics));
    let mapper_threads = check_mapper_threads(path, form.mapper_threads.as_ref(), diagnostics);
    let dead_letter_topic = check_dead_letters(path, &form.dead_letters, &inputs, diagnostics);
    if inputs.is_empty() {
        return None;
    }
    Some(Config {
        ledger,
        inputs,
        dead_letter_topic,
        submission,
        mapper_threads,
        monitor,
        traces,
        mappings,
        contracts,
    })
}

fn check_mapper_threads(
    path: &Path,
    named: Option<&Located<usize>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> usize {
    let Some(named) = named else {
        return std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    };
    if !(1..=MAX_MAPPER_THREADS).contains(&named.value) {
        let (count, most) = (named.value, MAX_MAPPER_THREADS);
        let message = format!("`mapper_threads` is {count}; allowed: 1 to {most}");
        diagnostics.push(Diagnostic::error(path, named.place, message));
    }
    named.value
}

/// The files of a list: a directory stands for its `.yaml` files in order of names.
fn files(
    path: &Path,
    named: &[Located<PathBuf>],
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in named {
        let file = at(&name.value);
        if !file.exists() {
            let message = format!("no such file or folder: {}", file.display());
            let help = "paths are relative to the configuration";
            diagnostics.push(Diagnostic::error(path, name.place, message).help(help));
            continue;
        }
        if file.is_file() {
            files.push(file);
            continue;
        }
        if !file.is_dir() {
            let message = format!("{} is neither a file nor a folder", file.display());
            diagnostics.push(Diagnostic::error(path, name.place, message));
            continue;
        }
        match yaml_files(&file) {
            Ok(found) if found.is_empty() => {
                let message = format!("{} contains no .yaml file", file.display());
                diagnostics.push(Diagnostic::warning(path, name.place, message));
            }
            Ok(found) => files.extend(found),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", file.display());
                diagnostics.push(Diagnostic::error(path, name.place, message));
            }
        }
    }
    files
}

/// The texts of files; what cannot be read is a fault.
pub fn texts(files: &[PathBuf], diagnostics: &mut Vec<Diagnostic>) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    for file in files {
        match yaml::read(file) {
            Ok(text) => texts.push((file.clone(), text)),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    texts
}

/// The `.yaml` and `.yml` files of a directory, in order of names.
pub fn yaml_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let file = entry?.path();
        let is_yaml = file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn check_ledger(
    path: &Path,
    form: &LedgerForm,
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> LedgerConfig {
    if let Err(error) = check_origin(&form.name.value) {
        diagnostics.push(
            Diagnostic::error(path, form.name.place, error.to_string())
                .help("use a host name and a path, such as example.com/cold-chain"),
        );
    }
    let directory = at(&form.directory.value);
    let key = at(&form.key.value);
    let named = [Some(&form.key), form.previous_key.as_ref(), form.submitter_key.as_ref()];
    for key in named.into_iter().flatten() {
        let file = at(&key.value);
        if !file.exists() {
            let message = format!("key file {} not found", file.display());
            let help = format!("`ledgerline keygen {}` makes one", file.display());
            diagnostics.push(Diagnostic::error(path, key.place, message).help(help));
        }
    }
    let place =
        |key: &Option<Located<PathBuf>>| key.as_ref().map_or(form.key.place, |key| key.place);
    let copy = form.checkpoint_copy.as_ref();
    LedgerConfig {
        name: form.name.value.clone(),
        key: key.clone(),
        previous_key: form.previous_key.as_ref().map(|key| at(&key.value)),
        submitter_key: form.submitter_key.as_ref().map_or(key, |key| at(&key.value)),
        checkpoint_copy: copy
            .map_or_else(|| default_checkpoint_copy(&directory), |copy| at(&copy.value)),
        max_segment_bytes: form.segment_bytes.unwrap_or(SEGMENT_BYTES),
        places: LedgerPlaces {
            name: form.name.place,
            directory: form.directory.place,
            checkpoint_copy: copy.map_or(form.directory.place, |copy| copy.place),
            key: form.key.place,
            previous_key: place(&form.previous_key),
            submitter_key: place(&form.submitter_key),
        },
        directory,
    }
}

fn check_submission(
    path: &Path,
    form: &SubmissionForm,
    diagnostics: &mut Vec<Diagnostic>,
) -> SubmissionLimits {
    let most = MAX_SUBMISSION_TRANSACTIONS;
    let count = &form.max_transactions;
    if !(1..=most).contains(&count.value) {
        let message = format!("`max_transactions` is {}; allowed: 1 to {most}", count.value);
        diagnostics.push(Diagnostic::error(path, count.place, message));
    }
    SubmissionLimits {
        max_transactions: count.value,
        max_bytes: form.max_bytes,
        max_wait: Duration::from_millis(form.max_wait_ms),
        sign_each: form.sign_each,
    }
}

fn check_dead_letters(
    path: &Path,
    form: &DeadLettersForm,
    inputs: &[InputConfig],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<DeadLetterTopicConfig> {
    let topic = form.topic.as_ref()?;
    let mut refuse = |message: String, help: &str| {
        diagnostics.push(Diagnostic::error(path, topic.place, message).help(help));
    };
    if !crate::event::is_topic(&topic.value) {
        refuse(format!("`{}` is not the name of a Kafka topic", topic.value), "");
        return None;
    }
    let clusters = inputs.iter().filter(|input| input.adapter.cluster().is_some());
    let is_wanted =
        |input: &&InputConfig| form.input.as_ref().is_none_or(|name| name.value == *input.name);
    let wanted: Vec<_> = clusters.clone().filter(is_wanted).collect();
    let [input] = wanted[..] else {
        let names: Vec<_> = clusters.map(|input| &*input.name).collect();
        match (&form.input, names.as_slice()) {
            (_, []) => refuse("dead letters can only be sent where an input is Kafka".into(), ""),
            (Some(name), names) => {
                let message = format!("`{}` is not an input that is Kafka", name.value);
                let help = did_you_mean(&name.value, names.iter().copied());
                diagnostics.push(Diagnostic::error(path, name.place, message).help(help));
            }
            (None, names) => refuse(
                "several inputs are Kafka: which cluster takes dead letters is not clear".into(),
                &format!("add `input: {}` under `dead_letters`", names.join("` or `input: ")),
            ),
        }
        return None;
    };
    let cluster = input.adapter.cluster()?;
    if cluster.topics().contains(&topic.value) {
        let message = format!(
            "`{}` is also an input topic: every dead letter would be read again",
            topic.value
        );
        refuse(message, "");
    } else if let Err(error) = KafkaWriter::check(cluster) {
        refuse(format!("cannot create a producer: {error}"), "");
    }
    Some(DeadLetterTopicConfig { topic: topic.value.clone(), input: input.clone() })
}

/// JSON Schema of the configuration file, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(ConfigForm).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_files_are_faults_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let (good, latin1) = (folder.path().join("m.yaml"), folder.path().join("latin1.yaml"));
        std::fs::write(&good, "mapping: m\n").unwrap();
        std::fs::write(&latin1, b"mapping: m\n# caf\xe9\n").unwrap();
        let mut diagnostics = Vec::new();
        let texts = texts(&[good, latin1, folder.path().join("absent.yaml")], &mut diagnostics);
        assert_eq!(texts.len(), 1);
        assert_eq!(
            (diagnostics[0].place.line, diagnostics[0].message.as_str()),
            (2, "the file is not UTF-8")
        );
        assert!(diagnostics[1].message.contains("cannot be read"), "{}", diagnostics[1]);
        assert_eq!(diagnostics.len(), 2);
    }
}
