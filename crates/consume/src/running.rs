use crate::{Cease, InboxError, SourceError, WalkError};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch;
use world::Stop;

/// A consumer that has a task of its own, which does what a catalog says of it; `S` is what is known of it beside that.
pub struct Running<S> {
    /// Counts how often the task was told to look at the catalog.
    nudged: watch::Sender<u64>,
    seen: Mutex<S>,
}

/// The task's side: whether it was told anything since it last looked.
pub struct Watch(watch::Receiver<u64>);

/// How a consumer's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody asked for it.
    Asked,
    /// There is nothing to read any more.
    Gone,
    /// Something of ours failed; it may pass.
    Fault(String),
}

impl<S> Running<S> {
    /// One of which so much is known.
    pub fn new(seen: S) -> Running<S> {
        Running { nudged: watch::Sender::new(0), seen: Mutex::new(seen) }
    }

    /// What is known of it.
    pub fn seen(&self) -> MutexGuard<'_, S> {
        self.seen.lock().expect("no panic holds this lock")
    }

    /// Has its task look at the catalog, once what is in hand is finished or given back.
    pub fn nudge(&self) {
        self.nudged.send_modify(|count| *count += 1);
    }

    /// For its task.
    pub fn watch(&self) -> Watch {
        Watch(self.nudged.subscribe())
    }

    /// Notes what it is now, unless its task was told to look again meanwhile: then that is what holds.
    pub fn rest(&self, watch: &Watch, note: impl FnOnce(&mut S)) {
        let mut seen = self.seen();
        if !watch.0.has_changed().unwrap_or(true) {
            note(&mut seen);
        }
    }
}

impl Watch {
    /// Whatever the task was told up to here it looks at now. What tells it to cease from here on.
    pub fn look(&mut self, stop: &Stop) -> Cease {
        self.0.borrow_and_update();
        Cease::new(stop.clone(), self.0.clone())
    }
}

impl End {
    /// That of a walk, which also ends by itself where its handler stops it.
    pub fn of_walk(walked: Result<(), WalkError>, cease: &Cease) -> End {
        match walked {
            Ok(()) if cease.is_set() => End::Asked,
            Ok(()) => End::Fault("a batch could not be told of".to_owned()),
            Err(WalkError::Source(SourceError::Gone(_))) => End::Gone,
            Err(error) => End::Fault(error.to_string()),
        }
    }

    /// That of the emptying of a queue.
    pub fn of_queue(emptied: Result<(), InboxError>) -> End {
        match emptied {
            Ok(()) => End::Asked,
            Err(InboxError::Gone(_)) => End::Gone,
            Err(error) => End::Fault(error.to_string()),
        }
    }
}
