//! Sealing secrets for the disk and for session tokens: AES-256-GCM under the key file.
//!
//! The key file `identity.key` is 16 bytes `headwater-key-1\n` and the 32 bytes of the key. It is made at the first
//! start and never changes. A copy of the journal without it reveals no secret.

use crate::error::OpenError;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use world::{Entropy, World};

const FILE: &str = "identity.key";
const MAGIC: &[u8; 16] = b"headwater-key-1\n";
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const ID_LEN: usize = 4;

/// What a sealed text is for. It is bound into the seal, so that one kind never passes for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Secret = 1,
    Session = 2,
}

/// The key that seals.
pub(crate) struct Seal {
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
    /// Reads the key file; makes it where it is missing and nothing has been sealed with it yet.
    pub(crate) fn open(world: &World, dir: &Path, may_make: bool) -> Result<Seal, OpenError> {
        let path = dir.join(FILE);
        let refuse = |why: String| OpenError::Key { path: path.display().to_string(), why };
        if !world.disk.exists(&path) {
            if !may_make {
                return Err(refuse(
                    "is missing: restore it from a backup, or remove the access keys' data with it".into(),
                ));
            }
            let mut content = MAGIC.to_vec();
            content.resize(MAGIC.len() + KEY_LEN, 0);
            world.entropy.fill(&mut content[MAGIC.len()..]);
            world.disk.create_dir(dir).map_err(|e| refuse(format!("cannot be written: {e}")))?;
            world.disk.replace(&path, &content).map_err(|e| refuse(format!("cannot be written: {e}")))?;
        }
        let content = world.disk.read(&path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
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
    pub(crate) fn seal(&self, purpose: Purpose, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.aad(purpose), &mut sealed)
            .expect("secrets are far shorter than the cipher's limit");
        let mut out = vec![purpose as u8];
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        out.append(&mut sealed);
        out
    }

    /// What was sealed, where it is whole, ours and for this purpose.
    pub(crate) fn open_sealed(&self, purpose: Purpose, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = sealed.split_at_checked(1 + ID_LEN)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
        if head[0] != purpose as u8 || head[1..] != self.id {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = rest.to_vec();
        let len = self.key.open_in_place(nonce, self.aad(purpose), &mut buffer).ok()?.len();
        buffer.truncate(len);
        Some(buffer)
    }

    fn aad(&self, purpose: Purpose) -> Aad<[u8; 1 + ID_LEN]> {
        let mut aad = [purpose as u8; 1 + ID_LEN];
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
        let sealed = seal(1).seal(Purpose::Secret, b"secret");
        assert_eq!(seal(1).open_sealed(Purpose::Secret, &sealed).as_deref(), Some(&b"secret"[..]));
        assert_eq!(seal(2).open_sealed(Purpose::Secret, &sealed), None);
        assert_eq!(seal(1).open_sealed(Purpose::Session, &sealed), None);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn every_damage_is_noticed() {
        let sealed = seal(1).seal(Purpose::Session, b"abc");
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert_eq!(seal(1).open_sealed(Purpose::Session, &bad), None, "byte {i}");
            assert_eq!(seal(1).open_sealed(Purpose::Session, &sealed[..i]), None, "cut at {i}");
        }
    }
}
