//! The forms a notification takes on its way: the JSON that queues and web servers get, the event that functions get,
//! the letters that people get. Who signed them says `signing.rs`.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>

use crate::attribute::shown;
use crate::endpoint::Protocol;
use crate::fifo;
use crate::post::Post;
use crate::signing::{Signed, canonical};
use names::{Arn, Timestamp};
use serde_json::{Map, Value, json};

/// A subscription as notifications show it.
pub(crate) struct Shown<'a> {
    /// Its topic.
    pub(crate) topic: &'a Arn,
    /// Its ARN.
    pub(crate) arn: &'a str,
    /// Scheme and authority of links.
    pub(crate) base: &'a str,
}

/// What is signed of a notification.
pub(crate) fn canonical_of(post: &Post, topic: &Arn, text: &str) -> String {
    let at = post.at.iso_millis();
    let mut pairs = vec![("Message", text), ("MessageId", &post.id)];
    pairs.extend(post.subject.as_deref().map(|subject| ("Subject", subject)));
    pairs.extend([("Timestamp", at.as_str()), ("TopicArn", topic.as_str()), ("Type", "Notification")]);
    canonical(&pairs)
}

/// The JSON of a notification.
pub(crate) fn wrapped(post: &Post, to: &Shown<'_>, protocol: Protocol, signed: &Signed) -> String {
    let mut out = Map::new();
    out.insert("Type".into(), "Notification".into());
    out.insert("MessageId".into(), post.id.as_str().into());
    if let Some(place) = &post.fifo {
        out.insert("SequenceNumber".into(), fifo::shown(place.sequence).into());
    }
    out.insert("TopicArn".into(), to.topic.as_str().into());
    if let Some(subject) = &post.subject {
        out.insert("Subject".into(), subject.as_str().into());
    }
    out.insert("Message".into(), post.text.to(protocol).into());
    out.insert("Timestamp".into(), post.at.iso_millis().into());
    out.insert("SignatureVersion".into(), signed.version.as_str().into());
    out.insert("Signature".into(), signed.signature.as_str().into());
    out.insert("SigningCertURL".into(), signed.url(to.base).into());
    out.insert("UnsubscribeURL".into(), unsubscribe_url(to.base, to.arn).into());
    if !post.attributes.is_empty() {
        out.insert("MessageAttributes".into(), shown(&post.attributes).into());
    }
    pretty(&Value::Object(out))
}

/// The event a function is invoked with.
pub(crate) fn event(post: &Post, to: &Shown<'_>, signed: &Signed) -> String {
    json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": to.arn,
        "Sns": {
            "Type": "Notification",
            "MessageId": post.id,
            "TopicArn": to.topic,
            "Subject": post.subject,
            "Message": post.text.to(Protocol::Lambda),
            "Timestamp": post.at.iso_millis(),
            "SignatureVersion": signed.version.as_str(),
            "Signature": signed.signature,
            "SigningCertUrl": signed.url(to.base),
            "UnsubscribeUrl": unsubscribe_url(to.base, to.arn),
            "MessageAttributes": shown(&post.attributes),
        },
    }]})
    .to_string()
}

/// The text of a mail.
pub(crate) fn letter(post: &Post, to: &Shown<'_>) -> String {
    let (topic, unsubscribe) = (to.topic, unsubscribe_url(to.base, to.arn));
    format!(
        "{}\n\n--\nIf you wish to stop receiving notifications from this topic ({topic}), please visit the link below to unsubscribe:\n{unsubscribe}\n",
        post.text.to(Protocol::Email)
    )
}

/// What a question asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether to be subscribed.
    Subscribe,
    /// Whether the end of a subscription was meant.
    Unsubscribe,
}

impl Question {
    /// `Type`.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Question::Subscribe => "SubscriptionConfirmation",
            Question::Unsubscribe => "UnsubscribeConfirmation",
        }
    }

    /// Of mails.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Question::Subscribe => "AWS Notification - Subscription Confirmation",
            Question::Unsubscribe => "AWS Notification - Unsubscribe Confirmation",
        }
    }

    fn text(self, topic: &Arn) -> String {
        match self {
            Question::Subscribe => format!(
                "You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
            ),
            Question::Unsubscribe => format!(
                "You have chosen to deactivate a subscription to the topic {topic}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
            ),
        }
    }
}

/// The JSON that asks a web server a question.
pub(crate) struct Asked {
    kind: &'static str,
    id: String,
    at: String,
    topic: Arn,
    token: String,
    text: String,
    link: String,
}

impl Asked {
    pub(crate) fn new(question: Question, id: &str, at: Timestamp, topic: &Arn, token: &str, link: &str) -> Asked {
        Asked {
            kind: question.kind(),
            id: id.to_owned(),
            at: at.iso_millis(),
            topic: topic.clone(),
            token: token.to_owned(),
            text: question.text(topic),
            link: link.to_owned(),
        }
    }

    /// What is signed of it.
    pub(crate) fn canonical(&self) -> String {
        canonical(&[
            ("Message", &self.text),
            ("MessageId", &self.id),
            ("SubscribeURL", &self.link),
            ("Timestamp", &self.at),
            ("Token", &self.token),
            ("TopicArn", self.topic.as_str()),
            ("Type", self.kind),
        ])
    }

    pub(crate) fn json(&self, signed: &Signed, base: &str) -> String {
        pretty(&json!({
            "Type": self.kind,
            "MessageId": self.id,
            "Token": self.token,
            "TopicArn": self.topic,
            "Message": self.text,
            "SubscribeURL": self.link,
            "Timestamp": self.at,
            "SignatureVersion": signed.version.as_str(),
            "Signature": signed.signature,
            "SigningCertURL": signed.url(base),
        }))
    }
}

/// The mail that asks a person the same.
pub(crate) fn letter_of_question(question: Question, topic: &Arn, confirm: &str) -> String {
    match question {
        Question::Subscribe => format!(
            "You have chosen to subscribe to the topic:\n{topic}\n\nTo confirm this subscription, visit the link below (if this was in error no action is necessary):\n{confirm}\n"
        ),
        Question::Unsubscribe => format!(
            "Your subscription to the topic below has been deactivated:\n{topic}\n\nIf this was in error, visit the link below to subscribe again:\n{confirm}\n"
        ),
    }
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
    use crate::post::{Place, Text};
    use crate::signing::Version;

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
            group: None,
            fifo: None,
        }
    }

    fn signed() -> Signed {
        Signed { version: Version::Two, signature: "c2ln".into(), path: "/c.pem".into() }
    }

    fn shown_to(topic: &Arn) -> Shown<'_> {
        Shown { topic, arn: "s", base: "http://h" }
    }

    fn topic() -> Arn {
        Arn::new("sns", "us-east-1", "000000000000", "t")
    }

    #[test]
    fn queues_get_the_wrapped_message() {
        let got: Value =
            serde_json::from_str(&wrapped(&post(), &shown_to(&topic()), Protocol::Sqs, &signed())).unwrap();
        assert_eq!(
            got,
            json!({
                "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
                "Message": "d", "Timestamp": "2026-01-01T00:00:00.000Z",
                "SignatureVersion": "2", "Signature": "c2ln", "SigningCertURL": "http://h/c.pem",
                "UnsubscribeURL": "http://h/?Action=Unsubscribe&SubscriptionArn=s",
                "MessageAttributes": { "k": { "Type": "String", "Value": "v" } },
            })
        );
    }

    #[test]
    fn what_is_signed() {
        let mut one = post();
        let text = "Message\nd\nMessageId\nm\nTimestamp\n2026-01-01T00:00:00.000Z\nTopicArn\narn:aws:sns:us-east-1:000000000000:t\nType\nNotification\n";
        assert_eq!(canonical_of(&one, &topic(), "d"), text);
        one.subject = Some("S".into());
        one.fifo = Some(Place { deduplication: "d".into(), sequence: 7 });
        let with_subject = canonical_of(&one, &topic(), "d");
        assert_eq!(with_subject, text.replace("Timestamp\n", "Subject\nS\nTimestamp\n"));
        let got: Value = serde_json::from_str(&wrapped(&one, &shown_to(&topic()), Protocol::Sqs, &signed())).unwrap();
        assert_eq!(got["SequenceNumber"], "10000000000000000007");
    }

    #[test]
    fn functions_get_an_event() {
        let got: Value = serde_json::from_str(&event(&post(), &shown_to(&topic()), &signed())).unwrap();
        let record = &got["Records"][0];
        assert_eq!((&record["EventSource"], &record["EventSubscriptionArn"]), (&json!("aws:sns"), &json!("s")));
        assert_eq!((&record["Sns"]["Message"], &record["Sns"]["Subject"]), (&json!("l"), &Value::Null));
    }
}
