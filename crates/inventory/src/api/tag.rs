//! Tags of instances.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>

use super::describe::{page_size, token};
use super::{find_all, missing};
use crate::Inventory;
use crate::error::{INVALID_ID, INVALID_VALUE, dry_run};
use crate::filter::Filters;
use crate::limits::TAGGED_AT_ONCE;
use crate::state::{Change, Instance};
use crate::tags::{check, fit, reserved};
use shapes::ec2::{CreateTagsRequest, DeleteTagsRequest, DescribeTagsRequest, DescribeTagsResult, TagDescription};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn create_tags(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: CreateTagsRequest,
) -> Result<Nothing, ApiError> {
    let ids = resources(input.resources)?;
    if input.tags.is_empty() {
        return Err(missing("Tag"));
    }
    let tags = check(input.tags)?;
    inventory
        .catalog
        .change::<_, ApiError>(|state| {
            for instance in find_all(&inventory, state, &ids, call.at)? {
                fit(&instance.tags, &tags)?;
            }
            dry_run(input.dry_run)?;
            Ok((vec![Change::Tagged { ids, tags }], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// A tag given with a value goes only where it has that value; with none given, all tags of the caller's go.
pub(super) async fn delete_tags(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: DeleteTagsRequest,
) -> Result<Nothing, ApiError> {
    let ids = resources(input.resources)?;
    let tags = input.tags.filter(|tags| !tags.is_empty());
    for tag in tags.iter().flatten() {
        reserved(tag.key.as_deref().unwrap_or_default())?;
    }
    let goes = |key: &str, value: &str| match &tags {
        None => true,
        Some(tags) => tags
            .iter()
            .any(|tag| tag.key.as_deref() == Some(key) && tag.value.as_deref().is_none_or(|wanted| wanted == value)),
    };
    inventory
        .catalog
        .change::<_, ApiError>(|state| {
            let mut changes = Vec::new();
            for instance in find_all(&inventory, state, &ids, call.at)? {
                let keys: Vec<String> =
                    instance.tags.iter().filter(|(key, value)| goes(key, value)).map(|(key, _)| key.clone()).collect();
                if !keys.is_empty() {
                    changes.push(Change::Untagged { id: instance.id.clone(), keys });
                }
            }
            dry_run(input.dry_run)?;
            Ok((changes, ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(super) async fn describe_tags(
    inventory: Arc<Inventory>,
    call: Arc<Call>,
    input: DescribeTagsRequest,
) -> Result<DescribeTagsResult, ApiError> {
    let limit = page_size(input.max_results)?;
    let skip = input.next_token.as_deref().map_or(Ok(0), token)? as usize;
    let filters = Filters::new(input.filters, is_filter)?;
    let settle = inventory.settings.settle;
    inventory.catalog.read(|state| {
        dry_run(input.dry_run)?;
        let visible = state.instances.values().filter(|instance| instance.visible(settle, call.at));
        let all = visible.flat_map(|instance| instance.tags.iter().map(move |(key, value)| (instance, key, value)));
        let fitting = all.filter(|(instance, key, value)| filters.fit(|name| values(instance, key, value, name)));
        let mut rest = fitting.skip(skip);
        let page: Vec<_> =
            rest.by_ref().take(limit).map(|(instance, key, value)| shape(instance, key, value)).collect();
        let next_token = rest.next().map(|_| format!("{:016x}", skip + limit));
        Ok(DescribeTagsResult { next_token, tags: Some(page) })
    })
}

fn shape(instance: &Instance, key: &str, value: &str) -> TagDescription {
    TagDescription {
        key: Some(key.to_owned()),
        resource_id: Some(instance.id.clone()),
        resource_type: Some("instance".to_owned()),
        value: Some(value.to_owned()),
    }
}

fn is_filter(name: &str) -> bool {
    matches!(name, "key" | "resource-id" | "resource-type" | "value") || name.starts_with("tag:")
}

fn values(instance: &Instance, key: &str, value: &str, name: &str) -> Vec<String> {
    match name {
        "key" => vec![key.to_owned()],
        "resource-id" => vec![instance.id.clone()],
        "resource-type" => vec!["instance".to_owned()],
        "value" => vec![value.to_owned()],
        name if name.strip_prefix("tag:") == Some(key) => vec![value.to_owned()],
        _ => Vec::new(),
    }
}

/// Only instances are registered, so only they can be tagged.
fn resources(ids: Vec<String>) -> Result<Vec<String>, ApiError> {
    if ids.is_empty() {
        return Err(missing("ResourceId"));
    }
    if ids.len() > TAGGED_AT_ONCE {
        let why = format!("The maximum number of resources in a single call is {TAGGED_AT_ONCE}.");
        return Err(INVALID_VALUE.because(why));
    }
    match ids.iter().find(|id| !id.starts_with("i-")) {
        Some(other) => Err(INVALID_ID.because(format!("The ID '{other}' is not valid"))),
        None => Ok(ids),
    }
}
