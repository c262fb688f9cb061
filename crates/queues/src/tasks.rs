//! The woken door: what has been kept as long as its queue keeps messages is dropped, whether anybody receives or not, and
//! the metrics that are states are recorded.

use crate::Queues;
use crate::limits::{EXPIRY_TICK, GAUGE_TICK};
use crate::room::{Room, before};
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use world::{Stage, Stop};

pub(crate) fn start(queues: &Arc<Queues>) {
    let tasks = queues.world.tasks.clone();
    let expiring = queues.clone();
    tasks.spawn(Stage::Sources, "queues expiry", move |mut stop| async move {
        while tick(&expiring, EXPIRY_TICK, &mut stop).await {
            for room in expiring.all() {
                if let Err(error) = expire(&expiring, &room).await {
                    tracing::warn!(%error, queue = room.name, "expired messages could not be dropped; the next tick tries again");
                }
            }
        }
    });
    let measured = queues.clone();
    tasks.spawn(Stage::Sources, "queues gauges", move |mut stop| async move {
        while tick(&measured, GAUGE_TICK, &mut stop).await {
            measured.all().iter().for_each(|room| room.record_gauges(measured.world.now()));
        }
    });
}

/// Waits for the next tick; false where the house shuts down.
async fn tick(queues: &Queues, every: Duration, stop: &mut Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.wait() => false,
        () = queues.world.clock.sleep(every) => true,
    }
}

/// Drops what is too old, and gives its place on disk back. Messages moved here from another queue are younger in the log
/// than by their own time stamp; those are dropped when they are received.
async fn expire(queues: &Queues, room: &Room) -> Result<(), StoreError> {
    let (now, retention_s) = (queues.world.now(), room.settings().retention_s);
    room.messages.expire(before(now, Duration::from_secs(u64::from(retention_s)))).await?;
    match &room.fifo {
        Some(fifo) => fifo.trim(&queues.store, now),
        None => Ok(()),
    }
}
