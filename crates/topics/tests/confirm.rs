//! Web servers and people are asked before they get anything.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{House, TOPIC};
use topics::Status;

type Seen = Arc<Mutex<Vec<Request<Bytes>>>>;

/// A web server that keeps what it is sent and answers with these states in turn, then always with the last.
fn server(house: &House, states: &'static [u16]) -> Seen {
    let seen = Seen::default();
    let kept = seen.clone();
    house.net.answer_with(move |request| {
        let mut kept = kept.lock().unwrap();
        kept.push(request.clone());
        let status = states[(kept.len() - 1).min(states.len() - 1)];
        Ok(Response::builder().status(status).body(Bytes::new()).unwrap())
    });
    seen
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> &'a str {
    request.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_web_server_confirms_and_is_notified() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = server(&house, &[200]);
    let pending = json!({ "TopicArn": TOPIC, "Protocol": "http", "Endpoint": "http://me:pw@hook.example.com/in" });
    let answer = house.ask("Subscribe", pending).await.unwrap();
    assert_eq!(answer["SubscriptionArn"], "pending confirmation");
    house.publish(json!({})).await;
    house.wait(5).await;
    let question = {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "nothing but the question");
        assert_eq!(seen[0].uri(), "http://hook.example.com/in");
        assert_eq!(header(&seen[0], "x-amz-sns-message-type"), "SubscriptionConfirmation");
        assert_eq!(header(&seen[0], "x-amz-sns-topic-arn"), TOPIC);
        assert_eq!(header(&seen[0], "x-amz-sns-subscription-arn"), "");
        assert_eq!(header(&seen[0], "authorization"), "Basic bWU6cHc=");
        assert_eq!(header(&seen[0], "content-type"), "text/plain; charset=UTF-8");
        serde_json::from_slice::<Value>(seen[0].body()).unwrap()
    };
    let token = question["Token"].as_str().unwrap();
    let link = format!("http://localhost:4566/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}");
    assert_eq!(question["SubscribeURL"], link);

    let wrong = house.ask_unsigned("ConfirmSubscription", json!({ "TopicArn": TOPIC, "Token": "made up" })).await;
    assert_eq!(wrong.unwrap_err().message, "Invalid parameter: Token");
    let confirm = json!({ "TopicArn": TOPIC, "Token": token });
    let confirmed = house.ask_unsigned("ConfirmSubscription", confirm.clone()).await.unwrap();
    let arn = confirmed["SubscriptionArn"].as_str().unwrap().to_owned();
    assert_eq!(house.ask_unsigned("ConfirmSubscription", confirm).await.unwrap()["SubscriptionArn"], arn);
    let id = house.publish(json!({ "Subject": "Gone" })).await;
    house.wait(5).await;
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!(header(&seen[1], "x-amz-sns-message-type"), "Notification");
        assert_eq!(header(&seen[1], "x-amz-sns-message-id"), id);
        assert_eq!(header(&seen[1], "x-amz-sns-subscription-arn"), arn);
        let body: Value = serde_json::from_slice(seen[1].body()).unwrap();
        assert_eq!((&body["Message"], &body["Subject"]), (&json!("hello"), &json!("Gone")));
    }
    let outbox = house.topics.outbox(10).unwrap();
    assert_eq!(outbox.len(), 2);
    assert_eq!((outbox[0].to.as_str(), &outbox[0].status), ("http://me:****@hook.example.com/in", &Status::Sent));

    house.ask_unsigned("Unsubscribe", json!({ "SubscriptionArn": arn })).await.unwrap();
    house.publish(json!({})).await;
    house.wait(5).await;
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), header(&seen[2], "x-amz-sns-message-type")), (3, "UnsubscribeConfirmation"));
}

#[tokio::test(start_paused = true)]
async fn a_web_server_is_tried_again_as_its_policy_says() {
    let house = House::new(None).await;
    house.topic().await;
    let policy = json!({
        "healthyRetryPolicy": { "numRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1 },
        "requestPolicy": { "headerContentType": "application/json" },
    });
    let attributes = json!({ "DeliveryPolicy": policy.to_string(), "RawMessageDelivery": "true" });
    let seen = server(&house, &[200, 500]);
    house.subscribe("http", "http://hook.example.com/in", attributes).await;
    house.wait(1).await;
    let token = serde_json::from_slice::<Value>(seen.lock().unwrap()[0].body()).unwrap()["Token"].clone();
    house.ask("ConfirmSubscription", json!({ "TopicArn": TOPIC, "Token": token })).await.unwrap();
    house.publish(json!({})).await;
    house.wait(60).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1 + 3, "one try and two more");
    assert_eq!(seen[3].body(), "hello");
    assert_eq!(header(&seen[3], "x-amz-sns-rawdelivery"), "true");
    assert_eq!(header(&seen[3], "content-type"), "application/json");
    assert_eq!(house.delivery.dead(10).len(), 1);
    let outbox = house.topics.outbox(1).unwrap();
    assert!(matches!(&outbox[0].status, Status::Failed(why) if why.contains("500")), "{outbox:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_error_is_final() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = server(&house, &[404]);
    house.subscribe("http", "http://hook.example.com/in", json!({})).await;
    house.wait(3_600).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn mails_are_written_in_full() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("email", "ann@example.com", json!({})).await;
    house.wait(1).await;
    let question = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!((question.channel.as_str(), question.to.as_str()), ("email", "ann@example.com"));
    let token = question.body.split("Token=").nth(1).unwrap().trim().to_owned();
    let input = json!({ "TopicArn": TOPIC, "Token": token, "AuthenticateOnUnsubscribe": "true" });
    let unsigned = house.ask_unsigned("ConfirmSubscription", input.clone()).await.unwrap_err();
    assert_eq!(unsigned.model.code, "AuthorizationError");
    let arn = house.ask("ConfirmSubscription", input).await.unwrap()["SubscriptionArn"].clone();
    house.publish(json!({})).await;
    house.wait(1).await;
    let letter = house.topics.outbox(1).unwrap().remove(0);
    assert_eq!((letter.subject.as_deref(), &letter.status), (Some("AWS Notification Message"), &Status::NoProvider));
    assert!(letter.body.starts_with("hello\n"), "{}", letter.body);
    // Its owner wanted it so: only a signed request ends it.
    let refused = house.ask_unsigned("Unsubscribe", json!({ "SubscriptionArn": arn })).await.unwrap_err();
    assert_eq!(refused.model.code, "AuthorizationError");
    house.ask("Unsubscribe", json!({ "SubscriptionArn": arn })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_confirm_is_forgotten_after_three_days() {
    let house = House::new(None).await;
    house.topic().await;
    let arn = house.subscribe("email", "ann@example.com", json!({})).await;
    house.wait(2 * 86_400).await;
    house.ask("GetSubscriptionAttributes", json!({ "SubscriptionArn": arn })).await.unwrap();
    house.wait(86_400 + 600).await;
    assert_eq!(house.refused("GetSubscriptionAttributes", json!({ "SubscriptionArn": arn })).await.0, "NotFound");
}
