//! What the house knows of pipes.

use crate::settings::Pipe;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All of them, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) pipes: BTreeMap<String, Pipe>,
}

/// What may happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A pipe is made, or set anew.
    Put(Box<Pipe>),
    /// It is to run, or to stop.
    Desired { name: String, running: bool, at: Timestamp },
    /// The house stopped it.
    Halted { name: String, reason: String },
    /// It is gone.
    Deleted { name: String },
    /// Its tags are set.
    Tagged { name: String, tags: BTreeMap<String, String> },
    /// Tags of it are gone.
    Untagged { name: String, keys: Vec<String> },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(pipe) => {
                self.pipes.insert(pipe.name.clone(), (**pipe).clone());
            }
            Change::Desired { name, running, at } => {
                if let Some(pipe) = self.pipes.get_mut(name) {
                    (pipe.running, pipe.modified, pipe.halted) = (*running, *at, None);
                }
            }
            Change::Halted { name, reason } => {
                if let Some(pipe) = self.pipes.get_mut(name) {
                    pipe.halted = Some(reason.clone());
                }
            }
            Change::Deleted { name } => {
                self.pipes.remove(name);
            }
            Change::Tagged { name, tags } => {
                if let Some(pipe) = self.pipes.get_mut(name) {
                    pipe.tags.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            Change::Untagged { name, keys } => {
                if let Some(pipe) = self.pipes.get_mut(name) {
                    pipe.tags.retain(|key, _| !keys.contains(key));
                }
            }
        }
    }
}
