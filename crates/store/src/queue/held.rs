//! What a queue remembers: the messages that were received, are delayed or were looked at and passed over, which were
//! acknowledged, and where the untouched rest of the log begins. Pure: no log, no clock.

use super::ranges::Ranges;
use super::{Order, QueueCounts};
use crate::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Messages that may be in flight.
/// SQS allows so many: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const MAX_IN_FLIGHT: usize = 120_000;
/// Delayed messages are held too; past this many of all, the rest of the log waits.
pub(super) const MAX_HELD: usize = 500_000;
/// Messages among which a queue that keeps the order of groups looks for groups that may go on: SQS's number.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/avoid-backlog-with-the-same-message-group-id.html>
pub(super) const MAX_ORDERED: usize = 120_000;
/// Messages of loud groups that may be passed over to find those of quiet ones.
const MAX_PASSED_OVER: usize = 50_000;
/// Messages that one look-up of the next passes over.
const LOOK_AT: usize = 256;
/// A group is loud with so many messages in flight, where they are more than a tenth of all.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html>
const LOUD: usize = 30;

/// What became of a message that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It may be received, as far as its group lets it.
    Waiting,
    /// Not before its time.
    Delayed,
    /// Received, and not acknowledged; it waits again when its time comes.
    InFlight,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of the record that carries the message now.
    pub(super) position: u64,
    pub(super) phase: Phase,
    /// When it waits, where it does not already.
    pub(super) due: Timestamp,
    pub(super) receipt: u64,
    pub(super) receives: u32,
    pub(super) first_received_at: Timestamp,
    pub(super) sent_at: Timestamp,
    pub(super) group: Option<u64>,
}

/// The messages of a group that are held.
#[derive(Debug, Default)]
struct Group {
    in_flight: usize,
    /// Those that are not in flight, in the order they were sent. Kept only where that order matters.
    rest: BTreeSet<u64>,
    /// The one of them that is ready.
    ready: Option<u64>,
}

#[derive(Default)]
pub(super) struct Held {
    order: Order,
    /// Everything from this position on is untouched, but for what is held or acknowledged there.
    cursor: u64,
    /// How many messages from the cursor on are held or acknowledged.
    ahead: u64,
    pub(super) acked: Ranges,
    entries: BTreeMap<u64, Entry>,
    by_position: BTreeMap<u64, u64>,
    /// What is delayed or in flight, by when that ends.
    timers: BTreeSet<(Timestamp, u64)>,
    /// What may be received now. Where groups have an order: the first of each group that may go on.
    ready: BTreeSet<u64>,
    groups: BTreeMap<u64, Group>,
    in_flight: usize,
    delayed: usize,
    pub(super) next_receipt: u64,
    /// Records of the acknowledgement log since its last summary.
    pub(super) ack_records: u64,
    /// Whether upkeep is under way.
    pub(super) upkeep: bool,
}

impl Held {
    /// Nothing held; the log begins at `cursor`.
    pub(super) fn new(order: Order, acked: Ranges, cursor: u64, next_receipt: u64) -> Held {
        let ahead = acked.count_from(cursor);
        Held { order, cursor, ahead, acked, next_receipt, ..Held::default() }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// The untouched rest begins behind this record.
    pub(super) fn pass(&mut self, index: u64) {
        self.cursor = index + 1;
        if self.entries.contains_key(&index) || self.acked.contains(index) {
            self.ahead -= 1;
        }
    }

    /// Holds a message that is not acknowledged, or holds it differently.
    pub(super) fn put(&mut self, id: u64, entry: Entry) {
        let known = self.take_out(id).is_some();
        self.ahead += u64::from(!known && id >= self.cursor);
        match entry.phase {
            Phase::Waiting => {}
            Phase::Delayed => self.delayed += 1,
            Phase::InFlight => self.in_flight += 1,
        }
        if entry.phase != Phase::Waiting {
            self.timers.insert((entry.due, id));
        }
        self.by_position.insert(entry.position, id);
        let (phase, group) = (entry.phase, entry.group);
        self.entries.insert(id, entry);
        if phase == Phase::Waiting && !self.is_ordered(group) {
            self.ready.insert(id);
        }
        if let Some(key) = group {
            let group = self.groups.entry(key).or_default();
            match phase {
                Phase::InFlight => group.in_flight += 1,
                _ if self.order == Order::Groups => drop(group.rest.insert(id)),
                _ => {}
            }
            self.settle(key);
        }
    }

    fn take_out(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.by_position.remove(&entry.position);
        match entry.phase {
            Phase::Waiting => drop(self.ready.remove(&id)),
            Phase::Delayed => self.delayed -= 1,
            Phase::InFlight => self.in_flight -= 1,
        }
        if entry.phase != Phase::Waiting {
            self.timers.remove(&(entry.due, id));
        }
        if let Some(key) = entry.group {
            let group = self.groups.entry(key).or_default();
            match entry.phase {
                Phase::InFlight => group.in_flight -= 1,
                _ => drop(group.rest.remove(&id)),
            }
            self.settle(key);
        }
        Some(entry)
    }

    fn is_ordered(&self, group: Option<u64>) -> bool {
        self.order == Order::Groups && group.is_some()
    }

    /// Whether a group's first message is ready, after a change to the group.
    fn settle(&mut self, key: u64) {
        let Some(group) = self.groups.get_mut(&key) else { return };
        let waits = |id: &u64| self.entries.get(id).is_some_and(|entry| entry.phase == Phase::Waiting);
        let ready = group.rest.first().copied().filter(|id| group.in_flight == 0 && waits(id));
        if ready != group.ready {
            if let Some(id) = group.ready {
                self.ready.remove(&id);
            }
            self.ready.extend(ready);
            group.ready = ready;
        }
        if group.in_flight == 0 && group.rest.is_empty() {
            self.groups.remove(&key);
        }
    }

    /// What was delayed or in flight until now waits.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(&(_, id)) = self.timers.first().filter(|(due, _)| *due <= now) {
            let entry = self.entries.get(&id).cloned().expect("what has a timer is held");
            self.put(id, Entry { phase: Phase::Waiting, ..entry });
        }
    }

    /// Acknowledges; whether that changed anything.
    pub(super) fn ack(&mut self, id: u64) -> bool {
        let held = self.take_out(id).is_some();
        let fresh = !self.acked.contains(id);
        if fresh {
            self.acked.insert(id, id + 1);
            // What was held there was counted already.
            self.ahead += u64::from(id >= self.cursor && !held);
        }
        fresh
    }

    /// Counts a receive; the message is in flight until `until`.
    pub(super) fn receive(&mut self, id: u64, mut entry: Entry, now: Timestamp, until: Timestamp) -> Entry {
        self.next_receipt += 1;
        entry.receipt = self.next_receipt;
        if entry.receives == 0 {
            entry.first_received_at = now;
        }
        entry.receives = entry.receives.saturating_add(1);
        entry.due = until;
        entry.phase = Phase::InFlight;
        self.put(id, entry.clone());
        entry
    }

    /// Changes when a message may be received again; whether it is held.
    pub(super) fn postpone(&mut self, id: u64, until: Timestamp) -> bool {
        let Some(entry) = self.entries.get(&id).cloned() else { return false };
        let phase = if entry.receives > 0 { Phase::InFlight } else { Phase::Delayed };
        self.put(id, Entry { due: until, phase, ..entry });
        true
    }

    /// Everything from `first` to below `past` is acknowledged, and all that was sent before `at`; the ids outside of
    /// that range.
    pub(super) fn drop_old(&mut self, (first, past): (u64, u64), at: Timestamp) -> Vec<u64> {
        let old = |(id, entry): (&u64, &Entry)| ((first..past).contains(id) || entry.sent_at < at).then_some(*id);
        let gone: Vec<u64> = self.entries.iter().filter_map(old).collect();
        for id in &gone {
            self.ack(*id);
        }
        if past > first {
            self.acked.insert(first, past);
        }
        self.cursor = self.cursor.max(past);
        self.ahead = self.entries.range(self.cursor..).count() as u64 + self.acked.count_from(self.cursor);
        gone.into_iter().filter(|id| !(first..past).contains(id)).collect()
    }

    /// The waiting message to be received next, from this id on. Where groups have no order, those of loud groups come
    /// only `if_loud`.
    pub(super) fn next(&self, from: u64, if_loud: bool) -> Option<u64> {
        let mut waiting = self.ready.range(from..).take(LOOK_AT);
        waiting.find(|id| if_loud || !self.is_loud(self.entries[id].group)).copied()
    }

    /// The next waiting message of a group that has an order, where those before it were taken by the same receive.
    pub(super) fn next_of(&self, group: u64) -> Option<u64> {
        let id = *self.groups.get(&group)?.rest.first()?;
        (self.entries[&id].phase == Phase::Waiting).then_some(id)
    }

    /// Whether a message of the untouched rest waits behind others of its group. `taken` are the groups that this
    /// receive takes from.
    pub(super) fn is_blocked(&self, group: Option<u64>, taken: &BTreeSet<u64>) -> bool {
        let Some(key) = group else { return false };
        match self.order {
            Order::Loose => self.is_loud(group) && self.ready.len() < MAX_PASSED_OVER,
            Order::Groups => self.groups.get(&key).is_some_and(|g| !g.rest.is_empty() || !taken.contains(&key)),
        }
    }

    fn is_loud(&self, group: Option<u64>) -> bool {
        let in_flight = group.and_then(|key| self.groups.get(&key)).map_or(0, |group| group.in_flight);
        self.order == Order::Loose && in_flight >= LOUD && in_flight * 10 > self.in_flight
    }

    /// Whether another message may be received.
    pub(super) fn may_receive(&self) -> bool {
        self.in_flight < MAX_IN_FLIGHT
    }

    /// Whether another message of the untouched rest may be looked at.
    pub(super) fn has_room(&self) -> bool {
        let most = if self.order == Order::Groups { MAX_ORDERED } else { MAX_HELD };
        self.may_receive() && self.entries.len() < most
    }

    /// Grows when there is a reason to wake whoever waits for something to receive.
    pub(super) fn offers(&self) -> usize {
        if self.may_receive() { self.ready.len() + usize::from(self.has_room()) } else { 0 }
    }

    /// Whether something that is held may be received now.
    pub(super) fn is_ready(&self) -> bool {
        self.may_receive() && !self.ready.is_empty()
    }

    /// When the next held message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Records below this position carry nothing that is still wanted.
    pub(super) fn needed_from(&self) -> u64 {
        self.by_position.first_key_value().map_or(self.cursor, |(position, _)| self.cursor.min(*position))
    }

    /// When the oldest held message was sent.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let (_, id) = self.by_position.first_key_value()?;
        Some(self.entries[id].sent_at)
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

    /// `next` is the index that the next record gets.
    pub(super) fn counts(&self, next: u64) -> QueueCounts {
        let waiting = (self.entries.len() - self.in_flight - self.delayed) as u64;
        QueueCounts {
            visible: next.saturating_sub(self.cursor).saturating_sub(self.ahead) + waiting,
            in_flight: self.in_flight as u64,
            delayed: self.delayed as u64,
        }
    }
}
