//! Evaluates many paths in one walk: common prefixes are walked once, and names are looked up in
//! order, which is also the order of an object's members.

use crate::codec::json::Value;

use super::document::{Part, Scope};
use super::field::{Field, MAX_WAY_STEPS, Query, Source};
use crate::jsonpath::Step;

/// The ways of a mapping's fields, in the order of their steps.
#[derive(Debug, Default)]
pub(super) struct Descent {
    ways: Vec<Way>,
}

/// The way of one field.
#[derive(Debug)]
struct Way {
    part: Part,
    steps: Vec<Step>,
    /// Steps that the way before it begins with as well; `None` where it begins in another part.
    shared: Option<usize>,
    /// Number of the field, in the order of the file.
    field: usize,
}

/// A value on the way.
#[derive(Clone, Copy, Default)]
struct Cursor<'a> {
    value: Option<&'a Value>,
    /// Members in front of this place have names that no further way leads to.
    passed: usize,
}

impl<'a> Cursor<'a> {
    fn at(value: Option<&'a Value>) -> Self {
        Self { value, passed: 0 }
    }

    fn down(&mut self, step: &Step) -> Option<&'a Value> {
        match (step, self.value?) {
            (Step::Name(name), Value::Object(members)) => {
                let (place, value) = members.get_from(self.passed, name)?;
                self.passed = place + 1;
                Some(value)
            }
            (step, value) => step.down(value),
        }
    }
}

impl Descent {
    /// The ways of those fields whose query [is one](Query::is_way).
    pub fn of(fields: &[Field]) -> Self {
        let queries = fields.iter().enumerate().filter_map(|(field, Field { source, .. })| {
            let Source::Query(query) = source else { return None };
            query.is_way().then_some((field, query))
        });
        let way = |(field, query): (usize, &Query)| Way {
            part: query.part,
            steps: query.steps().to_vec(),
            shared: None,
            field,
        };
        let mut ways: Vec<Way> = queries.map(way).collect();
        ways.sort_by(|left, right| (left.part, &left.steps).cmp(&(right.part, &right.steps)));
        for number in 1..ways.len() {
            let (before, way) = (&ways[number - 1], &ways[number]);
            let alike =
                before.steps.iter().zip(&way.steps).take_while(|(left, right)| left == right);
            ways[number].shared = (before.part == way.part).then_some(alike.count());
        }
        Self { ways }
    }

    /// Puts what stands at the end of each way to its field.
    pub fn find<'a>(&self, scope: Scope<'a>, found: &mut [Option<&'a Value>]) {
        let mut stands = [Cursor::default(); MAX_WAY_STEPS + 1];
        for way in &self.ways {
            let shared = way.shared.unwrap_or_else(|| {
                stands[0] = Cursor::at(scope.part(way.part));
                0
            });
            for (number, step) in way.steps.iter().enumerate().skip(shared) {
                stands[number + 1] = Cursor::at(stands[number].down(step));
            }
            found[way.field] = stands[way.steps.len()].value;
        }
    }
}
