//! What queues are set to, and how they stand.

use super::manage::check_redrive;
use crate::Queues;
use crate::error::{INVALID_ATTRIBUTE_NAME, no_queue};
use crate::policy;
use crate::settings::Settings;
use crate::state::State;
use shapes::sqs::{GetQueueAttributesRequest, GetQueueAttributesResult, SetQueueAttributesRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
pub(super) async fn get_queue_attributes(
    queues: Arc<Queues>,
    call: Arc<Call>,
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
    let room = queues.asked(&call, &input.queue_url)?;
    let (queue, counts) =
        (queues.catalog.read(|state| state.queues.get(&room.name).cloned()).ok_or_else(no_queue)?, room.counts());
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
    call: Arc<Call>,
    input: SetQueueAttributesRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    let decide = |state: &State, settings: &Settings| {
        let settings = settings.with(&input.attributes)?;
        check_redrive(state, &room.arn, &settings)?;
        if input.attributes.contains_key("Policy") {
            policy::check(&*queues.identities, &room.arn, &settings)?;
        }
        Ok(settings)
    };
    queues.set(&room, decide).await?;
    Ok(Nothing {})
}
