//! How an on-demand stream's capacity is chosen: UpdateStreamMode, UpdateStreamWarmThroughput and the account's settings
//! that open the latter.

use super::reshard::check_account;
use crate::Streams;
use crate::demand::Peak;
use crate::error;
use crate::limits::{DAY, ON_DEMAND_SHARDS, ON_DEMAND_STREAMS, SWITCHES_PER_DAY, WARM_MIBPS};
use crate::reshape::Reshape;
use crate::state::{Change, Commitment, Mode, State, Stream};
use crate::streams::{Asked, asked};
use names::{Home, Timestamp};
use shapes::kinesis::{
    DescribeAccountSettingsInput, DescribeAccountSettingsOutput, MinimumThroughputBillingCommitmentInputStatus,
    MinimumThroughputBillingCommitmentOutput, MinimumThroughputBillingCommitmentOutputStatus, StreamMode,
    UpdateAccountSettingsInput, UpdateAccountSettingsOutput, UpdateStreamModeInput, UpdateStreamWarmThroughputInput,
    UpdateStreamWarmThroughputOutput, WarmThroughputObject, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamMode.html>
///
/// The shards stay as they are. From then on the owner or the service changes them.
pub(crate) async fn update_stream_mode(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UpdateStreamModeInput,
) -> Result<Nothing, ApiError> {
    let asked = Asked { name: None, arn: Some(&input.stream_arn), id: input.stream_id.as_deref() };
    let name = streams.name_of(asked)?.to_owned();
    streams.admit(&call, Some(&name))?;
    let (home, now) = (streams.home().clone(), streams.world().now());
    let mode = match input.stream_mode_details.stream_mode {
        StreamMode::Provisioned => Mode::Provisioned,
        StreamMode::OnDemand => Mode::OnDemand,
    };
    let warm = input.warm_throughput_mi_bps;
    let decided = streams.update(name.clone(), move |state, stream| {
        let warm = warm_mibps(state, now, mode, warm)?;
        let mut changes = Vec::new();
        if stream.mode != mode {
            check_switch(&home, state, stream, mode, now)?;
            changes.push(Change::Switched { name: name.clone(), mode, at: now });
            if mode == Mode::Provisioned {
                changes.push(Change::Warmed { name: name.clone(), mibps: None });
            }
        }
        if mode == Mode::OnDemand && (stream.mode != mode || warm.is_some()) {
            let open = stream.open().count();
            let count = (warm.unwrap_or(0) as usize).max(open);
            check_account(&home, state, count - open)?;
            changes.push(Change::Warmed { name: name.clone(), mibps: warm });
            // It keeps its shards as long as if it had needed them until now.
            let day = now.secs().div_euclid(DAY.as_secs() as i64);
            changes.push(Change::Peaked { name: name.clone(), day, peak: Peak::half_of(open) });
            changes.push(Change::Updating { name, reshape: (count > open).then_some(Reshape::Count(count as u32)) });
        } else if !changes.is_empty() {
            changes.push(Change::Updating { name, reshape: None });
        }
        Ok(changes)
    });
    decided.await?;
    Ok(Nothing {})
}

fn check_switch(home: &Home, state: &State, stream: &Stream, mode: Mode, now: Timestamp) -> Result<(), ApiError> {
    if stream.switched.iter().filter(|at| now.since(**at) < DAY).count() >= SWITCHES_PER_DAY {
        return Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(format!(
            "The capacity mode of stream {} under account {} can be changed {SWITCHES_PER_DAY} times within 24 hours.",
            stream.name, home.account
        )));
    }
    if mode == Mode::OnDemand { check_on_demand(home, state) } else { Ok(()) }
}

/// Refuses more on-demand streams than an account may have.
pub(crate) fn check_on_demand(home: &Home, state: &State) -> Result<(), ApiError> {
    if state.on_demand_streams() < ON_DEMAND_STREAMS {
        return Ok(());
    }
    let message = format!("Account {} already has {ON_DEMAND_STREAMS} on-demand streams.", home.account);
    Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(message))
}

/// The warm throughput that is asked for, where that may be asked.
pub(crate) fn warm_mibps(
    state: &State,
    now: Timestamp,
    mode: Mode,
    asked: Option<i32>,
) -> Result<Option<u32>, ApiError> {
    let Some(asked) = asked else { return Ok(None) };
    if mode == Mode::Provisioned {
        return Err(error::argument("WarmThroughputMiBps can only be specified for streams in ON_DEMAND mode."));
    }
    if !state.is_committed(now) {
        return Err(error::argument(
            "Warm throughput is only supported for accounts that have MinimumThroughputBillingCommitment enabled.",
        ));
    }
    let mibps = u32::try_from(asked).unwrap_or(0);
    if mibps > WARM_MIBPS {
        return Err(errors::LIMIT_EXCEEDED_EXCEPTION
            .because(format!("WarmThroughputMiBps {mibps} is greater than the limit of {WARM_MIBPS} MiBps.")));
    }
    Ok(Some(mibps))
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html>
///
/// Up at once; down too, to what is asked for now: what the stream took before no longer counts.
pub(crate) async fn update_stream_warm_throughput(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UpdateStreamWarmThroughputInput,
) -> Result<UpdateStreamWarmThroughputOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let name = streams.name_of(asked!(input))?.to_owned();
    let stream = streams.find(asked!(input))?;
    let (home, now, asked) = (streams.home().clone(), streams.world().now(), input.warm_throughput_mi_bps);
    let changed = name.clone();
    let decided = streams.update(name.clone(), move |state, stream| {
        let warm = warm_mibps(state, now, stream.mode, Some(asked))?;
        let (open, count) = (stream.open().count(), warm.unwrap_or(0).max(ON_DEMAND_SHARDS));
        check_account(&home, state, (count as usize).saturating_sub(open))?;
        let warmed = Change::Warmed { name: changed.clone(), mibps: warm };
        Ok(vec![warmed, Change::Updating { name: changed, reshape: Some(Reshape::Count(count)) }])
    });
    decided.await?;
    Ok(UpdateStreamWarmThroughputOutput {
        stream_arn: Some(stream.arn.to_string()),
        stream_name: Some(name),
        warm_throughput: Some(WarmThroughputObject {
            target_mi_bps: Some(asked),
            current_mi_bps: Some(stream.def.open().count() as i32),
        }),
    })
}

/// What is shown of a stream's warm throughput: only on-demand streams of an account that committed itself have one.
pub(crate) fn warm_shape(streams: &Streams, stream: &Stream) -> Option<WarmThroughputObject> {
    let committed = streams.catalog().read(|state| state.is_committed(streams.world().now()));
    (committed && stream.mode == Mode::OnDemand).then(|| WarmThroughputObject {
        target_mi_bps: stream.warm_mibps.map(|mibps| mibps as i32),
        current_mi_bps: Some(stream.open().count() as i32),
    })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeAccountSettings.html>
pub(crate) async fn describe_account_settings(
    streams: Arc<Streams>,
    call: Arc<Call>,
    _input: DescribeAccountSettingsInput,
) -> Result<DescribeAccountSettingsOutput, ApiError> {
    streams.admit(&call, None)?;
    let commitment = streams.catalog().read(|state| state.commitment);
    Ok(DescribeAccountSettingsOutput {
        minimum_throughput_billing_commitment: Some(commitment_shape(commitment, streams.world().now())),
    })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateAccountSettings.html>
///
/// A commitment holds for a day at least: taken back before, it ends when the day has passed.
pub(crate) async fn update_account_settings(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UpdateAccountSettingsInput,
) -> Result<UpdateAccountSettingsOutput, ApiError> {
    streams.admit(&call, None)?;
    let (asked, now) = (input.minimum_throughput_billing_commitment.status, streams.world().now());
    let decide = move |state: &State| {
        let is_running = state.is_committed(now);
        let Commitment { started, .. } = state.commitment;
        let commitment = match (asked, started.filter(|_| is_running)) {
            (MinimumThroughputBillingCommitmentInputStatus::Enabled, started) => {
                Commitment { started: Some(started.unwrap_or(now)), ends: None }
            }
            (MinimumThroughputBillingCommitmentInputStatus::Disabled, Some(started)) => {
                Commitment { started: Some(started), ends: Some(now.max(earliest_end(started))) }
            }
            (MinimumThroughputBillingCommitmentInputStatus::Disabled, None) => state.commitment,
        };
        Ok::<_, ApiError>((vec![Change::Committed(commitment)], commitment))
    };
    let commitment = streams.catalog().change(decide).await?;
    Ok(UpdateAccountSettingsOutput { minimum_throughput_billing_commitment: Some(commitment_shape(commitment, now)) })
}

fn earliest_end(started: Timestamp) -> Timestamp {
    Timestamp(started.micros().saturating_add(DAY.as_micros() as i64))
}

fn commitment_shape(commitment: Commitment, now: Timestamp) -> MinimumThroughputBillingCommitmentOutput {
    use MinimumThroughputBillingCommitmentOutputStatus as Status;
    let Commitment { started, ends } = commitment;
    let (status, ended) = match (started, ends) {
        (None, _) => (Status::Disabled, None),
        (Some(_), None) => (Status::Enabled, None),
        (Some(_), Some(ends)) if ends > now => (Status::EnabledUntilEarliestAllowedEnd, None),
        (Some(_), ended) => (Status::Disabled, ended),
    };
    MinimumThroughputBillingCommitmentOutput {
        status,
        started_at: started,
        ended_at: ended,
        earliest_allowed_end_at: started.filter(|_| ended.is_none()).map(earliest_end),
    }
}
