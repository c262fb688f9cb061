//! The hot ways against the generic way: two houses under one seed are asked the same, one of them in a form that the hot ways
//! leave alone. They must answer the same bytes, and hold the same records.

#![allow(clippy::unwrap_used)] // a test that panics has failed

mod support;

use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;
use streams::Limits;
use support::{House, base64, house_under};
use wire::{ApiError, Protocol};
use world::{Entropy, SeededEntropy};

struct Pair {
    hot: House,
    generic: House,
}

impl Pair {
    async fn new(seed: u64, limits: Limits) -> Pair {
        Pair { hot: house_under(seed, limits).await, generic: house_under(seed, limits).await }
    }

    /// Asks both; the answer both give.
    async fn ask(&self, operation: &str, input: Value) -> Result<Bytes, ApiError> {
        let plain = input.to_string();
        // A member that is null is absent, and too odd for a hot way.
        let odd = format!("{{\"StreamId\":null,{}", &plain[1..]);
        let fast = self.hot.ask_by(Protocol::AwsJson11, operation, plain.into()).await;
        let slow = self.generic.ask_by(Protocol::AwsJson11, operation, odd.into()).await;
        match (&fast, &slow) {
            (Ok(fast), Ok(slow)) => assert_eq!(fast, slow, "{operation} {input}"),
            (Err(fast), Err(slow)) => {
                assert_eq!((fast.model.name, &fast.message), (slow.model.name, &slow.message), "{operation} {input}");
            }
            _ => panic!("{operation} {input}: {fast:?} here, {slow:?} there"),
        }
        fast
    }

    async fn both(&self, operation: &str, input: Value) {
        self.hot.ask(operation, input.clone()).await.unwrap();
        self.generic.ask(operation, input).await.unwrap();
        self.wait(100).await;
    }

    async fn wait(&self, ms: u64) {
        // Both houses have clocks of their own, and both must see the same times.
        self.hot.wait(Duration::from_millis(ms)).await;
        self.generic.wait(Duration::from_millis(ms)).await;
    }

    /// Reads a shard to its end.
    async fn drain(&self, shard: u32, limit: Option<u64>) -> usize {
        let mut count = 0;
        let mut iterator = self.hot.iterator("s", shard, "TRIM_HORIZON", json!({})).await;
        assert_eq!(self.generic.iterator("s", shard, "TRIM_HORIZON", json!({})).await, iterator);
        loop {
            let mut input = json!({"ShardIterator": iterator});
            limit.iter().for_each(|limit| input["Limit"] = json!(limit));
            let Ok(answer) = self.ask("GetRecords", input).await else {
                self.wait(1000).await;
                continue;
            };
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            let records = answer["Records"].as_array().unwrap().len();
            count += records;
            match answer["NextShardIterator"].as_str() {
                Some(next) if records > 0 => iterator = next.to_owned(),
                _ => return count,
            }
        }
    }
}

fn entry(random: &SeededEntropy) -> Value {
    let mut data = vec![0; random.below(600) as usize];
    random.fill(&mut data);
    let key = ["k", "ключ", "a \"quoted\" key", "\u{1f600}"][random.below(4) as usize];
    let mut entry = json!({"Data": base64(&data), "PartitionKey": format!("{key}{}", random.below(9))});
    match random.below(40) {
        0 => entry["ExplicitHashKey"] = json!(random.below(u64::MAX).to_string()),
        1 => entry["ExplicitHashKey"] = json!("340282366920938463463374607431768211456"),
        2 => entry["Data"] = json!("not base64!"),
        3 => entry["PartitionKey"] = json!("k".repeat(257)),
        4 => entry["Data"] = json!(base64(&vec![7; 1_100_000])),
        _ => {}
    }
    entry
}

async fn run(seed: u64, limits: Limits) {
    let random = SeededEntropy::new(seed);
    let pair = Pair::new(seed, limits).await;
    pair.both("CreateStream", json!({"StreamName": "s", "ShardCount": 3})).await;
    let mut taken = 0;
    for _ in 0..30 {
        let name = if random.below(20) == 0 { "absent" } else { "s" };
        if random.below(2) == 0 {
            let mut input = entry(&random);
            input["StreamName"] = json!(name);
            taken += usize::from(pair.ask("PutRecord", input).await.is_ok());
        } else {
            let records: Vec<_> = (0..1 + random.below(300)).map(|_| entry(&random)).collect();
            if let Ok(answer) = pair.ask("PutRecords", json!({"StreamName": name, "Records": records})).await {
                let answer: Value = serde_json::from_slice(&answer).unwrap();
                taken += records.len() - answer["FailedRecordCount"].as_u64().unwrap() as usize;
            }
        }
        pair.wait(random.below(100)).await;
    }
    let middle = (1u128 << 127).to_string();
    let split = json!({"StreamName": "s", "ShardToSplit": "shardId-000000000001", "NewStartingHashKey": middle});
    pair.both("SplitShard", split).await;
    assert!(pair.ask("PutRecord", json!({"StreamName": "s", "PartitionKey": "p", "Data": ""})).await.is_ok());
    let limit = (random.below(2) == 0).then(|| 1 + random.below(200));
    let mut found = 0;
    for shard in 0..5 {
        found += pair.drain(shard, limit).await;
    }
    assert_eq!(found, taken + 1, "what was taken is there, once");
}

#[tokio::test(start_paused = true)]
async fn hot_ways_answer_as_the_generic_way_does() {
    for seed in 0..12 {
        run(seed, Limits::Off).await;
    }
}

#[tokio::test(start_paused = true)]
async fn and_under_limits() {
    for seed in 100..108 {
        run(seed, Limits::Aws).await;
    }
}
