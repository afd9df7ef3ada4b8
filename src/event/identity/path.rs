//! Paths of the identity configuration, which select one value of a record: `$.payload.a.b[0]`,
//! `$.kafka.headers['x']`.
//!
//! They are JSONPath over the document that mappings see. Wildcards and filters are refused: an event
//! has one sender.

use std::borrow::Cow;

use crate::codec::json::Value;
use crate::event::Record;
use crate::jsonpath::{Path, Step, resolve};

/// A path to at most one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::event) struct SingularPath {
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

/// The value selected by a path.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::event) enum Selected<'a> {
    /// A string, or a number in the text it was sent in.
    Text(Cow<'a, str>),
    /// An integer.
    Integer(Cow<'a, str>),
    /// A number with a fraction or an exponent.
    Decimal(Cow<'a, str>),
    /// Anything else.
    Other(&'static str),
}

impl SingularPath {
    /// Reads a path.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let path = Path::parse(text)
            .map_err(|error| format!("{} (at byte {})", error.message, error.offset))?;
        let steps = path.singular().ok_or("the path selects more than one value")?;
        let root = root(steps)
            .ok_or("the path starts with neither `$.payload` nor a field of `$.kafka`")?;
        Ok(Self { text: text.to_owned(), root })
    }

    /// The path as it was written.
    pub(in crate::event) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the header that it selects, where it is one.
    pub(in crate::event) fn header(&self) -> Option<&str> {
        match &self.root {
            Root::Header(name) => Some(name),
            _ => None,
        }
    }

    /// True if it is the broker's timestamp, which is in milliseconds.
    pub(in crate::event) fn is_broker_time(&self) -> bool {
        self.root == Root::Timestamp
    }

    /// The value, where there is one and it is not null.
    pub(in crate::event) fn select<'a>(
        &self,
        record: &Record<'a>,
        body: &'a Value,
    ) -> Option<Selected<'a>> {
        let integer = |number: String| Some(Selected::Integer(Cow::Owned(number)));
        match &self.root {
            Root::Payload(steps) => of_value(resolve(body, steps)?),
            Root::Topic => Some(Selected::Text(Cow::Owned(record.partition.topic.to_string()))),
            Root::Partition => integer(record.partition.partition.to_string()),
            Root::Offset => integer(record.offset.to_string()),
            Root::Timestamp => integer(record.timestamp_ms?.to_string()),
            Root::Key => Some(of_bytes(record.key?)),
            Root::Header(name) => Some(of_bytes(record.headers.get(name)?)),
        }
    }
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
            Selected::Other("a string in AMQP encoding, which is not supported")
        }
        Err(_) => Selected::Other("bytes that are not UTF-8"),
    }
}

/// True if bytes are a short or a long text as AMQP 1.0 encodes one (section 1.6.20), which brokers
/// with both protocols pass on in Kafka headers.
fn is_amqp_text(bytes: &[u8]) -> bool {
    match *bytes {
        [0xa1, length, ref text @ ..] => usize::from(length) == text.len(),
        [0xb1, a, b, c, d, ref text @ ..] => {
            usize::try_from(u32::from_be_bytes([a, b, c, d])) == Ok(text.len())
        }
        _ => false,
    }
}

/// Part of the record that steps name, and the steps within the body.
fn root(steps: &[Step]) -> Option<Root> {
    let name = |step: &Step| match step {
        Step::Name(name) => Some(name.clone()),
        Step::Index(_) => None,
    };
    let (first, rest) = steps.split_first()?;
    if name(first)? == "payload" {
        return Some(Root::Payload(rest.to_vec()));
    }
    let names: Option<Vec<_>> = steps.iter().map(name).collect();
    match names?.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
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
        assert_eq!(SingularPath::parse(path).unwrap().select(&record, &body), expected, "{path}");
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
        check("$.payload.a['b-c'][-4]", integer("12"));
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
            ("", "a JSONPath starts with `$`"),
            ("payload.a", "a JSONPath starts with `$`"),
            ("$", "starts with neither `$.payload`"),
            ("$.a", "starts with neither `$.payload`"),
            ("$.kafka", "starts with neither `$.payload`"),
            ("$.kafka.headers", "starts with neither `$.payload`"),
            ("$.kafka[0]", "starts with neither `$.payload`"),
            ("$[0]", "starts with neither `$.payload`"),
            ("$.payload..a", "more than one value"),
            ("$.payload.*", "more than one value"),
            ("$.payload['a','b']", "more than one value"),
            ("$.payload[?@.a]", "more than one value"),
            ("$.payload['a", "at byte"),
            ("$.payload a", "at byte"),
        ];
        for (path, expected) in table {
            let error = SingularPath::parse(path).unwrap_err();
            assert!(error.contains(expected), "{path}: {error}");
        }
    }
}
