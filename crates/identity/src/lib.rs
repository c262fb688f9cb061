//! IAM and STS: who exists, with which keys, and which role sessions are good.
//!
//! Invariants: a secret is on disk only sealed (AES-256-GCM under the key file of the data directory) and never in a log,
//! a `Debug` text or an error; role sessions hold all they need in their token, so they survive a restart and cost no
//! memory; policies are read by `policies`, checked and kept.
//! What it is not: an evaluator of identity policies, nor of the language: that is `policies`. Only trust policies are evaluated,
//! when somebody assumes a role and when a service is given one.
//! Entry points: [`Identity::open`], [`Identity::services`], [`Identity::role_session`]; `Identity` is the front's
//! [`wire::auth::Authenticator`] and everybody's [`policies::Identities`].

mod api;
mod auth;
mod document;
mod error;
mod limits;
mod managed;
mod page;
mod principals;
mod session;
mod state;
mod trust;

pub use error::{OpenError, SessionError};
pub use session::SessionCredentials;

use names::{Caller, Home};
use state::{Change, State};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use store::{Catalog, Seal, Store, StoreError};
use world::World;

/// What a sealed text is for.
pub(crate) mod purpose {
    /// An access key's secret.
    pub(crate) const SECRET: u8 = 1;
    /// A role session.
    pub(crate) const SESSION: u8 = 2;
}

/// The account's own access key.
#[derive(Clone)]
pub struct RootKey {
    /// The access key id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The registry of users, keys, roles and policies.
pub struct Identity {
    world: World,
    home: Home,
    catalog: Arc<Catalog<State>>,
    seal: Seal,
    root: RootKey,
    /// Made once: most calls are root's.
    root_caller: Caller,
}

impl Identity {
    /// Opens the catalog and the key file in `dir` (made at the first start).
    pub async fn open(
        world: World,
        home: Home,
        store: &Store,
        dir: &Path,
        root: RootKey,
    ) -> Result<Arc<Identity>, OpenError> {
        let catalog = Catalog::<State>::open(store, "identity").await?;
        let may_make = catalog.read(|state| state.keys.is_empty());
        let seal = Seal::open(&world, &dir.join("identity.key"), may_make)?;
        let at = world.now();
        catalog
            .change::<(), StoreError>(|state| {
                Ok((if state.founded.is_none() { vec![Change::Founded { at }] } else { Vec::new() }, ()))
            })
            .await?;
        let root_caller = Caller::root(&home.account, &root.access_key_id);
        Ok(Arc::new(Identity { world, home, catalog, seal, root, root_caller }))
    }

    /// The asked door: the tables of IAM and STS.
    pub fn services(self: &Arc<Self>) -> Vec<wire::Service> {
        vec![api::iam(self), api::sts(self)]
    }
}
