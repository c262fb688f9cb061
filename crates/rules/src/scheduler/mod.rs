//! EventBridge Scheduler: one-time and recurring schedules with time zones and flexible windows.
//!
//! Invariants: an invocation is durable in `delivery` before its schedule is noted to have been due, so that a crash between
//! the two repeats it and none is lost; what was missed while the house was down fires once; targets that are not served
//! are refused by name when the schedule is made.

mod agenda;
mod api;
mod expression;
mod invocation;
mod state;

use crate::limits::{LONGEST_SLEEP, RETRY_PAUSE};
use agenda::{Agenda, fired};
use delivery::{Claim, Delivery};
use names::{Arn, Home, Timestamp};
use policies::Identities;
use state::{Change, DEFAULT_GROUP, Schedule, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use tokio::sync::Notify;
use wire::{ApiError, Service};
use world::{Stage, Stop, World};

/// All schedules of a house.
pub struct Scheduler {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) identities: Arc<dyn Identities>,
    /// Rung when a schedule may have changed.
    changed: Notify,
}

impl Scheduler {
    /// Opens what the store holds.
    pub async fn open(
        world: World,
        home: Home,
        store: &Store,
        delivery: Arc<Delivery>,
        identities: Arc<dyn Identities>,
    ) -> Result<Arc<Scheduler>, StoreError> {
        let catalog = Catalog::<State>::open(store, "scheduler").await?;
        let (name, at) = (DEFAULT_GROUP.to_owned(), world.now());
        catalog
            .change(|state| match state.groups.contains_key(DEFAULT_GROUP) {
                true => Ok::<_, StoreError>((vec![], ())),
                false => Ok((vec![Change::GroupMade { name, at, tags: BTreeMap::new(), token: None }], ())),
            })
            .await?;
        Ok(Arc::new(Scheduler { world, home, catalog, delivery, identities, changed: Notify::new() }))
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The woken door: schedules begin to fire.
    pub fn start(self: &Arc<Self>) {
        let me = self.clone();
        self.world.tasks.spawn(Stage::Sources, "scheduler", |stop| run(me, stop));
    }

    /// Decides against the catalog and changes it.
    pub(crate) async fn change<T>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<Change>, T), ApiError>,
    ) -> Result<T, ApiError> {
        let answer = self.catalog.change(decide).await?;
        self.changed.notify_one();
        Ok(answer)
    }

    /// When a schedule fires next.
    pub(crate) fn next(&self, key: &str, schedule: &Schedule) -> Option<Timestamp> {
        fired(key, schedule, Timestamp(i64::MIN)).next
    }

    /// The ARN of a group.
    pub(crate) fn group_arn(&self, name: &str) -> Arn {
        self.home.arn("scheduler", &format!("schedule-group/{name}"))
    }

    /// The ARN of the schedule with this key.
    pub(crate) fn schedule_arn(&self, key: &str) -> Arn {
        self.home.arn("scheduler", &format!("schedule/{key}"))
    }
}

async fn run(scheduler: Arc<Scheduler>, mut stop: Stop) {
    let mut agenda = Agenda::default();
    loop {
        let pause = match tick(&scheduler, &mut agenda).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "the scheduler has to wait");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = stop.wait() => return,
            () = scheduler.changed.notified() => {}
            () = scheduler.world.clock.sleep(pause) => {}
        }
    }
}

/// Sends what fires now and says how long to sleep.
async fn tick(scheduler: &Scheduler, agenda: &mut Agenda) -> Result<Duration, StoreError> {
    let now = scheduler.world.now();
    scheduler.catalog.read(|state| agenda.refresh(state));
    for key in agenda.due(now) {
        if let Err(full) = scheduler.delivery.admit(Claim::Request) {
            tracing::warn!(%full, "the scheduler has to wait");
            return Ok(RETRY_PAUSE);
        }
        fire(scheduler, agenda, &key, now).await?;
    }
    Ok(agenda.first().map_or(LONGEST_SLEEP, |next| next.since(now).min(LONGEST_SLEEP)))
}

async fn fire(scheduler: &Scheduler, agenda: &mut Agenda, key: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(schedule) = scheduler.catalog.read(|state| state.schedules.get(key).cloned()) else {
        return Ok(());
    };
    let outcome = fired(key, &schedule, now);
    let envelopes = outcome.due.iter().map(|due| invocation::envelope(scheduler, key, &schedule.spec, *due, now));
    scheduler.delivery.send(envelopes.collect()).await?;
    let over = outcome.next.is_none() && !outcome.due.is_empty();
    scheduler
        .catalog
        .change(|state| {
            // Whoever set it anew meanwhile set its beat anew, but for a time that it has in common with what was sent.
            let same = |known: &&Schedule| {
                known.revision == schedule.revision || (over && known.spec.is_once_as(&schedule.spec))
            };
            let change = match (state.schedules.get(key).filter(same), outcome.last) {
                (Some(known), _) if over && known.spec.delete_after => Some(Change::Deleted { key: key.to_owned() }),
                (Some(_), Some(last)) if schedule.last != Some(last) => {
                    Some(Change::Ticked { key: key.to_owned(), last })
                }
                _ => None,
            };
            Ok::<_, StoreError>((change.into_iter().collect(), ()))
        })
        .await?;
    agenda.set(key, schedule.revision, outcome.next);
    Ok(())
}
