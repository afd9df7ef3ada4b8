//! From text to a program: parses, checks every name, and puts slots in the place of fields and
//! bounded operators in the place of the library's.

use crate::diagnostic::{Place, did_you_mean};
use crate::expression::fields::root_of;
use crate::expression::functions::{
    BUILT, COPIED, ENVIRONMENT, FUNCTIONS, INDEX, ITEMS, KEY, MATCHES, OPERATORS, replacement,
};
use crate::expression::number::Numeric;
use crate::expression::pattern::Pattern;
use crate::expression::sent::DIGIT_READERS;
use crate::expression::steps::steps;
use crate::expression::{
    DIGITS_OF, ExpressionError, PATTERN_OF, Slot, VALUE_OF, bounds, complaint,
};
use crate::limits::{MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LITERAL_ITEMS, MAX_EXPRESSION_LOOPS};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue,
    MapExpr, SourceInfo, operators,
};
use cel::common::types::CelInt;

/// The result of compiling a text.
pub(super) struct Compiled {
    pub(super) program: IdedExpr,
    pub(super) info: SourceInfo,
    pub(super) slots: Vec<Slot>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) loops: bool,
}

pub(super) type Outcome<T> = Result<T, ExpressionError>;

/// Parses and checks a string whose bounds were checked.
pub(super) fn compile(source: &str, variables: &[&str]) -> Outcome<Compiled> {
    let parser = ENVIRONMENT.parser();
    let parsed =
        parser.parse_with_source_info(source).map_err(|errors| complaint::first(&errors))?;
    let (program, info) = parsed;
    let mut compiler = Compiler {
        source,
        info,
        variables,
        locals: Vec::new(),
        slots: Vec::new(),
        patterns: Vec::new(),
        loops: 0,
        any_loops: false,
    };
    let program = compiler.expression(program, 0)?;
    let Compiler { info, slots, patterns, any_loops: loops, .. } = compiler;
    Ok(Compiled { program, info, slots, patterns, loops })
}

pub(super) struct Compiler<'a> {
    pub(super) source: &'a str,
    info: SourceInfo,
    pub(super) variables: &'a [&'a str],
    /// Names that the loops around give, the innermost last.
    pub(super) locals: Vec<String>,
    pub(super) slots: Vec<Slot>,
    /// Regular expressions that it writes out.
    patterns: Vec<Pattern>,
    /// Loops around.
    loops: usize,
    any_loops: bool,
}

impl Compiler<'_> {
    pub(super) fn expression(&mut self, expression: IdedExpr, depth: usize) -> Outcome<IdedExpr> {
        // A field's place is where its variable stands, not its last dot.
        let start = root_of(&expression);
        let IdedExpr { id, expr } = expression;
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(bounds::too_deep(self.place(id)));
        }
        let below = depth + 1;
        let expr = match expr {
            Expr::Literal(LiteralValue::Bytes(_)) => {
                return self.refuse(id, "bytes cannot be represented in JSON; write a string");
            }
            Expr::Literal(literal) => Expr::Literal(self.literal(id, literal)?),
            Expr::Ident(name) => self.name(id, name)?,
            Expr::Select(select) => self.select(id, select, below)?,
            Expr::Call(call) => self.call(id, call, below)?,
            Expr::List(list) => self.list(id, list, below)?,
            Expr::Map(map) => self.map(id, map, below)?,
            Expr::Comprehension(comprehension) => self.comprehension(id, *comprehension, below)?,
            Expr::Struct(strct) => {
                let message = format!("`{}{{…}}` is not a known type", strct.type_name);
                return self.refuse(id, message);
            }
            Expr::Unspecified => return self.refuse(id, "an operand is missing"),
        };
        Ok(IdedExpr { id: start, expr })
    }

    pub(super) fn boxed(&mut self, expression: IdedExpr, depth: usize) -> Outcome<Box<IdedExpr>> {
        self.expression(expression, depth).map(Box::new)
    }

    /// A literal in the one form of its value: `2.0` and `2u` are 2.
    fn literal(&self, id: u64, literal: LiteralValue) -> Outcome<LiteralValue> {
        let number = match &literal {
            LiteralValue::UInt(uint) => Some(Numeric::Whole((*uint.inner()).into())),
            LiteralValue::Double(double) => self.decimal(id, *double.inner()),
            _ => return Ok(literal),
        };
        Ok(match number {
            Some(Numeric::Whole(whole)) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(int), _) => LiteralValue::Int(int.into()),
                (_, Ok(uint)) => LiteralValue::UInt(uint.into()),
                (Err(_), Err(_)) => literal,
            },
            Some(Numeric::Decimal(decimal)) => LiteralValue::Double(decimal.into()),
            None => {
                let message = "neither a 64-bit integer nor a double can hold this number exactly";
                return self.refuse(id, message);
            }
        })
    }

    /// The number of a decimal literal, by its text: its double may be another whole number.
    fn decimal(&self, id: u64, double: f64) -> Option<Numeric> {
        let (start, end) = self.info.offset_for(id)?;
        let text = self.source.get(start as usize..=end as usize);
        let sign = if double < 0.0 { "-" } else { "" };
        let text = text.map(|text| format!("{sign}{}", text.trim_start_matches('-')));
        match text.filter(|text| text.parse() == Ok(double)) {
            Some(text) => Numeric::parse(&text),
            None => Numeric::decimal(double).ok(),
        }
    }

    fn name(&mut self, id: u64, name: String) -> Outcome<Expr> {
        if self.locals.contains(&name) {
            return Ok(Expr::Ident(name));
        }
        self.known(id, &name)?;
        Ok(self.slot(id, VALUE_OF, vec![name]))
    }

    /// Refuses a variable that is not declared.
    pub(super) fn known(&self, id: u64, name: &str) -> Outcome<()> {
        if self.variables.contains(&name) {
            return Ok(());
        }
        let locals = self.locals.iter().map(String::as_str).filter(|name| !name.starts_with('@'));
        let hint = did_you_mean(name, self.variables.iter().copied().chain(locals));
        self.refuse(id, format!("there is no variable `{name}`; {hint}"))
    }

    fn call(&mut self, id: u64, call: CallExpr, depth: usize) -> Outcome<Expr> {
        let CallExpr { func_name, target, args } = call;
        if let Some(target) = target {
            return self.member_call(id, func_name, (*target, args), depth);
        }
        if func_name == operators::INDEX {
            let whole = IdedExpr { id, expr: global(func_name.clone(), args) };
            if let Some(chain) = self.chain(&whole) {
                self.known(root_of(&whole), &chain[0])?;
                self.short(id, chain.len())?;
                return Ok(self.slot(root_of(&whole), VALUE_OF, chain));
            }
            let Expr::Call(call) = whole.expr else { return self.refuse(id, "no index") };
            let args = self.all(call.args, depth)?;
            return Ok(global(INDEX.to_owned(), args));
        }
        // The accumulator of a loop keeps the library's own `+`, which it appends with in place.
        let accumulates = func_name == operators::ADD && args.first().is_some_and(is_internal);
        let own = OPERATORS.iter().find(|(theirs, _)| *theirs == func_name);
        let name = match own {
            _ if accumulates => func_name,
            Some((_, ours)) => (*ours).to_owned(),
            None if is_operator(&func_name) => func_name,
            None => {
                self.function(id, &func_name, false, args.len())?;
                if let Some(ours) = replacement(&func_name) {
                    return self.replaced(ours, args, depth);
                }
                func_name
            }
        };
        let args = self.all(args, depth)?;
        Ok(global(name.clone(), with_digits(&name, args)))
    }

    fn member_call(
        &mut self,
        id: u64,
        name: String,
        (target, args): (IdedExpr, Vec<IdedExpr>),
        depth: usize,
    ) -> Outcome<Expr> {
        self.function(id, &name, true, args.len())?;
        if let Some(ours) = replacement(&name) {
            return self.replaced(ours, std::iter::once(target).chain(args).collect(), depth);
        }
        let target = self.expression(target, depth)?;
        let args = self.all(args, depth)?;
        Ok(Expr::Call(CallExpr { func_name: name, target: Some(Box::new(target)), args }))
    }

    /// A call of a function of this program.
    fn replaced(&mut self, ours: &str, mut args: Vec<IdedExpr>, depth: usize) -> Outcome<Expr> {
        let pattern = if ours == MATCHES { args.pop() } else { None };
        let mut args = self.all(args, depth)?;
        if let Some(pattern) = pattern {
            args.push(self.pattern(pattern)?);
        }
        Ok(global(ours.to_owned(), with_digits(ours, args)))
    }

    /// A name in the program for a regular expression. It is written out, so that a wrong one is
    /// found at load, and compiled once.
    fn pattern(&mut self, pattern: IdedExpr) -> Outcome<IdedExpr> {
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
            let message = "`matches` takes a literal pattern, as in matches('^A[0-9]+')";
            return self.refuse(root_of(&pattern), message);
        };
        match Pattern::new(text.inner()) {
            Ok(compiled) => self.patterns.push(compiled),
            Err(message) => return self.refuse(pattern.id, message),
        }
        let name = format!("{PATTERN_OF}{}", self.patterns.len() - 1);
        Ok(IdedExpr { id: pattern.id, expr: Expr::Ident(name) })
    }

    fn all(&mut self, expressions: Vec<IdedExpr>, depth: usize) -> Outcome<Vec<IdedExpr>> {
        expressions.into_iter().map(|expression| self.expression(expression, depth)).collect()
    }

    /// Refuses a function that does not exist or does not take so many arguments.
    fn function(&self, id: u64, name: &str, member: bool, arguments: usize) -> Outcome<()> {
        let named: Vec<_> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
        let fits = |(fewest, most): (usize, usize)| fewest <= arguments && arguments <= most;
        if named.iter().any(|f| f.member == member && fits(f.arguments)) {
            return Ok(());
        }
        if !named.is_empty() {
            let forms: Vec<_> = named.iter().map(|function| function.signature).collect();
            return self.refuse(id, format!("`{name}` is called as {}", forms.join(" or ")));
        }
        let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
        if macros.contains(&name) {
            let form = if name == "has" { "has(state.field)" } else { "list.{}(x, …x…)" };
            let form = form.replace("{}", name);
            return self.refuse(id, format!("`{name}` is called as {form}"));
        }
        let known = FUNCTIONS.iter().map(|function| function.name).chain(macros);
        self.refuse(id, format!("there is no function `{name}`; {}", did_you_mean(name, known)))
    }

    fn list(&mut self, id: u64, list: ListExpr, depth: usize) -> Outcome<Expr> {
        if !list.optional_indices.is_empty() {
            return self.refuse(id, "optional elements are not supported");
        }
        self.few(id, list.elements.len())?;
        let elements = self.all(list.elements, depth)?.into_iter().map(copied);
        Ok(Expr::List(ListExpr::new(elements.collect())))
    }

    fn map(&mut self, id: u64, map: MapExpr, depth: usize) -> Outcome<Expr> {
        self.few(id, map.entries.len())?;
        let mut entries = Vec::with_capacity(map.entries.len());
        for IdedEntryExpr { id, expr } in map.entries {
            let EntryExpr::MapEntry(mut entry) = expr else {
                return self.refuse(id, "write a map as {\"name\": value}");
            };
            if entry.optional {
                return self.refuse(id, "optional entries are not supported");
            }
            let key = self.expression(entry.key, depth)?;
            let is_written = matches!(key.expr, Expr::Literal(_));
            entry.key = if is_written { key } else { paid(KEY, key) };
            entry.value = copied(self.expression(entry.value, depth)?);
            entries.push(IdedEntryExpr { id, expr: EntryExpr::MapEntry(entry) });
        }
        Ok(Expr::Map(MapExpr { entries }))
    }

    fn few(&self, id: u64, elements: usize) -> Outcome<()> {
        if elements <= MAX_EXPRESSION_LITERAL_ITEMS {
            return Ok(());
        }
        let limit = MAX_EXPRESSION_LITERAL_ITEMS;
        self.refuse(id, format!("{elements} elements in one literal, the limit is {limit}"))
    }

    fn comprehension(&mut self, id: u64, loop_: ComprehensionExpr, depth: usize) -> Outcome<Expr> {
        let name = &loop_.iter_var;
        if self.variables.contains(&name.as_str()) {
            let message = format!("`{name}` is a variable; use another name for the element");
            return self.refuse(id, message);
        }
        if loop_.iter_var2.is_some() {
            return self.refuse(id, "loops with two variables are not supported");
        }
        let range = self.expression(loop_.iter_range, depth)?;
        let accu_init = self.expression(loop_.accu_init, depth)?;
        self.loops += 1;
        self.any_loops = true;
        if self.loops > MAX_EXPRESSION_LOOPS {
            let limit = MAX_EXPRESSION_LOOPS;
            return self.refuse(id, format!("loops are nested deeper than {limit} levels"));
        }
        let outside = self.locals.len();
        self.locals.push(loop_.accu_var.clone());
        self.locals.push(loop_.iter_var.clone());
        let loop_cond = self.expression(loop_.loop_cond, depth)?;
        let loop_step = self.expression(loop_.loop_step, depth)?;
        let result = self.expression(loop_.result, depth)?;
        self.locals.truncate(outside);
        self.loops -= 1;
        let each = steps(&loop_cond).saturating_add(steps(&loop_step));
        let each = CelInt::from(i64::try_from(each).unwrap_or(i64::MAX));
        let each = IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(each)) };
        let items = global(ITEMS.to_owned(), vec![range, each]);
        let is_list = matches!(accu_init.expr, Expr::List(_));
        let whole = Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: IdedExpr { id, expr: items },
            iter_var: loop_.iter_var,
            iter_var2: None,
            accu_var: loop_.accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        }));
        Ok(if is_list { paid(BUILT, IdedExpr { id, expr: whole }).expr } else { whole })
    }

    pub(super) fn refuse<T>(&self, id: u64, message: impl Into<String>) -> Outcome<T> {
        Err(ExpressionError { place: self.place(id), message: message.into() })
    }

    pub(super) fn place(&self, id: u64) -> Place {
        let offset = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        bounds::place_at(self.source, offset)
    }
}

/// Has a function that reads digits given those of a field.
fn with_digits(function: &str, mut args: Vec<IdedExpr>) -> Vec<IdedExpr> {
    if DIGIT_READERS.contains(&function)
        && let Some(IdedExpr { expr: Expr::Ident(name), .. }) = args.first_mut()
        && let Some(index) = name.strip_prefix(VALUE_OF)
    {
        *name = format!("{DIGITS_OF}{index}");
    }
    args
}

pub(super) fn global(func_name: String, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name, target: None, args })
}

/// A value that a function pays for before it is used.
fn paid(function: &str, value: IdedExpr) -> IdedExpr {
    IdedExpr { id: value.id, expr: global(function.to_owned(), vec![value]) }
}

/// An element of a list or map that is written out. The library copies what is only borrowed, and a
/// function may hand on what it was given: only what is certainly new is not paid for as a copy.
pub(super) fn copied(element: IdedExpr) -> IdedExpr {
    let is_new = match &element.expr {
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) | Expr::Comprehension(_) => true,
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            let logical = [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT];
            name == BUILT
                || logical.contains(&name)
                || OPERATORS.iter().any(|(_, ours)| *ours == name)
        }
        _ => false,
    };
    if is_new { element } else { paid(COPIED, element) }
}

/// True if this is the accumulator of a loop, which no text can name.
fn is_internal(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name.starts_with('@'))
}

/// Operators that stay the library's own.
fn is_operator(name: &str) -> bool {
    [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::NOT_STRICTLY_FALSE,
    ]
    .contains(&name)
}
