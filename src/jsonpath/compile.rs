//! From the engine's syntax tree to what is evaluated; what the engine takes and RFC 9535 does not
//! is refused here.

use crate::codec::json::{Number, Value};
use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model as engine;
use jsonpath_rust::parser::parse_json_path;

use super::PathError;
use super::filter::{Filter, Operand, Operator, Pattern, Query};
use super::steps::Step;
use super::walk::{Segment, Selector};
use crate::codec::number;
use crate::limits::{MAX_PATH_BYTES, MAX_PATH_CALLS, truncated};

/// Why a query is refused, without a place: the engine's tree has none.
type Refusal = String;

/// A query's steps in front and the segments that follow.
pub(super) fn compile(text: &str) -> Result<(Vec<Step>, Vec<Segment>), PathError> {
    if text.len() > MAX_PATH_BYTES {
        let message = format!("the query has {} bytes, the limit is {MAX_PATH_BYTES}", text.len());
        return Err(PathError { offset: truncated(text, MAX_PATH_BYTES).len(), message });
    }
    check_tokens(text)?;
    let query = parse_json_path(text).map_err(|error| syntax_error(text, &error))?;
    split(query.segments).map_err(|message| PathError { offset: 0, message })
}

/// Translates an error of the engine, with its position.
fn syntax_error(text: &str, error: &JsonPathError) -> PathError {
    if !text.starts_with('$') {
        let message = "a JSONPath starts with `$`".to_owned();
        return PathError { offset: 0, message };
    }
    let JsonPathError::PestError(error) = error else {
        return PathError { offset: 0, message: error.to_string() };
    };
    // The engine says the place only in its message: `--> line:column`, in characters.
    let message = error.to_string();
    let place = message.split_once("--> ").and_then(|(_, rest)| rest.split_whitespace().next());
    let offset = place.and_then(|place| offset_of(text, place)).unwrap_or_default();
    let message = match text.get(offset..).unwrap_or_default() {
        "" => "the query ends too early".to_owned(),
        rest => format!("the query is not a JSONPath (RFC 9535) from `{rest}` on"),
    };
    PathError { offset, message }
}

fn offset_of(text: &str, place: &str) -> Option<usize> {
    let (line, column) = place.split_once(':')?;
    let (line, column) = (line.parse::<usize>().ok()?, column.parse::<usize>().ok()?);
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(before..)?;
    let within = rest.char_indices().nth(column.checked_sub(1)?).map_or(rest.len(), |(at, _)| at);
    Some(before + within)
}

/// Looks at what the engine's tree does not show: how deep calls nest, which takes the engine's
/// parser exponential time, white space within names and numbers, and the digits of literals.
fn check_tokens(text: &str) -> Result<(), PathError> {
    let refuse = |offset, message: String| Err(PathError { offset, message });
    let bytes = text.as_bytes();
    let mut open_calls = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = after_string(bytes, at + 1, quote),
            b'(' => {
                let is_call = at > 0 && is_name(bytes[at - 1]);
                open_calls.push(is_call);
                if open_calls.iter().filter(|is_call| **is_call).count() > MAX_PATH_CALLS {
                    let message = format!("calls are nested deeper than {MAX_PATH_CALLS} levels");
                    return refuse(start, message);
                }
                at += 1;
            }
            b')' => {
                open_calls.pop();
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                at = after(bytes, at + 1, |byte| {
                    matches!(byte, b'.' | b'+' | b'-') || is_name(byte)
                });
                if !is_kept(&text[start..at]) {
                    let message = format!(
                        "the number {} cannot be compared exactly; write at most 15 digits",
                        &text[start..at]
                    );
                    return refuse(start, message);
                }
            }
            byte if byte.is_ascii_whitespace() => {
                at = after(bytes, at, |byte| byte.is_ascii_whitespace());
                if is_within_token(&bytes[..start], &bytes[at..]) {
                    return refuse(start, "white space is not allowed here".to_owned());
                }
            }
            byte if is_name(byte) => at = after(bytes, at, is_name),
            _ => at += 1,
        }
    }
    Ok(())
}

/// True if white space between these bytes would split a token: two words, a sign or a decimal
/// point and its digits, a function and its parenthesis.
fn is_within_token(before: &[u8], after: &[u8]) -> bool {
    let (Some(last), Some(first)) = (before.last(), after.first()) else { return false };
    let begins_fraction = *first == b'.' && after.get(1).is_some_and(u8::is_ascii_digit);
    matches!(last, b'.' | b'-' | b'+')
        || begins_fraction
        || is_name(*last) && (is_name(*first) || matches!(first, b'-' | b'+' | b'('))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn after(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !belongs(*byte)).map_or(bytes.len(), |n| start + n)
}

fn after_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut escaped = false;
    let end = bytes[start..].iter().position(|byte| {
        let ends = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |n| start + n + 1)
}

/// True if the engine, which makes a float of such a literal, keeps its value. Anything that is not a
/// number is left to the engine's parser.
fn is_kept(token: &str) -> bool {
    if !token.contains(['.', 'e', 'E']) || token.parse::<Number>().is_err() {
        return true;
    }
    let float = token.parse::<f64>().ok().and_then(Number::from_f64);
    float.is_some_and(|float| number::compare_texts(token, float.as_str()).is_eq())
}

/// The steps in front, and the rest as calls of the engine and choices of ours.
fn split(segments: Vec<engine::Segment>) -> Result<(Vec<Step>, Vec<Segment>), Refusal> {
    let mut steps = Vec::new();
    let mut rest = Vec::new();
    let mut run = Run::default();
    for segment in segments {
        let step = match &segment {
            engine::Segment::Selector(selector) => step_of(selector),
            _ => None,
        };
        match step {
            Some(step) if rest.is_empty() && run.segments.is_empty() => steps.push(step),
            _ if is_plain(&segment) => run.add(segment, &mut rest),
            _ => {
                run.end(&mut rest);
                rest.push(choice(segment)?);
            }
        }
    }
    run.end(&mut rest);
    Ok((steps, rest))
}

/// Segments for one call of the engine.
#[derive(Default)]
struct Run {
    segments: Vec<engine::Segment>,
    has_descendants: bool,
}

impl Run {
    fn add(&mut self, segment: engine::Segment, done: &mut Vec<Segment>) {
        let descendants = matches!(segment, engine::Segment::Descendant(_));
        if descendants && self.has_descendants {
            self.end(done);
        }
        self.has_descendants |= descendants;
        self.segments.push(segment);
    }

    fn end(&mut self, done: &mut Vec<Segment>) {
        let run = std::mem::take(self);
        if !run.segments.is_empty() {
            done.push(Segment::Run(engine::JpQuery::new(run.segments)));
        }
    }
}

fn step_of(selector: &engine::Selector) -> Option<Step> {
    match selector {
        engine::Selector::Name(name) => Some(Step::Name(name.clone())),
        engine::Selector::Index(index) => Some(Step::Index(*index)),
        _ => None,
    }
}

fn is_plain(segment: &engine::Segment) -> bool {
    match segment {
        engine::Segment::Selector(selector) => !matches!(selector, engine::Selector::Filter(_)),
        engine::Segment::Descendant(inner) => is_plain(inner),
        engine::Segment::Selectors(_) => false,
    }
}

fn choice(segment: engine::Segment) -> Result<Segment, Refusal> {
    let (descendants, selectors) = match segment {
        engine::Segment::Descendant(inner) => (true, selectors_of(*inner)),
        segment => (false, selectors_of(segment)),
    };
    let selectors = selectors.into_iter().map(selector).collect::<Result<_, _>>()?;
    Ok(Segment::Choice { descendants, selectors })
}

fn selectors_of(segment: engine::Segment) -> Vec<engine::Selector> {
    match segment {
        engine::Segment::Selector(selector) => vec![selector],
        engine::Segment::Selectors(selectors) => selectors,
        engine::Segment::Descendant(inner) => selectors_of(*inner),
    }
}

fn selector(selector: engine::Selector) -> Result<Selector, Refusal> {
    Ok(match selector {
        engine::Selector::Filter(inner) => Selector::Filter(filter(inner)?),
        plain => Selector::Plain(engine::JpQuery::new(vec![engine::Segment::Selector(plain)])),
    })
}

fn filter(expression: engine::Filter) -> Result<Filter, Refusal> {
    let all = |parts: Vec<_>| parts.into_iter().map(filter).collect::<Result<_, _>>();
    match expression {
        engine::Filter::Or(parts) => Ok(Filter::Or(all(parts)?)),
        engine::Filter::And(parts) => Ok(Filter::And(all(parts)?)),
        engine::Filter::Atom(engine::FilterAtom::Filter { expr, not }) => {
            filter(*expr).map(|inner| negated(inner, not))
        }
        engine::Filter::Atom(engine::FilterAtom::Test { expr, not }) => {
            test(*expr).map(|inner| negated(inner, not))
        }
        engine::Filter::Atom(engine::FilterAtom::Comparison(comparison)) => compare(*comparison),
    }
}

fn negated(filter: Filter, not: bool) -> Filter {
    if not { Filter::Not(Box::new(filter)) } else { filter }
}

/// A test expression: a query, or a function that gives a logical value.
fn test(test: engine::Test) -> Result<Filter, Refusal> {
    match test {
        engine::Test::RelQuery(segments) => query(false, segments).map(Filter::Exists),
        engine::Test::AbsQuery(path) => query(true, path.segments).map(Filter::Exists),
        engine::Test::Function(function) => match *function {
            engine::TestFunction::Match(text, pattern) => matches(text, pattern, true),
            engine::TestFunction::Search(text, pattern) => matches(text, pattern, false),
            function => Err(format!("the result of `{}` must be compared", name_of(&function)?)),
        },
    }
}

fn matches(text: engine::FnArg, pattern: engine::FnArg, whole: bool) -> Result<Filter, Refusal> {
    let pattern = Pattern::of(argument(pattern)?, whole)?;
    Ok(Filter::Matches { text: argument(text)?, pattern, whole })
}

/// The name of a function of RFC 9535.
fn name_of(function: &engine::TestFunction) -> Result<&str, Refusal> {
    Ok(match function {
        engine::TestFunction::Length(_) => "length",
        engine::TestFunction::Value(_) => "value",
        engine::TestFunction::Count(_) => "count",
        engine::TestFunction::Match(..) => "match",
        engine::TestFunction::Search(..) => "search",
        engine::TestFunction::Custom(name, _) => {
            return Err(format!(
                "there is no function `{name}`; there are `length`, `count`, `value`, `match` and \
                 `search`"
            ));
        }
    })
}

fn query(from_root: bool, segments: Vec<engine::Segment>) -> Result<Query, Refusal> {
    let (steps, segments) = split(segments)?;
    Ok(Query { from_root, steps, segments })
}

fn compare(comparison: engine::Comparison) -> Result<Filter, Refusal> {
    use engine::Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
    let (left, operator, right) = match comparison {
        Eq(left, right) => (left, Operator::Equal, right),
        Ne(left, right) => (left, Operator::NotEqual, right),
        Lt(left, right) => (left, Operator::Less, right),
        Lte(left, right) => (left, Operator::LessOrEqual, right),
        Gt(left, right) => (left, Operator::Greater, right),
        Gte(left, right) => (left, Operator::GreaterOrEqual, right),
    };
    Ok(Filter::Compare(comparable(left)?, operator, comparable(right)?))
}

fn comparable(comparable: engine::Comparable) -> Result<Operand, Refusal> {
    use engine::{Comparable, SingularQuery, SingularQuerySegment};
    let (from_root, segments) = match comparable {
        Comparable::Literal(literal) => return value(literal),
        Comparable::Function(function) => return computed(function),
        Comparable::SingularQuery(SingularQuery::Current(segments)) => (false, segments),
        Comparable::SingularQuery(SingularQuery::Root(segments)) => (true, segments),
    };
    let steps = segments.into_iter().map(|segment| match segment {
        SingularQuerySegment::Index(index) => Step::Index(index),
        SingularQuerySegment::Name(name) => Step::Name(name),
    });
    Ok(Operand::Value(Query { from_root, steps: steps.collect(), segments: Vec::new() }))
}

/// A function that gives a value.
fn computed(function: engine::TestFunction) -> Result<Operand, Refusal> {
    match function {
        engine::TestFunction::Length(inner) => Ok(Operand::Length(Box::new(argument(*inner)?))),
        engine::TestFunction::Value(inner) => nodes("value", inner).map(Operand::Value),
        engine::TestFunction::Count(inner) => nodes("count", inner).map(Operand::Count),
        function => Err(format!("the result of `{}` cannot be compared", name_of(&function)?)),
    }
}

/// An argument that must be a value: a literal, a singular query, a function that gives one.
fn argument(argument: engine::FnArg) -> Result<Operand, Refusal> {
    let test = match argument {
        engine::FnArg::Literal(literal) => return value(literal),
        engine::FnArg::Filter(_) => {
            return Err("a function argument is a logical expression; it must be a value".into());
        }
        engine::FnArg::Test(test) => *test,
    };
    let query = match test {
        engine::Test::Function(function) => return computed(*function),
        engine::Test::RelQuery(segments) => query(false, segments)?,
        engine::Test::AbsQuery(path) => query(true, path.segments)?,
    };
    if query.segments.is_empty() {
        return Ok(Operand::Value(query));
    }
    Err("a function argument may select several values; only `count` and `value` accept that"
        .into())
}

/// An argument that must be a query.
fn nodes(function: &str, argument: engine::FnArg) -> Result<Query, Refusal> {
    if let engine::FnArg::Test(test) = argument {
        match *test {
            engine::Test::RelQuery(segments) => return query(false, segments),
            engine::Test::AbsQuery(path) => return query(true, path.segments),
            engine::Test::Function(_) => {}
        }
    }
    Err(format!("the argument of `{function}` must be a query"))
}

fn value(literal: engine::Literal) -> Result<Operand, Refusal> {
    Ok(Operand::Literal(match literal {
        engine::Literal::Int(number) => number.into(),
        engine::Literal::Float(number) => match Number::from_f64(number) {
            Some(number) => number.into(),
            None => return Err("a number is beyond the range of a 64-bit float".to_owned()),
        },
        engine::Literal::String(text) => Value::from(text),
        engine::Literal::Bool(value) => Value::Bool(value),
        engine::Literal::Null => Value::Null,
    }))
}
