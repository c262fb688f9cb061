//! The default bus is told of every call, sooner or later, whatever is in the way.

use crate::support::{House, alice, life};
use audit::Settings;
use bytes::Bytes;
use delivery::{Claim, Envelope, Options, RetryPolicy, Target, Verdict};
use shapes::iam;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use world::disk::SimDisk;
use world::{BoxFuture, Disk, World};

/// A target that takes what it gets once its switch is on.
struct Sluice(Arc<AtomicBool>);

impl Target for Sluice {
    fn deliver<'a>(&'a self, _: &'a Envelope) -> BoxFuture<'a, Verdict> {
        let again = || Verdict::Again { code: "Down".to_owned(), why: "not yet".to_owned(), after: None };
        let verdict = if self.0.load(Relaxed) { Verdict::Accepted(Bytes::new()) } else { again() };
        Box::pin(async { verdict })
    }
}

/// Fills the backlog, the reserve too, with what waits for the switch.
async fn dam(house: &House) -> Arc<AtomicBool> {
    let open = Arc::new(AtomicBool::new(false));
    house.delivery.register("lambda", "", Arc::new(Sluice(open.clone())));
    while house.delivery.admit(Claim::Record).is_ok() {
        let envelope = Envelope {
            id: "flood".into(),
            to: names::Home::default().arn("lambda", "function:f"),
            body: vec![b'x'; 1000].into(),
            attributes: Default::default(),
            from: None,
            principal: "events.amazonaws.com".into(),
            role: None,
            policy: RetryPolicy { max_attempts: u32::MAX, ..RetryPolicy::default() },
            dead_letter: None,
            trace: None,
            not_before: None,
            created: house.world.now(),
        };
        house.delivery.send(vec![envelope]).await.unwrap();
    }
    open
}

async fn make_users(house: &House, names: std::ops::Range<usize>) {
    for name in names {
        let input = iam::CreateUserRequest { user_name: format!("u{name:03}"), ..Default::default() };
        house.tell::<iam::CreateUserOp>(&iam::SERVICE, alice(), input, Ok(Default::default())).await;
    }
}

fn lost(world: &World) -> u64 {
    let samples = world.meter.samples().into_iter();
    samples.filter(|(signal, ..)| signal.name == "AuditRecordsLost").map(|(.., sample)| sample.sum).sum()
}

/// The users that the bus was told of, in order, and by how many events.
async fn told(house: &House) -> (Vec<String>, usize) {
    let events = house.events().await;
    let names: BTreeSet<String> = events
        .iter()
        .map(|event| event["detail"]["requestParameters"]["userName"].as_str().unwrap().to_owned())
        .collect();
    (names.into_iter().collect(), events.len())
}

fn users(names: std::ops::Range<usize>) -> Vec<String> {
    names.map(|name| format!("u{name:03}")).collect()
}

const NARROW: Options = Options { backlog_bytes: 64 << 10 };

#[tokio::test(start_paused = true)]
async fn what_a_full_backlog_has_no_room_for_is_told_later() {
    let (world, disk) = World::simulated(5);
    let house = House::open_narrow(world, disk, Settings::default(), NARROW).await;
    let open = dam(&house).await;
    make_users(&house, 0..200).await;
    assert_eq!(told(&house).await, (vec![], 0));
    assert_eq!((house.audit.untold(), lost(&house.world)), (200, 0));
    open.store(true, Relaxed);
    house.world.clock.sleep(Duration::from_secs(1200)).await;
    assert_eq!(told(&house).await, (users(0..200), 200));
    assert_eq!(house.audit.untold(), 0);
    make_users(&house, 200..201).await;
    assert_eq!(told(&house).await, (users(0..201), 201), "and what comes then at once");
}

#[test]
fn a_crash_forgets_nothing_that_the_bus_was_not_told() {
    let disk = Arc::new(SimDisk::new(5));
    life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        make_users(&house, 0..10).await;
        assert_eq!(told(&house).await.1, 10);
    });
    disk.crash();
    life(&disk, |world| async {
        let house = House::open_narrow(world, disk.clone(), Settings::default(), NARROW).await;
        dam(&house).await;
        make_users(&house, 10..30).await;
        assert_eq!(told(&house).await, (vec![], 0), "those that it was told of are noted");
    });
    disk.crash();
    life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        assert_eq!(told(&house).await, (users(10..30), 20));
    });
}

#[test]
fn who_is_told_twice_is_told_by_the_same_id() {
    let disk = Arc::new(SimDisk::new(5));
    let ids = |house: &House| {
        let sent = house.bus.0.lock().unwrap();
        sent.iter().map(|envelope| envelope.id.clone()).collect::<Vec<_>>()
    };
    let before = life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        house.start();
        make_users(&house, 0..3).await;
        house.world.clock.sleep(Duration::from_millis(10)).await;
        ids(&house)
    });
    assert_eq!(before.len(), 3);
    disk.crash();
    let after = life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        house.sent().await;
        ids(&house)
    });
    assert_eq!(after, before, "the crash came before the note");
}

#[test]
fn calls_that_never_pause_are_noted_all_the_same() {
    let disk = Arc::new(SimDisk::new(5));
    life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        house.start();
        for name in 0..40 {
            make_users(&house, name..name + 1).await;
            house.world.clock.sleep(Duration::from_millis(500)).await;
        }
    });
    disk.crash();
    life(&disk, |world| async {
        let house = House::open(world, disk.clone(), Settings::default()).await;
        let (names, events) = told(&house).await;
        assert!(events <= 4, "no more than of the last second or two: {names:?}");
    });
}

/// Where in the journal's only segment a user's call is.
fn place(disk: &SimDisk, user: &str) -> (&'static Path, u64) {
    let path = Path::new("/data/journal/0000000000000001.log");
    let content = disk.read(path).unwrap();
    let at = content.windows(user.len()).position(|bytes| bytes == user.as_bytes()).unwrap();
    (path, at as u64)
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_keeps_the_bus_from_no_other() {
    let house = House::new(Settings::default()).await;
    make_users(&house, 0..5).await;
    let (path, at) = place(&house.disk, "u002");
    house.disk.corrupt(path, at);
    assert_eq!(told(&house).await, ([users(0..2), users(3..5)].concat(), 4));
    assert_eq!((house.audit.untold(), house.audit.unreadable()), (0, 1));
    let first = house.audit.read(0, 100).unwrap();
    let second = house.audit.read(first.1, 100).unwrap();
    assert_eq!((first.0.len(), second.0.len(), second.1), (2, 2, 5), "who follows the trail goes on as well");
    make_users(&house, 5..6).await;
    assert_eq!(told(&house).await.1, 5, "and what comes then at once");
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_does_not_give_is_waited_for() {
    let house = House::new(Settings::default()).await;
    make_users(&house, 0..5).await;
    let (path, at) = place(&house.disk, "u002");
    house.disk.spoil(path, at);
    assert_eq!(told(&house).await, (users(0..2), 2));
    assert_eq!((house.audit.untold(), house.audit.unreadable()), (3, 0));
    house.disk.heal(path);
    assert_eq!(told(&house).await, (users(0..5), 5));
    assert_eq!((house.audit.untold(), house.audit.unreadable()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn damage_at_the_end_is_not_waited_for_and_told_of_once() {
    let house = House::new(Settings::default()).await;
    make_users(&house, 0..2).await;
    let (path, at) = place(&house.disk, "u001");
    house.disk.corrupt(path, at);
    assert_eq!(told(&house).await, (users(0..1), 1));
    make_users(&house, 2..3).await;
    assert_eq!(told(&house).await, ([users(0..1), users(2..3)].concat(), 2));
    assert_eq!(house.audit.unreadable(), 1);
    let samples = house.world.meter.samples().into_iter();
    let counted = samples.filter(|(signal, ..)| signal.name == "AuditRecordsUnreadable").map(|(.., sample)| sample.sum);
    assert_eq!(counted.sum::<u64>(), 1);
}
