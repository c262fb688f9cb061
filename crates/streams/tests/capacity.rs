//! Modes, on-demand scaling, warm throughput, account settings, monitoring per shard, resource policies, record sizes.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use streams::Limits;
use support::{GHOST, House, house};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

async fn summary(house: &House) -> Value {
    let answer = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    answer["StreamDescriptionSummary"].clone()
}

async fn open_shards(house: &House) -> u64 {
    summary(house).await["OpenShardCount"].as_u64().unwrap()
}

async fn create_on_demand(house: &House) {
    let input = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    house.ask("CreateStream", input).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    assert_eq!(open_shards(house).await, 4);
}

async fn switch(house: &House, mode: &str) {
    let input = json!({"StreamARN": ARN, "StreamModeDetails": {"StreamMode": mode}});
    house.ask("UpdateStreamMode", input).await.unwrap();
    assert_eq!(summary(house).await["StreamStatus"], "UPDATING");
    house.wait(Duration::from_millis(100)).await;
    let now = summary(house).await;
    assert_eq!((&now["StreamStatus"], &now["StreamModeDetails"]["StreamMode"]), (&json!("ACTIVE"), &json!(mode)));
}

/// So many calls of 500 small records every second.
async fn load(house: &House, calls_per_second: u32, seconds: u32) {
    for second in 0..seconds {
        for call in 0..calls_per_second {
            let key = |i: u32| format!("{second}-{call}-{i}");
            let records: Vec<_> = (0..500).map(|i| json!({"PartitionKey": key(i), "Data": "AAAA"})).collect();
            house.ask("PutRecords", json!({"StreamName": "s", "Records": records})).await.unwrap();
        }
        house.wait(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_on_demand_stream_grows_with_what_it_takes_and_shrinks_a_month_later() {
    let house = house(Limits::Off).await;
    create_on_demand(&house).await;
    load(&house, 3, 32).await;
    assert_eq!(open_shards(&house).await, 4, "1500 records a second are what four shards are ready to double");
    load(&house, 8, 32).await;
    let grown = open_shards(&house).await;
    assert!((8..=9).contains(&grown), "ready for double 4000 records a second: {grown}");
    let house = house.restart().await;
    house.wait(Duration::from_secs(29 * 86_400)).await;
    assert_eq!(open_shards(&house).await, grown, "the peak counts for thirty days");
    house.wait(Duration::from_secs(2 * 86_400)).await;
    let shrunk = open_shards(&house).await;
    assert!((4..=5).contains(&shrunk), "{shrunk}");
    for (operation, more) in [
        ("UpdateShardCount", json!({"TargetShardCount": 8, "ScalingType": "UNIFORM_SCALING"})),
        ("SplitShard", json!({"ShardToSplit": "0", "NewStartingHashKey": "5"})),
        ("MergeShards", json!({"ShardToMerge": "0", "AdjacentShardToMerge": "1"})),
    ] {
        let mut input = json!({"StreamName": "s"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = "Request is invalid. Stream s under account 000000000000 is in On-Demand mode.";
        assert_eq!(house.refused(operation, input).await, ("ValidationException", message.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_shards_when_its_mode_changes() {
    let house = house(Limits::Aws).await;
    house.create("s", 9).await;
    switch(&house, "ON_DEMAND").await;
    house.wait(Duration::from_secs(29 * 86_400)).await;
    assert_eq!(open_shards(&house).await, 9);
    house.wait(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(open_shards(&house).await, 5, "what was never needed goes");
    switch(&house, "PROVISIONED").await;
    let input = json!({"StreamName": "s", "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"});
    house.ask("UpdateShardCount", input).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(open_shards(&house).await, 3);
    switch(&house, "ON_DEMAND").await;
    let third = json!({"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "PROVISIONED"}});
    assert_eq!(house.refused("UpdateStreamMode", third).await.0, "LimitExceededException", "twice a day");
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(open_shards(&house).await, 4, "on demand, four are the least");
}

#[tokio::test(start_paused = true)]
async fn warm_throughput_is_for_accounts_that_commit_themselves() {
    let house = house(Limits::Aws).await;
    create_on_demand(&house).await;
    let settings = async |status: Option<&str>| {
        let answer = match status {
            None => house.ask("DescribeAccountSettings", json!({})).await,
            Some(status) => {
                let input = json!({"MinimumThroughputBillingCommitment": {"Status": status}});
                house.ask("UpdateAccountSettings", input).await
            }
        };
        answer.unwrap()["MinimumThroughputBillingCommitment"].clone()
    };
    assert_eq!(settings(None).await, json!({"Status": "DISABLED"}));
    let warm = |mibps: u32| json!({"StreamName": "s", "WarmThroughputMiBps": mibps});
    assert_eq!(house.refused("UpdateStreamWarmThroughput", warm(9)).await.0, "InvalidArgumentException");
    let enabled = settings(Some("ENABLED")).await;
    assert_eq!(enabled["Status"], "ENABLED");
    assert_eq!(enabled["EarliestAllowedEndAt"].as_f64().unwrap() - enabled["StartedAt"].as_f64().unwrap(), 86_400.0);

    let answer = house.ask("UpdateStreamWarmThroughput", warm(9)).await.unwrap();
    let throughput = json!({"TargetMiBps": 9, "CurrentMiBps": 4});
    assert_eq!(answer, json!({"StreamARN": ARN, "StreamName": "s", "WarmThroughput": throughput}));
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(summary(&house).await["WarmThroughput"], json!({"TargetMiBps": 9, "CurrentMiBps": 9}));
    assert_eq!(open_shards(&house).await, 9);
    house.ask("UpdateStreamWarmThroughput", warm(2)).await.unwrap();
    house.wait(Duration::from_secs(60)).await;
    assert_eq!(open_shards(&house).await, 4, "to ask for less sets the rest free");
    assert_eq!(house.refused("UpdateStreamWarmThroughput", warm(10_241)).await.0, "LimitExceededException");

    let input = json!({
        "StreamName": "t", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 6,
    });
    house.ask("CreateStream", input).await.unwrap();
    house.wait(Duration::from_secs(60)).await;
    let t = house.ask("DescribeStreamSummary", json!({"StreamName": "t"})).await.unwrap();
    assert_eq!(t["StreamDescriptionSummary"]["OpenShardCount"], 6);

    assert_eq!(settings(Some("DISABLED")).await["Status"], "ENABLED_UNTIL_EARLIEST_ALLOWED_END");
    assert_eq!(settings(Some("ENABLED")).await["Status"], "ENABLED", "taken back before it ended");
    settings(Some("DISABLED")).await;
    house.wait(Duration::from_secs(86_400)).await;
    let ended = settings(None).await;
    assert_eq!((&ended["Status"], ended.get("EndedAt").is_some()), (&json!("DISABLED"), true));
    assert_eq!(house.refused("UpdateStreamWarmThroughput", warm(9)).await.0, "InvalidArgumentException");
    assert!(summary(&house).await.get("WarmThroughput").is_none());
}

#[tokio::test(start_paused = true)]
async fn metrics_per_shard_are_switched_on_and_off() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let ask = |metrics: Value| json!({"StreamName": "s", "ShardLevelMetrics": metrics});
    let answer = house.ask("EnableEnhancedMonitoring", ask(json!(["IncomingBytes", "OutgoingBytes"]))).await.unwrap();
    assert_eq!(answer["CurrentShardLevelMetrics"], json!([]));
    assert_eq!(answer["DesiredShardLevelMetrics"], json!(["IncomingBytes", "OutgoingBytes"]));
    assert_eq!((&answer["StreamName"], &answer["StreamARN"]), (&json!("s"), &json!(ARN)));
    let answer = house.ask("EnableEnhancedMonitoring", ask(json!(["ALL"]))).await.unwrap();
    assert_eq!(answer["CurrentShardLevelMetrics"], json!(["IncomingBytes", "OutgoingBytes"]));
    assert_eq!(answer["DesiredShardLevelMetrics"].as_array().unwrap().len(), 7);
    let answer = house.ask("DisableEnhancedMonitoring", ask(json!(["IncomingBytes"]))).await.unwrap();
    assert_eq!(answer["DesiredShardLevelMetrics"].as_array().unwrap().len(), 6);
    let house = house.restart().await;
    let shown = summary(&house).await["EnhancedMonitoring"][0]["ShardLevelMetrics"].clone();
    assert_eq!(shown, answer["DesiredShardLevelMetrics"]);
    let answer = house.ask("DisableEnhancedMonitoring", ask(json!(["ALL"]))).await.unwrap();
    assert_eq!(answer["DesiredShardLevelMetrics"], json!([]));
    assert_eq!(house.refused("EnableEnhancedMonitoring", ask(json!(["Nothing"]))).await.0, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn a_resource_policy_is_checked_and_kept() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let named = json!({"ResourceARN": ARN});
    assert_eq!(house.refused("GetResourcePolicy", named.clone()).await.0, "ResourceNotFoundException");
    assert_eq!(house.refused("DeleteResourcePolicy", named.clone()).await.0, "ResourceNotFoundException");
    let statement = json!({
        "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kinesis:PutRecord", "Resource": ARN,
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    house.ask("PutResourcePolicy", json!({"ResourceARN": ARN, "Policy": policy})).await.unwrap();
    assert_eq!(house.ask("GetResourcePolicy", named.clone()).await.unwrap(), json!({"Policy": policy}));
    let ghost = policy.replace("111122223333", GHOST);
    for bad in ["{", "{}", &ghost] {
        let input = json!({"ResourceARN": ARN, "Policy": bad});
        assert_eq!(house.refused("PutResourcePolicy", input).await.0, "InvalidArgumentException");
    }
    for other in [ARN.replace("/s", "/t"), format!("{ARN}/consumer/c:1")] {
        let input = json!({"ResourceARN": other, "Policy": policy});
        assert_eq!(house.refused("PutResourcePolicy", input).await.0, "ResourceNotFoundException");
    }
    let house = house.restart().await;
    assert_eq!(house.ask("GetResourcePolicy", named.clone()).await.unwrap(), json!({"Policy": policy}));
    house.ask("DeleteResourcePolicy", named.clone()).await.unwrap();
    assert_eq!(house.refused("GetResourcePolicy", named).await.0, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn the_greatest_record_can_be_changed() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let large = vec![0; 3 << 20];
    assert_eq!(house.put("s", "k", &large).await.unwrap_err().model.name, "ValidationException");
    let size = |kib: u32| json!({"StreamARN": ARN, "MaxRecordSizeInKiB": kib});
    for bad in [1023, 10_241] {
        assert_eq!(house.refused("UpdateMaxRecordSize", size(bad)).await.0, "ValidationException");
    }
    house.ask("UpdateMaxRecordSize", size(4096)).await.unwrap();
    house.put("s", "k", &large).await.unwrap();
    assert_eq!(summary(&house).await["MaxRecordSizeInKiB"], 4096);
    let data = support::base64(&large);
    let record = json!({"PartitionKey": "k", "Data": data});
    let records = json!({"StreamName": "s", "Records": [record, record, record]});
    house.ask("PutRecords", records).await.unwrap();
    let too_much = json!({"StreamName": "s", "Records": [record, record, record, record]});
    assert_eq!(
        house.refused("PutRecords", too_much).await,
        ("InvalidArgumentException", "Records size exceeds 10 MB limit".to_owned())
    );
    house.ask("UpdateMaxRecordSize", size(1024)).await.unwrap();
    assert_eq!(house.put("s", "k", &large).await.unwrap_err().model.name, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn a_streams_tag_lifts_its_limits_and_sets_them_again() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let tag = |value: &str| json!({"StreamName": "s", "Tags": {"headwater:limits": value}});
    let exceeded = || async {
        let mut exceeded = 0;
        for _ in 0..4 {
            exceeded += i32::from(house.put("s", "k", &[7; 900_000]).await.is_err());
        }
        exceeded
    };
    assert_eq!(exceeded().await, 3);
    house.ask("AddTagsToStream", tag("off")).await.unwrap();
    assert_eq!(exceeded().await, 0);
    house.ask("AddTagsToStream", tag("aws")).await.unwrap();
    assert_eq!(exceeded().await, 3);
    assert_eq!(house.refused("AddTagsToStream", tag("some")).await.0, "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn shards_have_metrics_of_their_own_where_they_are_switched_on() {
    let house = house(Limits::Aws).await;
    house.create("s", 1).await;
    let metrics = || {
        let of = |name: &str| {
            let all = house.world.meter.samples();
            let found =
                all.iter().find(|(signal, values, _)| signal.name == name && values.len() == 2 && values[0] == "s");
            found.map(|(_, values, sample)| (values[1].clone(), sample.sum))
        };
        ["IncomingRecords", "IncomingBytes", "OutgoingRecords", "OutgoingBytes", "WriteProvisionedThroughputExceeded"]
            .map(of)
    };
    house.put("s", "k", b"x").await.unwrap();
    assert_eq!(metrics(), [const { None }; 5]);
    let on = json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]});
    house.ask("EnableEnhancedMonitoring", on).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    house.put("s", "k", b"123").await.unwrap();
    house.put("s", "k", &[7; 1_000_000]).await.unwrap();
    house.put("s", "k", &[7; 1_000_000]).await.unwrap_err();
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    house.get(&iterator).await.unwrap();
    let shard = |sum| Some(("shardId-000000000000".to_owned(), sum));
    assert_eq!(metrics(), [shard(2), shard(1_000_005), shard(3), shard(1_000_007), shard(1)]);
    house.wait(Duration::from_secs(2)).await;
    let one = json!({"ShardIterator": iterator, "Limit": 1});
    for _ in 0..5 {
        house.ask("GetRecords", one.clone()).await.unwrap();
    }
    house.ask("GetRecords", one).await.unwrap_err();
    let reading = ["ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds"].map(|name| {
        let samples = house.world.meter.samples();
        let found = samples.iter().find(|(signal, of, _)| signal.name == name && of.len() == 2 && of[0] == "s");
        found.map(|(.., sample)| sample.sum)
    });
    assert_eq!(reading, [Some(1), Some(5 * 2100)], "the oldest record is there since before the switch");
}
