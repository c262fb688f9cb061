//! A record as it lies in the log `audit/events`.
//!
//! Bytes: 1 (the format), the summary's length (4 bytes, little endian), the summary (JSON), the CloudTrail record
//! (JSON, to the end): a look-up reads the summary and hands the record out as it is.

use names::{Timestamp, TraceContext};
use serde::{Deserialize, Serialize};

const FORMAT: u8 = 1;
const HEAD: usize = 5;

/// What records are looked up by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) at: Timestamp,
    pub(crate) read_only: bool,
    pub(crate) user: String,
    pub(crate) access_key_id: String,
    /// Types and names.
    pub(crate) resources: Vec<(String, String)>,
    /// How the default bus is told of it; nothing where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tell: Option<Tell>,
}

/// What the event for the bus has beside the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tell {
    /// The event's id.
    pub(crate) id: String,
    /// Whether the call only asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) question: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<TraceContext>,
}

/// A summary and its record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) summary: Summary,
    pub(crate) event: String,
}

/// The bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record in the log audit/events is damaged")]
pub(crate) struct Damaged;

impl world::Fault for Damaged {
    fn passes(&self) -> bool {
        false
    }
}

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let summary = serde_json::to_vec(&self.summary).expect("a summary is text, numbers and truth values");
        let len = u32::try_from(summary.len()).expect("a summary is a small part of a bounded record");
        let mut out = Vec::with_capacity(HEAD + summary.len() + self.event.len());
        out.push(FORMAT);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&summary);
        out.extend_from_slice(self.event.as_bytes());
        out
    }

    /// The summary, and the record's bytes as yet unread: most entries of a look back are only passed by.
    pub(crate) fn split(bytes: &[u8]) -> Result<(Summary, &[u8]), Damaged> {
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or(Damaged)?;
        let (format, len) = head.split_first().ok_or(Damaged)?;
        let len = u32::from_le_bytes(len.try_into().map_err(|_| Damaged)?);
        if *format != FORMAT {
            return Err(Damaged);
        }
        let (summary, event) = rest.split_at_checked(len as usize).ok_or(Damaged)?;
        Ok((serde_json::from_slice(summary).map_err(|_| Damaged)?, event))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, Damaged> {
        let (summary, event) = Entry::split(bytes)?;
        Entry::new(summary, event)
    }

    pub(crate) fn new(summary: Summary, event: &[u8]) -> Result<Entry, Damaged> {
        let event = std::str::from_utf8(event).map_err(|_| Damaged)?;
        Ok(Entry { summary, event: event.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_and_damage_is_noticed(id in ".{0,20}", event in ".{0,200}", cut in 0usize..40, told: bool) {
            let summary = Summary {
                id, name: "N".into(), source: "s".into(), at: Timestamp(7), read_only: true, user: "u".into(),
                access_key_id: "k".into(), resources: vec![("t".into(), "n".into())],
                tell: told.then(|| Tell { id: "e".into(), question: cut > 20, trace: None }),
            };
            let entry = Entry { summary, event };
            let bytes = entry.encode();
            prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
            prop_assert_eq!(Entry::decode(&bytes[..cut]), Err(Damaged));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Entry::decode(&bytes);
        }
    }
}
