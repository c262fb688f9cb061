//! Queues across crashes at any moment, in the middle of calls too: what was acknowledged as sent is there until it is
//! deleted, what was acknowledged as deleted never comes back, nothing is invented, and a FIFO queue hands out each
//! message of a group once and in its order.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use serde_json::{Value, json};
use sim::{Flaky, House};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use world::disk::SimDisk;
use world::{Entropy, SeededEntropy};

const SEEDS: u64 = 80;
const LIVES: u64 = 5;
const GROUPS: u64 = 3;
const STANDARD: &str = "http://localhost:4566/000000000000/q";
const FIFO: &str = "http://localhost:4566/000000000000/q.fifo";
const DEAD: &str = "http://localhost:4566/000000000000/dead";

/// What the outside knows of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// Somebody tried to send it and heard nothing.
    Perhaps,
    Sent,
    /// Somebody tried to delete it and heard nothing.
    PerhapsDeleted,
    Deleted,
}

#[derive(Default)]
struct Outside {
    messages: BTreeMap<String, Known>,
    /// The ids under which a FIFO message was seen.
    ids: BTreeMap<String, BTreeSet<String>>,
    /// The last message of each group, and whether its sender heard.
    last: [(u64, bool); GROUPS as usize],
    sent: u64,
}

/// Polls a call so many times and gives it up: the process dies in the middle of it.
async fn cut_short<T>(call: impl Future<Output = T>, polls: u64) -> Option<T> {
    let mut call = pin!(call);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

async fn set_up(house: &House) {
    let policy = json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2});
    let create = async |name: &str, attributes: Value| {
        house.ask("sqs", "CreateQueue", json!({"QueueName": name, "Attributes": attributes})).await.unwrap();
    };
    create("dead", json!({})).await;
    create("q", json!({"VisibilityTimeout": "5", "RedrivePolicy": policy.to_string()})).await;
    create("q.fifo", json!({"FifoQueue": "true", "VisibilityTimeout": "5"})).await;
}

struct Life<'a> {
    house: &'a House,
    random: &'a SeededEntropy,
    outside: &'a mut Outside,
}

impl Life<'_> {
    /// Asks, or dies while asking.
    async fn ask(&self, operation: &str, input: Value, last: bool) -> Option<Value> {
        let call = self.house.ask("sqs", operation, input);
        match last {
            false => Some(call.await.unwrap()),
            true => cut_short(call, self.random.below(6)).await.map(Result::unwrap),
        }
    }

    async fn send(&mut self, last: bool) {
        let count = 1 + self.random.below(4);
        let bodies: Vec<String> = (0..count).map(|i| format!("m{}", self.outside.sent + i)).collect();
        self.outside.sent += count;
        let entry = |(i, body): (usize, &String)| json!({"Id": i.to_string(), "MessageBody": body});
        let entries: Vec<Value> = bodies.iter().enumerate().map(entry).collect();
        let answer = self.ask("SendMessageBatch", json!({"QueueUrl": STANDARD, "Entries": entries}), last).await;
        let known = if answer.is_some() { Known::Sent } else { Known::Perhaps };
        self.outside.messages.extend(bodies.into_iter().map(|body| (body, known)));
    }

    /// The next message of a group, or the last one again where nothing was heard of it.
    async fn send_in_group(&mut self, last: bool) {
        let group = self.random.below(GROUPS);
        let (number, heard) = self.outside.last[group as usize];
        let number = if heard || number == 0 { number + 1 } else { number };
        let body = format!("{group}-{number}");
        let input = json!({
            "QueueUrl": FIFO, "MessageBody": body, "MessageGroupId": group.to_string(), "MessageDeduplicationId": body,
        });
        let answer = self.ask("SendMessage", input, last).await;
        self.outside.last[group as usize] = (number, answer.is_some());
        let known = if answer.is_some() { Known::Sent } else { Known::Perhaps };
        let before = self.outside.messages.entry(body).or_insert(known);
        *before = (*before).max(known);
    }

    async fn receive(&mut self, url: &str, last: bool) {
        let max = 1 + self.random.below(5);
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": max});
        let Some(answer) = self.ask("ReceiveMessage", input, last).await else { return };
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        self.outside.see(&messages);
        let done: Vec<&Value> = messages.iter().take(self.random.below(max + 1) as usize).collect();
        if done.is_empty() || last {
            return;
        }
        let entry = |(i, m): (usize, &&Value)| json!({"Id": i.to_string(), "ReceiptHandle": m["ReceiptHandle"]});
        let entries: Vec<Value> = done.iter().enumerate().map(entry).collect();
        let dies = self.random.below(8) == 0;
        let answer = self.ask("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": entries}), dies).await;
        let known = if answer.is_some() { Known::Deleted } else { Known::PerhapsDeleted };
        for message in done {
            let body = message["Body"].as_str().unwrap();
            let before = self.outside.messages.get_mut(body).unwrap();
            *before = (*before).max(known);
        }
    }

    async fn run(&mut self) {
        for _ in 0..self.random.below(40) {
            match self.random.below(9) {
                0..=1 => self.send(false).await,
                2..=4 => self.send_in_group(false).await,
                5 => self.receive(STANDARD, false).await,
                6..=7 => self.receive(FIFO, false).await,
                _ => self.house.world.clock.sleep(Duration::from_millis(self.random.below(4000))).await,
            }
        }
        match self.random.below(4) {
            0 => self.send(true).await,
            1 => self.send_in_group(true).await,
            2 => self.receive(STANDARD, true).await,
            _ => self.receive(FIFO, true).await,
        }
    }
}

impl Outside {
    /// Checks what a receive gave.
    fn see(&mut self, messages: &[Value]) {
        let mut together = BTreeSet::new();
        for message in messages {
            let body = message["Body"].as_str().unwrap().to_owned();
            let known = *self.messages.get(&body).unwrap_or_else(|| panic!("{body} was invented"));
            assert_ne!(known, Known::Deleted, "{body} came back");
            if let Some((group, number)) = body.split_once('-') {
                self.ids.entry(body.clone()).or_default().insert(message["MessageId"].as_str().unwrap().to_owned());
                assert_eq!(self.ids[&body].len(), 1, "{body} was taken twice");
                for earlier in 1..number.parse::<u64>().unwrap() {
                    let earlier = format!("{group}-{earlier}");
                    let gone = self.messages[&earlier] >= Known::PerhapsDeleted;
                    assert!(gone || together.contains(&earlier), "{body} came before {earlier}");
                }
            }
            together.insert(body);
        }
    }
}

async fn drain(house: &House, url: &str, outside: &mut Outside) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    loop {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3600});
        let answer = house.ask("sqs", "ReceiveMessage", input).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return all;
        }
        outside.see(&messages);
        for message in messages {
            let body = message["Body"].as_str().unwrap().to_owned();
            let input = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
            house.ask("sqs", "DeleteMessage", input).await.unwrap();
            outside.messages.insert(body.clone(), Known::Deleted);
            all.insert(body);
        }
    }
}

async fn scenario(seed: u64) -> u64 {
    let random = SeededEntropy::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let mut outside = Outside::default();
    for life in 0..LIVES {
        let house = House::open(disk.clone(), seed ^ (life << 32), Flaky::new(seed)).await.unwrap();
        if life == 0 {
            set_up(&house).await;
        }
        Life { house: &house, random: &random, outside: &mut outside }.run().await;
        house.die().await;
        disk.crash();
    }
    let house = House::open(disk.clone(), seed ^ (LIVES << 32), Flaky::new(seed)).await.unwrap();
    house.world.clock.sleep(Duration::from_secs(600)).await;
    let before = outside.messages.clone();
    let mut there = BTreeSet::new();
    for url in [STANDARD, FIFO, DEAD] {
        let found = drain(&house, url, &mut outside).await;
        let twice: Vec<&String> = there.intersection(&found).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?} are in two queues");
        there.extend(found);
    }
    let expected = before.iter().filter(|(_, known)| **known == Known::Sent).map(|(body, _)| body);
    let lost: Vec<&String> = expected.filter(|body| !there.contains(*body)).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    house.die().await;
    disk.trace()
}

fn run(seed: u64) -> u64 {
    sim::play(scenario(seed))
}

#[test]
fn queues_keep_their_word_across_crashes() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [5, 23] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
