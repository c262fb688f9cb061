//! Messages go out, for a while.

use crate::error::{INVALID_ATTRIBUTE_NAME, bad_value, no_queue};
use crate::handout::{self, Taken};
use crate::message::{Attribute, AttributeValue};
use crate::room::Room;
use crate::throttle::Action;
use crate::{Queues, digest, intake, limits};
use shapes::sqs::{self, MessageAttributeValue, ReceiveMessageRequest, ReceiveMessageResult};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::ReadLimit;
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
    call: Arc<Call>,
    input: ReceiveMessageRequest,
) -> Result<ReceiveMessageResult, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    let settings = room.settings();
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
    if let Some(attempt) = &input.receive_request_attempt_id {
        if !room.is_fifo() {
            let why = "The request include parameter that is not valid for this queue type.";
            return Err(bad_value("ReceiveRequestAttemptId", attempt, why));
        }
        intake::check_id("ReceiveRequestAttemptId", attempt)?;
    }
    let mut wanted = Wanted {
        system: input.attribute_names.unwrap_or_default(),
        attributes: input.message_attribute_names.unwrap_or_default(),
    };
    wanted.system.extend(input.message_system_attribute_names.unwrap_or_default());
    if let Some(name) = wanted.system.iter().find(|name| !SYSTEM.contains(&name.as_str())) {
        return Err(INVALID_ATTRIBUTE_NAME.because(format!("Unknown Attribute {name}.")));
    }
    queues.count_call(&room, Action::Receive)?;
    handout::check_in_flight(&room)?;
    let ask = Ask {
        max: max as usize,
        visibility: Duration::from_secs(visibility_s as u64),
        wait: Duration::from_secs(wait_s as u64),
        attempt: input.receive_request_attempt_id,
    };
    let taken = take_or_wait(&queues, &room, &ask).await?;
    room.meters.handed_out(taken.len());
    let messages: Vec<_> = taken.into_iter().map(|taken| shape(&queues, &room, &wanted, taken)).collect();
    Ok(ReceiveMessageResult { messages: (!messages.is_empty()).then_some(messages) })
}

/// What a consumer asks for.
struct Ask {
    max: usize,
    visibility: Duration,
    wait: Duration,
    attempt: Option<String>,
}

/// Long polling: takes what is there, or waits until there is something, the time is over, or the house shuts down.
async fn take_or_wait(queues: &Queues, room: &Arc<Room>, ask: &Ask) -> Result<Vec<Taken>, ApiError> {
    let mut waiting = None;
    let limit = ReadLimit { records: ask.max, bytes: usize::MAX };
    loop {
        // A queue that is deleted while a consumer waits has no messages.
        if room.is_gone() {
            return Err(no_queue());
        }
        let taken = match &ask.attempt {
            Some(attempt) => handout::take_attempt(queues, room, attempt, limit, ask.visibility).await?,
            None => handout::take(queues, room, limit, ask.visibility).await?,
        };
        if !taken.is_empty() || ask.wait.is_zero() {
            return Ok(taken);
        }
        let (over, stop) = waiting
            .get_or_insert_with(|| (queues.world.clock.sleep(ask.wait), queues.world.tasks.stop(Stage::Sockets)));
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(Vec::new()),
            () = over => return Ok(Vec::new()),
            () = room.gone() => {}
            () = room.messages.arrival() => {}
        }
    }
}

fn shape(queues: &Queues, room: &Room, wanted: &Wanted, taken: Taken) -> sqs::Message {
    let receipt = queues.key.sign(taken.receipt(room));
    let system: BTreeMap<String, String> = match wanted.system.is_empty() {
        true => BTreeMap::new(),
        false => {
            taken.system().into_iter().filter(|(name, _)| wanted.shows(name)).map(|(n, v)| (n.to_owned(), v)).collect()
        }
    };
    let message = taken.message;
    let attributes: Vec<&Attribute> = message.attributes.iter().filter(|a| wanted.matches(&a.name)).collect();
    let md5_of_message_attributes = digest::of_attributes(attributes.iter().copied());
    let attributes: BTreeMap<String, MessageAttributeValue> =
        attributes.into_iter().map(|a| (a.name.clone(), attribute_shape(a))).collect();
    sqs::Message {
        message_id: Some(message.uuid()),
        receipt_handle: Some(receipt),
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
    fn shows(&self, name: &str) -> bool {
        self.system.iter().any(|asked| asked == "All" || asked == name)
    }

    /// `All`, `.*`, a name, or a prefix such as `bar.*`.
    fn matches(&self, name: &str) -> bool {
        self.attributes.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => asked == "All" || asked == name,
        })
    }
}
