//! Mappings against contracts: does every mapping call something that exists, with arguments that
//! the contract's schema can take?

use std::collections::BTreeSet;

use crate::call::Function;
use crate::codec::json::Value;
use crate::config::InputConfig;
use crate::contract::{Contract, ContractSet, FieldType, JsonType, same_value};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::event::{Decoder, is_topic};
use crate::input::StreamNames;
use crate::mapping::{self, Field, Mapping, MappingSet};

/// Every contradiction between mappings and contracts. Where a contract was left out for its own
/// faults (`is_whole` is false), a mapping that calls one which is not there is passed over.
#[must_use]
pub fn cross_check(
    mappings: &MappingSet,
    contracts: &ContractSet,
    is_whole: bool,
) -> Vec<Diagnostic> {
    let known =
        mappings.mappings.iter().filter(|m| is_whole || contracts.get(&m.contract).is_some());
    known.flat_map(|mapping| of_mapping(mapping, contracts)).collect()
}

/// Warns of fields that contracts require and that no mapping gives. All mappings must be there:
/// one that was left out for its own faults may give them.
#[must_use]
pub fn unset_fields(mappings: &MappingSet, contracts: &ContractSet) -> Vec<Diagnostic> {
    contracts.iter().filter_map(|contract| required(mappings, contract)).collect()
}

/// Warns of mappings whose `match` names no topic that is read, where the inputs tell all of them.
#[must_use]
pub fn topics(mappings: &MappingSet, inputs: &[InputConfig]) -> Vec<Diagnostic> {
    let mut read = Vec::new();
    for input in inputs {
        match &input.streams {
            StreamNames::Listed(names) => read.extend(names.iter().filter(|name| is_topic(name))),
            StreamNames::Prefixed(_) => return Vec::new(),
        }
    }
    if read.is_empty() {
        return Vec::new();
    }
    let listed: Vec<_> = read.iter().map(|topic| topic.as_str()).collect();
    let is_idle = |mapping: &&Mapping| !read.iter().any(|topic| mapping.may_take(topic));
    let diagnostic = |mapping: &Mapping| {
        let named = mapping.named_topics();
        let message = format!(
            "mapping `{}` matches the topic `{}`, which no input reads; the topics read are `{}`",
            mapping.name,
            named.join("`, `"),
            listed.join("`, `")
        );
        let first = named.first().map_or("", String::as_str);
        let help = did_you_mean(first, listed.iter().copied());
        Diagnostic::warning(&mapping.file, mapping.place, message).help(help)
    };
    mappings.mappings.iter().filter(is_idle).map(diagnostic).collect()
}

/// Warns of mappings whose `match` asks for a device type or an event type that no identity method can
/// give, of no input.
#[must_use]
pub fn identity(mappings: &MappingSet, inputs: &[InputConfig]) -> Vec<Diagnostic> {
    let of_events = inputs.iter().filter(|input| {
        !matches!(&input.streams, StreamNames::Listed(names) if !names.iter().any(|n| is_topic(n)))
    });
    let mut found = of_events.map(|input| of_decoder(mappings, &input.decoder));
    let Some(mut common) = found.next() else { return Vec::new() };
    for others in found {
        // A mapping that fits one input is not meant for the others.
        common.retain(|one| others.iter().any(|o| (&o.file, o.place) == (&one.file, one.place)));
    }
    common
}

fn of_decoder(mappings: &MappingSet, decoder: &Decoder) -> Vec<Diagnostic> {
    let warning = |mapping: &Mapping, option: &str, wanted: Vec<String>, given: &[&str]| {
        let part = option.trim_start_matches("device_").trim_end_matches("_type");
        let given: BTreeSet<_> = given.iter().filter(|text| !text.is_empty()).copied().collect();
        let gives = match given.is_empty() {
            true if part == "type" => "no method of `identity` provides a type".to_owned(),
            true => "no method of `identity` provides an event".to_owned(),
            false => {
                let given: Vec<_> = given.into_iter().collect();
                format!("`identity` gives only `{}`", given.join("`, `"))
            }
        };
        let (name, wanted) = (&mapping.name, wanted.join("` or `"));
        let message = format!("mapping `{name}` wants {option} `{wanted}`, and {gives}");
        let help = format!(
            "provide `{part}` in `identity` (`{{{part}}}` in a template), or remove `{option}` from \
             `match`"
        );
        Diagnostic::warning(&mapping.file, mapping.place, message).help(help)
    };
    let mut diagnostics = Vec::new();
    for mapping in &mappings.mappings {
        if let Some(given) = decoder.device_types().filter(|given| !mapping.may_take_types(given)) {
            diagnostics.push(warning(mapping, "device_type", mapping.named_types(), &given));
        }
        if let Some(given) = decoder.event_types().filter(|given| !mapping.may_take_events(given)) {
            diagnostics.push(warning(mapping, "event_type", mapping.named_events(), &given));
        }
    }
    diagnostics
}

fn of_mapping(mapping: &Mapping, contracts: &ContractSet) -> Vec<Diagnostic> {
    let Some(contract) = contracts.get(&mapping.contract) else {
        let message = format!("there is no contract `{}`", mapping.contract);
        let names = contracts.iter().map(|contract| &*contract.name);
        let help = did_you_mean(&mapping.contract, names);
        return vec![Diagnostic::error(&mapping.file, mapping.contract_place, message).help(help)];
    };
    let mut diagnostics = Vec::new();
    if !contract.functions().contains(&mapping.function) {
        let message = format!("`{}` has no function `{}`", contract.name, mapping.function);
        let offered: Vec<_> = contract.functions().iter().map(|offered| offered.name()).collect();
        let help = format!("it offers: {}", offered.join(", "));
        diagnostics
            .push(Diagnostic::error(&mapping.file, mapping.function_place, message).help(help));
    }
    diagnostics.extend(key(mapping, contract));
    if mapping.function != Function::DeleteProperties && mapping.function != Function::Delete {
        diagnostics
            .extend(mapping.fields().iter().filter_map(|made| field(mapping, contract, made)));
        diagnostics
            .extend(mapping.fields().iter().flat_map(|made| values(mapping, contract, made)));
        diagnostics.extend(extension(mapping, contract));
    }
    diagnostics
}

/// The asset's key must be among the arguments, and in every payload.
fn key(mapping: &Mapping, contract: &Contract) -> Option<Diagnostic> {
    let key = contract.key();
    let gives = |field: &&Field| {
        field.target == key || key.strip_prefix(&field.target).is_some_and(|r| r.starts_with('.'))
    };
    match mapping.fields().iter().find(gives) {
        Some(field) if field.always => None,
        Some(field) => {
            let message = format!("`{key}` is the key of `{}` but may be absent", contract.name);
            let help = "without it the transaction is invalid: make it required, or set a default";
            Some(Diagnostic::warning(&mapping.file, field.place, message).help(help))
        }
        None => {
            let message = format!("no field provides `{key}`, the key of `{}`", contract.name);
            let help = format!("add `{key}: $.payload…` to `fields`");
            Some(Diagnostic::error(&mapping.file, mapping.place, message).help(help))
        }
    }
}

fn field(mapping: &Mapping, contract: &Contract, field: &Field) -> Option<Diagnostic> {
    let error = |message: String| Diagnostic::error(&mapping.file, field.place, message);
    match contract.field_type(&field.target) {
        FieldType::Open => None,
        FieldType::Known(types) => match json_types(field.declared) {
            Some(given) if given.is_disjoint(&types) => {
                let wanted: Vec<_> = types.iter().map(|wanted| wanted.name()).collect();
                Some(error(format!(
                    "`{}` is {} here, but the state of `{}` expects {}",
                    field.target,
                    field.declared.name(),
                    contract.name,
                    wanted.join(" or ")
                )))
            }
            _ => None,
        },
        FieldType::Unknown => {
            let message =
                format!("the state of `{}` has no field `{}`", contract.name, field.target);
            let last = field.target.rsplit('.').next().unwrap_or(&field.target);
            Some(error(message).help(did_you_mean(last, contract.fields_beside(&field.target))))
        }
    }
}

/// Values of a field that are written in the mapping and that the state's schema does not list.
fn values(mapping: &Mapping, contract: &Contract, field: &Field) -> Vec<Diagnostic> {
    let Some(allowed) = contract.allowed_values(&field.target) else { return Vec::new() };
    let fits = |value: &Value| allowed.iter().any(|allowed| same_value(value, allowed));
    let listed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    let texts = || allowed.iter().filter_map(serde_json::Value::as_str);
    let diagnostic = |value: &Value| {
        let message = format!(
            "`{}` can be {value}, but the state of `{}` allows {}",
            field.target,
            contract.name,
            listed.join(", ")
        );
        let help = value.as_str().map(|text| did_you_mean(text, texts())).unwrap_or_default();
        Diagnostic::error(&mapping.file, field.place, message).help(help)
    };
    field.written_values().into_iter().filter(|value| !fits(value)).map(diagnostic).collect()
}

/// Fields that every state must have and that no mapping of the contract gives: no call of a mapping
/// can make an asset then.
fn required(mappings: &MappingSet, contract: &Contract) -> Option<Diagnostic> {
    let makes = |mapping: &&Mapping| {
        mapping.contract == contract.name
            && matches!(mapping.function, Function::Create | Function::Update | Function::Replace)
    };
    let makers: Vec<_> = mappings.mappings.iter().filter(makes).collect();
    let first = makers.first()?;
    let gives = |name: &str| {
        makers.iter().flat_map(|mapping| mapping.fields()).any(|field| {
            field.target == name
                || field.target.strip_prefix(name).is_some_and(|r| r.starts_with('.'))
        }) || makers.iter().any(|mapping| mapping.extension_target.as_deref() == Some(name))
    };
    let missing: Vec<_> =
        contract.required_fields().into_iter().filter(|name| !gives(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "no mapping provides `{}`, which the state of `{}` requires: no asset can be created",
        missing.join("`, `"),
        contract.name
    );
    let help = "add it to `fields`, or remove it from `required`";
    Some(Diagnostic::warning(&first.file, first.place, message).help(help))
}

fn extension(mapping: &Mapping, contract: &Contract) -> Option<Diagnostic> {
    let target = mapping.extension_target.as_ref()?;
    if contract.field_type(target) != FieldType::Unknown {
        return None;
    }
    let message = format!("the state of `{}` has no field `{target}` for the rest", contract.name);
    let help = format!("declare `{target}: {{ type: object }}` in the contract's state");
    Some(Diagnostic::error(&mapping.file, mapping.place, message).help(help))
}

/// The JSON types that a declared type can produce; `None` if it can be any.
fn json_types(declared: mapping::FieldType) -> Option<BTreeSet<JsonType>> {
    let types: &[JsonType] = match declared {
        mapping::FieldType::Any => return None,
        mapping::FieldType::String | mapping::FieldType::Timestamp => &[JsonType::String],
        mapping::FieldType::Integer => &[JsonType::Integer, JsonType::Number],
        mapping::FieldType::Number => &[JsonType::Integer, JsonType::Number],
        mapping::FieldType::Boolean => &[JsonType::Boolean],
        mapping::FieldType::Object => &[JsonType::Object],
        mapping::FieldType::Array => &[JsonType::Array],
    };
    Some(types.iter().copied().collect())
}
