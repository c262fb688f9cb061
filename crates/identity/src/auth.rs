use crate::Identity;
use crate::purpose;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::{Caller, CallerKind, Timestamp};
use wire::auth::{AuthError, Authenticator, Principal};

impl Authenticator for Identity {
    fn find(&self, access_key_id: &str, session_token: Option<&str>, at: Timestamp) -> Result<Principal, AuthError> {
        if let Some(token) = session_token {
            return self.find_session(access_key_id, token, at);
        }
        if access_key_id == self.root.access_key_id {
            return Ok(Principal { secret: self.root.secret_access_key.clone(), caller: self.root_caller.clone() });
        }
        self.find_user(access_key_id)
    }
}

impl Identity {
    fn find_user(&self, access_key_id: &str) -> Result<Principal, AuthError> {
        self.catalog.read(|state| {
            let key = state.keys.get(access_key_id).ok_or(AuthError::UnknownKey)?;
            let user = state.users.get(&key.user).ok_or(AuthError::UnknownKey)?;
            if !key.active {
                return Err(AuthError::InactiveKey);
            }
            let sealed = STANDARD.decode(&key.sealed).ok();
            let secret = sealed.and_then(|sealed| self.seal.open_sealed(purpose::SECRET, &sealed));
            let secret = secret.and_then(|secret| String::from_utf8(secret).ok()).ok_or(AuthError::UnknownKey)?;
            let caller = Caller {
                kind: CallerKind::User { name: user.name.clone() },
                account: self.home.account.clone(),
                arn: self.user_arn(user).to_string(),
                principal_id: user.id.clone(),
                access_key_id: access_key_id.to_owned(),
            };
            Ok(Principal { secret, caller })
        })
    }

    fn find_session(&self, access_key_id: &str, token: &str, at: Timestamp) -> Result<Principal, AuthError> {
        let session = self.open_session(token).ok_or(AuthError::WrongToken)?;
        if session.access_key_id != access_key_id {
            return Err(AuthError::WrongToken);
        }
        if at >= session.expires {
            return Err(AuthError::ExpiredToken);
        }
        let role_arn = self.catalog.read(|state| {
            let role = state.roles.get(&session.role).filter(|role| role.id == session.role_id);
            role.map(|role| self.role_arn(role)).ok_or(AuthError::UnknownKey)
        })?;
        let caller = Caller {
            arn: self.session_arn(&session.role, &session.name).to_string(),
            account: self.home.account.clone(),
            principal_id: format!("{}:{}", session.role_id, session.name),
            access_key_id: access_key_id.to_owned(),
            kind: CallerKind::AssumedRole {
                role: session.role,
                role_arn: role_arn.to_string(),
                role_id: session.role_id,
                session: session.name,
            },
        };
        Ok(Principal { secret: session.secret, caller })
    }

    pub(crate) fn session_arn(&self, role: &str, session: &str) -> names::Arn {
        self.home.global_arn("sts", &format!("assumed-role/{role}/{session}"))
    }

    pub(crate) fn user_arn(&self, user: &crate::state::User) -> names::Arn {
        self.home.global_arn("iam", &format!("user{}{}", user.path, user.name))
    }
}
