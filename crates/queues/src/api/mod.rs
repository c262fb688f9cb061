//! The asked door: one file per family of operations.

mod attributes;
mod delete;
mod list;
mod manage;
mod moves;
mod permission;
mod receive;
mod send;
mod tags;
mod visibility;

use crate::Queues;
use shapes::sqs::{
    AddPermissionOp, CancelMessageMoveTaskOp, ChangeMessageVisibilityBatchOp, ChangeMessageVisibilityOp, CreateQueueOp,
    DeleteMessageBatchOp, DeleteMessageOp, DeleteQueueOp, GetQueueAttributesOp, GetQueueUrlOp,
    ListDeadLetterSourceQueuesOp, ListMessageMoveTasksOp, ListQueueTagsOp, ListQueuesOp, PurgeQueueOp,
    ReceiveMessageOp, RemovePermissionOp, SendMessageBatchOp, SendMessageOp, SetQueueAttributesOp,
    StartMessageMoveTaskOp, TagQueueOp, UntagQueueOp,
};
use std::sync::Arc;
use wire::Service;

/// The table of handlers.
pub(crate) fn service(queues: &Arc<Queues>) -> Service {
    Service::new(&shapes::sqs::SERVICE)
        .on::<CreateQueueOp, _, _, _>(queues, manage::create_queue)
        .on::<DeleteQueueOp, _, _, _>(queues, manage::delete_queue)
        .on::<PurgeQueueOp, _, _, _>(queues, manage::purge_queue)
        .on::<GetQueueUrlOp, _, _, _>(queues, list::get_queue_url)
        .on::<ListQueuesOp, _, _, _>(queues, list::list_queues)
        .on::<ListDeadLetterSourceQueuesOp, _, _, _>(queues, list::list_dead_letter_source_queues)
        .on::<GetQueueAttributesOp, _, _, _>(queues, attributes::get_queue_attributes)
        .on::<SetQueueAttributesOp, _, _, _>(queues, attributes::set_queue_attributes)
        .on::<AddPermissionOp, _, _, _>(queues, permission::add_permission)
        .on::<RemovePermissionOp, _, _, _>(queues, permission::remove_permission)
        .on::<TagQueueOp, _, _, _>(queues, tags::tag_queue)
        .on::<UntagQueueOp, _, _, _>(queues, tags::untag_queue)
        .on::<ListQueueTagsOp, _, _, _>(queues, tags::list_queue_tags)
        .on::<StartMessageMoveTaskOp, _, _, _>(queues, moves::start_message_move_task)
        .on::<CancelMessageMoveTaskOp, _, _, _>(queues, moves::cancel_message_move_task)
        .on::<ListMessageMoveTasksOp, _, _, _>(queues, moves::list_message_move_tasks)
        .on::<SendMessageOp, _, _, _>(queues, send::send_message)
        .on::<SendMessageBatchOp, _, _, _>(queues, send::send_message_batch)
        .on::<ReceiveMessageOp, _, _, _>(queues, receive::receive_message)
        .on::<DeleteMessageOp, _, _, _>(queues, delete::delete_message)
        .on::<DeleteMessageBatchOp, _, _, _>(queues, delete::delete_message_batch)
        .on::<ChangeMessageVisibilityOp, _, _, _>(queues, visibility::change_message_visibility)
        .on::<ChangeMessageVisibilityBatchOp, _, _, _>(queues, visibility::change_message_visibility_batch)
}
