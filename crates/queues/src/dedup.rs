//! What was sent to a FIFO queue in the last five minutes, by deduplication id. Pure. The log behind it is described in
//! `docs/formats/queues.md`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use names::Timestamp;
use ring::digest::{SHA256, digest};
use std::collections::{BTreeMap, VecDeque};

/// A deduplication id within its scope, hashed.
pub(crate) type Key = [u8; 16];

/// The message that a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its id.
    pub(crate) message: [u8; 16],
    /// Its sequence number.
    pub(crate) sequence: u64,
}

/// The keys that were seen lately.
#[derive(Debug, Default)]
pub(crate) struct Window {
    seen: BTreeMap<Key, Seen>,
    /// When each was seen first, the oldest first.
    since: VecDeque<(Timestamp, Key)>,
}

/// The key of a deduplication id; of its group's id, too, where each group has its own.
pub(crate) fn key(group: Option<&str>, id: &str) -> Key {
    let mut bytes = Vec::with_capacity(id.len() + 140);
    if let Some(group) = group {
        bytes.extend_from_slice(group.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(id.as_bytes());
    first_half(&bytes)
}

/// The deduplication id that a body stands for.
pub(crate) fn of_content(body: &[u8]) -> String {
    digest(&SHA256, body).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The number of a message group.
pub(crate) fn group(id: &str) -> u64 {
    let half = first_half(id.as_bytes());
    u64::from_le_bytes(half[..8].try_into().expect("eight bytes"))
}

fn first_half(bytes: &[u8]) -> Key {
    digest(&SHA256, bytes).as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

impl Window {
    /// The message that was sent with this key.
    pub(crate) fn get(&self, key: &Key) -> Option<Seen> {
        self.seen.get(key).copied()
    }

    /// A key is seen for the first time.
    pub(crate) fn add(&mut self, at: Timestamp, key: Key, seen: Seen) {
        self.seen.insert(key, seen);
        self.since.push_back((at, key));
    }

    /// It was not sent after all.
    pub(crate) fn take_back(&mut self, key: &Key, sequence: u64) {
        if self.seen.get(key).is_some_and(|seen| seen.sequence == sequence) {
            self.seen.remove(key);
            self.since.retain(|(_, other)| other != key);
        }
    }

    /// Forgets what was seen at this time or before.
    pub(crate) fn forget(&mut self, until: Timestamp) {
        while let Some((_, key)) = self.since.pop_front_if(|(at, _)| *at <= until) {
            self.seen.remove(&key);
        }
    }

    /// How many keys it knows.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

/// A record of the log: the next sequence number, and what was seen.
pub(crate) fn encode(next: u64, all: &[(Key, Seen)]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + 40 * all.len());
    out.put_u64_le(next);
    for (key, seen) in all {
        out.put_slice(key);
        out.put_slice(&seen.message);
        out.put_u64_le(seen.sequence);
    }
    out.freeze()
}

/// Reads a record; nothing where it is none.
pub(crate) fn decode(mut bytes: Bytes) -> Option<(u64, Vec<(Key, Seen)>)> {
    let next = bytes.try_get_u64_le().ok()?;
    let mut all = Vec::with_capacity(bytes.len() / 40);
    while !bytes.is_empty() {
        let (mut key, mut message) = ([0; 16], [0; 16]);
        bytes.try_copy_to_slice(&mut key).ok()?;
        bytes.try_copy_to_slice(&mut message).ok()?;
        all.push((key, Seen { message, sequence: bytes.try_get_u64_le().ok()? }));
    }
    Some((next, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_of_their_scope() {
        assert_eq!(key(None, "a"), key(None, "a"));
        assert_ne!(key(None, "a"), key(None, "b"));
        assert_ne!(key(Some("g"), "a"), key(Some("h"), "a"));
        assert_ne!(key(Some("g"), "a"), key(None, "a"));
        assert_eq!(of_content(b"hello"), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    }

    #[test]
    fn records_stay_readable() {
        let mut golden = 7u64.to_le_bytes().to_vec();
        golden.extend_from_slice(&[1; 16]);
        golden.extend_from_slice(&[2; 16]);
        golden.extend_from_slice(&6u64.to_le_bytes());
        let all = vec![([1; 16], Seen { message: [2; 16], sequence: 6 })];
        assert_eq!(encode(7, &all), golden);
        assert_eq!(decode(golden.clone().into()), Some((7, all)));
        golden.pop();
        assert_eq!(decode(golden.into()), None);
    }

    proptest! {
        /// Against a list that is looked through.
        #[test]
        fn five_minutes_are_remembered(steps in prop::collection::vec((0u8..6, 0i64..9), 0..60)) {
            let (mut window, mut plain) = (Window::default(), Vec::<(Timestamp, Key, Seen)>::new());
            let mut now = 0;
            for (number, (id, pass)) in steps.into_iter().enumerate() {
                now += pass;
                window.forget(Timestamp(now - 10));
                plain.retain(|(at, ..)| *at > Timestamp(now - 10));
                let key = key(None, &id.to_string());
                let known = plain.iter().find(|(_, k, _)| *k == key).map(|(.., seen)| *seen);
                prop_assert_eq!(window.get(&key), known);
                if known.is_none() {
                    let seen = Seen { message: [id; 16], sequence: number as u64 };
                    window.add(Timestamp(now), key, seen);
                    plain.push((Timestamp(now), key, seen));
                } else if pass == 0 {
                    let seen = known.unwrap();
                    window.take_back(&key, seen.sequence);
                    plain.retain(|(_, k, _)| *k != key);
                }
                prop_assert_eq!(window.len(), plain.len());
            }
        }
    }
}
