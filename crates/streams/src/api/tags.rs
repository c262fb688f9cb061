//! Tags, by both of AWS's families: `...Stream` with a stream's name, `...Resource` with an ARN.

use super::consumers;
use crate::Streams;
use crate::consumer::{Consumer, ConsumerChange};
use crate::error;
use crate::limits::{LIMITS_TAG, Limits, TAGS};
use crate::live::LiveStream;
use crate::state::Change;
use crate::streams::{Asked, asked};
use shapes::kinesis::{
    AddTagsToStreamInput, ListTagsForResourceInput, ListTagsForResourceOutput, ListTagsForStreamInput,
    ListTagsForStreamOutput, RemoveTagsFromStreamInput, Tag, TagResourceInput, UntagResourceInput,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// Tags that one `ListTagsForStream` call gives.
const PAGE: usize = 50;

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AddTagsToStream.html>
pub(crate) async fn add_tags_to_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: AddTagsToStreamInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    set(&streams, streams.name_of(asked!(input))?, input.tags.clone()).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_TagResource.html>
pub(crate) async fn tag_resource(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: TagResourceInput,
) -> Result<Nothing, ApiError> {
    let Some((stream, consumer)) = consumer(&streams, &call, &input.resource_arn, &input.stream_id)? else {
        return set(&streams, resource(&streams, &call, &input.resource_arn, &input.stream_id)?, input.tags.clone())
            .await;
    };
    let name = &stream.def.name;
    check_new(&streams, name, &input.tags)?;
    let new = input.tags.keys().filter(|key| !consumer.tags.contains_key(*key)).count();
    check_count(&streams, name, consumer.tags.len() + new)?;
    let change = ConsumerChange::Tagged { set: input.tags, remove: Vec::new() };
    consumers::change(&streams, &stream, consumer, change).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RemoveTagsFromStream.html>
pub(crate) async fn remove_tags_from_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: RemoveTagsFromStreamInput,
) -> Result<Nothing, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    remove(&streams, streams.name_of(asked!(input))?, input.tag_keys.clone()).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html>
pub(crate) async fn untag_resource(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: UntagResourceInput,
) -> Result<Nothing, ApiError> {
    let Some((stream, consumer)) = consumer(&streams, &call, &input.resource_arn, &input.stream_id)? else {
        return remove(&streams, resource(&streams, &call, &input.resource_arn, &input.stream_id)?, input.tag_keys)
            .await;
    };
    check(&streams, &stream.def.name, "remove tags from", input.tag_keys.iter())?;
    let change = ConsumerChange::Tagged { set: BTreeMap::new(), remove: input.tag_keys };
    consumers::change(&streams, &stream, consumer, change).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForStream.html>
pub(crate) async fn list_tags_for_stream(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: ListTagsForStreamInput,
) -> Result<ListTagsForStreamOutput, ApiError> {
    streams.admit(&call, asked!(input).text())?;
    let stream = streams.find(asked!(input))?;
    let limit = input.limit.map_or(PAGE, |limit| limit.max(1) as usize);
    let after = input.exclusive_start_tag_key.as_deref();
    let mut rest = stream.def.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let tags = rest.by_ref().take(limit).map(tag_shape).collect();
    Ok(ListTagsForStreamOutput { tags, has_more_tags: rest.next().is_some() })
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html>
pub(crate) async fn list_tags_for_resource(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, ApiError> {
    if let Some((_, consumer)) = consumer(&streams, &call, &input.resource_arn, &input.stream_id)? {
        return Ok(ListTagsForResourceOutput { tags: Some(consumer.tags.iter().map(tag_shape).collect()) });
    }
    let name = resource(&streams, &call, &input.resource_arn, &input.stream_id)?;
    let stream = streams.find(Asked { name: Some(name), ..Asked::default() })?;
    Ok(ListTagsForResourceOutput { tags: Some(stream.def.tags.iter().map(tag_shape).collect()) })
}

/// The name of the stream that an ARN names.
fn resource<'a>(streams: &Streams, call: &Call, arn: &'a str, id: &'a Option<String>) -> Result<&'a str, ApiError> {
    let name = streams.name_of(Asked { name: None, arn: Some(arn), id: id.as_deref() })?;
    streams.admit(call, Some(name))?;
    Ok(name)
}

/// The consumer that an ARN names, where it names one.
fn consumer(
    streams: &Streams,
    call: &Call,
    arn: &str,
    id: &Option<String>,
) -> Result<Option<(Arc<LiveStream>, Consumer)>, ApiError> {
    if !arn.contains("/consumer/") {
        return Ok(None);
    }
    let (stream, consumer) = streams.consumer(arn, id.as_deref())?;
    streams.admit_to_consumer(call, &stream, &consumer)?;
    Ok(Some((stream, consumer)))
}

fn tag_shape((key, value): (&String, &String)) -> Tag {
    Tag { key: key.clone(), value: Some(value.clone()) }
}

async fn set(streams: &Arc<Streams>, name: &str, set: BTreeMap<String, String>) -> Result<Nothing, ApiError> {
    check_new(streams, name, &set)?;
    let (home, this, stream_name) = (streams.home().clone(), streams.clone(), name.to_owned());
    let decided = streams.change(name.to_owned(), move |state| {
        let stream = state.streams.get(&stream_name).ok_or_else(|| error::no_stream(&home, &stream_name))?;
        let new = set.keys().filter(|key| !stream.tags.contains_key(*key)).count();
        check_count(&this, &stream_name, stream.tags.len() + new)?;
        Ok(vec![Change::Tagged { name: stream_name, set, remove: Vec::new() }])
    });
    decided.await?;
    Ok(Nothing {})
}

async fn remove(streams: &Arc<Streams>, name: &str, remove: Vec<String>) -> Result<Nothing, ApiError> {
    check(streams, name, "remove tags from", remove.iter())?;
    let (home, stream_name) = (streams.home().clone(), name.to_owned());
    let decided = streams.change(name.to_owned(), move |state| {
        if !state.streams.contains_key(&stream_name) {
            return Err(error::no_stream(&home, &stream_name));
        }
        Ok(vec![Change::Tagged { name: stream_name, set: BTreeMap::new(), remove }])
    });
    decided.await?;
    Ok(Nothing {})
}

/// Refuses what AWS does not take in a new tag: illegal characters, and keys that it keeps for itself.
/// <https://docs.aws.amazon.com/streams/latest/dev/tagging.html>
pub(crate) fn check_new(streams: &Streams, stream: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.keys().any(|key| key.starts_with("aws:")) {
        return Err(error::argument(format!(
            "Failed to add tags to stream {stream} under account {} because some tag keys start with aws:, which is \
             reserved for AWS.",
            streams.home().account
        )));
    }
    if let Some(value) = tags.get(LIMITS_TAG).filter(|value| Limits::named(value).is_none()) {
        return Err(error::argument(format!("The tag {LIMITS_TAG} takes the values aws and off, not {value}.")));
    }
    check(streams, stream, "add tags to", tags.iter().flat_map(|(key, value)| [key, value]))
}

/// Letters, digits, white space and `_ . / = + - @ :` are allowed.
fn check<'a>(
    streams: &Streams,
    stream: &str,
    doing: &str,
    mut texts: impl Iterator<Item = &'a String>,
) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_./=+-@:".contains(c);
    if texts.all(|text| text.chars().all(allowed)) {
        return Ok(());
    }
    Err(error::argument(format!(
        "Failed to {doing} stream {stream} under account {} because some tags contained illegal characters. The allowed \
         characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@',':'.",
        streams.home().account
    )))
}

/// Refuses more tags than a stream may have.
pub(crate) fn check_count(streams: &Streams, stream: &str, count: usize) -> Result<(), ApiError> {
    if count <= TAGS {
        return Ok(());
    }
    Err(error::argument(format!(
        "Failed to add tags to stream {stream} under account {} because a given stream cannot have more than {TAGS} tags \
         associated with it.",
        streams.home().account
    )))
}
