use crate::Note;
use crate::desk::Mark;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Catalog, State, Store, StoreError};

/// Where each consumer is in each shard: durable, one catalog for all of them.
pub struct Checkpoints(Arc<Catalog<Consumers>>);

/// By name. A consumer that is in here is pinned.
#[derive(Default, Serialize, Deserialize)]
struct Consumers(BTreeMap<String, Consumer>);

/// Where one consumer is.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
struct Consumer {
    /// When its source was made; unknown for those pinned before that was kept.
    since: Option<Timestamp>,
    /// By shard: the position of the next record to handle.
    positions: BTreeMap<String, u64>,
    /// By shard: what the consumer remembers.
    notes: BTreeMap<String, Note>,
}

/// A consumer as snapshots hold it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Whole {
        since: Option<Timestamp>,
        positions: BTreeMap<String, u64>,
        notes: BTreeMap<String, Note>,
    },
    /// Before there were notes: positions only.
    Positions(BTreeMap<String, u64>),
}

impl From<Kept> for Consumer {
    fn from(kept: Kept) -> Consumer {
        match kept {
            Kept::Whole { since, positions, notes } => Consumer { since, positions, notes },
            Kept::Positions(positions) => Consumer { positions, ..Consumer::default() },
        }
    }
}

#[derive(Serialize, Deserialize)]
enum Change {
    /// The consumer's first positions.
    Pin {
        consumer: String,
        positions: BTreeMap<String, u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// It went on. A shard whose note is not given has none.
    Set {
        consumer: String,
        positions: BTreeMap<String, u64>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        notes: BTreeMap<String, Note>,
    },
    /// These shards no longer exist.
    Prune { consumer: String, shards: Vec<String> },
    /// It no longer exists.
    Forget { consumer: String },
}

impl State for Consumers {
    type Change = Change;
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Pin { consumer, positions, since } => {
                let known = Consumer { since: *since, positions: positions.clone(), notes: BTreeMap::new() };
                self.0.insert(consumer.clone(), known);
            }
            Change::Set { consumer, positions, notes } => {
                // A walker that ends late brings no forgotten consumer back.
                let Some(known) = self.0.get_mut(consumer) else { return };
                for (shard, position) in positions {
                    let reached = known.positions.entry(shard.clone()).or_default();
                    // Two writes may pass one another; a checkpoint never goes back, and its note belongs to it.
                    if *position >= *reached {
                        *reached = *position;
                        match notes.get(shard) {
                            Some(note) => drop(known.notes.insert(shard.clone(), note.clone())),
                            None => drop(known.notes.remove(shard)),
                        }
                    }
                }
            }
            Change::Prune { consumer, shards } => {
                if let Some(known) = self.0.get_mut(consumer) {
                    known.positions.retain(|shard, _| !shards.contains(shard));
                    known.notes.retain(|shard, _| !shards.contains(shard));
                }
            }
            Change::Forget { consumer } => {
                self.0.remove(consumer);
            }
        }
    }
}

impl Checkpoints {
    /// Opens the checkpoints of all consumers.
    pub async fn open(store: &Store) -> Result<Arc<Checkpoints>, StoreError> {
        Ok(Arc::new(Checkpoints(Catalog::open(store, "consume/checkpoints").await?)))
    }

    /// The position of the next record of a shard that a consumer is to handle.
    pub fn position(&self, consumer: &str, shard: &str) -> Option<u64> {
        self.mark(consumer, shard).map(|mark| mark.position)
    }

    /// What a consumer remembers of a shard.
    pub fn note(&self, consumer: &str, shard: &str) -> Option<Note> {
        self.mark(consumer, shard)?.note
    }

    /// Whether the consumer's start was made durable.
    pub fn is_pinned(&self, consumer: &str) -> bool {
        self.0.read(|all| all.0.contains_key(consumer))
    }

    /// When the source was made that the consumer was pinned to, where that is known.
    pub fn since(&self, consumer: &str) -> Option<Timestamp> {
        self.0.read(|all| all.0.get(consumer)?.since)
    }

    /// The consumers there are.
    pub fn consumers(&self) -> Vec<String> {
        self.0.read(|all| all.0.keys().cloned().collect())
    }

    /// Forgets a consumer, durably. Nothing where there is none.
    pub async fn forget(&self, consumer: &str) -> Result<(), StoreError> {
        self.0
            .change(|all| {
                let known = all.0.contains_key(consumer);
                Ok((known.then(|| Change::Forget { consumer: consumer.to_owned() }).into_iter().collect(), ()))
            })
            .await
    }

    pub(crate) fn mark(&self, consumer: &str, shard: &str) -> Option<Mark> {
        self.0.read(|all| {
            let known = all.0.get(consumer)?;
            Some(Mark { position: *known.positions.get(shard)?, note: known.notes.get(shard).cloned() })
        })
    }

    /// Moves a pinned consumer on, durably. Positions only grow; a consumer that is not pinned stays unknown.
    pub(crate) async fn set(&self, consumer: &str, marks: BTreeMap<String, Mark>) -> Result<(), StoreError> {
        let positions = marks.iter().map(|(shard, mark)| (shard.clone(), mark.position)).collect();
        let notes = marks.into_iter().filter_map(|(shard, mark)| Some((shard, mark.note?))).collect();
        self.change(Change::Set { consumer: consumer.to_owned(), positions, notes }).await
    }

    /// Makes a consumer's first positions durable, unless it has some.
    pub(crate) async fn pin(
        &self,
        consumer: &str,
        positions: BTreeMap<String, u64>,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        self.0
            .change(|all| {
                let fresh = !all.0.contains_key(consumer);
                let pin = || Change::Pin { consumer: consumer.to_owned(), positions, since: Some(since) };
                Ok((fresh.then(pin).into_iter().collect(), ()))
            })
            .await
    }

    /// Forgets the shards of a consumer that are not in `listed`.
    pub(crate) async fn prune(&self, consumer: &str, listed: &[&str]) -> Result<(), StoreError> {
        let gone: Vec<String> = self.0.read(|all| {
            let known = all.0.get(consumer).map(|known| known.positions.keys()).into_iter().flatten();
            known.filter(|shard| !listed.contains(&shard.as_str())).cloned().collect()
        });
        if gone.is_empty() {
            return Ok(());
        }
        self.change(Change::Prune { consumer: consumer.to_owned(), shards: gone }).await
    }

    async fn change(&self, change: Change) -> Result<(), StoreError> {
        self.0.change(|_| Ok((vec![change], ()))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_of_before_there_were_notes_are_read() {
        let old: Consumers = serde_json::from_str(r#"{"m":{"shardId-000000000000":7},"empty":{}}"#).unwrap();
        assert_eq!(old.0["m"].positions["shardId-000000000000"], 7);
        assert!(old.0["empty"].positions.is_empty());
        let mut new = old;
        new.0.get_mut("m").unwrap().since = Some(Timestamp(3));
        let text = serde_json::to_string(&new).unwrap();
        let back: Consumers = serde_json::from_str(&text).unwrap();
        assert_eq!((back.0["m"].since, back.0["m"].positions["shardId-000000000000"]), (Some(Timestamp(3)), 7));
    }
}
