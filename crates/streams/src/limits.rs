//! Every number, with the page it comes from.

use std::time::Duration;

/// Whether AWS's throughput limits per shard are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// As AWS does, with its throttling errors.
    #[default]
    Aws,
    /// As fast as the disk goes.
    Off,
}

/// The tag by which a stream has limits of its own. Ours: AWS has no such thing.
pub(crate) const LIMITS_TAG: &str = "headwater:limits";

impl Limits {
    /// What the tag's value says; `None` for a value that says nothing.
    pub(crate) fn named(value: &str) -> Option<Limits> {
        match value {
            "aws" => Some(Limits::Aws),
            "off" => Some(Limits::Off),
            _ => None,
        }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>

/// Bytes a shard takes per second, partition keys included.
pub(crate) const WRITE_BYTES_PER_SECOND: usize = MIB;
/// Records a shard takes per second.
pub(crate) const WRITE_RECORDS_PER_SECOND: usize = 1000;
/// Bytes a shard gives per second. A larger answer is given once and then paid back.
pub(crate) const READ_BYTES_PER_SECOND: usize = 2 * MIB;
/// `GetRecords` calls a shard answers per second.
pub(crate) const READS_PER_SECOND: usize = 5;
/// Iterators a shard hands out per second.
pub(crate) const ITERATORS_PER_SECOND: usize = 5;
/// Bytes one `GetRecords` answers at most.
pub(crate) const READ_BYTES: usize = 10 * MIB;
/// Records one `GetRecords` answers at most.
pub(crate) const READ_RECORDS: usize = 10_000;
/// Bytes a shard gives each registered consumer per second, whatever others read.
pub(crate) const CONSUMER_BYTES_PER_SECOND: usize = 2 * MIB;
/// The least and greatest retention, in hours.
pub(crate) const RETENTION_HOURS: std::ops::RangeInclusive<u32> = 24..=8760;
/// Streams that may be CREATING at a time.
pub(crate) const STREAMS_CREATING: usize = 5;
/// Streams in on-demand mode per account.
pub(crate) const ON_DEMAND_STREAMS: usize = 50;

/// Shards per account and region.
pub(crate) fn shards_per_account(region: &str) -> usize {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => 20_000,
        _ => 6_000,
    }
}

/// Shards an on-demand stream starts with.
/// <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>
pub(crate) const ON_DEMAND_SHARDS: u32 = 4;

// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>

/// Records of one `PutRecords` call.
pub(crate) const PUT_RECORDS: usize = 500;
/// Bytes of one `PutRecords` call, partition keys included.
pub(crate) const PUT_BYTES: usize = 10 * MIB;

/// A stream's greatest record, key and data, unless it was created with another.
/// <https://docs.aws.amazon.com/streams/latest/dev/large-records.html>
pub(crate) const RECORD_KIB: u32 = 1024;
/// The greatest record any stream may be created for, by the model.
pub(crate) const LARGEST_RECORD: usize = 10 * MIB;

/// How long a shard iterator is good for.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>
pub(crate) const ITERATOR_LIFE: Duration = Duration::from_secs(300);
/// How long a `ListShards` token is good for.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// Shards that one `ListShards` call gives.
pub(crate) const LIST_SHARDS: usize = 1000;
/// Shards that one `DescribeStream` call gives.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html>
pub(crate) const DESCRIBE_SHARDS: usize = 100;
/// Streams that one `ListStreams` call gives unless asked for another number.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreams.html>
pub(crate) const LIST_STREAMS: usize = 100;
/// Tags of a stream. <https://docs.aws.amazon.com/streams/latest/dev/tagging.html>
pub(crate) const TAGS: usize = 50;

/// How often what is older than its retention is forgotten. Ours: AWS gives no number.
pub(crate) const TRIM_EVERY: Duration = Duration::from_secs(60);

// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>

/// What AWS counts calls by that change a stream's capacity.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// `UpdateShardCount` calls of a stream in a day.
pub(crate) const SCALES_PER_DAY: usize = 10;
/// Shards that `UpdateShardCount` gives a stream.
pub(crate) const SCALED_SHARDS: u32 = 10_000;

// <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>

/// Changes of a stream's capacity mode in a day.
pub(crate) const SWITCHES_PER_DAY: usize = 2;
/// How many days an on-demand stream's peak counts.
pub(crate) const PEAK_DAYS: i64 = 30;
/// How often an on-demand stream is measured. Ours: AWS gives no number.
pub(crate) const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// Shards an on-demand stream grows to: by default 200 MB/s, in the large regions 10 GB/s.
pub(crate) fn shards_on_demand(region: &str) -> u32 {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => 10_240,
        _ => 200,
    }
}

/// `StartStreamEncryption` calls of a stream in a day, and as many `StopStreamEncryption` calls.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>
pub(crate) const ENCRYPTIONS_PER_DAY: usize = 25;

/// MiB per second that `UpdateStreamWarmThroughput` takes.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html>
pub(crate) const WARM_MIBPS: u32 = 10_240;
/// Bytes of a resource policy. <https://docs.aws.amazon.com/streams/latest/dev/resource-based-policy-examples.html>
pub(crate) const POLICY_BYTES: usize = 20 * KIB;

// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>

/// Consumers of a stream.
pub(crate) const CONSUMERS: usize = 20;
/// The same for an on-demand stream of an account that has committed itself.
pub(crate) const CONSUMERS_ON_DEMAND: usize = 50;
/// Consumers that may be CREATING at a time.
pub(crate) const CONSUMERS_CREATING: usize = 5;
/// Consumers that one `ListStreamConsumers` call gives.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListStreamConsumers.html>
pub(crate) const LIST_CONSUMERS: usize = 100;

// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>

/// How long a subscription lasts.
pub(crate) const SUBSCRIPTION_LIFE: Duration = Duration::from_secs(300);
/// How long a subscription cannot be taken over.
pub(crate) const SUBSCRIPTION_HELD: Duration = Duration::from_secs(5);
/// `SubscribeToShard` calls per second, consumer and shard.
pub(crate) const SUBSCRIPTIONS_PER_SECOND: usize = 1;
/// Bytes of records in one event, unless a single record is larger. Ours: AWS gives no number. A client that takes nothing has
/// two of them held for it, in base64, behind what its connection holds.
pub(crate) const EVENT_BYTES: usize = 256 * KIB;
/// Records in one event. Ours: AWS gives no number.
pub(crate) const EVENT_RECORDS: usize = 1000;
/// How often a consumer hears that there is nothing new. Ours: AWS gives no number; the Kinesis Client Library gives a
/// subscription up that is silent for 35 seconds.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a client has to take the error that ends its subscription. Ours.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(5);

/// What a limit on calls goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PerCaller {
    /// The account.
    Account,
    /// The stream.
    Stream,
}

/// Calls per second of an operation, where AWS gives a number: in its table of control-plane calls or on the operation's own
/// page. Where both do and differ in what the number goes by (`ListTagsForStream`, `MergeShards`, `RegisterStreamConsumer`,
/// `RemoveTagsFromStream`, `SplitShard`), the table counts. Others are not limited.
/// <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html#kds-api-limits>
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Operations.html>
pub(crate) fn calls_per_second(operation: &str) -> Option<(usize, PerCaller)> {
    use PerCaller::{Account, Stream};
    Some(match operation {
        "DescribeLimits" => (1, Account),
        "AddTagsToStream"
        | "CreateStream"
        | "DeleteResourcePolicy"
        | "DeleteStream"
        | "DescribeAccountSettings"
        | "GetResourcePolicy"
        | "ListStreams"
        | "PutResourcePolicy"
        | "UpdateAccountSettings"
        | "UpdateStreamWarmThroughput" => (5, Account),
        "DescribeStream" | "UpdateShardCount" => (10, Account),
        "DescribeStreamSummary" => (20, Account),
        "DecreaseStreamRetentionPeriod"
        | "DeregisterStreamConsumer"
        | "DisableEnhancedMonitoring"
        | "EnableEnhancedMonitoring"
        | "IncreaseStreamRetentionPeriod"
        | "ListStreamConsumers"
        | "ListTagsForStream"
        | "MergeShards"
        | "RegisterStreamConsumer"
        | "RemoveTagsFromStream"
        | "SplitShard" => (5, Stream),
        "DescribeStreamConsumer" => (20, Stream),
        "ListShards" => (1000, Stream),
        _ => return None,
    })
}
