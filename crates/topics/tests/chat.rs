//! Chats are subscribed at once, at their own pace, and asked again as they say.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{House, TOPIC, options};
use topics::{ChatOptions, Status, TopicsOptions};
use world::World;

type Seen = Arc<Mutex<Vec<(Duration, String, Value)>>>;

/// A chat that answers with these states in turn, then always with the last; 429 comes with a minute to wait.
fn chat(house: &House, states: &'static [u16]) -> Seen {
    let seen = Seen::default();
    let (kept, world): (Seen, World) = (seen.clone(), house.world.clone());
    house.net.answer_with(move |request| {
        let mut kept = kept.lock().unwrap();
        let body = serde_json::from_slice(request.body()).unwrap();
        kept.push((world.clock.monotonic(), request.uri().to_string(), body));
        let status = states[(kept.len() - 1).min(states.len() - 1)];
        let answer = Response::builder().status(status);
        let answer = if status == 429 { answer.header("retry-after", "60") } else { answer };
        Ok(answer.body(Bytes::from_static(b"ok")).unwrap())
    });
    seen
}

#[tokio::test(start_paused = true)]
async fn slack_is_subscribed_at_once_and_gets_one_message_a_second() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = chat(&house, &[200]);
    let url = "https://hooks.slack.com/services/T0/B0/secret";
    let input = json!({ "TopicArn": TOPIC, "Protocol": "https", "Endpoint": url });
    let arn = house.ask("Subscribe", input).await.unwrap()["SubscriptionArn"].clone();
    assert!(arn.as_str().unwrap().starts_with(TOPIC), "nobody is asked: {arn}");
    for n in 0..5 {
        house.publish(json!({ "Message": format!("m{n}"), "Subject": "Gone" })).await;
    }
    house.wait(10).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[1].0 - pair[0].0 >= Duration::from_secs(1)), "{seen:?}");
    assert_eq!((seen[0].1.as_str(), &seen[0].2["text"]), (url, &json!("Gone")));
    assert_eq!(seen[0].2["blocks"][0]["type"], "header");
    let sent = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!((sent.channel.as_str(), sent.to.as_str()), ("slack", "https://hooks.slack.com/..."));
    assert_eq!(house.metric("NumberOfNotificationsDelivered", "alarms"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_asks_for_quiet_gets_it() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = chat(&house, &[429, 200]);
    house.subscribe("https", "https://chat.example.com/x", json!({})).await;
    house.publish(json!({})).await;
    house.publish(json!({})).await;
    house.wait(180).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen[1].0 - seen[0].0 >= Duration::from_secs(60), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_chat_refuses_goes_to_the_dead_letters() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = chat(&house, &[404]);
    house.subscribe("https", "https://chat.example.com/x", json!({})).await;
    house.publish(json!({})).await;
    house.wait(3_600).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(house.delivery.dead(1)[0].code, "404");
    assert!(matches!(house.topics.outbox(1).unwrap()[0].status, Status::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_opens_and_closes_an_incident() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = chat(&house, &[202]);
    let url = "https://events.pagerduty.com/v2/enqueue";
    let without = json!({ "TopicArn": TOPIC, "Protocol": "https", "Endpoint": url });
    assert!(house.refused("Subscribe", without).await.1.contains("routing_key"));
    house.subscribe("https", &format!("{url}?routing_key=R0UTE"), json!({})).await;
    for state in ["ALARM", "OK"] {
        let alarm = json!({ "AlarmName": "cpu", "NewStateValue": state, "AlarmArn": "arn:alarm" });
        house.publish(json!({ "Message": alarm.to_string() })).await;
        house.wait(1).await;
    }
    let acknowledge = json!({ "event_action": { "DataType": "String", "StringValue": "acknowledge" } });
    house.publish(json!({ "MessageAttributes": acknowledge })).await;
    house.wait(1).await;
    let seen = seen.lock().unwrap();
    let said: Vec<_> = seen.iter().map(|(_, _, body)| body["event_action"].as_str().unwrap()).collect();
    assert_eq!(said, ["trigger", "resolve", "acknowledge"]);
    assert_eq!((seen[0].1.as_str(), &seen[0].2["routing_key"]), (url, &json!("R0UTE")));
    assert_eq!(seen[0].2["dedup_key"], seen[1].2["dedup_key"]);
}

#[tokio::test(start_paused = true)]
async fn templates_come_before_the_houses_own_layout() {
    let template = Some(r#"{"msg":"{title} / {text}"}"#.to_owned());
    let teams = ChatOptions { hosts: vec!["teams.example.com:8443".into()], template };
    let house = House::with(TopicsOptions { teams, ..options() }).await;
    house.topic().await;
    let seen = chat(&house, &[202]);
    house.subscribe("https", "https://teams.example.com:8443/x", json!({})).await;
    house.publish(json!({ "Subject": "S" })).await;
    house.wait(1).await;
    assert_eq!(seen.lock().unwrap()[0].2, json!({ "msg": "S / hello" }));
}
