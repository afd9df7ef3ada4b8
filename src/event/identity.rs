//! Identification of the sender: the checked methods of the configuration.

mod form;
pub(super) mod path;

pub use form::{
    ExpressionsForm, FullTimeForm, FullTopicForm, IdentityForm, PathsForm, TimeForm, TopicForm,
    TopicKey, WayForm,
};

use std::path::Path;
use std::sync::Arc;

use crate::codec::yaml::Located;
use crate::diagnostic::{Diagnostic, Place, did_you_mean};
use crate::event::Surroundings;
use crate::event::identity::path::SingularPath;
use crate::event::template::Template;
use crate::event::time::{TimeOptions, TimeReader};
use crate::expression::Expression;
use crate::limits::{MAX_DETAIL_BYTES, truncated};

/// A checked way.
#[derive(Debug, Clone)]
pub(super) enum Way {
    PlatformKey,
    TypeIdKey,
    MqttTopic(Box<Topic>),
    CloudEvents,
    Paths(Box<Paths>),
    Expressions(Arc<Expressions>),
    Plain,
}

impl Way {
    /// True if it takes every record.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// True if it takes steps to find out that it is not a record's.
    pub(super) fn is_evaluated(&self) -> bool {
        matches!(self, Self::Expressions(_))
    }

    /// Names of the headers that identify the device, if any.
    pub(super) fn headers(&self) -> Vec<&str> {
        match self {
            Self::MqttTopic(topic) => match &topic.place {
                TopicPlace::Header(name) => vec![name.as_str()],
                TopicPlace::Path(path) => path.header().into_iter().collect(),
                TopicPlace::Key | TopicPlace::AutoHeader(_) => Vec::new(),
            },
            Self::Paths(paths) => {
                let selectors = [&paths.id, &paths.device_type].into_iter();
                selectors.filter_map(Selector::header).collect()
            }
            Self::Expressions(expressions) => {
                let both = [&expressions.id, &expressions.device_type];
                let paths = both.into_iter().flat_map(|expression| expression.paths());
                let names = paths.filter_map(|path| match path.as_slice() {
                    [part, member, name] if part == "kafka" && member == "headers" => {
                        Some(name.as_str())
                    }
                    _ => None,
                });
                names.collect()
            }
            Self::PlatformKey | Self::TypeIdKey | Self::CloudEvents | Self::Plain => Vec::new(),
        }
    }

    /// The device types that it may give; `None` where it may give any.
    pub(super) fn device_types(&self) -> Option<Vec<&str>> {
        match self {
            Self::PlatformKey | Self::TypeIdKey | Self::CloudEvents | Self::Expressions(_) => None,
            Self::MqttTopic(topic) => match topic.template.as_ref()? {
                template if template.has_type() => None,
                // One without an id gives the event and leaves the device to a later way.
                template => Some(if template.has_id() { vec![""] } else { Vec::new() }),
            },
            Self::Paths(paths) => paths.device_type.texts(),
            Self::Plain => Some(vec![""]),
        }
    }

    /// The event types that it may give; `None` where it may give any.
    pub(super) fn event_types(&self) -> Option<Vec<&str>> {
        match self {
            Self::PlatformKey | Self::TypeIdKey | Self::CloudEvents => None,
            Self::MqttTopic(topic) => match topic.template.as_ref()?.has_event() {
                true => None,
                false => Some(vec![""]),
            },
            Self::Paths(paths) => paths.event.as_ref().map_or(Some(vec![""]), Selector::texts),
            Self::Expressions(expressions) => match expressions.event {
                Some(_) => None,
                None => Some(vec![""]),
            },
            Self::Plain => Some(vec![""]),
        }
    }

    /// The name in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::PlatformKey => "platform_key",
            Self::TypeIdKey => "type_id_key",
            Self::MqttTopic(_) => "mqtt_topic",
            Self::CloudEvents => "cloudevents",
            Self::Paths(_) => "paths",
            Self::Expressions(_) => "expression",
            Self::Plain => "plain",
        }
    }
}

/// Checked paths.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) org: Option<Selector>,
    pub(super) device_type: Selector,
    pub(super) id: Selector,
    pub(super) event: Option<Selector>,
    pub(super) format: Option<Selector>,
    pub(super) time: Option<Time<SingularPath>>,
}

/// A checked place of an MQTT topic; the platform's topics where there is no template.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) place: TopicPlace,
    pub(super) template: Option<Template>,
}

#[derive(Debug, Clone)]
pub(super) enum TopicPlace {
    Key,
    Header(String),
    /// A header that bridges write in upper or lower case.
    AutoHeader(&'static str),
    Path(SingularPath),
}

/// Checked expressions.
#[derive(Debug)]
pub(super) struct Expressions {
    pub(super) org: Option<Expression>,
    pub(super) device_type: Expression,
    pub(super) id: Expression,
    pub(super) event: Option<Expression>,
    pub(super) format: Option<Expression>,
    pub(super) time: Option<Time<Expression>>,
    /// Members of `kafka` that they read.
    pub(super) reads: Vec<&'static str>,
}

/// The source of a time, and its format.
#[derive(Debug, Clone)]
pub(super) struct Time<T> {
    pub(super) from: T,
    pub(super) reader: TimeReader,
}

/// A path or a string of its own.
#[derive(Debug, Clone)]
pub(super) enum Selector {
    Path(SingularPath),
    Text(String),
}

impl Selector {
    /// The name of the header that it selects, where it is one.
    fn header(&self) -> Option<&str> {
        match self {
            Self::Path(path) => path.header(),
            Self::Text(_) => None,
        }
    }

    /// The only text that it gives, where it is one.
    fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Path(_) => None,
            Self::Text(text) => Some(vec![text]),
        }
    }
}

/// Warns of what is allowed in a list and probably not what was meant.
pub(super) fn warnings(form: &IdentityForm, file: &Path) -> Vec<Diagnostic> {
    let of_way = |located: &Located<WayForm>| {
        let WayForm::MqttTopic(TopicForm::Full(form)) = &located.value else { return Vec::new() };
        let Some(text) = &form.template else { return Vec::new() };
        let Ok(template) = Template::parse(&text.value) else { return Vec::new() };
        let warning = |name: &str| {
            let message = format!("`{{{name}}}` in the template matches any text");
            let help = format!("did you mean `{{{}}}`?", name.to_lowercase());
            Diagnostic::warning(file, text.place, message).help(help)
        };
        template.likely_misspelt().into_iter().map(warning).collect()
    };
    form.0.iter().flat_map(of_way).collect()
}

const AUTO_HEADERS: [&str; 3] = ["mqtt-topic", "mqtt.topic", "mqtt_topic"];

/// The ways of `auto`.
pub(super) fn auto() -> Vec<Way> {
    let topic = |place| Way::MqttTopic(Box::new(Topic { place, template: None }));
    let mut ways = vec![Way::PlatformKey, topic(TopicPlace::Key)];
    ways.extend(AUTO_HEADERS.map(|name| topic(TopicPlace::AutoHeader(name))));
    ways.extend([Way::CloudEvents, Way::TypeIdKey, Way::Plain]);
    ways
}

/// Checks the whole list and gives every fault in it.
pub(super) fn check(form: &IdentityForm, file: &Path) -> Result<Vec<Way>, Vec<Diagnostic>> {
    let (mut ways, mut diagnostics) = (Vec::new(), Vec::new());
    if form.0.is_empty() {
        let diagnostic = Diagnostic::error(
            file,
            Place::START,
            "`identity` is empty, so no record could be read",
        );
        diagnostics.push(diagnostic.help("leave it out, or write `identity: [auto]`"));
    }
    for (index, located) in form.0.iter().enumerate() {
        if ways.last().is_some_and(Way::is_plain) {
            let message = "this method is never tried: the one before it accepts every record";
            diagnostics
                .push(Diagnostic::error(file, located.place, message).help("put `plain` last"));
            break;
        }
        match &located.value {
            WayForm::Auto if index + 1 < form.0.len() => {
                ways.extend(auto().into_iter().filter(|way| !way.is_plain()));
            }
            WayForm::Auto => ways.extend(auto()),
            WayForm::PlatformKey => ways.push(Way::PlatformKey),
            WayForm::TypeIdKey => ways.push(Way::TypeIdKey),
            WayForm::MqttTopic(form) => match check_topic(form, located.place, file) {
                Ok(topic) => ways.push(Way::MqttTopic(Box::new(topic))),
                Err(more) => diagnostics.extend(more),
            },
            WayForm::Cloudevents => ways.push(Way::CloudEvents),
            WayForm::Paths(form) => match check_paths(form, file) {
                Ok(paths) => ways.push(Way::Paths(Box::new(paths))),
                Err(more) => diagnostics.extend(more),
            },
            WayForm::Expression(form) => match check_expressions(form, file) {
                Ok(expressions) => ways.push(Way::Expressions(Arc::new(expressions))),
                Err(more) => diagnostics.extend(more),
            },
            WayForm::Plain => ways.push(Way::Plain),
        }
    }
    if diagnostics.is_empty() { Ok(ways) } else { Err(diagnostics) }
}

fn check_paths(form: &PathsForm, file: &Path) -> Result<Paths, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut selector = |text: &Located<String>| match selector(text, file) {
        Ok(selector) => Some(selector),
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            None
        }
    };
    let org = form.org.as_ref().and_then(&mut selector);
    let device_type = selector(&form.device_type);
    let id = selector(&form.id);
    let event = form.event.as_ref().and_then(&mut selector);
    let format = form.format.as_ref().and_then(&mut selector);
    let time = form.time.as_ref().and_then(|form| match check_time(form, file, time_path) {
        Ok(Time { from, reader }) if from.is_broker_time() => {
            Some(Time { from, reader: reader.of_broker_time() })
        }
        Ok(time) => Some(time),
        Err(more) => {
            diagnostics.extend(more);
            None
        }
    });
    match (device_type, id) {
        (Some(device_type), Some(id)) if diagnostics.is_empty() => {
            Ok(Paths { org, device_type, id, event, format, time })
        }
        _ => Err(diagnostics),
    }
}

fn selector(text: &Located<String>, file: &Path) -> Result<Selector, Diagnostic> {
    if !text.value.starts_with('$') {
        return Ok(Selector::Text(text.value.clone()));
    }
    path_at(text, file).map(Selector::Path)
}

fn path_at(text: &Located<String>, file: &Path) -> Result<SingularPath, Diagnostic> {
    SingularPath::parse(&text.value).map_err(|error| {
        let message = format!("`{}`: {error}", truncated(&text.value, MAX_DETAIL_BYTES));
        let help = "identity paths take simple steps only: `$.payload.a.b[0]`, `$.kafka.headers['device-id']`";
        Diagnostic::error(file, text.place, message).help(help)
    })
}

fn check_topic(form: &TopicForm, place: Place, file: &Path) -> Result<Topic, Vec<Diagnostic>> {
    let form = match form {
        TopicForm::Short(TopicKey::Key) => {
            return Ok(Topic { place: TopicPlace::Key, template: None });
        }
        TopicForm::Full(form) => form,
    };
    let topic_place = match (&form.header, &form.path) {
        (None, None) => TopicPlace::Key,
        (Some(header), None) => TopicPlace::Header(header.value.clone()),
        (None, Some(path)) => {
            TopicPlace::Path(path_at(path, file).map_err(|diagnostic| vec![diagnostic])?)
        }
        (Some(_), Some(_)) => {
            let diagnostic =
                Diagnostic::error(file, place, "the topic comes from `header` or `path`, not both");
            return Err(vec![diagnostic.help("remove one of them")]);
        }
    };
    let template = form.template.as_ref().map(|text| {
        Template::parse(&text.value).map_err(|message| {
            let help = "a template looks like this: `plant/{org}/{type}/{id}/{event}`";
            vec![Diagnostic::error(file, text.place, message).help(help)]
        })
    });
    Ok(Topic { place: topic_place, template: template.transpose()? })
}

fn check_expressions(form: &ExpressionsForm, file: &Path) -> Result<Expressions, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let mut compiled = |text: &Located<String>| match expression(text, file) {
        Ok(expression) => Some(expression),
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            None
        }
    };
    let org = form.org.as_ref().and_then(&mut compiled);
    let device_type = compiled(&form.device_type);
    let id = compiled(&form.id);
    let event = form.event.as_ref().and_then(&mut compiled);
    let format = form.format.as_ref().and_then(&mut compiled);
    let time = form.time.as_ref().and_then(|form| match check_time(form, file, time_expression) {
        Ok(Time { from, reader }) if from.source().trim() == Surroundings::TIMESTAMP => {
            Some(Time { from, reader: reader.of_broker_time() })
        }
        Ok(time) => Some(time),
        Err(more) => {
            diagnostics.extend(more);
            None
        }
    });
    let (Some(device_type), Some(id), true) = (device_type, id, diagnostics.is_empty()) else {
        return Err(diagnostics);
    };
    let of_time = time.as_ref().map(|time| &time.from);
    let optional = [org.as_ref(), event.as_ref(), format.as_ref(), of_time];
    let all = [&device_type, &id].into_iter().chain(optional.into_iter().flatten());
    let paths: Vec<&Vec<String>> = all.flat_map(|expression| expression.paths()).collect();
    let is_read = |name: &&str| {
        paths.iter().any(|path| {
            path[0] == "kafka" && path.get(1).is_none_or(|member| member.as_str() == *name)
        })
    };
    let reads = Surroundings::MEMBERS.into_iter().filter(is_read).collect();
    Ok(Expressions { org, device_type, id, event, format, time, reads })
}

fn expression(text: &Located<String>, file: &Path) -> Result<Expression, Diagnostic> {
    let expression = Expression::compile(&text.value, &["payload", "kafka"]).map_err(|error| {
        let (line, column) = (error.place.line, error.place.column);
        let help = format!("line {line}, column {column} of the expression");
        Diagnostic::error(file, text.place, error.message).help(help)
    })?;
    let unknown = expression.paths().iter().find_map(|path| match path.as_slice() {
        [part, member, ..] if part == "kafka" => {
            let known = Surroundings::MEMBERS.contains(&member.as_str());
            (!known).then_some(member)
        }
        _ => None,
    });
    match unknown {
        None => Ok(expression),
        Some(member) => {
            let help = did_you_mean(member, Surroundings::MEMBERS);
            let message = format!("there is no `kafka.{member}`");
            Err(Diagnostic::error(file, text.place, message).help(help))
        }
    }
}

/// Checks a time, whose place `from` reads out of its short or its long form.
fn check_time<T>(
    form: &Located<TimeForm>,
    file: &Path,
    from: impl Fn(Place, &TimeForm, &Path) -> Result<T, Diagnostic>,
) -> Result<Time<T>, Vec<Diagnostic>> {
    let from = from(form.place, &form.value, file);
    let reader = match &form.value {
        TimeForm::Short(_) => Ok(TimeReader::default()),
        TimeForm::Full(form) => TimeOptions {
            unit: form.unit.as_ref(),
            zone: form.zone.as_ref(),
            format: form.format.as_ref(),
            ambiguous: form.ambiguous.as_ref(),
        }
        .reader(file),
    };
    match (from, reader) {
        (Ok(from), Ok(reader)) => Ok(Time { from, reader }),
        (Ok(_), Err(diagnostics)) => Err(diagnostics),
        (Err(diagnostic), Ok(_)) => Err(vec![diagnostic]),
        (Err(diagnostic), Err(mut diagnostics)) => {
            diagnostics.push(diagnostic);
            Err(diagnostics)
        }
    }
}

fn time_path(place: Place, form: &TimeForm, file: &Path) -> Result<SingularPath, Diagnostic> {
    let text = match form {
        TimeForm::Short(text) => Located { value: text.clone(), place },
        TimeForm::Full(form) => match (&form.path, &form.expression) {
            (Some(path), None) => path.clone(),
            _ => {
                let message = "`time` in `paths` needs a `path`, not an `expression`";
                return Err(Diagnostic::error(file, place, message));
            }
        },
    };
    if !text.value.starts_with('$') {
        let message = format!("`time` is the constant `{}`, the same for every event", text.value);
        return Err(
            Diagnostic::error(file, text.place, message).help("a path starts with `$.payload`")
        );
    }
    path_at(&text, file)
}

fn time_expression(place: Place, form: &TimeForm, file: &Path) -> Result<Expression, Diagnostic> {
    match form {
        TimeForm::Short(text) => expression(&Located { value: text.clone(), place }, file),
        TimeForm::Full(form) => match (&form.expression, &form.path) {
            (Some(text), None) => expression(text, file),
            _ => {
                let message = "`time` in `expression` needs an `expression`, not a `path`";
                Err(Diagnostic::error(file, place, message))
            }
        },
    }
}
