//! Derived keys: four HMACs that are the same for a key, a day, a region and a service, and so are kept.

use super::claim::Claim;
use ring::hmac::{HMAC_SHA256, Key, Tag, sign as hmac};
use std::collections::HashMap;
use std::fmt;
use std::sync::RwLock;

/// As many derived keys are kept; then all are forgotten and derived anew as they are needed.
const MAX_KEPT: usize = 4096;

/// The derived keys, by credential (`KEY/20150830/us-east-1/service/aws4_request`).
#[derive(Default)]
pub(super) struct SigningKeys {
    kept: RwLock<HashMap<Box<str>, Derived>>,
}

struct Derived {
    secret: Box<str>,
    key: Key,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(hidden)")
    }
}

impl SigningKeys {
    /// Only called for credentials of an existing key, so that strangers cannot fill the memory.
    pub(super) fn derive(&self, claim: &Claim<'_>, secret: &str) -> Key {
        let kept = self.kept.read().expect("no panic holds this lock");
        if let Some(found) = kept.get(&*claim.credential)
            && *found.secret == *secret
        {
            return found.key.clone();
        }
        drop(kept);
        let start = Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let steps = [claim.date(), claim.region(), claim.service(), "aws4_request"];
        let key = steps.iter().fold(start, |key, step| Key::new(HMAC_SHA256, hmac(&key, step.as_bytes()).as_ref()));
        let mut kept = self.kept.write().expect("no panic holds this lock");
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert((*claim.credential).into(), Derived { secret: secret.into(), key: key.clone() });
        key
    }
}

/// The signature over a canonical request.
pub(super) fn sign(key: &Key, claim: &Claim<'_>, request: &[u8; 64]) -> Tag {
    let mut context = ring::hmac::Context::with_key(key);
    for piece in ["AWS4-HMAC-SHA256\n", &claim.stamp, "\n", claim.scope(), "\n"] {
        context.update(piece.as_bytes());
    }
    context.update(request);
    context.sign()
}
