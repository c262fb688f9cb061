use crate::walk::Walk;
use crate::{Checkpoints, Chunk, Gather, Source, SourceError, Start};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use store::StoreError;
use world::{Stop, World};

/// One consumer of one source.
pub struct Walker {
    pub(crate) world: World,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) consumer: String,
    pub(crate) source: Arc<dyn Source>,
    start: Start,
}

/// How far a handler came with its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of it is dealt with.
    Done,
    /// All records before this position are; the others are to be handed over again.
    Upto(u64),
    /// Nothing more is, and the whole walk is to end: the chunk comes again in the next one.
    Stop,
}

/// Why a walk ended by itself, or did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The source's answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store's answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Walker {
    /// A walker. `consumer` names its checkpoints; two walkers of one name must not run at the same time.
    pub fn new(
        world: World,
        checkpoints: Arc<Checkpoints>,
        consumer: String,
        source: Arc<dyn Source>,
        start: Start,
    ) -> Walker {
        Walker { world, checkpoints, consumer, source, start }
    }

    /// Decides where the consumer starts in every shard there is now, and makes that durable: whatever arrives after this
    /// returns will be handled, also with [`Start::Latest`]. Does nothing for a consumer that has checkpoints.
    pub async fn pin(&self) -> Result<(), WalkError> {
        if self.checkpoints.is_pinned(&self.consumer) {
            return Ok(());
        }
        let mut positions = BTreeMap::new();
        for shard in self.source.shards()? {
            match self.source.start_at(&shard.id, self.start) {
                Ok(position) => drop(positions.insert(shard.id, position)),
                // It expired meanwhile.
                Err(SourceError::NoShard(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.checkpoints.pin(&self.consumer, positions).await?)
    }

    /// Walks until `stop` is set or a handler says [`Progress::Stop`] (then `Ok`), or the source is gone (then its error).
    /// Pins first where that was not done. `gather` is asked before each chunk, so its answer may change meanwhile.
    ///
    /// `handler` is called for one chunk per shard at a time. It is not interrupted by `stop`: give it a `Stop` of its own
    /// if it may wait for long. Chunks always hold at least one record.
    pub async fn run<G, H, F>(&self, stop: Stop, gather: G, handler: H) -> Result<(), WalkError>
    where
        G: Fn() -> Gather + Send + Sync,
        H: Fn(String, Chunk) -> F + Send + Sync,
        F: Future<Output = Progress> + Send,
    {
        Walk::new(self, gather, handler).run(stop).await
    }
}
