//! The Extensions API: what the processes beside a runtime are told, and what is waited for.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

use super::api::refusal;
use super::{FunctionSpec, Invocation};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::sync::oneshot;

/// What an extension asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExtensionAsk {
    /// To be told of events.
    Register { name: String, account: bool },
    /// The next event.
    Next { id: Option<String> },
    /// To take an error: of its start, or before it ends.
    Failed { id: Option<String>, error_type: Option<String>, starting: bool },
    /// One of the APIs that are not served.
    Telemetry,
}

pub(super) fn parse(head: &Parts) -> Option<ExtensionAsk> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
    let id = || header("Lambda-Extension-Identifier");
    let error_type = || header("Lambda-Extension-Function-Error-Type");
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/2020-01-01/extension/register") => Some(ExtensionAsk::Register {
            name: header("Lambda-Extension-Name").unwrap_or_default(),
            account: header("Lambda-Extension-Accept-Feature").is_some_and(|f| f.contains("accountId")),
        }),
        (&Method::GET, "/2020-01-01/extension/event/next") => Some(ExtensionAsk::Next { id: id() }),
        (&Method::POST, "/2020-01-01/extension/init/error") => {
            Some(ExtensionAsk::Failed { id: id(), error_type: error_type(), starting: true })
        }
        (&Method::POST, "/2020-01-01/extension/exit/error") => {
            Some(ExtensionAsk::Failed { id: id(), error_type: error_type(), starting: false })
        }
        (&Method::PUT, "/2022-07-01/telemetry" | "/2020-08-15/logs") => Some(ExtensionAsk::Telemetry),
        _ => None,
    }
}

/// The executables in a directory of extensions, by name.
pub(super) fn in_directory(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let executable = |entry: &std::fs::DirEntry| {
        std::fs::metadata(entry.path()).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let mut names: Vec<String> =
        entries.flatten().filter(executable).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[derive(Default)]
struct Extension {
    name: String,
    external: bool,
    invoke: bool,
    shutdown: bool,
    waiting: Option<oneshot::Sender<Response<Bytes>>>,
    pending: VecDeque<Bytes>,
    ended: bool,
}

impl Extension {
    fn give(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        match self.pending.pop_front() {
            Some(event) => {
                let _ = waiting.send(Response::new(event));
            }
            None => self.waiting = Some(waiting),
        }
    }

    /// Whether it has dealt with all it was told.
    fn is_done(&self) -> bool {
        self.ended || (self.waiting.is_some() && self.pending.is_empty())
    }
}

/// The extensions of one process.
#[derive(Default)]
pub(super) struct Extensions {
    /// Those whose processes were started and that have not registered yet.
    expected: Vec<String>,
    registered: BTreeMap<String, Extension>,
}

/// Why an extension cannot go on, by Lambda's name for it.
pub(super) struct Failure {
    pub(super) error_type: String,
    pub(super) message: String,
}

impl Extensions {
    pub(super) fn new(expected: Vec<String>) -> Extensions {
        Extensions { expected, registered: BTreeMap::new() }
    }

    /// Whether all have registered and asked for their first event, or are through with the last one.
    pub(super) fn are_done(&self) -> bool {
        self.expected.is_empty() && self.registered.values().all(Extension::is_done)
    }

    /// Whether there are any that are told of the end.
    pub(super) fn want_shutdown(&self) -> bool {
        self.registered.values().any(|e| e.shutdown && !e.ended)
    }

    /// Whether all processes of theirs have ended.
    pub(super) fn have_ended(&self) -> bool {
        self.registered.values().all(|e| e.ended || !e.external)
    }

    /// Registers one; `id` is to be its identifier, `about` what it is told of the function.
    pub(super) fn register(&mut self, name: String, body: &[u8], id: String, about: &Value) -> Response<Bytes> {
        if name.is_empty() {
            return forbidden("Extension.InvalidExtensionName", "Empty extension name");
        }
        if self.registered.values().any(|e| e.name == name) {
            return forbidden("Extension.AlreadyRegistered", &format!("An extension named {name} is registered"));
        }
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let events: Vec<&str> = asked["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(unknown) = events.iter().find(|event| !matches!(**event, "INVOKE" | "SHUTDOWN")) {
            return refusal(
                StatusCode::BAD_REQUEST,
                "Extension.InvalidEventType",
                &format!("{unknown}: no such event"),
            );
        }
        let place = self.expected.iter().position(|expected| *expected == name);
        let external = place.map(|place| self.expected.remove(place)).is_some();
        if !external && events.contains(&"SHUTDOWN") {
            // What lives in the runtime's own process ends with it.
            let message = "An internal extension is not told of SHUTDOWN";
            return refusal(StatusCode::BAD_REQUEST, "ShutdownEventNotSupportedForInternalExtension", message);
        }
        let (invoke, shutdown) = (events.contains(&"INVOKE"), events.contains(&"SHUTDOWN"));
        self.registered.insert(id.clone(), Extension { name, external, invoke, shutdown, ..Extension::default() });
        let mut answer = Response::new(Bytes::from(about.to_string()));
        let headers = answer.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("lambda-extension-identifier", id);
        }
        answer
    }

    /// An extension waits for its next event.
    pub(super) fn next(&mut self, id: Option<&str>, answer: oneshot::Sender<Response<Bytes>>) {
        match id.and_then(|id| self.registered.get_mut(id)) {
            Some(extension) => {
                extension.waiting = Some(answer);
                extension.give();
            }
            None => {
                let _ = answer.send(unknown(id));
            }
        }
    }

    /// An extension has failed, and says so. `None`: there is no such extension.
    pub(super) fn failed(&mut self, id: Option<&str>, error_type: Option<String>, starting: bool) -> Option<Failure> {
        let extension = self.registered.get(id?)?;
        let error_type = error_type.unwrap_or_else(|| "Extension.UnknownReason".to_owned());
        let what = if starting { "could not be initialised" } else { "has failed" };
        let message = format!("the extension {} {what}: {error_type}", extension.name);
        Some(Failure {
            error_type: if starting { "Extension.InitError" } else { "Extension.ExitError" }.to_owned(),
            message,
        })
    }

    /// The process of an extension has ended. A failure unless the house itself is ending.
    pub(super) fn ended(&mut self, name: &str, status: &str) -> Failure {
        self.expected.retain(|expected| expected != name);
        if let Some(extension) = self.registered.values_mut().find(|e| e.name == name) {
            extension.ended = true;
            extension.waiting = None;
        }
        let message = format!("the extension {name} exited with status {status}");
        Failure { error_type: "Extension.Crash".to_owned(), message }
    }

    /// Tells those of an invocation that asked for it.
    pub(super) fn invoke(&mut self, event: &Value) {
        self.tell(event, |extension| extension.invoke);
    }

    /// Tells those of the end that asked for it.
    pub(super) fn shut_down(&mut self, reason: &str, deadline_ms: i64) {
        let event = json!({"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms});
        self.tell(&event, |extension| extension.shutdown);
    }

    fn tell(&mut self, event: &Value, whom: impl Fn(&Extension) -> bool) {
        let event = Bytes::from(event.to_string());
        for extension in self.registered.values_mut().filter(|e| !e.ended && whom(e)) {
            extension.pending.push_back(event.clone());
            extension.give();
        }
    }
}

/// What extensions are told of an invocation.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-extensions-api-lifecycle-extensions-invoke>
pub(super) fn invoke_event(invocation: &Invocation, spec: &FunctionSpec, deadline_ms: i64) -> Value {
    let mut event = json!({
        "eventType": "INVOKE",
        "deadlineMs": deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": spec.arn,
    });
    if let Some(trace) = &invocation.trace {
        event["tracing"] = json!({"type": "X-Amzn-Trace-Id", "value": trace.as_str()});
    }
    event
}

/// The answer to who has not registered.
pub(super) fn unknown(id: Option<&str>) -> Response<Bytes> {
    match id {
        None => forbidden("Extension.MissingExtensionIdentifier", "The header Lambda-Extension-Identifier is missing"),
        Some(_) => forbidden("Extension.UnknownExtensionIdentifier", "Unknown extension identifier"),
    }
}

fn forbidden(error_type: &str, message: &str) -> Response<Bytes> {
    refusal(StatusCode::FORBIDDEN, error_type, message)
}

/// The answer of the APIs that are not served.
pub(super) fn not_served() -> Response<Bytes> {
    let message = "The Telemetry API and the Logs API are not served here; the function's log group holds its log";
    refusal(StatusCode::ACCEPTED, "Telemetry.NotSupported", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(answer: &Response<Bytes>) -> u16 {
        answer.status().as_u16()
    }

    #[test]
    fn events_wait_for_who_asked_for_them() {
        let mut extensions = Extensions::new(vec!["a".to_owned(), "b".to_owned()]);
        assert!(!extensions.are_done());
        let about = json!({"functionName": "f"});
        let answer = extensions.register("a".into(), br#"{"events":["INVOKE","SHUTDOWN"]}"#, "1".into(), &about);
        assert_eq!(
            (status(&answer), &answer.headers()["lambda-extension-identifier"]),
            (200, &HeaderValue::from_static("1"))
        );
        assert_eq!(answer.body(), r#"{"functionName":"f"}"#);
        extensions.register("b".into(), br#"{"events":["SHUTDOWN"]}"#, "2".into(), &about);
        assert_eq!(status(&extensions.register("b".into(), b"{}", "3".into(), &about)), 403);
        assert_eq!(status(&extensions.register("c".into(), br#"{"events":["X"]}"#, "3".into(), &about)), 400);
        assert_eq!(status(&extensions.register("c".into(), br#"{"events":["SHUTDOWN"]}"#, "3".into(), &about)), 400);
        assert!(!extensions.are_done(), "they have asked for nothing yet");
        let (a, mut a_gets) = oneshot::channel();
        let (b, mut b_gets) = oneshot::channel();
        extensions.next(Some("1"), a);
        extensions.next(Some("2"), b);
        assert!(extensions.are_done());
        extensions.invoke(&json!({"eventType": "INVOKE"}));
        assert!(!extensions.are_done());
        assert_eq!(a_gets.try_recv().unwrap().body(), r#"{"eventType":"INVOKE"}"#);
        assert!(b_gets.try_recv().is_err());
        extensions.shut_down("spindown", 7);
        assert!(
            b_gets.try_recv().unwrap().body().starts_with(br#"{"eventType":"SHUTDOWN","shutdownReason":"spindown""#)
        );
        let (a, mut a_gets) = oneshot::channel();
        extensions.next(Some("1"), a);
        assert!(a_gets.try_recv().is_ok(), "what came meanwhile was kept");
        assert!(extensions.want_shutdown() && !extensions.have_ended());
        extensions.ended("a", "0");
        extensions.ended("b", "0");
        assert!(!extensions.want_shutdown() && extensions.have_ended());
    }

    #[test]
    fn strangers_are_refused() {
        let mut extensions = Extensions::default();
        let (answer, mut gets) = oneshot::channel();
        extensions.next(None, answer);
        assert_eq!(status(&gets.try_recv().unwrap()), 403);
        assert!(extensions.failed(Some("9"), None, true).is_none());
        assert_eq!(extensions.ended("x", "1").error_type, "Extension.Crash");
    }
}
