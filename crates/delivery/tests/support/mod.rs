//! A house of one outbox under a seed, and targets that do as they are told.
// Each test file uses a part; unwrap is what a test does, and clippy does not see that this module is one.
#![allow(dead_code, clippy::unwrap_used)]

use bytes::Bytes;
use delivery::{Backoff, Delivery, Envelope, RetryPolicy, Target, Verdict};
use names::{Arn, Timestamp};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use world::disk::SimDisk;
use world::{BoxFuture, World};

pub(crate) async fn open_store(world: &World) -> Store {
    let options = StoreOptions { segment_bytes: 256 << 10, durability: Durability::Fsync, writer: Writer::Inline };
    Store::open(world, Path::new("/data"), options).await.unwrap()
}

pub(crate) async fn house(seed: u64) -> (World, Arc<Delivery>) {
    let (world, _) = World::simulated(seed);
    let store = open_store(&world).await;
    let delivery = Delivery::open(&world, &store).await.unwrap();
    (world, delivery)
}

/// The life of one process on a disk: everything it started dies with it.
pub(crate) fn life<T, F: Future<Output = T>>(disk: &Arc<SimDisk>, seed: u64, live: impl FnOnce(World) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (world, _) = World::simulated(seed);
        live(World { disk: disk.clone(), ..world }).await
    })
}

pub(crate) fn arn(service: &str, resource: &str) -> Arn {
    Arn::new(service, "us-east-1", "000000000000", resource)
}

pub(crate) fn again() -> Verdict {
    Verdict::Again { code: "THROTTLING".into(), why: "slow down".into(), after: None }
}

pub(crate) fn refused() -> Verdict {
    Verdict::Refused { code: "NO_PERMISSIONS".into(), why: "you may not".into() }
}

pub(crate) fn accepted() -> Verdict {
    Verdict::Accepted(Bytes::from_static(b"thanks"))
}

pub(crate) fn envelope(world: &World, id: &str, to: Arn) -> Envelope {
    Envelope {
        id: id.into(),
        to,
        body: Bytes::from(format!("body of {id}")),
        attributes: Default::default(),
        from: Some(arn("events", "rule/r")),
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: RetryPolicy {
            max_attempts: 5,
            max_age: Duration::from_secs(3600),
            backoff: Backoff {
                first: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(60),
                jitter: false,
                steps: vec![],
            },
        },
        dead_letter: None,
        trace: None,
        not_before: None,
        created: world.now(),
    }
}

type Answer = dyn Fn(&Envelope, usize) -> Option<Verdict> + Send + Sync;

/// A target that answers by a function of the envelope and how many tries there were before; `None` never answers.
pub(crate) struct Scripted {
    world: World,
    answer: Box<Answer>,
    pub(crate) seen: Mutex<Vec<(Timestamp, Envelope)>>,
    pub(crate) limits: (usize, Duration),
}

impl Scripted {
    pub(crate) fn new(
        world: &World,
        answer: impl Fn(&Envelope, usize) -> Option<Verdict> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        Scripted::limited(world, (16, Duration::from_secs(60)), answer)
    }

    pub(crate) fn limited(
        world: &World,
        limits: (usize, Duration),
        answer: impl Fn(&Envelope, usize) -> Option<Verdict> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        Arc::new(Scripted { world: world.clone(), answer: Box::new(answer), seen: Mutex::default(), limits })
    }

    pub(crate) fn tries(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(_, e)| e.id.clone()).collect()
    }

    /// Seconds between tries, rounded down.
    pub(crate) fn pauses(&self) -> Vec<u64> {
        let seen = self.seen.lock().unwrap();
        seen.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_secs()).collect()
    }
}

impl Target for Scripted {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        let before = {
            let mut seen = self.seen.lock().unwrap();
            seen.push((self.world.now(), envelope.clone()));
            seen.len() - 1
        };
        let verdict = (self.answer)(envelope, before);
        Box::pin(async move {
            match verdict {
                Some(verdict) => verdict,
                None => std::future::pending().await,
            }
        })
    }
    fn concurrency(&self, _: &Arn) -> usize {
        self.limits.0
    }
    fn time_limit(&self, _: &Arn) -> Duration {
        self.limits.1
    }
}

/// Lets virtual time pass until something holds; fails after two days of it.
pub(crate) async fn until(world: &World, holds: impl Fn() -> bool) {
    for step in 0..200_000u64 {
        if holds() {
            return;
        }
        world.clock.sleep(Duration::from_millis(if step < 10_000 { 10 } else { 1000 })).await;
    }
    panic!("it never came true");
}

/// Whether nothing is left in any lane.
pub(crate) fn is_empty(delivery: &Delivery) -> bool {
    delivery.status().iter().all(|lane| lane.waiting + lane.in_flight == 0)
}
