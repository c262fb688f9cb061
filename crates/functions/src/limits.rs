//! Lambda's numbers. Source unless said otherwise: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

use std::time::Duration;

/// The largest request: a 50 MB package in base64, and its settings.
pub(crate) const BODY: usize = 70 << 20;
/// The largest payload of a synchronous invocation, request or response: 6 MB.
pub(crate) const SYNC_PAYLOAD: usize = 6 << 20;
/// The largest payload of an asynchronous invocation: 1 MB.
pub(crate) const ASYNC_PAYLOAD: usize = 1 << 20;
/// Bytes of a response in one event of `InvokeWithResponseStream`; a bound of ours.
pub(crate) const STREAM_EVENT: usize = 1 << 20;
/// Bytes that status and headers of a response in pieces may take; a bound of ours.
pub(crate) const STREAM_PRELUDE: usize = 256 << 10;
/// How long a house that closes lets a response in pieces go on.
pub(crate) const STREAM_PATIENCE: Duration = Duration::from_secs(4);
/// A function's timeout where none is given, and the longest.
pub(crate) const TIMEOUT_S: (i32, i32) = (3, 900);
/// A function's memory in MiB where none is given, and the most.
pub(crate) const MEMORY_MB: (i32, i32) = (128, 10_240);
/// The longest name of a function; the model's own limit is that of an ARN.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>
pub(crate) const NAME: usize = 64;
/// `/tmp` in MiB where no size is given, and the most.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_EphemeralStorage.html>
pub(crate) const EPHEMERAL_MB: (i32, i32) = (512, 10_240);
/// All environment variables together: 4 KB.
pub(crate) const ENVIRONMENT: usize = 4096;
/// Records of a stream that a mapping hands over where nothing is said.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html>
pub(crate) const STREAM_BATCH: i32 = 100;
/// Messages of a queue, where nothing is said; also the most of a FIFO queue, and of a batch that is not waited for.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>
pub(crate) const QUEUE_BATCH: i32 = 10;
/// The least age, in seconds, that a record may be limited to.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
pub(crate) const RECORD_AGE_S: i32 = 60;
/// Filters of a mapping.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>
pub(crate) const FILTERS: usize = 5;
/// Invocations at once that a queue begins with, and how many more there may be
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>
pub(crate) const QUEUE_CONCURRENCY: usize = 5;
/// ... after each such time in which all of them were at work: 300 a minute.
pub(crate) const QUEUE_SCALE_AFTER: Duration = Duration::from_secs(1);
/// Bytes of a tumbling window's state: 1 MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>
pub(crate) const WINDOW_STATE: usize = 1 << 20;
/// How long after its end a window waits for records on their way to the disk. AWS waits up to two minutes.
pub(crate) const WINDOW_GRACE: Duration = Duration::from_secs(1);
/// Back-off of a failing batch.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(200);
/// ... and its cap.
pub(crate) const RETRY_CAP: Duration = Duration::from_secs(60);
/// Retries of an asynchronous invocation where nothing is said, after one minute and two more.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
pub(crate) const ASYNC_RETRIES: u32 = 2;
/// ... the first pause,
pub(crate) const ASYNC_FIRST: Duration = Duration::from_secs(60);
/// ... and the longest an event is kept.
pub(crate) const ASYNC_AGE: Duration = Duration::from_secs(6 * 3600);
/// An event that met a limit of concurrency comes again after a second, then after more,
pub(crate) const BUSY_FIRST: Duration = Duration::from_secs(1);
/// ... up to five minutes. Source: as above.
pub(crate) const BUSY_CAP: Duration = Duration::from_secs(300);
/// The largest record of an asynchronous invocation: what a queue takes,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(crate) const RECORD: usize = 1 << 20;
/// ... or a topic. <https://docs.aws.amazon.com/lambda/latest/api/API_OnFailure.html>
pub(crate) const RECORD_SNS: usize = 256 << 10;
/// How much of an error's message a dead letter carries.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub(crate) const ERROR_MESSAGE: usize = 1024;
/// A function is not invoked more often than this in one chain.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub(crate) const LOOP: u32 = 16;
/// Functions of a chain that are remembered; a bound of ours on the header.
pub(crate) const LINEAGE: usize = 10;
/// Invocations at once in the account,
pub(crate) const ACCOUNT_CONCURRENCY: u32 = 1000;
/// ... of which so many cannot be reserved. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>
pub(crate) const UNRESERVED: u32 = 100;
/// Packages of all functions and layers: 75 GB.
pub(crate) const CODE_STORAGE: u64 = 75 << 30;
/// Versions an alias may divide invocations between, beside its own.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>
pub(crate) const ALIAS_WEIGHTS: usize = 1;
/// Between two looks at what is provisioned: a process that ends at once is not started again at once.
pub(crate) const PROVISION_PAUSE: Duration = Duration::from_secs(1);
/// How long a link to a package is good.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html>
pub(crate) const CODE_LINK: Duration = Duration::from_secs(600);
/// Layers of a function.
pub(crate) const LAYERS: usize = 5;
/// Tags of a function. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html>
pub(crate) const TAGS: usize = 50;
/// Functions and mappings a page lists.
pub(crate) const PAGE: usize = 50;
/// Events of one function on their way at once: deliveries beyond it wait in their lane.
pub(crate) const CONCURRENCY: usize = 100;
