//! The pushed door.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, Verdict, attribute};
use names::Arn;
use serde_json::json;
use support::House;

fn envelope(house: &House, to: &str, body: &'static [u8]) -> Envelope {
    Envelope {
        id: "e".into(),
        to: Arn::new("sqs", "us-east-1", "000000000000", to),
        body: Bytes::from_static(body),
        attributes: Default::default(),
        from: None,
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: RetryPolicy::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: house.world.now(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_arrives_as_a_message() {
    let house = House::new().await;
    let url = house.create("orders", json!({})).await;
    let mut e = envelope(&house, "orders", b"pushed");
    let carried = json!({
        "RULE_ARN": { "DataType": "String", "StringValue": "arn:aws:events:us-east-1:000000000000:rule/r" },
        "raw": { "DataType": "Binary", "BinaryValue": "AQI=" },
    });
    e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), carried.to_string());
    let Verdict::Accepted(id) = house.queues.target().deliver(&e).await else { panic!("accepted") };
    let got = house.receive(&url, json!({})).await;
    assert_eq!(
        (got[0]["Body"].as_str(), got[0]["MessageId"].as_str()),
        (Some("pushed"), std::str::from_utf8(&id).ok())
    );
    assert_eq!(got[0]["MessageAttributes"], carried);
    assert_eq!(got[0]["Attributes"]["SenderId"], "events.amazonaws.com");
}

#[tokio::test(start_paused = true)]
async fn what_can_never_arrive_is_refused() {
    let house = House::new().await;
    house.create("orders", json!({ "MaximumMessageSize": "1024" })).await;
    let target = house.queues.target();
    let code = async |e: &Envelope| match target.deliver(e).await {
        Verdict::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(&envelope(&house, "nobody", b"a")).await, "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(code(&envelope(&house, "orders", b"\xff")).await, "InvalidMessageContents");
    assert_eq!(code(&envelope(&house, "orders", &[b'a'; 1025])).await, "InvalidParameterValue");
    let mut e = envelope(&house, "orders", b"a");
    e.attributes.insert(attribute::MESSAGE_ATTRIBUTES.into(), "[]".into());
    assert_eq!(code(&e).await, "InvalidParameterValue");
}
