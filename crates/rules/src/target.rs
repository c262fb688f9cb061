//! The pushed door: an envelope to a bus's ARN holds a whole event.

use crate::limits::BUS_BATCH;
use crate::policy::PUT_EVENTS;
use crate::route::{Incoming, PRINCIPAL};
use crate::table::{LiveBus, Table};
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
    async fn take(&self, envelopes: &[Envelope]) -> Vec<Verdict> {
        let (table, mut out) = (self.0.table(), Vec::new());
        let refused: Vec<_> = envelopes.iter().map(|envelope| self.spread(&table, envelope, &mut out).err()).collect();
        let sent = match self.0.delivery.send(out).await {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(error) => Verdict::Again { code: "InternalException".to_owned(), why: error.to_string(), after: None },
        };
        refused.into_iter().map(|refused| refused.unwrap_or_else(|| sent.clone())).collect()
    }

    /// Adds what is to be sent for an event, or says why nothing is.
    fn spread(&self, table: &Table, envelope: &Envelope, out: &mut Vec<Envelope>) -> Result<(), Verdict> {
        let rules = &self.0;
        let bus = rules.bus_named(Some(envelope.to.as_str()));
        let Some((bus, live)) = bus.and_then(|bus| Some((bus, table.bus(bus)?))) else {
            let error = error::no_bus(envelope.to.as_str());
            return Err(refused(error.model.name, error.message));
        };
        self.admit(live, envelope).map_err(|why| refused("AccessDeniedException", why))?;
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
        // Matching reads no more of an event than rules ask for: here is where foreign text comes in.
        let routed = serde_json::from_slice::<serde::de::IgnoredAny>(&incoming.body)
            .map_err(|error| format!("event is not valid JSON: {error}"))
            .and_then(|_| rules.route(table, bus, &incoming, out).map_err(|error| error.to_string()));
        if let Err(why) = routed {
            let queue = live.dead_letter.as_ref().ok_or_else(|| refused("MalformedDetail", why.clone()))?;
            out.push(letter(live, queue, envelope, &why, incoming.now));
        }
        Ok(())
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

/// Whether an ARN names one whole thing that can be sent to, as far as its form says.
pub(crate) fn is_whole(arn: &Arn) -> bool {
    let resource = arn.resource();
    match arn.service() {
        "sqs" | "sns" => !resource.is_empty() && !resource.contains([':', '/']),
        // With a version or an alias, or without.
        "lambda" => arn.resource_after("function:").is_none_or(|function| {
            function.split(':').count() <= 2 && function.split(':').all(|part| !part.is_empty())
        }),
        _ => !resource.ends_with([':', '/']) && !resource.is_empty(),
    }
}

/// Whether a sender is a rule, that is, the event comes from another bus.
fn is_rule(sender: &Arn) -> bool {
    sender.service() == "events" && sender.resource_after("rule/").is_some()
}

impl Target for BusTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async {
            let verdicts = self.take(std::slice::from_ref(envelope)).await;
            verdicts.into_iter().next().expect("there are as many verdicts as envelopes")
        })
    }
    fn batch(&self, _: &Arn) -> usize {
        BUS_BATCH
    }
    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(self.take(envelopes))
    }
    fn sends_on(&self, _: &Envelope) -> bool {
        true
    }
}
