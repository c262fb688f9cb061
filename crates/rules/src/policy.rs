//! A bus's policy: who may put events on it, beside its own account, and who may do what with it and with its rules. An
//! identity of the account comes in unless a statement denies it. What is about no resource (`ListRules`, `PutPermission`,
//! `RemovePermission` and the like) no policy denies, so nobody shuts himself out.
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html> and
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html>

use crate::Rules;
use crate::limits::POLICY_CHARS;
use crate::state::State;
use crate::table::{LiveBus, rule_arn};
use policies::{Policy, PolicyError, Request, Who};
use wire::{ApiError, Call, common};

/// What other services do with a bus.
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

/// What of a bus a call is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    Bus,
    /// A rule of it, by name; whether or not there is one.
    Rule(&'a str),
}

impl Rules {
    /// The bus that a call names, where the bus's policy lets the caller in; whether or not there is one.
    pub(crate) fn asked<'a>(&self, call: &Call, bus: Option<&'a str>, about: About<'_>) -> Result<&'a str, ApiError> {
        self.asked_of(call, bus, about, &[])
    }

    /// The same, with what else the service tells of the call.
    pub(crate) fn asked_of<'a>(
        &self,
        call: &Call,
        bus: Option<&'a str>,
        about: About<'_>,
        more: &[(&str, &str)],
    ) -> Result<&'a str, ApiError> {
        let name = self.bus_of(bus)?;
        let table = self.table();
        let Some(bus) = table.bus(name).filter(|bus| bus.policy.is_some()) else { return Ok(name) };
        let judged = match about {
            About::Bus => self.judge(call, bus, bus.arn.as_str(), more),
            About::Rule(rule) => {
                let whose =
                    |state: &State| state.rule(name, rule).map(|it| (it.created_by.clone(), it.managed_by.clone()));
                let (creator, manager) = self.catalog.read(whose).unzip();
                let known = [("events:creatorAccount", creator), ("events:ManagedBy", manager.flatten())];
                let known = known.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
                let more: Vec<(&str, &str)> = more.iter().copied().chain(known).collect();
                self.judge(call, bus, rule_arn(&self.home, name, rule).as_str(), &more)
            }
        };
        judged.map(|()| name).map_err(|why| common::ACCESS_DENIED.because(why))
    }

    /// Whether a bus's policy lets a caller do what he asks with a resource, the bus or a rule of it; or why not.
    pub(crate) fn judge(
        &self,
        call: &Call,
        bus: &LiveBus,
        resource: &str,
        more: &[(&str, &str)],
    ) -> Result<(), String> {
        let Some(policy) = &bus.policy else { return Ok(()) };
        let action = format!("{VENDOR}:{}", call.operation.name);
        let request = Request::new(Who::Caller(&call.caller), &action, resource, &self.home.account).asked(
            call.source_ip,
            call.tls,
            &call.user_agent,
            call.at,
        );
        let request = more.iter().fold(request, |request, (key, value)| request.with(*key, *value));
        policies::admit(Some(policy), &request).map_err(|why| request.refused(why))
    }
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
