//! FIFO topics: order per group, each message once.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use delivery::attribute;
use serde_json::{Value, json};
use support::{FUNCTION, House, QUEUE, TOPIC, options};
use topics::TopicsOptions;

const FIFO: &str = "arn:aws:sns:us-east-1:000000000000:orders.fifo";

async fn house(attributes: Value) -> House {
    let house = House::new(None).await;
    let mut all = json!({ "FifoTopic": "true" });
    all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    house.ask("CreateTopic", json!({ "Name": "orders.fifo", "Attributes": all })).await.unwrap();
    house
}

async fn subscribe(house: &House, protocol: &str, endpoint: &str) {
    let input = json!({ "TopicArn": FIFO, "Protocol": protocol, "Endpoint": endpoint });
    house.ask("Subscribe", input).await.unwrap();
}

async fn publish(house: &House, message: &str, group: &str, id: Option<&str>) -> Value {
    let mut input = json!({ "TopicArn": FIFO, "Message": message, "MessageGroupId": group });
    if let Some(id) = id {
        input["MessageDeduplicationId"] = id.into();
    }
    house.ask("Publish", input).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn queues_get_groups_and_deduplication_ids_in_order() {
    let house = house(json!({ "ContentBasedDeduplication": "true" })).await;
    let (fifo, standard) = (format!("{QUEUE}.fifo"), QUEUE);
    subscribe(&house, "sqs", &fifo).await;
    subscribe(&house, "sqs", standard).await;
    let first = publish(&house, "one", "g", None).await;
    let second = publish(&house, "two", "g", Some("given")).await;
    let number = |answer: &Value| answer["SequenceNumber"].as_str().unwrap().to_owned();
    assert!(number(&first).len() == 20 && number(&first) < number(&second));
    let arrived = house.arrived().await;
    let ordered: Vec<_> = arrived.iter().filter(|e| e.to.as_str() == fifo).collect();
    let body: Value = serde_json::from_slice(&ordered[0].body).unwrap();
    assert_eq!((&body["Message"], &body["SequenceNumber"]), (&json!("one"), &json!(number(&first))));
    let of = |at: usize, name: &str| ordered[at].attributes.get(name).map(String::as_str);
    assert_eq!(
        [of(0, attribute::MESSAGE_GROUP_ID), of(1, attribute::MESSAGE_DEDUPLICATION_ID)],
        [Some("g"), Some("given")]
    );
    let hash = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    assert_eq!(of(0, attribute::MESSAGE_DEDUPLICATION_ID), Some(hash), "the hash of the message");
    let plain = arrived.iter().find(|e| e.to.as_str() == standard).unwrap();
    assert_eq!(plain.attributes.get(attribute::MESSAGE_GROUP_ID), None, "groups are for FIFO queues");
}

#[tokio::test(start_paused = true)]
async fn a_message_comes_once_in_five_minutes_also_across_a_restart() {
    let house = house(json!({})).await;
    subscribe(&house, "sqs", &format!("{QUEUE}.fifo")).await;
    let first = publish(&house, "one", "g", Some("id")).await;
    assert_eq!(publish(&house, "two", "h", Some("id")).await, first, "it is answered with the first");
    let house = house.restart().await;
    assert_eq!(publish(&house, "three", "g", Some("id")).await, first);
    assert_eq!(house.arrived().await.len(), 1);
    house.wait(300).await;
    let later = publish(&house, "four", "g", Some("id")).await;
    assert!(later["SequenceNumber"].as_str() > first["SequenceNumber"].as_str());
    assert_eq!(house.arrived().await.len(), 1);
    // A topic that is made again is another one.
    house.ask("DeleteTopic", json!({ "TopicArn": FIFO })).await.unwrap();
    house.wait(1).await;
    house.ask("CreateTopic", json!({ "Name": "orders.fifo", "Attributes": { "FifoTopic": "true" } })).await.unwrap();
    assert_ne!(publish(&house, "five", "g", Some("id")).await["MessageId"], later["MessageId"]);
}

#[tokio::test(start_paused = true)]
async fn groups_may_have_deduplication_ids_of_their_own() {
    let house = house(json!({ "FifoThroughputScope": "MessageGroup" })).await;
    let first = publish(&house, "one", "g", Some("id")).await;
    assert_ne!(publish(&house, "one", "h", Some("id")).await, first);
    assert_eq!(publish(&house, "one", "g", Some("id")).await, first);
    let attributes = house.ask("GetTopicAttributes", json!({ "TopicArn": FIFO })).await.unwrap()["Attributes"].clone();
    assert_eq!(
        (&attributes["FifoTopic"], &attributes["FifoThroughputScope"]),
        (&json!("true"), &json!("MessageGroup"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_fifo_topic_asks_for_and_refuses() {
    let house = house(json!({})).await;
    for (more, word) in [
        (json!({}), "The MessageGroupId parameter is required for FIFO topics"),
        (json!({ "MessageGroupId": "g" }), "ContentBasedDeduplication enabled or MessageDeduplicationId provided"),
        (json!({ "MessageGroupId": "a b", "MessageDeduplicationId": "d" }), "MessageGroupId"),
    ] {
        let mut input = json!({ "TopicArn": FIFO, "Message": "m" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (_, message) = house.refused("Publish", input).await;
        assert!(message.contains(word), "{message}");
    }
    let function = json!({ "TopicArn": FIFO, "Protocol": "lambda", "Endpoint": FUNCTION });
    assert!(house.refused("Subscribe", function).await.1.contains("SQS queues only"));
    house.topic().await;
    let queue = json!({ "TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": format!("{QUEUE}.fifo") });
    assert!(house.refused("Subscribe", queue).await.1.contains("can not be subscribed to standard SNS topics"));
    let id = json!({ "TopicArn": TOPIC, "Message": "m", "MessageDeduplicationId": "d" });
    assert!(house.refused("Publish", id).await.1.contains("not valid for this topic type"));
    for (name, attributes) in
        [("a.fifo", json!({})), ("a", json!({ "FifoTopic": "true" })), (".fifo", json!({ "FifoTopic": "true" }))]
    {
        let (code, _) = house.refused("CreateTopic", json!({ "Name": name, "Attributes": attributes })).await;
        assert_eq!(code, "InvalidParameter", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn batches_keep_their_order_and_fail_entry_by_entry() {
    let house = house(json!({})).await;
    subscribe(&house, "sqs", &format!("{QUEUE}.fifo")).await;
    let entry = |id: &str, more: Value| {
        let mut entry = json!({ "Id": id, "Message": id, "MessageGroupId": "g", "MessageDeduplicationId": id });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let entries = json!([
        entry("a", json!({})),
        entry("b", json!({ "Message": "" })),
        entry("c", json!({ "MessageDeduplicationId": "a" })),
        entry("d", json!({})),
    ]);
    let answer =
        house.ask("PublishBatch", json!({ "TopicArn": FIFO, "PublishBatchRequestEntries": entries })).await.unwrap();
    let ids = |name: &str| {
        answer[name].as_array().unwrap().iter().map(|e| e["Id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids("Successful"), ids("Failed")), (vec!["a".into(), "c".into(), "d".into()], vec!["b".to_owned()]));
    assert_eq!(answer["Failed"][0]["SenderFault"], true);
    assert_eq!(answer["Successful"][0]["MessageId"], answer["Successful"][1]["MessageId"]);
    let arrived = house.arrived().await;
    let said: Vec<Value> =
        arrived.iter().map(|e| serde_json::from_slice::<Value>(&e.body).unwrap()["Message"].clone()).collect();
    assert_eq!(said, ["a", "d"]);
    let batch = |entries: Value| json!({ "TopicArn": FIFO, "PublishBatchRequestEntries": entries });
    for (entries, code) in [
        (json!([]), "EmptyBatchRequest"),
        (Value::Array((0..11).map(|n| entry(&n.to_string(), json!({}))).collect()), "TooManyEntriesInBatchRequest"),
        (json!([entry("a", json!({})), entry("a", json!({}))]), "BatchEntryIdsNotDistinct"),
        (json!([entry("a.b", json!({}))]), "InvalidBatchEntryId"),
        (
            Value::Array((0..2).map(|n| entry(&n.to_string(), json!({ "Message": "m".repeat(140_000) }))).collect()),
            "BatchRequestTooLong",
        ),
    ] {
        assert_eq!(house.refused("PublishBatch", batch(entries)).await.0, code);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_the_quota_is_refused_and_text_messages_wait() {
    let house = House::with(TopicsOptions { throttle: true, ..options() }).await;
    house.ask("CreateTopic", json!({ "Name": "q.fifo", "Attributes": { "FifoTopic": "true" } })).await.unwrap();
    let topic = "arn:aws:sns:us-east-1:000000000000:q.fifo";
    let message = |n: usize| json!({ "TopicArn": topic, "Message": "m", "MessageGroupId": "g", "MessageDeduplicationId": n.to_string() });
    for n in 0..300 {
        house.ask("Publish", message(n)).await.unwrap();
    }
    assert_eq!(house.refused("Publish", message(300)).await.0, "Throttled");
    house.wait(1).await;
    house.ask("Publish", message(300)).await.unwrap();
    for _ in 0..40 {
        house.ask("Publish", json!({ "PhoneNumber": "+15551230000", "Message": "hi" })).await.unwrap();
    }
    let left = |house: &House| house.topics.outbox(100).unwrap().len();
    house.world.clock.sleep(std::time::Duration::from_millis(500)).await;
    assert!((20..40).contains(&left(&house)), "{}", left(&house));
    house.wait(2).await;
    assert_eq!(left(&house), 40);
}
