//! Singular paths of the identity configuration: `$.payload.a.b[0]`, `$.kafka.headers['x']`.
//!
//! The document is the one that mappings see. Queries with wildcards or filters belong to the
//! mapping and have no place here: an event has one sender.

use std::borrow::Cow;

use crate::codec::json::Value;

use crate::event::Record;
use crate::limits::MAX_PATH_BYTES;

/// A path to at most one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SingularPath {
    text: String,
    root: Root,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    Payload(Vec<Step>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Header(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// What a path selects.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selected<'a> {
    /// A text, or a number in the text it was sent in.
    Text(Cow<'a, str>),
    /// An integer.
    Integer(Cow<'a, str>),
    /// A number with a fraction or an exponent.
    Decimal(Cow<'a, str>),
    /// Anything else.
    Other(&'static str),
}

/// Why a text is no such path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {problem} at character {at}")]
pub(super) struct PathError {
    path: String,
    problem: &'static str,
    at: usize,
}

impl SingularPath {
    /// The path as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is the broker's timestamp, which is in milliseconds.
    pub(super) fn is_broker_time(&self) -> bool {
        self.root == Root::Timestamp
    }

    /// The value, where there is one and it is not null.
    pub(super) fn select<'a>(&self, record: &Record<'a>, body: &'a Value) -> Option<Selected<'a>> {
        let integer = |number: String| Some(Selected::Integer(Cow::Owned(number)));
        match &self.root {
            Root::Payload(steps) => of_value(walk(steps, body)?),
            Root::Topic => Some(Selected::Text(Cow::Owned(record.partition.topic.to_string()))),
            Root::Partition => integer(record.partition.partition.to_string()),
            Root::Offset => integer(record.offset.to_string()),
            Root::Timestamp => integer(record.timestamp_ms?.to_string()),
            Root::Key => Some(of_bytes(record.key?)),
            Root::Header(name) => Some(of_bytes(record.headers.get(name)?)),
        }
    }
}

fn walk<'a>(steps: &[Step], body: &'a Value) -> Option<&'a Value> {
    steps.iter().try_fold(body, |value, step| match step {
        Step::Name(name) => value.as_object()?.get(name),
        Step::Index(index) => value.as_array()?.get(*index),
    })
}

fn of_value(value: &Value) -> Option<Selected<'_>> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(Selected::Other("a boolean")),
        Value::String(text) => Some(Selected::Text(Cow::Borrowed(text))),
        Value::Array(_) => Some(Selected::Other("an array")),
        Value::Object(_) => Some(Selected::Other("an object")),
        Value::Number(number) => {
            let text = number.to_string();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(Selected::Integer(Cow::Owned(text)));
            }
            Some(Selected::Decimal(Cow::Owned(text)))
        }
    }
}

fn of_bytes(bytes: &[u8]) -> Selected<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Selected::Text(Cow::Borrowed(text)),
        Err(_) if is_amqp_text(bytes) => {
            Selected::Other("a text in AMQP encoding, which is not read")
        }
        Err(_) => Selected::Other("bytes that are not UTF-8"),
    }
}

/// Whether bytes are a short or a long text as AMQP 1.0 encodes one (section 1.6.20), which brokers with
/// both protocols pass on in Kafka headers.
fn is_amqp_text(bytes: &[u8]) -> bool {
    match *bytes {
        [0xa1, length, ref text @ ..] => usize::from(length) == text.len(),
        [0xb1, a, b, c, d, ref text @ ..] => {
            usize::try_from(u32::from_be_bytes([a, b, c, d])) == Ok(text.len())
        }
        _ => false,
    }
}

/// Reads a path.
pub(super) fn parse(text: &str) -> Result<SingularPath, PathError> {
    let error = |problem, at| PathError { path: text.chars().take(80).collect(), problem, at };
    if text.len() > MAX_PATH_BYTES {
        return Err(error("the path is too long", MAX_PATH_BYTES));
    }
    let Some(mut rest) = text.strip_prefix('$') else {
        return Err(error("`$` is missing", 1));
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let at = text.chars().count() - rest.chars().count() + 1;
        let (step, left) = parse_step(rest).map_err(|problem| error(problem, at))?;
        steps.push(step);
        rest = left;
    }
    let root = root(steps).ok_or_else(|| {
        error("it begins neither with `$.payload` nor with a field of `$.kafka`", 1)
    })?;
    Ok(SingularPath { text: text.to_owned(), root })
}

fn parse_step(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(name) = rest.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, left) = name.split_at(end);
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name of letters, digits and `_` was expected (else write `['name']`)");
        }
        return Ok((Step::Name(name.to_owned()), left));
    }
    let inner = rest.strip_prefix('[').ok_or("`.` or `[` was expected")?;
    for quote in ['\'', '"'] {
        if let Some(name) = inner.strip_prefix(quote) {
            let (name, left) = name.split_once(quote).ok_or("the quote is not closed")?;
            let left = left.strip_prefix(']').ok_or("`]` was expected")?;
            return Ok((Step::Name(name.to_owned()), left));
        }
    }
    let (index, left) = inner.split_once(']').ok_or("`]` was expected")?;
    let digits = index.bytes().all(|byte| byte.is_ascii_digit());
    let index = index.parse().ok().filter(|_| digits);
    Ok((Step::Index(index.ok_or("a quoted name or an index was expected")?), left))
}

fn root(steps: Vec<Step>) -> Option<Root> {
    let names: Vec<&str> = steps
        .iter()
        .map_while(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    if names.first() == Some(&"payload") {
        return Some(Root::Payload(steps[1..].to_vec()));
    }
    if names.len() < steps.len() {
        return None;
    }
    match names.as_slice() {
        ["kafka", "topic"] => Some(Root::Topic),
        ["kafka", "partition"] => Some(Root::Partition),
        ["kafka", "offset"] => Some(Root::Offset),
        ["kafka", "timestamp"] => Some(Root::Timestamp),
        ["kafka", "key"] => Some(Root::Key),
        ["kafka", "headers", name] => Some(Root::Header((*name).to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;
    use crate::event::{Headers, SourcePartition};

    fn check(path: &str, expected: Option<Selected<'_>>) {
        let partition = SourcePartition::new("t", 3);
        let record = Record {
            partition: &partition,
            offset: 9,
            timestamp_ms: None,
            key: Some(b"k"),
            value: None,
            headers: Headers::default(),
            damage: None,
        };
        let body = json!({"a": {"b-c": ["x", 12, 1.5, null, true]}});
        assert_eq!(parse(path).unwrap().select(&record, &body), expected, "{path}");
    }

    #[test]
    fn paths_select_at_most_one_value() {
        let text = |text| Some(Selected::Text(Cow::Borrowed(text)));
        let integer = |text| Some(Selected::Integer(Cow::Borrowed(text)));
        check("$.payload.a['b-c'][0]", text("x"));
        check("$['payload'][\"a\"]['b-c'][1]", integer("12"));
        check("$.payload.a['b-c'][2]", Some(Selected::Decimal(Cow::Borrowed("1.5"))));
        check("$.payload.a['b-c'][3]", None);
        check("$.payload.a['b-c'][4]", Some(Selected::Other("a boolean")));
        check("$.payload.a['b-c'][5]", None);
        check("$.payload.a.x.y", None);
        check("$.payload[0]", None);
        check("$.payload", Some(Selected::Other("an object")));
        check("$.kafka.topic", text("t"));
        check("$.kafka.partition", integer("3"));
        check("$.kafka.offset", integer("9"));
        check("$.kafka.timestamp", None);
        check("$.kafka.key", text("k"));
        check("$.kafka.headers['x']", None);
    }

    #[test]
    fn a_text_in_amqp_encoding_is_named() {
        for (bytes, amqp) in [
            (&b"\xa1\x07device1"[..], true),
            (b"\xb1\0\0\0\x07device1", true),
            (b"\xa1\x08device1", false),
            (b"\xff", false),
        ] {
            let Selected::Other(what) = of_bytes(bytes) else { panic!("{bytes:?}") };
            assert_eq!(what.contains("AMQP"), amqp, "{bytes:?}");
        }
        assert_eq!(of_bytes(b"device1"), Selected::Text(Cow::Borrowed("device1")));
    }

    #[test]
    fn other_paths_are_refused() {
        let table = [
            ("", "`$` is missing at character 1"),
            ("$", "neither with `$.payload`"),
            ("$.a", "neither with `$.payload`"),
            ("$.kafka", "neither with `$.payload`"),
            ("$.kafka.headers", "neither with `$.payload`"),
            ("$.payload.", "a name of letters"),
            ("$.payload..a", "a name of letters"),
            ("$.payload.*", "a name of letters"),
            ("$.payload[*]", "a quoted name or an index"),
            ("$.payload[-1]", "a quoted name or an index"),
            ("$.payload[+1]", "a quoted name or an index"),
            ("$.payload['a", "the quote is not closed at character 10"),
            ("$.payload['a'", "`]` was expected"),
            ("$.payload[0", "`]` was expected"),
            ("$.payload a", "a name of letters"),
            ("$payload", "`.` or `[` was expected at character 2"),
        ];
        for (path, expected) in table {
            let error = parse(path).unwrap_err().to_string();
            assert!(error.contains(expected), "{path}: {error}");
        }
        assert!(parse(&format!("$.payload{}", ".a".repeat(MAX_PATH_BYTES))).is_err());
    }
}
