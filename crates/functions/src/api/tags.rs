//! TagResource, UntagResource, ListTags: of functions.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html>

use super::{find, invalid, not_served};
use crate::called::Called;
use crate::functions::Functions;
use crate::limits;
use crate::state::{Change, Function};
use names::Arn;
use shapes::lambda::{ListTagsRequest, ListTagsResponse, TagResourceRequest, UntagResourceRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// The function behind the ARN of a resource that may have tags.
fn tagged(functions: &Functions, resource: &str) -> Result<String, ApiError> {
    let arn: Arn = resource.parse().map_err(invalid)?;
    if arn.resource_after("event-source-mapping:").is_some() {
        return Err(not_served("Tags of event source mappings"));
    }
    let called = Called::parse(&functions.home, resource, None)?;
    match called.qualifier {
        None => Ok(called.name),
        Some(_) => {
            Err(invalid("Tags on function aliases and versions are not supported. Please specify a function ARN."))
        }
    }
}

async fn change(
    functions: &Functions,
    name: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Nothing, ApiError> {
    functions
        .catalog
        .change(|state| {
            let mut function: Function = find(state, &functions.home, name)?.clone();
            edit(&mut function.tags);
            check(&function.tags)?;
            Ok::<_, ApiError>((vec![Change::PutFunction(Box::new(function))], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Keys and values of tags, and how many there may be.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > limits::TAGS {
        return Err(invalid(format!("Number of tags exceeds the limit of {}.", limits::TAGS)));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!("The tag {key} has a key or a value that is too long.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use."));
        }
    }
    Ok(())
}

pub(crate) async fn tag_resource(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: TagResourceRequest,
) -> Result<Nothing, ApiError> {
    let name = tagged(&functions, &input.resource)?;
    change(&functions, &name, |tags| tags.extend(input.tags)).await
}

pub(crate) async fn untag_resource(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<Nothing, ApiError> {
    let name = tagged(&functions, &input.resource)?;
    change(&functions, &name, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await
}

pub(crate) async fn list_tags(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: ListTagsRequest,
) -> Result<ListTagsResponse, ApiError> {
    let name = tagged(&functions, &input.resource)?;
    let tags = functions.catalog.read(|state| find(state, &functions.home, &name).map(|f| f.tags.clone()))?;
    Ok(ListTagsResponse { tags: Some(tags) })
}
