//! Consumers ask for more time, or give a message back.

use crate::batch::{check, failed};
use crate::error::{MISSING_PARAMETER, bad_value};
use crate::room::Room;
use crate::throttle::Action;
use crate::{Queues, handout, limits};
use shapes::sqs::{
    ChangeMessageVisibilityBatchRequest, ChangeMessageVisibilityBatchResult, ChangeMessageVisibilityBatchResultEntry,
    ChangeMessageVisibilityRequest,
};
use std::sync::Arc;
use std::time::Duration;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
pub(super) async fn change_message_visibility(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ChangeMessageVisibilityRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    queues.count_call(&room, Action::ChangeVisibility)?;
    change(&queues, &room, &input.receipt_handle, Some(input.visibility_timeout)).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
pub(super) async fn change_message_visibility_batch(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ChangeMessageVisibilityBatchRequest,
) -> Result<ChangeMessageVisibilityBatchResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    check("ChangeMessageVisibilityBatchRequestEntry", input.entries.iter().map(|entry| entry.id.as_str()))?;
    queues.count_call(&room, Action::ChangeVisibility)?;
    let mut result = ChangeMessageVisibilityBatchResult { successful: Vec::new(), failed: Vec::new() };
    for entry in input.entries {
        match change(&queues, &room, &entry.receipt_handle, entry.visibility_timeout).await {
            Ok(()) => result.successful.push(ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
            Err(error) => result.failed.push(failed(entry.id, error)),
        }
    }
    Ok(result)
}

async fn change(queues: &Queues, room: &Room, handle: &str, visibility_s: Option<i32>) -> Result<(), ApiError> {
    let Some(visibility_s) = visibility_s else {
        return Err(MISSING_PARAMETER.because("The request must contain the parameter VisibilityTimeout."));
    };
    if !limits::VISIBILITY_S.contains(&i64::from(visibility_s)) {
        let why = "VisibilityTimeout must be an integer between 0 and 43200.";
        return Err(bad_value("VisibilityTimeout", visibility_s, why));
    }
    handout::change_visibility(queues, room, handle, Duration::from_secs(visibility_s as u64)).await
}
