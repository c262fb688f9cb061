//! Queues: made, listed, set, purged, deleted.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::json;
use support::House;

#[tokio::test(start_paused = true)]
async fn a_queue_is_made_once_and_read_back() {
    let house = House::new().await;
    let url = house.create("orders", json!({ "VisibilityTimeout": "5" })).await;
    assert_eq!(url, "http://localhost:4566/000000000000/orders");
    // The same again, and again without saying how, is the same queue.
    assert_eq!(house.create("orders", json!({ "VisibilityTimeout": "5" })).await, url);
    assert_eq!(house.create("orders", json!({})).await, url);
    let again = json!({ "QueueName": "orders", "Attributes": { "VisibilityTimeout": "6" } });
    let (name, message) = house.refused("CreateQueue", again).await;
    assert_eq!(name, "QueueNameExists");
    assert!(message.ends_with("VisibilityTimeout"), "{message}");

    let got = house.ask("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await.unwrap();
    let attributes = got["Attributes"].as_object().unwrap();
    assert_eq!(attributes["QueueArn"], "arn:aws:sqs:us-east-1:000000000000:orders");
    assert_eq!(attributes["VisibilityTimeout"], "5");
    assert_eq!(attributes["MaximumMessageSize"], "1048576");
    assert_eq!(attributes["CreatedTimestamp"], "1767225600");
    let unknown = json!({ "QueueUrl": url, "AttributeNames": ["Colour"] });
    assert_eq!(house.refused("GetQueueAttributes", unknown).await.0, "InvalidAttributeName");

    house.wait(10).await;
    let set = json!({ "QueueUrl": url, "Attributes": { "VisibilityTimeout": "7", "Policy": "" } });
    house.ask("SetQueueAttributes", set).await.unwrap();
    let house = house.restart().await;
    assert_eq!(house.attribute(&url, "VisibilityTimeout").await, "7");
    assert_eq!(house.attribute(&url, "LastModifiedTimestamp").await, "1767225610");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_queue_is_refused() {
    let house = House::new().await;
    let fifo = json!({ "FifoQueue": "true" });
    for (name, attributes) in [("a.b", json!({})), ("a.fifo", json!({})), ("a", fifo.clone()), ("", json!({}))] {
        let input = json!({ "QueueName": name, "Attributes": attributes });
        assert_eq!(house.refused("CreateQueue", input).await.0, "InvalidParameterValueException", "{name}");
    }
    let long = json!({ "QueueName": format!("{}.fifo", "a".repeat(76)), "Attributes": fifo });
    assert_eq!(house.refused("CreateQueue", long).await.0, "InvalidParameterValueException");
    for (name, value, error) in [
        ("KmsMasterKeyId", "alias/aws/sqs", "InvalidAttributeValue"),
        ("SqsManagedSseEnabled", "true", "InvalidAttributeValue"),
        ("ContentBasedDeduplication", "true", "InvalidAttributeName"),
    ] {
        let input = json!({ "QueueName": "a", "Attributes": { name: value } });
        assert_eq!(house.refused("CreateQueue", input).await.0, error, "{name}");
    }
    for url in ["http://localhost:4566/000000000000/nobody", "http://localhost:4566/111111111111/nobody"] {
        let error = house.ask("SendMessage", json!({ "QueueUrl": url, "MessageBody": "a" })).await.unwrap_err();
        assert_eq!(error.model.name, "QueueDoesNotExist");
        assert_eq!(error.model.code, "AWS.SimpleQueueService.NonExistentQueue");
    }
    let nonsense = json!({ "QueueUrl": "nowhere", "MessageBody": "a" });
    assert_eq!(house.refused("SendMessage", nonsense).await.0, "InvalidAddress");
    assert_eq!(house.refused("GetQueueUrl", json!({ "QueueName": "nobody" })).await.0, "QueueDoesNotExist");
}

#[tokio::test(start_paused = true)]
async fn lists_have_prefixes_and_pages() {
    let house = House::new().await;
    for name in ["a1", "a2", "a3", "b1"] {
        house.create(name, json!({})).await;
    }
    let all = house.ask("ListQueues", json!({})).await.unwrap();
    assert_eq!(all["QueueUrls"].as_array().unwrap().len(), 4);
    let first = house.ask("ListQueues", json!({ "QueueNamePrefix": "a", "MaxResults": 2 })).await.unwrap();
    assert_eq!(first["QueueUrls"].as_array().unwrap().len(), 2);
    let next = json!({ "QueueNamePrefix": "a", "MaxResults": 2, "NextToken": first["NextToken"] });
    let second = house.ask("ListQueues", next).await.unwrap();
    assert_eq!(second["QueueUrls"], json!(["http://localhost:4566/000000000000/a3"]));
    assert!(second["NextToken"].is_null());
    let none = house.ask("ListQueues", json!({ "QueueNamePrefix": "c" })).await.unwrap();
    assert!(none["QueueUrls"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_takes_its_messages_along() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    house.send(&url, "old").await;
    house.ask("DeleteQueue", json!({ "QueueUrl": url })).await.unwrap();
    assert_eq!(house.refused("DeleteQueue", json!({ "QueueUrl": url })).await.0, "QueueDoesNotExist");
    assert_eq!(house.refused("CreateQueue", json!({ "QueueName": "orders" })).await.0, "QueueDeletedRecently");
    let house = house.restart().await;
    house.wait(60).await;
    house.create("orders", json!({})).await;
    assert!(house.bodies(&url).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_purge_empties_and_rests() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    house.send(&url, "a").await;
    house.send(&url, "b").await;
    house.ask("PurgeQueue", json!({ "QueueUrl": url })).await.unwrap();
    assert_eq!(house.attribute(&url, "ApproximateNumberOfMessages").await, "0");
    assert_eq!(house.refused("PurgeQueue", json!({ "QueueUrl": url })).await.0, "PurgeQueueInProgress");
    house.send(&url, "c").await;
    assert_eq!(house.bodies(&url).await, ["c"]);
    house.wait(60).await;
    house.ask("PurgeQueue", json!({ "QueueUrl": url })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn redrive_needs_a_queue_that_allows_it() {
    let house = House::new().await;
    let policy = |name: &str| {
        json!({ "RedrivePolicy": json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:000000000000:{name}"), "maxReceiveCount": 2,
        }).to_string() })
    };
    let input = |name: &str| json!({ "QueueName": "orders", "Attributes": policy(name) });
    let (name, message) = house.refused("CreateQueue", input("dead")).await;
    assert_eq!(name, "InvalidParameterValueException");
    assert!(message.contains("Dead letter target does not exist."), "{message}");
    house.create("dead", json!({ "RedriveAllowPolicy": r#"{"redrivePermission":"denyAll"}"# })).await;
    let (_, message) = house.refused("CreateQueue", input("dead")).await;
    assert!(message.contains("RedriveAllowPolicy"), "{message}");
    house.create("graveyard", json!({})).await;
    house.create("orders", policy("graveyard")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_pinned() {
    let house = House::new().await;
    assert_eq!(
        house.queues.service().served(),
        [
            "AddPermission",
            "CancelMessageMoveTask",
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
            "CreateQueue",
            "DeleteMessage",
            "DeleteMessageBatch",
            "DeleteQueue",
            "GetQueueAttributes",
            "GetQueueUrl",
            "ListDeadLetterSourceQueues",
            "ListMessageMoveTasks",
            "ListQueueTags",
            "ListQueues",
            "PurgeQueue",
            "ReceiveMessage",
            "RemovePermission",
            "SendMessage",
            "SendMessageBatch",
            "SetQueueAttributes",
            "StartMessageMoveTask",
            "TagQueue",
            "UntagQueue",
        ]
    );
}
