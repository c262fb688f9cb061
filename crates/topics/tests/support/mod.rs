//! The topics over a simulated world, called the way the front calls them: through their table of handlers, in JSON.
//! Queues and functions are stood in for by a target that keeps what it gets.
#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use delivery::{Delivery, Envelope, Target, Verdict};
use names::{Caller, Home};
use policies::AllBut;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use topics::{ChatOptions, SigningKey, SmsProvider, Topics, TopicsOptions};
use wire::{ApiError, Call, Protocol, Request};
use world::disk::SimDisk;
use world::net::SimNet;
use world::{BoxFuture, World};

/// A role that is not there.
pub(crate) const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";

/// Keeps what it gets.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<Envelope>>);

impl Target for Kept {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        self.0.lock().unwrap().push(envelope.clone());
        Box::pin(async { Verdict::Accepted(Default::default()) })
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) net: Arc<SimNet>,
    disk: Arc<SimDisk>,
    store: Store,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) topics: Arc<Topics>,
    kept: Arc<Kept>,
    options: TopicsOptions,
    bound: delivery::Options,
    /// Lines for log groups.
    pub(crate) lines: Lines,
}

pub(crate) type Lines = Arc<Mutex<Vec<(String, Value)>>>;

/// What a house is opened with where a test says nothing else. Making a key would take longer than all tests.
pub(crate) fn options() -> TopicsOptions {
    let (key, certificate) = (include_str!("signing.key").to_owned(), include_str!("signing.pem").to_owned());
    let slack = ChatOptions { hosts: vec!["chat.example.com".into()], template: None };
    TopicsOptions { signing: Some(SigningKey { key, certificate }), slack, ..TopicsOptions::default() }
}

pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:alarms";
pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:orders";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

async fn open(
    world: &World,
    kept: &Arc<Kept>,
    options: TopicsOptions,
    lines: &Lines,
    bound: &delivery::Options,
) -> (Store, Arc<Delivery>, Arc<Topics>) {
    let sized = StoreOptions { segment_bytes: 4 << 20, durability: Durability::Fsync, writer: Writer::Inline };
    let store = Store::open(world, Path::new("/data"), sized).await.unwrap();
    let delivery = Delivery::open_with(world, &store, bound.clone()).await.unwrap();
    let topics = Topics::open(
        world.clone(),
        Home::default(),
        store.clone(),
        delivery.clone(),
        Arc::new(AllBut(&[GHOST])),
        options,
    )
    .await
    .unwrap();
    for (service, prefix, target) in topics.targets() {
        delivery.register(service, prefix, target);
    }
    delivery.register("sqs", "", kept.clone());
    delivery.register("lambda", "function:", kept.clone());
    let lines = lines.clone();
    topics.log_to(Arc::new(move |group, _, line| {
        lines.lock().unwrap().push((group.to_owned(), serde_json::from_str(&line).unwrap()));
    }));
    delivery.start();
    topics.start();
    (store, delivery, topics)
}

impl House {
    pub(crate) async fn new(sms: Option<SmsProvider>) -> House {
        House::with(TopicsOptions { sms, ..options() }).await
    }

    pub(crate) async fn with(options: TopicsOptions) -> House {
        House::bounded(options, delivery::Options::default()).await
    }

    /// With a limit on what may wait.
    pub(crate) async fn bounded(options: TopicsOptions, bound: delivery::Options) -> House {
        let (mut world, disk) = World::simulated(7);
        let net = Arc::new(SimNet::default());
        world.net = net.clone();
        let kept = Arc::new(Kept::default());
        let lines = Lines::default();
        let (store, delivery, topics) = open(&world, &kept, options.clone(), &lines, &bound).await;
        House { world, net, disk, store, delivery, topics, kept, options, bound, lines }
    }

    /// Stops everything and opens the same disk again.
    pub(crate) async fn restart(self) -> House {
        let House { mut world, net, disk, store, delivery, topics, kept, options, bound, lines } = self;
        world.tasks.shut_down(Duration::from_secs(5)).await;
        store.close().await;
        drop((topics, delivery, store));
        world.tasks = world::Tasks::default();
        let (store, delivery, topics) = open(&world, &kept, options.clone(), &lines, &bound).await;
        House { world, net, disk, store, delivery, topics, kept, options, bound, lines }
    }

    /// The sum of a metric.
    pub(crate) fn metric(&self, name: &str, topic: &str) -> u64 {
        let samples = self.world.meter.samples();
        let found = samples.iter().find(|(signal, values, _)| signal.name == name && values == &[topic]);
        found.map_or(0, |(_, _, sample)| sample.sum)
    }

    async fn ask_as(&self, caller: Caller, operation: &str, input: Value) -> Result<Value, ApiError> {
        let service = self.topics.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let body = input.to_string().into();
        let request = Request { protocol: Protocol::AwsJson10, head: Arc::new(head), body, observed: false };
        let body = handler
            .handle(self.call(caller, operation), request)
            .await
            .result?
            .into_body()
            .whole()
            .cloned()
            .unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.ask_as(Caller::root(&Home::default().account, "test"), operation, input).await
    }

    /// As somebody who only has a link.
    pub(crate) async fn ask_unsigned(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.ask_as(Caller::anonymous(&Home::default().account), operation, input).await
    }

    /// Asks for what must be refused; gives the error's code and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.ask(operation, input.clone()).await.expect_err(&format!("{operation} {input} is refused"));
        (error.model.code, error.message)
    }

    fn call(&self, caller: Caller, operation: &str) -> Arc<Call> {
        let service = &shapes::sns::SERVICE;
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        Arc::new(Call::local(service, model, caller, self.world.now()))
    }

    pub(crate) async fn topic(&self) {
        self.ask("CreateTopic", json!({ "Name": "alarms" })).await.unwrap();
    }

    /// Subscribes, and gives the subscription's ARN.
    pub(crate) async fn subscribe(&self, protocol: &str, endpoint: &str, attributes: Value) -> String {
        let input = json!({
            "TopicArn": TOPIC, "Protocol": protocol, "Endpoint": endpoint, "Attributes": attributes,
            "ReturnSubscriptionArn": true,
        });
        self.ask("Subscribe", input).await.unwrap()["SubscriptionArn"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn publish(&self, more: Value) -> String {
        let mut input = json!({ "TopicArn": TOPIC, "Message": "hello" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("Publish", input).await.unwrap()["MessageId"].as_str().unwrap().to_owned()
    }

    /// What queues and functions have got since the last look.
    pub(crate) async fn arrived(&self) -> Vec<Envelope> {
        self.wait(5).await;
        std::mem::take(&mut *self.kept.0.lock().unwrap())
    }

    pub(crate) async fn wait(&self, secs: u64) {
        self.world.clock.sleep(Duration::from_secs(secs)).await;
    }
}
