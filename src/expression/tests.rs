//! Expressions from text to value: what compiles, what each comes to, and the bounds.

use crate::codec::json::json;
use proptest::prelude::*;

use super::functions::{ENVIRONMENT, OPERATORS};
use super::*;
use crate::limits::{
    MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_LITERAL_ITEMS, MAX_EXPRESSION_NODES,
};

const VARIABLES: [&str; 3] = ["state", "arguments", "time"];

fn state() -> Value {
    serde_json::from_str(
        r#"{"temperature": 21, "threshold": 20.5, "name": "Box 7", "door": true, "none": null,
            "big": 9007199254740993, "huge": 18446744073709551615, "beyond": 18446744073709551616,
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
        ("state.temperature * 2.0", "42.0"),
        ("7 / 2", "3"),
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
        ("-0.0", "0.0"),
        ("1e3", "1000.0"),
        ("state.temperature in [1, 21.0]", "true"),
    ]);
}

#[test]
fn what_cannot_be_kept_is_a_failure() {
    check(&[
        (
            "state.beyond",
            "failed `state.beyond` is 18446744073709551616, which no 64-bit integer holds",
        ),
        ("state.far > 1", "failed `state.far` is 1e+999, which no 64-bit decimal holds"),
        ("state.huge + 1", "failed `+` goes beyond 64 bits"),
        ("9223372036854775807 * 9223372036854775807", "failed `*` goes beyond 64 bits"),
        ("1e308 * 10", "failed `*` gives no finite number"),
        ("1 / 0", "failed a division by zero"),
        ("1.0 / 0", "failed a division by zero"),
        ("1 % 0", "failed a division by zero"),
        ("sqrt(-1)", "failed `sqrt` gives no finite number"),
        ("double('NaN')", "failed the result is not a finite number"),
        ("state.name > 5", "failed a text and an integer cannot be compared"),
        ("state.none > 5", "failed null and an integer cannot be compared"),
        ("state.name + 5", "failed `+` takes numbers, this is a text"),
        ("state.door ? 1 : 2", "1"),
        ("state.name ? 1 : 2", "failed bool is needed, this is string"),
        ("state.tags[2]", "failed an index is outside of its list"),
        ("{1: 2}", "failed the result has a map whose keys are not text"),
        ("{'a': 1, 'a': 2}", "failed a map names a key twice"),
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
    "failed `state` is 18446744073709551616, which no 64-bit integer holds".to_owned()
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
                "failed the result has a map whose keys are not text",
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
        ("floor(2.7)", "2.0"),
        ("int(floor(-2.7))", "-3"),
        ("ceil(2.1)", "3.0"),
        ("round(2.5)", "3.0"),
        ("round(-2.5)", "-3.0"),
        ("round(21)", "21"),
        ("round(3.14159, 2)", "3.14"),
        ("round(1e300, 15)", "1e+300"),
        ("round(1.5, 16)", "failed `round` takes 0 to 15 digits"),
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
        ("[1].join()", "failed `join` takes texts, this is an integer"),
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
        ("distance(-97, 49, 0, 0)", "failed `distance`: -97 is no latitude; are they swapped?"),
        ("distance(49, -181, 0, 0)", "failed `distance`: -181 is no longitude; are they swapped?"),
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
        ("state.name.matches('x')", (1, 19), "there is no function `matches`; known are: "),
        ("timestamp('2024-01-01T00:00:00Z')", (1, 10), "there is no function `timestamp`"),
        ("has(state)", (1, 5), "`has` takes a field, as in has(state.field)"),
        ("state.tags.exists(t)", (1, 18), "`exists` is called as list.exists(x, …x…)"),
        (
            "state.tags.map(state, state)",
            (1, 15),
            "`state` is a variable; give the element another name",
        ),
        ("state.a = 1", (1, 9), "`=` cannot stand here; equality is written `==`"),
        ("state.a and state.b", (1, 9), "`and` cannot stand here; it is written `&&`"),
        ("state.a >", (1, 10), "the expression ends too early"),
        ("", (1, 1), "the expression ends too early"),
        ("state.é", (1, 7), "`é` is not part of an expression; text stands in quotes"),
        ("state.?a", (1, 6), "`.?` cannot stand here"),
        ("b'abc'", (1, 1), "bytes have no place in JSON; write a text"),
        ("Thing{a: 1}", (1, 6), "`Thing{…}` is no type that exists here"),
        ("99999999999999999999", (1, 1), "invalid int literal"),
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
    let failed = "a condition is true or false, this is an integer".to_owned();
    assert_eq!(holds("state.temperature"), Err(EvaluationError::Failed(failed)));
}

#[test]
fn every_function_of_the_table_exists() {
    let fill = |n: usize| vec!["state.none"; n].join(", ");
    for function in FUNCTIONS {
        for arguments in function.arguments.0..=function.arguments.1 {
            let (name, arguments) = (function.name, fill(arguments));
            let call = format!("{name}({arguments})");
            let source = if function.member { format!("state.none.{call}") } else { call };
            // Null suits none of them: each refuses its types, and none is unknown.
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
        let member =
            vec!["contains", "split", "indexOf", "charAt", "substring", "join", "startsWith"];
        let one = vec![
            "abs", "round", "floor", "ceil", "sqrt", "size", "int", "uint", "double", "string",
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
        let quick = expression.quickly(&variables).and_then(Scalar::to_json);
        let library = expression.with_result(&variables, value::to_json);
        assert!(quick.is_some(), "{source}");
        assert_eq!(quick, library.ok(), "{source}");
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
            && let Some(quick) = expression.quickly(&variables).and_then(Scalar::to_json)
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
        // The nearest decimal of a large integer is often another number, by up to 512.
        let near = whole as f64;
        let exact: i128 = format!("{near:.0}").parse().unwrap();
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
