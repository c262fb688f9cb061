//! A message on its way to subscribers, and what a message may be.
//! Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>

use crate::attribute::Attributes;
use crate::endpoint::Protocol;
use crate::fifo;
use crate::limits::{FIFO_ID_LENGTH, MESSAGE_BYTES, SUBJECT_LENGTH};
use crate::settings::TopicSettings;
use names::{Timestamp, TraceContext};
use serde_json::Value;
use std::collections::BTreeMap;

/// A message that was published.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// Its id.
    pub(crate) id: String,
    /// When it was published.
    pub(crate) at: Timestamp,
    /// Its subject.
    pub(crate) subject: Option<String>,
    /// What it says.
    pub(crate) text: Text,
    /// Its attributes.
    pub(crate) attributes: Attributes,
    /// The trace it belongs to.
    pub(crate) trace: Option<TraceContext>,
    /// The request it came with.
    pub(crate) request_id: Option<String>,
    /// The group it belongs to.
    pub(crate) group: Option<String>,
    /// Its place in a FIFO topic.
    pub(crate) fifo: Option<Place>,
}

/// A message's place in a FIFO topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What tells it from others.
    pub(crate) deduplication: String,
    /// Its number; zero until it is its turn.
    pub(crate) sequence: u64,
}

/// What a message says, perhaps to each protocol something else.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text {
    /// `Message`, as it was given.
    given: String,
    default: String,
    by_protocol: BTreeMap<String, String>,
}

/// What a message may not be, in SNS's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum PostError {
    #[error("Empty message")]
    Empty,
    #[error("Message too long")]
    TooLong,
    #[error("Subject")]
    Subject,
    #[error("MessageStructure Reason: Invalid value [{0}]. Valid value is json")]
    Structure(String),
    #[error("Message Structure - JSON message body failed to parse")]
    Unparsable,
    #[error("Message Structure - No default entry in JSON message body")]
    NoDefault,
    #[error("The MessageGroupId parameter is required for FIFO topics")]
    NoGroup,
    #[error(
        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )]
    NoDeduplication,
    #[error(
        "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"
    )]
    NotFifo,
    #[error("{0} Reason: It can only include alphanumeric and punctuation characters. 1 to 128 in length")]
    Id(&'static str),
}

impl Text {
    /// The same for all.
    pub(crate) fn plain(text: String) -> Text {
        Text { given: text.clone(), default: text, by_protocol: BTreeMap::new() }
    }

    /// Reads `Message` as `MessageStructure` says.
    pub(crate) fn read(message: String, structure: Option<&str>) -> Result<Text, PostError> {
        if message.is_empty() {
            return Err(PostError::Empty);
        }
        match structure {
            None => Ok(Text::plain(message)),
            Some("json") => {
                let Ok(Value::Object(members)) = serde_json::from_str(&message) else {
                    return Err(PostError::Unparsable);
                };
                // Values that are no texts are overlooked, as SNS does.
                let mut by_protocol: BTreeMap<String, String> = members
                    .into_iter()
                    .filter_map(|(key, value)| match value {
                        Value::String(text) => Some((key, text)),
                        _ => None,
                    })
                    .collect();
                let default = by_protocol.remove("default").ok_or(PostError::NoDefault)?;
                Ok(Text { given: message, default, by_protocol })
            }
            Some(other) => Err(PostError::Structure(other.to_owned())),
        }
    }

    /// What it says to this protocol.
    pub(crate) fn to(&self, protocol: Protocol) -> &str {
        self.by_protocol.get(protocol.as_str()).unwrap_or(&self.default)
    }
}

/// What counts against the size limit.
pub(crate) fn size(message: &str, attributes: &Attributes) -> usize {
    message.len() + attributes.iter().map(|(name, a)| name.len() + a.size()).sum::<usize>()
}

/// Refuses what is too long.
pub(crate) fn check_size(message: &str, attributes: &Attributes) -> Result<(), PostError> {
    if size(message, attributes) > MESSAGE_BYTES { Err(PostError::TooLong) } else { Ok(()) }
}

impl Post {
    /// Gives it what its topic asks for: a group and a deduplication id, or neither.
    pub(crate) fn place(&mut self, settings: &TopicSettings, given: Option<String>) -> Result<(), PostError> {
        let check = |name, id: Option<&str>| match id {
            Some(id) if !FIFO_ID_LENGTH.contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) => {
                Err(PostError::Id(name))
            }
            _ => Ok(()),
        };
        check("MessageGroupId", self.group.as_deref())?;
        check("MessageDeduplicationId", given.as_deref())?;
        if !settings.fifo {
            return if given.is_some() { Err(PostError::NotFifo) } else { Ok(()) };
        }
        if self.group.is_none() {
            return Err(PostError::NoGroup);
        }
        let by_content = || settings.by_content.then(|| fifo::of_content(&self.text.given));
        let deduplication = given.or_else(by_content).ok_or(PostError::NoDeduplication)?;
        self.fifo = Some(Place { deduplication, sequence: 0 });
        Ok(())
    }
}

/// Printable ASCII, at most 100 characters, beginning with a letter, a digit or punctuation.
pub(crate) fn check_subject(subject: &str) -> Result<(), PostError> {
    let fine = (1..=SUBJECT_LENGTH).contains(&subject.len())
        && subject.bytes().all(|b| (0x20..0x7f).contains(&b))
        && !subject.starts_with(' ');
    if fine { Ok(()) } else { Err(PostError::Subject) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_say_something_else_to_each_protocol() {
        let text = Text::read(r#"{"default":"all","sms":"short","http":5}"#.into(), Some("json")).unwrap();
        assert_eq!((text.to(Protocol::Sms), text.to(Protocol::Http), text.to(Protocol::Sqs)), ("short", "all", "all"));
        let read = |message: &str, structure| Text::read(message.into(), structure);
        assert_eq!(read(r#"{"sms":"short"}"#, Some("json")), Err(PostError::NoDefault));
        assert_eq!(read("short", Some("json")), Err(PostError::Unparsable));
        assert_eq!(read("short", Some("xml")), Err(PostError::Structure("xml".into())));
        assert_eq!(read("", None), Err(PostError::Empty));
    }

    #[test]
    fn limits() {
        assert_eq!(check_subject("Instance terminated!"), Ok(()));
        for subject in ["", " a", "a\nb", "ä", &"a".repeat(101)] {
            assert_eq!(check_subject(subject), Err(PostError::Subject), "{subject}");
        }
        assert_eq!(check_size(&"a".repeat(MESSAGE_BYTES), &Attributes::new()), Ok(()));
        assert_eq!(check_size(&"a".repeat(MESSAGE_BYTES + 1), &Attributes::new()), Err(PostError::TooLong));
    }
}
