use bytes::Bytes;
use names::{Arn, Timestamp, TraceContext};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Something on its way to an ARN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// What it is called in logs and dead letters: an event's or a message's id.
    pub id: String,
    /// Where it goes.
    pub to: Arn,
    /// What the target gets. Durable as raw bytes; in any other serialisation it is a list of numbers.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub body: Bytes,
    /// What the target needs to know beside the body, by the names in [`attribute`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The rule, topic or function that sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Arn>,
    /// Who calls the target, such as `events.amazonaws.com`.
    pub principal: String,
    /// The role it calls the target with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arn>,
    /// How long it is tried.
    pub policy: RetryPolicy,
    /// Where it goes when it cannot be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Arn>,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// Not to be delivered before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When it was made: its age counts from here, or from `not_before` where that is later.
    pub created: Timestamp,
}

/// How long something is tried. Whichever limit is reached first ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries in total, the first included; `u32::MAX` for no limit, at least one is made.
    pub max_attempts: u32,
    /// After this age there is no further try; `Duration::MAX` for no limit.
    pub max_age: Duration,
    /// How long to wait between tries.
    pub backoff: Backoff,
}

/// The pause after try number n: the nth of `steps`, and behind the last of them up to `first * factor^(m-1)`, m counted
/// from there, never more than `cap`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// The pause after the first try.
    pub first: Duration,
    /// By what it grows with each try. Anything but a finite number above one counts as one.
    pub factor: f64,
    /// The longest pause.
    pub cap: Duration,
    /// Whether the pause is a random part of that, so that what failed together does not come back together.
    pub jitter: bool,
    /// The first pauses one by one, in milliseconds, where no formula gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<u32>,
}

impl Default for RetryPolicy {
    /// What EventBridge does where nothing else is said: 24 hours, 185 retries, exponential with jitter.
    /// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
    fn default() -> RetryPolicy {
        RetryPolicy { max_attempts: 186, max_age: Duration::from_secs(86_400), backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(600),
            jitter: true,
            steps: Vec::new(),
        }
    }
}

/// Well-known names of [`Envelope::attributes`].
pub mod attribute {
    /// The partition key a stream target appends with.
    pub const PARTITION_KEY: &str = "partition-key";
    /// The hash key that overrides the partition key's.
    pub const EXPLICIT_HASH_KEY: &str = "explicit-hash-key";
    /// The subject of a notification.
    pub const SUBJECT: &str = "subject";
    /// A JSON object of message attributes: `{"NAME":{"DataType":"String","StringValue":"..."}}`.
    pub const MESSAGE_ATTRIBUTES: &str = "message-attributes";
    /// Envelopes of one lane that have the same value here are carried one after another, as they were sent: one that is
    /// tried again holds up those behind it.
    pub const ORDER: &str = "order";
    /// There on dead letters.
    pub const LETTER: &str = "letter";
    /// The group a FIFO target orders by.
    pub const MESSAGE_GROUP_ID: &str = "message-group-id";
    /// What tells a message from others where a FIFO target takes each once.
    pub const MESSAGE_DEDUPLICATION_ID: &str = "message-deduplication-id";
    /// The id of the notification or message that is delivered.
    pub const MESSAGE_ID: &str = "message-id";
    /// How a function is invoked: `Event` or `RequestResponse`.
    pub const INVOCATION: &str = "invocation";
    /// `true` on a management event of a call that only reads: such events are for rules in the state
    /// `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS` only.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html>
    pub const READ_ONLY: &str = "read-only";
    /// The stream of a log group that an event goes to.
    pub const LOG_STREAM: &str = "log-stream";
    /// The number of this try, from two on: told to the target by the lane, and not kept.
    pub const TRY: &str = "try";
    /// Why its target cannot be sent it: it is refused for that, and the target is not asked. So whoever sends to many need not
    /// leave out one, nor find for it what the envelope's policy says of what fails.
    pub const UNFIT: &str = "unfit";
    /// What a request over HTTP gets beside its body, as JSON: `{"path":["..."],"headers":{},"query":{}}`.
    pub const HTTP: &str = "http";
    /// The id of the request that caused it.
    pub const REQUEST_ID: &str = "request-id";
}

/// Error codes that delivery itself gives a failed try; all others come from targets.
pub mod code {
    /// No target is registered for the ARN.
    pub const NO_TARGET: &str = "NoTarget";
    /// The target did not answer in time.
    pub const TIMEOUT: &str = "TIMEOUT";
    /// Its sender said so, by [`attribute::UNFIT`](super::attribute::UNFIT).
    pub const UNFIT: &str = "Unfit";
    /// Its sender cannot take on the role that it comes with.
    pub const ACCESS_DENIED: &str = "AccessDenied";
    /// It waits for what comes before it.
    pub const NOT_TRIED: &str = "NotTried";
    /// The backlog has no room for what the target would make of it.
    pub const BACKLOG_FULL: &str = "BacklogFull";
    /// The target panicked.
    pub const INTERNAL_ERROR: &str = "INTERNAL_ERROR";
}
