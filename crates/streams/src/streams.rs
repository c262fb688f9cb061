use crate::consumer::ConsumerStatus;
use crate::error;
use crate::limits::{Limits, PerCaller, calls_per_second};
use crate::live::LiveStream;
use crate::signals::StreamSeries;
use crate::state::{Change, State, Stream};
use crate::throttle::Throttle;
use crate::token::TokenKey;
use crate::{api, source::StreamSource, target::StreamTarget, tasks};
use names::{Arn, Home};
use policies::Identities;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use store::{Catalog, Store, StoreError};
use tokio::sync::{Notify, oneshot, watch};
use wire::{ApiError, Call, Service};
use world::{Stage, World};

/// How the service works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether AWS's limits per shard are kept.
    pub limits: Limits,
    /// How long a stream stays CREATING, UPDATING or DELETING before the work is even begun. AWS takes seconds; a little of
    /// it keeps clients honest that would otherwise forget to wait.
    pub settle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { limits: Limits::Aws, settle: Duration::from_millis(20) }
    }
}

/// All streams of a house.
pub struct Streams {
    world: World,
    home: Home,
    store: Store,
    catalog: Arc<Catalog<State>>,
    pub(crate) identities: Arc<dyn Identities>,
    tokens: TokenKey,
    options: Options,
    live: RwLock<BTreeMap<String, Arc<LiveStream>>>,
    throttle: Throttle,
    /// Grows whenever a stream changes.
    changes: watch::Sender<u64>,
    /// Rung when a stream is to be finished or forgotten.
    unsettled: Notify,
}

impl Streams {
    /// Opens what the store holds.
    pub async fn open(
        world: World,
        home: Home,
        store: Store,
        identities: Arc<dyn Identities>,
        options: Options,
    ) -> Result<Arc<Streams>, StoreError> {
        let catalog = Catalog::<State>::open(&store, "streams").await?;
        let mut secret = catalog.read(|state| state.token_key.clone());
        if secret.is_empty() {
            secret = vec![0; 32];
            world.entropy.fill(&mut secret);
            let change = Change::TokenKey(secret.clone());
            catalog.change(|_| Ok::<_, StoreError>((vec![change], ()))).await?;
        }
        let streams = Arc::new(Streams {
            tokens: TokenKey::new(&secret),
            live: RwLock::default(),
            throttle: Throttle::default(),
            changes: watch::Sender::new(0),
            unsettled: Notify::new(),
            identities,
            world,
            home,
            store,
            catalog,
            options,
        });
        for name in streams.catalog.read(|state| state.streams.keys().cloned().collect::<Vec<_>>()) {
            streams.refresh(&name);
        }
        Ok(streams)
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The pushed door: to be registered with delivery for `("kinesis", "stream/")`.
    pub fn target(self: &Arc<Self>) -> Arc<dyn delivery::Target> {
        Arc::new(StreamTarget::new(self.clone()))
    }

    /// The pulled door: the stream with this ARN, as it is now; a later one with the same name is another. Read through the
    /// ARN of one of its consumers, it is read at that consumer's own rate.
    pub fn source(self: &Arc<Self>, arn: &Arn) -> Option<Arc<dyn consume::Source>> {
        if let Some((stream, consumer)) = self.consumer_in(arn) {
            let there = consumer.status != ConsumerStatus::Deleting;
            let source = || Arc::new(StreamSource::of_consumer(self.clone(), &stream, &consumer));
            return there.then(|| source() as Arc<dyn consume::Source>);
        }
        let stream = self.lookup(self.name_in(arn)?)?;
        Some(Arc::new(StreamSource::new(self.clone(), &stream)))
    }

    /// The woken door: starts what runs in the background, and takes up what a crash interrupted.
    pub fn start(self: &Arc<Self>) {
        tasks::start(self);
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn catalog(&self) -> &Catalog<State> {
        &self.catalog
    }

    pub(crate) fn tokens(&self) -> &TokenKey {
        &self.tokens
    }

    /// Whether AWS's limits are kept where no stream's own say anything.
    pub(crate) fn limits(&self) -> Limits {
        self.options.limits
    }

    pub(crate) fn settle_after(&self) -> Duration {
        self.options.settle
    }

    pub(crate) fn unsettled(&self) -> &Notify {
        &self.unsettled
    }

    /// Resolves to a new value whenever a stream changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The stream's ARN.
    pub(crate) fn arn(&self, name: &str) -> Arn {
        self.home.arn("kinesis", &format!("stream/{name}"))
    }

    /// The name in the ARN of a stream of this house.
    pub(crate) fn name_in<'a>(&self, arn: &'a Arn) -> Option<&'a str> {
        let ours = arn.service() == "kinesis" && self.home.holds(arn);
        if ours { arn.resource_after("stream/") } else { None }
    }

    /// Refuses a call of an operation that is called too often. A stream whose own limits are lifted lifts these too.
    pub(crate) fn throttle(&self, call: &Call, stream: Option<&str>) -> Result<(), ApiError> {
        let operation = call.operation.name;
        let Some((rate, per)) = calls_per_second(operation) else { return Ok(()) };
        let limits = stream.and_then(|name| self.lookup(name)).map_or(self.options.limits, |stream| stream.limits);
        let place = stream.filter(|_| per == PerCaller::Stream).unwrap_or_default();
        let now = self.world.clock.monotonic();
        if limits == Limits::Off || self.throttle.admit(operation, place, rate, now) {
            return Ok(());
        }
        Err(error::too_many_calls(&self.home, stream))
    }

    /// The stream with this name, whatever its status.
    pub(crate) fn lookup(&self, name: &str) -> Option<Arc<LiveStream>> {
        self.live.read().expect("no panic holds this lock").get(name).cloned()
    }

    /// All streams by name.
    pub(crate) fn all(&self) -> Vec<Arc<LiveStream>> {
        self.live.read().expect("no panic holds this lock").values().cloned().collect()
    }

    /// The stream a call is about.
    pub(crate) fn find(&self, asked: Asked<'_>) -> Result<Arc<LiveStream>, ApiError> {
        let name = self.name_of(asked)?;
        self.lookup(name).ok_or_else(|| error::no_stream(&self.home, name))
    }

    /// The stream a call is about, which must take and give records, ACTIVE or UPDATING. To AWS any other does not exist.
    pub(crate) fn find_active(&self, asked: Asked<'_>) -> Result<Arc<LiveStream>, ApiError> {
        let stream = self.find(asked)?;
        if stream.def.is_open() { Ok(stream) } else { Err(error::no_stream(&self.home, &stream.def.name)) }
    }

    /// The name of the stream a call is about: by name, by ARN, or by both where they agree.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html>
    pub(crate) fn name_of<'a>(&self, asked: Asked<'a>) -> Result<&'a str, ApiError> {
        if asked.id.is_some() {
            return Err(error::argument("StreamId is reserved for future use and cannot be specified."));
        }
        let (name, arn) = match (asked.name, asked.arn) {
            (None, None) => return Err(error::argument("Either StreamName or StreamARN should be provided.")),
            (Some(name), None) => return Ok(name),
            (name, Some(arn)) => (name, arn),
        };
        let named = arn.rsplit_once(":stream/").map_or(arn, |(_, named)| named);
        let ours = arn.parse::<Arn>().is_ok_and(|arn| self.name_in(&arn) == Some(named));
        if !ours {
            return Err(error::no_stream(&self.home, named));
        }
        match name {
            Some(name) if name != named => {
                Err(error::argument(format!("StreamName {name} and StreamARN {arn} do not name the same stream.")))
            }
            _ => Ok(named),
        }
    }

    /// Decides and makes a change of one stream, then shows it to the hot paths and to what runs in the background.
    /// In a task of its own: a caller that hangs up must not leave the catalog and its projection apart.
    pub(crate) async fn change(
        self: &Arc<Self>,
        name: String,
        decide: impl FnOnce(&State) -> Result<Vec<Change>, ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        self.change_behind(name, (), decide).await
    }

    /// Makes a change of a stream that must be ACTIVE.
    pub(crate) async fn update(
        self: &Arc<Self>,
        name: String,
        decide: impl FnOnce(&State, &Stream) -> Result<Vec<Change>, ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let (home, asked) = (self.home.clone(), name.clone());
        let decide = move |state: &State| match state.streams.get(&asked) {
            None => Err(error::no_stream(&home, &asked)),
            Some(stream) if !stream.is_active() => Err(error::not_active(&home, &asked, stream.status)),
            Some(stream) => decide(state, stream),
        };
        self.change(name, decide).await
    }

    /// Makes a change, and lets `shut` go only when everybody sees it, even if the caller is long gone by then.
    pub(crate) async fn change_behind(
        self: &Arc<Self>,
        name: String,
        shut: impl Send + 'static,
        decide: impl FnOnce(&State) -> Result<Vec<Change>, ApiError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let (done, result) = oneshot::channel();
        let streams = self.clone();
        self.world.tasks.spawn(Stage::Store, "streams: change", |_| async move {
            let changed = streams.catalog.change(|state| Ok::<_, ApiError>((decide(state)?, ()))).await;
            streams.refresh(&name);
            drop(shut);
            streams.unsettled.notify_one();
            // The caller may have hung up.
            let _ = done.send(changed);
        });
        result.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Shows the hot paths what the catalog says of a stream.
    fn refresh(&self, name: &str) {
        {
            let mut live = self.live.write().expect("no panic holds this lock");
            match self.catalog.read(|state| state.streams.get(name).cloned()) {
                Some(def) => {
                    let before = live.get(name);
                    let series = match before {
                        Some(before) => before.series.clone(),
                        None => Arc::new(StreamSeries::new(&self.world.meter, name)),
                    };
                    let now = self.world.clock.monotonic();
                    let before = before.map(|stream| &**stream);
                    let stream = LiveStream::new(
                        def,
                        self.arn(name),
                        (&self.world.meter, series),
                        self.options.limits,
                        now,
                        before,
                    );
                    live.insert(name.to_owned(), Arc::new(stream));
                }
                None => {
                    live.remove(name);
                }
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// The streams whose creation, change or deletion, or that of their consumers, is not finished.
    pub(crate) fn unfinished(&self) -> Vec<Arc<LiveStream>> {
        self.all().into_iter().filter(|stream| stream.def.is_unfinished()).collect()
    }
}

/// How a call names its stream.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) arn: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// The name that is asked for, whether there is such a stream or not.
    pub(crate) fn text(self) -> Option<&'a str> {
        self.name.or_else(|| self.arn.map(|arn| arn.rsplit_once(":stream/").map_or(arn, |(_, name)| name)))
    }
}

/// How an input names its stream: three members that most inputs have.
macro_rules! asked {
    ($input:expr) => {
        $crate::streams::Asked {
            name: $input.stream_name.as_deref(),
            arn: $input.stream_arn.as_deref(),
            id: $input.stream_id.as_deref(),
        }
    };
}
pub(crate) use asked;
