//! A bus's policy: who may put events on it, beside its own account.
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html>

use crate::limits::POLICY_CHARS;
use policies::{Policy, PolicyError};

/// The one action that a policy of a bus is asked about.
pub(crate) const PUT_EVENTS: &str = "events:PutEvents";
/// Whose actions a policy names.
pub(crate) const VENDOR: &str = "events";

/// Why a bus does not take a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("The policy has more than {POLICY_CHARS} characters.")]
    TooLong,
    #[error(transparent)]
    Malformed(#[from] PolicyError),
}

/// Reads a document, or says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Policy, Unfit> {
    if text.chars().count() > POLICY_CHARS {
        return Err(Unfit::TooLong);
    }
    Ok(Policy::parse(text, VENDOR)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_those_of_buses() {
        let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"events:PutEvents"}}"#;
        assert_eq!(parse(policy).map(|policy| policy.len()), Ok(1));
        let other = policy.replace("events:PutEvents", "sqs:SendMessage");
        assert_eq!(parse(&other), Err(Unfit::Malformed(PolicyError::Action("sqs:SendMessage".into()))));
        assert_eq!(parse(&" ".repeat(POLICY_CHARS + 1)), Err(Unfit::TooLong));
    }
}
