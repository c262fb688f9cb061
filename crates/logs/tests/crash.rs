//! The power fails while events are put: what was acknowledged is there, once, and nothing else is of it.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::collections::BTreeSet;
use support::House;
use world::disk::DiskFaults;

/// Puts until the power is gone; what was acknowledged.
async fn produce(house: &House, producer: u32, life: u64) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for round in 0u32.. {
        let text = |i: u32| format!("{producer}/{life}/{round}/{i} {}", "x".repeat((round as usize * 97 + 11) % 4000));
        let texts: Vec<String> = (0..round % 9 + 1).map(text).collect();
        let events: Vec<_> = texts.iter().map(|text| json!({"timestamp": house.now(), "message": text})).collect();
        let input = json!({"logGroupName": "g", "logStreamName": format!("s{}", round % 3), "logEvents": events});
        if house.ask("PutLogEvents", input).await.is_err() {
            break;
        }
        acknowledged.extend(texts);
    }
    acknowledged
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_power_loss() {
    let mut total = 0;
    for seed in 0..16 {
        let mut house = House::under(seed).await;
        house.create("g", &["s0", "s1", "s2"]).await;
        let mut acknowledged = BTreeSet::new();
        for life in 0..3 {
            let halt_after = 5 + (seed * 13 + life * 29) % 120;
            house.disk.set_faults(DiskFaults { halt_after, ..DiskFaults::default() });
            let (a, b) = tokio::join!(produce(&house, 1, life), produce(&house, 2, life));
            acknowledged.extend(a.into_iter().chain(b));
            house = house.crash().await;
            let (found, _) = house.filter("g", json!({})).await;
            let once: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(once.len(), found.len(), "seed {seed}, life {life}: nothing is there twice");
            let lost = acknowledged.difference(&once).count();
            assert_eq!(lost, 0, "seed {seed}, life {life}");
        }
        total += acknowledged.len();
    }
    assert!(total > 1000, "the test must have put something to lose, not {total} events");
}
