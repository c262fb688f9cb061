//! The catalog: what exists. Changed only by [`State::apply`].

use crate::managed;
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

pub(crate) type Tags = Vec<(String, String)>;

/// What may hold policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Holder {
    User(String),
    Role(String),
}

/// The policies that a user or a role holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grants {
    /// Inline policies: name to document.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) tags: Tags,
    pub(crate) grants: Grants,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session_secs: i32,
    pub(crate) tags: Tags,
    pub(crate) grants: Grants,
    /// The trust policy as it decides, once somebody asked; nothing where it no longer reads.
    #[serde(skip)]
    pub(crate) ready: OnceLock<Option<Arc<policies::Policy>>>,
}

impl Role {
    /// A role at the root, whose sessions may take an hour.
    pub(crate) fn new(name: String, trust: String, created: Timestamp, tags: Tags) -> Role {
        Role {
            name,
            path: "/".to_owned(),
            id: String::new(),
            created,
            trust,
            description: None,
            max_session_secs: 3600,
            tags,
            grants: Grants::default(),
            ready: OnceLock::new(),
        }
    }

    /// The trust policy, ready to decide.
    pub(crate) fn trusts(&self) -> Option<&policies::Policy> {
        let read = || match policies::Policy::parse_trust(&self.trust) {
            Ok(policy) => Some(Arc::new(policy)),
            Err(why) => {
                tracing::error!(role = %self.name, %why, "a trust policy no longer reads and lets nobody in");
                None
            }
        };
        self.ready.get_or_init(read).as_deref()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: Option<String>,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) document: String,
    pub(crate) tags: Tags,
}

/// An access key; its secret is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) sealed: String,
    pub(crate) active: bool,
    pub(crate) created: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) founded: Option<Timestamp>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: BTreeMap<String, Role>,
    /// Customer managed policies by ARN.
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) keys: BTreeMap<String, AccessKey>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Founded { at: Timestamp },
    UserMade(User),
    UserGone(String),
    RoleMade(Role),
    RoleGone(String),
    TrustSet { role: String, trust: String },
    PolicyMade(Policy),
    PolicyGone(String),
    KeyMade(AccessKey),
    KeyGone(String),
    KeySet { id: String, active: bool },
    InlinePut { holder: Holder, name: String, document: String },
    InlineGone { holder: Holder, name: String },
    Attached { holder: Holder, arn: String },
    Detached { holder: Holder, arn: String },
}

impl State {
    pub(crate) fn grants(&self, holder: &Holder) -> Option<&Grants> {
        match holder {
            Holder::User(name) => self.users.get(name).map(|user| &user.grants),
            Holder::Role(name) => self.roles.get(name).map(|role| &role.grants),
        }
    }

    fn grants_mut(&mut self, holder: &Holder) -> Option<&mut Grants> {
        match holder {
            Holder::User(name) => self.users.get_mut(name).map(|user| &mut user.grants),
            Holder::Role(name) => self.roles.get_mut(name).map(|role| &mut role.grants),
        }
    }

    /// A managed policy, the customer's or AWS's.
    pub(crate) fn policy(&self, arn: &str) -> Option<Policy> {
        self.policies.get(arn).cloned().or_else(|| managed::find(arn))
    }

    /// How many users and roles a managed policy is attached to.
    pub(crate) fn attachments(&self, arn: &str) -> usize {
        let users = self.users.values().map(|user| &user.grants);
        let roles = self.roles.values().map(|role| &role.grants);
        users.chain(roles).filter(|grants| grants.attached.contains(arn)).count()
    }

    pub(crate) fn keys_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a AccessKey> {
        self.keys.values().filter(move |key| key.user == user)
    }
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Founded { at } => self.founded = Some(*at),
            Change::UserMade(user) => drop(self.users.insert(user.name.clone(), user.clone())),
            Change::UserGone(name) => drop(self.users.remove(name)),
            Change::RoleMade(role) => drop(self.roles.insert(role.name.clone(), role.clone())),
            Change::RoleGone(name) => drop(self.roles.remove(name)),
            Change::TrustSet { role, trust } => {
                if let Some(role) = self.roles.get_mut(role) {
                    role.trust.clone_from(trust);
                    // What was read of the old one decides nothing more.
                    role.ready = OnceLock::new();
                }
            }
            Change::PolicyMade(policy) => drop(self.policies.insert(policy.arn.clone(), policy.clone())),
            Change::PolicyGone(arn) => drop(self.policies.remove(arn)),
            Change::KeyMade(key) => drop(self.keys.insert(key.id.clone(), key.clone())),
            Change::KeyGone(id) => drop(self.keys.remove(id)),
            Change::KeySet { id, active } => {
                if let Some(key) = self.keys.get_mut(id) {
                    key.active = *active;
                }
            }
            Change::InlinePut { holder, name, document } => {
                if let Some(grants) = self.grants_mut(holder) {
                    grants.inline.insert(name.clone(), document.clone());
                }
            }
            Change::InlineGone { holder, name } => {
                if let Some(grants) = self.grants_mut(holder) {
                    grants.inline.remove(name);
                }
            }
            Change::Attached { holder, arn } => {
                if let Some(grants) = self.grants_mut(holder) {
                    grants.attached.insert(arn.clone());
                }
            }
            Change::Detached { holder, arn } => {
                if let Some(grants) = self.grants_mut(holder) {
                    grants.attached.remove(arn);
                }
            }
        }
    }
}
