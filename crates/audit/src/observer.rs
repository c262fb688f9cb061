//! The front tells of every call before its answer leaves.

use crate::entry::Tell;
use crate::signals::{LOST, RECORDED};
use crate::{Audit, record, services};
use store::Batch;
use wire::{Observer, Outcome};
use world::BoxFuture;

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
        let question = services::names_a_question(operation);
        let tell = (self.settings.read_only_events || !question).then(|| Tell {
            id: self.world.uuid(),
            question,
            trace: outcome.call.trace.clone(),
        });
        let entry = record::entry(&self.home, self.world.uuid(), &outcome, tell);
        let mut batch = Batch::new(self.log);
        batch.push(&entry.encode());
        let kept = self.store.append(vec![batch]).await;
        self.world.meter.record(&RECORDED, &[service], 1);
        match kept {
            Ok(appended) => {
                if let Some(place) = appended.first() {
                    self.recent.lock().expect("no panic holds this lock").add(place.first, entry.summary);
                }
            }
            // The call has been made and cannot be taken back; what is left is to say loudly that its trace is incomplete.
            Err(error) => {
                self.world.meter.record(&LOST, &[service], 1);
                tracing::error!(service, operation, %error, "the audit record of a call is lost");
            }
        }
    }
}
