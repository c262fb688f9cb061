//! Patterns: which JSON events somebody wants, in the language that EventBridge rules, Lambda's event filters and SNS
//! filter policies share. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>
//!
//! Invariants: every text, however malformed, is answered with a value or with AWS's own reason for refusing it; no text
//! panics or makes work out of proportion to its length; [`RuleSet::matching`] finds exactly the rules whose
//! [`Pattern::matches`] holds, at a cost that depends on the event and on what it matches, not on how many rules there are.
//! What it is not: a service; it does no I/O, knows no shapes and keeps no state beyond what it is given.
//! Here are, too, the paths into JSON and the way values stand in templates that rules and pipes share.
//! Entry points: [`Pattern::parse`] and [`Pattern::parse_as`], [`Event::parse`], [`RuleSet`], [`Explanation::new`], [`JsonPath::compile`].

mod condition;
mod doors;
mod elements;
mod evaluate;
mod event;
mod explain;
mod finds;
mod hash;
pub mod json;
mod json_path;
mod limits;
mod operator;
mod parse;
mod paths;
mod pattern;
mod ranges;
mod scan;
mod set;
mod show;
pub mod template;
#[cfg(test)]
mod tests;
mod value;
mod wildcard;

pub use event::{Event, EventError};
pub use explain::{Explanation, Field};
pub use json_path::{JsonPath, PathError};
pub use pattern::{Dialect, Pattern, PatternError};
pub use set::RuleSet;
