//! Messages are done with.

use crate::Queues;
use crate::batch::{check, failed};
use crate::queues::Room;
use shapes::sqs::{
    DeleteMessageBatchRequest, DeleteMessageBatchResult, DeleteMessageBatchResultEntry, DeleteMessageRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
pub(super) async fn delete_message(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: DeleteMessageRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.at(&input.queue_url)?;
    let ids = deletable(&queues, &room, &input.receipt_handle)?;
    delete(&room, ids.as_slice()).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>
pub(super) async fn delete_message_batch(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: DeleteMessageBatchRequest,
) -> Result<DeleteMessageBatchResult, ApiError> {
    let room = queues.at(&input.queue_url)?;
    check("DeleteMessageBatchRequestEntry", input.entries.iter().map(|entry| entry.id.as_str()))?;
    let mut result = DeleteMessageBatchResult { successful: Vec::new(), failed: Vec::new() };
    let mut ids = Vec::new();
    for entry in input.entries {
        match deletable(&queues, &room, &entry.receipt_handle) {
            Ok(id) => {
                ids.extend(id);
                result.successful.push(DeleteMessageBatchResultEntry { id: entry.id });
            }
            Err(error) => result.failed.push(failed(entry.id, error)),
        }
    }
    delete(&room, &ids).await?;
    Ok(result)
}

/// The message to delete. A handle of an earlier receive deletes nothing when the message has been received again since,
/// and that is no error: somebody else works on it now, and SQS promises no more.
fn deletable(queues: &Queues, room: &Room, handle: &str) -> Result<Option<u64>, ApiError> {
    let receipt = super::receipt(queues, room, handle)?;
    let latest = room.messages.receipt(receipt.message);
    Ok(Some(receipt.message).filter(|_| latest.is_none_or(|number| number == receipt.number)))
}

/// Deletes, durably: what was deleted does not come back after a crash.
async fn delete(room: &Room, ids: &[u64]) -> Result<(), ApiError> {
    if ids.is_empty() {
        return Ok(());
    }
    let deleted = room.messages.ack_durable(ids).await?.into_iter().filter(|news| *news).count();
    if deleted > 0 {
        room.meters.deleted.record(deleted as u64);
    }
    Ok(())
}
