//! The pulled door: a stream as `consume` walks it.

use crate::Streams;
use crate::api;
use crate::consumer::{Consumer, ConsumerStatus};
use crate::limits::Limits;
use crate::live::{LiveShard, LiveStream};
use crate::reader::Reader;
use crate::record;
use crate::state::shard_id;
use consume::{Chunk, ReadLimit, Record, ShardInfo, Source, SourceError, Start};
use names::{Arn, Timestamp};
use shapes::kinesis::ChildShard;
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use world::BoxFuture;

/// One stream. It ends with the stream, even if another of the same name follows, and with the consumer it is read for.
pub(crate) struct StreamSource {
    streams: Arc<Streams>,
    arn: Arn,
    name: String,
    created: Timestamp,
    consumer: Option<Consumer>,
}

impl StreamSource {
    pub(crate) fn new(streams: Arc<Streams>, stream: &LiveStream) -> StreamSource {
        let (name, created) = (stream.def.name.clone(), stream.def.created);
        StreamSource { streams, arn: stream.arn.clone(), name, created, consumer: None }
    }

    /// The same, read at a consumer's own rate.
    pub(crate) fn of_consumer(streams: Arc<Streams>, stream: &LiveStream, consumer: &Consumer) -> StreamSource {
        let arn = consumer.arn(&stream.arn).parse().unwrap_or_else(|_| stream.arn.clone());
        StreamSource { arn, consumer: Some(consumer.clone()), ..StreamSource::new(streams, stream) }
    }

    fn stream(&self) -> Result<Arc<LiveStream>, SourceError> {
        let same = |stream: &Arc<LiveStream>| stream.def.created == self.created;
        let gone = || SourceError::Gone(self.arn.to_string());
        let stream = self.streams.lookup(&self.name).filter(same).ok_or_else(gone)?;
        if self.consumer.as_ref().is_some_and(|consumer| !is_registered(&stream, consumer)) {
            return Err(gone());
        }
        Ok(stream)
    }

    /// Who reads for the consumer, where there is one and what it reads is limited.
    fn reader(&self, stream: &LiveStream) -> Option<Arc<Reader>> {
        stream.reader(self.consumer.as_ref()?).filter(|_| stream.limits == Limits::Aws)
    }

    /// The shards that go on where this one ended.
    pub(crate) fn children(&self, shard: &str) -> Vec<ChildShard> {
        let Ok(stream) = self.stream() else { return Vec::new() };
        stream.shard_by_id(shard).map_or_else(Vec::new, |shard| api::children(&stream, shard.def.number))
    }

    /// A sequence number to go on after, where the record before a position is not known.
    pub(crate) fn sequence_before(&self, shard: &str, position: u64) -> Option<String> {
        let stream = self.stream().ok()?;
        let shard = stream.shard_by_id(shard)?;
        Some(match position.checked_sub(1) {
            Some(last) => shard.sequence(last, self.streams.world().now()).into(),
            None => shard.def.first_sequence().into(),
        })
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
        let (reader, now) = (self.reader(&stream), self.streams.world().clock.monotonic());
        if let Some(wait) = reader.as_ref().and_then(|reader| reader.wait(shard.def.number, now)) {
            return Err(SourceError::NotYet(wait));
        }
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
                sealed: stored.sealed,
            });
        }
        if let Some(reader) = reader {
            let bytes = records.iter().map(|record| record.key.len() + record.data.len()).sum();
            reader.gave(shard.def.number, bytes, now);
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

fn is_registered(stream: &LiveStream, consumer: &Consumer) -> bool {
    let same = |known: &&Consumer| known.created == consumer.created && known.status != ConsumerStatus::Deleting;
    stream.def.consumers.get(&consumer.name).filter(same).is_some()
}

fn find<'a>(stream: &'a LiveStream, shard: &str) -> Result<&'a LiveShard, SourceError> {
    stream.shard_by_id(shard).ok_or_else(|| SourceError::NoShard(shard.to_owned()))
}
