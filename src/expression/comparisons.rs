//! Comparisons in an expression of a value that it reads with one that is written out, so that a value
//! that a field can never have is found at load.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use crate::codec::json::{Number, Value};
use crate::diagnostic::Place;
use crate::expression::functions::{IN, INDEX, KEY};
use crate::expression::{DIGITS_OF, Expression, VALUE_OF, bounds};

/// A value that is read, and one that it is compared with by `==`, `!=` or `in`, or looked up by.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'a> {
    /// Path of the value that is read, the variable first.
    pub path: &'a [String],
    /// The other operand.
    pub with: Compared<'a>,
    /// The position of the comparison in the expression's text.
    pub place: Place,
}

/// The other side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared<'a> {
    /// A value that is written out.
    Value(Value),
    /// Another value that is read.
    Path(&'a [String]),
    /// The elements of a list that is read.
    Elements(&'a [String]),
}

impl Expression {
    /// Every comparison of a path with a value that is written out, or with another path.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Comparison<'_>> {
        let mut found = Vec::new();
        self.walk(&self.program, &mut found);
        found
    }

    fn walk<'a>(&'a self, expression: &'a IdedExpr, found: &mut Vec<Comparison<'a>>) {
        match &expression.expr {
            Expr::Call(call) => {
                self.compared(call, found);
                call.target.iter().for_each(|target| self.walk(target, found));
                call.args.iter().for_each(|argument| self.walk(argument, found));
            }
            Expr::Select(select) => self.walk(&select.operand, found),
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element, found)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key, found);
                        self.walk(&entry.value, found);
                    }
                }
            }
            Expr::Comprehension(comprehension) => {
                let comprehension = comprehension.as_ref();
                let parts = [
                    &comprehension.iter_range,
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ];
                parts.into_iter().for_each(|part| self.walk(part, found));
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
    }

    fn compared<'a>(&'a self, call: &'a CallExpr, found: &mut Vec<Comparison<'a>>) {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("@equal" | "@unequal", [left, right]) => {
                self.compare(left, right, found);
                self.compare(right, left, found);
            }
            (IN, [element, container]) => self.among(element, container, found),
            (INDEX, [container, key]) if matches!(container.expr, Expr::Map(_)) => {
                self.among(key, container, found);
            }
            _ => {}
        }
    }

    /// Notes comparisons with all elements of a list or keys of a map.
    fn among<'a>(
        &'a self,
        read: &IdedExpr,
        container: &'a IdedExpr,
        found: &mut Vec<Comparison<'a>>,
    ) {
        match &container.expr {
            Expr::List(list) => {
                list.elements.iter().for_each(|element| self.compare(read, element, found));
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.compare(read, &entry.key, found);
                    }
                }
            }
            _ => {
                if let (Some(path), Some(list)) = (self.read(read), self.read(container)) {
                    let place = self.place(container);
                    found.push(Comparison { path, with: Compared::Elements(list), place });
                }
            }
        }
    }

    fn compare<'a>(
        &'a self,
        read: &IdedExpr,
        other: &'a IdedExpr,
        found: &mut Vec<Comparison<'a>>,
    ) {
        let Some(path) = self.read(read) else { return };
        let with = match &other.expr {
            Expr::Literal(literal) => value_of(literal).map(Compared::Value),
            Expr::Call(call) if call.func_name == KEY => {
                return call.args.iter().for_each(|key| self.compare(read, key, found));
            }
            _ => self.read(other).map(Compared::Path),
        };
        let place = self.place(other);
        found.extend(with.map(|with| Comparison { path, with, place }));
    }

    /// The path that a node reads, where it does nothing else.
    fn read(&self, node: &IdedExpr) -> Option<&[String]> {
        let Expr::Ident(name) = &node.expr else { return None };
        let index: usize = name.strip_prefix([VALUE_OF, DIGITS_OF])?.parse().ok()?;
        self.paths.get(index).map(Vec::as_slice)
    }

    fn place(&self, node: &IdedExpr) -> Place {
        bounds::place_at(&self.source, self.offset(node.id))
    }
}

fn value_of(literal: &LiteralValue) -> Option<Value> {
    Some(match literal {
        LiteralValue::Null => Value::Null,
        LiteralValue::Boolean(truth) => Value::Bool(*truth.inner()),
        LiteralValue::Int(whole) => Value::from(*whole.inner()),
        LiteralValue::UInt(whole) => Value::from(*whole.inner()),
        LiteralValue::Double(decimal) => Value::Number(Number::from_f64(*decimal.inner())?),
        LiteralValue::String(text) => Value::from(text.inner()),
        LiteralValue::Bytes(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_with_what_is_written_out_are_found() {
        /// Path, the other side, and its column.
        type Shown<'a> = (&'a str, &'a str, u64);
        let cases: &[(&str, &[Shown<'_>])] = &[
            ("s.a == 'x'", &[("s.a", "\"x\"", 8)]),
            ("'x' != s['a']", &[("s.a", "\"x\"", 1)]),
            ("s.a == 2.0 || s.b > 1", &[("s.a", "2", 8)]),
            (
                "s.a in ['x', 1.5, true]",
                &[("s.a", "\"x\"", 9), ("s.a", "1.5", 14), ("s.a", "true", 19)],
            ),
            ("s.a in {'x': 1}", &[("s.a", "\"x\"", 9)]),
            ("{'x': 1, 'y': 2}[s.a]", &[("s.a", "\"x\"", 2), ("s.a", "\"y\"", 10)]),
            ("{s.b: 1, s.b + 'x': 2}[s.a]", &[("s.a", "s.b", 2)]),
            ("has(s.a) && !(s.a == 'x') ? s.b : 1", &[("s.a", "\"x\"", 22)]),
            ("s.list.exists(e, e == 'x' && s.a == 'y')", &[("s.a", "\"y\"", 37)]),
            ("s.list.exists(e, s.a in ['x'])", &[("s.a", "\"x\"", 26)]),
            ("s.a == s.b", &[("s.a", "s.b", 8), ("s.b", "s.a", 1)]),
            ("s.a in s.list", &[("s.a", "of s.list", 8)]),
            // What is computed may be anything.
            ("s.a + 'x' == 'y'", &[]),
            ("s.a == 'x' + 'y'", &[]),
            ("s.list[0] == 'x'", &[]),
            ("s.a.startsWith('x')", &[]),
            ("s.a < 'x'", &[]),
        ];
        for (source, expected) in cases {
            let expression = Expression::compile(source, &["s"]).unwrap();
            let shown = |comparison: &Comparison<'_>| {
                let with = match &comparison.with {
                    Compared::Value(value) => value.to_string(),
                    Compared::Path(path) => path.join("."),
                    Compared::Elements(path) => format!("of {}", path.join(".")),
                };
                (comparison.path.join("."), with, comparison.place.column)
            };
            let found: Vec<_> = expression.comparisons().iter().map(shown).collect();
            let found: Vec<_> =
                found.iter().map(|(path, with, at)| (path.as_str(), with.as_str(), *at)).collect();
            assert_eq!(found, *expected, "{source}");
        }
    }
}
