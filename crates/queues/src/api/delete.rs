//! Messages are done with.

use crate::Queues;
use crate::batch::{check, failed};
use crate::handout;
use crate::throttle::Action;
use shapes::sqs::{
    DeleteMessageBatchRequest, DeleteMessageBatchResult, DeleteMessageBatchResultEntry, DeleteMessageRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
pub(super) async fn delete_message(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: DeleteMessageRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    queues.count_call(&room, Action::Delete)?;
    let outcomes = handout::delete(&queues, &room, std::iter::once(input.receipt_handle.as_str())).await?;
    outcomes.into_iter().collect::<Result<(), ApiError>>()?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>
pub(super) async fn delete_message_batch(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: DeleteMessageBatchRequest,
) -> Result<DeleteMessageBatchResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    check("DeleteMessageBatchRequestEntry", input.entries.iter().map(|entry| entry.id.as_str()))?;
    queues.count_call(&room, Action::Delete)?;
    let handles = input.entries.iter().map(|entry| entry.receipt_handle.as_str());
    let outcomes = handout::delete(&queues, &room, handles).await?;
    let mut result = DeleteMessageBatchResult { successful: Vec::new(), failed: Vec::new() };
    for (entry, outcome) in input.entries.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => result.successful.push(DeleteMessageBatchResultEntry { id: entry.id }),
            Err(error) => result.failed.push(failed(entry.id, error)),
        }
    }
    Ok(result)
}
