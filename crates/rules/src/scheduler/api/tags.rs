//! Tags, which groups alone may have.

use super::{invalid, no_group};
use crate::limits::TAGS;
use crate::scheduler::Scheduler;
use crate::scheduler::state::Change;
use names::Arn;
use shapes::scheduler::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput, UntagResourceInput,
    UntagResourceOutput,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) fn given(tags: &[Tag]) -> Result<BTreeMap<String, String>, ApiError> {
    if let Some(tag) = tags.iter().find(|tag| tag.key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid(format!("The tag key {} begins with the reserved prefix aws:.", tag.key)));
    }
    let all: BTreeMap<_, _> = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    if all.len() < tags.len() || all.len() > TAGS {
        return Err(invalid(format!("A schedule group may have {TAGS} tags, each key once.")));
    }
    Ok(all)
}

/// The group that an ARN names.
fn group(scheduler: &Scheduler, text: &str) -> Result<String, ApiError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("Invalid ARN {text}.")))?;
    let name =
        arn.resource_after("schedule-group/").ok_or_else(|| invalid(format!("{text} is not a schedule group.")))?;
    if scheduler.group_arn(name) != arn {
        return Err(no_group(name));
    }
    Ok(name.to_owned())
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_TagResource.html>
pub(super) async fn tag_resource(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: TagResourceInput,
) -> Result<TagResourceOutput, ApiError> {
    let (name, tags, at) = (group(&scheduler, &input.resource_arn)?, given(&input.tags)?, scheduler.world.now());
    scheduler
        .change(|state| {
            let known = &state.groups.get(&name).ok_or_else(|| no_group(&name))?.tags;
            if known.len() + tags.keys().filter(|key| !known.contains_key(*key)).count() > TAGS {
                return Err(invalid(format!("A schedule group may have {TAGS} tags.")));
            }
            Ok((vec![Change::Tagged { name, at, tags }], TagResourceOutput {}))
        })
        .await
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UntagResource.html>
pub(super) async fn untag_resource(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: UntagResourceInput,
) -> Result<UntagResourceOutput, ApiError> {
    let (name, at) = (group(&scheduler, &input.resource_arn)?, scheduler.world.now());
    scheduler
        .change(|state| match state.groups.contains_key(&name) {
            true => Ok((vec![Change::Untagged { name, at, keys: input.tag_keys }], UntagResourceOutput {})),
            false => Err(no_group(&name)),
        })
        .await
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListTagsForResource.html>
pub(super) async fn list_tags_for_resource(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, ApiError> {
    let name = group(&scheduler, &input.resource_arn)?;
    scheduler.catalog.read(|state| {
        let known = state.groups.get(&name).ok_or_else(|| no_group(&name))?;
        let tags = known.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
        Ok(ListTagsForResourceOutput { tags: Some(tags.collect()) })
    })
}
