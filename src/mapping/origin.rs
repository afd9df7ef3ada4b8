//! Positions of `for_each` elements in the payload, for mappings with fields that ask for them.

use super::document::Item;
use crate::budget::{Budget, Exhausted, text_steps};
use crate::codec::json::Value;
use crate::limits::COPY_STEPS;

/// The position of an element.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    /// Its name, where it is a member of an object.
    pub key: Option<Value>,
    /// Names and positions that lead from the payload to it.
    pub path: Value,
    /// The objects that it is in, the nearest first.
    pub parents: Vec<&'a Value>,
}

/// Finds every element in one walk through the payload, by its identity. Each value on the way is
/// paid for, with a copy of its name, and each element's path and parents.
pub(super) fn find<'a>(
    payload: &'a Value,
    items: &mut [Item<'a>],
    budget: &Budget,
) -> Result<(), Exhausted> {
    let mut wanted: Vec<(*const Value, usize)> = items
        .iter()
        .enumerate()
        .map(|(number, item)| (std::ptr::from_ref(item.value), number))
        .collect();
    wanted.sort_unstable();
    let mut walk = Walk { wanted, items, budget, steps: Vec::new(), parents: Vec::new() };
    walk.visit(payload)
}

struct Walk<'a, 'i> {
    /// Elements by identity, with their numbers.
    wanted: Vec<(*const Value, usize)>,
    items: &'i mut [Item<'a>],
    budget: &'i Budget,
    /// The way to the present value.
    steps: Vec<Value>,
    /// The objects around it, the outermost first.
    parents: Vec<&'a Value>,
}

impl<'a> Walk<'a, '_> {
    /// As deep as a body may be nested.
    fn visit(&mut self, value: &'a Value) -> Result<(), Exhausted> {
        self.meet(value)?;
        match value {
            Value::Object(members) => {
                self.parents.push(value);
                for (name, member) in members {
                    self.budget.spend(COPY_STEPS + text_steps(name))?;
                    self.step(Value::String(name.clone()), member)?;
                }
                self.parents.pop();
            }
            Value::Array(elements) => {
                self.budget.spend(COPY_STEPS * elements.len() as u64)?;
                for (index, element) in elements.iter().enumerate() {
                    self.step(Value::from(index), element)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, step: Value, value: &'a Value) -> Result<(), Exhausted> {
        self.steps.push(step);
        self.visit(value)?;
        self.steps.pop();
        Ok(())
    }

    /// Notes the origin of a value that is an element; a query may select it more than once.
    fn meet(&mut self, value: &'a Value) -> Result<(), Exhausted> {
        let identity = std::ptr::from_ref(value);
        let first = self.wanted.partition_point(|(other, _)| *other < identity);
        for (other, number) in &self.wanted[first..] {
            if *other != identity {
                break;
            }
            let names = self.steps.iter().filter_map(Value::as_str).map(text_steps).sum::<u64>();
            self.budget.spend(names + COPY_STEPS * self.steps.len() as u64)?;
            self.items[*number].origin = Some(Origin {
                key: self.steps.last().filter(|step| step.as_str().is_some()).cloned(),
                path: Value::Array(self.steps.clone()),
                parents: self.parents.iter().rev().copied().collect(),
            });
        }
        Ok(())
    }
}
