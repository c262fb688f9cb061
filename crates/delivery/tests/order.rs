//! Envelopes that ask for an order are carried one after another; others are not held up by them.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use delivery::{Envelope, Settled, attribute};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use support::{Scripted, accepted, again, arn, envelope, house, is_empty, refused, until};
use world::World;

fn ordered(world: &World, group: &str, number: usize) -> Envelope {
    let mut one = envelope(world, &format!("{group}/{number}"), arn("sqs", "orders.fifo"));
    one.attributes.insert(attribute::ORDER.to_owned(), group.to_owned());
    one
}

/// What the target accepted, refused or was no longer asked for, group by group, in the order of the last tries.
fn ends(target: &Scripted) -> BTreeMap<String, Vec<usize>> {
    let mut out: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for id in target.ids() {
        let (group, number) = id.split_once('/').unwrap();
        let all = out.entry(group.to_owned()).or_default();
        let number = number.parse().unwrap();
        if all.last() != Some(&number) {
            all.push(number);
        }
    }
    out
}

#[tokio::test(start_paused = true)]
async fn a_failure_holds_up_its_own_group_only() {
    let (world, delivery) = house(1).await;
    let target = Scripted::new(&world, |e, _| Some(if e.id == "bad/0" { again() } else { accepted() }));
    delivery.register("sqs", "", target.clone());
    delivery.start();
    let all = (0..200).flat_map(|n| [ordered(&world, "bad", n), ordered(&world, "good", n)]).collect();
    delivery.send(all).await.unwrap();
    until(&world, || ends(&target).get("good").is_some_and(|all| all.len() == 200)).await;
    assert_eq!(ends(&target)["bad"], [0], "the others of the group wait");
    until(&world, || is_empty(&delivery)).await;
    assert_eq!(ends(&target)["bad"], (0..200).collect::<Vec<_>>(), "the first was given up after five tries");
    assert_eq!(delivery.dead(10).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_sent_is_told_what_became_of_it() {
    let (world, delivery) = house(1).await;
    let target = Scripted::new(&world, |e, tries| match e.id.as_str() {
        "a/0" if tries == 0 => Some(again()),
        "b/0" => Some(refused()),
        _ => Some(accepted()),
    });
    delivery.register("sqs", "", target.clone());
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = told.clone();
    delivery.listen(
        "events.amazonaws.com",
        Arc::new(move |envelope, settled| {
            let line = match settled {
                Settled::Accepted { answer, tries } => format!("{} {tries} {answer:?}", envelope.id),
                Settled::GivenUp(failure) => {
                    format!("{} {} {} {}", envelope.id, failure.tries, failure.code, failure.why)
                }
            };
            sink.lock().unwrap().push(line);
        }),
    );
    delivery.start();
    let mut other = ordered(&world, "c", 0);
    other.principal = "sns.amazonaws.com".into();
    delivery.send(vec![ordered(&world, "a", 0), ordered(&world, "b", 0), other]).await.unwrap();
    until(&world, || is_empty(&delivery)).await;
    let mut told = told.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["a/0 2 b\"thanks\"", "b/0 1 NO_PERMISSIONS you may not"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// However tries end, nothing of a group is tried before all that were sent before it have ended.
    #[test]
    fn groups_keep_their_order(seed: u64, count in 1usize..150, groups in 1usize..6, flaky in 0u64..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (world, delivery) = house(seed).await;
            let entropy = world.entropy.clone();
            let target = Scripted::new(&world, move |_, _| {
                Some(match entropy.below(8) {
                    0 if flaky > 2 => refused(),
                    n if n < flaky => again(),
                    _ => accepted(),
                })
            });
            delivery.register("sqs", "", target.clone());
            delivery.start();
            for number in 0..count {
                let group = format!("g{}", number % groups);
                delivery.send(vec![ordered(&world, &group, number)]).await.unwrap();
            }
            until(&world, || is_empty(&delivery)).await;
            for (group, numbers) in ends(&target) {
                let all: BTreeSet<usize> = numbers.iter().copied().collect();
                assert_eq!(all.len(), numbers.len(), "{group}: {numbers:?}: one came again after a later one");
                assert!(numbers.is_sorted(), "{group}: {numbers:?}");
            }
        });
    }
}
