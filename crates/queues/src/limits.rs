//! Every number of SQS, from
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html> and
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Characters of a queue's name.
pub(crate) const NAME_LENGTH: RangeInclusive<usize> = 1..=80;
/// Entries of a batch.
pub(crate) const BATCH_ENTRIES: usize = 10;
/// Characters of a batch entry's id.
pub(crate) const BATCH_ID_LENGTH: usize = 80;
/// Bytes of a message, and of a batch of messages together: 1 MiB since August 2025.
pub(crate) const MESSAGE_BYTES: usize = 1_048_576;
/// Attributes of a message.
pub(crate) const ATTRIBUTES: usize = 10;
/// Characters of an attribute's name, and of its type.
pub(crate) const ATTRIBUTE_NAME_LENGTH: usize = 256;
/// Messages of a queue that may be received and not yet deleted.
pub(crate) const IN_FLIGHT: usize = 120_000;
/// Characters of a message group's id, a deduplication id and the id of a receive.
pub(crate) const FIFO_ID_LENGTH: RangeInclusive<usize> = 1..=128;
/// For so long a deduplication id and the id of a receive count. Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>
pub(crate) const DEDUPLICATION: Duration = Duration::from_secs(300);
/// Deduplication ids that a queue knows at once; ours: AWS takes no more than a million in five minutes from a queue
/// without high throughput.
pub(crate) const SEEN: usize = 2_000_000;
/// Receives that a queue knows by their ids at once; ours.
pub(crate) const ATTEMPTS: usize = 10_000;
/// Calls of each kind that a FIFO queue without high throughput takes in a second.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) const FIFO_CALLS_PER_S: usize = 300;
/// Messages of one receive.
pub(crate) const RECEIVE: RangeInclusive<i64> = 1..=10;

/// `DelaySeconds`.
pub(crate) const DELAY_S: RangeInclusive<i64> = 0..=900;
/// `MaximumMessageSize`.
pub(crate) const MAXIMUM_MESSAGE_SIZE: RangeInclusive<i64> = 1_024..=MESSAGE_BYTES as i64;
/// `MessageRetentionPeriod`: a minute to 14 days.
pub(crate) const RETENTION_S: RangeInclusive<i64> = 60..=1_209_600;
/// `ReceiveMessageWaitTimeSeconds`, and `WaitTimeSeconds` of one receive.
pub(crate) const WAIT_S: RangeInclusive<i64> = 0..=20;
/// `VisibilityTimeout`: up to 12 hours.
pub(crate) const VISIBILITY_S: RangeInclusive<i64> = 0..=43_200;
/// `maxReceiveCount` of a redrive policy.
pub(crate) const MAX_RECEIVE_COUNT: RangeInclusive<i64> = 1..=1_000;
/// Queues that a redrive-allow policy may name.
pub(crate) const REDRIVE_SOURCES: usize = 10;
/// Bytes of a queue's policy.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html>
pub(crate) const POLICY_BYTES: usize = 8_192;

/// Actions of a statement that AddPermission makes, and statements of a policy.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html>
pub(crate) const ACTIONS: usize = 7;
/// Statements of a policy.
pub(crate) const STATEMENTS: usize = 20;
/// Tags of a queue. AWS recommends no more.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(crate) const TAGS: usize = 50;
/// Characters of a tag's key.
pub(crate) const TAG_KEY_LENGTH: RangeInclusive<usize> = 1..=128;
/// Characters of a tag's value.
pub(crate) const TAG_VALUE_LENGTH: usize = 256;
/// `MaxNumberOfMessagesPerSecond` of a move.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
pub(crate) const MOVES_PER_S: RangeInclusive<i64> = 1..=500;
/// Moves that are under way at once, and how long one may take.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
pub(crate) const MOVES: usize = 100;
/// After so long a move fails.
pub(crate) const MOVE_AGE: Duration = Duration::from_secs(36 * 3600);
/// Moves of a queue that are listed, and kept.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html>
pub(crate) const MOVES_LISTED: RangeInclusive<i64> = 1..=10;
/// Messages that are moved with one append.
pub(crate) const MOVE_STEP: usize = 100;
/// Queues of one answer of ListQueues.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>
pub(crate) const LIST: RangeInclusive<i64> = 1..=1_000;
/// How long a purge keeps the next one away.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
pub(crate) const PURGE_PAUSE: Duration = Duration::from_secs(60);
/// How long the name of a deleted queue stays taken.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html>
pub(crate) const NAME_PAUSE: Duration = Duration::from_secs(60);
/// How often expired messages are looked for. AWS promises no more than 15 minutes.
pub(crate) const EXPIRY_TICK: Duration = Duration::from_secs(60);
/// How often the metrics that are states are recorded: a minute, as at AWS.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html>
pub(crate) const GAUGE_TICK: Duration = Duration::from_secs(60);
