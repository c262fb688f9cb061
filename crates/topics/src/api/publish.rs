//! Publish, alone and in batches.

use crate::attribute::{Attribute, AttributeError, AttributeValue, Attributes};
use crate::endpoint::Protocol;
use crate::error::{invalid, invalid_because, no_topic, not_served};
use crate::limits::{BATCH_ENTRIES, BATCH_ID_LENGTH, MESSAGE_BYTES, SMS_LENGTH};
use crate::post::{Post, Text, check_size, check_subject, size};
use crate::settings::TopicSettings;
use crate::{Topics, phone};
use delivery::Claim;
use names::Arn;
use shapes::sns::errors::{
    BATCH_ENTRY_IDS_NOT_DISTINCT_EXCEPTION, BATCH_REQUEST_TOO_LONG_EXCEPTION, EMPTY_BATCH_REQUEST_EXCEPTION,
    INVALID_BATCH_ENTRY_ID_EXCEPTION, TOO_MANY_ENTRIES_IN_BATCH_REQUEST_EXCEPTION,
};
use shapes::sns::{
    BatchResultErrorEntry, MessageAttributeValue, PublishBatchInput, PublishBatchRequestEntry, PublishBatchResponse,
    PublishBatchResultEntry, PublishInput, PublishResponse,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{ApiError, Call, Fault};

/// What a message may say of itself, alone or in a batch.
struct Given {
    message: String,
    subject: Option<String>,
    structure: Option<String>,
    attributes: Option<BTreeMap<String, MessageAttributeValue>>,
    group: Option<String>,
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(super) async fn publish(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: PublishInput,
) -> Result<PublishResponse, ApiError> {
    let deduplication = input.message_deduplication_id;
    let given = Given {
        message: input.message,
        subject: input.subject,
        structure: input.message_structure,
        attributes: input.message_attributes,
        group: input.message_group_id,
    };
    let mut post = post(&topics, &call, given)?;
    let arn = match (input.topic_arn, input.target_arn, input.phone_number) {
        (Some(arn), None, None) => arn,
        (None, Some(arn), None) => {
            let endpoint = arn.parse::<Arn>().is_ok_and(|arn| arn.resource().starts_with("endpoint/"));
            if endpoint {
                return Err(not_served("TargetArn", "mobile push endpoints"));
            }
            arn
        }
        (None, None, Some(number)) => {
            text(&topics, &number, &post).await?;
            return Ok(PublishResponse { message_id: Some(post.id), sequence_number: None });
        }
        (None, None, None) => {
            return Err(invalid_because("TopicArn or TargetArn", "no value for required parameter"));
        }
        _ => return Err(invalid("Only one of TopicArn, TargetArn and PhoneNumber may be given")),
    };
    let name = topics.asked(&call, &arn)?;
    post.place(&settings(&topics, &name)?, deduplication)?;
    topics.delivery.admit(Claim::Request)?;
    let published = topics.publish(&name, vec![post]).await?.remove(0);
    Ok(PublishResponse { message_id: Some(published.id), sequence_number: published.sequence })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
pub(super) async fn publish_batch(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: PublishBatchInput,
) -> Result<PublishBatchResponse, ApiError> {
    let entries = input.publish_batch_request_entries;
    check_ids(&entries)?;
    let name = topics.asked(&call, &input.topic_arn)?;
    let settings = settings(&topics, &name)?;
    let (mut ids, mut posts, mut failed, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for entry in entries {
        let id = entry.id.clone();
        match of_entry(&topics, &call, &settings, entry) {
            Ok((post, size)) => {
                ids.push(id);
                posts.push(post);
                bytes += size;
            }
            Err(error) => failed.push(BatchResultErrorEntry {
                id,
                sender_fault: error.model.fault == Fault::Client,
                code: error.model.code.to_owned(),
                message: Some(error.message),
            }),
        }
    }
    if bytes > MESSAGE_BYTES {
        let text = "The length of all the messages put together is more than the limit.";
        return Err(BATCH_REQUEST_TOO_LONG_EXCEPTION.because(text));
    }
    topics.delivery.admit(Claim::Request)?;
    let published = topics.publish(&name, posts).await?;
    let entry = |(id, published): (String, crate::fanout::Published)| PublishBatchResultEntry {
        id: Some(id),
        message_id: Some(published.id),
        sequence_number: published.sequence,
    };
    let successful = ids.into_iter().zip(published).map(entry).collect();
    Ok(PublishBatchResponse { successful: Some(successful), failed: Some(failed) })
}

fn of_entry(
    topics: &Topics,
    call: &Call,
    settings: &TopicSettings,
    entry: PublishBatchRequestEntry,
) -> Result<(Post, usize), ApiError> {
    let given = Given {
        message: entry.message,
        subject: entry.subject,
        structure: entry.message_structure,
        attributes: entry.message_attributes,
        group: entry.message_group_id,
    };
    let length = given.message.len();
    let mut post = post(topics, call, given)?;
    post.place(settings, entry.message_deduplication_id)?;
    let size = length + size("", &post.attributes);
    Ok((post, size))
}

fn check_ids(entries: &[PublishBatchRequestEntry]) -> Result<(), ApiError> {
    if entries.is_empty() {
        return Err(EMPTY_BATCH_REQUEST_EXCEPTION.because("The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH_ENTRIES {
        let text = "The batch request contains more entries than permissible.";
        return Err(TOO_MANY_ENTRIES_IN_BATCH_REQUEST_EXCEPTION.because(text));
    }
    let mut seen = BTreeSet::new();
    for PublishBatchRequestEntry { id, .. } in entries {
        let fine = BATCH_ID_LENGTH.contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fine {
            let text = "The Id of a batch entry in a batch request doesn't abide by the specification.";
            return Err(INVALID_BATCH_ENTRY_ID_EXCEPTION.because(text));
        }
        if !seen.insert(id) {
            let text = "Two or more batch entries in the request have the same Id.";
            return Err(BATCH_ENTRY_IDS_NOT_DISTINCT_EXCEPTION.because(text));
        }
    }
    Ok(())
}

fn settings(topics: &Topics, name: &str) -> Result<TopicSettings, ApiError> {
    topics.catalog.read(|state| state.topics.get(name).map(|topic| topic.settings.clone())).ok_or_else(no_topic)
}

fn post(topics: &Topics, call: &Call, given: Given) -> Result<Post, ApiError> {
    let attributes = attributes(given.attributes)?;
    check_size(&given.message, &attributes)?;
    given.subject.as_deref().map(check_subject).transpose()?;
    Ok(Post {
        id: topics.world.uuid(),
        at: topics.world.now(),
        subject: given.subject,
        text: Text::read(given.message, given.structure.as_deref())?,
        attributes,
        trace: call.trace.clone(),
        request_id: Some(call.request_id.clone()),
        group: given.group,
        fifo: None,
    })
}

async fn text(topics: &Topics, number: &str, post: &Post) -> Result<(), ApiError> {
    let e164 = phone::e164(number)
        .ok_or_else(|| invalid_because("PhoneNumber", format!("{number} is not valid to publish to")))?;
    if post.text.to(Protocol::Sms).chars().count() > SMS_LENGTH {
        return Err(invalid("Message too long"));
    }
    topics.delivery.admit(Claim::Request)?;
    topics.text(&e164, post).await
}

fn attributes(given: Option<BTreeMap<String, MessageAttributeValue>>) -> Result<Attributes, ApiError> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| {
            let read = match (value.string_value, value.binary_value) {
                (Some(text), None) => AttributeValue::Text(text),
                (None, Some(bytes)) => AttributeValue::Binary(bytes),
                (None, None) => {
                    let why = "must contain non-empty message attribute value.";
                    return Err(AttributeError { name, why }.into());
                }
                (Some(_), Some(_)) => {
                    return Err(AttributeError { name, why: "has more than one value." }.into());
                }
            };
            let attribute = Attribute { data_type: value.data_type, value: read };
            attribute.check(&name)?;
            if name.starts_with("AWS.SNS.SMS.SMSType") {
                check_sms_type(&attribute)?;
            }
            Ok((name, attribute))
        })
        .collect()
}

/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
fn check_sms_type(attribute: &Attribute) -> Result<(), ApiError> {
    match attribute.text() {
        Some("Promotional" | "Transactional") => Ok(()),
        _ => Err(invalid_because("AWS.SNS.SMS.SMSType", "must be Promotional or Transactional")),
    }
}
