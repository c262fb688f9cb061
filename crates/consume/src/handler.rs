use crate::Record;
use crate::desk::Desk;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use world::BoxFuture;

/// What a consumer does with records.
pub trait Handler: Send + Sync {
    /// Whether a record is wanted; asked once, when it was read. What is not counts as dealt with.
    fn wants(&self, shard: &str, record: &Record) -> bool {
        let _ = (shard, record);
        true
    }
    /// Deals with a batch. It is not interrupted when the walk is to end: a handler that may wait for long needs to know
    /// of that by itself. One call per lane at a time.
    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress>;
}

/// How a handler came out of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of its records are dealt with.
    Done,
    /// The whole walk is to end: what [`Turn::reach`] did not pass comes again in the next one.
    Stop,
}

/// What a consumer wants to remember of a shard, kept with its position: both or neither survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When the handler is to be called though there may be no record.
    pub wake_at: Timestamp,
    /// Whatever the handler wrote. Keep it below a few MiB.
    pub text: String,
}

/// A batch, and the way to say how far it came. Without records only where a [`Note`] asked for it or its shard ended.
pub struct Turn {
    /// The shard.
    pub shard: Arc<str>,
    /// Records of one lane, in order.
    pub records: Vec<Record>,
    /// Nothing more was in the shard when these were read.
    pub tip: bool,
    /// The shard is closed, and no record of this lane follows.
    pub ended: bool,
    /// What the handler remembered.
    pub note: Option<Note>,
    pub(crate) lane: usize,
    pub(crate) desk: Arc<Desk>,
}

impl Turn {
    /// All records of the batch before `position` are dealt with.
    pub fn reach(&self, position: u64) {
        self.desk.reach(self.lane, position);
    }

    /// The same, and the note is another. Of use with one lane only: notes are the shard's.
    pub fn mark(&self, position: u64, note: Option<Note>) {
        self.desk.mark(self.lane, position, note);
    }
}
