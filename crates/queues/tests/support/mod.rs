//! The queues over a simulated world, called the way the front calls them: through their table of handlers, in JSON.
#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use names::{Caller, CallerKind, Home};
use policies::AllBut;
use queues::Queues;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use wire::{ApiError, Call, Protocol, Request};
use world::World;
use world::disk::SimDisk;

/// A role that is not there.
pub(crate) const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";

pub(crate) struct House {
    pub(crate) world: World,
    disk: Arc<SimDisk>,
    store: Store,
    pub(crate) queues: Arc<Queues>,
}

async fn open(world: &World) -> (Store, Arc<Queues>) {
    let options = StoreOptions { segment_bytes: 4 << 20, durability: Durability::Fsync, writer: Writer::Inline };
    let store = Store::open(world, Path::new("/data"), options).await.unwrap();
    let queues = Queues::open(world.clone(), Home::default(), store.clone(), Arc::new(AllBut(&[GHOST]))).await.unwrap();
    queues.start();
    (store, queues)
}

impl House {
    pub(crate) async fn new() -> House {
        let (world, disk) = World::simulated(7);
        let (store, queues) = open(&world).await;
        House { world, disk, store, queues }
    }

    /// Stops everything and opens the same disk again.
    pub(crate) async fn restart(self) -> House {
        let House { mut world, disk, store, queues } = self;
        world.tasks.shut_down(Duration::from_secs(5)).await;
        store.close().await;
        drop((queues, store));
        world.tasks = world::Tasks::default();
        let (store, queues) = open(&world).await;
        House { world, disk, store, queues }
    }

    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let service = self.queues.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let request = Request {
            protocol: Protocol::AwsJson10,
            head: Arc::new(head),
            body: input.to_string().into(),
            observed: false,
        };
        let body = handler
            .handle(self.call(operation), request)
            .await
            .result?
            .into_body()
            .whole()
            .cloned()
            .unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    /// Asks for what must be refused; gives the error's name and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.ask(operation, input.clone()).await.expect_err(&format!("{operation} {input} is refused"));
        (error.model.name, error.message)
    }

    fn call(&self, operation: &str) -> Arc<Call> {
        let service = &shapes::sqs::SERVICE;
        let home = Home::default();
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        let caller = Caller {
            kind: CallerKind::User { name: "alice".into() },
            arn: home.global_arn("iam", "user/alice").to_string(),
            principal_id: "AIDAALICE".into(),
            ..Caller::root(&home.account, "test")
        };
        Arc::new(Call::local(service, model, caller, self.world.now()))
    }

    pub(crate) async fn create(&self, name: &str, attributes: Value) -> String {
        let input = json!({ "QueueName": name, "Attributes": attributes });
        self.ask("CreateQueue", input).await.unwrap()["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, url: &str, body: &str) -> Value {
        self.ask("SendMessage", json!({ "QueueUrl": url, "MessageBody": body })).await.unwrap()
    }

    /// Receives with everything there is to see.
    pub(crate) async fn receive(&self, url: &str, more: Value) -> Vec<Value> {
        let mut input = json!({
            "QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let got = self.ask("ReceiveMessage", input).await.unwrap();
        got["Messages"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn bodies(&self, url: &str) -> Vec<String> {
        self.receive(url, json!({})).await.iter().map(|m| m["Body"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn attribute(&self, url: &str, name: &str) -> String {
        let input = json!({ "QueueUrl": url, "AttributeNames": [name] });
        let got = self.ask("GetQueueAttributes", input).await.unwrap();
        got["Attributes"][name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn wait(&self, secs: u64) {
        self.world.clock.sleep(Duration::from_secs(secs)).await;
    }
}

pub(crate) fn handle(message: &Value) -> String {
    message["ReceiptHandle"].as_str().unwrap().to_owned()
}
