//! Event source mappings as they run: each has one task, which does what the catalog says of it.

pub(crate) mod failure;
mod live;
mod queue;
pub(crate) mod settings;
mod signals;
mod stream;
mod supervise;
mod window;

use crate::functions::Functions;
use crate::state::State;
use consume::{Checkpoints, Source, Start, Walker};
use settings::{From, Mapping};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use world::Stage;

/// The mappings there are, and those that are on their way out.
pub(crate) struct Mappings {
    pub(crate) checkpoints: Arc<Checkpoints>,
    running: Mutex<BTreeMap<String, Arc<Running>>>,
}

/// One of them.
pub(crate) type Running = consume::Running<Seen>;

/// What is known of it beside its settings.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `State`.
    pub(crate) phase: Phase,
    /// `LastProcessingResult`.
    pub(crate) result: String,
    /// Age of the last processed record when it was processed.
    pub(crate) lag: Duration,
    /// How fast it works.
    pub(crate) pace: Pace,
    /// What it was, where the catalog knows it no more.
    pub(crate) deleted: Option<Mapping>,
}

/// What batches of a stream cost since the mapping was started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Batches that the function was through with, or that were given up.
    pub(crate) batches: u64,
    /// Their records.
    pub(crate) records: u64,
    /// Invocations.
    pub(crate) tries: u64,
    /// From the start of each batch's first try to its end: with all tries and the pauses between them.
    pub(crate) busy: Duration,
    /// What the last tries alone took.
    pub(crate) last: Duration,
}

/// The states of a mapping, by Lambda's names.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It was just made.
    Creating,
    /// It reads.
    Enabled,
    /// It is being enabled.
    Enabling,
    /// It does not read.
    Disabled,
    /// What is in hand is finished before it stops.
    Disabling,
    /// What is in hand is finished before the new settings act.
    Updating,
    /// What is in hand is finished before it is gone.
    Deleting,
}

impl Phase {
    /// Whether it stays so by itself; in all other phases a mapping is in use and cannot be changed.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Phase::Enabled | Phase::Disabled)
    }
}

impl Mappings {
    pub(crate) fn new(checkpoints: Arc<Checkpoints>) -> Mappings {
        Mappings { checkpoints, running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.running.lock().expect("no panic holds this lock")
    }

    /// What is known of a mapping, if its task was started.
    pub(crate) fn seen(&self, uuid: &str) -> Option<Seen> {
        self.running().get(uuid).map(|running| running.seen().clone())
    }

    /// Mappings that the catalog no longer knows and that are not gone yet.
    pub(crate) fn leaving(&self) -> Vec<Mapping> {
        self.running().values().filter_map(|running| running.seen().deleted.clone()).collect()
    }
}

impl Functions {
    pub(crate) fn walker(&self, mapping: &Mapping, source: Arc<dyn Source>) -> Walker {
        let start = match mapping.from {
            From::TrimHorizon => Start::TrimHorizon,
            From::Latest => Start::Latest,
            From::At(at) => Start::At(at),
        };
        let checkpoints = self.mappings.checkpoints.clone();
        Walker::new(self.world.clone(), checkpoints, mapping.uuid.clone(), source, start)
    }

    /// A mapping, also one that is being deleted.
    pub(crate) fn find_mapping(&self, uuid: &str) -> Option<Mapping> {
        let known = self.catalog.read(|state| state.mappings.get(uuid).cloned());
        known.or_else(|| self.mappings.seen(uuid)?.deleted)
    }

    /// All mappings by their ids, also those that are being deleted.
    pub(crate) fn all_mappings(&self) -> BTreeMap<String, Mapping> {
        let mut all: BTreeMap<String, Mapping> =
            self.mappings.leaving().into_iter().map(|mapping| (mapping.uuid.clone(), mapping)).collect();
        all.extend(self.catalog.read(|state| state.mappings.clone()));
        all
    }

    /// Makes what runs what the catalog says, in a while: what is in hand is finished first. Meanwhile the mapping is in
    /// `phase`. `deleted` is what it was, where it is gone. Calls may come here in any order; the last of them sees the
    /// last state.
    pub(crate) fn settle_mapping(self: &Arc<Self>, uuid: &str, phase: Phase, deleted: Option<Mapping>) {
        let mut all = self.mappings.running();
        if let Some(running) = all.get(uuid) {
            {
                let mut seen = running.seen();
                seen.phase = phase;
                if deleted.is_some() {
                    seen.deleted = deleted;
                }
            }
            running.nudge();
            return;
        }
        let known = |state: &State| state.mappings.get(uuid).cloned();
        let Some(mapping) = self.catalog.read(known) else { return };
        let result = "No records processed".to_owned();
        let seen = Seen { phase, result, lag: Duration::ZERO, pace: Pace::default(), deleted: None };
        let running = Arc::new(Running::new(seen));
        all.insert(uuid.to_owned(), running.clone());
        let functions = self.clone();
        let name = format!("mapping {} -> {}", mapping.source, mapping.function);
        let uuid = uuid.to_owned();
        self.world.tasks.spawn(Stage::Sources, name, move |stop| supervise::supervise(functions, uuid, running, stop));
    }

    /// Forgets a mapping whose task ends, unless the catalog knows it again.
    fn dismiss_mapping(&self, uuid: &str) -> bool {
        let mut all = self.mappings.running();
        let gone = self.catalog.read(|state| !state.mappings.contains_key(uuid));
        if gone {
            all.remove(uuid);
        }
        gone
    }
}

#[cfg(test)]
mod tests;
