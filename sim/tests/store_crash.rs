//! The store under a seed: appends, lazy appends, queues, a catalog, trims and drops by several actors at once, while
//! the power fails, the disk errs or fills. After each crash, what was acknowledged is there.

#![allow(clippy::unwrap_used)] // a test that panics has failed

#[path = "store_crash/model.rs"]
mod model;

use model::{Call, Counter, Model, Step, payload};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    Batch, Catalog, Durability, LogId, Message, OpenError, Queue, ReadLimit, Store, StoreError, StoreOptions,
    Timestamp, Writer,
};
use world::disk::{DiskFaults, SimDisk};
use world::{Entropy, SeededEntropy, Stage, World};

const LOGS: u64 = 4;
const ACTORS: u64 = 3;
const LIVES: u64 = 3;

/// The services that one life of the house holds.
#[derive(Clone)]
struct House {
    store: Store,
    logs: Vec<LogId>,
    queues: Vec<Queue>,
    catalog: Arc<Catalog<Counter>>,
}

fn log_name(n: u64) -> String {
    format!("streams/orders/shardId-{n:012}")
}

async fn open(world: &World, durability: Durability) -> Result<House, StoreError> {
    let options = StoreOptions { segment_bytes: 16 << 10, durability, writer: Writer::Inline };
    let store = match Store::open(world, Path::new("/data"), options).await {
        Ok(store) => store,
        Err(OpenError::Io { .. }) => return Err(StoreError::Closed),
        Err(error) => panic!("a crash never damages a store: {error}"),
    };
    let mut logs = Vec::new();
    for n in 0..LOGS {
        logs.push(store.log(&log_name(n)).await?);
    }
    let mut queues = Vec::new();
    for n in 0..2 {
        queues.push(Queue::open(&store, world, &format!("queues/{n}")).await?);
    }
    let catalog = Catalog::open(&store, "catalog").await?;
    Ok(House { store, logs, queues, catalog })
}

type Shared = Arc<Mutex<Model>>;

/// One actor: does what its seed says until the store refuses.
async fn act(world: World, house: House, model: Shared, random: SeededEntropy, steps: u64) {
    for _ in 0..steps {
        let outcome = match random.below(16) {
            0..=5 => append(&house, &model, &random, false).await,
            6 => append(&house, &model, &random, true).await,
            7 | 8 => send(&house, &model, &random).await,
            9 => receive(&world, &house, &model, &random).await,
            10..=12 => acknowledge(&house, &model, &random).await,
            13 => change(&house, &model, &random).await,
            14 => trim(&house, &model, &random),
            _ => drop_and_create(&house, &model, &random).await,
        };
        if matches!(outcome, Err(StoreError::Failed { .. } | StoreError::Closed)) {
            return;
        }
        if random.below(8) == 0 {
            world.clock.sleep(Duration::from_millis(random.below(500))).await;
        }
    }
}

async fn append(house: &House, model: &Shared, random: &SeededEntropy, lazy: bool) -> Result<(), StoreError> {
    let call = model.lock().unwrap().new_call();
    let (mut batches, mut sent) = (Vec::<Batch>::new(), Vec::new());
    // Batches of one log each, or one batch of several.
    let together = random.below(2) == 0;
    for _ in 0..=random.below(3) {
        let log = random.below(LOGS);
        let id = house.logs[log as usize];
        let mut batch = match batches.pop_if(|_| together) {
            Some(mut batch) => {
                batch.turn_to(id);
                batch
            }
            None => Batch::new(id),
        };
        let records: Vec<_> = (0..=random.below(5)).map(|_| payload(random, call, 1200)).collect();
        records.iter().for_each(|record| batch.push(record));
        batches.push(batch);
        sent.push((log, records));
    }
    model.lock().unwrap().open.insert(call, Call { sent: sent.clone(), refused: false });
    if lazy {
        return house.store.append_lazy(batches).await;
    }
    match house.store.append(batches).await {
        Ok(appended) => {
            let mut model = model.lock().unwrap();
            model.open.remove(&call);
            for ((log, records), appended) in sent.into_iter().zip(appended) {
                model.acknowledged(log, appended.first, appended.at, records);
            }
            Ok(())
        }
        Err(error) => {
            model.lock().unwrap().open.get_mut(&call).unwrap().refused = error == StoreError::Full;
            Err(error)
        }
    }
}

async fn send(house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let call = model.lock().unwrap().new_call();
    let mut sends = Vec::new();
    for queue in 0..=random.below(2) {
        let bodies: Vec<_> = (0..=random.below(3)).map(|_| payload(random, call, 600)).collect();
        model.lock().unwrap().sending(queue, &bodies);
        sends.push((queue, bodies));
    }
    let message = |body: &Vec<u8>| Message { body: body.clone().into(), ..Message::default() };
    let request = |(queue, bodies): &(u64, Vec<Vec<u8>>)| {
        (house.queues[*queue as usize].clone(), bodies.iter().map(message).collect())
    };
    Queue::send_all(&house.store, sends.iter().map(request).collect()).await?;
    let mut model = model.lock().unwrap();
    sends.iter().for_each(|(queue, bodies)| model.sent(*queue, bodies));
    Ok(())
}

async fn receive(world: &World, house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let queue = random.below(2);
    let now = world.now();
    let visibility = Duration::from_millis(random.below(2) * 300);
    let received = house.queues[queue as usize].receive(1 + random.below(8) as usize, visibility).await?;
    let mut model = model.lock().unwrap();
    for message in received {
        assert!(message.first_received_at <= now && message.sent_at <= now && message.receives > 0);
        model.received(queue, message.id, &message.body);
    }
    Ok(())
}

async fn acknowledge(house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let queue = random.below(2);
    let Some(id) = model.lock().unwrap().pick(queue, random) else { return Ok(()) };
    let durable = random.below(2) == 0;
    model.lock().unwrap().step(queue, id, Step::AckTried);
    if durable {
        house.queues[queue as usize].ack_durable(&[id]).await?;
        model.lock().unwrap().step(queue, id, Step::Acked);
    } else {
        house.queues[queue as usize].ack(id).await?;
    }
    Ok(())
}

async fn change(house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let call = model.lock().unwrap().new_call();
    model.lock().unwrap().tried.insert(call);
    // Sometimes large enough that snapshots happen.
    let padding = "x".repeat(if random.below(16) == 0 { 40_000 } else { 100 });
    let done = house.catalog.change(|_| Ok::<_, StoreError>((vec![(call, padding), (call, String::new())], ()))).await;
    if done.is_ok() {
        assert!(house.catalog.read(|state| state.has_twice(call)), "a change is seen by its maker");
        model.lock().unwrap().changed.push(call);
    }
    done
}

fn trim(house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let log = random.below(LOGS);
    let extent = house.store.extent(house.logs[log as usize]);
    let before = extent.first + random.below(extent.next - extent.first + 1);
    house.store.trim(house.logs[log as usize], before)?;
    model.lock().unwrap().trimmed(log, before);
    assert_eq!(house.store.extent(house.logs[log as usize]).first, before.max(extent.first));
    Ok(())
}

async fn drop_and_create(house: &House, model: &Shared, random: &SeededEntropy) -> Result<(), StoreError> {
    let call = model.lock().unwrap().new_call();
    let name = format!("passing/{}", random.below(3));
    let log = house.store.log(&name).await?;
    let mut batch = Batch::new(log);
    batch.push(&payload(random, call, 1200));
    // Another actor may have dropped it meanwhile.
    match house.store.append(vec![batch]).await {
        Err(StoreError::NoLog(_)) => return Ok(()),
        done => drop(done?),
    }
    if random.below(2) == 0 {
        house.store.drop_log(log).await?;
        assert!(house.store.read(log, 0, ALL).is_err(), "a dropped log is gone at once");
    }
    Ok(())
}

const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

/// Reads a log in small portions.
fn read_all(store: &Store, log: LogId, random: &SeededEntropy) -> Vec<(u64, Timestamp, Vec<u8>)> {
    let mut out = Vec::new();
    let mut from = 0;
    loop {
        let limit = ReadLimit { records: 1 + random.below(20) as usize, bytes: random.below(5000) as usize };
        let records = store.read(log, from, limit).expect("what is there is readable");
        let Some(last) = records.last() else { return out };
        from = last.index + 1;
        out.extend(records.into_iter().map(|r| (r.index, r.at, r.data.to_vec())));
    }
}

/// Compares the house after a restart with the model.
async fn verify(house: &House, model: &Shared, random: &SeededEntropy, lossless: bool) {
    let contents: Vec<_> =
        house.logs.iter().map(|log| (house.store.extent(*log), read_all(&house.store, *log, random))).collect();
    for ((extent, content), log) in contents.iter().zip(&house.logs) {
        assert_eq!(content.len() as u64, extent.next - extent.first, "indexes are dense");
        assert!(content.first().is_none_or(|first| first.0 == extent.first));
        for (index, at, _) in content {
            let found = house.store.find_time(*log, *at);
            let expected = content.iter().find(|(_, t, _)| t >= at).unwrap().0;
            assert_eq!(found, expected, "record {index} at {at:?}");
        }
    }
    model.lock().unwrap().verify_logs(contents.into_iter().map(|(_, content)| content).collect(), lossless);
    for (n, queue) in house.queues.iter().enumerate() {
        let mut found = Vec::new();
        loop {
            let messages = queue.receive(7, Duration::from_secs(3600)).await.expect("queues are readable");
            if messages.is_empty() {
                break;
            }
            found.extend(messages.into_iter().map(|m| (m.id, m.body.to_vec())));
        }
        model.lock().unwrap().verify_queue(n as u64, found, lossless);
        // They may be received again.
        let held = model.lock().unwrap().held(n as u64);
        for id in held {
            queue.postpone(id, Timestamp(0)).await.unwrap();
        }
    }
    house.catalog.read(|state| model.lock().unwrap().verify_catalog(state));
}

/// Runs a seed to its end; what it did to the disk.
async fn run(seed: u64) -> (u64, u64) {
    let (world, disk) = World::simulated(seed);
    let random = SeededEntropy::new(seed);
    let model: Shared = Shared::default();
    let mut given_up = 0;
    for life in 0..LIVES {
        faults(&disk, &random);
        // A fault may strike as early as here, but opening what a crash left must work.
        let house = match open(&world, Durability::Fsync).await {
            Ok(house) => house,
            Err(_) => {
                disk.set_faults(DiskFaults::default());
                disk.crash();
                open(&world, Durability::Fsync).await.expect("without faults it opens")
            }
        };
        verify(&house, &model, &random, false).await;
        for actor in 0..ACTORS {
            let random = SeededEntropy::new(seed * 1000 + life * 10 + actor);
            let (world, house, model) = (world.clone(), house.clone(), model.clone());
            let work = act(world.clone(), house, model, random, 25);
            world.tasks.spawn(Stage::Sources, "actor", |_| work);
        }
        if random.below(3) == 0 {
            world.clock.sleep(Duration::from_millis(random.below(2000))).await;
        } else {
            world.clock.sleep(Duration::from_secs(600)).await;
        }
        given_up += u64::from(house.store.usage().segments > 1);
        disk.crash();
        disk.set_faults(DiskFaults::default());
        // Let the actors of this life notice.
        world.clock.sleep(Duration::from_secs(600)).await;
    }
    let house = open(&world, Durability::Fsync).await.expect("without faults it opens");
    verify(&house, &model, &random, false).await;
    house.store.close().await;
    drop(house);
    let house = open(&world, Durability::Fsync).await.expect("after a clean end it opens");
    verify(&house, &model, &random, true).await;
    (disk.trace(), given_up)
}

fn faults(disk: &SimDisk, random: &SeededEntropy) {
    let one_in = |n: u64| if random.below(4) == 0 { 1 + random.below(n) } else { 0 };
    disk.set_faults(DiskFaults {
        write_error_one_in: one_in(400),
        sync_error_one_in: one_in(400),
        capacity: if random.below(4) == 0 { disk.used() + random.below(60_000) } else { 0 },
        halt_after: if random.below(3) > 0 { 1 + random.below(400) } else { 0 },
    });
}

fn simulate(seed: u64) -> (u64, u64) {
    sim::play(run(seed))
}

fn seeds(from: u64, count: u64) {
    let only = option_env!("STORE_SEED").and_then(|seed| seed.parse().ok());
    let mut rolled = 0;
    for seed in only.map_or(from..from + count, |seed| seed..seed + 1) {
        let outcome = std::panic::catch_unwind(|| simulate(seed));
        rolled += outcome.unwrap_or_else(|_| panic!("seed {seed} failed: set STORE_SEED={seed} to run only that")).1;
    }
    assert!(only.is_some() || rolled > count, "segments are finished in most lives");
}

#[test]
fn acknowledged_survives_first_half() {
    seeds(0, 800);
}

#[test]
fn acknowledged_survives_second_half() {
    seeds(10_000, 800);
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 0..20 {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
    assert_ne!(simulate(1), simulate(2));
}
