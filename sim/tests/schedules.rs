//! Schedules over crashes around their ticks and over hours in which nothing runs: what was due while the house was up is
//! sent, what was due once is sent even so, and nothing is sent that was not due. A tick may be sent twice where a crash
//! came between its sending and its being noted, and not otherwise.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use names::Timestamp;
use serde_json::json;
use sim::{Flaky, House};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use world::disk::SimDisk;
use world::{Clock, Entropy, SeededEntropy, SimClock};

const SEEDS: u64 = 30;
const LIVES: u64 = 6;
const ONCE: i64 = 20;
const MINUTE: i64 = 60_000;
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// What was sent: by schedule and the minute it was due, the ids of its invocations.
type Sent = BTreeMap<(String, i64), BTreeSet<String>>;

async fn set_up(house: &House, random: &SeededEntropy, start: i64) -> BTreeSet<i64> {
    house.ask("sqs", "CreateQueue", json!({"QueueName": "q"})).await.unwrap();
    let make = async |name: &str, expression: &str| {
        let input = format!("{name} <aws.scheduler.scheduled-time> <aws.scheduler.execution-id>");
        let target = json!({"Arn": QUEUE, "RoleArn": ROLE, "Input": input});
        let schedule = json!({"Name": name, "ScheduleExpression": expression, "Target": target,
            "FlexibleTimeWindow": {"Mode": "OFF"}});
        house.ask("scheduler", "CreateSchedule", schedule).await.unwrap();
    };
    make("rate", "rate(1 minute)").await;
    make("cron", "cron(0/5 * * * ? *)").await;
    let mut once = BTreeSet::new();
    for n in 0..ONCE {
        let at = start + (1 + random.below(240) as i64) * MINUTE;
        let text = Timestamp::from_millis(at).iso_secs();
        make(&format!("once{n}"), &format!("at({})", text.trim_end_matches('Z'))).await;
        once.insert(at);
    }
    once
}

/// Lets minutes go by and ends near a tick, some steps before or after it.
async fn live(clock: &dyn Clock, random: &SeededEntropy) {
    let now = clock.now().millis();
    let minutes = 1 + random.below(25) as i64;
    let end = (now / MINUTE + minutes) * MINUTE;
    clock.sleep(Duration::from_millis((end - now) as u64)).await;
    for _ in 0..random.below(60) {
        tokio::task::yield_now().await;
    }
    if random.below(3) == 0 {
        clock.sleep(Duration::from_millis(random.below(50))).await;
    }
}

/// The time that a text of the first days of 2026 means.
fn millis(text: &str) -> i64 {
    assert!(text.starts_with("2026-01-") && text.ends_with(":00Z"), "{text}");
    let number = |place: usize| text[place..place + 2].parse::<i64>().unwrap();
    1_767_225_600_000 + (((number(8) - 1) * 24 + number(11)) * 60 + number(14)) * MINUTE
}

async fn drain(house: &House) -> Sent {
    let (url, mut sent) = ("http://localhost:4566/000000000000/q", Sent::new());
    loop {
        let ask = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
        let answer = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return sent;
        }
        for message in messages {
            let words: Vec<&str> = message["Body"].as_str().unwrap().split(' ').collect();
            let key = (words[0].to_owned(), millis(words[1]));
            sent.entry(key).or_default().insert(words[2].to_owned());
            let gone = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
            house.ask("sqs", "DeleteMessage", gone).await.unwrap();
        }
    }
}

async fn scenario(seed: u64) -> u64 {
    let random = SeededEntropy::new(seed);
    let (disk, flaky) = (Arc::new(SimDisk::new(seed)), Flaky::new(seed));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new());
    let (start, mut up, mut once) = (clock.now().millis(), Vec::new(), BTreeSet::new());
    for life in 0..LIVES {
        let begun = clock.now().millis();
        let house = House::open_at(disk.clone(), seed ^ (life << 32), flaky.clone(), clock.clone()).await.unwrap();
        if life == 0 {
            once = set_up(&house, &random, start).await;
        }
        live(&*clock, &random).await;
        up.push((begun, clock.now().millis()));
        house.die().await;
        disk.crash();
        if random.below(2) == 0 {
            clock.sleep(Duration::from_secs(random.below(3_600))).await;
        }
    }
    let begun = clock.now().millis();
    let house = House::open_at(disk.clone(), seed ^ (LIVES << 32), flaky, clock.clone()).await.unwrap();
    clock.sleep(Duration::from_secs(600)).await;
    let end = clock.now().millis();
    up.push((begun, end - MINUTE));
    check(seed, &drain(&house).await, &up, &once, (start, end));
    house.die().await;
    disk.trace()
}

fn check(seed: u64, sent: &Sent, up: &[(i64, i64)], once: &BTreeSet<i64>, (start, end): (i64, i64)) {
    let due = |name: &str| sent.keys().filter(|(of, _)| of == name).map(|(_, at)| *at).collect::<BTreeSet<i64>>();
    for (name, beat) in [("rate", 1), ("cron", 5)] {
        let seen = due(name);
        let first = seen.first().copied().unwrap();
        for at in up.iter().flat_map(|(from, to)| (from / MINUTE + 1..to / MINUTE).map(|minute| minute * MINUTE)) {
            let wanted = (at - start) % (beat * MINUTE) == 0 && at >= first;
            assert!(!wanted || seen.contains(&at), "seed {seed}: {name} was due at {at} and not sent: {seen:?} {up:?}");
        }
        assert!(
            seen.iter().all(|at| (at - start) % (beat * MINUTE) == 0 && *at <= end),
            "seed {seed}: {name} {seen:?}"
        );
    }
    let seen: BTreeSet<i64> = sent.keys().filter(|(of, _)| of.starts_with("once")).map(|(_, at)| *at).collect();
    let wanted: BTreeSet<i64> = once.iter().copied().filter(|at| *at <= end).collect();
    assert_eq!(seen, wanted, "seed {seed}: what is due once is sent");
    // Of each life its crash, where that came within a minute after the tick, or after the start that made up for it.
    let crashes = |at: i64| {
        let soon = |(begun, crash): &&(i64, i64)| *crash >= at && crash - at.max(*begun) < MINUTE;
        up.iter().take(LIVES as usize).filter(soon).count()
    };
    for ((name, at), ids) in sent {
        assert!(ids.len() <= 1 + crashes(*at), "seed {seed}: {name} at {at} was sent {} times: {up:?}", ids.len());
    }
}

fn run(seed: u64) -> u64 {
    sim::play(scenario(seed))
}

#[test]
fn no_tick_is_lost_through_crashes() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn a_seed_gives_the_same_bytes() {
    assert_eq!(run(7), run(7));
}
