//! Encrypted batches: what is on the disk, what a reader gets, and what happens to the keys.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use std::path::Path;
use std::sync::Arc;
use store::{
    Batch, Durability, KeyId, LogId, MasterKey, MasterKeys, OpenError, ReadLimit, Store, StoreError, StoreOptions,
    Writer,
};
use world::disk::{Open, SimDisk};
use world::{Disk, World};

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
const JOURNAL: &str = "/data/journal";

fn master(current: u8, previous: Option<u8>) -> Option<MasterKeys> {
    let key = |secret: u8| MasterKey::new(&[secret; 32]);
    Some(MasterKeys { current: key(current), previous: previous.map(key) })
}

async fn try_open(world: &World, masters: Option<MasterKeys>) -> Result<Store, OpenError> {
    let options = StoreOptions { segment_bytes: 64 << 10, durability: Durability::Fsync, writer: Writer::Inline };
    Store::open_with_keys(world, Path::new("/data"), options, masters).await
}

async fn open(world: &World, masters: Option<MasterKeys>) -> Store {
    try_open(world, masters).await.unwrap()
}

fn batch(log: LogId, key: Option<KeyId>, records: &[&[u8]]) -> Batch {
    let mut batch = Batch::new(log);
    if let Some(key) = key {
        batch.seal_under(key);
    }
    records.iter().for_each(|record| batch.push(record));
    batch
}

fn is_on_disk(disk: &SimDisk, bytes: &[u8]) -> bool {
    disk.list(Path::new(JOURNAL)).unwrap().iter().any(|file| {
        disk.read(&Path::new(JOURNAL).join(&file.name)).unwrap().windows(bytes.len()).any(|found| found == bytes)
    })
}

fn read(store: &Store, log: LogId) -> Vec<(Vec<u8>, bool)> {
    let records = store.read(log, 0, ALL).unwrap();
    assert!(records.iter().enumerate().all(|(i, record)| record.index == records[0].index + i as u64));
    records.into_iter().map(|record| (record.data.to_vec(), record.sealed)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_sealed_batch_of_several_logs_is_read_by_each() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, master(1, None)).await;
    let (a, b) = (store.log("a").await.unwrap(), store.log("b").await.unwrap());
    let key = store.make_key("a").await.unwrap();
    let mut several = batch(a, Some(key), &[b"hidden one"]);
    several.turn_to(b);
    several.turn_to(a);
    several.push(b"hidden two");
    several.turn_to(b);
    several.push(b"hidden three");
    let appended = store.append(vec![several]).await.unwrap();
    assert_eq!(appended.iter().map(|place| place.first).collect::<Vec<_>>(), [0, 0, 1, 0]);
    assert_eq!(read(&store, a), [(b"hidden one".to_vec(), true), (b"hidden two".to_vec(), true)]);
    assert_eq!(read(&store, b), [(b"hidden three".to_vec(), true)]);
    assert!(!is_on_disk(&disk, b"hidden"));
}

#[tokio::test(start_paused = true)]
async fn plain_and_sealed_batches_of_one_group_are_read_in_order() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, master(1, None)).await;
    let log = store.log("a").await.unwrap();
    let (first, second) = (store.make_key("a").await.unwrap(), store.make_key("a").await.unwrap());
    let big = vec![b'B'; 300_000];
    let batches = vec![
        batch(log, None, &[b"plain one"]),
        batch(log, Some(first), &[b"hidden one", b""]),
        batch(log, Some(second), &[b"hidden two"]),
        batch(log, Some(first), &[b"hidden three", &big, b"hidden four"]),
        batch(log, None, &[b"plain two"]),
    ];
    assert_eq!(store.append(batches).await.unwrap().iter().map(|a| a.first).collect::<Vec<_>>(), [0, 1, 3, 4, 7]);
    let expected: Vec<(Vec<u8>, bool)> = [
        (&b"plain one"[..], false),
        (b"hidden one", true),
        (b"", true),
        (b"hidden two", true),
        (b"hidden three", true),
        (&big, true),
        (b"hidden four", true),
        (b"plain two", false),
    ]
    .map(|(data, sealed)| (data.to_vec(), sealed))
    .into();
    assert_eq!(read(&store, log), expected);
    assert_eq!(store.read(log, 6, ALL).unwrap()[0].data, "hidden four");
    assert!(is_on_disk(&disk, b"plain one") && !is_on_disk(&disk, b"hidden") && !is_on_disk(&disk, &big[..64]));
    store.close().await;
    drop(store);
    assert_eq!(read(&open(&world, master(1, None)).await, log), expected);
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_are_never_the_same_on_disk_in_any_life() {
    let (world, disk) = World::simulated(1);
    let payload = [b'x'; 64];
    let store = open(&world, master(1, None)).await;
    let log = store.log("a").await.unwrap();
    let key = store.make_key("a").await.unwrap();
    store.append(vec![batch(log, Some(key), &[&payload]), batch(log, Some(key), &[&payload])]).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(&world, master(1, None)).await;
    store.append(vec![batch(log, Some(key), &[&payload])]).await.unwrap();
    assert_eq!(read(&store, log), vec![(payload.to_vec(), true); 3]);
    let bytes = disk.read(&Path::new(JOURNAL).join("0000000000000001.log")).unwrap();
    // Any 32 bytes of ciphertext occur once. Heads, tables and the unwritten rest have many small bytes.
    let is_cipher = |window: &&[u8]| window.iter().filter(|byte| **byte > 9).count() >= 27;
    let mut blocks: Vec<&[u8]> = bytes.windows(32).filter(is_cipher).collect();
    let all = blocks.len();
    blocks.sort_unstable();
    blocks.dedup();
    assert!(all > 120 && blocks.len() == all, "{} of {all} are different", blocks.len());
}

#[tokio::test(start_paused = true)]
async fn moved_blocks_stay_sealed() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, master(1, None)).await;
    let (kept, loud) = (store.log("kept").await.unwrap(), store.log("loud").await.unwrap());
    let key = store.make_key("kept").await.unwrap();
    store.append(vec![batch(kept, Some(key), &[b"hidden and wanted"])]).await.unwrap();
    for i in 0..60 {
        let at = store.append(vec![batch(loud, None, &[&[b'l'; 8000]])]).await.unwrap()[0].first;
        store.trim(loud, at).unwrap();
        assert!(i < 40 || store.usage().segments < 8);
    }
    store.append(vec![batch(loud, None, &[b"z"])]).await.unwrap();
    assert!(!disk.exists(&Path::new(JOURNAL).join("0000000000000001.log")), "the first segment was given up");
    assert_eq!(read(&store, kept), [(b"hidden and wanted".to_vec(), true)]);
    assert!(!is_on_disk(&disk, b"hidden and wanted"));
    store.close().await;
    drop(store);
    assert_eq!(read(&open(&world, master(1, None)).await, kept), [(b"hidden and wanted".to_vec(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_or_missing_master_key_refuses_to_start_and_changes_nothing() {
    let (world, _) = World::simulated(1);
    let store = open(&world, None).await;
    assert_eq!(store.make_key("a").await, Err(StoreError::NoMasterKey));
    store.close().await;
    drop(store);
    let store = open(&world, master(1, None)).await;
    let log = store.log("a").await.unwrap();
    let key = store.make_key("a").await.unwrap();
    store.append(vec![batch(log, Some(key), &[b"hidden"])]).await.unwrap();
    store.close().await;
    drop(store);
    assert!(matches!(try_open(&world, None).await, Err(OpenError::NoMasterKey)));
    assert!(matches!(try_open(&world, master(2, None)).await, Err(OpenError::WrongMasterKey)));
    assert!(matches!(try_open(&world, master(2, Some(3))).await, Err(OpenError::WrongMasterKey)));
    assert_eq!(read(&open(&world, master(1, None)).await, log), [(b"hidden".to_vec(), true)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_master_key_takes_over_and_the_old_one_is_no_longer_needed() {
    let (world, _) = World::simulated(1);
    let store = open(&world, master(1, None)).await;
    let log = store.log("a").await.unwrap();
    let key = store.make_key("a").await.unwrap();
    store.append(vec![batch(log, Some(key), &[b"hidden"])]).await.unwrap();
    store.close().await;
    drop(store);
    drop(open(&world, master(2, Some(1))).await);
    assert!(matches!(try_open(&world, master(1, None)).await, Err(OpenError::WrongMasterKey)));
    let store = open(&world, master(2, None)).await;
    assert_eq!(read(&store, log), [(b"hidden".to_vec(), true)]);
    assert_ne!(store.make_key("b").await.unwrap(), key);
}

#[tokio::test(start_paused = true)]
async fn dropped_keys_are_gone_for_good_and_their_numbers_too() {
    let (world, _) = World::simulated(1);
    let store = open(&world, master(1, None)).await;
    let log = store.log("a").await.unwrap();
    let (mine, other) = (store.make_key("a").await.unwrap(), store.make_key("b").await.unwrap());
    store.append(vec![batch(log, Some(mine), &[b"hidden"]), batch(log, Some(other), &[b"too"])]).await.unwrap();
    store.drop_keys("a").await.unwrap();
    assert!(matches!(store.read(log, 0, ALL), Err(StoreError::Corrupt { .. })));
    let other_sealed = store.read(log, 1, ALL);
    assert!(other_sealed.is_err(), "both pieces are in one block, which opens as a whole");
    assert_eq!(store.append(vec![batch(log, Some(mine), &[b"late"])]).await, Err(StoreError::NoKey(mine)));
    let mut last = other;
    for _ in 0..100 {
        last = store.make_key("c").await.unwrap();
        store.drop_keys("c").await.unwrap();
    }
    store.close().await;
    drop(store);
    drop(open(&world, master(1, None)).await);
    let store = open(&world, master(1, None)).await;
    assert!(store.extent(store.find_log("store/keys").unwrap()).first > 0, "what no longer counts is trimmed");
    assert!(store.make_key("d").await.unwrap() > last);
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_is_an_error_to_its_reader_and_never_bytes() {
    for sealed in [false, true] {
        let (world, disk) = World::simulated(1);
        let store = open(&world, master(1, None)).await;
        let log = store.log("a").await.unwrap();
        let key = store.make_key("a").await.unwrap();
        for i in 0..3u8 {
            store.append(vec![batch(log, sealed.then_some(key), &[&[i; 100]])]).await.unwrap();
        }
        let before = read(&store, log);
        let (file, len) = segment(&disk);
        let mut failures = 0;
        for at in 0..len {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_at(&[byte[0] ^ 4], at).unwrap();
            for from in 0..3 {
                match store.read(log, from, ReadLimit { records: 1, bytes: 1 }) {
                    Ok(records) => assert_eq!(records[0].data, before[from as usize].0),
                    Err(StoreError::Corrupt { .. }) => failures += 1,
                    Err(other) => panic!("byte {at}: {other}"),
                }
            }
            file.write_at(&byte, at).unwrap();
        }
        assert!(failures >= 300, "{failures}");
        assert_eq!(read(&store, log), before);
    }
}

/// The only segment, and how much of it may hold frames.
fn segment(disk: &Arc<SimDisk>) -> (Arc<dyn world::DiskFile>, u64) {
    let file = disk.open(&Path::new(JOURNAL).join("0000000000000001.log"), Open::Write).unwrap();
    (file, 2048)
}
