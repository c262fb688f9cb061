//! The queue through its API.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{Batch, Message, Order, Queue, QueueCounts, ReadLimit, Store, StoreOptions, Timestamp, Writer};
use world::disk::SimDisk;
use world::{Disk, World};

const MINUTE: Duration = Duration::from_secs(60);

fn options() -> StoreOptions {
    StoreOptions { segment_bytes: 64 << 10, writer: Writer::Inline, ..StoreOptions::default() }
}

async fn open(world: &World) -> (Store, Queue) {
    let store = Store::open(world, Path::new("/data"), options()).await.unwrap();
    let queue = Queue::open(&store, world, "q").await.unwrap();
    (store, queue)
}

fn message(text: &str) -> Message {
    Message { body: text.to_owned().into(), ..Message::default() }
}

async fn bodies(queue: &Queue, max: usize) -> Vec<String> {
    let received = queue.receive(max, MINUTE).await.unwrap();
    received.iter().map(|m| String::from_utf8(m.body.to_vec()).unwrap()).collect()
}

fn counts(visible: u64, in_flight: u64, delayed: u64) -> QueueCounts {
    QueueCounts { visible, in_flight, delayed }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_comes_again() {
    let (world, _) = World::simulated(1);
    let (_, queue) = open(&world).await;
    let ids = queue.send(vec![message("a"), message("b")]).await.unwrap();
    assert_eq!(queue.counts(), counts(2, 0, 0));
    let first = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert_eq!((first.id, first.receives, &first.body[..]), (ids[0], 1, &b"a"[..]));
    assert_eq!(queue.receipt(first.id), Some(first.receipt));
    assert_eq!(queue.counts(), counts(1, 1, 0));
    assert_eq!(bodies(&queue, 9).await, ["b"]);
    assert!(bodies(&queue, 9).await.is_empty());
    assert!(queue.ack(ids[1]).await.unwrap());
    assert!(!queue.ack(ids[1]).await.unwrap(), "once");
    assert!(!queue.ack(77).await.unwrap(), "never sent");
    queue.arrival().await;
    let again = queue.receive(9, MINUTE).await.unwrap().remove(0);
    assert_eq!((again.id, again.receives), (first.id, 2));
    assert!(again.receipt > first.receipt && again.first_received_at == first.first_received_at);
    assert_eq!(world.now().since(first.first_received_at), MINUTE, "the wait was for the visibility to end");
    assert!(queue.postpone(first.id, world.now()).await.unwrap());
    assert_eq!(bodies(&queue, 9).await, ["a"]);
    assert_eq!(queue.ack_durable(&[ids[0], ids[1]]).await.unwrap(), [true, false]);
    assert_eq!(queue.counts(), counts(0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept_over_a_crash() {
    let (world, disk) = World::simulated(1);
    let (_, queue) = open(&world).await;
    let later = Message { not_before: Some(world.now().plus(MINUTE)), ..message("later") };
    queue.send(vec![later]).await.unwrap();
    assert_eq!(queue.counts(), counts(0, 0, 1));
    disk.crash();
    let (_, queue) = open(&world).await;
    let now = queue.send(vec![message("now")]).await.unwrap();
    assert_eq!(bodies(&queue, 9).await, ["now"]);
    assert!(queue.ack(now[0]).await.unwrap());
    queue.arrival().await;
    assert_eq!(bodies(&queue, 9).await, ["later"]);
}

#[tokio::test(start_paused = true)]
async fn an_arrival_wakes_a_waiter() {
    let (world, _) = World::simulated(1);
    let (_, queue) = open(&world).await;
    let sender = queue.clone();
    world.tasks.spawn(world::Stage::Sources, "sender", move |_| async move {
        sender.send(vec![message("a")]).await.unwrap();
    });
    queue.arrival().await;
    assert_eq!(bodies(&queue, 9).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn one_stuck_message_does_not_keep_the_journal() {
    let (world, disk) = World::simulated(1);
    let (store, queue) = open(&world).await;
    let stuck = queue.send(vec![message("stuck")]).await.unwrap()[0];
    let first = queue.receive(1, MINUTE * 600).await.unwrap().remove(0);
    assert_eq!(first.id, stuck);
    for round in 0..12_000 {
        queue.send(vec![message(&format!("{round:0500}"))]).await.unwrap();
        let received = queue.receive(1, MINUTE).await.unwrap().remove(0);
        queue.ack(received.id).await.unwrap();
    }
    // Upkeep is a task: let it end.
    tokio::task::yield_now().await;
    let usage = store.usage();
    assert!(usage.segments < 12, "{usage:?}");
    let log = store.find_log("q/messages").unwrap();
    let extent = store.extent(log);
    assert!(extent.first > 10_000, "{extent:?}");
    let acks = store.extent(store.find_log("q/acks").unwrap());
    assert!(acks.next - acks.first < 9_000, "{acks:?}");
    assert_eq!(queue.counts().in_flight, 1);
    disk.crash();
    let (_, queue) = open(&world).await;
    let again = queue.receive(9, MINUTE).await.unwrap();
    let again: Vec<_> = again.iter().filter(|m| m.id == stuck).collect();
    assert_eq!(again.len(), 0, "it is still invisible: it was carried forward with its time");
    queue.postpone(stuck, Timestamp(0)).await.unwrap();
    let again = queue.receive(9, MINUTE).await.unwrap().into_iter().find(|m| m.id == stuck).unwrap();
    assert_eq!((&again.body[..], again.receives, again.sent_at), (&b"stuck"[..], 2, first.sent_at));
    assert_eq!(queue.ack_durable(&[stuck]).await.unwrap(), [true]);
    disk.crash();
    let (_, queue) = open(&world).await;
    assert!(queue.receive(9, MINUTE).await.unwrap().iter().all(|m| m.id != stuck), "neither copy comes back");
}

#[tokio::test(start_paused = true)]
async fn purge_and_delete_last() {
    let (world, disk) = World::simulated(1);
    let (store, queue) = open(&world).await;
    queue.send(vec![message("a"), message("b")]).await.unwrap();
    bodies(&queue, 1).await;
    queue.purge().await.unwrap();
    assert_eq!(queue.counts(), counts(0, 0, 0));
    let id = queue.send(vec![message("c")]).await.unwrap()[0];
    disk.crash();
    drop(store);
    let (store, queue) = open(&world).await;
    let received = queue.receive(9, MINUTE).await.unwrap();
    assert_eq!(received.iter().map(|m| m.id).collect::<Vec<_>>(), [id]);
    queue.delete().await.unwrap();
    assert!(store.logs("q").is_empty());
    disk.crash();
    let (store, queue) = open(&world).await;
    assert!(bodies(&queue, 9).await.is_empty());
    let log = store.find_log("q/messages").unwrap();
    assert!(store.read(log, 0, ReadLimit { records: 1, bytes: 1 }).unwrap().is_empty());
}

/// The file, and where in it, of the first record that holds this text.
fn place(disk: &SimDisk, text: &str) -> (PathBuf, u64) {
    let dir = Path::new("/data/journal");
    let found = disk.list(dir).unwrap().iter().find_map(|entry| {
        let path = dir.join(&entry.name);
        let content = disk.read(&path).unwrap();
        let at = content.windows(text.len()).position(|bytes| bytes == text.as_bytes())?;
        Some((path, at as u64))
    });
    found.unwrap()
}

/// Flips a bit of the first record that holds this text.
fn damage(disk: &SimDisk, text: &str) {
    let (path, at) = place(disk, text);
    disk.corrupt(&path, at);
}

/// All of these are received and acknowledged, one after another, in this order.
async fn drain(queue: &Queue, expected: &[&str]) {
    for text in expected {
        let one = queue.receive(1, MINUTE).await.unwrap().pop().expect(text);
        assert_eq!(one.body, text.as_bytes());
        queue.ack(one.id).await.unwrap();
    }
    assert_eq!(queue.receive(9, MINUTE).await.unwrap(), []);
    assert_eq!(queue.counts(), counts(0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_gives_nothing_for_a_while_changes_no_order() {
    for received_before in [false, true] {
        let (world, disk) = World::simulated(1);
        let store = Store::open(&world, Path::new("/data"), options()).await.unwrap();
        let queue = Queue::open_as(&store, &world, "q", Order::Groups).await.unwrap();
        let texts = ["message 0", "message 1", "message 2"];
        for text in texts {
            queue.send(vec![Message { group: Some(1), ..message(text) }]).await.unwrap();
        }
        if received_before {
            assert_eq!(bodies(&queue, 2).await.len(), 2);
            world.clock.sleep(MINUTE).await;
        }
        let (path, at) = place(&disk, texts[0]);
        disk.spoil(&path, at);
        assert!(queue.receive(9, MINUTE).await.is_err());
        assert!(!matches!(queue.receive(9, MINUTE).await, Ok(received) if !received.is_empty()));
        disk.heal(&path);
        world.clock.sleep(if received_before { MINUTE } else { Duration::ZERO }).await;
        drain(&queue, &texts).await;
    }
}

#[tokio::test(start_paused = true)]
async fn delays_and_copies_are_kept_over_reads_that_fail() {
    let (world, disk) = World::simulated(1);
    let (_, queue) = open(&world).await;
    let later = Some(world.now().plus(MINUTE));
    queue.send(vec![Message { not_before: later, ..message("later") }, message("now")]).await.unwrap();
    let (path, at) = place(&disk, "later");
    disk.spoil(&path, at);
    assert!(queue.receive(9, MINUTE).await.is_err());
    disk.heal(&path);
    assert_eq!(bodies(&queue, 9).await, ["now"]);
    queue.ack(1).await.unwrap();
    world.clock.sleep(MINUTE).await;
    drain(&queue, &["later"]).await;
    assert_eq!(queue.receipt(0), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_seen_does_not_expire_before_its_time() {
    for damaged in [false, true] {
        let (world, disk) = World::simulated(1);
        let (store, queue) = open(&world).await;
        let other = store.log("other").await.unwrap();
        let began = world.now();
        let texts: Vec<String> = (0..150u64).map(|i| format!("{i:01000}")).collect();
        for text in &texts {
            queue.send(vec![message(text)]).await.unwrap();
            let mut batch = Batch::new(other);
            batch.push(format!("other{text}").as_bytes());
            store.append(vec![batch]).await.unwrap();
            world.clock.sleep(Duration::from_secs(1)).await;
        }
        // Lists are verified when they are first needed after a start.
        store.close().await;
        drop((store, queue));
        let (path, at) = place(&disk, &format!("other{}", texts[70]));
        let list = path.with_extension("idx");
        if damaged {
            disk.corrupt(&list, disk.read(&list).unwrap().len() as u64 - 30);
            // The head of that frame: 32 bytes, and 40 of its table.
            disk.corrupt(&path, at - 72 + 8);
        }
        let (_, queue) = open(&world).await;
        if !damaged {
            (0..disk.read(&list).unwrap().len() as u64).for_each(|at| disk.spoil(&list, at));
            disk.spoil(&path, at);
        }
        queue.expire(began.plus(Duration::from_secs(71))).await.unwrap();
        disk.heal(&list);
        disk.heal(&path);
        queue.expire(began.plus(Duration::from_secs(71))).await.unwrap();
        let left: Vec<&str> = texts[71..].iter().map(String::as_str).collect();
        drain(&queue, &left).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_holds_up_no_other() {
    let (world, disk) = World::simulated(1);
    let (_, queue) = open(&world).await;
    for text in ["first message", "second message"] {
        queue.send(vec![message(text)]).await.unwrap();
    }
    assert_eq!(bodies(&queue, 9).await.len(), 2);
    damage(&disk, "first message");
    world.clock.sleep(2 * MINUTE).await;
    assert_eq!(bodies(&queue, 9).await, ["second message"]);
    world.clock.sleep(MINUTE / 2).await;
    assert_eq!(bodies(&queue, 9).await, [""; 0], "it is looked at again after a while");
    world.clock.sleep(MINUTE / 2).await;
    queue.ack(1).await.unwrap();
    assert!(queue.receive(9, MINUTE).await.is_err(), "and then is all there is");
    assert_eq!(queue.counts().in_flight, 1, "the damaged one is still there");
}

#[tokio::test(start_paused = true)]
async fn damage_in_what_nobody_received_yet_holds_up_no_other_message() {
    for order in [Order::Loose, Order::Groups] {
        let (world, disk) = World::simulated(1);
        let store = Store::open(&world, Path::new("/data"), options()).await.unwrap();
        let queue = Queue::open_as(&store, &world, "q", order).await.unwrap();
        for i in 0..5 {
            let pair = [0, 1].map(|j| Message { group: Some(i), ..message(&format!("message {i} {j}")) });
            queue.send(pair.to_vec()).await.unwrap();
        }
        damage(&disk, "message 0 1");
        damage(&disk, "message 2 0");
        let (mut all, mut errors) = (Vec::new(), 0);
        for _ in 0..12 {
            match queue.receive(1, MINUTE / 2).await {
                Ok(received) => {
                    queue.ack_all(&received.iter().map(|one| one.id).collect::<Vec<_>>()).await.unwrap();
                    all.extend(received.into_iter().map(|one| String::from_utf8(one.body.to_vec()).unwrap()));
                }
                Err(_) => errors += 1,
            }
        }
        assert_eq!(all, [1, 3, 4].iter().flat_map(|i| [0, 1].map(|j| format!("message {i} {j}"))).collect::<Vec<_>>());
        assert_eq!(errors, 0, "others came instead");
        assert_eq!(queue.counts(), counts(0, 0, 4), "what is damaged is there, a block as a whole");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_message_does_not_keep_the_journal() {
    let (world, disk) = World::simulated(1);
    let (store, queue) = open(&world).await;
    for text in ["damaged", "stuck"] {
        queue.send(vec![message(text)]).await.unwrap();
    }
    damage(&disk, "damaged");
    assert_eq!(bodies(&queue, 1).await, ["stuck"]);
    assert_eq!(queue.oldest().unwrap(), Some(world.now()));
    for round in 0..400 {
        queue.send(vec![message(&format!("{round:0500}"))]).await.unwrap();
        let received = queue.receive(1, MINUTE).await.unwrap().remove(0);
        queue.ack(received.id).await.unwrap();
    }
    // Upkeep is a task: let it end.
    world.clock.sleep(Duration::from_secs(1)).await;
    queue.send(vec![message("last")]).await.unwrap();
    let last = queue.receive(1, MINUTE).await.unwrap().remove(0);
    queue.ack(last.id).await.unwrap();
    let extent = store.extent(store.find_log("q/messages").unwrap());
    assert!(extent.first > 200, "{extent:?}");
    assert_eq!(queue.counts(), counts(0, 1, 0), "what can be read is kept");
}
