//! The pulled door: a stream as `consume` walks it.

use crate::Streams;
use crate::live::{LiveShard, LiveStream};
use crate::record;
use crate::state::shard_id;
use consume::{Chunk, ReadLimit, Record, ShardInfo, Source, SourceError, Start};
use names::{Arn, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use world::BoxFuture;

/// One stream. It ends with the stream, even if another of the same name follows.
pub(crate) struct StreamSource {
    streams: Arc<Streams>,
    arn: Arn,
    name: String,
    created: Timestamp,
}

impl StreamSource {
    pub(crate) fn new(streams: Arc<Streams>, stream: &LiveStream) -> StreamSource {
        let (name, created) = (stream.def.name.clone(), stream.def.created);
        StreamSource { streams, arn: stream.arn.clone(), name, created }
    }

    fn stream(&self) -> Result<Arc<LiveStream>, SourceError> {
        let same = |stream: &Arc<LiveStream>| stream.def.created == self.created;
        self.streams.lookup(&self.name).filter(same).ok_or_else(|| SourceError::Gone(self.arn.to_string()))
    }

    /// Whether something is to be learnt about a shard: records from a position on, its end, or that it is gone.
    fn has_news(&self, shard: &str, from: u64) -> bool {
        let Ok(stream) = self.stream() else { return true };
        let Some(shard) = stream.shard_by_id(shard) else { return true };
        shard.def.closed.is_some() || self.streams.store().extent(shard.log).next > from
    }

    async fn wait(&self, shard: &str, from: u64) {
        let mut changes = self.streams.changes();
        loop {
            if self.has_news(shard, from) {
                return;
            }
            let Some(log) = self.stream().ok().and_then(|stream| Some(stream.shard_by_id(shard)?.log)) else {
                return;
            };
            let mut records = self.streams.store().watch(log);
            if *records.borrow_and_update() > from {
                return;
            }
            tokio::select! {
                biased;
                // Closed when the log is dropped: then the stream is gone.
                open = records.changed() => if open.is_err() { return },
                open = changes.changed() => if open.is_err() { return },
            }
        }
    }
}

impl Source for StreamSource {
    fn arn(&self) -> Arn {
        self.arn.clone()
    }

    fn since(&self) -> Timestamp {
        self.created
    }

    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        let stream = self.stream()?;
        let info = |shard: &LiveShard| ShardInfo {
            id: shard.id.clone(),
            parents: [shard.def.parent, shard.def.adjacent_parent].into_iter().flatten().map(shard_id).collect(),
        };
        Ok(stream.shards.iter().map(info).collect())
    }

    fn start_at(&self, shard: &str, start: Start) -> Result<u64, SourceError> {
        let stream = self.stream()?;
        let shard = find(&stream, shard)?;
        let (store, horizon) = (self.streams.store(), stream.def.horizon(self.streams.world().now()));
        Ok(match start {
            Start::TrimHorizon => store.find_time(shard.log, horizon),
            Start::Latest => store.extent(shard.log).next,
            Start::At(at) => store.find_time(shard.log, at.max(horizon)),
        })
    }

    fn read(&self, shard: &str, from: u64, limit: ReadLimit) -> Result<Chunk, SourceError> {
        let stream = self.stream()?;
        let shard = find(&stream, shard)?;
        let store = self.streams.store();
        let limit = store::ReadLimit { records: limit.records, bytes: limit.bytes };
        let stored = store.read(shard.log, from, limit).map_err(|error| match error {
            StoreError::NoLog(_) => SourceError::Gone(self.arn.to_string()),
            other => SourceError::Fault(other.to_string()),
        })?;
        let mut records = Vec::with_capacity(stored.len());
        for stored in stored {
            let record = record::read(&stored.data)
                .map_err(|error| SourceError::Fault(format!("{error} at {} of {}", stored.index, shard.id)))?;
            records.push(Record {
                position: stored.index,
                sequence: shard.sequence(stored.index, stored.at).into(),
                key: record.key().to_owned(),
                at: stored.at,
                data: record.data,
            });
        }
        let extent = store.extent(shard.log);
        // Where nothing is left of what was behind the position, reading goes on with the oldest there is.
        let next = records.last().map_or(from.max(extent.first), |record| record.position + 1);
        let at_tip = next >= extent.next;
        let behind = records.last().filter(|_| !at_tip);
        let behind = behind.map_or(Duration::ZERO, |last| self.streams.world().now().since(last.at));
        let ended = shard.def.closed.is_some_and(|closed| next >= closed.position);
        Ok(Chunk { records, next, ended, behind })
    }

    fn changed<'a>(&'a self, shard: &'a str, from: u64) -> BoxFuture<'a, ()> {
        Box::pin(self.wait(shard, from))
    }

    fn reshaped<'a>(&'a self, last: Option<&'a str>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut changes = self.streams.changes();
            while self.stream().is_ok_and(|stream| stream.shards.last().map(|shard| shard.id.as_str()) == last) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

fn find<'a>(stream: &'a LiveStream, shard: &str) -> Result<&'a LiveShard, SourceError> {
    stream.shard_by_id(shard).ok_or_else(|| SourceError::NoShard(shard.to_owned()))
}
