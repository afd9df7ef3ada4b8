//! Mappings from text to payloads: loading, matching, and the value of each field.

use crate::codec::json::{Value, json};
use proptest::prelude::*;

use super::document::{Document, Scope};
use super::field::Source;
use super::*;
use crate::codec::{Writer, json as strict};
use crate::event::{Cause, Device, EventInfo, RecordDigests, SourcePartition};
use crate::limits::{MAX_ARGUMENTS_BYTES, MAX_MAPPING_FIELDS, MAX_OUTPUTS_PER_RECORD};

/// The head of a mapping that takes every event.
const HEAD: &str = "mapping: m\ncontract: c\nfunction: update\n";

fn load(text: &str) -> (MappingSet, Vec<Diagnostic>) {
    MappingSet::from_texts(&[("m.yaml".into(), text.to_owned())])
}

fn compiled(text: &str) -> MappingSet {
    let (set, diagnostics) = load(text);
    let diagnostics: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    assert!(diagnostics.is_empty(), "{text}\n{}", diagnostics.join("\n"));
    set
}

fn event(payload: &str) -> Event {
    let mut headers = Writer::new();
    for (name, value) in [("site", Some("oslo")), ("site", Some("bergen")), ("none", None)] {
        headers.text(name);
        headers.option(value, |writer, value| writer.text(value));
    }
    Event {
        partition: SourcePartition::new("telemetry", 3),
        offset: 4_812_311,
        timestamp_ms: Some(1_483_528_293_700),
        key: Some(b"reefer:CON123".to_vec()),
        header_bytes: headers.into_bytes(),
        device: Device { org: "".into(), device_type: "reefer-40".into(), id: "CON123".into() },
        info: EventInfo {
            event_type: "status".into(),
            format: "json".into(),
            time_ms: Some(1_483_528_293_601),
            time_below_ms_ns: 0,
        },
        payload: strict::parse(payload.as_bytes()).unwrap(),
        digests: RecordDigests {
            record: Digest::of(b"record"),
            value: Digest::of(payload.as_bytes()),
        },
    }
}

/// The outcome of an event, as a string: arguments, `filtered`, or cause and path.
fn outcome(set: &MappingSet, event: &Event) -> String {
    match set.evaluate(event) {
        Outcome::NotMatched => "filtered".to_owned(),
        Outcome::Rejected(rejection) => format!("{} {}", rejection.cause, rejection.place),
        Outcome::Mapped(payloads) => {
            let arguments: Vec<String> =
                payloads.iter().map(|payload| payload.arguments.value().to_string()).collect();
            arguments.join(" ")
        }
    }
}

fn check(rest: &str, payload: &str, expected: &str) {
    let text = format!("{HEAD}{rest}");
    assert_eq!(outcome(&compiled(&text), &event(payload)), expected, "{text}\n{payload}");
}

#[test]
fn every_part_of_the_event_can_be_reached() {
    for (path, value) in [
        ("$.payload.d.t", "21.50"),
        ("$.payload['d']['t']", "21.50"),
        ("$.payload.d", r#"{"t":21.50}"#),
        ("$.payload..t", "21.50"),
        ("$.device.type", r#""reefer-40""#),
        ("$.device", r#"{"id":"CON123","type":"reefer-40"}"#),
        ("$.event.type", r#""status""#),
        ("$.event.format", r#""json""#),
        ("$.event.time", r#""2017-01-04T11:11:33.601Z""#),
        ("$.kafka.topic", r#""telemetry""#),
        ("$.kafka.partition", "3"),
        ("$.kafka.offset", "4812311"),
        ("$.kafka.timestamp", "1483528293700"),
        ("$.kafka.key", r#""reefer:CON123""#),
        ("$.kafka.headers.site", r#""bergen""#),
        ("$.kafka.headers", r#"{"site":"bergen"}"#),
    ] {
        let expected = format!("{{\"a\":{value}}}");
        check(&format!("fields: {{a: {{path: \"{path}\"}}}}"), r#"{"d":{"t":21.50}}"#, &expected);
        check(&format!("fields:\n  a: {path}"), r#"{"d":{"t":21.50}}"#, &expected);
    }
    check("fields: {a: $.device.org}", "{}", "missing_field $.device.org");
    check("fields: {a: $.kafka.headers.none}", "{}", "missing_field $.kafka.headers.none");
}

#[test]
fn absent_values() {
    let missing = "missing_field $.payload.t";
    for (field, payload, expected) in [
        ("$.payload.t", "{}", missing),
        ("$.payload.t", r#"{"t":null}"#, missing),
        ("$.payload.t", "[1]", missing),
        ("{path: $.payload.t, required: true}", "{}", missing),
        ("{path: $.payload.t, required: false}", "{}", "{}"),
        ("{path: $.payload.t, required: false}", r#"{"t":null}"#, "{}"),
        ("{path: $.payload.t, default: 0.50}", "{}", r#"{"a":0.50}"#),
        ("{path: $.payload.t, default: '7', type: integer}", r#"{"t":null}"#, r#"{"a":7}"#),
        ("{path: $.payload.t, default: 7}", r#"{"t":1}"#, r#"{"a":1}"#),
        ("{path: '$.payload.t[*]', required: false}", "{}", "{}"),
        ("{path: '$.payload.t[*]', type: array}", r#"{"t":[]}"#, r#"{"a":[]}"#),
        ("{path: '$.payload.t[?@ > 1]', type: array}", r#"{"t":[1]}"#, r#"{"a":[]}"#),
        ("{path: $.payload..x, type: array}", r#"{"t":[1]}"#, r#"{"a":[]}"#),
        ("{path: '$.payload.t[*]', type: array}", "{}", "missing_field $.payload.t[*]"),
        ("{path: '$.payload.t[*]', type: array}", r#"{"t":1}"#, "missing_field $.payload.t[*]"),
        ("{path: '$.payload.t[*]'}", r#"{"t":[]}"#, "missing_field $.payload.t[*]"),
        ("{expression: payload.t + 1}", "{}", missing),
        ("{expression: payload.t + 1, default: 0}", "{}", r#"{"a":0}"#),
        ("{expression: payload.t + 1, required: false}", r#"{"t":1}"#, r#"{"a":2}"#),
        ("{constant: {b: [1, x]}}", "{}", r#"{"a":{"b":[1,"x"]}}"#),
        ("{constant: false}", "{}", r#"{"a":false}"#),
    ] {
        check(&format!("fields:\n  a: {field}"), payload, expected);
    }
}

#[test]
fn types_and_lookups() {
    for (field, payload, expected) in [
        ("{path: $.payload.t, type: integer}", r#"{"t":"21"}"#, r#"{"a":21}"#),
        ("{path: $.payload.t, type: integer}", r#"{"t":21.5}"#, "field_type $.payload.t"),
        ("{path: $.payload.t, type: string}", r#"{"t":21.50}"#, r#"{"a":"21.50"}"#),
        ("{path: $.payload.t}", r#"{"t":9007199254740993}"#, r#"{"a":9007199254740993}"#),
        ("{path: $.kafka.timestamp, type: timestamp}", "{}", r#"{"a":"2017-01-04T11:11:33.700Z"}"#),
        (
            "{expression: kafka.timestamp, type: timestamp}",
            "{}",
            r#"{"a":"2017-01-04T11:11:33.700Z"}"#,
        ),
        ("{path: '$.payload.t[*]', type: array}", r#"{"t":[1,2.0]}"#, r#"{"a":[1,2.0]}"#),
        ("{path: '$.payload.t[*]', type: number}", r#"{"t":[1]}"#, r#"{"a":1}"#),
        ("$.payload.t[*]", r#"{"t":[1,2]}"#, "field_type $.payload.t[*]"),
        (
            "{path: '$.payload.t[?@.id == $.device.id].v'}",
            r#"{"t":[{"id":"x","v":1},{"id":"CON123","v":2}]}"#,
            r#"{"a":2}"#,
        ),
        ("{path: $.payload.t, lookup: {0: closed, 1: open}}", r#"{"t":1}"#, r#"{"a":"open"}"#),
        ("{path: $.payload.t, lookup: {0: closed, 1: open}}", r#"{"t":1.0}"#, r#"{"a":"open"}"#),
        ("{path: $.payload.t, lookup: {0: closed, 1: open}}", r#"{"t":"1"}"#, r#"{"a":"open"}"#),
        ("{path: $.payload.t, lookup: {true: 1, false: 0}}", r#"{"t":true}"#, r#"{"a":1}"#),
        ("{path: $.payload.t, lookup: {x: 1}}", r#"{"t":"y"}"#, "lookup $.payload.t"),
        ("{path: $.payload.t, lookup: {x: 1}}", r#"{"t":["x"]}"#, "field_type $.payload.t"),
        ("{path: $.payload.t, lookup: {x: 1}, otherwise: 2}", r#"{"t":"y"}"#, r#"{"a":2}"#),
        ("{path: $.payload.t, lookup: {x: 1}, otherwise: 2, required: false}", "{}", "{}"),
        ("{path: $.payload.t, lookup: {x: '1'}, type: integer}", r#"{"t":"x"}"#, r#"{"a":1}"#),
        ("{expression: payload.t * 1.8 + 32.0}", r#"{"t":10}"#, r#"{"a":50}"#),
        ("{expression: payload.t * 1.8, type: integer}", r#"{"t":10}"#, r#"{"a":18}"#),
        // Either of the two may be at fault.
        ("{expression: payload.t + payload.u}", r#"{"t":1,"u":"x"}"#, "expression "),
        ("{expression: payload.t + payload.t}", r#"{"t":true}"#, "expression $.payload.t"),
        ("{expression: payload.t + payload.u}", r#"{"t":1}"#, "missing_field $.payload.u"),
        ("{expression: payload.t + payload.u}", r#"{"u":1}"#, "missing_field $.payload.t"),
        ("{expression: payload.t.u + payload.v}", r#"{"v":1}"#, "missing_field $.payload.t.u"),
        (
            "{expression: 'payload[\"a.b\"] + 1'}",
            r#"{"a":{"b":1}}"#,
            "missing_field $.payload['a.b']",
        ),
        ("{expression: 'payload[\"a.b\"] + 1'}", r#"{"a.b":"x"}"#, "expression $.payload['a.b']"),
        ("{expression: 'payload.t == 1 ? null : 2'}", r#"{"t":1}"#, "missing_field $.payload.t"),
        ("{expression: 'payload.t == payload.u ? null : 2'}", r#"{"t":1,"u":1}"#, "missing_field "),
        ("{expression: payload.t, type: integer}", r#"{"t":"x"}"#, "field_type $.payload.t"),
        ("{expression: payload.t + payload.u, type: integer}", r#"{"t":1,"u":0.5}"#, "field_type "),
        ("{expression: 'device.id + \"/\" + event.type'}", "{}", r#"{"a":"CON123/status"}"#),
    ] {
        check(&format!("fields:\n  a: {field}"), payload, expected);
    }
}

#[test]
fn targets_nest() {
    check(
        "fields: {a.b.c: $.payload.x, a.b.d: $.payload.y, e: $.payload.x}\nextension: a.rest",
        r#"{"x":1,"y":2,"z":3}"#,
        r#"{"a":{"b":{"c":1,"d":2},"rest":{"z":3}},"e":1}"#,
    );
}

#[test]
fn the_order_of_fields_changes_nothing() {
    let payload = r#"{"a":1,"c":[3],"z":null,"rest":true}"#;
    let fields = [
        ("c", "'$.payload.c[0]'"),
        ("a", "$.payload.a"),
        ("b", "{path: $.payload.b, required: false}"),
        ("z", "{path: $.payload.z, default: last}"),
        ("é", "{constant: 0}"),
    ];
    for first in 0..fields.len() {
        for (names, extension, expected) in [
            ("", "", r#"{"a":1,"c":3,"z":"last","é":0}"#),
            (
                "",
                "extension: true\n",
                r#"{"a":1,"c":3,"extension":{"rest":true},"z":"last","é":0}"#,
            ),
            ("in.", "", r#"{"in":{"a":1,"c":3,"z":"last","é":0}}"#),
        ] {
            let turned = fields.iter().cycle().skip(first).take(fields.len());
            let lines: String =
                turned.map(|(name, field)| format!("  {names}{name}: {field}\n")).collect();
            check(&format!("fields:\n{lines}{extension}"), payload, expected);
        }
    }
}

#[test]
fn extension_keeps_what_no_field_takes() {
    let fields = "fields: {t: $.payload.d.t, f: {expression: payload.d.f * 2}, \
                  l: {path: '$.payload.l[?@ > 1]', type: array}, \
                  o: {path: $.payload.o, required: false}}\n";
    for (extension, payload, expected) in [
        ("extension: true", r#"{"d":{"t":1,"f":2},"l":[2]}"#, r#"{"f":4,"l":[2],"t":1}"#),
        (
            "extension: true",
            r#"{"d":{"t":1,"f":2,"h":null},"l":[1,2],"x":{},"y":[]}"#,
            r#"{"extension":{"d":{"h":null},"l":[1],"x":{},"y":[]},"f":4,"l":[2],"t":1}"#,
        ),
        ("extension: true", r#"{"d":{"t":1,"f":2},"l":[2],"o":null}"#, r#"{"f":4,"l":[2],"t":1}"#),
        ("extension: false", r#"{"d":{"t":1,"f":2,"h":3},"l":[2]}"#, r#"{"f":4,"l":[2],"t":1}"#),
    ] {
        check(&format!("{fields}{extension}"), payload, expected);
    }
    check("extension: true", r#"{"a":1.0}"#, r#"{"extension":{"a":1.0}}"#);
    check("extension: raw", "[1]", r#"{"raw":[1]}"#);
}

#[test]
fn expressions_see_the_value_of_a_number_and_not_its_spelling() {
    let rest = r#"
match: {where: 'payload.mv / 1000 > 3.5 && payload.n in [1, 2] && [10, 20, 30][payload.n] == 30'}
fields:
  volts: {expression: payload.mv / 1000}
  celsius: {expression: '(payload.f - 32) * 5 / 9'}
  below: {expression: -payload.n / 2000}
  text: {expression: 'string(payload.n) + "/" + string(payload.f)'}
  kept: {expression: payload.f}
  rounded: {expression: 'round(payload.r, 2)'}
"#;
    let expected = r#"{"below":-0.001,"celsius":21.11111111111111,"kept":70,"rounded":1.01,"text":"2/70","volts":3.999}"#;
    for (mv, f, n, r) in [
        ("3999", "70", "2", "1.005"),
        ("3999.0", "70.00", "2.0", "1.00500"),
        ("3.999e3", "7e1", "20E-1", "1005e-3"),
    ] {
        check(rest, &format!(r#"{{"mv":{mv},"f":{f},"n":{n},"r":{r}}}"#), expected);
    }
}

#[test]
fn for_each_gives_a_payload_an_element() {
    let fields = "fields: {id: $.device.id, n: $.index, t: $.item.t}\n";
    for (rest, payload, expected) in [
        (
            "for_each: $.payload.r",
            r#"{"r":[{"t":1},{"t":2.0}]}"#,
            r#"{"id":"CON123","n":0,"t":1} {"id":"CON123","n":1,"t":2.0}"#,
        ),
        (
            "for_each: $.payload.r[?@.t > 1]",
            r#"{"r":[{"t":1},{"t":2}]}"#,
            r#"{"id":"CON123","n":0,"t":2}"#,
        ),
        (
            "for_each: $.payload..r[*]",
            r#"{"r":[{"t":1}],"s":{"r":[{"t":2}]}}"#,
            r#"{"id":"CON123","n":0,"t":1} {"id":"CON123","n":1,"t":2}"#,
        ),
        ("for_each: $.payload.r", r#"{"r":[]}"#, "filtered"),
        ("for_each: $.payload.r[*]", "{}", "filtered"),
        ("for_each: $.payload.r", "{}", "for_each $.payload.r"),
        ("for_each: $.payload.r", r#"{"r":{"t":1}}"#, "for_each $.payload.r"),
        ("for_each: $.payload.r", r#"{"r":[{"t":1},{}]}"#, "missing_field $.payload.r[1].t"),
        (
            "for_each: $.payload.r[*]",
            r#"{"r":[{"t":null}]}"#,
            "missing_field $['payload']['r'][0].t",
        ),
        (
            "for_each: $.payload\nextension: true",
            r#"[{"t":1,"u":2}]"#,
            r#"{"extension":{"item":{"u":2}},"id":"CON123","n":0,"t":1}"#,
        ),
        (
            "for_each: $.payload.r\nextension: true",
            r#"{"s":5,"r":[{"t":1},{"t":2,"u":3}]}"#,
            concat!(
                r#"{"extension":{"payload":{"s":5}},"id":"CON123","n":0,"t":1} "#,
                r#"{"extension":{"item":{"u":3},"payload":{"s":5}},"id":"CON123","n":1,"t":2}"#
            ),
        ),
        (
            "for_each: $.payload.r[?@.t > 1]\nextension: true",
            r#"{"r":[{"t":1},{"t":2}]}"#,
            r#"{"extension":{"payload":{"r":[{"t":1}]}},"id":"CON123","n":0,"t":2}"#,
        ),
    ] {
        check(&format!("{fields}{rest}"), payload, expected);
    }
    check(
        "for_each: $.payload.r\nfields: {s: {expression: item.t + index}, w: {expression: item}}",
        r#"{"r":[{"t":1},{"t":2}]}"#,
        r#"{"s":1,"w":{"t":1}} {"s":3,"w":{"t":2}}"#,
    );
    check("for_each: $.payload\nfields: {v: $.item}", "[1,[2]]", r#"{"v":1} {"v":[2]}"#);
    // An expression's element is named by its own place, too.
    for (rest, payload, expected) in [
        ("$.payload.r", r#"{"r":[{"t":1},{"t":"x"}]}"#, "expression $.payload.r[1].t"),
        ("$.payload.r", r#"{"r":[{"t":1},{}]}"#, "missing_field $.payload.r[1].t"),
        ("'$.payload.r[*]'", r#"{"r":[{}]}"#, "missing_field $['payload']['r'][0].t"),
        ("{expression: payload.r}", r#"{"r":[{"t":1},{}]}"#, "missing_field for_each[1].t"),
    ] {
        let rest = format!("for_each: {rest}\nfields: {{s: {{expression: item.t * 2}}}}");
        check(&rest, payload, expected);
    }
    let whole = "for_each: $.payload.r\nfields: {s: {expression: item + 1}}";
    check(whole, r#"{"r":[1,"x"]}"#, "expression $.payload.r[1]");
}

#[test]
fn an_absent_field_of_an_expression_is_named() {
    for (expression, payload, expected) in [
        ("payload.a + payload.b", r#"{"a":1}"#, "field `a`: `payload.b` is absent"),
        ("payload.a", r#"{"a":null}"#, "field `a`: the expression returns null"),
    ] {
        let set = compiled(&format!("{HEAD}fields: {{a: {{expression: {expression}}}}}"));
        let Outcome::Rejected(rejection) = set.evaluate(&event(payload)) else { panic!() };
        assert!(rejection.message.ends_with(expected), "{rejection}");
    }
}

#[test]
fn elements_are_counted_before_they_are_made() {
    for each in ["$.payload", "'$.payload[*]'", "{expression: payload}"] {
        let set = compiled(&format!("{HEAD}for_each: {each}\nfields: {{v: $.item}}"));
        let list = |length: usize| format!("[{}]", vec!["0"; length].join(","));
        let payloads = |length| match set.evaluate(&event(&list(length))) {
            Outcome::Mapped(payloads) => Ok(payloads.len()),
            Outcome::Rejected(rejection) => Err(rejection),
            Outcome::NotMatched => Ok(0),
        };
        assert_eq!(payloads(MAX_OUTPUTS_PER_RECORD), Ok(MAX_OUTPUTS_PER_RECORD), "{each}");
        let refused = payloads(MAX_OUTPUTS_PER_RECORD + 1).unwrap_err();
        assert_eq!(refused.cause, Cause::ForEach);
        assert!(refused.message.contains("there are 1001 elements"), "{each}: {refused}");
    }
}

/// Rooms with readings, and tags under names.
const ROOMS: &str = r#"{"site":"s1","rooms":[
    {"room":"A","celsius":[20.5,21],"tags":{"x":{"v":1}}},
    {"room":"B","celsius":[21,22],"tags":{"y":{"v":1},"z":{"v":2}}}]}"#;

#[test]
fn elements_of_for_each_know_where_they_stand() {
    let nested = concat!(
        r#"{"c":20.5,"n":0,"r":"A"} {"c":21,"n":1,"r":"A"} "#,
        r#"{"c":21,"n":2,"r":"B"} {"c":22,"n":3,"r":"B"}"#
    );
    for room in [
        "'$.parents[0].room'",
        "{expression: 'parents[0].room'}",
        "{expression: 'payload.rooms[path[1]].room'}",
        "{path: '$.parents[0][?@ == \"A\" || @ == \"B\"]'}",
        "{path: '$.parents[1].rooms[?@.room == $.parents[0].room].room'}",
    ] {
        let fields = format!("fields: {{n: $.index, c: $.item, r: {room}}}\n");
        check(&format!("{fields}for_each: $.payload.rooms[*].celsius[*]"), ROOMS, nested);
    }
    let tags = "for_each: $.payload.rooms[*].tags.*\nfields: {k: $.key, v: $.item.v";
    check(
        &format!("{tags}, room: '$.parents[1].room', site: '$.parents[2].site'}}"),
        ROOMS,
        concat!(
            r#"{"k":"x","room":"A","site":"s1","v":1} {"k":"y","room":"B","site":"s1","v":1} "#,
            r#"{"k":"z","room":"B","site":"s1","v":2}"#
        ),
    );
    check(
        &format!("{tags}, p: $.path, last: {{expression: 'key + \":\" + path[3]'}}}}"),
        r#"{"rooms":[{"tags":{"x":{"v":1}}}]}"#,
        r#"{"k":"x","last":"x:x","p":["rooms",0,"tags","x"],"v":1}"#,
    );
    // An element of an array has no name; what is further out than the payload is absent.
    let fields = "fields: {v: $.item, k: {path: $.key, default: none}, \
                  p: {path: '$.parents[1]', required: false}}\n";
    check(&format!("{fields}for_each: $.payload.r"), r#"{"r":[5]}"#, r#"{"k":"none","v":5}"#);
    check(&format!("{fields}for_each: $.payload"), "[5]", r#"{"k":"none","v":5}"#);
    check(
        "for_each: '$.payload[*][*]'\nfields: {p: $.path}",
        "[[7],[8]]",
        r#"{"p":[0,0]} {"p":[1,0]}"#,
    );
    // The same element twice.
    check(
        "for_each: \"$.payload['a','a']\"\nfields: {k: $.key}",
        r#"{"a":1}"#,
        r#"{"k":"a"} {"k":"a"}"#,
    );
    check(
        "for_each: $.payload.rooms[*].celsius[*]\nfields: {c: $.item, r: '$.parents[0].room'}\nextension: true",
        r#"{"site":"s1","rooms":[{"room":"A","celsius":[20.5],"u":1}]}"#,
        r#"{"c":20.5,"extension":{"payload":{"rooms":[{"u":1}],"site":"s1"}},"r":"A"}"#,
    );
    let object = compiled(&format!("{HEAD}for_each: $.payload.r\nfields: {{v: $.item}}"));
    let Outcome::Rejected(rejection) = object.evaluate(&event(r#"{"r":{"a":1}}"#)) else {
        panic!()
    };
    assert!(rejection.message.contains("`$.payload.r.*` selects the members"), "{rejection}");
}

#[test]
fn for_each_takes_an_expression() {
    let ids = "for_each: {expression: 'payload.ids.split(\",\")'}\n";
    let fields = "fields: {id: $.item, n: $.index}\n";
    for (rest, payload, expected) in [
        ("", r#"{"ids":"a,b"}"#, r#"{"id":"a","n":0} {"id":"b","n":1}"#),
        ("", "{}", "for_each $.payload.ids"),
        ("", r#"{"ids":7}"#, "expression $.payload.ids"),
        (
            "extension: true",
            r#"{"ids":"a","x":1}"#,
            r#"{"extension":{"payload":{"x":1}},"id":"a","n":0}"#,
        ),
    ] {
        check(&format!("{ids}{fields}{rest}"), payload, expected);
    }
    let filtered =
        "for_each: {expression: 'payload.r.filter(x, x > 1)'}\nfields: {v: {expression: item * 2}}";
    check(filtered, r#"{"r":[1,2,3]}"#, r#"{"v":4} {"v":6}"#);
    check(filtered, r#"{"r":[]}"#, "filtered");
    check(
        "for_each: {expression: payload.r}\nfields: {v: $.item}",
        r#"{"r":{"a":1}}"#,
        "for_each $.payload.r",
    );
    check(
        "for_each: {expression: payload.r}\nfields: {v: $.item.t}",
        r#"{"r":[{}]}"#,
        "missing_field for_each[0].t",
    );
    check("for_each: {path: $.payload.r}\nfields: {v: $.item}", r#"{"r":[1]}"#, r#"{"v":1}"#);
}

#[test]
fn timestamps_by_their_options() {
    let time = r#"{"a":"2026-01-01T00:00:00.000Z"}"#;
    for (options, payload, expected) in [
        ("", r#"{"t":1767225600000}"#, time),
        ("", r#"{"t":"1767225600000"}"#, time),
        ("", r#"{"t":1767225600}"#, "field_type $.payload.t"),
        ("", r#"{"t":1767225600000000}"#, "field_type $.payload.t"),
        (", unit: s", r#"{"t":1767225600}"#, time),
        (", unit: auto", r#"{"t":1767225600000000}"#, time),
        (", zone: Europe/Berlin", r#"{"t":"2026-01-01 01:00:00"}"#, time),
        (", format: '%d.%m.%Y %H:%M', zone: UTC", r#"{"t":"01.01.2026 00:00"}"#, time),
        (", unit: s, default: 1767225600", "{}", time),
        (", unit: s, lookup: {x: 1767225600}", r#"{"t":"x"}"#, time),
        ("", r#"{"t":"2026-01-01T00:00:00.123456Z"}"#, r#"{"a":"2026-01-01T00:00:00.123456Z"}"#),
    ] {
        let field = format!("fields: {{a: {{path: $.payload.t, type: timestamp{options}}}}}");
        let event = Event { timestamp_ms: None, ..event(payload) };
        assert_eq!(outcome(&compiled(&format!("{HEAD}{field}")), &event), expected, "{field}");
    }
    // The broker's own timestamp is in milliseconds, however odd it is.
    for (source, time) in [
        ("path: $.kafka.timestamp", "1970-01-01T00:00:00.007Z"),
        ("expression: kafka.timestamp", "1970-01-01T00:00:00.007Z"),
        ("path: $.kafka.timestamp, zone: UTC", "1970-01-01T00:00:00.007Z"),
        ("path: $.kafka.timestamp, unit: s", "1970-01-01T00:00:07.000Z"),
    ] {
        let broker = format!("{HEAD}fields: {{a: {{{source}, type: timestamp}}}}");
        let odd = Event { timestamp_ms: Some(7), ..event("{}") };
        let expected = format!("{{\"a\":\"{time}\"}}");
        assert_eq!(outcome(&compiled(&broker), &odd), expected, "{source}");
    }
    let info = EventInfo { time_ms: Some(1), time_below_ms_ns: 500_000, ..EventInfo::default() };
    let fine = Event { info, ..event("{}") };
    let time = compiled(&format!("{HEAD}fields: {{a: $.event.time}}"));
    assert_eq!(outcome(&time, &fine), r#"{"a":"1970-01-01T00:00:00.001500Z"}"#);
}

#[test]
fn a_null_value_can_be_mapped_or_filtered() {
    let gone = "match: {where: payload == null}\nfields: {id: $.kafka.key}";
    check(gone, "null", r#"{"id":"reefer:CON123"}"#);
    check(gone, r#"{"c":1}"#, "filtered");
    check("match: {where: payload != null}\nfields: {c: $.payload.c}", "null", "filtered");
    check("fields: {c: $.payload.c}", "null", "missing_field $.payload.c");
}

#[test]
fn lookups_compare_numbers_by_value() {
    for (table, payload, expected) in [
        ("{1.50: x}", "1.5", r#"{"a":"x"}"#),
        ("{1.50: x}", "1.500", r#"{"a":"x"}"#),
        ("{1.5: x}", "15e-1", r#"{"a":"x"}"#),
        ("{1.0: x}", "1", r#"{"a":"x"}"#),
        ("{1: x}", "1.0", r#"{"a":"x"}"#),
        ("{-0: x}", "0", r#"{"a":"x"}"#),
        ("{1e3: x}", "1000", r#"{"a":"x"}"#),
        ("{1.50: x}", "1.51", "lookup $.payload"),
        ("{'1.50': x}", "\"1.50\"", r#"{"a":"x"}"#),
        ("{1.50: x}", "\"1.5\"", "lookup $.payload"),
        ("{'null': x}", "\"null\"", r#"{"a":"x"}"#),
    ] {
        check(&format!("fields: {{a: {{path: $.payload, lookup: {table}}}}}"), payload, expected);
    }
}

#[test]
fn a_path_into_a_string_says_so() {
    let set = compiled(&format!("{HEAD}fields: {{a: $.payload.message.id}}"));
    for (payload, expected) in [
        (r#"{"message":"{\"id\":7}"}"#, "JSON within a string is not read"),
        (r#""{\"message\":{}}""#, "JSON within a string is not read"),
        (r#"{"message":{}}"#, "selects nothing"),
    ] {
        let Outcome::Rejected(rejection) = set.evaluate(&event(payload)) else { panic!() };
        assert!(rejection.message.contains(expected), "{rejection}");
    }
}

#[test]
fn match_takes_what_fits() {
    for (matching, takes) in [
        ("{}", true),
        ("{topic: telemetry}", true),
        ("{topic: [other, tele*]}", true),
        ("{topic: other}", false),
        ("{device_type: reefer-??, event_type: [alarm, status]}", true),
        ("{device_type: reefer-??, event_type: alarm}", false),
        ("{where: payload.t > 20}", true),
        ("{where: payload.t > 21}", false),
        ("{where: payload.absent > 21}", false),
        ("{where: has(payload.absent)}", false),
        ("{topic: other, where: payload.t + 'x' == 1}", false),
        ("{where: 'kafka.headers.site == \"bergen\" && kafka.partition == 3'}", true),
    ] {
        let expected = if takes { r#"{"t":21}"# } else { "filtered" };
        check(&format!("match: {matching}\nfields: {{t: $.payload.t}}"), r#"{"t":21}"#, expected);
    }
    for condition in ["payload.t + 'x' == 1", "payload.t"] {
        let rest = format!("match: {{where: \"{condition}\"}}\nfields: {{t: $.payload.t}}");
        check(&rest, r#"{"t":21}"#, "expression $.payload.t");
    }
}

#[test]
fn several_mappings_may_take_one_event() {
    let one = "mapping: one\ncontract: c\nfunction: create\nfields: {a: $.payload.a}\n";
    let two = "mapping: two\ncontract: d\nfunction: deleteProperties\nfields: {b: $.payload.b}\n";
    let set = compiled(&format!("{one}---\n{two}"));
    let Outcome::Mapped(payloads) = set.evaluate(&event(r#"{"a":1,"b":2}"#)) else { panic!() };
    let calls: Vec<_> = payloads.iter().map(|p| (&*p.contract, p.function, p.mapping)).collect();
    assert_eq!(
        calls,
        [
            ("c", Function::Create, Digest::of(one.as_bytes())),
            ("d", Function::DeleteProperties, Digest::of(two.as_bytes())),
        ]
    );
    assert_eq!(&*set.mappings[1].text, two);
    assert_eq!(outcome(&set, &event(r#"{"a":1}"#)), "missing_field $.payload.b");
    let Outcome::Rejected(rejection) = set.evaluate(&event(r#"{"a":1}"#)) else { panic!() };
    assert!(rejection.message.contains("mapping `two`: field `b`"), "{rejection}");
}

#[test]
fn arguments_can_always_be_read_back() {
    let nested = |depth: usize| event(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let set = compiled(&format!("{HEAD}fields: {{a.b: $.payload}}"));
    assert!(matches!(set.evaluate(&nested(62)), Outcome::Mapped(_)));
    assert_eq!(outcome(&set, &nested(63)), "too_deep ");
    check(
        "fields: {a: {expression: '{payload.name: payload.value}'}}",
        &format!(r#"{{"name":"{}","value":"x"}}"#, strict::NUMBER_NAME),
        "expression ",
    );
}

#[test]
fn outputs_are_bounded() {
    let each = format!("{HEAD}for_each: $.payload.r\nfields: {{v: $.item}}");
    let array = |count: usize| format!("{{\"r\":[{}]}}", vec!["0"; count].join(","));
    let set = compiled(&each);
    let Outcome::Mapped(payloads) = set.evaluate(&event(&array(MAX_OUTPUTS_PER_RECORD))) else {
        panic!()
    };
    assert_eq!(payloads.len(), MAX_OUTPUTS_PER_RECORD);
    let over = event(&array(MAX_OUTPUTS_PER_RECORD + 1));
    assert_eq!(outcome(&set, &over), "for_each $.payload.r");
    let twice = compiled(&format!("{each}\n---\n{}", each.replace(": m\n", ": n\n")));
    let over = event(&array(MAX_OUTPUTS_PER_RECORD / 2 + 1));
    assert_eq!(outcome(&twice, &over), "for_each ");

    let whole = compiled(&format!("{HEAD}fields: {{a: $.payload}}"));
    let long = |bytes: usize| event(&format!("\"{}\"", "x".repeat(bytes)));
    let around = r#"{"a":""}"#.len();
    assert!(matches!(whole.evaluate(&long(MAX_ARGUMENTS_BYTES - around)), Outcome::Mapped(_)));
    assert_eq!(outcome(&whole, &long(MAX_ARGUMENTS_BYTES - around + 1)), "payload_too_large ");

    let copies = compiled(&format!("{HEAD}for_each: $.payload.r\nfields: {{a: $.payload.s}}"));
    let text = "x".repeat(50_000);
    let many = event(&format!("{{\"r\":[{}],\"s\":\"{text}\"}}", vec!["0"; 500].join(",")));
    assert_eq!(outcome(&copies, &many), "payload_too_large ");
    let query = compiled(&format!("{HEAD}fields: {{a: '$.payload..x'}}"));
    let wide = event(&array(200_000));
    assert_eq!(outcome(&query, &wide), "missing_field $.payload..x");
    let each = "for_each: $.payload.r\nfields: {a: {path: $.payload..x, required: false}}";
    let many = event(&array(MAX_OUTPUTS_PER_RECORD));
    assert_eq!(outcome(&compiled(&format!("{HEAD}{each}")), &many), "limit $.payload..x");
    let nested = format!("{HEAD}fields: {{a: '$.payload.r[?$.payload.r[?@ == 1]]'}}");
    assert_eq!(outcome(&compiled(&nested), &wide), "limit $.payload.r[?$.payload.r[?@ == 1]]");
}

/// A string, line and column of its first fault, part of its message and of its help.
type FaultCase = (&'static str, u64, u64, &'static str, &'static str);

const FAULTS_OF_DOCUMENTS: &[FaultCase] = &[
    (
        "mapping: m\ncontract: c\nfunction: updat\nfields: {a: $.payload}",
        3,
        11,
        "unknown variant `updat`",
        "did you mean `update`?",
    ),
    (
        "mapping: m\ncontract: c\nfunction: update\nfeilds: {}",
        4,
        1,
        "unknown field `feilds`",
        "did you mean `fields`?",
    ),
    ("mapping: m\nfunction: update\nfields: {a: $.payload}", 3, 1, "missing field `contract`", ""),
    (
        "mapping: m m\ncontract: ''\nfunction: update\nfields: {a: $.payload}",
        1,
        10,
        "\"m m\" cannot be the name of a mapping",
        "letters, digits",
    ),
    ("mapping: m\ncontract: c\nfunction: update", 1, 10, "provides no arguments", "`fields`"),
];

/// These stand behind [`HEAD`].
const FAULTS_OF_PARTS: &[FaultCase] = &[
    ("fields:\n  a: payload.t", 5, 6, "a JSONPath starts with `$`", "$.payload.d.temperature"),
    ("fields:\n  a: $.payload[", 5, 6, "the query ends too early", "character 11"),
    ("fields:\n  a: $.paylod.t", 5, 6, "a path starts with `$.payload`", "did you mean `payload`?"),
    ("fields:\n  a: $..t", 5, 6, "a path starts with", "$.payload..temperature"),
    ("fields:\n  a: $.item.t", 5, 6, "a path starts with", ""),
    ("fields:\n  a: $.payload[?@.x == $.devise.id]", 5, 6, "a path starts with", "`device`"),
    ("fields:\n  a: $.device.identity", 5, 6, "there is no `$.device.identity`", "known are"),
    ("fields:\n  a: {path: $.device.ids}", 5, 13, "there is no `$.device.ids`", "`id`"),
    ("fields:\n  a: {expression: device.ids}", 5, 19, "no `$.device.ids`", "`id`"),
    ("fields:\n  a: {expression: payload.t +}", 5, 19, "", "line 1"),
    ("fields:\n  a: {expression: item.t}", 5, 19, "item", ""),
    ("fields:\n  a: {}", 5, 3, "where does `a` come from?", "exactly one of"),
    ("fields:\n  a: {path: $.payload, constant: 1}", 5, 3, "where does `a` come from?", ""),
    ("fields: {a: $.payload}\nextension: yes", 5, 12, "`yes` is a string; `true` or `false`", ""),
    ("fields:\n  a: {path: $.payload, typ: integer}", 5, 24, "unknown field `typ`", "`type`"),
    ("fields:\n  a: {path: $.payload, type: int}", 5, 30, "unknown variant `int`", "known are"),
    ("fields:\n  a: 5", 5, 3, "expected a JSONPath", ""),
    ("fields:\n  a: $.payload\n  a: $.payload", 6, 3, "duplicate mapping key: a", ""),
    ("fields:\n  a: $.payload\n  a.b: $.payload", 6, 3, "`a.b` cannot be inside `a`", ""),
    ("fields:\n  a.b: $.payload\n  a: $.payload", 5, 3, "`a.b` cannot be inside `a`", ""),
    (
        "fields:\n  a-b: $.payload\n  a.b: $.payload\n  a: $.payload",
        6,
        3,
        "`a.b` cannot be inside `a`",
        "",
    ),
    ("fields:\n  extension: $.payload\nextension: true", 6, 12, "duplicate argument", ""),
    ("fields:\n  a..b: $.payload", 5, 3, "cannot be the name of an argument", ""),
    ("fields:\n  a: {constant: x, type: integer}", 5, 17, "is not an integer", "type"),
    ("fields:\n  a: {constant: null}", 5, 17, "null", ""),
    ("fields:\n  a: {constant: 1, default: 2}", 5, 29, "a constant is always present", ""),
    ("fields:\n  a: {path: $.payload, default: 1.5, type: integer}", 5, 33, "the default", ""),
    ("fields:\n  a: {path: $.payload, default: 1, required: true}", 5, 46, "never missing", ""),
    (
        "fields:\n  a: {path: $.payload, otherwise: 1}",
        5,
        35,
        "`otherwise` needs a `lookup`",
        "`default`",
    ),
    ("fields:\n  a: {path: $.payload, lookup: {x: y}, type: integer}", 5, 36, "the value", ""),
    ("fields:\n  a: $.parents[0].x", 5, 6, "a path starts with", ""),
    (
        "for_each: $.payload\nfields:\n  a: $.parents.x",
        6,
        6,
        "a number must follow",
        "`$.parents[0]`",
    ),
    (
        "for_each: $.payload\nfields:\n  a: $.parents[8].x",
        6,
        6,
        "a number must follow",
        "`$.parents[7]`",
    ),
    ("for_each: $.payload\nfields:\n  a: {expression: parents.x}", 6, 19, "`parents`", "line 1"),
    ("for_each: {expression: payload}\nfields:\n  a: $.key", 6, 6, "a path starts with", ""),
    ("for_each: {}\nfields: {a: $.item}", 4, 11, "needs the source of its elements", "exactly one"),
    ("for_each: {expression: 'a('}\nfields: {a: $.item}", 4, 24, "", "line 1"),
    ("fields:\n  a: {path: $.payload, unit: s}", 5, 30, "belong to `type: timestamp`", "add"),
    (
        "fields:\n  a: {path: $.payload, type: timestamp, unit: m}",
        5,
        47,
        "unknown variant `m`",
        "`ms`",
    ),
    (
        "fields:\n  a: {path: $.payload, type: timestamp, zone: X/Y}",
        5,
        47,
        "no time zone `X/Y`",
        "",
    ),
    (
        "fields:\n  a: {path: $.payload, type: timestamp, default: 0}",
        5,
        50,
        "the option `unit`",
        "",
    ),
    (
        "fields:\n  a: {path: $.payload, lookup: {1: x, 1.0: y}}",
        5,
        39,
        "duplicate key: `1.0`",
        "by value",
    ),
    (
        "fields:\n  a: {path: $.payload, lookup: {null: x}}",
        5,
        33,
        "a string is expected",
        "`'null'`",
    ),
    ("for_each: $.device\nfields: {a: $.item}", 4, 11, "within `$.payload`", ""),
    ("match: {topic: ''}\nfields: {a: $.payload}", 4, 16, "an empty string", "`*`"),
    ("match: {where: payload.a ==}\nfields: {a: $.payload}", 4, 16, "", "line 1"),
    ("match: {topics: a}\nfields: {a: $.payload}", 4, 9, "unknown field `topics`", "`topic`"),
];

#[test]
fn faults_name_place_and_remedy() {
    for (text, line, column, message, help) in FAULTS_OF_DOCUMENTS {
        check_diagnostic(text, (*line, *column), message, help);
    }
    for (rest, line, column, message, help) in FAULTS_OF_PARTS {
        check_diagnostic(&format!("{HEAD}{rest}"), (*line, *column), message, help);
    }
    let deep = format!("{HEAD}fields:\n  a: {{constant: {}}}", "[".repeat(5_000));
    let (_, diagnostics) = load(&deep);
    assert!(diagnostics[0].message.contains("recursion"), "{}", diagnostics[0]);
    let copies: String = (1..40).map(|n| format!(", l{n}: &l{n} [*l{0}, *l{0}]", n - 1)).collect();
    let bomb = format!("{HEAD}fields:\n  a: {{constant: {{l0: &l0 [x]{copies}}}}}");
    let (_, diagnostics) = load(&bomb);
    assert!(diagnostics[0].message.contains("budget"), "{}", diagnostics[0]);
    let fields: String = (0..=MAX_MAPPING_FIELDS).map(|n| format!("  a{n}: $.payload\n")).collect();
    let line = u64::try_from(MAX_MAPPING_FIELDS).unwrap() + 5;
    check_diagnostic(&format!("{HEAD}fields:\n{fields}"), (line, 3), "257 fields", "");
}

fn check_diagnostic(text: &str, place: (u64, u64), message: &str, help: &str) {
    let (set, diagnostics) = load(text);
    assert!(set.mappings.is_empty(), "{text}");
    let diagnostic = &diagnostics[0];
    assert!(
        diagnostic.message.contains(message) && diagnostic.help.contains(help),
        "{text}\n{diagnostic}"
    );
    assert_eq!((diagnostic.place.line, diagnostic.place.column), place, "{text}\n{diagnostic}");
}

#[test]
fn every_fault_of_every_file_is_reported() {
    let good = format!("{HEAD}fields: {{a: $.payload}}\n");
    let bad = "mapping: n\ncontract: c\nfunction: update\nfields: {a: $.x, b: $.y}\n";
    let (set, diagnostics) = MappingSet::from_texts(&[
        ("one.yaml".into(), format!("# first\n---\n{bad}---\n{good}")),
        ("two.yaml".into(), format!("{good}---\nmapping: [\n")),
        ("three.yaml".into(), "# nothing\n".to_owned()),
    ]);
    assert_eq!(set.mappings.len(), 1);
    let places: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| format!("{}:{}", diagnostic.file.display(), diagnostic.place.line))
        .collect();
    assert_eq!(places, ["one.yaml:6", "one.yaml:6", "two.yaml:1", "two.yaml:6", "three.yaml:1"]);
    assert!(diagnostics[2].help.contains("one.yaml, line 8"), "{}", diagnostics[2]);
}

#[test]
fn what_a_contract_is_checked_against() {
    let rest = "\
fields:
  a: $.payload.a
  b.c: {path: $.payload.b, type: integer, required: false}
  d: {constant: x, type: string}
  e: {path: $.payload.e, default: 1}
extension: true";
    let set = compiled(&format!("{HEAD}{rest}"));
    let mapping = &set.mappings[0];
    let fields: Vec<_> = mapping
        .fields()
        .iter()
        .map(|field| (field.target.as_str(), field.declared, field.always, field.place.line))
        .collect();
    assert_eq!(
        fields,
        [
            ("a", FieldType::Any, true, 5),
            ("b.c", FieldType::Integer, false, 6),
            ("d", FieldType::String, true, 7),
            ("e", FieldType::Any, true, 8),
        ]
    );
    assert_eq!(mapping.extension_target.as_deref(), Some("extension"));
    let lines = [mapping.place, mapping.contract_place, mapping.function_place];
    assert_eq!(lines.map(|place| (place.line, place.column)), [(1, 10), (2, 11), (3, 11)]);
}

#[test]
fn tests_in_files_are_run() {
    let rest = "\
match: {topic: [tele*, telemetry], device_type: reefer, where: payload.t != 99}
for_each: $.payload.r
fields:
  {id: $.device.id, kind: $.device.type, topic: $.kafka.topic, t: {path: $.item.t, type: integer}}
tests:
  - name: holds
    event: {device: {id: d1}, payload: {t: 1, r: [{t: 1.0}]}}
    expect: {payloads: [{id: d1, kind: reefer, topic: telemetry, t: 1}]}
  - name: differs
    event: {device: {id: d1}, payload: {t: 1, r: [{t: 1}]}}
    expect: {payloads: [{id: d1, kind: reefer, topic: telemetry, t: 2}]}
  - name: filtered
    event: {payload: {t: 99}}
    expect: filtered
  - name: not filtered
    event: {payload: {t: 98, r: 5}}
    expect: filtered
  - name: rejected
    event: {device: {id: d1}, payload: {t: 1, r: [{t: x}]}}
    expect: {rejected: {cause: field_type, path: '$.payload.r[0].t'}}
  - name: rejected elsewhere
    event: {device: {id: d1}, payload: {t: 1, r: [{t: x}]}}
    expect: {rejected: {cause: field_type, path: $.payload.r}}
  - name: record
    record:
      kafka:
        key: |
          {\"orgId\":\"o\",\"deviceType\":\"reefer\",\"deviceId\":\"d2\",\"eventType\":\"status\",
          \"format\":\"json\",\"timestamp\":\"2017-01-04T13:11:33.601+02\"}
      value: '{\"t\":1,\"r\":[{\"t\":9007199254740993}]}'
    expect: {payloads: [{id: d2, kind: reefer, topic: telemetry, t: 9007199254740993}]}
  - name: broken record
    record: {value: '{'}
    expect: {rejected: {cause: not_json}}
";
    let results = compiled(&format!("{HEAD}{rest}")).run_tests();
    let failures: Vec<(&str, &str)> = results
        .iter()
        .map(|result| (result.test.as_str(), result.failure.as_deref().unwrap_or("")))
        .collect();
    for ((name, failure), (expected_name, expected)) in failures.into_iter().zip([
        ("holds", ""),
        ("differs", "-    \"t\": 2,\n+    \"t\": 1,\n"),
        ("filtered", ""),
        ("not filtered", "expected: filtered\ngot: rejected, for_each at $.payload.r"),
        ("rejected", ""),
        ("rejected elsewhere", "expected: rejected, field_type at $.payload.r\ngot: rejected"),
        ("record", ""),
        ("broken record", ""),
    ]) {
        assert_eq!(name, expected_name);
        assert!(
            failure.contains(expected) && failure.is_empty() == expected.is_empty(),
            "{name}: {failure}"
        );
    }
    assert_eq!((results[0].place.line, &*results[0].definition, results.len()), (9, "m", 8));
}

#[test]
fn the_example_of_the_documentation_holds() {
    let lines = include_str!("mod.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let example = lines.skip_while(|line| *line != " ```yaml").skip(1);
    let example: Vec<&str> = example
        .take_while(|line| *line != " ```")
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let results = compiled(&example.join("\n")).run_tests();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].failure, None);
}

#[test]
fn the_schema_describes_the_form() {
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (text, valid) in [
        ("{mapping: m, contract: c, function: update, fields: {a: $.payload}}", true),
        ("{mapping: m, contract: c, function: deleteProperties, extension: rest}", true),
        (
            "{mapping: m, contract: c, function: update, match: {topic: [a, b]}, extension: true,
           fields: {a: {path: $.payload, type: timestamp, lookup: {1: x}, default: null}},
           tests: [{name: t, event: {payload: 1}, expect: filtered},
                   {name: t, event: {}, expect: {rejected: {cause: lookup}}}]}",
            true,
        ),
        ("{mapping: m, contract: c}", false),
        ("{mapping: m, contract: c, function: updat}", false),
        ("{mapping: m, contract: c, function: update, field: {}}", false),
        ("{mapping: m, contract: c, function: update, fields: {a: {pth: $.payload}}}", false),
        ("{mapping: m, contract: c, function: update, fields: {a: 5}}", false),
        ("{mapping: m, contract: c, function: update, extension: 5}", false),
        ("{mapping: m, contract: c, function: update, tests: [{name: t, expect: filtred}]}", false),
    ] {
        let document = &yaml::documents(Path::new("m.yaml"), text).unwrap()[0];
        let value: serde_json::Value = document.parse(Path::new("m.yaml")).unwrap();
        assert_eq!(validator.is_valid(&value), valid, "{text}");
        let parsed = document.parse::<form::MappingForm>(Path::new("m.yaml"));
        assert_eq!(parsed.is_ok(), valid, "{text} {parsed:?}");
    }
    let fields = &schema["properties"]["fields"];
    assert!(fields["description"].is_string() && fields["additionalProperties"].is_object());
}

/// A mapping that uses everything.
const EVERYTHING: &str = "
mapping: everything
match: {topic: tele*, where: '!has(payload.skip)'}
contract: c
function: update
fields:
  a: {path: $.payload.a, type: integer, required: false}
  b: {path: $.payload.b, type: string, default: none}
  c: {path: '$.payload..c', type: array, required: false}
  d: {path: $.payload.b, lookup: {1: one}, otherwise: other, required: false}
  e: {expression: payload.a + payload.b, required: false}
  f: {path: '$.payload.c[?@ == $.payload.a]', type: array, required: false}
  g: {path: $.payload.c, type: timestamp, required: false}
extension: true
---
mapping: each
contract: c
function: create
for_each: $.payload.c[*]
fields: {i: $.index, v: {path: $.item, required: false}, a: {path: $.item.a, required: false}}
extension: true
";

fn bodies() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[1-9][0-9]{0,40}(\\.[0-9]{1,9})?".prop_map(|text| strict::parse(text.as_bytes()).unwrap()),
        "\\PC{0,6}".prop_map(Value::from),
        "[0-9]{4}-0[1-9]-[0-2][1-8]T00:00:00\\+02".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        1 => tree.clone(),
        4 => proptest::collection::btree_map("[abc]", tree, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect())),
    ]
}

/// The numbers of a value, in order of their text.
fn numbers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(elements) => elements.iter().for_each(|value| numbers(value, found)),
        Value::Object(members) => members.values().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

/// Objects of many members and of few, with names that paths lead to.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("null".to_owned()), Just("1".to_owned())];
    leaf.prop_recursive(5, 60, 20, |inner| {
        let member = ("[a-d]{1,2}", inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|e| format!("[{}]", e.join(","))),
            proptest::collection::btree_map(member.0, member.1, 0..20).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn each_way_leads_where_it_leads_alone(
        document in document(),
        paths in proptest::collection::vec("([.][a-d]{1,2}|[.][ab]|\\[(-[12]|[0-2])\\]){0,10}", 1..24),
    ) {
        let fields: String = (paths.iter().enumerate())
            .map(|(number, path)| format!("  f{number}: {{path: '$.payload{path}'}}\n"))
            .collect();
        let set = compiled(&format!("{HEAD}match: {{}}\nfields:\n{fields}"));
        let (event, mapping) = (event(&document), &set.mappings[0]);
        let budget = Budget::new();
        let scope = Scope { document: &Document::new(&event, &budget), item: None };
        let mut found = vec![None; mapping.fields.len()];
        mapping.descent.find(scope, &mut found);
        for (field, found) in mapping.fields.iter().zip(found) {
            let Source::Query(query) = &field.source else { panic!("no path") };
            let alone = crate::jsonpath::resolve(&event.payload, query.steps());
            let expected = alone.filter(|_| query.is_way());
            prop_assert_eq!(found, expected, "{}", query.path.text());
        }
    }

    #[test]
    fn any_body_is_judged_the_same_twice(body in bodies()) {
        let body = body.to_string();
        let (first, second) = (compiled(EVERYTHING), compiled(EVERYTHING));
        prop_assert_eq!(first.evaluate(&event(&body)), second.evaluate(&event(&body)));
    }

    #[test]
    fn nothing_of_a_body_is_lost_or_changed(body in bodies()) {
        let text = format!(
            "{HEAD}fields:\n  x: {{path: $.payload.a, required: false}}\n  \
             y: {{path: $.payload.b.c, required: false}}\nextension: true"
        );
        let body = body.to_string();
        let event = event(&body);
        if let Outcome::Mapped(payloads) = compiled(&text).evaluate(&event) {
            let (mut sent, mut kept) = (Vec::new(), Vec::new());
            numbers(&event.payload, &mut sent);
            numbers(payloads[0].arguments.value(), &mut kept);
            sent.sort();
            kept.sort();
            prop_assert_eq!(sent, kept);
        }
    }

    #[test]
    fn any_yaml_is_judged(
        text in "(mapping|contract|function|fields|match|[:\\-{}\\[\\] \n$.*&a!|>'\"]){0,30}"
    ) {
        let (set, diagnostics) = load(&text);
        prop_assert!(set.mappings.is_empty());
        prop_assert!(!diagnostics.is_empty());
    }
}

#[test]
fn a_whole_example() {
    let example = json!({"d": {"assetID": "CON123", "temperature": 68, "carrier": "C-ABC",
        "location": {"longitude": -87.90, "latitude": 43.03}}});
    check(
        "\
fields:
  common.assetID: $.payload.d.assetID
  common.location: {path: $.payload.d.location, type: object}
  temperature: {path: $.payload.d.temperature, type: number}
extension: common.extension",
        &example.to_string(),
        concat!(
            r#"{"common":{"assetID":"CON123","extension":{"d":{"carrier":"C-ABC"}},"#,
            r#""location":{"latitude":43.03,"longitude":-87.9}},"temperature":68}"#
        ),
    );
}
