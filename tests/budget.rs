//! No record takes more than its budget of steps, whatever its mappings and contracts are: what would
//! take more becomes a dead letter or a verdict `limit`, the same on every machine. Definitions whose
//! cost explodes whatever arrives are refused when they are loaded.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/ledger.rs"]
mod ledger;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledgerline::budget::{Budget, copy_steps};
use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::codec::Digest;
use ledgerline::codec::{json, yaml};
use ledgerline::contract::{
    Asset, Call, ContractSet, InvalidCode, MemoryState, StateView, Verdict, Versioned,
};
use ledgerline::event::{
    Decoder, DeviceName, Event, Headers, IdentityForm, Record, RecordDigests, Rejection,
    SourcePartition, SourcePosition,
};
use ledgerline::expression::{Expression, FUNCTIONS};
use ledgerline::ledger::embedded::open;
use ledgerline::ledger::{Definition, DefinitionKind, LedgerWriter, Progress, Work};
use ledgerline::limits::{MAX_EXPRESSION_ITEMS, MAX_RECORD_STEPS, TEXT_STEP_BYTES};
use ledgerline::mapping::{MappingSet, Outcome};
use ledgerline::transaction::{Submission, Transaction};

/// The contract `c` with this state schema in YAML's flow style, and these rules.
fn contract_text(schema: &str, rules: &str) -> String {
    let rules = if rules.is_empty() { "rules: []".to_owned() } else { format!("rules:\n{rules}") };
    format!("contract: c\nversion: 1\nkey: id\nstate: {schema}\n{rules}\n")
}

fn contract(schema: &str, rules: &str) -> ContractSet {
    let (set, diagnostics) = ContractSet::load(&[("c.yaml".into(), contract_text(schema, rules))]);
    assert!(diagnostics.is_empty(), "{schema}: {diagnostics:?}");
    set
}

/// The contract's verdict on an update with these arguments, and the steps it took.
fn update(set: &ContractSet, arguments: &str) -> (Verdict, u64) {
    let budget = Budget::new();
    let verdict = update_within(set, arguments, &budget);
    (verdict, budget.used())
}

fn update_within(set: &ContractSet, arguments: &str, budget: &Budget) -> Verdict {
    let arguments = json::parse(arguments.as_bytes()).unwrap();
    let call = Call { function: Function::Update, arguments: &arguments, time_ms: 0 };
    set.execute_within("c", call, &MemoryState::new(), budget).verdict
}

fn detail(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Valid => "",
        Verdict::Invalid { detail, .. } => detail,
    }
}

fn mapping(fields: &str, before: &str) -> MappingSet {
    let text = format!(
        "mapping: m\nmatch: {{topic: t}}\ncontract: c\nfunction: update\n{before}fields:\n{fields}"
    );
    let (set, diagnostics) = MappingSet::from_texts(&[("m.yaml".into(), text)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    set
}

fn event(body: &str) -> Event {
    let partition = SourcePartition::new("t", 0);
    let record = Record {
        partition: &partition,
        offset: 0,
        timestamp_ms: Some(0),
        key: None,
        value: Some(body.as_bytes()),
        headers: Headers::default(),
        damage: None,
    };
    Decoder::default().decode(&record).unwrap()
}

fn rejection(set: &MappingSet, body: &str) -> Rejection {
    match set.evaluate(&event(body)) {
        Outcome::Rejected(rejection) => rejection,
        other => panic!("{} payloads", matches!(other, Outcome::Mapped(_))),
    }
}

/// A list of so many values.
fn list(length: usize, value: &str) -> String {
    format!("[{}]", vec![value; length].join(","))
}

/// A value within so many arrays, objects, or both in turn.
fn nested(depth: usize, open: &[&str], close: &[&str]) -> String {
    let mut text = String::new();
    (0..depth).for_each(|level| text.push_str(open[level % open.len()]));
    text.push('1');
    (0..depth).rev().for_each(|level| text.push_str(close[level % close.len()]));
    text
}

/// Megabytes that the process has held at most.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Applicators that look at one subschema more than once a level, in terms of the subschema itself.
const BRANCHING: &[&str] = &[
    "{anyOf: [{type: array, items: NODE}, {type: array, items: NODE}, {type: array, items: NODE}]}",
    "{oneOf: [{type: array, items: NODE}, {type: array, items: NODE, minItems: 1}, {type: string}]}",
    "{allOf: [{type: array, items: NODE}, {type: array, items: NODE}, {type: array, prefixItems: [NODE]}]}",
    "{type: array, not: {type: array, items: NODE, contains: NODE}, items: NODE}",
    "{if: {type: array, items: NODE}, then: {type: array, items: NODE}, else: {items: NODE}}",
    "{type: [array, object], contains: NODE, items: NODE, unevaluatedItems: NODE}",
    "{type: object, dependentSchemas: {a: {properties: {a: NODE}}}, properties: {a: NODE}, additionalProperties: NODE}",
    "{type: object, patternProperties: {a: NODE, '^a': NODE, 'a$': NODE}}",
    "{type: object, allOf: [{properties: {a: NODE}}, {properties: {a: NODE}}], unevaluatedProperties: NODE}",
    "{type: object, propertyNames: {maxLength: 3}, anyOf: [{properties: {a: NODE}, required: [b]}, {properties: {a: NODE}}]}",
    "{$dynamicAnchor: node, anyOf: [{type: array, items: {$dynamicRef: '#node'}}, {type: array, items: {$dynamicRef: '#node'}}, {type: object, additionalProperties: {$dynamicRef: '#node'}}]}",
];

fn branching() -> impl Iterator<Item = ContractSet> {
    BRANCHING.iter().map(|branches| {
        let node = branches.replace("NODE", "{$ref: '#/$defs/n'}");
        let schema = format!(
            "{{type: object, properties: {{id: {{type: string}}, v: {{$ref: '#/$defs/n'}}}}, \
             $defs: {{n: {node}}}}}"
        );
        contract(&schema, "")
    })
}

/// Bodies that go as deep as a body may.
fn deep_bodies() -> Vec<String> {
    let deep = 60;
    let mut bodies = vec![
        nested(deep, &["["], &["]"]),
        nested(deep, &["{\"a\":"], &["}"]),
        nested(deep, &["[", "{\"a\":"], &["]", "}"]),
        // Wide and deep.
        nested(6, &["[1,1,1,1,[2],", "[[3],[4],"], &["]"]),
        nested(20, &["{\"a\":1,\"b\":"], &["}"]),
    ];
    bodies.push(nested(6, &["{\"a\":[1,[2]],\"aa\":", "[[],"], &["}", "]"]));
    bodies.into_iter().map(|value| format!("{{\"id\":\"x\",\"v\":{value}}}")).collect()
}

#[test]
fn recursive_schemas_end_within_memory() {
    let before = peak_megabytes();
    let mut unexplained = 0;
    for set in branching() {
        for body in deep_bodies() {
            let (verdict, steps) = update(&set, &body);
            assert!(steps <= MAX_RECORD_STEPS);
            match &verdict {
                Verdict::Valid => {}
                Verdict::Invalid { code: InvalidCode::SchemaViolation, detail } => {
                    unexplained += usize::from(detail.contains("the state violates the schema"));
                }
                Verdict::Invalid { code: InvalidCode::Limit, detail } => {
                    assert!(detail.contains("contract `c`, the state schema"), "{detail}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(unexplained > 0, "every error of every branch was told: the cases are too easy");
    let grown = peak_megabytes() - before;
    assert!(grown < 256, "{grown} MB");
}

#[test]
fn however_few_steps_are_left_the_answer_is_the_limit_or_the_same() {
    for set in branching() {
        for body in [&deep_bodies()[3], &deep_bodies()[4], &deep_bodies()[5]] {
            let (whole, steps) = update(&set, body);
            for left in (0..steps.min(3_000)).step_by(7) {
                let budget = Budget::of(left);
                let verdict = update_within(&set, body, &budget);
                let is_limit = matches!(verdict, Verdict::Invalid { code: InvalidCode::Limit, .. });
                assert!(is_limit, "{left} of {steps} steps: {verdict:?}");
                assert_eq!(budget.left(), 0);
            }
            assert_eq!(update_within(&set, body, &Budget::of(steps)), whole);
        }
    }
}

#[test]
fn deep_schemas_over_deep_bodies_fit_on_the_stack() {
    // What opens a subschema that applies to the same value, what closes it, and its levels.
    for (open, close, each) in [
        ("{allOf: [{type: [array, object]}, ", "]}", 1),
        ("{anyOf: [", "]}", 1),
        ("{oneOf: [{type: string}, ", "]}", 1),
        ("{not: {not: ", "}}", 2),
        ("{if: {type: string}, else: ", "}", 1),
        ("{dependentSchemas: {a: ", "}}", 1),
    ] {
        for (nesting, is_too_deep) in [(8, false), (16, true)] {
            let schema = format!(
                "{{type: object, properties: {{id: {{type: string}}, v: {{$ref: '#/$defs/n'}}}}, \
                 $defs: {{n: {}{{items: {{$ref: '#/$defs/n'}}, properties: {{a: {{$ref: \
                 '#/$defs/n'}}}}, type: [array, object]}}{}}}}}",
                open.repeat(nesting / each),
                close.repeat(nesting / each)
            );
            let set = contract(&schema, "");
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let body = format!("{{\"id\":\"x\",\"v\":{}}}", nested(62, &[open], &[close]));
                let (verdict, _) = update(&set, &body);
                let is_limit = verdict.name() == "limit";
                assert_eq!(is_limit, is_too_deep, "{schema} {verdict:?}");
            }
        }
    }
}

#[test]
fn references_that_explode_are_refused_by_name() {
    // Definitions are loaded on the main thread, whose stack is as large.
    let main = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
    main.spawn(explosions_are_refused).unwrap().join().unwrap();
}

fn explosions_are_refused() {
    let mut definitions = String::new();
    for level in 0..24 {
        let next = level + 1;
        write!(
            definitions,
            "n{level}: {{allOf: [{{$ref: '#/$defs/n{next}'}}, {{$ref: '#/$defs/n{next}'}}]}}, "
        )
        .unwrap();
    }
    let doubling = format!(
        "{{type: object, properties: {{id: {{type: string}}, v: {{$ref: '#/$defs/n0'}}}}, \
         $defs: {{{definitions}n24: {{type: integer}}}}}}"
    );
    let circle = "{type: object, properties: {id: {type: string}, v: {$ref: '#/$defs/a'}}, \
                  $defs: {a: {anyOf: [{type: string}, {$ref: '#/$defs/b'}]}, b: {$ref: '#/$defs/a'}}}";
    let deep = format!(
        "{{type: object, properties: {{id: {{type: string}}, v: {}{{type: string}}{}}}}}",
        "{anyOf: [".repeat(30),
        "]}".repeat(30)
    );
    let rules = "  - alert: A\n    raise_when: state.v > 1\n";
    for (schema, said) in [
        (doubling.as_str(), ["subschemas apply to the same value", "`#/$defs/n"]),
        (circle, ["in a circle", "`#/$defs/a`"]),
        (deep.as_str(), ["each within another one", "anyOf"]),
    ] {
        let (_, diagnostics) =
            ContractSet::load(&[("c.yaml".into(), contract_text(schema, rules))]);
        let shown: String = diagnostics.iter().map(ToString::to_string).collect();
        for said in said {
            assert!(shown.contains(said), "{shown}");
        }
    }
}

#[test]
fn a_schema_is_searched_once_for_each_subschema() {
    // Each level has two ways to the next: 2^40 in all, of which each leads one name down.
    let mut definitions = String::new();
    for level in 0..40 {
        let next = format!("{{properties: {{a: {{$ref: '#/$defs/n{}'}}}}}}", level + 1);
        write!(definitions, "n{level}: {{allOf: [{next}, {next}]}}, ").unwrap();
    }
    let schema = format!(
        "{{type: object, properties: {{id: {{type: string}}, a: {{$ref: '#/$defs/n0'}}}}, \
         $defs: {{{definitions}n40: {{type: integer}}}}}}"
    );
    let path = vec!["a"; 30].join(".");
    let set = contract(&schema, &format!("  - alert: A\n    raise_when: has(state.{path})\n"));
    assert!(!set.get("c").unwrap().samples().is_empty());
    assert!(set.get("c").unwrap().inputs().len() <= 256);
    let body = format!("{{\"id\":\"x\",\"a\":{}}}", nested(40, &["{\"a\":"], &["}"]));
    let (verdict, _) = update(&set, &body);
    assert!(matches!(verdict, Verdict::Invalid { code: InvalidCode::Limit, .. }), "{verdict:?}");
}

const OPEN: &str = "{type: object, properties: {id: {type: string}, items: {type: array}}}";

#[test]
fn rules_with_loops_share_one_budget() {
    let items = list(MAX_EXPRESSION_ITEMS, "1");
    let body = format!("{{\"id\":\"x\",\"items\":{items}}}");
    for (rule, named) in [
        (
            "  - reject: rN\n    when: state.items.exists(x, state.items.exists(y, x + y == 3))\n",
            "reject",
        ),
        (
            "  - derive: rN\n    value: size(state.items.filter(x, state.items.exists(y, x + y == 3)))\n",
            "derive",
        ),
        (
            "  - alert: rN\n    raise_when: state.items.exists(x, x in state.items.map(y, y + 1))\n",
            "alert",
        ),
        ("  - derive: rN\n    value: state.items.map(x, [state.items, state.items])\n", "derive"),
        (
            "  - derive: rN\n    value: state.items.map(x, string(state.items.map(y, y)[0]))\n",
            "derive",
        ),
        // The library swallows errors within these.
        (
            "  - alert: rN\n    raise_when: state.items.all(x, state.items.all(y, x > y) || x == 1)\n",
            "alert",
        ),
    ] {
        let rules: String = (0..128).map(|n| rule.replace('N', &n.to_string())).collect();
        let set = contract(OPEN, &rules);
        let (verdict, _) = update(&set, &body);
        let Verdict::Invalid { code, detail } = &verdict else { panic!("{rule}: valid") };
        assert_eq!(*code, InvalidCode::Limit, "{rule}: {detail}");
        assert!(detail.starts_with(&format!("{named} `r")), "{detail}");
        assert!(detail.contains("5000000 steps"), "{detail}");
        // Over small lists the same rules hold.
        let (verdict, steps) = update(&set, "{\"id\":\"x\",\"items\":[1,2,3]}");
        let is_limit = matches!(verdict, Verdict::Invalid { code: InvalidCode::Limit, .. });
        assert!(!is_limit && steps < MAX_RECORD_STEPS / 20, "{rule}: {steps} {verdict:?}");
    }
}

#[test]
fn long_texts_in_loops_are_paid_for() {
    let text = "ab".repeat(30_000);
    let body = format!("{{\"id\":\"x\",\"text\":\"{text}\",\"items\":{}}}", list(1_000, "1"));
    let schema = "{type: object, properties: {id: {type: string}, items: {type: array}, text: {type: string}}}";
    for condition in [
        "state.items.all(x, state.text.contains('ba'))",
        "state.items.all(x, state.text.indexOf('b' + state.text) < 0)",
        "state.items.all(x, state.text + 'c' != state.text)",
        "state.items.all(x, state.text == state.text)",
        "state.items.all(x, size(state.text) > x)",
        "state.items.map(x, state.text).all(t, t.endsWith('b'))",
        "state.items.all(x, state.text.replace('b', 'c') != 'd')",
        "state.items.all(x, state.text.lastIndexOf('b' + state.text, 5) < 0)",
        "state.items.all(x, state.text.substring(0, 1000).split('').size() > x)",
        &["state.text.matches('(a|b)*(a|b|é){1000}c')"; 40].join(" || "),
    ] {
        let set = contract(schema, &format!("  - reject: r\n    when: {condition}\n"));
        let (verdict, _) = update(&set, &body);
        assert!(detail(&verdict).contains("steps for one record"), "{condition}: {verdict:?}");
    }
}

/// A call of each function on `x`, and the parts of it that are read.
const CALLS: &[(&str, &str, Reads)] = &[
    ("abs", "abs(x)", Reads::Nothing),
    ("bool", "bool(x)", Reads::Nothing),
    ("ceil", "ceil(x)", Reads::Nothing),
    ("charAt", "x.charAt(0)", Reads::Text),
    ("contains", "x.contains('b')", Reads::Text),
    ("contains", "'a'.contains(x)", Reads::Text),
    ("distance", "distance(x, x, x, x)", Reads::Nothing),
    ("div", "div(x, 1)", Reads::Nothing),
    ("double", "double(x)", Reads::Text),
    ("duration", "duration(x)", Reads::Text),
    ("dyn", "dyn(x)", Reads::HandsOn),
    ("endsWith", "x.endsWith(x)", Reads::Text),
    ("floor", "floor(x)", Reads::Nothing),
    ("getDate", "timestamp(0).getDate(x)", Reads::Text),
    ("getDayOfMonth", "timestamp(0).getDayOfMonth(x)", Reads::Text),
    ("getDayOfWeek", "timestamp(0).getDayOfWeek(x)", Reads::Text),
    ("getDayOfYear", "timestamp(0).getDayOfYear(x)", Reads::Text),
    ("getFullYear", "timestamp(0).getFullYear(x)", Reads::Text),
    ("getHours", "timestamp(0).getHours(x)", Reads::Text),
    ("getMilliseconds", "timestamp(0).getMilliseconds(x)", Reads::Text),
    ("getMinutes", "timestamp(0).getMinutes(x)", Reads::Text),
    ("getMonth", "timestamp(0).getMonth(x)", Reads::Text),
    ("getSeconds", "timestamp(0).getSeconds(x)", Reads::Text),
    ("indexOf", "x.indexOf('b')", Reads::Text),
    ("indexOf", "'a'.indexOf(x, 0)", Reads::Text),
    ("int", "int(x)", Reads::Text),
    ("join", "x.join()", Reads::List),
    ("join", "['', ''].join(x)", Reads::Text),
    ("lastIndexOf", "x.lastIndexOf('b', 5)", Reads::Text),
    ("lowerAscii", "x.lowerAscii()", Reads::Text),
    ("matches", "matches(x, 'b')", Reads::Text),
    ("matches", "x.matches('b')", Reads::Text),
    ("max", "max(x, 1)", Reads::Nothing),
    ("min", "min(1, x)", Reads::Nothing),
    ("replace", "x.replace('b', 'c')", Reads::Text),
    ("replace", "x.replace('a', '')", Reads::Text),
    ("replace", "'a'.replace('a', x)", Reads::Text),
    ("reverse", "x.reverse()", Reads::Text),
    ("round", "round(x)", Reads::Nothing),
    ("size", "size(x)", Reads::Text),
    ("size", "x.size()", Reads::Text),
    ("split", "x.split('b')", Reads::Text),
    ("split", "x.split('', 2)", Reads::Text),
    ("sqrt", "sqrt(x)", Reads::Nothing),
    ("startsWith", "x.startsWith(x)", Reads::Text),
    ("string", "string(x)", Reads::HandsOn),
    ("substring", "x.substring(0)", Reads::Text),
    ("substring", "x.substring(0, 1)", Reads::Text),
    ("timestamp", "timestamp(x)", Reads::Text),
    ("trim", "x.trim()", Reads::Text),
    ("uint", "uint(x)", Reads::Text),
    ("upperAscii", "x.upperAscii()", Reads::Text),
    ("+", "x + 'b'", Reads::Text),
    ("+", "'b' + x", Reads::Text),
    ("+", "x + []", Reads::List),
    ("+", "[] + x", Reads::List),
    ("==", "x == s.x", Reads::Text),
    ("==", "x == s.list", Reads::List),
    ("!=", "{'k': 1} != {'k': [x]}", Reads::Text),
    ("<", "x < s.x", Reads::Text),
    (">=", "x >= s.x", Reads::Text),
    ("in", "x in s.map", Reads::Text),
    ("in", "7 in x", Reads::List),
    ("index", "s.map[x]", Reads::Text),
    ("has", "has(s.map[x].b)", Reads::Text),
    ("key", "{x: 1}", Reads::Text),
    ("element", "[x]", Reads::List),
    ("element", "[true ? x : 1]", Reads::List),
    ("element", "[s.rows[0]]", Reads::List),
    ("element", "[s.deep[0].list]", Reads::List),
    ("element", "[[x][0]]", Reads::Text),
    ("value", "{'k': x}", Reads::Text),
    ("value", "{'k': min(x, 1)}", Reads::Nothing),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reads {
    /// A string, or a part of one that may be all of it.
    Text,
    /// The elements of a list.
    List,
    /// Refuses both, or looks at a few bytes.
    Nothing,
    /// Gives what it was given, so that a list around it holds a copy.
    HandsOn,
}

#[test]
fn every_function_pays_for_what_it_reads_in_each_turn_of_a_loop() {
    const TURNS: u64 = 100;
    const TEXT_STEPS: u64 = 4_000;
    const ELEMENTS: u64 = 4_000;
    let count = |number: u64| usize::try_from(number).unwrap();
    let text = format!("{:?}", "a".repeat(count(TEXT_STEPS) * TEXT_STEP_BYTES));
    let (list, turns) = (list(count(ELEMENTS), "\"\""), list(count(TURNS), "1"));
    let steps = |call: &str, x: &str| {
        // The outer loop gives `x`, which the inner one does not pay for. An error ends no loop.
        let source = format!("s.subjects.all(x, s.turns.all(y, 1 == ({call}) || true))");
        let s = format!(
            "{{\"subjects\":[{x}],\"turns\":{turns},\"map\":{{\"a\":{{}}}},\"x\":\"a\",\"list\":[1],\
             \"rows\":[{list}],\"deep\":[{{\"list\":{list}}}]}}"
        );
        let s = json::parse(s.as_bytes()).unwrap();
        let expression = Expression::compile(&source, &["s"]).unwrap();
        let budget = Budget::new();
        let held = expression.holds_within(&[("s", &s)], &budget);
        assert_eq!(held, Ok(true), "{source}");
        budget.used()
    };
    for (name, call, reads) in CALLS {
        let in_list = format!("[{call}]");
        let (x, least, call) = match reads {
            Reads::Text => (&text, TEXT_STEPS, *call),
            Reads::List => (&list, ELEMENTS, *call),
            Reads::Nothing => (&text, 0, *call),
            Reads::HandsOn => (&text, TEXT_STEPS, in_list.as_str()),
        };
        let paid = steps(call, x) - steps("y", x);
        assert!(paid >= TURNS * least, "{name}: {call} takes {paid} steps");
        // Nor does anything pay many times.
        assert!(paid <= TURNS * (10 * least + 100), "{name}: {call} takes {paid} steps");
    }
    for function in FUNCTIONS {
        let is_called = |(name, call, _): &(&str, &str, Reads)| {
            *name == function.name && call.contains(&format!(".{name}(")) == function.member
        };
        assert!(CALLS.iter().any(is_called), "the table lacks {}", function.signature);
    }
}

#[test]
fn a_record_cannot_make_an_expression_take_memory_or_time_unpaid() {
    let ones = |n: usize| list(n, "1");
    let (text, wide) = (format!("[\"{}\"]", "a".repeat(240_000)), list(4_900, "\"\""));
    let body = format!(
        "{{\"a\":{},\"b\":{},\"e\":{wide},\"n\":{},\"t\":{text},\"m\":{{}}}}",
        ones(1_000),
        ones(20),
        ones(4_900),
    );
    let reversed = ".reverse()".repeat(20);
    let literal = format!("'{}'", "a".repeat(3_500));
    for source in [
        "payload.b.map(x, payload.a.map(y, dyn(payload.n))).size()",
        "payload.b.map(x, payload.a.map(y, [dyn(dyn(payload.n))])).size()",
        "payload.t.map(z, z + \"x\").map(x, payload.a.map(y, string(x))).size()",
        &format!("payload.t.exists(x, payload.a.exists(y, x{reversed}.size() < 0))"),
        &format!("payload.a.exists(y, payload.t[0]{reversed}.size() < 0)"),
        "payload.a.exists(x, payload.a.exists(y, payload.e.join().size() > 0))",
        "payload.t.map(x, payload.a.map(y, {x: 1})).size()",
        "payload.t.exists(x, payload.a.exists(y, x in payload.m))",
        &format!("payload.a.map(x, payload.a.map(y, [{literal}])).size()"),
        &format!(
            "payload.a.exists(x, payload.a.exists(y, has(payload.m[string(y)].{})))",
            "a".repeat(3_500)
        ),
    ] {
        let set = mapping(&format!("  r: {{expression: {source:?}}}\n"), "");
        let refused = rejection(&set, &body);
        assert_eq!(refused.cause.name(), "limit", "{source}: {}", refused.message);
    }
    // An index that no list has is refused without a copy of the list.
    let set = mapping(
        "  r: {expression: 'payload.a.exists(x, payload.b.exists(y, payload.n[0.5] == 1))'}\n",
        "",
    );
    let refused = rejection(&set, &body);
    assert_eq!(refused.cause.name(), "expression");
    assert!(refused.message.contains("this has a fraction"), "{}", refused.message);
}

#[test]
fn for_each_and_its_fields_share_one_budget() {
    let field =
        "  fN: {expression: 'size(payload.items.filter(x, payload.items.exists(y, x < y)))'}\n";
    let fields: String = (0..50).map(|n| field.replace('N', &n.to_string())).collect();
    let set = mapping(&fields, "for_each: $.payload.items\n");
    let refused = rejection(&set, &format!("{{\"items\":{}}}", list(1_000, "1")));
    assert_eq!(refused.cause.name(), "limit");
    assert!(refused.message.contains("mapping `m`: field `f0`"), "{}", refused.message);
    assert!(refused.message.contains("5000000 steps for one record"), "{}", refused.message);
    let Outcome::Mapped(payloads) = set.evaluate(&event("{\"items\":[1,2,3]}")) else { panic!() };
    assert_eq!(payloads.len(), 3);
}

#[test]
fn every_part_of_a_mapping_is_paid_for() {
    let loops = "size(payload.items.filter(x, payload.items.exists(y, x < y))) == 0";
    let wide = format!("{{\"items\":{}}}", list(1_000, "1"));
    let middling = format!("{{\"items\":{},\"more\":{}}}", list(1_000, "1"), list(20_000, "1"));
    let large = format!("{{\"items\":{},\"more\":{}}}", list(1_000, "1"), list(150_000, "1"));
    let copies: String = (0..200).map(|n| format!("  c{n}: $.payload.more\n")).collect();
    let nodes: String = (0..200)
        .map(|n| {
            format!("  c{n}: {{path: '$.payload.items[?@ > 5]', type: array, required: false}}\n")
        })
        .collect();
    let conditions: String = (0..40)
        .map(|n| {
            format!(
                "---\nmapping: m{n}\nmatch: {{topic: t, where: '{loops}'}}\ncontract: c\n\
                 function: update\nfields: {{a: {{constant: 1}}}}\n"
            )
        })
        .collect();
    let (conditions, diagnostics) = MappingSet::from_texts(&[("m.yaml".into(), conditions)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    for (what, set, body) in [
        ("copies", mapping(&copies, ""), &large),
        ("nodes", mapping(&nodes, "for_each: $.payload.items\n"), &wide),
        (
            "nested wildcards",
            mapping(
                "  a: {path: '$.payload.items[?$.payload.items[?@ > 1]]', type: array}\n",
                "for_each: $.payload.items[*]\n",
            ),
            &wide,
        ),
        (
            "extension",
            mapping("  a: $.index\n", "for_each: $.payload.items\nextension: true\n"),
            &middling,
        ),
        ("where", conditions, &wide),
        (
            "for_each",
            mapping(
                "  a: $.index\n",
                "for_each:\n  expression: 'payload.items.filter(x, payload.items.exists(y, x < y))'\n",
            ),
            &wide,
        ),
    ] {
        let refused = rejection(&set, body);
        assert_eq!(refused.cause.name(), "limit", "{what}: {}", refused.message);
    }
}

#[test]
fn the_walk_for_places_of_elements_is_paid_for() {
    let set = |field: &str, mappings: usize| {
        let texts = (0..mappings).map(|n| {
            let text = format!(
                "mapping: m{n}\nmatch: {{topic: t}}\ncontract: c\nfunction: update\n\
                 for_each: $.payload.items\nfields:\n  a: {field}\n"
            );
            (format!("m{n}.yaml").into(), text)
        });
        let (set, diagnostics) = MappingSet::from_texts(&texts.collect::<Vec<_>>());
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        set
    };
    let used = |set: &MappingSet, body: &str| {
        let budget = Budget::new();
        let outcome = set.evaluate_within(&event(body), &budget);
        assert!(matches!(outcome, Outcome::Mapped(_)), "{}", budget.used());
        budget.used()
    };
    let body = |more: String| format!("{{\"items\":[1,2],\"more\":{more}}}");
    // Every value of the payload is on the way, in lists and in objects; long names cost more.
    let name = "n".repeat(160);
    let named = (0..1_000).map(|n| format!("\"{name}{n}\":1")).collect::<Vec<_>>().join(",");
    for (more, least) in [(list(1_000, "1"), 4_000), (format!("{{{named}}}"), 24_000)] {
        let (without, with) = (set("$.index", 1), set("$.path", 1));
        let small = used(&with, &body("[]".to_owned()));
        let large = used(&with, &body(more.clone()));
        assert!(large - small >= least && large - small < 2 * least, "{large} {small}");
        assert!(used(&without, &body(more)) < 100);
    }
    // Many such mappings come to the end of the budget, wherever the elements are.
    let large = body(list(400_000, "1"));
    assert!(used(&set("$.index", 4), &large) < 1_000);
    for field in [
        "$.path",
        "{path: $.key, required: false}",
        "{expression: 'has(parents[0].items) ? 1 : 2'}",
    ] {
        let refused = rejection(&set(field, 4), &large);
        assert_eq!(refused.cause.name(), "limit", "{field}: {}", refused.message);
        assert!(refused.message.contains("mapping `m"), "{}", refused.message);
    }
}

/// The result of a decoder with this identity for a body with a list of so many ones.
fn identified(identity: &str, length: usize) -> Result<Event, Rejection> {
    let file = Path::new("c.yaml");
    let form = yaml::parse::<IdentityForm>(file, identity).unwrap().remove(0);
    let partition = SourcePartition::new("t", 0);
    let body = format!("{{\"name\":\"x\",\"items\":{}}}", list(length, "1"));
    Decoder::new(&form, file).unwrap().decode(&Record {
        partition: &partition,
        offset: 0,
        timestamp_ms: Some(0),
        key: None,
        value: Some(body.as_bytes()),
        headers: Headers::default(),
        damage: None,
    })
}

#[test]
fn expressions_of_an_identity_are_paid_for() {
    let loops = "payload.items.exists(x, payload.items.exists(y, x < y))";
    let way = |id: &str, time: &str| {
        format!("- expression: {{ type: '\"t\"', id: '{id}', time: '{time}' }}\n")
    };
    let null = way(&format!("{loops} ? \"y\" : null"), "null");
    for (identity, fits, exceeds) in [
        (way(&format!("{loops} ? \"y\" : \"n\""), "null"), 10, 1_000),
        (way("payload.name", &format!("{loops} ? 1 : null")), 10, 1_000),
        // One budget for all that is asked.
        (null.clone() + "- plain\n", 300, 1_000),
        (null.repeat(20) + "- plain\n", 10, 300),
    ] {
        assert!(identified(&identity, fits).is_ok(), "{identity}");
        let refused = identified(&identity, exceeds).unwrap_err();
        assert_eq!(refused.cause.name(), "limit", "{identity}: {}", refused.message);
        assert!(refused.message.contains("5000000 steps for one record"), "{}", refused.message);
    }
}

#[test]
fn patterns_take_time_linear_in_the_text() {
    let with = |pattern: &str| {
        format!(
            "{{type: object, properties: {{id: {{type: string}}, t: {{type: string, pattern: '{pattern}'}}}}}}"
        )
    };
    // Catastrophic for an engine that backtracks.
    for pattern in ["^(a+)+$", "^(a|aa)+$", "^(a*)*b", "^([a-z]+)*[0-9]$"] {
        let set = contract(&with(pattern), "");
        let body = format!("{{\"id\":\"x\",\"t\":\"{}!\"}}", "a".repeat(5_000));
        let (verdict, steps) = update(&set, &body);
        assert_eq!(verdict.name(), "schema_violation", "{pattern}");
        assert!(steps < MAX_RECORD_STEPS / 100, "{pattern}: {steps}");
    }
    // What needs such an engine, and what is too large, is refused.
    for pattern in ["^(?=a)a", "^(a)\\1$", "(x{1000}){1000}"] {
        let text = contract_text(&with(pattern), "");
        let (_, diagnostics) = ContractSet::load(&[("c.yaml".into(), text)]);
        assert!(!diagnostics.is_empty(), "{pattern}");
    }
    // The larger a pattern, the more a string costs.
    let body = format!("{{\"id\":\"x\",\"t\":\"{}\"}}", "a".repeat(200_000));
    let small = update(&contract(&with("^a*$"), ""), &body);
    let large = update(&contract(&with("(a|b)*a(a|b|é){2000}c"), ""), &body);
    assert!(small.0.is_valid() && small.1 < MAX_RECORD_STEPS / 10, "{small:?}");
    assert_eq!(large.0.name(), "limit");
}

/// Patterns of which a string can keep many positions alive at once, with such a string.
const WIDE: &[(&str, &str)] = &[
    ("(?:x{1,50}){1,50}y", "x"),
    ("(?:[xz]{1,40}){1,40}y", "xz"),
    ("[xz]*x[xz]{1000}y", "xxz"),
    ("(?:(?:x?){30}x){30}y", "x"),
];

#[test]
fn a_match_is_paid_by_the_size_of_its_pattern_wherever_it_is() {
    let text_schema = "{type: object, properties: {id: {type: string}, t: {type: string}}}";
    for (pattern, unit) in WIDE {
        let text = unit.repeat(200_000 / unit.len());
        let body = format!("{{\"id\":\"x\",\"t\":\"{text}\"}}");
        // In a rule.
        let rule = format!("  - reject: r\n    when: state.t.matches('{pattern}')\n");
        let (verdict, _) = update(&contract(text_schema, &rule), &body);
        assert_eq!(verdict.name(), "limit", "{pattern}: {verdict:?}");
        // In a schema, for a value and for a name.
        let schema = format!(
            "{{type: object, properties: {{id: {{type: string}}, t: {{pattern: '{pattern}'}}}}}}"
        );
        let (verdict, _) = update(&contract(&schema, ""), &body);
        assert_eq!(verdict.name(), "limit", "{pattern}: {verdict:?}");
        let schema = format!(
            "{{type: object, properties: {{id: {{type: string}}}}, patternProperties: {{'{pattern}': {{}}}}}}"
        );
        let (verdict, _) =
            update(&contract(&schema, ""), &format!("{{\"id\":\"x\",\"{text}\":1}}"));
        assert_eq!(verdict.name(), "limit", "{pattern}: {verdict:?}");
        // In a mapping's expression and in paths, with a pattern that is written out or sent.
        let body = format!("{{\"s\":\"{text}\",\"l\":[\"{text}\"],\"p\":\"{pattern}\"}}");
        for field in [
            format!("  v: {{ expression: 'payload.s.matches(\"{pattern}\")' }}\n"),
            format!("  v: {{ path: '$.payload.l[?search(@, \"{pattern}\")]' }}\n"),
            format!("  v: {{ path: '$.payload.l[?match(@, \"{pattern}\")]' }}\n"),
            "  v: { path: '$.payload.l[?search(@, $.payload.p)]' }\n".to_owned(),
        ] {
            let refused = rejection(&mapping(&field, ""), &body);
            assert_eq!(refused.cause.name(), "limit", "{field}: {}", refused.message);
        }
    }
}

#[test]
fn short_texts_pay_for_large_patterns() {
    // Each is shorter than a step's worth of text.
    let texts = list(20_000, "\"xxxxxy\"");
    let body = format!("{{\"id\":\"x\",\"v\":{texts}}}");
    let schema = "{type: object, properties: {id: {type: string}, v: {items: {pattern: '(?:x{1,50}){1,50}y'}}}}";
    assert_eq!(update(&contract(schema, ""), &body).0.name(), "limit");
    // Many patterns look at one name.
    let patterns: Vec<String> = (0..100).map(|n| format!("'x{{1,200}}{n}': {{}}")).collect();
    let names: Vec<String> = (0..2_000).map(|n| format!("\"n{n}\":1")).collect();
    let schema = format!(
        "{{type: object, properties: {{id: {{type: string}}}}, patternProperties: {{{}}}}}",
        patterns.join(", ")
    );
    let body = format!("{{\"id\":\"x\",{}}}", names.join(","));
    assert_eq!(update(&contract(&schema, ""), &body).0.name(), "limit");
}

#[test]
fn usual_patterns_cost_few_steps() {
    let text_schema = "{type: object, properties: {id: {type: string}, t: {type: string}}}";
    for (pattern, text) in [
        ("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2024-05-28"),
        ("^[A-Z]{2}[0-9]{4}$", "AB1234"),
        ("^(open|closed|unknown)$", "unknown"),
        ("^[0-9A-F]{2}(:[0-9A-F]{2}){5}$", "00:1B:44:11:3A:B7"),
        ("^\\d+(\\.\\d+)?$", "21.5"),
    ] {
        let body = format!("{{\"id\":\"x\",\"t\":\"{text}\"}}");
        let rule = format!("  - reject: r\n    when: '!state.t.matches(r\"{pattern}\")'\n");
        let (verdict, steps) = update(&contract(text_schema, &rule), &body);
        assert!(verdict.is_valid() && steps < 100, "{pattern}: {steps} {verdict:?}");
        let schema = format!(
            "{{type: object, properties: {{id: {{type: string}}, t: {{pattern: '{pattern}'}}}}}}"
        );
        let (verdict, steps) = update(&contract(&schema, ""), &body);
        assert!(verdict.is_valid() && steps < 150, "{pattern}: {steps} {verdict:?}");
    }
}

#[test]
fn unique_items_are_found_by_order_and_not_by_hash() {
    let schema =
        "{type: object, properties: {id: {type: string}, v: {type: array, uniqueItems: true}}}";
    let set = contract(schema, "");
    // Lists that differ only in their brackets have one hash in some libraries.
    let element = |number: usize| {
        let bits = (0..11).map(|bit| if number >> bit & 1 == 1 { "[0]" } else { "[],[0]" });
        format!("[{}]", bits.collect::<Vec<_>>().join(","))
    };
    let elements: Vec<String> = (0..1_500).map(element).collect();
    let body = |elements: &[String]| format!("{{\"id\":\"x\",\"v\":[{}]}}", elements.join(","));
    let (verdict, steps) = update(&set, &body(&elements));
    assert!(verdict.is_valid(), "{verdict:?}");
    assert!(steps < MAX_RECORD_STEPS, "{steps}");
    let mut twice = elements[..1_000].to_vec();
    twice.push(elements[500].clone());
    assert_eq!(update(&set, &body(&twice)).0.name(), "schema_violation");
    for (values, unique) in [
        ("[1, 1.0]", false),
        ("[1, true, \"1\", [1], {\"a\": 1}, null]", true),
        ("[{\"a\": 1, \"b\": 2}, {\"b\": 2.0, \"a\": 1}]", false),
        ("[9007199254740992, 9007199254740993]", true),
        ("[]", true),
        ("[[1, 2], [2, 1]]", true),
        ("[{\"a\": []}, {\"a\": {}}]", true),
    ] {
        let (verdict, _) = update(&set, &format!("{{\"id\":\"x\",\"v\":{values}}}"));
        assert_eq!(verdict.is_valid(), unique, "{values}");
    }
}

#[test]
fn deleting_many_properties_is_paid_for() {
    let text = contract_text("{type: object, properties: {id: {type: string}}}", "")
        + "functions: {update: , deleteProperties: }\n";
    let (set, diagnostics) = ContractSet::load(&[("c.yaml".into(), text)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let names: Vec<String> = (0..20_000).map(|n| format!("\"p{n}\"")).collect();
    let state = format!("{{\"id\":\"x\",{}}}", names.join(":1,") + ":1");
    let mut view = MemoryState::new();
    let mut call = |function, arguments: &str, budget: &Budget| {
        let arguments = json::parse(arguments.as_bytes()).unwrap();
        let call = Call { function, arguments: &arguments, time_ms: 0 };
        let effects = set.execute_within("c", call, &view, budget);
        view.apply("c", &effects);
        effects.verdict
    };
    assert!(call(Function::Update, &state, &Budget::new()).is_valid());
    let budget = Budget::new();
    let few = format!("{{\"id\":\"x\",\"properties\":[{}]}}", names[..100].join(","));
    assert!(call(Function::DeleteProperties, &few, &budget).is_valid());
    assert!(budget.used() < MAX_RECORD_STEPS / 20, "{}", budget.used());
    let all = format!("{{\"id\":\"x\",\"properties\":[{}]}}", names[100..].join(","));
    let verdict = call(Function::DeleteProperties, &all, &Budget::of(1_000_000));
    assert_eq!(verdict.name(), "limit", "{verdict:?}");
}

/// A state of one asset, read from its bytes for each call, as from the disk.
struct OnDisk(Vec<u8>);

impl StateView for OnDisk {
    fn asset(&self, _: &str, _: &str) -> Option<Versioned> {
        let asset = Asset::from_bytes(&self.0).unwrap();
        Some(Versioned { version: 0, asset: Arc::new(asset) })
    }
}

#[test]
fn calls_pay_for_the_state_that_they_read_and_write() {
    let functions = "functions: {create: , update: , replace: , delete: , deleteProperties: }";
    let text = format!("{}{functions}\n", contract_text("{type: object}", ""));
    let (set, diagnostics) = ContractSet::load(&[("c.yaml".into(), text)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let fields = (0..20_000).map(|number| format!(",\"f{number}\":1")).collect::<String>();
    let large = json::parse(format!("{{\"id\":\"a\"{fields}}}").as_bytes()).unwrap();
    let small = json::parse(br#"{"id": "a"}"#).unwrap();
    let listed = json::parse(br#"{"id": "a", "properties": ["f1"]}"#).unwrap();
    let size = copy_steps(&large);
    let execute = |(function, arguments), view: &dyn StateView, budget: &Budget| {
        set.execute_within("c", Call { function, arguments, time_ms: 0 }, view, budget)
    };
    let mut state = MemoryState::new();
    let created = execute((Function::Create, &large), &state, &Budget::new());
    assert_eq!(created.verdict, Verdict::Valid);
    let bytes = created.writes[0].asset.as_ref().unwrap().to_bytes();
    state.apply("c", &created);

    // As many times the state as each call reads or writes it; also a call that fails reads it.
    for (function, arguments, times) in [
        (Function::Create, &small, 1),
        (Function::Update, &small, 2),
        (Function::Replace, &small, 1),
        (Function::DeleteProperties, &listed, 2),
        (Function::Delete, &small, 1),
    ] {
        let (budget, again) = (Budget::new(), Budget::new());
        execute((function, arguments), &state, &budget);
        let used = budget.used();
        assert!((times * size - 10..times * size + 500).contains(&used), "{function}: {used}");
        execute((function, arguments), &OnDisk(bytes.clone()), &again);
        assert_eq!(again.used(), used, "{function} on a state from the disk");
    }

    let budget = Budget::new();
    let calls = (0..1_000).map(|_| {
        let effects = execute((Function::Update, &small), &state, &budget);
        state.apply("c", &effects);
        effects.verdict
    });
    let (valid, refused): (Vec<_>, Vec<_>) = calls.partition(Verdict::is_valid);
    assert!((20..40).contains(&valid.len()), "{}", valid.len());
    let refused = &refused[0];
    assert_eq!(refused.name(), "limit", "{refused:?}");
    assert!(detail(refused).contains("the asset's state"), "{refused:?}");
}

#[test]
fn a_record_takes_the_same_steps_each_time_and_on_each_thread() {
    let rules = "  - derive: n\n    value: size(state.items.filter(x, x in [1, 2, 3]))\n";
    let schema = "{type: object, properties: {id: {type: string}, items: {type: array, items: \
                  {anyOf: [{type: integer}, {type: string, maxLength: 5}]}}}, patternProperties: {'^x': {type: integer}}}";
    let body = "{\"id\":\"x\",\"x1\":1,\"x2\":2,\"items\":[1,2,\"a\",3.5,\"b\"]}";
    let steps = || update(&contract(schema, rules), body);
    let first = steps();
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(steps)).collect();
    for other in others {
        assert_eq!(other.join().unwrap(), first);
    }
}

#[test]
fn the_transactions_of_a_record_share_one_budget_and_those_of_another_have_their_own() {
    let rules =
        "  - reject: r\n    when: state.items.exists(x, state.items.exists(y, x + y == 3))\n";
    let text = contract_text(OPEN, rules);
    let (contracts, _) = ContractSet::load(&[("c.yaml".into(), text.clone())]);
    let folder = ledger::folder();
    let opened = open(&ledger::opening(folder.path()), &mut |_, _| {}).unwrap();
    let world = Arc::new(ledger::caught_up(&opened.reader()));
    let (keys, clock) = (ledger::keys(), ledger::Ticks::new());
    let mut writer = opened.start(&keys, Arc::new(contracts), world, clock).unwrap();
    let contract = Definition {
        kind: DefinitionKind::Contract,
        name: "c".to_owned(),
        version: 1,
        text: text.into(),
    };
    let mut work = Work { definitions: vec![contract], ..Work::default() };
    writer.append(std::mem::take(&mut work)).unwrap().wait().unwrap();
    let body = format!("{{\"id\":\"x\",\"items\":{}}}", list(200, "1"));
    let transaction = |offset, output| {
        let arguments = Arguments::from_value(json::parse(body.as_bytes()).unwrap()).unwrap();
        let (function, mapping) = (Function::Update, Digest::default());
        let payload = Payload { contract: "c".into(), function, arguments, mapping };
        let id = SourcePosition { partition: ledger::partition(), offset, output };
        let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
        Transaction::new(id, (0, DeviceName::new("t", "x")), digests, payload)
    };
    let partition = ledger::partition();
    // One submission for each transaction, and one for all of them.
    for (from, each) in [(0, true), (2, false)] {
        let all = (from..from + 2).flat_map(|offset| (0..50).map(move |output| (offset, output)));
        let all: Vec<_> = all.map(|(offset, output)| transaction(offset, output)).collect();
        let sign =
            |some: Vec<Transaction>| Submission::sign(ledger::NAME, &ledger::submitter_key(), some);
        work.submissions = match each {
            true => all.into_iter().map(|one| sign(vec![one])).collect(),
            false => vec![sign(all)],
        };
        let (partition, next) = (partition.clone(), from + 2);
        let progress = Progress { partition, from, next, records: 2, last: None };
        work.progress = vec![progress];
        let receipts = writer.append(std::mem::take(&mut work)).unwrap().wait().unwrap();
        let verdicts: Vec<_> = receipts.iter().map(|receipt| receipt.verdict.name()).collect();
        let valid = verdicts.iter().take_while(|name| **name == "valid").count();
        assert!((2..49).contains(&valid), "{verdicts:?}");
        let one_record = [vec!["valid"; valid], vec!["limit"; 50 - valid]].concat();
        assert_eq!(verdicts, [one_record.clone(), one_record].concat());
    }
}

fn shipped(kind: &str) -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind);
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn the_shipped_examples_take_less_than_a_hundredth() {
    let (mappings, _) = MappingSet::from_texts(&shipped("mappings"));
    let (contracts, _) = ContractSet::load(&shipped("contracts"));
    let (mut most_mapping, mut most_calls, mut mapped) = (0, 0, 0);
    for example in mappings.mappings.iter().flat_map(|mapping| mapping.examples()) {
        let partition = SourcePartition::new(&example.topic, 0);
        let record = Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: example.timestamp_ms,
            key: example.key.as_deref().map(str::as_bytes),
            value: example.value.as_deref().map(str::as_bytes),
            headers: Headers::default(),
            damage: None,
        };
        let Ok(event) = Decoder::default().decode(&record) else { continue };
        let budget = Budget::new();
        let Outcome::Mapped(payloads) = mappings.evaluate_within(&event, &budget) else { continue };
        mapped += 1;
        most_mapping = most_mapping.max(budget.used());
        let budget = Budget::new();
        for payload in payloads {
            let arguments = payload.arguments.value();
            let call = Call { function: payload.function, arguments, time_ms: 0 };
            let view = MemoryState::new();
            let _ = contracts.execute_within(&payload.contract, call, &view, &budget);
        }
        most_calls = most_calls.max(budget.used());
    }
    println!("{mapped} records: mapping {most_mapping}, calls {most_calls} steps at most");
    assert!(mapped > 3 && most_mapping > 0 && most_calls > 0);
    assert!(most_mapping < MAX_RECORD_STEPS / 100, "{most_mapping}");
    assert!(most_calls < MAX_RECORD_STEPS / 100, "{most_calls}");
}
