//! Producers put, shards split, merge and scale, records expire, and the power fails at any write: what was acknowledged is
//! found once, in the shard its key belongs to, in the order of its key; the shards tile the space; nothing is left behind.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::{Value, json};
use sim::{Flaky, House};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use world::disk::{DiskFaults, SimDisk};
use world::{Entropy, SeededEntropy};

const SEEDS: u64 = 240;
const LIVES: u64 = 4;
const KEYS: u64 = 9;

/// By key: what was acknowledged, in order; and what was asked for and never answered, which may be there too.
#[derive(Default)]
struct Put {
    acknowledged: BTreeMap<String, Vec<String>>,
    unknown: BTreeMap<String, Vec<String>>,
}

/// A shard as it is listed, with what is in it.
struct Shard {
    range: (u128, u128),
    parents: Vec<String>,
    ended: bool,
    records: Vec<(String, String, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn encode(data: &str) -> String {
    let mut out = bytes::BytesMut::new();
    wire::codec::fast::base64_encode_into(data.as_bytes(), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// Puts until the disk is gone or the life is over.
async fn produce(house: &House, random: &SeededEntropy, producer: u64, life: u64, put: &mut Put) {
    for round in 0..40 {
        let key = |i: u64| format!("{producer}-{}", i % KEYS);
        let keys: Vec<String> = (0..1 + random.below(4)).map(|_| key(random.below(KEYS))).collect();
        let data = |i: usize| format!("{life}-{round:03}-{i}");
        let record = |(i, key): (usize, &String)| json!({"PartitionKey": key, "Data": encode(&data(i))});
        let records: Vec<_> = keys.iter().enumerate().map(record).collect();
        let answer = house.ask("kinesis", "PutRecords", json!({"StreamName": "s", "Records": records})).await;
        let known = if answer.is_ok() { &mut put.acknowledged } else { &mut put.unknown };
        for (i, key) in keys.iter().enumerate() {
            known.entry(key.clone()).or_default().push(data(i));
        }
        if answer.is_err() {
            return;
        }
        house.world.clock.sleep(Duration::from_millis(random.below(12))).await;
    }
}

async fn open(house: &House) -> Option<Vec<Value>> {
    let ask = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST"}});
    let answer = house.ask("kinesis", "ListShards", ask).await.ok()?;
    let mut shards = answer["Shards"].as_array()?.clone();
    shards.sort_by_key(|shard| bound(shard, "StartingHashKey"));
    Some(shards)
}

fn bound(shard: &Value, name: &str) -> u128 {
    shard["HashKeyRange"][name].as_str().unwrap().parse().unwrap()
}

/// Cuts the stream anew now and then. What is refused because the stream is busy or the disk is gone is refused.
async fn reshape(house: &House, random: &SeededEntropy) {
    for _ in 0..4 {
        house.world.clock.sleep(Duration::from_millis(random.below(60))).await;
        let Some(shards) = open(house).await else { return };
        let i = random.below(shards.len() as u64) as usize;
        let (operation, mut input) = match random.below(3) {
            0 => {
                let (start, end) = (bound(&shards[i], "StartingHashKey"), bound(&shards[i], "EndingHashKey"));
                let at = start + (end - start) / (2 + u128::from(random.below(3)));
                ("SplitShard", json!({"ShardToSplit": shards[i]["ShardId"], "NewStartingHashKey": at.to_string()}))
            }
            1 if i + 1 < shards.len() => {
                let (left, right) = (&shards[i]["ShardId"], &shards[i + 1]["ShardId"]);
                ("MergeShards", json!({"ShardToMerge": left, "AdjacentShardToMerge": right}))
            }
            _ => {
                let target = 1 + random.below(2 * shards.len() as u64);
                ("UpdateShardCount", json!({"TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"}))
            }
        };
        input["StreamName"] = json!("s");
        // It may well be refused.
        drop(house.ask("kinesis", operation, input).await);
    }
}

async fn read(house: &House) -> BTreeMap<String, Shard> {
    let listed = house.ask("kinesis", "ListShards", json!({"StreamName": "s"})).await.unwrap();
    let mut shards = BTreeMap::new();
    for shard in listed["Shards"].as_array().unwrap() {
        let id = text(&shard["ShardId"]);
        let ask = json!({"StreamName": "s", "ShardId": id, "ShardIteratorType": "TRIM_HORIZON"});
        let mut iterator = house.ask("kinesis", "GetShardIterator", ask).await.unwrap()["ShardIterator"].clone();
        let mut records = Vec::new();
        let ended = loop {
            let ask = json!({"ShardIterator": iterator, "Limit": 5});
            let answer = house.ask("kinesis", "GetRecords", ask).await.unwrap();
            let some = answer["Records"].as_array().unwrap();
            records.extend(some.iter().map(|r| {
                let data = wire::codec::fast::base64_decode(r["Data"].as_str().unwrap().as_bytes()).unwrap();
                (text(&r["PartitionKey"]), text(&r["SequenceNumber"]), String::from_utf8(data.to_vec()).unwrap())
            }));
            iterator = answer["NextShardIterator"].clone();
            if iterator.is_null() || some.is_empty() {
                break iterator.is_null();
            }
        };
        assert_eq!(ended, shard["SequenceNumberRange"].get("EndingSequenceNumber").is_some());
        let parents = ["ParentShardId", "AdjacentParentShardId"].iter().filter_map(|name| shard.get(name)).map(text);
        let range = (bound(shard, "StartingHashKey"), bound(shard, "EndingHashKey"));
        shards.insert(id, Shard { range, parents: parents.collect(), ended, records });
    }
    shards
}

/// Every key's records: the acknowledged ones all and in order; others only where they were asked for.
fn check(seed: u64, shards: &BTreeMap<String, Shard>, put: &Put) {
    let mut open: Vec<_> = shards.values().filter(|shard| !shard.ended).map(|shard| shard.range).collect();
    open.sort_unstable();
    assert!(open[0].0 == 0 && open[open.len() - 1].1 == u128::MAX, "seed {seed}: the space is covered");
    assert!(open.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "seed {seed}: without gap or overlap");
    for (id, shard) in shards {
        for parent in &shard.parents {
            assert!(parent < id, "seed {seed}");
            assert!(shards.get(parent).is_none_or(|parent| parent.ended), "seed {seed}: parents have ended");
        }
        let numbers = shard.records.iter().map(|(_, number, _)| number);
        assert!(numbers.is_sorted_by(|a, b| a < b), "seed {seed}: numbers grow in {id}");
    }
    let mut found = BTreeMap::<&str, Vec<(&str, &str)>>::new();
    for (key, number, data) in shards.values().flat_map(|shard| &shard.records) {
        found.entry(key).or_default().push((number, data));
    }
    for (key, records) in &mut found {
        records.sort_unstable();
        let data: Vec<&str> = records.iter().map(|(_, data)| *data).collect();
        assert!(data.is_sorted_by(|a, b| a < b), "seed {seed}: {key} is out of order or doubled: {data:?}");
        let acknowledged = put.acknowledged.get(*key).map_or(&[][..], Vec::as_slice);
        let unknown = put.unknown.get(*key).map_or(&[][..], Vec::as_slice);
        let held: Vec<&str> = data.iter().copied().filter(|data| acknowledged.iter().any(|a| a == data)).collect();
        assert_eq!(held, acknowledged, "seed {seed}: {key} has all that was acknowledged");
        let surplus =
            data.iter().filter(|data| !acknowledged.iter().chain(unknown).any(|known| known == *data)).count();
        assert_eq!(surplus, 0, "seed {seed}: nobody put this");
    }
    for key in put.acknowledged.keys() {
        assert!(found.contains_key(key.as_str()), "seed {seed}: {key} is lost");
    }
}

/// What the disk went through, and how often a crash came between the wish for other shards and their being there.
async fn scenario(seed: u64) -> (u64, u32) {
    let random = SeededEntropy::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let (mut put, mut interrupted) = (Put::default(), 0);
    for life in 0..LIVES {
        let house = House::open(disk.clone(), seed ^ (life << 32), Flaky::new(seed)).await.unwrap();
        if life == 0 {
            house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await.unwrap();
        }
        house.world.clock.sleep(Duration::from_secs(1)).await;
        let halt_after = 3 + random.below(150);
        disk.set_faults(DiskFaults { halt_after, ..DiskFaults::default() });
        let mut two = (Put::default(), Put::default());
        tokio::join!(
            produce(&house, &random, 1, life, &mut two.0),
            produce(&house, &random, 2, life, &mut two.1),
            reshape(&house, &random),
        );
        for one in [two.0, two.1] {
            for (all, more) in [(&mut put.acknowledged, one.acknowledged), (&mut put.unknown, one.unknown)] {
                more.into_iter().for_each(|(key, data)| all.entry(key).or_default().extend(data));
            }
        }
        house.die().await;
        disk.crash();
        disk.set_faults(DiskFaults::default());
        let house = House::open(disk.clone(), seed ^ (life << 32) ^ 1, Flaky::new(seed)).await.unwrap();
        interrupted += u32::from(status(&house).await == "UPDATING");
        // Whatever was being done is finished.
        house.world.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(status(&house).await, "ACTIVE", "seed {seed}");
        check(seed, &read(&house).await, &put);
        house.die().await;
        disk.crash();
    }
    // Days are long, also simulated ones.
    if seed.is_multiple_of(6) {
        retire(seed, disk.clone(), &random).await;
    }
    (disk.trace(), interrupted)
}

async fn status(house: &House) -> String {
    let summary = house.ask("kinesis", "DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    text(&summary["StreamDescriptionSummary"]["StreamStatus"])
}

/// A day later, with crashes while old shards are forgotten: only open shards are left, and only their logs.
async fn retire(seed: u64, disk: Arc<SimDisk>, random: &SeededEntropy) {
    for life in 0..3 {
        let house = House::open(disk.clone(), seed ^ (life << 40), Flaky::new(seed)).await.unwrap();
        house.world.clock.sleep(Duration::from_secs(24 * 3600)).await;
        disk.set_faults(DiskFaults { halt_after: random.below(12), ..DiskFaults::default() });
        house.world.clock.sleep(Duration::from_secs(120)).await;
        house.die().await;
        disk.crash();
        disk.set_faults(DiskFaults::default());
    }
    let house = House::open(disk.clone(), seed, Flaky::new(seed)).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(48 * 3600)).await;
    let shards = read(&house).await;
    check(seed, &shards, &Put::default());
    assert!(
        shards.values().all(|shard| !shard.ended && shard.records.is_empty()),
        "seed {seed}: all of it has expired"
    );
    let logs: Vec<String> = house.store.logs("streams/s/").into_iter().map(|(name, _)| name).collect();
    let ids: Vec<String> = shards.keys().map(|id| format!("streams/s/{id}")).collect();
    assert_eq!(logs, ids, "seed {seed}: nothing is left behind");
    house.die().await;
}

fn run(seed: u64) -> (u64, u32) {
    sim::play(scenario(seed))
}

#[test]
fn reshards_lose_and_reorder_nothing_whatever_crashes() {
    let interrupted: u32 = (0..SEEDS).map(|seed| run(seed).1).sum();
    assert!(interrupted > SEEDS as u32 / 8, "crashes come while shards end: {interrupted}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [6, 23] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
