//! Moves of messages out of dead-letter queues: begun, ended early, listed.

use crate::Queues;
use crate::error::{INVALID_PARAMETER_VALUE, REQUEST_THROTTLED, RESOURCE_NOT_FOUND, UNSUPPORTED};
use crate::limits::{MOVES, MOVES_LISTED, MOVES_PER_S};
use crate::moves;
use crate::room::Room;
use crate::state::{Change, Move, MoveStatus, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Arn;
use serde_json::{Value, json};
use shapes::sqs::{
    CancelMessageMoveTaskRequest, CancelMessageMoveTaskResult, ListMessageMoveTasksRequest, ListMessageMoveTasksResult,
    ListMessageMoveTasksResultEntry, StartMessageMoveTaskRequest, StartMessageMoveTaskResult,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
pub(super) async fn start_message_move_task(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: StartMessageMoveTaskRequest,
) -> Result<StartMessageMoveTaskResult, ApiError> {
    let from = find(&queues, "SourceArn", &input.source_arn)?;
    queues.admit(&call, &from)?;
    let to = input.destination_arn.as_deref().map(|arn| find(&queues, "DestinationArn", arn)).transpose()?;
    if let Some(per_s) = input.max_number_of_messages_per_second
        && !MOVES_PER_S.contains(&i64::from(per_s))
    {
        return Err(INVALID_PARAMETER_VALUE.because(
            "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a number that is between 1 and 500.",
        ));
    }
    if let Some(to) = &to {
        check_destination(&from, to)?;
    }
    let task = Move {
        id: queues.world.uuid(),
        from: from.arn.clone(),
        life: from.life,
        to: to.map(|to| to.arn.clone()),
        per_s: input.max_number_of_messages_per_second.map(|per_s| per_s as u32),
        started: queues.world.now(),
        upto: from.messages.next_id(),
        to_move: from.counts().visible,
        moved: 0,
        status: MoveStatus::Running,
    };
    let started = task.clone();
    queues
        .catalog
        .change(|state| {
            check_start(state, &from.arn)?;
            Ok::<_, ApiError>((vec![Change::MoveStarted(started)], ()))
        })
        .await?;
    let task_handle = Some(handle(&task));
    moves::run(&queues, task);
    Ok(StartMessageMoveTaskResult { task_handle })
}

fn check_destination(from: &Room, to: &Room) -> Result<(), ApiError> {
    if from.arn == to.arn {
        return Err(INVALID_PARAMETER_VALUE.because("Source queue arn and destination queue arn cannot be the same."));
    }
    if from.is_fifo() != to.is_fifo() {
        return Err(INVALID_PARAMETER_VALUE.because("Source queue and destination queue must be of the same type."));
    }
    Ok(())
}

fn check_start(state: &State, from: &Arn) -> Result<(), ApiError> {
    let leads_here = |queue: &crate::state::Queue| queue.settings.redrive.as_ref().is_some_and(|r| r.to == *from);
    if !state.queues.values().any(leads_here) {
        return Err(INVALID_PARAMETER_VALUE.because("Source queue must be configured as a Dead Letter Queue."));
    }
    let active = || state.moves.iter().filter(|known| known.status.is_active());
    if active().any(|known| known.from == *from) {
        return Err(INVALID_PARAMETER_VALUE.because(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        ));
    }
    if active().count() >= MOVES {
        return Err(
            REQUEST_THROTTLED.because(format!("{MOVES} message movement tasks are active, and no more may be."))
        );
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html>
pub(super) async fn cancel_message_move_task(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: CancelMessageMoveTaskRequest,
) -> Result<CancelMessageMoveTaskResult, ApiError> {
    let id = read_handle(&input.task_handle)
        .ok_or_else(|| INVALID_PARAMETER_VALUE.because("Value for parameter TaskHandle is invalid."))?;
    let moved = queues
        .catalog
        .change(|state| {
            let known = state.moves.iter().find(|known| known.id == id);
            let known = known.ok_or_else(|| RESOURCE_NOT_FOUND.because("Task does not exist."))?;
            if !known.status.is_active() {
                return Err(UNSUPPORTED.because("Only active tasks can be cancelled."));
            }
            let (id, moved) = (known.id.clone(), known.moved);
            Ok((vec![Change::MoveNoted { id, moved, status: MoveStatus::Cancelling }], moved))
        })
        .await?;
    Ok(CancelMessageMoveTaskResult { approximate_number_of_messages_moved: Some(moved as i64) })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html>
pub(super) async fn list_message_move_tasks(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: ListMessageMoveTasksRequest,
) -> Result<ListMessageMoveTasksResult, ApiError> {
    let from = find(&queues, "SourceArn", &input.source_arn)?;
    queues.admit(&call, &from)?;
    let max = i64::from(input.max_results.unwrap_or(1));
    if !MOVES_LISTED.contains(&max) {
        return Err(INVALID_PARAMETER_VALUE.because(
            "Value for parameter MaxResults is invalid. Reason: You must enter a number that is between 1 and 10.",
        ));
    }
    let results = queues.catalog.read(|state| {
        let of_queue = state.moves.iter().rev().filter(|known| known.from == from.arn && known.life == from.life);
        of_queue.take(max as usize).map(entry).collect::<Vec<_>>()
    });
    Ok(ListMessageMoveTasksResult { results: (!results.is_empty()).then_some(results) })
}

fn entry(task: &Move) -> ListMessageMoveTasksResultEntry {
    let (status, failure_reason) = match &task.status {
        MoveStatus::Running => ("RUNNING", None),
        MoveStatus::Cancelling => ("CANCELLING", None),
        MoveStatus::Completed => ("COMPLETED", None),
        MoveStatus::Cancelled => ("CANCELLED", None),
        MoveStatus::Failed(why) => ("FAILED", Some(why.clone())),
    };
    ListMessageMoveTasksResultEntry {
        task_handle: (task.status == MoveStatus::Running).then(|| handle(task)),
        status: Some(status.to_owned()),
        source_arn: Some(task.from.to_string()),
        destination_arn: task.to.as_ref().map(ToString::to_string),
        max_number_of_messages_per_second: task.per_s.map(|per_s| per_s as i32),
        approximate_number_of_messages_moved: Some(task.moved as i64),
        approximate_number_of_messages_to_move: Some(task.to_move as i64),
        failure_reason,
        started_timestamp: Some(task.started.millis()),
    }
}

/// The queue of an ARN in a parameter.
fn find(queues: &Queues, parameter: &str, arn: &str) -> Result<Arc<Room>, ApiError> {
    let Ok(parsed) = arn.parse::<Arn>() else {
        return Err(INVALID_PARAMETER_VALUE.because(format!(
            "You must use this format to specify the {parameter}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )));
    };
    queues.of(&parsed).ok_or_else(|| {
        RESOURCE_NOT_FOUND
            .because(format!("The resource that you specified for the {parameter} parameter doesn't exist."))
    })
}

fn handle(task: &Move) -> String {
    STANDARD.encode(json!({ "taskId": task.id, "sourceArn": task.from }).to_string())
}

fn read_handle(text: &str) -> Option<String> {
    let handle: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    handle.get("sourceArn")?;
    Some(handle.get("taskId")?.as_str()?.to_owned())
}
