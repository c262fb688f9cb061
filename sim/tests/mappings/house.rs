//! One life of a house with streams, queues and functions, whose functions are a puppet.

use super::puppet::Puppet;
use bytes::Bytes;
use consume::{Checkpoints, Inbox, Source};
use delivery::Delivery;
use functions::runtime::SessionCredentials;
use functions::{Functions, Neighbours, Options};
use names::{Arn, Caller, CallerKind, Home};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreOptions, Writer};
use wire::{Call, Protocol, Request, Service};
use world::disk::SimDisk;
use world::{SimClock, World};

/// A package with an executable `bootstrap` that is never run.
const PACKAGE: &str = "UEsDBBQAAAAAAAAAIVwdnfsECgAAAAoAAAAJAAAAYm9vdHN0cmFwIyEvYmluL3NoClBLAQIUAxQAAAAAAAAAIVwdnfsECgAAAAoAAAAJ\
                       AAAAAAAAAAAAAADtAQAAAABib290c3RyYXBQSwUGAAAAAAEAAQA3AAAAMQAAAAAA";

struct Rooms {
    streams: Arc<streams::Streams>,
    queues: Arc<queues::Queues>,
}

impl Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        self.streams.source(arn)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        Some(Arc::new(super::inbox::QueueInbox(self.queues.source(arn)?)))
    }
    fn trusts(&self, _: &Arn, _: &str) -> bool {
        true
    }
    fn credentials(&self, _: &Arn, _: &str) -> Result<SessionCredentials, String> {
        Err("no function runs here".to_owned())
    }
    fn log(&self, _: &str, _: &str, _: names::Timestamp, _: String) {}
}

pub(crate) struct House {
    pub(crate) world: World,
    services: BTreeMap<&'static str, Service>,
    home: Home,
}

impl House {
    /// Opens a house on a disk. Its clock is `later` than the simulation's beginning. Code lies in `code`.
    pub(crate) async fn open(
        disk: Arc<SimDisk>,
        seed: u64,
        later: Duration,
        code: &Path,
        puppet: Arc<Puppet>,
    ) -> House {
        let (world, _) = World::simulated(seed);
        let clock = SimClock::new();
        clock.jump(later.as_micros() as i64);
        let world = World { disk, clock: Arc::new(clock), ..world };
        let home = Home::default();
        let options = StoreOptions { segment_bytes: 256 << 10, writer: Writer::Inline, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let limits = streams::Options { limits: streams::Limits::Off, ..streams::Options::default() };
        let streams = streams::Streams::open(world.clone(), home.clone(), store.clone(), limits).await.unwrap();
        let queues = queues::Queues::open(world.clone(), home.clone(), store.clone()).await.unwrap();
        let rooms = Arc::new(Rooms { streams: streams.clone(), queues: queues.clone() });
        let checkpoints = Checkpoints::open(&store).await.unwrap();
        let (data_dir, runtimes) = (code.to_owned(), code.join("runtimes"));
        let options = Options { data_dir, runtimes, environment: vec![], memory_mb: 128, hold: Default::default() };
        let functions =
            Functions::open(world.clone(), home.clone(), store, delivery.clone(), checkpoints, rooms, options);
        let functions = functions.await.unwrap();
        delivery.register("kinesis", "stream/", streams.target());
        delivery.register("sqs", "", queues.target());
        delivery.register("lambda", "function:", puppet);
        delivery.start();
        streams.start();
        queues.start();
        functions.start("http://127.0.0.1:4566");
        let all = [streams.service(), queues.service(), functions.service()];
        House { world, services: all.into_iter().map(|s| (s.model().name, s)).collect(), home }
    }

    /// Asks an operation, as root; an error is its message.
    pub(crate) async fn ask(&self, service: &str, operation: &str, body: Value) -> Result<Value, String> {
        let service = &self.services[service];
        let entry = service.model().operation(operation).unwrap();
        let call = Call {
            service: service.model(),
            operation: entry.model.unwrap(),
            caller: Caller {
                kind: CallerKind::Root,
                account: self.home.account.clone(),
                arn: self.home.global_arn("iam", "root").to_string(),
                principal_id: self.home.account.to_string(),
                access_key_id: "test".to_owned(),
            },
            request_id: self.world.uuid(),
            source_ip: [127, 0, 0, 1].into(),
            user_agent: "sim".to_owned(),
            host: "localhost:4566".to_owned(),
            tls: false,
            at: self.world.now(),
            trace: None,
        };
        let protocol = match service.model().protocol {
            "rest-json" => Protocol::RestJson,
            _ if service.model().json_version == "1.0" => Protocol::AwsJson10,
            _ => Protocol::AwsJson11,
        };
        let uri = if protocol == Protocol::RestJson { entry.uri } else { "/" };
        let (head, ()) = http::Request::builder().method(entry.method).uri(uri).body(()).unwrap().into_parts();
        let request = Request { protocol, head: Arc::new(head), body: Bytes::from(body.to_string()), observed: false };
        let handled = service.handler(operation).unwrap().handle(Arc::new(call), request).await;
        let answer = handled.result.map_err(|error| error.to_string())?;
        let body = answer.body().whole().cloned().unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    /// Makes the function.
    pub(crate) async fn make_function(&self) {
        let function = json!({
            "FunctionName": "f", "Runtime": "provided.al2023", "Handler": "h", "Code": {"ZipFile": PACKAGE},
            "Role": "arn:aws:iam::000000000000:role/r",
        });
        self.ask("lambda", "CreateFunction", function).await.unwrap();
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.world.clock.sleep(time).await;
    }

    /// The process dies: its tasks end where they are.
    pub(crate) async fn die(self) {
        self.world.tasks.shut_down(Duration::ZERO).await;
    }
}
