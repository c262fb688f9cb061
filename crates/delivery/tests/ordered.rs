//! The ordered lane.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use delivery::{Delivery, Ordered, Try, Verdict};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use support::{Scripted, accepted, again, arn, envelope, house, refused, until};
use world::{Stage, World};

async fn one(
    answer: impl Fn(usize) -> Option<Verdict> + Send + Sync + 'static,
) -> (World, Arc<Delivery>, Arc<Scripted>) {
    let (world, delivery) = house(1).await;
    let target = Scripted::new(&world, move |_, tries| answer(tries));
    delivery.register("lambda", "function:", target.clone());
    (world, delivery, target)
}

#[tokio::test(start_paused = true)]
async fn it_tries_until_accepted_even_after_a_refusal() {
    let (world, delivery, target) = one(|tries| Some([again(), refused(), accepted()][tries].clone())).await;
    let e = envelope(&world, "e", arn("lambda", "function:f"));
    let ordered = delivery.in_order(&e, pending(), |_, verdict| !matches!(verdict, Verdict::Accepted(_))).await;
    assert_eq!(ordered, Ordered::Accepted("thanks".into()));
    assert_eq!(target.pauses(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_caller_may_give_up() {
    let (world, delivery, target) = one(|_| Some(refused())).await;
    let e = envelope(&world, "e", arn("lambda", "function:f"));
    let again = |this: Try, verdict: &Verdict| this.number != 2 || *verdict != refused();
    let ordered = delivery.in_order(&e, pending(), again).await;
    assert_eq!(ordered, Ordered::GaveUp { code: "NO_PERMISSIONS".into(), why: "you may not".into(), tries: 2 });
    assert_eq!(target.tries(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_policy_ends_it() {
    let (world, delivery, target) = one(|_| Some(again())).await;
    let mut e = envelope(&world, "e", arn("lambda", "function:f"));
    e.policy.max_attempts = u32::MAX;
    e.policy.max_age = Duration::from_secs(20);
    let ordered = delivery.in_order(&e, pending(), |_, verdict| !matches!(verdict, Verdict::Accepted(_))).await;
    assert!(matches!(ordered, Ordered::GaveUp { tries: 6, .. }), "{ordered:?}");
    assert_eq!(target.pauses(), [1, 2, 4, 8, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait() {
    let (world, delivery, target) = one(|_| Some(again())).await;
    let (inner, e) = (delivery.clone(), envelope(&world, "e", arn("lambda", "function:f")));
    let ended = Arc::new(std::sync::Mutex::new(None));
    let told = ended.clone();
    world.tasks.spawn(Stage::Sources, "walk", move |mut stop| async move {
        let ordered = inner.in_order(&e, stop.wait(), |_, _| true).await;
        *told.lock().unwrap() = Some(ordered);
    });
    until(&world, || target.tries() == 2).await;
    assert_eq!(world.tasks.shut_down(Duration::from_secs(1)).await, [] as [&str; 0]);
    assert_eq!(*ended.lock().unwrap(), Some(Ordered::Stopped));
    assert_eq!(target.tries(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_tells_of_a_failure_is_no_success() {
    let (world, delivery, target) = one(|_| Some(accepted())).await;
    let e = envelope(&world, "e", arn("lambda", "function:f"));
    let ordered = delivery.in_order(&e, pending(), |this, _| this.number < 3).await;
    assert_eq!(ordered, Ordered::Accepted("thanks".into()));
    assert_eq!(target.pauses(), [1, 2], "with the pauses of any failure");
}
