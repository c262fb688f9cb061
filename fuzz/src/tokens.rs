//! What comes back from clients: shard iterators, sequence numbers, page tokens, hash keys. Anything that is not ours is refused
//! in AWS's words; nothing makes the service fail.

use serde_json::{Value, json};
use sim::{Flaky, House};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use world::disk::SimDisk;

/// A house with one stream and one record, of this thread.
struct Room {
    runtime: Runtime,
    house: House,
    seeds: Vec<Vec<u8>>,
}

fn room() -> Room {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let (house, seeds) = runtime.block_on(async {
        let house = House::open(Arc::new(SimDisk::new(1)), 1, Flaky::new(1)).await.expect("a house");
        let ask =
            async |operation: &str, input: Value| house.ask("kinesis", operation, input).await.expect("an answer");
        ask("CreateStream", json!({"StreamName": "s", "ShardCount": 3})).await;
        house.world.clock.sleep(Duration::from_secs(1)).await;
        let put = ask("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA"})).await;
        let from = json!({"StreamName": "s", "ShardId": put["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = ask("GetShardIterator", from).await;
        let page = ask("ListShards", json!({"StreamName": "s", "MaxResults": 1})).await;
        let texts = [
            &put["SequenceNumber"],
            &iterator["ShardIterator"],
            &page["NextToken"],
            &json!("170141183460469231731687303715884105728"),
            &json!("shardId-000000000000"),
            &json!("arn:aws:kinesis:us-east-1:000000000000:stream/s"),
        ];
        let seeds = texts.iter().map(|text| text.as_str().expect("a text").as_bytes().to_vec()).collect();
        (house, seeds)
    });
    Room { runtime, house, seeds }
}

thread_local! {
    static ROOM: OnceCell<Room> = const { OnceCell::new() };
}

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let asks = [
        ("GetRecords", json!({"ShardIterator": text})),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": "shardId-000000000001", "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                   "StartingSequenceNumber": text}),
        ),
        ("GetShardIterator", json!({"StreamName": "s", "ShardId": text, "ShardIteratorType": "LATEST"})),
        ("ListShards", json!({"NextToken": text})),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": text, "Data": "", "ExplicitHashKey": text,
                   "SequenceNumberForOrdering": text}),
        ),
        ("DescribeStreamSummary", json!({"StreamARN": text})),
        ("ListStreams", json!({"NextToken": text})),
    ];
    ROOM.with(|cell| {
        let room = cell.get_or_init(room);
        room.runtime.block_on(async {
            for (operation, input) in asks {
                if let Err(error) = room.house.ask("kinesis", operation, input).await {
                    assert!(!error.to_string().contains("InternalFailure"), "{operation}: {error}");
                }
            }
        });
    });
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    ROOM.with(|cell| cell.get_or_init(room).seeds.clone())
}
