//! JSON values into CEL's and back, without loss.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::codec::json::{Map, Number, Value};
use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Kind,
};
use cel::common::value::Val;

use crate::expression::{Bound, EvaluationError};
use crate::limits::{MAX_EXPRESSION_NODES, MAX_JSON_DEPTH};

/// A number as CEL holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numeric {
    /// `int` or `uint`: between -2^63 and 2^64.
    Whole(i128),
    /// `double`.
    Decimal(f64),
}

impl Numeric {
    /// The number in a value; `None` where it is none.
    pub(super) fn of(value: &dyn Val) -> Option<Self> {
        if let Some(double) = value.downcast_ref::<CelDouble>() {
            return Some(Self::Decimal(*double.inner()));
        }
        if let Some(int) = value.downcast_ref::<CelInt>() {
            return Some(Self::Whole(i128::from(*int.inner())));
        }
        value.downcast_ref::<CelUInt>().map(|uint| Self::Whole(i128::from(*uint.inner())))
    }

    /// The number of a JSON text; `None` where CEL has no number for it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains(['.', 'e', 'E']) {
            return text
                .parse()
                .ok()
                .filter(|decimal: &f64| decimal.is_finite())
                .map(Self::Decimal);
        }
        let int = || text.parse::<i64>().ok().map(i128::from);
        let whole = int().or_else(|| text.parse::<u64>().ok().map(i128::from));
        whole.map(Self::Whole)
    }

    /// As f64, rounded to the nearest where a whole number is beyond 2^53.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Decimal(decimal) => decimal,
        }
    }

    /// Compares as numbers, exactly; `None` where one is not a number.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (Self::Whole(left), Self::Decimal(right)) => compare_exactly(left, right),
            (Self::Decimal(left), Self::Whole(right)) => {
                compare_exactly(right, left).map(Ordering::reverse)
            }
            (Self::Decimal(left), Self::Decimal(right)) => left.partial_cmp(&right),
        }
    }
}

fn compare_exactly(whole: i128, decimal: f64) -> Option<Ordering> {
    match (whole as f64).partial_cmp(&decimal)? {
        // The nearest f64 of the whole number is the decimal: it is whole too, and below 2^65.
        Ordering::Equal => {
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^65")]
            let exact = decimal as i128;
            Some(whole.cmp(&exact))
        }
        order => Some(order),
    }
}

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
        Some(Numeric::Decimal(decimal)) => Ok(Box::new(CelDouble::from(decimal))),
        Some(Numeric::Whole(whole)) => match (i64::try_from(whole), u64::try_from(whole)) {
            (Ok(int), _) => Ok(Box::new(CelInt::from(int))),
            (_, Ok(uint)) => Ok(Box::new(CelUInt::from(uint))),
            (Err(_), Err(_)) => Err(format!("is {text}, which no 64-bit integer holds")),
        },
        None if text.contains(['.', 'e', 'E']) => {
            Err(format!("is {text}, which no 64-bit decimal holds"))
        }
        None => Err(format!("is {text}, which no 64-bit integer holds")),
    }
}

/// The result of an evaluation as JSON.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, EvaluationError> {
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        // Adding zero makes one zero of the two.
        let number = Number::from_f64(*double.inner() + 0.0);
        let failed = || EvaluationError::Failed("the result is not a finite number".to_owned());
        return number.map(Value::Number).ok_or_else(failed);
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*int.inner()));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*uint.inner()));
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
        Kind::Int | Kind::UInt => "an integer",
        Kind::Double => "a decimal",
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
