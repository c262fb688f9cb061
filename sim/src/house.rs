use crate::inbox::QueueInbox;
use anyhow::{Context, Result, anyhow};
use bytes::{Buf, Bytes};
use consume::{Checkpoints, Inbox, Source};
use delivery::{Delivery, Target};
use functions::runtime::SessionCredentials;
use names::{Arn, Caller, Home, Timestamp};
use policies::{AllBut, Identities};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{MasterKey, MasterKeys, Store, StoreOptions, Writer};
use wire::{Call, Place, Protocol, Request, Service};
use world::disk::SimDisk;
use world::net::{Body, SimNet};
use world::{Clock, SimClock, World};

/// One life of a simulated server: streams, queues, topics, rules, schedules, pipes and, where they have a place for code,
/// functions, on one store. Invocations go to a puppet.
pub struct House {
    /// The simulated world of this life.
    pub world: World,
    /// The store.
    pub store: Store,
    /// Who answers what the house sends out.
    pub net: Arc<SimNet>,
    /// The streams.
    pub streams: Arc<streams::Streams>,
    services: BTreeMap<&'static str, Service>,
    home: Home,
}

/// Small segments, so that rolling and recycling happen within one scenario.
const SEGMENT: u64 = 256 << 10;

impl House {
    /// Opens a house on a disk, in a fresh life. `puppet` stands in for every function that is invoked.
    pub async fn open(disk: Arc<SimDisk>, seed: u64, puppet: Arc<dyn Target>) -> Result<House> {
        House::open_at(disk, seed, puppet, Arc::new(SimClock::new())).await
    }

    /// The same, by a clock that goes on from life to life.
    pub async fn open_at(
        disk: Arc<SimDisk>,
        seed: u64,
        puppet: Arc<dyn Target>,
        clock: Arc<dyn Clock>,
    ) -> Result<House> {
        House::open_with_code(disk, seed, puppet, clock, None).await
    }

    /// The same, with functions, whose code lies in a directory of the machine.
    pub async fn open_with_code(
        disk: Arc<SimDisk>,
        seed: u64,
        puppet: Arc<dyn Target>,
        clock: Arc<dyn Clock>,
        code: Option<&Path>,
    ) -> Result<House> {
        let (mut world, _) = World::simulated(seed);
        (world.disk, world.clock) = (disk, clock);
        let net = Arc::new(SimNet::default());
        world.net = net.clone();
        let home = Home::default();
        let options = StoreOptions { segment_bytes: SEGMENT, writer: Writer::Inline, ..StoreOptions::default() };
        let masters = MasterKeys { current: MasterKey::new(&[5; 32]), previous: None };
        let store = Store::open_with_keys(&world, Path::new("/data"), options, Some(masters)).await?;
        let delivery = Delivery::open(&world, &store).await?;
        let everybody: Arc<dyn Identities> = Arc::new(EVERYBODY);
        let options = streams::Options { limits: streams::Limits::Off, ..streams::Options::default() };
        let streams =
            streams::Streams::open(world.clone(), home.clone(), store.clone(), everybody.clone(), options).await?;
        let queues = queues::Queues::open(world.clone(), home.clone(), store.clone(), everybody.clone()).await?;
        let dir = Path::new("/data");
        let options = topics::TopicsOptions { data_dir: dir.to_owned(), ..topics::TopicsOptions::default() };
        let all = (world.clone(), home.clone(), store.clone(), delivery.clone());
        let topics = topics::Topics::open(all.0, all.1, all.2, all.3, everybody.clone(), options).await?;
        let all = (world.clone(), home.clone(), store.clone(), delivery.clone());
        let rules = rules::Rules::open(all.0, all.1, all.2, all.3, everybody.clone(), dir).await?;
        let scheduler =
            rules::Scheduler::open(world.clone(), home.clone(), &store, delivery.clone(), everybody).await?;
        let rooms = Arc::new(Rooms { streams: streams.clone(), queues: queues.clone() });
        let checkpoints = Checkpoints::open(&store).await?;
        let (all, notes) = ((world.clone(), home.clone(), delivery.clone()), checkpoints.clone());
        let pipes = pipes::Pipes::open(all.0, all.1, &store, all.2, notes, rooms.clone()).await?;
        let functions = match code {
            Some(code) => {
                let options = functions_in(code);
                let (world, home, store) = (world.clone(), home.clone(), store.clone());
                let open =
                    functions::Functions::open(world, home, store, delivery.clone(), checkpoints, rooms, options);
                Some(open.await?)
            }
            None => None,
        };
        delivery.register("kinesis", "stream/", streams.target());
        delivery.register("sqs", "", queues.target());
        for (service, prefix, target) in rules.targets().into_iter().chain(topics.targets()) {
            delivery.register(service, prefix, target);
        }
        delivery.register("lambda", "function:", puppet);
        delivery.start();
        streams.start();
        queues.start();
        topics.start();
        rules.start();
        scheduler.start();
        pipes.start();
        let mut all = vec![streams.service(), queues.service(), topics.service(), rules.service()];
        all.extend([scheduler.service(), pipes.service()]);
        if let Some(functions) = functions {
            functions.start("http://127.0.0.1:4566");
            all.push(functions.service());
        }
        let services = all.into_iter().map(|s| (s.model().name, s)).collect();
        Ok(House { world, store, net, streams, services, home })
    }

    /// Asks an operation of a service that speaks JSON, as root.
    pub async fn ask(&self, service: &str, operation: &str, body: Value) -> Result<Value> {
        let answer = self.answer(service, operation, body).await?;
        let body = answer.whole().cloned().unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Asks an operation that answers with a stream of events.
    pub async fn subscribe(&self, service: &str, operation: &str, body: Value) -> Result<Events> {
        Ok(Events(self.answer(service, operation, body).await?))
    }

    async fn answer(&self, service: &str, operation: &str, body: Value) -> Result<Body> {
        let service = self.services.get(service).context("a service of the simulated house")?;
        let model = service.model().operation(operation).and_then(|entry| entry.model).context("a served operation")?;
        let handler = service.handler(operation).context("a registered operation")?;
        let caller = Caller::root(&self.home.account, "test");
        let call = Call::local(service.model(), model, caller, self.world.now());
        let rest = service.model().protocol == "rest-json";
        let uri = if rest { path(model, &body) } else { "/".to_owned() };
        let (head, ()) = http::Request::builder().method(model.method).uri(uri).body(())?.into_parts();
        let protocol = match service.model().json_version {
            _ if rest => Protocol::RestJson,
            "1.0" => Protocol::AwsJson10,
            _ => Protocol::AwsJson11,
        };
        let request = Request { protocol, head: Arc::new(head), body: Bytes::from(body.to_string()), observed: false };
        let answer = handler.handle(Arc::new(call), request).await.result.map_err(|error| anyhow!("{error}"))?;
        Ok(answer.into_body())
    }

    /// Lets time go by.
    pub async fn pass(&self, time: Duration) {
        self.world.clock.sleep(time).await;
    }

    /// The process dies: its tasks end where they are. What the disk keeps is up to [`SimDisk::crash`].
    pub async fn die(self) {
        self.world.tasks.shut_down(Duration::ZERO).await;
    }
}

/// The simulated house has no registry of users and roles.
const EVERYBODY: AllBut = AllBut(&[]);

/// What pipes and functions need of other rooms.
struct Rooms {
    streams: Arc<streams::Streams>,
    queues: Arc<queues::Queues>,
}

impl Identities for Rooms {
    fn exists(&self, principal: &str) -> bool {
        EVERYBODY.exists(principal)
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        EVERYBODY.trusts(role, service, whose)
    }
}

impl pipes::Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        self.streams.source(arn)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        Some(Arc::new(QueueInbox(self.queues.source(arn)?)))
    }
}

impl functions::Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        pipes::Neighbours::source(self, arn)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        pipes::Neighbours::inbox(self, arn)
    }
    fn credentials(&self, _: &Arn, _: &str) -> Result<SessionCredentials, String> {
        Err("no function runs here".to_owned())
    }
    fn log(&self, _: &str, _: &str, _: Timestamp, _: String) {}
}

fn functions_in(code: &Path) -> functions::Options {
    functions::Options {
        data_dir: code.to_owned(),
        runtimes: code.join("runtimes"),
        environment: vec![],
        memory_mb: 128,
        hold: functions::Hold::default(),
    }
}

/// The path of a call whose service has one for each operation; labels are taken out of the body.
fn path(model: &wire::OperationModel, body: &Value) -> String {
    let labels = model.input.members().iter().filter(|member| member.place == Place::Uri);
    labels.fold(model.uri.to_owned(), |path, label| {
        path.replace(&format!("{{{}}}", label.wire), body[label.name].as_str().unwrap_or_default())
    })
}

/// The events of one answer, as a client takes them.
pub struct Events(Body);

impl Events {
    /// The next event's payload, the opening one being passed over; `None` when the stream of events has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let mut frame = self.0.next().await?;
            // Total length, length of the headers, checksum; headers; payload; checksum.
            let total = frame.get_u32() as usize;
            let headers = frame.get_u32() as usize;
            frame.advance(4);
            let headers = frame.split_to(headers.min(frame.len()));
            let payload = frame.split_to(total.saturating_sub(16 + headers.len()).min(frame.len()));
            if !String::from_utf8_lossy(&headers).contains("initial-response") {
                return serde_json::from_slice(&payload).ok();
            }
        }
    }
}
