//! SplitShard, MergeShards and UpdateShardCount: what is asked for is checked and noted, and done in the background.

use crate::Streams;
use crate::error;
use crate::hash::HashKey;
use crate::limits::{DAY, SCALED_SHARDS, SCALES_PER_DAY, shards_per_account};
use crate::reshape::Reshape;
use crate::state::{Change, Mode, Shard, State, Stream, shard_id, shard_number};
use crate::streams::asked;
use names::Home;
use shapes::kinesis::{MergeShardsInput, SplitShardInput, UpdateShardCountInput, UpdateShardCountOutput, errors};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SplitShard.html>
pub(crate) async fn split_shard(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: SplitShardInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    let home = streams.home().clone();
    let number = number(&home, &name, &input.shard_to_split)?;
    let wanted = input.new_starting_hash_key;
    let decided = streams.update(name.clone(), move |state, stream| {
        check_provisioned(&home, stream)?;
        let shard = open_shard(&home, stream, number)?;
        // Both children need more than one hash key, says AWS of the first one.
        let at = HashKey::parse(&wanted).filter(|at| at.0 > shard.start.0.saturating_add(1) && *at < shard.end);
        let at = at.ok_or_else(|| error::unfit_split(&home, &name, shard, &wanted))?;
        check_account(&home, state, 1)?;
        Ok(vec![Change::Updating { name, reshape: Some(Reshape::Split { shard: number, at }) }])
    });
    decided.await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_MergeShards.html>
pub(crate) async fn merge_shards(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: MergeShardsInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    let home = streams.home().clone();
    let shard = number(&home, &name, &input.shard_to_merge)?;
    let adjacent = number(&home, &name, &input.adjacent_shard_to_merge)?;
    let decided = streams.update(name.clone(), move |_, stream| {
        check_provisioned(&home, stream)?;
        let (left, right) = (open_shard(&home, stream, shard)?, open_shard(&home, stream, adjacent)?);
        if left.end.0.checked_add(1) != Some(right.start.0) {
            return Err(error::not_adjacent(&home, &name, shard, adjacent));
        }
        Ok(vec![Change::Updating { name, reshape: Some(Reshape::Merge { shard, adjacent }) }])
    });
    decided.await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>
pub(crate) async fn update_shard_count(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UpdateShardCountInput,
) -> Result<UpdateShardCountOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    let stream = streams.find(asked!(input))?;
    let (home, now) = (streams.home().clone(), streams.world().now());
    let target = u32::try_from(input.target_shard_count).unwrap_or(0).max(1);
    let decide = {
        let name = name.clone();
        move |state: &State, stream: &Stream| {
            check_provisioned(&home, stream)?;
            check_target(stream.open().count() as u32, target)?;
            let recent = stream.scaled.iter().filter(|at| now.since(**at) < DAY).count();
            if recent >= SCALES_PER_DAY {
                return Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(format!(
                    "UpdateShardCount cannot be called more than {SCALES_PER_DAY} times within a rolling 24-hour period for \
                     stream {name} under account {}.",
                    home.account
                )));
            }
            check_account(&home, state, (target as usize).saturating_sub(stream.open().count()))?;
            let scaled = Change::Scaled { name: name.clone(), at: now };
            Ok(vec![scaled, Change::Updating { name, reshape: Some(Reshape::Count(target)) }])
        }
    };
    streams.update(name.clone(), decide).await?;
    Ok(UpdateShardCountOutput {
        stream_name: Some(name),
        current_shard_count: Some(stream.def.open().count() as i32),
        target_shard_count: Some(target as i32),
        stream_arn: Some(stream.arn.to_string()),
    })
}

fn check_target(open: u32, target: u32) -> Result<(), ApiError> {
    let counts = format!("Current open shard count: {open} Target shard count: {target}");
    let refused = |why: String| Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(format!("{why} {counts}")));
    if target > SCALED_SHARDS {
        return refused(format!("Target shard count or number of open shards cannot be greater than {SCALED_SHARDS}."));
    }
    if target > open.saturating_mul(2) {
        return refused("UpdateShardCount cannot scale up over double your current open shard count.".to_owned());
    }
    if target.saturating_mul(2) < open {
        return refused("UpdateShardCount cannot scale down below half your current open shard count.".to_owned());
    }
    Ok(())
}

fn number(home: &Home, stream: &str, id: &str) -> Result<u32, ApiError> {
    shard_number(id).ok_or_else(|| error::no_shard(home, stream, id))
}

fn open_shard<'a>(home: &Home, stream: &'a Stream, number: u32) -> Result<&'a Shard, ApiError> {
    let found = stream.shards.binary_search_by_key(&number, |shard| shard.number);
    let shard = found.map(|i| &stream.shards[i]).map_err(|_| error::no_shard(home, &stream.name, &shard_id(number)))?;
    if shard.closed.is_some() { Err(error::shard_ended(home, &stream.name, number)) } else { Ok(shard) }
}

fn check_provisioned(home: &Home, stream: &Stream) -> Result<(), ApiError> {
    match stream.mode {
        Mode::Provisioned => Ok(()),
        Mode::OnDemand => Err(error::on_demand(home, &stream.name)),
    }
}

/// Refuses more open shards than the account may have.
pub(crate) fn check_account(home: &Home, state: &State, more: usize) -> Result<(), ApiError> {
    let (open, limit) = (state.open_shards(), shards_per_account(home.region.as_str()));
    if open + more > limit { Err(error::too_many_shards(home, open, limit, more)) } else { Ok(()) }
}
