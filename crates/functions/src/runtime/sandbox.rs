//! One process and the invocations it runs, one after the other.

use super::api::{self, Ask, Call, RuntimeApi};
use super::environment::Start;
use super::executor::Door;
use super::extensions::{self, ExtensionAsk, Extensions};
use super::interpreter::{Interpreter, Silent};
use super::isolation::{self, Isolation};
use super::managed::Managed;
use super::pool::Pool;
use super::report::{self, Ending, Tail};
use super::{FunctionSpec, Invocation, InvokeError, InvokeOutcome, LogSink, MAX_RESPONSE, Options, Report, limits};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use world::processes::{Child, Exit, Output};
use world::{BoxFuture, Stop, World};

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

/// The process ended before it took the order.
pub(super) struct Gone;

/// An invocation on its way to a process.
pub(super) struct Order {
    pub(super) invocation: Invocation,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) answer: oneshot::Sender<Result<Result<InvokeOutcome, InvokeError>, Gone>>,
}

/// Starts a process and runs what it is sent until it ends, is forgotten by the pool, or the house closes. A start that
/// fails is tried once more on the time of the invocation that waits for it, as Lambda does.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html> (Init phase failures)
pub(super) async fn run(
    house: Arc<House>,
    id: u64,
    spec: Arc<FunctionSpec>,
    mut orders: mpsc::Receiver<Order>,
    mut stop: Stop,
) {
    let log_stream = log_stream(&house.world, &spec.version);
    let mut held = None;
    loop {
        match Sandbox::start(house.clone(), id, spec.clone(), log_stream.clone()).await {
            Ok((sandbox, serving)) => {
                held = tokio::select! {
                    biased;
                    again = sandbox.live(held.take(), &mut orders, &mut stop) => again,
                    () = serving => None,
                };
                if held.is_none() {
                    break;
                }
            }
            Err(error) => {
                // Nobody may be waiting for what is started ahead.
                if let Some(order) = held.or_else(|| orders.try_recv().ok()) {
                    house.pool.remove(id);
                    let _ = order.answer.send(Ok(Err(error)));
                } else if house.pool.retire_idle(id) {
                    tracing::warn!(function = spec.name, %error, "a process was not started ahead");
                } else if let Some(order) = orders.recv().await {
                    house.pool.remove(id);
                    let _ = order.answer.send(Ok(Err(error)));
                }
                break;
            }
        }
    }
    house.pool.remove(id);
}

struct Sandbox {
    house: Arc<House>,
    id: u64,
    spec: Arc<FunctionSpec>,
    child: Box<dyn Child>,
    output: Box<dyn Output>,
    output_open: bool,
    calls: mpsc::Receiver<Call>,
    api: SocketAddr,
    /// Nobody but the process itself can call its Runtime API.
    apart: bool,
    log_stream: String,
    /// When it was started, by the monotonic clock.
    started: Duration,
    /// How long it took to be ready, until the first report has told it.
    init_ms: Option<f64>,
    /// The runtime's open request for an invocation.
    waiting: Option<oneshot::Sender<Response<Bytes>>>,
    extensions: Extensions,
    /// What begins a line that tells of an extension's end.
    marker: String,
    /// The log of the invocation that runs.
    tail: Option<Tail>,
}

enum Event {
    Late,
    Call(Call),
    Exited(Exit),
    Line(String),
}

/// What became of a start.
enum Begun {
    Ready(Option<Order>),
    Failed(Option<Order>, Ending),
    /// It is not wanted any more.
    Over,
}

impl Sandbox {
    async fn start(
        house: Arc<House>,
        id: u64,
        spec: Arc<FunctionSpec>,
        log_stream: String,
    ) -> Result<(Sandbox, BoxFuture<'static, ()>), InvokeError> {
        let world = &house.world;
        let interpreter = house.managed.ready(&spec.runtime, &Silent).await?;
        let credentials = spec.credentials.issue().await?;
        house.pool.expires(id, credentials.expires);
        let (sender, calls) = mpsc::channel(limits::CALLS);
        let mut isolation = Isolation::of(&house, &spec.endpoint, RuntimeApi { calls: sender })?;
        let (extensions, marker) = (spec.extensions(), world.hex_id(16));
        let start = Start {
            spec: &spec,
            interpreter: interpreter.as_deref(),
            credentials: &credentials,
            api: isolation.api,
            log_stream: &log_stream,
            scratch: house.options.scratch_dir.join(world.hex_id(16)),
            max_processes: house.options.max_processes,
            processor: house.options.processor_shares.then(|| isolation::processor(spec.memory_mb)),
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
            started,
            init_ms: None,
            waiting: None,
            extensions: Extensions::new(extensions),
            marker,
            tail: None,
        };
        sandbox.announce(interpreter.as_deref());
        for missing in &isolation.missing {
            sandbox.log(format!("SANDBOX Missing {missing}"));
        }
        Ok((sandbox, serving))
    }

    /// The first line of a process' log, and who stands in for the runtime that was asked for.
    fn announce(&mut self, interpreter: Option<&Interpreter>) {
        let name = self.spec.runtime.name().to_owned();
        let version = interpreter.map_or(name, |interpreter| interpreter.version.clone());
        self.log(format!("INIT_START Runtime Version: {version}"));
        if let Some(warning) = interpreter.and_then(|i| self.spec.runtime.stood_in_by(&i.name)) {
            tracing::debug!(function = self.spec.name, "{warning}");
            self.log(format!("[WARN] {warning}"));
        }
        self.tail = Some(Tail::default());
    }

    /// Runs orders until it ends. An order that came while its start failed is given back, for a second start; `held`
    /// is that order.
    async fn live(mut self, held: Option<Order>, orders: &mut mpsc::Receiver<Order>, stop: &mut Stop) -> Option<Order> {
        let (mut alive, mut reason) = (true, "spindown");
        if let Some(order) = held {
            (alive, reason) = (self.carry(order, true).await, "failure");
        } else {
            match self.settle(orders, stop).await {
                Begun::Ready(order) => {
                    // Starting is not held to the function's share, as on AWS.
                    self.child.throttle();
                    if let Some(order) = order {
                        (alive, reason) = (self.carry(order, false).await, "failure");
                    }
                }
                Begun::Failed(order, ending) => return self.failed(order, &ending, orders).await,
                Begun::Over => alive = false,
            }
        }
        while alive {
            let Some(order) = self.idle(orders, stop).await else {
                reason = "spindown";
                break;
            };
            (alive, reason) = (self.carry(order, false).await, "failure");
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
        let mut order = None;
        while !self.is_ready() {
            let event = tokio::select! {
                biased;
                taken = orders.recv(), if order.is_none() => match taken {
                    Some(taken) => {
                        order = Some(taken);
                        continue;
                    }
                    None => return Begun::Over,
                },
                // What is on its way to who waits for it is carried to its end.
                () = stop.wait(), if order.is_none() => {
                    if house.pool.retire_idle(self.id) {
                        return Begun::Over;
                    }
                    order = orders.recv().await;
                    continue;
                }
                event = self.event(&mut late) => event,
            };
            if let Some(ending) = self.take(event, None) {
                return Begun::Failed(order, ending);
            }
        }
        self.init_ms = Some(millis(house.world.clock.monotonic().saturating_sub(self.started)));
        Begun::Ready(order)
    }

    /// Ends a process whose start failed. Gives back the order that waits for it.
    async fn failed(
        mut self,
        order: Option<Order>,
        ending: &Ending,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Option<Order> {
        let init_ms = millis(self.house.world.clock.monotonic().saturating_sub(self.started));
        for line in self.output.written() {
            self.log(line);
        }
        self.log(ending.init_line(init_ms, "init"));
        self.end("failure").await;
        if order.is_some() || self.house.pool.retire_idle(self.id) {
            return order;
        }
        orders.recv().await
    }

    fn is_ready(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed()) && self.extensions.are_done()
    }

    /// Waits for an order; `None` where the process should end, or has.
    async fn idle(&mut self, orders: &mut mpsc::Receiver<Order>, stop: &mut Stop) -> Option<Order> {
        let house = self.house.clone();
        let mut tired = house.world.clock.sleep(house.options.idle);
        house.pool.ready(self.id);
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
    async fn event(&mut self, late: &mut BoxFuture<'static, ()>) -> Event {
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

    /// Runs one invocation; `starting`: the process has just been started for it, after a start that failed. Whether it
    /// may run another.
    async fn carry(&mut self, order: Order, starting: bool) -> bool {
        let Order { invocation, spec, answer } = order;
        let clock = self.house.world.clock.clone();
        self.tail.get_or_insert_default();
        let begun = clock.monotonic();
        let deadline = &mut clock.sleep(spec.timeout);
        // One that was used before and ends before it takes this has nothing to do with it.
        let used = !starting && self.init_ms.is_none();
        if used && let Err(Ending::Exited(_)) = self.until_ready(deadline).await {
            self.house.pool.remove(self.id);
            let _ = answer.send(Err(Gone));
            return false;
        }
        self.log(format!("START RequestId: {} Version: {}", invocation.request_id, spec.version));
        let ready = if starting { self.until_ready(deadline).await } else { Ok(()) };
        let (ending, was_ready) = match ready {
            Ok(()) => {
                if starting {
                    self.child.throttle();
                }
                (self.run(&invocation, &spec, deadline).await, true)
            }
            Err(ending) => {
                let init_ms = millis(clock.monotonic().saturating_sub(self.started));
                self.log(ending.init_line(init_ms, "invoke"));
                (ending, false)
            }
        };
        let alive = was_ready && ending.leaves_process();
        let duration_ms = millis(clock.monotonic().saturating_sub(begun));
        let init_ms = self.init_ms.take();
        let report = Report {
            duration_ms,
            billed_ms: report::billed_ms(duration_ms, init_ms),
            memory_mb: spec.memory_mb,
            max_memory_mb: self.child.peak_memory().div_ceil(1 << 20),
            init_ms,
        };
        for line in self.output.written() {
            self.log(line);
        }
        if !alive && !self.extensions.want_shutdown() {
            self.child.kill();
        }
        let outcome = self.finish(&invocation.request_id, &spec, ending, report);
        let mut answer = Some(answer);
        let mut tell = || {
            if let Some(answer) = answer.take() {
                let _ = answer.send(Ok(Ok(outcome.clone())));
            }
        };
        // Extensions go on with what they have to do; whoever waits for the function has its answer.
        if alive && !self.extensions.are_done() {
            tell();
        }
        let kept = alive && self.extensions_rest(deadline).await && self.house.pool.release(self.id);
        if !kept {
            self.house.pool.remove(self.id);
        }
        tell();
        kept
    }

    /// Waits until the extensions are through with an invocation. Whether they are, and all of the process is there.
    async fn extensions_rest(&mut self, late: &mut BoxFuture<'static, ()>) -> bool {
        while !self.extensions.are_done() {
            if let Some(ending) = self.step(late, None).await {
                tracing::warn!(function = self.spec.name, ?ending, "extensions did not finish with an invocation");
                return false;
            }
        }
        true
    }

    /// Waits until the runtime has asked for an invocation.
    async fn until_ready(&mut self, late: &mut BoxFuture<'static, ()>) -> Result<(), Ending> {
        loop {
            if self.is_ready() {
                return Ok(());
            }
            if let Some(ending) = self.step(late, None).await {
                return Err(ending);
            }
        }
    }

    /// Hands the invocation over and waits for its end.
    async fn run(&mut self, invocation: &Invocation, spec: &FunctionSpec, late: &mut BoxFuture<'static, ()>) -> Ending {
        let deadline = self.house.world.now().plus(spec.timeout).millis();
        self.child.peak_memory();
        loop {
            if let Err(ending) = self.until_ready(late).await {
                return ending;
            }
            let waiting = self.waiting.take().expect("it was ready");
            if waiting.send(api::next(invocation, spec, deadline)).is_ok() {
                self.extensions.invoke(&extensions::invoke_event(invocation, spec, deadline));
                break;
            }
        }
        loop {
            if let Some(ending) = self.step(late, Some(&invocation.request_id)).await {
                return ending;
            }
        }
    }

    async fn step(&mut self, late: &mut BoxFuture<'static, ()>, running: Option<&str>) -> Option<Ending> {
        let event = self.event(late).await;
        self.take(event, running)
    }

    /// Takes what happened. Returns how the invocation `running`, or the start, ended where it did.
    fn take(&mut self, event: Event, running: Option<&str>) -> Option<Ending> {
        match event {
            Event::Late => Some(Ending::TimedOut),
            Event::Exited(exit) => Some(Ending::Exited(exit)),
            Event::Call(call) => self.take_call(call, running),
            Event::Line(line) => {
                let ended = line.strip_prefix(&self.marker).and_then(|rest| rest.trim().split_once(' '));
                let Some((status, name)) = ended else {
                    self.log(line);
                    return None;
                };
                let failure = self.extensions.ended(name, status);
                Some(Ending::Extension(failure.error_type, failure.message))
            }
        }
    }

    /// Answers a call of the Runtime API. Returns how the invocation `running`, or the start, ended where it did.
    fn take_call(&mut self, call: Call, running: Option<&str>) -> Option<Ending> {
        // A body that was cut off has lost its sender's address; it needs the invocation's id all the same.
        if !call.cut && !self.apart && !self.child.owns_connection(call.peer, self.api) {
            tracing::warn!(function = self.spec.name, peer = %call.peer, "a stranger called the runtime api of a function");
            let answer =
                api::refusal(StatusCode::FORBIDDEN, "Forbidden", "This Runtime API belongs to another process");
            let _ = call.answer.send(answer);
            return None;
        }
        let current = |id: &str| running == Some(id);
        let (answer, ending) = match call.ask {
            Ask::Next => {
                self.waiting = Some(call.answer);
                return None;
            }
            Ask::Extension(ask) => return self.take_extension(ask, &call.body, call.answer),
            Ask::Response { id } if current(&id) && (call.cut || call.body.len() > MAX_RESPONSE) => {
                (api::too_large(), Some(Ending::ResponseTooLarge))
            }
            Ask::Response { id } if current(&id) => (api::accepted(), Some(Ending::Response(call.body))),
            Ask::Error { id, error_type } if current(&id) => {
                (api::accepted(), Some(Ending::Error { body: call.body, error_type }))
            }
            Ask::InitError { error_type } if running.is_none() => {
                (api::accepted(), Some(Ending::Error { body: call.body, error_type }))
            }
            Ask::InitError { .. } => {
                let message = "State transition from Running to InitError failed for runtime";
                (api::refusal(StatusCode::FORBIDDEN, "InvalidStateTransition", message), None)
            }
            Ask::Response { .. } | Ask::Error { .. } => {
                (api::refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"), None)
            }
        };
        let _ = call.answer.send(answer);
        ending
    }

    fn take_extension(
        &mut self,
        ask: ExtensionAsk,
        body: &[u8],
        answer: oneshot::Sender<Response<Bytes>>,
    ) -> Option<Ending> {
        let (reply, ending) = match ask {
            ExtensionAsk::Next { id } => {
                self.extensions.next(id.as_deref(), answer);
                return None;
            }
            ExtensionAsk::Register { name, account } => {
                let spec = &self.spec;
                let mut about = serde_json::json!({
                    "functionName": spec.name, "functionVersion": spec.version, "handler": spec.handler,
                });
                if account {
                    about["accountId"] = spec.arn.account().into();
                }
                let id = self.house.world.uuid();
                (self.extensions.register(name, body, id, &about), None)
            }
            ExtensionAsk::Failed { id, error_type, starting } => {
                match self.extensions.failed(id.as_deref(), error_type, starting) {
                    Some(failure) => (api::accepted(), Some(Ending::Extension(failure.error_type, failure.message))),
                    None => (extensions::unknown(id.as_deref()), None),
                }
            }
            ExtensionAsk::Telemetry => (extensions::not_served(), None),
        };
        let _ = answer.send(reply);
        ending
    }

    fn finish(&mut self, id: &str, spec: &FunctionSpec, ending: Ending, report: Report) -> InvokeOutcome {
        if matches!(ending, Ending::TimedOut) {
            let now = self.house.world.now().iso_millis();
            self.log(format!("{now} {id} {}", report::timed_out(spec.timeout)));
        }
        if let Some(line) = ending.log_line(id) {
            self.log(line);
        }
        self.log(format!("END RequestId: {id}"));
        self.log(ending.report_line(id, &report));
        let (payload, error) = ending.answer(id, spec.timeout);
        let log_tail = self.tail.take().unwrap_or_default().finish();
        InvokeOutcome { payload, error, log_tail, report }
    }

    fn log(&mut self, line: String) {
        // The Python runtime joins the lines of one event by carriage returns.
        let line = if line.contains('\r') { line.replace('\r', "\n") } else { line };
        if let Some(tail) = &mut self.tail {
            tail.push(&line);
        }
        self.house.logs.write(&self.spec.name, &self.log_stream, self.house.world.now(), line);
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// `2026/01/31/[$LATEST]84738b...`, as Lambda names log streams.
fn log_stream(world: &World, version: &str) -> String {
    let (year, month, day, ..) = world.now().civil();
    format!("{year:04}/{month:02}/{day:02}/[{version}]{}", world.hex_id(32))
}
