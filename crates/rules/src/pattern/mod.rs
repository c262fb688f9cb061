//! Event patterns: which events a rule is for.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>

mod condition;
mod evaluate;
mod event;
mod index;
mod operator;
mod parse;
#[cfg(test)]
mod tests;
mod value;
mod wildcard;

pub use event::{Event, EventError};
pub use index::RuleSet;

use crate::json;
use evaluate::Branch;
use std::sync::Arc;

/// The default quota of a pattern's size, in characters:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub const PATTERN_CHARS_MAX: usize = 2048;

/// A compiled event pattern. Clones share what was compiled.
#[derive(Clone, Debug)]
pub struct Pattern {
    branches: Arc<[Branch]>,
}

/// Why a text is not an event pattern, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {reason}{place}")]
pub struct PatternError {
    /// What is wrong.
    pub reason: String,
    /// Where, as AWS prints it after the reason; empty where it does not.
    pub place: String,
}

impl Pattern {
    /// Compiles a pattern of the default size at most.
    pub fn compile(text: &str) -> Result<Pattern, PatternError> {
        Pattern::compile_within(text, PATTERN_CHARS_MAX)
    }

    /// Compiles a pattern of `chars_max` characters at most (the quota can be raised).
    pub fn compile_within(text: &str, chars_max: usize) -> Result<Pattern, PatternError> {
        let chars = text.chars().count();
        if chars > chars_max {
            let reason = format!("Event pattern has {chars} characters, more than the limit of {chars_max}");
            return Err(PatternError { reason, place: String::new() });
        }
        let branches = parse::branches(text).map_err(|fault| {
            let place = fault.at.map(|at| format!("\n at {}", json::place(text, at))).unwrap_or_default();
            PatternError { reason: fault.reason, place: if fault.twice { place.repeat(2) } else { place } }
        })?;
        Ok(Pattern { branches: branches.into() })
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Event) -> bool {
        self.branches.iter().any(|branch| branch.matches(&event.root))
    }
}
