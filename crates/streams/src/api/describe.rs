use super::capacity::warm_shape;
use super::monitoring::monitoring_shape;
use crate::Streams;
use crate::error;
use crate::limits::{DESCRIBE_SHARDS, ON_DEMAND_STREAMS, shards_per_account};
use crate::live::LiveStream;
use crate::state::{self, Mode, Status, shard_id, shard_number};
use crate::streams::asked;
use names::Timestamp;
use shapes::kinesis::{
    DescribeLimitsInput, DescribeLimitsOutput, DescribeStreamInput, DescribeStreamOutput, DescribeStreamSummaryInput,
    DescribeStreamSummaryOutput, EncryptionType, HashKeyRange, SequenceNumberRange, Shard, StreamDescription,
    StreamDescriptionSummary, StreamMode, StreamModeDetails, StreamStatus,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html>
pub(crate) async fn describe_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DescribeStreamInput,
) -> Result<DescribeStreamOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let stream = streams.find(asked!(input))?;
    let after = match &input.exclusive_start_shard_id {
        None => None,
        Some(id) => Some(shard_number(id).ok_or_else(|| error::no_shard(streams.home(), &stream.def.name, id))?),
    };
    let limit = input.limit.map_or(DESCRIBE_SHARDS, |limit| (limit.max(1) as usize).min(DESCRIBE_SHARDS));
    let mut shards = shards_kept(&stream, streams.world().now()).filter(|s| after.is_none_or(|after| s.number > after));
    let page = shards.by_ref().take(limit).map(shard_shape).collect();
    let def = &stream.def;
    let stream_description = StreamDescription {
        stream_name: def.name.clone(),
        stream_arn: stream.arn.to_string(),
        stream_status: status_shape(def.status),
        stream_mode_details: Some(mode_shape(def.mode)),
        shards: page,
        has_more_shards: shards.next().is_some(),
        retention_period_hours: def.retention_hours as i32,
        stream_creation_timestamp: def.created,
        enhanced_monitoring: monitoring_shape(&def.shard_metrics),
        encryption_type: Some(encryption_shape(def)),
        key_id: def.encryption.as_ref().map(|encryption| encryption.key_id.clone()),
    };
    Ok(DescribeStreamOutput { stream_description })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html>
pub(crate) async fn describe_stream_summary(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DescribeStreamSummaryInput,
) -> Result<DescribeStreamSummaryOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let stream = streams.find(asked!(input))?;
    let def = &stream.def;
    let stream_description_summary = StreamDescriptionSummary {
        stream_name: def.name.clone(),
        stream_arn: stream.arn.to_string(),
        stream_status: status_shape(def.status),
        stream_mode_details: Some(mode_shape(def.mode)),
        retention_period_hours: def.retention_hours as i32,
        stream_creation_timestamp: def.created,
        enhanced_monitoring: monitoring_shape(&def.shard_metrics),
        encryption_type: Some(encryption_shape(def)),
        key_id: def.encryption.as_ref().map(|encryption| encryption.key_id.clone()),
        open_shard_count: def.open().count() as i32,
        consumer_count: Some(def.consumers.len() as i32),
        max_record_size_in_ki_b: Some(def.record_kib as i32),
        warm_throughput: warm_shape(&streams, def),
        ..StreamDescriptionSummary::default()
    };
    Ok(DescribeStreamSummaryOutput { stream_description_summary })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeLimits.html>
pub(crate) async fn describe_limits(
    streams: Arc<Streams>,
    call: Arc<Call>,
    _input: DescribeLimitsInput,
) -> Result<DescribeLimitsOutput, ApiError> {
    streams.admit(&call, None)?;
    let (open, on_demand) = streams.catalog().read(|state| (state.open_shards(), state.on_demand_streams()));
    Ok(DescribeLimitsOutput {
        shard_limit: shards_per_account(streams.home().region.as_str()) as i32,
        open_shard_count: open as i32,
        on_demand_stream_count: on_demand as i32,
        on_demand_stream_count_limit: ON_DEMAND_STREAMS as i32,
        ..DescribeLimitsOutput::default()
    })
}

/// The shards that still hold records or take them: those closed longer ago than the retention are forgotten.
pub(crate) fn shards_kept(stream: &LiveStream, now: Timestamp) -> impl Iterator<Item = &state::Shard> {
    stream.def.shards.iter().filter(move |shard| !shard.is_expired(&stream.def, now))
}

pub(crate) fn shard_shape(shard: &state::Shard) -> Shard {
    Shard {
        shard_id: shard.id(),
        parent_shard_id: shard.parent.map(shard_id),
        adjacent_parent_shard_id: shard.adjacent_parent.map(shard_id),
        hash_key_range: range_shape(shard),
        sequence_number_range: SequenceNumberRange {
            starting_sequence_number: shard.first_sequence().into(),
            ending_sequence_number: shard.last_sequence().map(Into::into),
        },
    }
}

pub(crate) fn range_shape(shard: &state::Shard) -> HashKeyRange {
    HashKeyRange { starting_hash_key: shard.start.to_string(), ending_hash_key: shard.end.to_string() }
}

pub(crate) fn status_shape(status: Status) -> StreamStatus {
    match status {
        Status::Creating => StreamStatus::Creating,
        Status::Active => StreamStatus::Active,
        Status::Updating => StreamStatus::Updating,
        Status::Deleting => StreamStatus::Deleting,
    }
}

fn encryption_shape(stream: &state::Stream) -> EncryptionType {
    if stream.encryption.is_some() { EncryptionType::Kms } else { EncryptionType::None }
}

pub(crate) fn mode_shape(mode: Mode) -> StreamModeDetails {
    let stream_mode = match mode {
        Mode::Provisioned => StreamMode::Provisioned,
        Mode::OnDemand => StreamMode::OnDemand,
    };
    StreamModeDetails { stream_mode }
}
