use crate::Note;
use crate::lanes::Lanes;
use crate::limits::CHECKPOINT_AFTER_STEPS;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// A shard's work, shared by its walk and the handlers that deal with it.
pub(crate) struct Desk {
    shard: Arc<str>,
    work: Mutex<Work>,
    noted: Arc<Noted>,
}

pub(crate) struct Work {
    pub(crate) lanes: Lanes,
    pub(crate) note: Option<Note>,
}

/// Where a consumer is in one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: u64,
    pub(crate) note: Option<Note>,
}

impl Desk {
    pub(crate) fn new(shard: Arc<str>, lanes: Lanes, note: Option<Note>, noted: Arc<Noted>) -> Arc<Desk> {
        Arc::new(Desk { shard, work: Mutex::new(Work { lanes, note }), noted })
    }

    pub(crate) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().expect("no panic holds this lock")
    }

    pub(crate) fn reach(&self, lane: usize, position: u64) {
        self.work().lanes.reach(lane, position);
        self.note();
    }

    pub(crate) fn mark(&self, lane: usize, position: u64, note: Option<Note>) {
        {
            let mut work = self.work();
            work.lanes.reach(lane, position);
            work.note = note;
        }
        self.note();
    }

    /// Tells how far the shard is now.
    pub(crate) fn note(&self) {
        let mark = {
            let work = self.work();
            Mark { position: work.lanes.floor(), note: work.note.clone() }
        };
        self.noted.note(&self.shard, mark);
    }
}

/// Marks reached by one walk and not durable yet.
#[derive(Default)]
pub(crate) struct Noted {
    marks: Mutex<Marks>,
    /// There is something to make durable.
    pub(crate) dirty: Notify,
    /// There is much of it.
    pub(crate) much: Notify,
}

#[derive(Default)]
struct Marks {
    by_shard: BTreeMap<String, Mark>,
    steps: u32,
}

impl Noted {
    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().expect("no panic holds this lock")
    }

    fn note(&self, shard: &str, mark: Mark) {
        let mut marks = self.marks();
        match marks.by_shard.get_mut(shard) {
            Some(known) => *known = mark,
            None => drop(marks.by_shard.insert(shard.to_owned(), mark)),
        }
        marks.steps += 1;
        self.dirty.notify_one();
        if marks.steps >= CHECKPOINT_AFTER_STEPS {
            self.much.notify_one();
        }
    }

    /// All of it, to be made durable.
    pub(crate) fn take_stock(&self) -> BTreeMap<String, Mark> {
        let mut marks = self.marks();
        marks.steps = 0;
        marks.by_shard.clone()
    }

    /// These are durable; what went on meanwhile is not.
    pub(crate) fn settle(&self, durable: &BTreeMap<String, Mark>) {
        self.marks().by_shard.retain(|shard, mark| durable.get(shard) != Some(mark));
    }
}
