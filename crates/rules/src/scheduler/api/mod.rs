//! The handlers, and the table they are registered in.

mod groups;
mod schedules;
mod tags;

use super::Scheduler;
use shapes::scheduler as s;
use shapes::scheduler::errors;
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

fn bad_token() -> ApiError {
    invalid("The NextToken is invalid.")
}
