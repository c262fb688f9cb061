//! Moves out of dead-letter queues.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use support::House;

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

/// A queue with a dead-letter queue in which so many of its messages lie.
async fn with_dead_letters(house: &House, count: usize) -> (String, String) {
    let dead = house.create("dead", json!({})).await;
    let policy = json!({ "deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1 });
    let url = house.create("orders", json!({ "VisibilityTimeout": "1", "RedrivePolicy": policy.to_string() })).await;
    for i in 0..count {
        house.send(&url, &i.to_string()).await;
    }
    for _ in 0..count.div_ceil(10) {
        house.bodies(&url).await;
    }
    house.wait(2).await;
    assert!(house.bodies(&url).await.is_empty());
    assert_eq!(house.attribute(&dead, "ApproximateNumberOfMessages").await, count.to_string());
    (url, dead)
}

async fn listed(house: &House, max: usize) -> Vec<Value> {
    let input = json!({ "SourceArn": arn("dead"), "MaxResults": max });
    house.ask("ListMessageMoveTasks", input).await.unwrap()["Results"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn dead_letters_go_back_where_they_came_from() {
    let house = House::new().await;
    let (url, dead) = with_dead_letters(&house, 25).await;
    let before = house.receive(&dead, json!({ "VisibilityTimeout": 0, "MaxNumberOfMessages": 1 })).await;
    let started = house.ask("StartMessageMoveTask", json!({ "SourceArn": arn("dead") })).await.unwrap();
    assert!(started["TaskHandle"].is_string());
    house.wait(1).await;
    let task = &listed(&house, 1).await[0];
    assert_eq!((&task["Status"], &task["SourceArn"]), (&json!("COMPLETED"), &json!(arn("dead"))));
    assert_eq!(task["ApproximateNumberOfMessagesMoved"], 25);
    assert_eq!(task["ApproximateNumberOfMessagesToMove"], 25);
    assert!(task["TaskHandle"].is_null() && task["DestinationArn"].is_null());
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "25");
    assert_eq!(house.attribute(&dead, "ApproximateNumberOfMessages").await, "0");
    let moved = house.receive(&url, json!({})).await;
    let moved = moved.iter().find(|m| m["Body"] == before[0]["Body"]).unwrap();
    assert_ne!(moved["MessageId"], before[0]["MessageId"], "a moved message is a new one");
    assert!(moved["Attributes"]["DeadLetterQueueSourceArn"].is_null());
    assert_eq!(moved["Attributes"]["ApproximateReceiveCount"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_move_keeps_its_rate_goes_on_after_a_restart_and_can_be_cancelled() {
    let house = House::new().await;
    let (_, dead) = with_dead_letters(&house, 100).await;
    let custom = house.create("custom", json!({})).await;
    let input =
        json!({ "SourceArn": arn("dead"), "DestinationArn": arn("custom"), "MaxNumberOfMessagesPerSecond": 10 });
    let started = house.ask("StartMessageMoveTask", input.clone()).await.unwrap();
    assert!(house.refused("StartMessageMoveTask", input.clone()).await.1.contains("already a task running"));
    house.wait(3).await;
    let moved: usize = house.attribute(&custom, "ApproximateNumberOfMessages").await.parse().unwrap();
    assert!((28..=32).contains(&moved), "{moved}");
    let house = house.restart().await;
    house.wait(2).await;
    let task = &listed(&house, 1).await[0];
    assert_eq!((&task["Status"], &task["TaskHandle"]), (&json!("RUNNING"), &started["TaskHandle"]));
    assert_eq!(task["MaxNumberOfMessagesPerSecond"], 10);
    let cancel = json!({ "TaskHandle": started["TaskHandle"] });
    let cancelled = house.ask("CancelMessageMoveTask", cancel.clone()).await.unwrap();
    assert!(cancelled["ApproximateNumberOfMessagesMoved"].as_u64().unwrap() >= 28);
    house.wait(1).await;
    assert_eq!(listed(&house, 1).await[0]["Status"], "CANCELLED");
    assert_eq!(house.refused("CancelMessageMoveTask", cancel).await.0, "UnsupportedOperation");
    let counts = async |url: &String| house.attribute(url, "ApproximateNumberOfMessages").await.parse::<u64>().unwrap();
    house.wait(60).await;
    let (left, moved) = (counts(&dead).await, counts(&custom).await);
    assert_eq!(left + moved, 100);
    assert!(moved < 60, "{moved}");
    // Another one finishes the work.
    let again = json!({ "SourceArn": arn("dead"), "DestinationArn": arn("custom") });
    house.ask("StartMessageMoveTask", again).await.unwrap();
    house.wait(1).await;
    assert_eq!((counts(&dead).await, counts(&custom).await), (0, 100));
    let tasks: Vec<Value> = listed(&house, 10).await.iter().map(|task| task["Status"].clone()).collect();
    assert_eq!(tasks, ["COMPLETED", "CANCELLED"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_origin_or_destination_stays() {
    let house = House::new().await;
    let (url, dead) = with_dead_letters(&house, 0).await;
    house.send(&dead, "direct").await;
    house.ask("StartMessageMoveTask", json!({ "SourceArn": arn("dead") })).await.unwrap();
    house.wait(1).await;
    let task = &listed(&house, 1).await[0];
    assert_eq!((&task["Status"], &task["FailureReason"]), (&json!("FAILED"), &json!("CouldNotDetermineMessageSource")));
    assert_eq!(house.bodies(&dead).await, ["direct"], "it was given back");

    for (input, name) in [
        (json!({ "SourceArn": arn("nobody") }), "ResourceNotFoundException"),
        (json!({ "SourceArn": "dead" }), "InvalidParameterValueException"),
        (json!({ "SourceArn": arn("orders") }), "InvalidParameterValueException"),
        (json!({ "SourceArn": arn("dead"), "DestinationArn": arn("nobody") }), "ResourceNotFoundException"),
        (json!({ "SourceArn": arn("dead"), "DestinationArn": arn("dead") }), "InvalidParameterValueException"),
        (json!({ "SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": 501 }), "InvalidParameterValueException"),
    ] {
        assert_eq!(house.refused("StartMessageMoveTask", input.clone()).await.0, name, "{input}");
    }
    let cancel = async |handle: &str| house.refused("CancelMessageMoveTask", json!({ "TaskHandle": handle })).await.0;
    assert_eq!(cancel("made up").await, "InvalidParameterValueException");
    assert_eq!(cancel("eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoieSJ9").await, "ResourceNotFoundException");

    let sources = house.ask("ListDeadLetterSourceQueues", json!({ "QueueUrl": dead })).await.unwrap();
    assert_eq!(sources["queueUrls"], json!([url]));
    let none = house.ask("ListDeadLetterSourceQueues", json!({ "QueueUrl": url })).await.unwrap();
    assert_eq!(none["queueUrls"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_not_moved_for_ever() {
    let house = House::new().await;
    let (url, dead) = with_dead_letters(&house, 3).await;
    let slow = json!({ "SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": 1 });
    house.ask("StartMessageMoveTask", slow).await.unwrap();
    for _ in 0..10 {
        house.bodies(&url).await;
        house.wait(2).await;
    }
    let task = &listed(&house, 1).await[0];
    assert_eq!((&task["Status"], &task["ApproximateNumberOfMessagesMoved"]), (&json!("COMPLETED"), &json!(3)));
    house.bodies(&url).await;
    assert_eq!(house.attribute(&dead, "ApproximateNumberOfMessages").await, "3");
}
