//! The handlers, and the table they are registered in.

mod groups;
mod schedules;
mod tags;

use super::Scheduler;
use shapes::scheduler as s;
use shapes::scheduler::errors;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use wire::{ApiError, Service};

pub(super) fn service(scheduler: &Arc<Scheduler>) -> Service {
    Service::new(&s::SERVICE)
        .on::<s::CreateScheduleOp, _, _, _>(scheduler, schedules::create_schedule)
        .on::<s::CreateScheduleGroupOp, _, _, _>(scheduler, groups::create_schedule_group)
        .on::<s::DeleteScheduleOp, _, _, _>(scheduler, schedules::delete_schedule)
        .on::<s::DeleteScheduleGroupOp, _, _, _>(scheduler, groups::delete_schedule_group)
        .on::<s::GetScheduleOp, _, _, _>(scheduler, schedules::get_schedule)
        .on::<s::GetScheduleGroupOp, _, _, _>(scheduler, groups::get_schedule_group)
        .on::<s::ListScheduleGroupsOp, _, _, _>(scheduler, groups::list_schedule_groups)
        .on::<s::ListSchedulesOp, _, _, _>(scheduler, schedules::list_schedules)
        .on::<s::ListTagsForResourceOp, _, _, _>(scheduler, tags::list_tags_for_resource)
        .on::<s::TagResourceOp, _, _, _>(scheduler, tags::tag_resource)
        .on::<s::UntagResourceOp, _, _, _>(scheduler, tags::untag_resource)
        .on::<s::UpdateScheduleOp, _, _, _>(scheduler, schedules::update_schedule)
}

fn invalid(message: impl Into<String>) -> ApiError {
    errors::VALIDATION_EXCEPTION.because(message)
}

fn no_group(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Schedule group {name} does not exist."))
}

fn no_schedule(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Schedule {name} does not exist."))
}

fn too_many(what: &str) -> ApiError {
    errors::SERVICE_QUOTA_EXCEEDED_EXCEPTION
        .because(format!("The maximum number of {what} for this account is reached."))
}

/// The items after a token that fit into a page, and the token of the next page where there is one.
fn page<'a, V, T>(
    all: &'a BTreeMap<String, V>,
    token: Option<&str>,
    limit: Option<i32>,
    mut pick: impl FnMut(&'a str, &'a V) -> Option<T>,
) -> (Vec<T>, Option<String>) {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(crate::limits::PAGE);
    let after = token.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = all
        .range::<str, _>((after, Bound::Unbounded))
        .filter_map(|(key, value)| pick(key, value).map(|item| (key, item)));
    let (mut items, mut last) = (Vec::new(), None);
    for (key, item) in rest.by_ref().take(limit.max(1)) {
        items.push(item);
        last = Some(key.clone());
    }
    (items, last.filter(|_| rest.next().is_some()))
}
