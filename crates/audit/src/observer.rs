//! The front tells of every call before its answer leaves.

use crate::entry::Entry;
use crate::signals::{LOST, RECORDED};
use crate::{Audit, record, services};
use bytes::Bytes;
use delivery::{BacklogFull, Claim, Envelope, RetryPolicy, attribute};
use std::collections::BTreeMap;
use store::{Batch, StoreError};
use wire::{Call, Observer, Outcome};
use world::BoxFuture;

/// Why the default bus is not told of a call.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Full(#[from] BacklogFull),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Observer for Audit {
    fn wants(&self, service: &str, operation: &str) -> bool {
        !services::is_data_plane(service, operation)
    }

    fn observe(&self, outcome: Outcome) -> BoxFuture<'_, ()> {
        Box::pin(self.keep(outcome))
    }
}

impl Audit {
    async fn keep(&self, outcome: Outcome) {
        let (service, operation) = (outcome.call.service.name, outcome.call.operation.name);
        let entry = record::entry(&self.home, self.world.uuid(), &outcome);
        let mut batch = Batch::new(self.log);
        batch.push(&entry.encode());
        // Both at once, so that they share one fsync.
        let question = services::names_a_question(operation);
        let tell = self.settings.read_only_events || !question;
        let envelopes = if tell { vec![self.envelope(&outcome.call, &entry, question)] } else { Vec::new() };
        let (kept, sent) = tokio::join!(self.store.append(vec![batch]), self.send(envelopes));
        self.world.meter.record(&RECORDED, &[service], 1);
        // The call has been made and cannot be taken back; what is left is to say loudly that its trace is incomplete.
        match kept {
            Ok(appended) => {
                if let Some(place) = appended.first() {
                    self.recent.lock().expect("no panic holds this lock").add(place.first, entry.summary);
                }
            }
            Err(error) => self.lost(service, operation, &error),
        }
        if let Err(error) = sent {
            self.lost(service, operation, &error);
        }
    }

    async fn send(&self, envelopes: Vec<Envelope>) -> Result<(), Untold> {
        if envelopes.is_empty() {
            return Ok(());
        }
        self.delivery.admit(Claim::Record)?;
        Ok(self.delivery.send(envelopes).await?)
    }

    fn lost(&self, service: &'static str, operation: &'static str, error: &dyn std::error::Error) {
        self.world.meter.record(&LOST, &[service], 1);
        tracing::error!(service, operation, %error, "the audit record of a call is lost");
    }

    fn envelope(&self, call: &Call, entry: &Entry, question: bool) -> Envelope {
        let id = self.world.uuid();
        let body = record::event(&self.home, id.clone(), call.service.name, entry);
        let mut attributes = BTreeMap::from([(attribute::REQUEST_ID.to_owned(), call.request_id.clone())]);
        if question {
            // Only rules that ask for all management events see it.
            attributes.insert(attribute::READ_ONLY.to_owned(), "true".to_owned());
        }
        Envelope {
            id,
            to: self.bus.clone(),
            body: Bytes::from(body),
            attributes,
            from: None,
            principal: "cloudtrail.amazonaws.com".to_owned(),
            role: None,
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: call.trace.clone(),
            not_before: None,
            created: self.world.now(),
        }
    }
}
