//! Targets that take several envelopes at once: each has its own verdict.

// Helpers of tests unwrap as tests do, and clippy does not see that they are such.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use delivery::{Delivery, Envelope, RetryPolicy, Target, Verdict, attribute};
use names::{Arn, Timestamp};
use policies::AllBut;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use world::{BoxFuture, World};

/// A role that is not there.
const GHOST: &str = "arn:aws:iam::000000000000:role/ghost";

/// Takes eight at once; refuses what says so, fails the first time where that is said, panics once if asked.
#[derive(Default)]
struct Many {
    calls: Mutex<Vec<usize>>,
    tries: Mutex<BTreeMap<String, u32>>,
}

impl Many {
    fn judge(&self, envelope: &Envelope) -> Verdict {
        let mut tries = self.tries.lock().unwrap();
        let tried = tries.entry(envelope.id.clone()).or_default();
        *tried += 1;
        match &envelope.body[..] {
            b"no" => Verdict::Refused { code: "NO".into(), why: "no".into() },
            b"later" if *tried == 1 => Verdict::Again { code: "LATER".into(), why: "later".into(), after: None },
            _ => Verdict::Accepted(Bytes::new()),
        }
    }
}

impl Target for Many {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        self.calls.lock().unwrap().push(1);
        Box::pin(async move { self.judge(envelope) })
    }
    fn batch(&self, _: &Arn) -> usize {
        8
    }
    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        self.calls.lock().unwrap().push(envelopes.len());
        // The last one is passed over: nothing is known of it.
        let said =
            if envelopes.iter().any(|e| &e.body[..] == b"short") { envelopes.len() - 1 } else { envelopes.len() };
        Box::pin(async move { envelopes[..said].iter().map(|envelope| self.judge(envelope)).collect() })
    }
}

fn envelope(number: usize, body: &'static str) -> Envelope {
    Envelope {
        id: format!("e{number}"),
        to: Arn::new("kinesis", "us-east-1", "000000000000", "stream/s"),
        body: Bytes::from_static(body.as_bytes()),
        attributes: Default::default(),
        from: None,
        principal: "events.amazonaws.com".into(),
        role: None,
        policy: RetryPolicy::default(),
        dead_letter: None,
        trace: None,
        not_before: None,
        created: Timestamp(1_767_225_600_000_000),
    }
}

async fn house() -> (World, Arc<Delivery>, Arc<Many>) {
    let (world, _) = World::simulated(1);
    let options = StoreOptions { durability: Durability::Fsync, writer: Writer::Inline, ..Default::default() };
    let store = Store::open(&world, Path::new("/data"), options).await.unwrap();
    let delivery = Delivery::open(&world, &store).await.unwrap();
    let target = Arc::new(Many::default());
    delivery.register("kinesis", "stream/", target.clone());
    (world, delivery, target)
}

fn left(delivery: &Delivery) -> u64 {
    delivery.status().iter().map(|lane| lane.waiting + lane.in_flight).sum()
}

#[tokio::test(start_paused = true)]
async fn each_of_those_that_go_together_is_settled_on_its_own() {
    let (world, delivery, target) = house().await;
    let bodies = ["yes", "no", "later", "yes", "later", "yes", "yes", "no", "yes", "yes"];
    delivery.send(bodies.into_iter().enumerate().map(|(i, body)| envelope(i, body)).collect()).await.unwrap();
    delivery.start();
    world.clock.sleep(Duration::from_secs(600)).await;
    assert_eq!(left(&delivery), 0);
    let tries = target.tries.lock().unwrap().clone();
    let wanted = bodies.iter().enumerate().map(|(i, body)| (format!("e{i}"), if *body == "later" { 2 } else { 1 }));
    assert_eq!(tries, wanted.collect());
    let mut dead: Vec<String> = delivery.dead(10).into_iter().map(|letter| letter.envelope.id).collect();
    dead.sort();
    assert_eq!(dead, ["e1", "e7"]);
    let calls = target.calls.lock().unwrap().clone();
    // The first tells how many its target takes at once; from then on they go together.
    assert!(calls.iter().all(|call| *call <= 8) && calls.contains(&8), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_unfit_is_given_up_and_its_target_not_asked() {
    let (world, delivery, target) = house().await;
    let unfit = |number: usize| number % 3 == 2;
    let all = (0..20).map(|number| {
        let mut e = envelope(number, "yes");
        if unfit(number) {
            e.attributes.insert(attribute::UNFIT.into(), "too large".into());
        }
        e
    });
    delivery.send(all.collect()).await.unwrap();
    delivery.start();
    world.clock.sleep(Duration::from_secs(600)).await;
    assert_eq!(left(&delivery), 0);
    let ids = |wanted: bool| (0..20).filter(move |n| unfit(*n) == wanted).map(|n| format!("e{n}"));
    assert_eq!(*target.tries.lock().unwrap(), ids(false).map(|id| (id, 1)).collect());
    let mut dead = delivery.dead(20);
    assert!(dead.iter().all(|letter| (letter.code.as_str(), letter.why.as_str()) == ("Unfit", "too large")));
    dead.sort_by(|a, b| a.envelope.id.cmp(&b.envelope.id));
    let mut wanted: Vec<String> = ids(true).collect();
    wanted.sort();
    assert_eq!(dead.into_iter().map(|letter| letter.envelope.id).collect::<Vec<_>>(), wanted);
}

#[tokio::test(start_paused = true)]
async fn whose_role_cannot_be_taken_on_is_given_up_and_its_target_not_asked() {
    let (world, delivery, target) = house().await;
    let role = |number: usize| ["arn:aws:iam::000000000000:role/r", GHOST][number % 2];
    let all = (0..4).map(|number| Envelope { role: role(number).parse().ok(), ..envelope(number, "yes") });
    let roleless = envelope(4, "yes");
    assert_eq!(roleless.role, None);
    delivery.ask(Arc::new(AllBut(&[GHOST])));
    delivery.send(all.chain([roleless]).collect()).await.unwrap();
    delivery.start();
    world.clock.sleep(Duration::from_secs(600)).await;
    assert_eq!(*target.tries.lock().unwrap(), ["e0", "e2", "e4"].map(|id| (id.to_owned(), 1)).into());
    let dead = delivery.dead(20);
    let why = format!("The role {GHOST} cannot be assumed by {}.", envelope(0, "yes").principal);
    assert!(
        dead.len() == 2 && dead.iter().all(|letter| letter.code == "AccessDenied" && letter.why == why),
        "{dead:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_target_says_nothing_of_is_tried_again() {
    let (world, delivery, target) = house().await;
    delivery.send((0..8).map(|i| envelope(i, if i == 3 { "short" } else { "yes" })).collect()).await.unwrap();
    delivery.start();
    world.clock.sleep(Duration::from_secs(600)).await;
    assert_eq!(left(&delivery), 0);
    assert_eq!(target.tries.lock().unwrap().len(), 8);
    assert!(delivery.dead(10).is_empty());
}
