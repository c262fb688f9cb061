//! One process and the invocations it runs, one after the other.

use super::api::{Call, RuntimeApi};
use super::environment::Start;
use super::executor::Door;
use super::extensions::Extensions;
use super::interpreter::{Interpreter, Silent};
use super::isolation::{self, Isolation};
use super::levels::Sieve;
use super::managed::Managed;
use super::outlet::Chunk;
use super::pool::{Next, Place, Pool};
use super::report::{Ending, Status, Tail};
use super::word::Word;
use super::{FunctionSpec, Invocation, InvokeError, InvokeOutcome, LogSink, Options, limits};
use bytes::Bytes;
use http::Response;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use world::processes::{Child, Exit, Line, Output};
use world::{BoxFuture, Stage, Stop, World};

/// What all processes of an executor share.
pub(super) struct House {
    pub(super) world: World,
    pub(super) options: Options,
    pub(super) managed: Arc<Managed>,
    pub(super) logs: Arc<dyn LogSink>,
    pub(super) pool: Pool<Order>,
    /// Who answers at the endpoint in networks of their own; set once, before the first invocation.
    pub(super) door: OnceLock<Door>,
}

impl House {
    /// Begins the life of a process.
    pub(super) fn launch(self: &Arc<Self>, place: Place<Order>, spec: &Arc<FunctionSpec>, kept: bool) {
        let (seat, spec) = (Seat { house: self.clone(), place }, spec.clone());
        let name = format!("function {} {}", spec.name, spec.version);
        self.world.tasks.spawn(Stage::Delivery, name, |stop| run(seat, spec, kept, stop));
    }

    /// Starts processes until `want` of a version are free, as far as they may. How many were started.
    pub(super) fn ahead(self: &Arc<Self>, spec: &Arc<FunctionSpec>, want: usize) -> usize {
        let mut started = 0;
        while let Some(place) = self.pool.open_ahead(spec, want) {
            self.launch(place, spec, false);
            started += 1;
        }
        started
    }

    /// Starts as many ahead as the use of a version suggests.
    pub(super) fn grow(self: &Arc<Self>, spec: &Arc<FunctionSpec>) {
        self.ahead(spec, self.pool.growth(spec));
    }
}

/// The process ended before it took the order.
pub(super) struct Gone;

/// An invocation on its way to a process.
pub(super) struct Order {
    pub(super) invocation: Invocation,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) answer: oneshot::Sender<Result<Result<InvokeOutcome, InvokeError>, Gone>>,
    /// Who takes the response in pieces, where it comes so.
    pub(super) sink: Option<mpsc::Sender<Chunk>>,
}

/// A process' place in the pool. With it goes what the pool knows of the process, however that ends.
pub(super) struct Seat {
    pub(super) house: Arc<House>,
    pub(super) place: Place<Order>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(order) = self.house.pool.remove(self.place.id) {
            let _ = order.answer.send(Err(Gone));
        }
    }
}

/// Starts a process when it is its turn, and runs what it is sent until it ends, is forgotten by the pool, or the house
/// closes. A start that fails is tried once more on the time of an invocation that waits for it, as Lambda does.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> (Init phase failures)
pub(super) async fn run(mut seat: Seat, spec: Arc<FunctionSpec>, kept: bool, mut stop: Stop) {
    let (house, id) = (seat.house.clone(), seat.place.id);
    let told = tokio::select! {
        biased;
        told = &mut seat.place.go => told,
        () = stop.wait() => {
            if house.pool.retire_idle(id) {
                return;
            }
            (&mut seat.place.go).await
        }
    };
    if told.is_err() {
        return;
    }
    let log_stream = log_stream(&house.world, &spec);
    let mut held = None;
    loop {
        match Sandbox::start(house.clone(), id, spec.clone(), log_stream.clone(), kept).await {
            Ok((sandbox, serving)) => {
                held = tokio::select! {
                    biased;
                    again = sandbox.live(held.take(), &mut seat.place.orders, &mut stop) => again,
                    () = serving => None,
                };
                if held.is_none() {
                    return;
                }
            }
            Err(error) => {
                // Nobody may be waiting for it.
                if let Some(order) = held.or_else(|| house.pool.failed(id)) {
                    drop(seat);
                    let _ = order.answer.send(Ok(Err(error)));
                } else {
                    tracing::warn!(function = spec.name, %error, "a process was not started ahead");
                }
                return;
            }
        }
    }
}

pub(super) struct Sandbox {
    pub(super) house: Arc<House>,
    pub(super) id: u64,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) child: Box<dyn Child>,
    pub(super) output: Box<dyn Output>,
    pub(super) output_open: bool,
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) api: SocketAddr,
    /// Nobody but the process itself can call its Runtime API.
    pub(super) apart: bool,
    log_stream: String,
    sieve: Sieve,
    /// It is provisioned.
    pub(super) kept: bool,
    /// When it was started, by the monotonic clock.
    pub(super) started: Duration,
    /// How long it took to be ready, until the first report has told it.
    pub(super) init_ms: Option<f64>,
    /// The runtime's open request for an invocation.
    pub(super) waiting: Option<oneshot::Sender<Response<Bytes>>>,
    pub(super) extensions: Extensions,
    /// What begins a line that tells of an extension's end.
    pub(super) marker: String,
    /// The log of the invocation that runs.
    pub(super) tail: Option<Tail>,
    /// Who takes its response in pieces, until it begins.
    pub(super) sink: Option<mpsc::Sender<Chunk>>,
    /// What is dropped where a response that has begun is not taken any more.
    pub(super) relaying: Option<oneshot::Sender<()>>,
    /// The runtime's request with its response: who waits for that is told first.
    pub(super) receipt: Option<oneshot::Sender<Response<Bytes>>>,
}

pub(super) enum Event {
    Late,
    Call(Call),
    Exited(Exit),
    Line(Line),
}

/// What became of a start.
enum Begun {
    Ready,
    Failed(Ending),
    /// It is not wanted any more.
    Over,
}

impl Sandbox {
    async fn start(
        house: Arc<House>,
        id: u64,
        spec: Arc<FunctionSpec>,
        log_stream: String,
        kept: bool,
    ) -> Result<(Sandbox, BoxFuture<'static, ()>), InvokeError> {
        let world = &house.world;
        let interpreter = house.managed.ready(&spec.runtime, &Silent).await?;
        let credentials = spec.credentials.issue().await?;
        house.pool.expires(id, credentials.expires);
        let (sender, calls) = mpsc::channel(limits::CALLS);
        let mut isolation =
            Isolation::of(&house, &spec.endpoint, RuntimeApi { calls: sender, tasks: world.tasks.clone() })?;
        let (extensions, marker) = (spec.extensions(), world.hex_id(16));
        let start = Start {
            spec: &spec,
            interpreter: interpreter.as_deref(),
            credentials: &credentials,
            api: isolation.api,
            log_stream: &log_stream,
            kept,
            scratch: house.options.scratch_dir.join(world.hex_id(16)),
            max_processes: house.options.max_processes,
            max_memory_mb: house.options.max_memory_mb,
            processor: house.options.limited.then(|| isolation::processor(spec.memory_mb)),
            rooted: isolation.rooted,
            reach: isolation.reach.clone(),
            extensions: (!extensions.is_empty()).then_some(&marker),
        };
        let started = world.clock.monotonic();
        let mut child = world.processes.spawn(start.spawn())?;
        let output = child.output();
        let serving = isolation.serve(&house, child.ready().await?)?;
        let mut sandbox = Sandbox {
            house: house.clone(),
            id,
            spec,
            child,
            output,
            output_open: true,
            calls,
            api: isolation.api,
            apart: isolation.apart,
            log_stream,
            sieve: Sieve::default(),
            kept,
            started,
            init_ms: None,
            waiting: None,
            extensions: Extensions::new(extensions),
            marker,
            tail: None,
            sink: None,
            relaying: None,
            receipt: None,
        };
        sandbox.announce(interpreter.as_deref());
        for missing in &isolation.missing {
            sandbox.say(&Word::Unconfined(missing));
        }
        Ok((sandbox, serving))
    }

    /// The first line of a process' log, and who stands in for the runtime that was asked for.
    fn announce(&mut self, interpreter: Option<&Interpreter>) {
        let name = self.spec.runtime.name().to_owned();
        let version = interpreter.map_or(name, |interpreter| interpreter.version.clone());
        let log_stream = self.log_stream.clone();
        self.say(&Word::InitStart { runtime: &version, kept: self.kept, log_stream: &log_stream });
        if let Some(warning) = interpreter.and_then(|i| self.spec.runtime.stood_in_by(&i.name)) {
            tracing::debug!(function = self.spec.name, "{warning}");
            self.say(&Word::StandsIn(&warning));
        }
        self.tail = Some(Tail::default());
    }

    /// Runs orders until it ends. Where its start failed, gives back what waits for it, for a second start; `held` is that
    /// order.
    async fn live(mut self, held: Option<Order>, orders: &mut mpsc::Receiver<Order>, stop: &mut Stop) -> Option<Order> {
        let (mut reason, mut next) = ("spindown", Next::End);
        if let Some(order) = held {
            (next, reason) = (self.carry(order, true).await, "failure");
        } else {
            match self.settle(orders, stop).await {
                Begun::Ready => {
                    // Starting is not held to the function's share, as on AWS.
                    self.child.throttle();
                    next = self.house.pool.next(self.id, self.house.world.now());
                    if !stop.is_set() {
                        self.house.grow(&self.spec);
                    }
                }
                Begun::Failed(ending) => return self.failed(&ending).await,
                Begun::Over => {}
            }
        }
        loop {
            let order = match next {
                Next::Run(order) => Some(order),
                Next::Rest => self.idle(orders, stop).await,
                Next::End => break,
            };
            let Some(order) = order else {
                reason = "spindown";
                break;
            };
            (next, reason) = (self.carry(order, false).await, "failure");
        }
        self.end(reason).await;
        None
    }

    /// Sees the process off: extensions first, as long as they are given, then all of it.
    async fn end(&mut self, reason: &str) {
        if self.extensions.want_shutdown() {
            let deadline = self.house.world.now().plus(limits::SHUTDOWN).millis();
            self.extensions.shut_down(reason, deadline);
            let late = &mut self.house.world.clock.sleep(limits::SHUTDOWN);
            while !self.extensions.have_ended() {
                if self.step(late, None).await.is_some_and(|ending| !matches!(ending, Ending::Extension(..))) {
                    break;
                }
            }
        }
        self.child.kill();
        // A house that closes waits for this task, and so for what is cleaned up behind the process.
        let _ = self.child.wait().await;
    }

    /// Waits until the runtime and the extensions are ready, or the time for that is over.
    async fn settle(&mut self, orders: &mut mpsc::Receiver<Order>, stop: &mut Stop) -> Begun {
        let house = self.house.clone();
        let mut late = house.world.clock.sleep(limits::INIT);
        let mut turn = house.world.clock.sleep(limits::TURN);
        let (mut in_turn, mut needed) = (true, false);
        let mut wanted = Duration::ZERO;
        while !self.is_ready() {
            let event = tokio::select! {
                biased;
                // Orders go to who is ready: the pool has forgotten it.
                _ = orders.recv() => return Begun::Over,
                // What has been accepted is carried to its end.
                () = stop.wait(), if !needed => {
                    if house.pool.retire_idle(self.id) {
                        return Begun::Over;
                    }
                    needed = true;
                    continue;
                }
                () = &mut turn, if in_turn => {
                    let before = std::mem::replace(&mut wanted, self.child.wanted_processor());
                    // Others would only take the processor from what computes.
                    in_turn = wanted.saturating_sub(before) >= limits::TURN / 2;
                    if in_turn {
                        turn = house.world.clock.sleep(limits::TURN);
                    } else {
                        house.pool.late(self.id);
                    }
                    continue;
                }
                event = self.event(&mut late) => event,
            };
            if let Some(ending) = self.take(event, None) {
                return Begun::Failed(ending);
            }
        }
        let ms = millis(house.world.clock.monotonic().saturating_sub(self.started));
        self.init_ms = Some(ms);
        self.say(&Word::InitEnd { status: Status::SUCCESS, kept: self.kept, phase: "init", ms });
        Begun::Ready
    }

    /// Ends a process whose start failed. Gives what waits for it.
    async fn failed(mut self, ending: &Ending) -> Option<Order> {
        let init_ms = millis(self.house.world.clock.monotonic().saturating_sub(self.started));
        for line in self.output.written() {
            self.heard(line);
        }
        self.say(&Word::InitEnd { status: ending.init_status(), kept: self.kept, phase: "init", ms: init_ms });
        self.end("failure").await;
        self.house.pool.failed(self.id)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed()) && self.extensions.are_done()
    }

    /// Waits for an order; `None` where the process should end, or has.
    async fn idle(&mut self, orders: &mut mpsc::Receiver<Order>, stop: &mut Stop) -> Option<Order> {
        let house = self.house.clone();
        let mut tired = house.world.clock.sleep(house.options.idle);
        loop {
            let mut never = Box::pin(std::future::pending()) as BoxFuture<'static, ()>;
            let event = tokio::select! {
                biased;
                order = orders.recv() => return order,
                () = stop.wait() => Event::Late,
                () = &mut tired => {
                    if house.pool.keeps(self.id) {
                        tired = house.world.clock.sleep(house.options.idle);
                        continue;
                    }
                    Event::Late
                }
                event = self.event(&mut never) => event,
            };
            match event {
                // Where it was given an order at this very moment, that comes first.
                Event::Late if house.pool.retire_idle(self.id) => return None,
                Event::Late => return orders.recv().await,
                event => {
                    if self.take(event, None).is_none() {
                        continue;
                    }
                    if !house.pool.retire_idle(self.id)
                        && let Some(order) = orders.recv().await
                    {
                        house.pool.remove(self.id);
                        let _ = order.answer.send(Err(Gone));
                    }
                    return None;
                }
            }
        }
    }

    /// What happens next. Lines come last: a process that never stops writing must not hide anything else.
    pub(super) async fn event(&mut self, late: &mut BoxFuture<'static, ()>) -> Event {
        loop {
            tokio::select! {
                biased;
                () = &mut *late => return Event::Late,
                Some(call) = self.calls.recv() => return Event::Call(call),
                exit = self.child.wait() => return Event::Exited(exit.unwrap_or(Exit::Signal(0))),
                line = self.output.line(), if self.output_open => match line {
                    Some(line) => return Event::Line(line),
                    None => self.output_open = false,
                },
            }
        }
    }

    /// Writes what Lambda itself has to say.
    pub(super) fn say(&mut self, word: &Word) {
        let now = self.house.world.now();
        let lines = match self.spec.levels {
            None => word.text(&self.spec, now),
            Some(levels) => word.json(&self.spec, now, levels.system),
        };
        lines.into_iter().for_each(|line| self.log(line));
    }

    /// Writes what the function has written, where that is detail that is wanted.
    pub(super) fn heard(&mut self, line: Line) {
        match self.spec.levels {
            None => self.log(line.text),
            Some(levels) => self.sieve.pass(levels, line).into_iter().for_each(|line| self.log(line)),
        }
    }

    fn log(&mut self, line: String) {
        // The Python runtime joins the lines of one event by carriage returns.
        let line = if line.contains('\r') { line.replace('\r', "\n") } else { line };
        if let Some(tail) = &mut self.tail {
            tail.push(&line);
        }
        self.house.logs.write(&self.spec.log_group, &self.log_stream, self.house.world.now(), line);
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// `2026/01/31/[$LATEST]84738b...`, as Lambda names log streams; in a log group that is not the function's own, its name
/// stands before that.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html>
fn log_stream(world: &World, spec: &FunctionSpec) -> String {
    let (year, month, day, ..) = world.now().civil();
    let own = spec.log_group == crate::functions::group(&spec.name);
    let name = if own { "" } else { &spec.name };
    format!("{year:04}/{month:02}/{day:02}/{name}[{}]{}", spec.version, world.hex_id(32))
}
