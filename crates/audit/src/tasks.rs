//! The woken door.

use crate::Audit;
use crate::limits::{RETENTION, SWEEP};
use names::Timestamp;
use std::sync::Arc;
use store::StoreError;
use world::Stage;

pub(crate) fn start(audit: &Arc<Audit>) {
    let teller = audit.clone();
    audit.world.tasks.spawn(Stage::Sources, "audit: default bus", |stop| async move { teller.tell(stop).await });
    let audit = audit.clone();
    audit.world.tasks.clone().spawn(Stage::Sources, "audit: retention", move |mut stop| async move {
        loop {
            if let Err(error) = audit.forget_old() {
                tracing::warn!(%error, "old audit records could not be trimmed; the next round tries again");
            }
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = audit.world.clock.sleep(SWEEP) => {}
            }
        }
    });
}

impl Audit {
    /// Lets go of what is older than the retention.
    pub(crate) fn forget_old(&self) -> Result<(), StoreError> {
        let age = i64::try_from(RETENTION.as_micros()).expect("the retention is a few months");
        let before = self.store.find_time(self.log, Timestamp(self.world.now().micros() - age));
        if before > self.store.extent(self.log).first { self.store.trim(self.log, before) } else { Ok(()) }
    }
}
