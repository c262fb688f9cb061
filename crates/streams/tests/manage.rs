//! CreateStream, DeleteStream, Describe*, List*, retention and tags.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use streams::Limits;
use support::{house, slow_house};

const ACCOUNT: &str = "000000000000";

#[tokio::test(start_paused = true)]
async fn a_stream_lives_from_creating_to_gone() {
    let house = house(Limits::Aws).await;
    let name = json!({"StreamName": "s"});
    house.ask("CreateStream", json!({"StreamName": "s", "ShardCount": 3, "Tags": {"a": "b"}})).await.unwrap();
    let young = house.ask("DescribeStream", name.clone()).await.unwrap();
    assert_eq!(young["StreamDescription"]["StreamStatus"], "CREATING");
    assert_eq!(young["StreamDescription"]["Shards"], json!([]));
    let not_yet = format!("Stream s under account {ACCOUNT} not found.");
    let put = json!({"StreamName": "s", "PartitionKey": "k", "Data": ""});
    assert_eq!(house.refused("PutRecord", put).await, ("ResourceNotFoundException", not_yet.clone()));
    let creating = format!("Stream s under account {ACCOUNT} not ACTIVE, instead in state CREATING");
    assert_eq!(house.refused("DeleteStream", name.clone()).await, ("ResourceInUseException", creating));

    house.wait(Duration::from_secs(1)).await;
    let stream = house.ask("DescribeStream", name.clone()).await.unwrap()["StreamDescription"].clone();
    assert_eq!(stream["StreamStatus"], "ACTIVE");
    assert_eq!(stream["StreamARN"], format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"));
    assert_eq!(stream["RetentionPeriodHours"], 24);
    assert_eq!(stream["EncryptionType"], "NONE");
    assert_eq!(stream["EnhancedMonitoring"], json!([{"ShardLevelMetrics": []}]));
    assert_eq!(stream["StreamModeDetails"]["StreamMode"], "PROVISIONED");
    let shards = stream["Shards"].as_array().unwrap();
    assert_eq!(shards.len(), 3);
    assert_eq!(shards[1]["ShardId"], "shardId-000000000001");
    assert_eq!(shards[1]["HashKeyRange"]["StartingHashKey"], "113427455640312821154458202477256070485");
    assert!(shards[1]["SequenceNumberRange"]["StartingSequenceNumber"].as_str().unwrap().starts_with("49"));
    assert!(shards[1]["SequenceNumberRange"].get("EndingSequenceNumber").is_none());

    let again = house.refused("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    assert_eq!(again, ("ResourceInUseException", format!("Stream s under account {ACCOUNT} already exists.")));
    house.ask("DeleteStream", json!({"StreamName": "s", "EnforceConsumerDeletion": true})).await.unwrap();
    let leaving = house.ask("DescribeStreamSummary", name.clone()).await.unwrap();
    assert_eq!(leaving["StreamDescriptionSummary"]["StreamStatus"], "DELETING");
    house.wait(Duration::from_secs(1)).await;
    assert_eq!(house.refused("DescribeStream", name).await, ("ResourceNotFoundException", not_yet));
    assert_eq!(house.store.logs("streams/").len(), 0, "the records are forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_restart_finishes_what_was_begun() {
    let house = house(Limits::Aws).await;
    house.create("old", 2).await;
    house.ask("CreateStream", json!({"StreamName": "new", "ShardCount": 2})).await.unwrap();
    house.ask("DeleteStream", json!({"StreamName": "old"})).await.unwrap();
    let house = house.restart().await;
    house.wait(Duration::from_secs(1)).await;
    let all = house.ask("ListStreams", json!({})).await.unwrap();
    assert_eq!(all["StreamNames"], json!(["new"]));
    assert_eq!(all["StreamSummaries"][0]["StreamStatus"], "ACTIVE");
    house.put("new", "k", b"data").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_demand_streams_start_with_four_shards() {
    let house = house(Limits::Aws).await;
    let on_demand = json!({"StreamMode": "ON_DEMAND"});
    house.ask("CreateStream", json!({"StreamName": "s", "StreamModeDetails": on_demand})).await.unwrap();
    house.wait(Duration::from_secs(1)).await;
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(summary["StreamDescriptionSummary"]["OpenShardCount"], 4);
    assert_eq!(summary["StreamDescriptionSummary"]["StreamModeDetails"], on_demand);
    let limits = house.ask("DescribeLimits", json!({})).await.unwrap();
    let expected =
        json!({"ShardLimit": 20000, "OpenShardCount": 4, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 50});
    assert_eq!(limits, expected);
    let both = json!({"StreamName": "t", "StreamModeDetails": on_demand, "ShardCount": 2});
    assert_eq!(house.refused("CreateStream", both).await.0, "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_is_refused() {
    let house = house(Limits::Aws).await;
    for (input, name) in [
        (json!({"StreamName": "s"}), "ValidationException"),
        (json!({"StreamName": "s", "ShardCount": 20_001}), "LimitExceededException"),
        (json!({"StreamName": "s", "ShardCount": 1, "WarmThroughputMiBps": 5}), "InvalidArgumentException"),
        (json!({"StreamName": "s", "ShardCount": 1, "Tags": {"a%": "b"}}), "InvalidArgumentException"),
    ] {
        assert_eq!(house.refused("CreateStream", input.clone()).await.0, name, "{input}");
    }
    assert_eq!(house.ask("ListStreams", json!({})).await.unwrap()["StreamNames"], json!([]));
    let (_, message) = house.refused("CreateStream", json!({"StreamName": "s", "ShardCount": 20_001})).await;
    assert_eq!(
        message,
        format!(
            "This request would exceed the shard limit for the account {ACCOUNT} in us-east-1. Current shard count for the \
             account: 0. Limit: 20000. Number of additional shards that would have resulted from this request: 20001. Refer to \
             the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current \
             limits and how to request higher limits."
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_large_records_takes_them() {
    let house = house(Limits::Aws).await;
    let input = json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 2048});
    house.ask("CreateStream", input).await.unwrap();
    house.wait(Duration::from_secs(1)).await;
    house.put("s", "k", &vec![0; 2_000_000]).await.unwrap();
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(summary["StreamDescriptionSummary"]["MaxRecordSizeInKiB"], 2048);
    house.put("s", "k", b"small").await.unwrap_err();
    house.wait(Duration::from_secs(2)).await;
    house.put("s", "k", b"small").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_are_listed_by_pages() {
    let house = house(Limits::Aws).await;
    for name in ["a", "b", "c"] {
        house.create(name, 1).await;
    }
    let first = house.ask("ListStreams", json!({"Limit": 2})).await.unwrap();
    assert_eq!(first["StreamNames"], json!(["a", "b"]));
    assert_eq!(first["HasMoreStreams"], true);
    for rest in [json!({"NextToken": first["NextToken"]}), json!({"ExclusiveStartStreamName": "b"})] {
        let second = house.ask("ListStreams", rest).await.unwrap();
        assert_eq!(second["StreamNames"], json!(["c"]));
        assert_eq!(second["HasMoreStreams"], false);
        assert!(second.get("NextToken").is_none());
    }
    assert_eq!(house.refused("ListStreams", json!({"NextToken": "x"})).await.0, "InvalidArgumentException");
}

fn ids(shards: &Value) -> Vec<u32> {
    let shards = shards.as_array().unwrap();
    shards.iter().map(|s| s["ShardId"].as_str().unwrap()["shardId-".len()..].parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn shards_are_listed_by_pages_and_filters() {
    let house = house(Limits::Aws).await;
    house.create("s", 5).await;
    let page = house.ask("ListShards", json!({"StreamName": "s", "MaxResults": 2})).await.unwrap();
    assert_eq!(ids(&page["Shards"]), [0, 1]);
    let page = house.ask("ListShards", json!({"NextToken": page["NextToken"], "MaxResults": 2})).await.unwrap();
    assert_eq!(ids(&page["Shards"]), [2, 3]);
    let token = page["NextToken"].clone();
    let last = house.ask("ListShards", json!({"NextToken": token})).await.unwrap();
    assert_eq!(ids(&last["Shards"]), [4]);
    assert!(last.get("NextToken").is_none());

    let both = house.refused("ListShards", json!({"NextToken": token, "StreamName": "s"})).await;
    assert_eq!(both, ("InvalidArgumentException", "NextToken and StreamName cannot be provided together.".to_owned()));
    let none = house.refused("ListShards", json!({})).await;
    assert_eq!(none, ("InvalidArgumentException", "Either NextToken or StreamName should be provided.".to_owned()));
    house.wait(Duration::from_secs(301)).await;
    assert_eq!(house.refused("ListShards", json!({"NextToken": token})).await.0, "ExpiredNextTokenException");

    let day_before = 1_767_225_600 - 86_400;
    for (filter, expected) in [
        (json!({"Type": "AT_LATEST"}), vec![0, 1, 2, 3, 4]),
        (json!({"Type": "FROM_TRIM_HORIZON"}), vec![0, 1, 2, 3, 4]),
        (json!({"Type": "AT_TRIM_HORIZON"}), vec![0, 1, 2, 3, 4]),
        (json!({"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000002"}), vec![3, 4]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": day_before}), vec![]),
        (json!({"Type": "FROM_TIMESTAMP", "Timestamp": day_before}), vec![0, 1, 2, 3, 4]),
    ] {
        let answer = house.ask("ListShards", json!({"StreamName": "s", "ShardFilter": filter})).await.unwrap();
        assert_eq!(ids(&answer["Shards"]), expected, "{filter}");
    }
    let incomplete = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_TIMESTAMP"}});
    assert_eq!(house.refused("ListShards", incomplete).await.0, "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_described_by_pages() {
    let house = house(Limits::Aws).await;
    house.create("s", 150).await;
    let first = house.ask("DescribeStream", json!({"StreamName": "s", "Limit": 1000})).await.unwrap();
    assert_eq!(ids(&first["StreamDescription"]["Shards"]).len(), 100);
    assert_eq!(first["StreamDescription"]["HasMoreShards"], true);
    let input = json!({"StreamName": "s", "ExclusiveStartShardId": "shardId-000000000099"});
    let second = house.ask("DescribeStream", input).await.unwrap();
    assert_eq!(ids(&second["StreamDescription"]["Shards"]), (100..150).collect::<Vec<_>>());
    assert_eq!(second["StreamDescription"]["HasMoreShards"], false);
}

#[tokio::test(start_paused = true)]
async fn retention_moves_within_its_bounds_and_forgets() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let hours = |hours: i64| json!({"StreamName": "s", "RetentionPeriodHours": hours});
    for (operation, wanted, message) in [
        (
            "IncreaseStreamRetentionPeriod",
            23,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            8761,
            "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            25,
            "Requested retention period (25 hours) for stream s can not be longer than existing retention period (24 hours). Use IncreaseRetentionPeriod API.",
        ),
    ] {
        assert_eq!(house.refused(operation, hours(wanted)).await, ("InvalidArgumentException", message.to_owned()));
    }
    house.ask("IncreaseStreamRetentionPeriod", hours(48)).await.unwrap();
    house.put("s", "k", b"first").await.unwrap();
    house.wait(Duration::from_secs(25 * 3600)).await;
    house.put("s", "k", b"second").await.unwrap();
    let all = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    assert_eq!(house.payloads(&all).await.concat(), b"firstsecond");

    house.ask("DecreaseStreamRetentionPeriod", hours(24)).await.unwrap();
    assert_eq!(house.payloads(&all).await.concat(), b"second", "what is too old is gone at once");
    house.wait(Duration::from_secs(24 * 3600 + 61)).await;
    let all = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    assert!(house.payloads(&all).await.is_empty(), "and the rest when its time has come");
    house.put("s", "k", b"third").await.unwrap();
    assert_eq!(house.payloads(&all).await.concat(), b"third");
}

#[tokio::test(start_paused = true)]
async fn tags_of_both_families() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let arn = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s");
    house.ask("AddTagsToStream", json!({"StreamName": "s", "Tags": {"a": "1", "b": "2"}})).await.unwrap();
    house.ask("TagResource", json!({"ResourceARN": arn, "Tags": {"b": "3", "c": "4"}})).await.unwrap();
    let tags = house.ask("ListTagsForResource", json!({"ResourceARN": arn})).await.unwrap();
    let expected = json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}]);
    assert_eq!(tags["Tags"], expected);
    let page = house.ask("ListTagsForStream", json!({"StreamName": "s", "Limit": 2})).await.unwrap();
    assert_eq!((page["Tags"].as_array().unwrap().len(), &page["HasMoreTags"]), (2, &json!(true)));
    let rest = json!({"StreamName": "s", "ExclusiveStartTagKey": "b"});
    let rest = house.ask("ListTagsForStream", rest).await.unwrap();
    assert_eq!((&rest["Tags"][0]["Key"], &rest["HasMoreTags"]), (&json!("c"), &json!(false)));
    house.ask("RemoveTagsFromStream", json!({"StreamName": "s", "TagKeys": ["a", "none"]})).await.unwrap();
    house.ask("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["b"]})).await.unwrap();
    let tags = house.ask("ListTagsForResource", json!({"ResourceARN": arn})).await.unwrap();
    assert_eq!(tags["Tags"], json!([{"Key": "c", "Value": "4"}]));

    let many =
        |from: usize| (from..from + 49).map(|i| (format!("t{i}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    house.ask("TagResource", json!({"ResourceARN": arn, "Tags": many(0)})).await.unwrap();
    house.ask("TagResource", json!({"ResourceARN": arn, "Tags": many(0)})).await.unwrap();
    let refused = house.refused("TagResource", json!({"ResourceARN": arn, "Tags": many(1)})).await;
    assert_eq!(refused.0, "InvalidArgumentException");
    assert!(refused.1.contains("a given stream cannot have more than 50 tags"), "{}", refused.1);
    let refused = house.refused("TagResource", json!({"ResourceARN": arn, "Tags": {"aws:x": "v"}})).await;
    assert_eq!(refused.0, "InvalidArgumentException");
    let refused =
        house.refused("CreateStream", json!({"StreamName": "t", "ShardCount": 1, "Tags": {"aws:x": "v"}})).await;
    assert_eq!(refused.0, "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn the_table_serves_what_is_promised() {
    let house = house(Limits::Aws).await;
    let promised: Vec<_> =
        shapes::kinesis::SERVICE.operations.iter().filter(|o| o.model.is_some()).map(|o| o.name).collect();
    assert_eq!(house.streams.service().served(), promised);
    let later = shapes::kinesis::SERVICE.operations.iter().filter(|o| o.model.is_none()).map(|o| o.name);
    let families = ["Queue", "Channel", "RecordDistributionStrategy"];
    let others: Vec<_> = later.filter(|name| !families.iter().any(|family| name.contains(family))).collect();
    assert_eq!(others, [""; 0], "only queues and channels on streams come later");
}

#[tokio::test(start_paused = true)]
async fn five_streams_may_be_in_the_making() {
    let house = slow_house(Duration::from_secs(10)).await;
    let create = |i: usize| json!({"StreamName": format!("s{i}"), "ShardCount": 1});
    for i in 0..5 {
        house.ask("CreateStream", create(i)).await.unwrap();
    }
    house.wait(Duration::from_secs(1)).await;
    let (name, message) = house.refused("CreateStream", create(5)).await;
    assert_eq!(name, "LimitExceededException");
    assert!(message.contains("more than 5 streams in CREATING status"), "{message}");
    house.wait(Duration::from_secs(60)).await;
    house.ask("CreateStream", create(5)).await.unwrap();
}

/// What the table says of operations that share nothing else.
#[tokio::test(start_paused = true)]
async fn a_rate_goes_by_the_account_or_by_the_stream() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    house.create("t", 1).await;
    let arn = |name: &str| format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}");
    let (resource, stream) = (|name: &str| json!({"ResourceARN": arn(name)}), |name: &str| json!({"StreamName": name}));
    let with = |mut input: Value, more: Value| {
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    type Input<'a> = Box<dyn Fn(&str) -> Value + 'a>;
    let calls: [(&str, bool, Input<'_>); 7] = [
        ("GetResourcePolicy", true, Box::new(resource)),
        ("DeleteResourcePolicy", true, Box::new(resource)),
        ("PutResourcePolicy", true, Box::new(|name| with(resource(name), json!({"Policy": "{}"})))),
        ("ListTagsForStream", false, Box::new(stream)),
        ("RemoveTagsFromStream", false, Box::new(|name| with(stream(name), json!({"TagKeys": ["a"]})))),
        (
            "SplitShard",
            false,
            Box::new(|name| with(stream(name), json!({"ShardToSplit": "x", "NewStartingHashKey": "0"}))),
        ),
        (
            "MergeShards",
            false,
            Box::new(|name| with(stream(name), json!({"ShardToMerge": "x", "AdjacentShardToMerge": "y"}))),
        ),
    ];
    for (operation, per_account, input) in &calls {
        let mut limited = 0;
        for name in ["s", "s", "s", "s", "s", "s", "t"] {
            let answer = house.ask(operation, input(name)).await;
            limited += usize::from(answer.is_err_and(|error| error.model.name == "LimitExceededException"));
        }
        assert_eq!(limited, 1 + usize::from(*per_account), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_have_rates_per_account_or_stream() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    house.create("t", 1).await;
    house.wait(Duration::from_secs(2)).await;
    let describe = |name: &str| json!({ "StreamName": name });
    for turn in 0..10 {
        let name = if turn % 2 == 0 { "s" } else { "t" };
        house.ask("DescribeStream", describe(name)).await.unwrap();
    }
    let (name, message) = house.refused("DescribeStream", describe("s")).await;
    assert_eq!(
        (name, message.as_str()),
        ("LimitExceededException", "Rate exceeded for stream s under account 000000000000.")
    );
    house.ask("DescribeStreamSummary", describe("s")).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    house.ask("DescribeStream", describe("s")).await.unwrap();
    let list = |name: &str| json!({"StreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}")});
    for _ in 0..5 {
        house.ask("ListStreamConsumers", list("s")).await.unwrap();
    }
    assert_eq!(house.refused("ListStreamConsumers", list("s")).await.0, "LimitExceededException");
    house.ask("ListStreamConsumers", list("t")).await.unwrap();
    let longer = |name: &str| json!({"StreamName": name, "RetentionPeriodHours": 48});
    for _ in 0..5 {
        house.ask("IncreaseStreamRetentionPeriod", longer("s")).await.unwrap();
    }
    assert_eq!(house.refused("IncreaseStreamRetentionPeriod", longer("s")).await.0, "LimitExceededException");
    house.ask("IncreaseStreamRetentionPeriod", longer("t")).await.unwrap();
    let lift = json!({"StreamName": "s", "Tags": {"headwater:limits": "off"}});
    house.ask("AddTagsToStream", lift).await.unwrap();
    for _ in 0..30 {
        house.ask("DescribeStream", describe("s")).await.unwrap();
    }
}
