use crate::attempt::attempt;
use crate::backlog::Backlog;
use crate::dead::Dead;
use crate::lane::{Lane, order, run};
use crate::limits::{LANE_NAME_BYTES, LANES_FORGOTTEN_AT_ONCE, MAX_LANES, SEND_BYTES, SHARED_LANES};
use crate::settled::{Listener, Listeners, Settled, Starter, Starters};
use crate::target::Targets;
use crate::{BacklogFull, Claim, DeadLetter, Envelope, LaneStatus, Options, Target, Verdict, codec, signals};
use names::Arn;
use policies::Identities;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, Weak};
use store::{Message, Order, Queue, Store, StoreError};
use tokio::sync::Mutex;
use world::{Stage, World};

/// A lane's queue is named by this and the lane.
const PREFIX: &str = "delivery/";
/// The log of a queue that names it in the list of logs.
const SUFFIX: &str = "/messages";

type Lanes = BTreeMap<String, Arc<Lane>>;
/// Messages by the lane they go to.
type Sends = BTreeMap<String, (Arc<Lane>, Vec<Message>)>;

/// The outbox. One per house.
pub struct Delivery {
    pub(crate) world: World,
    pub(crate) targets: Targets,
    pub(crate) dead: Dead,
    listeners: Listeners,
    starters: Starters,
    store: Store,
    lanes: RwLock<Lanes>,
    backlog: Arc<Backlog>,
    max_lanes: usize,
    /// One lane is opened or forgotten at a time.
    opening: Mutex<()>,
    started: AtomicBool,
    me: Weak<Delivery>,
}

impl Delivery {
    /// Opens the outbox with the lanes it had. Nothing moves before [`Delivery::start`].
    pub async fn open(world: &World, store: &Store) -> Result<Arc<Delivery>, StoreError> {
        Delivery::open_with(world, store, Options::default()).await
    }

    /// The same, with what may be chosen.
    pub async fn open_with(world: &World, store: &Store, options: Options) -> Result<Arc<Delivery>, StoreError> {
        Delivery::open_wide(world, store, options, MAX_LANES).await
    }

    async fn open_wide(
        world: &World,
        store: &Store,
        options: Options,
        max_lanes: usize,
    ) -> Result<Arc<Delivery>, StoreError> {
        let (dead, backlog) = (Dead::open(world, store).await?, Backlog::new(options.backlog_bytes));
        let mut lanes = Lanes::new();
        for (log, _) in store.logs(PREFIX) {
            let Some(name) = log.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else { continue };
            let queue = Queue::open_as(store, world, &format!("{PREFIX}{name}"), Order::Groups).await?;
            lanes.insert(name.to_owned(), Arc::new(Lane::new(world, name.to_owned(), queue, &backlog)));
        }
        Ok(Arc::new_cyclic(|me| Delivery {
            world: world.clone(),
            targets: Targets::default(),
            dead,
            listeners: Listeners::default(),
            starters: Starters::default(),
            store: store.clone(),
            lanes: lanes.into(),
            backlog,
            max_lanes,
            opening: Mutex::new(()),
            started: AtomicBool::new(false),
            me: me.clone(),
        }))
    }

    /// Registers who takes what is sent to ARNs of a service whose resource starts with a prefix, such as
    /// `("kinesis", "stream/")`. The longest prefix wins; a second registration of the same replaces the first.
    pub fn register(&self, service: &'static str, resource_prefix: &'static str, target: Arc<dyn Target>) {
        self.targets.register(service, resource_prefix, target);
    }

    /// Who is asked, at each try, whether the sender of an envelope with a role may take it on. Without anybody all may.
    pub fn ask(&self, roles: Arc<dyn Identities>) {
        self.targets.ask(roles);
    }

    /// Registers who is told what became of envelopes, dead letters included, that are sent in the name of a principal,
    /// such as `sns.amazonaws.com`: once for each, but again after a crash right then.
    pub fn listen(&self, principal: &'static str, listener: Listener) {
        self.listeners.add(principal, listener);
    }

    /// Registers who is told when an envelope that is sent in the name of a principal is tried for the first time.
    pub fn listen_to_starts(&self, principal: &'static str, starter: Starter) {
        self.starters.add(principal, starter);
    }

    pub(crate) fn tell_start(&self, envelope: &Envelope) {
        self.starters.tell(envelope);
    }

    pub(crate) fn tell(&self, envelope: &Envelope, settled: &Settled<'_>) {
        self.listeners.tell(envelope, settled);
    }

    /// Whether someone takes what is sent there. Ask before accepting a configuration that names a target.
    pub fn knows(&self, to: &Arn) -> bool {
        self.targets.find(to).is_some()
    }

    /// Starts carrying, the backlog first. Call once all targets are registered: what has none is refused.
    pub fn start(self: &Arc<Self>) {
        self.started.store(true, Ordering::SeqCst);
        for lane in self.lanes().values().filter(|lane| !lane.is_empty()) {
            self.wake(lane);
        }
    }

    /// Whether the backlog has room for what somebody asks to be sent: asked before any of it is. Whoever has a yes sends
    /// the whole, so the limit is passed by what is being sent at that moment. What takes the place of an envelope, a dead
    /// letter for one, is sent without asking: were it refused, the backlog could not become shorter.
    pub fn admit(&self, claim: Claim) -> Result<(), BacklogFull> {
        self.backlog.admit(claim).inspect_err(|_| signals::refused(&self.world, claim))
    }

    /// About how many bytes wait, and how many may before requests are refused.
    pub fn backlog(&self) -> (u64, u64) {
        (self.backlog.bytes(), self.backlog.limit())
    }

    /// The independent lane: each envelope is delivered on its own, as often as its policy says. All envelopes are
    /// durable when it returns; after a crash before that, all of them or none, or, where they are more than
    /// [`SEND_BYTES`], some: whoever had no answer sends again.
    pub async fn send(&self, envelopes: Vec<Envelope>) -> Result<(), StoreError> {
        let (mut sends, mut bytes) = (Sends::new(), 0);
        for envelope in envelopes {
            let lane = self.lane(&envelope.to).await?;
            let (not_before, group) = (envelope.not_before, order(&envelope));
            let message = Message { not_before, group, body: codec::encode(envelope) };
            bytes += message.body.len();
            sends.entry(lane.name.clone()).or_insert_with(|| (lane, Vec::new())).1.push(message);
            if bytes >= SEND_BYTES {
                self.keep(std::mem::take(&mut sends)).await?;
                bytes = 0;
            }
        }
        self.keep(sends).await
    }

    async fn keep(&self, sends: Sends) -> Result<(), StoreError> {
        if sends.is_empty() {
            return Ok(());
        }
        let weigh = |messages: &[Message]| messages.iter().map(|message| message.body.len() as u64).sum::<u64>();
        let (lanes, sends): (Vec<_>, Vec<_>) = sends
            .into_values()
            .map(|(lane, messages)| ((lane.clone(), weigh(&messages)), (lane.queue.clone(), messages)))
            .unzip();
        // Before they can leave.
        lanes.iter().for_each(|(lane, bytes)| lane.weight.add(*bytes));
        let sent = Queue::send_all(&self.store, sends).await;
        match &sent {
            Ok(()) => lanes.iter().for_each(|(lane, _)| self.wake(lane)),
            Err(_) => lanes.iter().for_each(|(lane, bytes)| lane.weight.remove(*bytes)),
        }
        sent
    }

    /// One try, now, within the target's time limit. Nothing is durable, nothing is repeated.
    pub async fn attempt(&self, envelope: &Envelope) -> Verdict {
        signals::invoked(&self.world, &self.lane_name(&envelope.to));
        attempt(&self.world, &self.targets, envelope).await
    }

    /// All lanes, by name.
    pub fn status(&self) -> Vec<LaneStatus> {
        self.lanes().values().map(|lane| lane.status()).collect()
    }

    /// What could not be delivered and had no dead-letter target, the newest first.
    pub fn dead(&self, limit: usize) -> Vec<DeadLetter> {
        self.dead.newest(limit)
    }

    fn lanes(&self) -> Lanes {
        self.lanes.read().expect("no panic holds this lock").clone()
    }

    fn lane_name(&self, to: &Arn) -> String {
        let name = self.targets.find(to).map_or_else(|| to.to_string(), |target| target.lane(to));
        // An ARN may be longer than the name of a log.
        if name.len() > LANE_NAME_BYTES { shared(&name) } else { name }
    }

    fn find_lane(&self, name: &str) -> Option<Arc<Lane>> {
        self.lanes.read().expect("no panic holds this lock").get(name).cloned()
    }

    async fn lane(&self, to: &Arn) -> Result<Arc<Lane>, StoreError> {
        let name = self.lane_name(to);
        if let Some(lane) = self.find_lane(&name) {
            return Ok(lane);
        }
        let _one_at_a_time = self.opening.lock().await;
        let name = self.room_for(name).await?;
        if let Some(lane) = self.find_lane(&name) {
            return Ok(lane);
        }
        let queue = Queue::open_as(&self.store, &self.world, &format!("{PREFIX}{name}"), Order::Groups).await?;
        let lane = Arc::new(Lane::new(&self.world, name.clone(), queue, &self.backlog));
        self.lanes.write().expect("no panic holds this lock").insert(name, lane.clone());
        Ok(lane)
    }

    /// The name a new lane gets: its own, as long as there are not too many that have something to do.
    async fn room_for(&self, name: String) -> Result<String, StoreError> {
        let idle = {
            let mut lanes = self.lanes.write().expect("no panic holds this lock");
            if lanes.len() < self.max_lanes || lanes.contains_key(&name) {
                return Ok(name);
            }
            // Whoever is about to send to a lane holds it.
            let idle = lanes.iter().filter(|(_, lane)| Arc::strong_count(lane) == 1 && lane.is_idle());
            let idle: Vec<String> = idle.map(|(name, _)| name.clone()).take(LANES_FORGOTTEN_AT_ONCE).collect();
            idle.iter().filter_map(|name| lanes.remove(name)).collect::<Vec<_>>()
        };
        if idle.is_empty() {
            return Ok(shared(&name));
        }
        for lane in idle {
            lane.queue.clone().delete().await?;
        }
        Ok(name)
    }

    /// Makes sure that the lane has a task.
    fn wake(&self, lane: &Arc<Lane>) {
        let Some(me) = self.me.upgrade() else { return };
        if self.started.load(Ordering::SeqCst) && lane.begin() {
            let (name, lane) = (format!("delivery {}", lane.name), lane.clone());
            self.world.tasks.spawn(Stage::Delivery, name, |stop| run(me, lane, stop));
        }
    }
}

/// The lane that a name shares with others.
fn shared(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("shared/{}", hasher.finish() % SHARED_LANES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::path::Path;
    use std::time::Duration;
    use store::{Durability, StoreOptions, Writer};
    use world::BoxFuture;

    struct Flag(AtomicBool);
    impl Target for Flag {
        fn deliver<'a>(&'a self, _: &'a Envelope) -> BoxFuture<'a, Verdict> {
            let up = self.0.load(Ordering::Relaxed);
            let down = || Verdict::Again { code: "DOWN".into(), why: "down".into(), after: None };
            Box::pin(async move { if up { Verdict::Accepted(Bytes::new()) } else { down() } })
        }
    }

    fn to(i: usize) -> Envelope {
        let to = Arn::new("lambda", "us-east-1", "000000000000", &format!("function:f{i}"));
        Envelope { to, ..crate::codec::tests::envelope() }
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_busy_lanes_share_and_idle_ones_are_forgotten() {
        let (world, _) = World::simulated(1);
        let options = StoreOptions { durability: Durability::Fsync, writer: Writer::Inline, ..Default::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open_wide(&world, &store, Options::default(), 4).await.unwrap();
        let target = Arc::new(Flag(AtomicBool::new(false)));
        delivery.register("lambda", "", target.clone());
        delivery.start();
        delivery.send((0..40).map(to).collect()).await.unwrap();
        let names: Vec<String> = delivery.status().into_iter().map(|s| s.lane).collect();
        assert!(names.len() <= 4 + SHARED_LANES as usize, "{names:?}");
        assert_eq!(names.iter().filter(|n| n.starts_with("arn:")).count(), 4);
        assert_eq!(delivery.status().iter().map(|s| s.waiting + s.in_flight).sum::<u64>(), 40);

        target.0.store(true, Ordering::Relaxed);
        world.clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(delivery.status().iter().map(|s| s.waiting + s.in_flight).sum::<u64>(), 0);
        assert_eq!(world.tasks.running(), [] as [&str; 0]);
        delivery.send(vec![to(77)]).await.unwrap();
        let names: Vec<String> = delivery.status().into_iter().map(|s| s.lane).collect();
        assert_eq!(names, [to(77).to.to_string()], "the idle ones made room");
        assert_eq!(store.logs(PREFIX).len(), 2, "on disk too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fan_out_of_any_size_is_taken() {
        let (world, _) = World::simulated(1);
        let options = StoreOptions { durability: Durability::Fsync, writer: Writer::Inline, ..Default::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open(&world, &store).await.unwrap();
        // More than the journal takes at once.
        let body = Bytes::from(vec![b'x'; 1 << 20]);
        delivery.send((0..48).map(|i| Envelope { body: body.clone(), ..to(i % 3) }).collect()).await.unwrap();
        assert_eq!(delivery.status().iter().map(|lane| lane.waiting).sum::<u64>(), 48);
    }

    #[tokio::test(start_paused = true)]
    async fn an_arn_of_any_length_has_a_lane() {
        let (world, _) = World::simulated(1);
        let options = StoreOptions { durability: Durability::Fsync, writer: Writer::Inline, ..Default::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let long = Arn::new("sqs", "us-east-1", "000000000000", &"q".repeat(1500));
        delivery.send(vec![Envelope { to: long, ..to(0) }, to(1)]).await.unwrap();
        assert_eq!(delivery.status().len(), 2);
    }
}
