//! The record's numbers.

use std::time::Duration;

/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>
pub(crate) const RETENTION: Duration = Duration::from_secs(90 * 86_400);
/// How often what is older is looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(3600);
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
pub(crate) const PAGE: usize = 50;
/// Records that one LookupEvents looks through at most; then it answers what it has, with a token to go on.
pub(crate) const SCAN: u64 = 20_000;
/// Records read from the log at a time.
pub(crate) const BLOCK: u64 = 64;
pub(crate) const BLOCK_BYTES: usize = 8 << 20;
/// Summaries kept in memory, so that looking for what has just happened reads nothing.
pub(crate) const RECENT: usize = 4096;
/// Records that the default bus is told of at a time.
pub(crate) const TELL: usize = 64;
/// Records that the bus was told of before that is noted, and how long it takes at most: what a crash repeats.
pub(crate) const NOTE_EVERY: u64 = 1024;
pub(crate) const NOTE_AFTER: Duration = Duration::from_secs(1);
/// Until room for deliveries is looked for again.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Request parameters and response elements above this are left out.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
pub(crate) const ELEMENT: usize = 100 << 10;
/// The longest error message kept.
pub(crate) const MESSAGE: usize = 1024;
