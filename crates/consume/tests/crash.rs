//! The power fails at any moment: every record is handled, parents' before their children's.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use consume::{Checkpoints, Progress, Start, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{By, Seen, Stream, checkpoints, gather, life, until, walker};
use world::disk::{DiskFaults, SimDisk};
use world::{Entropy, SeededEntropy, Stage, World};

fn walk(world: &World, checkpoints: &Arc<Checkpoints>, stream: &Arc<Stream>, start: Start, seen: &Arc<Seen>) {
    let (walker, seen) = (walker(world, checkpoints, stream, start), seen.clone());
    let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
    world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
        let handler = By(move |turn: Turn| {
            let (seen, clock, entropy) = (seen.clone(), clock.clone(), entropy.clone());
            async move {
                clock.sleep(Duration::from_millis(entropy.below(60))).await;
                seen.add(&turn);
                Progress::Done
            }
        });
        walker.run(support::stopped(stop), gather(3), &handler).await.unwrap();
    });
}

#[test]
fn a_restart_goes_on_from_the_checkpoint() {
    let disk = Arc::new(SimDisk::new(1));
    let (stream, seen) = (Stream::new(&["a"]), Arc::new(Seen::default()));
    life(&disk, 1, |world| {
        let (stream, seen) = (stream.clone(), seen.clone());
        async move {
            let checkpoints = checkpoints(&world).await;
            (0..100).for_each(|i| stream.put("a", &i.to_string(), world.now()));
            walk(&world, &checkpoints, &stream, Start::TrimHorizon, &seen);
            until(&world, || checkpoints.position("mapping", "a").is_some_and(|p| p >= 50)).await;
        }
    });
    disk.crash();
    let before = seen.len();
    assert!((50..100).contains(&before));
    life(&disk, 2, |world| {
        let (stream, seen) = (stream.clone(), seen.clone());
        async move {
            let checkpoints = checkpoints(&world).await;
            let resumed = checkpoints.position("mapping", "a").unwrap();
            assert!(resumed >= 50);
            walk(&world, &checkpoints, &stream, Start::TrimHorizon, &seen);
            until(&world, || seen.data().last().is_some_and(|d| d == "99")).await;
            assert_eq!(seen.len() - before, 100 - resumed as usize, "what was dealt with is not read again");
            assert_eq!(world.tasks.shut_down(Duration::from_secs(10)).await, [] as [&str; 0]);
        }
    });
    let all: BTreeSet<String> = seen.data().into_iter().collect();
    assert_eq!(all.len(), 100);
    // The last one ended in order: nothing is left to be handled again.
    life(&disk, 3, |world| {
        let (stream, seen) = (stream.clone(), Arc::new(Seen::default()));
        async move {
            let checkpoints = checkpoints(&world).await;
            walk(&world, &checkpoints, &stream, Start::TrimHorizon, &seen);
            world.clock.sleep(Duration::from_secs(5)).await;
            assert_eq!(seen.len(), 0);
        }
    });
}

/// What was put where, by the one who put it.
#[derive(Default)]
struct Written {
    by_shard: Mutex<BTreeMap<String, Vec<String>>>,
    parents: Mutex<BTreeMap<String, Vec<String>>>,
    shards: Mutex<u32>,
}

impl Written {
    /// Puts some records, and now and then splits or merges.
    fn turn(&self, stream: &Stream, world: &World, dice: &SeededEntropy, tag: &str) {
        let open = stream.open_shards();
        let pick = |n: u64| open[(n % open.len() as u64) as usize].clone();
        match dice.below(6) {
            0 => {
                let parent = pick(dice.u64());
                let children: Vec<String> = (0..2).map(|_| self.shard(&[&parent])).collect();
                stream.reshard(&[&parent], &[&children[0], &children[1]]);
            }
            1 if open.len() > 1 => {
                let first = dice.below(open.len() as u64 - 1) as usize;
                let child = self.shard(&[&open[first], &open[first + 1]]);
                stream.reshard(&[&open[first], &open[first + 1]], &[&child]);
            }
            _ => {
                for i in 0..dice.below(12) {
                    let (shard, data) = (pick(dice.u64()), format!("{tag}-{i}"));
                    stream.put(&shard, &data, world.now());
                    self.by_shard.lock().unwrap().entry(shard).or_default().push(data);
                }
            }
        }
    }

    fn shard(&self, parents: &[&str]) -> String {
        let mut number = self.shards.lock().unwrap();
        *number += 1;
        // Names that sort against the lineage.
        let name = format!("{:04}", 9999 - *number);
        let parents = parents.iter().map(|p| (*p).to_owned()).collect();
        self.parents.lock().unwrap().insert(name.clone(), parents);
        name
    }

    fn check(&self, seen: &Seen, seed: u64) {
        let (by_shard, parents) = (self.by_shard.lock().unwrap(), self.parents.lock().unwrap());
        let seen = seen.0.lock().unwrap();
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, (_, data)) in seen.iter().enumerate() {
            first.entry(data).or_insert(i);
        }
        for (shard, written) in by_shard.iter() {
            let places: Vec<usize> = written
                .iter()
                .map(|d| *first.get(d.as_str()).unwrap_or_else(|| panic!("seed {seed}: lost {d}")))
                .collect();
            assert!(places.is_sorted(), "seed {seed}: shard {shard} is out of order");
            for parent in parents.get(shard).into_iter().flatten() {
                // Every parent's record was handled, at least once, before the first of the child.
                let last = by_shard.get(parent).into_iter().flatten().map(|d| first[d.as_str()]).max();
                assert!(last < places.first().copied(), "seed {seed}: {shard} began before {parent} ended");
            }
        }
    }
}

#[test]
fn under_any_seed_nothing_is_lost_and_parents_come_first() {
    for seed in 0..60 {
        let dice = SeededEntropy::new(seed);
        let disk = Arc::new(SimDisk::new(seed));
        let (stream, seen, written) = (Stream::new(&["a", "b"]), Arc::new(Seen::default()), Written::default());
        let start = if seed % 2 == 0 { Start::TrimHorizon } else { Start::Latest };
        life(&disk, seed, |world| {
            let stream = stream.clone();
            async move {
                stream.put("a", "before the pin", world.now());
                walker(&world, &checkpoints(&world).await, &stream, start).pin().await.unwrap();
            }
        });
        for crash in 0..5 {
            disk.crash();
            life(&disk, seed * 10 + crash, |world| {
                let (stream, seen, dice, written) = (stream.clone(), seen.clone(), &dice, &written);
                let disk = disk.clone();
                async move {
                    let checkpoints = checkpoints(&world).await;
                    assert!(checkpoints.is_pinned("mapping"), "seed {seed}");
                    walk(&world, &checkpoints, &stream, start, &seen);
                    disk.set_faults(DiskFaults { halt_after: 1 + dice.below(60), ..DiskFaults::default() });
                    for turn in 0..dice.below(10) {
                        written.turn(&stream, &world, dice, &format!("{crash}-{turn}"));
                        world.clock.sleep(Duration::from_millis(dice.below(200))).await;
                    }
                }
            });
            disk.set_faults(DiskFaults::default());
        }
        disk.crash();
        life(&disk, seed * 10 + 9, |world| {
            let (stream, seen, written) = (stream.clone(), seen.clone(), &written);
            async move {
                let checkpoints = checkpoints(&world).await;
                walk(&world, &checkpoints, &stream, start, &seen);
                world.clock.sleep(Duration::from_secs(120)).await;
                written.check(&seen, seed);
                let early = seen.data().iter().any(|d| d == "before the pin");
                assert_eq!(early, start == Start::TrimHorizon, "seed {seed}");
            }
        });
    }
}
