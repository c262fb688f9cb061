//! Tags of topics.

use crate::Topics;
use crate::error::{invalid, invalid_because};
use crate::limits::{TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS};
use crate::state::Change;
use shapes::sns::errors::{RESOURCE_NOT_FOUND_EXCEPTION, TAG_LIMIT_EXCEEDED_EXCEPTION};
use shapes::sns::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

type Tags = BTreeMap<String, String>;

/// <https://docs.aws.amazon.com/sns/latest/api/API_TagResource.html>
pub(super) async fn tag_resource(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, ApiError> {
    let given = given(input.tags)?;
    change(&topics, &call, &input.resource_arn, |tags| tags.extend(given)).await?;
    Ok(TagResourceResponse {})
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_UntagResource.html>
pub(super) async fn untag_resource(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, ApiError> {
    change(&topics, &call, &input.resource_arn, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await?;
    Ok(UntagResourceResponse {})
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListTagsForResource.html>
pub(super) async fn list_tags_for_resource(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let name = topics.asked(&call, &input.resource_arn)?;
    let tags =
        topics.catalog.read(|state| state.topics.get(&name).map(|topic| topic.tags.clone())).ok_or_else(absent)?;
    Ok(ListTagsForResourceResponse { tags: Some(tags.into_iter().map(|(key, value)| Tag { key, value }).collect()) })
}

async fn change(topics: &Topics, call: &Call, arn: &str, edit: impl FnOnce(&mut Tags)) -> Result<(), ApiError> {
    let name = topics.asked(call, arn)?;
    topics
        .catalog
        .change(|state| {
            let mut tags = state.topics.get(&name).ok_or_else(absent)?.tags.clone();
            edit(&mut tags);
            limit(&tags)?;
            Ok::<_, ApiError>((vec![Change::Tagged { name: name.clone(), tags }], ()))
        })
        .await
}

fn absent() -> ApiError {
    RESOURCE_NOT_FOUND_EXCEPTION.because("Resource does not exist")
}

/// Tags as they were given, where a topic may have them.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-tags.html>
pub(super) fn given(tags: Vec<Tag>) -> Result<Tags, ApiError> {
    let mut out = Tags::new();
    for Tag { key, value } in tags {
        if !TAG_KEY_LENGTH.contains(&key.chars().count()) || value.chars().count() > TAG_VALUE_LENGTH {
            let why = format!("{key}: a key has 1 to 128 characters, a value at most 256");
            return Err(invalid_because("Tags", why));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_because("Tags", format!("{key}: keys must not start with aws:")));
        }
        if out.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Duplicated keys are not allowed: {key}")));
        }
    }
    limit(&out)?;
    Ok(out)
}

fn limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        let text = "Could not complete request: tag quota of per resource exceeded";
        return Err(TAG_LIMIT_EXCEEDED_EXCEPTION.because(text));
    }
    Ok(())
}
