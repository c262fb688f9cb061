//! The backlog is bounded by bytes: who may still send, what makes room, and what a crash leaves of the count.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use delivery::{BacklogFull, Claim, Delivery, Options, Verdict, code};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use store::Store;
use support::{Scripted, accepted, again, arn, envelope, is_empty, life, open_store, until};
use world::World;
use world::disk::SimDisk;

const LIMIT: u64 = 64 << 10;

async fn open(world: &World) -> (Store, Arc<Delivery>) {
    let store = open_store(world).await;
    let delivery = Delivery::open_with(world, &store, Options { backlog_bytes: LIMIT }).await.unwrap();
    (store, delivery)
}

/// Sends envelopes of 1000 bytes and their heads until there is no room; how many.
async fn fill(world: &World, delivery: &Delivery, claim: Claim) -> usize {
    let mut sent = 0;
    while delivery.admit(claim).is_ok() {
        let to = arn("lambda", &format!("function:f{}", sent % 3));
        let mut e = envelope(world, &sent.to_string(), to);
        e.body = vec![b'x'; 1000].into();
        e.policy.max_attempts = u32::MAX;
        delivery.send(vec![e]).await.unwrap();
        sent += 1;
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_refuses_requests_has_a_reserve_for_records_and_takes_again_what_leaves() {
    let (world, _) = World::simulated(1);
    let (_store, delivery) = open(&world).await;
    let up = Arc::new(AtomicBool::new(false));
    let switch = up.clone();
    let target = Scripted::new(&world, move |_, _| Some(if switch.load(Relaxed) { accepted() } else { again() }));
    delivery.register("lambda", "", target.clone());
    delivery.start();
    let requests = fill(&world, &delivery, Claim::Request).await;
    let (bytes, limit) = delivery.backlog();
    assert!((LIMIT..LIMIT + 2000).contains(&bytes) && limit == LIMIT, "{bytes}");
    assert!((30..=64).contains(&requests), "{requests}");
    assert_eq!(delivery.admit(Claim::Request), Err(BacklogFull { bytes, limit }));
    assert_eq!(delivery.status().iter().map(|lane| lane.bytes).sum::<u64>(), bytes);

    let records = fill(&world, &delivery, Claim::Record).await;
    assert!(records > 0 && delivery.backlog().0 >= LIMIT + LIMIT / 8);
    // What takes the place of another asks nobody.
    delivery.send(vec![envelope(&world, "letter", arn("lambda", "function:f0"))]).await.unwrap();
    let refused = world.meter.samples().into_iter().filter(|(signal, ..)| signal.name == "BacklogRefused");
    assert_eq!(refused.map(|(.., sample)| sample.sum).sum::<u64>(), 3);

    up.store(true, Relaxed);
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(delivery.backlog().0, 0);
    assert!(delivery.admit(Claim::Request).is_ok());
    let mut ids = target.ids();
    ids.sort();
    ids.dedup();
    assert!(ids.contains(&"letter".to_owned()));
    assert_eq!(ids.len(), requests.max(records) + 1, "all that was taken was delivered");
}

#[test]
fn a_crash_leaves_the_count_right() {
    let disk = Arc::new(SimDisk::new(1));
    let before = life(&disk, 1, |world| async move {
        let (_store, delivery) = open(&world).await;
        fill(&world, &delivery, Claim::Request).await;
        delivery.backlog().0
    });
    disk.crash();
    life(&disk, 2, |world| async move {
        let (_store, delivery) = open(&world).await;
        let after = delivery.backlog().0;
        // The journal's own framing is seen after a restart only.
        assert!((before..before * 11 / 10).contains(&after), "{before} became {after}");
        assert!(delivery.admit(Claim::Request).is_err());
        let target = Scripted::new(&world, |_, _| Some(accepted()));
        delivery.register("lambda", "", target.clone());
        delivery.start();
        let new = envelope(&world, "new", arn("lambda", "function:f0"));
        delivery.send(vec![new]).await.unwrap();
        until(&world, || is_empty(&delivery)).await;
        assert_eq!(delivery.backlog().0, 0);
        assert!(delivery.status().iter().all(|lane| lane.bytes == 0));
    });
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_some_left_counts_those_that_stayed() {
    let disk = Arc::new(SimDisk::new(3));
    let (mut world, _) = World::simulated(3);
    world.disk = disk;
    let (store, delivery) = open(&world).await;
    let target = Scripted::new(&world, |e, _| Some(if e.to.resource().ends_with('0') { accepted() } else { again() }));
    delivery.register("lambda", "", target);
    delivery.start();
    let sent = fill(&world, &delivery, Claim::Request).await;
    until(&world, || delivery.status()[0].waiting + delivery.status()[0].in_flight == 0).await;
    let (before, lanes) = (delivery.backlog().0, delivery.status());
    assert!(sent > 30 && lanes[0].bytes == 0 && lanes[1].bytes + lanes[2].bytes == before);
    world.tasks.shut_down(std::time::Duration::from_secs(5)).await;
    store.close().await;
    drop((store, delivery));
    let (_store, delivery) = open(&world).await;
    let after = delivery.backlog().0;
    assert!((before..before * 11 / 10).contains(&after), "{before} became {after}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_that_would_come_back_into_a_full_backlog() {
    struct Relay(bool);
    impl delivery::Target for Relay {
        fn deliver<'a>(&'a self, _: &'a delivery::Envelope) -> world::BoxFuture<'a, Verdict> {
            Box::pin(async { accepted() })
        }
        fn sends_on(&self, _: &delivery::Envelope) -> bool {
            self.0
        }
    }
    let (world, _) = World::simulated(1);
    let (_store, delivery) = open(&world).await;
    delivery.register("sns", "", Arc::new(Relay(true)));
    delivery.register("sqs", "", Arc::new(Relay(false)));
    let (on, end) = (envelope(&world, "a", arn("sns", "t")), envelope(&world, "b", arn("sqs", "q")));
    assert_eq!(delivery.hand_over(std::slice::from_ref(&on), false).await, [accepted()]);
    fill(&world, &delivery, Claim::Request).await;
    let verdicts = delivery.hand_over(&[on.clone(), on], true).await;
    assert!(verdicts.iter().all(|v| matches!(v, Verdict::Again { code, .. } if code == code::BACKLOG_FULL)));
    assert_eq!(verdicts.len(), 2);
    assert_eq!(delivery.hand_over(&[end], false).await, [accepted()], "what ends there needs no room");
}
