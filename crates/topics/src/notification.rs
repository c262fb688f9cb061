//! The forms a notification takes on its way: the JSON that queues and web servers get, the event that functions get,
//! the letters that people get. Signature members are absent: see the crate's first page.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>

use crate::attribute::shown;
use crate::endpoint::Protocol;
use crate::post::Post;
use names::{Arn, Timestamp};
use serde_json::{Map, Value, json};

/// The JSON of a notification.
pub(crate) fn wrapped(post: &Post, topic: &Arn, protocol: Protocol, unsubscribe: &str) -> String {
    let mut out = Map::new();
    out.insert("Type".into(), "Notification".into());
    out.insert("MessageId".into(), post.id.as_str().into());
    out.insert("TopicArn".into(), topic.as_str().into());
    if let Some(subject) = &post.subject {
        out.insert("Subject".into(), subject.as_str().into());
    }
    out.insert("Message".into(), post.text.to(protocol).into());
    out.insert("Timestamp".into(), post.at.iso_millis().into());
    out.insert("UnsubscribeURL".into(), unsubscribe.into());
    if !post.attributes.is_empty() {
        out.insert("MessageAttributes".into(), shown(&post.attributes).into());
    }
    pretty(&Value::Object(out))
}

/// The event a function is invoked with.
pub(crate) fn event(post: &Post, topic: &Arn, subscription: &str, unsubscribe: &str) -> String {
    json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "Sns": {
            "Type": "Notification",
            "MessageId": post.id,
            "TopicArn": topic,
            "Subject": post.subject,
            "Message": post.text.to(Protocol::Lambda),
            "Timestamp": post.at.iso_millis(),
            "UnsubscribeUrl": unsubscribe,
            "MessageAttributes": shown(&post.attributes),
        },
    }]})
    .to_string()
}

/// The text of a mail.
pub(crate) fn letter(post: &Post, topic: &Arn, unsubscribe: &str) -> String {
    format!(
        "{}\n\n--\nIf you wish to stop receiving notifications from this topic ({topic}), please visit the link below to unsubscribe:\n{unsubscribe}\n",
        post.text.to(Protocol::Email)
    )
}

/// The JSON that asks a web server whether it wants to be subscribed.
pub(crate) fn question(id: &str, at: Timestamp, topic: &Arn, token: &str, confirm: &str) -> String {
    pretty(&json!({
        "Type": "SubscriptionConfirmation",
        "MessageId": id,
        "Token": token,
        "TopicArn": topic,
        "Message": format!(
            "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
        ),
        "SubscribeURL": confirm,
        "Timestamp": at.iso_millis(),
    }))
}

/// The mail that asks a person the same.
pub(crate) fn letter_of_question(topic: &Arn, confirm: &str) -> String {
    format!(
        "You have chosen to subscribe to the topic:\n{topic}\n\nTo confirm this subscription, visit the link below (if this was in error no action is necessary):\n{confirm}\n"
    )
}

/// The link that ends a subscription.
pub(crate) fn unsubscribe_url(base: &str, subscription: &str) -> String {
    format!("{base}/?Action=Unsubscribe&SubscriptionArn={subscription}")
}

/// The link that confirms one.
pub(crate) fn confirm_url(base: &str, topic: &Arn, token: &str) -> String {
    format!("{base}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}")
}

/// Indented, as SNS sends it.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("values are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{Attribute, AttributeValue};
    use crate::post::Text;

    fn post() -> Post {
        let attribute = Attribute { data_type: "String".into(), value: AttributeValue::Text("v".into()) };
        Post {
            id: "m".into(),
            at: Timestamp::from_millis(1_767_225_600_000),
            subject: None,
            text: Text::read(r#"{"default":"d","lambda":"l"}"#.into(), Some("json")).unwrap(),
            attributes: [("k".to_owned(), attribute)].into(),
            trace: None,
            request_id: None,
        }
    }

    fn topic() -> Arn {
        Arn::new("sns", "us-east-1", "000000000000", "t")
    }

    #[test]
    fn queues_get_the_wrapped_message() {
        let got: Value = serde_json::from_str(&wrapped(&post(), &topic(), Protocol::Sqs, "u")).unwrap();
        assert_eq!(
            got,
            json!({
                "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
                "Message": "d", "Timestamp": "2026-01-01T00:00:00.000Z", "UnsubscribeURL": "u",
                "MessageAttributes": { "k": { "Type": "String", "Value": "v" } },
            })
        );
    }

    #[test]
    fn functions_get_an_event() {
        let got: Value = serde_json::from_str(&event(&post(), &topic(), "s", "u")).unwrap();
        let record = &got["Records"][0];
        assert_eq!((&record["EventSource"], &record["EventSubscriptionArn"]), (&json!("aws:sns"), &json!("s")));
        assert_eq!((&record["Sns"]["Message"], &record["Sns"]["Subject"]), (&json!("l"), &Value::Null));
    }
}
