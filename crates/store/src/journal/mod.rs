//! One journal for all logs: callers queue, one writer writes a group at a time and syncs it once. A thread of its own
//! does that where callers meet; one that comes alone does it itself, which saves waking two threads.

mod compact;
mod frame;
mod index;
mod meta;
mod plan;
mod reader;
mod recent;
mod recover;
mod scan;
mod sealed;
mod segment;
mod writer;

pub(crate) use frame::BLOCK_HEAD;
pub(crate) use recover::raise;

use crate::store::Writer as Mode;
use crate::vault::Vault;
use crate::{Appended, Batch, Extent, LogId, OpenError, StoreError, StoreOptions, Usage};
use index::Index;
use plan::{Request, Work};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use world::{Stage, World};
use writer::Writer;

/// One call may carry so much, and all calls that wait for the writer so much together.
const MAX_CALL_BYTES: usize = 32 << 20;
const MAX_WAITING_BYTES: usize = 64 << 20;
/// A group takes no more calls past this, so that their callers do not wait for long.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_CALLS: usize = 4096;
const MAX_NAME_BYTES: usize = 1024;
/// A group waits so long for calls that are on their way, at most: about what a sync takes.
const GATHER_AT_MOST: Duration = Duration::from_micros(300);

pub(crate) struct Journal {
    world: World,
    options: StoreOptions,
    index: RwLock<Index>,
    vault: Vault,
    inbox: Mutex<Inbox>,
    /// The inbox has something for the writer's thread.
    ready: Condvar,
    /// Bytes that may still wait.
    room: Arc<Semaphore>,
    /// Whoever holds it writes: the writer's thread, or a caller. None once it has finished.
    writer: Mutex<Option<Writer>>,
    flush_planned: AtomicBool,
    stopped: watch::Sender<bool>,
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Request>,
    /// There is something to do although nobody waits.
    nudged: bool,
    /// The writer's thread waits for `ready`: waking it costs a system call, so nobody does who need not.
    asleep: bool,
    /// The calls of the last two groups: about as many as there are callers at a time.
    lately: [usize; 2],
    closing: bool,
    failed: Option<Arc<str>>,
}

impl Inbox {
    fn refusal(&self) -> Option<StoreError> {
        let failed = self.failed.as_ref().map(|why| StoreError::Failed { why: why.clone() });
        failed.or(self.closing.then_some(StoreError::Closed))
    }
}

impl Journal {
    pub(crate) fn open(
        world: &World,
        dir: &Path,
        mut options: StoreOptions,
        vault: Vault,
    ) -> Result<Arc<Journal>, OpenError> {
        // Offsets within a segment are 32 bits wide.
        options.segment_bytes = options.segment_bytes.clamp(4096, 1 << 31).next_multiple_of(frame::ALIGN);
        let lock = recover::lock(&world.disk, dir)?;
        let found = recover::recover(world, dir)?;
        let journal = Arc::new(Journal {
            world: world.clone(),
            options,
            index: RwLock::new(found.index),
            vault,
            inbox: Mutex::default(),
            ready: Condvar::new(),
            room: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
            writer: Mutex::new(None),
            flush_planned: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
            lock: Mutex::new(Some(lock)),
        });
        *journal.writer() = Some(Writer::new(world, &journal, found.tail));
        if options.writer == Mode::Thread {
            let journal = journal.clone();
            drop(world.tasks.thread("journal", move || journal.run()));
        }
        Ok(journal)
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }
    fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().expect("no panic holds this lock")
    }
    fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().expect("no panic holds this lock")
    }
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no panic holds this lock")
    }
    /// Where a panic held it the journal has failed, which the writer looks at first.
    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn create(self: &Arc<Self>, name: &str) -> Result<LogId, StoreError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(StoreError::TooLarge { bytes: name.len(), limit: MAX_NAME_BYTES });
        }
        let (done, result) = oneshot::channel();
        self.ask(Work::Create { name: name.to_owned(), done }, name.len()).await?;
        self.outcome(result).await
    }

    pub(crate) async fn drop_logs(self: &Arc<Self>, logs: Vec<LogId>) -> Result<(), StoreError> {
        let (done, result) = oneshot::channel();
        let bytes = logs.len() * 16;
        self.ask(Work::Drop { logs, done }, bytes).await?;
        self.outcome(result).await
    }

    pub(crate) async fn append(&self, mut batches: Vec<Batch>) -> Result<Vec<Appended>, StoreError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let (done, result) = oneshot::channel();
        let bytes = self.complete(&mut batches)?;
        self.ask(Work::Append { batches, done: Some(done) }, bytes).await?;
        self.outcome(result).await
    }

    /// Queues an append; what is queued later comes after it.
    pub(crate) async fn submit_append(
        &self,
        mut batches: Vec<Batch>,
    ) -> Result<oneshot::Receiver<Result<Vec<Appended>, StoreError>>, StoreError> {
        let (done, result) = oneshot::channel();
        let bytes = self.complete(&mut batches)?;
        self.submit(Work::Append { batches, done: Some(done) }, bytes).await?;
        Ok(result)
    }

    pub(crate) async fn append_lazy(self: &Arc<Self>, mut batches: Vec<Batch>) -> Result<(), StoreError> {
        let bytes = self.complete(&mut batches)?;
        self.submit(Work::Append { batches, done: None }, bytes).await?;
        if self.options.writer == Mode::Inline && !self.flush_planned.swap(true, Ordering::Relaxed) {
            let journal = self.clone();
            self.world.tasks.spawn(Stage::Store, "journal flush", move |_| async move {
                tokio::task::yield_now().await;
                journal.flush_planned.store(false, Ordering::Relaxed);
                journal.lead();
            });
        }
        Ok(())
    }

    /// Readies a call for the writer; the bytes it takes.
    fn complete(&self, batches: &mut [Batch]) -> Result<usize, StoreError> {
        batches.iter_mut().for_each(Batch::end);
        self.vault.seal(batches)?;
        let bytes = batches.iter().map(Batch::bytes).sum();
        if bytes > MAX_CALL_BYTES {
            return Err(StoreError::TooLarge { bytes, limit: MAX_CALL_BYTES });
        }
        batches.iter_mut().for_each(Batch::complete);
        Ok(bytes)
    }

    /// Queues work that the caller will wait for: where nobody else has any, it is done when this returns.
    async fn ask(&self, work: Work, bytes: usize) -> Result<(), StoreError> {
        if self.queue(work, bytes).await? && !self.lead_alone() {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Queues work for the writer, once there is room.
    async fn submit(&self, work: Work, bytes: usize) -> Result<(), StoreError> {
        if self.queue(work, bytes).await? {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Puts work into the queue, once there is room; whether the writer's thread has to be woken for it.
    async fn queue(&self, work: Work, bytes: usize) -> Result<bool, StoreError> {
        let bytes = bytes.max(1);
        let permits = u32::try_from(bytes).expect("a call is far smaller than 4 GiB");
        let permit = self.room.clone().acquire_many_owned(permits).await.map_err(|_| StoreError::Closed)?;
        let mut inbox = self.inbox();
        if let Some(refusal) = inbox.refusal() {
            return Err(refusal);
        }
        inbox.queue.push_back(Request { work, bytes, permit });
        Ok(std::mem::take(&mut inbox.asleep))
    }

    /// Waits for the writer's answer, or without a thread becomes the writer.
    pub(crate) async fn outcome<T>(
        &self,
        mut result: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.options.writer == Mode::Inline {
            // Whoever is awaited first leads; those who come meanwhile are in its group.
            tokio::task::yield_now().await;
            match result.try_recv() {
                Ok(answer) => return answer,
                Err(_) => self.lead(),
            }
        }
        // Who is not answered was dropped with the queue or with the writer.
        result.await.unwrap_or_else(|_| Err(self.inbox().refusal().unwrap_or_else(died)))
    }

    /// Writes all that waits, in this thread.
    fn lead(&self) {
        let mut writer = self.writer();
        let Some(writer) = writer.as_mut() else { return };
        loop {
            let requests = self.take(writer.room());
            if requests.is_empty() {
                return;
            }
            writer.commit(self, requests);
        }
    }

    /// Writes one group in the caller's thread, in place of the writer's thread, which sleeps: two threads less to wake on
    /// the way of who comes alone. Whether that was so.
    fn lead_alone(&self) -> bool {
        let alone = |inbox: &Inbox| inbox.queue.len() == 1 && inbox.lately.iter().all(|calls| *calls <= 1);
        if !alone(&self.inbox()) {
            return false;
        }
        let commit = || {
            let mut writer = self.writer.try_lock().ok()?;
            // Told of while the writer is held: nobody may go on with what a panic left.
            let _death = Death(self);
            let writer = writer.as_mut()?;
            let requests = self.take(writer.room());
            writer.commit(self, requests);
            Some(writer.has_more())
        };
        // Like the writer's thread, who asks outlives a panic here, and is told of it.
        let led = self.world.tasks.in_place(|| catch_unwind(AssertUnwindSafe(commit)).ok().flatten());
        let Some(has_more) = led.flatten() else { return false };
        let mut inbox = self.inbox();
        // What the writer's thread waits for; it looked at the writer before it went to sleep.
        inbox.nudged |= has_more;
        let wake = inbox.nudged || inbox.closing || !inbox.queue.is_empty();
        inbox.asleep = !wake;
        // Who has come meanwhile is not alone.
        !wake
    }

    /// The next group's calls. A group prefers to fit into the `room` that is left in the segment.
    fn take(&self, room: u64) -> Vec<Request> {
        let mut inbox = self.inbox();
        inbox.nudged = false;
        let mut bytes = 0;
        let mut budget = GROUP_BYTES;
        if let Some(first) = inbox.queue.front().filter(|first| first.bytes as u64 <= room) {
            budget = budget.min(room as usize).max(first.bytes);
        }
        let n = inbox.queue.iter().take(GROUP_CALLS).take_while(|request| {
            bytes += request.bytes;
            bytes <= budget
        });
        let n = n.count().max(1).min(inbox.queue.len());
        inbox.lately = [inbox.lately[1], n];
        inbox.queue.drain(..n).collect()
    }

    /// The writer's thread.
    fn run(self: Arc<Self>) {
        let _death = Death(&self);
        loop {
            let has_more = self.writer().as_ref().is_some_and(Writer::has_more);
            let enough = {
                let mut inbox = self.inbox();
                while inbox.queue.is_empty() && !inbox.nudged && !inbox.closing && !has_more {
                    inbox.asleep = true;
                    inbox = self.ready.wait(inbox).expect("no panic holds this lock");
                }
                inbox.asleep = false;
                if inbox.closing && inbox.queue.is_empty() {
                    break;
                }
                inbox.lately.iter().sum::<usize>() / 2
            };
            self.gather(enough);
            let mut writer = self.writer();
            let Some(writer) = writer.as_mut() else { break };
            let requests = self.take(writer.room());
            writer.commit(&self, requests);
        }
        self.finish();
    }

    /// Where cores are short, appenders that are about to ask run first, as long as more and more do, and not for long: a
    /// larger group for the same sync. Where cores are idle, this costs a microsecond or two. Half of the callers are
    /// `enough`: the others get their answers and ask again while this group is written, so that neither the disk waits for
    /// the processors nor these for the disk.
    fn gather(&self, enough: usize) {
        let mut waiting = self.inbox().queue.len();
        if waiting >= enough {
            return;
        }
        let end = self.world.clock.monotonic() + GATHER_AT_MOST;
        loop {
            std::thread::yield_now();
            let now = self.inbox().queue.len();
            if now == waiting || now >= enough.min(GROUP_CALLS) || self.world.clock.monotonic() >= end {
                return;
            }
            waiting = now;
        }
    }

    fn finish(&self) {
        if let Some(mut writer) = self.writer().take() {
            writer.finish(self);
        }
        *self.lock.lock().expect("no panic holds this lock") = None;
        self.stopped.send_replace(true);
    }

    /// Tells the writer to finish; does not wait for it.
    pub(crate) fn stop(&self) {
        self.inbox().closing = true;
        self.ready.notify_one();
    }

    pub(crate) async fn close(&self) {
        self.stop();
        if self.options.writer == Mode::Inline {
            self.lead();
            self.finish();
        }
        // The sender lives as long as the journal.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Nothing is written any more: what is on disk past the last group is unknown.
    fn fail(&self, why: &str) {
        tracing::error!(why, "the journal has stopped");
        self.inbox().failed.get_or_insert_with(|| why.into());
    }

    fn failure(&self) -> Option<StoreError> {
        self.inbox().failed.as_ref().map(|why| StoreError::Failed { why: why.clone() })
    }

    pub(crate) fn find(&self, name: &str) -> Option<LogId> {
        self.read_index().names.get(name).copied().map(LogId)
    }

    pub(crate) fn names(&self, prefix: &str) -> Vec<(String, LogId)> {
        let index = self.read_index();
        let from = index.names.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, id)| (name.to_string(), LogId(*id))).collect()
    }

    pub(crate) fn extent(&self, log: LogId) -> Extent {
        let index = self.read_index();
        index.logs.get(&log.0).map_or_else(Extent::default, |log| Extent {
            first: log.first,
            next: log.next,
            bytes: log.spans.iter().map(|span| span.run.bytes).sum(),
            last_at: log.last_at,
        })
    }

    pub(crate) fn trim(&self, id: LogId, before: u64) -> Result<(), StoreError> {
        let mut index = self.write_index();
        let active = index.active;
        let log = index.logs.get_mut(&id.0).ok_or(StoreError::NoLog(id))?;
        let before = before.min(log.next);
        if before <= log.first {
            return Ok(());
        }
        log.first = before;
        // Worth a group of its own only where a segment may be given up.
        let frees = log.spans.front().is_some_and(|span| span.segment != active && span.run.next <= before);
        index.trims.insert(id.0);
        drop(index);
        if frees {
            self.inbox().nudged = true;
            self.ready.notify_one();
        }
        Ok(())
    }

    pub(crate) fn watch(&self, log: LogId) -> watch::Receiver<u64> {
        let index = self.read_index();
        // Nothing becomes readable while the index is read, so what is made here has the index that follows.
        let sender = |log: &index::Log| log.watch.get_or_init(|| watch::Sender::new(log.next)).subscribe();
        index.logs.get(&log.0).map_or_else(|| watch::Sender::new(0).subscribe(), sender)
    }

    pub(crate) fn usage(&self) -> Usage {
        let index = self.read_index();
        Usage {
            segments: index.segments.len() as u64,
            spares: index.spares,
            bytes: index.spare_bytes + index.segments.values().map(|t| t.segment.size).sum::<u64>(),
            live_bytes: index.segments.values().map(|t| t.live_bytes).sum(),
            logs: index.logs.len() as u64,
        }
    }
}

/// Held by who writes. Where that panics, nothing is written any more, and whoever waits is told so: an appender
/// must not hang, and the next one must not be taken.
struct Death<'a>(&'a Journal);

impl Drop for Death<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let StoreError::Failed { why } = died() else { return };
            self.0.fail(&why);
            let waiting = std::mem::take(&mut self.0.inbox().queue);
            waiting.into_iter().for_each(|request| request.refuse(&died()));
            // Whoever is told that it has stopped may open the directory again.
            *self.0.lock.lock().expect("no panic holds this lock") = None;
            self.0.stopped.send_replace(true);
        }
    }
}

fn died() -> StoreError {
    StoreError::Failed { why: "the thread that writes it panicked".into() }
}
