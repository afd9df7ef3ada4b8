//! Decimal arithmetic on the digits that a number is written with.
//!
//! 1.005 is written so and means so, although the nearest double lies a little below. Whoever rounds
//! it to two places expects 1.01; whoever asks for `1 % 0.1` expects 0. The digits are those of the
//! shortest text that reads back as the same number, at most 17 for a fraction.

use crate::expression::number::{NumberError, Numeric};

/// A number as ±digits × 10^exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    digits: u64,
    exponent: i32,
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl Digits {
    pub(super) fn of(number: Numeric) -> Self {
        match number {
            Numeric::Whole(whole) => Self {
                negative: whole < 0,
                digits: u64::try_from(whole.unsigned_abs()).unwrap_or(u64::MAX),
                exponent: 0,
            },
            Numeric::Decimal(decimal) => Self::of_text(&format!("{:e}", decimal.abs())).map_or(
                Self { negative: false, digits: 0, exponent: 0 },
                |digits| Self { negative: decimal < 0.0, ..digits },
            ),
        }
    }

    /// Of `1.005e0`, as the standard library writes the shortest digits of a double.
    fn of_text(text: &str) -> Option<Self> {
        let (significand, exponent) = text.split_once('e')?;
        let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
        let mut digits: u64 = whole.parse().ok()?;
        for digit in fraction.bytes() {
            digits = digits.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?))?;
        }
        let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
        Some(Self { negative: false, digits, exponent })
    }

    /// Rounded to a number of decimal places, halves away from zero; `None` where there is nothing to
    /// round.
    pub(super) fn round(self, places: i32) -> Option<Result<Numeric, NumberError>> {
        let dropped = u32::try_from((-places).checked_sub(self.exponent)?).ok()?;
        if dropped == 0 {
            return None;
        }
        // Beyond the digits there are it is less than a half.
        let kept = power(dropped).map_or(0, |power| (u128::from(self.digits) + power / 2) / power);
        Some(Self::value(self.negative, kept, -places))
    }

    /// The sum of two whole numbers. What goes beyond 128 bits has more digits than a double keeps.
    pub(super) fn add(self, other: Self) -> Result<Numeric, NumberError> {
        let exponent = match (self.digits, other.digits) {
            (0, _) => other.exponent,
            (_, 0) => self.exponent,
            _ => self.exponent.min(other.exponent),
        };
        let places = exponent.checked_neg().ok_or(NumberError::Overflow)?;
        let sum = match (self.scaled(places), other.scaled(places)) {
            (Some(left), Some(right)) => left.checked_add(right).ok_or(NumberError::Overflow)?,
            _ => return Err(NumberError::Overflow),
        };
        Self::value(sum < 0, sum.unsigned_abs(), exponent)
    }

    /// The difference of two whole numbers.
    pub(super) fn subtract(self, other: Self) -> Result<Numeric, NumberError> {
        self.add(Self { negative: !other.negative, ..other })
    }

    /// The product of two whole numbers.
    pub(super) fn multiply(self, other: Self) -> Result<Numeric, NumberError> {
        let product = u128::from(self.digits) * u128::from(other.digits);
        Self::value(self.negative != other.negative, product, self.exponent + other.exponent)
    }

    /// Two whole numbers with the same quotient, the second of at most 64 bits; `None` where there
    /// are none within 127 bits.
    pub(super) fn ratio(self, divisor: Self) -> Option<(i128, i128)> {
        let shift = self.exponent.checked_sub(divisor.exponent)?;
        let shifted = |digits: u64| u128::from(digits).checked_mul(power(shift.unsigned_abs())?);
        let (dividend, divisor_digits) = match shift >= 0 {
            true => (shifted(self.digits)?, u128::from(divisor.digits)),
            false => (u128::from(self.digits), shifted(divisor.digits)?),
        };
        let divisor_digits = u64::try_from(divisor_digits).ok().filter(|digits| *digits > 0)?;
        let dividend = i128::try_from(dividend).ok()?;
        let signed = if self.negative == divisor.negative { dividend } else { -dividend };
        Some((signed, divisor_digits.into()))
    }

    /// The quotient cut towards zero; `None` where it is beyond 128 bits.
    pub(super) fn quotient(self, divisor: &Self) -> Option<i128> {
        let (dividend, divisor_digits) = (u128::from(self.digits), u128::from(divisor.digits));
        let shift = self.exponent.checked_sub(divisor.exponent)?;
        let magnitude = match u32::try_from(shift) {
            Ok(_) if dividend == 0 => 0,
            Ok(shift) => dividend.checked_mul(power(shift)?)? / divisor_digits,
            Err(_) => match power(shift.unsigned_abs()).and_then(|p| divisor_digits.checked_mul(p))
            {
                Some(divisor) => dividend / divisor,
                None => 0,
            },
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        Some(if self.negative == divisor.negative { magnitude } else { -magnitude })
    }

    /// The remainder of the quotient, with this number's sign.
    pub(super) fn remainder(self, divisor: &Self) -> Result<Numeric, NumberError> {
        let (dividend, divisor_digits) = (u128::from(self.digits), u128::from(divisor.digits));
        let shift = self.exponent - divisor.exponent;
        let (left, exponent) = match u32::try_from(shift) {
            Ok(shift) => {
                let scale = power_modulo(shift, divisor_digits);
                ((dividend % divisor_digits) * scale % divisor_digits, divisor.exponent)
            }
            Err(_) => {
                let divisor =
                    power(shift.unsigned_abs()).and_then(|p| divisor_digits.checked_mul(p));
                (divisor.map_or(dividend, |divisor| dividend % divisor), self.exponent)
            }
        };
        Self::value(self.negative, left, exponent)
    }

    /// True if there are digits behind so many decimal places.
    pub(super) fn goes_beyond(self, places: i32) -> bool {
        self.exponent < -places
    }

    /// The number times a power of ten; `None` where that is not whole, or beyond 128 bits.
    pub(super) fn scaled(self, places: i32) -> Option<i128> {
        let exponent = self.exponent.checked_add(places)?;
        let factor = power(exponent.unsigned_abs()).filter(|_| self.digits != 0);
        let digits = u128::from(self.digits);
        let magnitude = match factor {
            None if self.digits == 0 => 0,
            None => return None,
            Some(factor) if exponent >= 0 => digits.checked_mul(factor)?,
            Some(factor) if digits % factor == 0 => digits / factor,
            Some(_) => return None,
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// ±digits × 10^exponent, as the number nearest to it.
    pub(super) fn value(
        negative: bool,
        digits: u128,
        exponent: i32,
    ) -> Result<Numeric, NumberError> {
        let signed = |number: i128| if negative { -number } else { number };
        let whole = i128::try_from(digits).map_err(|_| NumberError::Overflow)?;
        let Some(places) = usize::try_from(-exponent).ok().filter(|places| *places > 0) else {
            let power = power(exponent.unsigned_abs()).and_then(|power| i128::try_from(power).ok());
            return match power.and_then(|power| whole.checked_mul(power)) {
                Some(product) => Numeric::whole(Some(signed(product))),
                None => kept(&format!("{}e{exponent}", signed(whole))),
            };
        };
        let magnitude = match POWERS.get(places) {
            // Both are exact, so that the quotient is the double nearest to the decimal.
            Some(power) if digits < 1 << 53 => digits as f64 / power,
            _ => format!("{digits}e{exponent}").parse().map_err(|_| NumberError::NotFinite)?,
        };
        Numeric::decimal(if negative { -magnitude } else { magnitude })
    }
}

/// Of a string, where a double gives it back.
fn kept(text: &str) -> Result<Numeric, NumberError> {
    let is_finite = text.parse().is_ok_and(f64::is_finite);
    let refused = if is_finite { NumberError::Overflow } else { NumberError::NotFinite };
    Numeric::parse(text).ok_or(refused)
}

/// A power of ten; `None` beyond 128 bits.
fn power(exponent: u32) -> Option<u128> {
    10_u128.checked_pow(exponent)
}

/// The remainder of a power of ten, by a divisor of at most 64 bits.
fn power_modulo(mut exponent: u32, divisor: u128) -> u128 {
    let (mut result, mut base) = (1 % divisor, 10 % divisor);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % divisor;
        }
        base = base * base % divisor;
        exponent >>= 1;
    }
    result
}
