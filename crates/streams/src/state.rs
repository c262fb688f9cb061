//! What the streams service knows for certain: the catalog's state and how it changes.

use crate::hash::HashKey;
use crate::limits;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All streams.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// By name.
    pub(crate) streams: BTreeMap<String, Stream>,
    /// What shard iterators and page tokens are authenticated with.
    pub(crate) token_key: Vec<u8>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Its name.
    pub(crate) name: String,
    /// When it was created, to the millisecond: with the name, what tells it from its predecessors.
    pub(crate) created: Timestamp,
    /// Where it is in its life.
    pub(crate) status: Status,
    /// How its capacity is chosen.
    pub(crate) mode: Mode,
    /// How many shards it was asked to start with.
    pub(crate) first_shards: u32,
    /// How long records are kept.
    pub(crate) retention_hours: u32,
    /// The greatest record it takes.
    pub(crate) record_kib: u32,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its shards by number, closed ones too; none while it is being created.
    pub(crate) shards: Vec<Shard>,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Its shards are being made.
    Creating,
    /// It works.
    Active,
    /// Its shards are being forgotten.
    Deleting,
}

/// How a stream's capacity is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// By its owner.
    Provisioned,
    /// By the service.
    OnDemand,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// Its number in its stream.
    pub(crate) number: u32,
    /// The shard it was split from, or the first of the two it was merged from.
    pub(crate) parent: Option<u32>,
    /// The second of the two it was merged from.
    pub(crate) adjacent_parent: Option<u32>,
    /// Its first hash key.
    pub(crate) start: HashKey,
    /// Its last hash key.
    pub(crate) end: HashKey,
    /// When it was opened.
    pub(crate) created: Timestamp,
    /// The log that holds its records.
    pub(crate) log: u64,
    /// Where it ends, once it takes no more records.
    pub(crate) closed: Option<Closed>,
}

/// The end of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// When it was closed.
    pub(crate) at: Timestamp,
    /// The position no record of it reaches.
    pub(crate) position: u64,
}

/// A change of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The key for tokens was made.
    TokenKey(Vec<u8>),
    /// A stream is asked for.
    Created(Stream),
    /// It has its shards.
    Activated {
        /// The stream.
        name: String,
        /// Its shards.
        shards: Vec<Shard>,
    },
    /// A stream is no longer wanted.
    Deleting {
        /// The stream.
        name: String,
    },
    /// It is gone.
    Deleted {
        /// The stream.
        name: String,
    },
    /// Records are kept longer or shorter.
    Retention {
        /// The stream.
        name: String,
        /// From now on.
        hours: u32,
    },
    /// Tags are set or removed.
    Tagged {
        /// The stream.
        name: String,
        /// Set these.
        set: BTreeMap<String, String>,
        /// Remove these.
        remove: Vec<String>,
    },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::TokenKey(key) => self.token_key.clone_from(key),
            Change::Created(stream) => {
                self.streams.insert(stream.name.clone(), stream.clone());
            }
            Change::Activated { name, shards } => self.with(name, |stream| {
                stream.shards.clone_from(shards);
                stream.status = Status::Active;
            }),
            Change::Deleting { name } => self.with(name, |stream| stream.status = Status::Deleting),
            Change::Deleted { name } => {
                self.streams.remove(name);
            }
            Change::Retention { name, hours } => self.with(name, |stream| stream.retention_hours = *hours),
            Change::Tagged { name, set, remove } => self.with(name, |stream| {
                stream.tags.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
                stream.tags.retain(|key, _| !remove.contains(key));
            }),
        }
    }
}

impl State {
    fn with(&mut self, name: &str, edit: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(name) {
            edit(stream);
        }
    }

    /// Open shards of the account, those of streams that are being created included.
    pub(crate) fn open_shards(&self) -> usize {
        self.streams.values().map(Stream::open_shards).sum()
    }

    /// Streams in on-demand mode.
    pub(crate) fn on_demand_streams(&self) -> usize {
        self.streams.values().filter(|stream| stream.mode == Mode::OnDemand).count()
    }
}

impl Stream {
    /// How many shards take records.
    pub(crate) fn open_shards(&self) -> usize {
        match self.status {
            Status::Creating => self.first_shards as usize,
            Status::Active | Status::Deleting => self.shards.iter().filter(|shard| shard.closed.is_none()).count(),
        }
    }

    /// Whether records go in and out.
    pub(crate) fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// The greatest record in bytes.
    pub(crate) fn record_bytes(&self) -> usize {
        (self.record_kib as usize * 1024).min(limits::LARGEST_RECORD)
    }

    /// What was put before this moment is no longer shown.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.micros().saturating_sub(i64::from(self.retention_hours) * 3_600_000_000))
    }
}

impl Shard {
    /// `shardId-000000000000`
    pub(crate) fn id(&self) -> String {
        shard_id(self.number)
    }
}

/// The id of a shard's number.
pub(crate) fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number of a shard's id. Like AWS it takes anything before the hyphen, and ids without one.
pub(crate) fn shard_number(id: &str) -> Option<u32> {
    let digits = id.rsplit_once('-').map_or(id, |(_, digits)| digits);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32) } else { None }
}

/// The log that holds a shard's records.
pub(crate) fn log_name(stream: &str, shard: u32) -> String {
    format!("streams/{stream}/{}", shard_id(shard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_ids_are_read_as_aws_reads_them() {
        for (id, number) in [
            ("shardId-000000000012", Some(12)),
            ("12", Some(12)),
            ("any-2147483647", Some(2_147_483_647)),
            ("shardId-002147483648", None),
            ("2.14E4", None),
            ("ABKLFD8", None),
            ("shardId-", None),
        ] {
            assert_eq!(shard_number(id), number, "{id}");
        }
        assert_eq!(shard_id(7), "shardId-000000000007");
    }
}
