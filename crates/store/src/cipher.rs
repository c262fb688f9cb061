//! Sealed bytes: how a log's framed records are encrypted, and how the keys for that are. Pure, but for one counter a key.
//!
//! A nonce must never be used twice under one key, also not when a group is torn off and written anew, or the disk is set
//! back to an older copy. So no key is used across two lives of the program: each derives its own from the data key and
//! random bytes of its own, which every piece names, and counts pieces under that.

use crate::StoreError;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Bytes of a data key and of a master key.
pub(crate) const SECRET: usize = 32;
const LIFE: usize = 16;
const TAG: usize = 16;
/// Length, key number, life and counter before a piece's ciphertext.
const HEAD: usize = 4 + 4 + LIFE + 8;
/// Bytes that sealing adds to a piece.
pub(crate) const OVERHEAD: usize = HEAD + TAG;

/// Keys of former lives that are kept ready for reading.
const LIVES: usize = 1024;

/// A key that other keys are wrapped under. Whoever has the disk and not this has nothing.
#[derive(Clone)]
pub struct MasterKey {
    wrapping: Arc<LessSafeKey>,
    id: [u8; 8],
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey {:016x}", u64::from_be_bytes(self.id))
    }
}

impl MasterKey {
    /// From secret bytes, which must be random.
    pub fn new(secret: &[u8; SECRET]) -> MasterKey {
        let prk = Salt::new(HKDF_SHA256, b"headwater master key").extract(secret);
        let id = derive(&prk, &[b"id"]);
        MasterKey { wrapping: Arc::new(key(&prk, &[b"wrap"])), id: id[..8].try_into().expect("eight bytes") }
    }

    /// What tells it from other master keys, and tells nothing else.
    pub(crate) fn id(&self) -> [u8; 8] {
        self.id
    }

    /// Wraps a data key; `label` is bound to it.
    pub(crate) fn wrap(&self, nonce: [u8; NONCE_LEN], number: u32, label: &str, secret: &[u8; SECRET]) -> Vec<u8> {
        let mut wrapped = secret.to_vec();
        let sealed = self.wrapping.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound(number, label)),
            &mut wrapped,
        );
        sealed.expect("32 bytes are not too many to seal");
        wrapped
    }

    pub(crate) fn unwrap(
        &self,
        nonce: [u8; NONCE_LEN],
        number: u32,
        label: &str,
        wrapped: &[u8],
    ) -> Option<[u8; SECRET]> {
        let mut bytes = wrapped.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let secret = self.wrapping.open_in_place(nonce, Aad::from(bound(number, label)), &mut bytes).ok()?;
        <[u8; SECRET]>::try_from(&*secret).ok()
    }
}

fn bound(number: u32, label: &str) -> Vec<u8> {
    [&number.to_le_bytes(), label.as_bytes()].concat()
}

/// A data key, as this life of the program uses it.
pub(crate) struct DataKey {
    number: u32,
    prk: Prk,
    life: [u8; LIFE],
    sealing: LessSafeKey,
    pieces: AtomicU64,
    opening: Mutex<BTreeMap<[u8; LIFE], Arc<LessSafeKey>>>,
}

impl DataKey {
    pub(crate) fn new(number: u32, secret: &[u8; SECRET], life: [u8; LIFE]) -> DataKey {
        let prk = Salt::new(HKDF_SHA256, b"headwater data key").extract(secret);
        let sealing = key(&prk, &[b"life", &life]);
        DataKey { number, prk, life, sealing, pieces: AtomicU64::new(0), opening: Mutex::default() }
    }

    /// Appends a sealed piece of a log to `out`.
    pub(crate) fn seal(&self, log: u64, plain: &[u8], out: &mut Vec<u8>) {
        let piece = self.pieces.fetch_add(1, Ordering::Relaxed);
        out.reserve(plain.len() + OVERHEAD);
        let rest = u32::try_from(plain.len() + OVERHEAD - 4).expect("a piece is far smaller than 4 GiB");
        out.put_u32_le(rest);
        out.put_u32_le(self.number);
        out.put_slice(&self.life);
        out.put_u64_le(piece);
        let start = out.len();
        out.put_slice(plain);
        let aad = Aad::from(log.to_le_bytes());
        let tag = self.sealing.seal_in_place_separate_tag(nonce(piece), aad, &mut out[start..]);
        out.put_slice(tag.expect("a piece is not too long to seal").as_ref());
    }

    fn opening(&self, life: [u8; LIFE]) -> Arc<LessSafeKey> {
        let mut opening = self.opening.lock().expect("no panic holds this lock");
        if opening.len() >= LIVES {
            opening.clear();
        }
        opening.entry(life).or_insert_with(|| Arc::new(key(&self.prk, &[b"life", &life]))).clone()
    }
}

/// Opens the sealed pieces that a block's body consists of: the framed records in them. `find` knows the data keys.
pub(crate) fn open(
    log: u64,
    mut body: &[u8],
    mut find: impl FnMut(u32) -> Option<Arc<DataKey>>,
) -> Result<Bytes, StoreError> {
    let mut out = BytesMut::with_capacity(body.len());
    while !body.is_empty() {
        let torn = || StoreError::corrupt("a sealed piece is cut");
        let rest = body.try_get_u32_le().map_err(|_| torn())? as usize;
        if rest < OVERHEAD - 4 || rest > body.len() {
            return Err(torn());
        }
        let (mut piece, behind) = body.split_at(rest);
        body = behind;
        let number = piece.get_u32_le();
        let mut life = [0; LIFE];
        piece.copy_to_slice(&mut life);
        let count = piece.get_u64_le();
        let key = find(number)
            .ok_or_else(|| StoreError::corrupt(format!("a piece is sealed under key {number}, which is gone")))?;
        let start = out.len();
        out.extend_from_slice(piece);
        let aad = Aad::from(log.to_le_bytes());
        let opened = key.opening(life).open_in_place(nonce(count), aad, &mut out[start..]).map(|plain| plain.len());
        let len = opened.map_err(|_| StoreError::corrupt(format!("a piece does not open under its key {number}")))?;
        out.truncate(start + len);
    }
    Ok(out.freeze())
}

fn nonce(count: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&count.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn key(prk: &Prk, info: &[&[u8]]) -> LessSafeKey {
    let okm = prk.expand(info, &AES_256_GCM).expect("32 bytes are not too many to derive");
    LessSafeKey::new(UnboundKey::from(okm))
}

fn derive(prk: &Prk, info: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    let okm = prk.expand(info, HKDF_SHA256).expect("32 bytes are not too many to derive");
    okm.fill(&mut out).expect("the length that was asked for");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data_key(number: u32, life: u8) -> Arc<DataKey> {
        Arc::new(DataKey::new(number, &[7; SECRET], [life; LIFE]))
    }

    #[test]
    fn a_data_key_comes_back_only_under_its_master_and_label() {
        let master = MasterKey::new(&[1; SECRET]);
        let wrapped = master.wrap([3; 12], 5, "a", &[9; SECRET]);
        assert!(!wrapped.windows(4).any(|w| w == [9; 4]));
        assert_eq!(master.unwrap([3; 12], 5, "a", &wrapped), Some([9; SECRET]));
        assert_eq!(master.unwrap([3; 12], 5, "b", &wrapped), None);
        assert_eq!(master.unwrap([3; 12], 6, "a", &wrapped), None);
        assert_eq!(MasterKey::new(&[2; SECRET]).unwrap([3; 12], 5, "a", &wrapped), None);
        assert_ne!(MasterKey::new(&[2; SECRET]).id(), master.id());
    }

    #[test]
    fn pieces_of_several_lives_open_and_no_two_are_alike() {
        let (first, second) = (data_key(4, 1), data_key(4, 2));
        let mut body = Vec::new();
        first.seal(8, b"one", &mut body);
        first.seal(8, b"one", &mut body);
        second.seal(8, b"two", &mut body);
        assert_eq!(open(8, &body, |n| (n == 4).then(|| second.clone())).unwrap(), "oneonetwo");
        let piece = OVERHEAD + 3;
        assert_ne!(body[HEAD..piece], body[piece + HEAD..2 * piece]);
        assert!(open(9, &body, |_| Some(second.clone())).is_err(), "another log's");
        assert!(open(8, &body, |_| None).is_err(), "no key");
    }

    proptest! {
        #[test]
        fn any_flipped_bit_shows(data in proptest::collection::vec(any::<u8>(), 0..100), at in any::<usize>(), bit in 0u32..8) {
            let key = data_key(1, 1);
            let mut body = Vec::new();
            key.seal(3, &data, &mut body);
            prop_assert_eq!(&open(3, &body, |n| (n == 1).then(|| key.clone())).unwrap()[..], &data[..]);
            let at = at % body.len();
            body[at] ^= 1u8 << bit;
            prop_assert!(open(3, &body, |n| (n == 1).then(|| key.clone())).is_err());
        }

        #[test]
        fn any_bytes_are_refused(body in proptest::collection::vec(any::<u8>(), 1..200)) {
            prop_assert!(open(3, &body, |_| Some(data_key(1, 1))).is_err());
        }
    }
}
