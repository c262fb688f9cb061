use crate::journal::Journal;
use crate::vault::{self, Vault};
use crate::{
    Appended, Batch, Blobs, Extent, KeyId, LogId, MasterKeys, OpenError, ReadLimit, Record, Shown, StoreError,
    Timestamp, Usage,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use world::World;

/// Records of the keys' log that may say nothing any more before they are taken together.
const KEYS_SLACK: usize = 64;

/// One data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    journal: Arc<Journal>,
    blobs: Blobs,
    world: World,
}

/// How a store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The size of a journal segment. A single call larger than that gets a segment of its own.
    pub segment_bytes: u64,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Who writes.
    pub writer: Writer,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { segment_bytes: 64 << 20, durability: Durability::Fsync, writer: Writer::Thread }
    }
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk: survives a power loss.
    Fsync,
    /// With the operating system: survives the death of the process, not of the machine.
    Os,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A thread of its own.
    Thread,
    /// The first appender that is awaited leads the group. No thread at all: for simulation.
    Inline,
}

impl Store {
    /// Opens a data directory (created where it does not exist), takes its lock and recovers what it holds.
    pub async fn open(world: &World, dir: &Path, options: StoreOptions) -> Result<Store, OpenError> {
        Store::open_with_keys(world, dir, options, None).await
    }

    /// Opens a data directory whose records may be encrypted, or are to be. Data keys that are wrapped under the previous
    /// master key are wrapped anew.
    pub async fn open_with_keys(
        world: &World,
        dir: &Path,
        options: StoreOptions,
        masters: Option<MasterKeys>,
    ) -> Result<Store, OpenError> {
        let journal = Journal::open(world, dir, options, Vault::new(&world.entropy, masters))?;
        let blobs = Blobs::open(world, &dir.join("blobs"))?;
        let store = Store(Arc::new(Inner { journal, blobs, world: world.clone() }));
        store.load_keys().await?;
        crate::journal::raise(world, dir);
        Ok(store)
    }

    /// The id of the log with this name; created, durably, where there is none.
    pub async fn log(&self, name: &str) -> Result<LogId, StoreError> {
        match self.find_log(name) {
            Some(log) => Ok(log),
            None => self.0.journal.create(name).await,
        }
    }

    /// The id of the log with this name.
    pub fn find_log(&self, name: &str) -> Option<LogId> {
        self.0.journal.find(name)
    }

    /// The logs whose names start with `prefix`, in the order of their names.
    pub fn logs(&self, prefix: &str) -> Vec<(String, LogId)> {
        self.0.journal.names(prefix)
    }

    /// Forgets a log, its name and all its records, durably.
    pub async fn drop_log(&self, log: LogId) -> Result<(), StoreError> {
        self.drop_logs(vec![log]).await
    }

    /// Forgets several logs at once: after a crash all are there or none. Logs that are not there are no error.
    pub async fn drop_logs(&self, logs: Vec<LogId>) -> Result<(), StoreError> {
        self.0.journal.drop_logs(logs).await
    }

    async fn load_keys(&self) -> Result<(), OpenError> {
        let Some(log) = self.find_log(vault::LOG) else { return Ok(()) };
        let (mut records, mut from) = (Vec::new(), 0);
        while let page = self.read(log, from, ReadLimit { records: 1000, bytes: 1 << 20 })?
            && let Some(last) = page.last()
        {
            from = last.index + 1;
            records.extend(page.into_iter().map(|record| record.data));
        }
        let vault = self.0.journal.vault();
        let stale = vault.load(&records)?;
        // Half of them say nothing any more.
        let long = records.len() > 2 * vault.len() + KEYS_SLACK;
        if let Some(fresh) = (stale || long).then(|| vault.fresh(log)).flatten() {
            let appended = self.append(vec![fresh]).await?;
            self.trim(log, appended[0].first)?;
            if stale {
                tracing::info!(keys = vault.len(), "the data keys are wrapped under the new master key");
            }
        }
        Ok(())
    }

    /// Whether there is a master key, so that [`Store::make_key`] works.
    pub fn can_seal(&self) -> bool {
        self.0.journal.vault().can_make()
    }

    /// Makes a data key for [`Batch::seal_under`], durably. `label` says whose it is.
    pub async fn make_key(&self, label: &str) -> Result<KeyId, StoreError> {
        let vault = self.0.journal.vault();
        if !vault.can_make() {
            return Err(StoreError::NoMasterKey);
        }
        let _turn = vault.turn.lock().await;
        let log = self.log(vault::LOG).await?;
        let (id, made, batch) = vault.make(log, label)?;
        self.append(vec![batch]).await?;
        vault.hold(id, made);
        Ok(id)
    }

    /// Forgets the data keys with this label, durably. What is encrypted under them can no longer be read by anybody.
    pub async fn drop_keys(&self, label: &str) -> Result<(), StoreError> {
        let vault = self.0.journal.vault();
        let Some(log) = self.find_log(vault::LOG) else { return Ok(()) };
        let _turn = vault.turn.lock().await;
        let (ids, batch) = vault.labelled(log, label);
        if !ids.is_empty() {
            self.append(vec![batch]).await?;
            vault.drop_keys(&ids);
        }
        Ok(())
    }

    /// Appends; durable when it returns. After a crash either all batches of the call are there or none.
    /// A future dropped before it resolves may or may not have appended.
    pub async fn append(&self, batches: Vec<Batch>) -> Result<Vec<Appended>, StoreError> {
        self.0.journal.append(batches).await
    }

    /// Begins to append: when it returns, what is submitted later comes after. [`Submitted::durable`] waits for the rest.
    /// It is appended though nobody waits.
    pub async fn submit(&self, batches: Vec<Batch>) -> Result<Submitted, StoreError> {
        let result = self.0.journal.submit_append(batches).await?;
        Ok(Submitted { journal: self.0.journal.clone(), result })
    }

    /// Appends in the order of the caller's other calls, but returns once the batches are taken into the next group:
    /// a crash may lose them, as a whole.
    pub async fn append_lazy(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        self.0.journal.append_lazy(batches).await
    }

    /// The records from index `from` on; where one cannot be read, those before it. An error where that is the first.
    /// Blocks on the disk for what is not in the page cache.
    pub fn read(&self, log: LogId, from: u64, limit: ReadLimit) -> Result<Vec<Record>, StoreError> {
        self.0.journal.read(log, from, limit)
    }

    /// The same, but shows the records one after another instead of keeping them: for those who make something else of each
    /// at once. After an error none has been shown.
    pub fn read_each(
        &self,
        log: LogId,
        from: u64,
        limit: ReadLimit,
        mut show: impl FnMut(Shown<'_>),
    ) -> Result<(), StoreError> {
        self.0.journal.show(log, from, limit, &mut show)
    }

    /// As [`Store::read`], but steps over what is damaged, and tells of it: of its indexes, and why. What the disk does not
    /// give is an error, for it may do so later.
    pub fn read_over(
        &self,
        log: LogId,
        from: u64,
        limit: ReadLimit,
        lost: impl FnOnce(Range<u64>, &StoreError),
    ) -> Result<Vec<Record>, StoreError> {
        let error = match self.read(log, from, limit) {
            Err(error @ StoreError::Corrupt { .. }) => error,
            read => return read,
        };
        let next = self.0.journal.next_undamaged(log, from)?;
        if next > from {
            lost(from..next, &error);
        }
        self.read(log, next, limit)
    }

    /// What a log holds; all zero for one that does not exist.
    pub fn extent(&self, log: LogId) -> Extent {
        self.0.journal.extent(log)
    }

    /// The index of the first readable record whose time is `at` or later; the next index where there is none.
    pub fn find_time(&self, log: LogId, at: Timestamp) -> u64 {
        self.0.journal.find_time(log, at)
    }

    /// Records below `before` are no longer readable, and forgotten for good with one of the next groups.
    pub fn trim(&self, log: LogId, before: u64) -> Result<(), StoreError> {
        self.0.journal.trim(log, before)
    }

    /// The next index, as it changes when records become readable. Closed when the log is dropped.
    pub fn watch(&self, log: LogId) -> watch::Receiver<u64> {
        self.0.journal.watch(log)
    }

    /// Files by content.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// What the journal takes on disk.
    pub fn usage(&self) -> Usage {
        self.0.journal.usage()
    }

    /// Writes what was taken, stops the writer and gives the directory's lock back. Later appends fail.
    pub async fn close(&self) {
        self.0.journal.close().await;
    }

    pub(crate) fn world(&self) -> &World {
        &self.0.world
    }
}

/// An append on its way: its place among all others is settled.
#[must_use]
pub struct Submitted {
    journal: Arc<Journal>,
    result: oneshot::Receiver<Result<Vec<Appended>, StoreError>>,
}

impl Submitted {
    /// Waits until it is durable. Where each batch went, in their order.
    pub async fn durable(self) -> Result<Vec<Appended>, StoreError> {
        self.journal.outcome(self.result).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.journal.stop();
    }
}
