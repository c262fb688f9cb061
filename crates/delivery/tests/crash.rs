//! The power fails at any moment: what `send` acknowledged is delivered, at least once.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use delivery::{Delivery, Envelope};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Scripted, accepted, again, arn, envelope, is_empty, life, open_store, until};
use world::disk::{DiskFaults, SimDisk};
use world::{Entropy, SeededEntropy};

#[test]
fn a_backlog_is_resumed_before_anything_new_is_sent() {
    let disk = Arc::new(SimDisk::new(1));
    life(&disk, 1, |world| async move {
        let store = open_store(&world).await;
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let to = |i: usize| arn("lambda", &format!("function:f{}", i % 3));
        // Never started: the power fails between the answer and the first try.
        delivery.send((0..9).map(|i| envelope(&world, &format!("{i}"), to(i))).collect()).await.unwrap();
    });
    disk.crash();
    life(&disk, 2, |world| async move {
        let store = open_store(&world).await;
        let delivery = Delivery::open(&world, &store).await.unwrap();
        let target = Scripted::new(&world, |_, _| Some(accepted()));
        delivery.register("lambda", "", target.clone());
        delivery.start();
        until(&world, || is_empty(&delivery)).await;
        let ids: BTreeSet<String> = target.ids().into_iter().collect();
        assert_eq!(ids.len(), 9);
        assert_eq!(delivery.status().len(), 3);
    });
}

/// What outlives the processes: the outside.
#[derive(Default)]
struct Outside {
    /// Ids whose `send` returned.
    promised: Mutex<BTreeSet<String>>,
    /// Ids that a target or the dead-letter queue accepted.
    arrived: Mutex<BTreeSet<String>>,
}

async fn register(world: &world::World, delivery: &Delivery, outside: &Arc<Outside>) {
    let take = |outside: &Arc<Outside>| {
        let outside = outside.clone();
        move |e: &Envelope| {
            outside.arrived.lock().unwrap().insert(e.id.clone());
        }
    };
    let (arrive, bury) = (take(outside), take(outside));
    let entropy = world.entropy.clone();
    let flaky = Scripted::new(world, move |e, _| match entropy.below(4) {
        0 => Some(again()),
        1 => None,
        2 if e.to.resource().ends_with('2') => Some(support::refused()),
        _ => {
            arrive(e);
            Some(accepted())
        }
    });
    let queue = Scripted::new(world, move |e, _| {
        bury(e);
        Some(accepted())
    });
    delivery.register("lambda", "", flaky);
    delivery.register("sqs", "", queue);
}

#[test]
fn under_any_seed_everything_promised_arrives_or_is_kept() {
    for seed in 0..30 {
        let dice = SeededEntropy::new(seed);
        let disk = Arc::new(SimDisk::new(seed));
        let outside = Arc::new(Outside::default());
        for crash in 0..4 {
            life(&disk, seed * 10 + crash, |world| {
                let (outside, dice, disk) = (outside.clone(), &dice, disk.clone());
                async move {
                    let store = open_store(&world).await;
                    let delivery = Delivery::open(&world, &store).await.unwrap();
                    register(&world, &delivery, &outside).await;
                    delivery.start();
                    disk.set_faults(DiskFaults { halt_after: 5 + dice.below(100), ..DiskFaults::default() });
                    for i in 0..dice.below(8) {
                        let make = |n: u64| {
                            let to = arn("lambda", &format!("function:f{}", n % 3));
                            let mut e = envelope(&world, &format!("{seed}-{crash}-{i}-{n}"), to);
                            e.dead_letter = n.is_multiple_of(2).then(|| arn("sqs", "dead"));
                            e.policy.max_attempts = 3;
                            e
                        };
                        let envelopes: Vec<Envelope> = (0..1 + dice.below(5)).map(make).collect();
                        let ids: Vec<String> = envelopes.iter().map(|e| e.id.clone()).collect();
                        if delivery.send(envelopes).await.is_err() {
                            return;
                        }
                        outside.promised.lock().unwrap().extend(ids);
                        world.clock.sleep(Duration::from_millis(dice.below(3000))).await;
                    }
                }
            });
            disk.crash();
            disk.set_faults(DiskFaults::default());
        }
        life(&disk, seed * 10 + 9, |world| {
            let outside = outside.clone();
            async move {
                let store = open_store(&world).await;
                let delivery = Delivery::open(&world, &store).await.unwrap();
                register(&world, &delivery, &outside).await;
                delivery.start();
                until(&world, || is_empty(&delivery)).await;
                let mut accounted = outside.arrived.lock().unwrap().clone();
                accounted.extend(delivery.dead(10_000).into_iter().map(|d| d.envelope.id));
                let lost: Vec<_> = outside.promised.lock().unwrap().difference(&accounted).cloned().collect();
                assert_eq!(lost, [] as [String; 0], "seed {seed}");
            }
        });
    }
}
