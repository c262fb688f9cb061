//! Messages go out, for a while.

use crate::error::{INVALID_ATTRIBUTE_NAME, OVER_LIMIT, bad_value};
use crate::message::{Attribute, AttributeValue, Message};
use crate::queues::Room;
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::{Queues, digest, limits};
use names::Timestamp;
use shapes::sqs::{self, MessageAttributeValue, ReceiveMessageRequest, ReceiveMessageResult};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::Received;
use wire::{ApiError, Call};
use world::Stage;

const SYSTEM: [&str; 11] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "SqsManagedSseEnabled",
];

/// What a consumer wants to see of a message.
struct Wanted {
    system: Vec<String>,
    attributes: Vec<String>,
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
pub(super) async fn receive_message(
    queues: Arc<Queues>,
    _: Arc<Call>,
    input: ReceiveMessageRequest,
) -> Result<ReceiveMessageResult, ApiError> {
    let room = queues.at(&input.queue_url)?;
    let settings = queues.setting(&room, Clone::clone)?;
    let max = i64::from(input.max_number_of_messages.unwrap_or(1));
    if !limits::RECEIVE.contains(&max) {
        return Err(bad_value("MaxNumberOfMessages", max, "Must be between 1 and 10, if provided."));
    }
    let visibility_s = i64::from(input.visibility_timeout.unwrap_or(settings.visibility_s as i32));
    if !limits::VISIBILITY_S.contains(&visibility_s) {
        return Err(bad_value("VisibilityTimeout", visibility_s, "Must be between 0 and 43200, if provided."));
    }
    let wait_s = i64::from(input.wait_time_seconds.unwrap_or(settings.wait_s as i32));
    if !limits::WAIT_S.contains(&wait_s) {
        return Err(bad_value("WaitTimeSeconds", wait_s, "Must be >= 0 and <= 20, if provided."));
    }
    let mut wanted = Wanted {
        system: input.attribute_names.unwrap_or_default(),
        attributes: input.message_attribute_names.unwrap_or_default(),
    };
    wanted.system.extend(input.message_system_attribute_names.unwrap_or_default());
    if let Some(name) = wanted.system.iter().find(|name| !SYSTEM.contains(&name.as_str())) {
        return Err(INVALID_ATTRIBUTE_NAME.because(format!("Unknown Attribute {name}.")));
    }
    if room.messages.counts().in_flight >= limits::IN_FLIGHT as u64 {
        return Err(OVER_LIMIT.because(format!(
            "Too many messages are in flight: {}. Delete messages, or let their visibility time-out pass.",
            limits::IN_FLIGHT
        )));
    }
    let wait = Duration::from_secs(wait_s as u64);
    let got = take_or_wait(&queues, &room, max as usize, Duration::from_secs(visibility_s as u64), wait).await?;
    if got.is_empty() {
        room.meters.empty_receives.record(1);
    } else {
        room.meters.received.record(got.len() as u64);
    }
    let messages: Vec<_> =
        got.into_iter().map(|(received, message)| shape(&queues, &room, &wanted, received, message)).collect();
    Ok(ReceiveMessageResult { messages: (!messages.is_empty()).then_some(messages) })
}

/// Long polling: takes what is there, or waits until there is something, the time is over, or the house shuts down.
async fn take_or_wait(
    queues: &Queues,
    room: &Room,
    max: usize,
    visibility: Duration,
    wait: Duration,
) -> Result<Vec<(Received, Message)>, ApiError> {
    let mut over = queues.world.clock.sleep(wait);
    let mut stop = queues.world.tasks.stop(Stage::Sockets);
    loop {
        // Read anew each time: the queue may be set otherwise, or deleted, while a consumer waits.
        let settings = queues.setting(room, Clone::clone)?;
        let got = take(queues, room, &settings, max, visibility).await?;
        if !got.is_empty() || wait.is_zero() {
            return Ok(got);
        }
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(Vec::new()),
            () = &mut over => return Ok(Vec::new()),
            () = room.messages.arrival() => {}
        }
    }
}

/// Takes what is due. What has expired is dropped on the way, and what was received too often goes to its dead-letter
/// queue.
async fn take(
    queues: &Queues,
    room: &Room,
    settings: &Settings,
    max: usize,
    visibility: Duration,
) -> Result<Vec<(Received, Message)>, ApiError> {
    let dead_letters =
        settings.redrive.as_ref().and_then(|redrive| Some((queues.of(&redrive.to)?, redrive.max_receives)));
    let now = queues.world.now();
    let mut out = Vec::new();
    while out.len() < max {
        let got = room.messages.receive(max - out.len(), visibility).await?;
        if got.is_empty() {
            break;
        }
        let (mut gone, mut dead) = (Vec::new(), Vec::new());
        for received in got {
            let message = Message::decode(received.body.clone()).map_err(ApiError::fault)?;
            if expired(&message, settings, now) {
                gone.push(received.id);
            } else if dead_letters.as_ref().is_some_and(|(_, most)| received.receives > *most) {
                gone.push(received.id);
                dead.push(Message { moved_from: Some(room.arn.to_string()), ..message });
            } else {
                out.push((received, message));
            }
        }
        if gone.is_empty() {
            break;
        }
        if let Some((to, _)) = &dead_letters
            && !dead.is_empty()
        {
            // First there, then not here: a crash in between leaves a message twice rather than not at all.
            let moved = dead.iter().map(|m| store::Message { body: m.encode(), ..Default::default() }).collect();
            to.messages.send(moved).await?;
        }
        room.messages.ack_durable(&gone).await?;
    }
    Ok(out)
}

/// Whether a message has been kept as long as its queue keeps messages.
fn expired(message: &Message, settings: &Settings, now: Timestamp) -> bool {
    now.since(message.sent_at) >= Duration::from_secs(u64::from(settings.retention_s))
}

fn shape(queues: &Queues, room: &Room, wanted: &Wanted, received: Received, message: Message) -> sqs::Message {
    let receipt = Receipt { life: room.life, message: received.id, number: received.receipt };
    let mut system = vec![
        ("SenderId", message.sender.clone()),
        ("SentTimestamp", message.sent_at.millis().to_string()),
        ("ApproximateReceiveCount", received.receives.to_string()),
        ("ApproximateFirstReceiveTimestamp", received.first_received_at.millis().to_string()),
    ];
    system.extend(message.trace.clone().map(|trace| ("AWSTraceHeader", trace)));
    system.extend(message.moved_from.clone().map(|arn| ("DeadLetterQueueSourceArn", arn)));
    let system: BTreeMap<String, String> = system
        .into_iter()
        .filter(|(name, _)| wanted.system.iter().any(|asked| asked == "All" || asked == name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let attributes: Vec<&Attribute> = message.attributes.iter().filter(|a| wanted.matches(&a.name)).collect();
    let md5_of_message_attributes = digest::of_attributes(attributes.iter().copied());
    let attributes: BTreeMap<String, MessageAttributeValue> =
        attributes.into_iter().map(|a| (a.name.clone(), attribute_shape(a))).collect();
    sqs::Message {
        message_id: Some(message.uuid()),
        receipt_handle: Some(queues.key.sign(receipt)),
        md5_of_body: Some(digest::of_body(&message.body)),
        body: Some(message.text()),
        attributes: (!system.is_empty()).then_some(system),
        md5_of_message_attributes,
        message_attributes: (!attributes.is_empty()).then_some(attributes),
    }
}

fn attribute_shape(attribute: &Attribute) -> MessageAttributeValue {
    let (string_value, binary_value) = match &attribute.value {
        AttributeValue::Text(text) => (Some(text.clone()), None),
        AttributeValue::Binary(bytes) => (None, Some(bytes.clone())),
    };
    MessageAttributeValue {
        string_value,
        binary_value,
        string_list_values: None,
        binary_list_values: None,
        data_type: attribute.data_type.clone(),
    }
}

impl Wanted {
    /// `All`, `.*`, a name, or a prefix such as `bar.*`.
    fn matches(&self, name: &str) -> bool {
        self.attributes.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => asked == "All" || asked == name,
        })
    }
}
