//! What is told of a batch that was discarded. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>

use consume::{Piece, Record, Why, shape};
use names::{Arn, Timestamp};
use serde_json::{Value, json};

/// Where a batch came from and where it went.
pub(crate) struct Route<'a> {
    /// The stream.
    pub(crate) stream: &'a Arn,
    /// The shard.
    pub(crate) shard: &'a str,
    /// The function.
    pub(crate) function: &'a Arn,
}

/// How the last invocation went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    /// Its request id.
    pub(crate) request_id: String,
    /// Whether the function answered with an error, as opposed to an answer that named failures; `None` where it was
    /// never reached.
    pub(crate) error: Option<bool>,
}

/// The body of the message. `records` are the discarded ones, at least one.
pub(crate) fn body(
    route: &Route<'_>,
    records: &[Record],
    piece: &Piece,
    why: Why,
    last: &Last,
    now: Timestamp,
) -> String {
    let mut body = json!({
        "requestContext": {
            "requestId": last.request_id,
            "functionArn": route.function,
            "condition": why.condition(),
            "approximateInvokeCount": piece.invokes,
        },
    });
    if let Some(error) = last.error.filter(|_| piece.invokes > 0) {
        let mut response = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        response["functionError"] = if error { "Unhandled".into() } else { Value::Null };
        body["responseContext"] = response;
    }
    body["version"] = "1.0".into();
    body["timestamp"] = now.iso_millis().into();
    body["KinesisBatchInfo"] = shape::batch_info(route.stream, route.shard, records);
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_body() {
        let stream: Arn = "arn:aws:kinesis:us-east-2:123456789012:stream/mystream".parse().unwrap();
        let function: Arn = "arn:aws:lambda:us-east-2:123456789012:function:myfunction".parse().unwrap();
        let record = |n: u64| Record {
            position: n,
            sequence: format!("49{n}"),
            key: "k".into(),
            at: Timestamp::from_millis(1_573_691_884_835 + n as i64),
            data: bytes::Bytes::new(),
            sealed: false,
        };
        let route = Route { stream: &stream, shard: "shardId-000000000001", function: &function };
        let piece = Piece { range: 0..2, failures: 1, invokes: 1 };
        let last = Last { request_id: "c9b8fa9f".into(), error: Some(true) };
        let now = Timestamp::from_millis(1_573_691_886_021);
        let text = body(&route, &[record(0), record(1)], &piece, Why::Retries, &last, now);
        let expected = json!({
            "requestContext": {
                "requestId": "c9b8fa9f", "functionArn": function, "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 1,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0", "timestamp": "2019-11-14T00:38:06.021Z",
            "KinesisBatchInfo": {
                "shardId": "shardId-000000000001", "startSequenceNumber": "490", "endSequenceNumber": "491",
                "approximateArrivalOfFirstRecord": "2019-11-14T00:38:04.835Z",
                "approximateArrivalOfLastRecord": "2019-11-14T00:38:04.836Z", "batchSize": 2, "streamArn": stream,
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
