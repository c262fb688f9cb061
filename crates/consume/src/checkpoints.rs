use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Catalog, State, Store, StoreError};

/// Where each consumer is in each shard: durable, one catalog for all of them.
pub struct Checkpoints(Arc<Catalog<Consumers>>);

/// By consumer and shard: the position of the next record to handle. A consumer that is in here is pinned.
#[derive(Default, Serialize, Deserialize)]
struct Consumers(BTreeMap<String, BTreeMap<String, u64>>);

#[derive(Serialize, Deserialize)]
enum Change {
    /// The consumer's first positions.
    Pin { consumer: String, positions: BTreeMap<String, u64> },
    /// It went on.
    Set { consumer: String, positions: BTreeMap<String, u64> },
    /// These shards no longer exist.
    Prune { consumer: String, shards: Vec<String> },
    /// It no longer exists.
    Forget { consumer: String },
}

impl State for Consumers {
    type Change = Change;
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Pin { consumer, positions } => {
                self.0.insert(consumer.clone(), positions.clone());
            }
            Change::Set { consumer, positions } => {
                // A walker that ends late brings no forgotten consumer back.
                let Some(shards) = self.0.get_mut(consumer) else { return };
                for (shard, position) in positions {
                    let known = shards.entry(shard.clone()).or_default();
                    // Two writes may pass one another; a checkpoint never goes back.
                    *known = (*known).max(*position);
                }
            }
            Change::Prune { consumer, shards } => {
                if let Some(known) = self.0.get_mut(consumer) {
                    known.retain(|shard, _| !shards.contains(shard));
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
        self.0.read(|all| all.0.get(consumer)?.get(shard).copied())
    }

    /// Whether the consumer's start was made durable.
    pub fn is_pinned(&self, consumer: &str) -> bool {
        self.0.read(|all| all.0.contains_key(consumer))
    }

    /// Moves a pinned consumer on, durably. Positions only grow; a consumer that is not pinned stays unknown.
    pub async fn set(&self, consumer: &str, positions: BTreeMap<String, u64>) -> Result<(), StoreError> {
        self.change(Change::Set { consumer: consumer.to_owned(), positions }).await
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

    /// Makes a consumer's first positions durable, unless it has some.
    pub(crate) async fn pin(&self, consumer: &str, positions: BTreeMap<String, u64>) -> Result<(), StoreError> {
        self.0
            .change(|all| {
                let fresh = !all.0.contains_key(consumer);
                let pin = || Change::Pin { consumer: consumer.to_owned(), positions };
                Ok((fresh.then(pin).into_iter().collect(), ()))
            })
            .await
    }

    /// Forgets the shards of a consumer that are not in `listed`.
    pub(crate) async fn prune(&self, consumer: &str, listed: &[&str]) -> Result<(), StoreError> {
        let gone: Vec<String> = self.0.read(|all| {
            let known = all.0.get(consumer).into_iter().flatten();
            known.map(|(shard, _)| shard).filter(|shard| !listed.contains(&shard.as_str())).cloned().collect()
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
