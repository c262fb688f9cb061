//! How many bytes wait, and who may add to them.

use crate::limits::{BACKLOG_BYTES, RESERVE};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use store::Queue;

/// What may be chosen about an outbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many bytes of envelopes may wait before requests are refused.
    pub backlog_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { backlog_bytes: BACKLOG_BYTES }
    }
}

/// Who asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Somebody who can be refused, and asks again: he has the room below the limit.
    Request,
    /// The house, of what was done already and cannot be refused any more: it has a reserve above the limit.
    Record,
}

/// There is no room for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backlog of deliveries is full ({bytes} bytes wait, {limit} may)")]
pub struct BacklogFull {
    /// What waits.
    pub bytes: u64,
    /// What may wait.
    pub limit: u64,
}

impl world::Fault for BacklogFull {
    fn passes(&self) -> bool {
        true
    }
}

/// The bytes of all lanes.
pub(crate) struct Backlog {
    bytes: AtomicU64,
    limit: u64,
}

impl Backlog {
    pub(crate) fn new(limit: u64) -> Arc<Backlog> {
        Arc::new(Backlog { bytes: AtomicU64::new(0), limit })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn admit(&self, claim: Claim) -> Result<(), BacklogFull> {
        let limit = match claim {
            Claim::Request => self.limit,
            Claim::Record => self.limit.saturating_add(self.limit / RESERVE),
        };
        let bytes = self.bytes();
        if bytes < limit { Ok(()) } else { Err(BacklogFull { bytes, limit }) }
    }
}

/// The bytes of one lane.
pub(crate) struct Weight {
    all: Arc<Backlog>,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    bytes: u64,
    /// Messages below this id were there when the lane was opened. Nobody has read them: together they weigh what they
    /// take on disk, and each as much as any other.
    old_below: u64,
    old: u64,
    old_bytes: u64,
}

impl Weight {
    /// Of a lane as it was found.
    pub(crate) fn of(queue: &Queue, all: &Arc<Backlog>) -> Weight {
        let counts = queue.counts();
        let (old, old_bytes) = (counts.visible + counts.in_flight + counts.delayed, queue.bytes());
        all.bytes.fetch_add(old_bytes, Relaxed);
        let own = Own { bytes: old_bytes, old_below: queue.next_id(), old, old_bytes };
        Weight { all: all.clone(), own: own.into() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.own().bytes
    }

    /// Counts what is about to be sent.
    pub(crate) fn add(&self, bytes: u64) {
        self.own().bytes += bytes;
        self.all.bytes.fetch_add(bytes, Relaxed);
    }

    /// Takes back what was not sent after all.
    pub(crate) fn remove(&self, bytes: u64) {
        self.drop(&mut self.own(), bytes);
    }

    /// A message has left the lane.
    pub(crate) fn done(&self, id: u64, bytes: u64) {
        let mut own = self.own();
        if id >= own.old_below {
            return self.drop(&mut own, bytes);
        }
        let share = own.old_bytes / own.old.max(1);
        own.old = own.old.saturating_sub(1);
        own.old_bytes -= share;
        self.drop(&mut own, share);
    }

    /// The lane was seen empty: whatever was there when it was opened is gone.
    pub(crate) fn emptied(&self) {
        let mut own = self.own();
        let rest = std::mem::take(&mut own.old_bytes);
        own.old = 0;
        self.drop(&mut own, rest);
    }

    fn drop(&self, own: &mut Own, bytes: u64) {
        // Never more than the lane has, so the sum of all never passes below zero.
        let bytes = bytes.min(own.bytes);
        own.bytes -= bytes;
        self.all.bytes.fetch_sub(bytes, Relaxed);
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().expect("no panic holds this lock")
    }
}
