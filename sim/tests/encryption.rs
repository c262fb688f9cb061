//! Streams under encryption: it is started, started anew and stopped while producers put, and the power fails at any write.
//! What was acknowledged is read back, what was acknowledged as encrypted is nowhere on the disk in the clear, a full disk
//! refuses and recovers, and a flipped bit is an error and never a payload.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::{Value, json};
use sim::{Flaky, House};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use world::disk::{DiskFaults, SimDisk};
use world::{Disk, Entropy, SeededEntropy};

const SEEDS: u64 = 60;
const LIVES: u64 = 4;
const KEY: &str = "alias/aws/kinesis";
const JOURNAL: &str = "/data/journal";

/// What was put: by payload, whether the answer said it was encrypted; and what was never answered.
#[derive(Default)]
struct Put {
    acknowledged: BTreeMap<String, bool>,
    unknown: BTreeSet<String>,
}

fn encode(data: &str) -> String {
    let mut out = bytes::BytesMut::new();
    wire::codec::fast::base64_encode_into(data.as_bytes(), &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

async fn put(house: &House, data: String, seen: &mut Put) -> bool {
    let record = json!({"StreamName": "s", "PartitionKey": data, "Data": encode(&data)});
    match house.ask("kinesis", "PutRecord", record).await {
        Ok(answer) => {
            seen.acknowledged.insert(data, answer.get("EncryptionType") == Some(&json!("KMS")));
            true
        }
        Err(_) => {
            seen.unknown.insert(data);
            false
        }
    }
}

/// Long enough not to be on a disk by chance.
fn payload_of(name: &str, round: u32) -> String {
    format!("payload {name} number {round:04}")
}

/// Puts until the disk is gone or the life is over.
async fn produce(house: &House, random: &SeededEntropy, name: &str) -> Put {
    let mut seen = Put::default();
    for round in 0..40 {
        if !put(house, payload_of(name, round), &mut seen).await {
            break;
        }
        house.world.clock.sleep(Duration::from_millis(random.below(12))).await;
    }
    seen
}

/// Starts, starts anew and stops. What is refused because the stream is busy or the disk is gone is refused.
async fn switch(house: &House, random: &SeededEntropy) {
    for _ in 0..5 {
        house.world.clock.sleep(Duration::from_millis(random.below(60))).await;
        let operation = if random.below(3) == 0 { "StopStreamEncryption" } else { "StartStreamEncryption" };
        let input = json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": KEY});
        drop(house.ask("kinesis", operation, input).await);
    }
}

async fn iterator(house: &House, shard: &Value) -> Value {
    let ask = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    house.ask("kinesis", "GetShardIterator", ask).await.unwrap()["ShardIterator"].clone()
}

/// All payloads, and whether each is said to be encrypted.
async fn read(house: &House) -> Vec<(String, bool)> {
    let listed = house.ask("kinesis", "ListShards", json!({"StreamName": "s"})).await.unwrap();
    let mut found = Vec::new();
    for shard in listed["Shards"].as_array().unwrap() {
        let mut iterator = iterator(house, &shard["ShardId"]).await;
        loop {
            let answer = house.ask("kinesis", "GetRecords", json!({"ShardIterator": iterator})).await.unwrap();
            let records = answer["Records"].as_array().unwrap();
            if records.is_empty() {
                break;
            }
            found.extend(records.iter().map(|r| (payload(r), r.get("EncryptionType") == Some(&json!("KMS")))));
            iterator = answer["NextShardIterator"].clone();
        }
    }
    found
}

fn payload(record: &Value) -> String {
    let data = wire::codec::fast::base64_decode(record["Data"].as_str().unwrap().as_bytes()).unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

/// Everything that the journal's files hold.
fn disk_bytes(disk: &SimDisk) -> Vec<u8> {
    let files = disk.list(Path::new(JOURNAL)).unwrap();
    files.iter().flat_map(|file| disk.read(&Path::new(JOURNAL).join(&file.name)).unwrap()).collect()
}

/// The payloads of [`produce`] that lie on the disk in the clear.
fn in_the_clear(disk: &SimDisk) -> BTreeSet<String> {
    let bytes = disk_bytes(disk);
    let len = payload_of("0a", 0).len();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'p').map(|(at, _)| at);
    let texts = starts.filter_map(|at| bytes.get(at..at + len)).filter(|text| text.starts_with(b"payload "));
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

async fn check(seed: u64, house: &House, seen: &Put) {
    let found = read(house).await;
    let by_payload: BTreeMap<&str, bool> = found.iter().map(|(data, sealed)| (data.as_str(), *sealed)).collect();
    assert_eq!(by_payload.len(), found.len(), "seed {seed}: nothing twice");
    for (data, sealed) in &seen.acknowledged {
        assert_eq!(by_payload.get(data.as_str()), Some(sealed), "seed {seed}: {data}");
    }
    for data in by_payload.keys() {
        assert!(seen.acknowledged.contains_key(*data) || seen.unknown.contains(*data), "seed {seed}: {data}");
    }
}

/// What the disk went through, how much was acknowledged encrypted and plain, and how often a crash came while it changed.
async fn scenario(seed: u64) -> (u64, [usize; 2], u32) {
    let random = SeededEntropy::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let (mut seen, mut interrupted) = (Put::default(), 0);
    for life in 0..LIVES {
        let house = House::open(disk.clone(), seed ^ (life << 32), Flaky::new(seed)).await.unwrap();
        if life == 0 {
            house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await.unwrap();
        }
        house.world.clock.sleep(Duration::from_secs(1)).await;
        disk.set_faults(DiskFaults { halt_after: 3 + random.below(150), ..DiskFaults::default() });
        let (one, two) = (format!("{life}a"), format!("{life}b"));
        let (one, two, ()) =
            tokio::join!(produce(&house, &random, &one), produce(&house, &random, &two), switch(&house, &random));
        for put in [one, two] {
            seen.acknowledged.extend(put.acknowledged);
            seen.unknown.extend(put.unknown);
        }
        house.die().await;
        disk.crash();
        disk.set_faults(DiskFaults::default());
        let house = House::open(disk.clone(), seed ^ (life << 32) ^ 1, Flaky::new(seed)).await.unwrap();
        let ask = json!({"StreamName": "s"});
        let summary = house.ask("kinesis", "DescribeStreamSummary", ask.clone()).await.unwrap();
        interrupted += u32::from(summary["StreamDescriptionSummary"]["StreamStatus"] == "UPDATING");
        house.world.clock.sleep(Duration::from_secs(1)).await;
        let summary = house.ask("kinesis", "DescribeStreamSummary", ask).await.unwrap();
        assert_eq!(summary["StreamDescriptionSummary"]["StreamStatus"], "ACTIVE", "seed {seed}");
        check(seed, &house, &seen).await;
        house.die().await;
        disk.crash();
    }
    let clear = in_the_clear(&disk);
    for (data, sealed) in &seen.acknowledged {
        assert_eq!(clear.contains(data), !*sealed, "seed {seed}: {data}");
    }
    let sealed = seen.acknowledged.values().filter(|sealed| **sealed).count();
    (disk.trace(), [sealed, seen.acknowledged.len() - sealed], interrupted)
}

fn block_on<T>(scenario: impl Future<Output = T>) -> T {
    sim::play(scenario)
}

#[test]
fn what_is_encrypted_is_never_in_the_clear_and_never_lost_whatever_crashes() {
    let (mut counts, mut interrupted) = ([0, 0], 0);
    for seed in 0..SEEDS {
        let (_, [sealed, plain], cut) = block_on(scenario(seed));
        counts = [counts[0] + sealed, counts[1] + plain];
        interrupted += cut;
    }
    assert!(counts.iter().all(|count| *count > 1000), "both kinds were put: {counts:?}");
    assert!(interrupted > SEEDS as u32 / 20, "crashes come while it changes: {interrupted}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [6, 23] {
        assert_eq!(block_on(scenario(seed)), block_on(scenario(seed)), "seed {seed}");
    }
}

/// An encrypted stream with a few records.
async fn encrypted(disk: &Arc<SimDisk>, seen: &mut Put) -> House {
    let house = House::open(disk.clone(), 1, Flaky::new(1)).await.unwrap();
    house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(1)).await;
    put(&house, "in the clear, put before".to_owned(), seen).await;
    let input = json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": KEY});
    house.ask("kinesis", "StartStreamEncryption", input).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(1)).await;
    for i in 0..20 {
        assert!(put(&house, format!("encrypted payload number {i}"), seen).await);
    }
    house
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    block_on(async {
        for crashed in [false, true] {
            let disk = Arc::new(SimDisk::new(1));
            let mut seen = Put::default();
            let mut house = encrypted(&disk, &mut seen).await;
            disk.set_faults(DiskFaults { capacity: disk.used(), ..DiskFaults::default() });
            let mut refused = 0;
            for i in 0..1000 {
                let data = format!("put while it fills {i} {}", "x".repeat(200));
                refused += u32::from(!put(&house, data, &mut seen).await);
            }
            assert!(refused > 100, "the disk is full: {refused}");
            assert!(seen.acknowledged.len() > 100, "it was not full at once");
            if crashed {
                house.die().await;
                disk.crash();
                house = House::open(disk.clone(), 2, Flaky::new(1)).await.unwrap();
            }
            check(1, &house, &seen).await;
            disk.set_faults(DiskFaults::default());
            assert!(put(&house, "put when there is room again".to_owned(), &mut seen).await);
            check(1, &house, &seen).await;
            house.die().await;
        }
    });
}

#[test]
fn a_flipped_bit_is_an_error_to_its_reader_and_never_a_payload() {
    block_on(async {
        let disk = Arc::new(SimDisk::new(1));
        let mut seen = Put::default();
        let house = encrypted(&disk, &mut seen).await;
        let before = read(&house).await;
        let segment = Path::new(JOURNAL).join("0000000000000001.log");
        let end = disk.read(&segment).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
        let iterator = iterator(&house, &json!("shardId-000000000000")).await;
        let (mut errors, mut in_the_middle) = (0, 0);
        let refused = |outcome: anyhow::Result<Value>| {
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains("InternalFailure"), "{error}");
        };
        for offset in 0..=end {
            disk.corrupt(&segment, offset);
            match house.ask("kinesis", "GetRecords", json!({"ShardIterator": iterator})).await {
                Ok(answer) => {
                    let records: Vec<String> = answer["Records"].as_array().unwrap().iter().map(payload).collect();
                    assert!(!records.is_empty(), "byte {offset}");
                    assert!(before.iter().map(|(data, _)| data).take(records.len()).eq(&records), "byte {offset}");
                    if records.len() < before.len() {
                        // Those before the damage are read, and nobody gets past it.
                        let next = json!({"ShardIterator": answer["NextShardIterator"]});
                        refused(house.ask("kinesis", "GetRecords", next).await);
                        errors += 1;
                        in_the_middle += 1;
                    }
                }
                refusal @ Err(_) => {
                    refused(refusal);
                    errors += 1;
                }
            }
            disk.corrupt(&segment, offset);
        }
        assert!(errors > 1000, "{errors} of {end} bytes are records");
        assert!(in_the_middle > 100, "{in_the_middle} of them behind others");
        check(1, &house, &seen).await;
        house.die().await;
    });
}
