//! A stream as event source mappings walk it: through `consume`, while its shards are cut anew.

#![allow(clippy::unwrap_used)]

mod support;

use consume::{Checkpoints, Gather, Handler, Progress, Start, Turn, Walker};
use names::Home;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streams::Limits;
use support::{House, house};
use world::{BoxFuture, Stage};

/// Shard, key and payload of what was handed over, in order.
#[derive(Default)]
struct Seen(Mutex<Vec<(String, String, String)>>);

impl Handler for Seen {
    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress> {
        let text = |record: consume::Record| String::from_utf8(record.data.to_vec()).unwrap();
        let shard = turn.shard.to_string();
        let some = turn.records.into_iter().map(|record| (shard.clone(), record.key.clone(), text(record)));
        self.0.lock().unwrap().extend(some);
        Box::pin(std::future::ready(Progress::Done))
    }
}

async fn scale(house: &House, target: u32) {
    let input = json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
    house.ask("UpdateShardCount", input).await.unwrap();
}

/// Puts for a while: what was put in, in order, by key.
async fn produce(house: &House, round: u32, millis: u32) -> BTreeMap<String, Vec<String>> {
    let mut put = BTreeMap::<String, Vec<String>>::new();
    for i in 0..millis {
        let (key, data) = (format!("{round}-{}", i % 13), format!("{i:05}"));
        house.put("s", &key, data.as_bytes()).await.unwrap();
        put.entry(key).or_default().push(data);
        house.wait(Duration::from_millis(1)).await;
    }
    put
}

/// With LATEST, as a mapping starts, through splits and merges, while old shards are forgotten.
async fn walk(lanes: usize) {
    let house = house(Limits::Off).await;
    house.create("s", 2).await;
    house.put("s", "before", b"not seen").await.unwrap();
    let source = house.streams.source(&Home::default().arn("kinesis", "stream/s")).unwrap();
    let checkpoints = Checkpoints::open(&house.store).await.unwrap();
    let walker = Walker::new(house.world.clone(), checkpoints, "mapping".into(), source, Start::Latest);
    walker.pin().await.unwrap();
    let seen = Arc::new(Seen::default());
    let handler = seen.clone();
    house.world.tasks.spawn(Stage::Sources, "walk", move |mut stop| async move {
        let gather = Gather { records: 5, bytes: 1 << 20, window: Duration::ZERO, lanes };
        walker.run(async move { stop.wait().await }, gather, &*handler).await.unwrap();
    });
    let mut put = BTreeMap::<String, Vec<String>>::new();
    for (round, target) in (0..).zip([4, 2, 3, 6, 3]) {
        let ((), more) = tokio::join!(scale(&house, target), produce(&house, round, 60));
        put.extend(more);
        // Long enough that what ended is forgotten now and then.
        house.wait(Duration::from_secs(9 * 3600)).await;
    }
    let (mut found, mut walked) = (BTreeMap::<String, Vec<String>>::new(), BTreeSet::new());
    for (shard, key, data) in seen.0.lock().unwrap().iter() {
        found.entry(key.clone()).or_default().push(data.clone());
        walked.insert(shard.clone());
    }
    assert_eq!(found, put, "every record once, in the order of its key");
    assert!(walked.len() > 10, "across many shards: {walked:?}");
    let listed = house.ask("ListShards", json!({"StreamName": "s"})).await.unwrap();
    let first: &Value = &listed["Shards"][0]["ShardId"];
    assert_ne!(first, "shardId-000000000000", "some of which are forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_walker_misses_nothing_across_reshards() {
    walk(1).await;
}

#[tokio::test(start_paused = true)]
async fn lanes_keep_the_order_of_keys_across_reshards() {
    walk(4).await;
}
