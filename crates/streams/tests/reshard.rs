//! SplitShard, MergeShards, UpdateShardCount and what they do to records, readers and lists.

#![allow(clippy::unwrap_used)]

mod support;

use md5::{Digest, Md5};
use names::{Arn, Home};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use streams::Limits;
use support::{House, from_base64, house, house_under};

const ACCOUNT: &str = "000000000000";
const MIDDLE: &str = "170141183460469231731687303715884105728";

fn id(number: u32) -> String {
    format!("shardId-{number:012}")
}

async fn status(house: &House) -> String {
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    summary["StreamDescriptionSummary"]["StreamStatus"].as_str().unwrap().to_owned()
}

async fn shards(house: &House) -> Vec<Value> {
    house.ask("ListShards", json!({"StreamName": "s"})).await.unwrap()["Shards"].as_array().unwrap().clone()
}

async fn split(house: &House, shard: u32, at: &str) {
    let input = json!({"StreamName": "s", "ShardToSplit": id(shard), "NewStartingHashKey": at});
    house.ask("SplitShard", input).await.unwrap();
}

async fn count(house: &House, target: u32) -> Value {
    let input = json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
    house.ask("UpdateShardCount", input).await.unwrap()
}

async fn settled(house: &House) {
    house.wait(Duration::from_millis(100)).await;
    assert_eq!(status(house).await, "ACTIVE");
}

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    shard: String,
    sequence: String,
    key: String,
    data: String,
}

/// All there is in one shard, to its end or its tip; and its children where it has ended.
async fn drain(house: &House, shard: &Value) -> (Vec<Seen>, Option<Value>) {
    let id = shard["ShardId"].as_str().unwrap();
    let ask = json!({"StreamName": "s", "ShardId": id, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = house.ask("GetShardIterator", ask).await.unwrap()["ShardIterator"].clone();
    let mut seen = Vec::new();
    loop {
        let answer = house.ask("GetRecords", json!({"ShardIterator": iterator, "Limit": 7})).await.unwrap();
        let records = answer["Records"].as_array().unwrap();
        seen.extend(records.iter().map(|record| Seen {
            shard: id.to_owned(),
            sequence: record["SequenceNumber"].as_str().unwrap().to_owned(),
            key: record["PartitionKey"].as_str().unwrap().to_owned(),
            data: String::from_utf8(from_base64(&record["Data"])).unwrap(),
        }));
        iterator = answer["NextShardIterator"].clone();
        if iterator.is_null() {
            return (seen, Some(answer["ChildShards"].clone()));
        }
        assert!(answer.get("ChildShards").is_none());
        if records.is_empty() {
            return (seen, None);
        }
    }
}

/// All records of the stream. Checks that each is where its key belongs, that numbers grow per shard and per key along the
/// lineage, and that a shard has ended if and only if it says so.
async fn read_all(house: &House) -> Vec<Seen> {
    let mut all = Vec::new();
    for shard in shards(house).await {
        let (seen, children) = drain(house, &shard).await;
        let bound = |name: &str| shard["HashKeyRange"][name].as_str().unwrap().parse::<u128>().unwrap();
        let range = bound("StartingHashKey")..=bound("EndingHashKey");
        let numbers = &shard["SequenceNumberRange"];
        assert_eq!(numbers.get("EndingSequenceNumber").is_some(), children.is_some());
        for record in &seen {
            let hash = u128::from_be_bytes(Md5::digest(record.key.as_bytes()).into());
            assert!(range.contains(&hash), "{record:?} belongs elsewhere");
            assert!(record.sequence.as_str() > numbers["StartingSequenceNumber"].as_str().unwrap());
            assert!(numbers["EndingSequenceNumber"].as_str().is_none_or(|end| record.sequence.as_str() < end));
        }
        assert!(seen.is_sorted_by(|a, b| a.sequence < b.sequence));
        all.extend(seen);
    }
    all
}

/// By key, in the order of sequence numbers: what was put in.
fn by_key(records: &[Seen]) -> BTreeMap<String, Vec<String>> {
    let mut sorted: Vec<_> = records.iter().collect();
    sorted.sort_by(|a, b| a.sequence.cmp(&b.sequence));
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for record in sorted {
        keys.entry(record.key.clone()).or_default().push(record.data.clone());
    }
    keys
}

#[tokio::test(start_paused = true)]
async fn a_split_shard_ends_and_its_children_go_on() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    house.put("s", "a", b"1").await.unwrap();
    split(&house, 0, MIDDLE).await;
    assert_eq!(status(&house).await, "UPDATING");
    let busy = json!({"StreamName": "s", "ShardToSplit": id(0), "NewStartingHashKey": MIDDLE});
    let in_use = format!("Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING");
    assert_eq!(house.refused("SplitShard", busy.clone()).await, ("ResourceInUseException", in_use.clone()));
    assert_eq!(house.refused("DeleteStream", json!({"StreamName": "s"})).await, ("ResourceInUseException", in_use));
    let put = house.put("s", "a", b"2").await.unwrap();
    assert_eq!(put["ShardId"], id(0), "writing goes on meanwhile");
    settled(&house).await;

    let put = house.put("s", "a", b"3").await.unwrap();
    assert_eq!(put["ShardId"], id(1), "the MD5 of a is in the lower half");
    let shards = shards(&house).await;
    assert_eq!(shards.len(), 3);
    let end = shards[0]["SequenceNumberRange"]["EndingSequenceNumber"].as_str().unwrap();
    for (child, start, last) in
        [(1, "0", "170141183460469231731687303715884105727"), (2, MIDDLE, "340282366920938463463374607431768211455")]
    {
        assert_eq!(shards[child]["ParentShardId"], id(0));
        assert!(shards[child].get("AdjacentParentShardId").is_none());
        assert_eq!(shards[child]["HashKeyRange"], json!({"StartingHashKey": start, "EndingHashKey": last}));
        assert!(shards[child]["SequenceNumberRange"]["StartingSequenceNumber"].as_str().unwrap() > end);
    }
    let (seen, children) = drain(&house, &shards[0]).await;
    assert_eq!(seen.iter().map(|record| record.data.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let children = children.unwrap();
    assert_eq!(children[1]["ShardId"], id(2));
    assert_eq!(children[1]["ParentShards"], json!([id(0)]));
    assert_eq!(children[1]["HashKeyRange"]["StartingHashKey"], MIDDLE);
    assert_eq!(by_key(&read_all(&house).await)["a"], ["1", "2", "3"]);
    let latest = house.iterator("s", 0, "LATEST", json!({})).await;
    let at_end = house.get(&latest).await.unwrap();
    assert!(at_end.get("NextShardIterator").is_none(), "the tip of an ended shard is its end");
    assert_eq!(at_end["ChildShards"].as_array().unwrap().len(), 2);
    let after_end = house.iterator("s", 0, "AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": end})).await;
    assert!(house.get(&after_end).await.unwrap().get("NextShardIterator").is_none());

    let ended = "has already been merged or split, and thus is not eligible for merging or splitting.";
    let message = format!("Shard {} in stream s under account {ACCOUNT} {ended}", id(0));
    assert_eq!(house.refused("SplitShard", busy).await, ("InvalidArgumentException", message));
}

#[tokio::test(start_paused = true)]
async fn neighbours_merge_and_others_are_refused() {
    let house = house(Limits::Off).await;
    house.create("s", 3).await;
    for (left, right, name, message) in [
        (0, 2, "InvalidArgumentException", "not an adjacent pair of shards eligible for merging"),
        (1, 0, "InvalidArgumentException", "not an adjacent pair of shards eligible for merging"),
        (0, 0, "InvalidArgumentException", "not an adjacent pair of shards eligible for merging"),
        (2, 9, "ResourceNotFoundException", "Could not find shard shardId-000000000009 in stream s under account"),
    ] {
        let input = json!({"StreamName": "s", "ShardToMerge": id(left), "AdjacentShardToMerge": id(right)});
        let refused = house.refused("MergeShards", input).await;
        assert_eq!(refused.0, name);
        assert!(refused.1.contains(message), "{}", refused.1);
    }
    house.put("s", "a", b"1").await.unwrap();
    house.put("s", "b", b"1").await.unwrap();
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    let input = json!({"StreamARN": arn, "ShardToMerge": "any-0", "AdjacentShardToMerge": "1"});
    house.ask("MergeShards", input).await.unwrap();
    settled(&house).await;
    for key in ["a", "b"] {
        assert_eq!(house.put("s", key, b"2").await.unwrap()["ShardId"], id(3));
    }
    let shards = shards(&house).await;
    assert_eq!((&shards[3]["ParentShardId"], &shards[3]["AdjacentParentShardId"]), (&json!(id(0)), &json!(id(1))));
    let (_, children) = drain(&house, &shards[1]).await;
    assert_eq!(children.unwrap()[0]["ParentShards"], json!([id(0), id(1)]));
    let keys = by_key(&read_all(&house).await);
    assert_eq!(
        (&keys["a"], &keys["b"]),
        (&vec!["1".to_owned(), "2".to_owned()], &vec!["1".to_owned(), "2".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_split_needs_a_hash_key_inside() {
    let house = house(Limits::Off).await;
    house.create("s", 3).await;
    let first = "113427455640312821154458202477256070484";
    let range = |at: &str| {
        format!(
            "NewStartingHashKey {at} used in SplitShard() on shard shardId-000000000000 in stream s under account {ACCOUNT} is \
             not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey {first}."
        )
    };
    for at in ["0", "1", first, "999999999999999999999999999999999999999"] {
        let input = json!({"StreamName": "s", "ShardToSplit": "shard-0", "NewStartingHashKey": at});
        assert_eq!(house.refused("SplitShard", input).await, ("InvalidArgumentException", range(at)));
    }
    for shard in ["shardId-5", "ABKLFD8"] {
        let input = json!({"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": "2"});
        assert_eq!(house.refused("SplitShard", input).await.0, "ResourceNotFoundException");
    }
    split(&house, 0, "2").await;
    settled(&house).await;
    assert_eq!(shards(&house).await[3]["HashKeyRange"]["EndingHashKey"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_count_is_reached_within_its_limits() {
    let house = house(Limits::Off).await;
    house.create("s", 4).await;
    for (target, message) in [
        (
            9,
            "cannot scale up over double your current open shard count. Current open shard count: 4 Target shard count: 9",
        ),
        (
            1,
            "cannot scale down below half your current open shard count. Current open shard count: 4 Target shard count: 1",
        ),
        (10_001, "Target shard count or number of open shards cannot be greater than 10000."),
    ] {
        let input = json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
        let refused = house.refused("UpdateShardCount", input).await;
        assert_eq!(refused.0, "LimitExceededException");
        assert!(refused.1.contains(message), "{}", refused.1);
    }
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    let answer = json!({"StreamName": "s", "CurrentShardCount": 4, "TargetShardCount": 8, "StreamARN": arn});
    assert_eq!(count(&house, 8).await, answer);
    settled(&house).await;
    for target in [4, 6, 3, 5, 5, 10, 7, 4, 8] {
        count(&house, target).await;
        settled(&house).await;
        let open =
            house.ask("ListShards", json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST"}})).await.unwrap();
        assert_eq!(open["Shards"].as_array().unwrap().len(), target as usize);
        house.put("s", "k", target.to_string().as_bytes()).await.unwrap();
    }
    let input = json!({"StreamName": "s", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING"});
    assert_eq!(house.refused("UpdateShardCount", input.clone()).await.0, "LimitExceededException", "ten times a day");
    house.wait(Duration::from_secs(24 * 3600)).await;
    house.ask("UpdateShardCount", input).await.unwrap();
}

/// Puts until told to stop: what was acknowledged, in order, by key.
async fn produce(house: &House, producer: u32, stop: &Mutex<bool>) -> BTreeMap<String, Vec<String>> {
    let mut put = BTreeMap::<String, Vec<String>>::new();
    for round in 0.. {
        if *stop.lock().unwrap() {
            break;
        }
        let keys: Vec<String> = (0..4).map(|i| format!("{producer}-{}", (round + i * 5) % 13)).collect();
        let data = format!("{round:05}");
        let record = |key: &String| json!({"PartitionKey": key, "Data": support::base64(data.as_bytes())});
        let input = json!({"StreamName": "s", "Records": keys.iter().map(record).collect::<Vec<_>>()});
        let answer = house.ask("PutRecords", input).await.unwrap();
        assert_eq!(answer["FailedRecordCount"], 0);
        for key in keys {
            put.entry(key).or_default().push(data.clone());
        }
        house.wait(Duration::from_micros(900)).await;
    }
    put
}

#[tokio::test(start_paused = true)]
async fn what_is_put_meanwhile_is_found_once_and_in_order() {
    for seed in 0..8 {
        let house = house_under(seed, Limits::Off).await;
        house.create("s", 2).await;
        let stop = Mutex::new(false);
        let reshape = async {
            for target in [4, 3, 6, 5, 3, 2] {
                count(&house, target).await;
                house.wait(Duration::from_millis(30)).await;
            }
            *stop.lock().unwrap() = true;
        };
        let (a, b, c, ()) =
            tokio::join!(produce(&house, 1, &stop), produce(&house, 2, &stop), produce(&house, 3, &stop), reshape);
        let put: BTreeMap<_, _> = a.into_iter().chain(b).chain(c).collect();
        assert!(put.values().map(Vec::len).sum::<usize>() > 500, "the producers were at work");
        assert_eq!(by_key(&read_all(&house).await), put, "seed {seed}");
        let house = house.restart().await;
        assert_eq!(by_key(&read_all(&house).await), put, "seed {seed}, after a restart");
    }
}

/// Callers that hang up at every moment before, while and after a shard ends, with their record on its way to the disk.
#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_puts_nothing_behind_the_end() {
    let mut abandoned = 0;
    for (wait, polls) in (0..30).flat_map(|wait| (1..4).map(move |polls| (wait, polls))) {
        let house = house(Limits::Off).await;
        house.create("s", 1).await;
        // As many as one read takes: the next read, if there is one, finds what is behind them.
        for _ in 0..7 {
            house.put("s", "a", b"before").await.unwrap();
        }
        // As after a crash: the children's logs are there, so nothing of the reshard itself drives the journal.
        for child in [1, 2] {
            house.store.log(&format!("streams/s/{}", id(child))).await.unwrap();
        }
        split(&house, 0, MIDDLE).await;
        house.wait(Duration::from_millis(15 + wait / 4)).await;
        for _ in 0..wait % 4 {
            tokio::task::yield_now().await;
        }
        {
            let mut put = std::pin::pin!(house.put("s", "a", b"abandoned"));
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    _ = &mut put => break,
                    () = std::future::ready(()) => {}
                }
            }
        }
        settled(&house).await;
        house.put("s", "a", b"after").await.unwrap();
        let log = house.store.find_log("streams/s/shardId-000000000000").unwrap();
        let (seen, _) = drain(&house, &shards(&house).await[0]).await;
        assert_eq!(house.store.extent(log).next, seen.len() as u64, "all that is in the log is before its end");
        assert_eq!(read_all(&house).await.last().unwrap().data, "after");
        abandoned += seen.len();
    }
    assert!(abandoned > 90 * 7, "some of their records were on the way");
}

#[tokio::test(start_paused = true)]
async fn a_restart_finishes_a_reshard() {
    let house = house(Limits::Off).await;
    house.create("s", 2).await;
    house.put("s", "a", b"1").await.unwrap();
    count(&house, 3).await;
    let house = house.restart().await;
    settled(&house).await;
    house.put("s", "a", b"2").await.unwrap();
    assert_eq!(by_key(&read_all(&house).await)["a"], ["1", "2"]);
    assert_eq!(shards(&house).await.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn ended_shards_are_forgotten_with_their_records() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    house.put("s", "a", b"old").await.unwrap();
    count(&house, 2).await;
    settled(&house).await;
    house.wait(Duration::from_secs(24 * 3600 - 1)).await;
    assert_eq!(shards(&house).await.len(), 3, "it ended less than a day ago");
    house.wait(Duration::from_secs(1)).await;
    assert_eq!(shards(&house).await.len(), 2, "no longer listed");
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(house.store.logs("streams/s/").len(), 2, "its log is gone");
    let ask = json!({"StreamName": "s", "ShardId": id(0), "ShardIteratorType": "TRIM_HORIZON"});
    assert_eq!(house.refused("GetShardIterator", ask).await.0, "ResourceNotFoundException");
    count(&house, 1).await;
    settled(&house).await;
    let numbers: Vec<_> = shards(&house).await.iter().map(|shard| shard["ShardId"].clone()).collect();
    assert_eq!(numbers, [id(1), id(2), id(3)], "numbers are not used again");
    let house = house.restart().await;
    house.put("s", "a", b"new").await.unwrap();
    assert_eq!(by_key(&read_all(&house).await)["a"], ["new"]);
}

#[tokio::test(start_paused = true)]
async fn lists_show_what_was_open_when() {
    let house = house(Limits::Off).await;
    house.create("s", 2).await;
    let mut moments = vec![house.world.now()];
    for target in [4, 3] {
        house.wait(Duration::from_secs(100)).await;
        count(&house, target).await;
        settled(&house).await;
        house.wait(Duration::from_secs(100)).await;
        moments.push(house.world.now());
    }
    let list = async |filter: Value| {
        let input = json!({"StreamName": "s", "ShardFilter": filter});
        let answer = house.ask("ListShards", input).await.unwrap();
        let number = |shard: &Value| shard["ShardId"].as_str().unwrap()[8..].parse::<u32>().unwrap();
        answer["Shards"].as_array().unwrap().iter().map(number).collect::<Vec<u32>>()
    };
    let at = |i: usize| moments[i].millis() as f64 / 1000.0;
    let all = list(json!({"Type": "FROM_TRIM_HORIZON"})).await;
    let now = list(json!({"Type": "AT_LATEST"})).await;
    assert_eq!((all.len(), now.len()), (2 + 4 + 4 + 3, 3), "{all:?} {now:?}");
    assert_eq!(list(json!({"Type": "AT_TRIM_HORIZON"})).await, [0, 1]);
    assert_eq!(list(json!({"Type": "AT_TIMESTAMP", "Timestamp": at(0)})).await, [0, 1]);
    assert_eq!(list(json!({"Type": "AT_TIMESTAMP", "Timestamp": at(1)})).await, [2, 3, 4, 5]);
    assert_eq!(list(json!({"Type": "AT_TIMESTAMP", "Timestamp": at(2)})).await, now);
    assert_eq!(list(json!({"Type": "FROM_TIMESTAMP", "Timestamp": at(0)})).await, all);
    assert_eq!(list(json!({"Type": "FROM_TIMESTAMP", "Timestamp": at(1)})).await, all[2..]);
    assert_eq!(list(json!({"Type": "FROM_TIMESTAMP", "Timestamp": at(2)})).await, now);
    assert_eq!(list(json!({"Type": "AFTER_SHARD_ID", "ShardId": id(3)})).await, all[4..]);
    let created = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    let created = created["StreamDescriptionSummary"]["StreamCreationTimestamp"].clone();
    let named = json!({"StreamName": "s", "StreamCreationTimestamp": created, "ExclusiveStartShardId": id(5)});
    let answer = house.ask("ListShards", named).await.unwrap();
    assert_eq!(answer["Shards"].as_array().unwrap().len(), all.len() - 6);
    let other = json!({"StreamName": "s", "StreamCreationTimestamp": 1});
    assert_eq!(house.refused("ListShards", other).await.0, "ResourceNotFoundException");
    // At the moment of the change itself the open shards still cover every key once.
    let turn = moments[1].micros() - 100_000_000 - 100_000;
    for offset_ms in 0..200 {
        let at = (turn + offset_ms * 1000) as f64 / 1e6;
        let open = list(json!({"Type": "AT_TIMESTAMP", "Timestamp": at})).await;
        assert!(open == [0, 1] || open == [2, 3, 4, 5], "{open:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_arn_and_the_name_must_agree() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn: Arn = Home::default().arn("kinesis", "stream/t");
    let input = json!({
        "StreamName": "s", "StreamARN": arn.to_string(), "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING",
    });
    assert_eq!(house.refused("UpdateShardCount", input).await.0, "InvalidArgumentException");
    let neither = json!({"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"});
    assert_eq!(house.refused("UpdateShardCount", neither).await.0, "InvalidArgumentException");
}
