//! Archives and replays.

// Helpers of tests unwrap as tests do, and clippy does not see that they are such.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{House, QUEUE, TOPIC, house, life, text};
use world::Disk;
use world::disk::SimDisk;

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:us-east-1:000000000000:archive/a";
const START: f64 = 1_767_225_600.0; // 2026-01-01T00:00:00Z, where the simulated clock begins

async fn archive(house: &House, more: Value) {
    let mut input = json!({"ArchiveName": "a", "EventSourceArn": BUS});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(house.done("CreateArchive", input).await["State"], "ENABLED");
}

async fn replay(house: &House, name: &str, from: f64, to: f64, more: Value) {
    let mut destination = json!({"Arn": BUS});
    destination.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let input = json!({"ReplayName": name, "EventSourceArn": ARCHIVE, "EventStartTime": START + from,
        "EventEndTime": START + to, "Destination": destination});
    assert_eq!(house.done("StartReplay", input).await["State"], "STARTING");
}

async fn state(house: &House, name: &str) -> Value {
    house.done("DescribeReplay", json!({"ReplayName": name})).await
}

async fn put_at(house: &House, detail: u32, second: f64) {
    let entry = json!({"Source": "shop", "DetailType": "T", "Detail": json!({"n": detail}).to_string(), "Time": START + second});
    let answer = house.done("PutEvents", json!({"Entries": [entry]})).await;
    assert_eq!(answer["FailedEntryCount"], 0);
}

fn numbers(taken: &[delivery::Envelope]) -> Vec<u64> {
    let mut all: Vec<u64> = taken
        .iter()
        .map(|e| serde_json::from_str::<Value>(text(e)).unwrap()["detail"]["n"].as_u64().unwrap())
        .collect();
    all.sort_unstable();
    all
}

#[tokio::test(start_paused = true)]
async fn an_archive_keeps_what_its_pattern_asks_for() {
    let house = house().await;
    archive(&house, json!({"EventPattern": r#"{"source":["shop"]}"#, "RetentionDays": 2, "Description": "d"})).await;
    house.put("shop", r#"{"n":1}"#).await;
    house.put("other", r#"{"n":2}"#).await;
    house.wait(Duration::from_secs(1)).await;
    let shown = house.done("DescribeArchive", json!({"ArchiveName": "a"})).await;
    assert_eq!(
        (&shown["EventCount"], &shown["RetentionDays"], &shown["EventSourceArn"]),
        (&json!(1), &json!(2), &json!(BUS))
    );
    assert!(shown["SizeBytes"].as_i64().unwrap() > 100);
    // Its rule is the house's.
    let rule = house.done("DescribeRule", json!({"Name": "Events-Archive-a"})).await;
    assert_eq!(rule["ManagedBy"], "prod.vhs.events.aws.internal");
    let change = house.refused("DisableRule", json!({"Name": "Events-Archive-a"})).await;
    assert_eq!(change.0, "ManagedRuleException");
    let change = house.refused("RemoveTargets", json!({"Rule": "Events-Archive-a", "Ids": ["archive"]})).await;
    assert_eq!(change.0, "ManagedRuleException");
    // Events leave it in their time.
    house.wait(Duration::from_secs(2 * 86_400 + 7_200)).await;
    assert_eq!(house.done("DescribeArchive", json!({"ArchiveName": "a"})).await["EventCount"], 0);
    house.done("DeleteArchive", json!({"ArchiveName": "a"})).await;
    assert_eq!(house.refused("DescribeArchive", json!({"ArchiveName": "a"})).await.0, "ResourceNotFoundException");
    assert_eq!(house.done("ListRules", json!({})).await["Rules"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_replay_sends_a_range_again_minute_by_minute() {
    let house = house().await;
    archive(&house, json!({})).await;
    house.rule("r", "shop", json!([{"Id": "1", "Arn": QUEUE}])).await;
    house.rule("s", "shop", json!([{"Id": "1", "Arn": TOPIC}])).await;
    for (n, second) in [(1, 130.0), (2, 10.0), (3, 65.0), (4, 20.0), (5, 200.0)] {
        put_at(&house, n, second).await;
    }
    assert_eq!(house.taken().await.len(), 10);
    replay(&house, "again", 0.0, 190.0, json!({})).await;
    house.wait(Duration::from_secs(5)).await;
    let taken = house.taken().await;
    assert_eq!(numbers(&taken), [1, 1, 2, 2, 3, 3, 4, 4]);
    assert!(taken.iter().all(|e| text(e).ends_with(r#","replay-name":"again"}"#)), "{taken:?}");
    let shown = state(&house, "again").await;
    assert_eq!((&shown["State"], shown["EventLastReplayedTime"].as_f64()), (&json!("COMPLETED"), Some(START + 130.0)));
    assert!(shown["ReplayEndTime"].is_number());
    // What was replayed is not archived again.
    assert_eq!(house.done("DescribeArchive", json!({"ArchiveName": "a"})).await["EventCount"], 5);
    // To one rule.
    let rule = "arn:aws:events:us-east-1:000000000000:rule/s";
    replay(&house, "one", 60.0, 300.0, json!({"FilterArns": [rule]})).await;
    house.wait(Duration::from_secs(5)).await;
    let taken = house.taken().await;
    assert_eq!(numbers(&taken), [1, 3, 5]);
    assert!(taken.iter().all(|e| e.to.as_str() == TOPIC));
    let listed = house.done("ListReplays", json!({"State": "COMPLETED", "EventSourceArn": ARCHIVE})).await;
    assert_eq!(listed["Replays"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replayed_is_refused() {
    let house = house().await;
    archive(&house, json!({})).await;
    house.done("CreateEventBus", json!({"Name": "b"})).await;
    let input = |archive: &str, to: f64, bus: &str| {
        json!({"ReplayName": "r", "EventSourceArn": archive, "EventStartTime": START, "EventEndTime": START + to,
            "Destination": {"Arn": bus}})
    };
    let other = "arn:aws:events:us-east-1:000000000000:event-bus/b";
    for (bad, word) in [
        (input(ARCHIVE, 0.0, BUS), "EventEndTime"),
        (input(ARCHIVE, 1.0, other), "Cross event bus replay"),
        (input("arn:aws:events:us-east-1:000000000000:archive/none", 1.0, BUS), "Archive none does not exist"),
    ] {
        let (name, message) = house.refused("StartReplay", bad).await;
        assert!(name == "ValidationException" && message.contains(word), "{message}");
    }
    house.done("StartReplay", input(ARCHIVE, 1.0, BUS)).await;
    assert_eq!(house.refused("StartReplay", input(ARCHIVE, 1.0, BUS)).await.0, "ResourceAlreadyExistsException");
    house.wait(Duration::from_secs(1)).await;
    assert_eq!(house.refused("CancelReplay", json!({"ReplayName": "r"})).await.0, "IllegalStatusException");
    assert_eq!(house.refused("CancelReplay", json!({"ReplayName": "none"})).await.0, "ResourceNotFoundException");
    let again = json!({"ArchiveName": "a", "EventSourceArn": BUS});
    assert_eq!(house.refused("CreateArchive", again).await.0, "ResourceAlreadyExistsException");
    let pattern = json!({"ArchiveName": "c", "EventSourceArn": BUS, "EventPattern": "{}"});
    assert_eq!(house.refused("CreateArchive", pattern).await.0, "InvalidEventPatternException");
}

#[tokio::test(start_paused = true)]
async fn a_replay_can_be_cancelled() {
    let house = house().await;
    archive(&house, json!({})).await;
    for n in 0..20 {
        put_at(&house, n, f64::from(n) * 60.0).await;
    }
    house.wait(Duration::from_secs(1)).await;
    replay(&house, "r", 0.0, 3600.0, json!({})).await;
    assert_eq!(house.done("CancelReplay", json!({"ReplayName": "r"})).await["State"], "CANCELLING");
    house.wait(Duration::from_secs(1)).await;
    assert_eq!(state(&house, "r").await["State"], "CANCELLED");
}

#[test]
fn a_replay_goes_on_after_a_crash() {
    let disk = Arc::new(SimDisk::new(5));
    life(&disk, 1, |house| async move {
        house.start();
        archive(&house, json!({})).await;
        house.rule("r", "shop", json!([{"Id": "1", "Arn": QUEUE}])).await;
        for n in 0..50 {
            put_at(&house, n, f64::from(n) * 30.0).await;
        }
        assert_eq!(house.taken().await.len(), 50);
        replay(&house, "r", 0.0, 1500.0, json!({})).await;
    });
    disk.crash();
    let taken = life(&disk, 2, |house| async move {
        house.start();
        house.wait(Duration::from_secs(30)).await;
        assert_eq!(state(&house, "r").await["State"], "COMPLETED");
        house.taken().await
    });
    let mut replayed = numbers(&taken.into_iter().filter(|e| text(e).contains("replay-name")).collect::<Vec<_>>());
    replayed.dedup();
    assert_eq!(replayed, (0..50).collect::<Vec<u64>>());
}

#[test]
fn a_replay_sends_what_is_not_damaged_and_says_that_there_is_more() {
    let disk = Arc::new(SimDisk::new(5));
    life(&disk, 1, |house| async {
        let house = house;
        house.start();
        archive(&house, json!({})).await;
        for n in 0..5 {
            put_at(&house, n, f64::from(n) * 30.0).await;
        }
        house.wait(Duration::from_secs(5)).await;
        let path = Path::new("/data/journal/0000000000000001.log");
        let content = disk.read(path).unwrap();
        let text = br#"{"n":2}"#;
        let places =
            content.windows(text.len()).enumerate().filter(|(_, bytes)| bytes == text).map(|(at, _)| at as u64);
        // In the archive, and where the event was on its way there.
        places.for_each(|at| disk.corrupt(path, at));
        house.rule("r", "shop", json!([{"Id": "1", "Arn": QUEUE}])).await;
        replay(&house, "r", 0.0, 1500.0, json!({})).await;
        house.wait(Duration::from_secs(10)).await;
        assert_eq!(numbers(&house.taken().await), [0, 1, 3, 4]);
        let shown = state(&house, "r").await;
        assert_eq!(shown["State"], "FAILED");
        let why = shown["StateReason"].as_str().unwrap();
        assert!(why.starts_with("1 record of the archive"), "{why}");
    });
}
