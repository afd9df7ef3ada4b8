//! Assets as rows of a spreadsheet (RFC 4180).
//!
//! Columns follow from the contract alone, so that they are the same in every export of a version of
//! it: one for each field that it declares or derives, by its dotted name, and a last one, `other`,
//! with all that has no column, as a JSON object by dotted names. Nothing is lost.
//!
//! A spreadsheet takes a string that begins with certain characters for a formula, and devices choose
//! their texts. Such a string gets a `'` in front; so does one that begins with a `'` itself, so that
//! taking one away gives back what was there. Numbers stay as they were sent.

use std::collections::BTreeMap;

use serde_json::Value as Schema;

use crate::codec::json::{Map, Value};
use crate::contract::{Contract, ContractSet};
use crate::ledger::DefinitionKind;
use crate::limits::{MAX_EXPORT_COLUMNS, MAX_JSON_DEPTH};
use crate::query::Queries;
use crate::query::json;

/// The column for all that has no column of its own.
const OTHER: &str = "other";
/// Characters that start a formula, in the scripts that spreadsheets know; and characters that hide
/// such a character from a person who looks at the file.
const BEGINS_FORMULA: &[char] =
    &['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// The columns for the fields of a contract's assets.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// Dotted names, each beginning with `state.` or `derived.`.
    fields: Vec<String>,
}

impl Columns {
    /// Of the newest version of a contract. One that this version of the program cannot read has only
    /// the last column.
    pub fn of(queries: &Queries, contract: &str) -> Self {
        let newest = queries.definition(DefinitionKind::Contract, contract, None).ok();
        let Some(text) = newest.and_then(|newest| newest.text) else { return Self::default() };
        let (contracts, _) = ContractSet::load(&[(contract.into(), text)]);
        contracts.get(contract).map(Self::declared).unwrap_or_default()
    }

    fn declared(contract: &Contract) -> Self {
        let mut fields = Vec::new();
        add_declared(contract.state_schema(), "state", &mut fields);
        fields.extend(contract.derived().map(|name| format!("derived.{name}")));
        fields.truncate(MAX_EXPORT_COLUMNS);
        Self { fields }
    }

    /// The row of headings, behind these.
    pub fn headings(&self, before: &[&str]) -> Vec<u8> {
        let own = self.fields.iter().map(String::as_str);
        line(before.iter().copied().chain(own).chain([OTHER]))
    }

    /// A row of these cells and an asset's fields.
    pub fn row(&self, before: Vec<String>, state: Option<&Map>, derived: Option<&Map>) -> Vec<u8> {
        let mut leaves = BTreeMap::new();
        for (name, members) in [("state", state), ("derived", derived)] {
            if let Some(members) = members {
                add_members(members, name, &mut leaves);
            }
        }
        let own = self.fields.iter().map(|field| match leaves.get(field) {
            Some(value) if is_scalar(value) => {
                let cell = cell(value);
                leaves.remove(field);
                cell
            }
            _ => String::new(),
        });
        let mut cells: Vec<_> = before.into_iter().chain(own).collect();
        cells.push(if leaves.is_empty() { String::new() } else { json::to_text(&leaves) });
        line(cells.iter().map(String::as_str))
    }
}

/// Adds the fields that a schema declares and that can hold a single value.
fn add_declared(schema: &Schema, name: &str, fields: &mut Vec<String>) {
    if name.matches('.').count() > MAX_JSON_DEPTH {
        return;
    }
    match schema.get("properties").and_then(Schema::as_object) {
        Some(properties) => {
            for (property, schema) in properties {
                add_declared(schema, &format!("{name}.{property}"), fields);
            }
        }
        None if name.contains('.') && !is_composite(schema) => fields.push(name.to_owned()),
        None => {}
    }
}

/// True if a schema wants an object or a list.
fn is_composite(schema: &Schema) -> bool {
    matches!(schema.get("type").and_then(Schema::as_str), Some("object" | "array"))
}

/// Adds members by their dotted names, those of objects in place of them.
fn add_members<'a>(members: &'a Map, name: &str, leaves: &mut BTreeMap<String, &'a Value>) {
    for (member, value) in members {
        let name = format!("{name}.{member}");
        match value {
            Value::Object(members) if !members.is_empty() => add_members(members, &name, leaves),
            leaf => {
                leaves.insert(name, leaf);
            }
        }
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// A single value: a string without anything around it, all else as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text_cell(text),
        other => other.to_string(),
    }
}

/// A string as a cell: no formula, and no character that steers a terminal.
pub fn text_cell(text: &str) -> String {
    let shown = json::visible(text);
    match shown.starts_with(BEGINS_FORMULA)
        || text.starts_with(BEGINS_FORMULA)
        || shown.starts_with('\'')
    {
        true => format!("'{shown}"),
        false => shown.into_owned(),
    }
}

/// A line, with quotes where they are needed.
fn line<'a>(cells: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .flexible(true)
        .from_writer(Vec::new());
    // Memory takes everything.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;

    fn columns(text: &str) -> Columns {
        let (contracts, diagnostics) = ContractSet::load(&[("c.yaml".into(), text.to_owned())]);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        Columns::declared(contracts.iter().next().unwrap())
    }

    const CONTRACT: &str = "
contract: c
version: 1
key: id
state:
  type: object
  properties:
    id: {type: string}
    t: {type: number}
    tags: {type: array}
    open: {type: object}
    position: {type: object, properties: {lat: {type: number}, lon: {type: number}}}
rules:
  - derive: warm
    value: state.t > 8
";

    #[test]
    fn columns_are_what_the_contract_declares() {
        let headings = columns(CONTRACT).headings(&["key"]);
        let expected =
            "key,state.id,state.position.lat,state.position.lon,state.t,derived.warm,other\r\n";
        assert_eq!(String::from_utf8(headings).unwrap(), expected);
    }

    #[test]
    fn every_value_has_its_cell() {
        let state = json!({
            "id": "=1+1", "t": -4.50, "tags": [1, "a,\"b\""], "open": {"x": {}, "y": true},
            "position": {"lat": 1e40, "lon": null, "alt": 3}, "new": "n",
        });
        let derived = json!({"warm": false});
        let row = columns(CONTRACT).row(
            vec![text_cell("a,\"b\"\r\nc")],
            state.as_object(),
            derived.as_object(),
        );
        let row = String::from_utf8(row).unwrap();
        let other = r#"{"state.new":"n","state.open.x":{},"state.open.y":true,"state.position.alt":3,"state.tags":[1,"a,\"b\""]}"#;
        let other = other.replace('"', "\"\"");
        let expected =
            format!("\"a,\"\"b\"\"\\u000d\nc\",'=1+1,1e+40,null,-4.5,false,\"{other}\"\r\n");
        assert_eq!(row, expected);
    }

    #[test]
    fn no_text_becomes_a_formula() {
        for (text, expected) in [
            ("=1", "'=1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\u0009=1"),
            ("\r=1", "'\\u000d=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("a=1", "a=1"),
            ("", ""),
            ("\u{1b}[31m", "\\u001b[31m"),
        ] {
            assert_eq!(text_cell(text), expected, "{text:?}");
        }
    }
}
