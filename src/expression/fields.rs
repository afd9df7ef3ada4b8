//! Fields in the compiler: what an expression reads of a variable becomes a slot, and `has` a question
//! for one.

use crate::expression::compile::{Compiler, Outcome, copied, global};
use crate::expression::functions::HAS;
use crate::expression::{PRESENCE_OF, Slot, VALUE_OF, bounds};
use crate::limits::MAX_EXPRESSION_DEPTH;
use cel::common::ast::{CallExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, operators};

/// Names of a field and all above it, the variable first, innermost last.
pub(super) type Chain = Vec<String>;

impl Compiler<'_> {
    /// A name in the program for a field, the same for the same field.
    pub(super) fn slot(&mut self, root: u64, prefix: char, chain: Chain) -> Expr {
        let place = self.place(root);
        let text = chain_text(&chain);
        let mut steps = chain.into_iter();
        let variable = steps.next().unwrap_or_default();
        let steps: Vec<String> = steps.collect();
        let same = |slot: &Slot| slot.variable == variable && slot.steps == steps;
        let index = self.slots.iter().position(same).unwrap_or_else(|| {
            let position = self.variables.iter().position(|name| **name == variable);
            let position = position.unwrap_or(0);
            self.slots.push(Slot { variable, position, steps, text, place });
            self.slots.len() - 1
        });
        Expr::Ident(format!("{prefix}{index}"))
    }

    /// The names that lead from a variable to this field; `None` for anything computed.
    pub(super) fn chain(&self, expression: &IdedExpr) -> Option<Chain> {
        let mut names = Vec::new();
        let mut expression = expression;
        loop {
            match &expression.expr {
                Expr::Ident(name) if !self.locals.contains(name) => {
                    names.push(name.clone());
                    names.reverse();
                    return Some(names);
                }
                Expr::Select(select) if !select.test => {
                    names.push(select.field.clone());
                    expression = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [operand, index] = call.args.as_slice() else { return None };
                    if let Some(name) = self.numbered(operand, index) {
                        names.push(name);
                        names.reverse();
                        return Some(names);
                    }
                    let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
                        return None;
                    };
                    names.push(name.inner().to_owned());
                    expression = operand;
                }
                _ => return None,
            }
        }
    }

    /// A variable that is one of a numbered series: `parents[0]`.
    fn numbered(&self, operand: &IdedExpr, index: &IdedExpr) -> Option<String> {
        let (Expr::Ident(name), Expr::Literal(LiteralValue::Int(number))) =
            (&operand.expr, &index.expr)
        else {
            return None;
        };
        let numbered = format!("{name}[{}]", number.inner());
        let is_known = self.variables.contains(&numbered.as_str()) && !self.locals.contains(name);
        is_known.then_some(numbered)
    }

    pub(super) fn select(&mut self, id: u64, select: SelectExpr, depth: usize) -> Outcome<Expr> {
        let SelectExpr { operand, field, test } = select;
        if test && self.chain(&operand).is_none() {
            return self.presence(id, *operand, field, depth);
        }
        if let Some(mut chain) = self.chain(&operand) {
            self.known(root_of(&operand), &chain[0])?;
            chain.push(field);
            self.short(id, chain.len())?;
            let root = root_of(&operand);
            return Ok(self.slot(root, if test { PRESENCE_OF } else { VALUE_OF }, chain));
        }
        let operand = self.boxed(*operand, depth)?;
        Ok(Expr::Select(SelectExpr { operand, field, test }))
    }

    /// `has` of a field behind an index or in a loop: one call that goes down from what is there,
    /// since the library's fails where a part on the way is absent.
    fn presence(
        &mut self,
        id: u64,
        mut root: IdedExpr,
        field: String,
        depth: usize,
    ) -> Outcome<Expr> {
        let mut steps = vec![text_literal(id, field)];
        let chain = loop {
            self.short(id, steps.len())?;
            let chain = self.chain(&root);
            if chain.is_some() {
                break chain;
            }
            match root.expr {
                Expr::Select(select) if !select.test => {
                    steps.push(text_literal(root.id, select.field));
                    root = *select.operand;
                }
                Expr::Call(mut call) if is_index(&call) => {
                    if let Some(index) = call.args.pop() {
                        steps.push(copied(self.expression(index, depth)?));
                    }
                    let Some(operand) = call.args.pop() else { return self.refuse(id, "no index") };
                    root = operand;
                }
                expr => {
                    root = IdedExpr { id: root.id, expr };
                    break None;
                }
            }
        };
        steps.reverse();
        let steps = IdedExpr { id, expr: Expr::List(ListExpr::new(steps)) };
        let Some(chain) = chain else {
            let root = self.expression(root, depth)?;
            return Ok(global(HAS.to_owned(), vec![root, steps]));
        };
        let place = root_of(&root);
        self.known(place, &chain[0])?;
        self.short(id, chain.len())?;
        let is_there = self.slot(place, PRESENCE_OF, chain.clone());
        let value = self.slot(place, VALUE_OF, chain);
        let value = IdedExpr { id: place, expr: value };
        let has = global(HAS.to_owned(), vec![value, steps]);
        let both = [is_there, has].map(|expr| IdedExpr { id, expr });
        Ok(global(operators::LOGICAL_AND.to_owned(), both.into()))
    }

    pub(super) fn short(&self, id: u64, names: usize) -> Outcome<()> {
        if names > MAX_EXPRESSION_DEPTH {
            return Err(bounds::too_deep(self.place(id)));
        }
        Ok(())
    }
}

fn text_literal(id: u64, text: String) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(LiteralValue::String(text.into())) }
}

fn is_index(call: &CallExpr) -> bool {
    call.func_name == operators::INDEX && call.target.is_none() && call.args.len() == 2
}

/// The name that a chain of fields starts with.
pub(super) fn root_of(expression: &IdedExpr) -> u64 {
    match &expression.expr {
        Expr::Select(select) => root_of(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => {
            call.args.first().map_or(expression.id, root_of)
        }
        _ => expression.id,
    }
}

/// A chain as an expression writes it.
fn chain_text(chain: &Chain) -> String {
    let mut text = String::new();
    for (index, name) in chain.iter().enumerate() {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if index == 0 {
            text.push_str(name);
        } else if plain && !name.is_empty() {
            text.push('.');
            text.push_str(name);
        } else {
            text.push_str(&format!("[{name:?}]"));
        }
    }
    text
}
