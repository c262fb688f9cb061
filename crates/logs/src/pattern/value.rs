//! What a value is compared with: a number, a text with asterisks, a regular expression.

use super::text::Text;
use super::{Unfit, unfit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Takes one, where it is next.
    pub(super) fn take(text: &mut Text<'_>) -> Option<Operator> {
        text.skip_spaces();
        let signs = [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        signs.into_iter().find_map(|(signs, operator)| text.takes(signs).then_some(operator))
    }
}

/// A value in a pattern.
#[derive(Debug)]
pub(crate) enum Operand {
    Number(f64),
    Text(Wildcard),
    Regex(Regex),
}

impl Operand {
    /// Takes what is next, which must suit the operator.
    pub(super) fn take(text: &mut Text<'_>, operator: Operator) -> Result<Operand, Unfit> {
        text.skip_spaces();
        let operand = match text.peek() {
            Some('"') => Operand::Text(Wildcard::new(&text.take_quoted()?)),
            Some('%') => Operand::Regex(Regex::compile(text.take_regex()?)?),
            _ => match text.take_bare() {
                "" => return unfit(format!("a value is missing before '{}'", text.shown())),
                bare => number(bare).map_or_else(|| Operand::Text(Wildcard::new(bare)), Operand::Number),
            },
        };
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        if !equality && !matches!(operand, Operand::Number(_)) {
            return unfit("only numbers are less or greater");
        }
        Ok(operand)
    }

    /// Whether a text fits, which may be that of a number.
    pub(super) fn fits_text(&self, operator: Operator, value: &str) -> bool {
        match (self, operator) {
            (Operand::Number(_), _) => number(value).map_or(operator == Operator::NotEqual, |n| self.fits(operator, n)),
            (Operand::Text(text), Operator::Equal) => text.fits(value),
            (Operand::Text(text), _) => !text.fits(value),
            (Operand::Regex(regex), Operator::Equal) => regex.finds(value),
            (Operand::Regex(regex), _) => !regex.finds(value),
        }
    }

    fn fits(&self, operator: Operator, value: f64) -> bool {
        let Operand::Number(number) = self else { return false };
        match operator {
            Operator::Equal => value == *number,
            Operator::NotEqual => value != *number,
            Operator::Less => value < *number,
            Operator::LessOrEqual => value <= *number,
            Operator::Greater => value > *number,
            Operator::GreaterOrEqual => value >= *number,
        }
    }
}

/// An integer, a decimal or one in scientific notation, with or without a sign. `inf` and its like are texts.
fn number(text: &str) -> Option<f64> {
    let signs = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|_| signs)
}

/// A text with asterisks at its ends, each for anything. Others stand for themselves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    open_start: bool,
    open_end: bool,
    text: String,
}

impl Wildcard {
    fn new(text: &str) -> Wildcard {
        let rest = text.strip_prefix('*');
        let (open_start, rest) = (rest.is_some(), rest.unwrap_or(text));
        let inner = rest.strip_suffix('*');
        Wildcard { open_start, open_end: inner.is_some() || text == "*", text: inner.unwrap_or(rest).to_owned() }
    }

    fn fits(&self, value: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => value == self.text,
            (true, false) => value.ends_with(&self.text),
            (false, true) => value.starts_with(&self.text),
            (true, true) => value.contains(&self.text),
        }
    }
}

/// A regular expression of the kind AWS takes: without groups, over ASCII.
#[derive(Debug)]
pub(crate) struct Regex(regex_lite::Regex);

impl Regex {
    pub(super) fn compile(text: &str) -> Result<Regex, Unfit> {
        let known = |c: char| c.is_ascii_alphanumeric() || ":_#=@/;,- ^$?[]{}|\\*+.".contains(c);
        if let Some(sign) = text.chars().find(|c| !known(*c)) {
            return unfit(format!("'{sign}' is not supported in regular expressions"));
        }
        match regex_lite::Regex::new(text) {
            Ok(regex) => Ok(Regex(regex)),
            Err(error) => unfit(format!("the regular expression %{text}% does not work: {error}")),
        }
    }

    pub(super) fn finds(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asterisks_at_the_ends_are_open() {
        let fits = |text: &str, value: &str| Wildcard::new(text).fits(value);
        assert!(fits("*Event", "PutEvent") && !fits("*Event", "PutEvents"));
        assert!(fits("Event*", "EventId") && fits("*", "") && fits("*", "a") && fits("**", "x"));
        assert!(fits("*html*", "a.html?b") && !fits("*html*", "ht"));
        assert!(fits("Ev*ent", "Ev*ent") && !fits("Ev*ent", "Event"));
    }

    #[test]
    fn expressions_have_no_groups() {
        assert!(Regex::compile("10\\.10\\.[0-9]+").unwrap().finds("at 10.10.35 it"));
        assert_eq!(Regex::compile("a(b)").unwrap_err().to_string(), "'(' is not supported in regular expressions");
        assert!(Regex::compile("[").is_err());
    }

    #[test]
    fn numbers_are_numbers() {
        for text in ["1", "+1000", "-55.5", "10e-3", ".5"] {
            assert!(number(text).is_some(), "{text}");
        }
        for text in ["inf", "nan", "1a", "", "4*", "."] {
            assert!(number(text).is_none(), "{text}");
        }
    }
}
