//! Every number, with the page it comes from. Ranges of single members are the model's.

use std::time::Duration;

/// Pipes of an account.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html#eb-pipes-limits>
pub(crate) const PIPES: usize = 1_000;
/// Tags of a pipe. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-tagging.html>
pub(crate) const TAGS: usize = 50;
/// Items of a page, and the most a caller may ask for.
/// <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_ListPipes.html>
pub(crate) const PAGE: usize = 100;

/// Records of a batch from a queue where nothing is said.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-sqs.html>
pub(crate) const QUEUE_BATCH: u32 = 10;
/// Records of a batch from a stream where nothing is said: that of Lambda's mappings. The page on pipes gives none.
pub(crate) const STREAM_BATCH: u32 = 100;
/// Messages of a batch from a FIFO queue, and from any queue without a window.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-sqs.html>
pub(crate) const UNGATHERED_BATCH: u32 = 10;
/// The least `MaximumRecordAgeInSeconds` but -1, as for Lambda's mappings.
/// <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeSourceKinesisStreamParameters.html>
pub(crate) const RECORD_AGE_S: i32 = 60;

// What targets take at once.
// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html>

/// An event bus, a topic, a queue.
pub(crate) const BATCH_OF_TEN: usize = 10;
/// A stream.
pub(crate) const STREAM_TARGET_BATCH: usize = 500;
/// Bytes that a function is sent, and that an enrichment may answer; and, ours, those of a request to an API destination.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/pipes-enrichment.html>
pub(crate) const PAYLOAD: usize = 6 << 20;
/// Bytes of a record of a stream, and of all that it takes at once.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>
pub(crate) const STREAM_BYTES: usize = 10 << 20;
/// Bytes of a message of a queue.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) const QUEUE_MESSAGE: usize = 1 << 20;
/// Bytes of a message of a topic. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub(crate) const TOPIC_MESSAGE: usize = 256 << 10;
/// Bytes of a log event.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
pub(crate) const LOG_EVENT: usize = 1 << 20;
/// Bytes of the events of a batch that are handed over at once, so that what a template makes of many is never in memory
/// as a whole. Ours; what a stream takes.
pub(crate) const AT_ONCE: usize = STREAM_BYTES;

/// Batches from a queue at once: at first, and more with each step. Ours; those of Lambda's mappings.
pub(crate) const QUEUE_STEP: usize = 5;
/// How long a step takes.
pub(crate) const QUEUE_STEP_AFTER: Duration = Duration::from_secs(1);
/// At most. Ours.
pub(crate) const QUEUE_MOST: usize = 100;

/// The first pause after a batch failed. AWS backs off gradually and gives no numbers; ours.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest.
pub(crate) const RETRY_CAP: Duration = Duration::from_secs(30);
/// How long a pipe rests after a fault of ours.
pub(crate) const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// Characters of a `StateReason`, by the model.
pub(crate) const REASON_CHARS: usize = 512;
/// Bytes of an event on a bus.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size>
pub(crate) const BUS_EVENT: usize = 1 << 20;
/// Bytes of a field of a log record, so that a record with three of them fits into a log event of 256 KiB. AWS cuts, too, and
/// gives no number for a field. <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-logs.html>
pub(crate) const LOG_FIELD: usize = 80 << 10;
/// What a log group takes at once.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html>
pub(crate) const GROUP_BATCH: usize = 10_000;
