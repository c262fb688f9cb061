//! What the house knows of its queues; what lies in them is the store's.

use crate::limits::MOVES_LISTED;
use crate::settings::Settings;
use names::{Arn, Timestamp};
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
    /// Moves of messages, the oldest first.
    #[serde(default)]
    pub(crate) moves: Vec<Move>,
}

/// A task that moves messages out of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Move {
    /// Its id, a UUID.
    pub(crate) id: String,
    /// The queue that is emptied.
    pub(crate) from: Arn,
    /// Which queue of that name.
    pub(crate) life: u64,
    /// Where to; back to where each message came from, where nothing is said.
    pub(crate) to: Option<Arn>,
    /// So many a second, where that was asked for.
    pub(crate) per_s: Option<u32>,
    /// When it began.
    pub(crate) started: Timestamp,
    /// Messages that had this number then are left alone, and those that came later: what fails again would be moved
    /// for ever.
    pub(crate) upto: u64,
    /// How many there were to move.
    pub(crate) to_move: u64,
    /// How many were moved, as far as that has been noted.
    pub(crate) moved: u64,
    /// How it stands.
    pub(crate) status: MoveStatus,
}

/// How a move stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum MoveStatus {
    Running,
    Cancelling,
    Completed,
    Cancelled,
    /// For this reason.
    Failed(String),
}

impl MoveStatus {
    /// Whether there is something left to do.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self, MoveStatus::Running | MoveStatus::Cancelling)
    }
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
    /// A queue has other tags.
    Tagged {
        /// Its name.
        name: String,
        /// All of them.
        tags: BTreeMap<String, String>,
    },
    /// A move begins.
    MoveStarted(Move),
    /// A move stands otherwise.
    MoveNoted {
        /// Its id.
        id: String,
        /// How many messages were moved.
        moved: u64,
        /// How it stands.
        status: MoveStatus,
    },
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
                    // Those that are under way see that their queue is gone and end by themselves.
                    self.moves.retain(|known| known.from.resource() != name || known.status.is_active());
                    self.deleted.insert(name.clone(), *at);
                    self.graves.insert((name.clone(), queue.life));
                }
            }
            Change::Buried { name, life } => {
                self.graves.remove(&(name.clone(), *life));
            }
            Change::Tagged { name, tags } => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.tags.clone_from(tags);
                }
            }
            Change::MoveStarted(new) => {
                // AWS lists no more than ten of a queue.
                let same = |old: &&Move| old.from == new.from;
                let surplus = (self.moves.iter().filter(same).count() + 1).saturating_sub(*MOVES_LISTED.end() as usize);
                let mut dropped = 0;
                self.moves.retain(|old| {
                    let drop = same(&old) && dropped < surplus;
                    dropped += usize::from(drop);
                    !drop
                });
                self.moves.push(new.clone());
            }
            Change::MoveNoted { id, moved, status } => {
                if let Some(known) = self.moves.iter_mut().find(|known| known.id == *id) {
                    known.moved = *moved;
                    known.status = status.clone();
                }
            }
            Change::Released(names) => names.iter().for_each(|name| {
                self.deleted.remove(name);
            }),
        }
    }
}
