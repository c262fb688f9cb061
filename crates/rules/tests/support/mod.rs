//! A house of rules, an outbox, and targets that take whatever comes. Asked as the front asks: through the table of
//! handlers, in JSON.
// Each test file uses a part; unwrap is what a test does, and clippy does not see that this module is one.
#![allow(dead_code, clippy::unwrap_used)]

use bytes::Bytes;
use delivery::{Delivery, Envelope, Target, Verdict};
use names::{Arn, Caller, Home};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policies::AllBut;
use rules::{Rules, Scheduler};
use serde_json::{Value, json};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use wire::{ApiError, Call, Place, Protocol, Request};
use world::disk::SimDisk;
use world::net::SimNet;
use world::{BoxFuture, World};

/// A role that is not there.
pub(crate) const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";

pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
pub(crate) const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:t";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Takes everything and remembers it.
#[derive(Default)]
pub(crate) struct Taken(Mutex<Vec<Envelope>>);

impl Target for Taken {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        self.0.lock().unwrap().push(envelope.clone());
        Box::pin(async { Verdict::Accepted(Bytes::new()) })
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) scheduler: Arc<Scheduler>,
    /// Where API destinations send.
    pub(crate) net: Arc<SimNet>,
    taken: Arc<Taken>,
}

/// A house in which everything runs.
pub(crate) async fn house() -> House {
    let (world, _) = World::simulated(7);
    let house = House::open(world).await;
    house.start();
    house
}

/// The life of one process on a disk: everything it started dies with it.
pub(crate) fn life<T, F: Future<Output = T>>(disk: &Arc<SimDisk>, seed: u64, live: impl FnOnce(House) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (world, _) = World::simulated(seed);
        live(House::open(World { disk: disk.clone(), ..world }).await).await
    })
}

impl House {
    /// Nothing moves before `start`.
    pub(crate) async fn open(world: World) -> House {
        House::open_with(world, delivery::Options::default()).await
    }

    pub(crate) async fn open_with(mut world: World, outbox: delivery::Options) -> House {
        let net = Arc::new(SimNet::default());
        world.net = net.clone();
        let options = StoreOptions { segment_bytes: 1 << 20, durability: Durability::Fsync, writer: Writer::Inline };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open_with(&world, &store, outbox).await.unwrap();
        let scheduler =
            Scheduler::open(world.clone(), Home::default(), &store, delivery.clone(), Arc::new(AllBut(&[GHOST])))
                .await
                .unwrap();
        let rules = Rules::open(
            world.clone(),
            Home::default(),
            store,
            delivery.clone(),
            Arc::new(AllBut(&[GHOST])),
            Path::new("/data"),
        )
        .await
        .unwrap();
        let taken = Arc::new(Taken::default());
        for (service, prefix) in
            [("sqs", ""), ("kinesis", "stream/"), ("sns", ""), ("lambda", "function:"), ("logs", "log-group:")]
        {
            delivery.register(service, prefix, taken.clone());
        }
        for (service, prefix, target) in rules.targets() {
            delivery.register(service, prefix, target);
        }
        House { world, delivery, rules, scheduler, net, taken }
    }

    pub(crate) fn start(&self) {
        self.delivery.start();
        self.rules.start();
        self.scheduler.start();
    }

    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.ask_of(&self.rules.service(), operation, input).await
    }

    /// Asks for what must succeed.
    pub(crate) async fn done(&self, operation: &str, input: Value) -> Value {
        self.ask(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Asks for what must be refused; gives the error's name and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.ask(operation, input.clone()).await.expect_err(&format!("{operation} {input} is refused"));
        (error.model.name, error.message)
    }

    /// Asks the scheduler; the members go where its model says.
    pub(crate) async fn plan(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.ask_of(&self.scheduler.service(), operation, input).await
    }

    async fn ask_of(&self, service: &wire::Service, operation: &str, input: Value) -> Result<Value, ApiError> {
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let model = service.model().operation(operation).and_then(|entry| entry.model).unwrap();
        let (mut path, mut query, mut body) = (model.uri.to_owned(), String::from("?"), serde_json::Map::new());
        let rest = service.model().name == "scheduler";
        for (name, value) in input.as_object().unwrap() {
            let member = model.input.members().iter().find(|member| member.name == name).unwrap();
            let all = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            let texts = all.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let texts = texts.map(|text| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string());
            match member.place {
                Place::Uri => path = path.replace(&format!("{{{}}}", member.wire), &texts.collect::<String>()),
                Place::Query => query.extend(texts.map(|text| format!("{}={text}&", member.wire))),
                _ => drop(body.insert(name.clone(), value.clone())),
            }
        }
        let uri = if rest { format!("{path}{query}") } else { "/".to_owned() };
        let (head, ()) = http::Request::builder().method(model.method).uri(uri).body(()).unwrap().into_parts();
        let protocol = if rest { Protocol::RestJson } else { Protocol::AwsJson11 };
        let request =
            Request { protocol, head: Arc::new(head), body: Value::Object(body).to_string().into(), observed: true };
        let answer = handler.handle(self.call(service.model(), operation), request).await.result?.into_body();
        let answer = answer.whole().cloned().unwrap_or_default();
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() })
    }

    fn call(&self, service: &'static wire::ServiceModel, operation: &str) -> Arc<Call> {
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        let caller = Caller::root(&Home::default().account, "test");
        Arc::new(Call::local(service, model, caller, self.world.now()))
    }

    /// A rule for one source with the given targets, on a bus.
    pub(crate) async fn rule_on(&self, bus: &str, name: &str, source: &str, targets: Value) {
        let pattern = json!({"source": [source]}).to_string();
        self.done("PutRule", json!({"Name": name, "EventPattern": pattern, "EventBusName": bus})).await;
        let put = self.done("PutTargets", json!({"Rule": name, "EventBusName": bus, "Targets": targets})).await;
        assert_eq!(put, json!({"FailedEntryCount": 0, "FailedEntries": []}));
    }

    pub(crate) async fn rule(&self, name: &str, source: &str, targets: Value) {
        self.rule_on("default", name, source, targets).await;
    }

    /// Puts one event on a bus; gives its id.
    pub(crate) async fn put_on(&self, bus: &str, source: &str, detail: &str) -> String {
        let entry = json!({"Source": source, "DetailType": "T", "Detail": detail, "EventBusName": bus});
        let answer = self.done("PutEvents", json!({"Entries": [entry]})).await;
        answer["Entries"][0]["EventId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    pub(crate) async fn put(&self, source: &str, detail: &str) -> String {
        self.put_on("default", source, detail).await
    }

    /// Pushes a whole event to the default bus, as the house's own services do.
    pub(crate) async fn push(&self, id: &str, event: Value, read_only: bool) -> Verdict {
        self.push_bytes(id, event.to_string(), read_only).await
    }

    pub(crate) async fn push_text(&self, id: &str, text: &str) -> Verdict {
        self.push_bytes(id, text.to_owned(), false).await
    }

    async fn push_bytes(&self, id: &str, body: String, read_only: bool) -> Verdict {
        self.delivery.attempt(&self.pushed(id, body, read_only)).await
    }

    /// What the house's own services push.
    pub(crate) fn pushed(&self, id: &str, body: String, read_only: bool) -> Envelope {
        let bus: Arn = "arn:aws:events:us-east-1:000000000000:event-bus/default".parse().unwrap();
        let read_only = read_only.then(|| (delivery::attribute::READ_ONLY.to_owned(), "true".to_owned()));
        Envelope {
            id: id.into(),
            to: bus,
            body: body.into(),
            attributes: read_only.into_iter().collect(),
            from: None,
            principal: "cloudtrail.amazonaws.com".into(),
            role: None,
            policy: Default::default(),
            dead_letter: None,
            trace: None,
            not_before: None,
            created: self.world.now(),
        }
    }

    /// What the targets have taken since it was last asked, once all is quiet, in the order of target and id.
    pub(crate) async fn taken(&self) -> Vec<Envelope> {
        self.wait(Duration::from_millis(200)).await;
        let mut taken = std::mem::take(&mut *self.taken.0.lock().unwrap());
        taken.sort_by(|a, b| (a.to.as_str(), &a.id).cmp(&(b.to.as_str(), &b.id)));
        taken
    }

    pub(crate) async fn wait(&self, duration: Duration) {
        self.world.clock.sleep(duration).await;
    }
}

pub(crate) fn text(envelope: &Envelope) -> &str {
    std::str::from_utf8(&envelope.body).unwrap()
}
