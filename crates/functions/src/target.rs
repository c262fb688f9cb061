//! The pushed door: an envelope to a function's ARN is an invocation.

use crate::api::invoke::{PRINCIPAL, async_policy};
use crate::functions::Functions;
use crate::runtime::{Invocation, InvokeError};
use crate::state::Function;
use delivery::{Envelope, Target, Verdict, attribute};
use names::Arn;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use world::BoxFuture;

/// What `delivery` calls.
pub(crate) struct Invoker(Arc<Functions>);

impl Functions {
    /// The pushed door, to be registered for `lambda` / `function:`.
    pub fn target(self: &Arc<Self>) -> Arc<dyn Target> {
        Arc::new(Invoker(self.clone()))
    }
}

impl Invoker {
    async fn invoke(&self, envelope: &Envelope) -> Verdict {
        let functions = &self.0;
        let name = envelope.to.resource_after("function:").unwrap_or_default();
        let name = name.strip_suffix(":$LATEST").unwrap_or(name);
        let Some(function) = functions.catalog.read(|state| state.functions.get(name).cloned()) else {
            return Verdict::Refused {
                code: "ResourceNotFoundException".to_owned(),
                why: format!("Function not found: {}", envelope.to),
            };
        };
        if asynchronous(envelope) {
            // From here on Lambda's own rules hold: its retries, its age, the function's dead letter.
            let own = asynchronous_envelope(functions, &function, envelope);
            return match functions.delivery.send(vec![own]).await {
                Ok(()) => Verdict::Accepted(bytes::Bytes::new()),
                Err(error) => {
                    Verdict::Again { code: "ServiceException".to_owned(), why: error.to_string(), after: None }
                }
            };
        }
        let request_id =
            envelope.attributes.get(attribute::REQUEST_ID).cloned().unwrap_or_else(|| functions.world.uuid());
        let invocation = Invocation {
            payload: envelope.body.clone(),
            request_id,
            trace: envelope.trace.clone(),
            client_context: None,
        };
        let again = |code: &str, why: String, after| Verdict::Again { code: code.to_owned(), why, after };
        let spec = match functions.spec(&function) {
            Ok(spec) => spec,
            Err(error) => return again("InvalidRuntimeException", error.to_string(), None),
        };
        match functions.executor().invoke(&spec, invocation).await {
            Ok(outcome) if outcome.error.is_none() => Verdict::Accepted(outcome.payload),
            Ok(outcome) => {
                let shown: String = String::from_utf8_lossy(&outcome.payload).chars().take(1024).collect();
                again("FunctionError", shown, None)
            }
            // A function that is busy is not a function that fails: it is tried again soon.
            Err(error @ InvokeError::TooManyRequests(_)) => {
                again("TooManyRequestsException", error.to_string(), Some(Duration::from_millis(100)))
            }
            Err(error @ InvokeError::Runtime(_)) => again("InvalidRuntimeException", error.to_string(), None),
            Err(error @ InvokeError::Credentials(_)) => again("AccessDeniedException", error.to_string(), None),
            Err(error) => again("ServiceException", error.to_string(), None),
        }
    }
}

/// An event that another service hands over, not yet in Lambda's own queue.
fn asynchronous(envelope: &Envelope) -> bool {
    let kind = envelope.attributes.get(attribute::INVOCATION).map(String::as_str);
    kind == Some("Event") && envelope.principal != PRINCIPAL
}

fn asynchronous_envelope(functions: &Functions, function: &Function, envelope: &Envelope) -> Envelope {
    let request_id = (attribute::REQUEST_ID.to_owned(), functions.world.uuid());
    Envelope {
        to: function.arn.clone(),
        attributes: BTreeMap::from([(attribute::INVOCATION.to_owned(), "Event".to_owned()), request_id]),
        principal: PRINCIPAL.to_owned(),
        role: None,
        policy: async_policy(),
        dead_letter: function.dead_letter.clone(),
        not_before: None,
        created: functions.world.now(),
        ..envelope.clone()
    }
}

impl Target for Invoker {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.invoke(envelope))
    }
    fn concurrency(&self, _: &Arn) -> usize {
        crate::limits::CONCURRENCY
    }
    /// The function's own timeout ends an invocation; this is a net below it that includes a cold start.
    fn time_limit(&self, to: &Arn) -> Duration {
        let name = to.resource_after("function:").unwrap_or_default();
        let own = self.0.catalog.read(|state| state.functions.get(name).map(|f| f.timeout_s));
        Duration::from_secs(u64::from(own.unwrap_or(900)) + 60)
    }
}
