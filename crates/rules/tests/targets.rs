//! Which targets a rule may have.

mod support;

use serde_json::{Value, json};
use support::{FUNCTION, GHOST, House, QUEUE, STREAM, TOPIC, house};

async fn with_rule() -> House {
    let house = house().await;
    house.done("PutRule", json!({"Name": "r", "EventPattern": r#"{"source":["x"]}"#})).await;
    house
}

fn put(mut target: Value) -> Value {
    target["Id"] = json!("t");
    json!({"Rule": "r", "Targets": [target]})
}

#[tokio::test(start_paused = true)]
async fn a_target_is_listed_as_it_was_put() {
    let house = with_rule().await;
    let targets = json!([
        {"Id": "a", "Arn": FUNCTION, "RoleArn": "arn:aws:iam::000000000000:role/r", "InputTransformer":
            {"InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": "\"<x>\""},
         "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}, "DeadLetterConfig": {"Arn": QUEUE}},
        // AWS is not known to look at the roles of targets before it sends.
        {"Id": "b", "Arn": QUEUE, "RoleArn": GHOST, "Input": "{\"a\":1}"},
        {"Id": "c", "Arn": STREAM, "InputPath": "$.detail", "KinesisParameters": {"PartitionKeyPath": "$.id"}},
        {"Id": "d", "Arn": format!("{QUEUE}.fifo"), "SqsParameters": {"MessageGroupId": "g"}},
    ]);
    house.done("PutTargets", json!({"Rule": "r", "Targets": targets})).await;
    assert_eq!(house.done("ListTargetsByRule", json!({"Rule": "r"})).await, json!({"Targets": targets}));
    // The same id again replaces.
    house.done("PutTargets", json!({"Rule": "r", "Targets": [{"Id": "a", "Arn": TOPIC}]})).await;
    let listed = house.done("ListTargetsByRule", json!({"Rule": "r"})).await;
    assert_eq!(listed["Targets"][0], json!({"Id": "a", "Arn": TOPIC}));
    let removed = house.done("RemoveTargets", json!({"Rule": "r", "Ids": ["a", "none"]})).await;
    assert_eq!((&removed["FailedEntryCount"], &removed["FailedEntries"][0]["TargetId"]), (&json!(1), &json!("none")));
    let listed = house.done("ListTargetsByRule", json!({"Rule": "r"})).await;
    assert_eq!(listed["Targets"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_fails_by_name_and_alone() {
    let house = with_rule().await;
    let ecs = json!({"TaskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task-definition/t"});
    let targets = json!([
        {"Id": "machine", "Arn": "arn:aws:states:us-east-1:000000000000:stateMachine:m"},
        {"Id": "ecs", "Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c", "EcsParameters": ecs},
        {"Id": "far", "Arn": "arn:aws:sqs:eu-west-1:000000000000:q"},
        {"Id": "dead", "Arn": QUEUE, "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:111111111111:q"}},
        {"Id": "bus", "Arn": "arn:aws:events:us-east-1:000000000000:event-bus/b", "InputPath": "$.detail"},
        {"Id": "fine", "Arn": QUEUE},
    ]);
    let answer = house.done("PutTargets", json!({"Rule": "r", "Targets": targets})).await;
    assert_eq!(answer["FailedEntryCount"], 5);
    let failed = answer["FailedEntries"].as_array().unwrap();
    for (place, (id, word)) in [
        ("machine", "states"),
        ("ecs", "EcsParameters"),
        ("far", "regions"),
        ("dead", "dead-letter"),
        ("bus", "inputs"),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(failed[place]["TargetId"], *id);
        let message = failed[place]["ErrorMessage"].as_str().unwrap();
        assert!(message.starts_with("Headwater does not serve") && message.contains(word), "{message}");
    }
    let listed = house.done("ListTargetsByRule", json!({"Rule": "r"})).await;
    assert_eq!(listed, json!({"Targets": [{"Id": "fine", "Arn": QUEUE}]}));
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_fails_the_call() {
    let house = with_rule().await;
    let fifo = format!("{QUEUE}.fifo");
    for (target, message) in [
        (json!({"Arn": "queue"}), "Parameter queue is not valid. Reason: Provided Arn is not in correct format."),
        (json!({"Arn": fifo}), "Parameter(s) SqsParameters must be specified for target: t."),
        (
            json!({"Arn": TOPIC, "KinesisParameters": {"PartitionKeyPath": "$.id"}}),
            "Parameter(s) KinesisParameters not valid for target: t.",
        ),
        (
            json!({"Arn": TOPIC, "HttpParameters": {"PathParameterValues": ["a"]}}),
            "Parameter(s) HttpParameters not valid for target: t.",
        ),
        (
            json!({"Arn": TOPIC, "Input": "{}", "InputPath": "$"}),
            "Only one of Input, InputPath, or InputTransformer must be provided for target t.",
        ),
        (json!({"Arn": TOPIC, "Input": "{"}), "JSON syntax error in input for target t"),
        (
            json!({"Arn": TOPIC, "InputTransformer": {"InputTemplate": "{\"a\": <none>}"}}),
            "InputTemplate for target t contains invalid placeholder none.",
        ),
        (
            json!({"Arn": TOPIC, "DeadLetterConfig": {"Arn": TOPIC}}),
            "Parameter DeadLetterConfig of target t is not valid. Reason: it must be the ARN of a standard SQS queue.",
        ),
    ] {
        assert_eq!(house.refused("PutTargets", put(target)).await, ("ValidationException", message.to_owned()));
    }
    let retries = json!({"Arn": TOPIC, "RetryPolicy": {"MaximumRetryAttempts": 186}});
    assert_eq!(house.refused("PutTargets", put(retries)).await.0, "ValidationException");
    let none = json!({"Rule": "none", "Targets": [{"Id": "t", "Arn": QUEUE}]});
    let message = "Rule none does not exist on EventBus default.";
    assert_eq!(house.refused("PutTargets", none).await, ("ResourceNotFoundException", message.to_owned()));
    assert_eq!(house.done("ListTargetsByRule", json!({"Rule": "r"})).await, json!({"Targets": []}));
}

#[tokio::test(start_paused = true)]
async fn a_rule_has_five_targets() {
    let house = with_rule().await;
    let targets: Vec<_> = (0..5).map(|i| json!({"Id": format!("t{i}"), "Arn": QUEUE})).collect();
    house.done("PutTargets", json!({"Rule": "r", "Targets": targets})).await;
    let refused = house.refused("PutTargets", put(json!({"Arn": QUEUE}))).await;
    assert_eq!(
        refused,
        ("LimitExceededException", "The requested resource exceeds the maximum number allowed.".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_group_takes_the_event_or_one_kind_of_template() {
    let house = with_rule().await;
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/g";
    let made = |template: &str| {
        json!({"Arn": format!("{group}:*"), "InputTransformer":
            {"InputPathsMap": {"at": "$.time", "m": "$.detail.m"}, "InputTemplate": template}})
    };
    for target in [
        json!({"Arn": group}),
        made(r#"{"timestamp": <at>, "message": <m>}"#),
        made(r#"{"message": "it is <m> at <at>", "timestamp" : <aws.events.event.ingestion-time>}"#),
    ] {
        house.done("PutTargets", put(target)).await;
    }
    for target in [
        json!({"Arn": group, "Input": r#"{"timestamp": 1, "message": "m"}"#}),
        json!({"Arn": group, "InputPath": "$.detail"}),
        made("\"<m>\""),
        made(r#"{"timestamp": <at>, "message": <m>, "more": 1}"#),
        made(r#"{"message": <m>}"#),
        made(r#"{"timestamp": <at>, "timestamp": <at>, "message": <m>}"#),
    ] {
        let (code, why) = house.refused("PutTargets", put(target)).await;
        assert_eq!(code, "ValidationException");
        assert!(why.contains("a log group takes the matched event"), "{why}");
    }
    for arn in [
        "arn:aws:sqs:us-east-1:000000000000:q:x",
        "arn:aws:lambda:us-east-1:000000000000:function:",
        "arn:aws:lambda:us-east-1:000000000000:function:f:1:2",
        "arn:aws:kinesis:us-east-1:000000000000:stream/",
        "arn:aws:logs:us-east-1:000000000000:log-group:",
        "arn:aws:events:us-east-1:000000000000:event-bus/",
    ] {
        let (code, why) = house.refused("PutTargets", put(json!({"Arn": arn}))).await;
        assert!(code == "ValidationException" && why.contains("Provided Arn is not in correct format"), "{arn}: {why}");
    }
    let china = put(json!({"Arn": "arn:aws-cn:sqs:us-east-1:000000000000:q"}));
    let failed = house.done("PutTargets", china).await;
    assert!(
        failed["FailedEntries"][0]["ErrorMessage"].as_str().unwrap().contains("other accounts or regions"),
        "{failed}"
    );
    for arn in [format!("{group}:log-stream:s"), format!("{group}:log-stream:s:*"), format!("{group}:*:*")] {
        let (code, why) = house.refused("PutTargets", put(json!({"Arn": arn}))).await;
        assert_eq!(code, "ValidationException");
        assert!(why.contains(&arn) && why.contains("not a part of one"), "{why}");
    }
}
