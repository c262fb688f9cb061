//! A message as it lies in a queue, byte for byte (the format is written down in `docs/formats/queues.md`), and what a
//! message may be.

use crate::limits::{ATTRIBUTE_NAME_LENGTH, ATTRIBUTES};
use bytes::{BufMut, Bytes, BytesMut};
use names::Timestamp;

/// A message in a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// Its id, a UUID.
    pub(crate) id: [u8; 16],
    /// When it was sent first: a move to a dead-letter queue does not make it younger.
    pub(crate) sent_at: Timestamp,
    /// The principal id of its sender.
    pub(crate) sender: String,
    /// The X-Ray trace header it came with.
    pub(crate) trace: Option<String>,
    /// The ARN of the queue it was moved away from, for dead letters.
    pub(crate) moved_from: Option<String>,
    /// Its group, and its place among the messages of a FIFO queue.
    pub(crate) group: Option<Group>,
    /// Its attributes.
    pub(crate) attributes: Vec<Attribute>,
    /// Its body: valid UTF-8.
    pub(crate) body: Bytes,
}

/// A message's group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// The message group's id.
    pub(crate) id: String,
    /// What only messages of FIFO queues have.
    pub(crate) fifo: Option<Fifo>,
}

/// What only messages of FIFO queues have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fifo {
    /// The deduplication id: given, or the hash of the body.
    pub(crate) deduplication: String,
    /// The place among the queue's messages, from one on.
    pub(crate) sequence: u64,
}

/// A message's attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    /// Its name.
    pub(crate) name: String,
    /// `String`, `Number` or `Binary`, perhaps with a suffix such as `Number.int`.
    pub(crate) data_type: String,
    /// Its value.
    pub(crate) value: AttributeValue,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AttributeValue {
    /// Of the types `String` and `Number`.
    Text(String),
    /// Of the type `Binary`.
    Binary(Bytes),
}

/// What a message may not be. The texts are SQS's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("The request must contain the parameter MessageBody.")]
    EmptyBody,
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    Characters,
    #[error("One or more parameters are invalid. Reason: Message must be shorter than {0} bytes.")]
    TooLong(usize),
    #[error("Number of message attributes [{0}] exceeds the allowed maximum [{ATTRIBUTES}].")]
    TooManyAttributes(usize),
    #[error("The message attribute '{name}' {why}")]
    Attribute { name: String, why: &'static str },
}

/// A message's bytes that are none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a message in a queue is not in a known format")]
pub(crate) struct Undecodable;

/// Without a group.
const PLAIN: u8 = 1;
/// With a group.
const GROUPED: u8 = 2;

impl Message {
    /// What counts against the size limit: the body and each attribute's name, type and value.
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(Attribute::size).sum::<usize>()
    }

    /// Refuses what SQS refuses.
    pub(crate) fn check(&self, max_bytes: usize) -> Result<(), MessageError> {
        if self.body.is_empty() {
            return Err(MessageError::EmptyBody);
        }
        if self.size() > max_bytes {
            return Err(MessageError::TooLong(max_bytes));
        }
        if !std::str::from_utf8(&self.body).is_ok_and(is_text) {
            return Err(MessageError::Characters);
        }
        if self.attributes.len() > ATTRIBUTES {
            return Err(MessageError::TooManyAttributes(self.attributes.len()));
        }
        self.attributes.iter().try_for_each(Attribute::check)
    }

    /// The bytes that go into the queue.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size() + self.sender.len() + 128);
        out.put_u8(if self.group.is_some() { GROUPED } else { PLAIN });
        out.put_slice(&self.id);
        out.put_i64_le(self.sent_at.micros());
        put(&mut out, self.sender.as_bytes());
        put(&mut out, self.trace.as_deref().unwrap_or_default().as_bytes());
        put(&mut out, self.moved_from.as_deref().unwrap_or_default().as_bytes());
        if let Some(group) = &self.group {
            put(&mut out, group.id.as_bytes());
            // No sequence number is zero.
            let (deduplication, sequence) =
                group.fifo.as_ref().map_or(("", 0), |fifo| (fifo.deduplication.as_str(), fifo.sequence));
            put(&mut out, deduplication.as_bytes());
            out.put_u64_le(sequence);
        }
        out.put_u16_le(self.attributes.len() as u16);
        for attribute in &self.attributes {
            put(&mut out, attribute.name.as_bytes());
            put(&mut out, attribute.data_type.as_bytes());
            let (kind, value) = match &attribute.value {
                AttributeValue::Text(text) => (1, text.as_bytes()),
                AttributeValue::Binary(bytes) => (2, &bytes[..]),
            };
            out.put_u8(kind);
            put(&mut out, value);
        }
        out.put_slice(&self.body);
        out.freeze()
    }

    /// Reads those bytes back; the body is a slice of them.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Message, Undecodable> {
        let head = take(&mut bytes, 1 + 16 + 8)?;
        if !matches!(head[0], PLAIN | GROUPED) {
            return Err(Undecodable);
        }
        let sender = text(&mut bytes)?;
        let trace = Some(text(&mut bytes)?).filter(|t| !t.is_empty());
        let moved_from = Some(text(&mut bytes)?).filter(|t| !t.is_empty());
        let group = if head[0] == GROUPED { Some(group(&mut bytes)?) } else { None };
        let count = take(&mut bytes, 2)?;
        let mut attributes = Vec::new();
        for _ in 0..u16::from_le_bytes([count[0], count[1]]) {
            let (name, data_type) = (text(&mut bytes)?, text(&mut bytes)?);
            let value = match take(&mut bytes, 1)?[0] {
                1 => AttributeValue::Text(text(&mut bytes)?),
                2 => AttributeValue::Binary(part(&mut bytes)?),
                _ => return Err(Undecodable),
            };
            attributes.push(Attribute { name, data_type, value });
        }
        std::str::from_utf8(&bytes).map_err(|_| Undecodable)?;
        Ok(Message {
            id: head[1..17].try_into().expect("17 - 1 = 16"),
            sent_at: Timestamp(i64::from_le_bytes(head[17..25].try_into().expect("25 - 17 = 8"))),
            sender,
            trace,
            moved_from,
            group,
            attributes,
            body: bytes,
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        std::str::from_utf8(&self.body).expect("what is sent and what is decoded is UTF-8").to_owned()
    }

    /// The id in its usual form.
    pub(crate) fn uuid(&self) -> String {
        uuid(&self.id)
    }
}

/// A message's id in its usual form.
pub(crate) fn uuid(id: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in id.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A sequence number as SQS writes them: twenty digits, growing.
pub(crate) fn sequence_text(sequence: u64) -> String {
    (10_000_000_000_000_000_000u64.saturating_add(sequence)).to_string()
}

impl Attribute {
    fn size(&self) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        self.name.len() + self.data_type.len() + value
    }

    /// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
    pub(crate) fn check(&self) -> Result<(), MessageError> {
        let refuse = |why| Err(MessageError::Attribute { name: self.name.clone(), why });
        let lower = self.name.to_ascii_lowercase();
        let fine = (1..=ATTRIBUTE_NAME_LENGTH).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
            && !self.name.starts_with('.')
            && !self.name.ends_with('.')
            && !self.name.contains("..");
        if !fine {
            return refuse(
                "has an invalid name: it can contain A-Z, a-z, 0-9, underscore, hyphen and period, must not start or end with a period, have periods in succession or be longer than 256 characters.",
            );
        }
        if lower.starts_with("aws.") || lower.starts_with("amazon.") {
            return refuse("must not start with AWS-reserved prefixes like AWS. or Amazon.");
        }
        let kind = self.data_type.split('.').next().unwrap_or_default();
        if self.data_type.len() > ATTRIBUTE_NAME_LENGTH || !matches!(kind, "String" | "Number" | "Binary") {
            return refuse(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
            );
        }
        match (&self.value, kind) {
            (AttributeValue::Text(text), "String" | "Number") => {
                if text.is_empty() {
                    return refuse("must contain a non-empty message attribute value.");
                }
                if !is_text(text) {
                    return refuse("contains invalid characters.");
                }
                if kind == "Number" && text.parse::<f64>().map_or(true, |number| !number.is_finite()) {
                    return refuse("has a value that is not a number.");
                }
            }
            (AttributeValue::Binary(bytes), "Binary") => {
                if bytes.is_empty() {
                    return refuse("must contain a non-empty message attribute value.");
                }
            }
            _ => return refuse("has a value that does not fit its type."),
        }
        Ok(())
    }
}

/// Whether XML could carry the text: SQS still promises that.
pub(crate) fn is_text(text: &str) -> bool {
    // Most texts are plain.
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
        || text.chars().all(|c| match c {
            '\t' | '\n' | '\r' => true,
            c => c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'),
        })
}

fn group(bytes: &mut Bytes) -> Result<Group, Undecodable> {
    let (id, deduplication) = (text(bytes)?, text(bytes)?);
    let sequence = take(bytes, 8)?;
    let sequence = u64::from_le_bytes(sequence[..].try_into().expect("eight bytes"));
    match (sequence, deduplication.is_empty()) {
        (0, true) => Ok(Group { id, fifo: None }),
        (0, false) => Err(Undecodable),
        _ => Ok(Group { id, fifo: Some(Fifo { deduplication, sequence }) }),
    }
}

fn put(out: &mut BytesMut, part: &[u8]) {
    out.put_u32_le(part.len() as u32);
    out.put_slice(part);
}

fn take(bytes: &mut Bytes, count: usize) -> Result<Bytes, Undecodable> {
    if bytes.len() < count { Err(Undecodable) } else { Ok(bytes.split_to(count)) }
}

fn part(bytes: &mut Bytes) -> Result<Bytes, Undecodable> {
    let length = take(bytes, 4)?;
    take(bytes, u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)
}

fn text(bytes: &mut Bytes) -> Result<String, Undecodable> {
    String::from_utf8(part(bytes)?.to_vec()).map_err(|_| Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &str, attributes: Vec<Attribute>) -> Message {
        Message {
            id: [7; 16],
            sent_at: Timestamp::from_millis(1_767_225_600_000),
            sender: "AIDA".into(),
            trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
            moved_from: None,
            group: None,
            attributes,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn attribute(name: &str, data_type: &str, value: &str) -> Attribute {
        Attribute { name: name.into(), data_type: data_type.into(), value: AttributeValue::Text(value.into()) }
    }

    #[test]
    fn version_one_stays_readable() {
        let mut golden = vec![1];
        golden.extend_from_slice(&[9; 16]);
        golden.extend_from_slice(&5i64.to_le_bytes());
        golden
            .extend_from_slice(b"\x02\0\0\0me\0\0\0\0\x01\0\0\0q\x01\0\x01\0\0\0n\x06\0\0\0Number\x01\x02\0\0\x0042hi");
        let read = Message::decode(Bytes::from(golden.clone())).unwrap();
        assert_eq!(read.sent_at, Timestamp(5));
        assert_eq!((read.sender.as_str(), read.trace.clone(), read.moved_from.as_deref()), ("me", None, Some("q")));
        assert_eq!(read.attributes, [attribute("n", "Number", "42")]);
        assert_eq!(read.text(), "hi");
        assert_eq!(read.encode(), golden);
        assert_eq!(read.uuid(), "09090909-0909-0909-0909-090909090909");
    }

    #[test]
    fn version_two_stays_readable() {
        let mut golden = vec![2];
        golden.extend_from_slice(&[9; 16]);
        golden.extend_from_slice(&5i64.to_le_bytes());
        golden.extend_from_slice(b"\x02\0\0\0me\0\0\0\0\0\0\0\0\x01\0\0\0g\x01\0\0\0d\x07\0\0\0\0\0\0\0\0\0hi");
        let read = Message::decode(Bytes::from(golden.clone())).unwrap();
        let fifo = Fifo { deduplication: "d".into(), sequence: 7 };
        assert_eq!(
            (read.group.clone(), read.text().as_str()),
            (Some(Group { id: "g".into(), fifo: Some(fifo) }), "hi")
        );
        assert_eq!(sequence_text(7), "10000000000000000007");
        assert_eq!(read.encode(), golden);
    }

    #[test]
    fn what_sqs_refuses_is_refused() {
        assert_eq!(message("", vec![]).check(1024), Err(MessageError::EmptyBody));
        assert_eq!(message("a\u{1}", vec![]).check(1024), Err(MessageError::Characters));
        assert_eq!(message(&"a".repeat(1025), vec![]).check(1024), Err(MessageError::TooLong(1024)));
        let many = (0..11).map(|i| attribute(&format!("a{i}"), "String", "x")).collect();
        assert_eq!(message("a", many).check(1024), Err(MessageError::TooManyAttributes(11)));
        for bad in [
            attribute(".a", "String", "x"),
            attribute("a..b", "String", "x"),
            attribute("AWS.a", "String", "x"),
            attribute("a", "Text", "x"),
            attribute("a", "String", ""),
            attribute("a", "Number", "one"),
            attribute("a", "Binary", "x"),
        ] {
            assert!(message("a", vec![bad.clone()]).check(1024).is_err(), "{bad:?}");
        }
        assert_eq!(message("a\t\n\r\u{10000}", vec![attribute("a", "Number.int", "-1e3")]).check(1024), Ok(()));
    }

    proptest! {
        #[test]
        fn messages_go_there_and_back(body in ".{1,60}", sender in ".{0,9}", names in prop::collection::vec("[a-z]{1,5}", 0..4)) {
            let mut sent = message(&body, names.iter().map(|n| attribute(n, "String", n)).collect());
            sent.group = (names.len() % 2 == 0).then(|| Group { id: sender.clone(), fifo: None });
            sent.sender = sender;
            sent.attributes.push(Attribute {
                name: "b".into(), data_type: "Binary".into(), value: AttributeValue::Binary(Bytes::from_static(&[0, 1])),
            });
            prop_assert_eq!(Message::decode(sent.encode()), Ok(sent));
        }

        #[test]
        fn any_bytes_are_a_message_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), 0..120), version in PLAIN..=GROUPED,
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            if let Ok(read) = Message::decode(Bytes::from(bytes.clone())) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
