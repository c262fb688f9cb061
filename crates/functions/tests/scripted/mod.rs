//! Lambda over a simulated world, called the way the front calls it. Its functions are scripts of the test behind real
//! Runtime API calls; time is moved by hand; queues, topics and buses are one target that keeps what it gets.
#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use bytes::Bytes;
use consume::{Checkpoints, Inbox, Source};
use delivery::{Delivery, Envelope, Target, Verdict};
use functions::runtime::SessionCredentials;
use functions::{Functions, Neighbours, Options};
use names::{Arn, Caller, Home};
use policies::{AllBut, Identities};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Store, StoreOptions, Writer};
use tokio::sync::watch;
use wire::{ApiError, Call, Place, Protocol, Request};
use world::net::{Asked, Connection, HttpService, Listen, Net, SendError};
use world::processes::{Child, Exit, Line, Output, Processes, Spawn};
use world::{BoxFuture, Stage, Stop, World};

/// What a function does with an event.
pub(crate) enum Act {
    Answer(Value),
    Fail(Value),
    Exit(i32),
    /// First this long nothing, then something.
    After(Duration, Box<Act>),
}

/// An event as a function sees it.
pub(crate) struct Seen {
    pub(crate) event: Value,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Seconds since the world began.
    pub(crate) second: u64,
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

/// Sockets and children in memory.
struct Machine {
    world: Mutex<Option<World>>,
    ports: Mutex<BTreeMap<u16, Arc<dyn HttpService>>>,
    script: Mutex<Arc<Script>>,
    seen: Mutex<Vec<Seen>>,
    started: Mutex<u32>,
}

impl Net for Machine {
    fn serve(
        &self,
        _: Listen,
        service: Arc<dyn HttpService>,
        _: Stop,
    ) -> io::Result<(SocketAddr, BoxFuture<'static, ()>)> {
        let mut ports = self.ports.lock().unwrap();
        let port = 10_000 + ports.len() as u16;
        ports.insert(port, service);
        Ok((SocketAddr::from(([127, 0, 0, 1], port)), Box::pin(std::future::pending())))
    }
    fn send(&self, _: http::Request<Bytes>, _: Duration) -> BoxFuture<'_, Result<http::Response<Bytes>, SendError>> {
        Box::pin(async { Err(SendError::Connect("nobody".to_owned())) })
    }
    fn connect<'a>(&'a self, _: &'a str, _: u16, _: Duration) -> BoxFuture<'a, Result<Connection, SendError>> {
        Box::pin(async { Err(SendError::Connect("nobody".to_owned())) })
    }
    fn secure<'a>(
        &'a self,
        _: Connection,
        _: &'a str,
        _: Option<&'a [u8]>,
        _: Duration,
    ) -> BoxFuture<'a, Result<Connection, SendError>> {
        Box::pin(async { Err(SendError::Connect("nobody".to_owned())) })
    }
}

struct Handle(Arc<Machine>);

impl Processes for Handle {
    fn spawn(&self, spawn: Spawn) -> io::Result<Box<dyn Child>> {
        let machine = self.0.clone();
        *machine.started.lock().unwrap() += 1;
        let world = machine.world.lock().unwrap().clone().unwrap();
        let exit = watch::Sender::new(None);
        let mut ended = exit.subscribe();
        let work = live(machine, spawn.env.into_iter().collect(), exit.clone());
        world.tasks.spawn(Stage::Store, "a scripted process", |_| async move {
            tokio::select! {
                biased;
                _ = ended.wait_for(Option::is_some) => {}
                () = work => {}
            }
        });
        Ok(Box::new(Process { ended: exit.subscribe(), exit }))
    }
    fn enforcement(&self) -> String {
        "scripts".to_owned()
    }
}

struct Process {
    exit: watch::Sender<Option<Exit>>,
    ended: watch::Receiver<Option<Exit>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Child for Process {
    fn wanted_processor(&self) -> Duration {
        Duration::ZERO
    }
    fn pid(&self) -> u32 {
        1
    }
    fn output(&mut self) -> Box<dyn Output> {
        Box::new(Silence)
    }
    fn wait(&mut self) -> BoxFuture<'_, io::Result<Exit>> {
        Box::pin(async {
            let exit = self.ended.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
            Ok(exit.unwrap_or(Exit::Signal(9)))
        })
    }
    fn kill(&self) {
        self.exit.send_if_modified(|exit| exit.replace(exit.unwrap_or(Exit::Signal(9))).is_none());
    }
    fn peak_memory(&self) -> u64 {
        1 << 20
    }
    fn owns_connection(&self, _: SocketAddr, _: SocketAddr) -> bool {
        true
    }
}

struct Silence;

impl Output for Silence {
    fn line(&mut self) -> BoxFuture<'_, Option<Line>> {
        Box::pin(std::future::pending())
    }
    fn written(&mut self) -> Vec<Line> {
        Vec::new()
    }
}

/// The loop of a runtime.
async fn live(machine: Arc<Machine>, env: BTreeMap<String, String>, exit: watch::Sender<Option<Exit>>) {
    let port: u16 = env["AWS_LAMBDA_RUNTIME_API"].rsplit(':').next().unwrap().parse().unwrap();
    let service = machine.ports.lock().unwrap()[&port].clone();
    let world = machine.world.lock().unwrap().clone().unwrap();
    loop {
        let next = ask(&service, "GET", "next", Bytes::new()).await;
        let headers: BTreeMap<String, String> = next
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let Some(id) = headers.get("lambda-runtime-aws-request-id").cloned() else { return };
        let mut body = next.into_body();
        let mut text = Vec::new();
        while let Some(piece) = body.next().await {
            text.extend_from_slice(&piece);
        }
        let event = serde_json::from_slice(&text).unwrap();
        let second = world.clock.monotonic().as_secs();
        let seen = Seen { event, headers, env: env.clone(), second };
        let script = machine.script.lock().unwrap().clone();
        let mut act = script(&seen);
        machine.seen.lock().unwrap().push(seen);
        while let Act::After(time, next) = act {
            world.clock.sleep(time).await;
            act = *next;
        }
        let (what, value) = match act {
            Act::Answer(value) => ("response", value),
            Act::Fail(value) => ("error", value),
            Act::Exit(code) => {
                exit.send_replace(Some(Exit::Code(code)));
                return;
            }
            Act::After(..) => unreachable!(),
        };
        ask(&service, "POST", &format!("{id}/{what}"), value.to_string().into()).await;
    }
}

async fn ask(
    service: &Arc<dyn HttpService>,
    method: &str,
    path: &str,
    body: Bytes,
) -> http::Response<world::net::Body> {
    let uri = format!("/2018-06-01/runtime/invocation/{path}");
    let (head, ()) = http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    service.clone().call(Asked { head, body, peer }).await
}

/// Takes what goes to queues, topics and buses.
#[derive(Default)]
pub(crate) struct Kept {
    envelopes: Mutex<Vec<Envelope>>,
    refuse: Mutex<bool>,
}

impl Target for Kept {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        if *self.refuse.lock().unwrap() {
            return Box::pin(async { Verdict::Refused { code: "Gone".into(), why: "gone".into() } });
        }
        self.envelopes.lock().unwrap().push(envelope.clone());
        Box::pin(async { Verdict::Accepted(Bytes::new()) })
    }
}

struct Rooms(World);

impl Identities for Rooms {
    fn exists(&self, principal: &str) -> bool {
        AllBut(&[GHOST]).exists(principal)
    }
    fn trusts(&self, role: &Arn, service: &str, whose: Option<&Arn>) -> bool {
        AllBut(&[]).trusts(role, service, whose)
    }
}

impl Neighbours for Rooms {
    fn source(&self, _: &Arn) -> Option<Arc<dyn Source>> {
        None
    }
    fn inbox(&self, _: &Arn) -> Option<Arc<dyn Inbox>> {
        None
    }
    fn credentials(&self, _: &Arn, _: &str) -> Result<SessionCredentials, String> {
        let expires = self.0.now().plus(Duration::from_secs(1 << 30));
        Ok(SessionCredentials {
            access_key_id: "ASIATEST".into(),
            secret_access_key: "s".into(),
            session_token: None,
            expires,
        })
    }
    fn log(&self, _: &str, _: &str, _: names::Timestamp, _: String) {}
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) functions: Arc<Functions>,
    pub(crate) delivery: Arc<Delivery>,
    machine: Arc<Machine>,
    store: Store,
    kept: Arc<Kept>,
}

/// A role that is not there.
pub(crate) const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/r";

async fn open(world: &World, dir: &Path, kept: &Arc<Kept>) -> (Store, Arc<Delivery>, Arc<Functions>) {
    let options = StoreOptions { writer: Writer::Inline, ..StoreOptions::default() };
    let store = Store::open(world, Path::new("/data"), options).await.unwrap();
    let delivery = Delivery::open(world, &store).await.unwrap();
    let checkpoints = Checkpoints::open(&store).await.unwrap();
    // Code and scratch directories are on the real disk.
    let (data_dir, runtimes) = (dir.to_owned(), dir.join("runtimes"));
    let options = Options { data_dir, runtimes, environment: vec![], memory_mb: 1 << 20, hold: Default::default() };
    let (home, rooms) = (Home::default(), Arc::new(Rooms(world.clone())));
    let functions =
        Functions::open(world.clone(), home, store.clone(), delivery.clone(), checkpoints, rooms, options).await;
    let functions = functions.unwrap();
    delivery.register("lambda", "function:", functions.target());
    for service in ["sqs", "sns", "events"] {
        delivery.register(service, "", kept.clone());
    }
    delivery.start();
    functions.start("http://127.0.0.1:4566");
    (store, delivery, functions)
}

impl House {
    pub(crate) async fn new() -> House {
        let (mut world, _) = World::simulated(3);
        let machine = Arc::new(Machine {
            world: Mutex::default(),
            ports: Mutex::default(),
            script: Mutex::new(Arc::new(|seen: &Seen| Act::Answer(seen.event.clone()))),
            seen: Mutex::default(),
            started: Mutex::default(),
        });
        world.net = machine.clone();
        world.processes = Arc::new(Handle(machine.clone()));
        *machine.world.lock().unwrap() = Some(world.clone());
        let (dir, kept) = (tempfile::tempdir().unwrap(), Arc::new(Kept::default()));
        let (store, delivery, functions) = open(&world, dir.path(), &kept).await;
        House { world, dir, functions, delivery, machine, store, kept }
    }

    /// Stops everything and opens the same disk again.
    pub(crate) async fn restart(self) -> House {
        let House { mut world, dir, functions, delivery, machine, store, kept } = self;
        world.tasks.shut_down(Duration::from_secs(5)).await;
        store.close().await;
        drop((functions, delivery, store));
        world.tasks = world::Tasks::default();
        *machine.world.lock().unwrap() = Some(world.clone());
        let (store, delivery, functions) = open(&world, dir.path(), &kept).await;
        House { world, dir, functions, delivery, machine, store, kept }
    }

    /// Asks an operation, by the names of the members of its input. Gives the output and the answer's headers.
    pub(crate) async fn answer(&self, operation: &str, input: Value) -> Result<(Value, http::HeaderMap), ApiError> {
        let service = self.functions.service();
        let handler = service.handler(operation).unwrap_or_else(|| panic!("{operation} is served"));
        let model = service.model().operation(operation).and_then(|entry| entry.model).unwrap();
        let Value::Object(members) = input else { panic!("an input is an object") };
        let (mut uri, mut query, mut body) = (model.uri.to_owned(), Vec::new(), serde_json::Map::new());
        let mut head = http::Request::builder().method(model.method);
        let mut raw = Bytes::new();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (name, value) in members {
            let member = model.input.members().iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no {name}"));
            match member.place {
                Place::Uri => {
                    let encoded: String = form_urlencoded::byte_serialize(text(&value).as_bytes()).collect();
                    uri = uri.replace(&format!("{{{}}}", member.wire), &encoded);
                }
                Place::Query => match value.as_array() {
                    Some(items) => query.extend(items.iter().map(|item| format!("{}={}", member.wire, text(item)))),
                    None => query.push(format!("{}={}", member.wire, text(&value))),
                },
                Place::Header => head = head.header(member.wire, text(&value)),
                _ if name == "Payload" => raw = value.to_string().into(),
                _ => drop(body.insert(member.wire.to_owned(), value)),
            }
        }
        if !query.is_empty() {
            let separator = if uri.contains('?') { '&' } else { '?' };
            uri = format!("{uri}{separator}{}", query.join("&"));
        }
        let (head, ()) = head.uri(uri).body(()).unwrap().into_parts();
        let body = if body.is_empty() { raw } else { Value::Object(body).to_string().into() };
        let request = Request { protocol: Protocol::RestJson, head: Arc::new(head), body, observed: false };
        let answer = handler.handle(self.call(operation), request).await.result?;
        let (head, mut body) = answer.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece);
        }
        Ok((serde_json::from_slice(&bytes).unwrap_or_default(), head.headers))
    }

    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Value {
        let asked = format!("{operation} {input}");
        self.answer(operation, input).await.unwrap_or_else(|error| panic!("{asked}: {error:?}")).0
    }

    /// Asks for what must be refused; gives the error's code and message.
    pub(crate) async fn refused(&self, operation: &str, input: Value) -> (&'static str, String) {
        let error = self.answer(operation, input.clone()).await.err();
        let error = error.unwrap_or_else(|| panic!("{operation} {input} is refused"));
        (error.model.name, error.message)
    }

    fn call(&self, operation: &str) -> Arc<Call> {
        let service = &shapes::lambda::SERVICE;
        let model = service.operation(operation).and_then(|entry| entry.model).expect("a served operation");
        let caller = Caller::root(&Home::default().account, "test");
        // Aliases divide invocations by their ids.
        Arc::new(Call { request_id: self.world.uuid(), ..Call::local(service, model, caller, self.world.now()) })
    }

    /// Makes a function of some code.
    pub(crate) async fn make(&self, name: &str, code: &str) -> Value {
        self.make_with(name, code, json!({})).await
    }

    pub(crate) async fn make_with(&self, name: &str, code: &str, settings: Value) -> Value {
        let mut input = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Role": ROLE, "Handler": "h",
            "Code": {"ZipFile": zip(code)}, "Timeout": 900,
        });
        input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.ask("CreateFunction", input).await
    }

    pub(crate) fn script(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) {
        *self.machine.script.lock().unwrap() = Arc::new(script);
    }

    pub(crate) async fn invoke(&self, name: &str, payload: Value) -> Value {
        self.ask("Invoke", json!({"FunctionName": name, "Payload": payload})).await
    }

    pub(crate) async fn send(&self, name: &str, payload: Value) {
        self.ask("Invoke", json!({"FunctionName": name, "InvocationType": "Event", "Payload": payload})).await;
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.world.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Looks again and again until it is so; a day at most.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        for _ in 0..86_400 {
            if holds() {
                return;
            }
            self.pass(1).await;
        }
        panic!("it never comes to that");
    }

    /// What functions saw so far.
    pub(crate) fn seen<T>(&self, look: impl Fn(&Seen) -> T) -> Vec<T> {
        self.machine.seen.lock().unwrap().iter().map(look).collect()
    }

    /// How many processes were started so far.
    pub(crate) fn started(&self) -> u32 {
        *self.machine.started.lock().unwrap()
    }

    /// What queues, topics and buses got.
    pub(crate) fn kept(&self) -> Vec<Envelope> {
        self.kept.envelopes.lock().unwrap().clone()
    }

    pub(crate) fn refuse_letters(&self) {
        *self.kept.refuse.lock().unwrap() = true;
    }

    /// The sum of a metric, over all its dimensions of this number.
    pub(crate) fn metric(&self, name: &str, dimensions: usize) -> (u64, u64) {
        let samples = self.world.meter.samples();
        let mine =
            samples.iter().filter(|(s, d, _)| s.namespace == "AWS/Lambda" && s.name == name && d.len() == dimensions);
        mine.fold((0, 0), |(count, sum), (_, _, sample)| (count + sample.count, sum + sample.sum))
    }
}

/// A package in base64.
pub(crate) fn zip(code: &str) -> String {
    use base64::Engine;
    use zip::write::{SimpleFileOptions, ZipWriter};
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
    writer.write_all(code.as_bytes()).unwrap();
    base64::engine::general_purpose::STANDARD.encode(writer.finish().unwrap().into_inner())
}

pub(crate) fn text(envelope: &Envelope) -> Value {
    serde_json::from_slice(&envelope.body).unwrap()
}
