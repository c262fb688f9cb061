//! The pushed door: an envelope to a bus's ARN holds a whole event.

use crate::policy::PUT_EVENTS;
use crate::route::{Incoming, PRINCIPAL};
use crate::table::LiveBus;
use crate::{Rules, error};
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use names::{Arn, Timestamp};
use policies::{Decision, Refusal, Request, Who};
use serde_json::json;
use std::sync::Arc;
use world::BoxFuture;

/// The buses of the house as targets.
pub(crate) struct BusTarget(pub(crate) Arc<Rules>);

impl BusTarget {
    async fn take(&self, envelope: &Envelope) -> Verdict {
        let rules = &self.0;
        let bus = rules.bus_named(Some(envelope.to.as_str()));
        let table = rules.table();
        let Some((bus, live)) = bus.and_then(|bus| Some((bus, table.bus(bus)?.clone()))) else {
            let error = error::no_bus(envelope.to.as_str());
            return refused(error.model.name, error.message);
        };
        if let Err(why) = self.admit(&live, envelope) {
            return refused("AccessDeniedException", why);
        }
        let read_only = envelope.attributes.get(attribute::READ_ONLY).is_some_and(|value| value == "true");
        let incoming = Incoming {
            id: envelope.id.clone(),
            body: envelope.body.clone(),
            ingested: envelope.created,
            now: rules.world.now(),
            read_only,
            forwarded: envelope.from.as_ref().is_some_and(is_rule),
            only: None,
            trace: envelope.trace.clone(),
        };
        let mut envelopes = Vec::new();
        // Matching reads no more of an event than rules ask for: here is where foreign text comes in.
        let routed = serde_json::from_slice::<serde::de::IgnoredAny>(&incoming.body)
            .map_err(|error| format!("event is not valid JSON: {error}"))
            .and_then(|_| rules.route(&table, bus, &incoming, &mut envelopes).map_err(|error| error.to_string()));
        if let Err(why) = routed {
            let Some(queue) = &live.dead_letter else { return refused("MalformedDetail", why) };
            envelopes = vec![letter(&live, queue, envelope, &why, incoming.now)];
        }
        match rules.delivery.send(envelopes).await {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(error) => Verdict::Again { code: "InternalException".to_owned(), why: error.to_string(), after: None },
        }
    }
}

fn refused(code: &str, why: String) -> Verdict {
    Verdict::Refused { code: code.to_owned(), why }
}

/// What a bus's dead-letter queue gets of an event that the bus cannot process.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>
fn letter(bus: &LiveBus, queue: &Arn, envelope: &Envelope, why: &str, now: Timestamp) -> Envelope {
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    let said = json!({
        "ERROR_CODE": text("INVALID_JSON"),
        "ERROR_MESSAGE": text(why),
        "TARGET_ARN": text(bus.arn.as_str()),
    });
    Envelope {
        to: queue.clone(),
        attributes: [(attribute::MESSAGE_ATTRIBUTES.to_owned(), said.to_string())].into(),
        from: Some(bus.arn.clone()),
        principal: PRINCIPAL.to_owned(),
        role: None,
        policy: Default::default(),
        dead_letter: None,
        not_before: None,
        created: now,
        ..envelope.clone()
    }
}

impl BusTarget {
    /// Whether the bus's policy lets it in. What the house's own services tell the default bus always comes in, and what
    /// rules of the same account send unless a statement denies it.
    fn admit(&self, bus: &LiveBus, envelope: &Envelope) -> Result<(), String> {
        let Some(policy) = bus.policy.as_ref().filter(|_| envelope.from.as_ref().is_some_and(is_rule)) else {
            return Ok(());
        };
        let (rules, who) = (&self.0, Who::service(&envelope.principal, envelope.role.as_ref()));
        let request = Request::new(who, PUT_EVENTS, bus.arn.as_str(), &rules.home.account);
        let request = request.sent(envelope.from.as_ref(), rules.world.now());
        match policy.decide(&request) {
            Decision::Denied => Err(request.refused(Refusal::Denied)),
            Decision::Allowed | Decision::Open => Ok(()),
        }
    }
}

/// Whether a sender is a rule, that is, the event comes from another bus.
fn is_rule(sender: &Arn) -> bool {
    sender.service() == "events" && sender.resource_after("rule/").is_some()
}

impl Target for BusTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.take(envelope))
    }
    fn sends_on(&self, _: &Envelope) -> bool {
        true
    }
}
