//! What pipes are asked: settings, states, refusals, lists, tags; and what a crash leaves.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::sync::Arc;
use support::{DEAD, ENRICH, FUNCTION, House, QUEUE, ROLE, STREAM, TO, stream};
use world::disk::SimDisk;

fn base() -> Value {
    json!({"Name": "p", "RoleArn": ROLE, "Source": QUEUE, "Target": TO})
}

fn with(more: Value) -> Value {
    let mut input = base();
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_shown() {
    let house = House::new().await;
    let set = json!({
        "Description": "d", "Tags": {"a": "1"}, "Source": STREAM, "Enrichment": ENRICH,
        "EnrichmentParameters": {"InputTemplate": "<$.data>"},
        "SourceParameters": {
            "FilterCriteria": {"Filters": [{"Pattern": r#"{"data":{"a":[1]}}"#}]},
            "KinesisStreamParameters": {
                "BatchSize": 7, "MaximumBatchingWindowInSeconds": 2, "MaximumRecordAgeInSeconds": 60,
                "MaximumRetryAttempts": 3, "ParallelizationFactor": 4, "StartingPosition": "TRIM_HORIZON",
                "OnPartialBatchItemFailure": "AUTOMATIC_BISECT", "DeadLetterConfig": {"Arn": DEAD},
            },
        },
        "TargetParameters": {
            "InputTemplate": "x", "SqsQueueParameters": {"MessageGroupId": "$.g", "MessageDeduplicationId": "d"},
        },
    });
    let made = house.done("CreatePipe", with(set.clone())).await;
    assert_eq!((made["CurrentState"].as_str(), made["DesiredState"].as_str()), (Some("CREATING"), Some("RUNNING")));
    house.pass(1).await;
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    for (name, value) in set.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert_eq!((shown["CurrentState"].as_str(), shown["RoleArn"].as_str()), (Some("RUNNING"), Some(ROLE)));
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_what_it_says() {
    let house = House::new().await;
    let parameters = stream(json!({"BatchSize": 5, "MaximumRetryAttempts": 3}));
    house
        .pipe(json!({"Source": STREAM, "SourceParameters": parameters, "Enrichment": ENRICH, "Description": "d"}))
        .await;
    let update = json!({
        "Name": "p", "RoleArn": ROLE, "Enrichment": "", "Target": FUNCTION,
        "SourceParameters": {"KinesisStreamParameters": {"BatchSize": 300}},
        "TargetParameters": {"LambdaFunctionParameters": {"InvocationType": "FIRE_AND_FORGET"}},
    });
    assert_eq!(house.done("UpdatePipe", update).await["CurrentState"], "UPDATING");
    assert_eq!(house.refused("StopPipe", json!({"Name": "p"})).await.0, "ConflictException");
    house.pass(1).await;
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    let read = &shown["SourceParameters"]["KinesisStreamParameters"];
    assert_eq!((&read["BatchSize"], &read["MaximumRetryAttempts"]), (&json!(300), &json!(-1)), "one value");
    assert_eq!((&shown["Enrichment"], &shown["Description"]), (&Value::Null, &json!("d")));
    house.put(&["1"]);
    house.pass(1).await;
    assert_eq!(house.envelopes()[0].attributes["invocation"], "Event");
    let too_large = json!({"Name": "p", "RoleArn": ROLE, "Target": TO});
    assert_eq!(house.refused("UpdatePipe", too_large).await.0, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let house = House::new().await;
    let arn = |rest: &str| format!("arn:aws:{rest}");
    for (input, error) in [
        (json!({"Source": arn("dynamodb:us-east-1:000000000000:table/t/stream/x")}), "NotImplementedException"),
        (json!({"Source": arn("mq:us-east-1:000000000000:broker:b:1")}), "NotImplementedException"),
        (json!({"Source": arn("kafka:us-east-1:000000000000:cluster/c/1")}), "NotImplementedException"),
        (json!({"Source": arn("s3:::bucket")}), "ValidationException"),
        (json!({"Source": arn("sqs:us-east-1:000000000000:none")}), "NotFoundException"),
        (json!({"RoleArn": arn("iam::000000000000:role/other")}), "ValidationException"),
        (json!({"Target": arn("ecs:us-east-1:000000000000:cluster/c")}), "NotImplementedException"),
        (json!({"Target": arn("timestream:us-east-1:000000000000:database/d/table/t")}), "NotImplementedException"),
        (json!({"Target": arn("dynamodb:us-east-1:000000000000:table/t")}), "ValidationException"),
        (json!({"Target": STREAM}), "ValidationException"),
        (json!({"Target": FUNCTION, "TargetParameters": {"SqsQueueParameters": {}}}), "ValidationException"),
        (
            json!({"TargetParameters": {"TimestreamParameters": {"TimeValue": "t", "VersionValue": "v", "DimensionMappings": [
            {"DimensionValue": "a", "DimensionValueType": "VARCHAR", "DimensionName": "n"}]}}}),
            "NotImplementedException",
        ),
        (json!({"TargetParameters": {"InputTemplate": "<aws.pipes.none>"}}), "ValidationException"),
        (json!({"SourceParameters": stream(json!({}))}), "ValidationException"),
        (json!({"Source": STREAM}), "ValidationException"),
        (json!({"SourceParameters": {"SqsQueueParameters": {"BatchSize": 11}}}), "ValidationException"),
        (json!({"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "[]"}]}}}), "ValidationException"),
        (json!({"Enrichment": arn("states:us-east-1:000000000000:stateMachine:m")}), "NotImplementedException"),
        (json!({"EnrichmentParameters": {"InputTemplate": "x"}}), "ValidationException"),
        (json!({"LogConfiguration": {"Level": "ERROR"}}), "ValidationException"),
        (
            json!({"LogConfiguration": {"Level": "ERROR", "FirehoseLogDestination": {
            "DeliveryStreamArn": arn("firehose:us-east-1:000000000000:deliverystream/d")}}}),
            "NotImplementedException",
        ),
        (json!({"KmsKeyIdentifier": "k"}), "NotImplementedException"),
        (json!({"Tags": {"aws:x": "1"}}), "ValidationException"),
    ] {
        assert_eq!(house.refused("CreatePipe", with(input.clone())).await.0, error, "{input}");
    }
    *house.queue.fifo.lock().unwrap() = true;
    let windowed = json!({"SourceParameters": {"SqsQueueParameters": {"MaximumBatchingWindowInSeconds": 1}}});
    assert_eq!(house.refused("CreatePipe", with(windowed)).await.0, "ValidationException");
    for operation in ["DescribePipe", "DeletePipe", "StartPipe", "StopPipe"] {
        assert_eq!(house.refused(operation, json!({"Name": "p"})).await.0, "NotFoundException", "{operation}");
    }
    assert!(house.checkpoints.consumers().is_empty(), "what is refused leaves nothing");
    house.done("CreatePipe", with(json!({"LogConfiguration": {"Level": "OFF"}}))).await;
    assert_eq!(house.refused("CreatePipe", base()).await.0, "ConflictException");
}

#[tokio::test(start_paused = true)]
async fn lists_have_pages_and_filters() {
    let house = House::new().await;
    for (name, state) in [("a1", "RUNNING"), ("a2", "STOPPED"), ("b1", "RUNNING"), ("a3", "RUNNING")] {
        house.done("CreatePipe", with(json!({"Name": name, "DesiredState": state}))).await;
    }
    house.pass(1).await;
    let names = |answer: &Value| -> Vec<String> {
        answer["Pipes"].as_array().unwrap().iter().map(|pipe| pipe["Name"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.done("ListPipes", json!({"NamePrefix": "a", "Limit": 2})).await;
    assert_eq!(names(&first), ["a1", "a2"]);
    let second = house.done("ListPipes", json!({"NamePrefix": "a", "Limit": 2, "NextToken": first["NextToken"]})).await;
    assert_eq!((names(&second), second.get("NextToken")), (vec!["a3".to_owned()], None));
    assert_eq!(names(&house.done("ListPipes", json!({"CurrentState": "STOPPED"})).await), ["a2"]);
    assert_eq!(
        names(&house.done("ListPipes", json!({"DesiredState": "RUNNING", "SourcePrefix": QUEUE})).await).len(),
        3
    );
    assert!(names(&house.done("ListPipes", json!({"TargetPrefix": STREAM})).await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_no_list_gave_are_refused() {
    let house = House::new().await;
    for token in ["a1", "YTE=", "x/y"] {
        let (name, why) = house.refused("ListPipes", json!({"NextToken": token})).await;
        assert_eq!((name, why.as_str()), ("ValidationException", "The NextToken is invalid."), "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_does_not_parse_says_why() {
    let house = House::new().await;
    for (pattern, why) in [("{\"body\":", "nexpected"), (r#"{"a":1}"#, "must be an object or an array")] {
        let filters = json!({"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": pattern}]}}});
        let (_, said) = house.refused("CreatePipe", with(filters)).await;
        assert!(said.starts_with("Invalid filter pattern definition. Reason: ") && said.contains(why), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_come_and_go() {
    let house = House::new().await;
    let arn = house.done("CreatePipe", with(json!({"Tags": {"a": "1"}}))).await["Arn"].clone();
    house.done("TagResource", json!({"resourceArn": arn, "tags": {"b": "2"}})).await;
    house.done("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]})).await;
    let tags = house.done("ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(tags, json!({"tags": {"b": "2"}}));
    let many: Value = (0..50).map(|i| (format!("k{i}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    let refused = house.refused("TagResource", json!({"resourceArn": arn, "tags": many})).await;
    assert_eq!(refused.0, "ServiceQuotaExceededException");
    let other = "arn:aws:pipes:us-east-1:000000000000:pipe/other";
    assert_eq!(house.refused("ListTagsForResource", json!({"resourceArn": other})).await.0, "NotFoundException");
}

/// The life of one process: everything it started dies with it.
fn life<F: Future<Output = ()>>(live: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(live);
}

#[test]
fn pipes_go_on_after_a_crash_where_they_were() {
    let disk = Arc::new(SimDisk::new(5));
    let (world, _) = world::World::simulated(9);
    let source = Arc::new(support::Stream::new(world.now()));
    let queue = Arc::new(support::Queue::new(QUEUE, world.clock.clone()));
    life(async {
        let house = House::on(&disk, source.clone(), queue.clone()).await;
        let target = json!({"InputTemplate": "<$.data>"});
        house.pipe(json!({"Source": STREAM, "SourceParameters": stream(json!({})), "TargetParameters": target})).await;
        house.put(&["1", "2"]);
        house.pass(5).await;
        assert_eq!(house.accepted(TO), ["1", "2"]);
        house.put(&["3"]);
    });
    disk.crash();
    life(async {
        let house = House::on(&disk, source.clone(), queue.clone()).await;
        house.pass(5).await;
        assert_eq!(house.accepted(TO), ["3"], "not again what was through long ago, and nothing lost");
    });
}
