//! What a running mapping has at hand, whatever it reads.

use super::Running;
use super::settings::Mapping;
use super::signals::Signals;
use crate::api::invoke::PRINCIPAL;
use crate::asynchronous::code::LOOP;
use crate::functions::Functions;
use crate::limits;
use bytes::Bytes;
use consume::{Answer, Cease, Filters, InvalidFilter, Wanted};
use delivery::{Backoff, Envelope, RetryPolicy, Try, Verdict, attribute};
use names::{Arn, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A mapping, its function and what is told of them.
pub(super) struct Live {
    pub(super) functions: Arc<Functions>,
    pub(super) mapping: Mapping,
    pub(super) filters: Filters,
    pub(super) signals: Signals,
    pub(super) cease: Cease,
    running: Arc<Running>,
}

/// What an invocation came to, as far as its batch is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The function answered.
    Answer(Answer),
    /// The function failed, or its answer is none; whether the former.
    Failed { error: bool },
    /// It was not reached.
    Unreached,
}

impl Live {
    pub(super) fn new(
        functions: &Arc<Functions>,
        mapping: &Mapping,
        running: &Arc<Running>,
        cease: Cease,
    ) -> Result<Arc<Live>, InvalidFilter> {
        Ok(Arc::new(Live {
            filters: Filters::compile(&mapping.filters, mapping.kind())?,
            signals: Signals::new(&functions.world, mapping),
            functions: functions.clone(),
            mapping: mapping.clone(),
            cease,
            running: running.clone(),
        }))
    }

    /// The function's ARN.
    pub(super) fn function(&self) -> Arn {
        self.functions.home.arn("lambda", &format!("function:{}", self.mapping.function))
    }

    /// The function's role, or nothing where there is no function. Looked up for every batch: what becomes of the function
    /// takes effect at once.
    pub(super) fn role(&self) -> String {
        let role =
            |state: &crate::state::State| state.configuration(&self.mapping.function).map(|f| f.role.to_string());
        self.functions.catalog.read(role).unwrap_or_default()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.functions.world.now()
    }

    /// A synchronous invocation, tried until whoever sends it has enough, or until `max_age` after `created`.
    pub(super) fn envelope(&self, body: Bytes, created: Timestamp, max_age: Duration) -> Envelope {
        let world = &self.functions.world;
        let id = world.uuid();
        let attributes = [(attribute::INVOCATION, "RequestResponse"), (attribute::REQUEST_ID, id.as_str())];
        Envelope {
            to: self.function(),
            body,
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            from: Some(self.mapping.source.clone()),
            principal: PRINCIPAL.to_owned(),
            role: self.role().parse().ok(),
            policy: RetryPolicy {
                max_attempts: u32::MAX,
                max_age,
                backoff: Backoff {
                    first: limits::RETRY_FIRST,
                    factor: 2.0,
                    cap: limits::RETRY_CAP,
                    jitter: true,
                    steps: Vec::new(),
                },
            },
            dead_letter: None,
            trace: None,
            not_before: None,
            created,
            id,
        }
    }

    /// A message for the on-failure destination.
    pub(super) fn letter(&self, to: &Arn, body: String) -> Envelope {
        let policy = RetryPolicy::default();
        let function = Some(self.function());
        let envelope = self.envelope(body.into(), self.now(), Duration::ZERO);
        Envelope { to: to.clone(), attributes: BTreeMap::new(), from: function, policy, ..envelope }
    }

    /// Reads a try's verdict, and tells of it.
    pub(super) fn reply(&self, verdict: &Verdict, wanted: Wanted, tries: u32) -> Reply {
        let (reply, code, why) = match verdict {
            Verdict::Accepted(body) => match Answer::read(body, wanted) {
                Ok(answer) => {
                    // The call went well, whatever part of the batch it failed on.
                    self.tell("OK");
                    return Reply::Answer(answer);
                }
                Err(why) => (Reply::Failed { error: false }, "InvalidAnswer", why),
            },
            Verdict::Again { code, why, .. } if code == "FunctionError" => {
                (Reply::Failed { error: true }, code.as_str(), why.as_str())
            }
            // It stays stopped however often it is tried: the queue brings back the messages, or sees them off.
            Verdict::Again { code, why, .. } if code == LOOP => (Reply::Failed { error: false }, LOOP, why.as_str()),
            Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } | Verdict::Refused { code, why } => {
                (Reply::Unreached, code.as_str(), why.as_str())
            }
        };
        tracing::debug!(mapping = %self.mapping.uuid, code, why, tries, "a batch failed");
        let exists = self.functions.catalog.read(|state| state.configuration(&self.mapping.function).is_some());
        // The batch waits for a function that is gone: one that is made anew goes on where the old one stopped.
        self.tell(if exists { "PROBLEM: Function call failed" } else { "PROBLEM: The function does not exist." });
        reply
    }

    /// `LastProcessingResult`.
    pub(super) fn tell(&self, result: &str) {
        let mut seen = self.running.seen();
        if seen.result != result {
            tracing::info!(mapping = %self.mapping.uuid, result, "an event source mapping's result changed");
            seen.result = result.to_owned();
        }
    }

    /// The function is through with a batch whose last record arrived then.
    pub(super) fn through(&self, last: Timestamp) {
        let age = self.now().since(last);
        self.running.seen().lag = age;
        if let Some(series) = &self.signals.age_ms {
            series.record(age.as_millis() as u64);
        }
    }

    /// Tells how long ago it was made.
    pub(super) fn stopwatch(&self) -> impl Fn() -> Duration + Send + use<> {
        let clock = self.functions.world.clock.clone();
        let begun = clock.monotonic();
        move || clock.monotonic().saturating_sub(begun)
    }

    /// What a batch of so many records cost, and its last try.
    pub(super) fn paced(&self, records: usize, last: Try, busy: Duration) {
        let mut seen = self.running.seen();
        let pace = &mut seen.pace;
        pace.batches += 1;
        pace.records += records as u64;
        pace.tries += u64::from(last.number);
        pace.busy += busy;
        pace.last += last.took;
    }
}
