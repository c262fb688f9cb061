//! The room itself: what the doors share.

use crate::error;
use crate::event::Event;
use crate::intake::Intake;
use crate::room::{CHUNKS, EVENTS, ReadError, Room};
use crate::state::{Change, Group, State};
use crate::{api, target, tasks};
use delivery::Target;
use names::{Arn, Home, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use store::{Catalog, ReadLimit, Store, StoreError};
use tokio::sync::watch;
use wire::{ApiError, Service, common};
use world::{Stage, World};

/// Where functions kept their lines before log groups had a home of their own.
const FORMER: &str = "functions/logs";

/// CloudWatch Logs.
pub struct Logs {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) catalog: Arc<Catalog<State>>,
    rooms: RwLock<BTreeMap<String, Arc<Room>>>,
    pub(crate) intake: Intake,
    /// Groups are made and deleted by one at a time.
    making: tokio::sync::Mutex<()>,
}

/// A page of a group's events as they came.
pub struct Followed {
    /// Time stamps and messages.
    pub lines: Vec<(Timestamp, String)>,
    /// Where to go on.
    pub next: u64,
}

impl Logs {
    /// Opens what the store holds.
    pub async fn open(world: World, home: Home, store: Store) -> Result<Arc<Logs>, StoreError> {
        let catalog = Catalog::<State>::open(&store, "logs").await?;
        let known: Vec<(String, Group)> =
            catalog.read(|state| state.groups.iter().map(|(name, group)| (name.clone(), group.clone())).collect());
        sweep(&store, &known).await?;
        let mut rooms = BTreeMap::new();
        for (name, group) in known {
            let streams = group.streams.iter().map(|(name, stream)| (stream.number, Arc::from(name.as_str())));
            let room = Room::open(&store, &world.meter, &name, group.number, streams).await;
            rooms.insert(name, Arc::new(room.map_err(opened)?));
        }
        let (rooms, intake, making) = (RwLock::new(rooms), Intake::default(), tokio::sync::Mutex::default());
        let logs = Arc::new(Logs { world, home, store, catalog, rooms, intake, making });
        tasks::write(&logs);
        Ok(logs)
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The pushed door: to be registered with delivery for `("logs", "log-group:")`.
    pub fn target(self: &Arc<Self>) -> Arc<dyn Target> {
        Arc::new(target::GroupTarget(self.clone()))
    }

    /// The woken door: expired events are given up.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
    }

    /// The events of a group from the one with index `from` on, as they came; `None` where there is no such group.
    pub fn follow(&self, group: &str, from: u64, limit: usize) -> Option<Result<Followed, String>> {
        let room = self.room(group).ok()?;
        let mut page = Followed { lines: Vec::new(), next: from };
        let (alive, mut damaged) = (room.streams(), None);
        let read = self.store.read_each(room.events, from, ReadLimit { records: limit, bytes: 1 << 20 }, |shown| {
            page.next = shown.index + 1;
            match Event::read(shown.index, shown.data) {
                Ok(event) if alive.contains_key(&event.stream) => {
                    let text = String::from_utf8_lossy(event.message).into_owned();
                    page.lines.push((Timestamp::from_millis(event.at), text));
                }
                Ok(_) => {}
                Err(error) => damaged = Some(error.to_string()),
            }
        });
        Some(match (read, damaged) {
            (Err(error), _) => Err(error.to_string()),
            (_, Some(error)) => Err(error),
            (Ok(()), None) => Ok(page),
        })
    }

    /// The index that the group's next event gets, and a receiver that changes with it.
    pub fn end(&self, group: &str) -> Option<(u64, watch::Receiver<u64>)> {
        let room = self.room(group).ok()?;
        Some((self.store.extent(room.events).next, self.store.watch(room.events)))
    }

    pub(crate) fn room(&self, group: &str) -> Result<Arc<Room>, ApiError> {
        self.rooms.read().expect("no panic holds this lock").get(group).cloned().ok_or_else(error::no_group)
    }

    pub(crate) fn rooms(&self) -> Vec<Arc<Room>> {
        self.rooms.read().expect("no panic holds this lock").values().cloned().collect()
    }

    /// The ARN of a group, as it is written in new operations and in tags.
    pub(crate) fn arn(&self, group: &str) -> Arn {
        self.home.arn("logs", &format!("log-group:{group}"))
    }

    /// The group in an ARN of this house, with or without `:*` behind it.
    pub(crate) fn group_in<'a>(&self, arn: &'a Arn) -> Option<&'a str> {
        let ours = arn.service() == "logs"
            && arn.region() == self.home.region.as_str()
            && arn.account() == self.home.account.as_str();
        let name = arn.resource_after("log-group:").filter(|_| ours)?;
        let name = name.strip_suffix(":*").unwrap_or(name);
        (!name.contains(':')).then_some(name)
    }

    /// Makes a group. In a task of its own: a caller that hangs up must not leave the catalog and the rooms apart.
    pub(crate) async fn create_group(
        self: &Arc<Self>,
        name: String,
        decide: impl FnOnce(&State) -> Result<Vec<Change>, ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let logs = self.clone();
        self.finish("logs: group", async move {
            let _turn = logs.making.lock().await;
            logs.catalog.change(|state| Ok::<_, ApiError>((decide(state)?, ()))).await?;
            let number = logs.catalog.read(|state| state.groups.get(&name).map(|group| group.number));
            let Some(number) = number.filter(|_| logs.room(&name).is_err()) else { return Ok(()) };
            let room = Room::open(&logs.store, &logs.world.meter, &name, number, std::iter::empty()).await?;
            logs.rooms.write().expect("no panic holds this lock").insert(name, Arc::new(room));
            Ok(())
        })
        .await
    }

    /// Forgets a group with all it holds.
    pub(crate) async fn delete_group(self: &Arc<Self>, name: String) -> Result<(), ApiError> {
        let logs = self.clone();
        self.finish("logs: group", async move {
            let _turn = logs.making.lock().await;
            logs.catalog
                .change(|state| {
                    let group = state.groups.get(&name).ok_or_else(error::no_group)?;
                    if group.protected {
                        return Err(api::protected());
                    }
                    Ok((vec![Change::GroupDeleted { name: name.clone() }], ()))
                })
                .await?;
            let room = logs.rooms.write().expect("no panic holds this lock").remove(&name);
            // Where this fails, they go with the next start.
            Ok(logs.store.drop_logs(room.map(|room| room.logs()).unwrap_or_default()).await?)
        })
        .await
    }

    /// Makes a stream; gives its number.
    pub(crate) async fn create_stream(self: &Arc<Self>, group: String, name: String) -> Result<u64, ApiError> {
        let logs = self.clone();
        self.finish("logs: stream", async move {
            let created = logs.world.now();
            logs.catalog
                .change(|state| {
                    let known = state.groups.get(&group).ok_or_else(error::no_group)?;
                    if known.streams.contains_key(&name) {
                        return Err(error::stream_exists());
                    }
                    if state.streams >= crate::limits::STREAMS as u64 {
                        return Err(error::too_many("log streams"));
                    }
                    let change = Change::StreamCreated { group: group.clone(), name: name.clone(), created };
                    Ok((vec![change], ()))
                })
                .await?;
            logs.shown(&group, &name)
        })
        .await
    }

    /// The number of a stream, once its room knows it.
    pub(crate) fn shown(&self, group: &str, stream: &str) -> Result<u64, ApiError> {
        let room = self.room(group)?;
        let number = self.catalog.read(|state| state.stream(group, stream).map(|stream| stream.number));
        let number = number.ok_or_else(error::no_stream)?;
        room.add_stream(number, stream);
        Ok(number)
    }

    /// Runs a change to its end, though nobody may wait for it.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.world.tasks.finish(Stage::Store, what, work).await.unwrap_or_else(|| Err(StoreError::Closed.into()))
    }

    /// Appends events to streams of one group, by their numbers.
    pub(crate) async fn append<'a>(
        self: &Arc<Self>,
        room: &Arc<Room>,
        events: impl Iterator<Item = (u64, i64, &'a str)>,
    ) -> Result<(), ApiError> {
        let appended = room.append(&self.store, self.world.now().millis(), events).await;
        if room.has_chunk(&self.store) && !room.closing.swap(true, Ordering::Relaxed) {
            let (logs, room) = (self.clone(), room.clone());
            self.world.tasks.spawn(Stage::Store, "logs: chunks", |_| async move {
                if let Err(error) = room.close_chunks(&logs.store).await {
                    tracing::warn!(%error, group = room.name, "events could not be summarised; the next append tries again");
                }
                room.closing.store(false, Ordering::Relaxed);
            });
        }
        appended.map_err(|error| match error {
            StoreError::NoLog(_) => error::no_group(),
            StoreError::TooLarge { .. } => common::TOO_LARGE.because(error.to_string()),
            error => error.into(),
        })
    }
}

fn opened(error: ReadError) -> StoreError {
    match error {
        ReadError::Store(error) => error,
        other => StoreError::Failed { why: other.to_string().into() },
    }
}

/// Forgets the logs of groups that are gone: a crash came between the end of one and this.
async fn sweep(store: &Store, known: &[(String, Group)]) -> Result<(), StoreError> {
    let numbers: BTreeSet<String> = known.iter().map(|(_, group)| group.number.to_string()).collect();
    let mut gone = Vec::new();
    for prefix in [EVENTS, CHUNKS] {
        let logs = store.logs(prefix).into_iter();
        gone.extend(logs.filter(|(name, _)| !numbers.contains(&name[prefix.len()..])).map(|(_, log)| log));
    }
    let former = store.logs(FORMER);
    if !former.is_empty() {
        tracing::warn!(groups = former.len(), "lines that functions wrote before log groups had a home are dropped");
    }
    gone.extend(former.into_iter().map(|(_, log)| log));
    if gone.is_empty() { Ok(()) } else { store.drop_logs(gone).await }
}
