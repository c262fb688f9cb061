//! The independent lane: retries, dead letters, isolation.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use delivery::{Backoff, Delivery, Envelope, Failure, Target, Verdict, attribute, code};
use names::{Arn, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use support::{Scripted, accepted, again, arn, envelope, house, is_empty, refused, until};
use world::{BoxFuture, World};

/// A house whose function target answers as told, and whose queues take everything.
async fn two(
    answer: impl Fn(&Envelope, usize) -> Option<delivery::Verdict> + Send + Sync + 'static,
) -> (World, Arc<Delivery>, Arc<Scripted>, Arc<Scripted>) {
    let (world, delivery) = house(1).await;
    let function = Scripted::new(&world, answer);
    let queue = Scripted::new(&world, |_, _| Some(accepted()));
    delivery.register("lambda", "function:", function.clone());
    delivery.register("sqs", "", queue.clone());
    delivery.start();
    (world, delivery, function, queue)
}

fn function() -> Arn {
    arn("lambda", "function:f")
}

fn letter_attributes(letter: &Envelope) -> std::collections::BTreeMap<String, String> {
    let all: serde_json::Value = serde_json::from_str(&letter.attributes[attribute::MESSAGE_ATTRIBUTES]).unwrap();
    let text = |v: &serde_json::Value| v["StringValue"].as_str().unwrap().to_owned();
    all.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_leaves_the_lane_and_comes_once() {
    let (world, delivery, target, _) = two(|_, _| Some(accepted())).await;
    let envelopes: Vec<_> = (0..100).map(|i| envelope(&world, &i.to_string(), function())).collect();
    delivery.send(envelopes.clone()).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    let mut ids: Vec<u32> = target.ids().iter().map(|id| id.parse().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
    assert_eq!(target.seen.lock().unwrap()[0].1, envelopes[0]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_with_growing_pauses() {
    let (world, delivery, target, _) = two(|_, tries| Some(if tries < 4 { again() } else { accepted() })).await;
    delivery.send(vec![envelope(&world, "e", function())]).await.unwrap();
    until(&world, || target.tries() == 2).await;
    let status = delivery.status().remove(0);
    assert_eq!((status.waiting, status.last_error.as_deref()), (1, Some("THROTTLING: slow down")));
    assert!(status.retry_at.is_some_and(|at| at > world.now()));
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(target.pauses(), [1, 2, 4, 8]);
    assert_eq!(delivery.status()[0].last_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_knows_when_is_asked_then() {
    let (world, delivery, target, _) = two(|_, tries| {
        let wait = delivery::Verdict::Again { code: "c".into(), why: "w".into(), after: Some(Duration::from_secs(30)) };
        Some(if tries == 0 { wait } else { accepted() })
    })
    .await;
    delivery.send(vec![envelope(&world, "e", function())]).await.unwrap();
    until(&world, || target.tries() == 2).await;
    assert_eq!(target.pauses(), [30]);
}

#[tokio::test(start_paused = true)]
async fn exhausted_attempts_end_in_a_dead_letter() {
    let (world, delivery, target, queue) = two(|_, _| Some(again())).await;
    let dead = arn("sqs", "dead");
    let e = Envelope { dead_letter: Some(dead.clone()), ..envelope(&world, "e", function()) };
    delivery.send(vec![e.clone()]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    assert_eq!((target.tries(), queue.tries()), (5, 1));
    let letter = queue.seen.lock().unwrap()[0].1.clone();
    assert_eq!((&letter.to, &letter.body), (&dead, &e.body));
    let said = letter_attributes(&letter);
    assert_eq!(said["ERROR_CODE"], "THROTTLING");
    assert_eq!(said["EXHAUSTED_RETRY_CONDITION"], "MaximumRetryAttempts");
    assert_eq!(said["RETRY_ATTEMPTS"], "4");
    assert_eq!(said["RULE_ARN"], arn("events", "rule/r").to_string());
    assert_eq!(said["TARGET_ARN"], function().to_string());
    assert!(delivery.dead(10).is_empty());
}

#[tokio::test(start_paused = true)]
async fn exceeded_age_ends_in_a_dead_letter() {
    let (world, delivery, target, queue) = two(|_, _| Some(again())).await;
    let mut e = Envelope { dead_letter: Some(arn("sqs", "dead")), ..envelope(&world, "e", function()) };
    e.policy.max_attempts = 186;
    e.policy.max_age = Duration::from_secs(60);
    delivery.send(vec![e]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(target.pauses(), [1, 2, 4, 8, 16, 29], "the last try is at the deadline");
    let letter = queue.seen.lock().unwrap()[0].1.clone();
    assert_eq!(letter_attributes(&letter)["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    let (world, delivery, target, queue) = two(|_, _| Some(refused())).await;
    let e = Envelope { dead_letter: Some(arn("sqs", "dead")), ..envelope(&world, "e", function()) };
    delivery.send(vec![e]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(target.tries(), 1);
    let said = letter_attributes(&queue.seen.lock().unwrap()[0].1);
    assert_eq!((said["ERROR_CODE"].as_str(), said["RETRY_ATTEMPTS"].as_str()), ("NO_PERMISSIONS", "0"));
    assert!(!said.contains_key("EXHAUSTED_RETRY_CONDITION"));
}

#[tokio::test(start_paused = true)]
async fn without_a_dead_letter_target_it_is_kept() {
    let (world, delivery, _, _) = two(|_, _| Some(refused())).await;
    let envelopes: Vec<_> = ["a", "b", "c"].map(|id| envelope(&world, id, function())).into();
    for e in &envelopes {
        delivery.send(vec![e.clone()]).await.unwrap();
        until(&world, || is_empty(&delivery)).await;
    }
    let kept = delivery.dead(2);
    assert_eq!(kept.iter().map(|d| &d.envelope).collect::<Vec<_>>(), [&envelopes[2], &envelopes[1]]);
    assert_eq!((kept[0].code.as_str(), kept[0].why.as_str(), kept[0].tries), ("NO_PERMISSIONS", "you may not", 1));
    assert_eq!(delivery.dead(10).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_undeliverable_dead_letter_is_kept_and_makes_no_loop() {
    let (world, delivery) = house(3).await;
    let all = Scripted::new(&world, |_, _| Some(refused()));
    delivery.register("lambda", "", all.clone());
    delivery.register("sqs", "", all.clone());
    delivery.start();
    let e = Envelope { dead_letter: Some(arn("sqs", "dead")), ..envelope(&world, "e", function()) };
    delivery.send(vec![e]).await.unwrap();
    until(&world, || delivery.dead(10).len() == 1 && is_empty(&delivery)).await;
    assert_eq!(all.tries(), 2);
    let kept = delivery.dead(10).remove(0);
    assert_eq!(kept.envelope.to, arn("sqs", "dead"));
    assert_eq!(letter_attributes(&kept.envelope)["TARGET_ARN"], function().to_string());
}

#[tokio::test(start_paused = true)]
async fn nobody_registered_is_a_refusal() {
    let (world, delivery, _, _) = two(|_, _| Some(accepted())).await;
    let nowhere = arn("batch", "job-queue/q");
    assert!(!delivery.knows(&nowhere));
    assert!(delivery.knows(&function()));
    delivery.send(vec![envelope(&world, "e", nowhere)]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(delivery.dead(1)[0].code, code::NO_TARGET);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_hang_cost_one_try_each() {
    let (world, delivery, target, _) = two(|_, tries| match tries {
        0 => panic!("a bug"),
        1 => None,
        _ => Some(accepted()),
    })
    .await;
    delivery.send(vec![envelope(&world, "e", function())]).await.unwrap();
    until(&world, || target.tries() == 2).await;
    assert_eq!(delivery.status()[0].last_error.as_deref(), Some("INTERNAL_ERROR: panic: a bug"));
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(target.pauses(), [1, 62], "a pause; then the time limit and a pause");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_starves_nobody() {
    let (world, delivery, target, _) = two(|e, _| (e.to.resource() != "function:hangs").then(accepted)).await;
    let hang: Vec<_> = (0..500).map(|i| envelope(&world, &format!("h{i}"), arn("lambda", "function:hangs"))).collect();
    let work: Vec<_> = (0..500).map(|i| envelope(&world, &format!("w{i}"), function())).collect();
    delivery.send(hang.into_iter().chain(work).collect()).await.unwrap();
    let start = world.now();
    until(&world, || target.ids().iter().filter(|id| id.starts_with('w')).count() == 500).await;
    assert!(world.now().since(start) < Duration::from_secs(60), "before the first hanging try timed out");
    assert_eq!(target.ids().iter().filter(|id| id.starts_with('h')).count(), 16, "as many as its lane lets out");
    let status = delivery.status();
    let hanging = status.iter().find(|s| s.lane.ends_with("hangs")).unwrap();
    assert_eq!((hanging.in_flight, hanging.waiting), (16, 484));
}

#[tokio::test(start_paused = true)]
async fn a_lane_of_width_one_has_one_on_its_way() {
    let (world, delivery) = house(4).await;
    let narrow = Scripted::limited(&world, (1, Duration::from_secs(5)), |_, _| None);
    delivery.register("lambda", "", narrow.clone());
    delivery.start();
    let envelopes = (0..10).map(|i| envelope(&world, &i.to_string(), function())).collect();
    delivery.send(envelopes).await.unwrap();
    until(&world, || narrow.tries() == 4).await;
    assert!(narrow.pauses().iter().all(|pause| *pause >= 5), "{:?}", narrow.pauses());
}

#[tokio::test(start_paused = true)]
async fn not_before_holds_it_back() {
    let (world, delivery, target, _) = two(|_, _| Some(accepted())).await;
    let due = world.now().plus(Duration::from_secs(600));
    let later = Envelope { not_before: Some(due), ..envelope(&world, "later", function()) };
    delivery.send(vec![later, envelope(&world, "now", function())]).await.unwrap();
    until(&world, || target.tries() == 2).await;
    let seen = target.seen.lock().unwrap();
    assert_eq!(seen[0].1.id, "now");
    assert_eq!(seen[1].1.id, "later");
    assert!(seen[1].0 >= due);
}

#[tokio::test(start_paused = true)]
async fn idle_lanes_cost_no_task_and_wake_again() {
    let (world, delivery, target, _) = two(|_, _| Some(accepted())).await;
    let lanes = |world: &World| world.tasks.running().iter().filter(|n| n.starts_with("delivery ")).count();
    delivery.send(vec![envelope(&world, "1", function())]).await.unwrap();
    assert_eq!(lanes(&world), 1);
    until(&world, || lanes(&world) == 0).await;
    assert_eq!(target.tries(), 1);
    delivery.send(vec![envelope(&world, "2", function())]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(target.ids(), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_is_under_way_end_and_starts_nothing() {
    let (world, delivery) = house(5).await;
    let slow = Scripted::limited(&world, (1, Duration::from_secs(5)), |_, _| None);
    delivery.register("lambda", "", slow.clone());
    delivery.start();
    let envelopes = (0..3).map(|i| envelope(&world, &i.to_string(), function())).collect();
    delivery.send(envelopes).await.unwrap();
    until(&world, || slow.tries() == 1).await;
    let aborted = world.tasks.shut_down(Duration::from_secs(30)).await;
    assert_eq!(aborted, [] as [&str; 0]);
    assert_eq!(slow.tries(), 1);
    assert_eq!(delivery.status()[0].waiting, 3);
}

#[tokio::test(start_paused = true)]
async fn a_busy_target_costs_no_try() {
    let pace = Backoff {
        first: Duration::from_secs(1),
        factor: 2.0,
        cap: Duration::from_secs(300),
        jitter: false,
        steps: vec![],
    };
    let busy = move || Verdict::Busy { code: "TOO_MANY".into(), why: "later".into(), pace: pace.clone() };
    // Busy twelve times, then it fails as often as the policy allows.
    let (world, delivery, target, queue) = two(move |_, n| Some(if n < 12 { busy() } else { again() })).await;
    let mut e = envelope(&world, "e", function());
    e.policy.max_attempts = 2;
    e.dead_letter = Some(arn("sqs", "dead"));
    delivery.send(vec![e]).await.unwrap();
    until(&world, || queue.tries() == 1).await;
    assert_eq!(target.pauses(), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 1]);
    let letter = queue.seen.lock().unwrap()[0].1.clone();
    assert_eq!(letter_attributes(&letter)["RETRY_ATTEMPTS"], "1");
}

/// A target that tells of what is given up in its own way.
struct Teller(Arc<Scripted>);

impl Target for Teller {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        self.0.deliver(envelope)
    }
    fn given_up(&self, envelope: &Envelope, failure: &Failure, now: Timestamp) -> Vec<Envelope> {
        let body = format!("{} {:?}", failure.tries, failure.exhausted);
        let to =
            |name: &str| Envelope { to: arn("sqs", name), body: body.clone().into(), created: now, ..envelope.clone() };
        vec![to("one"), to("two")]
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_may_tell_of_what_is_given_up_in_its_own_way() {
    let (world, delivery, function_target, queue) = two(|_, _| Some(again())).await;
    delivery.register("lambda", "function:", Arc::new(Teller(function_target)));
    let e = Envelope { dead_letter: Some(arn("sqs", "dead")), ..envelope(&world, "e", function()) };
    delivery.send(vec![e]).await.unwrap();
    until(&world, || queue.tries() == 2).await;
    let told: Vec<_> = queue.seen.lock().unwrap().iter().map(|(_, e)| (e.to.clone(), e.body.clone())).collect();
    let body = bytes::Bytes::from("5 Some(Attempts)");
    assert_eq!(told, [(arn("sqs", "one"), body.clone()), (arn("sqs", "two"), body)]);
    assert!(is_empty(&delivery) && delivery.dead(10).is_empty());
}
