//! Making and deleting log groups.

use super::{identified, tags};
use crate::Logs;
use crate::error::{group_exists, invalid, no_group, refuse, too_many};
use crate::limits::GROUPS;
use crate::state::{Change, State};
use shapes::logs::{CreateLogGroupRequest, DeleteLogGroupRequest, LogGroupClass, PutLogGroupDeletionProtectionRequest};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub(super) async fn create_log_group(
    logs: Arc<Logs>,
    call: Arc<Call>,
    input: CreateLogGroupRequest,
) -> Result<Nothing, ApiError> {
    let name = input.log_group_name;
    if name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    refuse(&[
        ("kmsKeyId", input.kms_key_id.is_some()),
        ("log group classes but STANDARD", !matches!(input.log_group_class, None | Some(LogGroupClass::Standard))),
    ])?;
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    let (protected, created, group) = (input.deletion_protection_enabled == Some(true), call.at, name.clone());
    let decide = move |state: &State| {
        if state.groups.contains_key(&group) {
            return Err(group_exists());
        }
        if state.groups.len() >= GROUPS {
            return Err(too_many("log groups"));
        }
        Ok(vec![Change::GroupCreated { name: group, created, tags, protected }])
    };
    logs.create_group(name, decide).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup.html>
pub(super) async fn delete_log_group(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DeleteLogGroupRequest,
) -> Result<Nothing, ApiError> {
    logs.delete_group(input.log_group_name).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogGroupDeletionProtection.html>
pub(super) async fn put_log_group_deletion_protection(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: PutLogGroupDeletionProtectionRequest,
) -> Result<Nothing, ApiError> {
    let name = identified(&logs, &input.log_group_identifier)?;
    change(&logs, name, |name| Change::Protected { name, on: input.deletion_protection_enabled }).await
}

/// Makes one change of a group that is there.
pub(super) async fn change(
    logs: &Logs,
    name: String,
    change: impl FnOnce(String) -> Change,
) -> Result<Nothing, ApiError> {
    logs.catalog
        .change(|state| {
            if !state.groups.contains_key(&name) {
                return Err(no_group());
            }
            Ok((vec![change(name)], ()))
        })
        .await?;
    Ok(Nothing {})
}
