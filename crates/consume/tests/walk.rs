//! A walker over one life.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use consume::{Checkpoints, Chunk, Gather, Progress, SourceError, Start, WalkError};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Seen, Stream, checkpoints, gather, until, walker};
use world::{Stage, World};

struct House {
    world: World,
    checkpoints: Arc<Checkpoints>,
    stream: Arc<Stream>,
    seen: Arc<Seen>,
    /// How the walk ended.
    ended: Arc<Mutex<Option<Result<(), WalkError>>>>,
}

impl House {
    async fn new(shards: &[&str]) -> House {
        let (world, _) = World::simulated(1);
        let checkpoints = checkpoints(&world).await;
        House { world, checkpoints, stream: Stream::new(shards), seen: Arc::default(), ended: Arc::default() }
    }

    fn put(&self, shard: &str, data: &str) {
        self.stream.put(shard, data, self.world.now());
    }

    /// Starts a walk as a task of the house, whose handler notes what it sees and answers.
    fn walk(&self, start: Start, gather: Gather, answer: impl Fn(&str, &Chunk) -> Progress + Send + Sync + 'static) {
        let walker = walker(&self.world, &self.checkpoints, &self.stream, start);
        let (seen, ended, answer) = (self.seen.clone(), self.ended.clone(), Arc::new(answer));
        self.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
            let handler = |shard: String, chunk: Chunk| {
                let (seen, answer) = (seen.clone(), answer.clone());
                async move {
                    seen.add(&shard, &chunk);
                    answer(&shard, &chunk)
                }
            };
            let result = walker.run(stop, move || gather, handler).await;
            *ended.lock().unwrap() = Some(result);
        });
    }

    async fn stop(&self) {
        assert_eq!(self.world.tasks.shut_down(Duration::from_secs(10)).await, [] as [&str; 0]);
    }
}

fn done(_: &str, _: &Chunk) -> Progress {
    Progress::Done
}

#[tokio::test(start_paused = true)]
async fn records_are_handled_in_order_as_they_come() {
    let house = House::new(&["a"]).await;
    (0..5).for_each(|i| house.put("a", &i.to_string()));
    house.walk(Start::TrimHorizon, gather(3), done);
    until(&house.world, || house.seen.len() == 5).await;
    let reads = house.stream.reads.load(Ordering::Relaxed);
    house.world.clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(house.stream.reads.load(Ordering::Relaxed), reads, "an idle shard is not polled");
    (5..8).for_each(|i| house.put("a", &i.to_string()));
    until(&house.world, || house.seen.len() == 8).await;
    assert_eq!(house.seen.data(), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    house.stop().await;
    assert_eq!(*house.ended.lock().unwrap(), Some(Ok(())));
    assert_eq!(house.checkpoints.position("mapping", "a"), Some(8));
}

#[tokio::test(start_paused = true)]
async fn latest_loses_nothing_after_the_pin() {
    let house = House::new(&["a"]).await;
    house.put("a", "before");
    walker(&house.world, &house.checkpoints, &house.stream, Start::Latest).pin().await.unwrap();
    house.put("a", "between");
    house.stream.reshard(&["a"], &["b", "c"]);
    house.put("b", "in a new shard");
    house.walk(Start::Latest, gather(10), done);
    until(&house.world, || house.seen.len() == 2).await;
    house.stream.reshard(&["b"], &["d"]);
    house.put("d", "in a newer shard");
    until(&house.world, || house.seen.len() == 3).await;
    assert_eq!(house.seen.data(), ["between", "in a new shard", "in a newer shard"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_pin_changes_nothing() {
    let house = House::new(&["a"]).await;
    let walker = walker(&house.world, &house.checkpoints, &house.stream, Start::Latest);
    walker.pin().await.unwrap();
    house.put("a", "x");
    walker.pin().await.unwrap();
    assert_eq!(house.checkpoints.position("mapping", "a"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_time_starts_with_its_first_record() {
    let house = House::new(&["a"]).await;
    house.put("a", "early");
    house.world.clock.sleep(Duration::from_secs(10)).await;
    let at = house.world.now();
    house.put("a", "late");
    house.walk(Start::At(at), gather(10), done);
    until(&house.world, || house.seen.len() == 1).await;
    assert_eq!(house.seen.data(), ["late"]);
}

#[tokio::test(start_paused = true)]
async fn parents_come_before_children() {
    let house = House::new(&["a", "b"]).await;
    // Names against the lineage, so that the order of the list does not help.
    house.put("b", "b0");
    house.stream.reshard(&["b"], &["0split", "1split"]);
    house.put("0split", "s0");
    house.put("1split", "s1");
    house.stream.reshard(&["0split", "a"], &["00merge"]);
    house.put("00merge", "m0");
    let hold = Arc::new(AtomicU32::new(3));
    let gate = hold.clone();
    house.walk(Start::TrimHorizon, gather(1), move |shard, chunk| {
        // The oldest parent needs a few calls.
        if shard == "b" && gate.load(Ordering::Relaxed) > 0 {
            gate.fetch_sub(1, Ordering::Relaxed);
            return Progress::Upto(chunk.records[0].position);
        }
        Progress::Done
    });
    until(&house.world, || house.seen.data().contains(&"m0".to_owned())).await;
    let data = house.seen.data();
    let first = |what: &str| data.iter().position(|d| d == what).unwrap();
    let last = |what: &str| data.iter().rposition(|d| d == what).unwrap();
    assert_eq!(data.iter().filter(|d| *d == "b0").count(), 4);
    assert!(last("b0") < first("s0") && last("b0") < first("s1") && last("s0") < first("m0"), "{data:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_until_it_ends_or_the_chunk_is_full() {
    let house = House::new(&["a"]).await;
    let chunks = Arc::new(Mutex::new(Vec::new()));
    let (sizes, world) = (chunks.clone(), house.world.clone());
    let start = house.world.clock.monotonic();
    let wide = Gather { records: 4, bytes: 1 << 20, window: Duration::from_secs(10) };
    house.walk(Start::TrimHorizon, wide, move |_, chunk| {
        sizes.lock().unwrap().push((chunk.records.len(), (world.clock.monotonic() - start).as_secs()));
        Progress::Done
    });
    for i in 0..6 {
        house.world.clock.sleep(Duration::from_secs(2)).await;
        house.put("a", &i.to_string());
    }
    until(&house.world, || house.seen.len() == 6).await;
    // Four arrive at 2, 4, 6 and 8 s; two at 10 and 12 s, whose window ends at 20 s.
    assert_eq!(*chunks.lock().unwrap(), [(4, 8), (2, 20)]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_ends_its_window() {
    let house = House::new(&["a"]).await;
    let wide = Gather { records: 100, bytes: 1 << 20, window: Duration::from_secs(300) };
    house.put("a", "0");
    house.walk(Start::TrimHorizon, wide, done);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(house.seen.len(), 0);
    house.stream.reshard(&["a"], &["b"]);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(house.seen.data(), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_chunk_is_a_checkpoint_too() {
    let house = House::new(&["a"]).await;
    (0..4).for_each(|i| house.put("a", &i.to_string()));
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    house.walk(Start::TrimHorizon, gather(4), move |_, chunk| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Progress::Upto(chunk.records[0].position + 1),
        _ => Progress::Done,
    });
    until(&house.world, || calls.load(Ordering::Relaxed) == 2).await;
    assert_eq!(house.seen.data(), ["0", "1", "2", "3", "1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_end_the_walk() {
    let house = House::new(&["a", "b"]).await;
    house.put("a", "0");
    house.put("b", "1");
    house.walk(Start::TrimHorizon, gather(1), |shard, _| if shard == "b" { Progress::Stop } else { Progress::Done });
    until(&house.world, || house.ended.lock().unwrap().is_some()).await;
    assert_eq!(*house.ended.lock().unwrap(), Some(Ok(())));
    assert_eq!(house.checkpoints.position("mapping", "a"), Some(1));
    assert_eq!(house.checkpoints.position("mapping", "b"), Some(0), "it comes again");
}

#[tokio::test(start_paused = true)]
async fn faults_pass() {
    let house = House::new(&["a"]).await;
    house.put("a", "0");
    house.stream.faults.store(8, Ordering::Relaxed);
    house.walk(Start::TrimHorizon, gather(1), done);
    until(&house.world, || house.seen.len() == 1).await;
    let waited = house.world.now().since(names::Timestamp(1_767_225_600_000_000));
    assert!(waited > Duration::from_secs(5), "eight faults are not retried at once: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_gone_ends_the_walk() {
    let house = House::new(&["a"]).await;
    house.walk(Start::TrimHorizon, gather(1), done);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    house.stream.remove();
    until(&house.world, || house.ended.lock().unwrap().is_some()).await;
    let gone = Err(WalkError::Source(SourceError::Gone("deleted".into())));
    assert_eq!(*house.ended.lock().unwrap(), Some(gone));
}

#[tokio::test(start_paused = true)]
async fn a_slow_shard_holds_up_no_other() {
    let house = House::new(&["a", "b"]).await;
    let walker = walker(&house.world, &house.checkpoints, &house.stream, Start::TrimHorizon);
    let seen = house.seen.clone();
    house.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
        let handler = |shard: String, chunk: Chunk| {
            let seen = seen.clone();
            async move {
                if shard == "a" {
                    std::future::pending::<()>().await;
                }
                seen.add(&shard, &chunk);
                Progress::Done
            }
        };
        walker.run(stop, || gather(1), handler).await.unwrap();
    });
    house.put("a", "stuck");
    (0..20).for_each(|i| house.put("b", &i.to_string()));
    until(&house.world, || house.seen.len() == 20).await;
    until(&house.world, || house.checkpoints.position("mapping", "b") == Some(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_consumer_stays_forgotten() {
    let house = House::new(&["a"]).await;
    house.put("a", "0");
    house.walk(Start::TrimHorizon, gather(1), done);
    until(&house.world, || house.seen.len() == 1).await;
    house.checkpoints.forget("mapping").await.unwrap();
    house.stop().await;
    assert!(!house.checkpoints.is_pinned("mapping"));
    assert_eq!(house.checkpoints.position("mapping", "a"), None);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_what_was_handled_is_a_signal() {
    let house = House::new(&["a"]).await;
    house.put("a", "0");
    house.world.clock.sleep(Duration::from_secs(7)).await;
    house.walk(Start::TrimHorizon, gather(1), done);
    until(&house.world, || house.seen.len() == 1).await;
    let samples = house.world.meter.samples();
    let age = samples.iter().find(|(signal, _, _)| signal.name == "IteratorAge").unwrap();
    assert_eq!((age.1.as_slice(), age.2.max / 1000), (["mapping".to_owned()].as_slice(), 7));
}
