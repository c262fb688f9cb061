//! Replays.

use crate::Rules;
use crate::archive::resume;
use crate::archive::state::{ArchiveChange, Place, Replay, ReplayStatus};
use crate::error::{bad_token, invalid, not_an_arn, too_many};
use crate::limits::{PAGE, REPLAYS};
use crate::policy::About;
use crate::state::Change;
use names::Arn;
use shapes::events::{
    CancelReplayRequest, CancelReplayResponse, DescribeReplayRequest, DescribeReplayResponse, ListReplaysRequest,
    ListReplaysResponse, ReplayDestination, ReplayState, StartReplayRequest, StartReplayResponse, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

fn absent(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Replay {name} does not exist."))
}

fn arn(rules: &Rules, name: &str) -> String {
    rules.home.arn("events", &format!("replay/{name}")).to_string()
}

fn word(status: ReplayStatus) -> ReplayState {
    match status {
        ReplayStatus::Starting => ReplayState::Starting,
        ReplayStatus::Running => ReplayState::Running,
        ReplayStatus::Cancelling => ReplayState::Cancelling,
        ReplayStatus::Completed => ReplayState::Completed,
        ReplayStatus::Cancelled => ReplayState::Cancelled,
        ReplayStatus::Failed => ReplayState::Failed,
    }
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html>
pub(super) async fn start_replay(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: StartReplayRequest,
) -> Result<StartReplayResponse, ApiError> {
    let name = input.replay_name.clone();
    rules.asked(&call, Some(&input.destination.arn), About::Bus)?;
    let started = rules.world.now();
    rules
        .change(|state| {
            if state.archives.replays.contains_key(&name) {
                return Err(errors::RESOURCE_ALREADY_EXISTS_EXCEPTION.because(format!("Replay {name} already exists.")));
            }
            if state.archives.replays.values().filter(|replay| !replay.status.is_over()).count() >= REPLAYS {
                return Err(too_many());
            }
            let replay = begun(&rules, state, input, started)?;
            Ok((vec![Change::Archive(ArchiveChange::ReplayStarted { name: name.clone(), replay })], ()))
        })
        .await?;
    resume(&rules, name.clone());
    Ok(StartReplayResponse {
        replay_arn: Some(arn(&rules, &name)),
        state: Some(ReplayState::Starting),
        replay_start_time: Some(started),
        ..Default::default()
    })
}

/// The replay that a call asks for.
fn begun(
    rules: &Rules,
    state: &crate::state::State,
    input: StartReplayRequest,
    started: names::Timestamp,
) -> Result<Replay, ApiError> {
    let refuse = |name: &str, why: &str| invalid(format!("Parameter {name} is not valid. Reason: {why}"));
    let source: Arn = input.event_source_arn.parse().map_err(|_| not_an_arn(&input.event_source_arn))?;
    let archive = source.resource_after("archive/").filter(|_| rules.is_ours(&source));
    let archive = archive.ok_or_else(|| refuse("EventSourceArn", "It must be the ARN of an archive."))?.to_owned();
    let known = state
        .archives
        .archives
        .get(&archive)
        .ok_or_else(|| refuse("EventSourceArn", &format!("Archive {archive} does not exist.")))?;
    if rules.bus_named(Some(&input.destination.arn)) != Some(known.bus.as_str()) {
        return Err(refuse("Destination.Arn", "Cross event bus replay is not permitted."));
    }
    if input.event_end_time <= input.event_start_time {
        return Err(refuse("EventEndTime", "EventStartTime must be before EventEndTime."));
    }
    let only = input.destination.filter_arns.unwrap_or_default();
    let only: Vec<Arn> =
        only.iter().map(|text| text.parse().map_err(|_| not_an_arn(text))).collect::<Result<_, _>>()?;
    let prefix = match known.bus.as_str() {
        crate::state::DEFAULT_BUS => "rule/".to_owned(),
        bus => format!("rule/{bus}/"),
    };
    let on_the_bus = |arn: &Arn| rules.is_ours(arn) && arn.resource_after(&prefix).is_some_and(|r| !r.contains('/'));
    if let Some(stranger) = only.iter().find(|arn| !on_the_bus(arn)) {
        return Err(refuse("Destination.FilterArns", &format!("{stranger} is not a rule of the event bus.")));
    }
    Ok(Replay {
        archive_id: known.id.clone(),
        bus: known.bus.clone(),
        until: rules.archive_extent(&known.id).next,
        archive,
        description: input.description,
        only,
        from: input.event_start_time,
        to: input.event_end_time,
        status: ReplayStatus::Starting,
        reason: None,
        started,
        ended: None,
        place: Place::default(),
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CancelReplay.html>
pub(super) async fn cancel_replay(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: CancelReplayRequest,
) -> Result<CancelReplayResponse, ApiError> {
    let name = input.replay_name;
    rules
        .change(|state| match state.archives.replays.get(&name).map(|replay| replay.status) {
            None => Err(absent(&name)),
            Some(ReplayStatus::Starting | ReplayStatus::Running) => {
                Ok((vec![Change::Archive(ArchiveChange::ReplayCancelled { name: name.clone() })], ()))
            }
            Some(_) => Err(errors::ILLEGAL_STATUS_EXCEPTION
                .because(format!("Replay {name} is not in a valid state for this operation."))),
        })
        .await?;
    Ok(CancelReplayResponse {
        replay_arn: Some(arn(&rules, &name)),
        state: Some(ReplayState::Cancelling),
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeReplay.html>
pub(super) async fn describe_replay(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DescribeReplayRequest,
) -> Result<DescribeReplayResponse, ApiError> {
    let name = input.replay_name;
    let known = rules.catalog.read(|state| state.archives.replays.get(&name).cloned());
    let known = known.ok_or_else(|| absent(&name))?;
    let shown = shown(&rules, &name, &known);
    let filter = known.only.iter().map(Arn::to_string).collect::<Vec<_>>();
    Ok(DescribeReplayResponse {
        replay_name: shown.replay_name,
        replay_arn: Some(arn(&rules, &name)),
        description: known.description,
        state: shown.state,
        state_reason: shown.state_reason,
        event_source_arn: shown.event_source_arn,
        destination: Some(ReplayDestination {
            arn: rules.home.arn("events", &format!("event-bus/{}", known.bus)).to_string(),
            filter_arns: Some(filter).filter(|filter| !filter.is_empty()),
        }),
        event_start_time: shown.event_start_time,
        event_end_time: shown.event_end_time,
        event_last_replayed_time: shown.event_last_replayed_time,
        replay_start_time: shown.replay_start_time,
        replay_end_time: shown.replay_end_time,
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListReplays.html>
pub(super) async fn list_replays(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListReplaysRequest,
) -> Result<ListReplaysResponse, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let pick = |name: &str, known: &Replay| {
        let shown = shown(&rules, name, known);
        let fits = input.state.is_none_or(|state| shown.state == Some(state))
            && (input.event_source_arn.is_none() || input.event_source_arn == shown.event_source_arn);
        (fits && name.starts_with(prefix)).then_some(shown)
    };
    rules.catalog.read(|state| {
        let (found, next_token) =
            page("replays", &state.archives.replays, (input.next_token.as_deref(), size(input.limit, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListReplaysResponse { replays: Some(found), next_token })
    })
}

fn shown(rules: &Rules, name: &str, known: &Replay) -> shapes::events::Replay {
    shapes::events::Replay {
        replay_name: Some(name.to_owned()),
        event_source_arn: Some(crate::archive::arn(rules, &known.archive).to_string()),
        state: Some(word(known.status)),
        state_reason: known.reason.clone(),
        event_start_time: Some(known.from),
        event_end_time: Some(known.to),
        event_last_replayed_time: known.place.last,
        replay_start_time: Some(known.started),
        replay_end_time: known.ended,
    }
}
