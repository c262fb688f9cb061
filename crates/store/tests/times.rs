//! Looking up a time finds what a walk over all records finds: across segments, moved blocks, trims, restarts, and a clock
//! that is set back.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use store::{Batch, Durability, LogId, ReadLimit, Store, StoreOptions, Timestamp, Writer};
use world::{Disk, SimClock, World};

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

#[derive(Clone, Debug)]
enum Step {
    /// So many records of so many bytes, in one append.
    Put(u8, u16),
    /// As many to another log, of which only the newest are kept.
    Loud(u8),
    /// The clock goes on, or back.
    Jump(i64),
    /// Gives up this part of the records, in tenths.
    Trim(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u8..5, 1u16..900).prop_map(|(n, len)| Step::Put(n, len)),
        6 => (1u8..12).prop_map(Step::Loud),
        5 => (-3000i64..9000).prop_map(Step::Jump),
        1 => (0u8..10).prop_map(Step::Trim),
        1 => Just(Step::Reopen),
    ]
}

async fn open(world: &World) -> Store {
    let options = StoreOptions { segment_bytes: 8192, durability: Durability::Fsync, writer: Writer::Inline };
    Store::open(world, Path::new("/data"), options).await.unwrap()
}

async fn put(store: &Store, log: LogId, count: u8, len: usize) {
    let mut batch = Batch::new(log);
    (0..count).for_each(|i| batch.push(&vec![i; len]));
    store.append(vec![batch]).await.unwrap();
}

fn check(store: &Store, log: LogId) {
    let records = store.read(log, 0, ALL).unwrap();
    assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].index + 1 == pair[1].index));
    let mut times: Vec<i64> = records.iter().flat_map(|r| [r.at.0 - 1, r.at.0, r.at.0 + 1]).collect();
    times.extend([i64::MIN, i64::MAX]);
    times.dedup();
    for time in times {
        let walked = records.iter().find(|r| r.at.0 >= time).map_or(store.extent(log).next, |r| r.index);
        assert_eq!(store.find_time(log, Timestamp(time)), walked, "at {time}");
    }
}

async fn run(steps: Vec<Step>) {
    let (mut world, _) = World::simulated(1);
    let clock = Arc::new(SimClock::new());
    world.clock = clock.clone();
    let mut store = open(&world).await;
    let (log, loud) = (store.log("a").await.unwrap(), store.log("loud").await.unwrap());
    for step in steps {
        match step {
            Step::Put(count, len) => put(&store, log, count, usize::from(len)).await,
            Step::Loud(count) => {
                put(&store, loud, count, 900).await;
                store.trim(loud, store.extent(loud).next.saturating_sub(2)).unwrap();
            }
            Step::Jump(by) => clock.jump(by),
            Step::Trim(tenths) => {
                let extent = store.extent(log);
                store.trim(log, extent.first + (extent.next - extent.first) * u64::from(tenths) / 10).unwrap();
            }
            Step::Reopen => {
                store.close().await;
                drop(store);
                store = open(&world).await;
            }
        }
    }
    check(&store, log);
    store.close().await;
    drop(store);
    check(&open(&world).await, log);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_look_up_finds_what_a_walk_finds(steps in proptest::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(steps));
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_is_looked_up_without_reading_a_record() {
    let (world, disk) = World::simulated(1);
    let store = open(&world).await;
    let log = store.log("a").await.unwrap();
    for i in 0..200u8 {
        put(&store, log, 1, 300).await;
        world.clock.sleep(std::time::Duration::from_secs(u64::from(i % 3))).await;
    }
    store.close().await;
    let store = open(&world).await;
    let records = store.read(log, 0, ALL).unwrap();
    let newest = store.usage().segments;
    assert!(newest > 5);
    for entry in disk.list(Path::new("/data/journal")).unwrap() {
        let path = Path::new("/data/journal").join(&entry.name);
        if entry.name.ends_with(".log") {
            (0..disk.read(&path).unwrap().len() as u64).for_each(|at| disk.spoil(&path, at));
        }
    }
    assert!(store.read(log, 0, ALL).is_err());
    for record in &records {
        let found = records.iter().find(|other| other.at == record.at).unwrap().index;
        assert_eq!(store.find_time(log, record.at), found);
    }
}
