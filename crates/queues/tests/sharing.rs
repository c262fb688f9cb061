//! Permissions and tags.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use serde_json::{Value, json};
use support::{GHOST, House};

#[tokio::test(start_paused = true)]
async fn permissions_are_statements_of_the_policy() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let add = |label: &str, actions: Value| json!({ "QueueUrl": url, "Label": label, "AWSAccountIds": ["111122223333"], "Actions": actions });
    house.ask("AddPermission", add("send", json!(["SendMessage"]))).await.unwrap();
    house.ask("AddPermission", add("both", json!(["ReceiveMessage", "DeleteMessage"]))).await.unwrap();
    let house = house.restart().await;
    let policy: Value = serde_json::from_str(&house.attribute(&url, "Policy").await).unwrap();
    assert_eq!(policy["Statement"][0]["Sid"], "send");
    assert_eq!(policy["Statement"][1]["Action"], json!(["SQS:ReceiveMessage", "SQS:DeleteMessage"]));
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    for (input, word) in [
        (add("send", json!(["SendMessage"])), "Already exists."),
        (add("more", json!(["CreateQueue"])), "Only the queue owner"),
        (add("more", json!(["Sing"])), "SQS:Sing"),
        (add("a b", json!(["SendMessage"])), "Label"),
        (add("more", json!([])), "Actions"),
        (
            json!({ "QueueUrl": url, "Label": "more", "AWSAccountIds": ["me"], "Actions": ["SendMessage"] }),
            "PrincipalId",
        ),
    ] {
        let (_, message) = house.refused("AddPermission", input).await;
        assert!(message.contains(word), "{message}");
    }
    let remove = |label: &str| json!({ "QueueUrl": url, "Label": label });
    house.ask("RemovePermission", remove("send")).await.unwrap();
    assert!(house.refused("RemovePermission", remove("send")).await.1.contains("can't find label"));
    house.ask("RemovePermission", remove("both")).await.unwrap();
    assert_eq!(house.attribute(&url, "Policy").await, "");
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_of_its_queue_and_of_what_the_service_does() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:orders";
    let with = |action: Value, resource: Value| {
        let mut statement = json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource });
        if resource.is_null() {
            statement.as_object_mut().unwrap().remove("Resource");
        }
        json!({ "Policy": json!({ "Statement": [statement] }).to_string() })
    };
    let many = ["Send", "Receive", "Delete", "Purge", "Get", "List", "Tag", "Untag"].map(|verb| format!("sqs:{verb}*"));
    for (wrong, code, word) in [
        (with(json!("sqs:SendMessageBatch"), json!(arn)), "InvalidParameterValueException", "WSDL"),
        (
            with(json!("sqs:Sing"), json!(arn)),
            "InvalidParameterValueException",
            "Value sqs:Sing for parameter ActionName",
        ),
        (with(json!(many), json!(arn)), "OverLimit", "8 Actions were found, maximum allowed is 7."),
        (with(json!("sqs:*"), json!(format!("{arn}-2"))), "InvalidAttributeValue", "parameter Policy."),
        (with(json!("sqs:*"), json!(url)), "InvalidAttributeValue", "parameter Policy."),
        (with(json!("sqs:*"), Value::Null), "InvalidAttributeValue", "parameter Policy."),
    ] {
        for (operation, input) in [
            ("SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": wrong })),
            ("CreateQueue", json!({ "QueueName": "new", "Attributes": wrong })),
        ] {
            let (name, message) = house.refused(operation, input).await;
            assert!(name == code && message.contains(word), "{name} {message}");
        }
    }
    let ghost = json!({ "Effect": "Deny", "NotPrincipal": { "AWS": ["000000000000", GHOST] }, "Action": "sqs:*", "Resource": arn });
    let policy = json!({ "Policy": json!({ "Statement": [ghost] }).to_string() });
    let (name, message) = house.refused("SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": policy })).await;
    assert!(name == "InvalidAttributeValue" && message.contains(GHOST), "{name} {message}");
    let fine = json!({ "QueueUrl": url, "Attributes": with(json!(["sqs:Send*", "SQS:receivemessage"]), json!([arn])) });
    house.ask("SetQueueAttributes", fine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tags_come_and_go() {
    let house = House::new().await;
    let input = json!({ "QueueName": "orders", "tags": { "team": "a" } });
    let url = house.ask("CreateQueue", input).await.unwrap()["QueueUrl"].as_str().unwrap().to_owned();
    house.ask("TagQueue", json!({ "QueueUrl": url, "Tags": { "team": "b", "cost": "" } })).await.unwrap();
    let house = house.restart().await;
    let tags = house.ask("ListQueueTags", json!({ "QueueUrl": url })).await.unwrap();
    assert_eq!(tags["Tags"], json!({ "team": "b", "cost": "" }));
    house.ask("UntagQueue", json!({ "QueueUrl": url, "TagKeys": ["team", "nothing"] })).await.unwrap();
    let tags = house.ask("ListQueueTags", json!({ "QueueUrl": url })).await.unwrap();
    assert_eq!(tags["Tags"], json!({ "cost": "" }));
    let many: Value = (0..50).map(|i| (i.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into();
    for bad in [many, json!({ "aws:x": "" }), json!({ "": "" }), json!({ "a": "x".repeat(257) })] {
        let input = json!({ "QueueUrl": url, "Tags": bad });
        assert_eq!(house.refused("TagQueue", input).await.0, "InvalidParameterValueException");
    }
}
