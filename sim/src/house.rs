use crate::Flaky;
use anyhow::{Context, Result, anyhow};
use bytes::{Buf, Bytes};
use delivery::Delivery;
use names::{Caller, CallerKind, Home};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{MasterKey, MasterKeys, Store, StoreOptions, Writer};
use wire::{Call, Place, Protocol, Request, Service};
use world::disk::SimDisk;
use world::net::{Body, SimNet};
use world::{Clock, SimClock, World};

/// One life of a simulated server: streams, queues, topics, rules and delivery on one store.
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
    /// Opens a house on a disk, in a fresh life. `flaky` stands in for a function target: see [`Flaky`].
    pub async fn open(disk: Arc<SimDisk>, seed: u64, flaky: Arc<Flaky>) -> Result<House> {
        House::open_at(disk, seed, flaky, Arc::new(SimClock::new())).await
    }

    /// The same, by a clock that goes on from life to life.
    pub async fn open_at(disk: Arc<SimDisk>, seed: u64, flaky: Arc<Flaky>, clock: Arc<dyn Clock>) -> Result<House> {
        let (mut world, _) = World::simulated(seed);
        (world.disk, world.clock) = (disk, clock);
        let net = Arc::new(SimNet::default());
        world.net = net.clone();
        let home = Home::default();
        let options = StoreOptions { segment_bytes: SEGMENT, writer: Writer::Inline, ..StoreOptions::default() };
        let masters = MasterKeys { current: MasterKey::new(&[5; 32]), previous: None };
        let store = Store::open_with_keys(&world, Path::new("/data"), options, Some(masters)).await?;
        let delivery = Delivery::open(&world, &store).await?;
        let options = streams::Options { limits: streams::Limits::Off, ..streams::Options::default() };
        let streams = streams::Streams::open(world.clone(), home.clone(), store.clone(), options).await?;
        let queues = queues::Queues::open(world.clone(), home.clone(), store.clone()).await?;
        let dir = Path::new("/data");
        let options = topics::TopicsOptions { data_dir: dir.to_owned(), ..topics::TopicsOptions::default() };
        let topics =
            topics::Topics::open(world.clone(), home.clone(), store.clone(), delivery.clone(), options).await?;
        let rules = rules::Rules::open(world.clone(), home.clone(), store.clone(), delivery.clone(), dir).await?;
        let scheduler = rules::Scheduler::open(world.clone(), home.clone(), &store, delivery.clone()).await?;
        delivery.register("kinesis", "stream/", streams.target());
        delivery.register("sqs", "", queues.target());
        for (service, prefix, target) in rules.targets().into_iter().chain(topics.targets()) {
            delivery.register(service, prefix, target);
        }
        delivery.register("lambda", "function:", flaky);
        delivery.start();
        streams.start();
        queues.start();
        topics.start();
        rules.start();
        scheduler.start();
        let all = [streams.service(), queues.service(), topics.service(), rules.service(), scheduler.service()];
        let services = all.into_iter().map(|s| (s.model().name, s)).collect();
        Ok(House { world, store, net, streams, services, home })
    }

    /// Asks an operation of a JSON service, as its root.
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
        let call = Call {
            service: service.model(),
            operation: model,
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
        let rest = service.model().name == "scheduler";
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

    /// The process dies: its tasks end where they are. What the disk keeps is up to [`SimDisk::crash`].
    pub async fn die(self) {
        self.world.tasks.shut_down(std::time::Duration::ZERO).await;
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
