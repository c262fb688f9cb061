//! The Runtime API of one process, as HTTP: requests become [`Call`]s in the mailbox of its sandbox.
//!
//! Every process has a listener of its own, for clients take no more than `host:port` as the API's address. Who may use
//! it is decided in the sandbox, by the kernel's word for who holds the other end of the connection.

use super::extensions::{self, ExtensionAsk};
use super::outlet::{self, Outlet};
use super::report::Ending;
use super::{FunctionSpec, Invocation, limits};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use world::net::{Asked, Body, HttpService, Inflow};
use world::{BoxFuture, Stage, Tasks};

/// What a runtime asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The next invocation.
    Next,
    /// To take a response.
    Response { id: String },
    /// To take a response that comes in pieces.
    Stream { id: String },
    /// What became of that; no runtime asks it.
    Streamed { id: String, ending: Ending },
    /// To take an error of the function.
    Error { id: String, error_type: Option<String> },
    /// To take an error of its own start.
    InitError { error_type: Option<String> },
    /// Something of the Extensions API.
    Extension(ExtensionAsk),
}

/// One request of a runtime.
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) body: Bytes,
    /// The body was larger than is ever read.
    pub(super) cut: bool,
    pub(super) peer: SocketAddr,
    pub(super) answer: oneshot::Sender<Response<Bytes>>,
    /// Where to put who takes a response that comes in pieces.
    pub(super) begin: Option<oneshot::Sender<Outlet>>,
}

pub(super) struct RuntimeApi {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) tasks: Tasks,
}

impl HttpService for RuntimeApi {
    fn call(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Response<Body>> {
        let answer = async move {
            let Some(ask) = parse(&asked.head) else {
                return refusal(StatusCode::NOT_FOUND, "NotFound", "There is no such path in the Runtime API");
            };
            let (answer, answered) = oneshot::channel();
            let call = Call { ask, body: asked.body, cut: false, peer: asked.peer, answer, begin: None };
            if self.calls.send(call).await.is_err() {
                return gone();
            }
            answered.await.unwrap_or_else(|_| gone())
        };
        Box::pin(async move { answer.await.map(Body::from) })
    }

    fn takes_inflow(&self, head: &Parts) -> bool {
        outlet::is_streamed(&head.headers) && matches!(parse(head), Some(Ask::Response { .. }))
    }

    fn call_with_inflow(
        self: Arc<Self>,
        head: Parts,
        body: Inflow,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<Body>> {
        Box::pin(async move { self.stream(&head, body, peer).await.map(Body::from) })
    }

    fn body_limit(&self, _: &Parts) -> usize {
        limits::MAX_RESPONSE_READ
    }

    /// One runtime sends one response at a time; whoever else finds the port shall not fill the house's memory.
    fn bodies_limit(&self) -> usize {
        2 * limits::MAX_RESPONSE_READ
    }

    fn too_large(&self, head: &Parts) -> Response<Bytes> {
        let (answer, _) = oneshot::channel();
        let peer = SocketAddr::from(([0, 0, 0, 0], 0));
        if let Some(ask) = parse(head) {
            // Where the mailbox is full the function runs into its timeout instead.
            let _ = self.calls.try_send(Call { ask, body: Bytes::new(), cut: true, peer, answer, begin: None });
        }
        too_large(limits::MAX_RESPONSE)
    }
}

impl RuntimeApi {
    /// Takes a response in pieces: the sandbox says where they go, and is told of their end.
    async fn stream(&self, head: &Parts, body: Inflow, peer: SocketAddr) -> Response<Bytes> {
        let Some(Ask::Response { id }) = parse(head) else { return gone() };
        let ((begin, begun), (answer, answered)) = (oneshot::channel(), oneshot::channel());
        let ask = Ask::Stream { id: id.clone() };
        let call = Call { ask, body: Bytes::new(), cut: false, peer, answer, begin: Some(begin) };
        if self.calls.send(call).await.is_err() {
            return gone();
        }
        let Ok(outlet) = begun.await else { return answered.await.unwrap_or_else(|_| gone()) };
        let (calls, kind) = (self.calls.clone(), outlet::content_type(head));
        // Where the connection breaks, this future goes with it; what has come until then, and that it broke, is told.
        let relay = async move {
            let ending = outlet.relay(kind, body).await?;
            let (answer, answered) = oneshot::channel();
            let call =
                Call { ask: Ask::Streamed { id, ending }, body: Bytes::new(), cut: false, peer, answer, begin: None };
            calls.send(call).await.ok()?;
            answered.await.ok()
        };
        let answer = self.tasks.finish(Stage::Delivery, "function response", relay).await;
        answer.flatten().unwrap_or_else(gone)
    }
}

fn gone() -> Response<Bytes> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "Gone", "The execution environment has ended")
}

fn parse(head: &Parts) -> Option<Ask> {
    if let Some(ask) = extensions::parse(head) {
        return Some(Ask::Extension(ask));
    }
    let path = head.uri.path().strip_prefix("/2018-06-01/runtime/")?;
    let error_type = || head.headers.get("Lambda-Runtime-Function-Error-Type")?.to_str().ok().map(str::to_owned);
    let mut parts = path.split('/');
    let ask = match (&head.method, parts.next()?, parts.next()?, parts.next()) {
        (&Method::GET, "invocation", "next", None) => Ask::Next,
        (&Method::POST, "invocation", id, Some("response")) => Ask::Response { id: id.to_owned() },
        (&Method::POST, "invocation", id, Some("error")) => Ask::Error { id: id.to_owned(), error_type: error_type() },
        (&Method::POST, "init", "error", None) => Ask::InitError { error_type: error_type() },
        _ => return None,
    };
    parts.next().is_none().then_some(ask)
}

/// The answer that gives a runtime its next invocation.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next>
pub(super) fn next(invocation: &Invocation, spec: &FunctionSpec, deadline_ms: i64) -> Response<Bytes> {
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

/// The answer to what was taken.
pub(super) fn accepted() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(br#"{"status":"OK"}"#));
    *answer.status_mut() = StatusCode::ACCEPTED;
    answer
}

/// The answer to a response over a limit.
pub(super) fn too_large(most: usize) -> Response<Bytes> {
    let message = format!("Exceeded maximum allowed payload size ({most} bytes).");
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

/// The answer to a call that makes no sense now.
pub(super) fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": message }).to_string();
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str) -> Option<Ask> {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        parse(&request.into_parts().0)
    }

    #[test]
    fn paths_are_told_apart() {
        let id = || "8476".to_owned();
        assert_eq!(asked("GET", "/2018-06-01/runtime/invocation/next"), Some(Ask::Next));
        assert_eq!(asked("POST", "/2018-06-01/runtime/invocation/8476/response"), Some(Ask::Response { id: id() }));
        let error = Ask::Error { id: id(), error_type: None };
        assert_eq!(asked("POST", "/2018-06-01/runtime/invocation/8476/error"), Some(error));
        assert_eq!(asked("POST", "/2018-06-01/runtime/init/error"), Some(Ask::InitError { error_type: None }));
        let next = Ask::Extension(ExtensionAsk::Next { id: None });
        assert_eq!(asked("GET", "/2020-01-01/extension/event/next"), Some(next));
        for (method, path) in [
            ("POST", "/2018-06-01/runtime/invocation/next"),
            ("GET", "/2018-06-01/runtime/invocation/next/x"),
            ("POST", "/2018-06-01/runtime/invocation/1/response/2"),
            ("GET", "/2020-01-01/extension/register"),
            ("POST", "/2020-01-01/extension/event/next"),
        ] {
            assert_eq!(asked(method, path), None, "{method} {path}");
        }
    }
}
