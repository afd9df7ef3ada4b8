//! The fast path for common rules: comparisons and sums of scalars.
//!
//! It gives a result only where the library would give the same one. Whatever fails or is doubtful
//! (an absent field, types that do not go together, an overflow, a list) is left to the library,
//! which also has the words for it. A property holds the two against each other.

use std::cmp::Ordering;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::number::Numeric;
use super::{Bound, PRESENCE_OF, VALUE_OF, meter};
use crate::budget::text_steps;
use crate::codec::json::Value;

/// A scalar, as an evaluation holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(&'a str),
}

/// An expression that the quick way takes.
#[derive(Debug)]
pub(super) enum Quick {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(String),
    Slot(usize),
    Present(usize),
    Not(Box<Quick>),
    Negate(Box<Quick>),
    And(Box<Quick>, Box<Quick>),
    Or(Box<Quick>, Box<Quick>),
    If(Box<[Quick; 3]>),
    Compare(Comparison, Box<Quick>, Box<Quick>),
    Compute(Computation, Box<Quick>, Box<Quick>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Computation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Quick {
    /// The quick form of a compiled program; `None` where it has anything else in it.
    pub(super) fn of(program: &IdedExpr) -> Option<Self> {
        Some(match &program.expr {
            Expr::Literal(literal) => Self::literal(literal)?,
            Expr::Ident(name) => {
                let index = name.get(1..)?.parse().ok()?;
                match name.chars().next()? {
                    VALUE_OF => Self::Slot(index),
                    PRESENCE_OF => Self::Present(index),
                    _ => return None,
                }
            }
            Expr::Call(call) if call.target.is_none() => Self::call(call)?,
            _ => return None,
        })
    }

    fn literal(literal: &LiteralValue) -> Option<Self> {
        Some(match literal {
            LiteralValue::Boolean(truth) => Self::Bool(*truth.inner()),
            LiteralValue::Double(double) => Self::Number(Numeric::decimal(*double.inner()).ok()?),
            LiteralValue::Int(int) => Self::Number(Numeric::Whole((*int.inner()).into())),
            LiteralValue::UInt(uint) => Self::Number(Numeric::Whole((*uint.inner()).into())),
            LiteralValue::String(text) => Self::Text(text.inner().to_owned()),
            LiteralValue::Null => Self::Null,
            LiteralValue::Bytes(_) => return None,
        })
    }

    fn call(call: &CallExpr) -> Option<Self> {
        let parts: Vec<_> = call.args.iter().map(Self::of).collect::<Option<_>>()?;
        let mut parts = parts.into_iter();
        let (first, second, third) = (parts.next(), parts.next().map(Box::new), parts.next());
        let first = Box::new(first?);
        Some(match (call.func_name.as_str(), second, third) {
            (operators::LOGICAL_NOT, None, None) => Self::Not(first),
            ("@negate", None, None) => Self::Negate(first),
            (operators::LOGICAL_AND, Some(second), None) => Self::And(first, second),
            (operators::LOGICAL_OR, Some(second), None) => Self::Or(first, second),
            (operators::CONDITIONAL, Some(second), Some(third)) => {
                Self::If(Box::new([*first, *second, third]))
            }
            ("@equal", Some(second), None) => Self::Compare(Comparison::Equal, first, second),
            ("@unequal", Some(second), None) => Self::Compare(Comparison::Unequal, first, second),
            ("@less", Some(second), None) => Self::Compare(Comparison::Less, first, second),
            ("@less_equal", Some(second), None) => {
                Self::Compare(Comparison::LessEqual, first, second)
            }
            ("@greater", Some(second), None) => Self::Compare(Comparison::Greater, first, second),
            ("@greater_equal", Some(second), None) => {
                Self::Compare(Comparison::GreaterEqual, first, second)
            }
            ("@add", Some(second), None) => Self::Compute(Computation::Add, first, second),
            ("@subtract", Some(second), None) => {
                Self::Compute(Computation::Subtract, first, second)
            }
            ("@multiply", Some(second), None) => {
                Self::Compute(Computation::Multiply, first, second)
            }
            ("@divide", Some(second), None) => Self::Compute(Computation::Divide, first, second),
            _ => return None,
        })
    }

    /// The result, where there is no doubt about it. `value` gives what stands in a slot.
    pub(super) fn evaluate<'a>(
        &'a self,
        value: &impl Fn(usize) -> Option<Bound<'a>>,
    ) -> Option<Scalar<'a>> {
        Some(match self {
            Self::Null => Scalar::Null,
            Self::Bool(truth) => Scalar::Bool(*truth),
            Self::Number(number) => Scalar::Number(*number),
            Self::Text(text) => Scalar::Text(text),
            Self::Slot(index) => scalar(value(*index)?)?,
            Self::Present(index) => Scalar::Bool(value(*index).is_some()),
            Self::Not(of) => Scalar::Bool(!of.truth(value)?),
            Self::Negate(of) => Scalar::Number(of.number(value)?.negate().ok()?),
            Self::And(left, right) => Scalar::Bool(left.truth(value)? && right.truth(value)?),
            Self::Or(left, right) => Scalar::Bool(left.truth(value)? || right.truth(value)?),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                match condition.truth(value)? {
                    true => then.evaluate(value)?,
                    false => otherwise.evaluate(value)?,
                }
            }
            Self::Compare(comparison, left, right) => {
                Scalar::Bool(comparison.holds(left.evaluate(value)?, right.evaluate(value)?)?)
            }
            Self::Compute(computation, left, right) => {
                Scalar::Number(computation.result(left.number(value)?, right.number(value)?)?)
            }
        })
    }

    fn truth<'a>(&'a self, value: &impl Fn(usize) -> Option<Bound<'a>>) -> Option<bool> {
        match self.evaluate(value)? {
            Scalar::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    fn number<'a>(&'a self, value: &impl Fn(usize) -> Option<Bound<'a>>) -> Option<Numeric> {
        match self.evaluate(value)? {
            Scalar::Number(number) => Some(number),
            _ => None,
        }
    }
}

fn scalar(bound: Bound<'_>) -> Option<Scalar<'_>> {
    Some(match bound {
        Bound::Integer(integer) => Scalar::Number(Numeric::Whole(integer.into())),
        Bound::Text(text) => Scalar::Text(text),
        Bound::Value(Value::Null) => Scalar::Null,
        Bound::Value(Value::Bool(truth)) => Scalar::Bool(*truth),
        Bound::Value(Value::Number(number)) => Scalar::Number(Numeric::parse(number.as_str())?),
        Bound::Value(Value::String(text)) => Scalar::Text(text),
        Bound::Value(Value::Array(_) | Value::Object(_)) | Bound::Object(_) => return None,
    })
}

impl Comparison {
    fn holds(self, left: Scalar<'_>, right: Scalar<'_>) -> Option<bool> {
        let order = match (left, right) {
            (Scalar::Number(left), Scalar::Number(right)) => left.compare(right)?,
            (Scalar::Text(left), Scalar::Text(right)) => {
                let steps = text_steps(left).min(text_steps(right));
                if steps > 0 && !meter::pay(steps) {
                    return None;
                }
                left.cmp(right)
            }
            // Truths and nulls are only asked whether they are the same.
            (Scalar::Bool(left), Scalar::Bool(right)) if self.is_equality() => left.cmp(&right),
            (Scalar::Null, Scalar::Null) if self.is_equality() => Ordering::Equal,
            _ => return None,
        };
        Some(match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        })
    }

    fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::Unequal)
    }
}

impl Computation {
    fn result(self, left: Numeric, right: Numeric) -> Option<Numeric> {
        let result = match self {
            Self::Add => left.add(right),
            Self::Subtract => left.subtract(right),
            Self::Multiply => left.multiply(right),
            Self::Divide => left.divide(right),
        };
        result.ok()
    }
}

impl Scalar<'_> {
    /// As JSON.
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => truth.into(),
            Self::Text(text) => text.into(),
            Self::Number(number) => number.to_json(),
        }
    }
}
