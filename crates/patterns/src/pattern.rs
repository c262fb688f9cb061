//! A compiled pattern, and what each service allows in one.

use crate::evaluate::Branch;
use crate::event::Event;
use crate::limits::{EVENT_BUS_CHARS, EVENT_SOURCE_CHARS, POLICY_BYTES};
use crate::{json, parse};
use std::sync::Arc;

/// Whose patterns these are: the services share the language and differ in what they allow of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A rule of an EventBridge bus: everything.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
    EventBus,
    /// A filter of a Lambda event source mapping or of a pipe: no `cidr`, no `wildcard`, nothing nested in
    /// `anything-but`. The column "Pipe support" of the same page.
    EventSource,
    /// An SNS filter policy on a message's attributes: no nesting.
    /// <https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html>
    MessageAttributes,
    /// An SNS filter policy on a message's body.
    MessageBody,
}

/// A compiled pattern. Clones share what was compiled.
#[derive(Clone, Debug)]
pub struct Pattern {
    branches: Arc<[Branch]>,
}

/// Why a text is not a pattern. What shows is the service's own message; for SNS without its "Invalid parameter: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Whose message it is.
    pub dialect: Dialect,
    /// What is wrong.
    pub reason: String,
    /// Where, as AWS prints it after the reason; empty where it does not.
    pub place: String,
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PatternError { dialect, reason, place } = self;
        match dialect {
            Dialect::EventBus => write!(f, "Event pattern is not valid. Reason: {reason}{place}"),
            Dialect::EventSource => f.write_str("Invalid filter pattern definition."),
            Dialect::MessageAttributes | Dialect::MessageBody => write!(f, "FilterPolicy: {reason}{place}"),
        }
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles the pattern of a rule.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse_as(Dialect::EventBus, text)
    }

    /// Compiles a pattern as a service does.
    pub fn parse_as(dialect: Dialect, text: &str) -> Result<Pattern, PatternError> {
        let refused = |reason, place| Err(PatternError { dialect, reason, place });
        if let Some(reason) = too_long(dialect, text) {
            return refused(reason, String::new());
        }
        match parse::branches(text, dialect) {
            Ok(branches) => Ok(Pattern { branches: branches.into() }),
            Err(fault) => {
                let place = fault.at.map(|at| format!("\n at {}", json::place(text, at))).unwrap_or_default();
                refused(fault.reason, if fault.twice { place.repeat(2) } else { place })
            }
        }
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Event) -> bool {
        self.branches.iter().any(|branch| branch.matches(&event.root))
    }

    /// The alternatives that `$or` makes; at least one.
    pub(crate) fn branches(&self) -> &[Branch] {
        &self.branches
    }
}

fn too_long(dialect: Dialect, text: &str) -> Option<String> {
    let (length, max, unit) = match dialect {
        Dialect::EventBus => (text.chars().count(), EVENT_BUS_CHARS, "characters"),
        Dialect::EventSource => (text.chars().count(), EVENT_SOURCE_CHARS, "characters"),
        Dialect::MessageAttributes | Dialect::MessageBody => (text.len(), POLICY_BYTES, "bytes"),
    };
    (length > max).then(|| format!("Event pattern has {length} {unit}, more than the limit of {max}"))
}
