//! Type inference for expressions: finds errors at load that would make every evaluation fail.
//!
//! CEL itself decides types when it runs. Here a field's declared type is followed through the
//! expression, and only what fails for every value is a fault; what may work is left to run.

use std::ops::{BitAnd, BitOr};

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use crate::expression::functions::{BUILT, COPIED, HAS, IN, INDEX, ITEMS, OPERATORS};
use crate::expression::{DIGITS_OF, Expression, ExpressionError, PRESENCE_OF, VALUE_OF, bounds};

/// A set of kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// No value at all.
    pub const NONE: Self = Self(0);
    /// `null`.
    pub const NULL: Self = Self(1);
    /// `true` and `false`.
    pub const BOOL: Self = Self(2);
    /// Integers and decimals.
    pub const NUMBER: Self = Self(4);
    /// Texts.
    pub const TEXT: Self = Self(8);
    /// Lists.
    pub const LIST: Self = Self(16);
    /// Maps.
    pub const MAP: Self = Self(32);
    /// Timestamps.
    pub const TIMESTAMP: Self = Self(64);
    /// Durations.
    pub const DURATION: Self = Self(128);
    /// Any value.
    pub const ANY: Self = Self(255);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::NULL, "null"),
        (Self::BOOL, "true or false"),
        (Self::NUMBER, "a number"),
        (Self::TEXT, "a string"),
        (Self::LIST, "a list"),
        (Self::MAP, "a map"),
        (Self::TIMESTAMP, "a timestamp"),
        (Self::DURATION, "a duration"),
    ];

    /// True if the sets have a kind in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self & other != Self::NONE
    }

    /// As JSON, where times are texts.
    fn in_json(self) -> Self {
        let times = (Self::TIMESTAMP | Self::DURATION).0;
        if self == Self::ANY || self.0 & times == 0 {
            return self;
        }
        Self(self.0 & !times) | Self::TEXT
    }
}

impl BitAnd for Kinds {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Self::NAMES.iter().filter(|(kind, _)| self.meets(*kind));
        f.write_str(&names.map(|(_, name)| *name).collect::<Vec<_>>().join(" or "))
    }
}

impl Expression {
    /// The kinds of values that the expression can give where its paths have these kinds, and every
    /// part of it that fails for all of them.
    #[must_use]
    pub fn kinds(&self, of: &dyn Fn(&[String]) -> Kinds) -> (Kinds, Vec<ExpressionError>) {
        let mut checker =
            Checker { expression: self, of, locals: Vec::new(), diagnostics: Vec::new() };
        let kinds = checker.kinds(&self.program);
        (kinds.in_json(), checker.diagnostics)
    }
}

struct Checker<'a> {
    expression: &'a Expression,
    of: &'a dyn Fn(&[String]) -> Kinds,
    locals: Vec<(&'a str, Kinds)>,
    diagnostics: Vec<ExpressionError>,
}

impl<'a> Checker<'a> {
    fn kinds(&mut self, expression: &'a IdedExpr) -> Kinds {
        match &expression.expr {
            Expr::Literal(literal) => literal_kind(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                let operand = self.kinds(&select.operand);
                self.needs(&select.operand, operand, Kinds::MAP, "a field is accessed");
                if select.test { Kinds::BOOL } else { Kinds::ANY }
            }
            Expr::Call(call) => self.call(expression, call),
            Expr::List(list) => {
                list.elements.iter().for_each(|element| {
                    self.kinds(element);
                });
                Kinds::LIST
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kinds(&entry.key);
                        self.kinds(&entry.value);
                    }
                }
                Kinds::MAP
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Kinds::ANY,
        }
    }

    fn name(&self, name: &str) -> Kinds {
        if name.starts_with(PRESENCE_OF) {
            return Kinds::BOOL;
        }
        if let Some(index) =
            name.strip_prefix([VALUE_OF, DIGITS_OF]).and_then(|index| index.parse().ok())
        {
            let path: Option<&Vec<String>> = self.expression.paths.get::<usize>(index);
            return path.map_or(Kinds::ANY, |path| (self.of)(path));
        }
        let local = self.locals.iter().rev().find(|(local, _)| *local == name);
        local.map_or(Kinds::ANY, |(_, kinds)| *kinds)
    }

    fn call(&mut self, expression: &'a IdedExpr, call: &'a CallExpr) -> Kinds {
        let target = call.target.iter().map(|target| target.as_ref());
        let operands: Vec<&IdedExpr> = target.chain(&call.args).collect();
        let kinds: Vec<Kinds> = operands.iter().map(|operand| self.kinds(operand)).collect();
        let name = call.func_name.as_str();
        match (name, kinds.as_slice()) {
            (operators::ADD | "@add", [left, right]) => self.addition(expression, *left, *right),
            ("@subtract", [left, right]) => self.subtraction(expression, *left, *right),
            ("@less" | "@less_equal" | "@greater" | "@greater_equal", [left, right]) => {
                let ordered = Kinds::NUMBER | Kinds::TEXT | Kinds::BOOL | TIME;
                if !(*left & ordered).meets(*right) {
                    let message = format!("{left} and {right} cannot be compared");
                    self.diagnostic(operands[0], message);
                }
                Kinds::BOOL
            }
            ("@equal" | "@unequal", [left, right]) => {
                if !left.meets(*right) {
                    let message = format!("{left} and {right} are never equal");
                    self.diagnostic(operands[0], message);
                }
                Kinds::BOOL
            }
            (COPIED | BUILT, [kinds]) => *kinds,
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.needs(operands[0], *condition, Kinds::BOOL, "a condition is expected");
                *then | *otherwise
            }
            (INDEX, [operand, _]) => {
                let indexed = Kinds::LIST | Kinds::MAP;
                self.needs(operands[0], *operand, indexed, "an element is accessed");
                Kinds::ANY
            }
            (IN, [_, container]) => {
                let containers = Kinds::LIST | Kinds::MAP;
                self.needs(operands[1], *container, containers, "`in` takes");
                Kinds::BOOL
            }
            ("max" | "min", kinds) => {
                for (operand, kinds) in operands.iter().zip(kinds) {
                    self.needs(operand, *kinds, Kinds::NUMBER, &format!("`{name}` takes"));
                }
                Kinds::NUMBER
            }
            _ => self.fixed(name, &operands, &kinds),
        }
    }

    /// `+` of numbers, texts, lists or durations, or of a timestamp and a duration.
    fn addition(&mut self, expression: &'a IdedExpr, left: Kinds, right: Kinds) -> Kinds {
        let mut sums = left & right & (NUMBER | TEXT | LIST | Kinds::DURATION);
        let moved =
            |time: Kinds, by: Kinds| time.meets(Kinds::TIMESTAMP) && by.meets(Kinds::DURATION);
        if moved(left, right) || moved(right, left) {
            sums = sums | Kinds::TIMESTAMP;
        }
        if sums == Kinds::NONE {
            self.diagnostic(expression, format!("`+` cannot join {left} and {right}"));
            return Kinds::ANY;
        }
        sums
    }

    /// `-` of numbers, durations or timestamps, or of a duration from a timestamp.
    fn subtraction(&mut self, expression: &'a IdedExpr, left: Kinds, right: Kinds) -> Kinds {
        let mut differences = left & right & (NUMBER | Kinds::DURATION);
        if left.meets(Kinds::TIMESTAMP) && right.meets(Kinds::TIMESTAMP) {
            differences = differences | Kinds::DURATION;
        }
        if left.meets(Kinds::TIMESTAMP) && right.meets(Kinds::DURATION) {
            differences = differences | Kinds::TIMESTAMP;
        }
        if differences == Kinds::NONE {
            self.diagnostic(expression, format!("`-` cannot subtract {right} from {left}"));
            return Kinds::ANY;
        }
        differences
    }

    /// Functions whose operands and result each have kinds of their own.
    fn fixed(&mut self, name: &str, operands: &[&'a IdedExpr], kinds: &[Kinds]) -> Kinds {
        let Some((_, takes, gives)) = SIGNATURES.iter().find(|(known, _, _)| *known == name) else {
            return Kinds::ANY;
        };
        for ((operand, kinds), takes) in operands.iter().zip(kinds).zip(takes.iter()) {
            let operator = OPERATORS.iter().find(|(_, ours)| *ours == name);
            let shown = operator.map_or(name, |(theirs, _)| theirs).trim_matches(['@', '_']);
            self.needs(operand, *kinds, *takes, &format!("`{shown}` takes"));
        }
        *gives
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Kinds {
        self.kinds(&comprehension.iter_range);
        let accumulator = self.kinds(&comprehension.accu_init);
        let outside = self.locals.len();
        self.locals.push((&comprehension.accu_var, accumulator));
        self.locals.push((&comprehension.iter_var, Kinds::ANY));
        self.kinds(&comprehension.loop_cond);
        self.kinds(&comprehension.loop_step);
        let result = self.kinds(&comprehension.result);
        self.locals.truncate(outside);
        result
    }

    fn needs(&mut self, operand: &IdedExpr, found: Kinds, needed: Kinds, why: &str) {
        if !found.meets(needed) {
            let why = why.strip_suffix(" takes").map_or_else(
                || format!("{why}: "),
                |function| format!("{function} takes {needed}, "),
            );
            self.diagnostic(operand, format!("{why}this is {found}"));
        }
    }

    fn diagnostic(&mut self, operand: &IdedExpr, message: String) {
        let offset = self.expression.offset(operand.id);
        let place = bounds::place_at(&self.expression.source, offset);
        self.diagnostics.push(ExpressionError { place, message });
    }
}

fn literal_kind(literal: &LiteralValue) -> Kinds {
    match literal {
        LiteralValue::Boolean(_) => Kinds::BOOL,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kinds::NUMBER,
        LiteralValue::String(_) => Kinds::TEXT,
        LiteralValue::Null => Kinds::NULL,
        LiteralValue::Bytes(_) => Kinds::ANY,
    }
}

const BOOL: Kinds = Kinds::BOOL;
const NUMBER: Kinds = Kinds::NUMBER;
const TEXT: Kinds = Kinds::TEXT;
const LIST: Kinds = Kinds::LIST;
/// The kinds that `size` and loops accept.
const SIZED: Kinds = Kinds(TEXT.0 | LIST.0 | Kinds::MAP.0);
const WALKED: Kinds = Kinds(LIST.0 | Kinds::MAP.0);
const TRUTH: Kinds = Kinds(BOOL.0 | TEXT.0);
const TIME: Kinds = Kinds(Kinds::TIMESTAMP.0 | Kinds::DURATION.0);
const COUNTED: Kinds = Kinds(NUMBER.0 | TEXT.0 | Kinds::TIMESTAMP.0);
const MEASURED: Kinds = Kinds(NUMBER.0 | TEXT.0 | TIME.0);
const PRINTED: Kinds = Kinds(NUMBER.0 | TEXT.0 | BOOL.0 | TIME.0);
const DATE: Kinds = Kinds::TIMESTAMP;

/// Name, what it takes (the value it is called on first), what it gives.
const SIGNATURES: &[(&str, &[Kinds], Kinds)] = &[
    ("@multiply", &[NUMBER, NUMBER], NUMBER),
    ("@divide", &[NUMBER, NUMBER], NUMBER),
    ("@remainder", &[NUMBER, NUMBER], NUMBER),
    ("@negate", &[Kinds(NUMBER.0 | Kinds::DURATION.0)], Kinds(NUMBER.0 | Kinds::DURATION.0)),
    (operators::LOGICAL_AND, &[BOOL, BOOL], BOOL),
    (operators::LOGICAL_OR, &[BOOL, BOOL], BOOL),
    (operators::LOGICAL_NOT, &[BOOL], BOOL),
    (operators::NOT_STRICTLY_FALSE, &[Kinds::ANY], BOOL),
    (ITEMS, &[WALKED, NUMBER], LIST),
    (HAS, &[Kinds::ANY, LIST], BOOL),
    ("@bool", &[TRUTH], BOOL),
    ("@charAt", &[TEXT, NUMBER], TEXT),
    ("@contains", &[TEXT, TEXT], BOOL),
    ("@dyn", &[Kinds::ANY], Kinds::ANY),
    ("@endsWith", &[TEXT, TEXT], BOOL),
    ("@lowerAscii", &[TEXT], TEXT),
    ("@reverse", &[TEXT], TEXT),
    ("@size", &[SIZED], NUMBER),
    ("@startsWith", &[TEXT, TEXT], BOOL),
    ("@substring", &[TEXT, NUMBER, NUMBER], TEXT),
    ("@trim", &[TEXT], TEXT),
    ("@upperAscii", &[TEXT], TEXT),
    ("@indexOf", &[TEXT, TEXT, NUMBER], NUMBER),
    ("@lastIndexOf", &[TEXT, TEXT, NUMBER], NUMBER),
    ("@join", &[LIST, TEXT], TEXT),
    ("@double", &[MEASURED], NUMBER),
    ("@duration", &[Kinds(TEXT.0 | Kinds::DURATION.0)], Kinds::DURATION),
    ("@getDate", &[DATE, TEXT], NUMBER),
    ("@getDayOfMonth", &[DATE, TEXT], NUMBER),
    ("@getDayOfWeek", &[DATE, TEXT], NUMBER),
    ("@getDayOfYear", &[DATE, TEXT], NUMBER),
    ("@getFullYear", &[DATE, TEXT], NUMBER),
    ("@getHours", &[TIME, TEXT], NUMBER),
    ("@getMilliseconds", &[TIME, TEXT], NUMBER),
    ("@getMinutes", &[TIME, TEXT], NUMBER),
    ("@getMonth", &[DATE, TEXT], NUMBER),
    ("@getSeconds", &[TIME, TEXT], NUMBER),
    ("@int", &[COUNTED], NUMBER),
    ("@matches", &[TEXT, Kinds::ANY], BOOL),
    ("@replace", &[TEXT, TEXT, TEXT, NUMBER], TEXT),
    ("@split", &[TEXT, TEXT, NUMBER], LIST),
    ("@string", &[PRINTED], TEXT),
    ("@timestamp", &[COUNTED], Kinds::TIMESTAMP),
    ("@uint", &[Kinds(NUMBER.0 | TEXT.0)], NUMBER),
    ("abs", &[NUMBER], NUMBER),
    ("ceil", &[NUMBER], NUMBER),
    ("distance", &[NUMBER, NUMBER, NUMBER, NUMBER], NUMBER),
    ("div", &[NUMBER, NUMBER], NUMBER),
    ("floor", &[NUMBER], NUMBER),
    ("round", &[NUMBER, NUMBER], NUMBER),
    ("sqrt", &[NUMBER], NUMBER),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::FUNCTIONS;

    fn kinds_of(path: &[String]) -> Kinds {
        match path.join(".").as_str() {
            "s.number" => Kinds::NUMBER,
            "s.text" => Kinds::TEXT,
            "s.list" => Kinds::LIST,
            "s.door" => Kinds::BOOL,
            "s.either" => Kinds::NUMBER | Kinds::TEXT,
            "s" | "s.map" => Kinds::MAP,
            _ => Kinds::ANY,
        }
    }

    #[test]
    fn what_can_never_work_is_a_fault_at_its_place() {
        let cases = [
            ("s.text > 5", 1, "a string and a number cannot be compared"),
            ("1 + s.number < s.list", 3, "a number and a list cannot be compared"),
            ("s.number == 'a'", 1, "a number and a string are never equal"),
            ("s.number == null", 1, "a number and null are never equal"),
            ("s.number + s.text", 10, "`+` cannot join a number and a string"),
            ("2 * s.text", 5, "`*` takes a number, this is a string"),
            ("s.door && s.number", 11, "`&&` takes true or false, this is a number"),
            ("!s.text", 2, "`!` takes true or false, this is a string"),
            ("s.text ? 1 : 2", 1, "a condition is expected: this is a string"),
            ("-s.door", 2, "`-` takes a number or a duration, this is true or false"),
            ("s.number.contains('x')", 1, "`contains` takes a string, this is a number"),
            ("s.text.contains(1)", 17, "`contains` takes a string, this is a number"),
            ("distance(1, 2, s.text, 3)", 16, "`distance` takes a number, this is a string"),
            ("max(1, s.door)", 8, "`max` takes a number, this is true or false"),
            ("s.number.all(x, x > 1)", 1, "`items` takes a list or a map, this is a number"),
            ("s.list.map(x, x > 1) + 1", 22, "`+` cannot join a list and a number"),
            ("s.list.all(x, x + 1)", 17, "`&&` takes true or false, this is a number"),
            ("'a' in s.text", 8, "`in` takes a list or a map, this is a string"),
            ("s.number[0]", 1, "an element is accessed: this is a number"),
            ("size(s.number)", 6, "`size` takes a string or a list or a map, this is a number"),
            ("round(s.number) + s.text.trim()", 17, "`+` cannot join a number and a string"),
        ];
        for (source, column, message) in cases {
            let (_, diagnostics) = Expression::compile(source, &["s"]).unwrap().kinds(&kinds_of);
            let shown: Vec<_> =
                diagnostics.iter().map(|f| (f.place.column, f.message.as_str())).collect();
            assert_eq!(shown, [(column, message)], "{source}");
        }
    }

    #[test]
    fn what_may_work_is_left_to_run() {
        let cases = [
            ("s.number > 5 && s.text != 'a'", Kinds::BOOL),
            ("s.either > 5 || s.either == 'a'", Kinds::BOOL),
            ("s.open > 5", Kinds::BOOL),
            ("s.open + 1", Kinds::NUMBER),
            ("s.either + s.either", Kinds::NUMBER | Kinds::TEXT),
            ("has(s.number) ? s.number : null", Kinds::NUMBER | Kinds::NULL),
            ("s.list.exists(x, x.y > 1)", Kinds::BOOL),
            ("s.list.exists_one(x, x > 1)", Kinds::BOOL),
            ("s.list.filter(x, x > 1)", Kinds::LIST),
            ("s.map.map(k, k + '!')", Kinds::LIST),
            ("s.list[0]", Kinds::ANY),
            ("s", Kinds::MAP),
            ("string(s.number) + s.text.substring(1).trim()", Kinds::TEXT),
            ("s.text.split(',').join(';').size() + s.text.indexOf('a')", Kinds::NUMBER),
        ];
        for (source, expected) in cases {
            let (kinds, diagnostics) =
                Expression::compile(source, &["s"]).unwrap().kinds(&kinds_of);
            assert!(diagnostics.is_empty(), "{source}: {diagnostics:?}");
            assert_eq!(kinds, expected, "{source}");
        }
    }

    #[test]
    fn every_function_has_a_signature() {
        for function in FUNCTIONS {
            let bounded = format!("@{}", function.name);
            let known = SIGNATURES.iter().any(|(name, takes, _)| {
                let operands = function.arguments.1 + usize::from(function.member);
                (*name == function.name || *name == bounded) && takes.len() == operands
            });
            assert!(known || ["max", "min"].contains(&function.name), "{}", function.name);
        }
    }
}
