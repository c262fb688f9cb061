//! Messages come in.

use crate::batch::{check, failed};
use crate::error::{BATCH_REQUEST_TOO_LONG, INVALID_PARAMETER_VALUE, bad_value};
use crate::message::{Attribute, AttributeValue, Message, MessageError};
use crate::queues::Room;
use crate::{Queues, digest, limits};
use bytes::Bytes;
use names::Timestamp;
use shapes::sqs::{
    MessageAttributeValue, MessageSystemAttributeValue, SendMessageBatchRequest, SendMessageBatchRequestEntry,
    SendMessageBatchResult, SendMessageBatchResultEntry, SendMessageRequest, SendMessageResult,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{ApiError, Call};

/// A message that may go into a queue.
pub(crate) struct Draft {
    message: Message,
    not_before: Option<Timestamp>,
}

impl Draft {
    /// The id the message will have.
    pub(crate) fn id(&self) -> String {
        self.message.uuid()
    }
}

/// The part that SendMessage and an entry of SendMessageBatch share.
struct Asked {
    body: String,
    delay_s: Option<i32>,
    attributes: Option<BTreeMap<String, MessageAttributeValue>>,
    system: Option<BTreeMap<String, MessageSystemAttributeValue>>,
    fifo_only: Option<&'static str>,
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub(super) async fn send_message(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: SendMessageRequest,
) -> Result<SendMessageResult, ApiError> {
    let room = queues.at(&input.queue_url)?;
    let system_sum = system_sum(input.message_system_attributes.as_ref());
    let asked = Asked {
        body: input.message_body,
        delay_s: input.delay_seconds,
        attributes: input.message_attributes,
        system: input.message_system_attributes,
        fifo_only: fifo_only(&input.message_deduplication_id, &input.message_group_id),
    };
    let draft = asked_draft(&queues, &room, &call, asked)?;
    let answer = SendMessageResult {
        md5_of_message_body: Some(digest::of_body(&draft.message.body)),
        md5_of_message_attributes: digest::of_attributes(&draft.message.attributes),
        md5_of_message_system_attributes: system_sum,
        message_id: Some(draft.message.uuid()),
        sequence_number: None,
    };
    accept(&room, vec![draft]).await?;
    Ok(answer)
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub(super) async fn send_message_batch(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: SendMessageBatchRequest,
) -> Result<SendMessageBatchResult, ApiError> {
    let room = queues.at(&input.queue_url)?;
    check("SendMessageBatchRequestEntry", input.entries.iter().map(|entry| entry.id.as_str()))?;
    let sent: usize = input.entries.iter().map(entry_size).sum();
    if sent > limits::MESSAGE_BYTES {
        return Err(BATCH_REQUEST_TOO_LONG.because(format!(
            "Batch requests cannot be longer than {} bytes. You have sent {sent} bytes.",
            limits::MESSAGE_BYTES
        )));
    }
    let mut result = SendMessageBatchResult { successful: Vec::new(), failed: Vec::new() };
    let mut drafts = Vec::new();
    for entry in input.entries {
        let system_sum = system_sum(entry.message_system_attributes.as_ref());
        let asked = Asked {
            body: entry.message_body,
            delay_s: entry.delay_seconds,
            attributes: entry.message_attributes,
            system: entry.message_system_attributes,
            fifo_only: fifo_only(&entry.message_deduplication_id, &entry.message_group_id),
        };
        match asked_draft(&queues, &room, &call, asked) {
            Ok(draft) => {
                result.successful.push(SendMessageBatchResultEntry {
                    id: entry.id,
                    message_id: draft.message.uuid(),
                    md5_of_message_body: digest::of_body(&draft.message.body),
                    md5_of_message_attributes: digest::of_attributes(&draft.message.attributes),
                    md5_of_message_system_attributes: system_sum,
                    sequence_number: None,
                });
                drafts.push(draft);
            }
            Err(error) => result.failed.push(failed(entry.id, error)),
        }
    }
    accept(&room, drafts).await?;
    Ok(result)
}

/// Puts messages into the queue: the one way in, for callers and for other services. Durable when it returns.
pub(crate) async fn accept(room: &Room, drafts: Vec<Draft>) -> Result<(), ApiError> {
    let sizes: Vec<usize> = drafts.iter().map(|draft| draft.message.size()).collect();
    let messages = drafts
        .into_iter()
        .map(|draft| store::Message { body: draft.message.encode(), not_before: draft.not_before, group: None })
        .collect();
    room.messages.send(messages).await?;
    for size in sizes {
        room.meters.sent.record(1);
        room.meters.sent_size.record(size as u64);
    }
    Ok(())
}

/// A message of this body and these attributes, as the queue's settings allow it.
pub(crate) fn draft(
    queues: &Queues,
    room: &Room,
    sender: &str,
    trace: Option<String>,
    body: Bytes,
    attributes: Vec<Attribute>,
    delay_s: Option<u32>,
) -> Result<Draft, ApiError> {
    let (max_bytes, default_delay_s) = queues.setting(room, |settings| (settings.max_bytes, settings.delay_s))?;
    let now = queues.world.now();
    let mut id = [0; 16];
    queues.world.entropy.fill(&mut id);
    // A UUID, version 4.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let message = Message { id, sent_at: now, sender: sender.to_owned(), trace, moved_from: None, attributes, body };
    message.check(max_bytes as usize)?;
    let delay_s = delay_s.unwrap_or(default_delay_s);
    let not_before = (delay_s > 0).then(|| now.plus(Duration::from_secs(u64::from(delay_s))));
    Ok(Draft { message, not_before })
}

fn asked_draft(queues: &Queues, room: &Room, call: &Call, asked: Asked) -> Result<Draft, ApiError> {
    if let Some(parameter) = asked.fifo_only {
        return Err(INVALID_PARAMETER_VALUE.because(format!(
            "The request includes a parameter that is not valid for this queue type: {parameter}. Headwater does not serve FIFO and fair queues yet."
        )));
    }
    if let Some(delay) = asked.delay_s.filter(|delay| !limits::DELAY_S.contains(&i64::from(*delay))) {
        return Err(bad_value("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900."));
    }
    let attributes = asked.attributes.unwrap_or_default().into_iter().map(attribute).collect::<Result<_, _>>()?;
    let trace = match trace_header(asked.system.unwrap_or_default())? {
        Some(header) => Some(header),
        None => call.trace.as_ref().map(|trace| trace.as_str().to_owned()),
    };
    let sender = &call.caller.principal_id;
    let delay_s = asked.delay_s.map(|delay| delay as u32);
    draft(queues, room, sender, trace, Bytes::from(asked.body), attributes, delay_s)
}

fn attribute((name, value): (String, MessageAttributeValue)) -> Result<Attribute, MessageError> {
    let refuse = |name, why| Err(MessageError::Attribute { name, why });
    // The API names lists and has never accepted them.
    if value.string_list_values.is_some_and(|v| !v.is_empty())
        || value.binary_list_values.is_some_and(|v| !v.is_empty())
    {
        return refuse(name, "uses list values, which are not supported by this API.");
    }
    let read = match (value.string_value, value.binary_value) {
        (Some(text), None) => AttributeValue::Text(text),
        (None, Some(bytes)) => AttributeValue::Binary(bytes),
        (None, None) => return refuse(name, "must contain a non-empty message attribute value."),
        (Some(_), Some(_)) => return refuse(name, "has multiple values."),
    };
    Ok(Attribute { name, data_type: value.data_type, value: read })
}

/// The only system attribute there is: `AWSTraceHeader`.
fn trace_header(system: BTreeMap<String, MessageSystemAttributeValue>) -> Result<Option<String>, ApiError> {
    let mut trace = None;
    for (name, value) in system {
        match (name.as_str(), value.data_type.as_str(), value.string_value) {
            ("AWSTraceHeader", "String", Some(text)) => trace = Some(text),
            ("AWSTraceHeader", _, _) => {
                return Err(INVALID_PARAMETER_VALUE.because(
                    "Message (system) attribute 'AWSTraceHeader' must contain a non-empty value of type 'String'.",
                ));
            }
            _ => {
                let text = format!("Message system attribute name '{name}' is invalid.");
                return Err(INVALID_PARAMETER_VALUE.because(text));
            }
        }
    }
    Ok(trace)
}

fn system_sum(system: Option<&BTreeMap<String, MessageSystemAttributeValue>>) -> Option<String> {
    let attributes: Vec<Attribute> = system?
        .iter()
        .filter_map(|(name, value)| {
            let text = value.string_value.clone()?;
            Some(Attribute {
                name: name.clone(),
                data_type: value.data_type.clone(),
                value: AttributeValue::Text(text),
            })
        })
        .collect();
    digest::of_attributes(&attributes)
}

fn fifo_only(deduplication: &Option<String>, group: &Option<String>) -> Option<&'static str> {
    match (deduplication, group) {
        (Some(_), _) => Some("MessageDeduplicationId"),
        (_, Some(_)) => Some("MessageGroupId"),
        (None, None) => None,
    }
}

fn entry_size(entry: &SendMessageBatchRequestEntry) -> usize {
    let attributes = entry.message_attributes.iter().flatten().map(|(name, value)| {
        let text = value.string_value.as_ref().map_or(0, String::len);
        let bytes = value.binary_value.as_ref().map_or(0, Bytes::len);
        name.len() + value.data_type.len() + text + bytes
    });
    entry.message_body.len() + attributes.sum::<usize>()
}
