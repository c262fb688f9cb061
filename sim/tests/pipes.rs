//! Pipes under a seed: whatever an enrichment and a target do, and whenever the house crashes, also between a target's
//! acceptance and the checkpoint, every record reaches its target or is told of, in the order of its key, and none is invented;
//! every message is accepted and gone.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use delivery::{Envelope, Target, Verdict};
use serde_json::{Value, json};
use sim::House;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::disk::SimDisk;
use world::{BoxFuture, Clock, Entropy, SeededEntropy, SimClock};

const SEEDS: u64 = 40;
const LIVES: u64 = 4;
/// Nothing runs for so long between two lives.
const BETWEEN: Duration = Duration::from_secs(3600);

/// Two functions. `enrich` marks each event; `take` is a target. Both fail, hang and panic until they are told to be calm.
struct Puppet {
    dice: SeededEntropy,
    calm: AtomicBool,
    taken: Mutex<Vec<String>>,
}

impl Puppet {
    fn enrich(events: &[Value]) -> Verdict {
        // What says "bad" cannot be enriched.
        if events.iter().any(|event| event["text"].as_str().unwrap().starts_with("bad")) {
            return Verdict::Again { code: "FunctionError".to_owned(), why: "bad".to_owned(), after: None };
        }
        let marked =
            events.iter().map(|event| json!({"text": event["text"], "key": event["key"], "eventID": event["id"]}));
        Verdict::Accepted(json!(marked.collect::<Vec<_>>()).to_string().into())
    }

    /// Takes some of the events, and says which it did not.
    fn take(&self, events: &[Value]) -> Verdict {
        let mut failed = Vec::new();
        for event in events {
            if !self.calm.load(Relaxed) && self.dice.below(4) == 0 {
                failed.push(json!({"itemIdentifier": event["messageId"]}));
            } else {
                self.taken.lock().unwrap().push(event["body"].as_str().unwrap().to_owned());
            }
        }
        Verdict::Accepted(json!({"batchItemFailures": failed}).to_string().into())
    }
}

impl Target for Puppet {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            if !self.calm.load(Relaxed) {
                match self.dice.below(8) {
                    0 => return Verdict::Again { code: "Throttled".to_owned(), why: "busy".to_owned(), after: None },
                    1 => std::future::pending().await,
                    2 => panic!("a target that panics costs one attempt"),
                    _ => {}
                }
            }
            let events: Vec<Value> = serde_json::from_slice(&envelope.body).unwrap();
            match envelope.to.resource() {
                "function:enrich" => Puppet::enrich(&events),
                _ => self.take(&events),
            }
        })
    }
    fn time_limit(&self, _: &names::Arn) -> Duration {
        Duration::from_secs(5)
    }
}

/// How the pipe of a seed is set.
#[derive(Debug)]
struct Setting {
    lanes: u64,
    bisect: bool,
    retries: i64,
    batch: u64,
    window_s: u64,
    enriched: bool,
}

impl Setting {
    fn of(seed: u64) -> Setting {
        let dice = SeededEntropy::new(seed ^ 0x717e);
        Setting {
            lanes: 1 + dice.below(4),
            bisect: dice.below(2) == 0,
            retries: [-1, 0, 2][dice.below(3) as usize],
            batch: 1 + dice.below(8),
            window_s: dice.below(3),
            enriched: dice.below(3) > 0,
        }
    }

    /// Whether there may be records that fail for good.
    fn may_fail(&self) -> bool {
        self.retries >= 0 && self.enriched
    }

    fn pipe(&self) -> Value {
        let arn = |rest: &str| format!("arn:aws:{rest}");
        let mut stream = json!({
            "StartingPosition": "TRIM_HORIZON", "BatchSize": self.batch, "ParallelizationFactor": self.lanes,
            "MaximumBatchingWindowInSeconds": self.window_s, "MaximumRetryAttempts": self.retries,
            "DeadLetterConfig": {"Arn": arn("sqs:us-east-1:000000000000:dead")},
        });
        if self.bisect {
            stream["OnPartialBatchItemFailure"] = "AUTOMATIC_BISECT".into();
        }
        let mut pipe = json!({
            "Name": "records", "RoleArn": arn("iam::000000000000:role/r"),
            "Source": arn("kinesis:us-east-1:000000000000:stream/s"), "Target": arn("sqs:us-east-1:000000000000:to"),
            "SourceParameters": {"KinesisStreamParameters": stream},
        });
        let own = r#"{"text": <$.data.text>, "key": <$.partitionKey>, "id": <$.eventID>}"#;
        if self.enriched {
            pipe["Enrichment"] = arn("lambda:us-east-1:000000000000:function:enrich").into();
            pipe["EnrichmentParameters"] = json!({"InputTemplate": own});
            pipe["TargetParameters"] = json!({"InputTemplate": r#"{"text": <$.text>, "key": <$.key>}"#});
        } else {
            pipe["TargetParameters"] = json!({"InputTemplate": own});
        }
        pipe
    }
}

#[derive(Default)]
struct Acknowledged {
    /// Key, text, shard and sequence number of each record.
    records: Vec<[String; 4]>,
    messages: Vec<String>,
    splits: u64,
}

async fn set_up(house: &House, setting: &Setting) {
    house.ask("kinesis", "CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await.unwrap();
    for queue in ["dead", "work", "to"] {
        house.ask("sqs", "CreateQueue", json!({"QueueName": queue})).await.unwrap();
    }
    house.pass(Duration::from_secs(2)).await;
    house.ask("pipes", "CreatePipe", setting.pipe()).await.unwrap();
    let messages = json!({
        "Name": "messages", "RoleArn": "arn:aws:iam::000000000000:role/r",
        "Source": "arn:aws:sqs:us-east-1:000000000000:work", "Target": "arn:aws:lambda:us-east-1:000000000000:function:take",
    });
    house.ask("pipes", "CreatePipe", messages).await.unwrap();
}

/// One life: records, messages, now and then a split. Ends at any moment.
async fn live(house: &House, dice: &SeededEntropy, setting: &Setting, seen: &mut Acknowledged) {
    for _ in 0..dice.below(25) {
        match dice.below(12) {
            0 if seen.splits < 1 => {
                let split = json!({
                    "StreamName": "s", "ShardToSplit": "shardId-000000000000",
                    "NewStartingHashKey": "170141183460469231731687303715884105728",
                });
                seen.splits += u64::from(house.ask("kinesis", "SplitShard", split).await.is_ok());
            }
            1..4 => {
                let body = format!("message {}", seen.messages.len());
                let url = "http://localhost:4566/000000000000/work";
                house.ask("sqs", "SendMessage", json!({"QueueUrl": url, "MessageBody": body})).await.unwrap();
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
    let texts: Vec<(String, String)> = (0..=dice.below(5) as usize)
        .map(|i| {
            let kind = if setting.may_fail() && dice.below(15) == 0 { "bad" } else { "good" };
            (format!("key {}", dice.below(6)), format!("{kind} {}", seen.records.len() + i))
        })
        .collect();
    let encode = |text: &str| {
        let mut out = bytes::BytesMut::new();
        wire::codec::fast::base64_encode_into(json!({"text": text}).to_string().as_bytes(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let records: Vec<Value> =
        texts.iter().map(|(key, text)| json!({"Data": encode(text), "PartitionKey": key})).collect();
    let put = house.ask("kinesis", "PutRecords", json!({"StreamName": "s", "Records": records}));
    let Ok(answer) = put.await else { return };
    for ((key, text), put) in texts.into_iter().zip(answer["Records"].as_array().unwrap()) {
        if let (Some(shard), Some(sequence)) = (put["ShardId"].as_str(), put["SequenceNumber"].as_str()) {
            seen.records.push([key, text, shard.to_owned(), sequence.to_owned()]);
        }
    }
}

/// All that a queue holds, in the order it came.
async fn held(house: &House, queue: &str) -> Vec<Value> {
    let url = format!("http://localhost:4566/000000000000/{queue}");
    let mut out: Vec<Value> = Vec::new();
    loop {
        let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 43200});
        let got = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let Some(messages) = got["Messages"].as_array().filter(|m| !m.is_empty()) else { return out };
        out.extend(messages.iter().map(|m| serde_json::from_str::<Value>(m["Body"].as_str().unwrap()).unwrap()));
    }
}

fn is_told_of(letters: &[Value], [_, _, shard, sequence]: &[String; 4]) -> bool {
    letters.iter().any(|letter| {
        let info = &letter["KinesisBatchInfo"];
        let edge = |name: &str| info[name].as_str().unwrap().to_owned();
        let (first, last) = (edge("startSequenceNumber"), edge("endSequenceNumber"));
        let within = |n: &str| (first.len(), first.as_str()) <= (n.len(), n) && (n.len(), n) <= (last.len(), &last);
        info["shardId"] == shard.as_str() && within(sequence)
    })
}

/// How many records came more than once.
fn check(seed: u64, setting: &Setting, seen: &Acknowledged, came: &[Value], letters: &[Value]) -> usize {
    let context = format!("seed {seed}, {setting:?}");
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, event) in came.iter().enumerate() {
        let text = event["text"].as_str().unwrap();
        let put = seen.records.iter().find(|[_, known, ..]| known == text);
        let put = put.unwrap_or_else(|| panic!("{context}: {event} was never put"));
        assert_eq!(event["key"], put[0].as_str(), "{context}: {event}");
        assert!(!text.starts_with("bad"), "{context}: what cannot be enriched has reached the target");
        first.entry(text).or_insert(i);
    }
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for put in &seen.records {
        match (is_told_of(letters, put), first.get(put[1].as_str())) {
            (true, _) => {}
            (false, Some(place)) => by_key.entry(&put[0]).or_default().push(*place),
            (false, None) => panic!("{context}: {} was lost without a word", put[1]),
        }
    }
    for (key, places) in by_key {
        assert!(places.is_sorted(), "{context}: {key} is out of order");
    }
    if !setting.may_fail() {
        assert!(letters.is_empty(), "{context}: nothing may be given up: {letters:?}");
    }
    came.len() - first.len()
}

async fn scenario(seed: u64) -> (u64, usize) {
    let (dice, setting) = (SeededEntropy::new(seed), Setting::of(seed));
    let disk = Arc::new(SimDisk::new(seed));
    let (calm, taken) = (AtomicBool::new(false), Mutex::default());
    let puppet = Arc::new(Puppet { dice: SeededEntropy::new(seed ^ 0xbeef), calm, taken });
    let (mut seen, clock): (_, Arc<dyn Clock>) = (Acknowledged::default(), Arc::new(SimClock::new()));
    for life in 0..LIVES {
        let house = House::open_at(disk.clone(), seed ^ (life << 32), puppet.clone(), clock.clone()).await.unwrap();
        if life == 0 {
            set_up(&house, &setting).await;
        }
        live(&house, &dice, &setting, &mut seen).await;
        house.die().await;
        disk.crash();
        clock.sleep(BETWEEN).await;
    }
    puppet.calm.store(true, Relaxed);
    let house = House::open_at(disk.clone(), seed ^ (LIVES << 32), puppet.clone(), clock).await.unwrap();
    house.pass(Duration::from_secs(1800)).await;
    let (came, letters) = (held(&house, "to").await, held(&house, "dead").await);
    let again = check(seed, &setting, &seen, &came, &letters);
    let accepted: BTreeSet<String> = puppet.taken.lock().unwrap().iter().cloned().collect();
    assert_eq!(accepted, seen.messages.iter().cloned().collect(), "seed {seed}: messages and what the function took");
    assert!(is_empty(&house, "work").await, "seed {seed}: messages are left");
    house.die().await;
    (disk.trace(), again)
}

/// Whether a queue is empty.
async fn is_empty(house: &House, queue: &str) -> bool {
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let ask = json!({"QueueUrl": format!("http://localhost:4566/000000000000/{queue}"), "AttributeNames": names});
    let left = house.ask("sqs", "GetQueueAttributes", ask).await.unwrap();
    names.iter().all(|name| left["Attributes"][name] == "0")
}

fn run(seed: u64) -> (u64, usize) {
    sim::play(scenario(seed))
}

#[test]
fn nothing_is_lost_reordered_or_invented_across_crashes() {
    let again: usize = (0..SEEDS).map(|seed| run(seed).1).sum();
    // Otherwise no crash came between a target's acceptance and the checkpoint, and nothing was tried here.
    assert!(again > 0, "some records came twice");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [2, 11] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
