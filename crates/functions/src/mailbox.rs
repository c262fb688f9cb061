//! Events on their way to a function, and what is told of their end. The mailbox itself is the function's lane in
//! `delivery`, which also tries again.

use crate::api::invoke::PRINCIPAL;
use crate::asynchronous::{self, Told};
use crate::called::{Called, Found};
use crate::functions::Functions;
use crate::runtime::InvokeOutcome;
use crate::signals::{Meters, Metric};
use crate::state::LATEST;
use bytes::Bytes;
use delivery::{Envelope, Failure, RetryPolicy, Settled, attribute};
use names::{Arn, Timestamp, TraceContext};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// On an envelope: that it carries a dead letter.
const DEAD: &str = "dead-letter";

/// An event that somebody hands over.
pub(crate) struct Event {
    /// What the function is given.
    pub(crate) body: Bytes,
    /// The request's id.
    pub(crate) request_id: String,
    /// Who sent it, where that was not a caller of the API.
    pub(crate) from: Option<Arn>,
    /// The trace it belongs to.
    pub(crate) trace: Option<TraceContext>,
}

impl Functions {
    /// The envelope that carries an event to a function as it was called, by what is set for that.
    pub(crate) fn event(&self, found: &Found, event: Event) -> Envelope {
        Meters::new(&self.world, found).record(Metric::AsyncEventsReceived, 1);
        let attributes = [(attribute::INVOCATION, "Event".to_owned()), (attribute::REQUEST_ID, event.request_id)];
        let policy = self.catalog.read(|state| {
            let door = state.door(&found.function.name, found.qualifier.as_deref());
            asynchronous::policy(door.and_then(|door| door.asynchronous.as_ref()))
        });
        Envelope {
            id: self.world.uuid(),
            to: found.arn.clone(),
            body: event.body,
            attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
            from: event.from,
            principal: PRINCIPAL.to_owned(),
            role: None,
            policy,
            dead_letter: None,
            trace: event.trace,
            not_before: None,
            created: self.world.now(),
        }
    }

    /// What is sent where an event succeeded.
    pub(crate) fn success(&self, found: &Found, envelope: &Envelope, outcome: &InvokeOutcome) -> Option<Envelope> {
        let settings = |state: &crate::state::State| {
            let door = state.door(&found.function.name, found.qualifier.as_deref())?;
            door.asynchronous.as_ref()?.on_success.clone()
        };
        let to = self.catalog.read(settings)?;
        let tries = envelope.attributes.get(attribute::TRY).and_then(|n| n.parse().ok()).unwrap_or(1);
        let now = self.world.now();
        let arn = self.door_arn(found);
        let record = asynchronous::success(&told(&arn, found, envelope, tries), &outcome.payload, now);
        self.tell(found, envelope, &to, record, now)
    }

    /// What is sent where an event is given up: a record to the destination, the event itself to the dead-letter target.
    pub(crate) fn given_up(&self, envelope: &Envelope, failure: &Failure, now: Timestamp) -> Vec<Envelope> {
        let request_id = request_id(envelope);
        let called = Called::parse(&self.home, envelope.to.as_str(), None);
        let found = called.and_then(|called| self.catalog.read(|state| called.find(state, &self.home, request_id)));
        let Ok(found) = found else { return Vec::new() };
        Meters::new(&self.world, &found).record(Metric::AsyncEventsDropped, 1);
        let destination = self.catalog.read(|state| {
            let door = state.door(&found.function.name, found.qualifier.as_deref())?;
            door.asynchronous.as_ref()?.on_failure.clone()
        });
        let arn = self.door_arn(&found);
        // What was refused was handed over once more and not run.
        let invokes = failure.tries.saturating_sub(u32::from(failure.exhausted.is_none()));
        let told = told(&arn, &found, envelope, invokes);
        let record = destination
            .and_then(|to| self.tell(&found, envelope, &to, asynchronous::failure(&told, failure, now), now));
        let dead = found.function.dead_letter.as_ref().map(|to| {
            let attributes = asynchronous::dead_letter_attributes(request_id, failure);
            let attributes = [(attribute::MESSAGE_ATTRIBUTES, attributes), (DEAD, "true".to_owned())];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
            Envelope { attributes, ..self.letter(&found, envelope, to, envelope.body.clone(), now) }
        });
        record.into_iter().chain(dead).collect()
    }

    /// Counts what Lambda sends in its own name and what does not arrive.
    pub(crate) fn listen(&self) {
        let world = self.world.clone();
        let listener = move |envelope: &Envelope, settled: &Settled<'_>| {
            let (Settled::GivenUp(_), Some(from)) = (settled, &envelope.from) else { return };
            if matches!(envelope.to.service(), "sqs" | "sns" | "events") {
                let dead = envelope.attributes.contains_key(DEAD);
                let metric = if dead { Metric::DeadLetterErrors } else { Metric::DestinationDeliveryFailures };
                Meters::of(&world, from).record(metric, 1);
            }
        };
        self.delivery.listen(PRINCIPAL, Arc::new(listener));
    }

    fn door_arn(&self, found: &Found) -> Arn {
        let qualifier = found.qualifier.as_deref().unwrap_or(LATEST);
        self.home.arn("lambda", &format!("function:{}:{qualifier}", found.function.name))
    }

    /// A record on its way to a destination, in the form the destination takes.
    fn tell(&self, found: &Found, about: &Envelope, to: &Arn, record: Value, now: Timestamp) -> Option<Envelope> {
        let body = |text: String| Bytes::from(text);
        match to.service() {
            "lambda" => {
                let called = Called::parse(&self.home, to.as_str(), None).ok()?;
                let request_id = self.world.uuid();
                let other = self.catalog.read(|state| called.find(state, &self.home, &request_id)).ok()?;
                let trace = Some(self.lineage(found, about.trace.as_ref()).trace);
                let event = Event {
                    body: body(asynchronous::fit(record, to)),
                    request_id,
                    from: Some(found.arn.clone()),
                    trace,
                };
                Some(self.event(&other, event))
            }
            "events" => {
                let id = self.world.uuid();
                let event = asynchronous::bus_event(&id, record, &self.door_arn(found), to, now);
                Some(Envelope { id, ..self.letter(found, about, to, body(event.to_string()), now) })
            }
            _ => Some(self.letter(found, about, to, body(asynchronous::fit(record, to)), now)),
        }
    }

    fn letter(&self, found: &Found, about: &Envelope, to: &Arn, body: Bytes, now: Timestamp) -> Envelope {
        Envelope {
            id: self.world.uuid(),
            to: to.clone(),
            body,
            attributes: BTreeMap::new(),
            from: Some(found.arn.clone()),
            principal: PRINCIPAL.to_owned(),
            role: Some(found.function.role.clone()),
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: Some(self.lineage(found, about.trace.as_ref()).trace),
            not_before: None,
            created: now,
        }
    }
}

fn told<'a>(arn: &'a Arn, found: &'a Found, envelope: &'a Envelope, invokes: u32) -> Told<'a> {
    let version = (invokes > 0).then_some(found.function.version.as_str());
    Told { request_id: request_id(envelope), function: arn, event: &envelope.body, invokes, version }
}

/// The id of the request that an event came with.
pub(crate) fn request_id(envelope: &Envelope) -> &str {
    envelope.attributes.get(attribute::REQUEST_ID).map_or(envelope.id.as_str(), String::as_str)
}

/// Whether an envelope is an event, and whether it is in its function's mailbox already.
pub(crate) fn is_event(envelope: &Envelope) -> Option<bool> {
    let kind = envelope.attributes.get(attribute::INVOCATION).map(String::as_str);
    (kind == Some("Event")).then(|| envelope.principal == PRINCIPAL)
}
