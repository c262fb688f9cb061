//! A pattern's text as it is read.

use super::{Unfit, unfit};

/// The rest of a text.
pub(super) struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Text<'a> {
        Text { rest: text }
    }

    pub(super) fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes these signs, where they are next.
    pub(super) fn takes(&mut self, signs: &str) -> bool {
        match self.rest.strip_prefix(signs) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word in capitals, where it is next and ends there. Lower case will do.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let fits = self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let ends = || !self.rest[word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if fits && ends() {
            self.rest = &self.rest[word.len()..];
            return true;
        }
        false
    }

    /// Takes signs as long as they fit.
    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes what is up to the end of this value: a space, a comma, a bracket or an operator.
    pub(super) fn take_bare(&mut self) -> &'a str {
        let stops = |(i, c): (usize, char)| {
            let rest = &self.rest[i..];
            (c.is_whitespace() || ",)}]".contains(c) || rest.starts_with("&&") || rest.starts_with("||")).then_some(i)
        };
        let end = self.rest.char_indices().find_map(stops).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes what stands in quotation marks, of which the first is next. A backslash takes the next sign as it is.
    pub(super) fn take_quoted(&mut self) -> Result<String, Unfit> {
        let mut out = String::new();
        let mut signs = self.rest.char_indices().skip(1);
        while let Some((i, sign)) = signs.next() {
            match sign {
                '"' => {
                    self.rest = &self.rest[i + 1..];
                    return Ok(out);
                }
                '\\' => match signs.next() {
                    Some((_, sign)) => out.push(sign),
                    None => break,
                },
                sign => out.push(sign),
            }
        }
        unfit("a quotation mark is not closed")
    }

    /// Takes what stands between percent signs, of which the first is next.
    pub(super) fn take_regex(&mut self) -> Result<&'a str, Unfit> {
        let Some(end) = self.rest[1..].find('%') else { return unfit("a regular expression lacks its second %") };
        let (taken, rest) = (&self.rest[1..=end], &self.rest[end + 2..]);
        self.rest = rest;
        Ok(taken)
    }

    /// The next signs, for whoever is to see what is wrong.
    pub(super) fn shown(&self) -> String {
        self.rest.chars().take(20).collect()
    }
}
