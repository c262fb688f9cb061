use super::capacity::{check_on_demand, warm_mibps};
use super::reshard::check_account;
use super::tags;
use crate::Streams;
use crate::demand::Peaks;
use crate::error;
use crate::limits::{Limits, ON_DEMAND_SHARDS, RECORD_KIB, RETENTION_HOURS, STREAMS_CREATING};
use crate::state::{Change, Mode, State, Status, Stream};
use crate::streams::asked;
use names::Timestamp;
use shapes::kinesis::{CreateStreamInput, DeleteStreamInput, RecordDistributionStrategy, StreamMode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html>
pub(crate) async fn create_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: CreateStreamInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, Some(&input.stream_name))?;
    if input.record_distribution_strategy == Some(RecordDistributionStrategy::Auto) {
        return Err(error::not_served("the record distribution strategy AUTO"));
    }
    let (mode, shards) = capacity(&input)?;
    let (warm, now) = (input.warm_throughput_mi_bps, streams.world().now());
    let warm = streams.catalog().read(|state| warm_mibps(state, now, mode, warm))?;
    let shards = shards.max(warm.unwrap_or(0));
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
        reshape: None,
        scaled: Vec::new(),
        switched: Vec::new(),
        peaks: Peaks::default(),
        warm_mibps: warm,
        shard_metrics: BTreeSet::new(),
        policies: BTreeMap::new(),
        consumers: BTreeMap::new(),
        encryption: None,
        encrypted: Vec::new(),
        decrypted: Vec::new(),
    };
    let (home, limits) = (streams.home().clone(), streams.limits());
    let decided = streams.change(name.clone(), move |state| {
        if state.streams.contains_key(&name) {
            return Err(error::stream_exists(&home, &name));
        }
        let creating = state.streams.values().filter(|stream| stream.status == Status::Creating).count();
        if limits == Limits::Aws && creating >= STREAMS_CREATING {
            return Err(error::too_many_creating(&home, STREAMS_CREATING, "streams"));
        }
        check_account(&home, state, shards as usize)?;
        if mode == Mode::OnDemand {
            check_on_demand(&home, state)?;
        }
        Ok(vec![Change::Created(Box::new(stream))])
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
pub(crate) async fn delete_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DeleteStreamInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    let (home, change) = (streams.home().clone(), Change::Deleting { name: name.clone() });
    let enforced = input.enforce_consumer_deletion == Some(true);
    let decide = move |_: &State, stream: &Stream| {
        if !stream.consumers.is_empty() && !enforced {
            return Err(error::has_consumers(&home, &stream.name));
        }
        Ok(vec![change])
    };
    streams.update(name, decide).await?;
    Ok(Nothing {})
}
