use super::tags;
use crate::Streams;
use crate::error;
use crate::limits::{ON_DEMAND_SHARDS, ON_DEMAND_STREAMS, RECORD_KIB, RETENTION_HOURS, shards_per_account};
use crate::state::{Change, Mode, Status, Stream};
use crate::streams::asked;
use names::Timestamp;
use shapes::kinesis::{CreateStreamInput, DeleteStreamInput, RecordDistributionStrategy, StreamMode, errors};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html>
pub(crate) async fn create_stream(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: CreateStreamInput,
) -> Result<Nothing, ApiError> {
    if input.warm_throughput_mi_bps.is_some() {
        return Err(error::not_served("WarmThroughputMiBps of CreateStream"));
    }
    if input.record_distribution_strategy == Some(RecordDistributionStrategy::Auto) {
        return Err(error::not_served("the record distribution strategy AUTO"));
    }
    let (mode, shards) = capacity(&input)?;
    let tags = input.tags.unwrap_or_default();
    let name = input.stream_name;
    tags::check_new(&streams, &name, &tags)?;
    tags::check_count(&streams, &name, tags.len())?;
    let stream = Stream {
        name: name.clone(),
        // AWS shows milliseconds, and what is shown must be what is compared.
        created: Timestamp::from_millis(streams.world().now().millis()),
        status: Status::Creating,
        mode,
        first_shards: shards,
        retention_hours: *RETENTION_HOURS.start(),
        record_kib: input.max_record_size_in_ki_b.map_or(RECORD_KIB, |kib| kib.max(0) as u32),
        tags,
        shards: Vec::new(),
    };
    let (home, limit) = (streams.home().clone(), shards_per_account(streams.home().region.as_str()));
    let decided = streams.change(name.clone(), move |state| {
        if state.streams.contains_key(&name) {
            return Err(error::stream_exists(&home, &name));
        }
        let open = state.open_shards();
        if open + shards as usize > limit {
            return Err(error::too_many_shards(&home, open, limit, shards as usize));
        }
        if mode == Mode::OnDemand && state.on_demand_streams() >= ON_DEMAND_STREAMS {
            let message = format!("Account {} already has {ON_DEMAND_STREAMS} on-demand streams.", home.account);
            return Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(message));
        }
        Ok(vec![Change::Created(stream)])
    });
    decided.await?;
    Ok(Nothing {})
}

/// How many shards a stream starts with.
fn capacity(input: &CreateStreamInput) -> Result<(Mode, u32), ApiError> {
    let mode = input.stream_mode_details.as_ref().map_or(StreamMode::Provisioned, |details| details.stream_mode);
    match (mode, input.shard_count) {
        (StreamMode::Provisioned, None) => Err(error::absent("shardCount")),
        (StreamMode::Provisioned, Some(count)) => Ok((Mode::Provisioned, count.max(1) as u32)),
        (StreamMode::OnDemand, None) => Ok((Mode::OnDemand, ON_DEMAND_SHARDS)),
        (StreamMode::OnDemand, Some(_)) => {
            Err(error::argument("ShardCount must not be provided while creating streams in ON_DEMAND mode."))
        }
    }
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteStream.html>
///
/// `EnforceConsumerDeletion` changes nothing as long as there are no registered consumers.
pub(crate) async fn delete_stream(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: DeleteStreamInput,
) -> Result<Nothing, ApiError> {
    let name = streams.name_of(asked!(input))?.to_owned();
    let home = streams.home().clone();
    let decided = streams.change(name.clone(), move |state| match state.streams.get(&name) {
        None => Err(error::no_stream(&home, &name)),
        Some(stream) if !stream.is_active() => Err(error::not_active(&home, &name, stream.status)),
        Some(_) => Ok(vec![Change::Deleting { name }]),
    });
    decided.await?;
    Ok(Nothing {})
}
