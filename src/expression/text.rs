//! The functions of expressions over texts. Each pays for what it reads before it reads it, and for
//! what it builds before it builds it: the library's own do neither, nor put a limit on the result.

use cel::ExecutionError;
use cel::common::types::{CelInt, CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};

use crate::expression::arguments::{
    Outcome, failure, number, read_text, spend_text, text, text_value, truth,
};
use crate::expression::meter;
use crate::expression::number::Numeric;
use crate::expression::pattern::Pattern;
use crate::expression::value::describe;
use crate::limits::{COPY_STEPS, MAX_EXPRESSION_ITEMS};

/// Letters of a string, elements of a list or map.
pub(super) fn size<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`size`";
    let [value] = args.as_slice() else { return Err(failure("`size` takes one value")) };
    let value = value.as_ref();
    let size = if value.downcast_ref::<CelString>().is_some() {
        read_text(value, what)?.chars().count()
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().len()
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        map.inner().len()
    } else {
        let found = describe(value);
        return Err(failure(format!("{what} takes strings, lists and maps, this is {found}")));
    };
    Ok(whole(size))
}

fn whole<'b, 'v>(number: usize) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// The one text that a function takes, paid for.
fn one_text<'a>(args: &'a [CowVal<'_, '_>], what: &str) -> Result<&'a str, ExecutionError> {
    let [subject] = args else { return Err(failure(format!("{what} takes a string"))) };
    read_text(subject.as_ref(), what)
}

pub(super) fn lower_ascii<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_text(&args, "`lowerAscii`").map(|text| text_value(text.to_ascii_lowercase()))
}

pub(super) fn upper_ascii<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_text(&args, "`upperAscii`").map(|text| text_value(text.to_ascii_uppercase()))
}

pub(super) fn reverse<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_text(&args, "`reverse`").map(|text| text_value(text.chars().rev().collect()))
}

pub(super) fn trim<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_text(&args, "`trim`").map(|text| text_value(text.trim().to_owned()))
}

pub(super) fn contains<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`contains`";
    let [subject, part] = args.as_slice() else { return Err(failure("`contains` takes a string")) };
    let (subject, part) = (read_text(subject.as_ref(), what)?, read_text(part.as_ref(), what)?);
    Ok(truth(subject.contains(part)))
}

pub(super) fn starts_with<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    at_an_end(&args, "`startsWith`", |subject, part| subject.starts_with(part))
}

pub(super) fn ends_with<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    at_an_end(&args, "`endsWith`", |subject, part| subject.ends_with(part))
}

/// Looks at no more of the subject than the part is long.
fn at_an_end<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    is_there: fn(&str, &str) -> bool,
) -> Outcome<'b, 'v> {
    let [subject, part] = args else { return Err(failure(format!("{what} takes a string"))) };
    let (subject, part) = (text(subject.as_ref(), what)?, read_text(part.as_ref(), what)?);
    Ok(truth(is_there(subject, part)))
}

/// The letter at an index, and nothing right behind the last letter.
pub(super) fn char_at<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`charAt`";
    let [subject, index] = args.as_slice() else { return Err(failure("`charAt` takes an index")) };
    let subject = read_text(subject.as_ref(), what)?;
    let at = offset(subject, index.as_ref(), what)?;
    let letter = subject[at..].chars().next();
    Ok(text_value(letter.map(String::from).unwrap_or_default()))
}

pub(super) fn substring<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`substring`";
    let (subject, start, end) = match args.as_slice() {
        [subject, start] => (subject, start, None),
        [subject, start, end] => (subject, start, Some(end)),
        _ => return Err(failure("`substring` takes a start and an end")),
    };
    let subject = read_text(subject.as_ref(), what)?;
    let start = offset(subject, start.as_ref(), what)?;
    let end = end.map(|end| offset(subject, end.as_ref(), what)).transpose()?;
    match subject.get(start..end.unwrap_or(subject.len())) {
        Some(part) => Ok(text_value(part.to_owned())),
        None => Err(failure("`substring`: the end is before the start")),
    }
}

/// The offset in bytes of a letter, or of the end behind the last one.
fn offset(subject: &str, index: &dyn Val, what: &str) -> Result<usize, ExecutionError> {
    let Numeric::Whole(index) = number(index, what)? else {
        return Err(failure(format!("{what} takes a whole number as its index")));
    };
    let letters = subject.char_indices().map(|(offset, _)| offset);
    let mut offsets = letters.chain(std::iter::once(subject.len()));
    let found = usize::try_from(index).ok().and_then(|index| offsets.nth(index));
    found.ok_or_else(|| failure(format!("{what}: index {index} is outside the string")))
}

pub(super) fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`join`";
    let (list, separator) = match args.as_slice() {
        [list] => (list, ""),
        [list, separator] => (list, text(separator.as_ref(), what)?),
        _ => return Err(failure("`join` takes a list and a separator")),
    };
    let Some(list) = list.downcast_ref::<CelList>() else {
        return Err(failure(format!("`join` takes a list, this is {}", describe(list.as_ref()))));
    };
    let list = list.inner();
    meter::spend(list.len() as u64)?;
    let mut bytes = separator.len().saturating_mul(list.len().saturating_sub(1));
    for item in list {
        bytes = bytes.saturating_add(text(item.as_ref(), what)?.len());
    }
    spend_text(bytes)?;
    let mut joined = String::with_capacity(bytes);
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text(item.as_ref(), what)?);
    }
    Ok(text_value(joined))
}

pub(super) fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`replace`";
    let (subject, old, new, most) = match args.as_slice() {
        [subject, old, new] => (subject, old, new, None),
        [subject, old, new, most] => (subject, old, new, limit(most, what)?),
        _ => return Err(failure("`replace` takes the old and the new text")),
    };
    let (subject, old) = (read_text(subject.as_ref(), what)?, read_text(old.as_ref(), what)?);
    let new = text(new.as_ref(), what)?;
    let most = most.unwrap_or(usize::MAX);
    let found = subject.matches(old).take(most).count();
    let kept = subject.len() - found * old.len();
    spend_text(kept.saturating_add(found.saturating_mul(new.len())))?;
    Ok(text_value(subject.replacen(old, new, most)))
}

pub(super) fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`split`";
    let (subject, separator, most) = match args.as_slice() {
        [subject, separator] => (subject, separator, None),
        [subject, separator, most] => (subject, separator, limit(most, what)?),
        _ => return Err(failure("`split` takes a separator")),
    };
    let subject = read_text(subject.as_ref(), what)?;
    let separator = read_text(separator.as_ref(), what)?;
    let most = most.unwrap_or(usize::MAX);
    let parts: Vec<&str> = match separator {
        // Between the letters: without the empty texts in front of the first and behind the last.
        "" => letters(subject, most),
        _ => subject.splitn(most, separator).take(MAX_EXPRESSION_ITEMS + 1).collect(),
    };
    meter::spend(parts.len() as u64 * COPY_STEPS)?;
    if parts.len() > MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("`split` yields more than {MAX_EXPRESSION_ITEMS} parts")));
    }
    let part = |part: &str| Box::new(CelString::from(part.to_owned())) as Box<dyn Val + 'v>;
    Ok(CowVal::owned(CelList::from(parts.into_iter().map(part).collect::<Vec<_>>())))
}

/// The letters of a string, the last part holding what is left from `most` on.
fn letters(subject: &str, most: usize) -> Vec<&str> {
    let most = most.min(MAX_EXPRESSION_ITEMS + 1);
    let mut starts = subject.char_indices().map(|(start, _)| start).take(most).peekable();
    let mut parts = Vec::new();
    while let Some(start) = starts.next() {
        parts.push(&subject[start..*starts.peek().unwrap_or(&subject.len())]);
    }
    parts
}

/// The maximum number of parts or replacements; `None` for a negative number, which means all.
fn limit(most: &CowVal<'_, '_>, what: &str) -> Result<Option<usize>, ExecutionError> {
    match number(most.as_ref(), what)? {
        Numeric::Whole(most) => Ok(usize::try_from(most).ok()),
        Numeric::Decimal(_) => Err(failure(format!("{what} takes a whole number as its limit"))),
    }
}

/// Checks for a match of a pattern that was compiled at load.
pub(super) fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [subject, pattern] = args.as_slice() else {
        return Err(failure("`matches` takes a string and a pattern"));
    };
    let subject = text(subject.as_ref(), "`matches`")?;
    let Some(pattern) = pattern.downcast_ref::<Pattern>() else {
        return Err(failure("`matches` takes a literal pattern"));
    };
    let matcher = pattern.matcher();
    meter::spend(matcher.steps(subject))?;
    Ok(truth(matcher.is_match(subject)))
}

/// The first such part that starts at `from` or behind it. The library's own takes the time of the
/// product of both lengths.
pub(super) fn index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`indexOf`", |subject, part, from| {
        let from = from.unwrap_or(0);
        subject[from..].find(part).map(|found| from + found)
    })
}

/// The last such part that starts at `from` or in front of it.
pub(super) fn last_index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`lastIndexOf`", |subject, part, from| {
        let from = from.unwrap_or(subject.len());
        let end = from.saturating_add(part.len()).min(subject.len());
        // Within a letter no part ends, so that the letter may be left out.
        let end = (0..=end).rev().find(|end| subject.is_char_boundary(*end))?;
        subject[..end].rfind(part)
    })
}

/// The letters in front of a part; -1 where it is not found. `find` takes and gives offsets in bytes.
fn found_at<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    find: fn(&str, &str, Option<usize>) -> Option<usize>,
) -> Outcome<'b, 'v> {
    let (subject, part, from) = match args {
        [subject, part] => (subject, part, None),
        [subject, part, from] => (subject, part, Some(number(from.as_ref(), what)?)),
        _ => return Err(failure(format!("{what} takes a string"))),
    };
    let (subject, part) = (read_text(subject.as_ref(), what)?, read_text(part.as_ref(), what)?);
    let from = from.map(|from| start_of(subject, from, part.is_empty(), what)).transpose()?;
    let letters = match from {
        Some(from) if part.is_empty() => Some(subject[..from].chars().count()),
        from => find(subject, part, from).map(|offset| subject[..offset].chars().count()),
    };
    Ok(letters.map_or_else(|| CowVal::owned(CelInt::from(-1)), whole))
}

/// The offset in bytes of a letter. `may_end` takes any number behind the last letter as the end.
fn start_of(
    subject: &str,
    letter: Numeric,
    may_end: bool,
    what: &str,
) -> Result<usize, ExecutionError> {
    let Numeric::Whole(letter) = letter else {
        return Err(failure(format!("{what} takes a whole number as its start")));
    };
    let number = usize::try_from(letter).ok();
    let found = number.and_then(|number| subject.char_indices().nth(number));
    match found {
        Some((offset, _)) => Ok(offset),
        None if may_end && letter >= 0 => Ok(subject.len()),
        None => Err(failure(format!("{what}: start {letter} is beyond the end of the string"))),
    }
}
