//! The asked door: one file per family of operations.

mod delete;
mod manage;
mod receive;
mod send;
mod visibility;

use crate::Queues;
use crate::error::RECEIPT_HANDLE_IS_INVALID;
use crate::queues::Room;
use crate::receipt::Receipt;
use shapes::sqs::{
    ChangeMessageVisibilityBatchOp, ChangeMessageVisibilityOp, CreateQueueOp, DeleteMessageBatchOp, DeleteMessageOp,
    DeleteQueueOp, GetQueueAttributesOp, GetQueueUrlOp, ListQueuesOp, PurgeQueueOp, ReceiveMessageOp,
    SendMessageBatchOp, SendMessageOp, SetQueueAttributesOp,
};
use std::sync::Arc;
use wire::{ApiError, Service};

pub(crate) use send::{accept, draft};

/// The table of handlers.
pub(crate) fn service(queues: &Arc<Queues>) -> Service {
    Service::new(&shapes::sqs::SERVICE)
        .on::<CreateQueueOp, _, _, _>(queues, manage::create_queue)
        .on::<DeleteQueueOp, _, _, _>(queues, manage::delete_queue)
        .on::<PurgeQueueOp, _, _, _>(queues, manage::purge_queue)
        .on::<GetQueueUrlOp, _, _, _>(queues, manage::get_queue_url)
        .on::<ListQueuesOp, _, _, _>(queues, manage::list_queues)
        .on::<GetQueueAttributesOp, _, _, _>(queues, manage::get_queue_attributes)
        .on::<SetQueueAttributesOp, _, _, _>(queues, manage::set_queue_attributes)
        .on::<SendMessageOp, _, _, _>(queues, send::send_message)
        .on::<SendMessageBatchOp, _, _, _>(queues, send::send_message_batch)
        .on::<ReceiveMessageOp, _, _, _>(queues, receive::receive_message)
        .on::<DeleteMessageOp, _, _, _>(queues, delete::delete_message)
        .on::<DeleteMessageBatchOp, _, _, _>(queues, delete::delete_message_batch)
        .on::<ChangeMessageVisibilityOp, _, _, _>(queues, visibility::change_message_visibility)
        .on::<ChangeMessageVisibilityBatchOp, _, _, _>(queues, visibility::change_message_visibility_batch)
}

/// The message that a receipt handle stands for in this queue.
fn receipt(queues: &Queues, room: &Room, handle: &str) -> Result<Receipt, ApiError> {
    queues.key.read(handle).filter(|receipt| receipt.life == room.life).ok_or_else(|| {
        RECEIPT_HANDLE_IS_INVALID
            .because(format!("The input receipt handle \"{handle}\" is not a valid receipt handle."))
    })
}
