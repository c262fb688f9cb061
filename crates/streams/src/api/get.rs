use super::describe::range_shape;
use super::put::refuse_dry_run;
use crate::Streams;
use crate::error;
use crate::limits::{ITERATOR_LIFE, READ_BYTES, READ_RECORDS};
use crate::live::{LiveShard, LiveStream};
use crate::record;
use crate::sequence::Sequence;
use crate::signals::note;
use crate::state::{shard_id, shard_number};
use crate::streams::asked;
use crate::token::ShardIterator;
use names::Timestamp;
use shapes::kinesis::{
    ChildShard, EncryptionType, GetRecordsInput, GetRecordsOutput, GetShardIteratorInput, GetShardIteratorOutput,
    Record, ShardIteratorType, errors,
};
use std::sync::Arc;
use store::{ReadLimit, StoreError};
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>
pub(crate) async fn get_shard_iterator(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: GetShardIteratorInput,
) -> Result<GetShardIteratorOutput, ApiError> {
    let name = streams.name_of(asked!(input))?;
    let Some(number) = shard_number(&input.shard_id) else {
        return Err(error::no_shard(streams.home(), name, &input.shard_id));
    };
    let gone = || error::shard_gone(streams.home(), name, number);
    let stream = streams.lookup(name).filter(|stream| stream.def.is_open()).ok_or_else(gone)?;
    let shard = stream.shard(number).ok_or_else(gone)?;
    let position = Position {
        kind: input.shard_iterator_type,
        sequence: input.starting_sequence_number.as_deref(),
        at: input.timestamp,
        operation: "GetShardIterator",
    };
    let position = position.resolve(&streams, &stream, shard)?;
    refuse_dry_run(input.dry_run)?;
    if shard.flow(streams.world().clock.monotonic()).is_some_and(|mut flow| !flow.admit_iterator()) {
        return Err(throttled(&streams, &stream, shard));
    }
    Ok(GetShardIteratorOutput { shard_iterator: Some(iterator(&streams, &stream, shard, position)) })
}

/// Where reading is to begin, as a call says it.
pub(super) struct Position<'a> {
    pub(super) kind: ShardIteratorType,
    pub(super) sequence: Option<&'a str>,
    pub(super) at: Option<Timestamp>,
    /// The operation called.
    pub(super) operation: &'static str,
}

impl Position<'_> {
    /// The place of the first record to be read.
    pub(super) fn resolve(&self, streams: &Streams, stream: &LiveStream, shard: &LiveShard) -> Result<u64, ApiError> {
        use ShardIteratorType as Type;
        let mismatch = |and: &str| {
            error::argument(format!(
                "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) \
                 TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {} and {and} \
                 StartingSequenceNumber.",
                self.kind
            ))
        };
        let (store, now) = (streams.store(), streams.world().now());
        match (self.kind, self.sequence) {
            (Type::AtSequenceNumber | Type::AfterSequenceNumber, None) => Err(mismatch("no")),
            (Type::TrimHorizon | Type::Latest | Type::AtTimestamp, Some(_)) => Err(mismatch("also a")),
            (Type::AtSequenceNumber, Some(text)) => Ok(self.sequence(streams, stream, shard, text)?.position()),
            (Type::AfterSequenceNumber, Some(text)) => {
                Ok(self.sequence(streams, stream, shard, text)?.position_after())
            }
            (Type::TrimHorizon, None) => Ok(store.find_time(shard.log, stream.def.horizon(now))),
            (Type::Latest, None) => Ok(store.extent(shard.log).next),
            (Type::AtTimestamp, None) => Ok(store.find_time(shard.log, self.time(now)?.max(stream.def.horizon(now)))),
        }
    }

    fn time(&self, now: Timestamp) -> Result<Timestamp, ApiError> {
        match self.at {
            None => Err(error::argument(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no \
                 timestamp parameter.",
            )),
            Some(at) if at.millis() > now.millis() => Err(error::argument(format!(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
                 timestampInMillis: {}, currentTimestampInMillis: {}",
                at.millis(),
                now.millis()
            ))),
            Some(at) => Ok(at),
        }
    }

    fn sequence(
        &self,
        streams: &Streams,
        stream: &LiveStream,
        shard: &LiveShard,
        text: &str,
    ) -> Result<Sequence, ApiError> {
        let invalid = |why: &str| {
            error::argument(format!(
                "StartingSequenceNumber {text} used in {} on shard {} in stream {} under account {} is invalid{why}.",
                self.operation,
                shard.id,
                stream.def.name,
                streams.home().account
            ))
        };
        let sequence = Sequence::parse(text).map_err(|_| invalid(""))?;
        if sequence.shard != shard.def.number {
            return Err(error::foreign_sequence(shard.def.number, sequence));
        }
        if sequence.created != shard.def.first_sequence().created {
            return Err(invalid(" because it did not come from this stream"));
        }
        Ok(sequence)
    }
}

fn iterator(streams: &Streams, stream: &LiveStream, shard: &LiveShard, position: u64) -> String {
    streams.tokens().seal_iterator(&ShardIterator {
        issued: streams.world().now(),
        created: stream.def.created,
        shard: shard.def.number,
        position,
        stream: stream.def.name.clone(),
    })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>
pub(crate) async fn get_records(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: GetRecordsInput,
) -> Result<GetRecordsOutput, ApiError> {
    let began = streams.world().clock.monotonic();
    let iterator = streams.tokens().open_iterator(&input.shard_iterator);
    let iterator = iterator.ok_or_else(|| error::argument("Invalid ShardIterator."))?;
    check_age(iterator.issued, streams.world().now())?;
    let gone = || error::shard_gone(streams.home(), &iterator.stream, iterator.shard);
    if input.stream_arn.as_ref().is_some_and(|arn| *arn != streams.arn(&iterator.stream).as_str()) {
        return Err(error::argument("Invalid ShardIterator."));
    }
    let same = |stream: &Arc<LiveStream>| stream.def.is_open() && stream.def.created == iterator.created;
    let stream = streams.lookup(&iterator.stream).filter(same).ok_or_else(gone)?;
    let shard = stream.shard(iterator.shard).ok_or_else(gone)?;
    refuse_dry_run(input.dry_run)?;
    let result = read(&streams, &stream, shard, iterator.position, input.limit);
    stream.series.get_records.ended(streams.world().clock.monotonic().saturating_sub(began), result.is_ok());
    result
}

fn read(
    streams: &Streams,
    stream: &LiveStream,
    shard: &LiveShard,
    position: u64,
    limit: Option<i32>,
) -> Result<GetRecordsOutput, ApiError> {
    let clock = &streams.world().clock;
    if shard.flow(clock.monotonic()).is_some_and(|mut flow| !flow.admit_read()) {
        stream.series.read_exceeded.record(1);
        note(&shard.series.read_exceeded, 1);
        return Err(throttled(streams, stream, shard));
    }
    let limit = ReadLimit { records: limit.map_or(READ_RECORDS, |n| n.max(1) as usize), bytes: READ_BYTES };
    let stored = streams.store().read(shard.log, position, limit).map_err(|error| match error {
        StoreError::NoLog(_) => error::shard_gone(streams.home(), &stream.def.name, shard.def.number),
        other => other.into(),
    })?;
    let mut records = Vec::with_capacity(stored.len());
    let (mut next, mut last, mut bytes) = (position, None, 0);
    for stored in stored {
        let sequence = shard.sequence(stored.index, stored.at);
        let record = record::read(&stored.data).map_err(|error| error::damaged(error, &shard.id))?;
        bytes += record.key.len() + record.data.len();
        (next, last) = (stored.index + 1, Some(stored.at));
        records.push(Record {
            sequence_number: sequence.into(),
            approximate_arrival_timestamp: Some(Timestamp::from_millis(stored.at.millis())),
            partition_key: Some(record.key().to_owned()),
            data: record.data,
            encryption_type: stored.sealed.then_some(EncryptionType::Kms),
        });
    }
    if let Some(mut flow) = shard.flow(clock.monotonic()) {
        flow.gave(bytes);
    }
    let extent = streams.store().extent(shard.log);
    // Where nothing is left of what was behind the position, reading goes on with the oldest there is.
    let next = last.map_or(next.max(extent.first), |_| next);
    let at_tip = next >= extent.next;
    let behind = last.filter(|_| !at_tip).map_or(0, |last| streams.world().now().since(last).as_millis() as u64);
    stream.series.get_records.bytes.record(bytes as u64);
    stream.series.get_records_records.record(records.len() as u64);
    stream.series.get_records_age.record(behind);
    note(&shard.series.outgoing_bytes, bytes as u64);
    note(&shard.series.outgoing_records, records.len() as u64);
    note(&shard.series.age, behind);
    let ended = shard.def.closed.is_some_and(|closed| next >= closed.position);
    Ok(GetRecordsOutput {
        records,
        next_shard_iterator: (!ended).then(|| iterator(streams, stream, shard, next)),
        millis_behind_latest: Some(behind as i64),
        child_shards: ended.then(|| children(stream, shard.def.number)),
    })
}

fn throttled(streams: &Streams, stream: &LiveStream, shard: &LiveShard) -> ApiError {
    let message = error::rate_exceeded(streams.home(), &stream.def.name, &shard.id);
    errors::PROVISIONED_THROUGHPUT_EXCEEDED_EXCEPTION.because(message)
}

/// The shards that go on where a closed one ended.
pub(crate) fn children(stream: &LiveStream, number: u32) -> Vec<ChildShard> {
    let parents = |shard: &LiveShard| [shard.def.parent, shard.def.adjacent_parent];
    let children = stream.shards.iter().filter(|shard| parents(shard).contains(&Some(number)));
    let shape = |shard: &LiveShard| ChildShard {
        shard_id: shard.id.clone(),
        parent_shards: parents(shard).into_iter().flatten().map(shard_id).collect(),
        hash_key_range: range_shape(&shard.def),
    };
    children.map(shape).collect()
}

fn check_age(issued: Timestamp, now: Timestamp) -> Result<(), ApiError> {
    if now.since(issued) <= ITERATOR_LIFE {
        return Ok(());
    }
    Err(errors::EXPIRED_ITERATOR_EXCEPTION.because(format!(
        "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than \
         the tolerated delay of {} milliseconds.",
        java_date(issued),
        java_date(now),
        ITERATOR_LIFE.as_millis()
    )))
}

/// `Thu Jan 22 01:22:02 UTC 2015`, as Java and hence AWS's message writes a date.
fn java_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = at.civil();
    let weekday = DAYS[at.secs().div_euclid(86_400).rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_java_does() {
        assert_eq!(java_date(Timestamp::from_millis(1_421_889_722_000)), "Thu Jan 22 01:22:02 UTC 2015");
        assert_eq!(java_date(Timestamp(0)), "Thu Jan 01 00:00:00 UTC 1970");
    }
}
