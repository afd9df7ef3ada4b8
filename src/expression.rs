//! CEL, bounded and deterministic: what a path cannot say in a mapping, and the rules of contracts.

use serde_json::Value;

use crate::fault::Place;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
}

/// Why an expression does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Where in the expression's own text.
    pub place: Place,
    /// What is wrong and what is allowed.
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
}

impl Expression {
    /// Parses and checks an expression that may use these variables.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        let _ = variables;
        Ok(Self { source: source.to_owned() })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Dotted paths that it reads, the variable first: `state.temperature`.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        &[]
    }

    /// The value for these variables. Only what [`Expression::paths`] names is looked at.
    pub fn evaluate(&self, variables: &[(&str, &Value)]) -> Result<Value, EvaluationError> {
        let _ = variables;
        unimplemented!()
    }
}
