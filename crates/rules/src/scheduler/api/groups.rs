//! Groups.

use super::{bad_token, invalid, no_group, too_many};
use crate::limits::{PAGE, SCHEDULE_GROUPS};
use crate::scheduler::Scheduler;
use crate::scheduler::state::{Change, DEFAULT_GROUP, Group};
use shapes::scheduler::{
    CreateScheduleGroupInput, CreateScheduleGroupOutput, DeleteScheduleGroupInput, DeleteScheduleGroupOutput,
    GetScheduleGroupInput, GetScheduleGroupOutput, ListScheduleGroupsInput, ListScheduleGroupsOutput,
    ScheduleGroupState, ScheduleGroupSummary, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateScheduleGroup.html>
pub(super) async fn create_schedule_group(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: CreateScheduleGroupInput,
) -> Result<CreateScheduleGroupOutput, ApiError> {
    let (name, at, token) = (input.name, scheduler.world.now(), input.client_token);
    let tags = super::tags::given(input.tags.as_deref().unwrap_or_default())?;
    let schedule_group_arn = scheduler.group_arn(&name).to_string();
    scheduler
        .change(|state| match state.groups.get(&name) {
            // The same call again.
            Some(known) if token.is_some() && known.token == token => Ok((vec![], ())),
            Some(_) => Err(errors::CONFLICT_EXCEPTION.because(format!("Schedule group {name} already exists."))),
            None if state.groups.len() >= SCHEDULE_GROUPS => Err(too_many("schedule groups")),
            None => Ok((vec![Change::GroupMade { name, at, tags, token }], ())),
        })
        .await?;
    Ok(CreateScheduleGroupOutput { schedule_group_arn })
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteScheduleGroup.html>
///
/// Its schedules go with it, at once.
pub(super) async fn delete_schedule_group(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: DeleteScheduleGroupInput,
) -> Result<DeleteScheduleGroupOutput, ApiError> {
    let name = input.name;
    if name == DEFAULT_GROUP {
        return Err(invalid("Cannot delete the default schedule group."));
    }
    scheduler
        .change(|state| match state.groups.contains_key(&name) {
            true => Ok((vec![Change::GroupDeleted { name }], DeleteScheduleGroupOutput {})),
            false => Err(no_group(&name)),
        })
        .await
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetScheduleGroup.html>
pub(super) async fn get_schedule_group(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: GetScheduleGroupInput,
) -> Result<GetScheduleGroupOutput, ApiError> {
    scheduler.catalog.read(|state| {
        let known = state.groups.get(&input.name).ok_or_else(|| no_group(&input.name))?;
        Ok(GetScheduleGroupOutput {
            arn: Some(scheduler.group_arn(&input.name).to_string()),
            name: Some(input.name.clone()),
            state: Some(ScheduleGroupState::Active),
            creation_date: Some(known.created),
            last_modification_date: Some(known.modified),
        })
    })
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListScheduleGroups.html>
pub(super) async fn list_schedule_groups(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: ListScheduleGroupsInput,
) -> Result<ListScheduleGroupsOutput, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let pick = |name: &str, known: &Group| {
        name.starts_with(prefix).then(|| ScheduleGroupSummary {
            arn: Some(scheduler.group_arn(name).to_string()),
            name: Some(name.to_owned()),
            state: Some(ScheduleGroupState::Active),
            creation_date: Some(known.created),
            last_modification_date: Some(known.modified),
        })
    };
    scheduler.catalog.read(|state| {
        let (schedule_groups, next_token) =
            page("schedule groups", &state.groups, (input.next_token.as_deref(), size(input.max_results, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListScheduleGroupsOutput { schedule_groups, next_token })
    })
}
