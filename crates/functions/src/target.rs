//! The pushed door: an envelope to a function's ARN is an invocation.

use crate::asynchronous::{self, code};
use crate::called::{Called, Found};
use crate::functions::Functions;
use crate::invocation::NotRun;
use crate::mailbox::{self, Event};
use crate::runtime::{Invocation, InvokeError, InvokeOutcome};
use crate::signals::{Meters, Metric};
use bytes::Bytes;
use delivery::{Envelope, Failure, Target, Verdict};
use names::{Arn, Timestamp};
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
        let draw = mailbox::request_id(envelope);
        let called = Called::parse(&functions.home, envelope.to.as_str(), None);
        let found = called.and_then(|called| functions.catalog.read(|state| called.find(state, &functions.home, draw)));
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                return Verdict::Refused { code: error.model.name.to_owned(), why: error.message };
            }
        };
        // What lies in a function's own mailbox was let in before.
        let posted = mailbox::is_event(envelope);
        if posted != Some(true)
            && let Err(why) = functions.admit(&found, envelope)
        {
            return Verdict::Refused { code: "AccessDeniedException".to_owned(), why };
        }
        match posted {
            None => self.answer(&found, envelope).await,
            Some(false) => self.post(&found, envelope).await,
            Some(true) => self.carry_out(&found, envelope).await,
        }
    }

    /// A synchronous invocation.
    async fn answer(&self, found: &Found, envelope: &Envelope) -> Verdict {
        let again = |code: &str, why: String, after| Verdict::Again { code: code.to_owned(), why, after };
        match self.run(found, envelope).await {
            Ok(outcome) if outcome.error.is_none() => Verdict::Accepted(outcome.payload),
            Ok(outcome) => {
                let shown: String = String::from_utf8_lossy(&outcome.payload).chars().take(1024).collect();
                again(code::FUNCTION_ERROR, shown, None)
            }
            // A function that is busy is not a function that fails: it is tried again soon.
            Err(error @ NotRun::Invoke(InvokeError::TooManyRequests(_))) => {
                again(error.code(), error.to_string(), Some(Duration::from_millis(100)))
            }
            Err(error) => again(error.code(), error.to_string(), None),
        }
    }

    /// An event that another service hands over: from here on Lambda's own rules hold.
    async fn post(&self, found: &Found, envelope: &Envelope) -> Verdict {
        let event = Event {
            body: envelope.body.clone(),
            request_id: self.0.world.uuid(),
            from: envelope.from.clone(),
            trace: envelope.trace.clone(),
        };
        let envelope = self.0.event(found, event);
        match self.0.delivery.send(vec![envelope]).await {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(error) => Verdict::Again { code: "ServiceException".to_owned(), why: error.to_string(), after: None },
        }
    }

    /// An event out of the mailbox.
    async fn carry_out(&self, found: &Found, envelope: &Envelope) -> Verdict {
        let functions = &self.0;
        let age = functions.world.now().since(envelope.created);
        Meters::new(&functions.world, found).record(Metric::AsyncEventAge, age.as_millis() as u64);
        let off =
            |state: &crate::state::State| state.family(&found.function.name).is_some_and(|f| f.reserved == Some(0));
        if functions.catalog.read(off) {
            let why = "The function's reserved concurrency is zero.".to_owned();
            return Verdict::Refused { code: code::SWITCHED_OFF.to_owned(), why };
        }
        let busy = |code: &str, why: String| Verdict::Busy { code: code.to_owned(), why, pace: asynchronous::pace() };
        match self.run(found, envelope).await {
            Ok(outcome) if outcome.error.is_none() => {
                let told = functions.success(found, envelope, &outcome);
                match functions.delivery.send(told.into_iter().collect()).await {
                    Ok(()) => Verdict::Accepted(outcome.payload),
                    Err(error) => busy("ServiceException", error.to_string()),
                }
            }
            Ok(outcome) => Verdict::Again {
                code: code::FUNCTION_ERROR.to_owned(),
                why: asynchronous::error_text(&outcome.payload),
                after: None,
            },
            Err(NotRun::Loop) => Verdict::Refused { code: code::LOOP.to_owned(), why: NotRun::Loop.to_string() },
            Err(error) => busy(error.code(), error.to_string()),
        }
    }

    async fn run(&self, found: &Found, envelope: &Envelope) -> Result<InvokeOutcome, NotRun> {
        let invocation = Invocation {
            payload: envelope.body.clone(),
            request_id: mailbox::request_id(envelope).to_owned(),
            trace: envelope.trace.clone(),
            client_context: None,
            tail: false,
        };
        self.0.run(found, invocation).await
    }
}

impl Target for Invoker {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.invoke(envelope))
    }
    fn sends_on(&self, envelope: &Envelope) -> bool {
        mailbox::is_event(envelope) == Some(false)
    }
    fn concurrency(&self, _: &Arn) -> usize {
        crate::limits::CONCURRENCY
    }
    /// The function's own timeout ends an invocation; this is a net below it that includes a cold start.
    fn time_limit(&self, to: &Arn) -> Duration {
        let called = to.resource_after("function:").unwrap_or_default();
        let own = self.0.catalog.read(|state| state.configuration(called).map(|f| f.timeout_s));
        Duration::from_secs(u64::from(own.unwrap_or(900)) + 60)
    }
    fn given_up(&self, envelope: &Envelope, failure: &Failure, now: Timestamp) -> Vec<Envelope> {
        match mailbox::is_event(envelope) {
            Some(true) => self.0.given_up(envelope, failure, now),
            _ => Vec::new(),
        }
    }
}
