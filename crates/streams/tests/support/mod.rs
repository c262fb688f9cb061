//! A stream service over a simulated world, called the way the front calls it: through its table of handlers, in JSON.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part

use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, attribute};
use names::{Arn, Caller, Home};
use policies::AllBut;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, MasterKey, MasterKeys, Store, StoreOptions, Writer};
use streams::{Limits, Options, Streams};
use wire::{ApiError, Call, Protocol, Request};
use world::World;
use world::disk::SimDisk;
use world::net::Body;

/// A role that is not there.
pub(crate) const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Store,
    pub(crate) streams: Arc<Streams>,
    limits: Limits,
    masters: Option<MasterKeys>,
}

const SETTLE: Duration = Duration::from_millis(20);

pub(crate) async fn house(limits: Limits) -> House {
    house_under(7, limits).await
}

pub(crate) async fn house_under(seed: u64, limits: Limits) -> House {
    house_of(seed, limits, None).await
}

/// A house with a master key, so that streams can be encrypted.
pub(crate) async fn house_with_key(limits: Limits, secret: u8) -> House {
    let master = MasterKeys { current: MasterKey::new(&[secret; 32]), previous: None };
    house_of(7, limits, Some(master)).await
}

/// A house in which streams take their time.
pub(crate) async fn slow_house(settle: Duration) -> House {
    let (world, disk) = World::simulated(7);
    let (store, streams) = open(&world, Limits::Aws, settle, None).await;
    House { world, disk, store, streams, limits: Limits::Aws, masters: None }
}

async fn house_of(seed: u64, limits: Limits, masters: Option<MasterKeys>) -> House {
    let (world, disk) = World::simulated(seed);
    let (store, streams) = open(&world, limits, SETTLE, masters.clone()).await;
    House { world, disk, store, streams, limits, masters }
}

async fn open(world: &World, limits: Limits, settle: Duration, masters: Option<MasterKeys>) -> (Store, Arc<Streams>) {
    let options = StoreOptions { segment_bytes: 1 << 20, durability: Durability::Fsync, writer: Writer::Inline };
    let store = Store::open_with_keys(world, Path::new("/data"), options, masters).await.unwrap();
    let options = Options { limits, settle };
    let streams = Streams::open(world.clone(), Home::default(), store.clone(), Arc::new(AllBut(&[GHOST])), options)
        .await
        .unwrap();
    streams.start();
    (store, streams)
}

impl House {
    /// What a rule sends to a stream.
    pub(crate) fn envelope(&self, to: Arn, body: &str, key: Option<&str>) -> Envelope {
        Envelope {
            id: "event-1".into(),
            to,
            body: Bytes::copy_from_slice(body.as_bytes()),
            attributes: key.map(|key| (attribute::PARTITION_KEY.to_owned(), key.to_owned())).into_iter().collect(),
            from: None,
            principal: "events.amazonaws.com".into(),
            role: None,
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: None,
            not_before: None,
            created: self.world.now(),
        }
    }

    /// Damages the first bytes like these in the journal.
    pub(crate) fn damage(&self, written: &[u8]) {
        let path = std::path::Path::new("/data/journal/0000000000000001.log");
        let content = world::Disk::read(&*self.disk, path).unwrap();
        let at = content.windows(written.len()).position(|bytes| bytes == written).unwrap();
        self.disk.corrupt(path, at as u64);
    }

    /// Stops everything and opens the same disk again.
    pub(crate) async fn restart(self) -> House {
        let House { mut world, disk, store, streams, limits, masters } = self;
        world.tasks.shut_down(Duration::from_secs(5)).await;
        store.close().await;
        drop((streams, store));
        world.tasks = world::Tasks::default();
        let (store, streams) = open(&world, limits, SETTLE, masters.clone()).await;
        House { world, disk, store, streams, limits, masters }
    }

    /// The power fails in the middle of everything; what survives is opened again.
    pub(crate) async fn crash(self) -> House {
        let House { mut world, disk, store, streams, limits, masters } = self;
        disk.crash();
        // What still runs belongs to the past: its writes fail.
        world.tasks.shut_down(Duration::ZERO).await;
        drop((streams, store));
        world.tasks = world::Tasks::default();
        let (store, streams) = open(&world, limits, SETTLE, masters.clone()).await;
        House { world, disk, store, streams, limits, masters }
    }

    /// Asks in one protocol for what is answered in one piece.
    pub(crate) async fn ask_by(&self, protocol: Protocol, operation: &str, body: Bytes) -> Result<Bytes, ApiError> {
        let answer = self.answer(protocol, operation, body).await?;
        Ok(answer.whole().cloned().unwrap_or_default())
    }

    /// Asks in one protocol.
    pub(crate) async fn answer(&self, protocol: Protocol, operation: &str, body: Bytes) -> Result<Body, ApiError> {
        self.answer_to(Caller::root(&Home::default().account, "test"), protocol, operation, body).await
    }

    /// Asks as somebody.
    pub(crate) async fn answer_to(
        &self,
        caller: Caller,
        protocol: Protocol,
        operation: &str,
        body: Bytes,
    ) -> Result<Body, ApiError> {
        let service = self.streams.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let request = Request { protocol, head: Arc::new(head), body, observed: false };
        handler.handle(self.call(caller, operation), request).await.result.map(http::Response::into_body)
    }

    /// Asks in JSON.
    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let answer = self.ask_by(Protocol::AwsJson11, operation, input.to_string().into()).await?;
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() })
    }

    /// Asks for what must be refused; gives the error's name and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.ask(operation, input.clone()).await.expect_err(&format!("{operation} {input} is refused"));
        (error.model.name, error.message)
    }

    fn call(&self, caller: Caller, operation: &str) -> Arc<Call> {
        let service = &shapes::kinesis::SERVICE;
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        Arc::new(Call::local(service, model, caller, self.world.now()))
    }

    /// Creates a stream and waits until it is there.
    pub(crate) async fn create(&self, name: &str, shards: u32) {
        self.ask("CreateStream", json!({"StreamName": name, "ShardCount": shards})).await.unwrap();
        self.wait(Duration::from_millis(100)).await;
        let summary = self.ask("DescribeStreamSummary", json!({"StreamName": name})).await.unwrap();
        assert_eq!(summary["StreamDescriptionSummary"]["StreamStatus"], "ACTIVE");
    }

    pub(crate) async fn put(&self, name: &str, key: &str, data: &[u8]) -> Result<Value, ApiError> {
        self.ask("PutRecord", json!({"StreamName": name, "PartitionKey": key, "Data": base64(data)})).await
    }

    pub(crate) async fn iterator(&self, name: &str, shard: u32, kind: &str, more: Value) -> String {
        let mut input =
            json!({"StreamName": name, "ShardId": format!("shardId-{shard:012}"), "ShardIteratorType": kind});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.ask("GetShardIterator", input).await.unwrap();
        answer["ShardIterator"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, iterator: &str) -> Result<Value, ApiError> {
        self.ask("GetRecords", json!({"ShardIterator": iterator})).await
    }

    /// The payloads that one read gives.
    pub(crate) async fn payloads(&self, iterator: &str) -> Vec<Vec<u8>> {
        let answer = self.get(iterator).await.unwrap();
        answer["Records"].as_array().unwrap().iter().map(|record| from_base64(&record["Data"])).collect()
    }

    pub(crate) async fn wait(&self, duration: Duration) {
        self.world.clock.sleep(duration).await;
    }
}

pub(crate) fn base64(data: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(data)
}

pub(crate) fn from_base64(text: &Value) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text.as_str().unwrap()).unwrap()
}
