//! The pushed door (target) and the pulled door (source).

#![allow(clippy::unwrap_used)]

mod support;

use consume::{SourceError, Start};
use delivery::Verdict;
use names::{Arn, Home};
use serde_json::json;
use std::time::Duration;
use streams::Limits;
use support::house;

fn arn(name: &str) -> Arn {
    Home::default().arn("kinesis", &format!("stream/{name}"))
}

#[tokio::test(start_paused = true)]
async fn what_delivery_brings_goes_the_way_of_put_record() {
    let house = house(Limits::Aws).await;
    house.create("s", 3).await;
    let target = house.streams.target();
    for key in [Some("b"), None] {
        let verdict = target.deliver(&house.envelope(arn("s"), "hello", key)).await;
        assert!(matches!(verdict, Verdict::Accepted(_)));
    }
    // "b" belongs to the second of three shards; without a key the envelope's id is the key.
    let got = house.get(&house.iterator("s", 1, "TRIM_HORIZON", json!({})).await).await.unwrap();
    assert_eq!(got["Records"][0]["PartitionKey"], "b");
    let mut keys = Vec::new();
    for shard in 0..3 {
        let got = house.get(&house.iterator("s", shard, "TRIM_HORIZON", json!({})).await).await.unwrap();
        keys.extend(got["Records"].as_array().unwrap().iter().map(|r| r["PartitionKey"].as_str().unwrap().to_owned()));
    }
    keys.sort();
    assert_eq!(keys, ["b", "event-1"]);
}

#[tokio::test(start_paused = true)]
async fn verdicts_tell_what_is_worth_a_retry() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let target = house.streams.target();
    let verdict = target.deliver(&house.envelope(arn("none"), "x", None)).await;
    assert!(matches!(verdict, Verdict::Refused { code, .. } if code == "ResourceNotFoundException"));
    let large = "x".repeat(1 << 20);
    let verdict = target.deliver(&house.envelope(arn("s"), &large, None)).await;
    assert!(matches!(verdict, Verdict::Refused { code, .. } if code == "ValidationException"));
    let half = &large[..700 << 10];
    assert!(matches!(target.deliver(&house.envelope(arn("s"), half, None)).await, Verdict::Accepted(_)));
    let verdict = target.deliver(&house.envelope(arn("s"), half, None)).await;
    assert!(matches!(verdict, Verdict::Again { code, .. } if code == "ProvisionedThroughputExceededException"));
    house.ask("CreateStream", json!({"StreamName": "young", "ShardCount": 1})).await.unwrap();
    assert!(matches!(target.deliver(&house.envelope(arn("young"), "x", None)).await, Verdict::Again { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_source_shows_shards_and_records() {
    let house = house(Limits::Aws).await;
    assert!(house.streams.source(&arn("s")).is_none());
    house.create("s", 2).await;
    let source = house.streams.source(&arn("s")).unwrap();
    let shards = source.shards().unwrap();
    assert_eq!(
        shards.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["shardId-000000000000", "shardId-000000000001"]
    );
    assert!(shards.iter().all(|shard| shard.parents.is_empty()));
    let shard = shards[1].id.as_str();
    let latest = source.start_at(shard, Start::Latest).unwrap();
    let put = house.put("s", "b", b"one").await.unwrap();
    assert_eq!(put["ShardId"], shard);
    house.put("s", "b", b"two").await.unwrap();
    let limit = consume::ReadLimit { records: 1, bytes: 1 << 20 };
    let chunk = source.read(shard, latest, limit).unwrap();
    assert_eq!(chunk.records.len(), 1);
    assert_eq!(chunk.records[0].sequence, put["SequenceNumber"].as_str().unwrap());
    assert_eq!((chunk.records[0].key.as_str(), &chunk.records[0].data[..]), ("b", &b"one"[..]));
    assert!(!chunk.ended);
    let chunk = source.read(shard, chunk.next, limit).unwrap();
    assert_eq!(&chunk.records[0].data[..], b"two");
    assert_eq!(source.start_at(shard, Start::TrimHorizon).unwrap(), latest);
    assert!(matches!(source.read("shardId-9", 0, limit), Err(SourceError::NoShard(_))));
}

#[tokio::test(start_paused = true)]
async fn a_source_wakes_for_records_and_for_its_end() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let source = house.streams.source(&arn("s")).unwrap();
    let shard = "shardId-000000000000";
    let next = source.start_at(shard, Start::Latest).unwrap();
    {
        let mut waiting = source.changed(shard, next);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("nothing has come yet"),
            () = std::future::ready(()) => {}
        }
        house.put("s", "k", b"wake").await.unwrap();
        waiting.await;
    }
    let delete = async {
        house.ask("DeleteStream", json!({"StreamName": "s"})).await.unwrap();
    };
    let (mut quiet, mut reshaped) = (source.changed(shard, next + 1), source.reshaped(Some(shard)));
    tokio::join!(async { (&mut quiet).await }, async { (&mut reshaped).await }, delete);
    assert!(matches!(source.shards(), Err(SourceError::Gone(_))));
    house.create("s", 1).await;
    assert!(matches!(source.shards(), Err(SourceError::Gone(_))), "another stream of the same name is another source");
}

#[tokio::test(start_paused = true)]
async fn a_source_skips_what_was_forgotten() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    for _ in 0..3 {
        house.put("s", "k", b"old").await.unwrap();
    }
    let source = house.streams.source(&arn("s")).unwrap();
    house.wait(Duration::from_secs(24 * 3600 + 120)).await;
    let limit = consume::ReadLimit { records: 10, bytes: 1 << 20 };
    let chunk = source.read("shardId-000000000000", 0, limit).unwrap();
    assert!(chunk.records.is_empty());
    assert_eq!(chunk.next, 3, "or a walker would ask for ever");
    house.put("s", "k", b"new").await.unwrap();
    assert_eq!(source.read("shardId-000000000000", 1, limit).unwrap().records.len(), 1);
}
