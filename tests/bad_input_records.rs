//! Every bad record that really happens is either kept exactly or refused with its cause and place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use ledgerline::codec::Digest;
use ledgerline::event::{Cause, Decoder, Event, IdentityForm, Rejection, SourcePartition};
use ledgerline::input::{BatchBuilder, Generation};
use ledgerline::limits::{
    MAX_DETAIL_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_IDENTITY_BYTES, MAX_KEY_BYTES,
    MAX_RECORD_BYTES,
};

const KEY: &[u8] = br#"{"orgId":"o","deviceType":"t","deviceId":"d","eventType":"e"}"#;

type Header<'a> = (&'a str, Option<&'a [u8]>);
type HeaderList<'a> = &'a [Header<'a>];

fn decode_with(
    identity: &str,
    key: Option<&[u8]>,
    headers: HeaderList<'_>,
    value: Option<&[u8]>,
) -> Result<Event, Rejection> {
    let file = std::path::Path::new("ledgerline.yaml");
    let form = ledgerline::codec::yaml::parse::<IdentityForm>(file, identity).unwrap().remove(0);
    let decoder = Decoder::new(&form, file).unwrap();
    let mut builder = BatchBuilder::new(SourcePartition::new("t", 0), Generation::default(), 0);
    builder.push(0, Some(1_700_000_000_000), key, value, headers.iter().copied());
    let batch = builder.build();
    let result = decoder.decode(&batch.records().next().unwrap());
    if let Err(rejection) = &result {
        assert!(rejection.message.len() <= MAX_DETAIL_BYTES);
        assert!(!rejection.message.is_empty());
    }
    result
}

fn decode(value: &[u8]) -> Result<Event, Rejection> {
    decode_with("[auto]", Some(KEY), &[], Some(value))
}

#[test]
fn bad_bodies_are_refused_with_cause_and_place() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let table: &[(&str, &[u8], Cause, &str)] = &[
        ("no bytes", b"", Cause::Empty, ""),
        ("not UTF-8", b"{\"d\":\n\"\xff\"}", Cause::NotUtf8, "line 2, column 2"),
        ("UTF-16", b"\xff\xfe{\0}\0", Cause::NotJson, "line 1, column 1"),
        ("not JSON", b"temp=21.5;door=closed", Cause::NotJson, "line 1, column 2"),
        ("white space only", b" \n", Cause::NotJson, "line 2, column 1"),
        ("a byte order mark", b"\xef\xbb\xbf{}", Cause::NotJson, "line 1, column 1"),
        ("cut in the middle", b"{\"d\":{\"temp", Cause::NotJson, "line 1, column 11"),
        ("something behind", b"{} {}", Cause::NotJson, "line 1, column 4"),
        ("NaN", b"{\"t\":NaN}", Cause::NotJson, "line 1, column 6"),
        ("Infinity", b"{\"t\":-Infinity}", Cause::NotJson, "line 1, column 7"),
        ("a lone surrogate", br#"{"t":"\ud800"}"#, Cause::NotJson, "line 1, column 13"),
        ("a control character", b"\"a\x01\"", Cause::NotJson, "line 1, column 3"),
        ("a name twice", br#"{"a":1,"a":1}"#, Cause::DuplicateKey, "line 1, column 10"),
        ("escaped twice", br#"{"d":{"a":1,"\u0061":2}}"#, Cause::DuplicateKey, "line 1, column 20"),
        ("beyond f64", b"{\"t\":1e400}", Cause::Number, "line 1, column 10"),
        ("a number without end", &[b'9'; 100], Cause::Number, "line 1, column 100"),
        ("depth", &deep(128).into_bytes(), Cause::TooDeep, "line 1, column 65"),
        ("depth without end", &deep(100_000).into_bytes(), Cause::TooDeep, "line 1, column 65"),
        ("over the limit", &vec![b' '; MAX_RECORD_BYTES + 1], Cause::TooLarge, ""),
    ];
    for (name, value, cause, place) in table {
        let rejection = decode(value).expect_err(name);
        assert_eq!(rejection.cause, *cause, "{name}: {rejection}");
        assert_eq!(rejection.place, *place, "{name}: {rejection}");
    }
    // A null value is an event; the mappings decide its outcome.
    let tombstone = decode_with("[auto]", Some(KEY), &[], None).unwrap();
    assert!(tombstone.payload.is_null());
}

fn check_keys(table: &[(&str, &str, &[u8], &str)]) {
    for (identity, name, key, expected) in table {
        let value = Some(br#"{"a":[1],"f":1.5}"#.as_slice());
        let rejection = decode_with(identity, Some(key), &[], value).expect_err(name);
        let told = rejection.to_string();
        assert!(told.contains(expected), "{name}: {told}");
    }
}

#[test]
fn bad_keys_are_refused() {
    let platform = |id: &str, more: &str| {
        format!(r#"{{"deviceType":"t","deviceId":"{id}"{more}}}"#).into_bytes()
    };
    let no_offset = platform("d", r#","timestamp":"2017-01-04T13:11:33""#);
    let no_time = platform("d", r#","timestamp":"yesterday""#);
    let long = platform(&"x".repeat(MAX_IDENTITY_BYTES + 1), "");
    check_keys(&[
        ("[auto]", "broken JSON", b"{\"deviceType\":\"t\"", "identity: "),
        ("[auto]", "broken JSON", b"{\"deviceType\":\"t\"", "$.kafka.key"),
        ("[platform_key]", "no device", b"{\"deviceType\":\"t\"}", "no `deviceId`"),
        ("[platform_key]", "no type", b"{\"deviceId\":\"t\"}", "no `deviceType`"),
        ("[platform_key]", "true", b"{\"deviceId\":true,\"deviceType\":\"t\"}", "neither a string"),
        ("[auto]", "a list", &platform("d", r#","eventType":[]"#), "`eventType` of the key"),
        ("[auto]", "twice", &platform("d", r#","deviceId":"e""#), "duplicate"),
        ("[auto]", "no id", &platform("", ""), "$.device.id"),
        ("[auto]", "a long id", &long, "$.device.id"),
        ("[auto]", "no offset", &no_offset, "lacks an offset"),
        ("[auto]", "no time", &no_time, "is not a time"),
        ("[auto]", "a command", b"iot-2/type/t/id/d/cmd/c/fmt/json", "iot-2/type/"),
        ("[auto]", "no id", b"iot-2/type/t/id//evt/c/fmt/json", "$.device.id"),
        ("[auto]", "a topic not UTF-8", b"iot-2/\xff", "UTF-8"),
        ("[auto]", "a long key", &vec![b'k'; MAX_KEY_BYTES + 1], "too_large: "),
        ("[auto]", "a long key", &vec![b'k'; MAX_KEY_BYTES + 1], "$.kafka.key"),
    ]);
}

#[test]
fn keys_that_the_configured_way_does_not_know_are_refused() {
    check_keys(&[
        ("[platform_key]", "no JSON", b"dev1", "platform_key: the key is not a JSON object"),
        ("[platform_key]", "other JSON", b"{}", "neither `deviceType` nor `deviceId`"),
        ("[type_id_key]", "no colon", b"dev1", "type_id_key: the key is not `type:id`"),
        ("[type_id_key]", "a bare body", b"t:d", "`typeId`, `deviceId` and `payload`"),
        ("[mqtt_topic: key]", "no topic", b"dev1", "does not start with `iot-2/`"),
        ("[cloudevents]", "no event", b"dev1", "neither `ce_` headers"),
        ("[paths: {type: t, id: $.payload.id}]", "no id", b"", "path of `id` selects nothing"),
        ("[paths: {type: t, id: $.payload.a}]", "an array", b"", "not an array"),
        ("[paths: {type: t, id: $.payload.f}]", "a fraction", b"", "fraction"),
        ("[paths: {type: t, id: x, time: $.payload.a}]", "no time", b"", "not a time"),
    ]);
}

#[test]
fn bad_headers_are_refused() {
    let large = vec![b'h'; MAX_HEADER_BYTES + 1];
    let many = vec![("h", None); MAX_HEADERS + 1];
    let event: [(&str, Option<&[u8]>); 4] = [
        ("ce_specversion", Some(b"1.0")),
        ("ce_id", Some(b"1")),
        ("ce_source", Some(b"/a/b")),
        ("ce_type", Some(b"t")),
    ];
    let without = |index: usize| {
        event.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, h)| *h).collect::<Vec<_>>()
    };
    let with = |name, value: &'static [u8]| {
        event.iter().copied().filter(|(n, _)| *n != name).chain([(name, Some(value))]).collect()
    };
    let table: Vec<(&str, Vec<Header<'_>>, Cause, &str)> = vec![
        ("too many", many, Cause::TooLarge, "more than 64 headers"),
        ("too large", vec![("h", Some(&large))], Cause::TooLarge, "the limit is"),
        ("no version", without(0), Cause::Identity, "`ce_specversion`"),
        ("no id", without(1), Cause::Identity, "`ce_id`"),
        ("no source", without(2), Cause::Identity, "`ce_source`"),
        ("no type", without(3), Cause::Identity, "`ce_type`"),
        ("old version", with("ce_specversion", b"0.3"), Cause::Identity, "`0.3` is not supported"),
        ("no text", with("ce_type", b"\xff"), Cause::Identity, "not UTF-8"),
        ("bad time", with("ce_time", b"noon"), Cause::Identity, "is not a time"),
        ("no device", with("ce_source", b"/"), Cause::Identity, "$.device.id"),
        ("XML", with("content-type", b"text/xml"), Cause::NotJson, "`text/xml`"),
        (
            "a batch",
            vec![("content-type", Some(b"application/cloudevents-batch+json"))],
            Cause::Identity,
            "is not supported",
        ),
    ];
    for (name, headers, cause, expected) in table {
        let rejection = decode_with("[auto]", None, &headers, Some(b"{}")).expect_err(name);
        assert_eq!(rejection.cause, cause, "{name}: {rejection}");
        assert!(rejection.to_string().contains(expected), "{name}: {rejection}");
    }
    assert!(decode_with("[auto]", None, &event, Some(b"{}")).is_ok());
}

#[test]
fn no_header_can_forge_a_cause() {
    for name in ["ledgerline-bad-envelope", "ledgerline-cause", "ledgerline-message"] {
        let forged = [(name, Some(b"a header's name is not UTF-8".as_slice()))];
        let event = decode_with("[auto]", Some(KEY), &forged, Some(b"{}")).expect(name);
        assert_eq!(event.device.id, "d", "{name}");
        let rejection = decode_with("[auto]", Some(KEY), &forged, Some(b"{")).expect_err(name);
        assert_eq!(rejection.cause, Cause::NotJson, "{name}");
    }
}

#[test]
fn bad_structured_cloudevents_are_refused() {
    let table = [
        ("[]", Cause::Identity, "is a JSON object"),
        ("{}", Cause::Identity, "`specversion`"),
        (r#"{"specversion":1.0}"#, Cause::Identity, "is not a string"),
        (r#"{"specversion":"1.0","source":"a","type":"t"}"#, Cause::Identity, "`id`"),
        (
            r#"{"specversion":"1.0","id":"1","source":"a","type":"t","data":1,"data_base64":"MQ=="}"#,
            Cause::Identity,
            "mutually exclusive",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"a","type":"t","data_base64":"?"}"#,
            Cause::Identity,
            "not valid base64",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"a","type":"t","data_base64":"fg=="}"#,
            Cause::NotJson,
            "of `data_base64`",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"a","type":"t","datacontenttype":"text/csv"}"#,
            Cause::NotJson,
            "`text/csv`",
        ),
    ];
    let headers = [("content-type", Some(b"application/cloudevents+json".as_slice()))];
    for (value, cause, expected) in table {
        let rejection =
            decode_with("[auto]", None, &headers, Some(value.as_bytes())).expect_err(value);
        assert_eq!(rejection.cause, cause, "{value}: {rejection}");
        assert!(rejection.to_string().contains(expected), "{value}: {rejection}");
    }
}

#[test]
fn bad_wrapped_payloads_are_refused() {
    let wrapped = |id: &str, payload: &str| {
        format!(r#"{{"typeId":"t","deviceId":"{id}","payload":"{payload}"}}"#)
    };
    let table = [
        (wrapped("other", "MQ=="), Cause::Identity, "the value `t:other`"),
        (wrapped("d", "MQ"), Cause::Identity, "not valid base64"),
        (wrapped("d", "eyJhIjoxLCJhIjoyfQ=="), Cause::DuplicateKey, "in base64"),
        (wrapped("d", "/w=="), Cause::NotUtf8, "in base64"),
    ];
    for (value, cause, expected) in table {
        let rejection =
            decode_with("[auto]", Some(b"t:d"), &[], Some(value.as_bytes())).expect_err(&value);
        assert_eq!(rejection.cause, cause, "{value}: {rejection}");
        assert!(rejection.to_string().contains(expected), "{value}: {rejection}");
    }
}

#[test]
fn numbers_are_kept_exactly() {
    for number in [
        "9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890",
        "-123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        "20.0",
    ] {
        let event = decode(format!("{{\"n\":{number}}}").as_bytes()).unwrap();
        assert_eq!(event.payload["n"].to_string(), number);
    }
}

#[test]
fn strange_but_true_records_pass_on() {
    // Whether these make sense is for the mapping and the contract to say.
    let time = |text: &str| {
        let key = format!(r#"{{"deviceType":"t","deviceId":"d","timestamp":"{text}"}}"#);
        decode_with("[auto]", Some(key.as_bytes()), &[], Some(b"{}")).unwrap().info.time_ms
    };
    assert_eq!(time("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(time("2999-12-31T23:59:59Z"), Some(32_503_679_999_000));
    assert_eq!(time("2017-01-04T13:11:33.601+02"), Some(1_483_528_293_601));
    let swapped = decode(br#"{"d":{"location":{"longitude":43.03,"latitude":-187.9}}}"#).unwrap();
    assert_eq!(swapped.payload["d"]["location"]["latitude"].to_string(), "-187.9");
    let control = decode(br#"{"name":"a\u001b[31m\u0000"}"#).unwrap();
    assert_eq!(control.payload["name"].as_str().unwrap(), "a\u{1b}[31m\0");
    for value in ["42", "\"text\"", "null", "[]", "true"] {
        assert_eq!(decode(value.as_bytes()).unwrap().payload.to_string(), value);
    }
}

#[test]
fn the_same_event_twice_is_two_records() {
    let value = br#"{"_msgid":"burst-1","d":{"t":1}}"#;
    let mut builder = BatchBuilder::new(SourcePartition::new("t", 0), Generation::default(), 0);
    for offset in 0..2 {
        builder.push(offset, None, Some(KEY), Some(value), std::iter::empty());
    }
    let batch = builder.build();
    let events: Vec<Event> =
        batch.records().map(|record| Decoder::default().decode(&record).unwrap()).collect();
    assert_eq!(events[0].digests.value, Digest::of(value));
    assert_eq!(events[0].digests.value, events[1].digests.value);
    assert_ne!(events[0].offset, events[1].offset);
}
