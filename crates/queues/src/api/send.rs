//! Messages come in.

use crate::batch::{check, failed};
use crate::error::{BATCH_REQUEST_TOO_LONG, INVALID_PARAMETER_VALUE, bad_value};
use crate::intake::{Draft, Post};
use crate::message::{Attribute, AttributeValue, MessageError};
use crate::room::Room;
use crate::throttle::Action;
use crate::{Queues, digest, intake, limits};
use bytes::Bytes;
use shapes::sqs::{
    MessageAttributeValue, MessageSystemAttributeValue, SendMessageBatchRequest, SendMessageBatchRequestEntry,
    SendMessageBatchResult, SendMessageBatchResultEntry, SendMessageRequest, SendMessageResult,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

/// The part that SendMessage and an entry of SendMessageBatch share.
struct Asked {
    body: String,
    delay_s: Option<i32>,
    attributes: Option<BTreeMap<String, MessageAttributeValue>>,
    system: Option<BTreeMap<String, MessageSystemAttributeValue>>,
    group: Option<String>,
    deduplication: Option<String>,
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub(super) async fn send_message(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: SendMessageRequest,
) -> Result<SendMessageResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    queues.count_call(&room, Action::Send)?;
    let system_sum = system_sum(input.message_system_attributes.as_ref());
    let asked = Asked {
        body: input.message_body,
        delay_s: input.delay_seconds,
        attributes: input.message_attributes,
        system: input.message_system_attributes,
        group: input.message_group_id,
        deduplication: input.message_deduplication_id,
    };
    let draft = draft(&queues, &room, &call, asked)?;
    let body_sum = digest::of_body(&draft.message.body);
    let attributes_sum = digest::of_attributes(&draft.message.attributes);
    let accepted = intake::accept(&queues, &room, vec![draft]).await?;
    Ok(SendMessageResult {
        md5_of_message_body: Some(body_sum),
        md5_of_message_attributes: attributes_sum,
        md5_of_message_system_attributes: system_sum,
        message_id: Some(accepted[0].uuid()),
        sequence_number: accepted[0].sequence_text(),
    })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub(super) async fn send_message_batch(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: SendMessageBatchRequest,
) -> Result<SendMessageBatchResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    check("SendMessageBatchRequestEntry", input.entries.iter().map(|entry| entry.id.as_str()))?;
    let sent: usize = input.entries.iter().map(entry_size).sum();
    if sent > limits::MESSAGE_BYTES {
        return Err(BATCH_REQUEST_TOO_LONG.because(format!(
            "Batch requests cannot be longer than {} bytes. You have sent {sent} bytes.",
            limits::MESSAGE_BYTES
        )));
    }
    queues.count_call(&room, Action::Send)?;
    let mut result = SendMessageBatchResult { successful: Vec::new(), failed: Vec::new() };
    let mut drafts = Vec::with_capacity(input.entries.len());
    for entry in input.entries {
        let md5_of_message_system_attributes = system_sum(entry.message_system_attributes.as_ref());
        let asked = Asked {
            body: entry.message_body,
            delay_s: entry.delay_seconds,
            attributes: entry.message_attributes,
            system: entry.message_system_attributes,
            group: entry.message_group_id,
            deduplication: entry.message_deduplication_id,
        };
        match draft(&queues, &room, &call, asked) {
            Ok(draft) => {
                result.successful.push(SendMessageBatchResultEntry {
                    id: entry.id,
                    message_id: String::new(),
                    md5_of_message_body: digest::of_body(&draft.message.body),
                    md5_of_message_attributes: digest::of_attributes(&draft.message.attributes),
                    md5_of_message_system_attributes,
                    sequence_number: None,
                });
                drafts.push(draft);
            }
            Err(error) => result.failed.push(failed(entry.id, error)),
        }
    }
    let accepted = intake::accept(&queues, &room, drafts).await?;
    for (entry, accepted) in result.successful.iter_mut().zip(accepted) {
        entry.message_id = accepted.uuid();
        entry.sequence_number = accepted.sequence_text();
    }
    Ok(result)
}

fn draft(queues: &Queues, room: &Room, call: &Call, asked: Asked) -> Result<Draft, ApiError> {
    if let Some(delay) = asked.delay_s.filter(|delay| !limits::DELAY_S.contains(&i64::from(*delay))) {
        return Err(bad_value("DelaySeconds", delay, "DelaySeconds must be >= 0 and <= 900."));
    }
    let attributes = asked.attributes.unwrap_or_default().into_iter().map(attribute).collect::<Result<_, _>>()?;
    let trace = match trace_header(asked.system.unwrap_or_default())? {
        Some(header) => Some(header),
        None => call.trace.as_ref().map(|trace| trace.as_str().to_owned()),
    };
    let post = Post {
        sender: call.caller.principal_id.clone(),
        trace,
        body: Bytes::from(asked.body),
        attributes,
        delay_s: asked.delay_s.map(|delay| delay as u32),
        group: asked.group,
        deduplication: asked.deduplication,
    };
    intake::draft(queues, room, post)
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

fn entry_size(entry: &SendMessageBatchRequestEntry) -> usize {
    let attributes = entry.message_attributes.iter().flatten().map(|(name, value)| {
        let text = value.string_value.as_ref().map_or(0, String::len);
        let bytes = value.binary_value.as_ref().map_or(0, Bytes::len);
        name.len() + value.data_type.len() + text + bytes
    });
    entry.message_body.len() + attributes.sum::<usize>()
}
