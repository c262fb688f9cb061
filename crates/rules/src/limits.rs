//! Every number, with the page it comes from. Those of patterns, paths, schedules and transformers stand with them.

use std::time::Duration;

// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>

/// Event buses of an account, the default one included.
pub(crate) const BUSES: usize = 100;
/// Rules of a bus.
pub(crate) const RULES: usize = 300;
/// Targets of a rule. AWS's quota is 5, and can be raised; here it stands raised to what one `PutTargets` call takes.
pub(crate) const TARGETS: usize = 100;

/// Bytes that the entries of one `PutEvents` call count together. The page says less than 1 MB; exactly so many are
/// taken. It was 256 KB until January 2026.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size>
pub(crate) const ENTRIES_BYTES: usize = 1 << 20;
/// What a `Time` counts there.
pub(crate) const TIME_BYTES: usize = 14;
/// Characters of a `DetailType`.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>
pub(crate) const DETAIL_TYPE_CHARS: usize = 128;

/// Tags of a rule or a bus. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-tagging.html>
pub(crate) const TAGS: usize = 50;
/// Items of a page where the caller sets no limit.
pub(crate) const PAGE: usize = 100;

/// Retries and age where a target's `RetryPolicy` says nothing.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html>
pub(crate) const RETRIES: u32 = 185;
/// See [`RETRIES`].
pub(crate) const EVENT_AGE: Duration = Duration::from_secs(86_400);

/// How long the schedules sleep at most, so that neither a jump of the clock nor a caller that went away while a rule was
/// being written delays them by more. Ours: AWS's schedules are good to a minute.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(20);
/// How long the schedules wait after the store failed.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);
