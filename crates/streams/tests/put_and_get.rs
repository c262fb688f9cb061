//! PutRecord, PutRecords, GetShardIterator, GetRecords.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use streams::Limits;
use support::{base64, from_base64, house};

const ACCOUNT: &str = "000000000000";

fn records(values: &Value) -> &Vec<Value> {
    values["Records"].as_array().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_got_in_order_with_its_number() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let first = house.put("s", "k", b"one").await.unwrap();
    let second = house.put("s", "k", b"two").await.unwrap();
    assert_eq!(first["ShardId"], "shardId-000000000000");
    let number = |answer: &Value| answer["SequenceNumber"].as_str().unwrap().to_owned();
    assert!(number(&first) < number(&second));
    assert_eq!(number(&first).len(), 56);

    let trim = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let answer = house.get(&trim).await.unwrap();
    assert_eq!(records(&answer).len(), 2);
    assert_eq!(records(&answer)[1]["SequenceNumber"], number(&second));
    assert_eq!(records(&answer)[1]["PartitionKey"], "k");
    assert_eq!(records(&answer)[1]["Data"], base64(b"two"));
    assert_eq!(answer["MillisBehindLatest"], 0);
    assert!(records(&answer)[1]["ApproximateArrivalTimestamp"].as_f64().unwrap() > 1_767_225_600.0);

    let next = answer["NextShardIterator"].as_str().unwrap();
    assert!(house.payloads(next).await.is_empty());
    house.put("s", "k", b"three").await.unwrap();
    assert_eq!(house.payloads(next).await, [b"three"]);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_iterator_starts_where_it_says() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let mut numbers = Vec::new();
    for data in ["a", "b", "c"] {
        house.wait(Duration::from_secs(1)).await;
        numbers.push(house.put("s", "k", data.as_bytes()).await.unwrap()["SequenceNumber"].clone());
    }
    let all = house.get(&house.iterator("s", 0, "TRIM_HORIZON", json!({})).await).await.unwrap();
    let at = records(&all)[1]["ApproximateArrivalTimestamp"].clone();
    for (kind, more, expected) in [
        ("TRIM_HORIZON", json!({}), "abc"),
        ("LATEST", json!({}), ""),
        ("AT_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": numbers[1]}), "bc"),
        ("AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": numbers[1]}), "c"),
        ("AT_TIMESTAMP", json!({"Timestamp": at}), "bc"),
        ("AT_TIMESTAMP", json!({"Timestamp": 1}), "abc"),
        ("AT_TIMESTAMP", json!({"Timestamp": at.as_f64().unwrap() + 0.5}), "c"),
    ] {
        let iterator = house.iterator("s", 0, kind, more.clone()).await;
        let got = house.payloads(&iterator).await.concat();
        assert_eq!(String::from_utf8(got).unwrap(), expected, "{kind} {more}");
    }
    let start = house.ask("DescribeStream", json!({"StreamName": "s"})).await.unwrap();
    let start = &start["StreamDescription"]["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"];
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let iterator = house.iterator("s", 0, kind, json!({"StartingSequenceNumber": start})).await;
        assert_eq!(house.payloads(&iterator).await.concat(), b"abc", "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_go_to_the_shards_aws_sends_them_to() {
    let house = house(Limits::Aws).await;
    house.create("s", 3).await;
    let third = u128::MAX / 3;
    let entry = |key: &str| json!({"PartitionKey": key, "Data": ""});
    let explicit = |hash: u128| json!({"PartitionKey": "a", "Data": "", "ExplicitHashKey": hash.to_string()});
    let input = json!({"StreamName": "s", "Records": [
        entry("a"), entry("b"), entry("e"), entry("f"), explicit(u128::MAX), explicit(third * 2 - 1), explicit(third * 2),
        explicit(0),
    ]});
    let answer = house.ask("PutRecords", input).await.unwrap();
    assert_eq!(answer["FailedRecordCount"], 0);
    let shards: Vec<_> =
        records(&answer).iter().map(|r| r["ShardId"].as_str().unwrap().chars().last().unwrap()).collect();
    assert_eq!(shards, ['0', '1', '2', '1', '2', '1', '2', '0']);
}

#[tokio::test(start_paused = true)]
async fn a_busy_shard_refuses_single_records_of_a_call() {
    let house = house(Limits::Aws).await;
    house.create("s", 2).await;
    let half = base64(&vec![7; 700 << 10]);
    let low = json!({"PartitionKey": "k", "Data": half, "ExplicitHashKey": "0"});
    let high = json!({"PartitionKey": "k", "Data": half, "ExplicitHashKey": u128::MAX.to_string()});
    let input = json!({"StreamName": "s", "Records": [low, low, high]});
    let answer = house.ask("PutRecords", input.clone()).await.unwrap();
    assert_eq!(answer["FailedRecordCount"], 1);
    let busy = &records(&answer)[1];
    assert_eq!(busy["ErrorCode"], "ProvisionedThroughputExceededException");
    let message = format!("Rate exceeded for shard shardId-000000000000 in stream s under account {ACCOUNT}.");
    assert_eq!(busy["ErrorMessage"], message);
    assert!(busy.get("SequenceNumber").is_none() && records(&answer)[2]["SequenceNumber"].is_string());

    let refused = house.refused("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": half})).await;
    assert_eq!(refused.0, "ProvisionedThroughputExceededException");
    house.wait(Duration::from_secs(1)).await;
    house.ask("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": half})).await.unwrap();
    let kept = house.iterator("s", 1, "TRIM_HORIZON", json!({})).await;
    assert_eq!(
        house.payloads(&kept).await.len()
            + house.payloads(&house.iterator("s", 0, "TRIM_HORIZON", json!({})).await).await.len(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_records_a_second_and_no_more() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let input = json!({"StreamName": "s", "Records": vec![json!({"PartitionKey": "k", "Data": ""}); 500]});
    let mut dry = input.clone();
    dry["DryRun"] = json!(true);
    assert_eq!(house.refused("PutRecords", dry).await.0, "DryRunOperationException", "and nothing is counted");
    for failed in [0, 0, 500] {
        let answer = house.ask("PutRecords", input.clone()).await.unwrap();
        assert_eq!(answer["FailedRecordCount"], failed);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_lifted() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let record = json!({"PartitionKey": "k", "Data": base64(&vec![0; 500 << 10])});
    let input = json!({"StreamName": "s", "Records": vec![record; 20]});
    for _ in 0..3 {
        assert_eq!(house.ask("PutRecords", input.clone()).await.unwrap()["FailedRecordCount"], 0);
    }
    let mut iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let mut count = 0;
    for _ in 0..10 {
        let answer = house.get(&iterator).await.unwrap();
        assert!(records(&answer).len() <= 21, "a read gives about 10 MB");
        count += records(&answer).len();
        iterator = answer["NextShardIterator"].as_str().unwrap().to_owned();
    }
    assert_eq!(count, 60);
}

#[tokio::test(start_paused = true)]
async fn reads_are_limited_in_number_and_paid_back_in_bytes() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    for _ in 0..5 {
        house.get(&iterator).await.unwrap();
    }
    let error = house.get(&iterator).await.unwrap_err();
    assert_eq!(error.model.name, "ProvisionedThroughputExceededException");
    assert_eq!(
        error.message,
        format!("Rate exceeded for shard shardId-000000000000 in stream s under account {ACCOUNT}.")
    );
    for _ in 0..4 {
        house.wait(Duration::from_secs(1)).await;
        house.put("s", "k", &vec![1; 1_000_000]).await.unwrap();
    }
    assert_eq!(house.payloads(&iterator).await.len(), 4);
    house.wait(Duration::from_millis(500)).await;
    assert_eq!(house.get(&iterator).await.unwrap_err().model.name, "ProvisionedThroughputExceededException");
    house.wait(Duration::from_millis(1500)).await;
    assert_eq!(house.payloads(&iterator).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_read_behind_the_tip_says_how_far() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    house.put("s", "k", b"old").await.unwrap();
    house.put("s", "k", b"old too").await.unwrap();
    house.wait(Duration::from_secs(60)).await;
    house.put("s", "k", b"new").await.unwrap();
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let answer = house.ask("GetRecords", json!({"ShardIterator": iterator, "Limit": 1})).await.unwrap();
    assert_eq!(records(&answer).len(), 1);
    assert_eq!(answer["MillisBehindLatest"], 60_000);
}

#[tokio::test(start_paused = true)]
async fn iterators_expire_and_cannot_be_made_up() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let iterator = house.iterator("s", 0, "LATEST", json!({})).await;
    let mut forged = iterator.clone().into_bytes();
    forged[40] = if forged[40] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for text in ["nonsense", &forged] {
        let refused = house.refused("GetRecords", json!({"ShardIterator": text})).await;
        assert_eq!(refused, ("InvalidArgumentException", "Invalid ShardIterator.".to_owned()));
    }
    house.wait(Duration::from_secs(299)).await;
    house.get(&iterator).await.unwrap();
    house.wait(Duration::from_secs(2)).await;
    let (name, message) = house.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    assert_eq!(name, "ExpiredIteratorException");
    assert!(
        message.starts_with("Iterator expired. The iterator was created at time Thu Jan 01 00:00:00 UTC 2026 while"),
        "{message}"
    );
    assert!(
        message.ends_with("which is further in the future than the tolerated delay of 300000 milliseconds."),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_records_and_iterators() {
    let house = house(Limits::Off).await;
    house.create("s", 2).await;
    for i in 0..50u32 {
        house.put("s", &i.to_string(), &i.to_be_bytes()).await.unwrap();
    }
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let before = house.payloads(&iterator).await;
    let house = house.restart().await;
    assert_eq!(house.payloads(&iterator).await, before);
    assert!(!before.is_empty() && before.len() < 50);
    let next = house.put("s", "0", b"more").await.unwrap();
    assert_eq!(next["SequenceNumber"].as_str().unwrap().len(), 56);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_the_same_name_is_another_stream() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let number = house.put("s", "k", b"first life").await.unwrap()["SequenceNumber"].clone();
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    house.ask("DeleteStream", json!({"StreamName": "s"})).await.unwrap();
    house.wait(Duration::from_secs(2)).await;
    house.create("s", 1).await;
    let gone = format!("Shard shardId-000000000000 in stream s under account {ACCOUNT} does not exist");
    assert_eq!(
        house.refused("GetRecords", json!({"ShardIterator": iterator})).await,
        ("ResourceNotFoundException", gone)
    );
    let fresh = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    assert!(house.payloads(&fresh).await.is_empty());
    let input = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number});
    let (name, message) = house.refused("GetShardIterator", input).await;
    assert_eq!(name, "InvalidArgumentException");
    assert!(message.ends_with("is invalid because it did not come from this stream."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn bad_input_gets_awss_words() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let put = |more: Value| {
        let mut input = json!({"StreamName": "s", "PartitionKey": "k", "Data": ""});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let shard = |more: Value| {
        let mut input = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let too_big = "340282366920938463463374607431768211456";
    let large = base64(&vec![0; 1 << 20]);
    let none = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON \
                or LATEST and no StartingSequenceNumber. Request specified ";
    let cases = [
        ("PutRecord", put(json!({"StreamName": "none"})), "ResourceNotFoundException",
            format!("Stream none under account {ACCOUNT} not found.")),
        ("PutRecord", put(json!({"StreamName": null})), "InvalidArgumentException",
            "Either StreamName or StreamARN should be provided.".to_owned()),
        ("PutRecord", put(json!({"ExplicitHashKey": too_big})), "InvalidArgumentException",
            format!("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {too_big}")),
        ("PutRecord", put(json!({"PartitionKey": null})), "ValidationException",
            "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null".to_owned()),
        ("PutRecord", put(json!({"Data": large})), "ValidationException",
            "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576".to_owned()),
        ("PutRecords", json!({"StreamName": "s", "Records": [{"PartitionKey": "k", "Data": ""}, {"PartitionKey": "k", "Data": large}]}),
            "ValidationException",
            "1 validation error detected: Value at 'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576".to_owned()),
        ("PutRecord", put(json!({"SequenceNumberForOrdering": "5"})), "InvalidArgumentException",
            format!("ExclusiveMinimumSequenceNumber 5 used in PutRecord on stream s under account {ACCOUNT} is invalid.")),
        ("PutRecord", put(json!({"DryRun": true})), "DryRunOperationException",
            "Request would have succeeded, but DryRun flag is set.".to_owned()),
        ("GetShardIterator", shard(json!({"ShardId": "shardId-000000000001"})), "ResourceNotFoundException",
            format!("Shard shardId-000000000001 in stream s under account {ACCOUNT} does not exist")),
        ("GetShardIterator", shard(json!({"ShardId": "ABKLFD8"})), "ResourceNotFoundException",
            format!("Could not find shard ABKLFD8 in stream s under account {ACCOUNT}.")),
        ("GetShardIterator", shard(json!({"StartingSequenceNumber": "5"})), "InvalidArgumentException",
            format!("{none}LATEST and also a StartingSequenceNumber.")),
        ("GetShardIterator", shard(json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER"})), "InvalidArgumentException",
            format!("{none}AT_SEQUENCE_NUMBER and no StartingSequenceNumber.")),
        ("GetShardIterator", shard(json!({"ShardIteratorType": "AT_TIMESTAMP"})), "InvalidArgumentException",
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.".to_owned()),
        ("GetShardIterator", shard(json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "5"})), "InvalidArgumentException",
            format!("StartingSequenceNumber 5 used in GetShardIterator on shard shardId-000000000000 in stream s under account {ACCOUNT} is invalid.")),
    ];
    for (operation, input, name, message) in cases {
        let text = input.to_string();
        assert_eq!(house.refused(operation, input).await, (name, message), "{operation} {:.200}", text);
    }
    let record = |bytes: usize| json!({"PartitionKey": "k", "Data": base64(&vec![0; bytes])});
    let many = json!({"StreamName": "s", "Records": vec![record(1); 501]});
    let (name, message) = house.refused("PutRecords", many).await;
    assert_eq!(name, "ValidationException");
    assert!(message.ends_with("Member must have length less than or equal to 500"), "{message}");
    let mut records = vec![record((1 << 20) - 1); 10];
    let most = house.ask("PutRecords", json!({"StreamName": "s", "Records": records})).await.unwrap();
    assert_eq!(most["FailedRecordCount"], 9, "the call is not too large, though the shard takes one");
    records.push(record(0));
    let (name, message) = house.refused("PutRecords", json!({"StreamName": "s", "Records": records})).await;
    assert_eq!((name, message.as_str()), ("InvalidArgumentException", "Records size exceeds 10 MB limit"));
    let future =
        house.refused("GetShardIterator", shard(json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 9e9}))).await;
    assert!(future.1.starts_with("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: 9000000000000, "));
}

#[tokio::test(start_paused = true)]
async fn streams_go_by_arn_too() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    let put = |more: Value| {
        let mut input = json!({"PartitionKey": "k", "Data": ""});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    house.ask("PutRecord", put(json!({"StreamARN": arn}))).await.unwrap();
    house.ask("PutRecord", put(json!({"StreamARN": arn, "StreamName": "s"}))).await.unwrap();
    assert_eq!(
        house.refused("PutRecord", put(json!({"StreamARN": arn, "StreamName": "t"}))).await.0,
        "InvalidArgumentException"
    );
    for foreign in [
        format!("arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/s"),
        "arn:aws:kinesis:us-east-1:111111111111:stream/s".to_owned(),
        format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/t"),
    ] {
        assert_eq!(
            house.refused("PutRecord", put(json!({"StreamARN": foreign}))).await.0,
            "ResourceNotFoundException",
            "{foreign}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn five_iterators_a_second_and_no_more() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    for _ in 0..5 {
        house.iterator("s", 0, "LATEST", json!({})).await;
    }
    let input = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"});
    assert_eq!(house.refused("GetShardIterator", input).await.0, "ProvisionedThroughputExceededException");
    house.wait(Duration::from_millis(200)).await;
    house.iterator("s", 0, "LATEST", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn cloudwatch_sees_what_happened() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    house.put("s", "kk", b"data").await.unwrap();
    let records = vec![json!({"PartitionKey": "k", "Data": "AAAA"}); 500];
    for _ in 0..2 {
        house.ask("PutRecords", json!({"StreamName": "s", "Records": records})).await.unwrap();
    }
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    house.get(&iterator).await.unwrap();
    let sum = |name: &str| {
        let samples = house.world.meter.samples();
        samples.into_iter().find(|(signal, of, _)| signal.name == name && *of == ["s"]).unwrap().2.sum
    };
    assert_eq!(sum("PutRecord.Bytes"), 6);
    assert_eq!(sum("PutRecord.Success"), 1);
    assert_eq!(sum("PutRecords.TotalRecords"), 1000);
    assert_eq!(sum("PutRecords.SuccessfulRecords"), 999);
    assert_eq!(sum("WriteProvisionedThroughputExceeded"), 1);
    assert_eq!(sum("IncomingRecords"), 1000);
    assert_eq!(sum("IncomingBytes"), 6 + 999 * 4);
    assert_eq!(sum("GetRecords.Bytes"), 6 + 999 * 4);
    assert_eq!(sum("GetRecords.Success"), 1);
    assert_eq!(sum("PutRecords.Bytes"), 1000 * 4);
    assert_eq!(sum("PutRecords.Success"), 2);
    assert_eq!(sum("PutRecords.ThrottledRecords"), 1);
    assert_eq!(sum("GetRecords.Records"), 1000);
    assert_eq!(sum("GetRecords.IteratorAgeMilliseconds"), 0, "it read to the tip");
    let count = |name: &str| {
        let samples = house.world.meter.samples();
        samples.into_iter().find(|(signal, of, _)| signal.name == name && *of == ["s"]).map(|(.., sample)| sample.count)
    };
    let latencies = ["PutRecord.Latency", "PutRecords.Latency", "GetRecords.Latency"].map(count);
    assert_eq!(latencies, [Some(1), Some(2), Some(1)]);
    house.wait(Duration::from_secs(3)).await;
    let one = json!({"ShardIterator": iterator, "Limit": 1});
    for _ in 0..5 {
        house.ask("GetRecords", one.clone()).await.unwrap();
    }
    assert_eq!(house.refused("GetRecords", one).await.0, "ProvisionedThroughputExceededException");
    assert_eq!(sum("ReadProvisionedThroughputExceeded"), 1);
    assert_eq!((sum("GetRecords.Success"), count("GetRecords.Success")), (6, Some(7)));
    assert_eq!(sum("GetRecords.IteratorAgeMilliseconds"), 5 * 3000);
}

#[tokio::test(start_paused = true)]
async fn records_travel_in_cbor_too() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    // {"StreamName": "s", "PartitionKey": "k", "Data": h'00ff'}
    let body = b"\xa3\x6aStreamName\x61s\x6cPartitionKey\x61k\x64Data\x42\x00\xff";
    house.ask_by(wire::Protocol::AwsCbor, "PutRecord", bytes::Bytes::from_static(body)).await.unwrap();
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    assert_eq!(house.payloads(&iterator).await, [b"\x00\xff"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_an_error_to_each_kind_of_reader_and_never_skipped() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    for i in 0..5 {
        house.put("s", "k", format!("record {i}").as_bytes()).await.unwrap();
    }
    house.damage(b"record 2");
    let both = [b"record 0".to_vec(), b"record 1".to_vec()];

    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    let page = house.get(&iterator).await.unwrap();
    let read: Vec<_> = page["Records"].as_array().unwrap().iter().map(|one| from_base64(&one["Data"])).collect();
    assert_eq!(read, both);
    assert_ne!(page["MillisBehindLatest"], Value::Null);
    let next = page["NextShardIterator"].as_str().unwrap();
    for _ in 0..2 {
        assert_eq!(house.get(next).await.unwrap_err().model.name, "InternalFailure");
    }

    let source =
        house.streams.source(&format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s").parse().unwrap()).unwrap();
    let limit = consume::ReadLimit { records: 100, bytes: 1 << 20 };
    let chunk = source.read("shardId-000000000000", 0, limit).unwrap();
    assert_eq!(chunk.records.iter().map(|one| one.data.to_vec()).collect::<Vec<_>>(), both);
    assert_eq!((chunk.next, chunk.ended), (2, false));
    let outcome = source.read("shardId-000000000000", 2, limit);
    assert!(matches!(outcome, Err(consume::SourceError::Fault(_))), "{outcome:?}");
    assert_eq!(source.read("shardId-000000000000", 3, limit).unwrap().records.len(), 2);
}
