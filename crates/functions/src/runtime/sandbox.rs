//! One process and the invocations it runs, one after the other.

use super::api::{self, Ask, Call, RuntimeApi};
use super::environment::Start;
use super::pool::Pool;
use super::python::{PythonRuntime, Silent};
use super::report::{self, Ending, Tail};
use super::{
    FunctionSpec, Invocation, InvokeError, InvokeOutcome, LogSink, MAX_RESPONSE, Options, Report, Runtime, limits,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use world::net::Listen;
use world::processes::{Child, Exit, Output};
use world::{BoxFuture, Stage, Stop, World};

/// What all processes of an executor share.
pub(super) struct House {
    pub(super) world: World,
    pub(super) options: Options,
    pub(super) python: Arc<PythonRuntime>,
    pub(super) logs: Arc<dyn LogSink>,
    pub(super) pool: Pool<Order>,
}

/// The process ended before it took the order.
pub(super) struct Gone;

/// An invocation on its way to a process.
pub(super) struct Order {
    pub(super) invocation: Invocation,
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) answer: oneshot::Sender<Result<Result<InvokeOutcome, InvokeError>, Gone>>,
}

/// Starts a process and runs what it is sent until it ends, is forgotten by the pool, or the house closes.
pub(super) async fn run(
    house: Arc<House>,
    id: u64,
    spec: Arc<FunctionSpec>,
    mut orders: mpsc::Receiver<Order>,
    stop: Stop,
) {
    let Some(first) = orders.recv().await else { return house.pool.remove(id) };
    match Sandbox::start(house.clone(), id, spec).await {
        Ok((sandbox, serving)) => tokio::select! {
            biased;
            () = sandbox.live(first, orders, stop) => {}
            () = serving => {}
        },
        Err(error) => {
            house.pool.remove(id);
            let _ = first.answer.send(Ok(Err(error)));
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
    log_stream: String,
    /// When it was started, by the monotonic clock.
    started: Duration,
    /// The runtime's open request for an invocation.
    waiting: Option<oneshot::Sender<Response<Bytes>>>,
    /// The log of the invocation that runs.
    tail: Option<Tail>,
}

enum Event {
    Late,
    Call(Call),
    Exited(Exit),
    Line(String),
}

impl Sandbox {
    async fn start(
        house: Arc<House>,
        id: u64,
        spec: Arc<FunctionSpec>,
    ) -> Result<(Sandbox, BoxFuture<'static, ()>), InvokeError> {
        let world = &house.world;
        let python = match &spec.runtime {
            Runtime::Python(_) => Some(house.python.ready(&Silent).await?),
            Runtime::Provided(_) => None,
        };
        if let Some(warning) = python.as_ref().and_then(|python| python.stands_in_for(spec.runtime.name())) {
            tracing::warn!(function = spec.name, "{warning}");
        }
        let credentials = spec.credentials.issue().await?;
        house.pool.expires(id, credentials.expires);
        let (sender, calls) = mpsc::channel(limits::CALLS);
        let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None };
        // It must outlive the drain of invocations.
        let stop = world.tasks.stop(Stage::Store);
        let (api, serving) = world.net.serve(listen, Arc::new(RuntimeApi { calls: sender }), stop)?;
        let log_stream = log_stream(world, &spec.version);
        let start = Start {
            spec: &spec,
            python: python.as_deref(),
            credentials: &credentials,
            api,
            log_stream: &log_stream,
            scratch: house.options.scratch_dir.join(world.hex_id(16)),
            max_processes: house.options.max_processes,
            rooted: false,
            reach: None,
        };
        let started = world.clock.monotonic();
        let mut child = world.processes.spawn(start.spawn())?;
        let output = child.output();
        let mut sandbox = Sandbox {
            house: house.clone(),
            id,
            spec,
            child,
            output,
            output_open: true,
            calls,
            api,
            log_stream,
            started,
            waiting: None,
            tail: None,
        };
        let version =
            python.map_or_else(|| sandbox.spec.runtime.name().to_owned(), |p| format!("python:{}", p.version));
        sandbox.log(format!("INIT_START Runtime Version: {version}"));
        Ok((sandbox, serving))
    }

    async fn live(mut self, first: Order, mut orders: mpsc::Receiver<Order>, mut stop: Stop) {
        let mut alive = self.carry(first, true).await;
        while alive {
            let Some(order) = self.idle(&mut orders, &mut stop).await else { break };
            alive = self.carry(order, false).await;
        }
        self.child.kill();
        // A house that closes waits for this task, and so for what is cleaned up behind the process.
        let _ = self.child.wait().await;
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
                () = &mut tired => Event::Late,
                event = self.event(&mut never) => event,
            };
            match event {
                // Where it was given an order at this very moment, that comes first.
                Event::Late if house.pool.retire_idle(self.id) => return None,
                Event::Late => return orders.recv().await,
                Event::Line(line) => self.log(line),
                Event::Call(call) => {
                    self.take_call(call, None);
                }
                Event::Exited(_) => {
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

    /// Runs one invocation. Whether the process may run another.
    async fn carry(&mut self, order: Order, cold: bool) -> bool {
        let Order { invocation, spec, answer } = order;
        let clock = self.house.world.clock.clone();
        self.tail = Some(Tail::default());
        let patience = spec.timeout + if cold { limits::INIT } else { Duration::ZERO };
        let ready = self.until_ready(&mut clock.sleep(patience)).await;
        let begun = clock.monotonic();
        let init_ms = cold.then(|| millis(begun.saturating_sub(self.started)));
        self.log(format!("START RequestId: {} Version: {}", invocation.request_id, spec.version));
        let (ending, was_ready) = match ready {
            Ok(()) => (self.run(&invocation, &spec).await, true),
            Err(ending) => (ending, false),
        };
        let alive = was_ready && ending.leaves_process();
        let duration_ms = millis(clock.monotonic().saturating_sub(begun));
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
        if !alive {
            self.child.kill();
        }
        let outcome = self.finish(&invocation.request_id, &spec, ending, report);
        let kept = if alive { self.house.pool.release(self.id) } else { false };
        if !kept {
            self.house.pool.remove(self.id);
        }
        let _ = answer.send(Ok(Ok(outcome)));
        kept
    }

    /// Waits until the runtime has asked for an invocation.
    async fn until_ready(&mut self, late: &mut BoxFuture<'static, ()>) -> Result<(), Ending> {
        loop {
            if self.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed()) {
                return Ok(());
            }
            if let Some(ending) = self.step(late, None).await {
                return Err(ending);
            }
        }
    }

    /// Hands the invocation over and waits for its end.
    async fn run(&mut self, invocation: &Invocation, spec: &FunctionSpec) -> Ending {
        let world = self.house.world.clone();
        let deadline = world.now().plus(spec.timeout);
        let late = &mut world.clock.sleep(spec.timeout);
        self.child.peak_memory();
        loop {
            if let Err(ending) = self.until_ready(late).await {
                return ending;
            }
            let waiting = self.waiting.take().expect("it was ready");
            if waiting.send(next(invocation, spec, deadline.millis())).is_ok() {
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
        match self.event(late).await {
            Event::Late => Some(Ending::TimedOut),
            Event::Exited(exit) => Some(Ending::Exited(exit)),
            Event::Call(call) => self.take_call(call, running),
            Event::Line(line) => {
                self.log(line);
                None
            }
        }
    }

    /// Answers a call of the Runtime API. Returns how the invocation `running`, or the start, ended where it did.
    fn take_call(&mut self, call: Call, running: Option<&str>) -> Option<Ending> {
        // A body that was cut off has lost its sender's address; it needs the invocation's id all the same.
        if !call.cut && !self.child.owns_connection(call.peer, self.api) {
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

/// The answer that gives a runtime its next invocation.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next>
fn next(invocation: &Invocation, spec: &FunctionSpec, deadline_ms: i64) -> Response<Bytes> {
    let mut answer = Response::new(invocation.payload.clone());
    let trace = invocation.trace.as_ref().map(|trace| trace.as_str().to_owned());
    let headers = [
        ("content-type", Some("application/json".to_owned())),
        ("lambda-runtime-aws-request-id", Some(invocation.request_id.clone())),
        ("lambda-runtime-deadline-ms", Some(deadline_ms.to_string())),
        ("lambda-runtime-invoked-function-arn", Some(spec.arn.to_string())),
        ("lambda-runtime-trace-id", trace),
        ("lambda-runtime-client-context", invocation.client_context.clone()),
    ];
    for (name, value) in headers {
        // Values are ASCII by construction but for the client context, which may hold what a header cannot.
        if let Some(value) = value.and_then(|value| HeaderValue::from_maybe_shared(Bytes::from(value)).ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}
