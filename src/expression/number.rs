//! The numbers of expressions: one kind, whatever the spelling.
//!
//! `70`, `70.0` and `7e1` are the same value in the same form, so that no result can depend on how
//! a sender writes a number. A whole number that fits 64 bits is always [`Numeric::Whole`]; only
//! what is left, fractions and very large numbers, is a double. Every result goes through
//! [`Numeric::whole`] or [`Numeric::decimal`], which keep it so.

use std::cmp::Ordering;

use cel::common::types::{CelDouble, CelInt, CelUInt};
use cel::common::value::{CowVal, Val};

use crate::codec::json::Value;
use crate::codec::number::{compare_texts, integer_text};
use crate::expression::decimal::Digits;
use crate::expression::sent::Sent;

/// A number of an expression, in the one form that its value has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Numeric {
    /// A whole number between -2^63 and 2^64 - 1.
    Whole(i128),
    /// Any other finite number: a fraction, or a whole number beyond these.
    Decimal(f64),
}

/// Why a calculation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// A whole number that neither 64 bits nor a double can hold exactly.
    Overflow,
    /// Beyond the largest double, or not a number at all.
    NotFinite,
    /// The divisor is zero.
    DivisionByZero,
}

impl NumberError {
    /// The message, where `what` names the operator or function.
    pub(super) fn message(self, what: &str) -> String {
        match self {
            Self::Overflow => format!("{what} exceeds 64 bits"),
            Self::NotFinite => format!("{what} does not yield a finite number"),
            Self::DivisionByZero => "division by zero".to_owned(),
        }
    }
}

type Outcome = Result<Numeric, NumberError>;

const TWO_TO_53: f64 = 9_007_199_254_740_992.0;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

impl Numeric {
    pub(super) const ZERO: Self = Self::Whole(0);

    /// The number in a value; `None` where it is not a number.
    pub(super) fn of(value: &dyn Val) -> Option<Self> {
        if let Some(int) = value.downcast_ref::<CelInt>() {
            return Some(Self::Whole(i128::from(*int.inner())));
        }
        if let Some(double) = value.downcast_ref::<CelDouble>() {
            return Self::decimal(*double.inner()).ok();
        }
        if let Some(sent) = value.downcast_ref::<Sent>() {
            return Self::parse(sent.text());
        }
        value.downcast_ref::<CelUInt>().map(|uint| Self::Whole(i128::from(*uint.inner())))
    }

    /// As the library holds it: the same value always gives the same type.
    pub(super) fn into_value<'b, 'v>(self) -> CowVal<'b, 'v> {
        match self {
            Self::Whole(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(int), _) => CowVal::owned(CelInt::from(int)),
                (_, Ok(uint)) => CowVal::owned(CelUInt::from(uint)),
                // Not reached: a whole number fits one of the two.
                (Err(_), Err(_)) => CowVal::owned(CelDouble::from(whole as f64)),
            },
            Self::Decimal(decimal) => CowVal::owned(CelDouble::from(decimal)),
        }
    }

    /// As JSON.
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Whole(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(int), _) => int.into(),
                (_, Ok(uint)) => uint.into(),
                (Err(_), Err(_)) => (whole as f64).into(),
            },
            Self::Decimal(decimal) => decimal.into(),
        }
    }

    /// The number of a string in the grammar of JSON; `None` where it is too large to be kept.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(int) = text.parse::<i64>() {
            return Some(Self::Whole(int.into()));
        }
        let double: f64 = text.parse().ok().filter(|double: &f64| double.is_finite())?;
        if double.abs() < TWO_TO_53 {
            return Self::decimal(double).ok();
        }
        // From 2^53 on a double may be another whole number than the text.
        match integer_text(text) {
            Some(digits) => match digits.parse().ok().and_then(Self::within) {
                Some(whole) => Some(whole),
                None => Self::kept(text, double),
            },
            None if (-TWO_TO_63..TWO_TO_64).contains(&double) => Self::decimal(double).ok(),
            None => Self::kept(text, double),
        }
    }

    /// A number beyond 64 bits, where a double gives the text back digit for digit.
    fn kept(text: &str, double: f64) -> Option<Self> {
        let same = compare_texts(text, &format!("{double:e}")) == Ordering::Equal;
        same.then_some(Self::Decimal(double))
    }

    /// A whole number that 64 bits hold.
    fn within(whole: i128) -> Option<Self> {
        let fits = i64::try_from(whole).is_ok() || u64::try_from(whole).is_ok();
        fits.then_some(Self::Whole(whole))
    }

    /// A whole number of at most 64 bits.
    pub(super) fn whole_of_64_bits(whole: Option<i128>) -> Outcome {
        whole.and_then(Self::within).ok_or(NumberError::Overflow)
    }

    /// A whole result, exact or refused.
    pub(super) fn whole(whole: Option<i128>) -> Outcome {
        let whole = whole.ok_or(NumberError::Overflow)?;
        let beyond = || Self::kept(&whole.to_string(), whole as f64);
        Self::within(whole).or_else(beyond).ok_or(NumberError::Overflow)
    }

    /// A result in floating point. A whole one is [`Numeric::Whole`], and there is one zero.
    pub(super) fn decimal(double: f64) -> Outcome {
        if (-TWO_TO_63..TWO_TO_63).contains(&double) {
            #[expect(clippy::cast_possible_truncation, reason = "compared with its origin")]
            let whole = double as i64;
            return Ok(match whole as f64 == double {
                true => Self::Whole(whole.into()),
                false => Self::Decimal(double),
            });
        }
        match double.is_finite() {
            true if (TWO_TO_63..TWO_TO_64).contains(&double) => {
                #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^64")]
                let whole = double as i128;
                Ok(Self::Whole(whole))
            }
            true => Ok(Self::Decimal(double)),
            false => Err(NumberError::NotFinite),
        }
    }

    /// As f64, rounded to the nearest where a whole number is beyond 2^53.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Decimal(decimal) => decimal,
        }
    }

    /// True if it has no fraction: a double from 2^63 on has none.
    pub(super) fn is_whole(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Decimal(decimal) => decimal.abs() >= TWO_TO_63,
        }
    }

    fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    fn combine(
        self,
        other: Self,
        wholes: fn(i128, i128) -> Option<i128>,
        digits: fn(Digits, Digits) -> Outcome,
        decimals: fn(f64, f64) -> f64,
    ) -> Outcome {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Self::whole(wholes(left, right)),
            (left, right) if left.is_whole() && right.is_whole() => {
                digits(Digits::of(left), Digits::of(right))
            }
            (left, right) => Self::decimal(decimals(left.to_f64(), right.to_f64())),
        }
    }

    pub(super) fn add(self, other: Self) -> Outcome {
        self.combine(other, i128::checked_add, Digits::add, |left, right| left + right)
    }

    pub(super) fn subtract(self, other: Self) -> Outcome {
        self.combine(other, i128::checked_sub, Digits::subtract, |left, right| left - right)
    }

    pub(super) fn multiply(self, other: Self) -> Outcome {
        self.combine(other, i128::checked_mul, Digits::multiply, |left, right| left * right)
    }

    pub(super) fn negate(self) -> Outcome {
        match self {
            Self::Whole(whole) => Self::whole(whole.checked_neg()),
            Self::Decimal(decimal) => Self::decimal(-decimal),
        }
    }

    /// The exact quotient where there is one, else the double nearest to it.
    pub(super) fn divide(self, other: Self) -> Outcome {
        match (self, other) {
            (_, divisor) if divisor.is_zero() => Err(NumberError::DivisionByZero),
            (Self::Whole(left), Self::Whole(right)) => {
                if left.checked_rem(right) == Some(0) {
                    return Self::whole(left.checked_div(right));
                }
                Self::decimal(nearest_quotient(left, right))
            }
            (left, right) if left.is_whole() && right.is_whole() => {
                match Digits::of(left).ratio(Digits::of(right)) {
                    Some((dividend, divisor)) if dividend % divisor == 0 => {
                        Self::whole(Some(dividend / divisor))
                    }
                    Some((dividend, divisor)) => Self::decimal(nearest_quotient(dividend, divisor)),
                    None => Self::decimal(left.to_f64() / right.to_f64()),
                }
            }
            (left, right) => Self::decimal(left.to_f64() / right.to_f64()),
        }
    }

    /// The quotient cut towards zero, in decimal arithmetic.
    pub(super) fn quotient(self, other: Self) -> Outcome {
        match (self, other) {
            (_, divisor) if divisor.is_zero() => Err(NumberError::DivisionByZero),
            (Self::Whole(left), Self::Whole(right)) => Self::whole(left.checked_div(right)),
            (left, right) => {
                let quotient = Digits::of(left).quotient(&Digits::of(right));
                Self::whole(quotient)
            }
        }
    }

    /// The remainder of [`Numeric::quotient`], with the sign of the dividend, in decimal
    /// arithmetic.
    pub(super) fn remainder(self, other: Self) -> Outcome {
        match (self, other) {
            (_, divisor) if divisor.is_zero() => Err(NumberError::DivisionByZero),
            (Self::Whole(left), Self::Whole(right)) => Self::whole(left.checked_rem(right)),
            (left, right) => Digits::of(left).remainder(&Digits::of(right)),
        }
    }

    /// Rounded to a number of decimal places, halves away from zero; with a negative number to tens,
    /// hundreds and so on. Works on the decimal digits that the number is written with.
    pub(super) fn round(self, places: i32) -> Outcome {
        match self {
            Self::Whole(_) if places >= 0 => Ok(self),
            number => Digits::of(number).round(places).map_or(Ok(number), |rounded| rounded),
        }
    }

    /// The whole part, towards zero.
    pub(super) fn truncate(self) -> Outcome {
        match self {
            Self::Whole(_) => Ok(self),
            Self::Decimal(decimal) => Self::decimal(decimal.trunc()),
        }
    }

    /// Compares as numbers, exactly.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (Self::Whole(left), Self::Decimal(right)) => compare_exactly(left, right),
            (Self::Decimal(left), Self::Whole(right)) => {
                compare_exactly(right, left).map(Ordering::reverse)
            }
            (Self::Decimal(left), Self::Decimal(right)) => left.partial_cmp(&right),
        }
    }
}

fn compare_exactly(whole: i128, decimal: f64) -> Option<Ordering> {
    // The two are never equal: an equal decimal would be a whole number. Where rounding to f64 hides
    // the difference the decimal is beyond 64 bits, since it has no fraction from 2^53 on.
    match (whole as f64).partial_cmp(&decimal)? {
        Ordering::Equal if decimal > 0.0 => Some(Ordering::Less),
        Ordering::Equal => Some(Ordering::Greater),
        order => Some(order),
    }
}

/// The double nearest to the quotient of two numbers, the divisor of at most 64 bits.
fn nearest_quotient(left: i128, right: i128) -> f64 {
    let exact = |whole: i128| whole.unsigned_abs() <= 1 << 53;
    if exact(left) && exact(right) {
        return left as f64 / right as f64;
    }
    // More than 55 bits of the quotient and a last one for all that follow round like the whole of it.
    let shift = left.unsigned_abs().leading_zeros();
    let shifted = left.unsigned_abs() << shift;
    let divisor = right.unsigned_abs();
    let sticky = u128::from(!shifted.is_multiple_of(divisor));
    let magnitude = ((shifted / divisor) | sticky) as f64 * libm::exp2(-f64::from(shift));
    if (left < 0) == (right < 0) { magnitude } else { -magnitude }
}
