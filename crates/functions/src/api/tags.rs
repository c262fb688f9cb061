//! TagResource, UntagResource, ListTags: of functions and event source mappings.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html>

use super::{find, invalid};
use crate::called::Called;
use crate::functions::Functions;
use crate::limits;
use crate::state::{Change, Function};
use names::Arn;
use shapes::lambda::{ListTagsRequest, ListTagsResponse, TagResourceRequest, UntagResourceRequest, errors};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// What may have tags.
enum Tagged {
    /// A function, by its name.
    Function(String),
    /// An event source mapping, by its id.
    Mapping(String),
}

/// What stands behind an ARN.
fn tagged(functions: &Functions, resource: &str) -> Result<Tagged, ApiError> {
    let arn: Arn = resource.parse().map_err(invalid)?;
    if let Some(uuid) = arn.resource_after("event-source-mapping:") {
        let home = &functions.home;
        let own = arn.region() == home.region.as_str() && arn.account() == home.account.as_str();
        return if own { Ok(Tagged::Mapping(uuid.to_owned())) } else { Err(no_mapping()) };
    }
    let called = Called::parse(&functions.home, resource, None)?;
    match called.qualifier {
        None => Ok(Tagged::Function(called.name)),
        Some(_) => {
            Err(invalid("Tags on function aliases and versions are not supported. Please specify a function ARN."))
        }
    }
}

fn no_mapping() -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.")
}

async fn change(
    functions: &Functions,
    tagged: &Tagged,
    edit: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Nothing, ApiError> {
    functions
        .catalog
        .change(|state| {
            let change = match tagged {
                Tagged::Function(name) => {
                    let mut function: Function = find(state, &functions.home, name)?.clone();
                    edit(&mut function.tags);
                    check(&function.tags)?;
                    Change::PutFunction(Box::new(function))
                }
                Tagged::Mapping(uuid) => {
                    let mut mapping = state.mappings.get(uuid).cloned().ok_or_else(no_mapping)?;
                    edit(&mut mapping.tags);
                    check(&mapping.tags)?;
                    Change::PutMapping(Box::new(mapping))
                }
            };
            Ok::<_, ApiError>((vec![change], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Keys and values of tags, and how many there may be.
pub(crate) fn check(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
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
    let tagged = tagged(&functions, &input.resource)?;
    change(&functions, &tagged, |tags| tags.extend(input.tags)).await
}

pub(crate) async fn untag_resource(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: UntagResourceRequest,
) -> Result<Nothing, ApiError> {
    let tagged = tagged(&functions, &input.resource)?;
    change(&functions, &tagged, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await
}

pub(crate) async fn list_tags(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: ListTagsRequest,
) -> Result<ListTagsResponse, ApiError> {
    let tagged = tagged(&functions, &input.resource)?;
    let tags = functions.catalog.read(|state| match &tagged {
        Tagged::Function(name) => find(state, &functions.home, name).map(|function| function.tags.clone()),
        Tagged::Mapping(uuid) => state.mappings.get(uuid).map(|mapping| mapping.tags.clone()).ok_or_else(no_mapping),
    })?;
    Ok(ListTagsResponse { tags: Some(tags) })
}
