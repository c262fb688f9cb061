//! What a FIFO topic acknowledged is in its queues, group by group in order, once, whatever crashes; and a standard
//! topic's messages are all there.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::json;
use sim::{Flaky, House, lets_in};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use world::disk::SimDisk;
use world::{Entropy, SeededEntropy};

/// Each seed is a run of several lives.
const SEEDS: u64 = 80;
const LIVES: u64 = 5;
const FIFO: &str = "arn:aws:sns:us-east-1:000000000000:t.fifo";
const PLAIN: &str = "arn:aws:sns:us-east-1:000000000000:t";

async fn set_up(house: &House, by_group: bool) {
    let scope = if by_group { "MessageGroup" } else { "Topic" };
    let attributes = json!({ "FifoTopic": "true", "FifoThroughputScope": scope });
    house.ask("sns", "CreateTopic", json!({ "Name": "t.fifo", "Attributes": attributes })).await.unwrap();
    house.ask("sns", "CreateTopic", json!({ "Name": "t" })).await.unwrap();
    let raw = json!({ "RawMessageDelivery": "true" });
    for (topic, queue) in [(FIFO, "a.fifo"), (FIFO, "b.fifo"), (PLAIN, "c")] {
        let policy = lets_in("sns.amazonaws.com");
        let standard = json!({ "Policy": policy });
        let attributes = if queue == "c" { standard } else { json!({ "FifoQueue": "true", "Policy": policy }) };
        house.ask("sqs", "CreateQueue", json!({ "QueueName": queue, "Attributes": attributes })).await.unwrap();
        let endpoint = format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
        let subscribe = json!({ "TopicArn": topic, "Protocol": "sqs", "Endpoint": endpoint, "Attributes": raw });
        house.ask("sns", "Subscribe", subscribe).await.unwrap();
    }
}

/// What was acknowledged, in order, by group; and of the standard topic.
#[derive(Default)]
struct Acknowledged {
    next: u64,
    groups: BTreeMap<String, Vec<String>>,
    plain: BTreeSet<String>,
}

/// One life: batches, and messages that are published again as by somebody who saw no answer. Ends at any moment.
async fn live(house: &House, random: &SeededEntropy, acknowledged: &mut Acknowledged) {
    for _ in 0..random.below(12) {
        let count = 1 + random.below(10);
        let mut entries = Vec::new();
        for n in 0..count {
            let (number, group) = (acknowledged.next, format!("g{}", random.below(3)));
            acknowledged.next += 1;
            entries.push(json!({
                "Id": n.to_string(), "Message": number.to_string(), "MessageGroupId": group,
                "MessageDeduplicationId": number.to_string(),
            }));
        }
        let batch = json!({ "TopicArn": FIFO, "PublishBatchRequestEntries": entries });
        let answer = house.ask("sns", "PublishBatch", batch.clone()).await.unwrap();
        for entry in &entries {
            let (group, text) = (entry["MessageGroupId"].as_str().unwrap(), entry["Message"].as_str().unwrap());
            acknowledged.groups.entry(group.to_owned()).or_default().push(text.to_owned());
        }
        if random.below(3) == 0 {
            let again = house.ask("sns", "PublishBatch", batch).await.unwrap();
            assert_eq!(again, answer, "what was published is known");
        }
        if random.below(3) == 0 {
            let text = acknowledged.next.to_string();
            house.ask("sns", "Publish", json!({ "TopicArn": PLAIN, "Message": text })).await.unwrap();
            acknowledged.plain.insert(text);
        }
        if random.below(3) == 0 {
            house.world.clock.sleep(Duration::from_millis(random.below(2000))).await;
        }
    }
}

/// All messages of a queue, as `(group, body)`, in the order they come.
async fn drain(house: &House, queue: &str) -> Vec<(String, String)> {
    let url = format!("http://localhost:4566/000000000000/{queue}");
    let mut out = Vec::new();
    loop {
        let ask = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"] });
        let answer = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return out;
        }
        for message in messages {
            let group = message["Attributes"]["MessageGroupId"].as_str().unwrap_or_default().to_owned();
            out.push((group, message["Body"].as_str().unwrap().to_owned()));
            let gone = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
            house.ask("sqs", "DeleteMessage", gone).await.unwrap();
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
            set_up(&house, seed.is_multiple_of(2)).await;
        }
        live(&house, &random, &mut acknowledged).await;
        house.die().await;
        disk.crash();
    }
    let house = House::open(disk.clone(), seed ^ (LIVES << 32), flaky).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(120)).await;
    for queue in ["a.fifo", "b.fifo"] {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (group, body) in drain(&house, queue).await {
            groups.entry(group).or_default().push(body);
        }
        assert_eq!(groups, acknowledged.groups, "seed {seed}, queue {queue}: in order, each once");
    }
    assert!(!acknowledged.groups.is_empty(), "seed {seed}: there was something to keep");
    let plain: BTreeSet<String> = drain(&house, "c").await.into_iter().map(|(_, body)| body).collect();
    assert_eq!(plain, acknowledged.plain, "seed {seed}");
    house.die().await;
    disk.trace()
}

fn run(seed: u64) -> u64 {
    sim::play(scenario(seed))
}

#[test]
fn groups_keep_their_order_through_crashes() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn a_seed_gives_the_same_bytes() {
    assert_eq!(run(7), run(7));
}
