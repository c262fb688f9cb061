//! What the house knows of its queues; what lies in them is the store's.

use crate::settings::Settings;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All queues.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) queues: BTreeMap<String, Queue>,
    /// Names deleted lately, and when.
    pub(crate) deleted: BTreeMap<String, Timestamp>,
    /// Deleted queues whose messages may still be on disk.
    pub(crate) graves: BTreeSet<(String, u64)>,
    /// How many queues there ever were.
    pub(crate) lives: u64,
    /// The key that receipt handles are signed with.
    pub(crate) key: Vec<u8>,
}

/// A queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// Tells this queue from earlier ones of its name.
    pub(crate) life: u64,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was changed last.
    pub(crate) modified: Timestamp,
    /// What it is set to.
    pub(crate) settings: Settings,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// What may happen to them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The house has a key now.
    Key(Vec<u8>),
    /// A queue is made.
    Created {
        /// Its name.
        name: String,
        /// When.
        at: Timestamp,
        /// What it is set to.
        settings: Settings,
        /// Its tags.
        tags: BTreeMap<String, String>,
    },
    /// A queue is set anew.
    Set {
        /// Its name.
        name: String,
        /// When.
        at: Timestamp,
        /// To what.
        settings: Settings,
    },
    /// A queue is deleted; its messages remain to be dropped.
    Deleted {
        /// Its name.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// The messages of a deleted queue are dropped.
    Buried {
        /// Its name.
        name: String,
        /// Which queue of that name.
        life: u64,
    },
    /// These names may be used again.
    Released(Vec<String>),
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Key(key) => self.key.clone_from(key),
            Change::Created { name, at, settings, tags } => {
                self.lives += 1;
                let queue = Queue {
                    life: self.lives,
                    created: *at,
                    modified: *at,
                    settings: settings.clone(),
                    tags: tags.clone(),
                };
                self.queues.insert(name.clone(), queue);
            }
            Change::Set { name, at, settings } => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.modified = *at;
                    queue.settings = settings.clone();
                }
            }
            Change::Deleted { name, at } => {
                if let Some(queue) = self.queues.remove(name) {
                    self.deleted.insert(name.clone(), *at);
                    self.graves.insert((name.clone(), queue.life));
                }
            }
            Change::Buried { name, life } => {
                self.graves.remove(&(name.clone(), *life));
            }
            Change::Released(names) => names.iter().for_each(|name| {
                self.deleted.remove(name);
            }),
        }
    }
}
