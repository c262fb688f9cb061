//! A fast hash for tables whose keys come from rules. An event can only look keys up, never add any, so the hash need not
//! resist those who choose events; where two keys share a hash, a table of doors grows too wide, not wrong.

use std::hash::{BuildHasherDefault, Hasher};

const K0: u64 = 0x9E37_79B9_7F4A_7C15;
const K1: u64 = 0xD6E8_FEB8_6659_FD93;

/// Both halves of a product, folded into one.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = K0 ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        hash = mix(hash ^ u64::from_le_bytes(*chunk), K1);
        rest = tail;
    }
    match rest {
        [] => hash,
        rest => mix(hash ^ bytes.last_chunk::<8>().map_or_else(|| few(rest), |last| u64::from_le_bytes(*last)), K0),
    }
}

/// One to seven bytes as a number.
fn few(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | (u64::from(u32::from_le_bytes(*last)) << 32)
        }
        _ => bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    }
}

/// The hash of all beginnings of some bytes, one after another.
pub(crate) struct Rolling(u64);

impl Rolling {
    pub(crate) fn new() -> Rolling {
        Rolling(K0)
    }

    /// The hash of what came so far, with one byte more.
    pub(crate) fn push(&mut self, byte: u8) -> u64 {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(K1).rotate_left(29);
        self.0
    }
}

/// For tables whose keys are hashes already.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hashed(u64);

pub(crate) type BuildHashed = BuildHasherDefault<Hashed>;

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
