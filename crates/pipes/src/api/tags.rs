//! Tags of pipes. <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_TagResource.html>

use crate::Pipes;
use crate::error::{invalid, no_pipe, too_many};
use crate::limits::TAGS;
use crate::state::Change;
use names::Arn;
use shapes::pipes::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn tag_resource(
    pipes: Arc<Pipes>,
    _call: Arc<Call>,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, ApiError> {
    let (name, tags) = (named(&pipes, &input.resource_arn)?, given(input.tags)?);
    pipes
        .catalog
        .change(|state| {
            let known = &state.pipes.get(&name).ok_or_else(|| no_pipe(&name))?.tags;
            if known.len() + tags.keys().filter(|key| !known.contains_key(*key)).count() > TAGS {
                return Err(too_many(&name, "tags"));
            }
            Ok((vec![Change::Tagged { name: name.clone(), tags }], TagResourceResponse {}))
        })
        .await
}

pub(super) async fn untag_resource(
    pipes: Arc<Pipes>,
    _call: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, ApiError> {
    let name = named(&pipes, &input.resource_arn)?;
    pipes
        .catalog
        .change(|state| match state.pipes.contains_key(&name) {
            true => Ok((vec![Change::Untagged { name, keys: input.tag_keys }], UntagResourceResponse {})),
            false => Err(no_pipe(&name)),
        })
        .await
}

pub(super) async fn list_tags_for_resource(
    pipes: Arc<Pipes>,
    _call: Arc<Call>,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let name = named(&pipes, &input.resource_arn)?;
    let tags = pipes.catalog.read(|state| state.pipes.get(&name).map(|pipe| pipe.tags.clone()));
    Ok(ListTagsForResourceResponse { tags: Some(tags.ok_or_else(|| no_pipe(&name))?) })
}

/// The tags of a call. Keys that begin with `aws:` are AWS's own.
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub(super) fn given(tags: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    match tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => Err(invalid(format!("The tag key {key} begins with the reserved prefix aws:."))),
        None => Ok(tags),
    }
}

/// The pipe that an ARN names.
fn named(pipes: &Pipes, text: &str) -> Result<String, ApiError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("{text} is no ARN.")))?;
    let name = arn.resource_after("pipe/").filter(|_| arn.service() == "pipes");
    let name = name.ok_or_else(|| invalid(format!("{text} is no ARN of a pipe.")))?;
    if pipes.arn(name) != arn {
        return Err(no_pipe(name));
    }
    Ok(name.to_owned())
}
