//! The log groups over a simulated world, called the way the front calls them: through their table of handlers, in JSON.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part; helpers of tests fail as tests do

use logs::Logs;
use names::{Caller, Home};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use wire::{ApiError, Call, Protocol, Request};
use world::World;
use world::disk::SimDisk;

pub(crate) const DAY_MS: i64 = 86_400_000;

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Store,
    pub(crate) logs: Arc<Logs>,
}

async fn open(world: &World) -> (Store, Arc<Logs>) {
    let options = StoreOptions { segment_bytes: 1 << 20, durability: Durability::Fsync, writer: Writer::Inline };
    let store = Store::open(world, Path::new("/data"), options).await.unwrap();
    let logs = Logs::open(world.clone(), Home::default(), store.clone()).await.unwrap();
    logs.start();
    (store, logs)
}

impl House {
    pub(crate) async fn new() -> House {
        House::under(7).await
    }

    pub(crate) async fn under(seed: u64) -> House {
        let (world, disk) = World::simulated(seed);
        let (store, logs) = open(&world).await;
        House { world, disk, store, logs }
    }

    /// Stops everything and opens the same disk again.
    pub(crate) async fn restart(self) -> House {
        let House { mut world, disk, store, logs } = self;
        world.tasks.shut_down(Duration::from_secs(5)).await;
        store.close().await;
        drop((logs, store));
        world.tasks = world::Tasks::default();
        let (store, logs) = open(&world).await;
        House { world, disk, store, logs }
    }

    /// The power fails in the middle of everything; what survives is opened again.
    pub(crate) async fn crash(self) -> House {
        let House { mut world, disk, store, logs } = self;
        disk.crash();
        // What still runs belongs to the past: its writes fail.
        world.tasks.shut_down(Duration::ZERO).await;
        drop((logs, store));
        world.tasks = world::Tasks::default();
        let (store, logs) = open(&world).await;
        House { world, disk, store, logs }
    }

    pub(crate) fn now(&self) -> i64 {
        self.world.now().millis()
    }

    pub(crate) async fn wait(&self, duration: Duration) {
        self.world.clock.sleep(duration).await;
    }

    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let service = self.logs.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let (protocol, body) = (Protocol::AwsJson11, input.to_string().into());
        let request = Request { protocol, head: Arc::new(head), body, observed: false };
        let answer = handler.handle(self.call(operation), request).await.result?.into_body();
        let body = answer.whole().cloned().unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    pub(crate) async fn fine(&self, operation: &str, input: Value) -> Value {
        let answer = self.ask(operation, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// Asks for what must be refused; gives the error's name and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.ask(operation, input.clone()).await.expect_err(&format!("{operation} {input} is refused"));
        (error.model.name, error.message)
    }

    fn call(&self, operation: &str) -> Arc<Call> {
        let service = &shapes::logs::SERVICE;
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        let caller = Caller::root(&Home::default().account, "test");
        Arc::new(Call::local(service, model, caller, self.world.now()))
    }

    /// Makes a group with streams.
    pub(crate) async fn create(&self, group: &str, streams: &[&str]) {
        self.fine("CreateLogGroup", json!({"logGroupName": group})).await;
        for stream in streams {
            self.fine("CreateLogStream", json!({"logGroupName": group, "logStreamName": stream})).await;
        }
    }

    /// Puts events: time stamps and messages.
    pub(crate) async fn put(&self, group: &str, stream: &str, events: &[(i64, &str)]) -> Value {
        let events: Vec<Value> = events.iter().map(|(at, text)| json!({"timestamp": at, "message": text})).collect();
        let input = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
        self.fine("PutLogEvents", input).await
    }

    /// The messages of one page of GetLogEvents, and its tokens.
    pub(crate) async fn get(&self, group: &str, stream: &str, more: Value) -> (Vec<String>, String, String) {
        let mut input = json!({"logGroupName": group, "logStreamName": stream});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = self.fine("GetLogEvents", input).await;
        let text = |name: &str| page[name].as_str().unwrap().to_owned();
        (messages(&page), text("nextForwardToken"), text("nextBackwardToken"))
    }

    /// All messages that FilterLogEvents finds, page by page, and how many pages there were.
    pub(crate) async fn filter(&self, group: &str, more: Value) -> (Vec<String>, usize) {
        let mut input = json!({"logGroupName": group});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = self.fine("FilterLogEvents", input.clone()).await;
            found.extend(messages(&page));
            pages += 1;
            match page["nextToken"].as_str() {
                Some(token) => input["nextToken"] = token.into(),
                None => return (found, pages),
            }
        }
    }
}

pub(crate) fn messages(page: &Value) -> Vec<String> {
    page["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}
