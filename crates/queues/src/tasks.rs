//! The woken door: what has been kept as long as its queue keeps messages is dropped, whether anybody receives or not.

use crate::Queues;
use crate::limits::EXPIRY_TICK;
use crate::queues::{Room, log_name};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
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

/// Drops what is too old. Messages moved here from another queue are younger in the log than by their own time stamp;
/// those are dropped when they are received.
async fn expire(queues: &Queues, room: &Room) -> Result<(), StoreError> {
    let Ok(retention_s) = queues.setting(room, |settings| settings.retention_s) else { return Ok(()) };
    let retention = Duration::from_secs(u64::from(retention_s));
    let now = queues.world.now();
    let before = Timestamp(now.micros().saturating_sub(retention.as_micros() as i64));
    // A queue's messages are numbered as the records of this log are: that is the store's promise to us.
    let Some(log) = queues.store.find_log(&format!("{}/messages", log_name(&room.name, room.life))) else {
        return Ok(());
    };
    let end = queues.store.find_time(log, before);
    let mut from = room.expired.load(Relaxed).max(queues.store.extent(log).first);
    while from < end {
        let to = end.min(from + STEP);
        let ids: Vec<u64> = (from..to).collect();
        let dropped = room.messages.ack_durable(&ids).await?.into_iter().filter(|news| *news).count();
        if dropped > 0 {
            tracing::info!(queue = room.name, dropped, "messages expired");
        }
        room.expired.store(to, Relaxed);
        from = to;
    }
    Ok(())
}
