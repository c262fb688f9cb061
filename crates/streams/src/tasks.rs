//! What runs in the background: finishing streams, forgetting old records, fitting on-demand streams to what they take.

use crate::Streams;
use crate::consumer::{Consumer, ConsumerChange, ConsumerStatus};
use crate::demand::{self, Peak};
use crate::hash;
use crate::limits::{DAY, MEASURE_EVERY, TRIM_EVERY, shards_on_demand};
use crate::live::LiveStream;
use crate::reshape::Reshape;
use crate::reshard::{make_logs, reshard};
use crate::state::{Change, Mode, Shard, State, Status, Stream, log_prefix, shard_number};
use names::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use wire::ApiError;
use world::{Stage, Stop};

/// How long to wait before the store is asked again after it failed.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(streams: &Arc<Streams>) {
    let (settling, trimming, measuring) = (streams.clone(), streams.clone(), streams.clone());
    let tasks = &streams.world().tasks;
    tasks.spawn(Stage::Sources, "streams: settle", |stop| settle(settling, stop));
    tasks.spawn(Stage::Sources, "streams: retention", |stop| trim_regularly(trimming, stop));
    tasks.spawn(Stage::Sources, "streams: on demand", |stop| measure_regularly(measuring, stop));
}

async fn settle(streams: Arc<Streams>, mut stop: Stop) {
    loop {
        let mut pause = streams.settle_after();
        for stream in streams.unfinished() {
            if let Err(error) = finish(&streams, &stream).await {
                tracing::error!(stream = stream.def.name, %error, "a stream's creation, change or deletion has to wait");
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

/// Does what is left of a stream's creation, change or deletion, and of its consumers'. Safe to repeat after a crash at any
/// point.
async fn finish(streams: &Arc<Streams>, live: &LiveStream) -> Result<(), ApiError> {
    let stream = &live.def;
    if stream.is_open() {
        finish_consumers(streams, live).await?;
    }
    match stream.status {
        Status::Active => Ok(()),
        Status::Updating => match stream.reshape {
            Some(reshape) => reshard(streams, live, reshape).await,
            None => {
                // What entered before the change is durable, or never acknowledged, before it is said to be done.
                drop(live.gate.clone().write_owned().await);
                let change = Change::Settled { name: stream.name.clone() };
                streams.change(stream.name.clone(), |_| Ok(vec![change])).await
            }
        },
        Status::Creating => {
            let logs = make_logs(streams, &stream.name, 0..stream.first_shards).await?;
            let shard = |((start, end), (number, log))| Shard {
                number,
                parent: None,
                adjacent_parent: None,
                start,
                end,
                created: stream.created,
                opened: stream.created,
                log,
                closed: None,
            };
            let shards = hash::split(stream.first_shards).zip((0..).zip(logs)).map(shard).collect();
            let change = Change::Activated { name: stream.name.clone(), shards };
            streams.change(stream.name.clone(), |_| Ok(vec![change])).await
        }
        Status::Deleting => {
            let logs = streams.store().logs(&log_prefix(&stream.name));
            streams.store().drop_logs(logs.into_iter().map(|(_, log)| log).collect()).await?;
            streams.store().drop_keys(&log_prefix(&stream.name)).await?;
            let change = Change::Deleted { name: stream.name.clone() };
            streams.change(stream.name.clone(), |_| Ok(vec![change])).await
        }
    }
}

async fn finish_consumers(streams: &Arc<Streams>, live: &LiveStream) -> Result<(), ApiError> {
    let name = live.def.name.clone();
    let unsettled = live.def.consumers.values().filter(|consumer| consumer.status != ConsumerStatus::Active);
    let step = |consumer: &Consumer| {
        let change = |change| Change::Consumer { name: name.clone(), consumer: consumer.name.clone(), change };
        if consumer.status == ConsumerStatus::Creating {
            return vec![change(ConsumerChange::Activated)];
        }
        let policy = Change::Policy { name: name.clone(), arn: consumer.arn(&live.arn), policy: None };
        vec![change(ConsumerChange::Forgotten), policy]
    };
    let changes: Vec<(Consumer, Vec<Change>)> = unsettled.map(|consumer| (consumer.clone(), step(consumer))).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let asked = name.clone();
    let decide = move |state: &State| {
        let known = state.streams.get(&asked).map(|stream| &stream.consumers);
        let same = |consumer: &Consumer| known.and_then(|known| known.get(&consumer.name)) == Some(consumer);
        Ok(changes.into_iter().filter(|(consumer, _)| same(consumer)).flat_map(|(_, changes)| changes).collect())
    };
    streams.change(name, decide).await
}

async fn trim_regularly(streams: Arc<Streams>, mut stop: Stop) {
    for stream in streams.all() {
        if let Err(error) = sweep(&streams, &stream.def).await {
            tracing::warn!(stream = stream.def.name, %error, "logs of forgotten shards could not be dropped");
        }
    }
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
            if let Err(error) = forget(&streams, &stream).await {
                tracing::warn!(stream = stream.def.name, %error, "old shards could not be forgotten");
            }
        }
    }
}

/// Forgets the shards that ended longer ago than records are kept.
async fn forget(streams: &Arc<Streams>, stream: &LiveStream) -> Result<(), ApiError> {
    let (name, created, now) = (stream.def.name.clone(), stream.def.created, streams.world().now());
    if !stream.def.is_active() || !stream.def.shards.iter().any(|shard| shard.is_expired(&stream.def, now)) {
        return Ok(());
    }
    let decide = move |state: &State| {
        // It may have been deleted meanwhile, or keep its records for longer.
        let stream = state.streams.get(&name).filter(|stream| stream.created == created);
        let shards = stream.into_iter().flat_map(|stream| stream.shards.iter().filter(|s| s.is_expired(stream, now)));
        let shards: Vec<u32> = shards.map(|shard| shard.number).collect();
        Ok(if shards.is_empty() { Vec::new() } else { vec![Change::Forgotten { name, shards }] })
    };
    streams.change(stream.def.name.clone(), decide).await?;
    match streams.lookup(&stream.def.name).filter(|stream| stream.def.created == created) {
        Some(stream) => Ok(sweep(streams, &stream.def).await?),
        None => Ok(()),
    }
}

/// Drops the logs of shards that are no longer known: a crash may have come between the two.
async fn sweep(streams: &Streams, stream: &Stream) -> Result<(), StoreError> {
    let Some(newest) = stream.shards.last().map(|shard| shard.number) else { return Ok(()) };
    let is_known = |number: u32| stream.shards.binary_search_by_key(&number, |shard| shard.number).is_ok();
    // Later numbers may be shards that are just being made.
    let left = |name: &str| shard_number(name).is_some_and(|number| number < newest && !is_known(number));
    let logs = streams.store().logs(&log_prefix(&stream.name)).into_iter();
    let logs: Vec<_> = logs.filter(|(name, _)| left(name)).map(|(_, log)| log).collect();
    if logs.is_empty() { Ok(()) } else { streams.store().drop_logs(logs).await }
}

/// Forgets what is older than the stream's retention.
pub(crate) fn trim(streams: &Streams, stream: &LiveStream) -> Result<(), StoreError> {
    let horizon = stream.def.horizon(streams.world().now());
    for shard in stream.shards.iter().filter(|_| stream.def.is_open()) {
        let before = streams.store().find_time(shard.log, horizon);
        if before > streams.store().extent(shard.log).first {
            streams.store().trim(shard.log, before)?;
        }
    }
    Ok(())
}

/// What a stream had taken when it was last measured.
struct Measured {
    created: Timestamp,
    at: Duration,
    taken: (u64, u64),
}

async fn measure_regularly(streams: Arc<Streams>, mut stop: Stop) {
    let mut before = BTreeMap::<String, Measured>::new();
    loop {
        let all = streams.all();
        before.retain(|name, _| all.iter().any(|stream| stream.def.name == *name));
        for stream in all.iter().filter(|stream| stream.def.mode == Mode::OnDemand) {
            let now = Measured {
                created: stream.def.created,
                at: streams.world().clock.monotonic(),
                taken: stream.intake.read(),
            };
            let last = before.insert(stream.def.name.clone(), now);
            let last = last.filter(|last| last.created == stream.def.created);
            let now = &before[&stream.def.name];
            let peak = last.map_or(Peak::default(), |last| rate(&last, now));
            if let Err(error) = fit(&streams, &stream.def, peak).await {
                tracing::warn!(stream = stream.def.name, %error, "an on-demand stream could not be scaled");
            }
        }
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = streams.world().clock.sleep(MEASURE_EVERY) => {}
        }
    }
}

fn rate(last: &Measured, now: &Measured) -> Peak {
    let passed_ms = (now.at.saturating_sub(last.at).as_millis() as u64).max(1);
    let per_second = |before: u64, after: u64| after.saturating_sub(before).saturating_mul(1000) / passed_ms;
    Peak { records: per_second(last.taken.0, now.taken.0), bytes: per_second(last.taken.1, now.taken.1) }
}

/// Notes what an on-demand stream took, and gives it the shards it needs. A stream that is being changed is left alone.
async fn fit(streams: &Arc<Streams>, stream: &Stream, peak: Peak) -> Result<(), ApiError> {
    let day = streams.world().now().secs().div_euclid(DAY.as_secs() as i64);
    let greatest = shards_on_demand(streams.home().region.as_str());
    let (name, created) = (stream.name.clone(), stream.created);
    let changes = move |stream: &Stream| {
        let mut changes = Vec::new();
        let mut peaks = stream.peaks.clone();
        if peaks.is_news(day, peak) {
            peaks.note(day, peak);
            changes.push(Change::Peaked { name: name.clone(), day, peak });
        }
        if let Some(count) = demand::shards(&peaks, stream.warm_mibps, day, stream.open().count() as u32, greatest) {
            changes.push(Change::Updating { name: name.clone(), reshape: Some(Reshape::Count(count)) });
        }
        changes
    };
    if !stream.is_active() || changes(stream).is_empty() {
        return Ok(());
    }
    let asked = stream.name.clone();
    let decide = move |state: &State| {
        let same = |stream: &&Stream| stream.created == created && stream.is_active() && stream.mode == Mode::OnDemand;
        Ok(state.streams.get(&asked).filter(same).map_or_else(Vec::new, changes))
    };
    streams.change(stream.name.clone(), decide).await
}
