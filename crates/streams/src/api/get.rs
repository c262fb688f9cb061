use super::describe::range_shape;
use super::put::refuse_dry_run;
use crate::Streams;
use crate::error;
use crate::limits::{ITERATOR_LIFE, READ_BYTES, READ_RECORDS};
use crate::live::{LiveShard, LiveStream};
use crate::record::{self, NotARecord};
use crate::sequence::Sequence;
use crate::signals::note;
use crate::state::{shard_id, shard_number};
use crate::streams::asked;
use crate::token::ShardIterator;
use bytes::Bytes;
use names::Timestamp;
use shapes::kinesis::{
    ChildShard, EncryptionType, GetRecordsInput, GetRecordsOutput, GetShardIteratorInput, GetShardIteratorOutput,
    Record, ShardIteratorType, errors,
};
use std::sync::Arc;
use std::time::Duration;
use store::{ReadLimit, Shown, StoreError};
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>
pub(crate) async fn get_shard_iterator(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: GetShardIteratorInput,
) -> Result<GetShardIteratorOutput, ApiError> {
    let name = streams.name_of(asked!(input))?;
    streams.admit(&call, Some(name))?;
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
    call: Arc<Call>,
    input: GetRecordsInput,
) -> Result<GetRecordsOutput, ApiError> {
    let reader = Reader::find(&streams, &input.shard_iterator, input.stream_arn.as_deref())?;
    streams.admit_to(&call, &reader.stream)?;
    refuse_dry_run(input.dry_run)?;
    reader.timed(&streams, |reader| {
        let limit = reader.begin(&streams, input.limit)?;
        let mut records = Vec::new();
        let gathered = reader.gather(&streams, limit, |sequence, at, stored| {
            let (key, data) = record::parts(stored.data)?;
            records.push(Record {
                sequence_number: sequence.into(),
                approximate_arrival_timestamp: Some(at),
                partition_key: Some(key.to_owned()),
                data: Bytes::copy_from_slice(data),
                encryption_type: stored.sealed.then_some(EncryptionType::Kms),
            });
            Ok(key.len() + data.len())
        })?;
        Ok(GetRecordsOutput {
            records,
            next_shard_iterator: gathered.next,
            millis_behind_latest: Some(gathered.behind),
            child_shards: gathered.children,
        })
    })
}

/// Who reads, and where: what an iterator says.
pub(crate) struct Reader {
    stream: Arc<LiveStream>,
    /// The shard's place in the stream's list.
    place: usize,
    position: u64,
    began: Duration,
}

/// What an answer says beside its records.
pub(crate) struct Gathered {
    /// The iterator to go on with; none at the end of a closed shard.
    pub(crate) next: Option<String>,
    /// How far the last record is behind the newest, in milliseconds.
    pub(crate) behind: i64,
    /// The shards that go on, at the end of a closed one.
    pub(crate) children: Option<Vec<ChildShard>>,
}

impl Reader {
    /// What this iterator stands for, where it is still good.
    pub(crate) fn find(streams: &Streams, iterator: &str, arn: Option<&str>) -> Result<Reader, ApiError> {
        let began = streams.world().clock.monotonic();
        let iterator = streams.tokens().open_iterator(iterator);
        let iterator = iterator.ok_or_else(|| error::argument("Invalid ShardIterator."))?;
        check_age(iterator.issued, streams.world().now())?;
        let gone = || error::shard_gone(streams.home(), &iterator.stream, iterator.shard);
        if arn.is_some_and(|arn| arn != streams.arn(&iterator.stream).as_str()) {
            return Err(error::argument("Invalid ShardIterator."));
        }
        let same = |stream: &Arc<LiveStream>| stream.def.is_open() && stream.def.created == iterator.created;
        let stream = streams.lookup(&iterator.stream).filter(same).ok_or_else(gone)?;
        let place = stream.place_by_number(iterator.shard).ok_or_else(gone)?;
        Ok(Reader { stream, place, position: iterator.position, began })
    }

    /// Whether the stream's policy does not have to be asked first.
    pub(crate) fn is_free(&self) -> bool {
        self.stream.policies.is_empty()
    }

    pub(crate) fn shard(&self) -> &LiveShard {
        &self.stream.shards[self.place]
    }

    /// Reads, and counts how that went and how long it took.
    pub(crate) fn timed<T>(
        &self,
        streams: &Streams,
        read: impl FnOnce(&Reader) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let result = read(self);
        let took = streams.world().clock.monotonic().saturating_sub(self.began);
        self.stream.series.get_records.ended(took, result.is_ok());
        result
    }

    /// Whether the shard's limits let the reader in now, and how much it may have.
    pub(crate) fn begin(&self, streams: &Streams, limit: Option<i32>) -> Result<ReadLimit, ApiError> {
        if self.shard().flow(streams.world().clock.monotonic()).is_some_and(|mut flow| !flow.admit_read()) {
            self.stream.series.read_exceeded.record(1);
            note(&self.shard().series.read_exceeded, 1);
            return Err(throttled(streams, &self.stream, self.shard()));
        }
        Ok(ReadLimit { records: limit.map_or(READ_RECORDS, |n| n.max(1) as usize), bytes: READ_BYTES })
    }

    /// Shows the records: number, arrival and stored form; whoever sees one says how many bytes of it count.
    pub(crate) fn gather(
        &self,
        streams: &Streams,
        limit: ReadLimit,
        mut each: impl FnMut(Sequence, Timestamp, Shown<'_>) -> Result<usize, NotARecord>,
    ) -> Result<Gathered, ApiError> {
        let (stream, shard) = (&*self.stream, self.shard());
        let (mut next, mut last, mut count, mut bytes, mut damaged) = (self.position, None, 0, 0, None);
        let show = |stored: Shown<'_>| {
            let Shown { index, at, .. } = stored;
            match each(shard.sequence(index, at), Timestamp::from_millis(at.millis()), stored) {
                Ok(counted) => bytes += counted,
                Err(error) => damaged = Some(error),
            }
            (next, last) = (index + 1, Some(at));
            count += 1;
        };
        let read = streams.store().read_each(shard.log, self.position, limit, show);
        read.map_err(|error| match error {
            StoreError::NoLog(_) => error::shard_gone(streams.home(), &stream.def.name, shard.def.number),
            other => other.into(),
        })?;
        if let Some(error) = damaged {
            return Err(error::damaged(error, &shard.id));
        }
        if let Some(mut flow) = shard.flow(streams.world().clock.monotonic()) {
            flow.gave(bytes);
        }
        let extent = streams.store().extent(shard.log);
        // Where nothing is left of what was behind the position, reading goes on with the oldest there is.
        let next = last.map_or(next.max(extent.first), |_| next);
        let at_tip = next >= extent.next;
        let behind = last.filter(|_| !at_tip).map_or(0, |last| streams.world().now().since(last).as_millis() as u64);
        stream.series.get_records.bytes.record(bytes as u64);
        stream.series.get_records_records.record(count);
        stream.series.get_records_age.record(behind);
        note(&shard.series.outgoing_bytes, bytes as u64);
        note(&shard.series.outgoing_records, count);
        note(&shard.series.age, behind);
        let ended = shard.def.closed.is_some_and(|closed| next >= closed.position);
        Ok(Gathered {
            next: (!ended).then(|| iterator(streams, stream, shard, next)),
            behind: behind as i64,
            children: ended.then(|| children(stream, shard.def.number)),
        })
    }
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
