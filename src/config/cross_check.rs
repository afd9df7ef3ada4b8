//! Mappings against contracts: does every mapping call something that exists, with arguments that
//! the contract's schema can take?

use std::collections::BTreeSet;

use crate::call::Function;
use crate::contract::{Contract, ContractSet, FieldType, JsonType};
use crate::fault::{Fault, did_you_mean};
use crate::mapping::{self, Field, Mapping, MappingSet};

/// Every contradiction between mappings and contracts. Where a contract was left out for its own
/// faults (`is_whole` is false), a mapping that calls one which is not there is passed over.
#[must_use]
pub fn cross_check(mappings: &MappingSet, contracts: &ContractSet, is_whole: bool) -> Vec<Fault> {
    let mappings = mappings.mappings.iter();
    let known = mappings.filter(|m| is_whole || contracts.get(&m.contract).is_some());
    known.flat_map(|mapping| of_mapping(mapping, contracts)).collect()
}

fn of_mapping(mapping: &Mapping, contracts: &ContractSet) -> Vec<Fault> {
    let Some(contract) = contracts.get(&mapping.contract) else {
        let message = format!("there is no contract `{}`", mapping.contract);
        let names = contracts.iter().map(|contract| &*contract.name);
        let help = did_you_mean(&mapping.contract, names);
        return vec![Fault::error(&mapping.file, mapping.contract_place, message).help(help)];
    };
    let mut faults = Vec::new();
    if !contract.functions().contains(&mapping.function) {
        let message = format!("`{}` offers no function `{}`", contract.name, mapping.function);
        let offered: Vec<_> = contract.functions().iter().map(|offered| offered.name()).collect();
        let help = format!("it offers: {}", offered.join(", "));
        faults.push(Fault::error(&mapping.file, mapping.function_place, message).help(help));
    }
    faults.extend(key(mapping, contract));
    if mapping.function != Function::DeleteProperties && mapping.function != Function::Delete {
        faults.extend(mapping.fields().iter().filter_map(|made| field(mapping, contract, made)));
        faults.extend(extension(mapping, contract));
    }
    faults
}

/// The asset's key must be among the arguments, and in every payload.
fn key(mapping: &Mapping, contract: &Contract) -> Option<Fault> {
    let key = contract.key();
    let gives = |field: &&Field| {
        field.target == key || key.strip_prefix(&field.target).is_some_and(|r| r.starts_with('.'))
    };
    match mapping.fields().iter().find(gives) {
        Some(field) if field.always => None,
        Some(field) => {
            let message = format!("`{key}` is the key of `{}` and may be absent", contract.name);
            let help = "without it the transaction is invalid: make it required, or give a default";
            Some(Fault::warning(&mapping.file, field.place, message).help(help))
        }
        None => {
            let message = format!("no field gives `{key}`, the key of `{}`", contract.name);
            let help = format!("add `{key}: $.payload…` to `fields`");
            Some(Fault::error(&mapping.file, mapping.place, message).help(help))
        }
    }
}

fn field(mapping: &Mapping, contract: &Contract, field: &Field) -> Option<Fault> {
    let error = |message: String| Fault::error(&mapping.file, field.place, message);
    match contract.field_type(&field.target) {
        FieldType::Open => None,
        FieldType::Known(types) => match json_types(field.declared) {
            Some(given) if given.is_disjoint(&types) => {
                let wanted: Vec<_> = types.iter().map(|wanted| wanted.name()).collect();
                Some(error(format!(
                    "`{}` is {} here, the state of `{}` wants {}",
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

fn extension(mapping: &Mapping, contract: &Contract) -> Option<Fault> {
    let target = mapping.extension_target.as_ref()?;
    if contract.field_type(target) != FieldType::Unknown {
        return None;
    }
    let message = format!("the state of `{}` has no field `{target}` for the rest", contract.name);
    let help = format!("declare `{target}: {{ type: object }}` in the contract's state");
    Some(Fault::error(&mapping.file, mapping.place, message).help(help))
}

/// What a declared type may come to; `None` where it may be anything.
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
