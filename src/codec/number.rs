//! Numbers by value, from the digits they were sent in. Nothing here goes through a float.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::codec::json::Number;

use crate::limits::MAX_NUMBER_BYTES;

/// A JSON number's text, taken apart: ±0.d₁d₂d₃… × 10^`point`, d₁ not 0.
struct Decimal<'a> {
    negative: bool,
    /// Digits before the point, then after it; leading zeros are not counted in `point`.
    digits: [&'a [u8]; 2],
    point: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Self {
        let (negative, text) =
            text.strip_prefix('-').map_or((false, text), |magnitude| (true, magnitude));
        let (significand, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
        let whole = whole.trim_start_matches('0').as_bytes();
        let mut decimal = Self {
            negative,
            digits: [whole, fraction.as_bytes()],
            point: saturating_exponent(exponent).saturating_add_unsigned(whole.len() as u64),
        };
        if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            decimal.digits[1] = significant.as_bytes();
            let zeros = fraction.len() - significant.len();
            decimal.point = decimal.point.saturating_sub_unsigned(zeros as u64);
        }
        decimal
    }

    /// Digits without zeros at the end; empty for zero.
    fn significant(&self) -> impl Iterator<Item = u8> + use<'a> {
        let [whole, fraction] = self.digits;
        let kept = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1);
        let whole_kept = match kept {
            0 => whole.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1),
            _ => whole.len(),
        };
        whole[..whole_kept].iter().chain(&fraction[..kept]).copied()
    }

    fn is_zero(&self) -> bool {
        self.significant().next().is_none()
    }

    fn magnitude_cmp(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.significant().cmp(other.significant())),
        }
    }
}

fn saturating_exponent(text: &str) -> i64 {
    let magnitude = text.trim_start_matches(['+', '-']);
    let exponent = magnitude.parse().unwrap_or(i64::MAX / 2);
    if text.starts_with('-') { -exponent } else { exponent }
}

/// Compares two numbers by value: `1`, `1.0` and `10e-1` are equal, 9007199254740993 is greater
/// than 9007199254740992.
#[must_use]
pub fn compare(left: &Number, right: &Number) -> Ordering {
    compare_texts(left.as_str(), right.as_str())
}

/// Compares two texts of the grammar of JSON numbers by value.
#[must_use]
pub fn compare_texts(left: &str, right: &str) -> Ordering {
    if let (Ok(left), Ok(right)) = (left.parse::<i64>(), right.parse::<i64>()) {
        return left.cmp(&right);
    }
    let (left, right) = (Decimal::of(left), Decimal::of(right));
    let sign = |number: &Decimal<'_>| match (number.is_zero(), number.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    sign(&left).cmp(&sign(&right)).then_with(|| match left.negative {
        true => right.magnitude_cmp(&left),
        false => left.magnitude_cmp(&right),
    })
}

/// A number times 10^`places`, rounded to an integer, halves away from zero: whether it is negative,
/// and its magnitude. `None` for a magnitude beyond 128 bits.
#[must_use]
pub fn rounded(text: &str, places: i32) -> Option<(bool, u128)> {
    let number = Decimal::of(text);
    let kept = number.point.saturating_add(places.into());
    let Ok(kept) = usize::try_from(kept) else { return Some((number.negative, 0)) };
    let mut digits = number.significant();
    let mut magnitude: u128 = 0;
    for digit in digits.by_ref().take(kept).chain(std::iter::repeat(b'0')).take(kept) {
        let digit = u128::from(digit - b'0');
        magnitude = magnitude.checked_mul(10)?.checked_add(digit)?;
    }
    // The first digit that is dropped decides.
    let is_up = digits.next().is_some_and(|digit| digit >= b'5');
    Some((number.negative, magnitude.checked_add(u128::from(is_up))?))
}

/// True if a number has digits behind so many decimal places.
#[must_use]
pub fn goes_beyond(text: &str, places: i32) -> bool {
    let number = Decimal::of(text);
    let digits = i64::try_from(number.significant().count()).unwrap_or(i64::MAX);
    digits > 0 && digits > number.point.saturating_add(places.into())
}

/// The digits of a number that is an integer by value: `21` of `21`, `21.0` and `2.1e1`. `None` for
/// one with a fraction, and for one that takes more than [`MAX_NUMBER_BYTES`] digits.
#[must_use]
pub fn integer_text(text: &str) -> Option<String> {
    let number = Decimal::of(text);
    let mut digits: Vec<u8> = number.significant().collect();
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let length = usize::try_from(number.point).ok()?;
    if length < digits.len() || length > MAX_NUMBER_BYTES - usize::from(number.negative) {
        return None;
    }
    digits.resize(length, b'0');
    let digits = String::from_utf8(digits).ok()?;
    Some(if number.negative { format!("-{digits}") } else { digits })
}

/// True if a number is an integer by value, however many digits it takes.
#[must_use]
pub fn is_whole(text: &str) -> bool {
    !goes_beyond(text, 0)
}

/// A number without an exponent: `100000` of `1e5`, `0.0015` of `1.5e-3`. `None` where that takes more
/// than [`MAX_NUMBER_BYTES`].
#[must_use]
pub fn plain_text(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['e', 'E']) {
        return Some(Cow::Borrowed(text));
    }
    if let Some(integer) = integer_text(text) {
        return Some(Cow::Owned(integer));
    }
    let number = Decimal::of(text);
    let digits: String = number.significant().map(char::from).collect();
    let before = usize::try_from(number.point).unwrap_or(0);
    let zeros = usize::try_from(number.point.saturating_neg()).unwrap_or(0);
    if before >= digits.len() || zeros > MAX_NUMBER_BYTES {
        return None;
    }
    let sign = if number.negative { "-" } else { "" };
    let (whole, fraction) = digits.split_at(before);
    let whole = if whole.is_empty() { "0" } else { whole };
    let plain = format!("{sign}{whole}.{}{fraction}", "0".repeat(zeros));
    (plain.len() <= MAX_NUMBER_BYTES).then_some(Cow::Owned(plain))
}

/// A string that is the same for all spellings of a number, and differs for different numbers.
#[must_use]
pub fn canonical(text: &str) -> Cow<'_, str> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    if text == "0" || !plain.starts_with('0') && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(text);
    }
    if let Some(integer) = integer_text(text) {
        return Cow::Owned(integer);
    }
    let number = Decimal::of(text);
    let sign = if number.negative { "-" } else { "" };
    let digits: String = number.significant().map(char::from).collect();
    Cow::Owned(format!("{sign}0.{digits}e{}", number.point))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_looks_at_every_digit() {
        for (text, places, result) in [
            ("2.674999999999999999999", 2, Some((false, 267))),
            ("2.675", 2, Some((false, 268))),
            ("-2.675000000000000000001", 2, Some((true, 268))),
            ("1.00499999999999999999999", 2, Some((false, 100))),
            ("0.004", 2, Some((false, 0))),
            ("0.005", 2, Some((false, 1))),
            ("0.0005", 2, Some((false, 0))),
            ("1250", -2, Some((false, 13))),
            ("50", -2, Some((false, 1))),
            ("5", -2, Some((false, 0))),
            ("1.5e3", 2, Some((false, 150_000))),
            ("0.0", 15, Some((false, 0))),
            ("1e60", 0, None),
        ] {
            assert_eq!(rounded(text, places), result, "{text} {places}");
        }
        for (text, places, beyond) in [
            ("1.123456789", 9, false),
            ("1.1234567891", 9, true),
            ("1.1234567890", 9, false),
            ("15e-1", 0, true),
            ("150e-1", 0, false),
            ("0e-99", 0, false),
        ] {
            assert_eq!(goes_beyond(text, places), beyond, "{text} {places}");
        }
    }

    #[test]
    fn order_is_by_value() {
        for (left, order, right) in [
            ("1", Ordering::Equal, "1.0"),
            ("1", Ordering::Equal, "10e-1"),
            ("0", Ordering::Equal, "-0.0e9"),
            ("100", Ordering::Equal, "1e+2"),
            ("0.0010", Ordering::Equal, "1E-3"),
            ("9007199254740993", Ordering::Greater, "9007199254740992"),
            ("9007199254740993.0", Ordering::Greater, "9007199254740992.0"),
            ("18446744073709551616", Ordering::Less, "18446744073709551617"),
            ("0.1", Ordering::Less, "0.10000000000000000001"),
            ("1e-300", Ordering::Greater, "0"),
            ("-1e-300", Ordering::Less, "0"),
            ("-2.5", Ordering::Less, "-2.4"),
            ("-2.5", Ordering::Less, "2.5"),
            ("10.0", Ordering::Greater, "9.9"),
            ("1e99999999999999999999", Ordering::Greater, "1e3"),
            ("1e-99999999999999999999", Ordering::Less, "1e-3"),
        ] {
            assert_eq!(compare_texts(left, right), order, "{left} {right}");
            assert_eq!(compare_texts(right, left), order.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn integers_in_any_spelling() {
        for (text, integer) in [
            ("21", Some("21")),
            ("21.0", Some("21")),
            ("2.1e1", Some("21")),
            ("-0", Some("0")),
            ("-21.00", Some("-21")),
            ("100", Some("100")),
            ("100.5e1", Some("1005")),
            ("1e+3", Some("1000")),
            ("123456789012345678901234567890.0", Some("123456789012345678901234567890")),
            ("0.0", Some("0")),
            ("21.5", None),
            ("1e-1", None),
            ("1e300", None),
            ("1e99999999999999999999", None),
        ] {
            assert_eq!(integer_text(text).as_deref(), integer, "{text}");
        }
    }

    #[test]
    fn exponents_are_written_out() {
        for (text, plain) in [
            ("21.50", Some("21.50")),
            ("-0", Some("-0")),
            ("1e5", Some("100000")),
            ("1E+5", Some("100000")),
            ("-1.50e1", Some("-15")),
            ("1.5e-3", Some("0.0015")),
            ("-12.34e1", Some("-123.4")),
            ("12.34e-1", Some("1.234")),
            ("0e5", Some("0")),
            ("0.0e-9", Some("0")),
            ("1e300", None),
            ("1e-300", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", None),
        ] {
            assert_eq!(plain_text(text).as_deref(), plain, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_number_is_the_same_number(
            text in "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?(e[+-]?[0-9]{1,2})?",
        ) {
            if let Some(plain) = plain_text(&text) {
                prop_assert!(!plain.contains(['e', 'E']) && plain.len() <= MAX_NUMBER_BYTES);
                prop_assert!(compare_texts(&text, &plain).is_eq(), "{} {}", text, plain);
            }
        }

        #[test]
        fn equal_numbers_have_one_canonical_text(
            left in "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,4})?(e[-+]?[0-9]{1,2})?",
            right in "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,4})?(e[-+]?[0-9]{1,2})?",
            zeros in 1_usize..4,
        ) {
            let same = compare_texts(&left, &right).is_eq();
            prop_assert_eq!(canonical(&left) == canonical(&right), same);
            let (significand, exponent) = left.split_once('e').unwrap_or((&left, "0"));
            let point = if significand.contains('.') { "" } else { "." };
            let longer = format!("{significand}{point}{}e{exponent}", "0".repeat(zeros));
            prop_assert_eq!(canonical(&longer), canonical(&left));
        }

        #[test]
        fn it_agrees_with_integers(left: i64, right: i64, zeros in 0_usize..4) {
            let point = |number: i64| format!("{number}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(compare_texts(&point(left), &point(right)), left.cmp(&right));
            prop_assert_eq!(integer_text(&point(left)), Some(left.to_string()));
        }

        #[test]
        fn it_agrees_with_floats(left in -1e12..1e12_f64, right in -1e12..1e12_f64) {
            let order = left.partial_cmp(&right).unwrap();
            prop_assert_eq!(compare_texts(&left.to_string(), &right.to_string()), order);
            prop_assert_eq!(compare_texts(&format!("{left:e}"), &right.to_string()), order);
        }

        #[test]
        fn no_text_panics(
            left in "-?[0-9]{0,4}[.]?[0-9]{0,4}(e[-+]?[0-9]{1,30})?",
            right in ".{0,9}",
        ) {
            let _ = compare_texts(&left, &right);
            let _ = integer_text(&left);
        }
    }
}
