//! Bytes in, values out.

use crate::house::{blob, call, list, map, request, structure, text};
use names::Timestamp;
use shapes::{kinesis, lambda, sns, sqs};
use wire::{ApiError, Protocol, ServiceModel, Value, codec};

fn decode(service: &'static ServiceModel, operation: &str, protocol: Protocol, body: &[u8]) -> Result<Value, ApiError> {
    codec::decode(&call(service, operation), &request(protocol, "/", &[], body.to_vec()))
}

fn json(operation: &str, body: &str) -> Result<Value, ApiError> {
    decode(&kinesis::SERVICE, operation, Protocol::AwsJson11, body.as_bytes())
}

#[test]
fn json_ignores_what_it_does_not_know_and_nulls() {
    let value = json("PutRecord", r#"{"Unknown":[{"a":1}],"StreamName":"s","Data":"aGk=","PartitionKey":null}"#);
    assert_eq!(value, Ok(structure([("StreamName", text("s")), ("Data", blob(b"hi"))])));
    assert_eq!(json("ListStreams", ""), Ok(structure([])));
}

#[test]
fn json_takes_the_last_of_equal_keys() {
    let value = json("PutRecord", r#"{"StreamName":"a","StreamName":"b"}"#);
    assert_eq!(value, Ok(structure([("StreamName", text("b"))])));
    let value = json("CreateStream", r#"{"Tags":{"a":"1","b":"2","a":"3"}}"#);
    assert_eq!(value, Ok(structure([("Tags", map([("b", text("2")), ("a", text("3"))]))])));
}

#[test]
fn json_times_are_seconds() {
    let value = json("GetShardIterator", r#"{"Timestamp":1.70000000025e9}"#);
    let at = Value::Time(Timestamp(1_700_000_000_250_000));
    assert_eq!(value, Ok(structure([("Timestamp", at)])));
}

#[test]
fn json_of_the_wrong_kind_is_refused_in_awss_words() {
    let cases = [
        (r#"{"StreamName":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"StreamName":true}"#, "TRUE_VALUE can not be converted to a String"),
        (r#"{"StreamName":[]}"#, "Start of list found where not expected"),
        (r#"{"StreamName":{}}"#, "Start of structure or map found where not expected."),
        (r#"{"ShardCount":"1"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"ShardCount":1.0}"#, "DECIMAL_VALUE can not be converted to an Integer"),
        (r#"{"ShardCount":2147483648}"#, "NUMBER_VALUE can not be converted to an Integer"),
        (r#"{"Tags":1}"#, "Expected map or null"),
        (r#"{"StreamModeDetails":1}"#, "Expected null"),
        ("[]", "Start of list found where not expected"),
        ("{} {}", "the request body is not valid JSON: more behind the end at byte 3"),
        ("{", "the request body is not valid JSON: expected a string at byte 1"),
    ];
    for (body, message) in cases {
        let error = json("CreateStream", body).unwrap_err();
        assert_eq!((error.model.name, error.message.as_str()), ("SerializationException", message), "{body}");
    }
    let error = json("PutRecord", r#"{"Data":"=+/="}"#).unwrap_err();
    assert_eq!(error.message, "'=+/=' can not be converted to a Blob: invalid Base64");
    let error = json("PutRecords", r#"{"Records":{}}"#).unwrap_err();
    assert_eq!(error.message, "Start of structure or map found where not expected.");
    let deep = format!("{{\"Unknown\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(json("PutRecord", &deep).unwrap_err().message.contains("nested too deeply"));
}

#[test]
fn cbor_of_definite_and_indefinite_length() {
    let expected = structure([("StreamName", text("s")), ("Data", blob(b"hi"))]);
    let definite = b"\xa2\x6aStreamName\x61s\x64Data\x42hi";
    let indefinite = b"\xbf\x6aStreamName\x7f\x61s\xff\x64Data\x5f\x41h\x41i\xff\xff";
    for body in [&definite[..], &indefinite[..]] {
        for protocol in [Protocol::AwsCbor, Protocol::RpcCbor] {
            assert_eq!(decode(&kinesis::SERVICE, "PutRecord", protocol, body), Ok(expected.clone()));
        }
    }
}

#[test]
fn cbor_times_are_milliseconds_with_kinesis_and_seconds_elsewhere() {
    let at = structure([("Timestamp", Value::Time(Timestamp::from_millis(1_700_000_000_250)))]);
    let millis = [&b"\xa1\x69Timestamp\xc1\x1b"[..], &1_700_000_000_250u64.to_be_bytes()].concat();
    assert_eq!(decode(&kinesis::SERVICE, "GetShardIterator", Protocol::AwsCbor, &millis), Ok(at.clone()));
    let seconds = [&b"\xa1\x69Timestamp\xc1\xfb"[..], &1_700_000_000.25f64.to_be_bytes()].concat();
    assert_eq!(decode(&kinesis::SERVICE, "GetShardIterator", Protocol::RpcCbor, &seconds), Ok(at));
}

#[test]
fn cbor_that_is_none_is_refused() {
    for body in [&b"\xa1"[..], b"\xff", b"\xa1\x6aStreamName\x01", b"\xa0\xa0", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"]
    {
        let error = decode(&kinesis::SERVICE, "PutRecord", Protocol::AwsCbor, body).unwrap_err();
        assert_eq!(error.model.name, "SerializationException", "{body:?}");
    }
}

#[test]
fn query_lists_and_maps() {
    let body = "Action=Publish&Version=2010-03-31&Message=a+b%26&MessageAttributes.entry.2.Name=y\
                &MessageAttributes.entry.2.Value.DataType=String&MessageAttributes.entry.1.Name=x\
                &MessageAttributes.entry.1.Value.DataType=Binary&MessageAttributes.entry.1.Value.BinaryValue=aGk%3D";
    let value = decode(&sns::SERVICE, "Publish", Protocol::Query, body.as_bytes());
    let attributes = map([
        ("x", structure([("DataType", text("Binary")), ("BinaryValue", blob(b"hi"))])),
        ("y", structure([("DataType", text("String"))])),
    ]);
    assert_eq!(value, Ok(structure([("Message", text("a b&")), ("MessageAttributes", attributes)])));
    let value =
        decode(&sns::SERVICE, "CreateTopic", Protocol::Query, b"Name=t&Tags.member.1.Key=k&Tags.member.1.Value=");
    let tags = list([structure([("Key", text("k")), ("Value", text(""))])]);
    assert_eq!(value, Ok(structure([("Name", text("t")), ("Tags", tags)])));
}

#[test]
fn a_service_that_moved_to_json_still_understands_its_query_names() {
    let query = |operation: &str, path: &str, body: &'static str| {
        codec::decode(&call(&sqs::SERVICE, operation), &request(Protocol::Query, path, &[], body)).unwrap()
    };
    let value = query(
        "SendMessageBatch",
        "/",
        "QueueUrl=u&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=b\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v",
    );
    let attributes = map([("n", structure([("StringValue", text("v")), ("DataType", text("String"))]))]);
    let entry = structure([("Id", text("a")), ("MessageBody", text("b")), ("MessageAttributes", attributes)]);
    assert_eq!(value, structure([("QueueUrl", text("u")), ("Entries", list([entry]))]));

    let value = query(
        "CreateQueue",
        "/",
        "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k&Tag.1.Value=v",
    );
    assert_eq!(value.get("Attributes"), Some(&map([("DelaySeconds", text("5"))])));
    assert_eq!(value.get("tags"), Some(&map([("k", text("v"))])));

    let value = query("GetQueueAttributes", "/123456789012/q", "AttributeName.1=All");
    let url = text("http://localhost:4566/123456789012/q");
    assert_eq!(value, structure([("AttributeNames", list([text("All")])), ("QueueUrl", url)]));
    let value = query("ReceiveMessage", "/", "QueueUrl=u&MessageAttributeName.1=All&MaxNumberOfMessages=10");
    assert_eq!(value.get("MessageAttributeNames"), Some(&list([text("All")])));
    assert_eq!(value.get("MaxNumberOfMessages"), Some(&Value::Int(10)));
}

#[test]
fn endless_and_bottomless_forms_are_refused() {
    for body in ["a&".repeat(60_000), format!("a{}=1", ".1".repeat(40))] {
        let error = decode(&sns::SERVICE, "Publish", Protocol::Query, body.as_bytes()).unwrap_err();
        assert_eq!(error.model.name, "SerializationException");
    }
}

#[test]
fn rest_members_come_from_everywhere() {
    let call = call(&lambda::SERVICE, "Invoke");
    let uri = "/2015-03-31/functions/a%3Ab/invocations?Qualifier=PROD";
    let headers = [("x-amz-invocation-type", "Event"), ("X-Amz-Log-Type", "Tail")];
    let value = codec::decode(&call, &request(Protocol::RestJson, uri, &headers, "raw \0 bytes")).unwrap();
    assert_eq!(value.get("FunctionName"), Some(&text("a:b")));
    assert_eq!(value.get("InvocationType"), Some(&text("Event")));
    assert_eq!(value.get("LogType"), Some(&text("Tail")));
    assert_eq!(value.get("Qualifier"), Some(&text("PROD")));
    assert_eq!(value.get("Payload"), Some(&blob(b"raw \0 bytes")));
}
