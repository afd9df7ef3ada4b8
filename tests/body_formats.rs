//! A body format is one file and one line: every registered format keeps the same promises, and the
//! parts around it (configuration, documentation, mappings) know it without further work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::path::Path;

use ledgerline::codec::json::{Map, Value};
use ledgerline::codec::yaml;
use ledgerline::event::{
    BodyForm, BodyFormat, BodyPart, Cause, Decoder, Format, Headers, Record, Rejection,
    RejectionPlace, SourcePartition,
};
use ledgerline::limits::MAX_JSON_DEPTH;
use ledgerline::mapping::{MappingSet, Outcome};
use proptest::prelude::*;

/// Expectations of each format. A new format needs its row here.
struct Sample {
    name: &'static str,
    body: &'static [u8],
    value: fn() -> serde_json::Value,
    bad: &'static [u8],
    cause: Cause,
    place: &'static str,
    media_type: &'static str,
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "json",
        body: br#"{"t":21.5}"#,
        value: || serde_json::json!({"t": 21.5}),
        bad: b"t=21.5",
        cause: Cause::NotJson,
        place: "line 1, column 2",
        media_type: "application/json",
    },
    Sample {
        name: "text",
        body: b" 21.50\n",
        value: || serde_json::json!(" 21.50\n"),
        bad: b"21\xff",
        cause: Cause::NotUtf8,
        place: "byte 2",
        media_type: "text/plain",
    },
];

fn sample(format: Format) -> &'static Sample {
    let name = format.name();
    SAMPLES.iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("add `{name}`"))
}

/// Numbers by value: a format may keep the digits that were sent.
fn plain(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => {
            1 + members.iter().map(|(_, value)| depth(value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn every_format_reads_its_bodies_and_refuses_others_with_cause_and_place() {
    assert_eq!(Format::ALL.len(), SAMPLES.len());
    for format in Format::ALL {
        let sample = sample(*format);
        let value = format.decode(sample.body).unwrap();
        assert_eq!(plain(&value), (sample.value)(), "{format:?}");
        let rejection = format.decode(sample.bad).unwrap_err();
        assert_eq!(rejection.cause, sample.cause, "{rejection}");
        assert_eq!(rejection.place.to_string(), sample.place, "{rejection}");
        assert!(!rejection.message.is_empty());
        assert_eq!(Format::of_media_type(sample.media_type), Some(*format));
    }
}

#[test]
fn every_format_is_configured_by_its_name_and_documented() {
    let (mappings, schema) = (read("docs/mappings.md"), schemars::schema_for!(BodyForm).to_value());
    let file = Path::new("ledgerline.yaml");
    for format in Format::ALL {
        let name = format.name();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "{name}");
        let form = yaml::parse::<BodyForm>(file, &format!("{{ format: {name} }}")).unwrap();
        assert_eq!(form[0].format, *format);
        assert!(mappings.contains(&format!("| `{name}` |")), "docs/mappings.md lacks `{name}`");
        assert!(schema.to_string().contains(&format!("\"{name}\"")), "{schema}");
    }
    let unknown = yaml::parse::<BodyForm>(file, "framing: confluent\nformat: jsn\n").unwrap_err();
    let text = unknown.to_string();
    assert!(text.starts_with("ledgerline.yaml:2:9: error: `jsn` is not a body format"), "{text}");
    assert!(text.contains("did you mean `json`?"), "{text}");
    assert_eq!(yaml::parse::<BodyForm>(file, "{}").unwrap()[0].format, Format::JSON);
}

#[test]
fn every_file_with_a_format_is_registered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/event/body");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let implemented: usize = files
        .map(|file| {
            std::fs::read_to_string(file).unwrap().matches("\nimpl BodyFormat for ").count()
        })
        .sum();
    assert_eq!(implemented, Format::ALL.len());
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_alike_and_within_bounds(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}:,\"a\\\\0-9. \u{1}é]{0,60}",
    ) {
        for body in [body.as_slice(), text.as_bytes()] {
            for format in Format::ALL {
                let decoded = format.decode(body);
                prop_assert_eq!(&format.decode(body), &decoded);
                if let Ok(value) = decoded {
                    prop_assert!(depth(&value) <= MAX_JSON_DEPTH);
                    // No byte takes more than its escape in JSON.
                    prop_assert!(value.to_string().len() <= 6 * body.len() + 2);
                }
            }
        }
    }

    #[test]
    fn deep_and_long_bodies_are_bounded(levels in 1_usize..5_000, opening in "[\\[{(<\u{9f}\u{81}]") {
        let body = opening.repeat(levels);
        for format in Format::ALL {
            if let Ok(value) = format.decode(body.as_bytes()) {
                prop_assert!(depth(&value) <= MAX_JSON_DEPTH, "{format:?}");
            }
        }
    }
}

/// A format of its own: `t=21.5;door=open`. This is all that it takes.
struct Pairs;

impl BodyFormat for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn has_media_type(&self, media_type: &str) -> bool {
        media_type == "text/x-pairs"
    }

    fn decode(&self, body: &[u8]) -> Result<Value, Rejection> {
        let mut members = Map::new();
        let mut offset = 0;
        for pair in body.split(|byte| *byte == b';') {
            let text = std::str::from_utf8(pair).ok().and_then(|pair| pair.split_once('='));
            let (name, value) = text.ok_or_else(|| {
                let place = RejectionPlace::Byte { offset, part: BodyPart::Value };
                Rejection::new(self.malformed(), place, "`name=value` is expected")
            })?;
            members.insert(name.to_owned(), value.into());
            offset += pair.len() + 1;
        }
        Ok(Value::Object(members))
    }
}

#[test]
fn a_new_format_feeds_mappings_like_any_other() {
    let mapping = "{mapping: m, contract: c, function: update, match: {where: 'event.format == \"pairs\"'}, \
                   fields: {t: {path: $.payload.t, type: number}}}";
    let (mappings, diagnostics) = MappingSet::from_texts(&[("m.yaml".into(), mapping.to_owned())]);
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    let body = BodyForm { format: Format::new(&Pairs), ..BodyForm::default() };
    let decoder = Decoder::default().with_body(body);
    let partition = SourcePartition::new("t", 0);
    let record = |value| Record {
        partition: &partition,
        offset: 0,
        timestamp_ms: None,
        key: None,
        value: Some(value),
        headers: Headers::default(),
        damage: None,
    };
    let event = decoder.decode(&record(b"t=21.5;door=open")).unwrap();
    let Outcome::Mapped(payloads) = mappings.evaluate(&event) else { panic!("it is mapped") };
    assert_eq!(payloads[0].arguments.value().to_string(), r#"{"t":21.5}"#);
    let rejection = decoder.decode(&record(b"t=21.5;door")).unwrap_err();
    assert_eq!(rejection.to_string(), "malformed: `name=value` is expected (at byte 7)");
}
