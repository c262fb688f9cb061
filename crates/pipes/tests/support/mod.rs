//! A house of pipes between a stream, a queue and targets that the test holds in its hands. Asked as the front asks:
//! through the table of handlers, in JSON.
// Each test file uses a part; unwrap is what a test does, and clippy does not see that this module is one.
#![allow(dead_code, clippy::unwrap_used)]

#[path = "../../../consume/tests/support/queue.rs"]
mod queue;
mod sources;

use bytes::Bytes;
use consume::{Checkpoints, Inbox, Source};
use delivery::{Delivery, Envelope, Target, Verdict};
use names::{Arn, Caller, Home};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pipes::{Neighbours, Pipes};
use policies::Identities;
pub(crate) use queue::Queue;
use serde_json::{Value, json};
pub(crate) use sources::Stream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Store, StoreOptions, Writer};
use wire::{ApiError, Call, Place, Protocol, Request};
use world::disk::SimDisk;
use world::{BoxFuture, World};

pub(crate) const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:from";
pub(crate) const TO: &str = "arn:aws:sqs:us-east-1:000000000000:to";
pub(crate) const DEAD: &str = "arn:aws:sqs:us-east-1:000000000000:dead";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
pub(crate) const ENRICH: &str = "arn:aws:lambda:us-east-1:000000000000:function:enrich";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/pipes";

type Script = dyn Fn(&Envelope, usize) -> Verdict + Send + Sync;

/// Does what the test says, and remembers what it accepted.
pub(crate) struct Targets {
    script: Mutex<Arc<Script>>,
    tries: Mutex<usize>,
    accepted: Mutex<Vec<Envelope>>,
}

impl Target for Targets {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let number = {
                let mut tries = self.tries.lock().unwrap();
                *tries += 1;
                *tries - 1
            };
            let script = self.script.lock().unwrap().clone();
            let verdict = script(envelope, number);
            if matches!(verdict, Verdict::Accepted(_)) {
                self.accepted.lock().unwrap().push(envelope.clone());
            }
            verdict
        })
    }
}

struct Rooms {
    stream: Arc<Stream>,
    queue: Arc<Queue>,
    role: AtomicBool,
}

impl Neighbours for Rooms {
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>> {
        (arn.as_str() == STREAM && !self.stream.is_gone()).then(|| self.stream.clone() as Arc<dyn Source>)
    }
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>> {
        (arn.as_str() == QUEUE).then(|| self.queue.clone() as Arc<dyn Inbox>)
    }
}

impl Identities for Rooms {
    fn exists(&self, _: &str) -> bool {
        true
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        let asked = service == "pipes.amazonaws.com" && whose.is_some_and(|pipe| pipe.service() == "pipes");
        asked && role.as_str() == ROLE && self.role.load(Relaxed)
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) pipes: Arc<Pipes>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    targets: Arc<Targets>,
    rooms: Arc<Rooms>,
}

impl House {
    pub(crate) async fn new() -> House {
        let (world, _) = World::simulated(1);
        let (stream, queue) = (Arc::new(Stream::new(world.now())), Arc::new(Queue::new(QUEUE, world.clock.clone())));
        House::open(world, stream, queue).await
    }

    /// Another life on a disk; the sources outlive it.
    pub(crate) async fn on(disk: &Arc<SimDisk>, stream: Arc<Stream>, queue: Arc<Queue>) -> House {
        let (world, _) = World::simulated(2);
        House::open(World { disk: disk.clone(), ..world }, stream, queue).await
    }

    async fn open(world: World, stream: Arc<Stream>, queue: Arc<Queue>) -> House {
        let options = StoreOptions { writer: Writer::Inline, ..StoreOptions::default() };
        let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let checkpoints = Checkpoints::open(&store).await.unwrap();
        let role = AtomicBool::new(true);
        let rooms = Arc::new(Rooms { stream: stream.clone(), queue: queue.clone(), role });
        let home = Home::default();
        let pipes = Pipes::open(world.clone(), home, &store, delivery.clone(), checkpoints.clone(), rooms.clone());
        let pipes = pipes.await.unwrap();
        let targets = Arc::new(Targets {
            script: Mutex::new(Arc::new(|_, _| ok(Value::Null))),
            tries: Mutex::default(),
            accepted: Mutex::default(),
        });
        for (service, prefix) in
            [("sqs", ""), ("kinesis", ""), ("lambda", ""), ("events", ""), ("sns", ""), ("logs", "")]
        {
            delivery.register(service, prefix, targets.clone());
        }
        delivery.start();
        pipes.start();
        House { world, pipes, stream, queue, checkpoints, targets, rooms }
    }

    /// Whether the role is there.
    pub(crate) fn role(&self, there: bool) {
        self.rooms.role.store(there, Relaxed);
    }

    /// What targets answer from now on.
    pub(crate) fn script(&self, script: impl Fn(&Envelope, usize) -> Verdict + Send + Sync + 'static) {
        *self.targets.script.lock().unwrap() = Arc::new(script);
    }

    /// How often targets were tried.
    pub(crate) fn tries(&self) -> usize {
        *self.targets.tries.lock().unwrap()
    }

    /// What an ARN accepted, in order.
    pub(crate) fn accepted(&self, arn: &str) -> Vec<String> {
        let all = self.targets.accepted.lock().unwrap();
        let of = all.iter().filter(|envelope| envelope.to.as_str() == arn);
        of.map(|envelope| String::from_utf8(envelope.body.to_vec()).unwrap()).collect()
    }

    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        self.targets.accepted.lock().unwrap().clone()
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.world.clock.sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn put(&self, data: &[&str]) {
        data.iter().for_each(|data| self.stream.put("k", data, self.world.now()));
    }

    pub(crate) fn counted(&self, name: &str) -> u64 {
        let samples = self.world.meter.samples();
        samples.iter().find(|(signal, _, _)| signal.name == name).map_or(0, |(_, _, sample)| sample.sum)
    }

    /// Makes the pipe `p` and lets it begin.
    pub(crate) async fn pipe(&self, more: Value) {
        let mut input = json!({"Name": "p", "RoleArn": ROLE, "Target": TO});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.done("CreatePipe", input).await;
        self.pass(1).await;
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

    async fn ask(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let service = self.pipes.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let model = service.model().operation(operation).and_then(|entry| entry.model).unwrap();
        let (mut path, mut query, mut body) = (model.uri.to_owned(), String::from("?"), serde_json::Map::new());
        for (name, value) in input.as_object().unwrap() {
            let member = model.input.members().iter().find(|member| member.name == name).unwrap();
            let all = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            let text = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
            };
            match member.place {
                Place::Uri => path = path.replace(&format!("{{{}}}", member.wire), &text(value)),
                Place::Query => all.iter().for_each(|v| query.push_str(&format!("{}={}&", member.wire, text(v)))),
                _ => drop(body.insert(member.wire.to_owned(), value.clone())),
            }
        }
        let request = http::Request::builder().method(model.method).uri(format!("{path}{query}")).body(()).unwrap();
        let request = Request {
            protocol: Protocol::RestJson,
            head: Arc::new(request.into_parts().0),
            body: Bytes::from(Value::Object(body).to_string()),
            observed: false,
        };
        let call =
            Call::local(service.model(), model, Caller::root(&Home::default().account, "test"), self.world.now());
        let answer = handler.handle(Arc::new(call), request).await.result?;
        let body = answer.body().whole().cloned().unwrap_or_default();
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }
}

pub(crate) fn ok(answer: Value) -> Verdict {
    Verdict::Accepted(if answer.is_null() { Bytes::new() } else { answer.to_string().into() })
}

/// What the target itself is to blame for.
pub(crate) fn fails() -> Verdict {
    Verdict::Again { code: "FunctionError".into(), why: "it raised".into(), after: None }
}

/// What it is not to blame for.
pub(crate) fn away() -> Verdict {
    Verdict::Again { code: "InternalFailure".into(), why: "down".into(), after: None }
}

/// Parameters to read the stream from its beginning.
pub(crate) fn stream(more: Value) -> Value {
    let mut parameters = json!({"StartingPosition": "TRIM_HORIZON"});
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"KinesisStreamParameters": parameters})
}
