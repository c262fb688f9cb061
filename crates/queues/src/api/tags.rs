//! Tags of queues.

use crate::Queues;
use crate::error::{INVALID_PARAMETER_VALUE, no_queue};
use crate::limits::{TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS};
use crate::state::Change;
use shapes::sqs::{ListQueueTagsRequest, ListQueueTagsResult, TagQueueRequest, UntagQueueRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

type Tags = BTreeMap<String, String>;

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html>
pub(super) async fn tag_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: TagQueueRequest,
) -> Result<Nothing, ApiError> {
    change(&queues, &call, &input.queue_url, |tags| tags.extend(input.tags)).await
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html>
pub(super) async fn untag_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: UntagQueueRequest,
) -> Result<Nothing, ApiError> {
    change(&queues, &call, &input.queue_url, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueueTags.html>
pub(super) async fn list_queue_tags(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ListQueueTagsRequest,
) -> Result<ListQueueTagsResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    let tags = queues.catalog.read(|state| state.queues.get(&room.name).map(|queue| queue.tags.clone()));
    Ok(ListQueueTagsResult { tags: tags.filter(|tags| !tags.is_empty()) })
}

async fn change(queues: &Queues, call: &Call, url: &str, edit: impl FnOnce(&mut Tags)) -> Result<Nothing, ApiError> {
    let room = queues.asked(call, url)?;
    queues
        .catalog
        .change(|state| {
            let mut tags = state.queues.get(&room.name).ok_or_else(no_queue)?.tags.clone();
            edit(&mut tags);
            check(&room.name, &tags)?;
            Ok::<_, ApiError>((vec![Change::Tagged { name: room.name.clone(), tags }], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Refuses what a queue cannot be tagged with.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html>
pub(super) fn check(queue: &str, tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return Err(INVALID_PARAMETER_VALUE.because(format!("Too many tags added for queue {queue}.")));
    }
    for (key, value) in tags {
        if !TAG_KEY_LENGTH.contains(&key.chars().count()) || value.chars().count() > TAG_VALUE_LENGTH {
            return Err(INVALID_PARAMETER_VALUE
                .because(format!("Tag {key} is invalid: a key has 1 to 128 characters, a value at most 256.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(INVALID_PARAMETER_VALUE.because(format!("Tag keys must not start with aws:, as {key} does.")));
        }
    }
    Ok(())
}
