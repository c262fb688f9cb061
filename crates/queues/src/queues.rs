use crate::error::{INVALID_ADDRESS, REQUEST_THROTTLED, no_queue};
use crate::receipt::ReceiptKey;
use crate::room::{Room, dedup_log, log_name};
use crate::settings::Settings;
use crate::source::QueueSource;
use crate::state::{Change, State};
use crate::throttle::Action;
use crate::{address, api, moves, policy, target, tasks};
use names::{Arn, Home};
use policies::Identities;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use store::{Catalog, Store, StoreError};
use wire::{ApiError, Call};
use world::World;

/// All queues of the house.
pub struct Queues {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) identities: Arc<dyn Identities>,
    pub(crate) key: ReceiptKey,
    pub(crate) options: Options,
    rooms: RwLock<BTreeMap<String, Arc<Room>>>,
    /// Making, setting and deleting go one at a time, so that the catalog and the rooms tell the same.
    turn: tokio::sync::Mutex<()>,
}

/// How strict the queues are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether FIFO queues without high throughput take 300 calls of each kind in a second and no more, as at AWS.
    pub throttle: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { throttle: true }
    }
}

impl Queues {
    /// Opens all queues and whatever lies in them, with AWS's limits.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        identities: Arc<dyn Identities>,
    ) -> Result<Arc<Queues>, StoreError> {
        Queues::open_with(world, home, store, identities, Options::default()).await
    }

    /// Opens all queues and whatever lies in them.
    pub async fn open_with(
        world: World,
        home: Home,
        store: Store,
        identities: Arc<dyn Identities>,
        options: Options,
    ) -> Result<Arc<Queues>, StoreError> {
        let catalog: Arc<Catalog<State>> = Catalog::open(&store, "queues").await?;
        let mut secret = [0; 32];
        world.entropy.fill(&mut secret);
        let key = catalog
            .change::<_, StoreError>(|state| match state.key.is_empty() {
                true => Ok((vec![Change::Key(secret.to_vec())], secret.to_vec())),
                false => Ok((vec![], state.key.clone())),
            })
            .await?;
        let queues = Arc::new(Queues {
            identities,
            world,
            home,
            store,
            catalog,
            key: ReceiptKey::new(&key),
            options,
            rooms: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
        });
        for name in queues.catalog.read(|state| state.queues.keys().cloned().collect::<Vec<_>>()) {
            queues.furnish(&name).await?;
        }
        for (name, life) in queues.catalog.read(|state| state.graves.clone()) {
            queues.bury(&name, life).await?;
        }
        Ok(queues)
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> wire::Service {
        api::service(self)
    }

    /// The pushed door: to be registered with `delivery` for ("sqs", "").
    pub fn target(self: &Arc<Self>) -> Arc<dyn delivery::Target> {
        Arc::new(target::QueueTarget(self.clone()))
    }

    /// The pulled door of one queue, where there is one of this ARN.
    pub fn source(self: &Arc<Self>, arn: &Arn) -> Option<Arc<QueueSource>> {
        Some(Arc::new(QueueSource::new(self.clone(), self.of(arn)?)))
    }

    /// The woken door: messages expire, are moved and counted.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
        moves::start(self);
    }

    /// The queue of this name.
    pub(crate) fn room(&self, name: &str) -> Option<Arc<Room>> {
        self.rooms.read().expect("no panic holds this lock").get(name).cloned()
    }

    /// Every queue.
    pub(crate) fn all(&self) -> Vec<Arc<Room>> {
        self.rooms.read().expect("no panic holds this lock").values().cloned().collect()
    }

    /// The queue that a request's `QueueUrl` names.
    pub(crate) fn at(&self, url: &str) -> Result<Arc<Room>, ApiError> {
        let (account, name) = address::parse(url)
            .ok_or_else(|| INVALID_ADDRESS.because(format!("The address {url} is not valid for this endpoint.")))?;
        if account != self.home.account.as_str() {
            return Err(no_queue());
        }
        self.room(name).ok_or_else(no_queue)
    }

    /// The same, where the queue's policy does not deny the call. Whoever calls belongs to the account that owns it.
    pub(crate) fn asked(&self, call: &Call, url: &str) -> Result<Arc<Room>, ApiError> {
        let room = self.at(url)?;
        self.admit(call, &room)?;
        Ok(room)
    }

    /// Whether the queue's policy denies a call.
    pub(crate) fn admit(&self, call: &Call, room: &Room) -> Result<(), ApiError> {
        room.policy().map_or(Ok(()), |policy| policy::admit(&policy, room, call, &self.home))
    }

    /// The queue of this ARN, where it is one of this house.
    pub(crate) fn of(&self, arn: &Arn) -> Option<Arc<Room>> {
        self.room(arn.resource()).filter(|room| room.arn == *arn)
    }

    /// Counts a call against the quota of FIFO queues.
    pub(crate) fn count_call(&self, room: &Room, action: Action) -> Result<(), ApiError> {
        if !self.options.throttle || room.may(action, self.world.clock.monotonic()) {
            return Ok(());
        }
        Err(REQUEST_THROTTLED.because(
            "Rate exceeded: a FIFO queue takes 300 calls of each kind in a second unless it is set to high throughput.",
        ))
    }

    /// Makes a queue, where there is none yet; what `decide` refuses is not made.
    pub(crate) async fn make(
        &self,
        name: &str,
        decide: impl FnOnce(&State) -> Result<Vec<Change>, ApiError>,
    ) -> Result<(), ApiError> {
        let _turn = self.turn.lock().await;
        self.catalog.change(|state| Ok::<_, ApiError>((decide(state)?, ()))).await?;
        if self.room(name).is_none() {
            self.furnish(name).await?;
        }
        Ok(())
    }

    /// Sets a queue to what `decide` makes of its settings.
    pub(crate) async fn set(
        &self,
        room: &Room,
        decide: impl FnOnce(&State, &Settings) -> Result<Settings, ApiError>,
    ) -> Result<(), ApiError> {
        let _turn = self.turn.lock().await;
        let at = self.world.now();
        let settings = self
            .catalog
            .change(|state| {
                let queue = state.queues.get(&room.name).filter(|queue| queue.life == room.life);
                let settings = decide(state, &queue.ok_or_else(no_queue)?.settings)?;
                let change = Change::Set { name: room.name.clone(), at, settings: settings.clone() };
                Ok::<_, ApiError>((vec![change], settings))
            })
            .await?;
        room.set(settings);
        Ok(())
    }

    /// Deletes a queue with all that lies in it.
    pub(crate) async fn delete(&self, room: &Room) -> Result<(), ApiError> {
        let _turn = self.turn.lock().await;
        let at = self.world.now();
        self.catalog
            .change(|state| {
                let known = state.queues.get(&room.name).filter(|queue| queue.life == room.life);
                let deleted = Change::Deleted { name: room.name.clone(), at };
                known.map(|_| (vec![deleted], ())).ok_or_else(no_queue)
            })
            .await?;
        self.rooms.write().expect("no panic holds this lock").remove(&room.name);
        room.end();
        Ok(self.bury(&room.name, room.life).await?)
    }

    async fn furnish(&self, name: &str) -> Result<(), StoreError> {
        let known = self.catalog.read(|state| state.queues.get(name).map(|queue| (queue.life, queue.settings.clone())));
        let Some((life, settings)) = known else { return Ok(()) };
        let arn = self.home.arn("sqs", name);
        let room = Room::open((&self.store, &self.world), arn, life, &settings).await?;
        self.rooms.write().expect("no panic holds this lock").insert(name.to_owned(), Arc::new(room));
        Ok(())
    }

    /// Drops the messages of a deleted queue. A crash in between leaves its grave in the catalog, and the next start
    /// comes here again.
    async fn bury(&self, name: &str, life: u64) -> Result<(), StoreError> {
        let log = log_name(name, life);
        if let Some(dedup) = self.store.find_log(&dedup_log(&log)) {
            self.store.drop_log(dedup).await?;
        }
        store::Queue::open(&self.store, &self.world, &log).await?.delete().await?;
        let buried = Change::Buried { name: name.to_owned(), life };
        self.catalog.change(|_| Ok((vec![buried], ()))).await
    }
}
