//! Role sessions: credentials that need no memory. All that the house must know travels, sealed, in the session token.

use crate::Identity;
use crate::error::SessionError;
use crate::purpose;
use crate::state::Role;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The credentials of a role session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCredentials {
    /// `ASIA...`
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// The token that every call must carry.
    pub session_token: String,
    /// When they end.
    pub expires: Timestamp,
}

impl fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SessionCredentials");
        out.field("access_key_id", &self.access_key_id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What a session token holds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    #[serde(rename = "k")]
    pub(crate) access_key_id: String,
    #[serde(rename = "s")]
    pub(crate) secret: String,
    #[serde(rename = "r")]
    pub(crate) role: String,
    /// The role's unique id: a role made anew under an old name does not inherit the old one's sessions.
    #[serde(rename = "i")]
    pub(crate) role_id: String,
    #[serde(rename = "n")]
    pub(crate) name: String,
    #[serde(rename = "e")]
    pub(crate) expires: Timestamp,
}

impl Identity {
    /// A session of a role, for the house's own use: functions get their execution role's credentials this way.
    pub fn role_session(&self, role: &Arn, name: &str, valid: Duration) -> Result<SessionCredentials, SessionError> {
        self.catalog.read(|state| {
            let found = role.resource_after("role/").and_then(|path| state.roles.get(last_part(path)));
            let found = found.filter(|found| self.role_arn(found) == *role);
            found.map(|found| self.new_session(found, name, valid)).ok_or_else(|| SessionError::NoRole(role.clone()))
        })
    }

    pub(crate) fn new_session(&self, role: &Role, name: &str, valid: Duration) -> SessionCredentials {
        let session = Session {
            access_key_id: format!("ASIA{}", self.world.base32_id(16)),
            secret: self.new_secret(),
            role: role.name.clone(),
            role_id: role.id.clone(),
            name: name.to_owned(),
            expires: self.world.now().plus(valid),
        };
        let plain = serde_json::to_vec(&session).expect("a session is plain text and numbers");
        SessionCredentials {
            session_token: STANDARD.encode(self.seal.seal(purpose::SESSION, &plain)),
            access_key_id: session.access_key_id,
            secret_access_key: session.secret,
            expires: session.expires,
        }
    }

    pub(crate) fn open_session(&self, token: &str) -> Option<Session> {
        let sealed = STANDARD.decode(token).ok()?;
        serde_json::from_slice(&self.seal.open_sealed(purpose::SESSION, &sealed)?).ok()
    }

    /// A secret access key: 40 characters of base64.
    pub(crate) fn new_secret(&self) -> String {
        let mut random = [0; 30];
        self.world.entropy.fill(&mut random);
        STANDARD.encode(random)
    }

    pub(crate) fn role_arn(&self, role: &Role) -> Arn {
        self.home.global_arn("iam", &format!("role{}{}", role.path, role.name))
    }
}

/// The name at the end of a path such as `service/orders`.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
