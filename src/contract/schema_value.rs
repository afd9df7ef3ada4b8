//! States as the schema library reads them: in place, without a copy, and within a budget.
//!
//! The library cannot be interrupted, so every look at a state is counted here. Once the budget is
//! used up, all that is left of the state looks like nulls and empty lists, and validation comes to
//! its end soon, with an answer that nobody may use.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use jsonschema::types::JsonType;

use crate::budget::{Budget, copy_steps};
use crate::codec::json::{Map, Number, Text, Value};
use crate::codec::number;
use crate::pattern::match_steps;

/// The representation of our values.
pub(super) struct States;

/// Counts the cost of checking a state.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    /// Pays for them.
    pub(super) budget: &'a Budget,
    /// Steps for each [`crate::limits::TEXT_STEP_BYTES`] of text: patterns take more than one.
    pub(super) text_rate: u64,
}

impl Meter<'_> {
    /// True if there is still enough for so many steps.
    #[inline]
    fn pay(&self, steps: u64) -> bool {
        self.budget.spend(steps).is_ok()
    }

    #[inline]
    fn pay_text(&self, text: &str) -> bool {
        self.pay(match_steps(text, self.text_rate))
    }
}

/// A value of a state whose every look is paid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metered<'a> {
    pub(super) value: &'a Value,
    pub(super) meter: &'a Meter<'a>,
}

impl<'a> Metered<'a> {
    /// The value, or null where it cannot be paid for.
    #[inline]
    fn look(&self) -> &'a Value {
        if self.meter.pay(1) { self.value } else { &Value::Null }
    }
}

impl Json for States {
    type Node<'a> = Metered<'a>;
    type PreparedKey = String;
    type StringBuffer = Value;

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    /// Names of members come by [`Object::try_for_each_name_node`], with a meter.
    fn with_string_node<T>(
        buffer: &mut Value,
        string: &str,
        look: impl FnOnce(Metered<'_>) -> T,
    ) -> T {
        *buffer = Value::from(string);
        let budget = Budget::new();
        look(Metered { value: buffer, meter: &Meter { budget: &budget, text_rate: 1 } })
    }
}

impl<'a> Node<'a, States> for Metered<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        self.look().as_object().map(|members| Members { members, meter: self.meter })
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        self.look().as_array().map(|elements| Elements { elements, meter: self.meter })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.value.as_str()?;
        self.meter.pay_text(text).then_some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.look() {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.look() {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.look().is_null()
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        // The usual value of `enum` and `const`.
        match (self.look(), expected) {
            (Value::String(text), serde_json::Value::String(expected)) => text == expected,
            (Value::String(_), _) | (_, serde_json::Value::String(_)) => false,
            (Value::Number(number), serde_json::Value::Number(expected)) => {
                number::compare_texts(number.as_str(), expected.as_str()).is_eq()
            }
            _ => jsonschema::json::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(match self.meter.budget.spend_copy(self.value) {
            Ok(()) => self.value.into(),
            Err(_) => serde_json::Value::Null,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Value>(self.value).addr()))
    }
}

/// The members of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a> {
    members: &'a Map,
    meter: &'a Meter<'a>,
}

/// Goes through the members of an object.
pub(super) struct EachMember<'a> {
    members: std::slice::Iter<'a, (Text, Value)>,
    meter: &'a Meter<'a>,
}

impl<'a> Iterator for EachMember<'a> {
    type Item = (&'a str, Metered<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next()?;
        let is_paid = self.meter.pay_text(name);
        is_paid.then_some((name.as_str(), Metered { value, meter: self.meter }))
    }
}

impl<'a> Object<'a, States> for Members<'a> {
    type Node = Metered<'a>;
    type MemberName = &'a str;
    type MembersIter = EachMember<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Metered<'a>> {
        let value = if self.meter.pay(1) { self.members.get(key)? } else { return None };
        Some(Metered { value, meter: self.meter })
    }

    fn members(&self) -> EachMember<'a> {
        EachMember { members: self.members.as_slice().iter(), meter: self.meter }
    }

    fn try_for_each_name_node<B>(
        &self,
        buffer: &mut Value,
        mut look: impl FnMut(Metered<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, _) in self.members() {
            *buffer = Value::from(name);
            look(Metered { value: buffer, meter: self.meter })?;
        }
        ControlFlow::Continue(())
    }
}

/// The elements of an array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elements<'a> {
    elements: &'a [Value],
    meter: &'a Meter<'a>,
}

/// Goes through the elements of an array.
pub(super) struct EachElement<'a> {
    elements: std::slice::Iter<'a, Value>,
    meter: &'a Meter<'a>,
}

impl<'a> Iterator for EachElement<'a> {
    type Item = Metered<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.elements.next()?;
        self.meter.pay(1).then_some(Metered { value, meter: self.meter })
    }
}

impl<'a> Array<'a, States> for Elements<'a> {
    type Node = Metered<'a>;
    type ElementsIter = EachElement<'a>;

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn elements(&self) -> EachElement<'a> {
        EachElement { elements: self.elements.iter(), meter: self.meter }
    }

    /// Sorts rather than hashes: elements that are made to have one hash would take the time of the
    /// square of their number.
    fn is_unique(&self) -> bool {
        let rounds = u64::from(self.elements.len().max(1).ilog2()) + 1;
        let one_round: u64 = self.elements.iter().map(copy_steps).sum();
        if !self.meter.pay(rounds.saturating_mul(one_round)) {
            return true;
        }
        let mut sorted: Vec<&Value> = self.elements.iter().collect();
        sorted.sort_unstable_by(|left, right| order(left, right));
        sorted.windows(2).all(|pair| order(pair[0], pair[1]).is_ne())
    }
}

/// A total order in which values are equal that are so in JSON Schema: numbers by value, objects
/// whatever the order of their members.
fn order(left: &Value, right: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => number::compare(left, right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => left.len().cmp(&right.len()).then_with(|| {
            first_difference(left.iter().zip(right).map(|(left, right)| order(left, right)))
        }),
        // Members stand in the order of their names.
        (Value::Object(left), Value::Object(right)) => {
            left.len().cmp(&right.len()).then_with(|| {
                first_difference(left.iter().zip(right).map(|((name, left), (other, right))| {
                    name.cmp(other).then_with(|| order(left, right))
                }))
            })
        }
        (left, right) => kind(left).cmp(&kind(right)),
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

impl JsonNumber for &Number {
    fn as_u64(&self) -> Option<u64> {
        Number::as_u64(self)
    }

    fn as_i64(&self) -> Option<i64> {
        Number::as_i64(self)
    }

    fn as_f64(&self) -> Option<f64> {
        Number::as_f64(self)
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(Number::as_str(self))
    }

    fn is_integer(&self) -> bool {
        // By value: `21.0` is an integer too.
        Number::is_integer(self) || number::is_whole(Number::as_str(self))
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        // Its digits are a number's, so they always parse.
        Cow::Owned(Number::as_str(self).parse().unwrap_or_else(|_| 0.into()))
    }
}
