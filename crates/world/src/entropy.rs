use std::cell::RefCell;
use std::sync::Mutex;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
    /// A random number.
    fn u64(&self) -> u64 {
        let mut b = [0u8; 8];
        self.fill(&mut b);
        u64::from_le_bytes(b)
    }
    /// A random number below `bound` (which must not be zero).
    fn below(&self, bound: u64) -> u64 {
        self.u64() % bound
    }
}

/// The kernel's randomness: fit for keys.
///
/// Small requests are served from bytes that each thread fetches ahead, since every call carries an id and a system call
/// for each would cost more than the id. Bytes are given out once and wiped.
pub struct RealEntropy;

const AHEAD: usize = 2048;

struct Ahead {
    bytes: [u8; AHEAD],
    used: usize,
}

thread_local! {
    static FETCHED: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; AHEAD], used: AHEAD }) };
}

#[allow(clippy::disallowed_methods)] // this is the port
fn fetch(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the kernel gives random bytes");
}

impl Entropy for RealEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if buffer.len() > AHEAD / 8 {
            return fetch(buffer);
        }
        FETCHED.with_borrow_mut(|ahead| {
            if AHEAD - ahead.used < buffer.len() {
                fetch(&mut ahead.bytes);
                ahead.used = 0;
            }
            let taken = &mut ahead.bytes[ahead.used..ahead.used + buffer.len()];
            buffer.copy_from_slice(taken);
            taken.fill(0);
            ahead.used += buffer.len();
        });
    }
}

/// xoshiro256++ under a seed: for simulation only, never for keys that matter.
pub struct SeededEntropy(Mutex<[u64; 4]>);

impl SeededEntropy {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> SeededEntropy {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        SeededEntropy(Mutex::new([next(), next(), next(), next()]))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut s = self.0.lock().expect("no panic holds this lock");
        for chunk in buffer.chunks_mut(8) {
            let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
            let t = s[1] << 17;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = s[3].rotate_left(45);
            chunk.copy_from_slice(&out.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_bytes_are_given_out_once() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut id = [0u8; 16];
            RealEntropy.fill(&mut id);
            assert!(seen.insert(id), "an id came twice");
        }
        assert!(!seen.contains(&[0; 16]));
    }

    #[test]
    fn a_seed_gives_the_same_bytes() {
        let (mut a, mut b) = ([0; 100], [0; 100]);
        SeededEntropy::new(7).fill(&mut a);
        SeededEntropy::new(7).fill(&mut b);
        assert_eq!(a, b);
    }
}
