//! Asynchronous invocation: retries, ages, destinations, dead letters, throttles. Time is moved by hand.
#![allow(clippy::unwrap_used)]

mod scripted;

use scripted::{Act, House, text};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:results";
const DEAD: &str = "arn:aws:sqs:us-east-1:000000000000:dead";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:results";
const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";

fn fails() -> Act {
    Act::Fail(json!({"errorType": "E", "errorMessage": "it broke", "stackTrace": ["here"]}))
}

#[tokio::test(start_paused = true)]
async fn two_retries_after_one_minute_and_two_more_then_record_and_dead_letter() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"DeadLetterConfig": {"TargetArn": DEAD}})).await;
    let config = json!({"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}});
    let put = house.ask("PutFunctionEventInvokeConfig", config).await;
    assert_eq!(put["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
    house.script(|_| fails());
    house.send("f", json!({"n": 1})).await;
    house.until(|| house.kept().len() == 2).await;
    let seconds = house.seen(|seen| seen.second);
    let pauses: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [60, 120]);
    let ids = house.seen(|seen| seen.headers["lambda-runtime-aws-request-id"].clone());
    assert!(ids.iter().all(|id| *id == ids[0]), "one event, one request id");
    let kept = house.kept();
    let record = kept.iter().find(|e| e.to.as_str() == QUEUE).map(text).unwrap();
    assert_eq!(record["version"], "1.0");
    assert_eq!(
        record["requestContext"],
        json!({
            "requestId": ids[0], "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
            "condition": "RetriesExhausted", "approximateInvokeCount": 3,
        })
    );
    assert_eq!(record["requestPayload"], json!({"n": 1}));
    assert_eq!(
        record["responseContext"],
        json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
    );
    assert_eq!(record["responsePayload"]["stackTrace"], json!(["here"]));
    let dead = kept.iter().find(|e| e.to.as_str() == DEAD).unwrap();
    assert_eq!(text(dead), json!({"n": 1}), "a dead letter is the event itself");
    let attributes: Value = serde_json::from_str(&dead.attributes["message-attributes"]).unwrap();
    assert_eq!(attributes["RequestID"]["StringValue"], ids[0].as_str());
    assert_eq!(attributes["ErrorCode"]["StringValue"], "200");
    assert_eq!(attributes["ErrorMessage"]["StringValue"], "it broke");
    assert!(house.delivery.dead(10).is_empty());
    for (name, sum) in [("AsyncEventsReceived", 1), ("AsyncEventsDropped", 1), ("Errors", 3), ("Invocations", 3)] {
        assert_eq!(house.metric(name, 1).1, sum, "{name}");
    }
    let (tries, age) = house.metric("AsyncEventAge", 1);
    assert!(tries == 3 && (240_000..243_000).contains(&age), "at 0, 60 and 180 seconds: {tries}, {age}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_two_tries_loses_nothing() {
    let house = House::new().await;
    house.make("f", "1").await;
    house
        .ask(
            "PutFunctionEventInvokeConfig",
            json!({"FunctionName": "f", "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}}),
        )
        .await;
    house.script(|_| fails());
    house.send("f", json!(7)).await;
    house.until(|| house.seen(|_| ()).len() == 1).await;
    let house = house.restart().await;
    house.script(|_| Act::Answer(json!("well")));
    house.until(|| house.kept().len() == 1).await;
    let record = text(&house.kept()[0]);
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!((&record["requestPayload"], &record["responsePayload"]), (&json!(7), &json!("well")));
    assert_eq!(house.seen(|seen| seen.event.clone()), [json!(7), json!(7)]);
}

#[tokio::test(start_paused = true)]
async fn retries_and_ages_are_settings() {
    let house = House::new().await;
    house.make("f", "1").await;
    let put = |settings: Value| {
        let mut input = json!({"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": TOPIC}}});
        input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        house.ask("PutFunctionEventInvokeConfig", input)
    };
    house.script(|_| fails());
    put(json!({"MaximumRetryAttempts": 0})).await;
    house.send("f", json!(1)).await;
    house.until(|| house.kept().len() == 1).await;
    assert_eq!(house.seen(|_| ()).len(), 1);
    // Too old once the second try has failed.
    put(json!({"MaximumEventAgeInSeconds": 60})).await;
    house.send("f", json!(2)).await;
    house.until(|| house.kept().len() == 2).await;
    let record = text(&house.kept()[1]);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    let got = house.ask("GetFunctionEventInvokeConfig", json!({"FunctionName": "f"})).await;
    assert_eq!((&got["MaximumEventAgeInSeconds"], got.get("MaximumRetryAttempts")), (&json!(60), None), "put replaces");
    house.ask("UpdateFunctionEventInvokeConfig", json!({"FunctionName": "f", "MaximumRetryAttempts": 1})).await;
    let listed = house.ask("ListFunctionEventInvokeConfigs", json!({"FunctionName": "f"})).await;
    let one = &listed["FunctionEventInvokeConfigs"][0];
    assert_eq!(
        (&one["MaximumEventAgeInSeconds"], &one["MaximumRetryAttempts"]),
        (&json!(60), &json!(1)),
        "update adds"
    );
    house.ask("DeleteFunctionEventInvokeConfig", json!({"FunctionName": "f"})).await;
    let (code, message) = house.refused("GetFunctionEventInvokeConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(
        message,
        "The function arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST doesn't have an EventInvokeConfig"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bus_and_another_function_are_told_in_their_own_way() {
    let house = House::new().await;
    house.make("f", "1").await;
    house.make("next", "2").await;
    let next = "arn:aws:lambda:us-east-1:000000000000:function:next";
    let config = json!({"OnSuccess": {"Destination": next}, "OnFailure": {"Destination": BUS}});
    house
        .ask(
            "PutFunctionEventInvokeConfig",
            json!({"FunctionName": "f", "MaximumRetryAttempts": 0, "DestinationConfig": config}),
        )
        .await;
    house.send("f", json!("a")).await;
    house.until(|| house.seen(|_| ()).len() == 2).await;
    let record = house.seen(|seen| seen.event.clone()).remove(1);
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["responsePayload"], "a");
    house.script(|_| fails());
    house.send("f", json!("b")).await;
    house.until(|| house.kept().len() == 1).await;
    let event = text(&house.kept()[0]);
    assert_eq!(event["detail-type"], "Lambda Function Invocation Result - Failure");
    assert_eq!(event["source"], "lambda");
    assert_eq!(event["resources"], json!(["arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", BUS]));
    assert_eq!(event["detail"]["requestPayload"], "b");
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_costs_no_try_and_waits_up_to_six_hours() {
    let house = House::new().await;
    house.make("f", "1").await;
    house.ask("PutFunctionConcurrency", json!({"FunctionName": "f", "ReservedConcurrentExecutions": 1})).await;
    house
        .ask(
            "PutFunctionEventInvokeConfig",
            json!({"FunctionName": "f", "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}, "OnSuccess": {"Destination": TOPIC}}}),
        )
        .await;
    house.script(|_| Act::After(Duration::from_secs(800), Box::new(Act::Answer(json!(null)))));
    for n in 0..3 {
        house.send("f", json!(n)).await;
    }
    house.until(|| house.kept().len() == 3).await;
    assert!(house.kept().iter().all(|e| e.to.as_str() == TOPIC), "busy is not failed");
    assert_eq!(house.seen(|_| ()).len(), 3);
    assert!(house.metric("Throttles", 1).1 > 2);
    let count = |e: &delivery::Envelope| text(e)["requestContext"]["approximateInvokeCount"].clone();
    assert!(house.kept().iter().all(|e| count(e) == 1));
    // Without any concurrency there is no waiting at all.
    house.ask("PutFunctionConcurrency", json!({"FunctionName": "f", "ReservedConcurrentExecutions": 0})).await;
    house.send("f", json!("off")).await;
    house.until(|| house.kept().len() == 4).await;
    let record = text(&house.kept()[3]);
    assert_eq!(record["requestContext"]["condition"], "ZeroReservedConcurrency");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn settings_belong_to_the_qualifier_that_is_called() {
    let house = House::new().await;
    house.make("f", "1").await;
    house.ask("PublishVersion", json!({"FunctionName": "f"})).await;
    house.ask("CreateAlias", json!({"FunctionName": "f", "Name": "live", "FunctionVersion": "1"})).await;
    house
        .ask(
            "PutFunctionEventInvokeConfig",
            json!({"FunctionName": "f", "Qualifier": "live", "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}),
        )
        .await;
    house.script(|_| fails());
    house.send("f:live", json!(1)).await;
    house.until(|| house.kept().len() == 1).await;
    let record = text(&house.kept()[0]);
    assert_eq!(record["requestContext"]["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live");
    assert_eq!(record["responseContext"]["executedVersion"], "1");
    house.send("f", json!(2)).await;
    house.until(|| house.delivery.dead(1).len() == 1).await;
    assert_eq!(house.seen(|_| ()).len(), 4, "unqualified it is tried three times, and kept");
    assert_eq!(house.kept().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn destinations_that_cannot_be_told_are_refused_or_counted() {
    let house = House::new().await;
    house.make("f", "1").await;
    let own = "arn:aws:lambda:us-east-1:000000000000:function:f";
    for (to, why) in [
        (own, "You can't specify the function as a destination for itself."),
        ("arn:aws:sqs:us-east-1:000000000000:q.fifo", "FIFO"),
        ("arn:aws:s3:::bucket", "S3"),
        ("arn:aws:kinesis:us-east-1:000000000000:stream/s", "is invalid"),
    ] {
        let config = json!({"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": to}}});
        let (code, message) = house.refused("PutFunctionEventInvokeConfig", config).await;
        assert_eq!(code, "InvalidParameterValueException");
        assert!(message.contains(why), "{message}");
    }
    let (code, _) = house.refused("PutFunctionEventInvokeConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(code, "InvalidParameterValueException");
    house
        .ask("UpdateFunctionConfiguration", json!({"FunctionName": "f", "DeadLetterConfig": {"TargetArn": DEAD}}))
        .await;
    house
        .ask(
            "PutFunctionEventInvokeConfig",
            json!({"FunctionName": "f", "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}),
        )
        .await;
    house.refuse_letters();
    house.script(|_| fails());
    house.send("f", json!(1)).await;
    house.until(|| house.delivery.dead(9).len() == 2).await;
    assert_eq!(house.metric("DestinationDeliveryFailures", 1).1, 1);
    assert_eq!(house.metric("DeadLetterErrors", 1).1, 1);
}

#[tokio::test(start_paused = true)]
async fn the_seventeenth_invocation_of_a_chain_is_dropped() {
    let house = House::new().await;
    house.make_with("f", "1", json!({"DeadLetterConfig": {"TargetArn": DEAD}})).await;
    house.make("g", "2").await;
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    for (from, to) in [("f", "g"), ("g", "f")] {
        let config = json!({"OnSuccess": {"Destination": arn(to)}});
        house.ask("PutFunctionEventInvokeConfig", json!({"FunctionName": from, "DestinationConfig": config})).await;
    }
    static RUNS: AtomicU32 = AtomicU32::new(0);
    house.script(|_| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Act::Answer(json!(1))
    });
    house.send("f", json!(1)).await;
    house.until(|| house.kept().len() == 1).await;
    assert_eq!(RUNS.load(Ordering::Relaxed), 32, "each of the two sixteen times");
    let attributes: Value = serde_json::from_str(&house.kept()[0].attributes["message-attributes"]).unwrap();
    assert_eq!(attributes["ErrorCode"]["StringValue"], "400");
    assert_eq!(house.metric("RecursiveInvocationsDropped", 1).1, 1);
    let got = house.ask("GetFunctionRecursionConfig", json!({"FunctionName": "f"})).await;
    assert_eq!(got["RecursiveLoop"], "Terminate");
    house.ask("PutFunctionRecursionConfig", json!({"FunctionName": "f", "RecursiveLoop": "Allow"})).await;
    house.ask("PutFunctionRecursionConfig", json!({"FunctionName": "g", "RecursiveLoop": "Allow"})).await;
    house.send("f", json!(2)).await;
    house.until(|| RUNS.load(Ordering::Relaxed) > 90).await;
}
