//! Filter patterns: terms, JSON expressions, space-delimited fields.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>

mod fields;
mod json;
mod terms;
mod text;
mod value;

use fields::Fields;
use json::Expression;
use terms::Terms;
use value::Regex;

/// A compiled filter pattern.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// Everything.
    All,
    /// Messages with and without terms.
    Terms(Terms),
    /// Messages that fit a regular expression.
    Regex(Regex),
    /// Messages in JSON.
    Json(Expression),
    /// Messages of fields with spaces between them.
    Fields(Fields),
}

/// What is wrong with a pattern, or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(String);

fn unfit<T>(why: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit(why.into()))
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, Unfit> {
        let text = text.trim();
        match text.as_bytes() {
            [] => Ok(Pattern::All),
            [b'{', ..] => Expression::parse(text).map(Pattern::Json),
            [b'[', ..] => Fields::parse(text).map(Pattern::Fields),
            [b'%', inner @ .., b'%'] if !inner.is_empty() => {
                Regex::compile(&text[1..text.len() - 1]).map(Pattern::Regex)
            }
            _ => Terms::parse(text).map(Pattern::Terms),
        }
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Terms(terms) => terms.match_text(message),
            Pattern::Regex(regex) => regex.finds(message),
            Pattern::Json(expression) => expression.match_text(message),
            Pattern::Fields(fields) => fields.match_text(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_pattern_and_no_message_panics(pattern in "[\\[{]?[ -~é]{0,40}[\\]}]?", message in "[ -~é]{0,40}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&message);
            }
        }
    }

    #[test]
    fn the_first_sign_says_what_a_pattern_is() {
        assert!(matches!(Pattern::parse("  "), Ok(Pattern::All)));
        assert!(matches!(Pattern::parse(" a"), Ok(Pattern::Terms(_))));
        assert!(matches!(Pattern::parse("%a%"), Ok(Pattern::Regex(_))));
        assert!(matches!(Pattern::parse("{$.a=1}"), Ok(Pattern::Json(_))));
        assert!(matches!(Pattern::parse("[a]"), Ok(Pattern::Fields(_))));
    }
}
