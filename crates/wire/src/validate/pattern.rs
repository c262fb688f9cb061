//! The models' regular expressions are Java's. Those that our engine cannot run constrain nothing.

use regex_lite::Regex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

/// A longer text is not matched: patterns on texts of this size are all "anything", and time is bounded.
const MAX_MATCHED: usize = 256 << 10;

/// Patterns as far as they could be compiled.
type Compiled = HashMap<&'static str, Option<Arc<Pattern>>>;

/// A pattern that our engine runs.
pub(super) struct Pattern {
    /// What must not stand at the beginning: our engine looks nowhere ahead, so that is asked first.
    not: Option<Regex>,
    whole: Regex,
}

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        self.not.as_ref().is_none_or(|not| !not.is_match(text)) && self.whole.is_match(text)
    }
}

/// Every pattern seen, compiled once. Bounded: patterns come from the models, never from a request.
static COMPILED: LazyLock<RwLock<Compiled>> = LazyLock::new(RwLock::default);

/// Whether the whole text matches.
pub(super) fn matches(pattern: &'static str, text: &str) -> bool {
    if text.len() > MAX_MATCHED {
        return true;
    }
    let known = COMPILED.read().expect("no panic holds this lock").get(pattern).cloned();
    let regex = known.unwrap_or_else(|| {
        let regex = compile(pattern).map(Arc::new);
        COMPILED.write().expect("no panic holds this lock").insert(pattern, regex.clone());
        regex
    });
    regex.is_none_or(|regex| regex.is_match(text))
}

/// The pattern for our engine; `None` where it has no such thing (look-around, but for one look ahead at the beginning).
pub(super) fn compile(pattern: &str) -> Option<Pattern> {
    let pattern = translate(pattern);
    let (not, whole) = match look_ahead(&pattern) {
        Some((not, whole)) => (Some(Regex::new(&format!(r"\A(?:{not})")).ok()?), whole),
        None => (None, pattern.as_str()),
    };
    Some(Pattern { not, whole: Regex::new(&format!(r"\A(?:{whole})\z")).ok()? })
}

/// What a pattern looks ahead for at its beginning and refuses, and the rest of it.
fn look_ahead(pattern: &str) -> Option<(&str, &str)> {
    let bare = pattern.strip_prefix('(').and_then(|p| p.strip_suffix(')')).filter(|p| p.starts_with("(?!"));
    let bare = bare.unwrap_or(pattern);
    let inside = bare.strip_prefix('^').unwrap_or(bare).strip_prefix("(?!")?;
    let (mut depth, mut escaped) = (0, false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some((&inside[..at], &inside[at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// From Java's notation to ours. Classes of Unicode letters and digits become "anything beyond ASCII, and ASCII's own":
/// what we serve uses them for tags, where AWS refuses little else.
fn translate(pattern: &str) -> String {
    const CLASSES: [(&str, &str); 3] =
        [(r"\p{L}", r"A-Za-z\x{AA}-\x{10FFFF}"), (r"\p{Z}", r" \x{A0}"), (r"\p{N}", r"0-9")];
    let mut out = pattern.to_owned();
    for (theirs, ours) in CLASSES {
        out = out.replace(theirs, ours);
    }
    let mut rest = out.as_str();
    let mut translated = String::with_capacity(out.len());
    while let Some(at) = rest.find(r"\u") {
        let (before, behind) = rest.split_at(at);
        translated.push_str(before);
        match behind.get(2..6) {
            Some(hex) => translated.extend([r"\x{", hex, "}"]),
            None => return out,
        }
        rest = &behind[6..];
    }
    translated.push_str(rest);
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        assert!(matches("[a-zA-Z0-9_.-]+", "a.b-c_9"));
        assert!(!matches("[a-zA-Z0-9_.-]+", "a b"));
        assert!(!matches("a|b", "ab"));
    }

    #[test]
    fn java_notation_is_understood() {
        assert!(matches(r"[\u0020-\u00FF]+", "é!"));
        assert!(!matches(r"[\u0020-\u00FF]+", "\u{100}"));
        assert!(matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 7_a@b"));
        assert!(!matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "a<b"));
    }

    #[test]
    fn what_cannot_be_compiled_constrains_nothing() {
        assert!(compile(r"a(?!x)y").is_none());
        assert!(matches(r"a(?!x)y", "anything"));
    }

    #[test]
    fn a_look_ahead_at_the_beginning_is_a_refusal() {
        for alias in [r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"] {
            assert!(matches(alias, "live-1") && matches(alias, "1a"));
            assert!(!matches(alias, "17") && !matches(alias, "a b") && !matches(alias, ""));
        }
        assert!(matches(r"^(?!\s*$).+", " a") && !matches(r"^(?!\s*$).+", "  "));
    }
}
