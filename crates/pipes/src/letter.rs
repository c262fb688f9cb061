//! What is told of records that were given up. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-kinesis.html>
//!
//! AWS documents no example; the shape of the batch is that of Lambda's mappings, its context could not be confirmed.

use consume::{Record, Why, shape};
use names::{Arn, Timestamp};
use serde_json::json;

/// The body of the message. `records` are the ones given up, at least one.
pub(crate) fn body(
    pipe: &Arn,
    stream: &Arn,
    shard: &str,
    records: &[Record],
    (why, invokes): (Why, u32),
    now: Timestamp,
) -> String {
    json!({
        "context": {
            "partnerResourceArn": pipe,
            "condition": why.condition(),
            "approximateInvokeCount": invokes,
        },
        "version": "1.0",
        "timestamp": now.iso_millis(),
        "KinesisBatchInfo": shape::batch_info(stream, shard, records),
    })
    .to_string()
}
