//! CEL, bounded and deterministic: what a path cannot say in a mapping, and the rules of contracts.
//!
//! The crate `cel` parses and evaluates. Around it stands what this program promises:
//!
//! - only declared variables and the functions of [`FUNCTIONS`]: there is no clock and no random
//!   number to reach, and time zones come with the program;
//! - a map's elements are walked in the order of their keys, and trigonometry comes from `libm`,
//!   so that every machine gives the same value;
//! - there is one kind of number: `70`, `70.0` and `7e1` are the same value, and no result depends
//!   on the spelling (see the module `number`). Arithmetic of whole numbers never rounds or wraps;
//! - text, nesting, loops and lists have their bounds in [`crate::limits`], and all that an
//!   evaluation does is paid for by the budget of its record;
//! - only the values that [`Expression::paths`] names are converted, never a whole event.
//!
//! Where this differs from the CEL standard, for the sake of rules over device data, and why, is
//! told in `docs/expressions.md`; `tests/cel_conformance.rs` holds the list against the standard's
//! own tests.
//!
//! Nothing here does IO, knows the time or panics on any text or value.

mod arguments;
mod arithmetic;
mod bounds;
mod calendar;
mod comparisons;
mod compile;
mod complaint;
mod conversions;
mod decimal;
mod fields;
mod functions;
mod kinds;
mod members;
mod meter;
mod number;
mod operators;
mod pattern;
mod quick;
mod sent;
mod steps;
mod text;
mod time;
mod value;

pub use comparisons::{Compared, Comparison};
pub use functions::{FUNCTIONS, FunctionDoc};
pub use kinds::Kinds;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::budget::{Budget, Exhausted, text_steps};
use crate::codec::json::{Map, Value};
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::common::types::CelBool;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError};

use crate::diagnostic::Place;
use pattern::Pattern;
use quick::{Quick, Scalar};
use sent::Sent;

/// A compiled expression.
pub struct Expression {
    source: String,
    program: IdedExpr,
    /// The source position of each node of the program.
    info: SourceInfo,
    slots: Vec<Slot>,
    paths: Vec<Vec<String>>,
    /// Regular expressions of `matches`.
    patterns: Vec<Pattern>,
    /// The program once more, where all of it is scalars.
    quick: Option<Quick>,
    /// Values are converted once an evaluation rather than once a use: it may use them in a loop.
    loops: bool,
    /// Steps that every evaluation takes, whatever the values; those of loops come on top.
    steps: u64,
}

/// A value that an expression reads: a variable, or a field below it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    /// Name of the variable.
    variable: String,
    /// Its place among the declared variables, where a caller will usually give it.
    position: usize,
    /// Names of fields, from the variable down.
    steps: Vec<String>,
    /// As the expression writes it, for messages.
    text: String,
    /// The first position at which the expression reads it.
    place: Place,
}

/// A variable's value, in whatever form the caller has it.
#[derive(Debug, Clone, Copy)]
pub enum Bound<'a> {
    /// Any JSON value.
    Value(&'a Value),
    /// The fields of a JSON object.
    Object(&'a Map),
    /// An integer.
    Integer(i64),
    /// A string.
    Text(&'a str),
}

impl<'a> Bound<'a> {
    /// A field of an object.
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Value(value) => value.as_object()?.get(name),
            Self::Object(fields) => fields.get(name),
            Self::Integer(_) | Self::Text(_) => None,
        }
        .map(Bound::Value)
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Text(text) => Some(text),
            Self::Object(_) | Self::Integer(_) => None,
        }
    }
}

impl<'a> From<&'a Value> for Bound<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Value(value)
    }
}

/// Why an expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// The position in the expression's own text.
    pub place: Place,
    /// The error and the permitted alternatives.
    pub message: String,
}

/// Why an expression gives no value for this input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It asked for a field that is not there.
    #[error("`{0}` is absent")]
    Missing(String),
    /// Types that do not go together, a division by zero, an overflow, a bound.
    #[error("{0}")]
    Failed(String),
    /// It takes more steps than are left.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl Expression {
    /// Parses and checks an expression that may use these variables.
    ///
    /// # Errors
    ///
    /// A string that is not CEL or over a bound, an unknown variable or function.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        bounds::check(source)?;
        let compiled = compile::compile(source, variables)?;
        let paths = compiled.slots.iter().map(Slot::path).collect();
        Ok(Self {
            source: source.to_owned(),
            quick: Quick::of(&compiled.program),
            steps: steps::steps(&compiled.program),
            program: compiled.program,
            info: compiled.info,
            slots: compiled.slots,
            paths,
            patterns: compiled.patterns,
            loops: compiled.loops,
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Paths that it reads, the variable first: `["state", "temperature"]`. A variable that is used
    /// whole, or indexed by a computed name, is a path of its own name alone.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        &self.paths
    }

    /// The path that an error is about: the one that it names, else the only one that is read; `None`
    /// where several are read and it may be any of them.
    #[must_use]
    pub fn path_at_fault(&self, error: Option<&EvaluationError>) -> Option<&[String]> {
        let is_named = |slot: &Slot| match error {
            Some(EvaluationError::Missing(name)) => slot.text == *name,
            Some(EvaluationError::Failed(reason)) => reason
                .strip_prefix('`')
                .and_then(|reason| reason.strip_prefix(slot.text.as_str()))
                .is_some_and(|rest| rest.starts_with('`')),
            Some(EvaluationError::Exhausted(_)) | None => false,
        };
        let named = self.slots.iter().position(is_named);
        let only = (self.paths.len() == 1).then_some(0);
        self.paths.get(named.or(only)?).map(Vec::as_slice)
    }

    /// The first position of each of the expression's paths, in their order.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.slots.iter().map(|slot| slot.place)
    }

    /// The value for these variables, as [`Expression::evaluate_within`] a budget of its own.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate_within`].
    pub fn evaluate<'a, V: Variable<'a>>(
        &'a self,
        variables: &'a [(&'a str, V)],
    ) -> Result<Value, EvaluationError> {
        self.evaluate_within(variables, &Budget::new())
    }

    /// The value for these variables. Only what [`Expression::paths`] names is looked at; a
    /// variable that is not given counts as absent.
    ///
    /// # Errors
    ///
    /// A field that is absent, types that do not go together, a number that is not finite, a bound,
    /// a budget that is used up.
    pub fn evaluate_within<'a, V: Variable<'a>>(
        &'a self,
        variables: &'a [(&'a str, V)],
        budget: &Budget,
    ) -> Result<Value, EvaluationError> {
        budget.spend(self.steps)?;
        meter::within(budget, || {
            let scalar = self.quickly(variables);
            if let Some(Scalar::Text(text)) = scalar {
                meter::pay(text_steps(text));
            }
            match scalar {
                Some(scalar) => Ok(scalar.to_json()),
                None => self.with_result(variables, value::to_json),
            }
        })?
    }

    /// Evaluates a condition, as [`Expression::holds_within`] does, with a budget of its own.
    ///
    /// # Errors
    ///
    /// As [`Expression::holds_within`].
    pub fn holds<'a, V: Variable<'a>>(
        &'a self,
        variables: &'a [(&'a str, V)],
    ) -> Result<bool, EvaluationError> {
        self.holds_within(variables, &Budget::new())
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate_within`]; also a value that is neither true nor false.
    pub fn holds_within<'a, V: Variable<'a>>(
        &'a self,
        variables: &'a [(&'a str, V)],
        budget: &Budget,
    ) -> Result<bool, EvaluationError> {
        budget.spend(self.steps)?;
        meter::within(budget, || match self.quickly(variables) {
            Some(Scalar::Bool(held)) => Ok(held),
            _ => self.with_result(variables, condition),
        })?
    }

    /// Byte offset of a node of the program in the source.
    fn offset(&self, id: u64) -> usize {
        self.info.offset_for(id).map_or(0, |(start, _)| start as usize)
    }

    fn quickly<'a, V: Variable<'a>>(&'a self, variables: &'a [(&'a str, V)]) -> Option<Scalar<'a>> {
        let value = |index: usize| value_of(self.slots.get(index)?, variables);
        self.quick.as_ref()?.evaluate(&value)
    }

    fn with_result<'a, V: Variable<'a>, T>(
        &'a self,
        variables: &'a [(&'a str, V)],
        take: impl FnOnce(&dyn Val) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        let bindings = Bindings::new(self, variables);
        let mut context = Context::with_env(Arc::clone(&functions::ENVIRONMENT));
        context.set_variable_resolver(&bindings);
        match cel::Value::resolve_val(&self.program, &context) {
            Ok(value) => take(value.as_ref()),
            Err(error) => Err(bindings.explain(&error)),
        }
    }
}

/// The truth of a condition's result.
fn condition(result: &dyn Val) -> Result<bool, EvaluationError> {
    result.downcast_ref::<CelBool>().map(|held| *held.inner()).ok_or_else(|| {
        let found = value::describe(result);
        EvaluationError::Failed(format!("a condition is true or false, this is {found}"))
    })
}

/// A value that a caller may pass for a variable.
pub trait Variable<'a>: Copy + Into<Bound<'a>> + Send + Sync {}

impl<'a, T: Copy + Into<Bound<'a>> + Send + Sync> Variable<'a> for T {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Slot {
    fn path(&self) -> Vec<String> {
        let mut path = vec![self.variable.clone()];
        path.extend(self.steps.iter().cloned());
        path
    }
}

/// Prefixes of the names that stand in a program for its slots. No expression can spell them.
const VALUE_OF: char = '#';
const PRESENCE_OF: char = '?';
/// As [`VALUE_OF`], with all digits of a number.
const DIGITS_OF: char = '=';
/// Prefix of the names of its regular expressions.
const PATTERN_OF: char = '~';

/// The value of a slot.
fn value_of<'a, V: Variable<'a>>(slot: &Slot, variables: &[(&str, V)]) -> Option<Bound<'a>> {
    let expected = variables.get(slot.position).filter(|(name, _)| *name == slot.variable);
    let found = expected.or_else(|| variables.iter().find(|(name, _)| *name == slot.variable));
    slot.steps.iter().try_fold(found?.1.into(), |value, step| value.field(step))
}

/// Gives the evaluation the values of an expression's slots.
struct Bindings<'a, V> {
    slots: &'a [Slot],
    patterns: &'a [Pattern],
    variables: &'a [(&'a str, V)],
    converted: Vec<OnceLock<Option<Box<dyn Val + 'a>>>>,
}

impl<'a, V: Variable<'a>> Bindings<'a, V> {
    fn new(expression: &'a Expression, variables: &'a [(&'a str, V)]) -> Self {
        let (slots, patterns) = (&expression.slots, &expression.patterns);
        let converted = if expression.loops { slots.len() } else { 0 };
        let converted = (0..converted).map(|_| OnceLock::new()).collect();
        Self { slots, patterns, variables, converted }
    }

    fn value(&self, slot: &Slot) -> Option<Bound<'a>> {
        value_of(slot, self.variables)
    }

    /// The slot behind a name of the program, and whether only its presence is asked for.
    fn slot(&self, name: &str) -> Option<(usize, bool)> {
        let presence = match name.chars().next()? {
            VALUE_OF | DIGITS_OF => false,
            PRESENCE_OF => true,
            _ => return None,
        };
        let index: usize = name[1..].parse().ok()?;
        (index < self.slots.len()).then_some((index, presence))
    }

    /// Turns the library's error into ours: absent where a field is not there, else why.
    fn explain(&self, error: &ExecutionError) -> EvaluationError {
        if let ExecutionError::UndeclaredReference(name) = error
            && let Some((index, _)) = self.slot(name)
        {
            let slot = &self.slots[index];
            return match self.value(slot).map(value::from_json) {
                Some(Err(reason)) => EvaluationError::Failed(format!("`{}` {reason}", slot.text)),
                Some(Ok(_)) | None => EvaluationError::Missing(slot.text.clone()),
            };
        }
        value::explain(error)
    }
}

impl<'a, V: Variable<'a>> VariableResolver for Bindings<'a, V> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = name.strip_prefix(PATTERN_OF) {
            let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        let (index, presence) = self.slot(name)?;
        let slot = &self.slots[index];
        if presence {
            return Some(arguments::truth(self.value(slot).is_some()));
        }
        let bound = self.value(slot)?;
        if name.starts_with(DIGITS_OF)
            && let Some(sent) = Sent::of(bound)
        {
            return Some(CowVal::owned(sent));
        }
        match self.converted.get(index) {
            None => meter::pay_bound(bound)
                .then(|| value::from_json(bound).ok())
                .flatten()
                .map(CowVal::Owned),
            Some(once) => {
                // A string is borrowed each time and looked at each time; a list is converted once.
                let is_paid = bound.text().is_none_or(|text| meter::pay(text_steps(text)));
                let convert = || meter::pay_bound(bound).then(|| value::from_json(bound).ok());
                let value = once.get_or_init(|| convert().flatten()).as_deref();
                value.filter(|_| is_paid).map(CowVal::Borrowed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
