//! Pipes that read a stream.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{DEAD, ENRICH, FUNCTION, House, STREAM, TO, away, fails, ok, stream};

const DATA: &str = "<$.data>";

fn body(envelope: &delivery::Envelope) -> String {
    String::from_utf8(envelope.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn records_pass_a_filter_in_order() {
    let house = House::new().await;
    let mut parameters = stream(json!({"BatchSize": 3}));
    parameters["FilterCriteria"] = json!({"Filters": [{"Pattern": r#"{"data":{"n":[{"numeric":["<",5]}]}}"#}]});
    let target = json!({"InputTemplate": r#"{"n": <$.data.n>, "by": <aws.pipes.pipe-name>}"#});
    house.pipe(json!({"Source": STREAM, "SourceParameters": parameters, "TargetParameters": target})).await;
    let data: Vec<String> = (0..7).map(|n| json!({"n": n}).to_string()).collect();
    house.put(&data.iter().map(String::as_str).collect::<Vec<_>>());
    house.put(&["no JSON"]);
    house.pass(1).await;
    let wanted: Vec<String> = (0..5).map(|n| format!(r#"{{"n": {n}, "by": "p"}}"#)).collect();
    assert_eq!(house.accepted(TO), wanted);
    assert_eq!((house.counted("EventCount"), house.counted("ExecutionFailed")), (5, 0));
    let envelope = house.envelopes().remove(0);
    assert_eq!(envelope.principal, "pipes.amazonaws.com");
    assert_eq!(envelope.from.unwrap().as_str(), "arn:aws:pipes:us-east-1:000000000000:pipe/p");
}

#[tokio::test(start_paused = true)]
async fn without_a_template_a_target_gets_the_record_as_documented() {
    let house = House::new().await;
    house.pipe(json!({"Source": STREAM, "SourceParameters": stream(json!({})), "Target": FUNCTION})).await;
    house.put(&["Hello, this is a test."]);
    house.pass(1).await;
    let events: Value = serde_json::from_str(&house.accepted(FUNCTION)[0]).unwrap();
    assert_eq!(
        events[0],
        json!({
            "kinesisSchemaVersion": "1.0", "partitionKey": "k", "sequenceNumber": "00000",
            "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
            "approximateArrivalTimestamp": events[0]["approximateArrivalTimestamp"],
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shardId-000000000000:00000",
            "eventName": "aws:kinesis:record", "invokeIdentityArn": support::ROLE,
            "awsRegion": "us-east-1", "eventSourceARN": STREAM,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_holds_the_shard_and_loses_nothing() {
    let house = House::new().await;
    let target = json!({"InputTemplate": DATA});
    house
        .pipe(json!({"Source": STREAM, "SourceParameters": stream(json!({"MaximumRetryAttempts": 0})), "TargetParameters": target}))
        .await;
    house.script(|_, _| away());
    house.put(&["1", "2", "3"]);
    house.pass(3600).await;
    assert!(house.tries() > 10, "what is nobody's fault counts as no retry");
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    assert_eq!(
        (shown["CurrentState"].as_str(), shown["StateReason"].as_str()),
        (Some("RUNNING"), Some("InternalFailure: down"))
    );
    house.script(|_, _| ok(Value::Null));
    house.pass(60).await;
    assert_eq!(house.accepted(TO), ["1", "2", "3"]);
    assert!(house.counted("ExecutionFailed") > 10);
    assert_eq!(house.done("DescribePipe", json!({"Name": "p"})).await["StateReason"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_is_halved_and_told_of() {
    let house = House::new().await;
    let parameters = stream(json!({
        "BatchSize": 4, "MaximumRetryAttempts": 2, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
        "DeadLetterConfig": {"Arn": DEAD},
    }));
    let target = json!({"InputTemplate": "{\"d\": <$.data>}"});
    house
        .pipe(json!({"Source": STREAM, "SourceParameters": parameters, "Target": FUNCTION, "TargetParameters": target}))
        .await;
    house.script(|envelope, _| if body(envelope).contains("13") { fails() } else { ok(json!("done")) });
    house.put(&["11", "12", "13", "14"]);
    house.pass(600).await;
    let batches: Vec<String> = house.accepted(FUNCTION);
    assert_eq!(batches, [r#"[{"d": 11},{"d": 12}]"#, r#"[{"d": 14}]"#]);
    let letters = house.accepted(DEAD);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert_eq!((letters.len(), &letter["context"]["condition"]), (1, &json!("RetryAttemptsExhausted")));
    assert_eq!(letter["KinesisBatchInfo"]["startSequenceNumber"], "00002");
    assert_eq!(letter["KinesisBatchInfo"]["batchSize"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_says_what_failed_and_the_rest_is_not_repeated() {
    let house = House::new().await;
    let parameters = stream(json!({"BatchSize": 4}));
    house.pipe(json!({"Source": STREAM, "SourceParameters": parameters, "Target": FUNCTION})).await;
    house.script(|envelope, number| {
        let events: Value = serde_json::from_slice(&envelope.body).unwrap();
        let failed = &events[2]["eventID"];
        if number == 0 { ok(json!({"batchItemFailures": [{"itemIdentifier": failed}]})) } else { ok(Value::Null) }
    });
    house.put(&["a", "b", "c", "d"]);
    house.pass(60).await;
    let sizes: Vec<usize> = house
        .accepted(FUNCTION)
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap().as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [4, 2], "from the lowest failed one on");
    assert_eq!(house.counted("ExecutionPartiallyFailed"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_enrichment_is_asked_again_with_each_retry_and_may_end_a_batch() {
    let house = House::new().await;
    let target = json!({"InputTemplate": "<$.n>"});
    house
        .pipe(json!({
            "Source": STREAM, "SourceParameters": stream(json!({"BatchSize": 2})), "Enrichment": ENRICH,
            "EnrichmentParameters": {"InputTemplate": "<$.data>"}, "TargetParameters": target,
        }))
        .await;
    house.script(|envelope, number| match envelope.to.as_str() {
        ENRICH => {
            let all: Vec<u64> = serde_json::from_slice(&envelope.body).unwrap();
            ok(json!(all.iter().filter(|n| **n < 10).map(|n| json!({"n": n * 2})).collect::<Vec<_>>()))
        }
        _ if number < 4 => away(),
        _ => ok(Value::Null),
    });
    house.put(&["1", "2"]);
    house.pass(60).await;
    house.put(&["10", "20"]);
    house.pass(60).await;
    assert_eq!(house.accepted(TO), ["2", "4"]);
    assert_eq!(house.accepted(ENRICH), ["[1,2]", "[1,2]", "[1,2]", "[10,20]"], "three tries, and one that ends");
    assert_eq!(house.counted("TargetStageSkipped"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_gone_stops_its_pipe() {
    let house = House::new().await;
    house.pipe(json!({"Source": STREAM, "SourceParameters": stream(json!({}))})).await;
    house.stream.remove();
    house.pass(10).await;
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    assert_eq!((shown["CurrentState"].as_str(), shown["DesiredState"].as_str()), (Some("STOPPED"), Some("RUNNING")));
    assert!(shown["StateReason"].as_str().unwrap().contains("does not exist"));
    assert_eq!(house.refused("StartPipe", json!({"Name": "p"})).await.0, "NotFoundException");
}

#[tokio::test(start_paused = true)]
async fn latest_begins_when_the_pipe_was_made_and_a_stopped_pipe_goes_on_where_it_was() {
    let house = House::new().await;
    house.put(&["0"]);
    let parameters = json!({"KinesisStreamParameters": {"StartingPosition": "LATEST"}});
    let target = json!({"InputTemplate": DATA});
    let made = json!({"Source": STREAM, "SourceParameters": parameters, "TargetParameters": target, "DesiredState": "STOPPED"});
    house.pipe(made).await;
    house.put(&["1"]);
    house.pass(5).await;
    assert_eq!(house.tries(), 0);
    house.done("StartPipe", json!({"Name": "p"})).await;
    house.pass(5).await;
    house.done("StopPipe", json!({"Name": "p"})).await;
    house.pass(5).await;
    house.put(&["2"]);
    house.pass(5).await;
    assert_eq!(house.accepted(TO), ["1"]);
    house.done("StartPipe", json!({"Name": "p"})).await;
    house.pass(5).await;
    assert_eq!(house.accepted(TO), ["1", "2"]);
    house.done("DeletePipe", json!({"Name": "p"})).await;
    house.pass(5).await;
    assert!(house.checkpoints.consumers().is_empty(), "a deleted pipe leaves no checkpoints");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_full_in_the_middle_of_a_batch_costs_no_retry() {
    let house = House::new().await;
    let parameters = stream(json!({"BatchSize": 4, "MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": DEAD}}));
    let target = json!({"InputTemplate": DATA});
    house.pipe(json!({"Source": STREAM, "SourceParameters": parameters, "TargetParameters": target})).await;
    house.script(|_, number| match number {
        2..5 => delivery::Verdict::Again { code: "RequestThrottled".into(), why: "full".into(), after: None },
        _ => ok(Value::Null),
    });
    house.put(&["1", "2", "3", "4"]);
    house.pass(120).await;
    assert_eq!(house.accepted(TO), ["1", "2", "3", "4"], "each once, and in order");
    assert!(house.accepted(DEAD).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_the_role_of_its_pipe_and_loses_nothing() {
    let house = House::new().await;
    let (reading, target) = (stream(json!({"MaximumRetryAttempts": 0})), json!({"InputTemplate": "<$.data>"}));
    house.pipe(json!({"Source": STREAM, "SourceParameters": reading, "TargetParameters": target})).await;
    house.put(&["1"]);
    house.pass(5).await;
    house.role(false);
    house.put(&["2", "3"]);
    house.pass(60).await;
    assert_eq!(house.accepted(TO), ["1"]);
    let shown = house.done("DescribePipe", json!({"Name": "p"})).await;
    assert!(shown["StateReason"].as_str().unwrap().contains("cannot be assumed"), "{shown}");
    house.role(true);
    house.pass(6).await;
    assert_eq!(house.accepted(TO), ["1", "2", "3"], "what nobody could carry cost no retry");
}
