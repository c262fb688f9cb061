//! The scalars patterns compare: strings, numbers as exact decimals, booleans and null.

use crate::limits::NUMBER_MAX_MICROS;
use std::borrow::Cow;
use std::net::IpAddr;

/// A scalar, looked at where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    String(&'a str),
    /// Its digits, and the decimal they stand for as in [`Number`].
    Number(&'a str, Option<i64>),
    True,
    False,
    Null,
}

impl<'a> Value<'a> {
    pub(crate) fn number(digits: &'a str) -> Value<'a> {
        Value::Number(digits, decimal_halves(digits))
    }
}

/// A scalar of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    String(Box<str>),
    Number(Number),
    True,
    False,
    Null,
}

impl Scalar {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Scalar::String(text) => Value::String(text),
            Scalar::Number(number) => Value::Number(&number.text, number.halves),
            Scalar::True => Value::True,
            Scalar::False => Value::False,
            Scalar::Null => Value::Null,
        }
    }
}

/// A number as written, and as the decimal it stands for where it is in AWS's range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    text: Box<str>,
    /// Twice the millionths, plus one where further digits were cut off: so order stays exact, and a number with more
    /// digits than AWS compares equals none with fewer.
    halves: Option<i64>,
}

impl Number {
    pub(crate) fn new(text: &str) -> Number {
        Number { text: text.into(), halves: decimal_halves(text) }
    }

    /// The comparable form, where the number is in AWS's range.
    pub(crate) fn halves(&self) -> Option<i64> {
        self.halves
    }

    /// Whether two numbers are numerically equal, or out of range and written alike (an account number, say).
    pub(crate) fn equals(&self, digits: &str, halves: Option<i64>) -> bool {
        (self.halves.is_some() && self.halves == halves && !self.is_cut()) || *self.text == *digits
    }

    /// The digits as written.
    pub(crate) fn digits(&self) -> &str {
        &self.text
    }

    /// Whether the number has more than the six digits after the point that are compared.
    pub(crate) fn is_cut(&self) -> bool {
        self.halves.is_some_and(|halves| halves % 2 != 0)
    }
}

/// Millionths, rounded down and doubled, plus one if anything was rounded off.
fn decimal_halves(text: &str) -> Option<i64> {
    // Most numbers are short and whole.
    if text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.bytes().fold(0, |number, byte| number * 10 + i64::from(byte - b'0')) * 2_000_000);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // An exponent too long for an i32 belongs to zero or to a number far outside the range.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Place of the digit in powers of ten of a millionth; digits below zero are only noted.
    let mut power = i64::from(exponent) + 6 + whole.len() as i64;
    let mut micros: i128 = 0;
    let mut rest = false;
    for digit in whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0')) {
        power -= 1;
        if power < 0 {
            rest |= digit != 0;
        } else if digit != 0 {
            if power > 18 {
                return None;
            }
            micros += digit * 10i128.pow(u32::try_from(power).expect("between 0 and 18"));
        }
    }
    if micros > NUMBER_MAX_MICROS || (micros == NUMBER_MAX_MICROS && rest) {
        return None;
    }
    let halves = i64::try_from(micros * 2 + i128::from(rest)).expect("within AWS's range");
    // A negative number rounds away from zero, so that its rest still lies above it.
    Some(if negative { -halves } else { halves })
}

/// The form in which strings are compared exactly: IP addresses are equal however they are written, as in AWS.
pub(crate) fn canonical(text: &str) -> Cow<'_, str> {
    address(text).map_or(Cow::Borrowed(text), |address| Cow::Owned(address.to_string()))
}

/// The IP address that a text writes, if it does.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let may_be_address = text.len() <= 45 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.' || b == b':');
    if may_be_address { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        Number::new(a).equals(b, Number::new(b).halves())
    }

    #[test]
    fn numbers_are_exact_decimals() {
        for (a, b) in [("100", "100.0"), ("1e2", "100"), ("-0", "0"), ("3.018e2", "301.8"), ("0.000001", "1e-6")] {
            assert!(equal(a, b), "{a} = {b}");
        }
        for (a, b) in [("0.1", "0.1000001"), ("1.0000001", "1.0000002"), ("5000000001", "5000000001.0")] {
            assert!(!equal(a, b), "{a} != {b}");
        }
        assert!(equal("123456789012", "123456789012"));
        assert_eq!(Number::new("5e9").halves(), Some(10_000_000_000_000_000));
        assert_eq!(Number::new("5000000000.0000001").halves(), None);
        assert_eq!(Number::new("1e999999999999").halves(), None);
        assert!(Number::new("-1.0000001").halves() < Number::new("-1").halves());
        assert!(Number::new("1.0000001").halves() > Number::new("1").halves());
        assert_eq!(Number::new(&format!("1{}e-40", "0".repeat(40))).halves(), Some(2_000_000));
    }

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(canonical("2001:DB8::0001"), canonical("2001:db8:0:0:0:0:0:1"));
        assert_eq!(&*canonical("abc"), "abc");
    }
}
