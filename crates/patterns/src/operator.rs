//! Reading match expressions such as `{"prefix": "a"}`. The reasons of refusal are AWS's own.

use crate::condition::{Bound, Condition, TextTest, fold};
use crate::json::{Fault, Reader, Token};
use crate::limits::POLICY_STARS;
use crate::pattern::Dialect;
use crate::value::{Number, canonical};
use crate::wildcard::{Wildcard, WildcardError};
use std::net::IpAddr;

const ONE_KEY: &str = "Only one key allowed in match expression";
const TOO_MANY: &str = "Too many elements in numeric expression";
const NEEDS_STRING_IGNORE_CASE: &str = "equals-ignore-case match pattern must be a string";
const NEEDS_STRING_WILDCARD: &str = "wildcard match pattern must be a string";
const NEEDS_STRING_AFFIX: &str = "prefix/suffix match pattern must be a string";
const NOT_IN_IGNORE_CASE_LIST: &str =
    "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
const TOO_COMPLEX: &str = "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character";

/// What an entry of a field's array asks: a condition on values, or that there be no value.
pub(crate) enum Entry {
    Value(Condition),
    Absent,
}

impl From<Condition> for Entry {
    fn from(condition: Condition) -> Entry {
        Entry::Value(condition)
    }
}

/// Reads the match expression whose opening brace was just met.
pub(crate) fn read(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Entry, Fault> {
    if reader.next()? != Token::Field {
        return Err(reader.fault("Match expression name not found"));
    }
    match reader.name() {
        other @ ("wildcard" | "cidr") if dialect == Dialect::EventSource => {
            let reason = format!("Unrecognized match type {other}");
            Err(reader.fault(reason))
        }
        "exactly" => {
            let text = sole_string(reader, "exact match pattern must be a string")?;
            Ok(Condition::String(canonical(&text).into()).into())
        }
        "prefix" => affix(reader, "prefix", TextTest::Prefix, TextTest::PrefixIgnoreCase),
        "suffix" => affix(reader, "suffix", TextTest::Suffix, TextTest::SuffixIgnoreCase),
        "equals-ignore-case" => {
            let text = sole_string(reader, NEEDS_STRING_IGNORE_CASE)?;
            Ok(Condition::Text(TextTest::EqualsIgnoreCase(fold(&text))).into())
        }
        "wildcard" => {
            require(reader, Token::String, NEEDS_STRING_WILDCARD)?;
            let text = reader.text()?.to_owned();
            let wildcard = wildcard(&text, dialect).map_err(|error| match error {
                WildcardError::Syntax(reason) => reader.fault(reason),
                WildcardError::Complex => Fault::nowhere(TOO_COMPLEX),
            })?;
            require(reader, Token::ObjectEnd, ONE_KEY)?;
            Ok(Condition::Text(TextTest::Wildcard(wildcard)).into())
        }
        "cidr" => {
            // AWS names the wrong operator here: it does so in its own answers.
            require(reader, Token::String, "prefix match pattern must be a string")?;
            let cidr = cidr(reader.text()?)?;
            require(reader, Token::ObjectEnd, ONE_KEY)?;
            Ok(cidr.into())
        }
        "numeric" => numeric(reader),
        "exists" => exists(reader),
        "anything-but" => anything_but(reader, dialect).map(Entry::Value),
        other => {
            let reason = format!("Unrecognized match type {other}");
            Err(reader.fault(reason))
        }
    }
}

fn wildcard(text: &str, dialect: Dialect) -> Result<Wildcard, WildcardError> {
    let wildcard = Wildcard::parse(text)?;
    let policy = matches!(dialect, Dialect::MessageAttributes | Dialect::MessageBody);
    if policy && wildcard.pieces().len() > POLICY_STARS + 1 { Err(WildcardError::Complex) } else { Ok(wildcard) }
}

fn require(reader: &mut Reader<'_>, wanted: Token, reason: &str) -> Result<(), Fault> {
    if reader.next()? == wanted { Ok(()) } else { Err(reader.fault(reason)) }
}

fn sole_string(reader: &mut Reader<'_>, reason: &str) -> Result<String, Fault> {
    require(reader, Token::String, reason)?;
    let text = reader.text()?.to_owned();
    require(reader, Token::ObjectEnd, ONE_KEY)?;
    Ok(text)
}

fn affix(
    reader: &mut Reader<'_>,
    name: &str,
    plain: fn(Box<str>) -> TextTest,
    ignoring_case: fn(Box<str>) -> TextTest,
) -> Result<Entry, Fault> {
    let test = match reader.next()? {
        Token::String => plain(reader.text()?.into()),
        Token::ObjectStart => {
            if reader.next()? != Token::Field {
                let name = if name == "prefix" { "Prefix" } else { "Suffix" };
                return Err(reader.fault(format!("{name} expression name not found")));
            }
            if reader.name() != "equals-ignore-case" {
                let reason = format!("Unsupported {name} pattern: {}", reader.name());
                return Err(reader.fault(reason));
            }
            ignoring_case(fold(&sole_string(reader, NEEDS_STRING_IGNORE_CASE)?))
        }
        _ => return Err(reader.fault(format!("{name} match pattern must be a string"))),
    };
    require(reader, Token::ObjectEnd, ONE_KEY)?;
    Ok(Condition::Text(test).into())
}

fn exists(reader: &mut Reader<'_>) -> Result<Entry, Fault> {
    let entry = match reader.next()? {
        Token::True => Entry::Value(Condition::Exists),
        Token::False => Entry::Absent,
        _ => return Err(reader.fault("exists match pattern must be either true or false.")),
    };
    require(reader, Token::ObjectEnd, ONE_KEY)?;
    Ok(entry)
}

fn cidr(text: &str) -> Result<Condition, Fault> {
    let (address, bits) = text
        .split_once('/')
        .filter(|(_, bits)| !bits.contains('/') && !bits.is_empty())
        .ok_or_else(|| Fault::nowhere("Malformed CIDR, one '/' required"))?;
    let bits: i32 = bits.parse().map_err(|_| Fault::nowhere("Malformed CIDR, mask bits must be an integer"))?;
    let prefix_bits =
        u32::try_from(bits).map_err(|_| Fault::nowhere("Malformed CIDR, mask bits must not be negative"))?;
    let network: IpAddr = address.parse().map_err(|_| Fault::nowhere(format!("Nonstandard IP address: {address}")))?;
    match network {
        IpAddr::V4(_) if prefix_bits > 31 => Err(Fault::nowhere("IPv4 mask bits must be < 32")),
        IpAddr::V6(_) if prefix_bits > 127 => Err(Fault::nowhere("IPv6 mask bits must be < 128")),
        _ => Ok(Condition::Cidr { network, prefix_bits }),
    }
}

fn numeric(reader: &mut Reader<'_>) -> Result<Entry, Fault> {
    require(reader, Token::ArrayStart, "Value of numeric must be an array.")?;
    let first = reader.next()?;
    if first != Token::String {
        let shown = shown(reader, first)?;
        return Err(reader.fault(format!("Invalid member in numeric match: {shown}")));
    }
    let operator = reader.text()?.to_owned();
    let (low, high) = match operator.as_str() {
        "=" => {
            let value = Some(bound(reader, "equals", true)?);
            require(reader, Token::ArrayEnd, TOO_MANY)?;
            (value, value)
        }
        "<" | "<=" => {
            let high = bound(reader, &operator, operator == "<=")?;
            require(reader, Token::ArrayEnd, TOO_MANY)?;
            (None, Some(high))
        }
        ">" | ">=" => {
            let low = bound(reader, &operator, operator == ">=")?;
            match reader.next()? {
                Token::ArrayEnd => (Some(low), None),
                token => (Some(low), Some(upper_bound(reader, token, low)?)),
            }
        }
        _ => return Err(reader.fault(format!("Unrecognized numeric range operator: {operator}"))),
    };
    require(reader, Token::ObjectEnd, TOO_MANY)?;
    Ok(Condition::Range { low, high }.into())
}

fn upper_bound(reader: &mut Reader<'_>, token: Token, low: Bound) -> Result<Bound, Fault> {
    if token != Token::String {
        let shown = shown(reader, token)?;
        return Err(reader.fault(format!("Bad value in numeric range: {shown}")));
    }
    let operator = reader.text()?.to_owned();
    if operator != "<" && operator != "<=" {
        return Err(reader.fault(format!("Bad numeric range operator: {operator}")));
    }
    let high = bound(reader, &operator, operator == "<=")?;
    require(reader, Token::ArrayEnd, "Too many terms in numeric range expression")?;
    if high.halves <= low.halves {
        return Err(reader.fault("Bottom must be less than top"));
    }
    Ok(high)
}

fn bound(reader: &mut Reader<'_>, operator: &str, inclusive: bool) -> Result<Bound, Fault> {
    require(reader, Token::Number, &format!("Value of {operator} must be numeric"))?;
    let number = number(reader)?;
    let halves = number.halves().expect("checked when read");
    Ok(Bound { halves, inclusive })
}

/// The number just met, which must be one that AWS can compare.
fn number(reader: &mut Reader<'_>) -> Result<Number, Fault> {
    let number = Number::new(reader.text()?);
    if number.halves().is_none() {
        return Err(reader.fault("Value must be between -5.0E9 and 5.0E9, inclusive"));
    }
    if number.is_cut() {
        return Err(reader.fault("Only values upto 6 decimals are supported"));
    }
    Ok(number)
}

fn shown(reader: &mut Reader<'_>, token: Token) -> Result<String, Fault> {
    Ok(match token {
        Token::String | Token::Number => reader.text()?.to_owned(),
        Token::True => "true".into(),
        Token::False => "false".into(),
        Token::Null => "null".into(),
        Token::ObjectStart => "{".into(),
        Token::ObjectEnd => "}".into(),
        Token::ArrayStart => "[".into(),
        Token::ArrayEnd => "]".into(),
        Token::Field => reader.name().to_owned(),
        Token::End => String::new(),
    })
}

/// The operators that may stand under `anything-but`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Negated {
    IgnoreCase,
    Prefix,
    Suffix,
    Wildcard,
}

fn anything_but(reader: &mut Reader<'_>, dialect: Dialect) -> Result<Condition, Fault> {
    let mut token = reader.next()?;
    let mut negated = None;
    if token == Token::ObjectStart {
        if reader.next()? != Token::Field {
            return Err(reader.fault("Anything-But expression name not found"));
        }
        negated = Some(match reader.name() {
            "equals-ignore-case" if dialect != Dialect::EventSource => Negated::IgnoreCase,
            "prefix" if dialect != Dialect::EventSource => Negated::Prefix,
            "suffix" if dialect != Dialect::EventSource => Negated::Suffix,
            "wildcard" if dialect != Dialect::EventSource => Negated::Wildcard,
            other => {
                let reason = format!("Unsupported anything-but pattern: {other}");
                return Err(reader.fault(reason));
            }
        });
        token = reader.next()?;
    }
    if !matches!(token, Token::ArrayStart | Token::String | Token::Number) {
        return Err(reader.fault("Value of anything-but must be an array or single string/number value."));
    }
    let condition = match negated {
        Some(negated) => Condition::NotTexts(refused_texts(reader, token, negated, dialect)?),
        None if token == Token::ArrayStart => refused_values(reader).map_err(printed_twice)?,
        None if token == Token::String => Condition::NotStrings(vec![canonical(reader.text()?).into()]),
        None => Condition::NotNumbers(vec![number(reader)?]),
    };
    require(reader, Token::ObjectEnd, TOO_MANY)?;
    if negated.is_some() {
        require(reader, Token::ObjectEnd, TOO_MANY)?;
    }
    Ok(condition)
}

fn printed_twice(fault: Fault) -> Fault {
    Fault { twice: true, ..fault }
}

fn refused_values(reader: &mut Reader<'_>) -> Result<Condition, Fault> {
    let (mut strings, mut numbers) = (Vec::new(), Vec::new());
    loop {
        match reader.next()? {
            Token::ArrayEnd => break,
            Token::String => strings.push(canonical(reader.text()?).into()),
            Token::Number => numbers.push(number(reader)?),
            _ => return Err(reader.fault("Inside anything but list, start|null|boolean is not supported.")),
        }
    }
    match (strings.is_empty(), numbers.is_empty()) {
        (false, true) => Ok(Condition::NotStrings(strings)),
        (true, false) => Ok(Condition::NotNumbers(numbers)),
        _ => Err(reader
            .fault("Inside anything but list, either all values are number or string, mixed type is not supported")),
    }
}

fn refused_texts(
    reader: &mut Reader<'_>,
    first: Token,
    negated: Negated,
    dialect: Dialect,
) -> Result<Vec<TextTest>, Fault> {
    if first != Token::ArrayStart {
        return Ok(vec![refused_text(reader, first, negated, dialect)?]);
    }
    let mut tests = Vec::new();
    loop {
        match reader.next()? {
            Token::ArrayEnd if tests.is_empty() => return Err(reader.fault("Empty arrays are not allowed")),
            Token::ArrayEnd => return Ok(tests),
            token => tests.push(refused_text(reader, token, negated, dialect).map_err(printed_twice)?),
        }
    }
}

fn refused_text(reader: &mut Reader<'_>, token: Token, negated: Negated, dialect: Dialect) -> Result<TextTest, Fault> {
    if token != Token::String {
        return Err(reader.fault(match negated {
            Negated::IgnoreCase => NOT_IN_IGNORE_CASE_LIST,
            Negated::Wildcard => NEEDS_STRING_WILDCARD,
            Negated::Prefix | Negated::Suffix => NEEDS_STRING_AFFIX,
        }));
    }
    let text = reader.text()?.to_owned();
    match negated {
        Negated::IgnoreCase => Ok(TextTest::EqualsIgnoreCase(fold(&text))),
        Negated::Wildcard => wildcard(&text, dialect).map(TextTest::Wildcard).map_err(|error| match error {
            WildcardError::Syntax(reason) => Fault::nowhere(reason),
            WildcardError::Complex => Fault::nowhere(TOO_COMPLEX),
        }),
        Negated::Prefix | Negated::Suffix if text.is_empty() => Err(reader.fault("Null prefix/suffix not allowed")),
        Negated::Prefix => Ok(TextTest::Prefix(text.into())),
        Negated::Suffix => Ok(TextTest::Suffix(text.into())),
    }
}
