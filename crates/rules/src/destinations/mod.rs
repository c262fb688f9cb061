//! API destinations: HTTP endpoints as targets, and the connections that say how to be let in there.
//!
//! Invariants: what is secret is on disk only sealed, under the key file `rules.key` of the data directory, and never in
//! an answer, a log or an error; a token is fetched once for all that wait for it, and lives in memory only.

pub(crate) mod auth;
mod pace;
mod request;
pub(crate) mod state;
mod target;
mod token;

pub(crate) use request::endpoint;
pub(crate) use target::DestinationTarget;

use auth::Auth;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Timestamp;
use pace::Pace;
use state::{Change, Connection, State, Status};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use store::{Catalog, Seal, Store, StoreError};
use token::Token;
use wire::ApiError;
use world::{Stage, World};

/// What a sealed text is for.
const PURPOSE: u8 = 3;

/// All connections and API destinations.
pub(crate) struct Destinations {
    pub(crate) world: World,
    pub(crate) catalog: Arc<Catalog<State>>,
    seal: Seal,
    /// By the connection's ARN.
    tokens: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Token>>>>>,
    /// By the destination's ARN.
    pace: Mutex<BTreeMap<String, Pace>>,
}

impl Destinations {
    pub(crate) async fn open(world: World, store: &Store, dir: &Path) -> Result<Arc<Destinations>, OpenError> {
        let catalog = Catalog::<State>::open(store, "rules/destinations").await?;
        let may_make = catalog.read(|state| state.connections.is_empty());
        let seal = Seal::open(&world, &dir.join("rules.key"), may_make)?;
        Ok(Arc::new(Destinations { world, catalog, seal, tokens: Mutex::default(), pace: Mutex::default() }))
    }

    /// Authorizations that a crash cut short begin anew.
    pub(crate) fn start(self: &Arc<Self>) {
        let waiting = self.catalog.read(|state| {
            let waiting = state.connections.iter().filter(|(_, known)| known.status == Status::Authorizing);
            waiting.map(|(name, known)| (name.clone(), known.revision)).collect::<Vec<_>>()
        });
        for (name, revision) in waiting {
            self.authorize(name, revision);
        }
    }

    pub(crate) fn seal(&self, auth: &Auth) -> String {
        let plain = serde_json::to_vec(auth).expect("texts are JSON");
        STANDARD.encode(self.seal.seal(PURPOSE, &plain))
    }

    /// What a connection was given; none where it was taken away.
    pub(crate) fn unseal(&self, connection: &Connection) -> Result<Option<Auth>, ApiError> {
        let Some(sealed) = &connection.sealed else { return Ok(None) };
        let plain = STANDARD.decode(sealed).ok().and_then(|sealed| self.seal.open_sealed(PURPOSE, &sealed));
        let plain = plain.ok_or_else(|| ApiError::fault("a connection's secrets were sealed with another key"))?;
        serde_json::from_slice(&plain).map(Some).map_err(ApiError::fault)
    }

    /// Tries in the background whether a connection's credentials are good, once, and notes the outcome.
    pub(crate) fn authorize(self: &Arc<Self>, name: String, revision: u64) {
        let me = self.clone();
        self.world.tasks.spawn(Stage::Delivery, "rules: authorize", move |mut stop| async move {
            tokio::select! {
                biased;
                // It stays in the state that `start` begins anew.
                () = stop.wait() => {}
                () = me.try_authorize(&name, revision) => {}
            }
        });
    }

    async fn try_authorize(&self, name: &str, revision: u64) {
        let known = self.catalog.read(|state| state.connections.get(name).cloned());
        let Some(known) = known.filter(|known| known.revision == revision) else { return };
        let outcome = match self.unseal(&known) {
            Ok(Some(auth)) => self.token(&known, &auth, None).await.map(|_| ()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.message),
        };
        self.authorized(name, revision, outcome).await;
    }

    /// Notes whether a connection was let in. Only the state that was tried is changed.
    pub(crate) async fn authorized(&self, name: &str, revision: u64, outcome: Result<(), String>) {
        let at = self.world.now();
        let changed = self
            .catalog
            .change(|state| {
                let known = state.connections.get(name).filter(|known| known.revision == revision);
                let same = known.is_none_or(|known| match &outcome {
                    Ok(()) => known.status == Status::Authorized,
                    Err(why) => known.status == Status::Deauthorized && known.reason.as_ref() == Some(why),
                });
                let set = Change::ConnectionTried { name: name.to_owned(), at, failed: outcome.err() };
                Ok::<_, StoreError>((if same { vec![] } else { vec![set] }, ()))
            })
            .await;
        if let Err(error) = changed {
            tracing::error!(name, %error, "a connection's state could not be noted");
        }
    }

    /// Forgets what is known of a connection's token.
    pub(crate) fn forget(&self, arn: &str) {
        self.tokens.lock().expect("no panic holds this lock").remove(arn);
    }

    /// The place in the queue of a destination's requests: when the next one may go.
    pub(crate) fn turn(&self, arn: &str, rate: u32, now: Timestamp) -> Timestamp {
        self.pace.lock().expect("no panic holds this lock").entry(arn.to_owned()).or_default().turn(rate, now)
    }
}

/// Why connections cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key file that seals connections' secrets is missing, damaged or unreadable.
    #[error("secrets of connections: {0}")]
    Key(#[from] store::SealError),
}
