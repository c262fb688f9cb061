//! Resource policies of streams and of their consumers act: on every operation, over every way in.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use delivery::{Envelope, Verdict};
use names::{Arn, Caller, CallerKind, Home};
use serde_json::{Value, json};
use std::time::Duration;
use streams::Limits;
use support::{House, base64, house};
use wire::{ApiError, Protocol};

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

fn user(name: &str) -> Caller {
    let home = Home::default();
    Caller {
        kind: CallerKind::User { name: name.into() },
        arn: home.global_arn("iam", &format!("user/{name}")).to_string(),
        ..Caller::root(&home.account, "test")
    }
}

fn root() -> Caller {
    Caller::root(&Home::default().account, "test")
}

fn policy(arn: &str, effect: &str, actions: Value, condition: Option<Value>) -> String {
    let mut statement = json!({"Effect": effect, "Principal": "*", "Action": actions, "Resource": arn});
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// What each operation is asked about the stream.
fn inputs(iterator: &str) -> Vec<(&'static str, Value)> {
    let named = |more: Value| {
        let mut input = json!({"StreamName": "s"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let resource = json!({"ResourceARN": STREAM});
    let data = base64(b"denied");
    vec![
        ("AddTagsToStream", named(json!({"Tags": {"a": "b"}}))),
        ("CreateStream", named(json!({"ShardCount": 1}))),
        ("DecreaseStreamRetentionPeriod", named(json!({"RetentionPeriodHours": 24}))),
        ("DeleteResourcePolicy", resource.clone()),
        ("DeleteStream", named(json!({}))),
        ("DescribeStream", named(json!({}))),
        ("DescribeStreamSummary", json!({"StreamARN": STREAM})),
        ("DisableEnhancedMonitoring", named(json!({"ShardLevelMetrics": ["ALL"]}))),
        ("EnableEnhancedMonitoring", named(json!({"ShardLevelMetrics": ["ALL"]}))),
        ("GetRecords", json!({"ShardIterator": iterator})),
        ("GetResourcePolicy", resource.clone()),
        ("GetShardIterator", named(json!({"ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}))),
        ("IncreaseStreamRetentionPeriod", named(json!({"RetentionPeriodHours": 48}))),
        ("ListShards", named(json!({}))),
        ("ListStreamConsumers", json!({"StreamARN": STREAM})),
        ("ListTagsForResource", resource.clone()),
        ("ListTagsForStream", named(json!({}))),
        ("MergeShards", named(json!({"ShardToMerge": "a", "AdjacentShardToMerge": "b"}))),
        ("PutRecord", named(json!({"PartitionKey": "k", "Data": data}))),
        ("PutRecords", named(json!({"Records": [{"PartitionKey": "k", "Data": data}]}))),
        (
            "PutResourcePolicy",
            json!({"ResourceARN": STREAM, "Policy": policy(STREAM, "Allow", json!("kinesis:*"), None)}),
        ),
        ("RegisterStreamConsumer", json!({"StreamARN": STREAM, "ConsumerName": "d"})),
        ("RemoveTagsFromStream", named(json!({"TagKeys": ["a"]}))),
        ("SplitShard", named(json!({"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "7"}))),
        ("StartStreamEncryption", named(json!({"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}))),
        ("StopStreamEncryption", named(json!({"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}))),
        ("TagResource", json!({"ResourceARN": STREAM, "Tags": {"a": "b"}})),
        ("UntagResource", json!({"ResourceARN": STREAM, "TagKeys": ["a"]})),
        ("UpdateMaxRecordSize", json!({"StreamARN": STREAM, "MaxRecordSizeInKiB": 2048})),
        ("UpdateShardCount", named(json!({"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}))),
        ("UpdateStreamMode", json!({"StreamARN": STREAM, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}})),
        ("UpdateStreamWarmThroughput", json!({"StreamARN": STREAM, "WarmThroughputMiBps": 1})),
    ]
}

/// And about one of its consumers.
fn consumer_inputs(arn: &str) -> Vec<(&'static str, Value)> {
    let start = json!({"Type": "LATEST"});
    vec![
        ("DescribeStreamConsumer", json!({"ConsumerARN": arn})),
        ("SubscribeToShard", json!({"ConsumerARN": arn, "ShardId": "shardId-000000000000", "StartingPosition": start})),
        ("TagResource", json!({"ResourceARN": arn, "Tags": {"a": "b"}})),
        ("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["a"]})),
        ("ListTagsForResource", json!({"ResourceARN": arn})),
        ("GetResourcePolicy", json!({"ResourceARN": arn})),
        ("PutResourcePolicy", json!({"ResourceARN": arn, "Policy": policy(arn, "Allow", json!("kinesis:*"), None)})),
        ("DeleteResourcePolicy", json!({"ResourceARN": arn})),
        ("DeregisterStreamConsumer", json!({"ConsumerARN": arn})),
    ]
}

impl House {
    async fn ask_of(&self, caller: Caller, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let body = Bytes::from(input.to_string());
        let answer = self.answer_to(caller, Protocol::AwsJson11, operation, body).await?;
        let answer = answer.whole().cloned().unwrap_or_default();
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() })
    }

    /// Asks for what a policy denies.
    async fn denied(&self, caller: Caller, operation: &str, input: &Value) {
        let (who, error) = (caller.arn.clone(), self.ask_of(caller, operation, input).await.unwrap_err());
        assert_eq!(error.model.name, "AccessDeniedException", "{operation}: {error}");
        let expected =
            format!("User: {who} is not authorized to perform: kinesis:{operation} on resource: arn:aws:kinesis:");
        assert!(error.message.starts_with(&expected), "{}", error.message);
        assert!(error.message.ends_with("with an explicit deny in a resource-based policy"), "{}", error.message);
    }

    async fn put_policy(&self, arn: &str, policy: String) {
        self.ask("PutResourcePolicy", json!({"ResourceARN": arn, "Policy": policy})).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_holds_for_every_operation_and_the_account_can_take_it_back() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let inputs = inputs(&iterator);
    let asked: Vec<&str> = inputs.iter().chain(&consumer_inputs("")).map(|(operation, _)| *operation).collect();
    let about_none = ["DescribeAccountSettings", "DescribeLimits", "ListStreams", "UpdateAccountSettings"];
    for entry in shapes::kinesis::SERVICE.operations.iter().filter(|entry| entry.model.is_some()) {
        assert!(asked.contains(&entry.name) || about_none.contains(&entry.name), "{} is tried here", entry.name);
    }
    house.put_policy(STREAM, policy(STREAM, "Deny", json!("kinesis:*"), None)).await;
    let house = house.restart().await;
    let unlocks = ["DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy"];
    for (operation, input) in &inputs {
        house.denied(user("alice"), operation, input).await;
        if !unlocks.contains(operation) {
            house.denied(root(), operation, input).await;
        }
    }
    house.ask("GetResourcePolicy", json!({"ResourceARN": STREAM})).await.unwrap();
    house.ask("DeleteResourcePolicy", json!({"ResourceARN": STREAM})).await.unwrap();
    let got = house.get(&iterator).await.unwrap();
    assert_eq!(got["Records"], json!([]), "nothing was written");
    let description = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(description["StreamDescriptionSummary"]["RetentionPeriodHours"], 24, "nothing was changed");
    house.put("s", "k", b"again").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denial_reaches_as_far_as_it_says() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let others = json!({"StringNotEquals": {"aws:username": "alice"}});
    let puts = json!(["kinesis:PutRecord", "kinesis:PutRecords"]);
    house.put_policy(STREAM, policy(STREAM, "Deny", puts, Some(others))).await;
    let data = base64(b"x");
    let put = json!({"StreamName": "s", "PartitionKey": "k", "Data": data});
    let many = json!({"StreamARN": STREAM, "Records": [{"PartitionKey": "k", "Data": data}]});
    for (operation, input) in [("PutRecord", &put), ("PutRecords", &many)] {
        house.ask_of(user("alice"), operation, input).await.unwrap();
        house.denied(user("bob"), operation, input).await;
    }
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let got = house.ask_of(user("bob"), "GetRecords", &json!({"ShardIterator": iterator})).await.unwrap();
    assert_eq!(got["Records"].as_array().unwrap().len(), 2);
    // An identity of the account needs no statement.
    house.put_policy(STREAM, policy(STREAM, "Allow", json!("kinesis:GetRecords"), None)).await;
    house.ask_of(user("bob"), "PutRecord", &put).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_has_a_policy_of_its_own() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let made = house.ask("RegisterStreamConsumer", json!({"StreamARN": STREAM, "ConsumerName": "c"})).await.unwrap();
    let arn = made["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned();
    house.wait(Duration::from_millis(100)).await;
    house.put_policy(STREAM, policy(STREAM, "Deny", json!("kinesis:*"), None)).await;
    let subscribe = consumer_inputs(&arn).swap_remove(1).1;
    let body = Bytes::from(subscribe.to_string());
    house.answer_to(user("alice"), Protocol::AwsJson11, "SubscribeToShard", body).await.unwrap();
    house.ask_of(user("alice"), "DescribeStreamConsumer", &json!({"ConsumerARN": arn})).await.unwrap();
    house.ask("DeleteResourcePolicy", json!({"ResourceARN": STREAM})).await.unwrap();
    house.put_policy(&arn, policy(&arn, "Deny", json!("kinesis:*"), None)).await;
    for (operation, input) in consumer_inputs(&arn) {
        house.denied(user("alice"), operation, &input).await;
    }
    house.put("s", "k", b"of the stream").await.unwrap();
    house.ask("DeleteResourcePolicy", json!({"ResourceARN": arn})).await.unwrap();
    house.ask_of(user("alice"), "DeregisterStreamConsumer", &json!({"ConsumerARN": arn})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_other_services_bring_can_be_denied() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let rule = Home::default().arn("events", "rule/noisy");
    let quiet = Home::default().arn("events", "rule/quiet");
    let noisy = json!({"ArnEquals": {"aws:SourceArn": rule.as_str()}});
    house.put_policy(STREAM, policy(STREAM, "Deny", json!("kinesis:PutRecord"), Some(noisy))).await;
    let envelope =
        |from: &Arn| Envelope { from: Some(from.clone()), ..house.envelope(STREAM.parse().unwrap(), "hello", None) };
    let target = house.streams.target();
    let verdicts = target.deliver_all(&[envelope(&rule), envelope(&quiet)]).await;
    assert!(matches!(&verdicts[0], Verdict::Refused { code, .. } if code == "AccessDeniedException"), "{verdicts:?}");
    assert!(matches!(&verdicts[1], Verdict::Accepted(_)), "{verdicts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_not_kept_under_a_name_that_is_none() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let elsewhere = STREAM.replace("arn:aws:", "arn:aws-us-gov:");
    let policy = policy(&elsewhere, "Deny", json!("kinesis:*"), None);
    let error = house.ask("PutResourcePolicy", json!({"ResourceARN": elsewhere, "Policy": policy})).await.unwrap_err();
    assert_eq!(error.model.name, "ResourceNotFoundException", "{error}");
}
