use crate::auth::Authenticator;
use crate::route::{Routes, Unrouted, header};
use crate::sigv4::{Signed, Verifier, is_signed};
use crate::{ApiError, Call, Handled, Handler, Request, Routed, Service, Value, codec, common, signals};
use bytes::Bytes;
use http::header::{HOST, HeaderName, USER_AGENT};
use http::request::Parts;
use names::{Caller, Home, Timestamp, TraceContext};
use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use world::net::{Asked, Body};
use world::{BoxFuture, Series, Stage, World};

/// Whoever must know of calls before they are answered (audit).
pub trait Observer: Send + Sync {
    /// Whether it wants to know of this operation at all.
    fn wants(&self, service: &str, operation: &str) -> bool;
    /// Awaited before the answer goes out, so that what it records is durable by then.
    fn observe(&self, outcome: Outcome) -> BoxFuture<'_, ()>;
}

/// A call and what became of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The call.
    pub call: Arc<Call>,
    /// The input, where it could be decoded.
    pub input: Option<Value>,
    /// The output of a success.
    pub output: Option<Value>,
    /// The error of a failure.
    pub error: Option<ApiError>,
}

/// What may be set about the front.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// How far a client's clock may be off.
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
    pub skew: Duration,
    /// Whether clients come over TLS.
    pub tls: bool,
}

impl Default for FrontOptions {
    fn default() -> FrontOptions {
        FrontOptions { skew: Duration::from_secs(5 * 60), tls: false }
    }
}

/// Takes requests, gives answers: routes, verifies, dispatches, tells the observer, encodes.
pub struct Front {
    world: World,
    home: Home,
    services: Vec<Service>,
    routes: Routes,
    verifier: Verifier,
    authenticator: Arc<dyn Authenticator>,
    observer: Arc<dyn Observer>,
    meters: Vec<HashMap<&'static str, Meters>>,
    tls: bool,
}

struct Meters {
    micros: Arc<Series>,
    errors: Arc<Series>,
}

/// A request on its way through the front.
struct Passage {
    request_id: String,
    at: Timestamp,
    started: Duration,
}

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// As much of a `User-Agent` is kept.
const USER_AGENT_LIMIT: usize = 1024;

impl Front {
    /// A front for these services.
    pub fn new(
        world: World,
        home: Home,
        services: Vec<Service>,
        authenticator: Arc<dyn Authenticator>,
        observer: Arc<dyn Observer>,
        options: FrontOptions,
    ) -> Arc<Front> {
        let routes =
            Routes::new(services.iter().map(|service| (service.model(), service.unsigned_operations())).collect());
        let meters = services.iter().map(|service| {
            let series = |signal, operation| world.meter.series(signal, &[service.model().name, operation]);
            let of = |operation: &'static str| {
                let micros = series(&signals::CALL_MICROS, operation);
                (operation, Meters { micros, errors: series(&signals::CALL_ERRORS, operation) })
            };
            service.served().into_iter().map(of).collect()
        });
        let meters = meters.collect();
        let verifier = Verifier::new(options.skew);
        Arc::new(Front { world, home, services, routes, verifier, authenticator, observer, meters, tls: options.tls })
    }

    /// The largest body that a request with this head may have.
    pub fn body_limit(&self, head: &Parts) -> usize {
        let service = self.routes.service_of(head);
        service.map_or(crate::service::DEFAULT_BODY_LIMIT, |i| self.services[i].limit())
    }

    /// The answer to a body over the limit, in the protocol of the request.
    pub fn too_large(&self, head: &Parts) -> http::Response<Bytes> {
        let id = self.world.uuid();
        let error = common::TOO_LARGE.because("Request body exceeds the limit of the service");
        match self.routes.route(head, &[]) {
            Ok(routed) => self.refuse(&id, &routed, &error),
            Err(unrouted) => codec::encode_error(None, None, unrouted.protocol, &id, &error),
        }
    }

    /// Answers a request.
    pub async fn answer(&self, asked: Asked) -> http::Response<Body> {
        let passage =
            Passage { request_id: self.world.uuid(), at: self.world.now(), started: self.world.clock.monotonic() };
        let routed = match self.routes.route(&asked.head, &asked.body) {
            Ok(routed) => routed,
            Err(Unrouted { service, protocol, error }) => {
                let model = service.map(|i| self.services[i].model());
                let answer = codec::encode_error(model, None, protocol, &passage.request_id, &error);
                return answer.map(Body::from);
            }
        };
        let caller = match self.authenticate(&asked, &routed, passage.at) {
            Ok(caller) => caller,
            Err(error) => return self.refuse(&passage.request_id, &routed, &error).map(Body::from),
        };
        let service = &self.services[routed.service];
        let (Some(operation), Some(handler)) = (routed.entry.model, service.handler(routed.entry.name)) else {
            let (service, operation) = (service.model().full_name, routed.entry.name);
            let error = common::NOT_IMPLEMENTED.because(format!(
                "Headwater does not serve {service} {operation} yet. See docs/coverage.md for what it serves."
            ));
            return self.refuse(&passage.request_id, &routed, &error).map(Body::from);
        };
        let call = Arc::new(Call {
            service: service.model(),
            operation,
            caller,
            request_id: passage.request_id,
            source_ip: asked.peer.ip(),
            user_agent: header(&asked.head, USER_AGENT).map(shorten).unwrap_or_default(),
            host: host(&asked.head),
            tls: self.tls,
            at: passage.at,
            trace: header(&asked.head, TRACE_ID).and_then(TraceContext::from_header),
        });
        let observed = self.observer.wants(call.service.name, operation.name);
        let request = Request { protocol: routed.protocol, head: Arc::new(asked.head), body: asked.body, observed };
        let result = self.run(handler.clone(), &call, request).await;
        let answer = match result {
            Ok(mut answer) => {
                service.decorate(&self.world, &mut answer);
                answer
            }
            Err(error) => self.refuse(&call.request_id, &routed, &error).map(Body::from),
        };
        self.meter(&routed, passage.started, &answer);
        answer
    }

    /// Runs the handler and tells the observer. A call that is observed goes on though its caller hangs up: whoever
    /// closes the connection in time would otherwise change things and leave no record, or leave a change half made.
    async fn run(&self, handler: Arc<dyn Handler>, call: &Arc<Call>, request: Request) -> Answered {
        if !request.observed {
            return caught(&handler, call.clone(), request).await.result;
        }
        let (observer, observed) = (self.observer.clone(), call.clone());
        let work = async move {
            let Handled { result, input, output } = caught(&handler, observed.clone(), request).await;
            let error = result.as_ref().err().cloned();
            observer.observe(Outcome { call: observed, input, output, error }).await;
            result
        };
        let done = self.world.tasks.finish(Stage::Sockets, "call", work).await;
        done.unwrap_or_else(|| Err(ApiError::fault("a call was not finished")))
    }

    /// Who signed a request that is none of an operation, as requests to functions' URLs are: for this service, if at all.
    pub fn signer(&self, asked: &Asked, service: &str) -> Result<Caller, ApiError> {
        let home = self.home.region.as_str();
        let rules = self.services.iter().find(|s| s.model().name == service).map(Service::signing_rules);
        let signed = Signed {
            head: &asked.head,
            body: &asked.body,
            service,
            regions: &[home],
            rules: rules.unwrap_or_default(),
            now: self.world.now(),
        };
        self.verifier.verify(&signed, &*self.authenticator)
    }

    fn authenticate(&self, asked: &Asked, routed: &Routed, now: Timestamp) -> Result<Caller, ApiError> {
        let service = &self.services[routed.service];
        if service.unsigned_operations().contains(&routed.entry.name) && !is_signed(&asked.head) {
            return Ok(Caller::anonymous(&self.home.account));
        }
        let home = self.home.region.as_str();
        let regions: &[&str] = if service.is_global() { &[home, "us-east-1"] } else { &[home] };
        let signed = Signed {
            head: &asked.head,
            body: &asked.body,
            service: service.model().name,
            regions,
            rules: service.signing_rules(),
            now,
        };
        self.verifier.verify(&signed, &*self.authenticator)
    }

    fn refuse(&self, request_id: &str, routed: &Routed, error: &ApiError) -> http::Response<Bytes> {
        let service = &self.services[routed.service];
        let (model, name) = (Some(service.model()), Some(routed.entry.name));
        let mut answer = codec::encode_error(model, name, routed.protocol, request_id, error);
        service.decorate(&self.world, &mut answer);
        answer
    }

    fn meter(&self, routed: &Routed, started: Duration, answer: &http::Response<Body>) {
        if let Some(meters) = self.meters[routed.service].get(routed.entry.name) {
            let took = self.world.clock.monotonic().saturating_sub(started);
            meters.micros.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            if answer.status().is_client_error() || answer.status().is_server_error() {
                meters.errors.record(1);
            }
        }
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= USER_AGENT_LIMIT {
        return text.to_owned();
    }
    text.chars().take(USER_AGENT_LIMIT).collect()
}

/// The authority that the client used.
fn host(head: &Parts) -> String {
    let from_target = || head.uri.authority().map(http::uri::Authority::as_str);
    header(head, HOST).or_else(from_target).unwrap_or_default().to_owned()
}

type Answered = Result<http::Response<Body>, ApiError>;

/// Runs a handler to its end or its panic. What it had built is dropped with it; the house behind it stays usable, because
/// its locks are never held over what may panic ("no panic holds this lock").
async fn caught(handler: &Arc<dyn Handler>, call: Arc<Call>, request: Request) -> Handled {
    let (service, operation) = (call.service.name, call.operation.name);
    let failed = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        let error = ApiError::fault(format!("the handler of {service} {operation} panicked: {text}"));
        Handled { result: Err(error), input: None, output: None }
    };
    let mut future = match catch_unwind(AssertUnwindSafe(|| handler.handle(call, request))) {
        Ok(future) => future,
        Err(panic) => return failed(panic),
    };
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(failed(panic)),
    })
    .await
}
