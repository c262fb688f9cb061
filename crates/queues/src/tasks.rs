//! The woken door: what has been kept as long as its queue keeps messages is dropped, whether anybody receives or not.

use crate::Queues;
use crate::limits::EXPIRY_TICK;
use crate::queues::Room;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use world::{Stage, Timestamp};

/// Messages dropped with one append.
const STEP: u64 = 10_000;

pub(crate) fn start(queues: &Arc<Queues>) {
    let queues = queues.clone();
    let tasks = queues.world.tasks.clone();
    tasks.spawn(Stage::Sources, "queues expiry", move |mut stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = queues.world.clock.sleep(EXPIRY_TICK) => {}
            }
            for room in queues.all() {
                if let Err(error) = expire(&queues, &room).await {
                    tracing::warn!(%error, queue = room.name, "expired messages could not be dropped; the next tick tries again");
                }
            }
        }
    });
}

/// Drops what is too old, and gives its place on disk back. Messages moved here from another queue are younger in the log
/// than by their own time stamp; those are dropped when they are received.
///
/// This leans on how `store::Queue` keeps its messages: a message's number is its record's index in the queue's log.
/// What is acknowledged is never read again, so records below the last expired one may be forgotten.
async fn expire(queues: &Queues, room: &Room) -> Result<(), StoreError> {
    let Ok(retention_s) = queues.setting(room, |settings| settings.retention_s) else { return Ok(()) };
    let retention = Duration::from_secs(u64::from(retention_s));
    let now = queues.world.now();
    let before = Timestamp(now.micros().saturating_sub(retention.as_micros() as i64));
    let Some(log) = room.log(queues) else { return Ok(()) };
    let end = queues.store.find_time(log, before);
    let mut from = queues.store.extent(log).first;
    while from < end {
        let to = end.min(from + STEP);
        let ids: Vec<u64> = (from..to).collect();
        room.messages.ack_durable(&ids).await?;
        queues.store.trim(log, to)?;
        tracing::info!(queue = room.name, upto = to, "messages expired");
        from = to;
    }
    Ok(())
}
