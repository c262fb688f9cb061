//! Every event that PutEvents accepted reaches its stream, its queue and a target that fails at random, whatever crashes;
//! every record that PutRecords acknowledged is there, in order.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::{Value, json};
use sim::{Flaky, House, lets_in};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use world::disk::SimDisk;
use world::{Entropy, SeededEntropy};

/// Each seed is a run of several lives.
const SEEDS: u64 = 60;
const LIVES: u64 = 4;

#[derive(Default)]
struct Acknowledged {
    events: BTreeSet<String>,
    records: Vec<String>,
}

async fn set_up(house: &House) {
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:us-east-1:000000000000:{resource}");
    house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(2)).await;
    house
        .ask("sqs", "CreateQueue", json!({"QueueName": "q", "Attributes": {"Policy": lets_in("events.amazonaws.com")}}))
        .await
        .unwrap();
    house.ask("events", "PutRule", json!({"Name": "r", "EventPattern": r#"{"source":["sim"]}"#})).await.unwrap();
    let targets = json!({"Rule": "r", "Targets": [
        {"Id": "1", "Arn": arn("kinesis", "stream/s")},
        {"Id": "2", "Arn": arn("sqs", "q")},
        {"Id": "3", "Arn": arn("lambda", "function:f")},
    ]});
    let answer = house.ask("events", "PutTargets", targets).await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
}

/// One life: some events and records; what was acknowledged is noted. Ends at any moment.
async fn live(house: &House, random: &SeededEntropy, life: u64, acknowledged: &mut Acknowledged) {
    for step in 0..random.below(25) {
        if random.below(3) > 0 {
            let entry = json!({"Source": "sim", "DetailType": "t", "Detail": format!("{{\"n\":{step}}}")});
            let answer = house.ask("events", "PutEvents", json!({"Entries": [entry]})).await.unwrap();
            acknowledged.events.insert(answer["Entries"][0]["EventId"].as_str().unwrap().to_owned());
        } else {
            let data = ["AAAA", "AQEB", "AgIC"][random.below(3) as usize];
            let records = json!([{"Data": data, "PartitionKey": format!("direct-{life}-{step}")}]);
            let answer =
                house.ask("kinesis", "PutRecords", json!({"StreamName": "s", "Records": records})).await.unwrap();
            acknowledged.records.push(answer["Records"][0]["SequenceNumber"].as_str().unwrap().to_owned());
        }
        if random.below(4) == 0 {
            house.world.clock.sleep(Duration::from_millis(random.below(3000))).await;
        }
    }
}

async fn read_stream(house: &House) -> Vec<(String, String)> {
    let ask = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = house.ask("kinesis", "GetShardIterator", ask).await.unwrap()["ShardIterator"].clone();
    let mut out = Vec::new();
    loop {
        let answer = house.ask("kinesis", "GetRecords", json!({"ShardIterator": iterator})).await.unwrap();
        let records = answer["Records"].as_array().unwrap();
        let text = |r: &Value, key: &str| r[key].as_str().unwrap().to_owned();
        out.extend(records.iter().map(|r| (text(r, "SequenceNumber"), text(r, "Data"))));
        iterator = answer["NextShardIterator"].clone();
        if records.is_empty() {
            return out;
        }
    }
}

async fn read_queue(house: &House) -> BTreeSet<String> {
    let url = "http://localhost:4566/000000000000/q";
    let mut ids = BTreeSet::new();
    loop {
        let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600});
        let answer = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return ids;
        }
        for message in messages {
            let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            ids.insert(event["id"].as_str().unwrap().to_owned());
        }
    }
}

async fn scenario(seed: u64) -> u64 {
    let random = SeededEntropy::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let flaky = Flaky::new(seed);
    let mut acknowledged = Acknowledged::default();
    for life in 0..LIVES {
        let house = House::open(disk.clone(), seed ^ (life << 32), flaky.clone()).await.unwrap();
        if life == 0 {
            set_up(&house).await;
        }
        live(&house, &random, life, &mut acknowledged).await;
        house.die().await;
        disk.crash();
    }
    let house = House::open(disk.clone(), seed ^ (LIVES << 32), flaky.clone()).await.unwrap();
    // Long enough for every retry of a target that fails half of its attempts and hangs to its time limit.
    house.world.clock.sleep(Duration::from_secs(3 * 3600)).await;
    let stream = read_stream(&house).await;
    let numbers: Vec<&String> = stream.iter().map(|(n, _)| n).collect();
    assert!(numbers.is_sorted_by(|a, b| (a.len(), a) < (b.len(), b)), "seed {seed}: the stream is out of order");
    let direct: Vec<&String> = numbers.iter().copied().filter(|n| acknowledged.records.contains(n)).collect();
    assert_eq!(direct, acknowledged.records.iter().collect::<Vec<_>>(), "seed {seed}: records are missing or moved");
    let decode = |data: &String| wire::codec::fast::base64_decode(data.as_bytes()).unwrap();
    let events = stream.iter().filter_map(|(_, data)| serde_json::from_slice::<Value>(&decode(data)).ok());
    let in_stream: BTreeSet<String> = events.filter_map(|e| Some(e["id"].as_str()?.to_owned())).collect();
    let in_queue = read_queue(&house).await;
    let in_function: BTreeSet<String> = flaky
        .taken()
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    for (place, have) in [("stream", &in_stream), ("queue", &in_queue), ("function", &in_function)] {
        let lost: Vec<_> = acknowledged.events.difference(have).collect();
        assert!(lost.is_empty(), "seed {seed}: accepted events never reached the {place}: {lost:?}");
    }
    house.die().await;
    disk.trace()
}

fn run(seed: u64) -> u64 {
    sim::play(scenario(seed))
}

#[test]
fn accepted_events_arrive_across_crashes() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [3, 17] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
