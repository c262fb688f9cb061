use crate::destinations::{DestinationTarget, Destinations, OpenError};
use crate::route::{Incoming, PRINCIPAL, RouteError, route};
use crate::signals::PutSeries;
use crate::state::{Change, DEFAULT_BUS, State, Tags};
use crate::table::{LiveBus, LiveRule, Table};
use crate::throttle::Throttle;
use crate::{api, archive, error, target, tasks};
use delivery::{Delivery, Envelope, Settled};
use names::{Arn, Home, Timestamp};
use policies::Identities;
use std::path::Path;
use std::sync::{Arc, RwLock};
use store::{Catalog, Store, StoreError};
use tokio::sync::Notify;
use wire::{ApiError, Service};
use world::World;

/// All buses and rules of a house.
pub struct Rules {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) identities: Arc<dyn Identities>,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) puts: PutSeries,
    pub(crate) throttle: Option<Throttle>,
    /// Rung when a schedule may have changed.
    pub(crate) rescheduled: Notify,
    /// The newest revision that anyone has looked at.
    table: RwLock<Arc<Table>>,
}

/// How strict the rules are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether an account has so many calls of `PutEvents` and so many invocations in a second and no more, as at AWS.
    pub throttle: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { throttle: true }
    }
}

impl Rules {
    /// Opens what the store holds, with AWS's limits. The key file that seals secrets is in `dir`, made at the first start.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        identities: Arc<dyn Identities>,
        dir: &Path,
    ) -> Result<Arc<Rules>, OpenError> {
        Rules::open_with(world, home, store, delivery, identities, dir, Options::default()).await
    }

    /// Opens what the store holds.
    pub async fn open_with(
        world: World,
        home: Home,
        store: Store,
        delivery: Arc<Delivery>,
        identities: Arc<dyn Identities>,
        dir: &Path,
        options: Options,
    ) -> Result<Arc<Rules>, OpenError> {
        let catalog = Catalog::<State>::open(&store, "rules").await?;
        let (name, at) = (DEFAULT_BUS.to_owned(), world.now());
        catalog
            .change(|state| match state.buses.contains_key(DEFAULT_BUS) {
                true => Ok::<_, StoreError>((vec![], ())),
                false => Ok((
                    vec![Change::BusMade { name, at, description: None, tags: Tags::new(), dead_letter: None }],
                    (),
                )),
            })
            .await?;
        let destinations = Destinations::open(world.clone(), &store, dir).await?;
        let (rescheduled, table) = (Notify::new(), RwLock::default());
        let puts = PutSeries::new(&world.meter);
        let throttle = options.throttle.then(|| Throttle::new(&home.region, world.clock.monotonic()));
        let rules = Rules {
            world,
            home,
            store,
            catalog,
            delivery,
            identities,
            destinations,
            puts,
            throttle,
            rescheduled,
            table,
        };
        let rules = Arc::new(rules);
        rules.listen();
        Ok(rules)
    }

    /// Hears what becomes of what its rules sent.
    fn listen(self: &Arc<Self>) {
        let me = Arc::downgrade(self);
        let starter = move |envelope: &Envelope| {
            let Some(rules) = me.upgrade() else { return };
            rules.of(envelope, |rule| rule.series.started(envelope, rules.world.now()));
        };
        self.delivery.listen_to_starts(PRINCIPAL, Arc::new(starter));
        let me = Arc::downgrade(self);
        let listener = move |envelope: &Envelope, settled: &Settled<'_>| {
            let Some(rules) = me.upgrade() else { return };
            rules.of(envelope, |rule| rule.series.settled(envelope, settled, rules.world.now()));
        };
        self.delivery.listen(PRINCIPAL, Arc::new(listener));
    }

    /// The rule that sent an envelope. Of one that is gone nothing is counted.
    fn of(&self, envelope: &Envelope, look: impl FnOnce(&LiveRule)) {
        let Some(path) = envelope.from.as_ref().and_then(|from| from.resource_after("rule/")) else { return };
        let (bus, rule) = path.rsplit_once('/').unwrap_or((DEFAULT_BUS, path));
        if let Some(rule) = self.table().bus(bus).and_then(|bus| bus.rule(rule)) {
            look(rule);
        }
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The pushed doors: each to be registered with delivery for a service and the start of a resource. An envelope to a
    /// bus holds a whole event; this is how the house's own events come in, and those that rules send from bus to bus.
    pub fn targets(self: &Arc<Self>) -> Vec<(&'static str, &'static str, Arc<dyn delivery::Target>)> {
        let destinations = DestinationTarget(self.destinations.clone());
        vec![
            ("events", "event-bus/", Arc::new(target::BusTarget(self.clone()))),
            ("events", "api-destination/", Arc::new(destinations)),
            ("events", "archive/", Arc::new(archive::ArchiveTarget(self.clone()))),
        ]
    }

    /// The woken door: schedules begin to tick.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
        self.destinations.start();
        archive::start(self);
    }

    /// The rules as the catalog has them now. Whoever comes first after a change pays for it, so that a caller who goes
    /// away while its change is being made durable leaves nothing behind that is out of date.
    pub(crate) fn table(&self) -> Arc<Table> {
        let held = self.table.read().expect("no panic holds this lock").clone();
        if self.catalog.read(|state| state.revision) == held.revision {
            return held;
        }
        let meter = &self.world.meter;
        let fresh = self.catalog.read(|state| Arc::new(Table::build(state, &held, &self.home, meter)));
        let mut place = self.table.write().expect("no panic holds this lock");
        if fresh.revision > place.revision {
            *place = fresh.clone();
        }
        fresh
    }

    /// Adds the envelopes of an event that has come to a bus. To a bus that does not exist it goes unmatched.
    pub(crate) fn route(
        &self,
        table: &Table,
        bus: &str,
        incoming: &Incoming,
        out: &mut Vec<Envelope>,
    ) -> Result<(), RouteError> {
        match table.bus(bus) {
            Some(bus) => {
                let before = out.len();
                route(bus, incoming, out)?;
                self.delay(bus, &mut out[before..], incoming.now);
                Ok(())
            }
            None => {
                tracing::warn!(bus, event = incoming.id, "an event came to a bus that does not exist");
                Ok(())
            }
        }
    }

    /// Invocations over the account's quota come later. Those of archives are the house's own.
    fn delay(&self, bus: &LiveBus, envelopes: &mut [Envelope], now: Timestamp) {
        let Some(throttle) = &self.throttle else { return };
        let passed = self.world.clock.monotonic();
        for envelope in envelopes.iter_mut().filter(|envelope| !envelope.to.resource().starts_with("archive/")) {
            let Some(wait) = throttle.invocation(passed) else { continue };
            envelope.not_before = Some(now.plus(wait));
            let rule = envelope.from.as_ref().and_then(|from| from.resource().rsplit('/').next());
            if let Some(rule) = rule.and_then(|name| bus.rule(name)) {
                rule.series.throttled.record(1);
            }
        }
    }

    /// The bus that a name or an ARN means, where it is one of this account and region; whether it exists is another
    /// question.
    pub(crate) fn bus_named<'a>(&self, name_or_arn: Option<&'a str>) -> Option<&'a str> {
        match name_or_arn {
            None => Some(DEFAULT_BUS),
            Some(text) if text.starts_with("arn:") => {
                let arn: Arn = text.parse().ok()?;
                let name = text.split_once(":event-bus/")?.1;
                (self.is_ours(&arn) && arn.resource_after("event-bus/") == Some(name)).then_some(name)
            }
            Some(name) => Some(name),
        }
    }

    /// The same for handlers: with AWS's words for a bus that is not here.
    pub(crate) fn bus_of<'a>(&self, name_or_arn: Option<&'a str>) -> Result<&'a str, ApiError> {
        self.bus_named(name_or_arn).ok_or_else(|| error::no_bus(name_or_arn.unwrap_or(DEFAULT_BUS)))
    }

    /// Whether an ARN is of this account and region and of EventBridge.
    pub(crate) fn is_ours(&self, arn: &Arn) -> bool {
        arn.service() == "events" && self.home.holds(arn)
    }

    /// Decides against the catalog and changes it.
    pub(crate) async fn change<T>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<Change>, T), ApiError>,
    ) -> Result<T, ApiError> {
        let answer = self.catalog.change(decide).await?;
        self.rescheduled.notify_one();
        Ok(answer)
    }
}
