//! Encryption at rest: what is put before, during and after stays readable, and what is on the disk is not.

#![allow(clippy::unwrap_used)] // a test that panics has failed

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use streams::Limits;
use support::{House, house, house_with_key};
use world::Disk;

const KEY: &str = "alias/aws/kinesis";

/// Whether some file of the journal holds these bytes.
fn is_on_disk(house: &House, bytes: &[u8]) -> bool {
    let dir = Path::new("/data/journal");
    let files = house.disk.list(dir).unwrap();
    let holds = |name: &str| house.disk.read(&dir.join(name)).unwrap().windows(bytes.len()).any(|w| w == bytes);
    files.iter().any(|file| holds(&file.name))
}

async fn described(house: &House, name: &str) -> Value {
    house.ask("DescribeStream", json!({"StreamName": name})).await.unwrap()["StreamDescription"].clone()
}

async fn settled(house: &House, operation: &str, name: &str) {
    let input = json!({"StreamName": name, "EncryptionType": "KMS", "KeyId": KEY});
    house.ask(operation, input).await.unwrap();
    assert_eq!(described(house, name).await["StreamStatus"], "UPDATING");
    house.wait(Duration::from_millis(100)).await;
    assert_eq!(described(house, name).await["StreamStatus"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn records_are_sealed_while_it_is_on_and_readable_whenever_they_were_put() {
    let house = house_with_key(Limits::Off, 1).await;
    house.create("s", 1).await;
    let plain = house.put("s", "k1", b"in the open").await.unwrap();
    assert_eq!(plain.get("EncryptionType"), None);
    settled(&house, "StartStreamEncryption", "s").await;
    let description = described(&house, "s").await;
    assert_eq!((&description["EncryptionType"], &description["KeyId"]), (&json!("KMS"), &json!(KEY)));
    let summary = house.ask("DescribeStreamSummary", json!({"StreamName": "s"})).await.unwrap();
    assert_eq!(summary["StreamDescriptionSummary"]["EncryptionType"], "KMS");
    assert_eq!(house.put("s", "secret key", b"most secret").await.unwrap()["EncryptionType"], "KMS");
    let records = json!([{"PartitionKey": "a", "Data": support::base64(b"more secret")}]);
    let many = house.ask("PutRecords", json!({"StreamName": "s", "Records": records})).await.unwrap();
    assert_eq!(many["EncryptionType"], "KMS");
    // Started again, it goes on under another data key.
    settled(&house, "StartStreamEncryption", "s").await;
    house.put("s", "k4", b"even more").await.unwrap();
    settled(&house, "StopStreamEncryption", "s").await;
    assert_eq!(described(&house, "s").await["EncryptionType"], "NONE");
    assert_eq!(house.put("s", "k5", b"open again").await.unwrap().get("EncryptionType"), None);

    let read = async |house: &House| {
        let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
        let answer = house.get(&iterator).await.unwrap();
        let records = answer["Records"].as_array().unwrap().clone();
        let show = |r: &Value| (support::from_base64(&r["Data"]), r.get("EncryptionType").is_some());
        records.iter().map(show).collect::<Vec<_>>()
    };
    let expected: Vec<(Vec<u8>, bool)> = vec![
        (b"in the open".to_vec(), false),
        (b"most secret".to_vec(), true),
        (b"more secret".to_vec(), true),
        (b"even more".to_vec(), true),
        (b"open again".to_vec(), false),
    ];
    assert_eq!(read(&house).await, expected);
    assert!(is_on_disk(&house, b"in the open") && is_on_disk(&house, b"open again"));
    for hidden in [&b"most secret"[..], b"secret key", b"more secret", b"even more"] {
        assert!(!is_on_disk(&house, hidden), "{}", String::from_utf8_lossy(hidden));
    }
    let house = house.crash().await;
    assert_eq!(read(&house).await, expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_master_key_it_is_refused_and_says_what_to_do() {
    let house = house(Limits::Off).await;
    house.create("s", 1).await;
    let input = |key: &str, kind: &str| json!({"StreamName": "s", "EncryptionType": kind, "KeyId": key});
    let (name, message) = house.refused("StartStreamEncryption", input(KEY, "KMS")).await;
    assert_eq!(name, "KMSNotFoundException");
    assert!(message.contains("master_key_file"), "{message}");
    assert_eq!(house.refused("StartStreamEncryption", input("nonsense", "KMS")).await.0, "InvalidArgumentException");
    assert_eq!(house.refused("StartStreamEncryption", input(KEY, "NONE")).await.0, "InvalidArgumentException");
    assert_eq!(house.refused("StopStreamEncryption", input(KEY, "KMS")).await.0, "InvalidArgumentException");
    house.put("s", "k", b"still works").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_stream_is_refused() {
    let house = house_with_key(Limits::Off, 1).await;
    let input = |key: &str| json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": key});
    assert_eq!(house.refused("StartStreamEncryption", input(KEY)).await.0, "ResourceNotFoundException");
    house.create("s", 1).await;
    house.ask("StartStreamEncryption", input(KEY)).await.unwrap();
    assert_eq!(house.refused("StartStreamEncryption", input(KEY)).await.0, "ResourceInUseException");
    assert_eq!(house.refused("StopStreamEncryption", input(KEY)).await.0, "ResourceInUseException");
    house.wait(Duration::from_millis(100)).await;
    assert_eq!(house.refused("StopStreamEncryption", input("alias/other")).await.0, "InvalidArgumentException");
    for _ in 1..25 {
        house.ask("StartStreamEncryption", input(KEY)).await.unwrap();
        house.wait(Duration::from_millis(100)).await;
    }
    assert_eq!(house.refused("StartStreamEncryption", input(KEY)).await.0, "LimitExceededException");
    house.wait(Duration::from_secs(24 * 3600)).await;
    house.ask("StartStreamEncryption", input(KEY)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_stream_takes_its_keys_along_and_another_of_its_name_gets_new_ones() {
    let house = house_with_key(Limits::Off, 1).await;
    house.create("s", 1).await;
    settled(&house, "StartStreamEncryption", "s").await;
    house.put("s", "k", b"old").await.unwrap();
    house.ask("DeleteStream", json!({"StreamName": "s"})).await.unwrap();
    house.wait(Duration::from_millis(100)).await;
    house.create("s", 1).await;
    assert_eq!(described(&house, "s").await["EncryptionType"], "NONE");
    settled(&house, "StartStreamEncryption", "s").await;
    house.put("s", "k", b"new").await.unwrap();
    let house = house.restart().await;
    let iterator = house.iterator("s", 0, "TRIM_HORIZON", json!({})).await;
    assert_eq!(house.payloads(&iterator).await, [b"new"]);
}

#[tokio::test(start_paused = true)]
async fn shards_that_are_split_go_on_encrypted() {
    let house = house_with_key(Limits::Off, 1).await;
    house.create("s", 1).await;
    settled(&house, "StartStreamEncryption", "s").await;
    house.put("s", "k", b"in the parent").await.unwrap();
    let scale = json!({"StreamName": "s", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"});
    house.ask("UpdateShardCount", scale).await.unwrap();
    house.wait(Duration::from_millis(200)).await;
    assert_eq!(house.put("s", "k", b"in the child").await.unwrap()["EncryptionType"], "KMS");
    assert!(!is_on_disk(&house, b"in the child") && !is_on_disk(&house, b"in the parent"));
}
