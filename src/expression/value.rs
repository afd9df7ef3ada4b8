//! JSON values into CEL's and back, without loss.

use std::collections::HashMap;

use crate::codec::json::{Map, Number, Value};
use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, DURATION_TYPE, Kind,
    TIMESTAMP_TYPE,
};
use cel::common::value::Val;

use crate::expression::arguments::too_many_values;
use crate::expression::number::Numeric;
use crate::expression::time::{Duration, Timestamp};
use crate::expression::{Bound, EvaluationError};
use crate::limits::{MAX_EXPRESSION_NODES, MAX_JSON_DEPTH, truncated};

/// Bytes of a key that a message shows.
const LONGEST_NAME: usize = 128;

/// A variable's value for an evaluation. Texts are borrowed.
pub(super) fn from_json(value: Bound<'_>) -> Result<Box<dyn Val + '_>, String> {
    match value {
        Bound::Value(value) => convert(value, 0, &mut 0),
        Bound::Object(fields) => from_fields(fields, 0, &mut 0),
        Bound::Integer(integer) => Ok(Box::new(CelInt::from(integer))),
        Bound::Text(text) => Ok(Box::new(CelString::from(text))),
    }
}

fn convert<'a>(
    value: &'a Value,
    depth: usize,
    nodes: &mut usize,
) -> Result<Box<dyn Val + 'a>, String> {
    *nodes += 1;
    if *nodes > MAX_EXPRESSION_NODES {
        return Err(format!("has more than {MAX_EXPRESSION_NODES} values, the limit"));
    }
    if depth > MAX_JSON_DEPTH {
        return Err(format!("is nested deeper than {MAX_JSON_DEPTH} levels, the limit"));
    }
    Ok(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => from_number(number)?,
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => {
            let items = items.iter().map(|item| convert(item, depth + 1, nodes));
            Box::new(CelList::from(items.collect::<Result<Vec<_>, _>>()?))
        }
        Value::Object(fields) => from_fields(fields, depth, nodes)?,
    })
}

fn from_fields<'a>(
    fields: &'a Map,
    depth: usize,
    nodes: &mut usize,
) -> Result<Box<dyn Val + 'a>, String> {
    let fields = fields.iter().map(|(name, value)| {
        convert(value, depth + 1, nodes).map(|value| (CelMapKey::from(name.as_str()), value))
    });
    Ok(Box::new(CelMap::from(fields.collect::<Result<HashMap<_, _>, _>>()?)))
}

fn from_number<'a>(number: &Number) -> Result<Box<dyn Val + 'a>, String> {
    let text = number.as_str();
    match Numeric::parse(text) {
        Some(number) => Ok(number.into_value().into_owned()),
        None => {
            Err(format!("is {text}, which neither a 64-bit integer nor a double can hold exactly"))
        }
    }
}

/// The result of an evaluation as JSON, which holds no more values than one that is read.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, EvaluationError> {
    to_json_within(value, &mut 0)
}

fn to_json_within(value: &dyn Val, nodes: &mut usize) -> Result<Value, EvaluationError> {
    *nodes += 1;
    if *nodes > MAX_EXPRESSION_NODES {
        return Err(explain(&too_many_values()));
    }
    if let Some(number) = Numeric::of(value) {
        return Ok(number.to_json());
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Ok(Value::Bool(*truth.inner()));
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(Value::from(text.inner()));
    }
    if value.get_type().kind() == Kind::NullType {
        return Ok(Value::Null);
    }
    if let Some(time) = value.downcast_ref::<Timestamp>() {
        return Ok(Value::from(time.to_string().as_str()));
    }
    if let Some(duration) = value.downcast_ref::<Duration>() {
        return Ok(Value::from(duration.to_string().as_str()));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        let items = list.inner().iter().map(|item| to_json_within(item.as_ref(), nodes));
        return Ok(Value::Array(items.collect::<Result<_, _>>()?));
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        return object_to_json(map, nodes);
    }
    Err(EvaluationError::Failed(format!("the result is {}", describe(value))))
}

fn object_to_json(map: &CelMap<'_>, nodes: &mut usize) -> Result<Value, EvaluationError> {
    let mut fields = Vec::with_capacity(map.inner().len());
    let mut entries: Vec<_> = map.inner().iter().collect();
    // Only for the error: which of several bad entries it names must not depend on the map.
    entries.sort_by(|left, right| left.0.cmp(right.0));
    for (key, value) in entries {
        let Some(name) = key.inner().downcast_ref::<CelString>() else {
            let message = "the result has a map with keys that are not strings".to_owned();
            return Err(EvaluationError::Failed(message));
        };
        fields.push((name.inner(), to_json_within(value.as_ref(), nodes)?));
    }
    Ok(Value::Object(fields.into_iter().collect()))
}

/// Number of values in a value, itself included; stops counting past the limit.
pub(super) fn count(value: &dyn Val) -> usize {
    let mut total = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        total += 1;
        if total > MAX_EXPRESSION_NODES {
            break;
        }
        if let Some(list) = value.downcast_ref::<CelList>() {
            open.extend(list.inner().iter().map(AsRef::as_ref));
        } else if let Some(map) = value.downcast_ref::<CelMap>() {
            open.extend(map.inner().values().map(AsRef::as_ref));
        }
    }
    total
}

/// The kind of a value, for messages.
pub(super) fn describe(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::Boolean => "true or false",
        Kind::Int | Kind::UInt | Kind::Double => "a number",
        Kind::Timestamp => "a timestamp",
        Kind::Duration => "a duration",
        Kind::String => "a string",
        Kind::List => "a list",
        Kind::Map => "a map",
        Kind::NullType => "null",
        _ => "a value of another type",
    }
}

/// The library's error in words that are the same on every machine: a map in its own messages would
/// be printed in no particular order.
pub(super) fn explain(error: &ExecutionError) -> EvaluationError {
    let message = match error {
        ExecutionError::NoSuchKey(name) => {
            return EvaluationError::Missing(truncated(name, LONGEST_NAME).to_owned());
        }
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is unknown"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload(overload) => {
            unsuited(overload.function(), overload.argument_types())
        }
        ExecutionError::UnexpectedType { got, want } if want == "bool" => {
            format!("a condition is true or false, this is {}", kind_of_type(got))
        }
        ExecutionError::DuplicateKey(_) => "duplicate key in a map".to_owned(),
        ExecutionError::UnsupportedKeyType(_) => {
            "a key of a map is a string, a whole number, true or false".to_owned()
        }
        ExecutionError::ValuesNotComparable(..) => "values cannot be compared".to_owned(),
        _ => "these types cannot be combined".to_owned(),
    };
    EvaluationError::Failed(message)
}

/// Why an operator that is the library's own does not take its operands.
fn unsuited(operator: &str, types: &[String]) -> String {
    let takes_truths = ["_&&_", "_||_", "!_"].contains(&operator);
    let wrong = types.iter().find(|name| !(takes_truths && *name == "bool"));
    let found = wrong.map_or("another value", |name| kind_of_type(name));
    match operator {
        "_._" => format!("only maps have fields, this is {found}"),
        _ => format!("`{}` takes true or false, this is {found}", operator.trim_matches('_')),
    }
}

/// A type of the library in words.
fn kind_of_type(name: &str) -> &'static str {
    match name {
        "bool" => "true or false",
        "int" | "uint" | "double" => "a number",
        "string" => "a string",
        "list" => "a list",
        "map" => "a map",
        "null_type" => "null",
        name if name == TIMESTAMP_TYPE.name() => "a timestamp",
        name if name == DURATION_TYPE.name() => "a duration",
        _ => "a value of another type",
    }
}
