//! Messages go out, for a while or for good: what callers and event source mappings have in common.

use crate::attempts::Given;
use crate::error::{INVALID_PARAMETER_VALUE, MESSAGE_NOT_INFLIGHT, OVER_LIMIT, RECEIPT_HANDLE_IS_INVALID, bad_value};
use crate::message::{Message, sequence_text};
use crate::receipt::Receipt;
use crate::room::Room;
use crate::settings::Settings;
use crate::{Queues, intake, limits};
use names::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use store::{ReadLimit, Received};
use wire::ApiError;

/// A message that was handed out.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) received: Received,
    pub(crate) message: Message,
    /// When.
    pub(crate) at: Timestamp,
}

impl Taken {
    /// What its receipt handle stands for.
    pub(crate) fn receipt(&self, room: &Room) -> Receipt {
        Receipt { life: room.life, message: self.received.id, number: self.received.receipt, at: self.at }
    }

    /// Its system attributes, by SQS's names.
    pub(crate) fn system(&self) -> Vec<(&'static str, String)> {
        let (message, received) = (&self.message, &self.received);
        let mut all = vec![
            ("SenderId", message.sender.clone()),
            ("SentTimestamp", message.sent_at.millis().to_string()),
            ("ApproximateReceiveCount", received.receives.to_string()),
            ("ApproximateFirstReceiveTimestamp", received.first_received_at.millis().to_string()),
        ];
        all.extend(message.trace.clone().map(|trace| ("AWSTraceHeader", trace)));
        all.extend(message.moved_from.clone().map(|arn| ("DeadLetterQueueSourceArn", arn)));
        if let Some(group) = &message.group {
            all.push(("MessageGroupId", group.id.clone()));
            if let Some(fifo) = &group.fifo {
                all.push(("MessageDeduplicationId", fifo.deduplication.clone()));
                all.push(("SequenceNumber", sequence_text(fifo.sequence)));
            }
        }
        all
    }
}

/// Takes what is due. What has expired is dropped on the way, and what was received too often goes to its dead-letter
/// queue.
pub(crate) async fn take(
    queues: &Queues,
    room: &Arc<Room>,
    limit: ReadLimit,
    visibility: Duration,
) -> Result<Vec<Taken>, ApiError> {
    let settings = room.settings();
    let dead_letters =
        settings.redrive.as_ref().and_then(|redrive| Some((queues.of(&redrive.to)?, redrive.max_receives)));
    let now = queues.world.now();
    let (mut out, mut bytes) = (Vec::<Taken>::new(), 0);
    while out.len() < limit.records && (out.is_empty() || bytes < limit.bytes) {
        let rest = ReadLimit { records: limit.records - out.len(), bytes: limit.bytes.saturating_sub(bytes) };
        let got = room.messages.receive_up_to(rest, visibility).await?;
        let (mut gone, mut dead) = (Vec::new(), (Vec::new(), Vec::new()));
        for received in got {
            let Ok(message) = Message::decode(received.body.clone()) else {
                tracing::error!(queue = room.name, message = received.id, "a message is in no known format");
                continue;
            };
            if expired(&message, &settings, now) {
                gone.push(received.id);
            } else if dead_letters.as_ref().is_some_and(|(_, most)| received.receives > *most) {
                dead.0.push(received.id);
                dead.1.push(dead_letter(room, message, now));
            } else {
                bytes += received.body.len();
                out.push(Taken { received, message, at: now });
            }
        }
        if gone.is_empty() && dead.0.is_empty() {
            break;
        }
        if let Some((to, _)) = dead_letters.as_ref().filter(|_| !dead.0.is_empty()) {
            intake::forward(queues, (room, to), dead.0, dead.1).await?;
        }
        room.messages.ack_durable(&gone).await?;
    }
    Ok(out)
}

/// Whether a message has been kept as long as its queue keeps messages.
fn expired(message: &Message, settings: &Settings, now: Timestamp) -> bool {
    now.since(message.sent_at) >= Duration::from_secs(u64::from(settings.retention_s))
}

/// A message in its dead-letter queue. In a standard queue it keeps its age, in a FIFO queue it begins anew.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
fn dead_letter(room: &Room, message: Message, now: Timestamp) -> Message {
    let sent_at = if room.is_fifo() { now } else { message.sent_at };
    Message { moved_from: Some(room.arn.to_string()), sent_at, ..message }
}

/// Whether another message may be in flight. FIFO queues say nothing, they give nothing.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) fn check_in_flight(room: &Room) -> Result<(), ApiError> {
    if room.is_fifo() || room.counts().in_flight < limits::IN_FLIGHT as u64 {
        return Ok(());
    }
    Err(OVER_LIMIT.because(format!(
        "Too many messages are in flight: {}. Delete messages, or let their visibility time-out pass.",
        limits::IN_FLIGHT
    )))
}

/// Deletes messages, durably: what was deleted does not come back after a crash. For each handle whether it was good.
pub(crate) async fn delete<'a>(
    queues: &Queues,
    room: &Room,
    handles: impl Iterator<Item = &'a str>,
) -> Result<Vec<Result<(), ApiError>>, ApiError> {
    let mut ids = Vec::new();
    let outcomes = handles.map(|handle| deletable(queues, room, handle).map(|id| ids.extend(id))).collect();
    if !ids.is_empty() {
        let deleted = room.messages.ack_durable(&ids).await?.into_iter().filter(|news| *news).count();
        if deleted > 0 {
            room.meters.deleted.record(deleted as u64);
        }
    }
    Ok(outcomes)
}

/// The message to delete. A handle of an earlier receive deletes nothing from a standard queue when the message has been
/// received again since, and that is no error: somebody else works on it now, and SQS promises no more. A FIFO queue
/// wants a message that is in flight, as another of its group may have been handed out since.
fn deletable(queues: &Queues, room: &Room, handle: &str) -> Result<Option<u64>, ApiError> {
    let receipt = receipt(queues, room, handle)?;
    let latest = room.messages.receipt(receipt.message);
    let mine = latest.is_none_or(|number| number == receipt.number);
    if room.is_fifo() && latest.is_some() && !(mine && room.messages.is_in_flight(receipt.message)) {
        return Err(bad_value("ReceiptHandle", handle, "The receipt handle has expired."));
    }
    Ok(Some(receipt.message).filter(|_| mine))
}

/// Changes how long a message stays invisible, from now on.
pub(crate) async fn change_visibility(
    queues: &Queues,
    room: &Room,
    handle: &str,
    visibility: Duration,
) -> Result<(), ApiError> {
    let receipt = receipt(queues, room, handle)?;
    let now = queues.world.now();
    let most = Duration::from_secs(*limits::VISIBILITY_S.end() as u64);
    if now.since(receipt.at) + visibility > most {
        let why = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
        return Err(bad_value("VisibilityTimeout", visibility.as_secs(), why));
    }
    match room.messages.receipt(receipt.message) {
        None => Err(INVALID_PARAMETER_VALUE.because(format!(
            "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."
        ))),
        Some(number) if number == receipt.number && room.messages.is_in_flight(receipt.message) => {
            room.messages.postpone(receipt.message, now.plus(visibility)).await?;
            Ok(())
        }
        Some(_) => Err(MESSAGE_NOT_INFLIGHT
            .because("The message referred to isn't in flight: its time is over, or another consumer has received it.")),
    }
}

/// What a receipt handle stands for in this queue.
fn receipt(queues: &Queues, room: &Room, handle: &str) -> Result<Receipt, ApiError> {
    queues.key.read(handle).filter(|receipt| receipt.life == room.life).ok_or_else(|| {
        RECEIPT_HANDLE_IS_INVALID
            .because(format!("The input receipt handle \"{handle}\" is not a valid receipt handle."))
    })
}

/// Takes again what a receive with this id took, or takes anew.
pub(crate) async fn take_attempt(
    queues: &Queues,
    room: &Arc<Room>,
    attempt: &str,
    limit: ReadLimit,
    visibility: Duration,
) -> Result<Vec<Taken>, ApiError> {
    let Some(fifo) = &room.fifo else { return take(queues, room, limit, visibility).await };
    let now = queues.world.now();
    let known = fifo.attempts().get(attempt, now);
    let taken = match again(room, known.as_deref(), visibility).await? {
        Some(again) => again,
        None => {
            fifo.attempts().remove(attempt);
            take(queues, room, limit, visibility).await?
        }
    };
    if !taken.is_empty() {
        let given = taken.iter().map(|Taken { received, at, .. }| Given {
            message: received.id,
            receipt: received.receipt,
            until: received.until,
            at: *at,
        });
        fifo.attempts().put(attempt, now, given.collect());
    }
    Ok(taken)
}

/// Hands out again what was given, where nothing has happened to it since.
async fn again(room: &Room, given: Option<&[Given]>, visibility: Duration) -> Result<Option<Vec<Taken>>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let wanted: Vec<_> = given.iter().map(|given| (given.message, given.receipt, given.until)).collect();
    let Some(again) = room.messages.repeat(&wanted, visibility).await? else { return Ok(None) };
    let decoded = again.into_iter().zip(given).map(|(received, given)| {
        let message = Message::decode(received.body.clone()).map_err(ApiError::fault)?;
        Ok(Taken { received, message, at: given.at })
    });
    decoded.collect::<Result<_, ApiError>>().map(Some)
}
