//! The MD5 sums by which clients check that their message arrived whole.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>

use crate::message::{Attribute, AttributeValue};
use md5::{Digest, Md5};

/// Of a message's body.
pub(crate) fn of_body(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

/// Of a message's attributes; nothing where it has none.
pub(crate) fn of_attributes<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Option<String> {
    let mut sorted: Vec<&Attribute> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sum = Md5::new();
    let mut part = |bytes: &[u8], kind: Option<u8>| {
        sum.update(kind.as_slice());
        sum.update((bytes.len() as u32).to_be_bytes());
        sum.update(bytes);
    };
    for attribute in sorted {
        part(attribute.name.as_bytes(), None);
        part(attribute.data_type.as_bytes(), None);
        match &attribute.value {
            AttributeValue::Text(text) => part(text.as_bytes(), Some(1)),
            AttributeValue::Binary(bytes) => part(bytes, Some(2)),
        }
    }
    Some(hex(&sum.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn bodies() {
        assert_eq!(of_body(b"hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
    }

    #[test]
    fn attributes_are_summed_in_the_order_of_their_names() {
        let text = |name: &str, data_type: &str, value: &str| Attribute {
            name: name.into(),
            data_type: data_type.into(),
            value: AttributeValue::Text(value.into()),
        };
        // The sum of the bytes written out by hand.
        let mut bytes = Vec::new();
        bytes.extend_from_slice(b"\0\0\0\x01a\0\0\0\x06Number\x01\0\0\0\x011");
        bytes.extend_from_slice(b"\0\0\0\x01b\0\0\0\x06Binary\x02\0\0\0\x02\x00\xff");
        let expected = hex(&Md5::digest(&bytes));
        let binary = Attribute {
            name: "b".into(),
            data_type: "Binary".into(),
            value: AttributeValue::Binary(Bytes::from_static(&[0, 255])),
        };
        let one = text("a", "Number", "1");
        assert_eq!(of_attributes([&binary, &one]), Some(expected.clone()));
        assert_eq!(of_attributes([&one, &binary]), Some(expected));
        assert_eq!(of_attributes([]), None);
    }
}
