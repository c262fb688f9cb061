//! Every number of CloudWatch Logs, from
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html> where nothing else is said.

use std::time::Duration;

const DAY_MS: i64 = 86_400_000;

// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>

/// Bytes of a batch: its messages, and [`EVENT_OVERHEAD`] for each.
pub(crate) const BATCH_BYTES: usize = 1_048_576;
/// Bytes that count for an event beside its message.
pub(crate) const EVENT_OVERHEAD: usize = 26;
/// Bytes of one event's message. The page says 1 MB; a batch of one has room for this much.
pub(crate) const EVENT_BYTES: usize = BATCH_BYTES - EVENT_OVERHEAD;
/// An event may be so old, in milliseconds.
pub(crate) const OLDEST_MS: i64 = 14 * DAY_MS;
/// An event may be so far in the future, in milliseconds.
pub(crate) const NEWEST_MS: i64 = 2 * 3_600_000;
/// The events of a batch lie within so much time, in milliseconds.
pub(crate) const SPAN_MS: i64 = DAY_MS;

/// Bytes of messages in one answer.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Events in one answer.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>
pub(crate) const PAGE_EVENTS: usize = 10_000;
/// The first `startTime` from which FilterLogEvents gives the latest events first: 2024-01-01T00:00:00Z. Same page.
pub(crate) const LATEST_FIRST_FROM_MS: i64 = 1_704_067_200_000;

/// Items of a page of DescribeLogGroups, DescribeLogStreams and DescribeResourcePolicies; the model takes no more.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
pub(crate) const DESCRIBED: usize = 50;
/// Items of a page of ListLogGroups where nothing is said; the model takes up to 1000. The default could not be confirmed.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_ListLogGroups.html>
pub(crate) const LISTED: usize = 50;

/// Log groups of an account.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub(crate) const GROUPS: usize = 1_000_000;
/// Log streams of the house; ours, since streams are known in memory: AWS has no limit.
pub(crate) const STREAMS: usize = 2_000_000;
/// Resource policies that belong to no log group.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html>
pub(crate) const POLICIES: usize = 10;

/// Tags of a log group; the lengths of keys and values.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html>
pub(crate) const TAGS: usize = 50;

/// What `retentionInDays` may be.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(crate) const RETENTION_DAYS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Milliseconds of so many days.
pub(crate) fn days_ms(days: i32) -> i64 {
    i64::from(days) * DAY_MS
}

/// Regular expressions in a filter pattern of JSON or fields.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>
pub(crate) const EXPRESSIONS: usize = 2;

// Ours.

/// Events of a chunk: what is summarised together, and read together.
pub(crate) const CHUNK_EVENTS: usize = 4096;
/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
/// After so many bytes one call looks no further, where it has got anywhere: the answer is a page that is not full.
pub(crate) const SCAN_BYTES: u64 = 64 << 20;
/// How often expired events are given up on disk.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);
/// Bytes of lines that wait to be written. What comes faster than the disk takes it is dropped, and a line says so.
pub(crate) const WAITING_BYTES: usize = 16 << 20;
/// Lines gather so long, so that many share one sync.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// Bytes of one append of lines.
pub(crate) const APPEND_BYTES: usize = 8 << 20;
