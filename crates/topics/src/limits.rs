//! Every number of SNS, from <https://docs.aws.amazon.com/general/latest/gr/sns.html> where nothing else is said.

use delivery::{Backoff, RetryPolicy};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Topics of an account.
pub(crate) const TOPICS: usize = 100_000;
/// Subscriptions of a topic. SNS takes 12.5 million; here each lives in memory.
pub(crate) const SUBSCRIPTIONS: usize = 100_000;
/// Characters of a topic's name.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
pub(crate) const TOPIC_NAME_LENGTH: RangeInclusive<usize> = 1..=256;
/// Characters of a display name.
pub(crate) const DISPLAY_NAME_LENGTH: usize = 100;
/// Bytes of a topic's policy.
pub(crate) const POLICY_BYTES: usize = 30_720;
/// Bytes of a message with its attributes.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const MESSAGE_BYTES: usize = 262_144;
/// Characters of a subject.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const SUBJECT_LENGTH: usize = 100;
/// Characters of one SMS publish.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
pub(crate) const SMS_LENGTH: usize = 1_600;
/// Digits of a phone number: E.164 takes up to 15, and no country has numbers of less than seven with its code.
pub(crate) const PHONE_DIGITS: RangeInclusive<usize> = 7..=15;
/// Characters of an attribute's name, and of its type.
pub(crate) const ATTRIBUTE_NAME_LENGTH: usize = 256;
/// Entries of one page of a list.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html>
pub(crate) const PAGE: usize = 100;
/// How long a subscription may wait for its confirmation.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_secs(3 * 86_400);
/// How often unconfirmed subscriptions are looked through.
pub(crate) const CONFIRM_TICK: Duration = Duration::from_secs(600);
/// Bytes of envelopes that go into the outbox of deliveries with one append.
pub(crate) const FANOUT_BYTES: usize = 4 << 20;
/// Envelopes that go into it with one append.
pub(crate) const FANOUT_COUNT: usize = 1_000;

/// Notifications kept to be looked at.
pub(crate) const OUTBOX_KEPT: u64 = 10_000;
/// Bytes of each one's body that are kept.
pub(crate) const OUTBOX_BODY_BYTES: usize = 16 << 10;

/// How long an HTTP endpoint may take to answer.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-create-subscribe-endpoint-to-topic.html>
pub(crate) const HTTP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an SMS gateway may take.
pub(crate) const SMS_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest a policy may wait for an HTTP endpoint, all tries together.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
pub(crate) const HTTP_MAX_AGE: Duration = Duration::from_secs(3_600);
/// Retries of an HTTP endpoint where no policy says otherwise, and the seconds between them.
pub(crate) const HTTP_RETRIES: u32 = 3;
/// The pause between them.
pub(crate) const HTTP_PAUSE_S: u32 = 20;
/// Retries that a policy may ask for.
pub(crate) const HTTP_MAX_RETRIES: u32 = 100;
/// Filter policies that are kept compiled.
pub(crate) const FILTERS_KEPT: usize = 10_000;

/// Queues and functions: 100,015 tries over 23 days, at most 20 seconds apart.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
pub(crate) fn managed_retries() -> RetryPolicy {
    let backoff = Backoff {
        first: Duration::from_millis(200),
        factor: 2.0,
        cap: Duration::from_secs(20),
        jitter: true,
        steps: Vec::new(),
    };
    RetryPolicy { max_attempts: 100_015, max_age: Duration::from_secs(23 * 86_400), backoff }
}

/// SMS and e-mail: 50 tries over six hours, at most ten minutes apart.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
pub(crate) fn customer_retries() -> RetryPolicy {
    let backoff = Backoff {
        first: Duration::from_secs(1),
        factor: 2.0,
        cap: Duration::from_secs(600),
        jitter: true,
        steps: Vec::new(),
    };
    RetryPolicy { max_attempts: 50, max_age: Duration::from_secs(6 * 3_600), backoff }
}
