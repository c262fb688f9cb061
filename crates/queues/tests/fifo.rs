//! FIFO and fair queues.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use support::{House, handle};

async fn fifo(house: &House, name: &str, more: Value) -> String {
    let mut attributes = json!({ "FifoQueue": "true", "VisibilityTimeout": "30" });
    attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.create(name, attributes).await
}

async fn send(house: &House, url: &str, group: &str, id: &str, body: &str) -> Value {
    let input = json!({
        "QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": id,
    });
    house.ask("SendMessage", input).await.unwrap()
}

async fn delete(house: &House, url: &str, message: &Value) {
    house.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(message) })).await.unwrap();
}

fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|m| m["Body"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn groups_come_in_order_and_wait_for_themselves_only() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({})).await;
    for (i, (group, body)) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")].into_iter().enumerate()
    {
        send(&house, &url, group, &i.to_string(), body).await;
    }
    let one = json!({ "MaxNumberOfMessages": 1 });
    let a1 = house.receive(&url, one.clone()).await;
    let b1 = house.receive(&url, one.clone()).await;
    assert_eq!((bodies(&a1), bodies(&b1)), (vec!["a1"], vec!["b1"]));
    assert!(house.bodies(&url).await.is_empty(), "both groups have a message in flight");
    delete(&house, &url, &a1[0]).await;
    let a = house.receive(&url, json!({})).await;
    assert_eq!(bodies(&a), ["a2", "a3"], "as many of one group as there are");
    let numbers: Vec<&str> = [&a1[0], &a[0], &a[1]].map(|m| m["Attributes"]["SequenceNumber"].as_str().unwrap()).into();
    assert!(numbers.is_sorted() && numbers.iter().all(|n| n.len() == 20), "{numbers:?}");
    assert_eq!(a[0]["Attributes"]["MessageGroupId"], "a");
    assert_eq!(a[0]["Attributes"]["MessageDeduplicationId"], "1");
    // What comes back comes in its order, though the later one is given back first.
    for message in [&a[1], &a[0]] {
        let change = json!({ "QueueUrl": url, "ReceiptHandle": handle(message), "VisibilityTimeout": 0 });
        house.ask("ChangeMessageVisibility", change).await.unwrap();
    }
    assert_eq!(house.bodies(&url).await, ["a2", "a3"]);
    house.wait(31).await;
    assert_eq!(house.bodies(&url).await, ["a2", "a3", "b1", "b2"]);
    let (name, message) =
        house.refused("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle(&a[0]) })).await;
    assert_eq!(name, "InvalidParameterValueException");
    assert!(message.contains("The receipt handle has expired"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_taken_once_in_five_minutes_across_restarts() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({})).await;
    let first = send(&house, &url, "g", "1", "first").await;
    let got = house.receive(&url, json!({})).await;
    delete(&house, &url, &got[0]).await;
    house.wait(100).await;
    let house = house.restart().await;
    let again = send(&house, &url, "g", "1", "something else").await;
    assert_eq!((&again["MessageId"], &again["SequenceNumber"]), (&first["MessageId"], &first["SequenceNumber"]));
    assert!(house.bodies(&url).await.is_empty());
    house.wait(200).await;
    let house = house.restart().await;
    let new = send(&house, &url, "g", "1", "five minutes later").await;
    assert!(new["SequenceNumber"].as_str() > first["SequenceNumber"].as_str());
    assert_eq!(house.bodies(&url).await, ["five minutes later"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_a_repetition_answers_with_the_first() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({ "ContentBasedDeduplication": "true" })).await;
    let entries: Vec<Value> = ["x", "y", "x"]
        .iter()
        .enumerate()
        .map(|(i, body)| json!({ "Id": i.to_string(), "MessageBody": body, "MessageGroupId": "g" }))
        .collect();
    let sent = house.ask("SendMessageBatch", json!({ "QueueUrl": url, "Entries": entries })).await.unwrap();
    let all = sent["Successful"].as_array().unwrap();
    assert_eq!(all[0]["MessageId"], all[2]["MessageId"]);
    assert_eq!(all[0]["SequenceNumber"], all[2]["SequenceNumber"]);
    let got = house.receive(&url, json!({})).await;
    assert_eq!(bodies(&got), ["x", "y"]);
    let sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert_eq!(got[0]["Attributes"]["MessageDeduplicationId"], sum);
}

#[tokio::test(start_paused = true)]
async fn the_scope_of_ids_may_be_the_group() {
    let house = House::new().await;
    let queue = fifo(&house, "queue.fifo", json!({})).await;
    let group = fifo(&house, "group.fifo", json!({ "DeduplicationScope": "messageGroup" })).await;
    for (url, expected) in [(&queue, 1), (&group, 2)] {
        send(&house, url, "a", "1", "a").await;
        send(&house, url, "b", "1", "b").await;
        assert_eq!(house.bodies(url).await.len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fifo_queues_need_is_asked_for() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({})).await;
    for (more, name, word) in [
        (json!({}), "MissingRequiredParameterException", "MessageGroupId"),
        (json!({ "MessageGroupId": "g" }), "InvalidParameterValueException", "ContentBasedDeduplication"),
        (
            json!({ "MessageGroupId": "g", "MessageDeduplicationId": "1", "DelaySeconds": 5 }),
            "InvalidParameterValueException",
            "DelaySeconds",
        ),
        (
            json!({ "MessageGroupId": "g".repeat(129), "MessageDeduplicationId": "1" }),
            "InvalidParameterValueException",
            "1 to 128 in length",
        ),
    ] {
        let mut input = json!({ "QueueUrl": url, "MessageBody": "a" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (got, message) = house.refused("SendMessage", input).await;
        assert_eq!(got, name, "{message}");
        assert!(message.contains(word), "{message}");
    }
    let standard = house.create("standard", json!({})).await;
    let attempt = json!({ "QueueUrl": standard, "ReceiveRequestAttemptId": "r" });
    assert_eq!(house.refused("ReceiveMessage", attempt).await.0, "InvalidParameterValueException");
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:standard", "maxReceiveCount": 2 });
    let set = json!({ "QueueUrl": url, "Attributes": { "RedrivePolicy": policy.to_string() } });
    assert!(house.refused("SetQueueAttributes", set).await.1.contains("same type of queue"));
}

#[tokio::test(start_paused = true)]
async fn a_receive_may_be_asked_for_again() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({})).await;
    for i in 0..4 {
        send(&house, &url, "g", &i.to_string(), &i.to_string()).await;
    }
    let ask = json!({ "MaxNumberOfMessages": 2, "ReceiveRequestAttemptId": "r1" });
    let first = house.receive(&url, ask.clone()).await;
    assert_eq!(bodies(&first), ["0", "1"]);
    house.wait(20).await;
    let again = house.receive(&url, ask.clone()).await;
    assert_eq!((bodies(&again), handle(&again[0])), (vec!["0", "1"], handle(&first[0])));
    assert_eq!(again[0]["Attributes"]["ApproximateReceiveCount"], "1");
    house.wait(20).await;
    assert!(house.bodies(&url).await.is_empty(), "the visibility time-out began anew");
    delete(&house, &url, &again[0]).await;
    assert!(house.receive(&url, ask.clone()).await.is_empty(), "what was given has changed: this is a new receive");
    delete(&house, &url, &again[1]).await;
    assert_eq!(bodies(&house.receive(&url, ask).await), ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_dead_letter_queue_keeps_the_order_and_not_the_age() {
    let house = House::new().await;
    let dead = fifo(&house, "dead.fifo", json!({})).await;
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead.fifo", "maxReceiveCount": 1 });
    let url = fifo(&house, "q.fifo", json!({ "VisibilityTimeout": "5", "RedrivePolicy": policy.to_string() })).await;
    for i in 0..3 {
        send(&house, &url, "g", &i.to_string(), &i.to_string()).await;
    }
    assert_eq!(house.bodies(&url).await.len(), 3);
    house.wait(6).await;
    assert!(house.bodies(&url).await.is_empty());
    let house = house.restart().await;
    let got = house.receive(&dead, json!({})).await;
    assert_eq!(bodies(&got), ["0", "1", "2"]);
    assert_ne!(got[0]["Attributes"]["SentTimestamp"], "1767225600000");
    assert_eq!(got[0]["Attributes"]["MessageGroupId"], "g");
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "0");
    // Moved messages do not count as sent: the same deduplication id is free here.
    let next = send(&house, &dead, "g", "0", "sent").await;
    assert!(next["SequenceNumber"].as_str() > got[2]["Attributes"]["SequenceNumber"].as_str());
}

#[tokio::test(start_paused = true)]
async fn the_quota_is_three_hundred_calls_unless_throughput_is_high() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({})).await;
    let receive = json!({ "QueueUrl": url });
    for _ in 0..300 {
        house.ask("ReceiveMessage", receive.clone()).await.unwrap();
    }
    assert_eq!(house.refused("ReceiveMessage", receive.clone()).await.0, "RequestThrottled");
    send(&house, &url, "g", "1", "other calls are counted on their own").await;
    let high = json!({ "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId" });
    house.ask("SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": high })).await.unwrap();
    for _ in 0..400 {
        house.ask("ReceiveMessage", receive.clone()).await.unwrap();
    }
    assert_eq!(house.attribute(&url, "FifoThroughputLimit").await, "perMessageGroupId");
}

#[tokio::test(start_paused = true)]
async fn a_whole_queue_may_be_delayed() {
    let house = House::new().await;
    let url = fifo(&house, "q.fifo", json!({ "DelaySeconds": "10" })).await;
    send(&house, &url, "g", "1", "a").await;
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessagesDelayed").await, "1");
    assert!(house.bodies(&url).await.is_empty());
    house.wait(10).await;
    assert_eq!(house.bodies(&url).await, ["a"]);
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
#[tokio::test(start_paused = true)]
async fn a_loud_tenant_of_a_standard_queue_waits_behind_quiet_ones() {
    let house = House::new().await;
    let url = house.create("fair", json!({})).await;
    let send = async |tenant: &str, count: usize| {
        for _ in 0..count {
            let input = json!({ "QueueUrl": url, "MessageBody": tenant, "MessageGroupId": tenant });
            house.ask("SendMessage", input).await.unwrap();
        }
    };
    send("loud", 100).await;
    for _ in 0..3 {
        assert_eq!(house.bodies(&url).await, ["loud"; 10]);
    }
    send("quiet", 5).await;
    let got = house.receive(&url, json!({})).await;
    assert_eq!(bodies(&got), ["quiet", "quiet", "quiet", "quiet", "quiet", "loud", "loud", "loud", "loud", "loud"]);
    assert_eq!(got[0]["Attributes"]["MessageGroupId"], "quiet");
    assert!(got[0]["Attributes"]["SequenceNumber"].is_null());
    for _ in 0..6 {
        assert_eq!(house.bodies(&url).await.len(), 10);
    }
    assert_eq!(house.bodies(&url).await.len(), 5, "all came");
}
