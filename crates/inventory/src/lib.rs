//! The registry of EC2 instances and their tags: what a pipeline looks up, and whose changes it hears of.
//!
//! Invariants: an instance's state is a function of what was last asked of it and of the time, so that no timer decides
//! it; terminated instances stay visible with their tags for an hour; nothing is accepted that would be forgotten.
//! What it is not: a hypervisor. Registered instances run nothing, and images, networks and volumes are names only.
//! Entry points: [`Inventory::open`], [`Inventory::service`], [`Inventory::start`].

mod api;
mod error;
mod filter;
mod ids;
mod lifecycle;
mod limits;
mod network;
mod state;
mod tags;
mod tasks;

use names::Home;
use state::State;
use std::sync::Arc;
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use wire::Service;
use world::World;

/// How the registry behaves where AWS leaves it open.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an instance stays `pending`, `stopping` or `shutting-down`. At zero the answer to the call still says
    /// so, and whoever asks next sees the state reached.
    pub settle: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { settle: Duration::ZERO }
    }
}

/// The registry.
pub struct Inventory {
    world: World,
    home: Home,
    catalog: Arc<Catalog<State>>,
    settings: Settings,
}

impl Inventory {
    /// Opens the catalog.
    pub async fn open(
        world: World,
        home: Home,
        store: &Store,
        settings: Settings,
    ) -> Result<Arc<Inventory>, StoreError> {
        let catalog = Catalog::open(store, "inventory").await?;
        Ok(Arc::new(Inventory { world, home, catalog, settings }))
    }

    /// The asked door.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The woken door: terminated instances are forgotten in their time.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
    }
}
