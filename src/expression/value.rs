//! JSON values into CEL's and back, without loss.

use std::collections::HashMap;

use crate::codec::json::{Map, Number, Value};
use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, Kind};
use cel::common::value::Val;

use crate::expression::number::Numeric;
use crate::expression::time::{Duration, Timestamp};
use crate::expression::{Bound, EvaluationError};
use crate::limits::{MAX_EXPRESSION_NODES, MAX_JSON_DEPTH};

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
        return Err(format!("holds more than {MAX_EXPRESSION_NODES} values, the limit"));
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
        None => Err(format!("is {text}, which neither 64 bits nor a double can hold exactly")),
    }
}

/// The result of an evaluation as JSON.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, EvaluationError> {
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
        let items = list.inner().iter().map(|item| to_json(item.as_ref()));
        return Ok(Value::Array(items.collect::<Result<_, _>>()?));
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        return object_to_json(map);
    }
    Err(EvaluationError::Failed(format!("the result is {}", describe(value))))
}

fn object_to_json(map: &CelMap<'_>) -> Result<Value, EvaluationError> {
    let mut fields = Vec::with_capacity(map.inner().len());
    let mut entries: Vec<_> = map.inner().iter().collect();
    // Only for the error: which of several bad entries it names must not depend on the map.
    entries.sort_by(|left, right| left.0.cmp(right.0));
    for (key, value) in entries {
        let Some(name) = key.inner().downcast_ref::<CelString>() else {
            let message = "the result has a map whose keys are not text".to_owned();
            return Err(EvaluationError::Failed(message));
        };
        fields.push((name.inner(), to_json(value.as_ref())?));
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

/// What kind of value this is, in words.
pub(super) fn describe(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::Boolean => "true or false",
        Kind::Int | Kind::UInt | Kind::Double => "a number",
        Kind::Timestamp => "a timestamp",
        Kind::Duration => "a duration",
        Kind::String => "a text",
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
        ExecutionError::NoSuchKey(name) => return EvaluationError::Missing(name.to_string()),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is unknown"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(", ");
            format!("{} does not take ({types})", spelled(overload.function()))
        }
        ExecutionError::UnexpectedType { got, want } => format!("{want} is needed, this is {got}"),
        ExecutionError::IndexOutOfBounds(_) => "an index is outside of its list".to_owned(),
        ExecutionError::DuplicateKey(_) => "a map names a key twice".to_owned(),
        ExecutionError::UnsupportedKeyType(_) => "a map's key is of a wrong type".to_owned(),
        ExecutionError::ValuesNotComparable(..) => "values cannot be compared".to_owned(),
        _ => "values of these types do not go together".to_owned(),
    };
    EvaluationError::Failed(message)
}

/// How an expression writes a function or operator of the library.
fn spelled(function: &str) -> String {
    match function {
        "_._" => "a field's name".to_owned(),
        "_[_]" => "an index".to_owned(),
        "@in" => "`in`".to_owned(),
        "-_" | "!_" => format!("`{}`", function.trim_end_matches('_')),
        other => format!("`{}`", other.trim_matches(['_', '@'])),
    }
}
