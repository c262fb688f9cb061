//! What one value of a field may be asked.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>

use crate::value::{Number, Value, address, canonical};
use crate::wildcard::Wildcard;
use std::net::IpAddr;

/// One entry of the array under a field of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    /// A string in its canonical form.
    String(Box<str>),
    Number(Number),
    True,
    False,
    Null,
    /// Any scalar at all.
    Exists,
    Text(TextTest),
    /// A number between two bounds.
    Range {
        low: Option<Bound>,
        high: Option<Bound>,
    },
    Cidr {
        network: IpAddr,
        prefix_bits: u32,
    },
    NotStrings(Vec<Box<str>>),
    NotNumbers(Vec<Number>),
    NotTexts(Vec<TextTest>),
}

/// A test of a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TextTest {
    Prefix(Box<str>),
    Suffix(Box<str>),
    /// The three variants that ignore case hold their text folded.
    EqualsIgnoreCase(Box<str>),
    PrefixIgnoreCase(Box<str>),
    SuffixIgnoreCase(Box<str>),
    Wildcard(Wildcard),
}

/// One end of a numeric range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bound {
    pub(crate) halves: i64,
    pub(crate) inclusive: bool,
}

impl Condition {
    pub(crate) fn accepts(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Condition::Exists, _)
            | (Condition::True, Value::True)
            | (Condition::False, Value::False)
            | (Condition::Null, Value::Null) => true,
            (Condition::String(wanted), Value::String(text)) => is_string(wanted, text),
            (Condition::Number(wanted), Value::Number(digits, halves)) => wanted.equals(digits, halves),
            (Condition::Text(test), Value::String(text)) => test.accepts(text),
            (Condition::Range { low, high }, Value::Number(_, halves)) => in_range(halves, *low, *high),
            (Condition::Cidr { network, prefix_bits }, Value::String(text)) => {
                address(text).is_some_and(|address| same_network(*network, address, *prefix_bits))
            }
            // Anything but asks for a value that is something else; a value of another type is something else.
            (Condition::NotStrings(refused), Value::String(text)) => !refused.iter().any(|r| is_string(r, text)),
            (Condition::NotNumbers(refused), Value::Number(digits, halves)) => {
                !refused.iter().any(|r| r.equals(digits, halves))
            }
            (Condition::NotTexts(refused), Value::String(text)) => !refused.iter().any(|test| test.accepts(text)),
            (Condition::NotStrings(_) | Condition::NotNumbers(_) | Condition::NotTexts(_), _) => true,
            _ => false,
        }
    }
}

impl TextTest {
    fn accepts(&self, text: &str) -> bool {
        match self {
            TextTest::Prefix(prefix) => text.starts_with(&**prefix),
            TextTest::Suffix(suffix) => text.ends_with(&**suffix),
            TextTest::EqualsIgnoreCase(folded) => fold(text) == *folded,
            TextTest::PrefixIgnoreCase(folded) => fold(text).starts_with(&**folded),
            TextTest::SuffixIgnoreCase(folded) => fold(text).ends_with(&**folded),
            TextTest::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

/// A text with case taken out, character by character, so that folding a part folds as it does in the whole.
pub(crate) fn fold(text: &str) -> Box<str> {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded.into()
}

/// The same, in place of what `folded` held.
pub(crate) fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
    }
}

/// Whether a text is a canonical string. Only an address has more than one form, and it is written with digits.
fn is_string(wanted: &str, text: &str) -> bool {
    *wanted == *text || (wanted.contains(['.', ':']) && *wanted == *canonical(text))
}

fn in_range(halves: Option<i64>, low: Option<Bound>, high: Option<Bound>) -> bool {
    let Some(halves) = halves else {
        return false;
    };
    low.is_none_or(|bound| halves > bound.halves || (bound.inclusive && halves == bound.halves))
        && high.is_none_or(|bound| halves < bound.halves || (bound.inclusive && halves == bound.halves))
}

fn same_network(network: IpAddr, address: IpAddr, prefix_bits: u32) -> bool {
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(u32::BITS - prefix_bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(u128::BITS - prefix_bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}
