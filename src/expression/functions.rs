//! The functions and operators of expressions, and the environment that holds them.
//!
//! Operators are functions of their own here, under names that no expression can spell: the
//! library's refuse `1 + 0.5`, compare integers beyond 2^53 by rounding, and put no bound on what
//! they build.

use std::sync::{Arc, LazyLock};

use cel::Env;
use cel::common::functions::Function;
use cel::common::types::DYN_TYPE;

use crate::expression::{arithmetic, calendar, conversions, members, operators, text};

/// A function that expressions may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its name.
    pub name: &'static str,
    /// True if it is called on a value: `text.contains(part)`.
    pub member: bool,
    /// Fewest and most arguments, without the value it is called on.
    pub arguments: (usize, usize),
    /// The call syntax.
    pub signature: &'static str,
    /// A description of the result.
    pub about: &'static str,
}

const fn global(
    name: &'static str,
    arguments: (usize, usize),
    signature: &'static str,
    about: &'static str,
) -> FunctionDoc {
    FunctionDoc { name, member: false, arguments, signature, about }
}

const fn member(
    name: &'static str,
    arguments: (usize, usize),
    signature: &'static str,
    about: &'static str,
) -> FunctionDoc {
    FunctionDoc { name, member: true, arguments, signature, about }
}

/// Every function that an expression may call, besides the macros `has`, `all`, `exists`,
/// `exists_one`, `map` and `filter`.
pub const FUNCTIONS: &[FunctionDoc] = &[
    global("abs", (1, 1), "abs(x)", "the number without its sign"),
    global("bool", (1, 1), "bool(x)", "true or false from a string"),
    global("ceil", (1, 1), "ceil(x)", "the next whole number up"),
    global(
        "distance",
        (4, 4),
        "distance(lat1, lon1, lat2, lon2)",
        "metres between two points in degrees, on a sphere of the earth's mean radius",
    ),
    global("div", (2, 2), "div(a, b)", "the quotient cut towards zero: a == div(a, b) * b + a % b"),
    global("double", (1, 1), "double(x)", "a number from a string; the seconds of a time"),
    global("duration", (1, 1), "duration(text)", "a length of time from a string like 1h45m"),
    global("dyn", (1, 1), "dyn(x)", "x itself"),
    global("floor", (1, 1), "floor(x)", "the next whole number down"),
    global("int", (1, 1), "int(x)", "a whole number from a number (cut towards zero) or a string"),
    global("matches", (2, 2), "matches(text, pattern)", "whether the pattern is found in the text"),
    global("max", (2, 4), "max(a, b, …)", "the largest of two to four numbers"),
    global("min", (2, 4), "min(a, b, …)", "the smallest of two to four numbers"),
    global(
        "round",
        (1, 2),
        "round(x) or round(x, digits)",
        "rounded, halves away from zero; to decimal places, or with -1 to tens, -2 to hundreds",
    ),
    global("size", (1, 1), "size(x)", "letters of a string, elements of a list or map"),
    global("sqrt", (1, 1), "sqrt(x)", "the square root"),
    global("string", (1, 1), "string(x)", "a number, truth or time as text"),
    global("timestamp", (1, 1), "timestamp(x)", "a time from RFC 3339 or seconds since 1970"),
    global("uint", (1, 1), "uint(x)", "as int, and not negative"),
    member(
        "charAt",
        (1, 1),
        "text.charAt(index)",
        "the letter at an index from 0; empty behind the last one",
    ),
    member("contains", (1, 1), "text.contains(part)", "whether the text contains the part"),
    member("endsWith", (1, 1), "text.endsWith(part)", "whether the text ends with it"),
    member("getDate", (0, 1), "time.getDate(zone)", "day of the month, from 1"),
    member("getDayOfMonth", (0, 1), "time.getDayOfMonth(zone)", "day of the month, from 0"),
    member("getDayOfWeek", (0, 1), "time.getDayOfWeek(zone)", "day of the week, Sunday is 0"),
    member("getDayOfYear", (0, 1), "time.getDayOfYear(zone)", "day of the year, from 0"),
    member("getFullYear", (0, 1), "time.getFullYear(zone)", "the year"),
    member("getHours", (0, 1), "time.getHours(zone)", "hour of the day; all hours of a duration"),
    member(
        "getMilliseconds",
        (0, 1),
        "time.getMilliseconds(zone)",
        "milliseconds of the second; all milliseconds of a duration",
    ),
    member(
        "getMinutes",
        (0, 1),
        "time.getMinutes(zone)",
        "minute of the hour; all minutes of a duration",
    ),
    member("getMonth", (0, 1), "time.getMonth(zone)", "month of the year, from 0"),
    member(
        "getSeconds",
        (0, 1),
        "time.getSeconds(zone)",
        "second of the minute; all seconds of a duration",
    ),
    member("indexOf", (1, 2), "text.indexOf(part, from)", "where the part starts, or -1"),
    member("join", (0, 1), "list.join(separator)", "the strings of a list, one after the other"),
    member(
        "lastIndexOf",
        (1, 2),
        "text.lastIndexOf(part, from)",
        "where the last such part starts, or -1",
    ),
    member("lowerAscii", (0, 0), "text.lowerAscii()", "ASCII letters made small"),
    member("matches", (1, 1), "text.matches(pattern)", "whether the pattern is found in the text"),
    member("replace", (2, 3), "text.replace(old, new, most)", "every `old` made `new`"),
    member("reverse", (0, 0), "text.reverse()", "the letters in reverse order"),
    member("size", (0, 0), "x.size()", "letters of a string, elements of a list or map"),
    member("split", (1, 2), "text.split(separator, most)", "the parts between the separators"),
    member("startsWith", (1, 1), "text.startsWith(part)", "whether the text starts with it"),
    member("substring", (1, 2), "text.substring(start, end)", "letters from start up to end"),
    member("trim", (0, 0), "text.trim()", "without white space at both ends"),
    member("upperAscii", (0, 0), "text.upperAscii()", "ASCII letters made capital"),
];

/// Names that the compiler puts in the place of the library's operators and functions.
pub(super) const OPERATORS: &[(&str, &str)] = &[
    ("_+_", "@add"),
    ("_-_", "@subtract"),
    ("_*_", "@multiply"),
    ("_/_", "@divide"),
    ("_%_", "@remainder"),
    ("_<_", "@less"),
    ("_<=_", "@less_equal"),
    ("_>_", "@greater"),
    ("_>=_", "@greater_equal"),
    ("_==_", "@equal"),
    ("_!=_", "@unequal"),
    ("-_", "@negate"),
    ("@in", IN),
];

/// Puts a comprehension's elements in order, holds them to their bound and pays for the loop.
pub(super) const ITEMS: &str = "@items";
/// Pays for a copy of a value.
pub(super) const COPIED: &str = "@copied";
/// Holds a list that a loop has built to its limit.
pub(super) const BUILT: &str = "@built";
/// Checks and pays for the key of a map that is written out.
pub(super) const KEY: &str = "@key";
/// Operator `in`: a list or map contains a value.
pub(super) const IN: &str = "@contained";
/// An element of a list or map.
pub(super) const INDEX: &str = "@index";
/// Operator `has`: a chain of fields and indexes leads to a value.
pub(super) const HAS: &str = "@has";
/// Finds a pattern that the compiler has compiled.
pub(super) const MATCHES: &str = "@matches";

/// The function of this program, `@` in front of its name, that replaces one of the library or
/// stands in for one that it lacks. A member is called with its value in front.
pub(super) fn replacement(name: &str) -> Option<&'static str> {
    OVERLOADS.iter().map(|(ours, ..)| *ours).find(|ours| ours.strip_prefix('@') == Some(name))
}

/// The environment of every evaluation.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // This cannot fail: the names are fixed and distinct. A test calls every one of them.
    for (name, arity, function) in OVERLOADS {
        let id = format!("{name}/{arity}");
        let types = (0..*arity).map(|_| DYN_TYPE).collect();
        let _ = env.add_overload(name, &id, types, *function);
    }
    Arc::new(env)
});

const OVERLOADS: &[(&str, usize, Function)] = &[
    ("@add", 2, operators::add),
    ("@subtract", 2, operators::subtract),
    ("@multiply", 2, operators::multiply),
    ("@divide", 2, operators::divide),
    ("@remainder", 2, operators::remainder),
    ("@less", 2, operators::less),
    ("@less_equal", 2, operators::less_equal),
    ("@greater", 2, operators::greater),
    ("@greater_equal", 2, operators::greater_equal),
    ("@equal", 2, operators::equal),
    ("@unequal", 2, operators::unequal),
    ("@negate", 1, operators::negate),
    (ITEMS, 2, operators::items),
    (COPIED, 1, operators::copied),
    (BUILT, 1, operators::built),
    (KEY, 1, members::key),
    (IN, 2, members::is_in),
    (INDEX, 2, members::index),
    (HAS, 2, members::has),
    (MATCHES, 2, text::matches),
    ("@bool", 1, conversions::boolean),
    ("@charAt", 2, text::char_at),
    ("@contains", 2, text::contains),
    ("@double", 1, conversions::double),
    ("@duration", 1, conversions::duration),
    ("@dyn", 1, conversions::dynamic),
    ("@endsWith", 2, text::ends_with),
    ("@getDate", 1, calendar::date),
    ("@getDate", 2, calendar::date),
    ("@getDayOfMonth", 1, calendar::day_of_month),
    ("@getDayOfMonth", 2, calendar::day_of_month),
    ("@getDayOfWeek", 1, calendar::day_of_week),
    ("@getDayOfWeek", 2, calendar::day_of_week),
    ("@getDayOfYear", 1, calendar::day_of_year),
    ("@getDayOfYear", 2, calendar::day_of_year),
    ("@getFullYear", 1, calendar::full_year),
    ("@getFullYear", 2, calendar::full_year),
    ("@getHours", 1, calendar::hours),
    ("@getHours", 2, calendar::hours),
    ("@getMilliseconds", 1, calendar::milliseconds),
    ("@getMilliseconds", 2, calendar::milliseconds),
    ("@getMinutes", 1, calendar::minutes),
    ("@getMinutes", 2, calendar::minutes),
    ("@getMonth", 1, calendar::month),
    ("@getMonth", 2, calendar::month),
    ("@getSeconds", 1, calendar::seconds),
    ("@getSeconds", 2, calendar::seconds),
    ("@indexOf", 2, text::index_of),
    ("@indexOf", 3, text::index_of),
    ("@int", 1, conversions::int),
    ("@lastIndexOf", 2, text::last_index_of),
    ("@lastIndexOf", 3, text::last_index_of),
    ("@join", 1, text::join),
    ("@join", 2, text::join),
    ("@lowerAscii", 1, text::lower_ascii),
    ("@replace", 3, text::replace),
    ("@replace", 4, text::replace),
    ("@reverse", 1, text::reverse),
    ("@size", 1, text::size),
    ("@split", 2, text::split),
    ("@split", 3, text::split),
    ("@startsWith", 2, text::starts_with),
    ("@string", 1, conversions::string),
    ("@substring", 2, text::substring),
    ("@substring", 3, text::substring),
    ("@timestamp", 1, conversions::timestamp),
    ("@trim", 1, text::trim),
    ("@uint", 1, conversions::uint),
    ("@upperAscii", 1, text::upper_ascii),
    ("abs", 1, arithmetic::abs),
    ("ceil", 1, arithmetic::ceil),
    ("distance", 4, arithmetic::distance),
    ("div", 2, operators::quotient),
    ("floor", 1, arithmetic::floor),
    ("max", 2, arithmetic::max),
    ("max", 3, arithmetic::max),
    ("max", 4, arithmetic::max),
    ("min", 2, arithmetic::min),
    ("min", 3, arithmetic::min),
    ("min", 4, arithmetic::min),
    ("round", 1, arithmetic::round),
    ("round", 2, arithmetic::round),
    ("sqrt", 1, arithmetic::sqrt),
];
