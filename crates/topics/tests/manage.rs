//! Topics and subscriptions: made, listed, set, ended.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use support::{FUNCTION, House, QUEUE, TOPIC};

#[tokio::test(start_paused = true)]
async fn a_topic_is_made_once_and_read_back() {
    let house = House::new(None).await;
    let made = house.ask("CreateTopic", json!({ "Name": "alarms", "Attributes": { "DisplayName": "Alarms" } })).await;
    assert_eq!(made.unwrap()["TopicArn"], TOPIC);
    house.topic().await;
    let other = json!({ "Name": "alarms", "Attributes": { "DisplayName": "Other" } });
    let (code, message) = house.refused("CreateTopic", other).await;
    assert_eq!((code, message.contains("already exists with different attributes")), ("InvalidParameter", true));
    let set = json!({ "TopicArn": TOPIC, "AttributeName": "DisplayName", "AttributeValue": "Bells" });
    house.ask("SetTopicAttributes", set).await.unwrap();
    house.subscribe("sqs", QUEUE, json!({})).await;
    house.subscribe("https", "https://example.com/hook", json!({})).await;

    let house = house.restart().await;
    let got = house.ask("GetTopicAttributes", json!({ "TopicArn": TOPIC })).await.unwrap();
    let attributes = got["Attributes"].as_object().unwrap();
    for (name, value) in [
        ("DisplayName", "Bells"),
        ("Owner", "000000000000"),
        ("SubscriptionsConfirmed", "1"),
        ("SubscriptionsPending", "1"),
        ("SubscriptionsDeleted", "0"),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    let policy: Value = serde_json::from_str(attributes["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Resource"], TOPIC);
    house.ask("DeleteTopic", json!({ "TopicArn": TOPIC })).await.unwrap();
    house.ask("DeleteTopic", json!({ "TopicArn": TOPIC })).await.unwrap();
    assert_eq!(house.refused("GetTopicAttributes", json!({ "TopicArn": TOPIC })).await.0, "NotFound");
    assert_eq!(house.ask("ListSubscriptions", json!({})).await.unwrap()["Subscriptions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_by_name() {
    let house = House::new(None).await;
    house.topic().await;
    for (operation, input, word) in [
        (
            "CreateTopic",
            json!({ "Name": "a.fifo", "Attributes": { "FifoTopic": "true", "ArchivePolicy": "{}" } }),
            "does not serve message archives yet",
        ),
        ("CreateTopic", json!({ "Name": "a b" }), "Topic Name"),
        (
            "SetTopicAttributes",
            json!({ "TopicArn": TOPIC, "AttributeName": "KmsMasterKeyId", "AttributeValue": "k" }),
            "encryption at rest",
        ),
        (
            "Subscribe",
            json!({ "TopicArn": TOPIC, "Protocol": "firehose", "Endpoint": "x" }),
            "does not serve subscriptions of the protocol firehose yet",
        ),
        (
            "Subscribe",
            json!({ "TopicArn": TOPIC, "Protocol": "fax", "Endpoint": "x" }),
            "Amazon SNS does not support this protocol string: fax",
        ),
        ("Subscribe", json!({ "TopicArn": TOPIC, "Protocol": "sms", "Endpoint": "x" }), "Invalid SMS endpoint: x"),
        ("Publish", json!({ "TopicArn": "alarms", "Message": "a" }), "TopicArn"),
    ] {
        let (code, message) = house.refused(operation, input).await;
        assert_eq!(code, "InvalidParameter");
        assert!(message.contains(word), "{message}");
    }
    let nobody = json!({ "TopicArn": format!("{TOPIC}2"), "Message": "a" });
    assert_eq!(house.refused("Publish", nobody).await, ("NotFound", "Topic does not exist".into()));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_listed_set_and_ended() {
    let house = House::new(None).await;
    house.topic().await;
    let queue = house.subscribe("sqs", QUEUE, json!({ "RawMessageDelivery": "true" })).await;
    let function = house.subscribe("lambda", FUNCTION, json!({})).await;
    let hook = house.subscribe("https", "https://me:secret@example.com/hook", json!({})).await;
    assert_eq!(house.subscribe("sqs", QUEUE, json!({ "RawMessageDelivery": "true" })).await, queue);
    let other = json!({
        "TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": QUEUE, "Attributes": { "RawMessageDelivery": "false" },
    });
    assert!(house.refused("Subscribe", other).await.1.contains("different attributes"));

    let listed = house.ask("ListSubscriptionsByTopic", json!({ "TopicArn": TOPIC })).await.unwrap();
    let arns: Vec<&str> =
        listed["Subscriptions"].as_array().unwrap().iter().map(|s| s["SubscriptionArn"].as_str().unwrap()).collect();
    assert_eq!(arns.len(), 3);
    assert!(arns.contains(&queue.as_str()) && arns.contains(&function.as_str()));
    assert!(arns.contains(&"PendingConfirmation"));
    assert!(!listed.to_string().contains("secret"));

    let set = |arn: &str, name: &str, value: &str| json!({ "SubscriptionArn": arn, "AttributeName": name, "AttributeValue": value });
    house.ask("SetSubscriptionAttributes", set(&queue, "RawMessageDelivery", "false")).await.unwrap();
    let dead = json!({ "deadLetterTargetArn": QUEUE }).to_string();
    house.ask("SetSubscriptionAttributes", set(&queue, "RedrivePolicy", &dead)).await.unwrap();
    let (_, message) = house.refused("SetSubscriptionAttributes", set(&function, "RawMessageDelivery", "true")).await;
    assert!(message.contains("does not support raw message delivery"), "{message}");
    let house = house.restart().await;
    let got = house.ask("GetSubscriptionAttributes", json!({ "SubscriptionArn": queue })).await.unwrap();
    assert_eq!(got["Attributes"]["RawMessageDelivery"], "false");
    assert_eq!(got["Attributes"]["RedrivePolicy"], dead);
    let got = house.ask("GetSubscriptionAttributes", json!({ "SubscriptionArn": hook })).await.unwrap();
    assert_eq!(got["Attributes"]["PendingConfirmation"], "true");

    house.ask("Unsubscribe", json!({ "SubscriptionArn": queue })).await.unwrap();
    house.ask("Unsubscribe", json!({ "SubscriptionArn": queue })).await.unwrap();
    let gone = house.refused("GetSubscriptionAttributes", json!({ "SubscriptionArn": queue })).await;
    assert_eq!(gone, ("NotFound", "Subscription does not exist".into()));
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_of_a_hundred() {
    let house = House::new(None).await;
    for i in 0..102 {
        house.ask("CreateTopic", json!({ "Name": format!("t{i:03}") })).await.unwrap();
        let input = json!({
            "TopicArn": format!("arn:aws:sns:us-east-1:000000000000:t{i:03}"), "Protocol": "sqs", "Endpoint": QUEUE,
        });
        house.ask("Subscribe", input).await.unwrap();
    }
    for (operation, member) in [("ListTopics", "Topics"), ("ListSubscriptions", "Subscriptions")] {
        let first = house.ask(operation, json!({})).await.unwrap();
        assert_eq!(first[member].as_array().unwrap().len(), 100);
        let second = house.ask(operation, json!({ "NextToken": first["NextToken"] })).await.unwrap();
        let rest = second[member].as_array().unwrap();
        assert_eq!(rest.len(), 2);
        assert!(rest[1]["TopicArn"].as_str().unwrap().ends_with(":t101"));
        assert!(second["NextToken"].is_null());
        // The second is good base64 of text.
        for token in ["?", "YQ==", "AAAA"] {
            assert_eq!(house.refused(operation, json!({ "NextToken": token })).await.1, "Invalid parameter: NextToken");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_one_topic_does_not_follow_one_of_another() {
    let house = House::new(None).await;
    let topic = |name: &str| format!("arn:aws:sns:us-east-1:000000000000:{name}");
    for name in ["a", "b"] {
        house.ask("CreateTopic", json!({ "Name": name })).await.unwrap();
        for i in 0..101 {
            let input = json!({ "TopicArn": topic(name), "Protocol": "sqs", "Endpoint": format!("{QUEUE}{i}") });
            house.ask("Subscribe", input).await.unwrap();
        }
    }
    let list = "ListSubscriptionsByTopic";
    let first = house.ask(list, json!({ "TopicArn": topic("a") })).await.unwrap();
    let input = |name: &str| json!({ "TopicArn": topic(name), "NextToken": first["NextToken"] });
    let second = house.ask(list, input("a")).await.unwrap();
    assert_eq!(second["Subscriptions"].as_array().unwrap().len(), 1);
    assert_eq!(house.refused(list, input("b")).await.1, "Invalid parameter: NextToken");
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_pinned() {
    let house = House::new(None).await;
    assert_eq!(
        house.topics.service().served(),
        [
            "AddPermission",
            "CheckIfPhoneNumberIsOptedOut",
            "ConfirmSubscription",
            "CreateTopic",
            "DeleteTopic",
            "GetSMSAttributes",
            "GetSMSSandboxAccountStatus",
            "GetSubscriptionAttributes",
            "GetTopicAttributes",
            "ListPhoneNumbersOptedOut",
            "ListSubscriptions",
            "ListSubscriptionsByTopic",
            "ListTagsForResource",
            "ListTopics",
            "OptInPhoneNumber",
            "Publish",
            "PublishBatch",
            "RemovePermission",
            "SetSMSAttributes",
            "SetSubscriptionAttributes",
            "SetTopicAttributes",
            "Subscribe",
            "TagResource",
            "Unsubscribe",
            "UntagResource",
        ]
    );
}
