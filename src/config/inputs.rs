//! Checks of inputs: each by itself, and that no two of them give streams of one name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::yaml::Located;
use crate::config::form::{ConfigForm, InputForm};
use crate::config::secret;
use crate::diagnostic::{Diagnostic, Place};
use crate::event::{BodyForm, Decoder};
use crate::input::{Adapter, CallsAdapter, Checking, StreamNames, StreamPrefix};
use crate::limits::MAX_CONFIGURED_INPUTS;
use crate::mapping::{TestInput, TestInputs};

/// Name of the input under `source`.
const SOURCE: &str = "source";
/// Name of the input of manual calls beside it.
const CALLS: &str = "calls";

/// A checked input.
#[derive(Debug, Clone)]
pub struct InputConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Place of its options in the configuration file.
    pub place: Place,
    /// Text in front of its topics in the names of its streams.
    pub prefix: StreamPrefix,
    /// Names of its streams.
    pub streams: StreamNames,
    /// From its records to events.
    pub decoder: Arc<Decoder>,
    /// Opens it.
    pub adapter: Arc<dyn Adapter>,
}

/// The inputs of a configuration. Some may be missing where there are errors.
pub fn check(
    path: &Path,
    form: &mut ConfigForm,
    at: &dyn Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<InputConfig> {
    let Some(named) = named(path, form, diagnostics) else { return Vec::new() };
    let is_short = named.len() == 1 && named.first().is_some_and(|(name, _)| name == SOURCE);
    let mut inputs: Vec<_> = named
        .into_iter()
        .filter_map(|(name, form)| check_one(path, (name, form), at, diagnostics))
        .collect();
    if is_short && !inputs.iter().any(|input| input.adapter.kind() == CALLS) {
        inputs.push(manual_calls());
    }
    diagnostics.extend(check_streams(path, &inputs));
    inputs
}

/// The inputs as they are written, with their names.
fn named(
    path: &Path,
    form: &mut ConfigForm,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<(String, Located<InputForm>)>> {
    match (form.source.take(), form.inputs.take()) {
        (Some(source), None) => Some(vec![(SOURCE.to_owned(), source)]),
        (None, Some(inputs)) => {
            if inputs.value.is_empty() || inputs.value.len() > MAX_CONFIGURED_INPUTS {
                let count = inputs.value.len();
                let message =
                    format!("`inputs` has {count} inputs, allowed is 1 to {MAX_CONFIGURED_INPUTS}");
                diagnostics.push(Diagnostic::error(path, inputs.place, message));
            }
            Some(inputs.value.into_iter().take(MAX_CONFIGURED_INPUTS).collect())
        }
        (source, _) => {
            let message = "exactly one of `source` and `inputs` is needed";
            let help = "`source` is the short form for one input: `source: { kafka: … }`; `inputs` \
                        names several: `inputs: { plant: { kafka: … }, calls: { calls: {} } }`";
            let place = source.map_or(Place::START, |source| source.place);
            diagnostics.push(Diagnostic::error(path, place, message).help(help));
            None
        }
    }
}

/// The inputs as the tests of definitions see them. Only what tests need is checked: a secret may be
/// unset where they run.
pub fn for_tests(
    path: &Path,
    form: &mut ConfigForm,
    at: &dyn Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<TestInputs> {
    let mut inputs = Vec::new();
    for (name, mut form) in named(path, form, diagnostics)? {
        let decoder = Arc::new(decoder(path, &form.value, diagnostics)?);
        let name = match name.as_str() {
            SOURCE => format!("`source` in {}", path.display()),
            other => format!("input `{other}` in {}", path.display()),
        };
        let resolve = |place: Place, text: &mut String| {
            let _ = secret::resolve(path, place, text, at);
            Ok(())
        };
        let mut ignored = Vec::new();
        let prefix = prefix(path, form.value.stream_prefix.as_ref(), diagnostics)?;
        let adapter = form.value.take_options().pop().and_then(|options| {
            let (file, diagnostics) = (path, &mut ignored);
            let place = options.place;
            options.value.check(&mut Checking { file, place, at, resolve: &resolve, diagnostics })
        });
        let streams = match adapter {
            Some(adapter) if adapter.kind() == CALLS => continue,
            Some(adapter) => adapter.streams(&prefix),
            None => StreamNames::Listed(Vec::new()),
        };
        inputs.push(TestInput { name, streams, decoder });
    }
    Some(TestInputs { inputs })
}

fn check_one(
    path: &Path,
    (name, mut form): (String, Located<InputForm>),
    at: &dyn Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<InputConfig> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    if !is_name(&name) {
        let message = format!("`{name}` is not a valid name for an input");
        let help = "use letters, digits, `_` and `-`: it is shown in metrics and messages";
        diagnostics.push(Diagnostic::error(path, form.place, message).help(help));
    }
    let prefix = prefix(path, form.value.stream_prefix.as_ref(), diagnostics);
    let decoder = decoder(path, &form.value, diagnostics);
    let mut options = form.value.take_options();
    let (Some(one), true) = (options.pop(), options.is_empty()) else {
        let kinds = InputForm::KINDS.join("`, `");
        let message = format!("input `{name}` must have exactly one of `{kinds}`");
        let help = "`file: { path: records.jsonl }`, or `kafka` with `brokers`, `group`, `topics`";
        diagnostics.push(Diagnostic::error(path, form.place, message).help(help));
        return None;
    };
    let resolve = |place: Place, text: &mut String| secret::resolve(path, place, text, at);
    let mut checking =
        Checking { file: path, place: one.place, at, resolve: &resolve, diagnostics };
    let adapter = one.value.check(&mut checking)?;
    if !adapter.gives_events() && has_event_options(&form.value) {
        let kind = adapter.kind();
        let message = format!(
            "input `{name}` is `{kind}`, which has no `stream_prefix`, `identity` or `body`"
        );
        let help = "remove them: its records are not events, and its stream is its own";
        diagnostics.push(Diagnostic::error(path, form.place, message).help(help));
        return None;
    }
    let (prefix, decoder) = (prefix?, decoder?);
    let streams = adapter.streams(&prefix);
    if let StreamNames::Listed(names) = &streams {
        let too_long = names.iter().find(|name| name.len() > MAX_STREAM_BYTES);
        diagnostics.extend(too_long.map(|name| {
            let message =
                format!("the stream `{name}` has more than {MAX_STREAM_BYTES} characters");
            Diagnostic::error(path, one.place, message).help("shorten `stream_prefix`")
        }));
    }
    let decoder = Arc::new(decoder);
    Some(InputConfig { name: name.into(), place: one.place, prefix, streams, decoder, adapter })
}

/// True if an option is given that only events have.
fn has_event_options(form: &InputForm) -> bool {
    let has_identity = form.identity.0.iter().any(|method| method.place != Place::START);
    form.stream_prefix.is_some() || has_identity || form.body != BodyForm::default()
}

/// Longest name of a stream, as of a Kafka topic.
const MAX_STREAM_BYTES: usize = 249;

fn manual_calls() -> InputConfig {
    let (prefix, adapter) = (StreamPrefix::default(), CallsAdapter);
    InputConfig {
        name: CALLS.into(),
        place: Place::START,
        streams: adapter.streams(&prefix),
        prefix,
        decoder: Arc::default(),
        adapter: Arc::new(adapter),
    }
}

fn prefix(
    path: &Path,
    named: Option<&Located<String>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<StreamPrefix> {
    let Some(named) = named else { return Some(StreamPrefix::default()) };
    let refused = |rule: &'static str| {
        let message = format!("`{}` is not a stream prefix: {rule}", named.value);
        Diagnostic::error(path, named.place, message)
    };
    named.value.parse().map_err(|rule| diagnostics.push(refused(rule))).ok()
}

fn decoder(path: &Path, form: &InputForm, diagnostics: &mut Vec<Diagnostic>) -> Option<Decoder> {
    match Decoder::new(&form.identity, path) {
        Ok(decoder) => {
            diagnostics.extend(Decoder::warnings(&form.identity, path));
            Some(decoder.with_body(form.body))
        }
        Err(found) => {
            diagnostics.extend(found);
            None
        }
    }
}

/// Refuses two inputs that use up the same thing, or that could give records of one stream: their
/// positions would be the same.
fn check_streams(path: &Path, inputs: &[InputConfig]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        for other in &inputs[..index] {
            let (one, two) = (&other.name, &input.name);
            let mut refuse = |message: String, help: &str| {
                diagnostics.push(Diagnostic::error(path, input.place, message).help(help));
            };
            let exclusive = input.adapter.exclusive();
            if let Some(what) = exclusive.filter(|_| exclusive == other.adapter.exclusive()) {
                refuse(format!("inputs `{one}` and `{two}` both read {what}"), "keep one of them");
                continue;
            }
            let Some(common) = input.streams.common(&other.streams) else { continue };
            let common_text = match (common, &input.streams, &other.streams) {
                ("", ..) => "any topic".to_owned(),
                (_, StreamNames::Prefixed(_), StreamNames::Prefixed(_)) => {
                    format!("streams that begin with `{common}`")
                }
                _ => format!("the stream `{common}`"),
            };
            refuse(
                format!("inputs `{one}` and `{two}` may both give {common_text}"),
                "a record's position, its stream, partition and offset, must name one record: give \
                 one of them another `stream_prefix`, such as `stream_prefix: plant2.`",
            );
        }
    }
    diagnostics
}
