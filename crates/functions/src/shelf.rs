//! Unpacked code: where it lies, who uses it, and when it goes.

use crate::code::{self, CodeError, Package};
use crate::state::State;
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use store::Catalog;
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock};
use world::{Stage, World};

/// The directory of all unpacked code.
pub(crate) struct Shelf {
    dir: PathBuf,
    leases: Mutex<BTreeMap<String, Weak<Lease>>>,
    /// Read by who unpacks, written by who sweeps: what is not in the catalog yet is not swept.
    unpacking: Arc<RwLock<()>>,
    freed: Arc<Notify>,
}

/// Held by every process that runs a piece of code, and by who is about to start one.
pub(crate) struct Lease(Arc<Notify>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A package that was unpacked. It stays while this is held; after that, while the catalog knows it or a process runs it.
pub(crate) struct Unpacked {
    pub(crate) sha256_base64: String,
    /// Its directory's name below the code directory.
    pub(crate) id: String,
    _held: OwnedRwLockReadGuard<()>,
}

impl Shelf {
    pub(crate) fn new(dir: PathBuf) -> Shelf {
        Shelf { dir, leases: Mutex::default(), unpacking: Arc::default(), freed: Arc::default() }
    }

    /// Unpacks a package under its hash.
    pub(crate) async fn unpack(&self, zip: Bytes) -> Result<Unpacked, CodeError> {
        let held = self.unpacking.clone().read_owned().await;
        let dir = self.dir.clone();
        let work = move || {
            let package = Package::check(zip)?;
            let place = package.unpack(&dir)?;
            let id = place.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok(Unpacked { sha256_base64: package.code_sha256(), id, _held: held })
        };
        // A panic of the unpacking thread is a bug; it must not look like a bad package.
        tokio::task::spawn_blocking(work).await.expect("unpacking does not panic")
    }

    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Keeps a piece of code where it is while the lease is held.
    pub(crate) fn lease(&self, id: &str) -> Arc<Lease> {
        let mut leases = self.leases.lock().expect("no panic holds this lock");
        if let Some(lease) = leases.get(id).and_then(Weak::upgrade) {
            return lease;
        }
        let lease = Arc::new(Lease(self.freed.clone()));
        leases.insert(id.to_owned(), Arc::downgrade(&lease));
        lease
    }

    /// Some code may no longer be needed.
    pub(crate) fn look(&self) {
        self.freed.notify_one();
    }

    /// Frees the disk of code that nothing uses any more. Where that fails, it is only disk that is lost.
    pub(crate) async fn sweep(&self, catalog: &Catalog<State>) {
        let _alone = self.unpacking.write().await;
        let mut used: HashSet<String> =
            catalog.read(|state| state.all_versions().map(|function| function.code_id.clone()).collect());
        {
            let mut leases = self.leases.lock().expect("no panic holds this lock");
            leases.retain(|_, lease| lease.strong_count() > 0);
            used.extend(leases.keys().cloned());
        }
        let dir = self.dir.clone();
        let swept = tokio::task::spawn_blocking(move || code::sweep(&dir, &used)).await;
        if let Err(error) = swept.expect("sweeping does not panic") {
            tracing::warn!(%error, "code that no function uses could not be removed");
        }
    }

    /// Sweeps whenever something may have become free.
    pub(crate) fn start(self: &Arc<Self>, world: &World, catalog: &Arc<Catalog<State>>) {
        let (shelf, catalog) = (self.clone(), catalog.clone());
        world.tasks.spawn(Stage::Delivery, "functions' code", move |mut stop| async move {
            loop {
                tokio::select! {
                    biased;
                    () = stop.wait() => return,
                    () = shelf.freed.notified() => shelf.sweep(&catalog).await,
                }
            }
        });
    }
}
