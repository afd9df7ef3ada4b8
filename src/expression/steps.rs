//! The step cost of a program, independent of its values.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue};

use crate::budget::text_steps;
use crate::limits::COPY_STEPS;

/// Steps of one evaluation: one for each operator, function and value, more for what is built and for
/// texts and names that are written out. The turns of a loop are not among them:
/// [`ITEMS`](super::functions::ITEMS) pays for those once it knows their number.
pub(super) fn steps(expression: &IdedExpr) -> u64 {
    let all = |expressions: &[IdedExpr]| expressions.iter().map(steps).sum::<u64>();
    1 + match &expression.expr {
        Expr::Select(select) => text_steps(&select.field) + steps(&select.operand),
        Expr::Call(call) => {
            all(&call.args) + call.target.as_ref().map_or(0, |target| steps(target))
        }
        Expr::List(list) => all(&list.elements) + COPY_STEPS * list.elements.len() as u64,
        Expr::Map(map) => map.entries.iter().map(entry_steps).sum(),
        Expr::Comprehension(loop_) => {
            steps(&loop_.iter_range) + steps(&loop_.accu_init) + steps(&loop_.result)
        }
        Expr::Literal(LiteralValue::String(text)) => text_steps(text.inner()),
        Expr::Ident(name) => text_steps(name),
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => 0,
    }
}

fn entry_steps(entry: &IdedEntryExpr) -> u64 {
    match &entry.expr {
        EntryExpr::MapEntry(entry) => COPY_STEPS + steps(&entry.key) + steps(&entry.value),
        EntryExpr::StructField(_) => 0,
    }
}
