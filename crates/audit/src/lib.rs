//! CloudTrail: every control-plane call leaves a record, and tells the default event bus.
//!
//! Invariants: a call's record is durable before the call's answer leaves, and the bus is told of each from the log, at
//! least once, however long deliveries have no room for it, and but for damaged ones, which are counted; records hold no secret; data-plane calls leave none, as at AWS
//! by default; a record is kept for 90 days.
//! What it is not: a trail to a bucket, or an event data store. It delivers nothing itself: `delivery` does.
//! Entry points: [`Audit::open`], [`Audit::service`], [`Audit::start`]; `Audit` is the front's [`wire::Observer`].

mod api;
mod ec2;
mod entry;
mod history;
mod limits;
mod observer;
mod record;
mod render;
mod resources;
mod services;
mod signals;
mod tail;
mod tasks;
mod told;

use delivery::Delivery;
use history::Recent;
use names::{Arn, Home};
use std::sync::{Arc, Mutex};
use store::{LogId, Store, StoreError};
use told::Told;
use wire::Service;
use world::World;

/// What the operator may choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Whether read-only calls become events as well. At AWS only rules in the state
    /// `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS` see them.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html>
    pub read_only_events: bool,
}

/// The record of all control-plane calls.
pub struct Audit {
    world: World,
    home: Home,
    store: Store,
    delivery: Arc<Delivery>,
    settings: Settings,
    log: LogId,
    told: Told,
    bus: Arn,
    recent: Mutex<Recent>,
}

impl Audit {
    /// Opens the log.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        settings: Settings,
    ) -> Result<Arc<Audit>, StoreError> {
        let log = store.log("audit/events").await?;
        let told = Told::open(&store).await?;
        let bus = home.arn("events", "event-bus/default");
        Ok(Arc::new(Audit { world, home, store, delivery, settings, log, told, bus, recent: Mutex::default() }))
    }

    /// The asked door.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The woken door: the bus is told, and records are forgotten in their time.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
    }
}
