//! The hot codecs against the generic one: the same input, and the same bytes out.

use super::*;
use names::{Caller, Home, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shapes::kinesis::{EncryptionType, PutRecordsResultEntry};
use std::net::IpAddr;
use std::sync::Arc;
use wire::{Call, FromValue, IntoValue, Operation, Request, Shape};

fn call<O: Operation>() -> Call {
    Call {
        service: &shapes::kinesis::SERVICE,
        operation: O::MODEL,
        caller: Caller::service(&Home::default().account, "test"),
        request_id: String::new(),
        source_ip: IpAddr::from([127, 0, 0, 1]),
        user_agent: String::new(),
        host: String::new(),
        tls: false,
        at: Timestamp(0),
        trace: None,
    }
}

/// What the generic codec makes of a body: only what is valid.
fn generic<O: Operation>(body: &Bytes) -> Option<O::Input> {
    let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
    let request = Request { protocol: Protocol::AwsJson11, head: Arc::new(head), body: body.clone(), observed: true };
    let value = wire::codec::decode(&call::<O>(), &request).ok()?;
    wire::validate(&shapes::kinesis::SERVICE, O::Input::SCHEMA, &value).ok()?;
    O::Input::from_value(value).ok()
}

/// The hot codec passes, or says what the generic one says.
fn agrees<O: Operation>(hot: &impl HotCodec<O>, body: &Bytes) -> bool
where
    O::Input: PartialEq,
{
    hot.decode(Protocol::AwsJson11, body).is_none_or(|input| Some(input) == generic::<O>(body))
}

fn encodes_alike<O: Operation>(hot: &impl HotCodec<O>, output: O::Output) -> bool {
    let fast = hot.encode(Protocol::AwsJson11, &output);
    let value = output.into_value().unwrap();
    let slow = wire::codec::encode(&call::<O>(), Protocol::AwsJson11, &value).unwrap().into_body();
    fast.is_none_or(|fast| fast == slow)
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
    let input = PutRecordCodec.decode(Protocol::AwsJson11, &body(&put, true)).unwrap();
    assert_eq!((&input.data[..], input.partition_key.as_deref()), (&b"hi"[..], Some("ключ")));
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let puts = json!({"StreamARN": arn, "Records": [put_entry("YQ=="), put_entry(""), put_entry("Yg==")]});
    let input = PutRecordsCodec.decode(Protocol::AwsJson11, &body(&puts, false)).unwrap();
    let data: Vec<_> = input.records.iter().map(|record| &record.data[..]).collect();
    assert_eq!(data, [&b"a"[..], b"", b"b"]);
    let get = json!({"ShardIterator": "AAA=", "Limit": 10});
    assert_eq!(GetRecordsCodec.decode(Protocol::AwsJson11, &body(&get, false)).unwrap().limit, Some(10));
    assert!(GetRecordsCodec.decode(Protocol::AwsCbor, &body(&get, false)).is_none());
}

fn put_entry(data: &str) -> Value {
    json!({"PartitionKey": "k", "Data": data})
}

#[test]
fn what_breaks_the_model_goes_the_generic_way() {
    let many = json!({"StreamName": "s", "Records": vec![put_entry(""); 501]});
    assert!(PutRecordsCodec.decode(Protocol::AwsJson11, &body(&many, false)).is_none());
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
        assert!(PutRecordCodec.decode(Protocol::AwsJson11, &body(&put, false)).is_none(), "{put}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn put_record_is_decoded_alike(
        value in any_entry(vec![("StreamName", any_text().boxed()), ("StreamARN", any_text().boxed())]),
        pretty: bool,
    ) {
        prop_assert!(agrees(&PutRecordCodec, &body(&value, pretty)), "{}", value);
    }

    #[test]
    fn put_records_is_decoded_alike(
        records in proptest::collection::vec(any_entry(Vec::new()), 0..4),
        rest in any_object(vec![("StreamName", any_text().boxed()), ("StreamARN", any_text().boxed())]),
        pretty: bool,
    ) {
        let mut value = rest;
        value["Records"] = Value::Array(records);
        prop_assert!(agrees(&PutRecordsCodec, &body(&value, pretty)), "{}", value);
    }

    #[test]
    fn get_records_is_decoded_alike(
        value in any_object(vec![
            ("ShardIterator", any_text().boxed()),
            ("Limit", prop_oneof![(-2i64..20_000).prop_map(Value::from), any_text()].boxed()),
            ("StreamARN", any_text().boxed()),
        ]),
    ) {
        prop_assert!(agrees(&GetRecordsCodec, &body(&value, false)), "{}", value);
    }

    #[test]
    fn torn_calls_are_decoded_alike(cut in 0usize..200, junk in "[\\[\\]{}\",:a0 \\\\]{0,3}") {
        let whole = json!({"StreamName": "s", "Records": [put_entry("YQ=="), put_entry("")]}).to_string();
        let cut = cut.min(whole.len());
        let torn = Bytes::from(format!("{}{junk}{}", &whole[..cut], &whole[cut..]));
        prop_assert!(agrees(&PutRecordsCodec, &torn), "{:?}", torn);
    }

    #[test]
    fn puts_are_answered_alike(
        count in proptest::option::of(any::<i32>()),
        texts in proptest::collection::vec(proptest::array::uniform4(proptest::option::of(any::<String>())), 0..5),
        encrypted: bool,
    ) {
        let encryption_type = encrypted.then_some(EncryptionType::None);
        let records = texts.into_iter().map(|[sequence_number, shard_id, error_code, error_message]| {
            PutRecordsResultEntry { sequence_number, shard_id, error_code, error_message }
        });
        let output = PutRecordsOutput { failed_record_count: count, records: records.collect(), encryption_type };
        prop_assert!(encodes_alike(&PutRecordsCodec, output));
    }

    #[test]
    fn a_put_is_answered_alike(shard_id: String, sequence_number: String, encrypted: bool) {
        let encryption_type = encrypted.then_some(EncryptionType::None);
        let output = PutRecordOutput { shard_id, sequence_number, encryption_type };
        prop_assert!(encodes_alike(&PutRecordCodec, output));
    }

    #[test]
    fn records_are_answered_alike(
        records in proptest::collection::vec(
            (any::<String>(), proptest::option::of(any::<String>()), any::<Vec<u8>>(), proptest::option::of(0i64..1 << 52)),
            0..5,
        ),
        next_shard_iterator: Option<String>,
        millis_behind_latest: Option<i64>,
    ) {
        let records = records.into_iter().map(|(sequence_number, partition_key, data, at)| Record {
            sequence_number,
            partition_key,
            data: data.into(),
            approximate_arrival_timestamp: at.map(Timestamp),
            encryption_type: None,
        });
        let (records, child_shards) = (records.collect(), None);
        let output = GetRecordsOutput { records, next_shard_iterator, millis_behind_latest, child_shards };
        prop_assert!(encodes_alike(&GetRecordsCodec, output));
    }
}
