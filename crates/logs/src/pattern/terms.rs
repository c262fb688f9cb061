//! Patterns of terms: `ERROR "not found" -debug`, `?ERROR ?WARN`.

use super::text::Text;
use super::{Unfit, unfit};

/// What a message has to contain, and what not. Letters count in their case; a term may be a part of a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Terms {
    pub(super) fn parse(text: &str) -> Result<Terms, Unfit> {
        let (mut terms, mut rest) = (Terms::default(), Text::new(text));
        loop {
            rest.skip_spaces();
            if rest.is_empty() {
                break;
            }
            let (optional, excluded) = (rest.takes("?"), rest.takes("-"));
            rest.skip_spaces();
            let term = match rest.peek() {
                Some('"') => rest.take_quoted()?,
                _ => bare(&mut rest)?,
            };
            if term.is_empty() {
                return unfit("a term is empty");
            }
            match (optional, excluded) {
                (true, true) => return unfit("a term is optional or excluded, not both"),
                (true, false) => terms.any.push(term),
                (false, true) => terms.none.push(term),
                (false, false) => terms.all.push(term),
            }
        }
        if !terms.all.is_empty() || !terms.none.is_empty() {
            // Beside other terms AWS pays no heed to optional ones.
            terms.any.clear();
        }
        Ok(terms)
    }

    pub(super) fn match_text(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has) && !self.none.iter().any(has) && (self.any.is_empty() || self.any.iter().any(has))
    }
}

/// A term without quotation marks: letters, digits and underscores.
fn bare(rest: &mut Text<'_>) -> Result<String, Unfit> {
    let term = rest.take_while(|c| !c.is_whitespace());
    if term.starts_with('%') {
        return unfit("a regular expression stands alone, not among terms");
    }
    if term.chars().any(|c| !c.is_alphanumeric() && c != '_') {
        return unfit(format!("Invalid character(s) in term '{term}'"));
    }
    Ok(term.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, messages: [&str; 3]) -> [bool; 3] {
        let terms = Terms::parse(pattern).unwrap();
        messages.map(|message| terms.match_text(message))
    }

    const LINES: [&str; 3] = ["ERROR WARN message", "ERROR message", "WARN message"];

    #[test]
    fn the_examples_of_the_page_hold() {
        assert_eq!(fits("ERROR", LINES), [true, true, false]);
        assert_eq!(fits("?ERROR ?WARN", LINES), [true, true, true]);
        assert_eq!(fits("ERROR WARN", LINES), [true, false, false]);
        assert_eq!(fits("ERROR -WARN", LINES), [false, true, false]);
        assert_eq!(fits("error", LINES), [false, false, false]);
        assert_eq!(fits("?ERROR ?nothing message", LINES), [true, true, true]);
        let line = "Exiting with ERRORCODE: -1";
        assert_eq!(fits("\"ERROR\" - \"Exiting\"", [line, "ERROR", ""]), [false, true, false]);
        assert_eq!(fits("\"CODE: -1\"", [line, "CODE", ""]), [true, false, false]);
        assert_eq!(fits("\"a\\\"b\"", ["a\"b", "ab", ""]), [true, false, false]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let why = |pattern: &str| Terms::parse(pattern).unwrap_err().to_string();
        assert_eq!(why("error-code"), "Invalid character(s) in term 'error-code'");
        assert_eq!(why("\"open"), "a quotation mark is not closed");
        assert_eq!(why("\"\""), "a term is empty");
        assert_eq!(why("a -"), "a term is empty");
        assert_eq!(why("?-a"), "a term is optional or excluded, not both");
        assert_eq!(why("a %b%"), "a regular expression stands alone, not among terms");
    }
}
