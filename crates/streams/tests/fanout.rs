//! Consumers with a throughput of their own: their life, and what they are pushed.
#![allow(clippy::unwrap_used)] // the helpers here are tests too

mod support;

use bytes::{Buf, Bytes};
use serde_json::{Value, json};
use std::time::Duration;
use store::ReadLimit;
use streams::Limits;
use support::{House, from_base64, house};
use wire::{ApiError, Protocol};
use world::net::Body;

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

/// An event: its kind, and what is in it.
fn event(mut bytes: Bytes) -> (String, Value) {
    let total = bytes.get_u32() as usize;
    let headers = bytes.get_u32() as usize;
    bytes.advance(4);
    let head = bytes.split_to(headers);
    let payload = bytes.split_to(total - 16 - headers);
    let head = String::from_utf8_lossy(&head).into_owned();
    let kinds = [
        "initial-response",
        "SubscribeToShardEvent",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "InternalFailure",
    ];
    let kind = kinds.into_iter().find(|kind| head.contains(kind)).unwrap_or_else(|| panic!("{head}"));
    // An error that is in no model has only a head.
    (kind.to_owned(), if payload.is_empty() { Value::Null } else { serde_json::from_slice(&payload).unwrap() })
}

struct Subscribed(Body);

impl Subscribed {
    async fn next(&mut self) -> Option<(String, Value)> {
        self.0.next().await.map(event)
    }

    /// The next event of records, empty ones being passed over.
    async fn records(&mut self) -> (Vec<Vec<u8>>, Value) {
        loop {
            let (kind, event) = self.next().await.unwrap();
            assert_eq!(kind, "SubscribeToShardEvent", "{event}");
            let records = event["Records"].as_array().unwrap();
            if !records.is_empty() {
                return (records.iter().map(|record| from_base64(&record["Data"])).collect(), event);
            }
        }
    }
}

impl House {
    async fn consumer(&self, name: &str) -> String {
        let answer = self.register(name).await.unwrap();
        assert_eq!(answer["Consumer"]["ConsumerStatus"], "CREATING");
        self.wait(Duration::from_millis(100)).await;
        answer["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
    }

    async fn register(&self, name: &str) -> Result<Value, ApiError> {
        self.ask("RegisterStreamConsumer", json!({"StreamARN": STREAM, "ConsumerName": name})).await
    }

    async fn subscribe(&self, consumer: &str, shard: u32, start: Value) -> Result<Subscribed, ApiError> {
        let shard = format!("shardId-{shard:012}");
        let input = json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": start});
        let body = self.answer(Protocol::AwsJson11, "SubscribeToShard", input.to_string().into()).await?;
        let mut subscribed = Subscribed(body);
        assert_eq!(subscribed.next().await.unwrap(), ("initial-response".into(), json!({})));
        Ok(subscribed)
    }

    async fn unsubscribable(&self, consumer: &str, shard: u32, start: Value) -> (&'static str, String) {
        let error = self.subscribe(consumer, shard, start).await.err().unwrap();
        (error.model.name, error.message)
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_come_and_go() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn = house.consumer("c").await;
    let seconds = arn.rsplit(':').next().unwrap().parse::<i64>().unwrap();
    assert_eq!(arn, format!("{STREAM}/consumer/c:{seconds}"));
    for input in [
        json!({"ConsumerARN": arn}),
        json!({"StreamARN": STREAM, "ConsumerName": "c"}),
        json!({"StreamARN": STREAM, "ConsumerName": "c", "ConsumerARN": arn}),
    ] {
        let answer = house.ask("DescribeStreamConsumer", input).await.unwrap();
        let described = &answer["ConsumerDescription"];
        assert_eq!((&described["ConsumerStatus"], &described["StreamARN"]), (&json!("ACTIVE"), &json!(STREAM)));
        assert_eq!(described["ConsumerCreationTimestamp"].as_f64().unwrap() as i64, seconds);
    }
    assert_eq!(house.register("c").await.unwrap_err().model.name, "ResourceInUseException");
    let other = house.consumer("d").await;
    let mixed = json!({"StreamARN": STREAM, "ConsumerName": "c", "ConsumerARN": other});
    assert_eq!(house.refused("DescribeStreamConsumer", mixed).await.0, "InvalidArgumentException");
    let part = json!({"ConsumerName": "c"});
    assert_eq!(house.refused("DescribeStreamConsumer", part).await.0, "InvalidArgumentException");
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(summary["StreamDescriptionSummary"]["ConsumerCount"], 2);

    house.ask("DeregisterStreamConsumer", json!({"ConsumerARN": arn})).await.unwrap();
    let status = house.ask("DescribeStreamConsumer", json!({"ConsumerARN": arn})).await.unwrap();
    assert_eq!(status["ConsumerDescription"]["ConsumerStatus"], "DELETING");
    house.wait(Duration::from_millis(100)).await;
    let (name, message) = house.refused("DescribeStreamConsumer", json!({"ConsumerARN": arn})).await;
    assert_eq!(name, "ResourceNotFoundException");
    assert_eq!(message, format!("Consumer {arn}, account 000000000000 not found."));

    let (name, message) = house.refused("DeleteStream", json!({"StreamName": "s"})).await;
    assert_eq!(name, "ResourceInUseException");
    assert!(message.contains("set the EnforceConsumerDeletion parameter to true"), "{message}");
    house.ask("DeleteStream", json!({"StreamName": "s", "EnforceConsumerDeletion": true})).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    house.create("s", 1).await;
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(summary["StreamDescriptionSummary"]["ConsumerCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn consumers_are_listed_page_by_page_and_limited() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    for i in 0..5 {
        house.register(&format!("c{i:02}")).await.unwrap();
    }
    let error = house.register("c05").await.unwrap_err();
    assert_eq!(error.model.name, "LimitExceededException", "five are being made: {error}");
    house.wait(Duration::from_secs(2)).await;
    for i in 5..20 {
        house.consumer(&format!("c{i:02}")).await;
        house.wait(Duration::from_secs(1)).await;
    }
    let error = house.register("c20").await.unwrap_err();
    assert_eq!(error.model.name, "LimitExceededException", "{error}");
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let mut input = json!({"StreamARN": STREAM, "MaxResults": 7});
        if let Some(token) = token {
            input["NextToken"] = token;
        }
        let page = house.ask("ListStreamConsumers", input).await.unwrap();
        let consumers = page["Consumers"].as_array().unwrap();
        assert!(consumers.len() <= 7);
        names.extend(consumers.iter().map(|consumer| consumer["ConsumerName"].as_str().unwrap().to_owned()));
        house.wait(Duration::from_secs(1)).await;
        match page.get("NextToken") {
            Some(next) => token = Some(next.clone()),
            None => break,
        }
    }
    assert_eq!(names, (0..20).map(|i| format!("c{i:02}")).collect::<Vec<_>>());
    let bad = json!({"StreamARN": STREAM, "NextToken": "x"});
    assert_eq!(house.refused("ListStreamConsumers", bad).await.0, "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn consumers_have_tags_and_policies_and_survive_a_restart() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn = house.consumer("c").await;
    house.ask("TagResource", json!({"ResourceARN": arn, "Tags": {"a": "1", "b": "2"}})).await.unwrap();
    house.ask("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["a"]})).await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kinesis:SubscribeToShard", "Resource": arn,
    }]});
    house.ask("PutResourcePolicy", json!({"ResourceARN": arn, "Policy": policy.to_string()})).await.unwrap();
    let registering = house.register("late").await.unwrap()["Consumer"]["ConsumerARN"].clone();
    let house = house.restart().await;
    let tags = house.ask("ListTagsForResource", json!({"ResourceARN": arn})).await.unwrap();
    assert_eq!(tags["Tags"], json!([{"Key": "b", "Value": "2"}]));
    let of_stream = house.ask("ListTagsForResource", json!({"ResourceARN": STREAM})).await.unwrap();
    assert_eq!(of_stream["Tags"], json!([]));
    let kept = house.ask("GetResourcePolicy", json!({"ResourceARN": arn})).await.unwrap();
    assert_eq!(kept["Policy"], policy.to_string());
    house.wait(Duration::from_millis(100)).await;
    let late = house.ask("DescribeStreamConsumer", json!({"ConsumerARN": registering})).await.unwrap();
    assert_eq!(late["ConsumerDescription"]["ConsumerStatus"], "ACTIVE", "what a restart interrupted is finished");
    house.ask("DeregisterStreamConsumer", json!({"ConsumerARN": arn})).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    assert_eq!(house.refused("GetResourcePolicy", json!({"ResourceARN": arn})).await.0, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn records_are_pushed_from_every_starting_position() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    let before = house.world.now().secs_f64();
    house.wait(Duration::from_secs(2)).await;
    let first = house.put("s", "k", b"one").await.unwrap()["SequenceNumber"].clone();
    house.put("s", "k", b"two").await.unwrap();
    let both = || vec![b"one".to_vec(), b"two".to_vec()];
    for (start, expected) in [
        (json!({"Type": "TRIM_HORIZON"}), both()),
        (json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}), both()),
        (json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": first}), vec![b"two".to_vec()]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": before}), both()),
    ] {
        let mut subscribed = house.subscribe(&consumer, 0, start.clone()).await.unwrap();
        let (records, event) = subscribed.records().await;
        assert_eq!(records, expected, "{start}");
        assert_eq!(event["MillisBehindLatest"], 0);
        assert_eq!(
            event["ContinuationSequenceNumber"],
            event["Records"].as_array().unwrap().last().unwrap()["SequenceNumber"]
        );
        house.wait(Duration::from_secs(6)).await;
    }
    let mut latest = house.subscribe(&consumer, 0, json!({"Type": "LATEST"})).await.unwrap();
    let (_, event) = latest.next().await.unwrap();
    assert_eq!(event["Records"], json!([]), "it is told at once where it stands");
    let continuation = event["ContinuationSequenceNumber"].clone();
    house.put("s", "k", b"three").await.unwrap();
    let put_at = house.world.clock.monotonic();
    assert_eq!(latest.records().await.0, [b"three"]);
    assert_eq!(house.world.clock.monotonic(), put_at, "the put itself wakes it: nobody looks from time to time");
    drop(latest);
    house.wait(Duration::from_secs(6)).await;
    let after = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": continuation});
    let mut resumed = house.subscribe(&consumer, 0, after).await.unwrap();
    assert_eq!(resumed.records().await.0, [b"three"], "nothing is lost between the two");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_subscribed_to_is_refused() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let creating = house.register("young").await.unwrap()["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned();
    let latest = || json!({"Type": "LATEST"});
    let (name, message) = house.unsubscribable(&creating, 0, latest()).await;
    assert_eq!(name, "ResourceInUseException");
    assert!(message.ends_with("is not in ACTIVE status."), "{message}");
    let consumer = house.consumer("c").await;
    let unknown = format!("{STREAM}/consumer/c:1");
    assert_eq!(house.unsubscribable(&unknown, 0, latest()).await.0, "ResourceNotFoundException");
    assert_eq!(house.unsubscribable(&consumer, 7, latest()).await.0, "ResourceNotFoundException");
    for start in [
        json!({"Type": "AT_SEQUENCE_NUMBER"}),
        json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "7"}),
        json!({"Type": "AT_TIMESTAMP"}),
        json!({"Type": "LATEST", "SequenceNumber": "7"}),
    ] {
        assert_eq!(house.unsubscribable(&consumer, 0, start.clone()).await.0, "InvalidArgumentException", "{start}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_subscription_takes_over_after_five_seconds() {
    let house = house(Limits::Aws).await;
    house.create("s", 2).await;
    let consumer = house.consumer("c").await;
    let latest = || json!({"Type": "LATEST"});
    let mut first = house.subscribe(&consumer, 0, latest()).await.unwrap();
    let (name, message) = house.unsubscribable(&consumer, 0, latest()).await;
    assert_eq!(name, "ResourceInUseException");
    assert_eq!(message, "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c");
    house.subscribe(&consumer, 1, latest()).await.unwrap();
    house.wait(Duration::from_secs(5)).await;
    let mut second = house.subscribe(&consumer, 0, latest()).await.unwrap();
    let ending = loop {
        let (kind, event) = first.next().await.unwrap();
        if kind != "SubscribeToShardEvent" {
            break (kind, event);
        }
    };
    assert_eq!(ending, ("ResourceInUseException".into(), json!({ "message": message })));
    assert_eq!(first.next().await, None);
    let key = key_of(0);
    house.put("s", &key, b"x").await.unwrap();
    assert_eq!(second.records().await.0, [b"x"]);
}

/// A partition key that belongs to this half of the hash keys.
fn key_of(half: u8) -> String {
    (0..).map(|i: u32| i.to_string()).find(|key| md5(key) >> 7 == half).unwrap()
}

fn md5(key: &str) -> u8 {
    use md5::Digest;
    md5::Md5::digest(key.as_bytes())[0]
}

#[tokio::test(start_paused = true)]
async fn a_subscription_lasts_five_minutes_and_is_never_silent() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    let began = house.world.clock.monotonic();
    let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "LATEST"})).await.unwrap();
    let mut events = 0;
    while let Some((kind, event)) = subscribed.next().await {
        assert_eq!((kind.as_str(), &event["Records"]), ("SubscribeToShardEvent", &json!([])));
        events += 1;
    }
    let lasted = house.world.clock.monotonic() - began;
    assert_eq!(lasted.as_secs(), 300, "of simulated time");
    assert!((50..=61).contains(&events), "{events}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_ends_tells_its_children() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "TRIM_HORIZON"})).await.unwrap();
    house.put("s", "k", b"last").await.unwrap();
    let middle = "170141183460469231731687303715884105728";
    let split = json!({"StreamName": "s", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": middle});
    house.ask("SplitShard", split).await.unwrap();
    assert_eq!(subscribed.records().await.0, [b"last"]);
    let end = loop {
        let (_, event) = subscribed.next().await.unwrap();
        if event.get("ChildShards").is_some() {
            break event;
        }
    };
    assert_eq!(end.get("ContinuationSequenceNumber"), None);
    let children: Vec<_> =
        end["ChildShards"].as_array().unwrap().iter().map(|c| c["ShardId"].as_str().unwrap()).collect();
    assert_eq!(children, ["shardId-000000000001", "shardId-000000000002"]);
    assert_eq!(end["ChildShards"][0]["ParentShards"], json!(["shardId-000000000000"]));
    assert_eq!(subscribed.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_consumer_and_with_the_house() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "LATEST"})).await.unwrap();
    house.ask("DeregisterStreamConsumer", json!({"ConsumerARN": consumer})).await.unwrap();
    subscribed.next().await.unwrap();
    assert_eq!(subscribed.next().await.unwrap().0, "ResourceNotFoundException");
    assert_eq!(subscribed.next().await, None);
    house.wait(Duration::from_secs(2)).await;
    let consumer = house.consumer("c").await;
    let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "LATEST"})).await.unwrap();
    let (aborted, ()) = tokio::join!(house.world.tasks.shut_down(Duration::from_secs(5)), async {
        while subscribed.next().await.is_some() {}
    });
    assert_eq!(aborted, [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_reads_two_mebibytes_a_second_of_each_shard() {
    for (limits, least_ms) in [(Limits::Aws, 3200), (Limits::Off, 0)] {
        let house = house(limits).await;
        house.create("s", 1).await;
        let consumer = house.consumer("c").await;
        let data = vec![7; 1_000_000];
        for _ in 0..10 {
            house.put("s", "k", &data).await.unwrap();
            house.wait(Duration::from_secs(1)).await;
        }
        let began = house.world.clock.monotonic();
        let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "TRIM_HORIZON"})).await.unwrap();
        let mut read = 0;
        while read < 10 {
            let (records, _) = subscribed.records().await;
            assert!(records.iter().map(Vec::len).sum::<usize>() <= 1 << 20, "an event is bounded");
            read += records.len();
        }
        let took = (house.world.clock.monotonic() - began).as_millis();
        assert!(took >= least_ms && took <= least_ms + 500, "{took} ms of simulated time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumers_arn_is_a_source_with_its_own_allowance() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn = house.consumer("c").await.parse().unwrap();
    let data = vec![7; 1_000_000];
    for _ in 0..4 {
        house.put("s", "k", &data).await.unwrap();
        house.wait(Duration::from_secs(1)).await;
    }
    let source = house.streams.source(&arn).unwrap();
    assert_eq!(source.arn(), arn);
    let limit = ReadLimit { records: 3, bytes: usize::MAX };
    let chunk = source.read("shardId-000000000000", 0, limit).unwrap();
    assert_eq!(chunk.records.len(), 3);
    let wait = match source.read("shardId-000000000000", 3, limit) {
        Err(consume::SourceError::NotYet(wait)) => wait,
        other => panic!("{other:?}"),
    };
    let stream = house.streams.source(&STREAM.parse().unwrap()).unwrap();
    assert_eq!(stream.read("shardId-000000000000", 3, limit).unwrap().records.len(), 1, "others are not concerned");
    house.wait(wait).await;
    assert_eq!(source.read("shardId-000000000000", 3, limit).unwrap().records.len(), 1);
    house.ask("DeregisterStreamConsumer", json!({"ConsumerARN": arn.as_str()})).await.unwrap();
    assert!(matches!(source.shards(), Err(consume::SourceError::Gone(_))));
    assert!(house.streams.source(&arn).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_holds_no_memory() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    for _ in 0..10 {
        house.put("s", "k", &vec![7; 1_000_000]).await.unwrap();
    }
    let mut subscribed = house.subscribe(&consumer, 0, json!({"Type": "TRIM_HORIZON"})).await.unwrap();
    house.wait(Duration::from_secs(60)).await;
    let made = || {
        let all = house.world.meter.samples();
        all.iter().find(|(signal, ..)| signal.name == "SubscribeToShardEvent.Bytes").unwrap().2.sum
    };
    assert!(made() <= 2_100_000, "one event is on its way and at most one is waiting: {}", made());
    let mut read = 0;
    while read < 10 {
        read += subscribed.records().await.0.len();
    }
    assert_eq!(made(), 10 * 1_000_001);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_ends_the_subscription_with_an_error_and_metrics_tell() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let consumer = house.consumer("c").await;
    for i in 0..5 {
        house.put("s", "k", format!("record {i}").as_bytes()).await.unwrap();
    }
    house.damage(b"record 2");
    house.wait(Duration::from_secs(3)).await;
    let start = json!({"Type": "TRIM_HORIZON"});
    let mut subscribed = house.subscribe(&consumer, 0, start.clone()).await.unwrap();
    let (_, message) = house.unsubscribable(&consumer, 0, start).await;
    assert!(message.contains("Another active subscription"), "{message}");
    assert_eq!(subscribed.records().await.0, [b"record 0", b"record 1"]);
    assert_eq!(subscribed.next().await.unwrap().0, "InternalFailure");
    assert!(subscribed.next().await.is_none());

    let sample = |name: &str| {
        let samples = house.world.meter.samples();
        let sample = samples.into_iter().find(|(signal, of, _)| signal.name == name && *of == ["s", "c"]).unwrap().2;
        (sample.count, sample.sum)
    };
    assert_eq!(sample("SubscribeToShard.Success"), (2, 1));
    assert_eq!(sample("SubscribeToShardEvent.Success"), (2, 1));
    assert_eq!(sample("SubscribeToShardEvent.Records"), (1, 2));
    assert_eq!(sample("SubscribeToShardEvent.Bytes"), (1, 2 * 9));
    assert_eq!(sample("SubscribeToShardEvent.MillisBehindLatest"), (1, 3000));
}
