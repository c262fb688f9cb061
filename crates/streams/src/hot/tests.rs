//! What the hot ways read, against what the generic way reads. Whether they answer alike is tested with a whole service, in
//! `tests/hot.rs`.

use super::parse::{Entry, GetRecords, PutRecord, PutRecords};
use bytes::Bytes;
use names::{Caller, Home, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shapes::kinesis::{
    GetRecordsInput, GetRecordsOp, PutRecordInput, PutRecordOp, PutRecordsInput, PutRecordsOp, PutRecordsRequestEntry,
};
use std::sync::Arc;
use wire::{Call, FromValue, Operation, Protocol, Request, Shape};

fn call<O: Operation>() -> Call {
    Call::local(&shapes::kinesis::SERVICE, O::MODEL, Caller::root(&Home::default().account, "test"), Timestamp(0))
}

/// What the generic codec makes of a body: only what is valid.
fn generic<O: Operation>(body: &Bytes) -> Option<O::Input> {
    let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
    let request = Request { protocol: Protocol::AwsJson11, head: Arc::new(head), body: body.clone(), observed: true };
    let value = wire::codec::decode(&call::<O>(), &request).ok()?;
    wire::validate(&shapes::kinesis::SERVICE, O::Input::SCHEMA, &value).ok()?;
    O::Input::from_value(value).ok()
}

/// The hot way passes, or reads what the generic one reads.
fn agrees<O: Operation>(hot: Option<O::Input>, body: &Bytes) -> bool
where
    O::Input: PartialEq,
{
    hot.is_none_or(|input| Some(input) == generic::<O>(body))
}

fn decoded(entry: &Entry<'_>) -> Bytes {
    let mut out = Vec::new();
    entry.data.decode_into(&mut out);
    out.into()
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(ToOwned::to_owned)
}

fn put_record(body: &Bytes) -> Option<PutRecordInput> {
    let PutRecord { stream, entry } = PutRecord::read(Protocol::AwsJson11, body)?;
    Some(PutRecordInput {
        stream_name: owned(stream.name),
        stream_arn: owned(stream.arn),
        data: decoded(&entry),
        partition_key: owned(Some(entry.key)),
        explicit_hash_key: owned(entry.explicit),
        ..PutRecordInput::default()
    })
}

fn put_records(body: &Bytes) -> Option<PutRecordsInput> {
    let PutRecords { stream, entries } = PutRecords::read(Protocol::AwsJson11, body)?;
    let entry = |entry: &Entry<'_>| PutRecordsRequestEntry {
        data: decoded(entry),
        partition_key: owned(Some(entry.key)),
        explicit_hash_key: owned(entry.explicit),
    };
    Some(PutRecordsInput {
        stream_name: owned(stream.name),
        stream_arn: owned(stream.arn),
        records: entries.iter().map(entry).collect(),
        ..PutRecordsInput::default()
    })
}

fn get_records(body: &Bytes) -> Option<GetRecordsInput> {
    let GetRecords { iterator, arn, limit } = GetRecords::read(Protocol::AwsJson11, body)?;
    let shard_iterator = iterator.to_owned();
    Some(GetRecordsInput { shard_iterator, stream_arn: owned(arn), limit, ..GetRecordsInput::default() })
}

fn any_text() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-zA-Z0-9_.-]{1,20}".prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => "\\PC{250,260}".prop_map(Value::from),
        1 => Just(json!("")),
        1 => Just(Value::Null),
        1 => Just(json!(5)),
        1 => Just(json!("arn:aws:kinesis:us-east-1:000000000000:stream/s")),
        1 => Just(json!("arn:aws:kinesis:us-east-1:000000000000:stream/")),
    ]
}

fn any_data() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|d| json!(base64_simd::STANDARD.encode_to_string(d))),
        1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(|d| json!(base64_simd::STANDARD_NO_PAD.encode_to_string(d))),
        1 => "[A-Za-z0-9+/=]{0,9}".prop_map(Value::from),
        1 => any_text(),
    ]
}

fn any_hash() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any::<u128>().prop_map(|hash| json!(hash.to_string())),
        1 => "[0-9]{0,41}".prop_map(Value::from),
        1 => any_text(),
    ]
}

/// Some of these members, and sometimes one that nobody knows.
fn any_object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let optional = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        proptest::option::weighted(0.9, value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let unknown =
        proptest::option::weighted(0.05, Just(json!({"a": [1]}))).prop_map(|v| v.map(|v| ("Unknown".to_owned(), v)));
    (members.into_iter().map(optional).collect::<Vec<_>>(), unknown)
        .prop_map(|(known, unknown)| Value::Object(known.into_iter().flatten().chain(unknown).collect::<Map<_, _>>()))
}

fn any_entry(more: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let mut members = vec![("Data", any_data().boxed()), ("PartitionKey", any_text().boxed())];
    members.extend(more);
    prop_oneof![
        any_object(members.clone()),
        any_object(members.into_iter().chain([("ExplicitHashKey", any_hash().boxed())]).collect()),
    ]
}

fn body(value: &Value, pretty: bool) -> Bytes {
    if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) }.unwrap().into()
}

#[test]
fn plain_calls_go_the_hot_way() {
    let put = json!({"StreamName": "s", "PartitionKey": "ключ", "Data": "aGk=", "ExplicitHashKey": "0"});
    let input = put_record(&body(&put, true)).unwrap();
    assert_eq!((&input.data[..], input.partition_key.as_deref()), (&b"hi"[..], Some("ключ")));
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let puts = json!({"StreamARN": arn, "Records": [put_entry("YQ=="), put_entry(""), put_entry("Yg==")]});
    let input = put_records(&body(&puts, false)).unwrap();
    let data: Vec<_> = input.records.iter().map(|record| &record.data[..]).collect();
    assert_eq!(data, [&b"a"[..], b"", b"b"]);
    let get = json!({"ShardIterator": "AAA=", "Limit": 10});
    assert_eq!(get_records(&body(&get, false)).unwrap().limit, Some(10));
    assert!(GetRecords::read(Protocol::AwsCbor, &body(&get, false)).is_none());
}

fn put_entry(data: &str) -> Value {
    json!({"PartitionKey": "k", "Data": data})
}

#[test]
fn what_breaks_the_model_goes_the_generic_way() {
    let many = json!({"StreamName": "s", "Records": vec![put_entry(""); 501]});
    assert!(put_records(&body(&many, false)).is_none());
    for (member, value) in [
        ("StreamName", json!("a/b")),
        ("StreamName", json!("a".repeat(129))),
        ("PartitionKey", json!("ä".repeat(257))),
        ("PartitionKey", json!("")),
        ("ExplicitHashKey", json!("00")),
        ("Data", json!("a")),
        ("DryRun", json!(true)),
        ("StreamId", json!("x")),
    ] {
        let mut put = json!({"StreamName": "s", "PartitionKey": "k", "Data": ""});
        put[member] = value;
        assert!(put_record(&body(&put, false)).is_none(), "{put}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn put_record_is_decoded_alike(
        value in any_entry(vec![("StreamName", any_text().boxed()), ("StreamARN", any_text().boxed())]),
        pretty: bool,
    ) {
        prop_assert!(agrees::<PutRecordOp>(put_record(&body(&value, pretty)), &body(&value, pretty)), "{}", value);
    }

    #[test]
    fn put_records_is_decoded_alike(
        records in proptest::collection::vec(any_entry(Vec::new()), 0..4),
        rest in any_object(vec![("StreamName", any_text().boxed()), ("StreamARN", any_text().boxed())]),
        pretty: bool,
    ) {
        let mut value = rest;
        value["Records"] = Value::Array(records);
        prop_assert!(agrees::<PutRecordsOp>(put_records(&body(&value, pretty)), &body(&value, pretty)), "{}", value);
    }

    #[test]
    fn get_records_is_decoded_alike(
        value in any_object(vec![
            ("ShardIterator", any_text().boxed()),
            ("Limit", prop_oneof![(-2i64..20_000).prop_map(Value::from), any_text()].boxed()),
            ("StreamARN", any_text().boxed()),
        ]),
    ) {
        prop_assert!(agrees::<GetRecordsOp>(get_records(&body(&value, false)), &body(&value, false)), "{}", value);
    }

    #[test]
    fn torn_calls_are_decoded_alike(cut in 0usize..200, junk in "[\\[\\]{}\",:a0 \\\\]{0,3}") {
        let whole = json!({"StreamName": "s", "Records": [put_entry("YQ=="), put_entry("")]}).to_string();
        let cut = cut.min(whole.len());
        let torn = Bytes::from(format!("{}{junk}{}", &whole[..cut], &whole[cut..]));
        prop_assert!(agrees::<PutRecordsOp>(put_records(&torn), &torn), "{:?}", torn);
    }
}
