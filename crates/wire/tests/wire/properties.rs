//! Whatever comes in, nothing panics; and what is written is read back the same.

use crate::house::{call, request};
use bytes::Bytes;
use names::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use shapes::{ec2, events, iam, kinesis, lambda, sns, sqs};
use std::time::Duration;
use wire::sigv4::{Signed, SigningRules, Verifier};
use wire::{Kind, Place, Protocol, Schema, ServiceModel, TimeFormat, Value, codec};

/// Any value of a shape, structures and lists cut off at a depth.
fn value_of(schema: &'static Schema, depth: u32) -> BoxedStrategy<Value> {
    let below = depth.saturating_sub(1);
    let items = if depth == 0 { 0..=0usize } else { 0..=3 };
    match &schema.kind {
        Kind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Integer => any::<i32>().prop_map(|i| Value::Int(i.into())).boxed(),
        Kind::Long => any::<i64>().prop_map(Value::Int).boxed(),
        Kind::Float | Kind::Double => prop::num::f64::NORMAL.prop_map(Value::Float).boxed(),
        Kind::String => any::<String>().prop_map(Value::Text).boxed(),
        Kind::Blob => vec(any::<u8>(), 0..40).prop_map(|b| Value::Blob(Bytes::from(b))).boxed(),
        Kind::Timestamp(format) => {
            // Each form has its own resolution; whole seconds fit all.
            let unit = if *format == Some(TimeFormat::Rfc822) { 1_000_000 } else { 1000 };
            (0..4_000_000_000_000i64).prop_map(move |ms| Value::Time(Timestamp(ms * 1000 / unit * unit))).boxed()
        }
        Kind::List { member, .. } => vec(value_of(member, below), items).prop_map(Value::List).boxed(),
        Kind::Map { value, .. } => prop::collection::btree_map(any::<String>(), value_of(value, below), items)
            .prop_map(|entries| Value::Map(entries.into_iter().collect()))
            .boxed(),
        Kind::Structure { .. } if depth == 0 => Just(Value::Struct(Vec::new())).boxed(),
        Kind::Structure { members, .. } => {
            let members = members.iter().filter(|m| m.place == Place::Body);
            let each: Vec<_> = members
                .map(|m| prop::option::of(value_of(m.schema, below)).prop_map(|v| v.map(|v| (m.name, v))))
                .collect();
            each.prop_map(|found| Value::Struct(found.into_iter().flatten().collect())).boxed()
        }
    }
}

/// Encodes an input as if it were an output, and decodes it as the input it is.
fn there_and_back(service: &'static ServiceModel, operation: &str, protocol: Protocol, value: &Value) -> Value {
    let ask = call(service, operation);
    let mut model = wire::OperationModel { output: ask.operation.input, ..copy(ask.operation) };
    model.input = ask.operation.input;
    let answer = {
        let mut turned = ask.clone();
        turned.operation = Box::leak(Box::new(model));
        codec::encode(&turned, protocol, value).unwrap()
    };
    codec::decode(&ask, &request(protocol, "/", &[], answer.into_body())).unwrap()
}

fn copy(model: &wire::OperationModel) -> wire::OperationModel {
    wire::OperationModel {
        name: model.name,
        method: model.method,
        uri: model.uri,
        status: model.status,
        input: model.input,
        output: model.output,
        result_wrapper: model.result_wrapper,
        errors: model.errors,
    }
}

/// Members in the order of their names: the order in which they came is no part of a value.
fn sorted(value: Value) -> Value {
    match value {
        Value::Struct(mut members) => {
            members.sort_by_key(|(name, _)| *name);
            Value::Struct(members.into_iter().map(|(name, v)| (name, sorted(v))).collect())
        }
        Value::Map(mut entries) => {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Map(entries.into_iter().map(|(name, v)| (name, sorted(v))).collect())
        }
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn input(service: &'static ServiceModel, operation: &str) -> BoxedStrategy<Value> {
    value_of(service.operation(operation).unwrap().model.unwrap().input, 6)
}

const PROTOCOLS: [Protocol; 7] = [
    Protocol::AwsJson10,
    Protocol::AwsJson11,
    Protocol::AwsCbor,
    Protocol::RpcCbor,
    Protocol::Query,
    Protocol::Ec2Query,
    Protocol::RestJson,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn json_and_both_cbors_come_back(
        records in input(&kinesis::SERVICE, "PutRecords"),
        targets in input(&events::SERVICE, "PutTargets"),
        entries in input(&events::SERVICE, "PutEvents"),
    ) {
        for protocol in [Protocol::AwsJson11, Protocol::AwsCbor, Protocol::RpcCbor] {
            let back = there_and_back(&kinesis::SERVICE, "PutRecords", protocol, &records);
            prop_assert_eq!(sorted(back), sorted(records.clone()));
            let back = there_and_back(&events::SERVICE, "PutTargets", protocol, &targets);
            prop_assert_eq!(sorted(back), sorted(targets.clone()));
            let back = there_and_back(&events::SERVICE, "PutEvents", protocol, &entries);
            prop_assert_eq!(sorted(back), sorted(entries.clone()));
        }
    }

    #[test]
    fn any_bytes_to_any_decoder_never_panic(
        bytes in vec(any::<u8>(), 0..200),
        text in "[{}\\[\\]\":,&=.%+A-Za-z0-9 ]{0,120}",
    ) {
        let operations = [
            (&kinesis::SERVICE, "PutRecords"),
            (&sns::SERVICE, "Publish"),
            (&sqs::SERVICE, "SendMessageBatch"),
            (&ec2::SERVICE, "DescribeInstances"),
            (&iam::SERVICE, "CreateRole"),
            (&lambda::SERVICE, "CreateFunction"),
        ];
        for (service, operation) in operations {
            for protocol in PROTOCOLS {
                for body in [Bytes::from(bytes.clone()), Bytes::from(text.clone())] {
                    let call = call(service, operation);
                    if let Ok(value) = codec::decode(&call, &request(protocol, "/a/b", &[], body)) {
                        let _ = wire::validate(service, call.operation.input, &value);
                        codec::to_json(call.operation.input, &value, codec::Style::default());
                    }
                }
            }
        }
    }

    #[test]
    fn broken_cbor_never_panics(records in input(&kinesis::SERVICE, "PutRecords"), at in any::<prop::sample::Index>(), byte: u8) {
        let ask = call(&kinesis::SERVICE, "PutRecords");
        let mut turned = ask.clone();
        let model = wire::OperationModel { output: ask.operation.input, ..copy(ask.operation) };
        turned.operation = Box::leak(Box::new(model));
        let mut bytes = codec::encode(&turned, Protocol::AwsCbor, &records).unwrap().into_body().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = codec::decode(&ask, &request(Protocol::AwsCbor, "/", &[], bytes));
    }

    #[test]
    fn any_signature_is_judged_without_panic(text in "(AWS4-HMAC-SHA256 )?[ -~]{0,120}", date in "[0-9TZ]{0,17}", query in "(X-Amz-[A-Z][a-z]{0,8}=[a-z0-9/%&=-]{0,30}&){0,5}") {
        let uri = format!("/?{query}");
        let head = http::Request::builder().uri(uri).header("authorization", text).header("x-amz-date", date).body(());
        let (head, ()) = head.unwrap().into_parts();
        let signed = Signed { head: &head, body: b"", service: "s", regions: &["r"], rules: SigningRules::default(), now: Timestamp(0) };
        prop_assert!(Verifier::new(Duration::ZERO).verify(&signed, &crate::house::Keys).is_err());
    }
}
