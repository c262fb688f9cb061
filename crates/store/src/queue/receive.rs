use super::format::Sent;
use super::held::{Entry, Held, Phase};
use super::{Order, Queue, Received};
use crate::{ReadLimit, Record, StoreError, Timestamp};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::Duration;

impl Entry {
    pub(super) fn untouched(position: u64, due: Timestamp, sent_at: Timestamp, group: Option<u64>) -> Entry {
        Entry {
            position,
            phase: Phase::Delayed,
            due,
            receipt: 0,
            receives: 0,
            first_received_at: Timestamp::default(),
            sent_at,
            group,
        }
    }
}

/// Until a held message whose record could not be read is tried again.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);
/// So many that cannot be read are passed over by one receive: each costs a look at the disk.
const UNREADABLE_AT_ONCE: usize = 32;
/// Records of the untouched rest that one receive looks at, at most.
const LOOK_AT: usize = 10_000;
/// Records read at once where the first ones were not to be received.
const READ_AHEAD: usize = 256;

/// What is received together.
struct Round<'a> {
    out: Vec<Received>,
    /// The groups it takes from.
    groups: BTreeSet<u64>,
    bytes: usize,
    limit: ReadLimit,
    now: Timestamp,
    until: Timestamp,
    held: &'a mut Held,
    /// Messages that could not be read, and why the first could not.
    unreadable: usize,
    why: Option<StoreError>,
}

impl Round<'_> {
    fn is_full(&self) -> bool {
        self.out.len() >= self.limit.records || !self.held.may_receive() || self.unreadable >= UNREADABLE_AT_ONCE
    }

    /// Puts a message aside whose record cannot be read. It keeps its place among those of its group.
    fn put_aside(&mut self, id: u64, entry: Entry) {
        if let Some(group) = &entry.group {
            self.groups.remove(group);
        }
        let due = self.now.plus(UNREADABLE_PAUSE);
        let phase = if entry.receives > 0 { Phase::InFlight } else { Phase::Delayed };
        self.held.put(id, Entry { due, phase, ..entry });
    }

    /// Takes a message, where the limit of bytes allows it.
    fn take(&mut self, id: u64, entry: Entry, body: Bytes) -> bool {
        if !self.out.is_empty() && self.bytes + body.len() > self.limit.bytes {
            return false;
        }
        self.bytes += body.len();
        self.groups.extend(entry.group);
        let entry = self.held.receive(id, entry, self.now, self.until);
        self.out.push(received(id, &entry, body));
        true
    }
}

impl Queue {
    /// Receives up to `max` messages that are due now, maybe none, roughly in the order they were sent, or in that order
    /// within their groups: see [`Order`]. They stay invisible for `visibility` unless they are acknowledged or
    /// postponed.
    ///
    /// A damaged message holds up no other: it is looked at again after a while. Where the disk does not give the
    /// untouched rest, that waits, for nothing is known of it: whose copy it may be, of which group, and from when on.
    pub async fn receive(&self, max: usize, visibility: Duration) -> Result<Vec<Received>, StoreError> {
        self.receive_up_to(ReadLimit { records: max, bytes: usize::MAX }, visibility).await
    }

    /// The same, with a limit of bytes, too. At least one message is received if there is any.
    pub async fn receive_up_to(&self, limit: ReadLimit, visibility: Duration) -> Result<Vec<Received>, StoreError> {
        let now = self.0.world.now();
        let until = now.plus(visibility);
        let mut held = self.held();
        held.advance(now);
        let (out, groups) = (Vec::new(), BTreeSet::new());
        let (unreadable, why) = (0, None);
        let mut round = Round { out, groups, bytes: 0, limit, now, until, held: &mut held, unreadable, why };
        let outcome = self.fill(&mut round);
        match round.why.take().map_or(outcome, Err) {
            // What was received by then is in flight and must not be forgotten.
            Err(error) if !round.out.is_empty() => tracing::error!(%error, "messages of a queue cannot be read"),
            result => result?,
        }
        Ok(round.out)
    }

    /// Gives messages out again that were received before, where nothing has happened to them since: each is in flight,
    /// by the receipt and up to the time that are given. They stay invisible for `visibility` from now.
    pub async fn repeat(
        &self,
        messages: &[(u64, u64, Timestamp)],
        visibility: Duration,
    ) -> Result<Option<Vec<Received>>, StoreError> {
        let now = self.0.world.now();
        let mut held = self.held();
        held.advance(now);
        let mut out = Vec::with_capacity(messages.len());
        for (id, receipt, until) in messages {
            let same =
                |entry: &&Entry| entry.phase == Phase::InFlight && entry.receipt == *receipt && entry.due == *until;
            let Some(mut entry) = held.get(*id).filter(same).cloned() else { return Ok(None) };
            entry.due = now.plus(visibility);
            let body = self.body(entry.position)?;
            out.push(received(*id, &entry, body));
        }
        for message in &out {
            held.postpone(message.id, message.until);
        }
        Ok(Some(out))
    }

    fn fill(&self, round: &mut Round<'_>) -> Result<(), StoreError> {
        match round.held.order() {
            Order::Loose => {
                let more = self.fill_held(round, false) && self.fill_rest(round)?;
                // Loud groups come where there is nothing else.
                if more {
                    self.fill_held(round, true);
                }
            }
            Order::Groups => {
                if self.fill_groups(round) {
                    self.fill_rest(round)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what waits; whether there is room for more.
    fn fill_held(&self, round: &mut Round<'_>, if_loud: bool) -> bool {
        let mut from = 0;
        while !round.is_full() {
            let Some(id) = round.held.next(from, if_loud) else { return true };
            if !self.take_held(round, id) {
                return false;
            }
            from = id + 1;
        }
        false
    }

    /// Takes what waits in groups that have an order, group by group.
    fn fill_groups(&self, round: &mut Round<'_>) -> bool {
        while !round.is_full() {
            let Some(id) = round.held.next(0, true) else { return true };
            let group = round.held.get(id).and_then(|entry| entry.group);
            if !self.take_held(round, id) {
                return false;
            }
            let next = |round: &Round<'_>| group.filter(|key| round.groups.contains(key) && !round.is_full());
            while let Some(id) = next(round).and_then(|key| round.held.next_of(key)) {
                if !self.take_held(round, id) {
                    return false;
                }
            }
        }
        false
    }

    fn take_held(&self, round: &mut Round<'_>, id: u64) -> bool {
        let entry = round.held.get(id).cloned().expect("what waits is held");
        match self.body(entry.position) {
            Ok(body) => round.take(id, entry, body),
            Err(error) => {
                round.put_aside(id, entry);
                round.unreadable += 1;
                round.why.get_or_insert(error);
                true
            }
        }
    }

    /// Takes from the untouched rest; whether there is room for more.
    fn fill_rest(&self, round: &mut Round<'_>) -> Result<bool, StoreError> {
        let mut looked = 0;
        while !round.is_full() {
            if looked >= LOOK_AT || !round.held.has_room() {
                return Ok(true);
            }
            let wanted = (round.limit.records - round.out.len()).min(READ_AHEAD);
            let limit = ReadLimit { records: if looked == 0 { wanted } else { READ_AHEAD }, bytes: 1 << 20 };
            let mut lost = None;
            let from = round.held.cursor();
            let records = self.0.store.read_over(self.0.messages, from, limit, |indexes, error| {
                lost = Some((indexes.end, error.clone()));
            });
            if let Some((end, error)) = lost {
                round.why.get_or_insert(error);
                looked += hold_damaged(round, end);
                continue;
            }
            let records = records?;
            if records.is_empty() {
                return Ok(true);
            }
            looked += records.len();
            for record in records {
                if round.is_full() || !round.held.has_room() {
                    break;
                }
                if !self.look(round, record)? {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Takes a record of the untouched rest, or holds it; false where it is too large for this receive.
    fn look(&self, round: &mut Round<'_>, record: Record) -> Result<bool, StoreError> {
        let (index, at) = (record.index, record.at);
        let sent = Sent::decode(record.data).ok_or_else(|| self.damaged(index));
        let held = &mut *round.held;
        let (id, entry, body) = match sent {
            Err(error) => {
                held.pass(index);
                return Err(error);
            }
            Ok(Sent::New { not_before, group, body }) => {
                (index, Entry::untouched(index, not_before.unwrap_or(round.now), at, group), body)
            }
            Ok(Sent::Copy(copy)) => {
                let entry = Entry {
                    receives: copy.receives,
                    first_received_at: copy.first_received_at,
                    ..Entry::untouched(index, copy.not_before, copy.sent_at, copy.group)
                };
                (copy.id, entry, copy.body)
            }
        };
        held.pass(index);
        if id != index {
            // Its index is the id of no message.
            held.acked.insert(index, index + 1);
        }
        if held.acked.contains(id) {
            return Ok(true);
        }
        if let Some(known) = held.get(id).cloned() {
            held.put(id, Entry { position: index, ..known });
        } else if entry.due > round.now {
            held.put(id, entry);
        } else if held.is_blocked(entry.group, &round.groups) {
            held.put(id, Entry { phase: Phase::Waiting, ..entry });
        } else if !round.take(id, entry.clone(), body) {
            round.held.put(id, Entry { phase: Phase::Waiting, ..entry });
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads a held message again.
    pub(super) fn body(&self, position: u64) -> Result<Bytes, StoreError> {
        let records = self.0.store.read(self.0.messages, position, ReadLimit { records: 1, bytes: 1 })?;
        let record =
            records.into_iter().next().filter(|r| r.index == position).ok_or_else(|| self.damaged(position))?;
        match Sent::decode(record.data).ok_or_else(|| self.damaged(position))? {
            Sent::New { body, .. } => Ok(body),
            Sent::Copy(copy) => Ok(copy.body),
        }
    }

    fn damaged(&self, index: u64) -> StoreError {
        StoreError::corrupt(format!("{:?}, message {index} is not readable", self.0.messages))
    }
}

/// Holds what is damaged of the untouched rest below `end`, as far as there is room; how many records that is. What
/// messages they carry is not known: each is taken for one of its own, of no group.
fn hold_damaged(round: &mut Round<'_>, end: u64) -> usize {
    let first = round.held.cursor();
    while round.held.cursor() < end && round.held.has_room() {
        let index = round.held.cursor();
        round.held.pass(index);
        if !round.held.acked.contains(index) && round.held.get(index).is_none() {
            round.put_aside(index, Entry::untouched(index, round.now, round.now, None));
        }
    }
    (round.held.cursor() - first) as usize
}

fn received(id: u64, entry: &Entry, body: Bytes) -> Received {
    Received {
        id,
        receipt: entry.receipt,
        body,
        until: entry.due,
        sent_at: entry.sent_at,
        first_received_at: entry.first_received_at,
        receives: entry.receives,
    }
}
