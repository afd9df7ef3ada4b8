//! Expressions from text to value: compilation, results and limits.

use crate::codec::json::json;
use proptest::prelude::*;

use super::functions::{ENVIRONMENT, OPERATORS};
use super::number::Numeric;
use super::*;
use crate::codec::number::integer_text;
use crate::limits::{
    MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_LITERAL_ITEMS, MAX_EXPRESSION_NODES,
};

const VARIABLES: [&str; 3] = ["state", "arguments", "time"];

fn state() -> Value {
    serde_json::from_str(
        r#"{"temperature": 21, "threshold": 20.5, "name": "Box 7", "door": true, "none": null,
            "big": 9007199254740993, "huge": 18446744073709551615, "beyond": 18446744073709551617,
            "large": 1e20, "large_spelled_out": 100000000000000000000,
            "price": 0.10000000000000000000001, "far": 1e999,
            "location": {"latitude": 52.52, "longitude": 13.405},
            "tags": ["b", "a"], "limits": {"z": 1, "a": 2, "m": 3}, "a-b": {"c d": 5},
            "zones": [{"name": "x", "radius": 5}, {"name": "y", "radius": 7.5}]}"#,
    )
    .unwrap()
}

fn evaluate(source: &str) -> Result<Value, EvaluationError> {
    let expression = Expression::compile(source, &VARIABLES)
        .unwrap_or_else(|error| panic!("{source}: {error} at {:?}", error.place));
    let (state, time) = (state(), json!(1_700_000_000_000_i64));
    expression.evaluate(&[("state", &state), ("time", &time)])
}

/// The result as compact JSON, or `missing PATH`, or `failed MESSAGE`.
fn shown(source: &str) -> String {
    match evaluate(source) {
        Ok(value) => value.to_string(),
        Err(EvaluationError::Missing(path)) => format!("missing {path}"),
        Err(error) => format!("failed {error}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(shown(source), *expected, "{source}");
    }
}

#[test]
fn numbers_go_together() {
    check(&[
        ("state.temperature > state.threshold", "true"),
        ("state.temperature == 21.0", "true"),
        ("21.0 == state.temperature && !(21 != 21.0)", "true"),
        ("state.temperature + 0.5", "21.5"),
        ("0.5 + state.temperature - 1", "20.5"),
        ("state.temperature * 2", "42"),
        ("state.temperature * 2.0", "42"),
        ("7 / 2", "3.5"),
        ("7.0 / 2", "3.5"),
        ("-7 % 4", "-3"),
        ("7.5 % 2", "1.5"),
        ("-state.temperature", "-21"),
        ("state.big == 9007199254740992.0", "false"),
        ("state.big > 9007199254740992.0", "true"),
        ("state.big", "9007199254740993"),
        ("state.huge", "18446744073709551615"),
        ("state.huge - 1", "18446744073709551614"),
        ("state.huge > 1", "true"),
        ("state.price < 0.2", "true"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("state.temperature in [1, 21.0]", "true"),
    ]);
}

#[test]
fn what_cannot_be_kept_is_a_failure() {
    check(&[
        (
            "state.beyond",
            "failed `state.beyond` is 18446744073709551617, which neither a 64-bit integer nor a double can \
             hold exactly",
        ),
        (
            "state.far > 1",
            "failed `state.far` is 1e+999, which neither a 64-bit integer nor a double can hold exactly",
        ),
        ("state.huge + 1", "failed `+` exceeds 64 bits"),
        ("9223372036854775807 * 9223372036854775807", "failed `*` exceeds 64 bits"),
        ("1e308 * 10.5", "failed `*` does not yield a finite number"),
        ("1 / 0", "failed division by zero"),
        ("1.0 / 0", "failed division by zero"),
        ("1.5 / 0.0", "failed division by zero"),
        ("1 % 0", "failed division by zero"),
        ("7.5 % 0", "failed division by zero"),
        ("div(1, 0.0)", "failed division by zero"),
        ("-9223372036854775808 - 1", "failed `-` exceeds 64 bits"),
        ("sqrt(-1)", "failed `sqrt` does not yield a finite number"),
        ("double('NaN')", "failed `double` takes a number, this is the string \"NaN\""),
        ("state.name > 5", "failed a string and a number cannot be compared"),
        ("state.none > 5", "failed null and a number cannot be compared"),
        ("state.name + 5", "failed `+` takes numbers, this is a string"),
        ("state.door ? 1 : 2", "1"),
        ("state.name ? 1 : 2", "failed a condition is true or false, this is a string"),
        ("state.tags[2]", "failed list index out of range"),
        ("{1: 2}", "failed the result has a map with keys that are not strings"),
        ("{'a': 1, 'a': 2}", "failed duplicate key in a map"),
    ]);
}

#[test]
fn what_is_beyond_64_bits_is_exact_or_refused() {
    check(&[
        ("1e20", "1e+20"),
        ("state.large == state.large_spelled_out", "true"),
        ("1e15 * 1e6 == 1e21", "true"),
        ("10000000000 * 10000000000 == 1e20", "true"),
        ("18446744073709551615u / 5", "3689348814741910323"),
        ("-9223372036854775808 / -1", "9223372036854775808"),
        ("9007199254740993.0 - 9007199254740992", "1"),
        ("18446744073709551615.0 == state.huge", "true"),
        ("uint(-1)", "failed `uint` takes numbers from 0, this is -1"),
        ("int(1e20)", "failed `int` exceeds 64 bits"),
        ("int('18446744073709551616')", "failed `int` exceeds 64 bits"),
        ("abs(-9223372036854775808)", "9223372036854775808"),
        ("int('70.0') + int('7e1') + int('-007')", "133"),
        ("int('9007199254740993.0')", "9007199254740993"),
        (
            "int('9007199254740992.5')",
            "failed `int` takes a whole number, this is the string \"9007199254740992.5\"",
        ),
        ("int('70.')", "failed `int` takes a whole number, this is the string \"70.\""),
        ("int('')", "failed `int` takes a whole number, this is the string \"\""),
        ("uint('0x10')", "failed `uint` takes a whole number, this is the string \"0x10\""),
        (
            "double('1e999')",
            "failed `double`: neither a 64-bit integer nor a double can hold 1e999 exactly",
        ),
        (
            "double('12345678901234567890123')",
            "failed `double`: neither a 64-bit integer nor a double can hold 12345678901234567890123 exactly",
        ),
        ("double('inf')", "failed `double` takes a number, this is the string \"inf\""),
        ("double(9007199254740993)", "9007199254740993"),
        ("double('9007199254740993')", "9007199254740993"),
    ]);
}

#[test]
fn whole_numbers_beyond_64_bits_are_not_rounded_either() {
    check(&[
        ("1e20 - 1", "failed `-` exceeds 64 bits"),
        ("1e20 + 1", "failed `+` exceeds 64 bits"),
        ("1e300 + 1", "failed `+` exceeds 64 bits"),
        ("1e20 * 1.5e20 == 1.5e40", "true"),
        ("1e20 * 12345678901234567", "1.2345678901234567e+36"),
        ("1e20 * 1234567890123456789", "failed `*` exceeds 64 bits"),
        ("18446744073709552000.0 - 18446744073709551615u", "385"),
        ("1e20 - 100000000000000020000.0", "-20000"),
        ("1e20 + 0 == 1e20 && 0 - 1e300 == -1e300 && 1e300 * 0 == 0", "true"),
        ("1e20 + 1e20", "2e+20"),
        ("1e20 - 1e20", "0"),
        ("1e300 * 2", "2e+300"),
        ("1e300 - 9e299", "1e+299"),
        ("1e308 * 10", "failed `*` does not yield a finite number"),
        ("1e23 / 1e22", "10"),
        ("1e20 / 8", "12500000000000000000"),
        ("1e20 / 3", "3.333333333333333e+19"),
        ("1e20 / -1e20", "-1"),
        ("7 / 1e20", "7e-20"),
        ("1e20 + 0.5 == 1e20", "true"),
    ]);
}

#[test]
fn lists_and_maps_compare_their_numbers_exactly() {
    check(&[
        ("[18446744073709551615u] == [18446744073709552000.0]", "false"),
        ("[18446744073709551615u] != [18446744073709552000.0]", "true"),
        ("18446744073709551615u in [18446744073709552000.0]", "false"),
        ("{'a': [18446744073709551615u]} == {'a': [18446744073709552000.0]}", "false"),
        ("[9007199254740993] == [9007199254740992.0]", "false"),
        ("[70, [7e1, 'a']] == [70.0, [70, 'a']]", "true"),
        ("{'a': 1, 'b': null} == {'b': null, 'a': 1.0}", "true"),
        ("{'a': 1} == {'b': 1}", "false"),
        ("{'a': 1} == {'a': 1, 'b': 1}", "false"),
        ("[1] == [1, 1] || [1] == {'a': 1} || [] == {}", "false"),
        ("{1: 'a'} == {1.0: 'a'}", "true"),
        (
            "{1: 'a'} == {1.5: 'a'}",
            "failed a key of a map is a string, a whole number, true or false",
        ),
        ("[timestamp(0), duration('1h')] == [timestamp(0.0), duration('60m')]", "true"),
        ("{'a': 1} in [{'a': 1.0}] && [1] in [[2], [1.0]]", "true"),
        ("true in {true: 1} && 1.0 in {1: 1} && !(1.5 in {1: 1}) && !('b' in {'a': 1})", "true"),
    ]);
}

#[test]
fn has_is_false_wherever_the_way_ends() {
    let whole_state = state_text();
    let rows = "[{'v': 1}, {'v': 5, 'limit': {'max': 3}}]";
    let cases = [
        ("[{'a': 1}, 5, null].filter(x, has(x.a)).size()", "1"),
        ("state.zones.exists(z, has(z.limit.max))", "false"),
        ("state.zones.all(z, has(z.name) && has(z.radius))", "true"),
        ("has(state.zones[0].name)", "true"),
        ("has(state.zones[1.0].name)", "true"),
        ("has(state.zones[0].name.first)", "false"),
        ("has(state.zones[2].name)", "false"),
        ("has(state.zones[-1].name)", "false"),
        ("has(state.zones[0.5].name)", "false"),
        ("has(state.tags[0].name)", "false"),
        ("has(state.none[0].name)", "false"),
        ("has(state.absent[0].name)", "false"),
        ("has(state.absent.rows[0].name)", "false"),
        ("has(state.limits[state.name].max)", "false"),
        ("has(state[state.tags[1]].max)", whole_state.as_str()),
        ("has(state.zones[state.absent].name)", "missing state.absent"),
        ("has({'a': {'b': null}}.a.b)", "true"),
        ("has({'a': {'b': null}}.a.b.c)", "false"),
        ("has([{'a': {}}][0].a.b)", "false"),
        ("has(dyn(state.location).latitude)", "true"),
        ("has((state.door ? state.location : state.none).latitude)", "true"),
    ];
    check(&cases);
    let found = format!("{rows}.filter(r, has(r.limit.max) && r.v > r.limit.max).size()");
    assert_eq!(shown(&found), "1");
    for (source, fits) in [
        ("has(states.zones[0].name)", false),
        ("state.zones.exists(z, has(y.name))", false),
        (&format!("state.zones.exists(z, has(z{}))", ".a".repeat(20)), true),
        (&format!("state.zones.exists(z, has(z{}))", ".a".repeat(2_000)), false),
    ] {
        assert_eq!(Expression::compile(source, &VARIABLES).is_ok(), fits, "{source}");
    }
}

#[test]
fn operands_that_do_not_fit_are_told_in_words() {
    check(&[
        ("state.name && true", "failed `&&` takes true or false, this is a string"),
        ("false || state.limits", "failed `||` takes true or false, this is a map"),
        ("!state.tags", "failed `!` takes true or false, this is a list"),
        ("!timestamp(0)", "failed `!` takes true or false, this is a timestamp"),
        ("duration('1s') ? 1 : 2", "failed a condition is true or false, this is a duration"),
        ("null ? 1 : 2", "failed a condition is true or false, this is null"),
        ("state.tags.exists(t, t)", "failed `||` takes true or false, this is a string"),
        ("state.tags.filter(t, t)", "failed a condition is true or false, this is a string"),
        ("state.tags.map(t, t.size)", "failed only maps have fields, this is a string"),
        ("state.tags[0].size", "failed only maps have fields, this is a string"),
        ("state.tags[0][0]", "failed only lists and maps have elements, this is a string"),
        ("state.tags[state.name]", "failed a list index is an integer, this is a string"),
        ("state.tags[0.5]", "failed a list index is an integer, this has a fraction"),
        ("state.tags[-1]", "failed list index out of range"),
        ("state.tags[1e20]", "failed list index out of range"),
        (
            "state.limits[state.tags]",
            "failed a key of a map is a string, a whole number, true or false, this is a list",
        ),
        (
            "{state.tags: 1}",
            "failed a key of a map is a string, a whole number, true or false, this is a list",
        ),
        ("state.limits[1.5]", "missing 1.5"),
        ("'a' in state.name", "failed `in` takes a list or a map, this is a string"),
        (
            "[1] in state.limits",
            "failed a key of a map is a string, a whole number, true or false, this is a list",
        ),
        ("size(5)", "failed `size` takes strings, lists and maps, this is a number"),
        ("bool('yes')", "failed `bool` takes true or false, this is the string \"yes\""),
        ("bool(1)", "failed `bool` takes true or false and strings, this is a number"),
        ("'abc'.charAt(4)", "failed `charAt`: index 4 is outside the string"),
        ("'abc'.charAt(-1)", "failed `charAt`: index -1 is outside the string"),
        ("'abc'.charAt(0.5)", "failed `charAt` takes a whole number as its index"),
        ("'abc'.charAt(state.door)", "failed `charAt` takes numbers, this is true or false"),
        ("'abc'.substring(4)", "failed `substring`: index 4 is outside the string"),
        ("'abc'.substring(2, 1)", "failed `substring`: the end is before the start"),
        ("'abc'.substring(2, 9)", "failed `substring`: index 9 is outside the string"),
        ("'abc'.contains(1)", "failed `contains` takes strings, this is a number"),
        ("state.tags.trim()", "failed `trim` takes strings, this is a list"),
    ]);
}

#[test]
fn quotients_are_exact_where_they_can_be() {
    check(&[
        ("3999 / 1000", "3.999"),
        ("(70 - 32) * 5 / 9", "21.11111111111111"),
        ("-1 / 1000", "-0.001"),
        ("(20 - 32) * 5 / 9.0", "-6.666666666666667"),
        ("1 / 3", "0.3333333333333333"),
        ("6 / 3", "2"),
        ("9007199254740993 / 10 == 900719925474099.3", "true"),
        ("9007199254740993 / 3", "3002399751580331"),
        ("state.huge / 1000", "18446744073709552"),
        ("1 / state.huge * state.huge", "1"),
        ("div(7, 2)", "3"),
        ("div(-7, 2)", "-3"),
        ("div(7.5, 0.1)", "75"),
        ("div(-0.75, 0.5)", "-1"),
        ("div(1e300, 1e-300)", "failed `div` exceeds 64 bits"),
        ("div(1e-300, 1e300)", "0"),
        ("7 % 4", "3"),
        ("-7 % 4", "-3"),
        ("7 % -4", "3"),
        ("7.5 % 2", "1.5"),
        ("-7.5 % 2", "-1.5"),
        ("1 % 0.1", "0"),
        ("5.3 % 0.25", "0.05"),
        ("1e300 % 7", "1"),
        ("0.5 % 1e300", "0.5"),
        ("9007199254740993 % 1e300", "9007199254740993"),
        ("1e300 % 3e299", "1e+299"),
    ]);
}

#[test]
fn digits_of_a_field_are_all_read_where_digits_matter() {
    for (text, source, expected) in [
        ("1716899400.123456789", "timestamp(payload.a)", "\"2024-05-28T12:30:00.123456789Z\""),
        ("1716899400.12345678", "timestamp(payload.a)", "\"2024-05-28T12:30:00.12345678Z\""),
        ("253402300799.999999999", "timestamp(payload.a)", "\"9999-12-31T23:59:59.999999999Z\""),
        ("-0.000000001", "timestamp(payload.a)", "\"1969-12-31T23:59:59.999999999Z\""),
        ("1716899400.1234567890", "timestamp(payload.a)", "\"2024-05-28T12:30:00.123456789Z\""),
        ("17168994001e-1", "timestamp(payload.a)", "\"2024-05-28T12:30:00.1Z\""),
        ("1716899400.0", "timestamp(payload.a)", "\"2024-05-28T12:30:00Z\""),
        ("1716899400.1234567891", "timestamp(payload.a)", "up to 9 decimal places"),
        ("1716899400.00000000001", "timestamp(payload.a)", "up to 9 decimal places"),
        ("1e300", "timestamp(payload.a)", "divide milliseconds by 1000"),
        ("2.674999999999999999999", "round(payload.a, 2)", "2.67"),
        ("1.00499999999999999999999", "round(payload['a'], 2)", "1"),
        ("1.005", "round(payload.a, 2)", "1.01"),
        ("-2.5", "round(payload.a)", "-3"),
        ("2.49999999999999999999", "round(payload.a)", "2"),
        ("1249.999999999999999999", "round(payload.a, -2)", "1200"),
        ("1e300", "round(payload.a, 2)", "1e+300"),
        ("70.0", "round(payload.a, 2)", "70"),
        ("0.29999999999999999999", "round(payload.a, 15) == 0.3", "true"),
        ("2.674999999999999999999", "[1].map(x, round(payload.a, 2) + x)", "[3.67]"),
    ] {
        let expression = Expression::compile(source, &["payload"]).unwrap();
        let payload = crate::codec::json::parse(format!("{{\"a\":{text}}}").as_bytes()).unwrap();
        let found = match expression.evaluate(&[("payload", &payload)]) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(
            found == expected || expected.contains(' ') && found.contains(expected),
            "{source} of {text}: {found}"
        );
    }
    let absent = Expression::compile("round(payload.a, 2)", &["payload"]).unwrap();
    let payload = crate::codec::json::parse(b"{}").unwrap();
    let error = absent.evaluate(&[("payload", &payload)]).unwrap_err();
    assert!(matches!(error, EvaluationError::Missing(_)), "{error}");
}

#[test]
fn rounding_works_on_the_decimal_text() {
    check(&[
        ("round(1.005, 2)", "1.01"),
        ("round(2.135, 2)", "2.14"),
        ("round(0.145, 2)", "0.15"),
        ("round(1.255, 2)", "1.26"),
        ("round(-1.005, 2)", "-1.01"),
        ("round(1.0049999, 2)", "1"),
        ("round(0.5)", "1"),
        ("round(0.49999999999999994)", "0"),
        ("round(-0.4)", "0"),
        ("round(2.5e-3, 3)", "0.003"),
        ("round(5e-324, 15)", "0"),
        ("round(123456789.12345678, 7)", "123456789.1234568"),
        ("round(1250, -2)", "1300"),
        ("round(-1250.5, -2)", "-1300"),
        ("round(1249.9, -2)", "1200"),
        ("round(49, -2)", "0"),
        ("round(state.huge, -1)", "failed `round` exceeds 64 bits"),
        ("round(70.0, 2)", "70"),
    ]);
    for thousandths in 0_i64..5_000 {
        // By integers, without any float in the way.
        let rounded = (thousandths + 5) / 10;
        let text = format!("round({}.{:03}, 2)", thousandths / 1_000, thousandths % 1_000);
        let right = format!("{}.{:02}", rounded / 100, rounded % 100);
        let result = evaluate(&text).unwrap();
        assert_eq!(result.as_f64(), right.parse().ok(), "{text}: {result}");
    }
}

#[test]
fn times_are_values() {
    check(&[
        ("timestamp('2024-05-28T12:30:00.5+02:00')", "\"2024-05-28T10:30:00.5Z\""),
        ("timestamp('2024-05-28T12:30:00+02:00[Europe/Berlin]')", "\"2024-05-28T10:30:00Z\""),
        ("timestamp(time / 1000)", "\"2023-11-14T22:13:20Z\""),
        ("timestamp(1700000000.123)", "\"2023-11-14T22:13:20.123Z\""),
        ("timestamp(-0.5)", "\"1969-12-31T23:59:59.5Z\""),
        ("int(timestamp(-0.5))", "-1"),
        ("double(timestamp('2023-11-14T22:13:20.123Z'))", "1700000000.123"),
        ("double(duration('1.5s'))", "1.5"),
        ("double(duration('-0.000000001s'))", "-1e-9"),
        ("double(timestamp('2600-01-01T00:00:00.123Z'))", "19880899200.123"),
        ("double(timestamp('2600-01-01T00:00:00.123456789Z'))", "19880899200.123455"),
        ("double(timestamp('0001-01-01T00:00:00Z'))", "-62135596800"),
        ("timestamp(time / 1000).getHours('Europe/Berlin')", "23"),
        ("timestamp('2024-07-01T22:30:00Z').getHours('Europe/Berlin')", "0"),
        ("timestamp('2024-07-01T22:30:00Z').getDate('+02:00')", "2"),
        ("timestamp('9999-12-31T23:59:59Z').getHours('America/New_York')", "18"),
        (
            "timestamp('2024-01-01T00:00:00Z') + duration('36h') > timestamp('2024-01-02T00:00:00Z')",
            "true",
        ),
        ("timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T12:00:00Z')", "\"43200s\""),
        (
            "(timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T12:00:00Z')).getMinutes()",
            "720",
        ),
        ("-duration('90m') < duration('0') && duration('1m') == duration('60s')", "true"),
        (
            "string(duration('-250ms')) + string(duration('1h0.000000001s'))",
            "\"-0.25s3600.000000001s\"",
        ),
    ]);
}

#[test]
fn a_time_that_is_unclear_or_out_of_range_is_refused() {
    check(&[
        ("duration('1d')", "failed \"1d\" is not a duration; write it like 1h45m, 1.5s or -250ms"),
        (
            "duration('1.0000000001s')",
            "failed \"1.0000000001s\" is not a duration; write it like 1h45m, 1.5s or -250ms",
        ),
        (
            "timestamp('2024-05-28T12:30:00')",
            "failed \"2024-05-28T12:30:00\" is not a timestamp: the offset is missing (Z or +01:00)",
        ),
        (
            "timestamp('2024-05-28T12:30:00.1234567891Z')",
            "failed \"2024-05-28T12:30:00.1234567891Z\" is not a timestamp: write it like 2024-05-28T12:30:00Z \
             or 2024-05-28T12:30:00.5+02:00",
        ),
        (
            "timestamp('20240528T235960Z')",
            "failed \"20240528T235960Z\" is not a timestamp: write it like 2024-05-28T12:30:00Z \
             or 2024-05-28T12:30:00.5+02:00",
        ),
        (
            "timestamp('2024-05-28T23:59:60Z')",
            "failed \"2024-05-28T23:59:60Z\" is not a timestamp: a leap second is not supported",
        ),
        (
            "timestamp('2024-05-28T12:30:00+03:00[Europe/Berlin]')",
            "failed \"2024-05-28T12:30:00+03:00[Europe/Berlin]\" is not a timestamp: the zone in \
          brackets is unknown or does not match the offset",
        ),
        (
            "timestamp(time)",
            "failed the timestamp is outside the years 1 to 9999: `timestamp` takes seconds since \
          1970; divide milliseconds by 1000",
        ),
        (
            "timestamp(1e30)",
            "failed the timestamp is outside the years 1 to 9999: `timestamp` takes seconds since \
          1970; divide milliseconds by 1000",
        ),
        (
            "timestamp(0.1 + 0.2)",
            "failed `timestamp` takes seconds since 1970 with up to 9 decimal places; round the \
          number first",
        ),
        (
            "timestamp(0).getHours('Mars/Olympus')",
            "failed \"Mars/Olympus\" is not a time zone; write it like Europe/Berlin or +01:00",
        ),
        (
            "timestamp(0).getHours('+1:00')",
            "failed \"+1:00\" is not an offset; write it like +01:00 or -09:30",
        ),
        ("timestamp(0) + timestamp(0)", "failed two timestamps cannot be added; add a duration"),
        ("timestamp(0) < 5", "failed a timestamp and a number cannot be compared"),
        ("timestamp(0) == 0", "false"),
        (
            "state.name.getHours()",
            "failed `getHours` takes timestamps and durations, this is a string",
        ),
    ]);
}

#[test]
fn patterns_are_found_anywhere_in_a_text() {
    check(&[
        ("state.name.matches('x [0-9]$')", "true"),
        ("matches(state.name, '^[a-z]')", "false"),
        ("state.tags.exists(t, t.matches('^a'))", "true"),
        ("state.temperature.matches('2')", "failed `matches` takes strings, this is a number"),
    ]);
}

#[test]
fn absent_fields_are_told_apart() {
    check(&[
        ("state.humidity > 5", "missing state.humidity"),
        ("state.humidity.relative > 5", "missing state.humidity.relative"),
        ("state.temperature.celsius", "missing state.temperature.celsius"),
        ("state['x-y']", "missing state[\"x-y\"]"),
        ("arguments.key", "missing arguments.key"),
        ("has(state.temperature)", "true"),
        ("has(state.none)", "true"),
        ("has(state.humidity)", "false"),
        ("has(state.humidity.relative)", "false"),
        ("has(arguments.key)", "false"),
        ("has(state.humidity) ? state.humidity : 40", "40"),
        ("has(state.humidity) && state.humidity > 5", "false"),
        ("state.humidity > 5 || state.temperature > 5", "true"),
        ("state.humidity > 5 || state.temperature > 50", "missing state.humidity"),
        ("state.temperature > 50 && state.humidity > 5", "false"),
        ("state.zones[0].height", "missing height"),
        ("state.limits[state.name]", "missing Box 7"),
        ("state.zones.exists(z, has(z.height))", "false"),
    ]);
}

#[test]
fn fields_and_loops() {
    check(&[
        ("state", &state_text()),
        ("state.location.latitude", "52.52"),
        ("state['a-b']['c d']", "5"),
        ("state['a-b'][\"c d\"] + state.location['latitude']", "57.52"),
        ("has(state['a-b'].x)", "false"),
        ("state.zones[1].radius", "7.5"),
        ("state.limits['a']", "2"),
        ("state.zones.filter(z, z.radius > 6).map(z, z.name)", "[\"y\"]"),
        ("state.zones.all(z, z.radius > state.limits.z)", "true"),
        ("state.zones.exists_one(z, z.radius == 5.0)", "true"),
        ("state.zones.exists(z, state.tags.exists(t, t == z.name))", "false"),
        ("'a' in state.tags && 'm' in state.limits", "true"),
        ("size(state.tags) + state.limits.size() + size(state.name)", "10"),
        ("state.tags + ['c']", "[\"b\",\"a\",\"c\"]"),
        ("[1, 2.5, 'x', null, true, [1], {'k': 1}]", "[1,2.5,\"x\",null,true,[1],{\"k\":1}]"),
        ("time - 1", "1699999999999"),
    ]);
}

fn state_text() -> String {
    // As a whole the state holds numbers that no evaluation can: the failure names the first.
    "failed `state` is 18446744073709551617, which neither a 64-bit integer nor a double can hold exactly"
        .to_owned()
}

#[test]
fn maps_are_walked_in_the_order_of_their_keys() {
    for _ in 0..20 {
        // Each evaluation hashes with other seeds: an order that shows would differ.
        check(&[
            ("state.limits.map(k, k)", r#"["a","m","z"]"#),
            ("state.limits.map(k, state.limits[k])", "[2,3,1]"),
            ("{'q': 1, 'b': 2, 'w': 3, 'a': 4}.map(k, k)", r#"["a","b","q","w"]"#),
            ("{3: 'x', 1: 'y', 2: 'z'}.map(k, k)", "[1,2,3]"),
            ("{'b': {'d': 1, 'c': 2}, 'a': 0}", r#"{"a":0,"b":{"c":2,"d":1}}"#),
            (
                "{'d': null, 'b': {1: 2}, 'a': {2: 3}, 'c': 1e5}",
                "failed the result has a map with keys that are not strings",
            ),
        ]);
    }
}

#[test]
fn functions_give_what_they_say() {
    check(&[
        ("abs(-3)", "3"),
        ("abs(-3.5)", "3.5"),
        ("min(3, 2.5)", "2.5"),
        ("max(3, 2.5, 3.0)", "3"),
        ("floor(2.7)", "2"),
        ("int(floor(-2.7))", "-3"),
        ("ceil(2.1)", "3"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(21)", "21"),
        ("round(3.14159, 2)", "3.14"),
        ("round(1e300, 15)", "1e+300"),
        ("round(1.5, 16)", "failed `round` takes -15 to 15 digits"),
        ("round(1.5, 0.5)", "failed `round` takes -15 to 15 digits"),
        ("sqrt(2)", "1.4142135623730951"),
        ("int('12') + int(2.9) + int(state.huge - state.huge)", "14"),
        ("string(21) + string(true) + string(1.5)", "\"21true1.5\""),
        (
            "state.name.startsWith('Box') && state.name.endsWith('7') && state.name.contains('x ')",
            "true",
        ),
        ("state.name.lowerAscii() + state.name.upperAscii()", "\"box 7BOX 7\""),
        ("' a '.trim()", "\"a\""),
        ("'a/b/c'.split('/')", r#"["a","b","c"]"#),
        ("'a/b/c'.split('/').join('-')", "\"a-b-c\""),
        ("['a', 'b'].join()", "\"ab\""),
        ("'a.b.c'.replace('.', '::')", "\"a::b::c\""),
        ("'abc'.substring(1) + 'abc'.substring(0, 1) + 'abc'.charAt(2)", "\"bcac\""),
        ("'abcb'.indexOf('b') + 'abcb'.lastIndexOf('b')", "4"),
        ("[1].join()", "failed `join` takes strings, this is a number"),
        ("'a-b-c'.split('-', 2)", r#"["a","b-c"]"#),
        ("'aé'.split('')", r#"["a","é"]"#),
        ("'abc'.split('', 2)", r#"["a","bc"]"#),
        ("'abc'.split('', 0)", "[]"),
        ("'a.b.c'.replace('.', '/', 1)", "\"a/b.c\""),
        ("'abcab'.indexOf('ab', 1) + 'abcab'.lastIndexOf('ab', 2)", "3"),
        ("'abcab'.lastIndexOf('ab', 3) + 'abcab'.lastIndexOf('ab', 4) * 10", "33"),
        ("'äöäö'.indexOf('ö', 2) + 'äöäö'.lastIndexOf('ö', 2) * 10", "13"),
        ("'aé'.lastIndexOf('b', 1) + 'aé'.indexOf('a', 1) * 10", "-11"),
        ("'äb'.indexOf('', 1) + 'äb'.lastIndexOf('', 9) * 10 + 'äb'.lastIndexOf('') * 100", "221"),
        ("'ab'.indexOf('b', 2)", "failed `indexOf`: start 2 is beyond the end of the string"),
        (
            "'ab'.lastIndexOf('', -1)",
            "failed `lastIndexOf`: start -1 is beyond the end of the string",
        ),
        ("'ab'.indexOf('b', 0.5)", "failed `indexOf` takes a whole number as its start"),
        ("'äb'.reverse()", "\"bä\""),
        ("'äb€'.charAt(0) + 'äb€'.charAt(2) + 'äb€'.charAt(3)", "\"ä€\""),
        ("'äb€'.substring(1, 3) + 'äb€'.substring(3) + 'äb€'.substring(2, 2)", "\"b€\""),
        ("size('äb€') + 'äb€'.size() + size([1, 2]) + {'a': 1}.size()", "9"),
        ("'aab'.replace('a', '') + 'ab'.replace('', '-')", "\"b-a-b-\""),
        ("['a', 'b', ''].join('--')", "\"a--b--\""),
        ("bool('0') || bool('F')", "failed `bool` takes true or false, this is the string \"F\""),
        ("dyn(state.temperature) + 1", "22"),
        ("bool('true') && !bool('f')", "true"),
    ]);
}

#[test]
fn distances_are_those_of_the_globe() {
    // Great circles on a sphere of 6371008.8 m: a quarter, a half, and a degree of the equator.
    let radius = 6_371_008.8_f64;
    let cases = [
        ("distance(0, 0, 90, 0)", radius * std::f64::consts::FRAC_PI_2),
        ("distance(0, 0, 0, 180)", radius * std::f64::consts::PI),
        ("distance(0, 10, 0, 11)", radius * std::f64::consts::PI / 180.0),
        ("distance(52.52, 13.405, 52.52, 13.405)", 0.0),
        // Berlin to Paris: 877.5 km by the spherical calculators in common use.
        ("distance(52.52, 13.405, 48.8566, 2.3522)", 877_464.0),
    ];
    for (source, expected) in cases {
        let metres = evaluate(source).unwrap().as_f64().unwrap();
        assert!((metres - expected).abs() < 2.0, "{source}: {metres}");
    }
    check(&[
        ("distance(-97, 49, 0, 0)", "failed `distance`: -97 is not a latitude; are they swapped?"),
        (
            "distance(49, -181, 0, 0)",
            "failed `distance`: -181 is not a longitude; are they swapped?",
        ),
    ]);
}

#[test]
fn faults_name_place_and_remedy() {
    let cases = [
        (
            "state.temperature > treshold",
            (1, 21),
            "there is no variable `treshold`; known are: arguments, state, time",
        ),
        ("stat.temperature > 1", (1, 1), "there is no variable `stat`; did you mean `state`?"),
        (
            "'é' == state.name &&\n  rond(1)",
            (2, 7),
            "there is no function `rond`; did you mean `round`?",
        ),
        ("distance(1, 2, 3)", (1, 9), "`distance` is called as distance(lat1, lon1, lat2, lon2)"),
        ("state.name.size(1)", (1, 16), "`size` is called as size(x) or x.size()"),
        ("contains(state.name, 'x')", (1, 9), "`contains` is called as text.contains(part)"),
        (
            "state.name.matches(state.pattern)",
            (1, 20),
            "`matches` takes a literal pattern, as in matches('^A[0-9]+')",
        ),
        (
            "state.name.matches('x(')",
            (1, 20),
            "the pattern is not a regular expression: unclosed group",
        ),
        (
            "matches(state.name, '\\\\d{9000}{9000}')",
            (1, 21),
            "the pattern takes more than 262144 bytes when compiled, the limit",
        ),
        ("now()", (1, 4), "there is no function `now`"),
        ("type(state.name)", (1, 5), "there is no function `type`"),
        (
            "state.temperature > 18446744073709551617.0",
            (1, 21),
            "neither a 64-bit integer nor a double can hold this number exactly",
        ),
        ("has(state)", (1, 5), "`has` takes a field, as in has(state.field)"),
        ("state.tags.exists(t)", (1, 18), "`exists` is called as list.exists(x, …x…)"),
        (
            "state.tags.map(state, state)",
            (1, 15),
            "`state` is a variable; use another name for the element",
        ),
        ("state.a = 1", (1, 9), "unexpected `=`; equality is written `==`"),
        ("state.a and state.b", (1, 9), "unexpected `and`; it is written `&&`"),
        ("state.a >", (1, 10), "the expression ends too early"),
        ("", (1, 1), "the expression ends too early"),
        ("state.é", (1, 7), "`é` is not part of an expression; strings are written in quotes"),
        ("state.?a", (1, 6), "unexpected `.?`"),
        ("b'abc'", (1, 1), "bytes cannot be represented in JSON; write a string"),
        ("Thing{a: 1}", (1, 6), "`Thing{…}` is not a known type"),
        (
            "99999999999999999999",
            (1, 1),
            "a whole number beyond 9223372036854775807 needs a `u` suffix, up to \
             18446744073709551615u",
        ),
        ("1e999", (1, 1), "the number is too large for a double"),
    ];
    for (source, (line, column), message) in cases {
        let error = Expression::compile(source, &VARIABLES).expect_err(source);
        assert!(error.message.starts_with(message), "{source}: {}", error.message);
        assert_eq!(error.place, Place { line, column }, "{source}: {}", error.message);
    }
}

#[test]
fn bounds_are_kept_at_compilation() {
    let loops = |inner: &str| format!("state.tags.map(a, {inner})");
    let wide = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    let cases = [
        (loops("state.tags.map(b, b)"), true),
        (loops("state.tags.map(b, state.tags.map(c, c))"), false),
        (wide(MAX_EXPRESSION_LITERAL_ITEMS), true),
        (wide(MAX_EXPRESSION_LITERAL_ITEMS + 1), false),
        (vec!["1"; MAX_EXPRESSION_DEPTH].join("+"), true),
        (vec!["1"; MAX_EXPRESSION_DEPTH + 3].join("+"), false),
        (vec!["1"; 2_000].join("+"), false),
        (format!("state{}", ".a".repeat(MAX_EXPRESSION_DEPTH + 1)), false),
        (format!("state{}", ".a".repeat(2_000)), false),
        (format!("state{}", ".trim()".repeat(500)), false),
        (vec!["state.door"; 300].join("||"), true),
        ("!".repeat(4_000) + "true", true),
        (format!("{}1", "state.door?1:".repeat(300)), false),
    ];
    for (source, compiles) in cases {
        let result = Expression::compile(&source, &VARIABLES);
        assert_eq!(result.is_ok(), compiles, "{source}: {result:?}");
    }
}

#[test]
fn bounds_are_kept_at_evaluation() {
    let expect = |source: &str, state: &Value, expected: &str| {
        let expression = Expression::compile(source, &["state"]).unwrap();
        let shown = match expression.evaluate(&[("state", state)]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(
            shown.contains(expected) && shown.is_empty() == expected.is_empty(),
            "{source}: {shown}"
        );
    };
    let list = |n: usize| json!({"list": vec![1; n], "text": "x".repeat(200_000)});
    expect("state.list.all(x, x == 1)", &list(MAX_EXPRESSION_ITEMS), "");
    expect("state.list.all(x, x == 1)", &list(MAX_EXPRESSION_ITEMS + 1), "limit");
    expect("size(state.list) > 1", &list(MAX_EXPRESSION_NODES - 1), "");
    expect("size(state.list) > 1", &list(MAX_EXPRESSION_NODES), "limit");
    expect("size(state.list + state.list) > 1", &list(MAX_EXPRESSION_NODES / 2 - 2), "");
    expect("size(state.list + state.list) > 1", &list(MAX_EXPRESSION_NODES / 2 + 1), "limit");
    expect("state.text + state.text", &list(1), "limit");
    expect("[state.text, state.text].join()", &list(1), "limit");
    expect("state.text.replace('x', 'yy')", &list(1), "limit");
    expect("state.list.map(x, [1, 1, 1, x]).size() > 1", &list(999), "");
    expect("state.list.map(x, [1, 1, 1, x]).size() > 1", &list(1000), "5000 values");
    expect("[state.list, state.list]", &list(2_498), "");
    expect("[state.list, state.list]", &list(2_499), "5000 values");
    expect("{'a': state.list, 'b': state.list}", &list(2_499), "5000 values");
    expect("state.text.split('x')", &list(1), "parts");
    let copies = vec!["x"; MAX_EXPRESSION_LITERAL_ITEMS].join(",");
    let bomb = format!("[1]{}", format!(".map(x,[{copies}])").repeat(6));
    expect(&bomb, &list(1), "limit");
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    expect("size(state.deep)", &json!({"deep": deep}), "deeper");
}

#[test]
fn only_named_paths_are_read() {
    let cases: [(&str, &[&str]); 6] = [
        ("state.temperature > state.threshold", &["state.temperature", "state.threshold"]),
        ("has(state.a.b) && state.a.b > 1", &["state.a.b"]),
        ("state[arguments.name] > time", &["state", "arguments.name", "time"]),
        ("state.zones[0].name == 'x'", &["state.zones"]),
        ("state.zones.all(z, z.radius > state['limit'])", &["state.zones", "state.limit"]),
        ("1 + 1", &[]),
    ];
    for (source, expected) in cases {
        let expression = Expression::compile(source, &VARIABLES).unwrap();
        let paths: Vec<String> = expression.paths().iter().map(|path| path.join(".")).collect();
        assert_eq!(paths, expected, "{source}");
    }
    // Beside the named field stands a number that no evaluation can hold.
    assert_eq!(shown("state.temperature > 1"), "true");
}

#[test]
fn variables_may_come_in_any_order() {
    let expression = Expression::compile("state.a + time", &VARIABLES).unwrap();
    let (state, time) = (json!({"a": 1}), json!(2));
    let expected = Ok(json!(3));
    assert_eq!(expression.evaluate(&[("time", &time), ("state", &state)]), expected);
    assert_eq!(expression.evaluate(&[("state", &state), ("x", &time), ("time", &time)]), expected);
    let missing = Err(EvaluationError::Missing("time".to_owned()));
    assert_eq!(expression.evaluate(&[("state", &state)]), missing);
}

#[test]
fn conditions_are_true_or_false() {
    let holds = |source: &str| {
        Expression::compile(source, &VARIABLES).unwrap().holds(&[("state", &state())])
    };
    assert_eq!(holds("state.door"), Ok(true));
    assert_eq!(holds("state.temperature < 3"), Ok(false));
    let failed = "a condition is true or false, this is a number".to_owned();
    assert_eq!(holds("state.temperature"), Err(EvaluationError::Failed(failed)));
}

#[test]
fn every_function_of_the_table_exists() {
    // A pattern is written out.
    let fill = |name: &str, n: usize| {
        let mut arguments = vec!["state.none"; n];
        if name == "matches" {
            arguments[n - 1] = "'x'";
        }
        arguments.join(", ")
    };
    for function in FUNCTIONS {
        for arguments in function.arguments.0..=function.arguments.1 {
            let (name, arguments) = (function.name, fill(function.name, arguments));
            let call = format!("{name}({arguments})");
            let source = if function.member { format!("state.none.{call}") } else { call };
            // Null suits none of them but one: each refuses its types, and none is unknown.
            if name == "dyn" {
                continue;
            }
            let shown = shown(&source);
            assert!(shown.starts_with("failed") && !shown.contains("unknown"), "{source}: {shown}");
        }
    }
    for (_, name) in OPERATORS {
        let null = || CowVal::owned(cel::common::types::CelNull);
        let found = (1..=2).any(|n| {
            let args: Vec<_> = (0..n).map(|_| null()).collect();
            ENVIRONMENT.find_overload(name, &args).is_some()
        });
        assert!(found, "{name}");
    }
}

/// Texts made of the words of expressions, so that many of them compile.
fn any_source() -> impl Strategy<Value = String> {
    let words = [
        "state",
        ".temperature",
        ".tags",
        ".zones",
        ".limits",
        ".huge",
        ".none",
        ".name",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ":",
        ",",
        " + ",
        " - ",
        " * ",
        " / ",
        " % ",
        " < ",
        " >= ",
        " == ",
        " != ",
        " && ",
        " || ",
        " ? ",
        " in ",
        "!",
        "-",
        "1",
        "0",
        "2.5",
        "'a'",
        "true",
        "null",
        "9223372036854775807",
        "size(",
        "has(state.x)",
        "round(",
        "distance(1,2,3,4)",
        "max(",
        ".map(x, x)",
        ".all(x, x > 1)",
        ".exists(y, ",
        ".filter(z, z",
        "x",
        "string(",
        "int(",
        ".substring(1,",
        ".charAt(",
        "time",
        ".split('a')",
        ".join()",
        "'é'",
        "\\",
        "\"",
        "\n",
        "//",
        "@",
        "?",
        ".?",
        "1u",
        "b'x'",
        "\0",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24)
        .prop_map(|words| words.concat())
}

fn any_operand() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "state.temperature",
        "state.threshold",
        "state.tags",
        "state.zones",
        "state.limits",
        "state.huge",
        "state.none",
        "state.name",
        "state.absent",
        "1",
        "0",
        "-9223372036854775808",
        "2.5",
        "1e308",
        "'é€'",
        "'2024-05-28T12:30:00.5+02:00'",
        "timestamp('9999-12-31T23:59:59Z')",
        "duration('-1h0.5s')",
        "'Europe/Berlin'",
        "1700000000.123",
        "true",
        "[1, 'a']",
        "{'a': 1}",
        "time",
    ])
    .prop_map(str::to_owned)
}

/// Well-formed expressions of any types.
fn any_expression() -> impl Strategy<Value = String> {
    any_operand().prop_recursive(4, 24, 3, |inner| {
        let binary = vec!["+", "-", "*", "/", "%", "<", ">=", "==", "!=", "&&", "||", "in"];
        let member = vec![
            "contains",
            "split",
            "indexOf",
            "charAt",
            "substring",
            "join",
            "startsWith",
            "getHours",
        ];
        let one = vec![
            "abs",
            "round",
            "floor",
            "ceil",
            "sqrt",
            "size",
            "int",
            "uint",
            "double",
            "string",
            "timestamp",
            "duration",
        ];
        let loops = vec!["all", "exists", "exists_one", "map", "filter"];
        prop_oneof![
            (inner.clone(), prop::sample::select(binary), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (prop::sample::select(one), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), prop::sample::select(member), inner.clone())
                .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            (inner.clone(), prop::sample::select(loops), inner.clone())
                .prop_map(|(a, f, b)| format!("{a}.{f}(x, x == {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("round({a}, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("div({a}, {b})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("distance({a}, {b}, {b}, {a})")),
        ]
    })
}

#[test]
fn ordinary_rules_go_the_quick_way() {
    let (state, time) = (state(), json!(1_700_000_000_000_i64));
    let variables = [("state", &state), ("time", &time)];
    for source in [
        "state.temperature > state.threshold",
        "state.name == \"Box 7\" && state.door",
        "!state.door || state.threshold < 30",
        "has(state.location.latitude) ? state.location.latitude * 2 : 0.0",
        "-state.temperature + 1 <= 7 / 2 - 0.5",
        "state.none == null",
    ] {
        let expression = Expression::compile(source, &VARIABLES).unwrap();
        let quick = expression.quickly(&variables).map(Scalar::to_json);
        let library = expression.with_result(&variables, value::to_json);
        assert!(quick.is_some(), "{source}");
        assert_eq!(quick, library.ok(), "{source}");
    }
}

/// Spellings of a number that a sender may choose.
fn spellings(number: i64, scale: u32) -> Vec<String> {
    let negative = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let mut spellings = vec![
        format!("{number}e-{scale}"),
        format!("{number}.0E-{scale}"),
        format!("{negative}{whole}.{fraction}000"),
        format!("{negative}0.{digits}e+{}", digits.len() - scale as usize),
    ];
    if fraction.bytes().all(|digit| digit == b'0') {
        spellings.push(format!("{negative}{whole}"));
        spellings.push(format!("{negative}{whole}.0"));
    }
    spellings
}

/// Expressions that use a number in every way there is.
fn uses_of_a_number() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["x", "y", "l[0]", "m.n", "3", "2.0", "0.5", "1e1"]);
    let number = number.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (
                prop::sample::select(vec![
                    "abs", "round", "floor", "ceil", "int", "uint", "double", "sqrt", "-", "dyn"
                ]),
                inner.clone()
            )
                .prop_map(|(function, a)| format!("{function}({a})")),
            (prop::sample::select(vec!["min", "max", "div", "round"]), inner.clone(), inner)
                .prop_map(|(function, a, b)| format!("{function}({a}, {b})")),
        ]
    });
    let uses = [
        "N",
        "N == M",
        "N < M",
        "N != M",
        "N in l",
        "N in {1: true, 2.0: true}",
        "{N: 'a'}[M]",
        "l[N]",
        "[N] == [M]",
        "{'k': N} == {'k': M}",
        "string(N)",
        "string(N) == string(M)",
        "'abcdef'.charAt(N)",
        "'abcdef'.substring(N)",
        "'a-b-c'.split('-', N)",
        "l.map(e, e / N)",
        "l.exists_one(e, e == N)",
        "timestamp(N)",
        "N > 1 ? 'a' : M",
        "[N, M, 'x', {'k': N}]",
        "double(string(N)) == N",
        "'abc'.indexOf('c', N)",
        "m == {'n': N}",
        "l == [N, M]",
    ];
    (prop::sample::select(uses.to_vec()), number.clone(), number)
        .prop_map(|(form, first, second)| form.replace('N', &first).replace('M', &second))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn no_result_depends_on_the_spelling_of_a_number(
        source in uses_of_a_number(),
        whole in -3_i64..100,
        any in any::<i64>(),
        scale in 0_u32..4,
        tens in prop::bool::ANY,
    ) {
        let power = 10_i64.pow(scale);
        let number = if tens { whole * power } else { any / 1_000 };
        let expression = Expression::compile(&source, &["x", "y", "l", "m"]).unwrap();
        let mut results = spellings(number, scale).into_iter().map(|text| {
            let fields = format!(r#"{{"x": {text}, "y": {whole}, "l": [{text}, 1], "m": {{"n": {text}}}}}"#);
            let fields: Value = serde_json::from_str(&fields).unwrap();
            let fields = fields.as_object().unwrap();
            let variables: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value)).collect();
            // As text: a result may not show the spelling either. A number that cannot be read is
            // shown in the message as it was sent.
            (text, expression.evaluate(&variables).map(|value| value.to_string()))
        });
        let (first_text, first) = results.next().unwrap();
        for (text, result) in results {
            prop_assert_eq!(&result, &first, "{} with {} and {}", source, text, first_text);
        }
    }

    #[test]
    fn quotient_and_remainder_belong_together(left in any::<i64>(), right in any::<i64>()) {
        let state = json!({"a": left, "b": right});
        let source = "b == 0 || div(a, b) * b + a % b == a";
        let held = Expression::compile(source, &["a", "b"]).unwrap()
            .holds(&[("a", &state["a"]), ("b", &state["b"])]);
        prop_assert_eq!(held, Ok(true));
    }

    #[test]
    fn whole_results_are_exact_or_refused(
        digits in 1_i64..100_000,
        tens in 0_u32..24,
        any in any::<i64>(),
        small in -100_i64..100,
    ) {
        let exact = i128::from(digits) * 10_i128.pow(tens);
        prop_assume!(Numeric::whole(Some(exact)).is_ok());
        let number = Numeric::whole(Some(exact)).unwrap();
        for other in [any, small] {
            let whole = Numeric::Whole(other.into());
            let other = i128::from(other);
            prop_assert_eq!(number.add(whole), Numeric::whole(Some(exact + other)));
            prop_assert_eq!(whole.subtract(number), Numeric::whole(Some(other - exact)));
            if let Some(product) = exact.checked_mul(other) {
                prop_assert_eq!(number.multiply(whole), Numeric::whole(Some(product)));
            }
            if other != 0 && exact % other == 0 {
                prop_assert_eq!(number.divide(whole), Numeric::whole(Some(exact / other)));
            }
        }
    }

    #[test]
    fn quotients_are_the_nearest_doubles(left in any::<i64>(), right in 1_u32..) {
        // Multiplied back without rounding, no neighbour of the quotient comes nearer.
        let quotient = Numeric::Whole(left.into()).divide(Numeric::Whole(right.into())).unwrap();
        if let Numeric::Decimal(quotient) = quotient {
            let error = |double: f64| {
                #[expect(clippy::cast_possible_truncation, reason = "below 2^125")]
                let scaled = (double * 2_f64.powi(62)) as i128;
                (i128::from(left) * (1 << 62) / i128::from(right) - scaled).abs()
            };
            prop_assume!(quotient.abs() > 1.0);
            prop_assert!(error(quotient) <= error(quotient.next_up()) + 1);
            prop_assert!(error(quotient) <= error(quotient.next_down()) + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(source in any_source()) {
        let state = state();
        if let Ok(expression) = Expression::compile(&source, &VARIABLES) {
            let _ = expression.evaluate(&[("state", &state)]);
        }
    }

    #[test]
    fn the_quick_way_says_what_the_library_says(source in any_expression()) {
        let (state, time) = (state(), json!(1_700_000_000_000_i64));
        let variables = [("state", &state), ("time", &time)];
        if let Ok(expression) = Expression::compile(&source, &VARIABLES)
            && let Some(quick) = expression.quickly(&variables).map(Scalar::to_json)
        {
            let library = expression.with_result(&variables, value::to_json);
            prop_assert_eq!(Ok(quick), library, "{}", source);
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(source in "\\PC{0,80}") {
        let _ = Expression::compile(&source, &VARIABLES);
    }

    #[test]
    fn evaluation_is_deterministic_and_finite(source in any_expression()) {
        let state = state();
        if let Ok(expression) = Expression::compile(&source, &VARIABLES) {
            let first = expression.evaluate(&[("state", &state)]);
            let again = expression.evaluate(&[("state", &state)]);
            prop_assert_eq!(&first, &again, "{}", source);
            if let Ok(value) = first {
                let text = value.to_string();
                let back: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(back, value);
            }
        }
    }

    #[test]
    fn integers_compare_exactly_with_decimals(whole in any::<i64>(), step in -1_i64..=1) {
        // The digits of the nearest double are often another number, by up to 512.
        let near = Value::from(whole as f64);
        let digits = near.as_number().and_then(|near| integer_text(near.as_str())).unwrap();
        let exact: i128 = digits.parse().unwrap();
        let other = whole.saturating_add(step);
        let state = json!({"whole": other, "near": near});
        for (source, expected) in [
            ("state.whole < state.near", i128::from(other) < exact),
            ("state.near == state.whole", i128::from(other) == exact),
            ("state.near < state.whole", exact < i128::from(other)),
        ] {
            let held = Expression::compile(source, &["state"]).unwrap().holds(&[("state", &state)]);
            prop_assert_eq!(held, Ok(expected), "{} {:?}", source, state);
        }
    }
}
