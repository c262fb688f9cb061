//! The data keys of a store: each wrapped under the master key, in a log of their own.

use crate::batch::Batch;
use crate::cipher::{self, DataKey, MasterKey, SECRET};
use crate::{LogId, OpenError, StoreError};
use bytes::{Buf, BufMut, Bytes};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use world::Entropy;

/// The log that holds them.
pub(crate) const LOG: &str = "store/keys";

/// First byte of a record: a data key.
const KEY: u8 = 1;
/// A data key that is gone.
const DROPPED: u8 = 2;
/// The number of the next key: what was before it in the log is repeated after it, as far as it still counts.
const FRESH: u8 = 3;

/// A data key's number: never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// The master key, and the one before it where that was changed.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    /// What data keys are wrapped under from now on.
    pub current: MasterKey,
    /// What some may still be wrapped under: they are wrapped anew when the store is opened.
    pub previous: Option<MasterKey>,
}

/// The keys in memory.
pub(crate) struct Vault {
    entropy: Arc<dyn Entropy>,
    masters: Option<MasterKeys>,
    /// Random bytes of this life of the program.
    life: [u8; 16],
    keys: RwLock<Keys>,
    /// One change at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    next: u32,
    held: BTreeMap<u32, Held>,
}

struct Held {
    label: String,
    secret: [u8; SECRET],
    key: Arc<DataKey>,
}

/// A wrapped key as the log has it.
struct Wrapped {
    master: [u8; 8],
    nonce: [u8; 12],
    secret: Vec<u8>,
    label: String,
}

impl Vault {
    pub(crate) fn new(entropy: &Arc<dyn Entropy>, masters: Option<MasterKeys>) -> Vault {
        let mut life = [0; 16];
        entropy.fill(&mut life);
        Vault { entropy: entropy.clone(), masters, life, keys: RwLock::default(), turn: tokio::sync::Mutex::new(()) }
    }

    /// Takes the keys over that its log holds. Whether some must be wrapped anew, under another master key.
    pub(crate) fn load(&self, records: &[Bytes]) -> Result<bool, OpenError> {
        let (mut next, mut wrapped) = (0, BTreeMap::new());
        for record in records {
            replay(&mut next, &mut wrapped, record)
                .ok_or(OpenError::Keys { why: "a record of them is not readable" })?;
        }
        let mut keys = Keys { next, held: BTreeMap::new() };
        let mut stale = false;
        for (number, wrapped) in wrapped {
            let masters = self.masters.as_ref().ok_or(OpenError::NoMasterKey)?;
            let master = std::iter::once(&masters.current).chain(&masters.previous).find(|m| m.id() == wrapped.master);
            let master = master.ok_or(OpenError::WrongMasterKey)?;
            stale |= master.id() != masters.current.id();
            let secret = master
                .unwrap(wrapped.nonce, number, &wrapped.label, &wrapped.secret)
                .ok_or(OpenError::Keys { why: "a data key does not open under its master key" })?;
            keys.held.insert(number, self.held(number, wrapped.label, secret));
        }
        *self.keys.write().expect("no panic holds this lock") = keys;
        Ok(stale)
    }

    fn held(&self, number: u32, label: String, secret: [u8; SECRET]) -> Held {
        Held { label, secret, key: Arc::new(DataKey::new(number, &secret, self.life)) }
    }

    fn keys(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.keys.read().expect("no panic holds this lock")
    }

    pub(crate) fn find(&self, number: u32) -> Option<Arc<DataKey>> {
        self.keys().held.get(&number).map(|held| held.key.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.keys().held.len()
    }

    pub(crate) fn can_make(&self) -> bool {
        self.masters.is_some()
    }

    /// Encrypts the batches that ask for it.
    pub(crate) fn seal(&self, batches: &mut [Batch]) -> Result<(), StoreError> {
        for batch in batches {
            if let Some(key) = batch.key() {
                let data_key = self.find(key.0).ok_or(StoreError::NoKey(key))?;
                batch.seal(&data_key);
            }
        }
        Ok(())
    }

    /// Decrypts a block's body.
    pub(crate) fn open(&self, log: u64, body: &[u8]) -> Result<Bytes, StoreError> {
        cipher::open(log, body, |number| self.find(number))
    }

    /// A new data key: its number, what it is, and the batch that makes it durable.
    pub(crate) fn make(&self, log: LogId, label: &str) -> Result<(KeyId, Made, Batch), StoreError> {
        let masters = self.masters.as_ref().ok_or(StoreError::NoMasterKey)?;
        let number = self.keys().next;
        let mut secret = [0; SECRET];
        self.entropy.fill(&mut secret);
        let mut batch = Batch::new(log);
        self.push_key(&mut batch, &masters.current, number, label, &secret);
        Ok((KeyId(number), Made(self.held(number, label.to_owned(), secret)), batch))
    }

    /// A key that was made is durable.
    pub(crate) fn hold(&self, id: KeyId, Made(held): Made) {
        let mut keys = self.keys.write().expect("no panic holds this lock");
        keys.next = id.0 + 1;
        keys.held.insert(id.0, held);
    }

    /// The keys with a label, and the batch that forgets them.
    pub(crate) fn labelled(&self, log: LogId, label: &str) -> (Vec<KeyId>, Batch) {
        let mut batch = Batch::new(log);
        let keys = self.keys();
        let ids: Vec<_> = keys.held.iter().filter(|(_, held)| held.label == label).map(|(id, _)| KeyId(*id)).collect();
        for id in &ids {
            batch.push_with(5, |out| {
                out.put_u8(DROPPED);
                out.put_u32_le(id.0);
            });
        }
        (ids, batch)
    }

    /// Keys are durably forgotten.
    pub(crate) fn drop_keys(&self, ids: &[KeyId]) {
        self.keys.write().expect("no panic holds this lock").held.retain(|id, _| !ids.contains(&KeyId(*id)));
    }

    /// All keys, wrapped under the current master key: what replaces the log's records so far. `None` where there is no
    /// master key, and so no keys.
    pub(crate) fn fresh(&self, log: LogId) -> Option<Batch> {
        let master = &self.masters.as_ref()?.current;
        let mut batch = Batch::new(log);
        let keys = self.keys();
        batch.push_with(5, |out| {
            out.put_u8(FRESH);
            out.put_u32_le(keys.next);
        });
        for (number, held) in &keys.held {
            self.push_key(&mut batch, master, *number, &held.label, &held.secret);
        }
        Some(batch)
    }

    fn push_key(&self, batch: &mut Batch, master: &MasterKey, number: u32, label: &str, secret: &[u8; SECRET]) {
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce);
        let wrapped = master.wrap(nonce, number, label, secret);
        batch.push_with(80 + label.len(), |out| {
            out.put_u8(KEY);
            out.put_u32_le(number);
            out.put_slice(&master.id());
            out.put_slice(&nonce);
            out.put_slice(&wrapped);
            out.put_slice(label.as_bytes());
        });
    }
}

/// A data key that is not durable yet.
pub(crate) struct Made(Held);

fn replay(next: &mut u32, keys: &mut BTreeMap<u32, Wrapped>, mut record: &[u8]) -> Option<()> {
    let kind = record.try_get_u8().ok()?;
    let number = record.try_get_u32_le().ok()?;
    match kind {
        KEY => {
            let (master, rest) = record.split_first_chunk()?;
            let (nonce, rest) = rest.split_first_chunk()?;
            let (secret, label) = rest.split_at_checked(SECRET + 16)?;
            let label = String::from_utf8(label.to_vec()).ok()?;
            keys.insert(number, Wrapped { master: *master, nonce: *nonce, secret: secret.to_vec(), label });
            *next = (*next).max(number.checked_add(1)?);
        }
        DROPPED => drop(keys.remove(&number)),
        FRESH => {
            keys.clear();
            *next = number;
        }
        _ => return None,
    }
    Some(())
}
