//! The woken door: lines are written, and what is past its group's retention is given up on disk. Nobody saw it any more
//! before that.

use crate::batch::cutoff;
use crate::intake;
use crate::limits::SWEEP;
use crate::logs::Logs;
use std::sync::Arc;
use world::Stage;

/// Lines are written from the opening of the house to its end.
pub(crate) fn write(logs: &Arc<Logs>) {
    let writer = logs.clone();
    logs.world.tasks.spawn(Stage::Store, "logs: lines", |stop| intake::write_on(writer, stop));
}

pub(crate) fn start(logs: &Arc<Logs>) {
    let sweeper = logs.clone();
    logs.world.tasks.spawn(Stage::Sources, "logs: retention", move |mut stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = sweeper.world.clock.sleep(SWEEP) => {}
            }
            sweeper.sweep().await;
        }
    });
}

impl Logs {
    /// Gives up what is expired, group by group.
    pub(crate) async fn sweep(&self) {
        let now = self.world.now().millis();
        for room in self.rooms() {
            let days = self.catalog.read(|state| state.groups.get(&room.name).and_then(|group| group.retention_days));
            if let Err(error) = room.forget(&self.store, cutoff(now, days)).await {
                tracing::warn!(%error, group = room.name, "expired events could not be given up; the next round tries again");
            }
        }
    }
}
