//! The events that functions get for batches of records and of messages.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html#services-kinesis-event-example>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use bytes::Bytes;
use consume::shape::{self, Data, Origin};
use consume::{Message, Record};

const HEAD: &[u8] = b"{\"Records\":[";

/// The event of as many of `items` as fit into `limit` bytes, at least one if there is any, and how many those are.
/// `tail` is what follows the list.
pub(crate) fn payload<T>(items: &[T], tail: &str, limit: usize, write: impl Fn(&mut Vec<u8>, &T)) -> (Bytes, usize) {
    let mut out = HEAD.to_vec();
    let mut count = 0;
    for item in items {
        let before = out.len();
        if count > 0 {
            out.push(b',');
        }
        write(&mut out, item);
        if count > 0 && out.len() + 1 + tail.len() > limit {
            out.truncate(before);
            break;
        }
        count += 1;
    }
    out.push(b']');
    out.extend_from_slice(tail.as_bytes());
    (out.into(), count)
}

/// A record of a stream, field by field into the buffer: a batch may hold ten thousand.
pub(crate) fn record(out: &mut Vec<u8>, origin: &Origin<'_>, record: &Record) {
    out.extend_from_slice(b"{\"kinesis\":{");
    shape::record_fields(out, record, &Data::Base64(&record.data));
    out.extend_from_slice(b"},");
    shape::origin_fields(out, origin, record);
    out.push(b'}');
}

/// A message of a queue.
pub(crate) fn message(out: &mut Vec<u8>, origin: &Origin<'_>, message: &Message) {
    let value = shape::message_value(origin, message, serde_json::Value::String(message.body.clone()));
    serde_json::to_writer(out, &value).expect("texts and maps of texts are JSON");
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::{Arn, Timestamp};
    use serde_json::json;

    fn a_record(position: u64, len: usize) -> Record {
        Record {
            position,
            sequence: format!("4959{position}"),
            key: "k\"ey".into(),
            at: Timestamp::from_millis(1_545_084_650_087),
            data: Bytes::from(vec![b'x'; len]),
            sealed: false,
        }
    }

    fn origin(source: &Arn) -> Origin<'_> {
        Origin { source, shard: "shardId-000000000006", role: "arn:aws:iam::123456789012:role/r" }
    }

    #[test]
    fn the_documented_shape() {
        let stream: Arn = "arn:aws:kinesis:us-east-2:123456789012:stream/s".parse().unwrap();
        let origin = origin(&stream);
        let (body, count) = payload(&[a_record(1, 4)], "}", 6 << 20, |out, r| record(out, &origin, r));
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(count, 1);
        let expected = json!({"Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "k\"ey", "sequenceNumber": "49591", "data": "eHh4eA==",
                "approximateArrivalTimestamp": 1_545_084_650.087,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shardId-000000000006:49591",
            "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::123456789012:role/r",
            "awsRegion": "us-east-2", "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/s",
        }]});
        assert_eq!(event, expected);
    }

    #[test]
    fn events_are_split_by_size_and_lose_nothing() {
        let stream: Arn = "arn:aws:kinesis:us-east-2:123456789012:stream/s".parse().unwrap();
        let origin = origin(&stream);
        let records: Vec<Record> = (0..10).map(|i| a_record(i, 1000)).collect();
        let (mut done, mut events) = (0, 0);
        while done < records.len() {
            let (body, count) = payload(&records[done..], "}", 6000, |out, r| record(out, &origin, r));
            assert!(body.len() <= 6000 && serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            done += count;
            events += 1;
        }
        assert!(events > 1);
        let one = payload(&records[..2], "}", 10, |out, r| record(out, &origin, r));
        assert_eq!(one.1, 1, "one record is never split");
        assert_eq!(payload(&records[..0], ",\"state\":{}}", 10, |_, _| ()).0, "{\"Records\":[],\"state\":{}}");
    }

    #[test]
    fn a_message_as_documented() {
        let queue: Arn = "arn:aws:sqs:us-east-2:123456789012:my-queue".parse().unwrap();
        let attribute = consume::MessageAttribute { data_type: "Number".into(), text: Some("7".into()), binary: None };
        let message = Message {
            id: "059f36b4-87a3-44ab-83d2-661975830a7d".into(),
            handle: "AQEB".into(),
            body: "Test message.".into(),
            body_md5: "e4e68fb7bd0e697a0ae8f1bb342846b3".into(),
            system: [("ApproximateReceiveCount".to_owned(), "1".to_owned())].into(),
            attributes: [("n".to_owned(), attribute)].into(),
            ..Message::default()
        };
        let mut out = Vec::new();
        super::message(&mut out, &Origin { shard: "", ..origin(&queue) }, &message);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["eventSource"], "aws:sqs");
        assert_eq!(value["attributes"]["ApproximateReceiveCount"], "1");
        assert_eq!(value["messageAttributes"]["n"]["stringValue"], "7");
        assert_eq!(value["messageAttributes"]["n"]["stringListValues"], json!([]));
        assert_eq!(value["md5OfBody"], "e4e68fb7bd0e697a0ae8f1bb342846b3");
        assert!(value.get("md5OfMessageAttributes").is_none());
    }
}
