//! Texts of a policy: wildcards and variables.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

use crate::PolicyError;
use crate::request::Context;

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// This character.
    One(char),
    /// Any one character.
    AnyOne,
    /// Any text.
    AnyText,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Marks(Vec<Mark>),
    Variable { key: String, default: Option<String> },
}

/// A text with wildcards and variables, as a policy has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether `*` and `?` stand for other text.
    pub(crate) wild: bool,
    /// Whether `${...}` is a variable: since version 2012-10-17 of the language.
    pub(crate) variables: bool,
}

impl Template {
    pub(crate) fn parse(text: &str, reading: Reading) -> Result<Template, PolicyError> {
        let (mut pieces, mut marks) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let inner = rest.strip_prefix("${").filter(|_| reading.variables);
            let Some(inner) = inner else {
                marks.push(mark(next, reading.wild));
                rest = &rest[next.len_utf8()..];
                continue;
            };
            let broken = || PolicyError::Variable(text.to_owned());
            let end = inner.find('}').ok_or_else(broken)?;
            rest = &inner[end + 1..];
            match &inner[..end] {
                // These stand for themselves.
                "*" => marks.push(Mark::One('*')),
                "?" => marks.push(Mark::One('?')),
                "$" => marks.push(Mark::One('$')),
                named => {
                    pieces.push(Piece::Marks(std::mem::take(&mut marks)));
                    pieces.push(variable(named).ok_or_else(broken)?);
                }
            }
        }
        pieces.push(Piece::Marks(marks));
        Ok(Template(pieces))
    }

    /// The pattern in a request; nothing where a variable has no value there. What a variable stands for has no wildcards.
    pub(crate) fn fill(&self, context: &Context) -> Option<Vec<Mark>> {
        let mut all = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Marks(marks) => all.extend_from_slice(marks),
                Piece::Variable { key, default } => {
                    // Keys of several values cannot be variables.
                    let value = match context.get(key) {
                        [one] => Some(one),
                        _ => default.as_ref(),
                    };
                    all.extend(value?.chars().map(Mark::One));
                }
            }
        }
        Some(all)
    }
}

fn mark(c: char, wild: bool) -> Mark {
    match c {
        '*' if wild => Mark::AnyText,
        '?' if wild => Mark::AnyOne,
        c => Mark::One(c),
    }
}

/// `aws:username` or `aws:username, 'somebody'`.
fn variable(text: &str) -> Option<Piece> {
    let (key, default) = match text.split_once(',') {
        Some((key, default)) => {
            let inner = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key, Some(inner.to_owned()))
        }
        None => (text, None),
    };
    let key = key.trim();
    let sound = !key.is_empty() && !key.contains(['$', '{', '*', '?', '\'']);
    sound.then(|| Piece::Variable { key: key.to_ascii_lowercase(), default })
}

/// Whether a pattern is this text. It goes back to the latest star only.
pub(crate) fn fits(pattern: &[Mark], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < text.len() {
        match pattern.get(at) {
            Some(Mark::AnyText) => {
                star = Some((at, read));
                at += 1;
            }
            Some(Mark::AnyOne) => (at, read) = (at + 1, read + 1),
            Some(Mark::One(c)) if *c == text[read] => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    (at, read) = (place + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|mark| *mark == Mark::AnyText)
}

/// Whether a pattern is this ARN: part by part, so that no star reaches beyond a colon of the first five. A star alone is
/// any ARN.
pub(crate) fn fits_arn(pattern: &[Mark], text: &str) -> bool {
    if pattern == [Mark::AnyText] {
        return text.starts_with("arn:");
    }
    let patterns: Vec<&[Mark]> = pattern.splitn(6, |mark| *mark == Mark::One(':')).collect();
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    patterns.len() == 6 && parts.len() == 6 && patterns.iter().zip(parts).all(|(pattern, part)| fits(pattern, part))
}

/// The same without difference between upper and lower case.
pub(crate) fn fits_any_case(pattern: &[Mark], text: &str) -> bool {
    let lower = |mark: &Mark| match mark {
        Mark::One(c) => c.to_lowercase().map(Mark::One).collect(),
        other => vec![*other],
    };
    let pattern: Vec<Mark> = pattern.iter().flat_map(lower).collect();
    fits(&pattern, &text.chars().flat_map(char::to_lowercase).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wild(text: &str) -> Vec<Mark> {
        text.chars().map(|c| mark(c, true)).collect()
    }

    /// What `fits` means, said without regard to time.
    fn oracle(pattern: &[Mark], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((Mark::AnyText, rest)), _) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            (Some((Mark::AnyOne, rest)), Some((_, left))) => oracle(rest, left),
            (Some((Mark::One(c), rest)), Some((d, left))) => c == d && oracle(rest, left),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn stars_of_arns_stay_between_colons() {
        let topic = "arn:aws:sns:us-east-1:000000000000:orders";
        assert!(fits_arn(&wild("arn:aws:sns:*:*:ord*"), topic));
        assert!(!fits_arn(&wild("arn:aws:*:orders"), topic));
        assert!(fits_arn(&wild("*"), topic) && !fits_arn(&wild("*"), "x"));
        assert!(fits_arn(&wild("arn:aws:lambda:*:1:function:*"), "arn:aws:lambda:x:1:function:f:PROD"));
    }

    #[test]
    fn variables_are_filled_and_hold_no_wildcards() {
        let reading = Reading { wild: true, variables: true };
        let context = Context::default().with("aws:UserName", "a*b");
        let filled = |text: &str| Template::parse(text, reading).unwrap().fill(&context);
        let user = filled("q-${aws:username}-*").unwrap();
        assert!(fits(&user, "q-a*b-x") && !fits(&user, "q-aXb-x"));
        assert_eq!(filled("${aws:userid}"), None);
        assert!(fits(&filled("${aws:userid, 'none'}").unwrap(), "none"));
        assert!(fits(&filled("${*}${?}${$}").unwrap(), "*?$"));
        for bad in ["${", "${}", "${aws:a, none}", "${a${b}}"] {
            assert!(Template::parse(bad, reading).is_err(), "{bad}");
        }
        let plain = Reading { variables: false, ..reading };
        assert!(fits(&Template::parse("${aws:username}", plain).unwrap().fill(&context).unwrap(), "${aws:username}"));
    }

    proptest! {
        #[test]
        fn patterns_are_what_they_mean(pattern in "[ab*?]{0,9}", text in "[ab]{0,9}") {
            let (pattern, letters) = (wild(&pattern), text.chars().collect::<Vec<_>>());
            prop_assert_eq!(fits(&pattern, &text), oracle(&pattern, &letters));
            prop_assert_eq!(fits_any_case(&pattern, &text.to_uppercase()), fits(&pattern, &text));
        }
    }
}
