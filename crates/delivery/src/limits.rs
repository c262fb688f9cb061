//! Every number of this crate.

use std::time::Duration;

/// Envelopes' bytes that are made durable at once: well below what the journal takes in one call.
pub(crate) const SEND_BYTES: usize = 8 << 20;
/// Bytes of envelopes that may wait before requests are refused, unless the operator says otherwise. Ours: AWS names none.
pub(crate) const BACKLOG_BYTES: u64 = 8 << 30;
/// Above the limit there is this part of it once more for what cannot be refused.
pub(crate) const RESERVE: u64 = 8;
/// Lanes with a name of their own. Past it lanes share, by hash, and so share their delays.
pub(crate) const MAX_LANES: usize = 10_000;
/// Lanes that those share.
pub(crate) const SHARED_LANES: u64 = 16;
/// The longest name of a lane; the store's names are somewhat longer.
pub(crate) const LANE_NAME_BYTES: usize = 900;
/// Idle lanes forgotten at once when there are too many.
pub(crate) const LANES_FORGOTTEN_AT_ONCE: usize = 256;
/// A lane's task ends when there was nothing to do for so long.
pub(crate) const LANE_IDLE: Duration = Duration::from_secs(60);
/// Envelopes of one lane that may be on their way at once, whatever its target says.
pub(crate) const MAX_CONCURRENCY: usize = 1_000;
/// Envelopes that a lane takes from its queue at once.
pub(crate) const READ_AHEAD: usize = 64;
/// Envelopes of one lane in hand that wait for others before them.
pub(crate) const AHEAD: usize = 4 * READ_AHEAD;
/// How long an envelope in hand is not handed out again. A try always ends by itself long before (functions may take 15
/// minutes), and a restart forgets it, so this only matters after a bug.
pub(crate) const OUT_FOR: Duration = Duration::from_secs(86_400);
/// Between tries, at least.
pub(crate) const MIN_PAUSE: Duration = Duration::from_millis(10);
/// After the store failed us.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Until an envelope that this program cannot read is looked at again.
pub(crate) const UNREADABLE_PAUSE: Duration = Duration::from_secs(3600);
/// Dead letters kept where nobody else takes them.
pub(crate) const MAX_DEAD: u64 = 10_000;
/// Characters of an error message in a dead letter.
pub(crate) const MAX_ERROR_CHARS: usize = 1024;
/// SQS takes so many attributes on a message:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(crate) const MAX_MESSAGE_ATTRIBUTES: usize = 10;
