//! Publish.

use crate::attribute::{Attribute, AttributeError, AttributeValue, Attributes};
use crate::endpoint::Protocol;
use crate::error::{invalid, invalid_because, not_served};
use crate::limits::SMS_LENGTH;
use crate::post::{Post, Text, check_size, check_subject};
use crate::{Topics, phone};
use names::Arn;
use shapes::sns::{MessageAttributeValue, PublishInput, PublishResponse};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(super) async fn publish(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: PublishInput,
) -> Result<PublishResponse, ApiError> {
    if input.message_deduplication_id.is_some() {
        return Err(not_served("MessageDeduplicationId", "FIFO topics"));
    }
    if input.message_group_id.is_some() {
        return Err(not_served("MessageGroupId", "FIFO and fair queues"));
    }
    let attributes = attributes(input.message_attributes)?;
    check_size(&input.message, &attributes)?;
    input.subject.as_deref().map(check_subject).transpose()?;
    let post = Post {
        id: topics.world.uuid(),
        at: topics.world.now(),
        subject: input.subject,
        text: Text::read(input.message, input.message_structure.as_deref())?,
        attributes,
        trace: call.trace.clone(),
        request_id: Some(call.request_id.clone()),
    };
    match (input.topic_arn, input.target_arn, input.phone_number) {
        (Some(arn), None, None) => topics.fan_out(&topics.name(&arn)?, &post).await?,
        (None, Some(arn), None) => {
            let endpoint = arn.parse::<Arn>().is_ok_and(|arn| arn.resource().starts_with("endpoint/"));
            if endpoint {
                return Err(not_served("TargetArn", "mobile push endpoints"));
            }
            topics.fan_out(&topics.name(&arn)?, &post).await?;
        }
        (None, None, Some(number)) => text(&topics, &number, &post).await?,
        (None, None, None) => {
            return Err(invalid_because("TopicArn or TargetArn", "no value for required parameter"));
        }
        _ => return Err(invalid("Only one of TopicArn, TargetArn and PhoneNumber may be given")),
    }
    Ok(PublishResponse { message_id: Some(post.id), sequence_number: None })
}

async fn text(topics: &Topics, number: &str, post: &Post) -> Result<(), ApiError> {
    let e164 = phone::e164(number)
        .ok_or_else(|| invalid_because("PhoneNumber", format!("{number} is not valid to publish to")))?;
    if post.text.to(Protocol::Sms).chars().count() > SMS_LENGTH {
        return Err(invalid("Message too long"));
    }
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
