//! Events for an API destination that is down, slow, busy and wrong at random, under crashes: each accepted event is sent or
//! is in the dead-letter queue with a reason, none is invented, the archive has them all, and a replay across crashes
//! sends them all again.

#![allow(clippy::unwrap_used)] // a scenario that cannot go on has failed

use bytes::Bytes;
use serde_json::{Value, json};
use sim::{Flaky, House, lets_in};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::disk::SimDisk;
use world::net::SendError;
use world::{Entropy, SeededEntropy};

const SEEDS: u64 = 40;
const LIVES: u64 = 4;
const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

/// What came to the endpoint and was taken there, over all lives: the event's id, and the replay's name where it has one.
type Taken = Arc<Mutex<BTreeSet<(String, Option<String>)>>>;

fn told(body: &[u8]) -> (String, Option<String>) {
    let event: Value = serde_json::from_slice(body).unwrap();
    (event["id"].as_str().unwrap().to_owned(), event["replay-name"].as_str().map(str::to_owned))
}

/// Half of all requests fail, in every way there is; some of them after they were taken.
fn answer(house: &House, seed: u64, taken: &Taken) {
    let (random, taken) = (SeededEntropy::new(seed ^ 0x0e5d), taken.clone());
    house.net.answer_with(move |request| {
        let status = match random.below(12) {
            0 => return Err(SendError::Connect("refused".to_owned())),
            1 => return Err(SendError::Timeout(Duration::from_secs(5))),
            2 => 429,
            3 => 500,
            4 => 503,
            5 => 404,
            6 => {
                taken.lock().unwrap().insert(told(request.body()));
                return Err(SendError::Other("the connection broke".to_owned()));
            }
            _ => {
                taken.lock().unwrap().insert(told(request.body()));
                200
            }
        };
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(response)
    });
}

async fn set_up(house: &House) {
    house
        .ask("sqs", "CreateQueue", json!({"QueueName": "q", "Attributes": {"Policy": lets_in("events.amazonaws.com")}}))
        .await
        .unwrap();
    let key = json!({"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "hush"}});
    let connection = json!({"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": key});
    let made = house.ask("events", "CreateConnection", connection).await.unwrap();
    let destination = json!({"Name": "d", "ConnectionArn": made["ConnectionArn"], "HttpMethod": "POST",
        "InvocationEndpoint": "https://api.example/in"});
    let made = house.ask("events", "CreateApiDestination", destination).await.unwrap();
    house.ask("events", "PutRule", json!({"Name": "r", "EventPattern": r#"{"source":["sim"]}"#})).await.unwrap();
    let target = json!({"Id": "1", "Arn": made["ApiDestinationArn"], "DeadLetterConfig": {"Arn": QUEUE},
        "RetryPolicy": {"MaximumRetryAttempts": 3}});
    let answer = house.ask("events", "PutTargets", json!({"Rule": "r", "Targets": [target]})).await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    let archive = json!({"ArchiveName": "a", "EventSourceArn": BUS, "EventPattern": r#"{"source":["sim"]}"#});
    house.ask("events", "CreateArchive", archive).await.unwrap();
}

async fn live(house: &House, random: &SeededEntropy, accepted: &mut BTreeSet<String>) {
    for step in 0..random.below(20) {
        // Times of their own, up to an hour back.
        let time = house.world.now().secs() - random.below(3600) as i64;
        let entry = json!({"Source": "sim", "DetailType": "t", "Detail": format!("{{\"n\":{step}}}"), "Time": time});
        let answer = house.ask("events", "PutEvents", json!({"Entries": [entry]})).await.unwrap();
        accepted.insert(answer["Entries"][0]["EventId"].as_str().unwrap().to_owned());
        if random.below(4) == 0 {
            house.world.clock.sleep(Duration::from_millis(random.below(3000))).await;
        }
    }
}

/// What is in the dead-letter queue, each with its reason.
async fn letters(house: &House) -> BTreeSet<(String, Option<String>)> {
    let mut all = BTreeSet::new();
    loop {
        let ask = json!({"QueueUrl": "http://localhost:4566/000000000000/q", "MaxNumberOfMessages": 10,
            "VisibilityTimeout": 36_000, "MessageAttributeNames": ["All"]});
        let answer = house.ask("sqs", "ReceiveMessage", ask).await.unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return all;
        }
        for message in messages {
            let said = &message["MessageAttributes"];
            let code = said["ERROR_CODE"]["StringValue"].as_str().unwrap();
            let known = ["CONNECTION_FAILURE", "TIMEOUT", "THROTTLING", "ERROR_FROM_TARGET", "SDK_CLIENT_ERROR"];
            assert!(known.contains(&code), "{message}");
            assert_eq!(said["RULE_ARN"]["StringValue"], "arn:aws:events:us-east-1:000000000000:rule/r");
            all.insert(told(message["Body"].as_str().unwrap().as_bytes()));
        }
    }
}

async fn open(disk: &Arc<SimDisk>, seed: u64, life: u64, taken: &Taken) -> House {
    let house = House::open(disk.clone(), seed ^ (life << 32), Flaky::new(seed)).await.unwrap();
    answer(&house, seed ^ (life << 32), taken);
    house
}

async fn scenario(seed: u64) -> u64 {
    let random = SeededEntropy::new(seed);
    let (disk, taken) = (Arc::new(SimDisk::new(seed)), Taken::default());
    let mut accepted = BTreeSet::new();
    for life in 0..LIVES {
        let house = open(&disk, seed, life, &taken).await;
        if life == 0 {
            set_up(&house).await;
        }
        live(&house, &random, &mut accepted).await;
        house.die().await;
        disk.crash();
    }
    let house = open(&disk, seed, LIVES, &taken).await;
    house.world.clock.sleep(Duration::from_secs(3600)).await;
    let now = house.world.now().secs();
    let replay = json!({"ReplayName": "again", "EventSourceArn": "arn:aws:events:us-east-1:000000000000:archive/a",
        "EventStartTime": now - 86_400, "EventEndTime": now, "Destination": {"Arn": BUS}});
    house.ask("events", "StartReplay", replay).await.unwrap();
    house.world.clock.sleep(Duration::from_millis(random.below(20))).await;
    house.die().await;
    disk.crash();
    let house = open(&disk, seed, LIVES + 1, &taken).await;
    house.world.clock.sleep(Duration::from_secs(3 * 3600)).await;
    let shown = house.ask("events", "DescribeReplay", json!({"ReplayName": "again"})).await.unwrap();
    assert_eq!(shown["State"], "COMPLETED", "seed {seed}: {shown}");
    let mut settled = letters(&house).await;
    settled.extend(taken.lock().unwrap().iter().cloned());
    for replay in [None, Some("again".to_owned())] {
        let have: BTreeSet<String> =
            settled.iter().filter(|(_, name)| *name == replay).map(|(id, _)| id.clone()).collect();
        assert_eq!(have, accepted, "seed {seed}: {replay:?}");
    }
    house.die().await;
    disk.trace()
}

fn run(seed: u64) -> u64 {
    sim::play(scenario(seed))
}

#[test]
fn each_event_is_sent_or_a_dead_letter_and_comes_again_in_a_replay() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in [5, 21] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
