//! One run of a walker: which shards are under way, and what becomes durable when.

use crate::desk::Noted;
use crate::limits::{CHECKPOINT_AFTER, FAULT_PAUSE, FAULT_PAUSE_CAP};
use crate::lineage::ready;
use crate::set::Set;
use crate::shard::{End, walk_shard};
use crate::signals::WalkSignals;
use crate::{Gather, Handler, SourceError, WalkError, Walker};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What all shards of a run share.
pub(crate) struct Walk<'a> {
    pub(crate) walker: &'a Walker,
    pub(crate) gather: Gather,
    pub(crate) handler: &'a dyn Handler,
    pub(crate) signals: WalkSignals,
    /// Tells the shards to end after what they have in hand.
    pub(crate) halt: watch::Sender<bool>,
    pub(crate) noted: Arc<Noted>,
}

type Stopping<'s> = Pin<&'s mut (dyn Future<Output = ()> + Send)>;

impl<'a> Walk<'a> {
    pub(crate) fn new(walker: &'a Walker, gather: Gather, handler: &'a dyn Handler) -> Walk<'a> {
        Walk {
            walker,
            gather,
            handler,
            signals: WalkSignals::new(&walker.world, &walker.consumer),
            halt: watch::Sender::new(false),
            noted: Arc::default(),
        }
    }

    pub(crate) async fn run(&self, stop: impl Future<Output = ()> + Send) -> Result<(), WalkError> {
        let mut stop = pin!(stop);
        if !self.pin(stop.as_mut()).await? {
            return Ok(());
        }
        let result = {
            let mut shards = pin!(self.all_shards(stop.as_mut()));
            let mut keeper = pin!(self.keep());
            // Both in one future: a checkpoint under way holds up no shard.
            tokio::select! {
                biased;
                result = &mut shards => result,
                () = &mut keeper => unreachable!("it keeps for ever"),
            }
        };
        self.flush().await;
        result.map_err(WalkError::from)
    }

    /// Pins the consumer, however often that takes; whether it did before the stop.
    async fn pin(&self, mut stop: Stopping<'_>) -> Result<bool, WalkError> {
        let mut faults = 0;
        loop {
            match self.walker.pin().await {
                Ok(()) => return Ok(true),
                Err(error @ WalkError::Source(SourceError::Gone(_) | SourceError::NoShard(_))) => return Err(error),
                Err(error) => self.complain(&error, "a consumer cannot be pinned"),
            }
            faults += 1;
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(false),
                () = self.walker.world.clock.sleep(self.pause(faults)) => {}
            }
        }
    }

    /// Walks every shard, the present and the future ones, until the walk halts.
    async fn all_shards(&self, mut stop: Stopping<'_>) -> Result<(), SourceError> {
        let source = &self.walker.source;
        let mut set = Set::new();
        let (mut done, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        let (mut last, mut stale, mut faults) = (None, true, 0);
        let mut result = Ok(());
        loop {
            let halting = *self.halt.borrow();
            if halting && set.is_empty() {
                return result;
            }
            if stale && !halting {
                match self.list(&mut done, &under_way).await {
                    Ok((newest, ready)) => {
                        (last, stale, faults) = (newest, false, 0);
                        for shard in ready {
                            under_way.insert(shard.clone());
                            set.push(Box::pin(async move { (walk_shard(self, &shard).await, shard) }));
                        }
                    }
                    Err(error @ SourceError::Gone(_)) => {
                        result = Err(error);
                        self.halt.send_replace(true);
                        continue;
                    }
                    Err(error) => {
                        faults += 1;
                        self.complain(&error, "shards cannot be listed");
                    }
                }
            }
            tokio::select! {
                biased;
                () = stop.as_mut(), if !halting => drop(self.halt.send_replace(true)),
                Some((end, shard)) = set.next() => {
                    under_way.remove(&shard);
                    match end {
                        End::Done => {
                            // Before its children begin: a crash must not bring the parent back after them.
                            self.flush().await;
                            done.insert(shard);
                            stale = true;
                        }
                        End::Halted => drop(self.halt.send_replace(true)),
                        End::Gone(error) => {
                            result = Err(error);
                            self.halt.send_replace(true);
                        }
                    }
                }
                () = source.reshaped(last.as_deref()), if !stale && !halting => stale = true,
                () = self.walker.world.clock.sleep(self.pause(faults)), if stale && !halting => {}
            }
        }
    }

    /// Which shard is listed last, and which are to be started now.
    async fn list(
        &self,
        done: &mut BTreeSet<String>,
        under_way: &BTreeSet<String>,
    ) -> Result<(Option<String>, Vec<String>), SourceError> {
        let listed = self.walker.source.shards()?;
        let ids: Vec<&str> = listed.iter().map(|s| s.id.as_str()).collect();
        done.retain(|shard| ids.contains(&shard.as_str()));
        if let Err(error) = self.walker.checkpoints.prune(&self.walker.consumer, &ids).await {
            self.complain(&error, "old checkpoints cannot be forgotten");
        }
        let ready = ready(&listed, done, under_way);
        Ok((listed.into_iter().next_back().map(|shard| shard.id), ready))
    }

    /// Doubles from fault to fault, up to its cap, less a random part of up to a half.
    pub(crate) fn pause(&self, faults: u32) -> Duration {
        let longest = FAULT_PAUSE.saturating_mul(1 << faults.saturating_sub(1).min(16)).min(FAULT_PAUSE_CAP);
        longest - Duration::from_micros(self.walker.world.entropy.below(longest.as_micros() as u64 / 2))
    }

    pub(crate) fn complain(&self, error: &dyn std::fmt::Display, what: &str) {
        let (consumer, source) = (&self.walker.consumer, self.walker.source.arn());
        tracing::warn!(consumer, %source, %error, "{what}");
    }

    /// Makes checkpoints durable every now and then.
    async fn keep(&self) {
        loop {
            self.noted.dirty.notified().await;
            tokio::select! {
                biased;
                () = self.noted.much.notified() => {}
                () = self.walker.world.clock.sleep(CHECKPOINT_AFTER) => {}
            }
            if !self.flush().await {
                self.walker.world.clock.sleep(FAULT_PAUSE_CAP).await;
                self.noted.dirty.notify_one();
            }
        }
    }

    /// Makes all that was noted durable; whether that worked. What it did not keep, the next flush does.
    async fn flush(&self) -> bool {
        let marks = self.noted.take_stock();
        if marks.is_empty() {
            return true;
        }
        if let Err(error) = self.walker.checkpoints.set(&self.walker.consumer, marks.clone()).await {
            self.complain(&error, "checkpoints cannot be kept");
            return false;
        }
        self.noted.settle(&marks);
        true
    }
}
