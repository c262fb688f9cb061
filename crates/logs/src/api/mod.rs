//! The asked door: one file per family of operations.

mod describe;
mod filter;
mod get;
mod groups;
mod policies;
mod put;
mod retention;
mod streams;
mod tags;

use crate::Logs;
use crate::error::{invalid, no_group};
use shapes::logs as l;
use shapes::logs::errors::INVALID_OPERATION_EXCEPTION;
use std::sync::Arc;
use wire::{ApiError, Service};

pub(crate) fn service(logs: &Arc<Logs>) -> Service {
    Service::new(&l::SERVICE)
        .on::<l::CreateLogGroupOp, _, _, _>(logs, groups::create_log_group)
        .on::<l::CreateLogStreamOp, _, _, _>(logs, streams::create_log_stream)
        .on::<l::DeleteLogGroupOp, _, _, _>(logs, groups::delete_log_group)
        .on::<l::DeleteLogStreamOp, _, _, _>(logs, streams::delete_log_stream)
        .on::<l::DeleteResourcePolicyOp, _, _, _>(logs, policies::delete_resource_policy)
        .on::<l::DeleteRetentionPolicyOp, _, _, _>(logs, retention::delete_retention_policy)
        .on::<l::DescribeLogGroupsOp, _, _, _>(logs, describe::describe_log_groups)
        .on::<l::DescribeLogStreamsOp, _, _, _>(logs, streams::describe_log_streams)
        .on::<l::DescribeResourcePoliciesOp, _, _, _>(logs, policies::describe_resource_policies)
        .on::<l::FilterLogEventsOp, _, _, _>(logs, filter::filter_log_events)
        .on::<l::GetLogEventsOp, _, _, _>(logs, get::get_log_events)
        .on::<l::ListLogGroupsOp, _, _, _>(logs, describe::list_log_groups)
        .on::<l::ListTagsForResourceOp, _, _, _>(logs, tags::list_tags_for_resource)
        .on::<l::ListTagsLogGroupOp, _, _, _>(logs, tags::list_tags_log_group)
        .on::<l::PutLogEventsOp, _, _, _>(logs, put::put_log_events)
        .on::<l::PutLogGroupDeletionProtectionOp, _, _, _>(logs, groups::put_log_group_deletion_protection)
        .on::<l::PutResourcePolicyOp, _, _, _>(logs, policies::put_resource_policy)
        .on::<l::PutRetentionPolicyOp, _, _, _>(logs, retention::put_retention_policy)
        .on::<l::TagLogGroupOp, _, _, _>(logs, tags::tag_log_group)
        .on::<l::TagResourceOp, _, _, _>(logs, tags::tag_resource)
        .on::<l::UntagLogGroupOp, _, _, _>(logs, tags::untag_log_group)
        .on::<l::UntagResourceOp, _, _, _>(logs, tags::untag_resource)
}

/// The refusal to delete what is protected; AWS's own words could not be confirmed.
pub(crate) fn protected() -> ApiError {
    INVALID_OPERATION_EXCEPTION.because(
        "The log group has deletion protection enabled. Disable it with PutLogGroupDeletionProtection before deleting.",
    )
}

/// The group a call names by name or by ARN, but not by both.
fn named(logs: &Logs, name: Option<String>, identifier: Option<String>) -> Result<String, ApiError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => identified(logs, &identifier),
        (None, None) => Err(invalid("Exactly one of logGroupName and logGroupIdentifier must be specified.")),
        (Some(_), Some(_)) => {
            Err(invalid("logGroupName and logGroupIdentifier are mutually exclusive; specify only one of them."))
        }
    }
}

/// The group that is called by its name or ARN.
fn identified(logs: &Logs, identifier: &str) -> Result<String, ApiError> {
    if !identifier.starts_with("arn:") {
        return Ok(identifier.to_owned());
    }
    let arn = identifier.parse().map_err(|_| invalid(format!("{identifier} is not an ARN.")))?;
    logs.group_in(&arn).map(str::to_owned).ok_or_else(no_group)
}

fn limit(asked: Option<i32>, usual: usize) -> usize {
    asked.and_then(|limit| usize::try_from(limit).ok()).map_or(usual, |limit| limit.max(1))
}
