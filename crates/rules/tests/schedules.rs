//! Rules on a schedule.

mod support;

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{House, QUEUE, house, life, text};
use world::disk::SimDisk;

const MINUTE: Duration = Duration::from_secs(60);

async fn every(house: &House, rate: &str) {
    house.done("PutRule", json!({"Name": "tick", "ScheduleExpression": rate})).await;
    house.done("PutTargets", json!({"Rule": "tick", "Targets": [{"Id": "1", "Arn": QUEUE}]})).await;
}

async fn times(house: &House) -> Vec<String> {
    let event = |text: &str| serde_json::from_str::<Value>(text).expect("an event is JSON");
    let time = |text: &str| event(text)["time"].as_str().expect("an event has a time").to_owned();
    let mut times: Vec<_> = house.taken().await.iter().map(|envelope| time(text(envelope))).collect();
    times.sort();
    times
}

#[tokio::test(start_paused = true)]
async fn a_rate_ticks_without_drift() {
    let house = house().await;
    every(&house, "rate(2 minutes)").await;
    house.wait(7 * MINUTE).await;
    let taken = house.taken().await;
    assert_eq!(taken.len(), 3);
    let mut events: Vec<Value> = taken.iter().map(|e| serde_json::from_str(text(e)).unwrap()).collect();
    events.sort_by_key(|event| event["time"].to_string());
    let id = events[0]["id"].clone();
    assert_eq!(
        events[0],
        json!({"version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": "2026-01-01T00:02:00Z", "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:000000000000:rule/tick"], "detail": {}})
    );
    assert_eq!(events[2]["time"], "2026-01-01T00:06:00Z");
    let status = &house.rules.status()[0].rules[0];
    assert_eq!((status.matched, status.triggered, status.invocations), (0, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn cron_ticks_on_the_minute() {
    let house = house().await;
    house.wait(Duration::from_secs(90)).await;
    every(&house, "cron(0/5 * * * ? *)").await;
    house.wait(10 * MINUTE).await;
    assert_eq!(times(&house).await, ["2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_rule_rests_and_counts_anew_when_enabled() {
    let house = house().await;
    every(&house, "rate(2 minutes)").await;
    house.done("DisableRule", json!({"Name": "tick"})).await;
    house.wait(9 * MINUTE).await;
    assert_eq!(times(&house).await, [""; 0]);
    let start = house.world.now();
    house.done("EnableRule", json!({"Name": "tick"})).await;
    house.wait(3 * MINUTE).await;
    assert_eq!(times(&house).await, [start.plus(2 * MINUTE).iso_secs()]);
    house.done("RemoveTargets", json!({"Rule": "tick", "Ids": ["1"]})).await;
    house.done("DeleteRule", json!({"Name": "tick"})).await;
    house.wait(5 * MINUTE).await;
    assert_eq!(times(&house).await, [""; 0]);
}

#[test]
fn what_was_missed_while_down_is_one_tick() {
    let disk = Arc::new(SimDisk::new(1));
    life(&disk, 1, |house| async move {
        house.start();
        every(&house, "rate(2 minutes)").await;
        house.wait(3 * MINUTE).await;
        assert_eq!(times(&house).await, ["2026-01-01T00:02:00Z"]);
    });
    disk.crash();
    life(&disk, 2, |house| async move {
        // Down for an hour.
        house.wait(60 * MINUTE).await;
        house.start();
        assert_eq!(times(&house).await, ["2026-01-01T00:04:00Z"]);
        house.wait(MINUTE).await;
        assert_eq!(times(&house).await, [""; 0]);
        house.wait(MINUTE).await;
        assert_eq!(times(&house).await, ["2026-01-01T01:02:00Z"]);
    });
}
