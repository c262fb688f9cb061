//! What a queue remembers: the messages that were received or are delayed, which were acknowledged, and how far the
//! untouched rest of the log begins. Pure: no log, no clock.

use super::QueueCounts;
use super::ranges::Ranges;
use crate::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// SQS allows so many messages in flight:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const MAX_IN_FLIGHT: usize = 120_000;
/// Delayed messages are held too; past this many of both, the rest of the log waits.
pub(super) const MAX_HELD: usize = 500_000;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The index of the record that carries the message now.
    pub(super) position: u64,
    /// When it may be received.
    pub(super) due: Timestamp,
    pub(super) receipt: u64,
    pub(super) receives: u32,
    pub(super) first_received_at: Timestamp,
    pub(super) sent_at: Timestamp,
}

#[derive(Default)]
pub(super) struct Held {
    /// Everything from this position on is untouched.
    pub(super) cursor: u64,
    pub(super) acked: Ranges,
    entries: BTreeMap<u64, Entry>,
    by_position: BTreeMap<u64, u64>,
    by_due: BTreeSet<(Timestamp, u64)>,
    /// Entries that were received at least once.
    in_flight: usize,
    pub(super) next_receipt: u64,
    /// Records of the acknowledgement log since its last summary.
    pub(super) ack_records: u64,
    /// Whether upkeep is under way.
    pub(super) upkeep: bool,
}

impl Held {
    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// Holds a message, or holds it differently.
    pub(super) fn put(&mut self, id: u64, entry: Entry) {
        self.remove(id);
        self.in_flight += usize::from(entry.receives > 0);
        self.by_position.insert(entry.position, id);
        self.by_due.insert((entry.due, id));
        self.entries.insert(id, entry);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.in_flight -= usize::from(entry.receives > 0);
        self.by_position.remove(&entry.position);
        self.by_due.remove(&(entry.due, id));
        Some(entry)
    }

    /// Acknowledges; whether that changed anything.
    pub(super) fn ack(&mut self, id: u64) -> bool {
        self.remove(id);
        let fresh = !self.acked.contains(id);
        if fresh {
            self.acked.insert(id, id + 1);
        }
        fresh
    }

    /// Counts a receive of a message whose record is at `entry.position`.
    pub(super) fn receive(&mut self, id: u64, mut entry: Entry, now: Timestamp, due: Timestamp) -> Entry {
        self.next_receipt += 1;
        entry.receipt = self.next_receipt;
        if entry.receives == 0 {
            entry.first_received_at = now;
        }
        entry.receives = entry.receives.saturating_add(1);
        entry.due = due;
        self.put(id, entry.clone());
        entry
    }

    /// Everything below `id` is acknowledged.
    pub(super) fn purge(&mut self, below: u64) {
        let gone: Vec<u64> = self.entries.range(..below).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
        if below > 0 {
            self.acked.insert(0, below);
        }
        self.cursor = self.cursor.max(below);
    }

    /// The held message that is due first, if it is due by `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<u64> {
        self.by_due.first().filter(|(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// When the next held message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Whether another message of the untouched rest may be looked at.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < MAX_IN_FLIGHT && self.entries.len() < MAX_HELD
    }

    /// Records below this position carry nothing that is still wanted.
    pub(super) fn needed_from(&self) -> u64 {
        self.by_position.first_key_value().map_or(self.cursor, |(position, _)| self.cursor.min(*position))
    }

    /// The oldest held messages, where few of them keep a long acknowledged stretch of the log from being forgotten.
    /// Each is carried forward only after four times as many were acknowledged, which bounds the extra writing.
    pub(super) fn stuck(&self) -> Vec<u64> {
        let span = self.cursor - self.needed_from();
        if span < 256 || self.by_position.len() as u64 * 4 > span {
            return Vec::new();
        }
        self.by_position.range(..self.cursor).take(64).map(|(_, id)| *id).collect()
    }

    /// `tail` is how many messages are untouched.
    pub(super) fn counts(&self, now: Timestamp, tail: u64) -> QueueCounts {
        let mut counts = QueueCounts { visible: tail, ..QueueCounts::default() };
        for (due, id) in &self.by_due {
            let received = self.entries.get(id).is_some_and(|e| e.receives > 0);
            match (*due > now, received) {
                (false, _) => counts.visible += 1,
                (true, true) => counts.in_flight += 1,
                (true, false) => counts.delayed += 1,
            }
        }
        counts
    }
}
