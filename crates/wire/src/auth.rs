//! Who a key belongs to: asked by the front, answered by whoever keeps keys (identity).

use names::{Caller, Timestamp};
use std::fmt;

/// The owner of an access key, with the key's secret.
#[derive(Clone)]
pub struct Principal {
    /// The secret access key.
    pub secret: String,
    /// Who calls with it.
    pub caller: Caller,
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("secret", &"(hidden)").field("caller", &self.caller).finish()
    }
}

/// Finds the owner of an access key.
pub trait Authenticator: Send + Sync {
    /// The owner, where the key exists and is active, and the session token (for keys that need one) belongs to it and
    /// is still valid at this time.
    fn find(&self, access_key_id: &str, session_token: Option<&str>, at: Timestamp) -> Result<Principal, AuthError>;
}

/// Why nobody may call with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no such key.
    #[error("no such access key")]
    UnknownKey,
    /// The key has been made inactive.
    #[error("the access key is inactive")]
    InactiveKey,
    /// The session token does not belong to the key, or is missing.
    #[error("the session token does not belong to the access key")]
    WrongToken,
    /// The session is over.
    #[error("the session token has expired")]
    ExpiredToken,
}
