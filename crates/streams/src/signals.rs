//! Metrics by CloudWatch's names.
//! <https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html>

use crate::state::ShardMetric;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use world::{Meter, Series, Signal, Unit};

macro_rules! signals {
    ($($id:ident $name:literal $unit:ident;)*) => {
        $(static $id: Signal =
            Signal { namespace: "AWS/Kinesis", name: $name, unit: Unit::$unit, dimensions: &["StreamName"] };)*
    };
}

signals! {
    PUT_RECORD_BYTES "PutRecord.Bytes" Bytes;
    PUT_RECORD_LATENCY "PutRecord.Latency" Milliseconds;
    PUT_RECORD_SUCCESS "PutRecord.Success" Count;
    PUT_RECORDS_BYTES "PutRecords.Bytes" Bytes;
    PUT_RECORDS_LATENCY "PutRecords.Latency" Milliseconds;
    PUT_RECORDS_SUCCESS "PutRecords.Success" Count;
    PUT_RECORDS_TOTAL "PutRecords.TotalRecords" Count;
    PUT_RECORDS_SUCCESSFUL "PutRecords.SuccessfulRecords" Count;
    PUT_RECORDS_FAILED "PutRecords.FailedRecords" Count;
    PUT_RECORDS_THROTTLED "PutRecords.ThrottledRecords" Count;
    GET_RECORDS_BYTES "GetRecords.Bytes" Bytes;
    GET_RECORDS_RECORDS "GetRecords.Records" Count;
    GET_RECORDS_AGE "GetRecords.IteratorAgeMilliseconds" Milliseconds;
    GET_RECORDS_LATENCY "GetRecords.Latency" Milliseconds;
    GET_RECORDS_SUCCESS "GetRecords.Success" Count;
    INCOMING_BYTES "IncomingBytes" Bytes;
    INCOMING_RECORDS "IncomingRecords" Count;
    READ_EXCEEDED "ReadProvisionedThroughputExceeded" Count;
    WRITE_EXCEEDED "WriteProvisionedThroughputExceeded" Count;
}

macro_rules! shard_signals {
    ($($id:ident $name:literal $unit:ident $field:ident $metric:ident;)*) => {
        $(static $id: Signal = Signal {
            namespace: "AWS/Kinesis", name: $name, unit: Unit::$unit, dimensions: &["StreamName", "ShardId"],
        };)*

        /// The metrics of one shard, those that are switched on for its stream.
        #[derive(Clone, Default)]
        pub(crate) struct ShardSeries {
            $(pub(crate) $field: Option<Arc<Series>>,)*
        }

        impl ShardSeries {
            /// Those of one of the stream's shards.
            pub(crate) fn new(
                meter: &Meter,
                stream: &str,
                shard: &str,
                on: &BTreeSet<ShardMetric>,
            ) -> ShardSeries {
                if on.is_empty() {
                    return ShardSeries::default();
                }
                let series = |signal, metric| on.contains(&metric).then(|| meter.series(signal, &[stream, shard]));
                ShardSeries { $($field: series(&$id, ShardMetric::$metric),)* }
            }
        }
    };
}

shard_signals! {
    SHARD_INCOMING_BYTES "IncomingBytes" Bytes incoming_bytes IncomingBytes;
    SHARD_INCOMING_RECORDS "IncomingRecords" Count incoming_records IncomingRecords;
    SHARD_OUTGOING_BYTES "OutgoingBytes" Bytes outgoing_bytes OutgoingBytes;
    SHARD_OUTGOING_RECORDS "OutgoingRecords" Count outgoing_records OutgoingRecords;
    SHARD_WRITE_EXCEEDED "WriteProvisionedThroughputExceeded" Count write_exceeded WriteProvisionedThroughputExceeded;
    SHARD_READ_EXCEEDED "ReadProvisionedThroughputExceeded" Count read_exceeded ReadProvisionedThroughputExceeded;
    SHARD_AGE "IteratorAgeMilliseconds" Milliseconds age IteratorAgeMilliseconds;
}

/// Records a value of a metric, where it is switched on.
pub(crate) fn note(series: &Option<Arc<Series>>, value: u64) {
    if let Some(series) = series {
        series.record(value);
    }
}

macro_rules! consumer_signals {
    ($($id:ident $name:literal $unit:ident;)*) => {
        $(static $id: Signal = Signal {
            namespace: "AWS/Kinesis", name: $name, unit: Unit::$unit, dimensions: &["StreamName", "ConsumerName"],
        };)*
    };
}

consumer_signals! {
    SUBSCRIBE_SUCCESS "SubscribeToShard.Success" Count;
    SUBSCRIBE_EXCEEDED "SubscribeToShard.RateExceeded" Count;
    EVENT_BYTES "SubscribeToShardEvent.Bytes" Bytes;
    EVENT_RECORDS "SubscribeToShardEvent.Records" Count;
    EVENT_BEHIND "SubscribeToShardEvent.MillisBehindLatest" Milliseconds;
    EVENT_SUCCESS "SubscribeToShardEvent.Success" Count;
}

/// The metrics of one registered consumer.
#[derive(Clone)]
pub(crate) struct ConsumerSeries {
    pub(crate) success: Arc<Series>,
    pub(crate) rate_exceeded: Arc<Series>,
    pub(crate) event_bytes: Arc<Series>,
    pub(crate) event_records: Arc<Series>,
    pub(crate) event_behind: Arc<Series>,
    pub(crate) event_success: Arc<Series>,
}

impl ConsumerSeries {
    /// Those of the consumer with this name.
    pub(crate) fn new(meter: &Meter, stream: &str, consumer: &str) -> ConsumerSeries {
        let series = |signal| meter.series(signal, &[stream, consumer]);
        ConsumerSeries {
            success: series(&SUBSCRIBE_SUCCESS),
            rate_exceeded: series(&SUBSCRIBE_EXCEEDED),
            event_bytes: series(&EVENT_BYTES),
            event_records: series(&EVENT_RECORDS),
            event_behind: series(&EVENT_BEHIND),
            event_success: series(&EVENT_SUCCESS),
        }
    }
}

/// The metrics of one operation.
pub(crate) struct CallSeries {
    /// Bytes per call.
    pub(crate) bytes: Arc<Series>,
    /// Time per call.
    latency: Arc<Series>,
    /// 1 for a success, 0 for a failure.
    success: Arc<Series>,
}

/// The metrics of one stream, kept so that no hot path looks them up.
pub(crate) struct StreamSeries {
    pub(crate) put_record: CallSeries,
    pub(crate) put_records: CallSeries,
    pub(crate) put_records_total: Arc<Series>,
    pub(crate) put_records_successful: Arc<Series>,
    pub(crate) put_records_failed: Arc<Series>,
    pub(crate) put_records_throttled: Arc<Series>,
    pub(crate) get_records: CallSeries,
    pub(crate) get_records_records: Arc<Series>,
    pub(crate) get_records_age: Arc<Series>,
    pub(crate) incoming_bytes: Arc<Series>,
    pub(crate) incoming_records: Arc<Series>,
    pub(crate) read_exceeded: Arc<Series>,
    pub(crate) write_exceeded: Arc<Series>,
}

impl StreamSeries {
    /// Those of the stream with this name.
    pub(crate) fn new(meter: &Meter, stream: &str) -> StreamSeries {
        let series = |signal| meter.series(signal, &[stream]);
        let call = |bytes, latency, success| CallSeries {
            bytes: series(bytes),
            latency: series(latency),
            success: series(success),
        };
        StreamSeries {
            put_record: call(&PUT_RECORD_BYTES, &PUT_RECORD_LATENCY, &PUT_RECORD_SUCCESS),
            put_records: call(&PUT_RECORDS_BYTES, &PUT_RECORDS_LATENCY, &PUT_RECORDS_SUCCESS),
            put_records_total: series(&PUT_RECORDS_TOTAL),
            put_records_successful: series(&PUT_RECORDS_SUCCESSFUL),
            put_records_failed: series(&PUT_RECORDS_FAILED),
            put_records_throttled: series(&PUT_RECORDS_THROTTLED),
            get_records: call(&GET_RECORDS_BYTES, &GET_RECORDS_LATENCY, &GET_RECORDS_SUCCESS),
            get_records_records: series(&GET_RECORDS_RECORDS),
            get_records_age: series(&GET_RECORDS_AGE),
            incoming_bytes: series(&INCOMING_BYTES),
            incoming_records: series(&INCOMING_RECORDS),
            read_exceeded: series(&READ_EXCEEDED),
            write_exceeded: series(&WRITE_EXCEEDED),
        }
    }
}

impl CallSeries {
    /// Records how a call went and how long it took.
    pub(crate) fn ended(&self, took: Duration, success: bool) {
        self.latency.record(took.as_millis() as u64);
        self.success.record(u64::from(success));
    }
}
