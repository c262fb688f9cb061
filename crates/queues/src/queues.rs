use crate::error::{INVALID_ADDRESS, no_queue};
use crate::receipt::ReceiptKey;
use crate::settings::Settings;
use crate::state::{Change, State};
use crate::{address, api, limits, signals, target, tasks};
use names::{Arn, Home, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use store::{Catalog, LogId, QueueCounts, Store, StoreError};
use world::{Series, World};

/// All queues of the house.
pub struct Queues {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) key: ReceiptKey,
    rooms: RwLock<BTreeMap<String, Arc<Room>>>,
    /// Making and deleting go one at a time, so that the catalog and the rooms tell the same.
    turn: tokio::sync::Mutex<()>,
}

/// A queue as it lives: its messages, and what memory knows of it.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) arn: Arn,
    pub(crate) life: u64,
    pub(crate) messages: store::Queue,
    /// When it was purged last, as far as this process knows.
    pub(crate) purged: Mutex<Option<Timestamp>>,
    pub(crate) meters: Meters,
}

/// The metrics of one queue.
pub(crate) struct Meters {
    pub(crate) sent: Arc<Series>,
    pub(crate) sent_size: Arc<Series>,
    pub(crate) received: Arc<Series>,
    pub(crate) empty_receives: Arc<Series>,
    pub(crate) deleted: Arc<Series>,
}

impl Queues {
    /// Opens all queues and whatever lies in them.
    pub async fn open(world: World, home: Home, store: Store) -> Result<Arc<Queues>, StoreError> {
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
            world,
            home,
            store,
            catalog,
            key: ReceiptKey::new(&key),
            rooms: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
        });
        let known: Vec<(String, u64)> =
            queues.catalog.read(|state| state.queues.iter().map(|(name, queue)| (name.clone(), queue.life)).collect());
        for (name, life) in known {
            queues.furnish(&name, life).await?;
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

    /// The woken door: messages expire.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
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
    pub(crate) fn at(&self, url: &str) -> Result<Arc<Room>, wire::ApiError> {
        let (account, name) = address::parse(url)
            .ok_or_else(|| INVALID_ADDRESS.because(format!("The address {url} is not valid for this endpoint.")))?;
        if account != self.home.account.as_str() {
            return Err(no_queue());
        }
        self.room(name).ok_or_else(no_queue)
    }

    /// The queue of this ARN, where it is one of this house.
    pub(crate) fn of(&self, arn: &Arn) -> Option<Arc<Room>> {
        self.room(arn.resource()).filter(|room| room.arn == *arn)
    }

    /// Something of a queue's settings.
    pub(crate) fn setting<T>(&self, room: &Room, pick: impl FnOnce(&Settings) -> T) -> Result<T, wire::ApiError> {
        self.catalog.read(|state| state.queues.get(&room.name).map(|queue| pick(&queue.settings))).ok_or_else(no_queue)
    }

    /// Makes a queue, where there is none yet; what `decide` refuses is not made.
    pub(crate) async fn make(
        &self,
        name: &str,
        decide: impl FnOnce(&State) -> Result<Vec<Change>, wire::ApiError>,
    ) -> Result<(), wire::ApiError> {
        let _turn = self.turn.lock().await;
        self.catalog.change(|state| Ok::<_, wire::ApiError>((decide(state)?, ()))).await?;
        if self.room(name).is_none() {
            let life =
                self.catalog.read(|state| state.queues.get(name).map(|queue| queue.life)).ok_or_else(no_queue)?;
            self.furnish(name, life).await?;
        }
        Ok(())
    }

    /// Deletes a queue with all that lies in it.
    pub(crate) async fn delete(&self, room: &Room) -> Result<(), wire::ApiError> {
        let _turn = self.turn.lock().await;
        let at = self.world.now();
        self.catalog
            .change(|state| {
                let same = state.queues.get(&room.name).is_some_and(|queue| queue.life == room.life);
                let deleted = Change::Deleted { name: room.name.clone(), at };
                same.then(|| (vec![deleted], ())).ok_or_else(no_queue)
            })
            .await?;
        self.rooms.write().expect("no panic holds this lock").remove(&room.name);
        Ok(self.bury(&room.name, room.life).await?)
    }

    async fn furnish(&self, name: &str, life: u64) -> Result<(), StoreError> {
        let messages = store::Queue::open(&self.store, &self.world, &log_name(name, life)).await?;
        let series = |signal| self.world.meter.series(signal, &[name]);
        let room = Room {
            name: name.to_owned(),
            arn: self.home.arn("sqs", name),
            life,
            messages,
            purged: Mutex::default(),
            meters: Meters {
                sent: series(&signals::SENT),
                sent_size: series(&signals::SENT_SIZE),
                received: series(&signals::RECEIVED),
                empty_receives: series(&signals::EMPTY_RECEIVES),
                deleted: series(&signals::DELETED),
            },
        };
        self.rooms.write().expect("no panic holds this lock").insert(name.to_owned(), Arc::new(room));
        Ok(())
    }

    /// Drops the messages of a deleted queue. A crash in between leaves its grave in the catalog, and the next start
    /// comes here again.
    async fn bury(&self, name: &str, life: u64) -> Result<(), StoreError> {
        let messages = store::Queue::open(&self.store, &self.world, &log_name(name, life)).await?;
        messages.delete().await?;
        let buried = Change::Buried { name: name.to_owned(), life };
        self.catalog.change(|_| Ok((vec![buried], ()))).await
    }
}

impl Room {
    /// The log its messages are in.
    pub(crate) fn log(&self, queues: &Queues) -> Option<LogId> {
        queues.store.find_log(&format!("{}/messages", log_name(&self.name, self.life)))
    }

    /// How many messages it holds, about. The store counts what expired unseen until somebody receives; the log knows.
    pub(crate) fn counts(&self, queues: &Queues) -> QueueCounts {
        let mut counts = self.messages.counts();
        if let Some(log) = self.log(queues) {
            let extent = queues.store.extent(log);
            counts.visible = counts.visible.min(extent.next - extent.first);
        }
        counts
    }

    /// Whether a purge may begin now; if so, it has begun.
    pub(crate) fn may_purge(&self, now: Timestamp) -> bool {
        let mut purged = self.purged.lock().expect("no panic holds this lock");
        let free = purged.is_none_or(|last| now.since(last) >= limits::PURGE_PAUSE);
        if free {
            *purged = Some(now);
        }
        free
    }
}

/// The log of a queue's messages: of this queue, not of its name, which may be used again.
fn log_name(name: &str, life: u64) -> String {
    format!("queues/{name}/{life}")
}
