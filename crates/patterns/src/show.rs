//! Conditions and values as JSON writes them.

use crate::condition::{Bound, Condition, TextTest};
use crate::evaluate::Leaf;
use crate::value::{Number, Value};
use crate::wildcard::Wildcard;
use std::fmt::{Display, Formatter, Result};

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Value::String(text) => string(f, text),
            Value::Number(digits, _) => f.write_str(digits),
            Value::True => f.write_str("true"),
            Value::False => f.write_str("false"),
            Value::Null => f.write_str("null"),
        }
    }
}

impl Display for Leaf {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Leaf::Absent => f.write_str(r#"[{"exists":false}]"#),
            Leaf::OneOf(conditions) => list(f, conditions, |f, condition| condition.fmt(f)),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Condition::String(text) => string(f, text),
            Condition::Number(number) => f.write_str(number.digits()),
            Condition::True => f.write_str("true"),
            Condition::False => f.write_str("false"),
            Condition::Null => f.write_str("null"),
            Condition::Exists => f.write_str(r#"{"exists":true}"#),
            Condition::Text(test) => operator(f, test.operator(), |f| test.fmt(f)),
            Condition::Range { low, high } => operator(f, "numeric", |f| range(f, *low, *high)),
            Condition::Cidr { network, prefix_bits } => write!(f, r#"{{"cidr":"{network}/{prefix_bits}"}}"#),
            Condition::NotStrings(texts) => operator(f, "anything-but", |f| list(f, texts, |f, text| string(f, text))),
            Condition::NotNumbers(numbers) => {
                operator(f, "anything-but", |f| list(f, numbers, |f, number: &Number| f.write_str(number.digits())))
            }
            Condition::NotTexts(tests) => operator(f, "anything-but", |f| {
                let name = tests.first().map_or("prefix", TextTest::operator);
                operator(f, name, |f| list(f, tests, |f, test| test.fmt(f)))
            }),
        }
    }
}

impl TextTest {
    fn operator(&self) -> &'static str {
        match self {
            TextTest::Prefix(_) | TextTest::PrefixIgnoreCase(_) => "prefix",
            TextTest::Suffix(_) | TextTest::SuffixIgnoreCase(_) => "suffix",
            TextTest::EqualsIgnoreCase(_) => "equals-ignore-case",
            TextTest::Wildcard(_) => "wildcard",
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            TextTest::Prefix(text) | TextTest::Suffix(text) | TextTest::EqualsIgnoreCase(text) => string(f, text),
            TextTest::PrefixIgnoreCase(text) | TextTest::SuffixIgnoreCase(text) => {
                operator(f, "equals-ignore-case", |f| string(f, text))
            }
            TextTest::Wildcard(wildcard) => string(f, &written(wildcard)),
        }
    }
}

fn written(wildcard: &Wildcard) -> String {
    let pieces = wildcard.pieces().iter().map(|piece| piece.replace('\\', r"\\").replace('*', r"\*"));
    pieces.collect::<Vec<_>>().join("*")
}

fn string(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_str(&serde_json::Value::from(text).to_string())
}

fn operator(f: &mut Formatter<'_>, name: &str, operand: impl FnOnce(&mut Formatter<'_>) -> Result) -> Result {
    write!(f, r#"{{"{name}":"#)?;
    operand(f)?;
    f.write_str("}")
}

fn list<T>(f: &mut Formatter<'_>, all: &[T], one: impl Fn(&mut Formatter<'_>, &T) -> Result) -> Result {
    for (at, item) in all.iter().enumerate() {
        f.write_str(if at == 0 { "[" } else { "," })?;
        one(f, item)?;
    }
    f.write_str("]")
}

fn range(f: &mut Formatter<'_>, low: Option<Bound>, high: Option<Bound>) -> Result {
    let ends = [low.map(|bound| (">", bound)), high.map(|bound| ("<", bound))];
    match (low, high) {
        (Some(low), Some(high)) if low == high && low.inclusive => write!(f, r#"["=",{}]"#, decimal(low.halves)),
        _ => {
            let ends: Vec<String> = ends
                .iter()
                .flatten()
                .map(|(sign, bound)| {
                    let or_equal = if bound.inclusive { "=" } else { "" };
                    format!(r#""{sign}{or_equal}",{}"#, decimal(bound.halves))
                })
                .collect();
            write!(f, "[{}]", ends.join(","))
        }
    }
}

/// Twice the millionths, as the decimal they came from: a bound has six digits after the point at most.
fn decimal(halves: i64) -> String {
    let micros = halves.unsigned_abs() / 2;
    let text = format!("{}{}.{:06}", if halves < 0 { "-" } else { "" }, micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
