//! Publish: to queues, functions, phones; what is filtered; what survives.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use delivery::{Envelope, RetryPolicy, Target, Verdict, attribute};
use http::Response;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{FUNCTION, House, QUEUE, TOPIC};
use topics::{SmsProvider, Status};

fn body(envelope: &Envelope) -> Value {
    serde_json::from_slice(&envelope.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_confirmed_subscription_gets_its_copy() {
    let house = House::new(None).await;
    house.topic().await;
    let dead = json!({ "RedrivePolicy": json!({ "deadLetterTargetArn": format!("{QUEUE}-dead") }).to_string() });
    let queue = house.subscribe("sqs", QUEUE, dead).await;
    let raw = house.subscribe("sqs", &format!("{QUEUE}-raw"), json!({ "RawMessageDelivery": "true" })).await;
    let function = house.subscribe("lambda", FUNCTION, json!({})).await;
    house.subscribe("http", "http://example.com/hook", json!({})).await;
    let attributes = json!({ "k": { "DataType": "String", "StringValue": "v" } });
    let id = house.publish(json!({ "Subject": "Gone", "MessageAttributes": attributes })).await;

    let arrived = house.arrived().await;
    assert_eq!(arrived.len(), 3);
    let to = |arn: &str| arrived.iter().find(|e| e.to.as_str() == arn).unwrap();
    let wrapped = body(to(QUEUE));
    assert_eq!((&wrapped["Type"], &wrapped["MessageId"]), (&json!("Notification"), &json!(id)));
    assert_eq!((&wrapped["Subject"], &wrapped["Message"]), (&json!("Gone"), &json!("hello")));
    assert_eq!(wrapped["MessageAttributes"], json!({ "k": { "Type": "String", "Value": "v" } }));
    let link = format!("http://localhost:4566/?Action=Unsubscribe&SubscriptionArn={queue}");
    assert_eq!(wrapped["UnsubscribeURL"], link);
    assert_eq!(wrapped["SignatureVersion"], "1");
    assert_eq!(to(QUEUE).dead_letter.as_ref().unwrap().as_str(), format!("{QUEUE}-dead"));
    assert_eq!(to(QUEUE).attributes.get(attribute::MESSAGE_ATTRIBUTES), None);

    let plain = to(&format!("{QUEUE}-raw"));
    assert_eq!(plain.body, "hello");
    let carried: Value = serde_json::from_str(&plain.attributes[attribute::MESSAGE_ATTRIBUTES]).unwrap();
    assert_eq!(carried, attributes);
    assert!(plain.id.ends_with(raw.rsplit(':').next().unwrap()));

    let event = to(FUNCTION);
    assert_eq!(event.attributes[attribute::INVOCATION], "Event");
    let record = body(event)["Records"][0].clone();
    assert_eq!((&record["EventSource"], &record["EventSubscriptionArn"]), (&json!("aws:sns"), &json!(function)));
    assert_eq!((&record["Sns"]["Message"], &record["Sns"]["TopicArn"]), (&json!("hello"), &json!(TOPIC)));
}

#[tokio::test(start_paused = true)]
async fn what_was_published_arrives_after_a_restart() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    // The answer is out; nothing has moved yet, for no other task has run.
    house.publish(json!({})).await;
    let house = house.restart().await;
    let arrived = house.arrived().await;
    assert!(!arrived.is_empty());
    assert_eq!(body(&arrived[0])["Message"], "hello");
}

#[tokio::test(start_paused = true)]
async fn a_message_may_say_something_else_to_each_protocol() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    house.subscribe("lambda", FUNCTION, json!({})).await;
    let message = json!({ "default": "all", "sqs": "queue" }).to_string();
    house.publish(json!({ "Message": message, "MessageStructure": "json" })).await;
    let arrived = house.arrived().await;
    let to = |arn: &str| body(arrived.iter().find(|e| e.to.as_str() == arn).unwrap());
    assert_eq!(to(QUEUE)["Message"], "queue");
    assert_eq!(to(FUNCTION)["Records"][0]["Sns"]["Message"], "all");
    let bad = json!({ "TopicArn": TOPIC, "Message": r#"{"sqs":"a"}"#, "MessageStructure": "json" });
    let (_, text) = house.refused("Publish", bad).await;
    assert_eq!(text, "Invalid parameter: Message Structure - No default entry in JSON message body");
}

#[tokio::test(start_paused = true)]
async fn filter_policies_act() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({ "FilterPolicy": r#"{"kind":["red","blue"]}"# })).await;
    let by_body = json!({ "FilterPolicy": r#"{"n":[1]}"#, "FilterPolicyScope": "MessageBody" });
    house.subscribe("lambda", FUNCTION, by_body).await;
    let kind = |kind: &str| json!({ "MessageAttributes": { "kind": { "DataType": "String", "StringValue": kind } } });
    for (more, expected) in [
        (kind("red"), vec![QUEUE]),
        (kind("green"), vec![]),
        (json!({ "Message": r#"{"n":1}"# }), vec![FUNCTION]),
        (json!({ "Message": "1" }), vec![]),
    ] {
        house.publish(more.clone()).await;
        let got: Vec<String> = house.arrived().await.iter().map(|e| e.to.to_string()).collect();
        assert_eq!(got, expected, "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_refused_with_snss_words() {
    let house = House::new(None).await;
    house.topic().await;
    let attribute = |value: Value| json!({ "a": value });
    for (more, code, word) in [
        (json!({ "Message": "" }), "InvalidParameter", "Empty message"),
        (json!({ "Message": "a".repeat(262_145) }), "InvalidParameter", "Message too long"),
        (json!({ "Subject": "a\nb" }), "InvalidParameter", "Subject"),
        (json!({ "PhoneNumber": "+15551230000" }), "InvalidParameter", "Only one of"),
        (
            json!({ "MessageAttributes": attribute(json!({ "DataType": "Text", "StringValue": "x" })) }),
            "ParameterValueInvalid",
            "the set of supported type prefixes is Binary, Number, and String.",
        ),
    ] {
        let mut input = json!({ "TopicArn": TOPIC, "Message": "hello" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (got, message) = house.refused("Publish", input).await;
        assert_eq!(got, code);
        assert!(message.contains(word), "{message}");
    }
    let phone = json!({ "PhoneNumber": "+123abc", "Message": "a" });
    let (_, message) = house.refused("Publish", phone).await;
    assert_eq!(message, "Invalid parameter: PhoneNumber Reason: +123abc is not valid to publish to");
}

#[tokio::test(start_paused = true)]
async fn without_a_provider_a_text_message_stays_in_the_outbox() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sms", "1 (555) 123-0000", json!({})).await;
    let direct = house.ask("Publish", json!({ "PhoneNumber": "+15551230001", "Message": "direct" })).await.unwrap();
    house.wait(1).await;
    let by_topic = house.publish(json!({ "Subject": "Gone" })).await;
    house.wait(1).await;
    let house = house.restart().await;
    let outbox = house.topics.outbox(10).unwrap();
    let [newest, oldest] = outbox.as_slice() else { panic!("two, not {outbox:?}") };
    assert_eq!(
        (newest.to.as_str(), newest.body.as_str(), &newest.status),
        ("+15551230000", "hello", &Status::NoProvider)
    );
    assert_eq!((newest.message_id.as_str(), newest.channel.as_str()), (by_topic.as_str(), "sms"));
    assert_eq!((oldest.to.as_str(), oldest.body.as_str()), ("+15551230001", "direct"));
    assert_eq!(Some(oldest.message_id.as_str()), direct["MessageId"].as_str());
    assert_eq!(house.topics.outbox(1).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_tried_until_it_takes_the_message() {
    let provider = SmsProvider::twilio("https://sms.example.com", "AC1", "secret", "+15550001111");
    let house = House::new(Some(provider)).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    house.net.answer_with(move |request| {
        let mut seen = seen.lock().unwrap();
        seen.push((request.uri().to_string(), request.body().clone()));
        let status = if seen.len() == 1 { 503 } else { 201 };
        Ok(Response::builder().status(status).body("busy".into()).unwrap())
    });
    let from = json!({ "AWS.SNS.SMS.SenderID": { "DataType": "String", "StringValue": "Ops" } });
    let input = json!({ "PhoneNumber": "+15551230000", "Message": "hi", "MessageAttributes": from });
    house.ask("Publish", input).await.unwrap();
    house.wait(60).await;
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].0, "https://sms.example.com/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(asked[1].1, "To=%2B15551230000&From=Ops&Body=hi");
    let outbox = house.topics.outbox(10).unwrap();
    assert_eq!((outbox.len(), &outbox[0].status), (1, &Status::Sent));
}

#[tokio::test(start_paused = true)]
async fn a_message_the_provider_refuses_is_shown_and_kept() {
    let provider = SmsProvider::twilio("https://sms.example.com", "AC1", "secret", "+15550001111");
    let house = House::new(Some(provider)).await;
    house.net.answer_with(|_| Ok(Response::builder().status(400).body("no such number".into()).unwrap()));
    house.ask("Publish", json!({ "PhoneNumber": "+15551230000", "Message": "hi" })).await.unwrap();
    house.wait(60).await;
    let outbox = house.topics.outbox(10).unwrap();
    let Status::Failed(why) = &outbox[0].status else { panic!("{outbox:?}") };
    assert!(why.contains("400") && why.contains("no such number"), "{why}");
    assert_eq!(house.delivery.dead(10).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_services_publish_by_pushing() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    let (_, _, target) = house.topics.targets().into_iter().find(|(service, ..)| *service == "sns").unwrap();
    let envelope = |to: &str| Envelope {
        id: "e".into(),
        to: to.parse().unwrap(),
        body: "from a rule".into(),
        attributes: Default::default(),
        from: None,
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: RetryPolicy::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: house.world.now(),
    };
    let Verdict::Refused { code, why } = Target::deliver(&*target, &envelope(TOPIC)).await else { panic!("refused") };
    assert_eq!(code, "AuthorizationError");
    assert!(why.ends_with("because no resource-based policy allows the SNS:Publish action"), "{why}");
    let service = json!({ "Service": "events.amazonaws.com" });
    let allow = json!({ "Effect": "Allow", "Principal": service, "Action": "sns:Publish", "Resource": TOPIC });
    let policy = json!({ "Version": "2012-10-17", "Statement": allow }).to_string();
    let set = json!({ "TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": policy });
    house.ask("SetTopicAttributes", set).await.unwrap();
    assert!(matches!(Target::deliver(&*target, &envelope(TOPIC)).await, Verdict::Accepted(_)));
    assert_eq!(body(&house.arrived().await[0])["Message"], "from a rule");
    let nobody = envelope(&format!("{TOPIC}2"));
    assert!(matches!(Target::deliver(&*target, &nobody).await, Verdict::Refused { code, .. } if code == "NotFound"));
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_takes_no_messages_and_still_lets_subscriptions_go() {
    let house = House::bounded(support::options(), delivery::Options { backlog_bytes: 1 }).await;
    house.topic().await;
    let queue = house.subscribe("sqs", QUEUE, json!({})).await;
    // Nobody answers there: what asks for a confirmation waits.
    house.subscribe("http", "http://example.com/hook", json!({})).await;
    assert!(house.delivery.backlog().0 > 0);
    let message = json!({ "TopicArn": TOPIC, "Message": "hello" });
    let batch = json!({ "TopicArn": TOPIC, "PublishBatchRequestEntries": [{ "Id": "1", "Message": "hello" }] });
    let text = json!({ "PhoneNumber": "+15550100", "Message": "hello" });
    for (operation, input) in [("Publish", message), ("PublishBatch", batch), ("Publish", text)] {
        let (code, why) = house.refused(operation, input).await;
        assert_eq!(code, "ServiceUnavailable");
        assert!(why.contains("the backlog of deliveries is full"), "{why}");
    }
    house.ask("Unsubscribe", json!({ "SubscriptionArn": queue })).await.unwrap();
    house.ask("DeleteTopic", json!({ "TopicArn": TOPIC })).await.unwrap();
    assert_eq!(house.arrived().await.len(), 0);
}
