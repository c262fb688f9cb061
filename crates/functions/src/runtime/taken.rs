//! What a process and its extensions ask for, and what that makes of the invocation that runs.

use super::MAX_RESPONSE;
use super::api::{self, Ask, Call};
use super::extensions::{self, ExtensionAsk};
use super::outlet::Outlet;
use super::pace::Pace;
use super::report::Ending;
use super::sandbox::{Event, Sandbox};
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::oneshot;

impl Sandbox {
    /// Takes what happened. Returns how the invocation `running`, or the start, ended where it did.
    pub(super) fn take(&mut self, event: Event, running: Option<&str>) -> Option<Ending> {
        match event {
            Event::Late => Some(Ending::TimedOut),
            Event::Exited(exit) => Some(Ending::Exited(exit)),
            Event::Call(call) => self.take_call(call, running),
            Event::Line(line) => {
                let ended = line.strip_prefix(&self.marker).and_then(|rest| rest.trim().split_once(' '));
                let Some((status, name)) = ended else {
                    self.heard(line);
                    return None;
                };
                let failure = self.extensions.ended(name, status);
                Some(Ending::Extension(failure.error_type, failure.message))
            }
        }
    }

    /// Answers a call of the Runtime API. Returns how the invocation `running`, or the start, ended where it did.
    fn take_call(&mut self, call: Call, running: Option<&str>) -> Option<Ending> {
        // A body that was cut off has lost its sender's address; it needs the invocation's id all the same. That of a
        // response in pieces may be gone, and was asked for when it began.
        let ours = call.cut || matches!(call.ask, Ask::Streamed { .. });
        if !ours && !self.apart && !self.child.owns_connection(call.peer, self.api) {
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
            Ask::Streamed { id, ending } if current(&id) => match ending {
                Ending::ResponseTooLarge(most) => (api::too_large(most), Some(Ending::ResponseTooLarge(most))),
                ending => {
                    self.receipt = Some(call.answer);
                    return Some(ending);
                }
            },
            Ask::Response { .. } | Ask::Error { .. } | Ask::Stream { .. } if self.relaying.is_some() => {
                let message = "The response to this invocation has begun";
                (api::refusal(StatusCode::FORBIDDEN, "InvalidStateTransition", message), None)
            }
            Ask::Stream { id } if current(&id) => {
                let (relaying, over) = oneshot::channel();
                self.relaying = Some(relaying);
                if let Some(begin) = call.begin {
                    let world = &self.house.world;
                    let pace = self.house.options.limited.then(|| Pace::new(world.clock.clone()));
                    let _ = begin.send(Outlet::new(self.sink.take(), pace, over));
                }
                return None;
            }
            Ask::Response { id } if current(&id) && (call.cut || call.body.len() > MAX_RESPONSE) => {
                (api::too_large(MAX_RESPONSE), Some(Ending::ResponseTooLarge(MAX_RESPONSE)))
            }
            Ask::Response { id } if current(&id) => {
                self.receipt = Some(call.answer);
                return Some(Ending::Response(call.body));
            }
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
            Ask::Response { .. } | Ask::Error { .. } | Ask::Stream { .. } | Ask::Streamed { .. } => {
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
}
