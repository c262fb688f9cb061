//! Event source mappings under a seed: whatever the function does and whenever the house crashes, every record is accepted
//! or told of, in the order of its key; windows hold each of their records once; every message is accepted and gone.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

#[path = "mappings/puppet.rs"]
mod puppet;

use puppet::{Puppet, Taken};
use serde_json::{Value, json};
use sim::House;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use world::disk::SimDisk;
use world::{Clock, Entropy, SeededEntropy, SimClock};

const SEEDS: u64 = 60;
const LIVES: u64 = 4;
/// Nothing runs for so long between two lives.
const BETWEEN: Duration = Duration::from_secs(3600);
/// A package with an executable `bootstrap` that is never run.
const PACKAGE: &str = "UEsDBBQAAAAAAAAAIVwdnfsECgAAAAoAAAAJAAAAYm9vdHN0cmFwIyEvYmluL3NoClBLAQIUAxQAAAAAAAAAIVwdnfsECgAAAAoAAAAJ\
                       AAAAAAAAAAAAAADtAQAAAABib290c3RyYXBQSwUGAAAAAAEAAQA3AAAAMQAAAAAA";

/// How the mapping of a seed is set.
#[derive(Debug)]
struct Setting {
    lanes: u64,
    bisect: bool,
    report: bool,
    retries: i64,
    age_s: i64,
    tumble_s: u64,
    batch: u64,
    window_s: u64,
    start: &'static str,
}

impl Setting {
    fn of(seed: u64) -> Setting {
        let dice = SeededEntropy::new(seed ^ 0x5e7);
        let tumble_s = if dice.below(3) == 0 { 1 + dice.below(5) } else { 0 };
        Setting {
            lanes: if tumble_s == 0 { 1 + dice.below(4) } else { 1 },
            bisect: dice.below(2) == 0,
            report: dice.below(2) == 0,
            retries: [-1, 0, 1, 3][dice.below(4) as usize],
            age_s: [-1, -1, 60][dice.below(3) as usize],
            tumble_s,
            batch: 1 + dice.below(6),
            window_s: dice.below(3),
            start: ["TRIM_HORIZON", "LATEST"][dice.below(2) as usize],
        }
    }

    /// Whether records that fail for good are given up, rather than waited for.
    fn gives_up(&self) -> bool {
        self.retries >= 0
    }

    fn mapping(&self) -> Value {
        let responses = if self.report { json!(["ReportBatchItemFailures"]) } else { json!([]) };
        json!({
            "FunctionName": "f", "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "StartingPosition": self.start, "BatchSize": self.batch, "MaximumBatchingWindowInSeconds": self.window_s,
            "ParallelizationFactor": self.lanes, "BisectBatchOnFunctionError": self.bisect,
            "MaximumRetryAttempts": self.retries, "MaximumRecordAgeInSeconds": self.age_s,
            "TumblingWindowInSeconds": self.tumble_s, "FunctionResponseTypes": responses,
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:dead"}},
        })
    }
}

/// A record that PutRecords acknowledged.
struct Put {
    key: String,
    text: String,
    shard: String,
    sequence: String,
}

#[derive(Default)]
struct Acknowledged {
    records: Vec<Put>,
    messages: Vec<String>,
    splits: u64,
}

async fn set_up(house: &House, setting: &Setting) {
    house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await.unwrap();
    house.ask("sqs", "CreateQueue", json!({"QueueName": "dead"})).await.unwrap();
    house.ask("sqs", "CreateQueue", json!({"QueueName": "work"})).await.unwrap();
    house.pass(Duration::from_secs(2)).await;
    let early = json!([{"Data": "YmVmb3Jl", "PartitionKey": "early"}]);
    house.ask("kinesis", "PutRecords", json!({"StreamName": "s", "Records": early})).await.unwrap();
    let function = json!({
        "FunctionName": "f", "Runtime": "provided.al2023", "Handler": "h", "Code": {"ZipFile": PACKAGE},
        "Role": "arn:aws:iam::000000000000:role/r",
    });
    house.ask("lambda", "CreateFunction", function).await.unwrap();
    house.ask("lambda", "CreateEventSourceMapping", setting.mapping()).await.unwrap();
    let responses = if setting.report { json!(["ReportBatchItemFailures"]) } else { json!([]) };
    let queue = json!({
        "FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:work", "BatchSize": setting.batch,
        "FunctionResponseTypes": responses,
    });
    house.ask("lambda", "CreateEventSourceMapping", queue).await.unwrap();
}

/// One life: records, messages, now and then a split. Ends at any moment.
async fn live(house: &House, dice: &SeededEntropy, setting: &Setting, seen: &mut Acknowledged) {
    for _ in 0..dice.below(30) {
        match dice.below(12) {
            0 if seen.splits < 2 => {
                let shard = format!("shardId-{:012}", [0, 2][seen.splits as usize]);
                let half = ["170141183460469231731687303715884105728", "255211775190703847597530955573826158592"];
                let split = json!({
                    "StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": half[seen.splits as usize],
                });
                if house.ask("kinesis", "SplitShard", split).await.is_ok() {
                    seen.splits += 1;
                }
            }
            1 | 2 => {
                let body = format!("message {}", seen.messages.len());
                let url = "http://localhost:4566/000000000000/work";
                let send = json!({"QueueUrl": url, "MessageBody": body});
                house.ask("sqs", "SendMessage", send).await.unwrap();
                seen.messages.push(body);
            }
            _ => put(house, dice, setting, seen).await,
        }
        if dice.below(3) == 0 {
            house.pass(Duration::from_millis(dice.below(4000))).await;
        }
    }
}

async fn put(house: &House, dice: &SeededEntropy, setting: &Setting, seen: &mut Acknowledged) {
    let count = 1 + dice.below(5) as usize;
    let texts: Vec<(String, String)> = (0..count)
        .map(|i| {
            let kind = if setting.gives_up() && dice.below(15) == 0 { "bad" } else { "good" };
            (format!("key {}", dice.below(6)), format!("{kind} {}", seen.records.len() + i))
        })
        .collect();
    let encode = |text: &str| {
        let mut out = bytes::BytesMut::new();
        wire::codec::fast::base64_encode_into(text.as_bytes(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let records: Vec<Value> =
        texts.iter().map(|(key, text)| json!({"Data": encode(text), "PartitionKey": key})).collect();
    let put = house.ask("kinesis", "PutRecords", json!({"StreamName": "s", "Records": records}));
    // A stream that is being split refuses nothing, but a crash may take the answer away.
    let Ok(answer) = put.await else { return };
    for ((key, text), put) in texts.into_iter().zip(answer["Records"].as_array().unwrap()) {
        if let (Some(shard), Some(sequence)) = (put["ShardId"].as_str(), put["SequenceNumber"].as_str()) {
            seen.records.push(Put { key, text, shard: shard.to_owned(), sequence: sequence.to_owned() });
        }
    }
}

/// What the on-failure destination was told: shard, first and last sequence number.
async fn letters(house: &House) -> Vec<Value> {
    let mut out = Vec::new();
    loop {
        let url = "http://localhost:4566/000000000000/dead";
        let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 43200});
        let got = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let Some(messages) = got["Messages"].as_array().filter(|m| !m.is_empty()) else { return out };
        out.extend(messages.iter().map(|m| serde_json::from_str::<Value>(m["Body"].as_str().unwrap()).unwrap()));
    }
}

fn is_told_of(letters: &[Value], put: &Put) -> bool {
    letters.iter().any(|letter| {
        let info = &letter["KinesisBatchInfo"];
        let edge = |name: &str| info[name].as_str().unwrap().to_owned();
        let (first, last) = (edge("startSequenceNumber"), edge("endSequenceNumber"));
        let within = |n: &str| (first.len(), first.as_str()) <= (n.len(), n) && (n.len(), n) <= (last.len(), &last);
        info["shardId"] == put.shard.as_str() && within(&put.sequence)
    })
}

fn check(seed: u64, setting: &Setting, acknowledged: &Acknowledged, taken: &Taken, letters: &[Value]) {
    let context = format!("seed {seed}, {setting:?}");
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, text) in taken.records.iter().enumerate() {
        first.entry(text).or_insert(i);
    }
    assert!(!taken.records.iter().any(|text| text.starts_with("bad")), "{context}: what is bad is never accepted");
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for put in &acknowledged.records {
        // What was given up, and comes again because the house crashed before it knew that, is out of its order.
        match (is_told_of(letters, put), first.get(put.text.as_str())) {
            (true, _) => {}
            (false, Some(place)) => by_key.entry(&put.key).or_default().push(*place),
            (false, None) => panic!("{context}: {} was lost without a word", put.text),
        }
    }
    for (key, places) in by_key {
        assert!(places.is_sorted(), "{context}: {key} is out of order");
    }
    if !setting.gives_up() && setting.age_s < 0 {
        assert!(letters.is_empty(), "{context}: nothing may be given up: {letters:?}");
    }
    for letter in letters {
        let (tries, condition) = (
            letter["requestContext"]["approximateInvokeCount"].as_i64().unwrap(),
            &letter["requestContext"]["condition"],
        );
        if condition == "RetryAttemptsExhausted" {
            assert!(tries > setting.retries, "{context}: given up too early: {letter}");
        }
        if condition == "RetryAttemptsExhausted" && setting.bisect {
            assert_eq!(letter["KinesisBatchInfo"]["batchSize"], 1, "{context}: not isolated: {letter}");
        }
    }
    let before = taken.records.iter().any(|text| text == "before");
    if setting.start == "LATEST" {
        assert!(!before, "{context}: LATEST begins with what comes after");
    }
    let accepted: BTreeSet<&String> = taken.messages.iter().collect();
    for message in &acknowledged.messages {
        assert!(accepted.contains(message), "{context}: {message} never reached the function");
    }
    check_windows(&context, setting, acknowledged, taken, letters);
}

fn check_windows(context: &str, setting: &Setting, acknowledged: &Acknowledged, taken: &Taken, letters: &[Value]) {
    if setting.tumble_s == 0 {
        assert!(taken.windows.is_empty());
        return;
    }
    let mut of: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for (shard, start, texts) in &taken.windows {
        let distinct: BTreeSet<&String> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len(), "{context}: a record is in its window twice: {texts:?}");
        for text in texts {
            let place = of.entry(text).or_insert((shard, start));
            assert_eq!(*place, (shard.as_str(), start.as_str()), "{context}: {text} is in two windows");
        }
    }
    for put in &acknowledged.records {
        let told = is_told_of(letters, put);
        assert!(told || of.contains_key(put.text.as_str()), "{context}: {} is in no window", put.text);
        if let Some((shard, _)) = of.get(put.text.as_str()) {
            assert_eq!(*shard, put.shard, "{context}: windows are per shard");
        }
    }
}

async fn scenario(seed: u64, code: &Path) -> (u64, Vec<String>) {
    let (dice, setting) = (SeededEntropy::new(seed), Setting::of(seed));
    let disk = Arc::new(SimDisk::new(seed));
    let puppet = Arc::new(Puppet::new(seed, setting.report));
    let (mut acknowledged, clock): (_, Arc<dyn Clock>) = (Acknowledged::default(), Arc::new(SimClock::new()));
    let open = async |life: u64| {
        House::open_with_code(disk.clone(), seed ^ (life << 32), puppet.clone(), clock.clone(), Some(code))
            .await
            .unwrap()
    };
    for life in 0..LIVES {
        let house = open(life).await;
        if life == 0 {
            set_up(&house, &setting).await;
        }
        live(&house, &dice, &setting, &mut acknowledged).await;
        house.die().await;
        disk.crash();
        clock.sleep(BETWEEN).await;
    }
    puppet.calm.store(true, Relaxed);
    let house = open(LIVES).await;
    house.pass(Duration::from_secs(1800)).await;
    let letters = letters(&house).await;
    check(seed, &setting, &acknowledged, &puppet.taken.lock().unwrap(), &letters);
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let url = "http://localhost:4566/000000000000/work";
    let left = house.ask("sqs", "GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": names})).await.unwrap();
    assert!(names.iter().all(|name| left["Attributes"][name] == "0"), "seed {seed}: messages are left: {left}");
    house.die().await;
    let events = std::mem::take(&mut puppet.taken.lock().unwrap().events);
    (disk.trace(), events)
}

fn run(seed: u64) -> (u64, Vec<String>) {
    let code = tempfile::tempdir().unwrap();
    sim::play(scenario(seed, code.path()))
}

#[test]
fn nothing_is_lost_reordered_or_counted_twice_across_crashes() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in [2, 11] {
        let (first, second) = (run(seed), run(seed));
        assert_eq!(first.1, second.1, "seed {seed}");
    }
}
