//! Modelled constraints and the texts of their violations.

use crate::house::{blob, list, map, structure, text};
use bytes::Bytes;
use shapes::{ec2, events, kinesis, lambda, sqs};
use std::collections::BTreeSet;
use wire::{Kind, Schema, ServiceModel, Value, validate};

fn refusal(service: &ServiceModel, operation: &str, input: &Value) -> (&'static str, String) {
    let model = service.operation(operation).unwrap().model.unwrap();
    let error = validate(service, model.input, input).unwrap_err();
    (error.model.name, error.message)
}

#[track_caller]
fn refused(operation: &str, input: &Value, message: &str) {
    assert_eq!(refusal(&kinesis::SERVICE, operation, input), ("ValidationException", message.to_owned()));
}

#[test]
fn missing_members() {
    refused(
        "CreateStream",
        &structure([]),
        "1 validation error detected: Value null at 'streamName' failed to satisfy constraint: Member must not be null",
    );
    refused(
        "GetShardIterator",
        &structure([]),
        "2 validation errors detected: Value null at 'shardId' failed to satisfy constraint: Member must not be null; \
         Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null",
    );
}

#[test]
fn texts_numbers_and_enumerations() {
    refused(
        "CreateStream",
        &structure([("StreamName", text("a b"))]),
        "1 validation error detected: Value 'a b' at 'streamName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [a-zA-Z0-9_.-]+",
    );
    refused(
        "CreateStream",
        &structure([("StreamName", text(&"a".repeat(129)))]),
        &format!(
            "1 validation error detected: Value '{}' at 'streamName' failed to satisfy constraint: Member must have \
             length less than or equal to 128",
            "a".repeat(129)
        ),
    );
    refused(
        "CreateStream",
        &structure([("StreamName", text("s")), ("ShardCount", Value::Int(0))]),
        "1 validation error detected: Value '0' at 'shardCount' failed to satisfy constraint: Member must have value \
         greater than or equal to 1",
    );
    let (_, message) = refusal(
        &kinesis::SERVICE,
        "GetShardIterator",
        &structure([("StreamName", text("s")), ("ShardId", text("s")), ("ShardIteratorType", text("NOW"))]),
    );
    assert_eq!(
        message,
        "1 validation error detected: Value 'NOW' at 'shardIteratorType' failed to satisfy constraint: Member must \
         satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]"
    );
}

#[test]
fn members_of_lists_and_maps() {
    let record = |key: &str| structure([("Data", blob(b"x")), ("PartitionKey", text(key))]);
    refused(
        "PutRecords",
        &structure([("StreamName", text("s")), ("Records", list([record("p"), record("")]))]),
        "1 validation error detected: Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member \
         must have length greater than or equal to 1",
    );
    refused(
        "PutRecords",
        &structure([("StreamName", text("s")), ("Records", list([]))]),
        "1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: Member must have length \
         greater than or equal to 1",
    );
    refused(
        "AddTagsToStream",
        &structure([("StreamName", text("s")), ("Tags", map([("k", text(&"v".repeat(257)))]))]),
        &format!(
            "1 validation error detected: Value '{{k={}}}' at 'tags' failed to satisfy constraint: Map value must satisfy \
             constraint: [Member must have length less than or equal to 256, Member must have length greater than or \
             equal to 0]",
            "v".repeat(257)
        ),
    );
    refused(
        "RemoveTagsFromStream",
        &structure([("StreamName", text("s")), ("TagKeys", list([text("")]))]),
        "1 validation error detected: Value '[]' at 'tagKeys' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal \
         to 1]",
    );
}

#[test]
fn blobs_are_measured_in_bytes_and_not_shown() {
    let (_, message) = refusal(
        &kinesis::SERVICE,
        "PutRecord",
        &structure([
            ("StreamName", text("s")),
            ("Data", Value::Blob(Bytes::from(vec![0; 11 << 20]))),
            ("PartitionKey", text("p")),
        ]),
    );
    assert!(
        message.starts_with(
            "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=11534336 cap=11534336]' at 'data'"
        ),
        "{message}"
    );
}

#[test]
fn sensitive_values_are_not_shown() {
    let variables = map([("not a name", text("hush"))]);
    let input = structure([("FunctionName", text("f")), ("Environment", structure([("Variables", variables)]))]);
    let (_, message) = refusal(&lambda::SERVICE, "UpdateFunctionConfiguration", &input);
    assert!(
        message.contains(
            "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: ["
        ),
        "{message}"
    );
    assert!(!message.contains("hush"));
}

#[test]
fn services_with_words_of_their_own() {
    assert_eq!(
        refusal(&ec2::SERVICE, "TerminateInstances", &structure([])),
        ("MissingParameter", "The request must contain the parameter InstanceId".to_owned())
    );
    assert_eq!(
        refusal(&sqs::SERVICE, "SendMessage", &structure([("QueueUrl", text("u"))])),
        ("MissingRequiredParameterException", "The request must contain the parameter MessageBody.".to_owned())
    );
}

#[test]
fn tags_may_hold_letters_of_any_language() {
    let model = events::SERVICE.operation("PutRule").unwrap().model.unwrap();
    let input = structure([
        ("Name", text("r")),
        ("Tags", list([structure([("Key", text("größe")), ("Value", text("日本 1"))])])),
    ]);
    assert_eq!(validate(&events::SERVICE, model.input, &input), Ok(()));
}

/// Patterns with look-around: they constrain nothing here, and this is the whole list of them.
#[test]
fn patterns_that_cannot_be_compiled_are_known() {
    let mut found = BTreeSet::new();
    let services: [&ServiceModel; 10] = [
        &shapes::scheduler::SERVICE,
        &shapes::kinesis::SERVICE,
        &shapes::events::SERVICE,
        &shapes::cloudtrail::SERVICE,
        &shapes::sqs::SERVICE,
        &shapes::sns::SERVICE,
        &shapes::iam::SERVICE,
        &shapes::sts::SERVICE,
        &shapes::ec2::SERVICE,
        &shapes::lambda::SERVICE,
    ];
    for service in services {
        for model in service.operations.iter().filter_map(|entry| entry.model) {
            collect(model.input, &mut BTreeSet::new(), &mut found);
        }
    }
    let uncompiled: Vec<_> = found.into_iter().filter(|pattern| !wire::compiles(pattern)).collect();
    assert_eq!(uncompiled, UNCOMPILED);
}

const UNCOMPILED: &[&str] = &[
    r"(?=[/\.\-_A-Za-z0-9]+)((?!aws\.).*)|(\$(\.[\w_-]+(\[(\d+|\*)\])*)*)",
    r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)",
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
    r"[0-9A-Za-z\.\-_]*(?<!\.)",
];

fn collect(schema: &'static Schema, seen: &mut BTreeSet<*const Schema>, found: &mut BTreeSet<&'static str>) {
    if !seen.insert(schema) {
        return;
    }
    found.extend(schema.limits.pattern);
    match &schema.kind {
        Kind::List { member, .. } => collect(member, seen, found),
        Kind::Map { key, value, .. } => [key, value].into_iter().for_each(|s| collect(s, seen, found)),
        Kind::Structure { members, .. } => members.iter().for_each(|m| collect(m.schema, seen, found)),
        _ => {}
    }
}
