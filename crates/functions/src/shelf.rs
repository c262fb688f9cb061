//! Unpacked code: where it lies, who uses it, and when it goes.

use crate::code::{self, CodeError, Package};
use crate::layers;
use crate::state::State;
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// While this is held nothing is swept: what is unpacked and not yet in the catalog stays. Whoever holds one must not ask
/// for another, which waits for a sweep that waits for the first.
#[derive(Clone)]
pub(crate) struct Held {
    _guard: Arc<OwnedRwLockReadGuard<()>>,
}

/// A package that was unpacked.
pub(crate) struct Unpacked {
    pub(crate) sha256_base64: String,
    /// Its directory's name below the code directory.
    pub(crate) id: String,
}

/// The merged layers of a function.
pub(crate) struct Merged {
    /// The directory's name below the code directory; none where there are no layers.
    pub(crate) id: Option<String>,
    /// Bytes of it and the function's own code.
    pub(crate) bytes: u64,
}

/// Merges begun, so that no two share a temporary directory.
static MERGES: AtomicU64 = AtomicU64::new(0);

impl Shelf {
    pub(crate) fn new(dir: PathBuf) -> Shelf {
        Shelf { dir, leases: Mutex::default(), unpacking: Arc::default(), freed: Arc::default() }
    }

    /// Keeps everything where it is.
    pub(crate) async fn hold(&self) -> Held {
        Held { _guard: Arc::new(self.unpacking.clone().read_owned().await) }
    }

    /// Unpacks a package under its hash.
    pub(crate) async fn unpack(&self, held: &Held, zip: Bytes) -> Result<Unpacked, CodeError> {
        let (dir, held) = (self.dir.clone(), held.clone());
        let work = move || {
            let _held = held;
            let package = Package::check(zip)?;
            let place = package.unpack(&dir)?;
            let id = place.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok(Unpacked { sha256_base64: package.code_sha256(), id })
        };
        // A panic of the unpacking thread is a bug; it must not look like a bad package.
        tokio::task::spawn_blocking(work).await.expect("unpacking does not panic")
    }

    /// Merges unpacked packages into one directory, and tells its name and how many bytes it and `more` hold.
    pub(crate) async fn merge(&self, held: &Held, ids: Vec<String>, more: &str) -> io::Result<Merged> {
        let held = held.clone();
        let turn = MERGES.fetch_add(1, Ordering::Relaxed);
        let (dir, more) = (self.dir.clone(), self.dir.join(more));
        let work = move || {
            let _held = held;
            if ids.is_empty() {
                return Ok(Merged { id: None, bytes: layers::size(&more)? });
            }
            let id = layers::name(&ids);
            let parts: Vec<PathBuf> = ids.iter().map(|id| dir.join(id)).collect();
            layers::merge(&parts, &dir.join(&id), &dir.join(format!(".{id}.{turn}.tmp")))?;
            Ok(Merged { bytes: layers::size(&dir.join(&id))? + layers::size(&more)?, id: Some(id) })
        };
        tokio::task::spawn_blocking(work).await.expect("merging does not panic")
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
        let mut used: HashSet<String> = catalog.read(|state| state.code_in_use().cloned().collect());
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
