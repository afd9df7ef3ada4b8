//! Contracts from text to effects: what loads, what each function does, what rules decide.

use std::path::Path;

use crate::codec::json::json;
use proptest::prelude::*;

use super::checks::any_fields;
use super::*;
use crate::diagnostic::{Diagnostic, Severity};
use crate::limits::{MAX_ASSET_KEY_BYTES, MAX_CONTRACT_RULES, MAX_STATE_BYTES};

/// Every function, an open state, an alert over a threshold that is itself part of the state.
const THRESHOLD: &str = r#"
contract: threshold
version: 3
key: assetID
state: {type: object, properties: {assetID: {type: string}, temperature: {type: number}}}
functions: {create: , update: , replace: , delete: , deleteProperties: }
rules:
  - {alert: OVERTEMP, raise_when: state.temperature > state.threshold, severity: critical}
"#;

/// The same with zero as the threshold, and a rule that rejects.
const ZERO: &str = r#"
contract: zero
version: 1
key: assetID
state:
  type: object
  properties:
    assetID: {type: string}
    temperature: {type: number}
    carrier: {type: string}
    extension: {type: object}
functions: {create: , update: , replace: {create_when_absent: true}, delete: , deleteProperties: }
rules:
  - {reject: too_hot, when: state.temperature > 1000, message: nothing is that hot}
  - {derive: highest, value: 'has(old_derived.highest) ? max(old_derived.highest, state.temperature) : state.temperature'}
  - {alert: OVERTEMP, raise_when: state.temperature > 0}
  - {alert: RISING, raise_when: state.temperature > old.temperature}
"#;

fn load(text: &str) -> (ContractSet, Vec<Diagnostic>) {
    ContractSet::load(&[(PathBuf::from("c.yaml"), text.to_owned())])
}

fn contract(text: &str) -> Contract {
    let (set, diagnostics) = load(text);
    assert!(diagnostics.is_empty(), "{}", shown(&diagnostics));
    set.into_contracts().next().unwrap()
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// A contract and the state that its calls make.
struct Bench {
    contract: Contract,
    state: MemoryState,
}

impl Bench {
    fn new(text: &str) -> Self {
        Self { contract: contract(text), state: MemoryState::new() }
    }

    fn call(&mut self, function: Function, arguments: &Value) -> Effects {
        let call = Call { function, arguments, time_ms: 0 };
        let effects = self.contract.execute(call, &self.state);
        self.state.apply(&self.contract.name, &effects);
        effects
    }

    fn asset(&self, key: &str) -> Option<Arc<Asset>> {
        self.state.asset(&self.contract.name, key).map(|found| found.asset)
    }

    /// `valid`, or the reason and its detail.
    fn verdict(&mut self, function: Function, arguments: &Value) -> String {
        match self.call(function, arguments).verdict {
            Verdict::Valid => "valid".to_owned(),
            Verdict::Invalid { code, detail } => format!("{}: {detail}", code.name()),
        }
    }

    /// Active, raised, cleared, and whether the asset is compliant.
    fn alerts(&self, key: &str) -> (String, String, String, bool) {
        let asset = self.asset(key).unwrap();
        let Alerts { active, raised, cleared } = &asset.alerts;
        (active.join(" "), raised.join(" "), cleared.join(" "), asset.compliant)
    }
}

fn check_alerts(bench: &Bench, key: &str, active: &str, raised: &str, cleared: &str) {
    let expected = (active.to_owned(), raised.to_owned(), cleared.to_owned(), active.is_empty());
    assert_eq!(bench.alerts(key), expected);
}

#[test]
fn acceptance_chain_with_a_threshold_in_the_state() {
    let mut bench = Bench::new(THRESHOLD);
    let create = json!({"assetID": "ASSET1", "threshold": 100});
    assert_eq!(bench.verdict(Function::Create, &create), "valid");
    check_alerts(&bench, "ASSET1", "", "", "");
    let update = json!({"assetID": "ASSET1", "temperature": 99});
    assert_eq!(bench.verdict(Function::Update, &update), "valid");
    check_alerts(&bench, "ASSET1", "", "", "");
    let expected = json!({"assetID": "ASSET1", "temperature": 99, "threshold": 100});
    assert_eq!(Value::Object(bench.asset("ASSET1").unwrap().state.clone()), expected);
    let update = json!({"assetID": "ASSET1", "temperature": 101});
    assert_eq!(bench.verdict(Function::Update, &update), "valid");
    check_alerts(&bench, "ASSET1", "OVERTEMP", "OVERTEMP", "");
    // The same again: active, and raised before.
    assert_eq!(bench.verdict(Function::Update, &update), "valid");
    check_alerts(&bench, "ASSET1", "OVERTEMP", "", "");
    // Without the threshold there is nothing to be over: clear.
    let delete = json!({"assetID": "ASSET1", "properties": ["threshold"]});
    assert_eq!(bench.verdict(Function::DeleteProperties, &delete), "valid");
    check_alerts(&bench, "ASSET1", "", "", "OVERTEMP");
}

#[test]
fn acceptance_chain_over_zero() {
    let mut bench = Bench::new(ZERO);
    let update = |temperature: i64| json!({"assetID": "A", "temperature": temperature});
    for (temperature, expected) in [
        (3, ("OVERTEMP", "OVERTEMP", "")),
        (-1, ("", "", "OVERTEMP")),
        (1, ("OVERTEMP RISING", "OVERTEMP RISING", "")),
    ] {
        assert_eq!(bench.verdict(Function::Update, &update(temperature)), "valid");
        check_alerts(&bench, "A", expected.0, expected.1, expected.2);
    }
    let before = bench.asset("A").unwrap();
    assert_eq!(
        bench.verdict(Function::Update, &update(2000)),
        "rejected: too_hot: nothing is that hot"
    );
    let text = json!({"assetID": "A", "temperature": "hot"});
    let violation = "schema_violation: temperature: \"hot\" is not of type \"number\"";
    assert_eq!(bench.verdict(Function::Update, &text), violation);
    assert_eq!(bench.asset("A").unwrap(), before);
    let extension = json!({"assetID": "A", "extension": {"x": 1, "y": 2}});
    assert_eq!(bench.verdict(Function::Update, &extension), "valid");
    let delete = json!({"assetID": "A", "properties": ["extension.x"]});
    assert_eq!(bench.verdict(Function::DeleteProperties, &delete), "valid");
    let asset = bench.asset("A").unwrap();
    assert_eq!(
        Value::Object(asset.state.clone()),
        json!({"assetID": "A", "temperature": 1, "extension": {"y": 2}})
    );
    assert_eq!(Value::Object(asset.derived.clone()), json!({"highest": 3}));
}

#[test]
fn rules_see_the_value_of_a_number_and_not_its_spelling() {
    let text = r#"
contract: c
version: 1
key: id
state: {}
rules:
  - {reject: odd, when: 'div(state.count, 2) * 2 != state.count', message: odd}
  - {derive: mean, value: (state.a + state.b) / 2}
  - {derive: label, value: 'string(state.count) + " of " + string(state.a)'}
  - {alert: LOW, raise_when: state.mv / 1000 < 3.3}
"#;
    for (state, low) in [
        (r#"{"id": "x", "count": 4, "a": 20, "b": 21, "mv": 3999}"#, ""),
        (r#"{"id": "x", "count": 4.0, "a": 20.0, "b": 21.0, "mv": 3999.0}"#, ""),
        (r#"{"id": "x", "count": 4e0, "a": 2e1, "b": 21, "mv": 3.299e3}"#, "LOW"),
        (r#"{"id": "x", "count": 4, "a": 20.00, "b": 2.1e1, "mv": 3299}"#, "LOW"),
    ] {
        let mut bench = Bench::new(text);
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!(bench.verdict(Function::Update, &state), "valid");
        check_alerts(&bench, "x", low, low, "");
        let derived = Value::Object(bench.asset("x").unwrap().derived.clone());
        assert_eq!(derived.to_string(), r#"{"label":"4 of 20","mean":20.5}"#);
    }
    let state = json!({"id": "x", "count": 4, "a": 1, "b": 2, "mv": 5});
    let text = text.replace("state.mv / 1000", "state.mv / state.count % 0.0");
    let mut bench = Bench::new(&text);
    let failed = "rule_failed: alert `LOW`: division by zero";
    assert_eq!(bench.verdict(Function::Update, &state), failed);
}

#[test]
fn functions_say_what_they_cannot_do() {
    let cases = [
        (ZERO, Function::Update, json!({"assetID": "A"}), "valid"),
        (ZERO, Function::Create, json!({"assetID": "A"}), "valid"),
        (ZERO, Function::Create, json!({"assetID": "HERE"}), "asset_exists: `HERE` exists"),
        (ZERO, Function::Replace, json!({"assetID": "A"}), "valid"),
        (THRESHOLD, Function::Replace, json!({"assetID": "A"}), "asset_absent: `A` does not exist"),
        (ZERO, Function::Delete, json!({"assetID": "A"}), "asset_absent: `A` does not exist"),
        (ZERO, Function::Delete, json!({"assetID": "HERE"}), "valid"),
        (
            ZERO,
            Function::DeleteProperties,
            json!({"assetID": "A", "properties": ["x"]}),
            "asset_absent: `A` does not exist",
        ),
        (ZERO, Function::Update, json!([]), "bad_arguments: the arguments are not an object"),
        (ZERO, Function::Update, json!({}), "bad_arguments: the asset's key `assetID` is absent"),
        (
            ZERO,
            Function::Update,
            json!({"assetID": null}),
            "bad_arguments: the asset's key `assetID` is neither a string nor an integer",
        ),
        (
            ZERO,
            Function::Update,
            json!({"assetID": ""}),
            "bad_arguments: the asset's key `assetID` is \"\": it takes 1 to 512 bytes without control characters",
        ),
        (
            ZERO,
            Function::Update,
            json!({"assetID": "a\u{0}b"}),
            "bad_arguments: the asset's key `assetID` is \"a\\0b\": it takes 1 to 512 bytes without control characters",
        ),
        (
            ZERO,
            Function::Update,
            json!({"assetID": 5}),
            "schema_violation: assetID: 5 is not of type \"string\"",
        ),
    ];
    for (text, function, arguments, expected) in cases {
        let mut bench = Bench::new(text);
        let here = json!({"assetID": "HERE", "temperature": 3});
        assert_eq!(bench.verdict(Function::Create, &here), "valid");
        assert_eq!(bench.verdict(function, &arguments), expected, "{function} {arguments}");
    }
    let long = json!({"assetID": "k".repeat(MAX_ASSET_KEY_BYTES + 1)});
    assert!(Bench::new(ZERO).verdict(Function::Update, &long).starts_with("bad_arguments"));
    let longest = json!({"assetID": "k".repeat(MAX_ASSET_KEY_BYTES)});
    assert_eq!(Bench::new(ZERO).verdict(Function::Update, &longest), "valid");
}

#[test]
fn functions_must_be_on_offer() {
    let text = "contract: c\nversion: 1\nkey: id\nstate: {}\n";
    let mut bench = Bench::new(text);
    for function in Function::ALL {
        let verdict = bench.verdict(function, &json!({"id": "x"}));
        let expected = match function {
            Function::Update => "valid".to_owned(),
            other => format!("unknown_function: contract `c` has no function `{other}`"),
        };
        assert_eq!(verdict, expected);
    }
}

#[test]
fn a_refusal_says_when_the_state_had_the_fault_before_the_call() {
    let mut bench = Bench::new(ZERO);
    bench.call(Function::Create, &json!({"assetID": "A", "temperature": 1, "carrier": "C"}));
    // What an earlier version took, a later one refuses.
    let short = ZERO.replace("carrier: {type: string}", "carrier: {type: string, maxLength: 0}");
    let cold = ZERO.replace("state.temperature > 1000", "state.temperature == 1");
    let before = " (the state had this before the call)";
    // One rule among others, which tells the sender what to do.
    let rule = |when: &str| {
        let rule = format!("  - {{reject: r, when: '{when}', message: m}}\n  - {{derive: highest,");
        ZERO.replacen("  - {derive: highest,", &rule, 1)
    };
    let flow = rule("arguments.flow > 100");
    let late = rule("time == 0 && state.temperature == 1");
    let function = rule("call == \"update\" && state.temperature == 1");
    let same = rule("state.temperature == old.temperature");
    let always = rule("true");
    let failing = rule("1 / (size(state.carrier) - 1) > 0");
    // Another rule refuses the old state first.
    let second = cold.replace(
        "  - {derive: highest,",
        "  - {reject: r, when: 'state.carrier == \"C\"'}\n  - {derive: highest,",
    );
    for (text, sends, is_of_before) in [
        (flow.as_str(), json!({"assetID": "A", "flow": 200}), false),
        (&late, json!({"assetID": "A", "carrier": "D"}), false),
        (&function, json!({"assetID": "A", "carrier": "D"}), false),
        (&same, json!({"assetID": "A", "carrier": "D"}), false),
        (&always, json!({"assetID": "A", "carrier": "D"}), false),
        (&failing, json!({"assetID": "A", "carrier": "D"}), true),
        (&second, json!({"assetID": "A", "temperature": 5}), true),
        (&short, json!({"assetID": "A", "temperature": 5}), true),
        (&short, json!({"assetID": "A", "carrier": "D"}), false),
        (&cold, json!({"assetID": "A", "carrier": "D"}), true),
        (ZERO, json!({"assetID": "A", "temperature": 2000}), false),
        (ZERO, json!({"assetID": "A", "carrier": 5}), false),
    ] {
        let contract = contract(text);
        let call = Call { function: Function::Update, arguments: &sends, time_ms: 0 };
        match contract.execute(call, &bench.state).verdict {
            Verdict::Valid => panic!("{sends} is taken"),
            Verdict::Invalid { detail, .. } => {
                assert_eq!(detail.ends_with(before), is_of_before, "{sends}: {detail}");
            }
        }
    }
}

#[test]
fn rules_may_compare_what_the_schema_leaves_open() {
    for (schema, condition) in [
        ("properties: {v: {anyOf: [{type: string}, {}]}}", "state.v > 5"),
        ("properties: {v: {oneOf: [{type: string}, {minimum: 3}]}}", "state.v > 5"),
        (
            "if: {properties: {p: {const: 1}}}, then: {properties: {q: {type: string}}}",
            "state.q > 5",
        ),
        ("properties: {w: {properties: {x: {type: number}}}}", "state.w == \"off\""),
        (
            "allOf: [{properties: {x: {}}}], unevaluatedProperties: false, properties: {id: {}}",
            "state.x > 5",
        ),
        ("$ref: '#/$defs/base', properties: {x: {type: number}}, $defs: {base: {}}", "state.x > 5"),
    ] {
        let text = format!(
            "contract: c\nversion: 1\nkey: id\nstate: {{type: object, {schema}}}\n\
             rules: [{{alert: A, raise_when: '{condition}'}}]\n"
        );
        let (_, diagnostics) = load(&text);
        assert!(diagnostics.is_empty(), "{text}\n{}", shown(&diagnostics));
    }
    // What no state can have is found all the same.
    for (schema, condition, message) in [
        ("properties: {v: {anyOf: [{type: string}, {type: 'null'}]}}", "state.v > 5", "a string"),
        (
            "allOf: [{properties: {x: {}}}], unevaluatedProperties: false, properties: {id: {}}",
            "state.y > 5",
            "has no `y`",
        ),
        (
            "$ref: '#/$defs/base', properties: {x: {}}, $defs: {base: {properties: {id: {}}, \
             additionalProperties: false}}",
            "state.x > 5",
            "has no `x`",
        ),
    ] {
        let text = format!(
            "contract: c\nversion: 1\nkey: id\nstate: {{type: object, {schema}}}\n\
             rules: [{{alert: A, raise_when: '{condition}'}}]\n"
        );
        let (_, diagnostics) = load(&text);
        assert!(shown(&diagnostics).contains(message), "{text}\n{}", shown(&diagnostics));
    }
}

#[test]
fn update_creates_unless_told_otherwise() {
    let text = "contract: c\nversion: 1\nkey: id\nstate: {}\nfunctions:\n  create:\n  update: {create_when_absent: false}\n";
    let mut bench = Bench::new(text);
    let arguments = json!({"id": "x"});
    assert_eq!(bench.verdict(Function::Update, &arguments), "asset_absent: `x` does not exist");
    assert_eq!(bench.verdict(Function::Create, &arguments), "valid");
    assert_eq!(bench.verdict(Function::Update, &arguments), "valid");
}

#[test]
fn keys_are_texts_or_integers_anywhere_in_the_arguments() {
    let text = "contract: c\nversion: 1\nkey: asset.id\nstate: {}\n";
    let cases = [
        (r#"{"asset": {"id": "x"}}"#, Some("x")),
        (r#"{"asset": {"id": 7}}"#, Some("7")),
        (r#"{"asset": {"id": -7}}"#, Some("-7")),
        (
            r#"{"asset": {"id": 123456789012345678901234567890}}"#,
            Some("123456789012345678901234567890"),
        ),
        (r#"{"asset": {"id": 7.0}}"#, None),
        (r#"{"asset": {"id": -0}}"#, None),
        (r#"{"asset": {"id": 1e3}}"#, None),
        (r#"{"asset": {"id": true}}"#, None),
        (r#"{"asset": "x"}"#, None),
        (r#"{"asset": ["x"]}"#, None),
    ];
    for (arguments, key) in cases {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let effects = Bench::new(text).call(Function::Update, &arguments);
        assert_eq!(effects.verdict.is_valid(), key.is_some(), "{arguments}");
        assert_eq!(effects.writes.first().map(|write| &*write.key), key, "{arguments}");
    }
}

#[test]
fn properties_are_deleted_by_path_but_for_the_key() {
    let text = "contract: c\nversion: 1\nkey: asset.id\nstate: {}\nfunctions: {update: , deleteProperties: }\n";
    let start = json!({"asset": {"id": "x", "kind": "k"}, "a": {"b": {"c": 1}, "d": 2}, "dotted.name": 1, "n": null});
    let cases = [
        (json!(["a.b.c"]), "valid", json!({"b": {}, "d": 2})),
        (json!(["a.b", "a.d"]), "valid", json!({})),
        (json!(["a.b", "a.b.c"]), "valid", json!({"d": 2})),
        (json!(["a.b.c", "a.b.c"]), "valid", json!({"b": {}, "d": 2})),
        (json!([["dotted.name"], "n", "asset.kind"]), "valid", json!({"b": {"c": 1}, "d": 2})),
        (json!(["a.x"]), "bad_path: the state has no `a.x`", json!({"b": {"c": 1}, "d": 2})),
        (json!(["a.d", "a.x"]), "bad_path: the state has no `a.x`", json!({"b": {"c": 1}, "d": 2})),
        (
            json!(["asset.id"]),
            "bad_path: `asset.id` contains the asset's key",
            json!({"b": {"c": 1}, "d": 2}),
        ),
        (
            json!(["asset"]),
            "bad_path: `asset` contains the asset's key",
            json!({"b": {"c": 1}, "d": 2}),
        ),
        (json!([""]), "bad_path: the state has no ``", json!({"b": {"c": 1}, "d": 2})),
        (json!([]), "bad_arguments: `properties` names nothing", json!({"b": {"c": 1}, "d": 2})),
        (
            json!("a"),
            "bad_arguments: `properties` is not a list of dotted paths",
            json!({"b": {"c": 1}, "d": 2}),
        ),
        (
            json!([1]),
            "bad_arguments: `properties` is not a list of dotted paths",
            json!({"b": {"c": 1}, "d": 2}),
        ),
        (
            json!([[]]),
            "bad_arguments: `properties` is not a list of dotted paths",
            json!({"b": {"c": 1}, "d": 2}),
        ),
    ];
    for (properties, expected, a) in cases {
        let mut bench = Bench::new(text);
        bench.call(Function::Update, &start);
        let arguments = json!({"asset": {"id": "x"}, "properties": properties});
        assert_eq!(bench.verdict(Function::DeleteProperties, &arguments), expected, "{properties}");
        let asset = bench.asset("x").unwrap();
        assert_eq!(asset.state["a"], a, "{properties}");
        assert_eq!(asset.state["asset"]["id"], json!("x"));
    }
    let mut bench = Bench::new(text);
    bench.call(Function::Update, &start);
    let arguments = json!({"asset": {"id": "x"}, "properties": ["a"], "temperature": 5});
    let expected = "bad_arguments: `temperature` is not an argument of deleteProperties";
    assert_eq!(bench.verdict(Function::DeleteProperties, &arguments), expected);
}

#[test]
fn deletion_is_a_write_and_a_new_life_starts_clean() {
    let mut bench = Bench::new(ZERO);
    bench.call(Function::Update, &json!({"assetID": "A", "temperature": 5}));
    bench.call(Function::Update, &json!({"assetID": "B", "temperature": 5}));
    bench.call(Function::Update, &json!({"assetID": "A", "temperature": 6}));
    let effects = bench.call(Function::Delete, &json!({"assetID": "A"}));
    let [write] = effects.writes.as_slice() else { panic!("one write") };
    assert_eq!((&*write.key, write.asset.is_none(), write.replaced), ("A", true, Some(2)));
    assert!(bench.asset("A").is_none() && bench.asset("B").is_some());
    let effects = bench.call(Function::Create, &json!({"assetID": "A", "temperature": 1}));
    assert_eq!(effects.writes[0].replaced, None);
    check_alerts(&bench, "A", "OVERTEMP", "OVERTEMP", "");
    assert_eq!(bench.asset("A").unwrap().derived["highest"], json!(1));
}

#[test]
fn replace_forgets_the_state_but_not_what_was_active() {
    let mut bench = Bench::new(ZERO);
    bench.call(Function::Update, &json!({"assetID": "A", "temperature": 5, "carrier": "C"}));
    assert_eq!(bench.verdict(Function::Replace, &json!({"assetID": "A"})), "valid");
    assert_eq!(Value::Object(bench.asset("A").unwrap().state.clone()), json!({"assetID": "A"}));
    check_alerts(&bench, "A", "", "", "OVERTEMP");
    // Nothing measures a highest temperature now: the field is absent, not stale.
    assert!(bench.asset("A").unwrap().derived.is_empty());
}

#[test]
fn what_a_contract_computes_is_out_of_reach() {
    let mut bench = Bench::new(ZERO);
    let forged = json!({
        "assetID": "A", "temperature": 5, "compliant": true,
        "alerts": {"active": [], "raised": ["X"], "cleared": ["OVERTEMP"]},
        "derived": {"highest": 99},
    });
    assert_eq!(bench.verdict(Function::Update, &forged), "valid");
    check_alerts(&bench, "A", "OVERTEMP", "OVERTEMP", "");
    let asset = bench.asset("A").unwrap();
    assert_eq!(Value::Object(asset.derived.clone()), json!({"highest": 5}));
    // It is the device's own state and nothing else.
    assert_eq!(asset.state["alerts"]["cleared"], json!(["OVERTEMP"]));
    for property in ["alerts.active", "compliant", "derived"] {
        let delete = json!({"assetID": "A", "properties": [property]});
        assert_eq!(bench.verdict(Function::DeleteProperties, &delete), "valid");
        assert_eq!(bench.asset("A").unwrap().alerts.active, ["OVERTEMP"]);
    }
}

#[test]
fn a_wrong_type_is_a_failed_rule_and_changes_nothing() {
    let text = "contract: c\nversion: 1\nkey: id\nstate: {}\nrules:\n  - {alert: HOT, raise_when: state.t > 5}\n  - {derive: d, value: state.t * 2}\n";
    let mut bench = Bench::new(text);
    bench.call(Function::Update, &json!({"id": "x", "t": 6}));
    let expected = "rule_failed: derive `d`: `*` takes numbers, this is a string";
    assert_eq!(bench.verdict(Function::Update, &json!({"id": "x", "t": "hot"})), expected);
    assert_eq!(bench.asset("x").unwrap().state["t"], json!(6));
    check_alerts(&bench, "x", "HOT", "HOT", "");
    let text = "contract: c\nversion: 1\nkey: id\nstate: {}\nrules:\n  - {alert: HOT, raise_when: state.t > 5}\n  - {reject: r, when: state.t}\n";
    let mut bench = Bench::new(text);
    let expected = "rule_failed: reject `r`: a condition is true or false, this is a number";
    assert_eq!(bench.verdict(Function::Update, &json!({"id": "x", "t": 6})), expected);
    let beyond: Value = serde_json::from_str(r#"{"id": "x", "t": 99999999999999999999}"#).unwrap();
    let expected = "rule_failed: reject `r`: `state.t` is 99999999999999999999, which neither a \
                    64-bit integer nor a double can hold exactly";
    assert_eq!(bench.verdict(Function::Update, &beyond), expected);
    assert!(bench.asset("x").is_none());
}

#[test]
fn a_rule_without_its_field_has_a_defined_answer() {
    let text = r#"
contract: c
version: 1
key: id
state: {}
rules:
  - {reject: low, when: state.level < 3, message: too low}
  - {derive: half, value: state.level / 2}
  - {derive: none, value: 'has(state.level) ? null : 1'}
  - {derive: deep.er, value: derived.half + 1}
  - {alert: HIGH, raise_when: derived.half > 10}
  - {alert: STAYS, raise_when: state.level > 10, clear_when: state.level < 5}
"#;
    let mut bench = Bench::new(text);
    let derived = |bench: &Bench| Value::Object(bench.asset("x").unwrap().derived.clone());
    assert_eq!(bench.verdict(Function::Update, &json!({"id": "x"})), "valid");
    assert_eq!(derived(&bench), json!({"none": 1}));
    for (level, active, raised, cleared) in [
        (22, "HIGH STAYS", "HIGH STAYS", ""),
        (8, "STAYS", "", "HIGH"),
        (4, "", "", "STAYS"),
        (8, "", "", ""),
        (30, "HIGH STAYS", "HIGH STAYS", ""),
    ] {
        assert_eq!(bench.verdict(Function::Update, &json!({"id": "x", "level": level})), "valid");
        assert_eq!(derived(&bench), json!({"half": level / 2, "deep": {"er": level / 2 + 1}}));
        check_alerts(&bench, "x", active, raised, cleared);
    }
    assert_eq!(
        bench.verdict(Function::Update, &json!({"id": "x", "level": 2})),
        "rejected: low: too low"
    );
    let text = format!("{text}functions: {{update: , replace: }}\n");
    let mut bench = Bench::new(&text);
    bench.call(Function::Update, &json!({"id": "x", "level": 30}));
    bench.call(Function::Replace, &json!({"id": "x"}));
    check_alerts(&bench, "x", "", "", "HIGH STAYS");
}

#[test]
fn rules_see_the_call() {
    let text = r#"
contract: c
version: 1
key: id
state: {}
constants: {limit: {low: 2.5}}
functions: {create: , update: , delete: , deleteProperties: }
rules:
  - {reject: sealed, when: 'call == "delete" && old.sealed', message: it is sealed}
  - {reject: backwards, when: time < old.time && has(arguments.time)}
  - {derive: seen.first, value: 'has(old_derived.seen.first) ? old_derived.seen.first : time'}
  - {derive: seen.count, value: 'has(old_derived.seen.count) ? old_derived.seen.count + 1 : 1'}
  - {derive: sent, value: size(arguments)}
  - {alert: LOW, raise_when: state.level < constants.limit.low}
"#;
    let contract = contract(text);
    let mut state = MemoryState::new();
    let mut call = |function, arguments: Value, time_ms| {
        let effects = contract.execute(Call { function, arguments: &arguments, time_ms }, &state);
        state.apply("c", &effects);
        let asset = effects.writes.first().and_then(|write| write.asset.clone());
        (effects.verdict.name(), asset.map(|asset| Value::Object(asset.derived.clone())))
    };
    let first = call(Function::Create, json!({"id": "x", "sealed": true, "level": 2.4}), 1_000);
    assert_eq!(first, ("valid", Some(json!({"seen": {"first": 1000, "count": 1}, "sent": 3}))));
    let second = call(Function::Update, json!({"id": "x", "time": 5_000}), 5_000);
    assert_eq!(second, ("valid", Some(json!({"seen": {"first": 1000, "count": 2}, "sent": 2}))));
    assert_eq!(
        call(Function::Update, json!({"id": "x", "time": 4_000}), 4_000),
        ("rejected", None)
    );
    assert_eq!(call(Function::Delete, json!({"id": "x"}), 6_000), ("rejected", None));
    let unseal = json!({"id": "x", "properties": ["sealed"]});
    assert_eq!(call(Function::DeleteProperties, unseal, 6_000).0, "valid");
    assert_eq!(call(Function::Delete, json!({"id": "x"}), 6_000), ("valid", None));
}

#[test]
fn alerts_of_an_earlier_contract_are_cleared() {
    let mut old = Bench::new(&ZERO.replace("contract: zero", "contract: c"));
    old.call(Function::Update, &json!({"assetID": "A", "temperature": 5}));
    let text = "contract: c\nversion: 2\nkey: assetID\nstate: {}\nrules:\n  - {alert: A_NEW, raise_when: 'true'}\n";
    let mut bench = Bench { contract: contract(text), state: old.state };
    bench.call(Function::Update, &json!({"assetID": "A"}));
    check_alerts(&bench, "A", "A_NEW", "A_NEW", "OVERTEMP");
    bench.call(Function::Update, &json!({"assetID": "A"}));
    check_alerts(&bench, "A", "A_NEW", "", "");
}

#[test]
fn nulls_are_values_unless_declared() {
    let update = json!({"id": "x", "a": null, "b": {"c": null, "d": 1}});
    for (option, expected) in [
        ("{}", json!({"id": "x", "a": null, "b": {"c": null, "d": 1}})),
        ("{null_deletes: true}", json!({"id": "x", "b": {"d": 1}})),
    ] {
        let text = format!(
            "contract: c\nversion: 1\nkey: id\nstate: {{}}\nfunctions: {{update: {option}}}\n"
        );
        let mut bench = Bench::new(&text);
        bench.call(Function::Update, &json!({"id": "x", "a": 1, "b": {"c": 1}}));
        bench.call(Function::Update, &update);
        assert_eq!(Value::Object(bench.asset("x").unwrap().state.clone()), expected, "{option}");
    }
}

#[test]
fn states_are_bounded() {
    let text = "contract: c\nversion: 1\nkey: id\nstate: {}\nrules:\n  - {derive: copy, value: state.text}\n";
    let mut bench = Bench::new(text);
    let of_bytes = |bytes: usize| json!({"id": "x", "text": "x".repeat(bytes)});
    assert_eq!(bench.verdict(Function::Update, &of_bytes(MAX_STATE_BYTES / 2 - 100)), "valid");
    // The state alone would fit; with what is derived of it, it does not.
    let verdict = bench.verdict(Function::Update, &of_bytes(MAX_STATE_BYTES / 2 + 1));
    assert!(verdict.starts_with("state_too_large"), "{verdict}");
    let more = json!({"id": "x", "other": "y".repeat(MAX_STATE_BYTES)});
    let verdict = bench.verdict(Function::Update, &more);
    assert!(verdict.starts_with("state_too_large"), "{verdict}");
    assert_eq!(bench.asset("x").unwrap().state.len(), 2);
}

#[test]
fn numbers_of_the_state_are_kept_as_they_were_sent() {
    let mut bench = Bench::new("contract: c\nversion: 1\nkey: id\nstate: {}\n");
    let text = r#"{"a":9007199254740993,"b":0.1000,"c":1.0,"d":18446744073709551615,"id":"x"}"#;
    let arguments: Value = serde_json::from_str(text).unwrap();
    bench.call(Function::Update, &arguments);
    bench.call(Function::Update, &json!({"id": "x", "e": 1}));
    let asset = bench.asset("x").unwrap();
    let state = serde_json::to_string(&asset.state).unwrap();
    assert_eq!(
        state,
        format!("{},\"e\":1,\"id\":\"x\"}}", text.strip_suffix(",\"id\":\"x\"}").unwrap())
    );
    assert_eq!(Asset::from_bytes(&asset.to_bytes()).unwrap(), *asset);
}

fn check_diagnostics(cases: &[(String, u64, &str)]) {
    for (text, line, message) in cases {
        let (_, diagnostics) = load(text);
        let found = diagnostics.iter().any(|diagnostic| {
            let here = diagnostic.severity == Severity::Error && diagnostic.place.line == *line;
            here && diagnostic.message.contains(message)
        });
        assert!(found, "{text}\n{message} at line {line}:\n{}", shown(&diagnostics));
    }
}

const BASE: &str = "contract: c\nversion: 1\nkey: id\n";
const CLOSED: &str = "state: {properties: {id: {type: string}, level: {type: number}}, \
                      additionalProperties: false}\n";

#[test]
fn faults_have_their_place() {
    let cases = [
        (BASE.to_owned(), 3, "missing field `state`"),
        (format!("{BASE}state: {{}}\nrulez: []\n"), 5, "rulez"),
        (
            format!("{BASE}state: {{type: objekt}}\n"),
            4,
            "the state schema cannot be used (at `state.type`)",
        ),
        (format!("{BASE}state: {{$ref: 'https://example.com/s'}}\n"), 4, "not fetched"),
        (format!("{BASE}{CLOSED}functions: {{upsert: }}\n"), 5, "upsert"),
        (format!("{BASE}{CLOSED}functions: {{}}\n"), 1, "`functions` offers nothing"),
        (
            format!("{BASE}{CLOSED}functions: {{delete: {{null_deletes: true}}}}\n"),
            1,
            "`delete` has no option",
        ),
        (
            "contract: 'a b'\nversion: 0\nkey: id\nstate: {}\n".to_owned(),
            1,
            "a contract's name cannot be `a b`",
        ),
        ("contract: a\nversion: 0\nkey: id\nstate: {}\n".to_owned(), 2, "versions start at 1"),
        (
            "contract: a\nversion: 1\nkey: id..x\nstate: {}\n".to_owned(),
            3,
            "`id..x` is not a dotted name",
        ),
        (
            format!("contract: a\nversion: 1\nkey: idd\n{CLOSED}"),
            3,
            "the state schema has no `idd`",
        ),
        (
            format!("contract: a\nversion: 1\nkey: level\n{CLOSED}"),
            3,
            "the key `level` is neither a string nor an integer",
        ),
    ];
    check_diagnostics(&cases);
}

#[test]
fn faults_of_rules_and_tests_have_their_place() {
    let rule = |rule: &str| format!("{BASE}{CLOSED}rules:\n  - {rule}\n");
    let cases = [
        (rule("{alert: A}"), 6, "rule `A` has no `raise_when`"),
        (
            rule("{alert: A, raise_when: state.level >}"),
            6,
            "rule `A`: the expression ends too early",
        ),
        (
            rule("{alert: A, raise_when: stat.level > 1}"),
            6,
            "there is no variable `stat`; did you mean `state`?",
        ),
        (rule("{alert: A, raise_when: state.lvl > 1}"), 6, "the state schema has no `lvl`"),
        (rule("{alert: A, raise_when: state.level.x > 1}"), 6, "the state schema has no `level.x`"),
        (rule("{alert: A, raise_when: arguments.lvl > 1}"), 6, "the state schema has no `lvl`"),
        (rule("{alert: A, raise_when: constants.limit > 1}"), 6, "there is no constant `limit`"),
        (rule("{alert: A, raise_when: derived.x > 1}"), 6, "no earlier rule derives `x`"),
        (rule("{reject: A, when: derived.x > 1}"), 6, "there is no variable `derived`"),
        (
            rule("{alert: A, raise_when: state.id > 5}"),
            6,
            "a string and a number cannot be compared",
        ),
        (
            rule("{alert: A, raise_when: state.level + 1}"),
            6,
            "`raise_when` must be true or false, this is a number",
        ),
        (
            rule("{derive: t, value: state.id.trim()}\n  - {alert: A, raise_when: derived.t > 1}"),
            7,
            "a string and a number cannot be compared",
        ),
        (rule("{reject: A, when: time == call}"), 6, "a number and a string are never equal"),
        (rule("{alert: A, reject: B, when: 'true'}"), 6, "a rule is one of"),
        (rule("{reject: A, when: 'true', severity: info}"), 6, "`severity` does not belong"),
        (
            rule("{alert: A, raise_when: 'true'}\n  - {alert: A, raise_when: 'true'}"),
            7,
            "duplicate rule name `A`",
        ),
        (
            rule("{derive: a, value: 1 + 1}\n  - {derive: a.b, value: 1 + 1}"),
            7,
            "cannot both be derived",
        ),
        (rule("{alert: A, raise_when: 'true', severity: fatal}"), 6, "fatal"),
        (format!("{BASE}{CLOSED}tests:\n  - {{name: n, steps: []}}\n"), 6, "the test has no steps"),
        (
            format!(
                "{BASE}{CLOSED}tests:\n  - name: n\n    steps:\n      - {{call: create, arguments: {{}}}}\n"
            ),
            8,
            "has no function `create`",
        ),
        (
            format!(
                "{BASE}{CLOSED}tests:\n  - name: n\n    steps:\n      - {{call: update, arguments: {{}}, expect: {{verdict: regected}}}}\n"
            ),
            8,
            "there is no verdict `regected`",
        ),
        (format!("{BASE}{CLOSED}---\n{BASE}{CLOSED}"), 6, "duplicate contract `c`, also in c.yaml"),
        ("# nothing\n".to_owned(), 1, "the file contains no contract"),
        ("contract: [".to_owned(), 1, ""),
    ];
    check_diagnostics(&cases);
}

#[test]
fn columns_lead_into_expressions() {
    let text = "contract: c\nversion: 1\nkey: id\nstate: {properties: {id: {}, level: {}}, additionalProperties: false}\nrules:\n  - alert: A\n    raise_when: |\n      state.level > 1 &&\n        state.levle < 5\n";
    let (_, diagnostics) = load(text);
    let [diagnostic] = diagnostics.as_slice() else { panic!("{}", shown(&diagnostics)) };
    assert_eq!((diagnostic.place.line, diagnostic.place.column), (9, 9), "{diagnostic}");
    assert_eq!(diagnostic.help, "did you mean `level`?");
}

#[test]
fn a_likely_slip_in_an_open_schema_is_a_warning() {
    let text = |field: &str| {
        format!(
            "contract: c\nversion: 1\nkey: id\nstate: {{properties: {{id: {{}}, temperature: {{}}}}}}\nrules:\n  - {{alert: A, raise_when: state.{field} > 1}}\n"
        )
    };
    let (set, diagnostics) = load(&text("temprature"));
    assert_eq!((set.len(), diagnostics.len(), diagnostics[0].severity), (1, 1, Severity::Warning));
    assert!(load(&text("pressure")).1.is_empty());
}

#[test]
fn rules_are_bounded() {
    let rules = |n: usize| {
        let rules: String =
            (0..n).map(|n| format!("  - {{alert: A{n}, raise_when: 'true'}}\n")).collect();
        load(&format!("contract: c\nversion: 1\nkey: id\nstate: {{}}\nrules:\n{rules}")).1.len()
    };
    assert_eq!((rules(MAX_CONTRACT_RULES), rules(MAX_CONTRACT_RULES + 1)), (0, 1));
}

#[test]
fn each_document_is_a_definition_of_its_own() {
    let one = "contract: one\nversion: 1\nkey: id\nstate: {}\n";
    let two = "contract: two\nversion: 2\nkey: id\nstate: {}\n";
    let (set, diagnostics) = load(&format!("# both\n---\n{one}---\n{two}"));
    assert!(diagnostics.is_empty());
    for (name, text) in [("one", one), ("two", two)] {
        let contract = set.get(name).unwrap();
        assert_eq!((&*contract.text, contract.digest), (text, Digest::of(text.as_bytes())));
    }
}

#[test]
fn tests_in_files_run_and_show_differences() {
    let text = format!(
        "{ZERO}{}",
        r#"
tests:
  - name: holds
    steps:
      - {call: update, arguments: {assetID: A, temperature: 5.0},
         expect: {state: {assetID: A, temperature: 5}, compliant: false, derived: {highest: 5},
                  alerts: {active: [OVERTEMP], raised: [OVERTEMP], cleared: []}}}
      - {call: update, arguments: {assetID: A, temperature: 5000}, expect: {verdict: rejected, detail: too_hot}}
      - {call: delete, arguments: {assetID: A}, expect: {exists: false}}
  - name: wrong state
    steps:
      - {call: update, arguments: {assetID: A, temperature: 5}}
      - {call: update, arguments: {assetID: A, carrier: X}, expect: {state: {assetID: A, temperature: 6, carrier: X}}}
  - name: wrong verdict
    steps: [{call: delete, arguments: {assetID: A}}]
  - name: wrong alerts
    steps: [{call: update, arguments: {assetID: A, temperature: 5}, expect: {alerts: {active: []}}}]
  - name: wrong existence
    steps: [{call: update, arguments: {assetID: A}, expect: {exists: false}}]
"#
    );
    let results = contract(&text).run_tests();
    let names: Vec<_> = results.iter().map(|r| (r.test.as_str(), r.failure.is_none())).collect();
    assert_eq!(
        names,
        [
            ("holds", true),
            ("wrong state", false),
            ("wrong verdict", false),
            ("wrong alerts", false),
            ("wrong existence", false)
        ]
    );
    let failure = |index: usize| results[index].failure.clone().unwrap();
    assert!(failure(1).contains("step 2 (line"), "{}", failure(1));
    assert!(
        failure(1).contains("-     \"temperature\": 6\n  +     \"temperature\": 5"),
        "{}",
        failure(1)
    );
    assert!(
        failure(2).contains("asset_absent: `A` does not exist; expected valid"),
        "{}",
        failure(2)
    );
    assert!(failure(3).contains("+     \"OVERTEMP\""), "{}", failure(3));
    assert!(failure(4).contains("the asset exists"), "{}", failure(4));
    assert_eq!(
        (results[1].definition.as_str(), results[1].file.as_path()),
        ("zero", Path::new("c.yaml"))
    );
}

#[test]
fn numbers_of_a_file_keep_their_digits() {
    let text = r#"
contract: c
version: 1
key: id
state: {properties: {n: {maximum: 9007199254740993}}}
constants: {one: 1.10, big: 12345678901234567890}
rules:
  - {derive: big, value: constants.big}
tests:
  - name: exact
    steps:
      - call: update
        arguments: {id: x, n: 9007199254740993, m: 0.1000000000000000000001}
        expect:
          state: {id: x, n: 9007199254740993, m: 0.1000000000000000000001}
          derived: {big: 12345678901234567890}
      - call: update
        arguments: {id: x, n: 9007199254740994}
        expect: {verdict: schema_violation}
      - call: update
        arguments: {id: x, n: 9007199254740992}
        expect: {state: {id: x, n: 9007199254740993, m: 0.1000000000000000000001}}
"#;
    let contract = contract(text);
    assert_eq!(contract.constants["one"].to_string(), "1.10");
    let failure = contract.run_tests()[0].failure.clone().unwrap();
    // The last expectation is off by one, and shown so.
    assert!(failure.starts_with("step 3"), "{failure}");
    assert!(failure.contains("9007199254740992"), "{failure}");
}

#[test]
fn samples_are_valid_calls() {
    let contract = contract(ZERO);
    let samples = contract.samples();
    assert_eq!(samples.len(), Function::ALL.len());
    let schemas = contract.schemas();
    for ((function, sample), (same, schema)) in samples.iter().zip(&schemas) {
        assert_eq!(function, same);
        let validator = jsonschema::draft202012::new(schema).unwrap();
        assert!(validator.is_valid(&sample.into()), "{function}: {sample} against {schema}");
        let mut state = MemoryState::new();
        if *function != Function::Create {
            let whole = &samples[0].1;
            let call = Call { function: Function::Create, arguments: whole, time_ms: 0 };
            state.apply("zero", &contract.execute(call, &state));
        }
        let call = Call { function: *function, arguments: sample, time_ms: 0 };
        let verdict = contract.execute(call, &state).verdict;
        assert!(verdict.is_valid(), "{function} {sample}: {verdict:?}");
    }
}

#[test]
fn the_form_has_a_schema_that_its_examples_meet() {
    let schema = json_schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for text in [THRESHOLD, ZERO] {
        let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        assert!(validator.is_valid(&value), "{:?}", validator.iter_errors(&value).next());
    }
    assert!(!validator.is_valid(&serde_json::json!({"contract": "c"})));
}

fn any_function() -> impl Strategy<Value = Function> {
    prop::sample::select(Function::ALL.to_vec())
}

/// Arguments of any form, most of them with a key.
fn any_arguments() -> impl Strategy<Value = Value> {
    let key = prop_oneof![Just(json!("A")), Just(json!("B")), Just(json!(7)), Just(json!(""))];
    let properties = prop::collection::vec(
        prop::sample::select(vec![
            "a",
            "a.b",
            "alerts",
            "assetID",
            "temperature",
            "derived.highest",
        ]),
        0..3,
    );
    (any_fields(), prop::option::weighted(0.9, key), prop::option::weighted(0.3, properties))
        .prop_map(|(mut fields, key, properties)| {
            if let Some(properties) = properties {
                fields = crate::codec::json::Map::new();
                fields.insert("properties".to_owned(), json!(properties));
            }
            if let Some(key) = key {
                fields.insert("assetID", key);
            }
            Value::Object(fields)
        })
}

proptest! {
    #[test]
    fn execution_is_deterministic_and_an_invalid_verdict_writes_nothing(
        calls in prop::collection::vec((any_function(), any_arguments(), any::<i64>()), 1..12),
        open in any::<bool>(),
    ) {
        let contract = contract(if open { THRESHOLD } else { ZERO });
        let mut state = MemoryState::new();
        for (function, arguments, time_ms) in &calls {
            let call = Call { function: *function, arguments, time_ms: *time_ms };
            let effects = contract.execute(call, &state);
            let again = contract.execute(call, &state);
            prop_assert_eq!(format!("{effects:?}"), format!("{again:?}"));
            prop_assert_eq!(effects.verdict.is_valid(), effects.writes.len() == 1);
            for write in &effects.writes {
                prop_assert!(!write.key.is_empty() && write.key.len() <= MAX_ASSET_KEY_BYTES);
                let before = state.asset(&contract.name, &write.key);
                prop_assert_eq!(write.replaced, before.map(|before| before.version));
                if let Some(asset) = &write.asset {
                    prop_assert_eq!(asset.compliant, asset.alerts.active.is_empty());
                    let bytes = asset.to_bytes();
                    prop_assert_eq!(&Asset::from_bytes(&bytes).unwrap(), asset.as_ref());
                }
            }
            state.apply(&contract.name, &effects);
        }
    }

    /// The table of the module's documentation, for random histories.
    #[test]
    fn alerts_follow_their_table(levels in prop::collection::vec(prop::option::of(-5_i64..5), 1..20)) {
        let mut bench = Bench::new(ZERO);
        let mut active = false;
        for level in levels {
            let arguments = match level {
                Some(level) => json!({"assetID": "A", "temperature": level}),
                None => json!({"assetID": "A"}),
            };
            // A replacement without temperature lacks the rule's field.
            bench.call(Function::Replace, &arguments);
            let raise = level.is_some_and(|level| level > 0);
            let alerts = bench.asset("A").unwrap().alerts.clone();
            let has = |names: &[String]| names.iter().any(|name| name == "OVERTEMP");
            prop_assert_eq!(has(&alerts.active), raise);
            prop_assert_eq!(has(&alerts.raised), raise && !active);
            prop_assert_eq!(has(&alerts.cleared), !raise && active);
            active = raise;
        }
    }

    /// Whatever else a device sends, what is computed depends on the rules' fields alone.
    #[test]
    fn computed_fields_are_out_of_reach(sent in any_fields(), temperature in -5_i64..5) {
        let mut clean = Bench::new(ZERO);
        let mut forged = Bench::new(ZERO);
        for value in [3, temperature] {
            let arguments = json!({"assetID": "A", "temperature": value});
            clean.call(Function::Update, &arguments);
            let mut fields = sent.clone();
            for (name, value) in arguments.as_object().unwrap() {
                fields.insert(name.clone(), value.clone());
            }
            let effects = forged.call(Function::Update, &Value::Object(fields));
            prop_assert!(effects.verdict.is_valid(), "{:?}", effects.verdict);
        }
        let (clean, forged) = (clean.asset("A").unwrap(), forged.asset("A").unwrap());
        prop_assert_eq!(&clean.alerts, &forged.alerts);
        prop_assert_eq!(&clean.derived, &forged.derived);
        prop_assert_eq!(clean.compliant, forged.compliant);
    }

    #[test]
    fn no_text_panics_the_compiler(text in "\\PC{0,200}", at in 0_usize..400, put in "[\\[\\]{}:,'\"a-z \n-]{0,5}") {
        let _ = load(&text);
        let mut broken = ZERO.to_owned();
        let at = at.min(broken.len());
        broken.insert_str(at, &put);
        let _ = load(&broken);
    }
}
