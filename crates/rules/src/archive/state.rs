//! What the house knows of archives and replays.

use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All of them, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Archives {
    pub(crate) archives: BTreeMap<String, Archive>,
    pub(crate) replays: BTreeMap<String, Replay>,
}

/// An archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// What its log is named by: another archive of the same name has another.
    pub(crate) id: String,
    /// The bus whose events it keeps.
    pub(crate) bus: String,
    pub(crate) description: Option<String>,
    pub(crate) pattern: Option<String>,
    /// How long it keeps them; 0 for ever.
    pub(crate) retention_days: u32,
    pub(crate) created: Timestamp,
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replay {
    pub(crate) archive: String,
    /// The archive's [`Archive::id`].
    pub(crate) archive_id: String,
    pub(crate) bus: String,
    pub(crate) description: Option<String>,
    /// The rules it is for; all where there are none.
    pub(crate) only: Vec<Arn>,
    /// The times of its events: from the first, up to the second and not with it.
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The end of the log when it began: what is archived later is not replayed.
    pub(crate) until: u64,
    pub(crate) status: ReplayStatus,
    pub(crate) reason: Option<String>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) place: Place,
}

/// How far a replay has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The minute it is in, since the epoch.
    pub(crate) minute: Option<i64>,
    /// The next index of the log within that minute.
    pub(crate) next: u64,
    /// The time of the event that was sent last.
    pub(crate) last: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReplayStatus {
    Starting,
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed,
}

impl ReplayStatus {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, ReplayStatus::Completed | ReplayStatus::Cancelled | ReplayStatus::Failed)
    }
}

/// What may happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ArchiveChange {
    /// An archive is made or described anew.
    ArchiveSet { name: String, archive: Archive },
    /// An archive is gone.
    ArchiveDeleted { name: String },
    /// A replay begins.
    ReplayStarted { name: String, replay: Replay },
    /// A replay has come further.
    ReplayMoved { name: String, place: Place },
    /// A replay is to end.
    ReplayCancelled { name: String },
    /// A replay has ended.
    ReplayEnded { name: String, at: Timestamp, status: ReplayStatus, reason: Option<String> },
    /// A replay that ended long ago is no longer known.
    ReplayForgotten { name: String },
}

impl Archives {
    pub(crate) fn apply(&mut self, change: &ArchiveChange) {
        match change {
            ArchiveChange::ArchiveSet { name, archive } => {
                self.archives.insert(name.clone(), archive.clone());
            }
            ArchiveChange::ArchiveDeleted { name } => {
                self.archives.remove(name);
            }
            ArchiveChange::ReplayStarted { name, replay } => {
                self.replays.insert(name.clone(), replay.clone());
            }
            ArchiveChange::ReplayMoved { name, place } => {
                let Some(replay) = self.replays.get_mut(name) else { return };
                replay.place = *place;
                if replay.status == ReplayStatus::Starting {
                    replay.status = ReplayStatus::Running;
                }
            }
            ArchiveChange::ReplayCancelled { name } => {
                if let Some(replay) = self.replays.get_mut(name) {
                    replay.status = ReplayStatus::Cancelling;
                }
            }
            ArchiveChange::ReplayEnded { name, at, status, reason } => {
                if let Some(replay) = self.replays.get_mut(name) {
                    (replay.status, replay.ended) = (*status, Some(*at));
                    replay.reason.clone_from(reason);
                }
            }
            ArchiveChange::ReplayForgotten { name } => {
                self.replays.remove(name);
            }
        }
    }
}
