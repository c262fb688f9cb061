//! The pushed door: an envelope to a bus's ARN holds a whole event.

use crate::route::Incoming;
use crate::{Rules, error};
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use names::Arn;
use std::sync::Arc;
use world::BoxFuture;

/// The buses of the house as targets.
pub(crate) struct BusTarget(pub(crate) Arc<Rules>);

impl BusTarget {
    async fn take(&self, envelope: &Envelope) -> Verdict {
        let rules = &self.0;
        let bus = rules.bus_named(Some(envelope.to.as_str()));
        let table = rules.table();
        let Some(bus) = bus.filter(|bus| table.bus(bus).is_some()) else {
            let error = error::no_bus(envelope.to.as_str());
            return Verdict::Refused { code: error.model.name.to_owned(), why: error.message };
        };
        let read_only = envelope.attributes.get(attribute::READ_ONLY).is_some_and(|value| value == "true");
        let incoming = Incoming {
            id: envelope.id.clone(),
            body: envelope.body.clone(),
            ingested: envelope.created,
            now: rules.world.now(),
            read_only,
            forwarded: envelope.from.as_ref().is_some_and(is_rule),
            trace: envelope.trace.clone(),
        };
        // Matching reads no more of an event than rules ask for: here is where foreign text comes in.
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&incoming.body) {
            return Verdict::Refused {
                code: "MalformedDetail".to_owned(),
                why: format!("event is not valid JSON: {error}"),
            };
        }
        let mut envelopes = Vec::new();
        if let Err(error) = rules.route(&table, bus, &incoming, &mut envelopes) {
            return Verdict::Refused { code: "MalformedDetail".to_owned(), why: error.to_string() };
        }
        match rules.delivery.send(envelopes).await {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(error) => Verdict::Again { code: "InternalException".to_owned(), why: error.to_string(), after: None },
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
}
