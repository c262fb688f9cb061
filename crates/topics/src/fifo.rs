//! What FIFO topics remember: the deduplication ids of the last five minutes and the latest sequence number; and whose
//! turn it is to publish. The log behind it is described in `docs/formats/topics.md`.
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html>

use crate::limits::{DEDUPLICATION, FIFO_REMEMBERED};
use bytes::{Buf, Bytes};
use names::Timestamp;
use ring::digest::{SHA256, digest};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use store::{Batch, LogId, ReadLimit, Store, StoreError};

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

/// Who publishes to topics or groups that share a turn waits for it.
const TURNS: usize = 64;
/// Bytes of a record: the key, the message's id, the sequence number.
const RECORD: usize = 40;

/// The memory of all FIFO topics.
pub(crate) struct Fifo {
    store: Store,
    log: LogId,
    window: Mutex<Window>,
    turns: [tokio::sync::Mutex<()>; TURNS],
}

#[derive(Default)]
struct Window {
    seen: BTreeMap<Key, Seen>,
    /// When each was seen, the oldest first.
    since: VecDeque<(Timestamp, Key)>,
    sequence: u64,
}

impl Window {
    fn add(&mut self, at: Timestamp, key: Key, seen: Seen) {
        self.seen.insert(key, seen);
        self.since.push_back((at, key));
        self.sequence = self.sequence.max(seen.sequence);
    }

    fn forget(&mut self, until: Timestamp) {
        while let Some((_, key)) = self.since.pop_front_if(|(at, _)| *at <= until) {
            self.seen.remove(&key);
        }
    }
}

/// The key of a deduplication id in its scope: the topic, or one group of it. A topic that was deleted and made again is
/// another one: `born` tells them apart.
pub(crate) fn key(topic: &str, born: Timestamp, group: Option<&str>, id: &str) -> Key {
    let mut bytes = Vec::with_capacity(topic.len() + id.len() + 160);
    for part in [topic, &born.micros().to_string(), group.unwrap_or_default(), id] {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    digest(&SHA256, &bytes).as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

/// The deduplication id that a message stands for.
pub(crate) fn of_content(message: &str) -> String {
    digest(&SHA256, message.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A sequence number as SNS shows it: 20 digits.
pub(crate) fn shown(sequence: u64) -> String {
    format!("1{sequence:019}")
}

/// A message id as UUIDs are written.
pub(crate) fn uuid(id: [u8; 16]) -> String {
    let hex: String = id.iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The bytes of a UUID.
pub(crate) fn bytes(uuid: &str) -> [u8; 16] {
    let digits: Vec<u8> = uuid.bytes().filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    out
}

impl Fifo {
    pub(crate) async fn open(store: &Store, now: Timestamp) -> Result<Fifo, StoreError> {
        let log = store.log("topics/fifo").await?;
        let mut window = Window::default();
        let extent = store.extent(log);
        let since = Timestamp(now.micros() - DEDUPLICATION.as_micros() as i64);
        // The last record is read in any case, for its sequence number.
        let mut from = store.find_time(log, since).min(extent.next.saturating_sub(1)).max(extent.first);
        while from < extent.next {
            let records = store.read(log, from, ReadLimit { records: 10_000, bytes: 1 << 20 })?;
            let Some(last) = records.last() else { break };
            from = last.index + 1;
            for record in &records {
                let broken = || StoreError::Corrupt { why: format!("topics/fifo, record {}", record.index).into() };
                let all = decode(record.data.clone()).ok_or_else(broken)?;
                all.into_iter().for_each(|(key, seen)| window.add(record.at, key, seen));
            }
        }
        window.forget(since);
        let turns = [const { tokio::sync::Mutex::const_new(()) }; TURNS];
        Ok(Fifo { store: store.clone(), log, window: Mutex::new(window), turns })
    }

    /// Waits until nobody else publishes to these topics, or groups of topics.
    pub(crate) async fn turns(&self, of: impl Iterator<Item = Key>) -> Vec<tokio::sync::MutexGuard<'_, ()>> {
        // In one order for everybody, so that two never wait for each other.
        let numbers: BTreeSet<usize> = of.map(|key| usize::from(key[0]) % TURNS).collect();
        let mut out = Vec::with_capacity(numbers.len());
        for number in numbers {
            out.push(self.turns[number].lock().await);
        }
        out
    }

    /// The message that was published with this key in the last five minutes.
    pub(crate) fn seen(&self, key: &Key, now: Timestamp) -> Option<Seen> {
        let mut window = self.window();
        window.forget(Timestamp(now.micros() - DEDUPLICATION.as_micros() as i64));
        window.seen.get(key).copied()
    }

    /// Whether more can be remembered.
    pub(crate) fn has_room(&self) -> bool {
        self.window().seen.len() < FIFO_REMEMBERED
    }

    /// A sequence number above all before.
    pub(crate) fn next(&self, now: Timestamp) -> u64 {
        let mut window = self.window();
        window.sequence = (window.sequence + 1).max(now.micros().max(0) as u64);
        window.sequence
    }

    /// Remembers what was published. To be called once that is durable: a crash in between publishes twice, and queues
    /// take the second for what it is; the other way round would lose it.
    pub(crate) async fn remember(&self, all: &[(Key, Seen)], now: Timestamp) -> Result<(), StoreError> {
        let mut batch = Batch::new(self.log);
        batch.push(&encode(all));
        let at = self.store.append(vec![batch]).await?[0].first;
        {
            let mut window = self.window();
            all.iter().for_each(|(key, seen)| window.add(now, *key, *seen));
        }
        if at % 256 == 0 {
            let old = self.store.find_time(self.log, Timestamp(now.micros() - DEDUPLICATION.as_micros() as i64));
            self.store.trim(self.log, old.min(at))?;
        }
        Ok(())
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().expect("no panic holds this lock")
    }
}

fn encode(all: &[(Key, Seen)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD * all.len());
    for (key, seen) in all {
        out.extend_from_slice(key);
        out.extend_from_slice(&seen.message);
        out.extend_from_slice(&seen.sequence.to_le_bytes());
    }
    out
}

fn decode(mut bytes: Bytes) -> Option<Vec<(Key, Seen)>> {
    let mut all = Vec::with_capacity(bytes.len() / RECORD);
    while !bytes.is_empty() {
        let (mut key, mut message) = ([0; 16], [0; 16]);
        bytes.try_copy_to_slice(&mut key).ok()?;
        bytes.try_copy_to_slice(&mut message).ok()?;
        all.push((key, Seen { message, sequence: bytes.try_get_u64_le().ok()? }));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_their_scope_and_their_topics_life() {
        let at = Timestamp(1);
        assert_eq!(key("t.fifo", at, None, "a"), key("t.fifo", at, None, "a"));
        for other in [
            key("u.fifo", at, None, "a"),
            key("t.fifo", Timestamp(2), None, "a"),
            key("t.fifo", at, Some("g"), "a"),
            key("t.fifo", at, None, "b"),
        ] {
            assert_ne!(key("t.fifo", at, None, "a"), other);
        }
    }

    #[test]
    fn records_stay_readable() {
        let mut golden = vec![1; 16];
        golden.extend_from_slice(&[2; 16]);
        golden.extend_from_slice(&6u64.to_le_bytes());
        let all = vec![([1; 16], Seen { message: [2; 16], sequence: 6 })];
        assert_eq!(encode(&all), golden);
        assert_eq!(decode(golden.clone().into()), Some(all));
        golden.pop();
        assert_eq!(decode(golden.into()), None);
    }

    #[test]
    fn ids_and_numbers_as_they_are_shown() {
        let id = "0f1e2d3c-4b5a-4697-8897-a6b5c4d3e2f1";
        assert_eq!(uuid(bytes(id)), id);
        assert_eq!(shown(1_767_225_600_000_000), "10001767225600000000");
    }
}
