//! Patterns for messages in JSON: `{ $.user.id = 1 && ($.actions[2] = "GET" || $.latency >= 500) }`.

use super::text::Text;
use super::value::{Operand, Operator};
use super::{Unfit, unfit};
use crate::limits::EXPRESSIONS;
use serde_json::Value;

/// Parentheses and conditions lie no deeper than this; ours.
const DEPTH: usize = 32;

/// A condition, or several together.
#[derive(Debug)]
pub(crate) enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Compare(Selector, Operator, Operand),
    /// `IS NULL`, `IS TRUE`, `IS FALSE`
    Is(Selector, Value),
    NotExists(Selector),
}

/// A way to a value: names and places.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Place(usize),
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Expression, Unfit> {
        let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return unfit("a pattern for JSON begins with { and ends with }");
        };
        let mut rest = Text::new(inner);
        let expression = any(&mut rest, 0)?;
        rest.skip_spaces();
        if !rest.is_empty() {
            return unfit(format!("'{}' is not understood", rest.shown()));
        }
        if expression.regexes() > EXPRESSIONS {
            return unfit(format!("a pattern holds at most {EXPRESSIONS} regular expressions"));
        }
        Ok(expression)
    }

    fn regexes(&self) -> usize {
        match self {
            Expression::Any(parts) | Expression::All(parts) => parts.iter().map(Expression::regexes).sum(),
            Expression::Compare(_, _, operand) => usize::from(matches!(operand, Operand::Regex(_))),
            Expression::Is(..) | Expression::NotExists(_) => 0,
        }
    }

    pub(super) fn match_text(&self, message: &str) -> bool {
        let message = message.trim();
        // Anything but an object or an array has nothing to select.
        message.starts_with(['{', '[']) && serde_json::from_str(message).is_ok_and(|event| self.fits(&event))
    }

    fn fits(&self, event: &Value) -> bool {
        match self {
            Expression::Any(parts) => parts.iter().any(|part| part.fits(event)),
            Expression::All(parts) => parts.iter().all(|part| part.fits(event)),
            // A selector leads to a text or a number, or the condition does not hold, whatever its operator.
            Expression::Compare(selector, operator, operand) => match selector.find(event) {
                Some(Value::String(text)) => operand.fits_text(*operator, text),
                Some(Value::Number(number)) => operand.fits_text(*operator, &number.to_string()),
                _ => false,
            },
            Expression::Is(selector, value) => selector.find(event) == Some(value),
            Expression::NotExists(selector) => selector.find(event).is_none(),
        }
    }
}

/// Conditions with `||` between them: it binds less than `&&`.
fn any(text: &mut Text<'_>, depth: usize) -> Result<Expression, Unfit> {
    let mut parts = vec![all(text, depth)?];
    while takes(text, "||") {
        parts.push(all(text, depth)?);
    }
    Ok(one_or(parts, Expression::Any))
}

fn all(text: &mut Text<'_>, depth: usize) -> Result<Expression, Unfit> {
    let mut parts = vec![one(text, depth)?];
    while takes(text, "&&") {
        parts.push(one(text, depth)?);
    }
    Ok(one_or(parts, Expression::All))
}

fn one_or(mut parts: Vec<Expression>, many: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

fn one(text: &mut Text<'_>, depth: usize) -> Result<Expression, Unfit> {
    if !takes(text, "(") {
        return condition(text);
    }
    if depth == DEPTH {
        return unfit("its parentheses lie too deep");
    }
    let inner = any(text, depth + 1)?;
    if takes(text, ")") { Ok(inner) } else { unfit(format!("a parenthesis is not closed before '{}'", text.shown())) }
}

fn takes(text: &mut Text<'_>, signs: &str) -> bool {
    text.skip_spaces();
    text.takes(signs)
}

fn condition(text: &mut Text<'_>) -> Result<Expression, Unfit> {
    let selector = Selector::take(text)?;
    if let Some(operator) = Operator::take(text) {
        return Ok(Expression::Compare(selector, operator, Operand::take(text, operator)?));
    }
    if text.takes_word("NOT") && text.takes_word("EXISTS") {
        return Ok(Expression::NotExists(selector));
    }
    if text.takes_word("IS") {
        let values = [("NULL", Value::Null), ("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false))];
        if let Some((_, value)) = values.into_iter().find(|(word, _)| text.takes_word(word)) {
            return Ok(Expression::Is(selector, value));
        }
    }
    unfit(format!("an operator is missing before '{}'", text.shown()))
}

impl Selector {
    fn take(text: &mut Text<'_>) -> Result<Selector, Unfit> {
        if !takes(text, "$") {
            return unfit(format!("a selector begins with $, not with '{}'", text.shown()));
        }
        let mut steps = Vec::new();
        loop {
            if text.takes(".") {
                let name = text.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-');
                if name.is_empty() {
                    return unfit(format!("a name is missing before '{}'", text.shown()));
                }
                steps.push(Step::Name(name.to_owned()));
            } else if text.takes("[") {
                let place = text.take_while(|c| c.is_ascii_digit()).parse();
                match place {
                    Ok(place) if text.takes("]") => steps.push(Step::Place(place)),
                    _ => return unfit("only numbers are understood in the brackets of a selector"),
                }
            } else if steps.is_empty() {
                return unfit(format!("a selector needs a name or a place before '{}'", text.shown()));
            } else {
                return Ok(Selector(steps));
            }
        }
    }

    fn find<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(event, |value, step| match step {
            Step::Name(name) => value.as_object()?.get(name),
            Step::Place(place) => value.as_array()?.get(*place),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIL: &str = r#"{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "ThisFlag": true, "n": 55.5}"#;
    const USERS: &str = r#"{"user": {"id": 1, "email": "John.Stiles@example.com"}, "users": [{"id": 2, "email":
        "John.Doe@example.com"}, {"id": 3}], "actions": ["GET", "PUT", "DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6]]}"#;

    fn fits(pattern: &str, message: &str) -> bool {
        Expression::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}")).match_text(message)
    }

    #[test]
    fn the_examples_of_the_page_hold() {
        for pattern in [
            r#"{ $.eventType = "UpdateTrail" }"#,
            "{ $.sourceIPAddress != 123.123.* }",
            "{ $.sourceIPAddress = 111.111.* }",
            r#"{ $.arrayKey[0] = "value" }"#,
            "{ $.objectList[1].id = 2 }",
            "{ $.SomeObject IS NULL }",
            "{ $.SomeOtherObject NOT EXISTS }",
            "{ $.ThisFlag IS TRUE }",
            "{$.n<=55.5&&$.n>+5.4e1}",
            "{ $.eventType = %^Update[A-Z]% }",
            "{ $.n = * }",
        ] {
            assert!(fits(pattern, TRAIL), "{pattern}");
        }
        for pattern in [
            r#"{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }"#,
            r#"{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }"#,
        ] {
            assert!(fits(pattern, USERS), "{pattern}");
        }
    }

    #[test]
    fn what_does_not_hold_does_not_match() {
        for pattern in [
            r#"{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }"#,
            r#"{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }"#,
            "{ $.users = 1 }",
            "{ $.users != 1 }",
            "{ $.nothing != 1 }",
            "{ $.user IS NULL }",
            "{ $.user NOT EXISTS }",
        ] {
            assert!(!fits(pattern, USERS), "{pattern}");
        }
        assert!(!fits("{ $.a = 1 }", "no json"));
        assert!(!fits("{ $.a NOT EXISTS }", "7"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let why = |pattern: &str| Expression::parse(pattern).unwrap_err().to_string();
        assert_eq!(why("{ $.a > b }"), "only numbers are less or greater");
        assert_eq!(why("{ $.a[*] = 1 }"), "only numbers are understood in the brackets of a selector");
        assert_eq!(why("{ a = 1 }"), "a selector begins with $, not with 'a = 1 '");
        assert_eq!(why("{ $ = 1 }"), "a selector needs a name or a place before ' = 1 '");
        assert_eq!(why("{ $.a = 1 b }"), "'b ' is not understood");
        assert_eq!(why("{ ($.a = 1 }"), "a parenthesis is not closed before ''");
        assert_eq!(why("{ $.a LIKE 1 }"), "an operator is missing before 'LIKE 1 '");
        assert_eq!(why("{ $.a = }"), "a value is missing before ''");
        assert_eq!(why("{ $.a = 1"), "a pattern for JSON begins with { and ends with }");
        let deep = format!("{{{}$.a = 1{}}}", "(".repeat(40), ")".repeat(40));
        assert_eq!(why(&deep), "its parentheses lie too deep");
    }
}
