//! A shard pushed to one of its stream's consumers: what `SubscribeToShard` opens.
//!
//! It reads the way event source mappings do, through the stream's source, and waits where they wait: for an append, for
//! the consumer's own allowance, or for the client to make room. One event is being made at a time.

use crate::Streams;
use crate::error;
use crate::limits::{EVENT_BYTES, EVENT_RECORDS, HEARTBEAT, LAST_WORD, SUBSCRIPTION_LIFE};
use crate::reader::TakenOver;
use crate::signals::ConsumerSeries;
use crate::source::StreamSource;
use consume::{Chunk, ReadLimit, Source, SourceError};
use names::Timestamp;
use shapes::kinesis::{ChildShard, EncryptionType, Record, SubscribeToShardEvent, SubscribeToShardEventStream};
use std::sync::Arc;
use tokio::sync::oneshot;
use wire::{ApiError, EventSink, Gone};
use world::Stop;

/// A subscription that has been granted.
pub(crate) struct Subscription {
    pub(crate) streams: Arc<Streams>,
    pub(crate) source: StreamSource,
    /// What the consumer is called in errors: `ACCOUNT:STREAM:SHARD:CONSUMER`.
    pub(crate) label: String,
    pub(crate) shard: String,
    /// The position of the next record.
    pub(crate) position: u64,
    pub(crate) series: ConsumerSeries,
}

type Events = EventSink<SubscribeToShardEventStream>;

/// How a subscription ends.
enum End {
    /// Without a word: its time is over, the shard's end was told, or nobody listens any more.
    Quiet,
    /// With an error.
    Error(ApiError),
}

impl From<Gone> for End {
    fn from(_: Gone) -> End {
        End::Quiet
    }
}

impl Subscription {
    /// Pushes until the client goes, the time is over, another takes over, the shard ends or the house is shut down.
    pub(crate) async fn run(mut self, events: Events, over: oneshot::Receiver<TakenOver>, mut stop: Stop) {
        let clock = self.streams.world().clock.clone();
        let (label, arn) = (self.label.clone(), self.source.arn());
        let series = self.series.clone();
        let end = tokio::select! {
            biased;
            () = stop.wait() => End::Quiet,
            () = events.gone() => End::Quiet,
            over = over => match over {
                Ok(TakenOver) => End::Error(error::other_subscription(&label)),
                Err(_) => End::Error(error::no_consumer(arn.as_str(), arn.account())),
            },
            () = clock.sleep(SUBSCRIPTION_LIFE) => End::Quiet,
            end = self.push(&events) => match end {
                Ok(()) => End::Quiet,
                Err(end) => end,
            },
        };
        if let End::Error(error) = end {
            series.event_success.record(0);
            tokio::select! {
                biased;
                _ = events.fail(&error) => {}
                // A client that takes nothing is not waited for.
                () = clock.sleep(LAST_WORD) => {}
            }
        }
    }

    async fn push(&mut self, events: &Events) -> Result<(), End> {
        let clock = self.streams.world().clock.clone();
        let limit = ReadLimit { records: EVENT_RECORDS, bytes: EVENT_BYTES };
        // The first event tells the client where it stands, whether there are records or not.
        let mut due = true;
        loop {
            events.room().await?;
            match self.source.read(&self.shard, self.position, limit) {
                Ok(chunk) if chunk.records.is_empty() && chunk.ended => {
                    let children = self.source.children(&self.shard);
                    self.send(events, chunk, Some(children)).await?;
                    return Ok(());
                }
                Ok(chunk) if due || !chunk.records.is_empty() => {
                    self.send(events, chunk, None).await?;
                    due = false;
                }
                Ok(_) => tokio::select! {
                    biased;
                    () = self.source.changed(&self.shard, self.position) => {}
                    () = clock.sleep(HEARTBEAT) => due = true,
                },
                Err(SourceError::NotYet(wait)) => clock.sleep(wait).await,
                Err(SourceError::Gone(_)) => {
                    let arn = self.source.arn();
                    return Err(End::Error(error::no_consumer(arn.as_str(), arn.account())));
                }
                Err(SourceError::NoShard(_)) => return Err(End::Error(error::no_shard_left(&self.label))),
                Err(error @ SourceError::Fault(_)) => return Err(End::Error(ApiError::fault(error))),
            }
        }
    }

    async fn send(&mut self, events: &Events, chunk: Chunk, end: Option<Vec<ChildShard>>) -> Result<(), End> {
        let continuation = match (&end, chunk.records.last()) {
            // There is nothing to go on with behind the end.
            (Some(_), _) => None,
            (None, Some(last)) => Some(last.sequence.clone()),
            (None, None) => self.source.sequence_before(&self.shard, chunk.next),
        };
        let bytes: usize = chunk.records.iter().map(|record| record.key.len() + record.data.len()).sum();
        let behind = chunk.behind.as_millis() as u64;
        self.series.event_bytes.record(bytes as u64);
        self.series.event_records.record(chunk.records.len() as u64);
        self.series.event_behind.record(behind);
        let event = SubscribeToShardEvent {
            records: chunk.records.into_iter().map(record_shape).collect(),
            continuation_sequence_number: continuation,
            millis_behind_latest: behind as i64,
            child_shards: end,
        };
        events.send(SubscribeToShardEventStream::SubscribeToShardEvent(event)).await?;
        self.series.event_success.record(1);
        self.position = chunk.next;
        Ok(())
    }
}

fn record_shape(record: consume::Record) -> Record {
    Record {
        sequence_number: record.sequence,
        approximate_arrival_timestamp: Some(Timestamp::from_millis(record.at.millis())),
        data: record.data,
        partition_key: Some(record.key),
        encryption_type: record.sealed.then_some(EncryptionType::Kms),
    }
}
