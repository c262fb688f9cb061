//! What runs in the background: finishing streams, forgetting old records.

use crate::Streams;
use crate::hash;
use crate::limits::TRIM_EVERY;
use crate::live::LiveStream;
use crate::state::{Change, Shard, Status, Stream, log_name};
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use wire::ApiError;
use world::{Stage, Stop};

/// How long to wait before the store is asked again after it failed.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(streams: &Arc<Streams>) {
    let (settling, trimming) = (streams.clone(), streams.clone());
    let tasks = &streams.world().tasks;
    tasks.spawn(Stage::Sources, "streams: settle", |stop| settle(settling, stop));
    tasks.spawn(Stage::Sources, "streams: retention", |stop| trim_regularly(trimming, stop));
}

async fn settle(streams: Arc<Streams>, mut stop: Stop) {
    loop {
        let mut pause = streams.settle_after();
        for stream in streams.unfinished() {
            if let Err(error) = finish(&streams, &stream.def).await {
                tracing::error!(stream = stream.def.name, %error, "a stream's creation or deletion has to wait");
                pause = RETRY;
            }
        }
        if streams.unfinished().is_empty() {
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = streams.unsettled().notified() => {}
            }
        }
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = streams.world().clock.sleep(pause) => {}
        }
    }
}

/// Does what is left of a stream's creation or deletion. Safe to repeat after a crash at any point.
async fn finish(streams: &Arc<Streams>, stream: &Stream) -> Result<(), ApiError> {
    match stream.status {
        Status::Active => Ok(()),
        Status::Creating => {
            let mut shards = Vec::with_capacity(stream.first_shards as usize);
            for (number, (start, end)) in (0..).zip(hash::split(stream.first_shards)) {
                let log = streams.store().log(&log_name(&stream.name, number)).await?.0;
                let (parent, adjacent_parent, closed) = (None, None, None);
                shards.push(Shard {
                    number,
                    parent,
                    adjacent_parent,
                    start,
                    end,
                    created: stream.created,
                    log,
                    closed,
                });
            }
            let change = Change::Activated { name: stream.name.clone(), shards };
            streams.change(stream.name.clone(), |_| Ok(vec![change])).await
        }
        Status::Deleting => {
            for shard in &stream.shards {
                if let Some(log) = streams.store().find_log(&log_name(&stream.name, shard.number)) {
                    streams.store().drop_log(log).await?;
                }
            }
            let change = Change::Deleted { name: stream.name.clone() };
            streams.change(stream.name.clone(), |_| Ok(vec![change])).await
        }
    }
}

async fn trim_regularly(streams: Arc<Streams>, mut stop: Stop) {
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = streams.world().clock.sleep(TRIM_EVERY) => {}
        }
        for stream in streams.all() {
            if let Err(error) = trim(&streams, &stream) {
                tracing::warn!(stream = stream.def.name, %error, "old records could not be forgotten");
            }
        }
    }
}

/// Forgets what is older than the stream's retention.
pub(crate) fn trim(streams: &Streams, stream: &LiveStream) -> Result<(), StoreError> {
    let horizon = stream.def.horizon(streams.world().now());
    for shard in stream.shards.iter().filter(|_| stream.def.is_active()) {
        let before = streams.store().find_time(shard.log, horizon);
        if before > streams.store().extent(shard.log).first {
            streams.store().trim(shard.log, before)?;
        }
    }
    Ok(())
}
