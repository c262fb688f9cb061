//! Tags of rules and buses.

use crate::Rules;
use crate::error::{invalid, no_bus, no_rule, not_an_arn, too_many};
use crate::limits::TAGS;
use crate::policy::About;
use crate::state::{Change, DEFAULT_BUS, Tagged, Tags};
use names::Arn;
use shapes::events::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TagResource.html>
pub(super) async fn tag_resource(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, ApiError> {
    let resource = resource(&rules, &call, &input.resource_arn)?;
    let tags = given(&input.tags)?;
    rules
        .change(|state| {
            let known = state.tags(&resource).ok_or_else(|| absent(&resource))?;
            if known.len() + tags.keys().filter(|key| !known.contains_key(*key)).count() > TAGS {
                return Err(too_many());
            }
            Ok((vec![Change::Tagged { resource, tags }], TagResourceResponse {}))
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UntagResource.html>
pub(super) async fn untag_resource(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, ApiError> {
    let resource = resource(&rules, &call, &input.resource_arn)?;
    rules
        .change(|state| match state.tags(&resource) {
            None => Err(absent(&resource)),
            Some(_) => Ok((vec![Change::Untagged { resource, keys: input.tag_keys }], UntagResourceResponse {})),
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListTagsForResource.html>
pub(super) async fn list_tags_for_resource(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let resource = resource(&rules, &call, &input.resource_arn)?;
    rules.catalog.read(|state| {
        let known = state.tags(&resource).ok_or_else(|| absent(&resource))?;
        let tags = known.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags) })
    })
}

/// The tags of a call. Keys that begin with `aws:` are AWS's own.
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub(super) fn given(tags: &[Tag]) -> Result<Tags, ApiError> {
    if tags.len() > TAGS {
        return Err(too_many());
    }
    let mut all = Tags::new();
    for Tag { key, value } in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("Invalid parameter: the tag key {key} begins with the reserved prefix aws:")));
        }
        if all.insert(key.clone(), value.clone()).is_some() {
            return Err(invalid("Invalid parameter: Duplicated keys are not allowed."));
        }
    }
    Ok(all)
}

/// What an ARN names, where the bus's policy lets the caller in: `event-bus/BUS`, `rule/RULE` or `rule/BUS/RULE`.
fn resource(rules: &Rules, call: &Call, text: &str) -> Result<Tagged, ApiError> {
    let arn: Arn = text.parse().map_err(|_| not_an_arn(text))?;
    let bus = arn.resource_after("event-bus/").map(|name| Tagged::Bus(name.to_owned()));
    let rule = || {
        let (bus, rule) = match arn.resource_after("rule/")? {
            path if path.contains('/') => path.rsplit_once('/')?,
            name => (DEFAULT_BUS, name),
        };
        Some(Tagged::Rule { bus: bus.to_owned(), rule: rule.to_owned() })
    };
    let resource = bus.or_else(rule).ok_or_else(|| not_an_arn(text))?;
    if !rules.is_ours(&arn) {
        return Err(absent(&resource));
    }
    match &resource {
        Tagged::Bus(name) => rules.asked(call, Some(name), About::Bus)?,
        Tagged::Rule { bus, rule } => rules.asked(call, Some(bus), About::Rule(rule))?,
    };
    Ok(resource)
}

fn absent(resource: &Tagged) -> ApiError {
    match resource {
        Tagged::Bus(name) => no_bus(name),
        Tagged::Rule { bus, rule } => no_rule(bus, rule),
    }
}
