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
/// Bytes of a topic's policy, and its statements.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html>
pub(crate) const POLICY_BYTES: usize = 30_720;
pub(crate) const STATEMENTS: usize = 100;
/// Bytes of a message with its attributes.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const MESSAGE_BYTES: usize = 262_144;
/// Characters of a subject.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const SUBJECT_LENGTH: usize = 100;
/// Characters of one SMS publish.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
pub(crate) const SMS_LENGTH: usize = 1_600;
/// Characters of a message group's id and of a deduplication id.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const FIFO_ID_LENGTH: RangeInclusive<usize> = 1..=128;
/// How long a deduplication id is remembered.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html>
pub(crate) const DEDUPLICATION: Duration = Duration::from_secs(300);
/// Messages a second that an account publishes to standard topics: as in us-east-1, where most are taken.
pub(crate) const PUBLISH_PER_S: usize = 30_000;
/// Messages a second of a FIFO topic that tells messages apart by the topic.
pub(crate) const FIFO_PER_S: usize = 3_000;
/// Messages a second of a message group.
pub(crate) const FIFO_GROUP_PER_S: usize = 300;
/// Text messages a second.
pub(crate) const SMS_PER_S: usize = 20;
/// Topics and groups whose quotas are known before those are forgotten that are full. Ours.
pub(crate) const QUOTAS_KNOWN: usize = 10_000;
/// Deduplication ids that are remembered, of all topics.
pub(crate) const FIFO_REMEMBERED: usize = 1_000_000;
/// Entries of a batch.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
pub(crate) const BATCH_ENTRIES: usize = 10;
/// Characters of an entry's id.
pub(crate) const BATCH_ID_LENGTH: RangeInclusive<usize> = 1..=80;
/// Tags of a topic.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-tags.html>
pub(crate) const TAGS: usize = 50;
/// Characters of a tag's key.
pub(crate) const TAG_KEY_LENGTH: RangeInclusive<usize> = 1..=128;
/// Characters of a tag's value.
pub(crate) const TAG_VALUE_LENGTH: usize = 256;
/// Characters of a statement's label.
pub(crate) const LABEL_LENGTH: RangeInclusive<usize> = 1..=256;
/// A number may be opted in again once in so long.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_OptInPhoneNumber.html>
pub(crate) const OPT_IN_AGAIN: Duration = Duration::from_secs(30 * 86_400);
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
/// How long handing a mail to its relay may take, all together.
pub(crate) const SMTP_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a relay may take for one step of it.
pub(crate) const SMTP_STEP: Duration = Duration::from_secs(30);
/// Bytes of a relay's reply.
pub(crate) const SMTP_REPLY_BYTES: usize = 64 << 10;
/// How long a message centre may take for one answer.
pub(crate) const SMPP_TIMEOUT: Duration = Duration::from_secs(30);
/// After so much silence a message centre is asked whether it is there.
pub(crate) const SMPP_ENQUIRE: Duration = Duration::from_secs(30);
/// Messages on their way to a centre that it has not answered.
pub(crate) const SMPP_WINDOW: usize = 10;
/// Receipts that are waited for.
pub(crate) const RECEIPTS: usize = 10_000;
/// Characters of a topic's display name that text messages begin with.
pub(crate) const SMS_NAME_LENGTH: usize = 10;
/// How long an SMS gateway may take.
pub(crate) const SMS_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a chat may take to answer.
pub(crate) const CHAT_TIMEOUT: Duration = Duration::from_secs(15);
/// Slack takes one message a second of each webhook. Source: <https://docs.slack.dev/apis/web-api/rate-limits>
pub(crate) const SLACK_GAP: Duration = Duration::from_secs(1);
/// PagerDuty takes 120 events a minute of an integration.
/// Source: <https://support.pagerduty.com/main/docs/rate-limits>
pub(crate) const PAGERDUTY_GAP: Duration = Duration::from_millis(500);
/// Teams takes four requests a second.
/// Source: <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>
pub(crate) const TEAMS_GAP: Duration = Duration::from_millis(250);
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

/// Queues and functions: 100,015 tries over 23 days: three at once, two a second apart, ten with growing pauses, and all
/// others 20 seconds apart.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
pub(crate) fn managed_retries() -> RetryPolicy {
    let steps = vec![0, 0, 0, 1_000, 1_000, 1_000, 1_395, 1_946, 2_714, 3_786, 5_282, 7_368, 10_277, 14_337, 20_000];
    let cap = Duration::from_secs(20);
    let backoff = Backoff { first: cap, factor: 1.0, cap, jitter: true, steps };
    RetryPolicy { max_attempts: 100_015, max_age: Duration::from_secs(23 * 86_400), backoff }
}

/// SMS, e-mail and chats: 50 tries over six hours: two ten seconds apart, ten with pauses that grow to ten minutes, and
/// all others ten minutes apart.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
pub(crate) fn customer_retries() -> RetryPolicy {
    let steps =
        vec![10_000, 10_000, 10_000, 15_800, 24_800, 39_100, 61_700, 97_200, 153_000, 241_200, 380_500, 600_000];
    let cap = Duration::from_secs(600);
    let backoff = Backoff { first: cap, factor: 1.0, cap, jitter: true, steps };
    RetryPolicy { max_attempts: 50, max_age: Duration::from_secs(6 * 3_600), backoff }
}
