//! Two consumers are pushed a stream while producers put, shards split and merge, clients go away in the middle, and the
//! power fails at any write: going on from the last continuation number it took, each sees every acknowledged record, once,
//! in the order of its key, parents before children; and nothing that did not survive.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::{Value, json};
use sim::{Flaky, House};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use world::disk::{DiskFaults, SimDisk};
use world::{Entropy, SeededEntropy};

const SEEDS: u64 = 60;
const LIVES: u64 = 3;
const KEYS: u64 = 6;
const CONSUMERS: [&str; 2] = ["one", "two"];

/// Where a consumer stands, as an application would keep it: a lease a shard, written down with what was seen.
#[derive(Default)]
struct Reader {
    /// By shard: the last continuation number; `None` where the shard is to be read from its start.
    leases: BTreeMap<String, Option<String>>,
    ended: BTreeSet<String>,
    /// By key: what was seen, in order.
    seen: BTreeMap<String, Vec<String>>,
    events: u32,
    cut: u32,
}

/// Puts until the disk is gone or the life is over; by key, what was acknowledged.
async fn produce(house: &House, random: &SeededEntropy, life: u64, put: &mut BTreeMap<String, Vec<String>>) {
    for round in 0..30 {
        let key = format!("k{}", random.below(KEYS));
        let data = format!("{life}-{round:03}");
        let input = json!({"StreamName": "s", "PartitionKey": key, "Data": encode(&data)});
        if house.ask("kinesis", "PutRecord", input).await.is_err() {
            return;
        }
        put.entry(key).or_default().push(data);
        house.world.clock.sleep(Duration::from_millis(random.below(30))).await;
    }
}

fn encode(data: &str) -> String {
    let mut out = bytes::BytesMut::new();
    wire::codec::fast::base64_encode_into(data.as_bytes(), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// Cuts the stream anew once or twice in a life. It may be refused.
async fn reshape(house: &House, random: &SeededEntropy) {
    for _ in 0..2 {
        house.world.clock.sleep(Duration::from_millis(random.below(300))).await;
        let target = 1 + random.below(4);
        let input = json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
        drop(house.ask("kinesis", "UpdateShardCount", input).await);
    }
}

/// The shards that may be read now: not yet read to the end, and all of whose parents are.
async fn readable(house: &House, reader: &Reader) -> Option<Vec<String>> {
    let listed = house.ask("kinesis", "ListShards", json!({"StreamName": "s"})).await.ok()?;
    let shards = listed["Shards"].as_array()?;
    let text = |shard: &Value, name: &str| shard[name].as_str().map(str::to_owned);
    let parents = |shard: &Value| {
        ["ParentShardId", "AdjacentParentShardId"].iter().filter_map(|name| text(shard, name)).collect::<Vec<_>>()
    };
    let free = |shard: &&Value| parents(shard).iter().all(|parent| reader.ended.contains(parent));
    let ids = shards.iter().filter(free).filter_map(|shard| text(shard, "ShardId"));
    Some(ids.filter(|id| !reader.ended.contains(id)).collect())
}

/// Subscribes to one shard and takes events until there is nothing for a while, the shard ends, or the client goes away.
async fn take(house: &House, random: &SeededEntropy, consumer: &str, shard: &str, reader: &mut Reader) -> Option<()> {
    let start = match reader.leases.get(shard).cloned().flatten() {
        Some(sequence) => json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence}),
        None => json!({"Type": "TRIM_HORIZON"}),
    };
    let input = json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": start});
    let mut events = house.subscribe("kinesis", "SubscribeToShard", input).await.ok()?;
    let patience = random.below(6);
    for taken in 0.. {
        if taken > patience {
            // The client is killed: what was on its way to it is not seen, and nothing is written down.
            reader.cut += 1;
            return Some(());
        }
        let event = tokio::select! {
            event = events.next() => event?,
            () = house.world.clock.sleep(Duration::from_millis(1 + random.below(400))) => return Some(()),
        };
        reader.events += 1;
        for record in event["Records"].as_array()? {
            let data = wire::codec::fast::base64_decode(record["Data"].as_str()?.as_bytes()).unwrap();
            let data = String::from_utf8(data.to_vec()).unwrap();
            reader.seen.entry(record["PartitionKey"].as_str()?.to_owned()).or_default().push(data);
        }
        let next = event["ContinuationSequenceNumber"].as_str().map(str::to_owned);
        if next.is_none() {
            assert!(event["ChildShards"].is_array(), "the last event names the children: {event}");
            reader.ended.insert(shard.to_owned());
            return Some(());
        }
        reader.leases.insert(shard.to_owned(), next);
    }
    Some(())
}

/// One consumer's application, until the house is gone or nothing came for `quiet` rounds.
async fn consume(house: &House, random: &SeededEntropy, name: &str, reader: &mut Reader, rounds: u32) {
    let input = json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ConsumerName": name});
    let Ok(described) = house.ask("kinesis", "DescribeStreamConsumer", input).await else { return };
    let arn = described["ConsumerDescription"]["ConsumerARN"].as_str().unwrap().to_owned();
    for _ in 0..rounds {
        let Some(shards) = readable(house, reader).await else { return };
        for shard in shards {
            // A refusal is one of a subscription too young to be taken over, or of a house that has lost its disk.
            let _ = take(house, random, &arn, &shard, reader).await;
        }
        house.world.clock.sleep(Duration::from_millis(5100)).await;
    }
}

/// Every acknowledged record once and in order; what was not acknowledged may be there where the disk kept it.
fn check(seed: u64, put: &BTreeMap<String, Vec<String>>, readers: &[Reader]) {
    for reader in readers {
        for (key, acknowledged) in put {
            let seen = reader.seen.get(key).map_or(&[][..], Vec::as_slice);
            assert!(seen.is_sorted_by(|a, b| a < b), "seed {seed}: {key} is out of order or doubled: {seen:?}");
            let held: Vec<_> = seen.iter().filter(|data| acknowledged.contains(data)).collect();
            assert_eq!(held, acknowledged.iter().collect::<Vec<_>>(), "seed {seed}: {key} is seen whole");
        }
    }
    // Two readers of one stream saw the same.
    assert_eq!(readers[0].seen, readers[1].seen, "seed {seed}");
}

async fn scenario(seed: u64) -> (u32, u32, u64) {
    let random = SeededEntropy::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let mut put = BTreeMap::new();
    let mut readers = [Reader::default(), Reader::default()];
    for life in 0..LIVES {
        let house = House::open(disk.clone(), seed ^ (life << 32), Flaky::new(seed)).await.unwrap();
        if life == 0 {
            house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await.unwrap();
            house.world.clock.sleep(Duration::from_secs(1)).await;
            for name in CONSUMERS {
                let input =
                    json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "ConsumerName": name});
                house.ask("kinesis", "RegisterStreamConsumer", input).await.unwrap();
            }
        }
        house.world.clock.sleep(Duration::from_secs(1)).await;
        disk.set_faults(DiskFaults { halt_after: 10 + random.below(60), ..DiskFaults::default() });
        let [one, two] = &mut readers;
        tokio::join!(
            produce(&house, &random, life, &mut put),
            reshape(&house, &random),
            consume(&house, &random, CONSUMERS[0], one, 2),
            consume(&house, &random, CONSUMERS[1], two, 3),
        );
        house.die().await;
        disk.crash();
        disk.set_faults(DiskFaults::default());
    }
    let house = House::open(disk.clone(), seed, Flaky::new(seed)).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(1)).await;
    for (name, reader) in CONSUMERS.iter().zip(&mut readers) {
        consume(&house, &random, name, reader, 40).await;
    }
    check(seed, &put, &readers);
    house.die().await;
    (readers.iter().map(|r| r.events).sum(), readers.iter().map(|r| r.cut).sum(), disk.trace())
}

fn run(seed: u64) -> (u32, u32, u64) {
    sim::play(scenario(seed))
}

#[test]
fn consumers_see_everything_once_whatever_crashes_and_whoever_goes_away() {
    let (mut events, mut cut) = (0, 0);
    for seed in 0..SEEDS {
        let run = run(seed);
        (events, cut) = (events + run.0, cut + run.1);
    }
    assert!(events > 20 * SEEDS as u32 && cut > 2 * SEEDS as u32, "{events} events, {cut} clients gone in the middle");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(run(4), run(4));
}
