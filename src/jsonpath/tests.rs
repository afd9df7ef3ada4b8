//! Queries from text to nodes, and the bounds on both.

use crate::codec::json::json;
use proptest::prelude::*;

use super::*;
use crate::codec::json as strict;
use crate::limits::{MAX_PATH_BYTES, MAX_PATH_CALLS};

fn check(query: &str, document: &str, selected: &str) {
    let path = Path::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let document = strict::parse(document.as_bytes()).unwrap();
    let nodes = path.nodes(&document).unwrap();
    let values: Value = nodes.iter().map(|node| node.value.clone()).collect();
    assert_eq!(values.to_string(), selected, "{query}");
}

#[test]
fn numbers_compare_by_value() {
    for (filter, document, selected) in [
        ("@ == 1", "[1,1.0,10e-1,1.1,\"1\"]", "[1,1.0,10e-1]"),
        (
            "@ == $[0]",
            "[9007199254740993,9007199254740992,9007199254740993.0]",
            "[9007199254740993,9007199254740993.0]",
        ),
        (
            "@ > 9007199254740991",
            "[9007199254740991,9007199254740992,1e+300]",
            "[9007199254740992,1e+300]",
        ),
        ("@ == 0", "[0,1e-20,-0.0]", "[0,-0.0]"),
        ("@ == 0.1", "[0.1,0.10000000000000001,0.100]", "[0.1,0.100]"),
        (
            "@ == $[0]",
            "[[1,{\"a\":2.0}],[1.0,{\"a\":2}],[1,{\"a\":3}]]",
            "[[1,{\"a\":2.0}],[1.0,{\"a\":2}]]",
        ),
        ("@ <= 1e2", "[1E2,100.5]", "[1e+2]"),
    ] {
        check(&format!("$[?{filter}]"), document, selected);
    }
}

#[test]
fn what_the_engine_leaves_open() {
    for (query, document, selected) in [
        ("$[*]['a','b']", r#"[{"a":1,"b":2},{"a":3,"b":4}]"#, "[1,2,3,4]"),
        ("$..['b','a']", r#"{"a":1,"b":{"a":2}}"#, r#"[{"a":2},1,2]"#),
        ("$[?@[?@>1]]", "[[0],[0,2]]", "[[0,2]]"),
        ("$[?count(@.*)==0]", "[[],[1],{},5]", "[[],{},5]"),
        ("$[?length(@)==1]", r#"["ä",[1],{"a":1},1,"ab"]"#, r#"["ä",[1],{"a":1}]"#),
        (
            "$[?value(@..a)==1]",
            r#"[{"a":1},{"b":{"a":1}},{"a":1,"b":{"a":1}}]"#,
            r#"[{"a":1},{"b":{"a":1}}]"#,
        ),
        (
            "$.items[?match(@, $.pattern)]",
            r#"{"items":["ab","b","xab"],"pattern":"a?b"}"#,
            r#"["ab","b"]"#,
        ),
        ("$.items[?match(@, 1)]", r#"{"items":["1"]}"#, "[]"),
        ("$.items[?search(@, $.pattern)]", r#"{"items":["ab","b"],"pattern":"("}"#, "[]"),
        ("$[?match(@, 'a.c')]", r#"["abc","a\nc","a\rc","xabc"]"#, r#"["abc"]"#),
        ("$..*..b", r#"{"a":{"b":1}}"#, "[1]"),
        (
            "$ .a [ 0 , 1 ] [ ? ! @.c && ( @ .b == -1 ) ]",
            r#"{"a":[[{"b":-1}],[{"b":-1,"c":0}]]}"#,
            r#"[{"b":-1}]"#,
        ),
        ("$.a[?@.b].b", r#"{"a":[{"b":1},{"c":2},{"b":null}]}"#, "[1,null]"),
    ] {
        check(query, document, selected);
    }
}

#[test]
fn singular_queries_are_steps() {
    for query in ["$", "$.a", "$['a'].b[0][-1]", "$[\"\\u0061\"]"] {
        assert!(Path::parse(query).unwrap().singular().is_some(), "{query}");
    }
    for query in ["$.*", "$..a", "$[0,1]", "$[0:1]", "$[?@]"] {
        assert!(Path::parse(query).unwrap().singular().is_none(), "{query}");
    }
    let document = json!({"a": {"b": [[1, 2]]}});
    let path = Path::parse("$.a['b'][0][-1]").unwrap();
    assert_eq!(path.select(&document).unwrap(), [&json!(2)]);
    assert_eq!(path.nodes(&document).unwrap()[0].location, "$['a']['b'][0][1]");
    let path = Path::parse("$.a.b[-1][*]").unwrap();
    assert_eq!(path.nodes(&document).unwrap()[1].location, "$['a']['b'][0][1]");
    for query in ["$.a[0]", "$.a.b.c", "$.a.b[1]", "$.a.b[-2]"] {
        assert_eq!(Path::parse(query).unwrap().select(&document).unwrap().len(), 0, "{query}");
    }
}

#[test]
fn a_root_may_be_parts() {
    let (payload, device) = (json!({"a": [{"id": "x"}, {"id": "y"}]}), json!({"id": "y"}));
    let part = |steps: &[Step]| match steps {
        [Step::Name(name), ..] if name == "payload" => Some((&payload, 1)),
        [Step::Name(name), Step::Index(0), ..] if name == "devices" => Some((&device, 2)),
        [Step::Name(name), ..] if name == "device" => Some((&device, 1)),
        _ => None,
    };
    let select = |query: &str| -> Vec<String> {
        let nodes =
            Path::parse(query).unwrap().nodes_in(Root::Parts(&part), &Work::default()).unwrap();
        nodes.into_iter().map(|node| node.location).collect()
    };
    assert_eq!(select("$.payload.a[?@.id == $.device.id]"), ["$['payload']['a'][1]"]);
    assert_eq!(select("$.payload.a[-1].id"), ["$['payload']['a'][1]['id']"]);
    assert_eq!(select("$.payload.a[?@.id == $.devices[0].id]"), ["$['payload']['a'][1]"]);
    assert_eq!(select("$.devices[0][?@ == 'y']").len(), 1);
    assert!(select("$.devices[1][*]").is_empty());
    assert!(select("$.other").is_empty());
    for (query, names) in [
        ("$", vec![None]),
        ("$..a", vec![None]),
        ("$.a.b[*]", vec![Some("a")]),
        (
            "$.a[?@.b == $.c.d && !search($.e, $.f) || $[0] || @[?count($..x) == 1]]",
            vec![Some("a"), Some("c"), Some("e"), Some("f"), None, None],
        ),
    ] {
        assert_eq!(Path::parse(query).unwrap().names(), names, "{query}");
    }
}

#[test]
fn a_refusal_says_where_and_what() {
    for (query, offset, message) in [
        ("payload.a", 0, "a JSONPath starts with `$`"),
        ("", 0, "a JSONPath starts with `$`"),
        ("$.payload.", 10, "ends too early"),
        ("$.a b", 3, "white space is not allowed"),
        ("$[?@ == 1 .5]", 9, "white space is not allowed"),
        ("$[?@. a == 1]", 5, "white space is not allowed"),
        ("$[?@ == - 1]", 9, "white space is not allowed"),
        ("$[?@ == 1 e3]", 9, "white space is not allowed"),
        ("$[?@ == 1e -3]", 10, "white space is not allowed"),
        ("$.a]", 3, "from `]` on"),
        ("$.ä[?]", 6, "from `]` on"),
        ("$[?in(@, $.b)]", 0, "no function `in`"),
        ("$[?length(@.a)]", 0, "the result of `length` must be compared"),
        ("$[?match(@, 'a') == true]", 0, "not comparable"),
        ("$[?match(@.a, '(')]", 0, "`(` is not a regular expression"),
        ("$[?!search(@.a, '[a') && @.b]", 0, "`[a` is not a regular expression"),
        ("$[?@ == 0.12345678901234567890]", 8, "at most 15 digits"),
        ("$[?@ == 1e400]", 8, "cannot be compared exactly"),
    ] {
        let error = Path::parse(query).unwrap_err();
        assert!(error.message.contains(message), "{query}: {error}");
        assert_eq!(error.offset, offset, "{query}: {error}");
    }
}

#[test]
fn queries_over_a_bound_are_refused() {
    let long = format!("$.a{}", "ä".repeat(MAX_PATH_BYTES));
    assert!(long.is_char_boundary(Path::parse(&long).unwrap_err().offset));
    let calls = |depth: usize| format!("$[?{}@{}==1]", "length(".repeat(depth), ")".repeat(depth));
    assert!(Path::parse(&calls(MAX_PATH_CALLS)).is_ok());
    for query in [
        long,
        calls(MAX_PATH_CALLS + 1),
        format!("$[?{}", "length(".repeat(140)),
        format!("$[?{}@{}]", "(".repeat(200), ")".repeat(200)),
        format!("$[?{}", "@[?".repeat(300)),
    ] {
        assert!(Path::parse(&query).is_err(), "{query}");
    }
}

#[test]
fn hostile_documents_end_in_an_error() {
    let wide = Value::Array(vec![json!(0); 200_000]);
    let deep = strict::parse(format!("{}{}", "[".repeat(60), "]".repeat(60)).as_bytes()).unwrap();
    let long_name = json!({"n".repeat(100_000): vec![json!([0]); 50_000]});
    let text = json!({"s": "x".repeat(100_000), "items": vec![0; 5_000]});
    let patterns: Vec<String> = (0..5_000).map(|n| format!("(a{{{n}}}){{50}}")).collect();
    for (query, document, error) in [
        ("$.*", &wide, SelectError::TooManyNodes),
        ("$[?@ == 0]", &wide, SelectError::TooManyNodes),
        ("$[*,*]", &wide, SelectError::TooManyNodes),
        ("$..*", &long_name, SelectError::TooMuchWork),
        ("$.*[*]", &long_name, SelectError::TooMuchWork),
        ("$[*][?@]", &long_name, SelectError::TooMuchWork),
        ("$[?$[?$[?@ == 1]]]", &wide, SelectError::TooMuchWork),
        ("$[?$..*]", &wide, SelectError::TooManyNodes),
        ("$..*..*..*..*..*", &deep, SelectError::TooManyNodes),
        ("$..[?@]..[?@]..[?@]..[?@]", &deep, SelectError::TooManyNodes),
        ("$.items[?length($.s) == 1]", &text, SelectError::TooMuchWork),
        ("$.items[?$.s == $.s]", &text, SelectError::TooMuchWork),
        ("$[?match('a', @)]", &json!(patterns), SelectError::TooMuchWork),
    ] {
        let selected = Path::parse(query).unwrap().select(document);
        assert_eq!(selected.map(|nodes| nodes.len()), Err(error), "{query}");
    }
}

#[test]
fn queries_may_share_their_work() {
    let (document, work) = (json!(vec![0; 5_000]), Work::default());
    let path = Path::parse("$[?@ == 1]").unwrap();
    let runs =
        (0..10_000).take_while(|_| path.nodes_in(Root::Value(&document), &work).is_ok()).count();
    assert!((10..1_000).contains(&runs), "{runs}");
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ab']{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab']{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "\\$[\\[\\].a-cäé'\"?@!()<>=&|*:,0-9 -]{0,24}") {
        if let Err(error) = Path::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset));
        }
    }

    #[test]
    fn a_location_selects_its_value(document in documents()) {
        for query in ["$..*", "$..[?@]", "$[*]..['a','b']"] {
            for node in Path::parse(query).unwrap().nodes(&document).unwrap() {
                let path = Path::parse(&node.location).unwrap();
                prop_assert!(path.singular().is_some());
                prop_assert_eq!(path.nodes(&document).unwrap(), vec![node]);
            }
        }
    }
}
