//! The event a function gets for a batch of stream records.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html#services-kinesis-event-example>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use consume::Record;
use names::Arn;
use serde_json::json;

/// What all records of a mapping share.
pub(crate) struct Origin<'a> {
    /// The stream.
    pub(crate) stream: &'a Arn,
    /// The shard.
    pub(crate) shard: &'a str,
    /// The function's execution role.
    pub(crate) role: &'a Arn,
}

/// Splits records into the payloads of as many invocations as their size asks for: each at most `limit` bytes (a single
/// record over the limit still gets a payload of its own). Gives each payload with the number of its records.
pub(crate) fn payloads(origin: &Origin<'_>, records: &[Record], limit: usize) -> Vec<(Bytes, usize)> {
    const HEAD: &str = "{\"Records\":[";
    let mut out = Vec::new();
    let mut body = String::from(HEAD);
    let mut count = 0;
    for record in records {
        let text = one(origin, record);
        if count > 0 && body.len() + text.len() + 3 > limit {
            body.push_str("]}");
            out.push((Bytes::from(std::mem::replace(&mut body, HEAD.to_owned())), count));
            count = 0;
        }
        if count > 0 {
            body.push(',');
        }
        body.push_str(&text);
        count += 1;
    }
    if count > 0 {
        body.push_str("]}");
        out.push((Bytes::from(body), count));
    }
    out
}

fn one(origin: &Origin<'_>, record: &Record) -> String {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.key,
            "sequenceNumber": record.sequence,
            "data": STANDARD.encode(&record.data),
            "approximateArrivalTimestamp": record.at.millis() as f64 / 1000.0,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{}:{}", origin.shard, record.sequence),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": origin.role,
        "awsRegion": origin.stream.region(),
        "eventSourceARN": origin.stream,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::Timestamp;

    fn record(position: u64, len: usize) -> Record {
        Record {
            position,
            sequence: format!("4959{position}"),
            key: "k".into(),
            at: Timestamp::from_millis(1_545_084_650_987),
            data: Bytes::from(vec![b'x'; len]),
        }
    }

    #[test]
    fn the_documented_shape() {
        let stream: Arn = "arn:aws:kinesis:us-east-2:123456789012:stream/s".parse().unwrap();
        let role: Arn = "arn:aws:iam::123456789012:role/r".parse().unwrap();
        let origin = Origin { stream: &stream, shard: "shardId-000000000006", role: &role };
        let all = payloads(&origin, &[record(1, 3)], 6 << 20);
        let event: serde_json::Value = serde_json::from_slice(&all[0].0).unwrap();
        let first = &event["Records"][0];
        assert_eq!(first["eventID"], "shardId-000000000006:49591");
        assert_eq!(first["kinesis"]["data"], "eHh4");
        assert_eq!(first["kinesis"]["approximateArrivalTimestamp"], 1_545_084_650.987);
        assert_eq!(first["awsRegion"], "us-east-2");
        assert_eq!(first["invokeIdentityArn"], role.as_str());
    }

    #[test]
    fn batches_are_split_by_size_and_lose_nothing() {
        let stream: Arn = "arn:aws:kinesis:us-east-2:123456789012:stream/s".parse().unwrap();
        let origin = Origin { stream: &stream, shard: "shardId-000000000000", role: &stream };
        let records: Vec<Record> = (0..10).map(|i| record(i, 1000)).collect();
        let all = payloads(&origin, &records, 6000);
        assert!(all.len() > 1);
        assert!(all.iter().all(|(body, _)| body.len() <= 6000));
        assert_eq!(all.iter().map(|(_, n)| n).sum::<usize>(), 10);
        assert_eq!(payloads(&origin, &records[..1], 10).len(), 1, "one record is never split");
    }
}
