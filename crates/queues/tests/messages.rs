//! Messages: sent, received, given back, deleted, expired, moved.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{House, handle};

#[tokio::test(start_paused = true)]
async fn a_message_goes_in_and_out() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let sent = house
        .ask(
            "SendMessage",
            json!({
                "QueueUrl": url, "MessageBody": "hello world",
                "MessageAttributes": {
                    "kind": { "DataType": "String", "StringValue": "greeting" },
                    "raw": { "DataType": "Binary", "BinaryValue": "AQI=" },
                },
                "MessageSystemAttributes": {
                    "AWSTraceHeader": { "DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793" },
                },
            }),
        )
        .await
        .unwrap();
    assert_eq!(sent["MD5OfMessageBody"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert!(sent["MD5OfMessageSystemAttributes"].is_string());

    let got = house.receive(&url, json!({})).await;
    let [message] = got.as_slice() else { panic!("one message, not {got:?}") };
    assert_eq!((&message["Body"], &message["MessageId"]), (&json!("hello world"), &sent["MessageId"]));
    assert_eq!(message["MD5OfBody"], sent["MD5OfMessageBody"]);
    assert_eq!(message["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(message["MessageAttributes"]["raw"], json!({ "DataType": "Binary", "BinaryValue": "AQI=" }));
    assert_eq!(
        message["Attributes"],
        json!({
            "SenderId": "AIDAALICE", "SentTimestamp": "1767225600000", "ApproximateReceiveCount": "1",
            "ApproximateFirstReceiveTimestamp": "1767225600000",
            "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
        })
    );
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessagesNotVisible").await, "1");
    house.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(message) })).await.unwrap();
    house.wait(31).await;
    assert!(house.bodies(&url).await.is_empty());
    let house = house.restart().await;
    assert!(house.bodies(&url).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn attributes_are_shown_when_asked_for() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "VisibilityTimeout": "0" })).await;
    let attribute = json!({ "DataType": "String", "StringValue": "x" });
    let attributes = json!({ "a.one": attribute, "a.two": attribute, "b": attribute });
    let input = json!({ "QueueUrl": url, "MessageBody": "a", "MessageAttributes": attributes });
    house.ask("SendMessage", input).await.unwrap();
    let names = async |asked: Value| -> Vec<String> {
        let got =
            house.ask("ReceiveMessage", json!({ "QueueUrl": url, "MessageAttributeNames": asked })).await.unwrap();
        let message = got["Messages"][0].clone();
        assert_eq!(message["MD5OfMessageAttributes"].is_null(), message["MessageAttributes"].is_null());
        message["MessageAttributes"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    };
    assert_eq!(names(json!(["a.*"])).await, ["a.one", "a.two"]);
    assert_eq!(names(json!(["b"])).await, ["b"]);
    assert_eq!(names(json!([".*"])).await.len(), 3);
    assert!(names(json!([])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_refused_with_sqss_words() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "MaximumMessageSize": "1024" })).await;
    for (body, more, name, word) in [
        ("a".repeat(1025), json!({}), "InvalidParameterValueException", "Message must be shorter than 1024 bytes."),
        ("a\u{1}".into(), json!({}), "InvalidMessageContents", "Invalid characters found."),
        (
            "a".into(),
            json!({ "DelaySeconds": 901 }),
            "InvalidParameterValueException",
            "Value 901 for parameter DelaySeconds",
        ),
        ("a".into(), json!({ "MessageGroupId": "a b" }), "InvalidParameterValueException", "MessageGroupId"),
        (
            "a".into(),
            json!({ "MessageDeduplicationId": "d" }),
            "InvalidParameterValueException",
            "not valid for this queue type",
        ),
    ] {
        let mut input = json!({ "QueueUrl": url, "MessageBody": body });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (got, message) = house.refused("SendMessage", input).await;
        assert_eq!(got, name);
        assert!(message.contains(word), "{message}");
    }
    for (more, word) in [
        (json!({ "MaxNumberOfMessages": 11 }), "Value 11 for parameter MaxNumberOfMessages is invalid."),
        (json!({ "WaitTimeSeconds": 21 }), "WaitTimeSeconds"),
        (json!({ "VisibilityTimeout": 43201 }), "VisibilityTimeout"),
    ] {
        let mut input = json!({ "QueueUrl": url });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(house.refused("ReceiveMessage", input).await.1.contains(word));
    }
}

#[tokio::test(start_paused = true)]
async fn batches_answer_entry_by_entry() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "MaximumMessageSize": "1024" })).await;
    let entries = json!([
        { "Id": "good", "MessageBody": "a" }, { "Id": "bad", "MessageBody": "a".repeat(1025) },
        { "Id": "late", "MessageBody": "b", "DelaySeconds": 10 },
    ]);
    let sent = house.ask("SendMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await.unwrap();
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|entry| entry["Id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids(&sent["Successful"]), ids(&sent["Failed"])),
        (vec!["good".into(), "late".into()], vec!["bad".into()])
    );
    assert_eq!(
        (&sent["Failed"][0]["SenderFault"], &sent["Failed"][0]["Code"]),
        (&json!(true), &json!("InvalidParameterValue"))
    );

    let first = house.receive(&url, json!({})).await;
    house.wait(10).await;
    let second = house.receive(&url, json!({})).await;
    assert_eq!((&first[0]["Body"], &second[0]["Body"]), (&json!("a"), &json!("b")));
    let entries = json!([
        { "Id": "1", "ReceiptHandle": handle(&first[0]) }, { "Id": "2", "ReceiptHandle": handle(&second[0]) },
        { "Id": "3", "ReceiptHandle": "made up" },
    ]);
    let deleted = house.ask("DeleteMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await.unwrap();
    assert_eq!(
        (ids(&deleted["Successful"]), ids(&deleted["Failed"])),
        (vec!["1".into(), "2".into()], vec!["3".into()])
    );
    assert_eq!(deleted["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    assert_eq!(
        house.refused("SendMessageBatch", json!({ "QueueUrl": url, "Entries": [] })).await.0,
        "EmptyBatchRequest"
    );
    let big: Vec<Value> = (0..2).map(|i| json!({ "Id": i.to_string(), "MessageBody": "a".repeat(600_000) })).collect();
    let too_long = json!({ "QueueUrl": url, "Entries": big });
    assert_eq!(house.refused("SendMessageBatch", too_long).await.0, "BatchRequestTooLong");
}

#[tokio::test(start_paused = true)]
async fn visibility_ends_is_extended_and_is_given_back() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "VisibilityTimeout": "10" })).await;
    house.send(&url, "a").await;
    let first = house.receive(&url, json!({})).await;
    assert!(house.bodies(&url).await.is_empty());
    let change =
        |handle: String, secs: u32| json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": secs });
    house.ask("ChangeMessageVisibility", change(handle(&first[0]), 20)).await.unwrap();
    house.wait(15).await;
    assert!(house.bodies(&url).await.is_empty());
    house.ask("ChangeMessageVisibility", change(handle(&first[0]), 0)).await.unwrap();
    let second = house.receive(&url, json!({})).await;
    assert_eq!(second[0]["Attributes"]["ApproximateReceiveCount"], "2");
    // Whoever had it first can no longer hold it, and cannot delete it under the other's hands.
    assert_eq!(house.refused("ChangeMessageVisibility", change(handle(&first[0]), 5)).await.0, "MessageNotInflight");
    house.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(&first[0]) })).await.unwrap();
    house.wait(11).await;
    assert_eq!(house.bodies(&url).await, ["a"]);
    let made_up = house.refused("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": "made up" })).await;
    assert_eq!(made_up.0, "ReceiptHandleIsInvalid");
}

#[tokio::test(start_paused = true)]
async fn a_handle_outlives_a_restart_and_not_its_queue() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let other = house.create("other", json!({})).await;
    house.send(&url, "a").await;
    house.send(&other, "b").await;
    let got = house.receive(&url, json!({})).await;
    let house = house.restart().await;
    let elsewhere = json!({ "QueueUrl": other, "ReceiptHandle": handle(&got[0]) });
    assert_eq!(house.refused("DeleteMessage", elsewhere).await.0, "ReceiptHandleIsInvalid");
    house.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(&got[0]) })).await.unwrap();
    assert!(house.bodies(&url).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_on_arrival_and_ends_in_time() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "ReceiveMessageWaitTimeSeconds": "20" })).await;
    let start = house.world.now();
    let (got, _) = tokio::join!(house.receive(&url, json!({})), async {
        house.wait(3).await;
        house.send(&url, "a").await
    });
    assert_eq!(got[0]["Body"], "a");
    assert_eq!(house.world.now().since(start).as_secs(), 3);
    assert!(house.receive(&url, json!({ "WaitTimeSeconds": 5 })).await.is_empty());
    assert_eq!(house.world.now().since(start).as_secs(), 8);
    // A message that becomes visible again wakes as well: the 30 seconds end at 33.
    let got = house.receive(&url, json!({ "WaitTimeSeconds": 20 })).await;
    assert!(got.is_empty());
    let got = house.receive(&url, json!({ "WaitTimeSeconds": 20 })).await;
    assert_eq!(got.len(), 1);
    assert_eq!(house.world.now().since(start).as_secs(), 33);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_does_not_hold_up_the_house() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let start = house.world.now();
    let (got, aborted) = tokio::join!(house.receive(&url, json!({ "WaitTimeSeconds": 20 })), async {
        house.wait(2).await;
        house.world.tasks.shut_down(Duration::from_secs(60)).await
    });
    assert!(got.is_empty() && aborted.is_empty());
    assert_eq!(house.world.now().since(start).as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn messages_received_too_often_go_to_the_dead_letter_queue() {
    let house = House::new().await;
    let dead = house.create("dead", json!({})).await;
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2 });
    let url = house.create("orders", json!({ "VisibilityTimeout": "1", "RedrivePolicy": policy.to_string() })).await;
    let sent = house.send(&url, "poison").await;
    house.send(&url, "poison too").await;
    for _ in 0..2 {
        assert_eq!(house.bodies(&url).await.len(), 2);
        house.wait(2).await;
    }
    assert!(house.bodies(&url).await.is_empty());
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "0");
    let house = house.restart().await;
    let got = house.receive(&dead, json!({})).await;
    assert_eq!(got.len(), 2);
    let moved = got.iter().find(|m| m["Body"] == "poison").unwrap();
    assert_eq!(moved["MessageId"], sent["MessageId"]);
    assert_eq!(moved["Attributes"]["DeadLetterQueueSourceArn"], "arn:aws:sqs:us-east-1:000000000000:orders");
    assert_eq!(moved["Attributes"]["SentTimestamp"], "1767225600000");
    assert_eq!(moved["Attributes"]["ApproximateReceiveCount"], "1");
}

#[tokio::test(start_paused = true)]
async fn messages_expire_whether_received_or_not() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "MessageRetentionPeriod": "60" })).await;
    for i in 0..5 {
        house.send(&url, &i.to_string()).await;
    }
    house.wait(50).await;
    house.send(&url, "young").await;
    house.wait(15).await;
    // 65 seconds old and not looked through yet: not handed out all the same.
    assert_eq!(house.bodies(&url).await, ["young"]);
    house.send(&url, "unread").await;
    house.wait(60).await;
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "1");
    house.wait(120).await;
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "0");
    let house = house.restart().await;
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "0");
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    house.send(&url, "a").await;
    let input = json!({ "QueueUrl": url, "MessageBody": "late", "DelaySeconds": 100 });
    house.ask("SendMessage", input).await.unwrap();
    assert_eq!(house.bodies(&url).await, ["a"]);
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessagesDelayed").await, "1");
    let house = house.restart().await;
    // What was in flight is visible again; what was delayed still is.
    assert_eq!(house.bodies(&url).await, ["a"]);
    house.wait(101).await;
    let mut bodies = house.bodies(&url).await;
    bodies.sort();
    assert_eq!(bodies, ["a", "late"]);
}

#[tokio::test(start_paused = true)]
async fn the_metrics_count() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    house.send(&url, "abc").await;
    let got = house.receive(&url, json!({})).await;
    house.bodies(&url).await;
    house.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(&got[0]) })).await.unwrap();
    let sums: Vec<(&str, u64)> = house
        .world
        .meter
        .samples()
        .iter()
        .filter(|(s, ..)| s.namespace == "AWS/SQS")
        .map(|(s, _, v)| (s.name, v.sum))
        .collect();
    for expected in [
        ("NumberOfMessagesSent", 1),
        ("SentMessageSize", 3),
        ("NumberOfMessagesReceived", 1),
        ("NumberOfEmptyReceives", 1),
        ("NumberOfMessagesDeleted", 1),
    ] {
        assert!(sums.contains(&expected), "{expected:?} in {sums:?}");
    }
}
