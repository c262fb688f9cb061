use crate::limits::{CHECKPOINT_AFTER, CHECKPOINT_AFTER_CHUNKS, FAULT_PAUSE, FAULT_PAUSE_CAP};
use crate::lineage::ready;
use crate::set::Set;
use crate::signals::WalkSignals;
use crate::{Chunk, Gather, Progress, SourceError, Start, WalkError, Walker};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use world::Stop;

/// One run of a walker.
pub(crate) struct Walk<'a, G, H> {
    walker: &'a Walker,
    gather: G,
    handler: H,
    signals: WalkSignals,
    /// Tells the shards to end after the chunk they have.
    halt: watch::Sender<bool>,
    noted: Mutex<Noted>,
    /// There is something to make durable.
    dirty: Notify,
    /// There is much of it.
    much: Notify,
}

/// Positions reached and not durable yet.
#[derive(Default)]
struct Noted {
    positions: BTreeMap<String, u64>,
    chunks: u32,
}

/// How a shard's walk ended.
enum End {
    /// All its records were dealt with, or it is gone.
    Done,
    /// The walk is halting, or is to.
    Halted,
    /// The source is gone.
    Gone(SourceError),
}

impl<'a, G, H, F> Walk<'a, G, H>
where
    G: Fn() -> Gather + Send + Sync,
    H: Fn(String, Chunk) -> F + Send + Sync,
    F: Future<Output = Progress> + Send,
{
    pub(crate) fn new(walker: &'a Walker, gather: G, handler: H) -> Walk<'a, G, H> {
        Walk {
            walker,
            gather,
            handler,
            signals: WalkSignals::new(&walker.world, &walker.consumer),
            halt: watch::Sender::new(false),
            noted: Mutex::default(),
            dirty: Notify::new(),
            much: Notify::new(),
        }
    }

    pub(crate) async fn run(&self, mut stop: Stop) -> Result<(), WalkError> {
        if !self.pin(&mut stop).await? {
            return Ok(());
        }
        let result = {
            let mut shards = pin!(self.all_shards(&mut stop));
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
    async fn pin(&self, stop: &mut Stop) -> Result<bool, WalkError> {
        let mut faults = 0;
        loop {
            match self.walker.pin().await {
                Ok(()) => return Ok(!stop.is_set()),
                Err(error @ WalkError::Source(SourceError::Gone(_) | SourceError::NoShard(_))) => return Err(error),
                Err(error) => self.complain(&error, "a consumer cannot be pinned"),
            }
            faults += 1;
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(false),
                () = self.walker.world.clock.sleep(self.pause(faults)) => {}
            }
        }
    }

    /// Walks every shard, the present and the future ones, until the walk halts.
    async fn all_shards(&self, stop: &mut Stop) -> Result<(), SourceError> {
        let source = &self.walker.source;
        let mut set = Set::new();
        let (mut done, mut under_way) = (BTreeSet::new(), BTreeSet::new());
        let (mut seen, mut stale, mut faults) = (0, true, 0);
        let mut result = Ok(());
        loop {
            let halting = *self.halt.borrow();
            if halting && set.is_empty() {
                return result;
            }
            if stale && !halting {
                match self.list(&mut done, &under_way).await {
                    Ok((length, ready)) => {
                        (seen, stale, faults) = (length, false, 0);
                        for shard in ready {
                            under_way.insert(shard.clone());
                            set.push(Box::pin(async move { (self.one_shard(&shard).await, shard) }));
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
                () = stop.wait(), if !halting => drop(self.halt.send_replace(true)),
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
                () = source.reshaped(seen), if !stale && !halting => stale = true,
                () = self.walker.world.clock.sleep(self.pause(faults)), if stale && !halting => {}
            }
        }
    }

    /// How many shards are listed, and which of them are to be started now.
    async fn list(
        &self,
        done: &mut BTreeSet<String>,
        under_way: &BTreeSet<String>,
    ) -> Result<(usize, Vec<String>), SourceError> {
        let listed = self.walker.source.shards()?;
        let ids: Vec<&str> = listed.iter().map(|s| s.id.as_str()).collect();
        done.retain(|shard| ids.contains(&shard.as_str()));
        if let Err(error) = self.walker.checkpoints.prune(&self.walker.consumer, &ids).await {
            self.complain(&error, "old checkpoints cannot be forgotten");
        }
        Ok((listed.len(), ready(&listed, done, under_way)))
    }

    async fn one_shard(&self, shard: &str) -> End {
        let mut halt = self.halt.subscribe();
        let mut from = match self.begin(shard, &mut halt).await {
            Ok(from) => from,
            Err(end) => return end,
        };
        while !*halt.borrow() {
            let chunk = match self.chunk(shard, from, &mut halt).await {
                Ok(chunk) => chunk,
                Err(end) => return end,
            };
            let (next, ended) = (chunk.next, chunk.ended);
            if let Some(last) = chunk.records.last() {
                let (last_at, count) = (last.at, chunk.records.len());
                let position = match (self.handler)(shard.to_owned(), chunk).await {
                    Progress::Done => next,
                    Progress::Upto(position) => position.clamp(from, next),
                    Progress::Stop => return End::Halted,
                };
                from = position;
                self.note(shard, from);
                if from == next {
                    let age = self.walker.world.now().since(last_at);
                    self.signals.age_ms.record(age.as_millis() as u64);
                    self.signals.records.record(count as u64);
                }
            }
            if ended && from == next {
                return End::Done;
            }
            // A source that always has more, and a handler that never waits, starve nobody.
            tokio::task::yield_now().await;
        }
        End::Halted
    }

    /// Where to begin: at the checkpoint, or with the first record of a shard that was not there when the consumer was
    /// pinned.
    async fn begin(&self, shard: &str, halt: &mut watch::Receiver<bool>) -> Result<u64, End> {
        let mut faults = 0;
        loop {
            if let Some(position) = self.walker.checkpoints.position(&self.walker.consumer, shard) {
                return Ok(position);
            }
            match self.walker.source.start_at(shard, Start::TrimHorizon) {
                Ok(position) => return Ok(position),
                Err(error) => self.after(error, &mut faults, halt).await?,
            }
        }
    }

    /// Gathers the next chunk. It is empty only where the shard ended without another record.
    async fn chunk(&self, shard: &str, from: u64, halt: &mut watch::Receiver<bool>) -> Result<Chunk, End> {
        let (source, clock) = (&self.walker.source, &self.walker.world.clock);
        let gather = (self.gather)();
        let mut chunk = Chunk::starting_at(from);
        let (mut faults, mut deadline) = (0, None);
        loop {
            let more = match source.read(shard, chunk.next, chunk.room(&gather)) {
                Ok(more) => more,
                Err(SourceError::NoShard(_)) if !chunk.records.is_empty() => return Ok(Chunk { ended: true, ..chunk }),
                Err(error) => {
                    self.after(error, &mut faults, halt).await?;
                    continue;
                }
            };
            faults = 0;
            let full = chunk.take(more, &gather);
            let any = !chunk.records.is_empty();
            let now = clock.monotonic();
            if any && deadline.is_none() {
                deadline = Some(now.saturating_add(gather.window));
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_sub(now));
            if full || chunk.ended || left.is_zero() {
                return Ok(chunk);
            }
            tokio::select! {
                biased;
                _ = halt.wait_for(|halt| *halt) => return Err(End::Halted),
                () = clock.sleep(left), if any => return Ok(chunk),
                () = source.changed(shard, chunk.next) => {}
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits after a fault; an error that no waiting mends is the end.
    async fn after(&self, error: SourceError, faults: &mut u32, halt: &mut watch::Receiver<bool>) -> Result<(), End> {
        match error {
            SourceError::Gone(_) => return Err(End::Gone(error)),
            SourceError::NoShard(_) => return Err(End::Done),
            SourceError::Fault(_) => self.complain(&error, "a shard cannot be read"),
        }
        *faults += 1;
        tokio::select! {
            biased;
            _ = halt.wait_for(|halt| *halt) => Err(End::Halted),
            () = self.walker.world.clock.sleep(self.pause(*faults)) => Ok(()),
        }
    }

    /// Doubles from fault to fault, up to its cap, less a random part of up to a half.
    fn pause(&self, faults: u32) -> Duration {
        let longest = FAULT_PAUSE.saturating_mul(1 << faults.saturating_sub(1).min(16)).min(FAULT_PAUSE_CAP);
        longest - Duration::from_micros(self.walker.world.entropy.below(longest.as_micros() as u64 / 2))
    }

    fn complain(&self, error: &dyn std::fmt::Display, what: &str) {
        let (consumer, source) = (&self.walker.consumer, self.walker.source.arn());
        tracing::warn!(consumer, %source, %error, "{what}");
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().expect("no panic holds this lock")
    }

    fn note(&self, shard: &str, position: u64) {
        let mut noted = self.noted();
        match noted.positions.get_mut(shard) {
            Some(known) => *known = position,
            None => drop(noted.positions.insert(shard.to_owned(), position)),
        }
        noted.chunks += 1;
        self.dirty.notify_one();
        if noted.chunks >= CHECKPOINT_AFTER_CHUNKS {
            self.much.notify_one();
        }
    }

    /// Makes checkpoints durable every now and then.
    async fn keep(&self) {
        loop {
            self.dirty.notified().await;
            tokio::select! {
                biased;
                () = self.much.notified() => {}
                () = self.walker.world.clock.sleep(CHECKPOINT_AFTER) => {}
            }
            if !self.flush().await {
                self.walker.world.clock.sleep(FAULT_PAUSE_CAP).await;
                self.dirty.notify_one();
            }
        }
    }

    /// Makes all noted positions durable; whether that worked. What it did not keep, the next flush does.
    async fn flush(&self) -> bool {
        let positions = {
            let mut noted = self.noted();
            noted.chunks = 0;
            noted.positions.clone()
        };
        if positions.is_empty() {
            return true;
        }
        if let Err(error) = self.walker.checkpoints.set(&self.walker.consumer, positions.clone()).await {
            self.complain(&error, "checkpoints cannot be kept");
            return false;
        }
        self.noted().positions.retain(|shard, position| positions.get(shard) != Some(position));
        true
    }
}
