//! `wildcard`: `*` stands for any number of characters, `\*` and `\\` for themselves.

use crate::limits::WILDCARD_COST_MAX;

/// A compiled wildcard pattern: the literal pieces between its stars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wildcard {
    pieces: Vec<Box<str>>,
}

/// Why a text is not a wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WildcardError {
    /// Badly written; AWS's reason.
    Syntax(String),
    /// Too dear to match.
    Complex,
}

impl Wildcard {
    /// Compiles a wildcard pattern.
    ///
    /// AWS refuses patterns whose stars are followed by repeating sequences, without saying where the limit lies:
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching-complexity>
    /// Here each star counts one, and one more if what follows begins like what follows another.
    pub(crate) fn parse(text: &str) -> Result<Wildcard, WildcardError> {
        let mut pieces = vec![String::new()];
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            // AWS counts bytes, from the quote it puts in front.
            let position = at + 1;
            match c {
                '*' if chars.peek().is_some_and(|(_, next)| *next == '*') => {
                    return Err(WildcardError::Syntax(format!("Consecutive wildcard characters at pos {position}")));
                }
                '*' => pieces.push(String::new()),
                '\\' => match chars.next() {
                    Some((_, next @ ('*' | '\\'))) => pieces.last_mut().expect("never empty").push(next),
                    _ => return Err(WildcardError::Syntax(format!("Invalid escape character at pos {position}"))),
                },
                _ => pieces.last_mut().expect("never empty").push(c),
            }
        }
        let mut starts: Vec<char> = pieces[1..].iter().filter_map(|piece| piece.chars().next()).collect();
        let following = starts.len();
        starts.sort_unstable();
        starts.dedup();
        if pieces.len() - 1 + following - starts.len() > WILDCARD_COST_MAX {
            return Err(WildcardError::Complex);
        }
        Ok(Wildcard { pieces: pieces.into_iter().map(String::into_boxed_str).collect() })
    }

    /// The literal pieces between the stars; always one more than there are stars.
    pub(crate) fn pieces(&self) -> &[Box<str>] {
        &self.pieces
    }

    /// Whether the whole text matches. Each piece is taken where it first fits, so this never goes back.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (first, rest) = self.pieces.split_first().expect("there is always a piece");
        let Some((last, middle)) = rest.split_last() else {
            return text == &**first;
        };
        let Some(text) = text.strip_prefix(&**first) else {
            return false;
        };
        let Some(mut text) = text.strip_suffix(&**last) else {
            return false;
        };
        for piece in middle {
            match text.find(&**piece) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}
