//! Tags, permissions, text message settings, and what is counted and logged.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use support::{FUNCTION, GHOST, House, QUEUE, TOPIC, options};
use topics::{SmsProvider, Status, TopicsOptions};

#[tokio::test(start_paused = true)]
async fn tags() {
    let house = House::new(None).await;
    house.topic().await;
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    house.ask("TagResource", json!({ "ResourceArn": TOPIC, "Tags": [tag("a", "1"), tag("b", "2")] })).await.unwrap();
    house.ask("UntagResource", json!({ "ResourceArn": TOPIC, "TagKeys": ["a", "none"] })).await.unwrap();
    let house = house.restart().await;
    let tags = house.ask("ListTagsForResource", json!({ "ResourceArn": TOPIC })).await.unwrap();
    assert_eq!(tags["Tags"], json!([tag("b", "2")]));
    let many: Vec<Value> = (0..50).map(|n| tag(&n.to_string(), "")).collect();
    for (tags, code) in [
        (json!(many), "TagLimitExceeded"),
        (json!([tag("aws:a", "")]), "InvalidParameter"),
        (json!([tag("a", ""), tag("a", "")]), "InvalidParameter"),
    ] {
        assert_eq!(house.refused("TagResource", json!({ "ResourceArn": TOPIC, "Tags": tags })).await.0, code);
    }
    let absent = json!({ "ResourceArn": format!("{TOPIC}2") });
    assert_eq!(house.refused("ListTagsForResource", absent).await.0, "ResourceNotFound");
}

#[tokio::test(start_paused = true)]
async fn permissions_are_statements_of_the_policy() {
    let house = House::new(None).await;
    house.topic().await;
    let add = |label: &str, action: &str| json!({ "TopicArn": TOPIC, "Label": label, "AWSAccountId": ["111122223333"], "ActionName": [action] });
    house.ask("AddPermission", add("share", "Publish")).await.unwrap();
    let policy = async || {
        let attributes = house.ask("GetTopicAttributes", json!({ "TopicArn": TOPIC })).await.unwrap();
        serde_json::from_str::<Value>(attributes["Attributes"]["Policy"].as_str().unwrap()).unwrap()
    };
    let shared = policy().await["Statement"][1].clone();
    assert_eq!((&shared["Sid"], &shared["Action"]), (&json!("share"), &json!("SNS:Publish")));
    assert_eq!(shared["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    assert!(house.refused("AddPermission", add("share", "Publish")).await.1.contains("already exists"));
    assert!(house.refused("AddPermission", add("other", "Fly")).await.1.contains("out of service scope"));
    house.ask("RemovePermission", json!({ "TopicArn": TOPIC, "Label": "share" })).await.unwrap();
    assert_eq!(policy().await["Statement"].as_array().unwrap().len(), 1);
    let default = json!({ "TopicArn": TOPIC, "Label": "__default_statement_ID" });
    house.ask("RemovePermission", default).await.unwrap();
    assert_eq!(policy().await["Statement"], json!([]));
    house.ask("Publish", json!({ "TopicArn": TOPIC, "Message": "the account's own need no statement" })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_of_its_topic_and_of_what_policies_may_say_there() {
    let house = House::new(None).await;
    house.topic().await;
    let policy = |action: Value, resource: Value| {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    for (action, resource, word) in [
        (json!("SNS:*"), json!(TOPIC), "Policy statement action out of service scope!"),
        (json!(["SNS:Publish", "SNS:CreateTopic"]), json!(TOPIC), "Policy statement action out of service scope!"),
        (json!("SNS:Publish"), json!(format!("{TOPIC}2")), "Policy"),
        (json!("SNS:Publish"), json!([TOPIC, TOPIC]), "Policy"),
    ] {
        let wrong = policy(action, resource);
        for (operation, input) in [
            ("SetTopicAttributes", json!({ "TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": wrong })),
            ("CreateTopic", json!({ "Name": "new", "Attributes": { "Policy": wrong } })),
        ] {
            let (name, message) = house.refused(operation, input).await;
            assert!(name == "InvalidParameter" && message.contains(word), "{name} {message}");
        }
    }
    let fine = policy(json!(["SNS:Publish", "sns:receive"]), json!(TOPIC));
    let ghost = fine.replace("\"*\"", &json!({ "AWS": GHOST }).to_string());
    let refusal = ("InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound".to_owned());
    let set = json!({ "TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": ghost });
    assert_eq!(house.refused("SetTopicAttributes", set).await, refusal);
    assert_eq!(
        house.refused("CreateTopic", json!({ "Name": "new", "Attributes": { "Policy": ghost } })).await,
        refusal
    );
    house
        .ask("SetTopicAttributes", json!({ "TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": fine }))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denial_holds_for_the_accounts_own() {
    let house = House::new(None).await;
    house.topic().await;
    let set = |action: &str, condition: Value| {
        let deny =
            json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": TOPIC, "Condition": condition });
        let policy = json!({ "Version": "2012-10-17", "Statement": [deny] }).to_string();
        json!({ "TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": policy })
    };
    let mail = json!({ "StringEquals": { "sns:Protocol": ["email", "email-json"] } });
    house.ask("SetTopicAttributes", set("SNS:Subscribe", mail)).await.unwrap();
    let subscribe = json!({ "TopicArn": TOPIC, "Protocol": "email", "Endpoint": "ann@example.com" });
    let (code, why) = house.refused("Subscribe", subscribe).await;
    assert_eq!(code, "AuthorizationError");
    assert!(why.ends_with("with an explicit deny in a resource-based policy"), "{why}");
    let plain = json!({ "Bool": { "aws:SecureTransport": "false" } });
    house.ask("SetTopicAttributes", set("sns:Publish", plain)).await.unwrap();
    let entries = json!([{ "Id": "1", "Message": "m" }]);
    let batch = json!({ "TopicArn": TOPIC, "PublishBatchRequestEntries": entries });
    assert_eq!(house.refused("PublishBatch", batch).await.0, "AuthorizationError");
    let odd = set("sns:Publish", json!({ "StringMatches": { "a": "b" } }));
    assert!(house.refused("SetTopicAttributes", odd).await.1.contains("StringMatches is not a condition operator"));
}

fn provider() -> SmsProvider {
    let price_micro_usd = Some(7_500);
    SmsProvider { price_micro_usd, ..SmsProvider::twilio("https://sms.example.com", "AC1", "secret", "+15550001111") }
}

#[tokio::test(start_paused = true)]
async fn who_opts_out_gets_no_more_messages() {
    let house = House::new(Some(provider())).await;
    house.net.answer_with(|_| {
        let refusal = r#"{"code":21610,"message":"Attempt to send to unsubscribed recipient"}"#;
        Ok(Response::builder().status(400).body(Bytes::from(refusal)).unwrap())
    });
    let number = "+15551230000";
    let send = json!({ "PhoneNumber": number, "Message": "hello" });
    house.ask("Publish", send.clone()).await.unwrap();
    house.wait(1).await;
    let house = house.restart().await;
    let listed = house.ask("ListPhoneNumbersOptedOut", json!({})).await.unwrap();
    assert_eq!(listed["phoneNumbers"], json!([number]));
    let is_out = async || {
        let answer = house.ask("CheckIfPhoneNumberIsOptedOut", json!({ "phoneNumber": number })).await.unwrap();
        answer["isOptedOut"].as_bool().unwrap()
    };
    assert!(is_out().await);
    house.net.answer_with(|_| panic!("nobody is asked"));
    house.ask("Publish", send.clone()).await.unwrap();
    house.wait(1).await;
    let latest = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!(latest.status, Status::Failed("Phone number is opted out".into()));
    house.ask("OptInPhoneNumber", json!({ "phoneNumber": number })).await.unwrap();
    assert!(!is_out().await);
    house.net.answer_with(|_| Ok(Response::new(Bytes::from_static(b"{}"))));
    house.ask("Publish", send).await.unwrap();
    house.wait(1).await;
    assert_eq!(house.topics.outbox(1).unwrap()[0].status, Status::Sent);
}

#[tokio::test(start_paused = true)]
async fn sms_attributes_act() {
    let house = House::new(Some(provider())).await;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = asked.clone();
    house.net.answer_with(move |request| {
        seen.lock().unwrap().push(String::from_utf8(request.body().to_vec()).unwrap());
        Ok(Response::new(Bytes::from_static(b"{}")))
    });
    let role = "arn:aws:iam::000000000000:role/sms";
    let attributes = json!({
        "DefaultSenderID": "Ops", "MonthlySpendLimit": "0.02", "DeliveryStatusIAMRole": role,
        "DeliveryStatusSuccessSamplingRate": "100",
    });
    house.ask("SetSMSAttributes", json!({ "attributes": attributes })).await.unwrap();
    let only = house.ask("GetSMSAttributes", json!({ "attributes": ["DefaultSenderID"] })).await.unwrap();
    assert_eq!(only["attributes"], json!({ "DefaultSenderID": "Ops" }));
    for _ in 0..3 {
        house.ask("Publish", json!({ "PhoneNumber": "+15551230000", "Message": "hello" })).await.unwrap();
        house.wait(1).await;
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked, ["To=%2B15551230000&From=Ops&Body=hello"; 2], "the third would go beyond the limit");
    let lines = house.lines.lock().unwrap().clone();
    let group = "sns/us-east-1/000000000000/DirectPublishToPhoneNumber";
    assert_eq!(lines.iter().filter(|(g, line)| g == group && line["status"] == "SUCCESS").count(), 2);
    let (failure, line) = &lines[2];
    assert_eq!((failure, &line["status"]), (&format!("{group}/Failure"), &json!("FAILURE")));
    assert_eq!(line["delivery"]["providerResponse"], "No quota left for account");
    assert_eq!(house.metric("NumberOfNotificationsFailed", "PhoneNumber"), 1);
    for (name, value) in [("UsageReportS3Bucket", "b"), ("DefaultSMSType", "Other"), ("Colour", "red")] {
        let (code, message) = house.refused("SetSMSAttributes", json!({ "attributes": { name: value } })).await;
        assert!(code == "InvalidParameter" && message.contains(name), "{message}");
    }
    let sandbox = house.ask("GetSMSSandboxAccountStatus", json!({})).await.unwrap();
    assert_eq!(sandbox["IsInSandbox"], false);
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_counted_and_logged() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    let dead = json!({ "deadLetterTargetArn": format!("{QUEUE}-dead") }).to_string();
    house.subscribe("lambda", &format!("{FUNCTION}-filtered"), json!({ "FilterPolicy": r#"{"k":["v"]}"# })).await;
    house.net.answer_with(|_| Ok(Response::builder().status(404).body(Bytes::from_static(b"gone")).unwrap()));
    let arn = house.subscribe("https", "https://me:pw@hook.example.com/in", json!({ "RedrivePolicy": dead })).await;
    for (name, value) in [
        ("SQSSuccessFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
        ("SQSSuccessFeedbackSampleRate", "100"),
        ("HTTPFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
    ] {
        let set = json!({ "TopicArn": TOPIC, "AttributeName": name, "AttributeValue": value });
        house.ask("SetTopicAttributes", set).await.unwrap();
    }
    house.wait(1).await;
    let outbox = house.topics.outbox(1).unwrap();
    let token = serde_json::from_str::<Value>(&outbox[0].body).unwrap()["Token"].clone();
    house.ask("ConfirmSubscription", json!({ "TopicArn": TOPIC, "Token": token })).await.unwrap();
    let id = house.publish(json!({})).await;
    let arrived = house.arrived().await;
    assert!(arrived.iter().any(|e| e.to.as_str() == format!("{QUEUE}-dead")), "{arn} failed for good");
    for (name, count) in [
        ("NumberOfMessagesPublished", 1),
        ("NumberOfNotificationsDelivered", 1),
        ("NumberOfNotificationsFailed", 1),
        ("NumberOfNotificationsRedrivenToDlq", 1),
        ("NumberOfNotificationsFilteredOut", 1),
        ("NumberOfNotificationsFilteredOut-NoMessageAttributes", 1),
        ("NumberOfNotificationsFilteredOut-MessageBody", 0),
    ] {
        assert_eq!(house.metric(name, "alarms"), count, "{name}");
    }
    let lines = house.lines.lock().unwrap().clone();
    let of = |group: &str| lines.iter().find(|(g, _)| g == group).map(|(_, line)| line.clone()).unwrap();
    let success = of("sns/us-east-1/000000000000/alarms");
    assert_eq!(
        (&success["delivery"]["destination"], &success["notification"]["messageId"]),
        (&json!(QUEUE), &json!(id))
    );
    let failure = of("sns/us-east-1/000000000000/alarms/Failure");
    assert_eq!((&failure["delivery"]["statusCode"], &failure["delivery"]["attempts"]), (&json!(404), &json!(1)));
    assert_eq!(failure["delivery"]["destination"], "https://me:****@hook.example.com/in");
}

#[tokio::test(start_paused = true)]
async fn without_a_price_there_is_no_monthly_limit() {
    let house = House::with(TopicsOptions { sms: None, ..options() }).await;
    let limit = json!({ "attributes": { "MonthlySpendLimit": "1" } });
    assert!(house.refused("SetSMSAttributes", limit).await.1.contains("price"));
}
