//! Queues themselves: made, listed, set, purged, deleted.

use crate::error::{
    INVALID_ATTRIBUTE_NAME, PURGE_QUEUE_IN_PROGRESS, QUEUE_DELETED_RECENTLY, QUEUE_NAME_EXISTS, bad_value, no_queue,
};
use crate::settings::Settings;
use crate::state::{Change, State};
use crate::{Queues, address, limits};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::{Arn, Timestamp};
use shapes::sqs::{
    CreateQueueRequest, CreateQueueResult, DeleteQueueRequest, GetQueueAttributesRequest, GetQueueAttributesResult,
    GetQueueUrlRequest, GetQueueUrlResult, ListQueuesRequest, ListQueuesResult, PurgeQueueRequest,
    SetQueueAttributesRequest,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
pub(super) async fn create_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: CreateQueueRequest,
) -> Result<CreateQueueResult, ApiError> {
    let name = input.queue_name;
    let given = input.attributes.unwrap_or_default();
    let settings = Settings::default().with(&given)?;
    if !address::is_name(&name) {
        return Err(crate::error::INVALID_PARAMETER_VALUE
            .because("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"));
    }
    let at = queues.world.now();
    let tags = input.tags.unwrap_or_default();
    let decide = |state: &State| {
        if let Some(known) = state.queues.get(&name) {
            return match known.settings.differs(&settings, &given) {
                None => Ok(vec![]),
                Some(attribute) => Err(QUEUE_NAME_EXISTS.because(format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                ))),
            };
        }
        create(&queues, state, name.clone(), at, settings, tags)
    };
    queues.make(&name, decide).await?;
    Ok(CreateQueueResult { queue_url: Some(address::url(call.tls, &call.host, &queues.home, &name)) })
}

fn create(
    queues: &Queues,
    state: &State,
    name: String,
    at: Timestamp,
    settings: Settings,
    tags: BTreeMap<String, String>,
) -> Result<Vec<Change>, ApiError> {
    let fresh = |deleted: &Timestamp| at.since(*deleted) < limits::NAME_PAUSE;
    if state.deleted.get(&name).is_some_and(fresh) {
        return Err(QUEUE_DELETED_RECENTLY.because(
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ));
    }
    check_redrive(state, &queues.home.arn("sqs", &name), &settings)?;
    let old = state.deleted.iter().filter(|(_, deleted)| !fresh(deleted)).map(|(name, _)| name.clone()).collect();
    Ok(vec![Change::Released(old), Change::Created { name, at, settings, tags }])
}

/// A dead-letter queue must exist and allow its source.
fn check_redrive(state: &State, source: &Arn, settings: &Settings) -> Result<(), ApiError> {
    let Some(redrive) = &settings.redrive else { return Ok(()) };
    let here = redrive.to.account() == source.account() && redrive.to.region() == source.region();
    let Some(dead) = state.queues.get(redrive.to.resource()).filter(|_| here) else {
        return Err(bad_value("RedrivePolicy", &redrive.to, "Dead letter target does not exist."));
    };
    if dead.settings.redrive_allow.as_ref().is_some_and(|allow| !allow.allows(source)) {
        let why = "The dead letter target does not allow this queue to use it (RedriveAllowPolicy).";
        return Err(bad_value("RedrivePolicy", &redrive.to, why));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html>
pub(super) async fn delete_queue(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: DeleteQueueRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.at(&input.queue_url)?;
    queues.delete(&room).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
pub(super) async fn purge_queue(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: PurgeQueueRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.at(&input.queue_url)?;
    if !room.may_purge(queues.world.now()) {
        let text = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", room.name);
        return Err(PURGE_QUEUE_IN_PROGRESS.because(text));
    }
    room.messages.purge().await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>
pub(super) async fn get_queue_url(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: GetQueueUrlRequest,
) -> Result<GetQueueUrlResult, ApiError> {
    let ours = input.queue_owner_aws_account_id.is_none_or(|owner| owner == queues.home.account.as_str());
    let room = queues.room(&input.queue_name).filter(|_| ours).ok_or_else(no_queue)?;
    Ok(GetQueueUrlResult { queue_url: Some(address::url(call.tls, &call.host, &queues.home, &room.name)) })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
pub(super) async fn list_queues(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ListQueuesRequest,
) -> Result<ListQueuesResult, ApiError> {
    // Without MaxResults there is one page of a thousand, and no token.
    let paged = input.max_results.is_some();
    let max = i64::from(input.max_results.unwrap_or(*limits::LIST.end() as i32));
    if !limits::LIST.contains(&max) {
        return Err(bad_value("MaxResults", max, "MaxResults must be an integer between 1 and 1000."));
    }
    let prefix = input.queue_name_prefix.unwrap_or_default();
    let after = match input.next_token.filter(|token| !token.is_empty()) {
        Some(token) => {
            let name = STANDARD.decode(&token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(name.ok_or_else(|| bad_value("NextToken", &token, "It was not given by ListQueues."))?)
        }
        None => None,
    };
    let from = match &after {
        Some(name) if name.as_str() >= prefix.as_str() => Bound::Excluded(name.clone()),
        _ => Bound::Included(prefix.clone()),
    };
    let mut names: Vec<String> = queues.catalog.read(|state| {
        let known = state.queues.range((from, Bound::Unbounded)).map(|(name, _)| name.clone());
        known.take_while(|name| name.starts_with(&prefix)).take(max as usize + 1).collect()
    });
    let more = names.len() > max as usize;
    names.truncate(max as usize);
    let next_token = names.last().filter(|_| more && paged).map(|name| STANDARD.encode(name));
    let urls: Vec<String> = names.iter().map(|name| address::url(call.tls, &call.host, &queues.home, name)).collect();
    Ok(ListQueuesResult { queue_urls: (!urls.is_empty()).then_some(urls), next_token })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
pub(super) async fn get_queue_attributes(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: GetQueueAttributesRequest,
) -> Result<GetQueueAttributesResult, ApiError> {
    const OPTIONAL: [&str; 11] = [
        "Policy",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
        "FifoQueue",
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "FifoThroughputLimit",
        "SqsManagedSseEnabled",
        "All",
    ];
    let room = queues.at(&input.queue_url)?;
    let (queue, counts) = (
        queues.catalog.read(|state| state.queues.get(&room.name).cloned()).ok_or_else(no_queue)?,
        room.counts(&queues),
    );
    let mut all = queue.settings.attributes();
    all.extend([
        ("QueueArn", room.arn.to_string()),
        ("CreatedTimestamp", queue.created.secs().to_string()),
        ("LastModifiedTimestamp", queue.modified.secs().to_string()),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
    ]);
    let asked = input.attribute_names.unwrap_or_default();
    for name in &asked {
        if !OPTIONAL.contains(&name.as_str()) && !all.iter().any(|(known, _)| known == name) {
            return Err(INVALID_ATTRIBUTE_NAME.because(format!("Unknown Attribute {name}.")));
        }
    }
    let every = asked.iter().any(|name| name == "All");
    let wanted: BTreeMap<String, String> = all
        .into_iter()
        .filter(|(known, _)| every || asked.iter().any(|name| name == known))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(GetQueueAttributesResult { attributes: (!wanted.is_empty()).then_some(wanted) })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>
pub(super) async fn set_queue_attributes(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: SetQueueAttributesRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.at(&input.queue_url)?;
    let at = queues.world.now();
    queues
        .catalog
        .change(|state| {
            let queue = state.queues.get(&room.name).ok_or_else(no_queue)?;
            let settings = queue.settings.with(&input.attributes)?;
            check_redrive(state, &room.arn, &settings)?;
            Ok::<_, ApiError>((vec![Change::Set { name: room.name.clone(), at, settings }], ()))
        })
        .await?;
    Ok(Nothing {})
}
