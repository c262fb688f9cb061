use crate::{Batch, LogId, ReadLimit, Store, StoreError};
use bytes::BufMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, RwLock};
use tokio::sync::{Mutex, oneshot};
use world::Stage;

/// Control-plane state that lives in memory and is changed only by changes in a log.
pub trait State: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// One change. Its JSON is what is kept, so fields may be added with defaults, and not renamed.
    type Change: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Takes one change over. Pure: the same changes make the same state, now and after a restart.
    fn apply(&mut self, change: &Self::Change);
}

/// A [`State`] with its log: a snapshot, and the changes since. Shared by `Arc`.
pub struct Catalog<S: State> {
    store: Store,
    log: LogId,
    /// Durable changes only.
    state: Arc<RwLock<S>>,
    /// One change at a time.
    turn: Arc<Mutex<Growth>>,
}

/// How much a restart would replay.
#[derive(Default)]
struct Growth {
    snapshot_bytes: usize,
    change_bytes: usize,
}

/// First byte of a record: a change.
const CHANGE: u8 = b'C';
/// A piece of a snapshot that the next record goes on with.
const PART: u8 = b'P';
/// The last piece of a snapshot: what was before it in the log no longer counts.
const SNAPSHOT: u8 = b'S';

const PART_BYTES: usize = 4 << 20;
/// Below this, changes are not worth a snapshot.
const SNAPSHOT_AFTER_BYTES: usize = 256 << 10;

impl<S: State> Catalog<S> {
    /// Opens the catalog of this name, empty where there is none yet.
    pub async fn open(store: &Store, name: &str) -> Result<Arc<Catalog<S>>, StoreError> {
        let log = store.log(name).await?;
        let (state, growth) = replay(store, log)?;
        let state = Arc::new(RwLock::new(state));
        Ok(Arc::new(Catalog { store: store.clone(), log, state, turn: Arc::new(Mutex::new(growth)) }))
    }

    /// Looks at the state. It holds durable changes only.
    pub fn read<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.state.read().expect("no panic holds this lock"))
    }

    /// Changes the state: `decide` sees the latest state and says what changes; the changes are made durable, applied,
    /// and its answer returned. One at a time. All changes of one decision survive a crash, or none.
    /// Once `decide` has decided, dropping the future does not undo the decision.
    pub async fn change<T, E: From<StoreError>>(
        &self,
        decide: impl FnOnce(&S) -> Result<(Vec<S::Change>, T), E>,
    ) -> Result<T, E> {
        let mut growth = self.turn.clone().lock_owned().await;
        let (changes, answer) = self.read(decide)?;
        if changes.is_empty() {
            return Ok(answer);
        }
        let mut batch = Batch::new(self.log);
        for change in &changes {
            batch.push_with(256, |out| write_json(out, CHANGE, change));
        }
        let (done, result) = oneshot::channel();
        let (store, log, state) = (self.store.clone(), self.log, self.state.clone());
        // A task of its own, so that a caller that gives up between append and apply does not leave the two apart.
        self.store.world().tasks.spawn(Stage::Store, "catalog change", move |_| async move {
            growth.change_bytes += batch.bytes();
            let appended = store.append(vec![batch]).await.map(|_| ());
            if appended.is_ok() {
                {
                    let mut state = state.write().expect("no panic holds this lock");
                    changes.iter().for_each(|change| state.apply(change));
                }
                if growth.change_bytes > SNAPSHOT_AFTER_BYTES.max(2 * growth.snapshot_bytes) {
                    snapshot(&store, log, &state, &mut growth).await;
                }
            }
            drop(growth);
            // The caller may be gone.
            let _ = done.send(appended);
        });
        result.await.map_err(|_| StoreError::Closed)??;
        Ok(answer)
    }
}

fn write_json(out: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    out.put_u8(kind);
    serde_json::to_writer(out.writer(), value).expect("a catalog's state has only keys that JSON can carry");
}

/// Replaces the changes so far by the state they make. A failure only means that the next restart replays more.
async fn snapshot<S: State>(store: &Store, log: LogId, state: &RwLock<S>, growth: &mut Growth) {
    let json = serde_json::to_vec(&*state.read().expect("no panic holds this lock"))
        .expect("a catalog's state has only keys that JSON can carry");
    let parts = json.len().div_ceil(PART_BYTES);
    let mut before = 0;
    for (i, part) in json.chunks(PART_BYTES).enumerate() {
        let mut batch = Batch::with_capacity(log, part.len() + 8);
        batch.push_with(part.len() + 1, |out| {
            out.put_u8(if i + 1 == parts { SNAPSHOT } else { PART });
            out.extend_from_slice(part);
        });
        match store.append(vec![batch]).await {
            Ok(appended) if i == 0 => before = appended[0].first,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "a catalog could not be snapshot"),
        }
    }
    *growth = Growth { snapshot_bytes: json.len(), change_bytes: 0 };
    if let Err(error) = store.trim(log, before) {
        tracing::warn!(%error, "a catalog's old changes could not be forgotten");
    }
}

fn replay<S: State>(store: &Store, log: LogId) -> Result<(S, Growth), StoreError> {
    let broken = |index: u64, why: String| StoreError::corrupt(format!("catalog {log:?}, record {index}: {why}"));
    let (mut state, mut growth) = (S::default(), Growth::default());
    let mut parts = Vec::new();
    let mut from = 0;
    loop {
        let records = store.read(log, from, ReadLimit { records: 10_000, bytes: 1 << 20 })?;
        let Some(last) = records.last() else { return Ok((state, growth)) };
        from = last.index + 1;
        for record in &records {
            let (kind, json) = record.data.split_first().ok_or_else(|| broken(record.index, "it is empty".into()))?;
            match *kind {
                CHANGE => {
                    // A snapshot that a crash cut short.
                    parts.clear();
                    let change = serde_json::from_slice(json).map_err(|e| broken(record.index, e.to_string()))?;
                    state.apply(&change);
                    growth.change_bytes += json.len();
                }
                PART => parts.extend_from_slice(json),
                SNAPSHOT => {
                    parts.extend_from_slice(json);
                    state = serde_json::from_slice(&parts).map_err(|e| broken(record.index, e.to_string()))?;
                    growth = Growth { snapshot_bytes: parts.len(), change_bytes: 0 };
                    parts.clear();
                }
                other => return Err(broken(record.index, format!("unknown kind {other}"))),
            }
        }
    }
}
