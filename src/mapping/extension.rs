//! The rest of the payload, kept under `extension`.

use crate::budget::{Budget, Exhausted};
use crate::codec::json::{Map, Value};

use super::document::{Part, Scope};
use crate::expression::Expression;
use crate::limits::COPY_STEPS;

/// The values that an expression reads.
pub(super) fn read_by<'a>(
    expression: &Expression,
    variables: &[(&str, &'a Value)],
) -> Vec<&'a Value> {
    let read = |path: &Vec<String>| {
        let (variable, names) = path.split_first()?;
        let (_, start) = variables.iter().find(|(name, _)| name == variable)?;
        names.iter().try_fold(*start, |value, name| value.as_object()?.get(name))
    };
    expression.paths().iter().filter_map(read).collect()
}

/// The values that fields took, by their identity. Counts nothing where no extension is asked for.
pub(super) struct Taken {
    values: Vec<*const Value>,
    wanted: bool,
}

impl Taken {
    /// An empty set; `wanted` where there is an extension.
    pub fn new(wanted: bool) -> Self {
        Self { values: Vec::new(), wanted }
    }

    /// A value of the event is taken, with everything below it.
    pub fn add(&mut self, value: &Value) {
        if self.wanted {
            self.values.push(value);
        }
    }

    /// Everything that an expression reads is taken.
    pub fn add_paths(&mut self, expression: &Expression, variables: &[(&str, &Value)]) {
        if !self.wanted {
            return;
        }
        read_by(expression, variables).into_iter().for_each(|value| self.add(value));
    }

    /// The rest of the payload. With `for_each`: the payload without the `elements`, plus the
    /// element.
    ///
    /// # Errors
    ///
    /// A budget that is used up.
    pub fn rest(
        mut self,
        scope: Scope<'_>,
        elements: &[&Value],
    ) -> Result<Option<Value>, Exhausted> {
        let budget = scope.document.budget();
        // Each value that is looked at is looked for among those that are taken.
        budget.spend((self.values.len() + elements.len()) as u64)?;
        self.values.sort_unstable();
        let Some(item) = scope.item else {
            let payload = scope.part(Part::Payload);
            return payload.map_or(Ok(None), |payload| self.left(payload, budget));
        };
        let of_item = self.left(item.value, budget)?;
        elements.iter().for_each(|element| self.add(element));
        self.values.sort_unstable();
        let payload = scope.part(Part::Payload);
        let of_payload = payload.map_or(Ok(None), |payload| self.left(payload, budget))?;
        let parts: Map = [(Part::Payload, of_payload), (Part::Item, of_item)]
            .into_iter()
            .filter_map(|(part, rest)| Some((part.name().to_owned(), rest?)))
            .collect();
        Ok((!parts.is_empty()).then_some(Value::Object(parts)))
    }

    /// A value without what was taken of it; `None` where nothing is left.
    fn left(&self, value: &Value, budget: &Budget) -> Result<Option<Value>, Exhausted> {
        if self.values.binary_search(&std::ptr::from_ref(value)).is_ok() {
            budget.spend(1)?;
            return Ok(None);
        }
        Ok(match value {
            Value::Object(members) if !members.is_empty() => {
                budget.spend(COPY_STEPS)?;
                let mut kept = Map::new();
                for (name, value) in members {
                    if let Some(left) = self.left(value, budget)? {
                        kept.push_last(name.clone(), left);
                    }
                }
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(elements) if !elements.is_empty() => {
                budget.spend(COPY_STEPS)?;
                let mut kept = Vec::new();
                for element in elements {
                    kept.extend(self.left(element, budget)?);
                }
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            whole => {
                budget.spend_copy(whole)?;
                Some(whole.clone())
            }
        })
    }
}
