//! From an event to the envelopes of its targets. Pure.

use crate::table::{LiveBus, LiveRule, LiveTarget};
use crate::transform::{Matched, TargetInput, TooLarge};
use bytes::Bytes;
use delivery::{Envelope, attribute};
use names::{Arn, Timestamp, TraceContext};
use patterns::EventError;
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who calls the targets.
pub(crate) const PRINCIPAL: &str = "events.amazonaws.com";

/// An event that has come to a bus.
pub(crate) struct Incoming {
    /// Its id.
    pub(crate) id: String,
    /// The event as JSON text.
    pub(crate) body: Bytes,
    /// When it was accepted.
    pub(crate) ingested: Timestamp,
    /// When it is sent on.
    pub(crate) now: Timestamp,
    /// Whether it is a read-only management event from CloudTrail.
    pub(crate) read_only: bool,
    /// Whether a rule of another bus sent it here.
    pub(crate) forwarded: bool,
    /// The only rules it is for: those that a replay names.
    pub(crate) only: Option<Arc<[Arn]>>,
    /// The trace it belongs to.
    pub(crate) trace: Option<TraceContext>,
}

/// Why something that came to a bus is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the event is not UTF-8")]
    NotText,
    #[error(transparent)]
    NotEvent(#[from] EventError),
    /// A number beyond what the templates of targets can carry.
    #[error("the event cannot be transformed: {0}")]
    Value(String),
}

/// Why a target is not sent what it should be.
enum Unmade {
    Event(RouteError),
    TooLarge(TooLarge),
}

impl From<RouteError> for Unmade {
    fn from(error: RouteError) -> Unmade {
        Unmade::Event(error)
    }
}

impl From<TooLarge> for Unmade {
    fn from(error: TooLarge) -> Unmade {
        Unmade::TooLarge(error)
    }
}

/// An event being taken apart: the parsed form is made only if a target asks for it.
struct Opened<'a> {
    incoming: &'a Incoming,
    text: &'a str,
    value: OnceCell<Value>,
}

/// Adds an envelope for every target of every rule of the bus that the event is for; none where it is refused.
pub(crate) fn route(bus: &LiveBus, incoming: &Incoming, out: &mut Vec<Envelope>) -> Result<(), RouteError> {
    let opened = Opened::new(incoming)?;
    let before = out.len();
    let chosen = |rule: &&LiveRule| incoming.only.as_ref().is_none_or(|only| only.contains(&rule.arn));
    let routed = bus.matching(opened.text, incoming.read_only)?.filter(chosen).try_for_each(|rule| {
        rule.series.matched.record(1);
        trigger_opened(rule, &opened, out)
    });
    routed.inspect_err(|_| out.truncate(before))
}

/// Adds an envelope for every target of one rule, whatever its pattern.
pub(crate) fn trigger(rule: &LiveRule, incoming: &Incoming, out: &mut Vec<Envelope>) -> Result<(), RouteError> {
    trigger_opened(rule, &Opened::new(incoming)?, out)
}

fn trigger_opened(rule: &LiveRule, opened: &Opened<'_>, out: &mut Vec<Envelope>) -> Result<(), RouteError> {
    rule.series.triggered.record(1);
    for target in &rule.targets {
        if opened.incoming.forwarded && is_bus(&target.arn) {
            rule.series.failed.record(1);
            tracing::warn!(rule = %rule.arn, to = %target.arn, event = opened.incoming.id,
                "an event that came from another bus is not sent to a third");
            continue;
        }
        out.push(envelope(rule, target, opened)?);
    }
    Ok(())
}

fn envelope(rule: &LiveRule, target: &LiveTarget, opened: &Opened<'_>) -> Result<Envelope, RouteError> {
    let incoming = opened.incoming;
    let made = body(rule, target, opened).and_then(|body| Ok((body, attributes(target, opened)?)));
    let (body, attributes) = match made {
        Ok(made) => made,
        Err(Unmade::Event(error)) => return Err(error),
        // The event is fine, and so are its other targets: this one fails by itself, with the event as it came.
        Err(Unmade::TooLarge(why)) => (incoming.body.clone(), [(attribute::UNFIT.to_owned(), why.to_string())].into()),
    };
    Ok(Envelope {
        id: incoming.id.clone(),
        to: target.arn.clone(),
        body,
        attributes,
        from: Some(rule.arn.clone()),
        principal: PRINCIPAL.to_owned(),
        role: target.role.clone(),
        policy: target.policy.clone(),
        dead_letter: target.dead_letter.clone(),
        trace: incoming.trace.clone(),
        not_before: None,
        created: incoming.now,
    })
}

fn body(rule: &LiveRule, target: &LiveTarget, opened: &Opened<'_>) -> Result<Bytes, Unmade> {
    match &target.input {
        // The one event is shared by all that want it whole.
        TargetInput::Matched => Ok(opened.incoming.body.clone()),
        TargetInput::Constant(input) => Ok(Bytes::from(input.clone())),
        input @ (TargetInput::Path(_) | TargetInput::Transformer(_)) => {
            let matched = Matched {
                text: opened.text,
                event: opened.value()?,
                rule_arn: rule.arn.as_str(),
                rule_name: &rule.name,
                ingested: opened.incoming.ingested,
            };
            Ok(Bytes::from(input.apply(&matched)?))
        }
    }
}

fn attributes(target: &LiveTarget, opened: &Opened<'_>) -> Result<BTreeMap<String, String>, Unmade> {
    let mut all = BTreeMap::new();
    match target.arn.service() {
        "kinesis" => {
            // <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_KinesisParameters.html>
            let key = match &target.partition_key {
                Some(path) => path.apply(opened.value()?).and_then(|value| key_text(&value)),
                None => None,
            };
            let key = key.unwrap_or_else(|| opened.incoming.id.clone());
            all.insert(attribute::PARTITION_KEY.to_owned(), key);
        }
        "lambda" => {
            all.insert(attribute::INVOCATION.to_owned(), "Event".to_owned());
        }
        _ => {}
    }
    if let Some(http) = &target.http {
        all.insert(attribute::HTTP.to_owned(), http.fill(|| Ok::<_, Unmade>(opened.value()?))?.text());
    }
    if let Some(group) = &target.message_group {
        all.insert(attribute::MESSAGE_GROUP_ID.to_owned(), group.clone());
    }
    Ok(all)
}

/// A partition key out of what a path leads to.
fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether an ARN is that of a bus.
pub(crate) fn is_bus(arn: &Arn) -> bool {
    arn.service() == "events" && arn.resource_after("event-bus/").is_some()
}

impl<'a> Opened<'a> {
    fn new(incoming: &'a Incoming) -> Result<Opened<'a>, RouteError> {
        let text = std::str::from_utf8(&incoming.body).map_err(|_| RouteError::NotText)?;
        Ok(Opened { incoming, text, value: OnceCell::new() })
    }

    fn value(&self) -> Result<&Value, RouteError> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = serde_json::from_str(self.text).map_err(|error| RouteError::Value(error.to_string()))?;
        Ok(self.value.get_or_init(|| value))
    }
}
