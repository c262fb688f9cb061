//! The power fails while producers put: what was acknowledged is there, in order, under its number.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::collections::BTreeMap;
use streams::Limits;
use support::{House, base64, house_under};
use world::disk::DiskFaults;

/// Sequence number to payload, per shard, of what was acknowledged.
type Acknowledged = BTreeMap<(String, String), String>;

/// Puts until the power is gone.
async fn produce(house: &House, producer: u32) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for round in 0u32.. {
        let payload =
            |i: u32| base64(format!("{producer}/{round}/{i}").repeat(1 + (round as usize * 7) % 300).as_bytes());
        let key = |i: u32| format!("{producer}-{round}-{i}");
        if round % 3 == 0 {
            let input = json!({"StreamName": "s", "PartitionKey": key(0), "Data": payload(0)});
            let Ok(answer) = house.ask("PutRecord", input).await else { break };
            let text = |name: &str| answer[name].as_str().unwrap().to_owned();
            acknowledged.insert((text("ShardId"), text("SequenceNumber")), payload(0));
        } else {
            let records: Vec<_> =
                (0..round % 5 + 1).map(|i| json!({"PartitionKey": key(i), "Data": payload(i)})).collect();
            let Ok(answer) = house.ask("PutRecords", json!({"StreamName": "s", "Records": records})).await else {
                break;
            };
            for (i, record) in answer["Records"].as_array().unwrap().iter().enumerate() {
                let text = |name: &str| record[name].as_str().unwrap().to_owned();
                acknowledged.insert((text("ShardId"), text("SequenceNumber")), payload(i as u32));
            }
        }
    }
    acknowledged
}

/// All that is readable, by shard and number; in each shard numbers grow.
async fn consume(house: &House, shards: u32) -> Acknowledged {
    let mut found = Acknowledged::new();
    for shard in 0..shards {
        let mut iterator = house.iterator("s", shard, "TRIM_HORIZON", json!({})).await;
        let mut last = String::new();
        loop {
            let input = json!({"ShardIterator": iterator, "Limit": 50});
            let answer = house.ask("GetRecords", input).await.unwrap();
            let records = answer["Records"].as_array().unwrap();
            for record in records {
                let number = record["SequenceNumber"].as_str().unwrap().to_owned();
                assert!(last < number, "numbers grow");
                let data = record["Data"].as_str().unwrap().to_owned();
                found.insert((format!("shardId-{shard:012}"), number.clone()), data);
                last = number;
            }
            iterator = answer["NextShardIterator"].as_str().unwrap().to_owned();
            if records.is_empty() {
                break;
            }
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_power_loss() {
    let mut total = 0;
    for seed in 0..24 {
        let mut house = house_under(seed, Limits::Off).await;
        house.create("s", 3).await;
        let mut acknowledged = Acknowledged::new();
        for life in 0..3 {
            house
                .disk
                .set_faults(DiskFaults { halt_after: 5 + (seed * 13 + life * 29) % 120, ..DiskFaults::default() });
            let (a, b, c) = tokio::join!(produce(&house, 1), produce(&house, 2), produce(&house, 3));
            acknowledged.extend(a.into_iter().chain(b).chain(c));
            house = house.crash().await;
            let found = consume(&house, 3).await;
            for (place, payload) in &acknowledged {
                assert_eq!(found.get(place), Some(payload), "seed {seed}, life {life}, {place:?}");
            }
        }
        total += acknowledged.len();
    }
    assert!(total > 1000, "the test must have put something to lose, not {total} records");
}
