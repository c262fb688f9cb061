//! What was read of a shard and is not dealt with: in lanes by key, so that a key's records keep their order while those
//! of other keys go on. Pure.

use crate::{Chunk, Record};
use std::collections::VecDeque;
use std::time::Duration;
use store::ReadLimit;

/// How records of one shard are gathered into batches. A lane's batch is handed over when it is full, when `window` has
/// passed since its first record was read, or when its shard ended. Without a window, what is there is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// A batch holds at most so many records; at least one.
    pub records: usize,
    /// At most so many bytes of data, but never less than one record.
    pub bytes: usize,
    /// How long to wait for a full batch.
    pub window: Duration,
    /// How many batches of a shard may be in hand at once; at least one. Records of one key never are at once.
    pub lanes: usize,
}

/// One shard's lanes. All times are of a monotonic clock.
pub(crate) struct Lanes {
    gather: Gather,
    lanes: Vec<Lane>,
    /// Where reading goes on.
    next: u64,
    /// Everything was read.
    ended: bool,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Record>,
    /// Bytes of those.
    bytes: usize,
    /// When the first of those was read.
    since: Option<Duration>,
    flight: Option<Flight>,
}

/// A batch in hand.
struct Flight {
    /// What lies before this is dealt with.
    floor: u64,
    records: usize,
    bytes: usize,
}

impl Lanes {
    pub(crate) fn new(gather: Gather, from: u64) -> Lanes {
        let gather = Gather { records: gather.records.max(1), bytes: gather.bytes.max(1), ..gather };
        let lanes = std::iter::repeat_with(Lane::default).take(gather.lanes.max(1)).collect();
        Lanes { gather, lanes, next: from, ended: false }
    }

    /// Where reading goes on.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether everything was read.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// There is nothing more to read.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// What may be read now: all lanes together hold no more than a full batch each, what is in hand included.
    pub(crate) fn room(&self) -> Option<ReadLimit> {
        let held = |lane: &Lane| lane.flight.as_ref().map_or((0, 0), |f| (f.records, f.bytes));
        let (mut records, mut bytes) = (0, 0);
        for lane in &self.lanes {
            let (in_hand, in_hand_bytes) = held(lane);
            records += lane.waiting.len() + in_hand;
            bytes += lane.bytes + in_hand_bytes;
        }
        let records = (self.gather.records * self.lanes.len()).saturating_sub(records);
        let bytes = (self.gather.bytes * self.lanes.len()).saturating_sub(bytes);
        (!self.ended && records > 0 && bytes > 0).then_some(ReadLimit { records, bytes })
    }

    /// Takes what was read at `now`; what is not wanted counts as dealt with.
    pub(crate) fn take(&mut self, chunk: Chunk, now: Duration, wanted: impl Fn(&Record) -> bool) {
        let count = self.lanes.len() as u64;
        for record in chunk.records {
            debug_assert!(record.position >= self.next, "records come in order");
            if !wanted(&record) {
                continue;
            }
            let lane = &mut self.lanes[(hash(&record.key) % count) as usize];
            lane.bytes += record.data.len();
            lane.since.get_or_insert(now);
            lane.waiting.push_back(record);
        }
        self.next = chunk.next;
        self.ended = chunk.ended;
    }

    /// A batch whose time has come, with its lane. It is in hand from now on.
    pub(crate) fn ready(&mut self, now: Duration) -> Option<(usize, Vec<Record>)> {
        let due = |lane: &Lane| {
            let full = lane.waiting.len() >= self.gather.records || lane.bytes >= self.gather.bytes;
            let over = lane.since.is_some_and(|since| now >= since.saturating_add(self.gather.window));
            lane.flight.is_none() && (full || over || (self.ended && !lane.waiting.is_empty()))
        };
        let lane = self.lanes.iter().position(due)?;
        Some((lane, self.hand_over(lane, now)))
    }

    /// A batch of a lane that has none in hand, whatever is there, if only nothing.
    pub(crate) fn early(&mut self, lane: usize, now: Duration) -> Option<Vec<Record>> {
        self.lanes[lane].flight.is_none().then(|| self.hand_over(lane, now))
    }

    fn hand_over(&mut self, lane: usize, now: Duration) -> Vec<Record> {
        let lane = &mut self.lanes[lane];
        let mut batch = Vec::with_capacity(lane.waiting.len().min(self.gather.records));
        let mut bytes = 0;
        while let Some(record) = lane.waiting.front() {
            let fits = batch.len() < self.gather.records && bytes + record.data.len() <= self.gather.bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            bytes += record.data.len();
            batch.extend(lane.waiting.pop_front());
        }
        lane.bytes -= bytes;
        // As with Lambda, the next window begins when this batch is on its way.
        lane.since = lane.waiting.front().map(|_| now);
        let floor = batch.first().map_or(self.next, |first| first.position);
        lane.flight = Some(Flight { floor, records: batch.len(), bytes });
        batch
    }

    /// When a batch is due next, if nothing more is read.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let waiting = self.lanes.iter().filter(|lane| lane.flight.is_none()).filter_map(|lane| lane.since);
        waiting.min().map(|since| since.saturating_add(self.gather.window))
    }

    /// What lies before `position` in the batch in hand is dealt with.
    pub(crate) fn reach(&mut self, lane: usize, position: u64) {
        if let Some(flight) = &mut self.lanes[lane].flight {
            flight.floor = flight.floor.max(position);
        }
    }

    /// The batch in hand is dealt with.
    pub(crate) fn landed(&mut self, lane: usize) {
        self.lanes[lane].flight = None;
    }

    /// Everything before this is dealt with.
    pub(crate) fn floor(&self) -> u64 {
        let floor = |lane: &Lane| match &lane.flight {
            Some(flight) => Some(flight.floor),
            None => lane.waiting.front().map(|record| record.position),
        };
        self.lanes.iter().filter_map(floor).min().unwrap_or(self.next)
    }

    /// Whether a lane holds records that are not in hand yet.
    pub(crate) fn has_waiting(&self, lane: usize) -> bool {
        !self.lanes[lane].waiting.is_empty()
    }

    /// Whether nothing waits and nothing is in hand.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty() && lane.flight.is_none())
    }
}

/// FNV-1a: spreads keys well enough over ten lanes. Nothing on disk depends on it.
fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
