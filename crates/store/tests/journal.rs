//! The journal through the store's API: damage, locks, full disks, moves, and the writer with a thread.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, Durability, LogId, OpenError, ReadLimit, Store, StoreError, StoreOptions, Timestamp, Writer};
use world::disk::{DiskFaults, SimDisk};
use world::{Clock, Disk, World};

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

fn options(segment_bytes: u64) -> StoreOptions {
    StoreOptions { segment_bytes, durability: Durability::Fsync, writer: Writer::Inline }
}

async fn open(world: &World, segment_bytes: u64) -> Store {
    Store::open(world, Path::new("/data"), options(segment_bytes)).await.unwrap()
}

fn batch(log: LogId, records: impl IntoIterator<Item = Vec<u8>>) -> Batch {
    let mut batch = Batch::new(log);
    records.into_iter().for_each(|record| batch.push(&record));
    batch
}

async fn put(store: &Store, log: LogId, record: &[u8]) -> Result<u64, StoreError> {
    Ok(store.append(vec![batch(log, [record.to_vec()])]).await?[0].first)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let entries = disk.list(Path::new("/data/journal")).unwrap();
    let names = entries.into_iter().map(|e| e.name).filter(|n| n.ends_with(".log") && !n.starts_with("spare"));
    names.map(|name| Path::new("/data/journal").join(name)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_second_opener_is_told_who_has_it() {
    let (world, _) = World::simulated(1);
    let store = open(&world, 8192).await;
    let Err(error) = Store::open(&world, Path::new("/data"), options(8192)).await else { panic!("opened twice") };
    assert!(matches!(&error, OpenError::Locked { dir } if dir == Path::new("/data")));
    store.close().await;
    assert_eq!(store.log("late").await, Err(StoreError::Closed));
    drop(open(&world, 8192).await);
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_read_hold_and_one_record_always_comes() {
    let (world, _) = World::simulated(1);
    let store = open(&world, 1 << 20).await;
    let log = store.log("a").await.unwrap();
    store.append(vec![batch(log, (0..10u8).map(|i| vec![i; 100]))]).await.unwrap();
    let read = |from, records, bytes| {
        let found = store.read(log, from, ReadLimit { records, bytes }).unwrap();
        let mut shown = Vec::new();
        let show = |store::Shown { index, at, data, sealed }: store::Shown<'_>| {
            shown.push(store::Record { index, at, data: data.to_vec().into(), sealed });
        };
        store.read_each(log, from, ReadLimit { records, bytes }, show).unwrap();
        assert_eq!(shown, found, "both ways of reading find the same");
        found.iter().map(|r| r.index).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 3, 10_000), [0, 1, 2]);
    assert_eq!(read(4, 30, 250), [4, 5]);
    assert_eq!(read(4, 30, 0), [4]);
    assert_eq!(read(9, 30, 10_000), [9]);
    assert!(read(10, 30, 10_000).is_empty() && read(u64::MAX, 1, 1).is_empty() && read(0, 0, 9).is_empty());
    let big = vec![7; 10 << 20];
    assert_eq!(put(&store, log, &big).await, Ok(10));
    assert_eq!(store.read(log, 10, ReadLimit { records: 1, bytes: 1 }).unwrap()[0].data, big);
    let Err(StoreError::TooLarge { .. }) = put(&store, log, &vec![0; 33 << 20]).await else { panic!("taken") };
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_several_logs_is_answered_for_each() {
    let (world, _) = World::simulated(1);
    let store = open(&world, 1 << 20).await;
    let (a, b, c) = (store.log("a").await.unwrap(), store.log("b").await.unwrap(), store.log("c").await.unwrap());
    put(&store, b, b"before").await.unwrap();
    let mut several = batch(a, [vec![1], vec![2]]);
    several.turn_to(b);
    several.push(&vec![3; 200_000]);
    several.push(&[4]);
    several.turn_to(c);
    several.turn_to(a);
    several.push(&[5]);
    let both = vec![several, batch(c, [vec![6]])];
    let appended = store.append(both).await.unwrap();
    assert_eq!(appended.iter().map(|place| place.first).collect::<Vec<_>>(), [0, 1, 0, 2, 0]);
    let check = |store: &Store| {
        let c = store.find_log("c").unwrap();
        let read = |log| store.read(log, 0, ALL).unwrap().into_iter().map(|r| r.data.to_vec()).collect::<Vec<_>>();
        assert_eq!(read(a), [vec![1], vec![2], vec![5]]);
        assert_eq!(read(b), [b"before".to_vec(), vec![3; 200_000], vec![4]]);
        assert_eq!(read(c), [vec![6]]);
    };
    check(&store);
    store.drop_log(c).await.unwrap();
    let mut lost = batch(a, [vec![7]]);
    lost.turn_to(c);
    lost.push(&[8]);
    assert_eq!(store.append(vec![lost]).await, Err(StoreError::NoLog(c)), "all of a call or none");
    assert_eq!(store.extent(a).next, 3);
    let c = store.log("c").await.unwrap();
    put(&store, c, &[6]).await.unwrap();
    store.close().await;
    check(&open(&world, 1 << 20).await);
}

#[tokio::test(start_paused = true)]
async fn watchers_see_the_next_index_and_the_end() {
    let (world, _) = World::simulated(1);
    let store = open(&world, 8192).await;
    let log = store.log("a").await.unwrap();
    let mut next = store.watch(log);
    assert_eq!(*next.borrow_and_update(), 0);
    store.append_lazy(vec![batch(log, [vec![1], vec![2]])]).await.unwrap();
    next.changed().await.unwrap();
    assert_eq!(*next.borrow_and_update(), 2);
    store.drop_log(log).await.unwrap();
    assert!(next.changed().await.is_err());
    assert_eq!(put(&store, log, b"x").await, Err(StoreError::NoLog(log)));
    assert_ne!(store.log("a").await.unwrap(), log, "numbers are not used again");
}

#[tokio::test(start_paused = true)]
async fn time_never_goes_back_within_a_log() {
    let (mut world, _) = World::simulated(1);
    let clock = Arc::new(world::SimClock::new());
    world.clock = clock.clone();
    let store = open(&world, 8192).await;
    let log = store.log("a").await.unwrap();
    put(&store, log, b"0").await.unwrap();
    let then = store.extent(log).last_at;
    clock.jump(-5_000_000);
    put(&store, log, b"1").await.unwrap();
    assert_eq!(store.extent(log).last_at, then);
    store.close().await;
    let store = open(&world, 8192).await;
    put(&store, log, b"2").await.unwrap();
    assert_eq!(store.extent(log).last_at, then);
    clock.jump(9_000_000);
    put(&store, log, b"3").await.unwrap();
    assert_eq!(store.find_time(log, then), 0);
    assert_eq!(store.find_time(log, then.plus(Duration::from_micros(1))), 3);
    assert_eq!(store.find_time(log, Timestamp(i64::MAX)), 4);
    assert_eq!(store.find_time(log, clock.now().plus(Duration::from_secs(1))), 4);
}

/// Fills several segments and closes.
async fn filled(world: &World) -> LogId {
    let store = open(world, 8192).await;
    let log = store.log("a").await.unwrap();
    for i in 0..60u8 {
        put(&store, log, &[i; 500]).await.unwrap();
        world.clock.sleep(Duration::from_secs(1)).await;
    }
    assert!(store.usage().segments > 3);
    store.close().await;
    log
}

#[tokio::test(start_paused = true)]
async fn damage_before_the_tail_refuses_to_start() {
    for (segment, offset) in [(None, 200), (None, 700), (None, 0)] {
        let (world, disk) = World::simulated(1);
        filled(&world).await;
        let path = segment.unwrap_or_else(|| segments(&disk).pop().unwrap());
        disk.corrupt(&path, offset);
        let Err(error) = Store::open(&world, Path::new("/data"), options(8192)).await else { panic!("opened") };
        let OpenError::Corrupt { file, .. } = &error else { panic!("{error}") };
        assert_eq!(*file, path);
        assert!(error.to_string().contains("backup"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn damage_in_an_older_segment_shows_where_it_is_read() {
    let (world, disk) = World::simulated(1);
    let log = filled(&world).await;
    disk.corrupt(&segments(&disk)[0], 900);
    let store = open(&world, 8192).await;
    let before = store.read(log, 0, ALL).unwrap();
    let damaged = before.len() as u64;
    assert!((1..40).contains(&damaged), "{damaged}");
    assert!(before.iter().enumerate().all(|(i, r)| r.index == i as u64 && *r.data == [i as u8; 500]));
    let outcome = store.read(log, damaged, ALL);
    assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{outcome:?}");
    let rest = store.read(log, damaged + 1, ALL).unwrap();
    assert_eq!(rest.len() as u64, 59 - damaged, "the rest is still there");
    let mut lost = None;
    assert_eq!(store.read_over(log, damaged, ALL, |indexes, why| lost = Some((indexes, why.clone()))), Ok(rest));
    assert_eq!(lost, Some((damaged..damaged + 1, outcome.unwrap_err())));
}

/// What a reader gets that steps over what it cannot read: the bytes by index, and what it stepped over.
fn stepping(store: &Store, log: LogId, limit: ReadLimit) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
    let (mut records, mut lost, mut from) = (Vec::new(), Vec::new(), 0);
    while from < store.extent(log).next {
        let mut shown = Vec::new();
        let each = store.read_each(log, from, limit, |one| shown.push((one.index, one.data.to_vec())));
        let plain = store.read(log, from, limit);
        let mut skipped = from..from;
        let read = store.read_over(log, from, limit, |indexes, _| skipped = indexes).unwrap();
        match plain {
            Ok(plain) => {
                assert_eq!((each, &skipped), (Ok(()), &(from..from)));
                assert_eq!(plain, read);
                assert_eq!(plain.iter().map(|r| (r.index, r.data.to_vec())).collect::<Vec<_>>(), shown);
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
                assert_eq!((each, shown.len()), (Err(error), 0));
                assert!(skipped.start == from && skipped.end > from, "{skipped:?}");
            }
        }
        from = read.last().map_or(skipped.end, |last| last.index + 1);
        lost.extend(skipped);
        records.extend(read.iter().map(|r| (r.index, r.data.to_vec())));
    }
    (records, lost)
}

#[tokio::test(start_paused = true)]
async fn what_is_before_damage_is_read_and_what_is_behind_it_found() {
    let damage = [(vec![0], 1), (vec![3], 7), (vec![3, 4, 7], 100), (vec![9], 100), (vec![0, 9], 3)];
    for (damaged, records) in &damage {
        let (world, disk) = World::simulated(1);
        let store = open(&world, 1 << 20).await;
        let log = store.log("a").await.unwrap();
        for i in 0..10u8 {
            store.append(vec![batch(log, [vec![b'a' + i; 100], vec![b'A' + i; 100]])]).await.unwrap();
        }
        let path = &segments(&disk)[0];
        let content = disk.read(path).unwrap();
        for i in damaged {
            let at = content.windows(100).position(|bytes| bytes == [b'A' + i; 100]).unwrap();
            disk.corrupt(path, at as u64);
        }
        let (read, lost) = stepping(&store, log, ReadLimit { records: *records, bytes: usize::MAX });
        let pairs = damaged.iter().flat_map(|i| [2 * u64::from(*i), 2 * u64::from(*i) + 1]);
        assert_eq!(lost, pairs.collect::<Vec<_>>(), "a block goes as a whole");
        let kept = (0..20u8).filter(|i| !damaged.contains(&(i / 2)));
        let letter = |i: u8| (u64::from(i), vec![[b'a', b'A'][usize::from(i % 2)] + i / 2; 100]);
        assert_eq!(read, kept.map(letter).collect::<Vec<_>>());
        put(&store, log, b"next").await.unwrap();
        assert_eq!(stepping(&store, log, ALL).0.last().unwrap().1, b"next");
    }
}

/// The list of blocks of a segment, which is first looked at when it is needed, is damaged.
fn damage_list(disk: &SimDisk, segment: &Path) {
    let index = segment.with_extension("idx");
    disk.corrupt(&index, disk.read(&index).unwrap().len() as u64 - 30);
}

#[tokio::test(start_paused = true)]
async fn of_a_segment_whose_list_is_made_anew_only_what_is_damaged_is_lost() {
    // A body's byte; and the group in its frame's head, before the head of 32 bytes and the table's one entry of 40.
    for before_body in [-100, 72 - 8] {
        let (world, disk) = World::simulated(1);
        let log = filled(&world).await;
        let path = &segments(&disk)[1];
        damage_list(&disk, path);
        let content = disk.read(path).unwrap();
        let body = |i: u8| content.windows(500).position(|bytes| bytes == [i; 500]);
        let held: Vec<u8> = (2..60).filter(|i| body(*i).is_some()).collect();
        let hit = held[2];
        disk.corrupt(path, (body(hit).unwrap() as i64 - before_body) as u64);
        let store = open(&world, 8192).await;
        let at = |index: u64| store.read(log, index, ReadLimit { records: 1, bytes: 1 }).unwrap()[0].at;
        for index in (0..60).filter(|i| *i != u64::from(hit)) {
            let found = store.find_time(log, at(index));
            assert!(found <= index, "nothing of a time is before it: {found} of {index}");
            let wanted = if index == u64::from(hit) + 1 && before_body > 0 { u64::from(hit) } else { index };
            assert_eq!(found, wanted, "and it stops only at what cannot be seen");
        }
        let (read, lost) = stepping(&store, log, ALL);
        assert_eq!(lost, [u64::from(hit)]);
        let kept = (0..60u8).filter(|i| *i != hit).map(|i| (u64::from(i), vec![i; 500]));
        assert_eq!(read, kept.collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_segment_is_not_emptied_past_the_damage() {
    let (world, disk) = World::simulated(1);
    let log = filled(&world).await;
    let path = &segments(&disk)[1];
    let content = disk.read(path).unwrap();
    let body = |i: u8| content.windows(500).position(|bytes| bytes == [i; 500]);
    let newest = (2..60).rev().find(|i| body(*i).is_some()).unwrap();
    damage_list(&disk, path);
    disk.corrupt(path, body(newest - 1).unwrap() as u64 - 72 + 8);
    let store = open(&world, 8192).await;
    store.trim(log, u64::from(newest) - 2).unwrap();
    for i in 60..120u8 {
        put(&store, log, &[i; 500]).await.unwrap();
    }
    for restart in [false, true] {
        let store = if restart {
            store.close().await;
            open(&world, 8192).await
        } else {
            store.clone()
        };
        let kept =
            |index| store.read(log, index, ReadLimit { records: 1, bytes: 1 }).map(|found| found[0].data.clone());
        assert_eq!(kept(u64::from(newest) - 2).unwrap(), vec![newest - 2; 500]);
        assert!(matches!(kept(u64::from(newest) - 1), Err(StoreError::Corrupt { .. })));
        let rest = store.read_over(log, u64::from(newest) - 1, ALL, |lost, _| assert_eq!(lost.end, u64::from(newest)));
        assert_eq!(rest.unwrap().len(), 120 - usize::from(newest));
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_gives_nothing_for_a_while_has_lost_nothing() {
    for (list_is_damaged, head_is_damaged) in [(false, false), (true, false), (false, true)] {
        let (world, disk) = World::simulated(1);
        let began = world.now();
        let log = filled(&world).await;
        let path = &segments(&disk)[1];
        let (content, index) = (disk.read(path).unwrap(), path.with_extension("idx"));
        let first = (2..60u8).find(|i| content.windows(500).any(|bytes| bytes == [*i; 500])).unwrap();
        if list_is_damaged {
            damage_list(&disk, path);
        }
        if head_is_damaged {
            // The checkpoint's, which no reader misses where there is a list.
            disk.corrupt(path, 8);
        }
        let store = open(&world, 8192).await;
        if !head_is_damaged {
            disk.spoil(path, 3000);
        }
        (0..disk.read(&index).unwrap().len() as u64).for_each(|at| disk.spoil(&index, at));
        let outcome = store.read(log, first.into(), ALL);
        assert!(matches!(outcome, Err(StoreError::Read { .. })), "{outcome:?}");
        let outcome = store.read_over(log, first.into(), ALL, |_, _| panic!("stepped over"));
        assert!(matches!(outcome, Err(StoreError::Read { .. })), "{outcome:?}");
        let end = store.find_time(log, began.plus(Duration::from_secs(u64::from(first) + 3)));
        assert!(end <= first.into(), "what is not seen is not passed: {end}");
        [path, &index].into_iter().for_each(|file| disk.heal(file));
        assert_eq!(store.read(log, 0, ALL).unwrap().len(), 60);
        assert_eq!(store.find_time(log, Timestamp(i64::MAX)), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_does_not_give_is_not_stepped_over() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, 1 << 20).await;
    let log = store.log("a").await.unwrap();
    for i in 0..10u8 {
        put(&store, log, &[i; 100]).await.unwrap();
    }
    let path = &segments(&disk)[0];
    let content = disk.read(path).unwrap();
    let place = |i: u8| content.windows(100).position(|bytes| bytes == [i; 100]).unwrap() as u64;
    disk.corrupt(path, place(3));
    disk.spoil(path, place(4));
    let mut lost = None;
    let outcome = store.read_over(log, 3, ALL, |indexes, _| lost = Some(indexes));
    assert!(matches!(outcome, Err(StoreError::Read { .. })), "{outcome:?}");
    assert_eq!(lost, Some(3..4), "but the damaged one before it is");
    let outcome = store.read_over(log, 4, ALL, |_, _| panic!("stepped over"));
    assert!(matches!(outcome, Err(StoreError::Read { .. })), "{outcome:?}");
    disk.heal(path);
    assert_eq!(store.read_over(log, 3, ALL, |_, _| {}).unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_missing_segment_refuses_to_start() {
    let (world, disk) = World::simulated(1);
    filled(&world).await;
    disk.remove(&segments(&disk)[1]).unwrap();
    let outcome = Store::open(&world, Path::new("/data"), options(8192)).await;
    assert!(matches!(outcome, Err(OpenError::Corrupt { .. })));
}

#[tokio::test(start_paused = true)]
async fn index_files_are_rebuilt_where_they_are_missing_or_damaged() {
    for damage in 0..3u64 {
        let (world, disk) = World::simulated(1);
        let log = filled(&world).await;
        for path in segments(&disk) {
            let index = path.with_extension("idx");
            match disk.exists(&index).then_some(damage) {
                Some(0) => disk.remove(&index).unwrap(),
                Some(1) => disk.corrupt(&index, 20),
                // In the list of blocks: found when it is first needed.
                Some(_) => disk.corrupt(&index, disk.read(&index).unwrap().len() as u64 - 30),
                None => {}
            }
        }
        let store = open(&world, 8192).await;
        let records = store.read(log, 0, ALL).unwrap();
        assert_eq!(records.len(), 60);
        assert!(records.iter().enumerate().all(|(i, r)| r.index == i as u64 && *r.data == [i as u8; 500]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_nothing_keeps_all_and_goes_on_once_there_is_room() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, 8192).await;
    let (log, other) = (store.log("a").await.unwrap(), store.log("b").await.unwrap());
    for i in 0..40u8 {
        put(&store, if i < 20 { other } else { log }, &[i; 500]).await.unwrap();
    }
    disk.set_faults(DiskFaults { capacity: disk.used(), ..DiskFaults::default() });
    let mut taken = 40u8;
    let refusal = loop {
        match put(&store, log, &[taken; 500]).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, StoreError::Full);
    assert_eq!(store.read(log, 0, ALL).unwrap().len() as u8, taken - 20);
    // What makes room works on a full disk, and is enough to go on.
    store.drop_log(other).await.unwrap();
    let _ = put(&store, log, &[0; 10]).await;
    put(&store, log, &[taken; 500]).await.unwrap();
    store.close().await;
    let store = open(&world, 8192).await;
    assert_eq!(store.read(log, 0, ALL).unwrap().last().unwrap().data, vec![taken; 500]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_stops_the_journal_and_reading_goes_on() {
    let (world, disk) = World::simulated(1);
    let store = open(&world, 8192).await;
    let log = store.log("a").await.unwrap();
    put(&store, log, b"kept").await.unwrap();
    disk.set_faults(DiskFaults { sync_error_one_in: 1, ..DiskFaults::default() });
    assert!(matches!(put(&store, log, b"unknown").await, Err(StoreError::Failed { .. })));
    disk.set_faults(DiskFaults::default());
    assert!(matches!(put(&store, log, b"refused").await, Err(StoreError::Failed { .. })));
    assert_eq!(store.extent(log).next, 1);
    assert_eq!(store.read(log, 0, ALL).unwrap()[0].data, "kept");
}

#[tokio::test(start_paused = true)]
async fn a_few_wanted_records_do_not_keep_old_segments() {
    let (world, _) = World::simulated(1);
    let store = open(&world, 8192).await;
    let (rare, often) = (store.log("rare").await.unwrap(), store.log("often").await.unwrap());
    for i in 0..2000u32 {
        if i % 100 == 0 {
            put(&store, rare, &i.to_le_bytes()).await.unwrap();
        }
        let at = put(&store, often, &[1; 300]).await.unwrap();
        store.trim(often, at.saturating_sub(5)).unwrap();
    }
    let usage = store.usage();
    assert!(usage.segments < 12, "{usage:?}");
    let expect: Vec<_> = (0..2000u32).step_by(100).map(|i| i.to_le_bytes().to_vec()).collect();
    for reopened in [false, true] {
        let store = if reopened {
            store.close().await;
            open(&world, 8192).await
        } else {
            store.clone()
        };
        let records = store.read(rare, 0, ALL).unwrap();
        assert!(records.iter().map(|r| r.data.to_vec()).eq(expect.iter().cloned()));
        assert!(records.windows(2).all(|w| w[0].at <= w[1].at && w[0].index + 1 == w[1].index));
        for record in &records {
            assert_eq!(store.read(rare, store.find_time(rare, record.at), ALL).unwrap()[0].at, record.at);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn disk_takes_little_more_than_the_payload() {
    let (world, _) = World::simulated(1);
    let segment = 4 << 20;
    let store = open(&world, segment).await;
    let log = store.log("a").await.unwrap();
    for _ in 0..200 {
        store.append(vec![batch(log, (0..100).map(|_| vec![9; 1024]))]).await.unwrap();
    }
    let payload = 200 * 100 * 1024;
    // The newest segment is only begun.
    assert!((store.usage().bytes - segment) * 10 <= payload * 11, "{:?}", store.usage());
}

#[tokio::test(start_paused = true)]
async fn without_fsync_a_power_loss_costs_only_the_newest() {
    for seed in 0..200 {
        let (world, disk) = World::simulated(seed);
        let relaxed = StoreOptions { durability: Durability::Os, ..options(8192) };
        let store = Store::open(&world, Path::new("/data"), relaxed).await.unwrap();
        let log = store.log("a").await.unwrap();
        for i in 0..60u8 {
            put(&store, log, &[i; 500]).await.unwrap();
            store.trim(log, u64::from(i / 2)).unwrap();
        }
        disk.crash();
        let store = Store::open(&world, Path::new("/data"), relaxed).await.unwrap();
        let Some(log) = store.find_log("a") else { continue };
        for record in store.read(log, 0, ALL).unwrap() {
            assert_eq!(record.data, vec![record.index as u8; 500]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_thread_many_appenders_share_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::real();
    let options = StoreOptions { segment_bytes: 1 << 20, ..StoreOptions::default() };
    let store = Store::open(&world, dir.path(), options).await.unwrap();
    let mut logs = Vec::new();
    let (done, mut finished) = tokio::sync::mpsc::channel::<()>(1);
    for n in 0..8u8 {
        let log = store.log(&format!("log/{n}")).await.unwrap();
        logs.push(log);
        let (store, done) = (store.clone(), done.clone());
        world.tasks.spawn(world::Stage::Sources, "appender", move |_| async move {
            for i in 0..50u64 {
                let records = (0..10).map(|_| vec![n; 1000]);
                assert_eq!(store.append(vec![batch(log, records)]).await.unwrap()[0].first, i * 10);
            }
            store.append_lazy(vec![batch(log, [b"last".to_vec()])]).await.unwrap();
            drop(done);
        });
    }
    drop(done);
    assert!(finished.recv().await.is_none());
    store.close().await;
    let again = Store::open(&world, dir.path(), options).await.unwrap();
    for (n, log) in logs.iter().enumerate() {
        let records = again.read(*log, 0, ALL).unwrap();
        assert_eq!(records.len(), 501, "what was taken is written at the end");
        assert!(records[..500].iter().all(|r| *r.data == [n as u8; 1000]));
        again.trim(*log, 501).unwrap();
    }
    put(&again, logs[0], b"more").await.unwrap();
    assert_eq!(again.logs("log/").len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is in the files, opening ends with a store or an error, and what is then read is what was written.
    #[test]
    fn any_bytes_on_disk_open_or_are_refused(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 1..60)), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (world, disk) = World::simulated(1);
            let log = filled(&world).await;
            let mut files = vec![PathBuf::from("/data/store")];
            files.extend(disk.list(Path::new("/data/journal")).unwrap().iter().map(|e| Path::new("/data/journal").join(&e.name)));
            for (file, offset, bytes) in damage {
                let path = file.get(&files);
                let len = disk.read(path).unwrap().len();
                let file = disk.open(path, world::disk::Open::Write).unwrap();
                file.write_at(&bytes, offset.index(len) as u64).unwrap();
            }
            let Ok(store) = Store::open(&world, Path::new("/data"), options(8192)).await else { return };
            for from in 0..60 {
                for record in store.read(log, from, ReadLimit { records: 1, bytes: 1 }).unwrap_or_default() {
                    assert_eq!(record.data, vec![record.index as u8; 500]);
                }
            }
            store.find_time(log, Timestamp(0));
            for records in [1, 7, usize::MAX] {
                let (read, lost) = stepping(&store, log, ReadLimit { records, bytes: usize::MAX });
                assert!(read.iter().all(|(index, data)| *data == [*index as u8; 500]));
                let mut all: Vec<u64> = read.iter().map(|(index, _)| *index).chain(lost).collect();
                all.sort_unstable();
                // What looks like a torn tail is cut off.
                assert_eq!(all, (0..store.extent(log).next).collect::<Vec<_>>(), "each is read or known to be lost");
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_groups_are_read_while_new_when_old_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::real();
    let options = StoreOptions { segment_bytes: 8 << 20, ..StoreOptions::default() };
    let store = Store::open(&world, dir.path(), options).await.unwrap();
    let log = store.log("a").await.unwrap();
    let record = |i: u64| vec![i as u8; 1000 + (i % 777) as usize];
    let check = |store: &Store, from: u64, upto: u64| {
        let mut next = from;
        let show = |store::Shown { index, data, .. }: store::Shown<'_>| {
            assert_eq!(index, next);
            assert!(data == record(index), "record {index}");
            next += 1;
        };
        store.read_each(log, from, ReadLimit { records: 10_000, bytes: 10 << 20 }, show).unwrap();
        assert_eq!(next, upto.min(next.max(from + 1)), "something is read");
    };
    // More than is kept in memory, in groups of some 700 KB, and small ones between.
    let mut next = 0;
    for round in 0..70u64 {
        let many = if round % 5 == 4 { 1 } else { 500 };
        store.append(vec![batch(log, (next..next + many).map(record))]).await.unwrap();
        check(&store, next, next + many);
        next += many;
    }
    check(&store, 0, next);
    store.close().await;
    drop(store);
    let store = Store::open(&world, dir.path(), options).await.unwrap();
    assert_eq!(store.extent(log).next, next);
    for from in (0..next).step_by(997) {
        check(&store, from, next);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_group_is_written_with_zeros_behind_it_and_a_large_one_is_not() {
    const SEGMENT: u64 = 256 << 10;
    let (world, disk) = World::simulated(1);
    let store = open(&world, SEGMENT).await;
    let log = store.log("a").await.unwrap();
    let junk = |path: &Path| {
        let mut bytes = vec![0; SEGMENT as usize];
        disk.open(path, world::disk::Open::Read).unwrap().read_at(&mut bytes, 0).unwrap();
        bytes.into_iter().filter(|byte| *byte == 0xaa).count()
    };
    for (large, left) in [(false, 100_000..150_000), (true, 200_000..240_000)] {
        // Segments full of junk, and one of them begun again.
        while store.usage().segments < 4 {
            store.append(vec![batch(log, [vec![0xaa; 20_000]])]).await.unwrap();
        }
        store.trim(log, store.extent(log).next).unwrap();
        put(&store, log, b"frees").await.unwrap();
        assert!(store.usage().spares > 0);
        let old = segments(&disk).pop().unwrap();
        while segments(&disk).pop().unwrap() == old {
            let record = vec![1; if large { 20_000 } else { 5_000 }];
            store.append(vec![batch(log, [record])]).await.unwrap();
        }
        let seen = junk(&segments(&disk).pop().unwrap());
        assert!(left.contains(&seen), "{seen} bytes of an earlier life, large groups: {large}");
        store.trim(log, store.extent(log).next).unwrap();
    }
}
