//! Notifications carry signatures that anybody can verify with the certificate they name.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{FUNCTION, House, QUEUE, TOPIC};

/// Verifies as AWS's page says.
fn verify(message: &Value) {
    let names: &[&str] = match message["Type"].as_str().unwrap() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let pair = |name: &&str| message[*name].as_str().map(|value| format!("{name}\n{value}\n"));
    let text: String = names.iter().filter_map(pair).collect();
    let scheme: &RsaParameters = match message["SignatureVersion"].as_str().unwrap() {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    let key = UnparsedPublicKey::new(scheme, include_bytes!("support/signing.pub"));
    let signature = STANDARD.decode(message["Signature"].as_str().unwrap()).unwrap();
    key.verify(text.as_bytes(), &signature).unwrap_or_else(|_| panic!("the signature of {message} holds"));
}

fn servers_posts(house: &House) -> Arc<Mutex<Vec<Value>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    house.net.answer_with(move |request| {
        kept.lock().unwrap().push(serde_json::from_slice(request.body()).unwrap());
        Ok(Response::new(Bytes::new()))
    });
    seen
}

#[tokio::test(start_paused = true)]
async fn both_versions_hold() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    house.subscribe("lambda", FUNCTION, json!({})).await;
    let message = json!({ "default": "all\nlines", "lambda": "for functions" }).to_string();
    for version in ["1", "2"] {
        let set = json!({ "TopicArn": TOPIC, "AttributeName": "SignatureVersion", "AttributeValue": version });
        house.ask("SetTopicAttributes", set).await.unwrap();
        house.publish(json!({ "Message": message, "MessageStructure": "json", "Subject": "S" })).await;
        for envelope in house.arrived().await {
            let body: Value = serde_json::from_slice(&envelope.body).unwrap();
            let notification = body.pointer("/Records/0/Sns").unwrap_or(&body);
            assert_eq!(notification["SignatureVersion"], version);
            verify(notification);
        }
    }
    let attributes = house.ask("GetTopicAttributes", json!({ "TopicArn": TOPIC })).await.unwrap();
    assert_eq!(attributes["Attributes"]["SignatureVersion"], "2");
}

#[tokio::test(start_paused = true)]
async fn the_certificate_is_where_it_is_said_to_be() {
    let house = House::new(None).await;
    house.topic().await;
    house.subscribe("sqs", QUEUE, json!({})).await;
    house.publish(json!({})).await;
    let body: Value = serde_json::from_slice(&house.arrived().await[0].body).unwrap();
    let url = body["SigningCertURL"].as_str().unwrap();
    let name = url.strip_prefix("http://localhost:4566/_headwater/sns/").unwrap();
    assert_eq!(house.topics.certificate(name).await.as_deref(), Some(include_str!("support/signing.pem")));
    assert_eq!(house.topics.certificate("other.pem").await, None);
}

#[tokio::test(start_paused = true)]
async fn questions_are_signed_and_an_unmeant_end_can_be_taken_back() {
    let house = House::new(None).await;
    house.topic().await;
    let seen = servers_posts(&house);
    house.subscribe("http", "http://hook.example.com/in", json!({})).await;
    house.wait(5).await;
    let question = seen.lock().unwrap().remove(0);
    verify(&question);
    let confirm = |question: &Value| json!({ "TopicArn": TOPIC, "Token": question["Token"] });
    let arn = house.ask_unsigned("ConfirmSubscription", confirm(&question)).await.unwrap()["SubscriptionArn"].clone();

    house.ask_unsigned("Unsubscribe", json!({ "SubscriptionArn": arn })).await.unwrap();
    house.publish(json!({})).await;
    house.wait(5).await;
    let told = seen.lock().unwrap().split_off(0);
    let [end] = told.as_slice() else { panic!("only the end is told: {told:?}") };
    assert_eq!(end["Type"], "UnsubscribeConfirmation");
    verify(end);
    assert_eq!(house.refused("GetSubscriptionAttributes", json!({ "SubscriptionArn": arn })).await.0, "NotFound");
    assert_ne!(end["Token"], question["Token"]);
    let old = house.ask_unsigned("ConfirmSubscription", confirm(&question)).await;
    assert_eq!(old.unwrap_err().message, "Invalid parameter: Token");

    let again = house.ask_unsigned("ConfirmSubscription", confirm(end)).await.unwrap();
    assert_eq!(again["SubscriptionArn"], arn, "the same subscription");
    house.publish(json!({})).await;
    house.wait(5).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
    // Its owner needs no second thought.
    house.ask("Unsubscribe", json!({ "SubscriptionArn": arn })).await.unwrap();
    house.wait(5).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}
