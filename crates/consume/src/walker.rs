use crate::walk::Walk;
use crate::{Checkpoints, Gather, Handler, Source, SourceError, Start};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use store::StoreError;
use world::World;

/// One consumer of one source.
pub struct Walker {
    pub(crate) world: World,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) consumer: String,
    pub(crate) source: Arc<dyn Source>,
    start: Start,
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
    /// returns will be handled, also with [`Start::Latest`]. Does nothing for a consumer that has checkpoints; where those
    /// are of an earlier source of this name, that source is gone, and this one is none of the consumer's.
    pub async fn pin(&self) -> Result<(), WalkError> {
        let since = self.source.since();
        if self.checkpoints.is_pinned(&self.consumer) {
            return match self.checkpoints.since(&self.consumer) {
                Some(pinned) if pinned != since => Err(SourceError::Gone(self.source.arn().to_string()).into()),
                _ => Ok(()),
            };
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
        Ok(self.checkpoints.pin(&self.consumer, positions, since).await?)
    }

    /// Walks until `stop` resolves or a handler says [`crate::Progress::Stop`] (then `Ok`), or the source is gone (then
    /// its error). Pins first where that was not done. What is in a handler's hands by then is waited for.
    pub async fn run(
        &self,
        stop: impl Future<Output = ()> + Send,
        gather: Gather,
        handler: &dyn Handler,
    ) -> Result<(), WalkError> {
        Walk::new(self, gather, handler).run(stop).await
    }
}
