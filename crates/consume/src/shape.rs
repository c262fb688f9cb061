//! What records and messages look like in JSON, to filters and to those who get them. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html#services-kinesis-event-example>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-kinesis.html>

use crate::{Message, Record};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use names::Arn;
use serde::Serialize;
use serde_json::json;

/// What all records of a batch share.
pub struct Origin<'a> {
    /// The stream or queue.
    pub source: &'a Arn,
    /// The shard, of a stream.
    pub shard: &'a str,
    /// The function's execution role.
    pub role: &'a str,
}

/// What a record's payload is written as.
pub enum Data<'a> {
    /// As functions get it: in base64.
    Base64(&'a [u8]),
    /// As filters see it: a JSON text as it is.
    Json(&'a str),
    /// Not at all.
    None,
}

fn string(out: &mut Vec<u8>, text: &str) {
    put(out, text);
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("texts and maps of texts are JSON");
}

/// A record with all its fields in one object: as pipes get it, and as filters see it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html>
pub fn flat_record(out: &mut Vec<u8>, origin: &Origin<'_>, record: &Record, data: &Data<'_>) {
    out.push(b'{');
    record_fields(out, record, data);
    out.push(b',');
    origin_fields(out, origin, record);
    out.push(b'}');
}

/// A record's own fields, without braces.
pub fn record_fields(out: &mut Vec<u8>, record: &Record, data: &Data<'_>) {
    out.extend_from_slice(b"\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":");
    string(out, &record.key);
    out.extend_from_slice(b",\"sequenceNumber\":");
    string(out, &record.sequence);
    match data {
        Data::Base64(data) => {
            out.extend_from_slice(b",\"data\":\"");
            let start = out.len();
            out.resize(start + data.len().div_ceil(3) * 4, 0);
            let length = STANDARD.encode_slice(data, &mut out[start..]).expect("the room is of the right size");
            out.truncate(start + length);
            out.push(b'"');
        }
        Data::Json(text) => {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(text.as_bytes());
        }
        Data::None => {}
    }
    let ms = record.at.millis().max(0);
    let seconds = format!(",\"approximateArrivalTimestamp\":{}.{:03}", ms / 1000, ms % 1000);
    out.extend_from_slice(seconds.as_bytes());
}

/// What is said of where it came from, without braces.
pub fn origin_fields(out: &mut Vec<u8>, origin: &Origin<'_>, record: &Record) {
    out.extend_from_slice(
        b"\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventName\":\"aws:kinesis:record\",\"eventID\":\"",
    );
    for part in [origin.shard, ":", &record.sequence] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\",\"invokeIdentityArn\":");
    string(out, origin.role);
    out.extend_from_slice(b",\"awsRegion\":");
    string(out, origin.source.region());
    out.extend_from_slice(b",\"eventSourceARN\":");
    string(out, origin.source.as_str());
}

/// A message with its body as a function gets it, or as a filter sees it.
pub fn message_value(origin: &Origin<'_>, message: &Message, body: serde_json::Value) -> serde_json::Value {
    let attributes = message.attributes.iter().map(|(name, attribute)| {
        let mut value = json!({"stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type});
        if let Some(text) = &attribute.text {
            value["stringValue"] = text.clone().into();
        }
        if let Some(binary) = &attribute.binary {
            value["binaryValue"] = STANDARD.encode(binary).into();
        }
        (name.clone(), value)
    });
    let mut value = json!({
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": body,
        "attributes": message.system,
        "messageAttributes": attributes.collect::<serde_json::Map<_, _>>(),
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": origin.source,
        "awsRegion": origin.source.region(),
    });
    if let Some(sum) = &message.attributes_md5 {
        value["md5OfMessageAttributes"] = sum.clone().into();
    }
    value
}

/// Where a batch of records came from, as is told of those that are given up.
/// <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>
pub fn batch_info(stream: &Arn, shard: &str, records: &[Record]) -> serde_json::Value {
    let (Some(first), Some(end)) = (records.first(), records.last()) else { return serde_json::Value::Null };
    json!({
        "shardId": shard,
        "startSequenceNumber": first.sequence,
        "endSequenceNumber": end.sequence,
        "approximateArrivalOfFirstRecord": first.at.iso_millis(),
        "approximateArrivalOfLastRecord": end.at.iso_millis(),
        "batchSize": records.len(),
        "streamArn": stream,
    })
}
