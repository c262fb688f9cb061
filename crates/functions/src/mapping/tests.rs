//! Mappings between streams, queues and a function that the test holds in its hands.

#[path = "../../../consume/tests/support/queue.rs"]
mod queue;
mod queues;
mod streams;

use super::*;
use crate::functions::{Neighbours, Options};
use crate::runtime::SessionCredentials;
use crate::state::{Change, Function};
use bytes::Bytes;
use consume::{Chunk, Inbox, ReadLimit, Record, ShardInfo, SourceError};
use delivery::{Delivery, Envelope, Target, Verdict};
use names::{Arn, Home, Timestamp};
use policies::{AllBut, Identities};
use queue::Queue;
use serde_json::{Value, json};
use std::path::Path;
use store::{Store, StoreError, StoreOptions, Writer};
use tokio::sync::watch;
use world::{BoxFuture, World};

const UUID: &str = "mapping-1";

/// A stream of shards that the test writes to.
struct Stream {
    shards: Mutex<BTreeMap<String, Vec<Record>>>,
    closed: Mutex<Vec<String>>,
    version: watch::Sender<u64>,
    since: Mutex<Timestamp>,
    /// Older positions are no longer kept.
    oldest: Mutex<u64>,
    gone: Mutex<bool>,
}

fn stream_arn() -> Arn {
    Home::default().arn("kinesis", "stream/s")
}

fn queue_arn() -> Arn {
    Home::default().arn("sqs", "q")
}

impl Stream {
    fn put(&self, shard: &str, key: &str, data: &str, at: Timestamp) {
        let mut shards = self.shards.lock().unwrap();
        let records = shards.entry(shard.to_owned()).or_default();
        let position = records.len() as u64;
        let data = Bytes::from(data.to_owned());
        records.push(Record {
            position,
            sequence: format!("{position:05}"),
            key: key.to_owned(),
            at,
            data,
            sealed: false,
        });
        drop(shards);
        self.version.send_modify(|v| *v += 1);
    }

    fn close(&self, shard: &str) {
        self.closed.lock().unwrap().push(shard.to_owned());
        self.version.send_modify(|v| *v += 1);
    }

    fn remove(&self) {
        *self.gone.lock().unwrap() = true;
        self.version.send_modify(|v| *v += 1);
    }

    fn check(&self) -> Result<(), SourceError> {
        if *self.gone.lock().unwrap() { Err(SourceError::Gone("s".into())) } else { Ok(()) }
    }

    async fn wait(&self, holds: impl Fn() -> bool) {
        let mut version = self.version.subscribe();
        while !holds() {
            version.changed().await.unwrap();
        }
    }
}

impl Source for Stream {
    fn arn(&self) -> Arn {
        stream_arn()
    }
    fn since(&self) -> Timestamp {
        *self.since.lock().unwrap()
    }
    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        self.check()?;
        let shards = self.shards.lock().unwrap();
        Ok(shards.keys().map(|id| ShardInfo { id: id.clone(), parents: vec![] }).collect())
    }
    fn start_at(&self, shard: &str, start: Start) -> Result<u64, SourceError> {
        let next = self.shards.lock().unwrap().get(shard).map_or(0, |records| records.len() as u64);
        Ok(if start == Start::Latest { next } else { *self.oldest.lock().unwrap() })
    }
    fn read(&self, shard: &str, from: u64, limit: ReadLimit) -> Result<Chunk, SourceError> {
        self.check()?;
        let shards = self.shards.lock().unwrap();
        let records = &shards.get(shard).ok_or_else(|| SourceError::NoShard(shard.to_owned()))?[from as usize..];
        let records: Vec<Record> = records.iter().take(limit.records).cloned().collect();
        let next = from + records.len() as u64;
        let closed = self.closed.lock().unwrap().iter().any(|id| id == shard);
        Ok(Chunk { ended: closed && next == shards[shard].len() as u64, next, records, behind: Duration::ZERO })
    }
    fn changed<'a>(&'a self, shard: &'a str, from: u64) -> BoxFuture<'a, ()> {
        let more = move || self.shards.lock().unwrap().get(shard).is_some_and(|records| records.len() as u64 > from);
        let ended = move || self.check().is_err() || self.closed.lock().unwrap().iter().any(|id| id == shard);
        Box::pin(self.wait(move || more() || ended()))
    }
    fn reshaped<'a>(&'a self, last: Option<&'a str>) -> BoxFuture<'a, ()> {
        Box::pin(self.wait(move || self.shards().map_or(true, |all| all.last().map(|s| s.id.as_str()) != last)))
    }
}

struct Rooms {
    stream: Arc<Stream>,
    queue: Arc<Queue>,
}

impl Identities for Rooms {
    fn exists(&self, principal: &str) -> bool {
        AllBut(&[]).exists(principal)
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        AllBut(&[]).trusts(role, service, whose)
    }
}

impl Neighbours for Rooms {
    fn source(&self, _: &Arn) -> Option<Arc<dyn Source>> {
        self.stream.check().ok().map(|()| self.stream.clone() as Arc<dyn Source>)
    }
    fn inbox(&self, _: &Arn) -> Option<Arc<dyn Inbox>> {
        Some(self.queue.clone())
    }
    fn credentials(&self, _: &Arn, _: &str) -> Result<SessionCredentials, String> {
        Err("no function runs here".into())
    }
    fn log(&self, _: &str, _: &str, _: names::Timestamp, _: String) {}
}

type Script = dyn Fn(usize, &Value) -> Verdict + Send + Sync;

/// A function that does what the test says, and remembers each event with the second it came.
struct Lambda {
    functions: Arc<Functions>,
    script: Mutex<Arc<Script>>,
    events: Mutex<Vec<(u64, Value)>>,
    /// How long an invocation takes.
    takes: Mutex<Duration>,
    letters: Mutex<Vec<Value>>,
}

impl Target for Lambda {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&envelope.body).unwrap();
            if envelope.to.service() == "sqs" {
                self.letters.lock().unwrap().push(event);
                return Verdict::Accepted(Bytes::new());
            }
            if !self.functions.catalog.read(|state| state.functions.contains_key("f")) {
                return Verdict::Refused { code: "ResourceNotFoundException".into(), why: "gone".into() };
            }
            let clock = self.functions.world.clock.clone();
            let number = {
                let mut events = self.events.lock().unwrap();
                events.push((clock.monotonic().as_secs(), event.clone()));
                events.len() - 1
            };
            let takes = *self.takes.lock().unwrap();
            clock.sleep(takes).await;
            let script = self.script.lock().unwrap().clone();
            script(number, &event)
        })
    }
}

fn ok() -> Verdict {
    Verdict::Accepted(Bytes::new())
}

fn fails() -> Verdict {
    Verdict::Again { code: "FunctionError".into(), why: "it raised".into(), after: None }
}

fn answers(value: Value) -> Verdict {
    Verdict::Accepted(value.to_string().into())
}

/// The payloads of an event, decoded.
fn data(event: &Value) -> Vec<String> {
    use base64::Engine;
    let one = |record: &Value| match record["body"].as_str() {
        Some(body) => body.to_owned(),
        None => {
            let data = record["kinesis"]["data"].as_str().unwrap();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap()
        }
    };
    event["Records"].as_array().unwrap().iter().map(one).collect()
}

struct House {
    world: World,
    functions: Arc<Functions>,
    lambda: Arc<Lambda>,
    stream: Arc<Stream>,
    queue: Arc<Queue>,
}

impl House {
    async fn new() -> House {
        let (world, _) = World::simulated(1);
        let options = StoreOptions { writer: Writer::Inline, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let checkpoints = Checkpoints::open(&store).await.unwrap();
        // Code and scratch directories are on the real disk.
        let dir = tempfile::tempdir().unwrap();
        let (data_dir, runtimes) = (dir.path().to_owned(), dir.path().join("runtimes"));
        let options = Options { data_dir, runtimes, environment: vec![], memory_mb: 128, hold: Default::default() };
        let stream = Arc::new(Stream {
            shards: Mutex::new([("shard".to_owned(), vec![])].into()),
            closed: Mutex::default(),
            version: watch::Sender::new(0),
            since: Mutex::new(world.now()),
            oldest: Mutex::default(),
            gone: Mutex::default(),
        });
        let queue = Arc::new(Queue::new(queue_arn().as_str(), world.clock.clone()));
        let rooms = Arc::new(Rooms { stream: stream.clone(), queue: queue.clone() });
        let home = Home::default();
        let functions =
            Functions::open(world.clone(), home, store, delivery.clone(), checkpoints, rooms, options).await.unwrap();
        let lambda = Arc::new(Lambda {
            functions: functions.clone(),
            script: Mutex::new(Arc::new(|_, _| ok())),
            events: Mutex::default(),
            takes: Mutex::new(Duration::ZERO),
            letters: Mutex::default(),
        });
        delivery.register("lambda", "function:", lambda.clone());
        delivery.register("sqs", "", lambda.clone());
        delivery.start();
        let house = House { world, functions, lambda, stream, queue };
        house.change(function()).await;
        house
    }

    async fn change(&self, change: Change) {
        self.functions.catalog.change(|_| Ok::<_, StoreError>((vec![change], ()))).await.unwrap();
    }

    /// Starts a mapping of these settings.
    async fn map(&self, set: impl FnOnce(&mut Mapping)) -> Mapping {
        let mut mapping = mapping();
        set(&mut mapping);
        self.change(Change::PutMapping(Box::new(mapping.clone()))).await;
        self.functions.settle_mapping(UUID, Phase::Creating, None);
        mapping
    }

    fn script(&self, script: impl Fn(usize, &Value) -> Verdict + Send + Sync + 'static) {
        *self.lambda.script.lock().unwrap() = Arc::new(script);
    }

    fn put(&self, data: &[&str]) {
        data.iter().for_each(|data| self.stream.put("shard", "k", data, self.world.now()));
    }

    async fn pass(&self, seconds: u64) {
        self.world.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// What each invocation got.
    fn batches(&self) -> Vec<Vec<String>> {
        self.lambda.events.lock().unwrap().iter().map(|(_, event)| data(event)).collect()
    }

    fn position(&self) -> Option<u64> {
        self.functions.mappings.checkpoints.position(UUID, "shard")
    }

    fn seen(&self) -> Seen {
        self.functions.mappings.seen(UUID).unwrap()
    }

    fn counted(&self, name: &str) -> u64 {
        let samples = self.world.meter.samples();
        samples.iter().find(|(signal, _, _)| signal.name == name).map_or(0, |(_, _, sample)| sample.sum)
    }
}

fn mapping() -> Mapping {
    let json = json!({
        "uuid": UUID, "function": "f", "source": stream_arn(), "batch_size": 10, "window_s": 0, "from": "TrimHorizon",
        "enabled": true, "last_modified": 0,
    });
    serde_json::from_value(json).expect("what version 1 wrote is read")
}

fn function() -> Change {
    let home = Home::default();
    Change::PutFunction(Box::new(Function {
        name: "f".into(),
        arn: home.arn("lambda", "function:f"),
        runtime: "python3.12".into(),
        role: home.global_arn("iam", "role/r"),
        handler: "f.handler".into(),
        description: String::new(),
        timeout_s: 3,
        memory_mb: 128,
        ephemeral_mb: 512,
        environment: BTreeMap::new(),
        code_sha256: String::new(),
        code_id: String::new(),
        code_size: 0,
        last_modified: Timestamp::default(),
        revision: String::new(),
        dead_letter: None,
        tags: BTreeMap::new(),
        logs_to: None,
        levels: None,
        permissions: BTreeMap::new(),
        version: crate::state::LATEST.into(),
        layers: vec![],
        layers_id: None,
    }))
}
