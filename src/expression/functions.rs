//! The functions and operators of expressions, and the environment that holds them.
//!
//! Operators are functions of their own here, under names that no expression can spell: the
//! library's refuse `1 + 0.5`, compare integers beyond 2^53 by rounding, and put no bound on what
//! they build.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelString, CelUInt, DYN_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

use crate::expression::value::{Numeric, count, describe};
use crate::limits::{MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_NODES, MAX_EXPRESSION_TEXT_BYTES};

/// A function that expressions may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its name.
    pub name: &'static str,
    /// Whether it is called on a value: `text.contains(part)`.
    pub member: bool,
    /// Fewest and most arguments, without the value it is called on.
    pub arguments: (usize, usize),
    /// How it is called.
    pub signature: &'static str,
    /// What it gives.
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
    global("bool", (1, 1), "bool(x)", "true or false from a text"),
    global("ceil", (1, 1), "ceil(x)", "the next whole number up; a decimal stays a decimal"),
    global(
        "distance",
        (4, 4),
        "distance(lat1, lon1, lat2, lon2)",
        "metres between two points in degrees, on a sphere of the earth's mean radius",
    ),
    global("double", (1, 1), "double(x)", "a decimal from a number or text"),
    global("floor", (1, 1), "floor(x)", "the next whole number down; a decimal stays a decimal"),
    global("int", (1, 1), "int(x)", "an integer from a number (cut towards zero) or text"),
    global("max", (2, 4), "max(a, b, …)", "the largest of two to four numbers"),
    global("min", (2, 4), "min(a, b, …)", "the smallest of two to four numbers"),
    global(
        "round",
        (1, 2),
        "round(x) or round(x, digits)",
        "rounded, halves away from zero; `digits` behind the point, up to 15",
    ),
    global("size", (1, 1), "size(x)", "letters of a text, elements of a list or map"),
    global("sqrt", (1, 1), "sqrt(x)", "the square root"),
    global("string", (1, 1), "string(x)", "a number or truth as text"),
    global("uint", (1, 1), "uint(x)", "an unsigned integer from a number or text"),
    member("charAt", (1, 1), "text.charAt(index)", "the letter at an index from 0"),
    member("contains", (1, 1), "text.contains(part)", "whether the part stands in the text"),
    member("endsWith", (1, 1), "text.endsWith(part)", "whether the text ends with it"),
    member("indexOf", (1, 1), "text.indexOf(part)", "where the part starts, or -1"),
    member("join", (0, 1), "list.join(separator)", "the texts of a list, one after the other"),
    member(
        "lastIndexOf",
        (1, 1),
        "text.lastIndexOf(part)",
        "where the last such part starts, or -1",
    ),
    member("lowerAscii", (0, 0), "text.lowerAscii()", "ASCII letters made small"),
    member("replace", (2, 2), "text.replace(old, new)", "every `old` made `new`"),
    member("size", (0, 0), "x.size()", "letters of a text, elements of a list or map"),
    member("split", (1, 1), "text.split(separator)", "the parts between the separators"),
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
];

/// Puts a comprehension's elements in order and holds them to their bound.
pub(super) const ITEMS: &str = "@items";
/// Members of the library that are replaced by bounded ones, called with the value in front.
pub(super) const BOUNDED_MEMBERS: &[(&str, &str)] =
    &[("join", "@join"), ("replace", "@replace"), ("split", "@split")];

/// What every evaluation runs in.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // Neither can fail: the names are fixed and distinct. A test calls every one of them.
    let _ = env.add_extension(cel::extensions::strings);
    for (name, arity, function) in OVERLOADS {
        let id = format!("{name}/{arity}");
        let types = (0..*arity).map(|_| DYN_TYPE).collect();
        let _ = env.add_overload(name, &id, types, *function);
    }
    Arc::new(env)
});

const OVERLOADS: &[(&str, usize, Function)] = &[
    ("@add", 2, add),
    ("@subtract", 2, subtract),
    ("@multiply", 2, multiply),
    ("@divide", 2, divide),
    ("@remainder", 2, remainder),
    ("@less", 2, less),
    ("@less_equal", 2, less_equal),
    ("@greater", 2, greater),
    ("@greater_equal", 2, greater_equal),
    ("@equal", 2, equal),
    ("@unequal", 2, unequal),
    ("@negate", 1, negate),
    (ITEMS, 1, items),
    ("@join", 1, join),
    ("@join", 2, join),
    ("@replace", 3, replace),
    ("@split", 2, split),
    ("abs", 1, abs),
    ("ceil", 1, ceil),
    ("distance", 4, distance),
    ("floor", 1, floor),
    ("max", 2, max),
    ("max", 3, max),
    ("max", 4, max),
    ("min", 2, min),
    ("min", 3, min),
    ("min", 4, min),
    ("round", 1, round),
    ("round", 2, round),
    ("sqrt", 1, sqrt),
];

/// Mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn failure(message: impl Into<String>) -> ExecutionError {
    ExecutionError::FunctionError { function: String::new(), message: message.into() }
}

fn truth<'b, 'v>(truth: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(truth))
}

fn decimal<'b, 'v>(value: f64, what: &str) -> Outcome<'b, 'v> {
    if value.is_finite() {
        Ok(CowVal::owned(CelDouble::from(value)))
    } else {
        Err(failure(format!("{what} gives no finite number")))
    }
}

fn whole<'b, 'v>(value: Option<i128>, what: &str) -> Outcome<'b, 'v> {
    let overflow = || failure(format!("{what} goes beyond 64 bits"));
    let value = value.ok_or_else(overflow)?;
    if let Ok(int) = i64::try_from(value) {
        return Ok(CowVal::owned(CelInt::from(int)));
    }
    match u64::try_from(value) {
        Ok(uint) => Ok(CowVal::owned(CelUInt::from(uint))),
        Err(_) => Err(overflow()),
    }
}

fn number(value: &dyn Val, what: &str) -> Result<Numeric, ExecutionError> {
    Numeric::of(value)
        .ok_or_else(|| failure(format!("{what} takes numbers, this is {}", describe(value))))
}

fn text<'b>(value: &'b dyn Val, what: &str) -> Result<&'b str, ExecutionError> {
    let text = value.downcast_ref::<CelString>().map(CelString::inner);
    text.ok_or_else(|| failure(format!("{what} takes texts, this is {}", describe(value))))
}

fn bounded_text<'b, 'v>(text: String) -> Outcome<'b, 'v> {
    if text.len() > MAX_EXPRESSION_TEXT_BYTES {
        return Err(too_long());
    }
    Ok(CowVal::owned(CelString::from(text)))
}

fn too_long() -> ExecutionError {
    failure(format!("the text would go over {MAX_EXPRESSION_TEXT_BYTES} bytes, the limit"))
}

/// Both numbers as integers, or both as decimals.
fn arithmetic<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    wholes: fn(i128, i128) -> Option<i128>,
    decimals: fn(f64, f64) -> f64,
) -> Outcome<'b, 'v> {
    let [left, right] = args else { return Err(failure(format!("{what} takes two numbers"))) };
    match (number(left.as_ref(), what)?, number(right.as_ref(), what)?) {
        (Numeric::Whole(left), Numeric::Whole(right)) => whole(wholes(left, right), what),
        (left, right) => decimal(decimals(left.to_f64(), right.to_f64()), what),
    }
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let [left, right] = args.as_slice() {
        if let (Some(left), Some(right)) =
            (left.downcast_ref::<CelString>(), right.downcast_ref::<CelString>())
        {
            return bounded_text(format!("{}{}", left.inner(), right.inner()));
        }
        if let (Some(first), Some(second)) =
            (left.downcast_ref::<CelList>(), right.downcast_ref::<CelList>())
        {
            if count(first) + count(second) > MAX_EXPRESSION_NODES {
                return Err(too_many_values());
            }
            let joined = first.inner().iter().chain(second.inner());
            let joined: Vec<_> = joined.map(|item| item.clone_as_boxed()).collect();
            return Ok(CowVal::owned(CelList::from(joined)));
        }
    }
    arithmetic(&args, "`+`", i128::checked_add, |a, b| a + b)
}

fn subtract<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(&args, "`-`", i128::checked_sub, |a, b| a - b)
}

fn multiply<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(&args, "`*`", i128::checked_mul, |a, b| a * b)
}

fn divide<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    not_by_zero(&args)?;
    arithmetic(&args, "`/`", i128::checked_div, |a, b| a / b)
}

fn remainder<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    not_by_zero(&args)?;
    arithmetic(&args, "`%`", i128::checked_rem, libm::fmod)
}

fn not_by_zero(args: &[CowVal<'_, '_>]) -> Result<(), ExecutionError> {
    match args.get(1).and_then(|divisor| Numeric::of(divisor.as_ref())) {
        Some(divisor) if divisor.to_f64() == 0.0 => Err(failure("a division by zero")),
        _ => Ok(()),
    }
}

fn negate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`-`", |value| value.checked_neg(), |value| -value)
}

fn one_number<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    wholes: fn(i128) -> Option<i128>,
    decimals: fn(f64) -> f64,
) -> Outcome<'b, 'v> {
    let [value] = args else { return Err(failure(format!("{what} takes one number"))) };
    match number(value.as_ref(), what)? {
        Numeric::Whole(value) => whole(wholes(value), what),
        Numeric::Decimal(value) => decimal(decimals(value), what),
    }
}

fn compare(args: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let [left, right] = args else { return Err(failure("a comparison takes two values")) };
    let (left, right) = (left.as_ref(), right.as_ref());
    let order = match (Numeric::of(left), Numeric::of(right)) {
        (Some(left), Some(right)) => left.compare(right),
        (None, None) => left.as_comparer().and_then(|comparer| comparer.compare(right).ok()),
        _ => None,
    };
    order.ok_or_else(|| {
        let (left, right) = (describe(left), describe(right));
        failure(format!("{left} and {right} cannot be compared"))
    })
}

fn less<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_lt()))
}

fn less_equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_le()))
}

fn greater<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_gt()))
}

fn greater_equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_ge()))
}

fn equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    same(&args).map(truth)
}

fn unequal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    same(&args).map(|same| truth(!same))
}

fn same(args: &[CowVal<'_, '_>]) -> Result<bool, ExecutionError> {
    let [left, right] = args else { return Err(failure("a comparison takes two values")) };
    Ok(match (Numeric::of(left.as_ref()), Numeric::of(right.as_ref())) {
        (Some(left), Some(right)) => left.compare(right) == Some(Ordering::Equal),
        _ => left.as_ref().equals(right.as_ref()),
    })
}

/// The elements of a list, or the keys of a map in their order.
fn items<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(range) = args.pop() else { return Err(failure("nothing to walk")) };
    let size = match (range.downcast_ref::<CelList>(), range.downcast_ref::<CelMap>()) {
        (Some(list), _) => list.inner().len(),
        (_, Some(map)) => map.inner().len(),
        (None, None) => {
            let found = describe(range.as_ref());
            return Err(failure(format!("only lists and maps have elements, this is {found}")));
        }
    };
    if size > MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("{size} elements, the limit is {MAX_EXPRESSION_ITEMS}")));
    }
    if count(range.as_ref()) > MAX_EXPRESSION_NODES {
        return Err(too_many_values());
    }
    let Some(map) = range.downcast_ref::<CelMap>() else { return Ok(range) };
    let mut keys: Vec<_> = map.inner().keys().collect();
    keys.sort();
    let keys: Vec<_> = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn too_many_values() -> ExecutionError {
    failure(format!("more than {MAX_EXPRESSION_NODES} values in one list or map, the limit"))
}

fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`join`";
    let (list, separator) = match args.as_slice() {
        [list] => (list, ""),
        [list, separator] => (list, text(separator.as_ref(), what)?),
        _ => return Err(failure("`join` takes a list and a separator")),
    };
    let Some(list) = list.downcast_ref::<CelList>() else {
        return Err(failure(format!("`join` takes a list, this is {}", describe(list.as_ref()))));
    };
    let mut joined = String::new();
    for (index, item) in list.inner().iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text(item.as_ref(), what)?);
        if joined.len() > MAX_EXPRESSION_TEXT_BYTES {
            return Err(too_long());
        }
    }
    bounded_text(joined)
}

fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`replace`";
    let [subject, old, new] = args.as_slice() else {
        return Err(failure("`replace` takes the old and the new text"));
    };
    let (subject, old) = (text(subject.as_ref(), what)?, text(old.as_ref(), what)?);
    let new = text(new.as_ref(), what)?;
    let growth = subject.matches(old).count().saturating_mul(new.len());
    if growth.saturating_add(subject.len()) > MAX_EXPRESSION_TEXT_BYTES {
        return Err(too_long());
    }
    bounded_text(subject.replace(old, new))
}

fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`split`";
    let [subject, separator] = args.as_slice() else {
        return Err(failure("`split` takes a separator"));
    };
    let (subject, separator) = (text(subject.as_ref(), what)?, text(separator.as_ref(), what)?);
    if separator.is_empty() {
        return Err(failure("`split` takes a separator that is not empty"));
    }
    if subject.matches(separator).count() >= MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("`split` gives more than {MAX_EXPRESSION_ITEMS} parts")));
    }
    let parts = subject.split(separator);
    let parts = parts.map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(parts.collect::<Vec<_>>())))
}

fn abs<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`abs`", i128::checked_abs, f64::abs)
}

fn ceil<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`ceil`", Some, libm::ceil)
}

fn floor<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`floor`", Some, libm::floor)
}

fn sqrt<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [value] = args.as_slice() else { return Err(failure("`sqrt` takes one number")) };
    decimal(libm::sqrt(number(value.as_ref(), "`sqrt`")?.to_f64()), "`sqrt`")
}

fn round<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`round`";
    let [value, digits] = args.as_slice() else {
        return one_number(&args, what, Some, libm::round);
    };
    let powers =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let power = match number(digits.as_ref(), what)? {
        Numeric::Whole(digits) => usize::try_from(digits).ok().and_then(|d| powers.get(d)),
        Numeric::Decimal(_) => None,
    };
    let Some(power) = power else { return Err(failure("`round` takes 0 to 15 digits")) };
    match number(value.as_ref(), what)? {
        Numeric::Whole(value) => whole(Some(value), what),
        Numeric::Decimal(value) => {
            let scaled = value * power;
            // From 2^52 on an f64 has no digits behind the point: there is nothing to round.
            let exact = !scaled.is_finite() || scaled.abs() >= 4_503_599_627_370_496.0;
            decimal(if exact { value } else { libm::round(scaled) / power }, what)
        }
    }
}

fn max<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "`max`", Ordering::Greater)
}

fn min<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "`min`", Ordering::Less)
}

/// The first of the numbers that no other goes beyond, as it is: an integer stays one.
fn extreme<'b, 'v>(args: Vec<CowVal<'b, 'v>>, what: &str, beyond: Ordering) -> Outcome<'b, 'v> {
    let mut found: Option<(Numeric, CowVal<'b, 'v>)> = None;
    for candidate in args {
        let value = number(candidate.as_ref(), what)?;
        if found.as_ref().is_none_or(|(best, _)| value.compare(*best) == Some(beyond)) {
            found = Some((value, candidate));
        }
    }
    found.map(|(_, value)| value).ok_or_else(|| failure(format!("{what} takes numbers")))
}

/// The haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
fn distance<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`distance`";
    let mut radians = [0.0; 4];
    let bounds = [("latitude", 90.0), ("longitude", 180.0)];
    for ((radian, argument), (name, bound)) in
        radians.iter_mut().zip(&args).zip(bounds.into_iter().cycle())
    {
        let degrees = number(argument.as_ref(), what)?.to_f64();
        if degrees.is_nan() || degrees.abs() > bound {
            return Err(failure(format!("{what}: {degrees} is no {name}; are they swapped?")));
        }
        *radian = degrees.to_radians();
    }
    let [latitude, longitude, other_latitude, other_longitude] = radians;
    let north = libm::sin((other_latitude - latitude) / 2.0);
    let east = libm::sin((other_longitude - longitude) / 2.0);
    let chord = north * north + libm::cos(latitude) * libm::cos(other_latitude) * east * east;
    // Rounding may carry it over 1 for two opposite points.
    let angle = 2.0 * libm::asin(libm::sqrt(chord.min(1.0)));
    decimal(EARTH_RADIUS_METRES * angle, what)
}
