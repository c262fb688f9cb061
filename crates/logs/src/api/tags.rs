//! Tags of log groups, by ARN, and by name as they were before.

use super::identified;
use crate::Logs;
use crate::error::{invalid, no_group};
use crate::limits::TAGS;
use crate::state::Change;
use shapes::logs::errors::TOO_MANY_TAGS_EXCEPTION;
use shapes::logs::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroupRequest, ListTagsLogGroupResponse,
    TagLogGroupRequest, TagResourceRequest, UntagLogGroupRequest, UntagResourceRequest,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

type Tags = BTreeMap<String, String>;

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html>
pub(super) async fn tag_resource(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: TagResourceRequest,
) -> Result<Nothing, ApiError> {
    let name = identified(&logs, &input.resource_arn)?;
    edit(&logs, name, |tags| tags.extend(input.tags)).await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagResource.html>
pub(super) async fn untag_resource(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<Nothing, ApiError> {
    let name = identified(&logs, &input.resource_arn)?;
    edit(&logs, name, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsForResource.html>
pub(super) async fn list_tags_for_resource(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let name = identified(&logs, &input.resource_arn)?;
    Ok(ListTagsForResourceResponse { tags: Some(tags_of(&logs, &name)?) })
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagLogGroup.html>
pub(super) async fn tag_log_group(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: TagLogGroupRequest,
) -> Result<Nothing, ApiError> {
    edit(&logs, input.log_group_name, |tags| tags.extend(input.tags)).await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_UntagLogGroup.html>
pub(super) async fn untag_log_group(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: UntagLogGroupRequest,
) -> Result<Nothing, ApiError> {
    edit(&logs, input.log_group_name, |tags| tags.retain(|key, _| !input.tags.contains(key))).await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListTagsLogGroup.html>
pub(super) async fn list_tags_log_group(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: ListTagsLogGroupRequest,
) -> Result<ListTagsLogGroupResponse, ApiError> {
    Ok(ListTagsLogGroupResponse { tags: Some(tags_of(&logs, &input.log_group_name)?) })
}

fn tags_of(logs: &Logs, name: &str) -> Result<Tags, ApiError> {
    logs.catalog.read(|state| state.groups.get(name).map(|group| group.tags.clone())).ok_or_else(no_group)
}

async fn edit(logs: &Logs, name: String, edit: impl FnOnce(&mut Tags)) -> Result<Nothing, ApiError> {
    logs.catalog
        .change(|state| {
            let mut tags = state.groups.get(&name).ok_or_else(no_group)?.tags.clone();
            edit(&mut tags);
            check(&tags)?;
            Ok::<_, ApiError>((vec![Change::Tagged { name, tags }], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Refuses what a group cannot be tagged with. The model bounds the lengths.
pub(super) fn check(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return Err(TOO_MANY_TAGS_EXCEPTION.because(format!("A resource can have at most {TAGS} tags.")));
    }
    match tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => Err(invalid(format!("Tag keys starting with 'aws:' are reserved for system use: {key}"))),
        None => Ok(()),
    }
}
