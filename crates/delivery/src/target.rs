use crate::{Backoff, Envelope, Failure};
use bytes::Bytes;
use names::{Arn, Timestamp};
use policies::Identities;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;
use wire::{ApiError, Fault, common};
use world::BoxFuture;

/// What became of one try. The target decides; nobody reads meaning out of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The target has it; its answer, where there is one.
    Accepted(Bytes),
    /// Not now.
    Again {
        /// A short code for machines.
        code: String,
        /// The reason for people.
        why: String,
        /// The least time to wait, where the target knows.
        after: Option<Duration>,
    },
    /// The target is at its limits and did not begin: this counts as no try, and only age ends it.
    Busy {
        /// A short code for machines.
        code: String,
        /// The reason for people.
        why: String,
        /// At which pace to come again.
        pace: Backoff,
    },
    /// Not ever: trying again cannot help.
    Refused {
        /// A short code for machines.
        code: String,
        /// The reason for people.
        why: String,
    },
}

impl Verdict {
    /// Not now.
    pub fn again(code: impl Into<String>, why: impl Into<String>) -> Verdict {
        Verdict::Again { code: code.into(), why: why.into(), after: None }
    }

    /// Not ever.
    pub fn refused(code: impl Into<String>, why: impl Into<String>) -> Verdict {
        Verdict::Refused { code: code.into(), why: why.into() }
    }
}

/// What an error of a handler means for an envelope: what is not there, or what it may not hold, will not get better by
/// trying again; what is short of room or at fault itself will.
impl From<&ApiError> for Verdict {
    fn from(error: &ApiError) -> Verdict {
        let (code, why) = (error.model.code, error.message.as_str());
        match error.model.fault {
            Fault::Client if !common::is_throttle(code) => Verdict::refused(code, why),
            _ => Verdict::again(code, why),
        }
    }
}

/// A service's push door.
pub trait Target: Send + Sync {
    /// Delivers one envelope, once. May be called again with the same envelope, also after it said `Accepted`.
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict>;
    /// How many envelopes for the ARN it takes at once, by [`Target::deliver_all`].
    fn batch(&self, to: &Arn) -> usize {
        let _ = to;
        1
    }
    /// Delivers several envelopes for one ARN, each as [`Target::deliver`] would; the verdicts are in their order.
    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(async move {
            let mut verdicts = Vec::with_capacity(envelopes.len());
            for envelope in envelopes {
                verdicts.push(self.deliver(envelope).await);
            }
            verdicts
        })
    }
    /// The same, where the order counts: what comes after one that is not accepted is left out, as far as the target can.
    fn deliver_in_order<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        self.deliver_all(envelopes)
    }
    /// Whether what it takes becomes envelopes of this outbox again, so that a full backlog has no room for it. What comes
    /// out of the backlog is delivered all the same: it makes room.
    fn sends_on(&self, envelope: &Envelope) -> bool {
        let _ = envelope;
        false
    }
    /// What shares a lane, and so a backlog and a limit of concurrency. Must not change for an ARN.
    fn lane(&self, to: &Arn) -> String {
        to.to_string()
    }
    /// How many envelopes of the ARN's lane may be on their way at once.
    fn concurrency(&self, to: &Arn) -> usize {
        let _ = to;
        16
    }
    /// How long one try may take.
    fn time_limit(&self, to: &Arn) -> Duration {
        let _ = to;
        Duration::from_secs(60)
    }
    /// An envelope that was sent here is given up: what to send instead of the usual dead letter, where the target's
    /// service tells of failures in its own way. Nothing: it is dead as any other.
    fn given_up(&self, envelope: &Envelope, failure: &Failure, now: Timestamp) -> Vec<Envelope> {
        let _ = (envelope, failure, now);
        Vec::new()
    }
}

struct Entry {
    service: &'static str,
    prefix: &'static str,
    target: Arc<dyn Target>,
}

/// Who takes what, and who knows the roles that senders come with.
#[derive(Default)]
pub(crate) struct Targets {
    entries: RwLock<Vec<Entry>>,
    roles: OnceLock<Arc<dyn Identities>>,
}

impl Targets {
    pub(crate) fn register(&self, service: &'static str, prefix: &'static str, target: Arc<dyn Target>) {
        let mut entries = self.entries.write().expect("no panic holds this lock");
        entries.retain(|e| (e.service, e.prefix) != (service, prefix));
        entries.push(Entry { service, prefix, target });
        // The longest prefix is found first.
        entries.sort_by_key(|e| std::cmp::Reverse(e.prefix.len()));
    }

    pub(crate) fn ask(&self, roles: Arc<dyn Identities>) {
        let _ = self.roles.set(roles);
    }

    /// Takes on the role of an envelope, where it has one and there is somebody to ask; or says why not.
    pub(crate) fn assume(&self, envelope: &Envelope) -> Result<(), String> {
        let (Some(role), Some(roles)) = (&envelope.role, self.roles.get()) else { return Ok(()) };
        roles.assume(role, &envelope.principal, envelope.from.as_ref())
    }

    pub(crate) fn find(&self, to: &Arn) -> Option<Arc<dyn Target>> {
        let entries = self.entries.read().expect("no panic holds this lock");
        let fits = |e: &&Entry| e.service == to.service() && to.resource().starts_with(e.prefix);
        entries.iter().find(fits).map(|e| e.target.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);
    impl Target for Named {
        fn deliver<'a>(&'a self, _: &'a Envelope) -> BoxFuture<'a, Verdict> {
            Box::pin(async { Verdict::Accepted(Bytes::new()) })
        }
        fn lane(&self, _: &Arn) -> String {
            self.0.to_owned()
        }
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let targets = Targets::default();
        targets.register("events", "", Arc::new(Named("any")));
        targets.register("events", "event-bus/", Arc::new(Named("bus")));
        targets.register("sqs", "", Arc::new(Named("queue")));
        let find = |resource: &str, service: &str| {
            let arn = Arn::new(service, "us-east-1", "000000000000", resource);
            targets.find(&arn).map(|t| t.lane(&arn))
        };
        assert_eq!(find("event-bus/default", "events").as_deref(), Some("bus"));
        assert_eq!(find("archive/a", "events").as_deref(), Some("any"));
        assert_eq!(find("q", "sqs").as_deref(), Some("queue"));
        assert_eq!(find("t", "sns"), None);
    }

    #[test]
    fn what_an_error_means_for_an_envelope() {
        static THROTTLED: wire::ErrorModel =
            wire::ErrorModel { name: "RequestThrottled", code: "RequestThrottled", status: 403, fault: Fault::Client };
        for (model, passes) in [
            (&common::ACCESS_DENIED, false),
            (&common::TOO_LARGE, false),
            (&common::THROTTLING, true),
            (&THROTTLED, true),
            (&common::SERVICE_UNAVAILABLE, true),
        ] {
            let (code, why) = (model.code.to_owned(), "w".to_owned());
            let expected =
                if passes { Verdict::Again { code, why, after: None } } else { Verdict::Refused { code, why } };
            assert_eq!(Verdict::from(&model.because("w")), expected);
        }
    }
}
