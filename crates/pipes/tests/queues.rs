//! Pipes that empty a queue.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{FUNCTION, House, QUEUE, TO, away, fails, ok};

fn body(envelope: &delivery::Envelope) -> String {
    String::from_utf8(envelope.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn messages_are_deleted_once_the_target_has_them() {
    let house = House::new().await;
    let filters = json!({"FilterCriteria": {"Filters": [{"Pattern": r#"{"body":["a","b"]}"#}]}});
    let target = json!({"InputTemplate": "got <$.body>"});
    house.pipe(json!({"Source": QUEUE, "SourceParameters": filters, "TargetParameters": target})).await;
    house.script(|_, _| away());
    house.queue.send(&["a", "b", "c"]);
    house.pass(5).await;
    assert_eq!(house.queue.deleted(), ["c"], "what no filter lets through goes at once");
    house.script(|_, _| ok(Value::Null));
    house.pass(120).await;
    assert_eq!(house.accepted(TO), ["got a", "got b"]);
    assert_eq!(house.queue.deleted(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_target_refuses_comes_back_and_the_others_go() {
    let house = House::new().await;
    house.pipe(json!({"Source": QUEUE, "TargetParameters": {"InputTemplate": "<$.body>"}})).await;
    house.script(|envelope, number| match body(envelope).as_str() {
        "bad" if number < 5 => delivery::Verdict::Refused { code: "InvalidMessageContents".into(), why: "no".into() },
        _ => ok(Value::Null),
    });
    house.queue.send(&["a", "bad", "c"]);
    house.pass(5).await;
    assert_eq!(house.queue.deleted(), ["a", "c"]);
    assert_eq!(house.counted("TargetStagePartiallyFailed"), 1);
    house.pass(200).await;
    assert_eq!(house.queue.deleted(), ["a", "bad", "c"]);
    assert_eq!(house.accepted(TO), ["a", "c", "bad"], "nobody got anything twice");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_gets_its_batch_after_the_visibility_timeout() {
    let house = House::new().await;
    house.pipe(json!({"Source": QUEUE, "Target": FUNCTION})).await;
    house.script(|envelope, number| match number {
        0 => fails(),
        1 => {
            let events: Value = serde_json::from_slice(&envelope.body).unwrap();
            ok(json!({"batchItemFailures": [{"itemIdentifier": events[0]["messageId"]}]}))
        }
        _ => ok(Value::Null),
    });
    house.queue.send(&["a", "b"]);
    house.pass(20).await;
    assert_eq!(house.tries(), 1, "it is the queue's to bring it back");
    house.pass(20).await;
    assert_eq!((house.tries(), house.queue.deleted()), (2, vec!["b".to_owned()]));
    house.pass(40).await;
    assert_eq!((house.tries(), house.queue.deleted()), (3, vec!["a".to_owned(), "b".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_is_stopped_gives_back_what_it_has() {
    let house = House::new().await;
    house.pipe(json!({"Source": QUEUE, "TargetParameters": {"InputTemplate": "<$.body>"}})).await;
    house.script(|_, _| away());
    house.queue.send(&["a"]);
    house.pass(5).await;
    house.done("StopPipe", json!({"Name": "p"})).await;
    house.pass(1).await;
    house.script(|_, _| ok(Value::Null));
    house.done("StartPipe", json!({"Name": "p"})).await;
    house.pass(2).await;
    assert_eq!(house.accepted(TO), ["a"], "long before its visibility time-out");
}

#[tokio::test(start_paused = true)]
async fn executions_are_told_of_at_the_level_that_was_asked_for() {
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    let house = House::new().await;
    let log = json!({
        "Level": "INFO", "IncludeExecutionData": ["ALL"], "CloudwatchLogsLogDestination": {"LogGroupArn": group},
    });
    house.pipe(json!({"Source": QUEUE, "Target": FUNCTION, "LogConfiguration": log})).await;
    assert_eq!(house.done("DescribePipe", json!({"Name": "p"})).await["LogConfiguration"], log);
    house.script(|envelope, number| match envelope.to.service() {
        "lambda" if number == 0 => fails(),
        _ => ok(Value::Null),
    });
    house.queue.send(&["a"]);
    house.pass(40).await;
    let records: Vec<Value> = house
        .accepted(group)
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap())
        .map(|event| serde_json::from_str(event["message"].as_str().unwrap()).unwrap())
        .collect();
    let steps: Vec<&str> = records.iter().map(|record| record["messageType"].as_str().unwrap()).collect();
    let wanted = [
        "ExecutionStarted",
        "TargetStageEntered",
        "TargetInvocationFailed",
        "TargetStageFailed",
        "ExecutionFailed",
        "ExecutionStarted",
        "TargetStageEntered",
        "TargetStageSucceeded",
        "ExecutionSucceeded",
    ];
    assert_eq!(steps, wanted);
    assert_eq!(records[2]["error"]["message"], "FunctionError");
    assert!(records[0]["payload"].as_str().unwrap().contains("\"body\":\"a\""));
    assert_eq!(records[0]["executionId"], records[4]["executionId"]);
    assert_ne!(records[0]["executionId"], records[5]["executionId"], "each try is an execution");
}

#[tokio::test(start_paused = true)]
async fn without_its_role_a_pipe_waits_and_says_so() {
    let house = House::new().await;
    house.pipe(json!({"Source": QUEUE, "TargetParameters": {"InputTemplate": "<$.body>"}})).await;
    house.role(false);
    house.queue.send(&["1"]);
    house.pass(20).await;
    assert_eq!((house.tries(), house.queue.receives()), (0, 1), "it is given back, and not taken again and again");
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    let why = format!("The role {} cannot be assumed by pipes.amazonaws.com.", support::ROLE);
    assert_eq!((&shown["CurrentState"], &shown["StateReason"]), (&json!("RUNNING"), &json!(why)));
    house.role(true);
    house.pass(6).await;
    assert_eq!((house.accepted(TO), house.queue.deleted()), (vec!["1".to_owned()], vec!["1".to_owned()]));
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    assert_eq!(shown.get("StateReason"), None);
}
