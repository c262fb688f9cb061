use crate::Streams;
use crate::error;
use crate::hash::HashKey;
use crate::limits::{PUT_BYTES, PUT_RECORDS};
use crate::live::{LiveShard, LiveStream};
use crate::record::Payload;
use crate::sequence::Sequence;
use crate::state::Stream;
use crate::streams::asked;
use crate::write::{Entry, Plan, Put, Written};
use shapes::kinesis::{
    EncryptionType, PutRecordInput, PutRecordOutput, PutRecordsInput, PutRecordsOutput, PutRecordsResultEntry, errors,
};
use std::sync::Arc;
use std::time::Duration;
use store::StoreError;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html>
pub(crate) async fn put_record(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: PutRecordInput,
) -> Result<PutRecordOutput, ApiError> {
    let began = streams.world().clock.monotonic();
    let entry = streams.enter(asked!(input)).await?;
    streams.admit_to(&call, &entry.stream)?;
    let stream = &*entry.stream;
    if let Some(sequence) = &input.sequence_number_for_ordering {
        check_ordering(&streams, stream, sequence)?;
    }
    let put = put(stream, input.partition_key.as_deref(), input.explicit_hash_key.as_deref(), &input.data, None)?;
    refuse_dry_run(input.dry_run)?;
    let bytes = put.counted();
    let plan = streams.plan(stream, &[put]);
    let (shard, sequence) = put_one(&streams, &entry, plan, bytes, began).await?;
    let encryption_type = encryption_shape(&stream.def);
    Ok(PutRecordOutput { shard_id: shard.id.clone(), sequence_number: sequence.into(), encryption_type })
}

/// Appends the one record of a plan, and counts it; where it went.
pub(crate) async fn put_one<'a>(
    streams: &Streams,
    entry: &'a Entry,
    plan: Plan,
    bytes: usize,
    began: Duration,
) -> Result<(&'a LiveShard, Sequence), ApiError> {
    let stream = &*entry.stream;
    let result = commit(streams, entry, plan).await;
    let written = result.as_ref().ok().and_then(|written| written.first());
    let series = &stream.series.put_record;
    series.bytes.record(bytes as u64);
    series.ended(streams.world().clock.monotonic().saturating_sub(began), written.is_some_and(|w| w.at.is_some()));
    let Written { place, at } = result?[0];
    let shard = &stream.shards[place];
    let Some((position, at)) = at else {
        let message = error::rate_exceeded(streams.home(), &stream.def.name, &shard.id);
        return Err(errors::PROVISIONED_THROUGHPUT_EXCEEDED_EXCEPTION.because(message));
    };
    Ok((shard, shard.sequence(position, at)))
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>
pub(crate) async fn put_records(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: PutRecordsInput,
) -> Result<PutRecordsOutput, ApiError> {
    let began = streams.world().clock.monotonic();
    let entry = streams.enter(asked!(input)).await?;
    streams.admit_to(&call, &entry.stream)?;
    let stream = &*entry.stream;
    let (plan, total) = plan_records(&streams, stream, &input)?;
    // The payloads are framed for the journal: no need to hold them while it writes.
    drop(input);
    let (written, failed) = put_all(&streams, &entry, plan, total, began).await?;
    let records = written.into_iter().map(|written| outcome(&streams, stream, written)).collect();
    let encryption_type = encryption_shape(&stream.def);
    Ok(PutRecordsOutput { failed_record_count: Some(failed as i32), records, encryption_type })
}

/// What an answer says of how records are encrypted: nothing where they are not.
fn encryption_shape(stream: &Stream) -> Option<EncryptionType> {
    stream.encryption.as_ref().map(|_| EncryptionType::Kms)
}

/// Appends the records of a plan, and counts them; where they went, and how many were not let in.
pub(crate) async fn put_all(
    streams: &Streams,
    entry: &Entry,
    plan: Plan,
    total: usize,
    began: Duration,
) -> Result<(Vec<Written>, usize), ApiError> {
    let count = plan.len();
    let result = commit(streams, entry, plan).await;
    let series = &entry.stream.series;
    let failed = result.as_ref().map_or(count, |written| written.iter().filter(|w| w.at.is_none()).count());
    series.put_records.bytes.record(total as u64);
    series.put_records_total.record(count as u64);
    series.put_records_successful.record((count - failed) as u64);
    series.put_records.ended(streams.world().clock.monotonic().saturating_sub(began), failed < count);
    if result.is_err() {
        series.put_records_failed.record(count as u64);
    }
    let written = result?;
    if failed > 0 {
        series.put_records_throttled.record(failed as u64);
    }
    Ok((written, failed))
}

fn plan_records(streams: &Streams, stream: &LiveStream, input: &PutRecordsInput) -> Result<(Plan, usize), ApiError> {
    debug_assert!(input.records.len() <= PUT_RECORDS, "the model's own constraint has been validated");
    let mut puts = Vec::with_capacity(input.records.len());
    let mut total = 0;
    for (i, record) in input.records.iter().enumerate() {
        let (key, hash) = (record.partition_key.as_deref(), record.explicit_hash_key.as_deref());
        let put = put(stream, key, hash, &record.data, Some(i + 1))?;
        total += put.counted();
        puts.push(put);
    }
    if total > PUT_BYTES {
        return Err(error::argument(format!("Records size exceeds {} MB limit", PUT_BYTES >> 20)));
    }
    // Planning counts against the shards' limits, so this comes first.
    refuse_dry_run(input.dry_run)?;
    Ok((streams.plan(stream, &puts), total))
}

async fn commit(streams: &Streams, entry: &Entry, plan: Plan) -> Result<Vec<Written>, ApiError> {
    streams.commit(entry, plan).await.map_err(|error| match error {
        // The stream went while the call was on its way.
        StoreError::NoLog(_) => error::no_stream(streams.home(), &entry.stream.def.name),
        other => other.into(),
    })
}

/// A record as it came, its hash key worked out. `nth` is its place in a call of several, from 1.
fn put<'a>(
    stream: &LiveStream,
    key: Option<&'a str>,
    explicit: Option<&str>,
    data: &'a [u8],
    nth: Option<usize>,
) -> Result<Put<'a>, ApiError> {
    let member = |name: &str| nth.map_or_else(|| name.to_owned(), |nth| format!("records.{nth}.member.{name}"));
    let Some(key) = key else { return Err(error::absent(&member("partitionKey"))) };
    let hash = match explicit {
        None => HashKey::of(key),
        Some(text) => HashKey::parse(text).ok_or_else(|| {
            error::argument(format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
            ))
        })?,
    };
    let put = Put { key, hash, data: Payload::Plain(data) };
    let limit = stream.def.record_bytes();
    if put.counted() > limit {
        return Err(error::too_long(&member("data"), limit));
    }
    Ok(put)
}

/// Records of one shard are in the order they came anyhow; the number is only checked.
fn check_ordering(streams: &Streams, stream: &LiveStream, text: &str) -> Result<(), ApiError> {
    let now = streams.world().now().secs().max(0) as u64;
    if Sequence::parse(text).is_ok_and(|sequence| sequence.at <= now) {
        return Ok(());
    }
    Err(error::argument(format!(
        "ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream {} under account {} is invalid.",
        stream.def.name,
        streams.home().account
    )))
}

/// The call is sound, and nothing was wanted but to know that.
pub(crate) fn refuse_dry_run(dry_run: Option<bool>) -> Result<(), ApiError> {
    if dry_run == Some(true) {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(errors::DRY_RUN_OPERATION_EXCEPTION.because(message));
    }
    Ok(())
}

fn outcome(streams: &Streams, stream: &LiveStream, Written { place, at }: Written) -> PutRecordsResultEntry {
    let shard = &stream.shards[place];
    match at {
        Some((position, at)) => PutRecordsResultEntry {
            sequence_number: Some(shard.sequence(position, at).into()),
            shard_id: Some(shard.id.clone()),
            ..PutRecordsResultEntry::default()
        },
        None => {
            let (code, message) = throttled(streams, stream, shard);
            PutRecordsResultEntry {
                error_code: Some(code.to_owned()),
                error_message: Some(message),
                ..PutRecordsResultEntry::default()
            }
        }
    }
}

/// What is said of a record that its shard was too busy for: code and message.
pub(crate) fn throttled(streams: &Streams, stream: &LiveStream, shard: &LiveShard) -> (&'static str, String) {
    let code = errors::PROVISIONED_THROUGHPUT_EXCEEDED_EXCEPTION.name;
    (code, error::rate_exceeded(streams.home(), &stream.def.name, &shard.id))
}
