//! Sealing secrets for the disk and for tokens: AES-256-GCM under a key file.
//!
//! A key file is 16 bytes `headwater-key-1\n` and the 32 bytes of the key. It is made once and never changes. A copy of
//! the journal without it reveals no secret.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use world::{Entropy, World};

const MAGIC: &[u8; 16] = b"headwater-key-1\n";
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const ID_LEN: usize = 4;

/// Why a key file is of no use: what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key file {path} {why}")]
pub struct SealError {
    /// Where it is.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub why: String,
}

/// The key that seals. A sealed text says what it is for, by a number of its owner's: one kind never passes for another.
pub struct Seal {
    key: LessSafeKey,
    id: [u8; ID_LEN],
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Reads the key file `path`; makes it where it is missing and nothing has been sealed with it yet.
    pub fn open(world: &World, path: &Path, may_make: bool) -> Result<Seal, SealError> {
        let refuse = |why: String| SealError { path: path.display().to_string(), why };
        if !world.disk.exists(path) {
            if !may_make {
                return Err(refuse("is missing: restore it from a backup, or remove what was sealed with it".into()));
            }
            let mut content = MAGIC.to_vec();
            content.resize(MAGIC.len() + KEY_LEN, 0);
            world.entropy.fill(&mut content[MAGIC.len()..]);
            let dir = path.parent().unwrap_or(Path::new("."));
            world.disk.create_dir(dir).map_err(|e| refuse(format!("cannot be written: {e}")))?;
            world.disk.replace(path, &content).map_err(|e| refuse(format!("cannot be written: {e}")))?;
        }
        let content = world.disk.read(path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let key = content.strip_prefix(MAGIC.as_slice()).filter(|key| key.len() == KEY_LEN);
        let key = key.ok_or_else(|| refuse("is damaged: restore it from a backup".into()))?;
        Ok(Seal::new(key, world.entropy.clone()))
    }

    fn new(key: &[u8], entropy: Arc<dyn Entropy>) -> Seal {
        let digest = ring::digest::digest(&ring::digest::SHA256, key);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&digest.as_ref()[..ID_LEN]);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the algorithm's length");
        Seal { key: LessSafeKey::new(key), id, entropy }
    }

    /// Purpose, key id, nonce, ciphertext with its tag.
    pub fn seal(&self, purpose: u8, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.aad(purpose), &mut sealed)
            .expect("secrets are far shorter than the cipher's limit");
        let mut out = vec![purpose];
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        out.append(&mut sealed);
        out
    }

    /// What was sealed, where it is whole, ours and for this purpose.
    pub fn open_sealed(&self, purpose: u8, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = sealed.split_at_checked(1 + ID_LEN)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
        if head[0] != purpose || head[1..] != self.id {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = rest.to_vec();
        let len = self.key.open_in_place(nonce, self.aad(purpose), &mut buffer).ok()?.len();
        buffer.truncate(len);
        Some(buffer)
    }

    fn aad(&self, purpose: u8) -> Aad<[u8; 1 + ID_LEN]> {
        let mut aad = [purpose; 1 + ID_LEN];
        aad[1..].copy_from_slice(&self.id);
        Aad::from(aad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::SeededEntropy;

    fn seal(key: u8) -> Seal {
        Seal::new(&[key; KEY_LEN], Arc::new(SeededEntropy::new(1)))
    }

    #[test]
    fn only_the_same_key_and_purpose_open_it() {
        let sealed = seal(1).seal(1, b"secret");
        assert_eq!(seal(1).open_sealed(1, &sealed).as_deref(), Some(&b"secret"[..]));
        assert_eq!(seal(2).open_sealed(1, &sealed), None);
        assert_eq!(seal(1).open_sealed(2, &sealed), None);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn every_damage_is_noticed() {
        let sealed = seal(1).seal(2, b"abc");
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert_eq!(seal(1).open_sealed(2, &bad), None, "byte {i}");
            assert_eq!(seal(1).open_sealed(2, &sealed[..i]), None, "cut at {i}");
        }
    }
}
