//! A walker over one life.

#![allow(clippy::unwrap_used)] // what stands beside the tests is theirs

mod support;

use consume::{Checkpoints, Gather, Note, Progress, SourceError, Start, Turn, WalkError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{By, Seen, Stream, checkpoints, gather, stopped, until, walker};
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
    fn walk(&self, start: Start, gather: Gather, answer: impl Fn(&Turn) -> Progress + Send + Sync + 'static) {
        let walker = walker(&self.world, &self.checkpoints, &self.stream, start);
        let (seen, ended, answer) = (self.seen.clone(), self.ended.clone(), Arc::new(answer));
        self.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
            let handler = By(move |turn: Turn| {
                let (seen, answer) = (seen.clone(), answer.clone());
                async move {
                    seen.add(&turn);
                    answer(&turn)
                }
            });
            let result = walker.run(stopped(stop), gather, &handler).await;
            *ended.lock().unwrap() = Some(result);
        });
    }

    async fn stop(&self) {
        assert_eq!(self.world.tasks.shut_down(Duration::from_secs(10)).await, [] as [&str; 0]);
    }
}

fn done(_: &Turn) -> Progress {
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
async fn new_shards_are_seen_though_old_ones_are_no_longer_listed() {
    let house = House::new(&["a"]).await;
    house.walk(Start::TrimHorizon, gather(10), done);
    house.stream.reshard(&["a"], &["b", "c"]);
    house.put("c", "first");
    until(&house.world, || house.seen.len() == 1).await;
    // The list is as long as before, or shorter.
    house.stream.reshard(&["b", "c"], &["d"]);
    house.stream.forget("a");
    house.stream.forget("b");
    house.put("d", "second");
    until(&house.world, || house.seen.len() == 2).await;
    assert_eq!(house.seen.data(), ["first", "second"]);
    house.stop().await;
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
    let (walker, seen) =
        (walker(&house.world, &house.checkpoints, &house.stream, Start::TrimHorizon), house.seen.clone());
    let clock = house.world.clock.clone();
    house.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
        let handler = By(move |turn: Turn| {
            let (seen, clock) = (seen.clone(), clock.clone());
            async move {
                if &*turn.shard == "b" {
                    clock.sleep(Duration::from_secs(60)).await;
                }
                seen.add(&turn);
                Progress::Done
            }
        });
        walker.run(stopped(stop), gather(1), &handler).await.unwrap();
    });
    until(&house.world, || house.seen.data().contains(&"m0".to_owned())).await;
    let data = house.seen.data();
    let first = |what: &str| data.iter().position(|d| d == what).unwrap();
    let last = |what: &str| data.iter().rposition(|d| d == what).unwrap();
    assert!(last("b0") < first("s0") && last("b0") < first("s1") && last("s0") < first("m0"), "{data:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_until_it_ends_or_the_chunk_is_full() {
    let house = House::new(&["a"]).await;
    let chunks = Arc::new(Mutex::new(Vec::new()));
    let (sizes, world) = (chunks.clone(), house.world.clone());
    let start = house.world.clock.monotonic();
    let wide = Gather { window: Duration::from_secs(10), ..gather(4) };
    house.walk(Start::TrimHorizon, wide, move |turn| {
        sizes.lock().unwrap().push((turn.records.len(), (world.clock.monotonic() - start).as_secs()));
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
    let wide = Gather { window: Duration::from_secs(300), ..gather(100) };
    house.put("a", "0");
    house.walk(Start::TrimHorizon, wide, done);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(house.seen.len(), 0);
    house.stream.reshard(&["a"], &["b"]);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(house.seen.data(), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_batch_is_a_checkpoint_too() {
    let house = House::new(&["a"]).await;
    (0..4).for_each(|i| house.put("a", &i.to_string()));
    house.walk(Start::TrimHorizon, gather(4), |turn| {
        turn.reach(turn.records[0].position + 1);
        Progress::Stop
    });
    until(&house.world, || house.ended.lock().unwrap().is_some()).await;
    assert_eq!(house.checkpoints.position("mapping", "a"), Some(1));
    house.walk(Start::TrimHorizon, gather(4), done);
    until(&house.world, || house.checkpoints.position("mapping", "a") == Some(4)).await;
    assert_eq!(house.seen.data(), ["0", "1", "2", "3", "1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_side_by_side_and_the_checkpoint_waits_for_the_slowest() {
    let house = House::new(&["a"]).await;
    let lanes = Gather { lanes: 10, ..gather(2) };
    let stuck = Arc::new(tokio::sync::Semaphore::new(0));
    let (walker, seen, gate) = (
        walker(&house.world, &house.checkpoints, &house.stream, Start::TrimHorizon),
        house.seen.clone(),
        stuck.clone(),
    );
    house.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
        let handler = By(move |turn: Turn| {
            let (seen, gate) = (seen.clone(), gate.clone());
            async move {
                if turn.records[0].key == "stuck" {
                    gate.acquire().await.unwrap().forget();
                }
                seen.add(&turn);
                Progress::Done
            }
        });
        walker.run(stopped(stop), lanes, &handler).await.unwrap();
    });
    for i in 0..12 {
        let key = if i == 3 { "stuck".to_owned() } else { format!("key {i}") };
        house.stream.put_keyed("a", &key, &i.to_string(), house.world.now());
    }
    // Those of other lanes go on.
    until(&house.world, || house.checkpoints.position("mapping", "a") == Some(3) && house.seen.len() >= 6).await;
    assert!(!house.seen.data().contains(&"3".to_owned()));
    stuck.add_permits(1);
    until(&house.world, || house.checkpoints.position("mapping", "a") == Some(12)).await;
    assert_eq!(house.seen.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_note_wakes_its_handler_survives_the_process_and_ends_with_the_shard() {
    let house = House::new(&["a"]).await;
    house.put("a", "0");
    let calls = Arc::new(Mutex::new(Vec::new()));
    let start = house.world.clock.monotonic();
    let run = |house: &House| {
        let (calls, world) = (calls.clone(), house.world.clone());
        house.walk(Start::TrimHorizon, gather(4), move |turn| {
            let note = turn.note.as_ref().map(|note| note.text.clone());
            let second = (world.clock.monotonic() - start).as_secs();
            calls.lock().unwrap().push((second, turn.records.len(), note, turn.tip && turn.ended));
            let wake_at = world.now().plus(Duration::from_secs(60));
            let position = turn.records.last().map_or(0, |last| last.position + 1);
            turn.mark(position, Some(Note { wake_at, text: format!("at {second}") }));
            Progress::Done
        });
    };
    run(&house);
    house.world.clock.sleep(Duration::from_secs(90)).await;
    house.stop().await;
    assert_eq!(*calls.lock().unwrap(), [(0, 1, None, false), (60, 0, Some("at 0".to_owned()), false)]);
    assert_eq!(house.checkpoints.note("mapping", "a").unwrap().text, "at 60");
    // The next life goes on with it, and is told of the end of the shard even where no record is left.
    let house = House { world: World { tasks: world::Tasks::default(), ..house.world.clone() }, ..house };
    calls.lock().unwrap().clear();
    run(&house);
    house.stream.reshard(&["a"], &["b"]);
    house.world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
    let (_, records, note, ended) = calls.lock().unwrap()[0].clone();
    assert_eq!((records, note.as_deref(), ended), (0, Some("at 60"), true));
    house.stop().await;
    assert_eq!(house.checkpoints.note("mapping", "a"), None, "a shard that is done remembers nothing");
}

#[tokio::test(start_paused = true)]
async fn a_stream_made_again_is_another() {
    let house = House::new(&["a"]).await;
    house.put("a", "0");
    house.walk(Start::TrimHorizon, gather(1), done);
    until(&house.world, || house.checkpoints.position("mapping", "a") == Some(1)).await;
    house.stop().await;
    *house.stream.since.lock().unwrap() = names::Timestamp(5);
    let again = walker(&house.world, &house.checkpoints, &house.stream, Start::TrimHorizon);
    assert!(matches!(again.pin().await, Err(WalkError::Source(SourceError::Gone(_)))));
    house.checkpoints.forget("mapping").await.unwrap();
    again.pin().await.unwrap();
    assert_eq!(house.checkpoints.position("mapping", "a"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_moves_the_checkpoint() {
    struct Odd(Arc<Seen>);
    impl consume::Handler for Odd {
        fn wants(&self, _: &str, record: &consume::Record) -> bool {
            record.position % 2 == 1
        }
        fn handle<'a>(&'a self, turn: Turn) -> world::BoxFuture<'a, Progress> {
            self.0.add(&turn);
            Box::pin(async { Progress::Done })
        }
    }
    let house = House::new(&["a"]).await;
    (0..5).for_each(|i| house.put("a", &i.to_string()));
    let walker = walker(&house.world, &house.checkpoints, &house.stream, Start::TrimHorizon);
    let odd = Odd(house.seen.clone());
    house.world.tasks.spawn(Stage::Sources, "walk", move |stop| async move {
        walker.run(stopped(stop), gather(10), &odd).await.unwrap();
    });
    until(&house.world, || house.checkpoints.position("mapping", "a") == Some(5)).await;
    assert_eq!(house.seen.data(), ["1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_end_the_walk() {
    let house = House::new(&["a", "b"]).await;
    house.put("a", "0");
    house.walk(Start::TrimHorizon, gather(1), |turn| if &*turn.shard == "b" { Progress::Stop } else { Progress::Done });
    until(&house.world, || house.seen.len() == 1).await;
    house.put("b", "1");
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
        let handler = By(move |turn: Turn| {
            let seen = seen.clone();
            async move {
                if &*turn.shard == "a" {
                    std::future::pending::<()>().await;
                }
                seen.add(&turn);
                Progress::Done
            }
        });
        walker.run(stopped(stop), gather(1), &handler).await.unwrap();
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
