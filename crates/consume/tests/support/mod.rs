//! A stream in memory, and lives of walkers over it.
// Each test file uses a part; unwrap is what a test does, and clippy does not see that this module is one.
#![allow(dead_code, clippy::unwrap_used)]

use consume::{
    Checkpoints, Chunk, Gather, Handler, Progress, ReadLimit, Record, ShardInfo, Source, SourceError, Start, Turn,
    Walker,
};
use names::{Arn, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Store, StoreOptions, Writer};
use tokio::sync::watch;
use world::disk::SimDisk;
use world::{BoxFuture, World};

pub(crate) async fn open_store(world: &World) -> Store {
    let options = StoreOptions { segment_bytes: 256 << 10, durability: Durability::Fsync, writer: Writer::Inline };
    Store::open(world, Path::new("/data"), options).await.unwrap()
}

pub(crate) async fn checkpoints(world: &World) -> Arc<Checkpoints> {
    Checkpoints::open(&open_store(world).await).await.unwrap()
}

/// The life of one process on a disk: everything it started dies with it.
pub(crate) fn life<T, F: Future<Output = T>>(disk: &Arc<SimDisk>, seed: u64, live: impl FnOnce(World) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (world, _) = World::simulated(seed);
        live(World { disk: disk.clone(), ..world }).await
    })
}

pub(crate) fn walker(world: &World, checkpoints: &Arc<Checkpoints>, stream: &Arc<Stream>, start: Start) -> Walker {
    Walker::new(world.clone(), checkpoints.clone(), "mapping".into(), stream.clone(), start)
}

pub(crate) fn gather(records: usize) -> Gather {
    Gather { records, bytes: 1 << 20, window: Duration::ZERO, lanes: 1 }
}

/// A handler that is a function of its turn.
pub(crate) struct By<F>(pub(crate) F);

impl<F, Fut> Handler for By<F>
where
    F: Fn(Turn) -> Fut + Send + Sync,
    Fut: Future<Output = Progress> + Send + 'static,
{
    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress> {
        Box::pin(self.0(turn))
    }
}

/// Lets virtual time pass until something holds.
pub(crate) async fn until(world: &World, holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        world.clock.sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came true");
}

#[derive(Default)]
struct Shard {
    /// When it was made among all.
    number: usize,
    parents: Vec<String>,
    records: Vec<Record>,
    closed: bool,
}

/// A stream that survives processes, because it is outside of them.
pub(crate) struct Stream {
    shards: Mutex<BTreeMap<String, Shard>>,
    version: watch::Sender<u64>,
    /// So many reads fail.
    pub(crate) faults: AtomicU32,
    pub(crate) reads: AtomicU32,
    gone: Mutex<bool>,
    /// When it was made.
    pub(crate) since: Mutex<Timestamp>,
}

impl Stream {
    pub(crate) fn new(shards: &[&str]) -> Arc<Stream> {
        let stream = Stream {
            shards: Mutex::default(),
            version: watch::Sender::new(0),
            faults: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            gone: Mutex::new(false),
            since: Mutex::default(),
        };
        shards.iter().for_each(|shard| stream.add(shard, &[]));
        Arc::new(stream)
    }

    pub(crate) fn add(&self, shard: &str, parents: &[&str]) {
        let mut shards = self.shards.lock().unwrap();
        let parents: Vec<String> = parents.iter().map(|p| (*p).to_owned()).collect();
        for parent in &parents {
            shards.get_mut(parent).unwrap().closed = true;
        }
        let number = shards.len();
        shards.insert(shard.to_owned(), Shard { number, parents, ..Shard::default() });
        self.version.send_modify(|v| *v += 1);
    }

    /// Closes `parents` and opens `children` in their place, at once.
    pub(crate) fn reshard(&self, parents: &[&str], children: &[&str]) {
        let mut shards = self.shards.lock().unwrap();
        for parent in parents {
            shards.get_mut(*parent).unwrap().closed = true;
        }
        for child in children {
            let parents = parents.iter().map(|p| (*p).to_owned()).collect();
            let number = shards.len();
            shards.insert((*child).to_owned(), Shard { number, parents, ..Shard::default() });
        }
        self.version.send_modify(|v| *v += 1);
    }

    /// A closed shard is no longer listed.
    pub(crate) fn forget(&self, shard: &str) {
        assert!(self.shards.lock().unwrap().remove(shard).unwrap().closed);
        self.version.send_modify(|v| *v += 1);
    }

    pub(crate) fn open_shards(&self) -> Vec<String> {
        let shards = self.shards.lock().unwrap();
        shards.iter().filter(|(_, s)| !s.closed).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn put(&self, shard: &str, data: &str, at: Timestamp) {
        self.put_keyed(shard, "k", data, at);
    }

    pub(crate) fn put_keyed(&self, shard: &str, key: &str, data: &str, at: Timestamp) {
        let mut shards = self.shards.lock().unwrap();
        let shard = shards.get_mut(shard).unwrap();
        assert!(!shard.closed);
        let position = shard.records.len() as u64;
        let sequence = format!("{position:020}");
        shard.records.push(Record {
            position,
            sequence,
            key: key.into(),
            at,
            data: data.to_owned().into(),
            sealed: false,
        });
        self.version.send_modify(|v| *v += 1);
    }

    pub(crate) fn remove(&self) {
        *self.gone.lock().unwrap() = true;
        self.version.send_modify(|v| *v += 1);
    }

    fn with<T>(&self, shard: &str, look: impl FnOnce(&Shard) -> T) -> Result<T, SourceError> {
        if *self.gone.lock().unwrap() {
            return Err(SourceError::Gone("deleted".into()));
        }
        let shards = self.shards.lock().unwrap();
        Ok(look(shards.get(shard).ok_or_else(|| SourceError::NoShard(shard.into()))?))
    }

    async fn wait(&self, holds: impl Fn() -> bool) {
        let mut version = self.version.subscribe();
        while !holds() {
            version.changed().await.unwrap();
        }
    }
}

impl Source for Stream {
    fn arn(&self) -> Arn {
        Arn::new("kinesis", "us-east-1", "000000000000", "stream/s")
    }
    fn since(&self) -> Timestamp {
        *self.since.lock().unwrap()
    }
    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        if *self.gone.lock().unwrap() {
            return Err(SourceError::Gone("deleted".into()));
        }
        let shards = self.shards.lock().unwrap();
        let mut by_age: Vec<(&String, &Shard)> = shards.iter().collect();
        by_age.sort_by_key(|(_, shard)| shard.number);
        Ok(by_age.into_iter().map(|(id, s)| ShardInfo { id: id.clone(), parents: s.parents.clone() }).collect())
    }
    fn start_at(&self, shard: &str, start: Start) -> Result<u64, SourceError> {
        self.with(shard, |s| match start {
            Start::TrimHorizon => 0,
            Start::Latest => s.records.len() as u64,
            Start::At(at) => s.records.partition_point(|r| r.at < at) as u64,
        })
    }
    fn read(&self, shard: &str, from: u64, limit: ReadLimit) -> Result<Chunk, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.faults.load(Ordering::Relaxed) > 0 {
            self.faults.fetch_sub(1, Ordering::Relaxed);
            return Err(SourceError::Fault("the disk is tired".into()));
        }
        self.with(shard, |s| {
            let rest = &s.records[from as usize..];
            let mut bytes = 0;
            let fits = |r: &&Record| {
                let first = bytes == 0;
                bytes += r.data.len();
                first || bytes <= limit.bytes
            };
            let records: Vec<Record> = rest.iter().take(limit.records).take_while(fits).cloned().collect();
            let next = from + records.len() as u64;
            Chunk { ended: s.closed && next == s.records.len() as u64, next, records, behind: Duration::ZERO }
        })
    }
    fn changed<'a>(&'a self, shard: &'a str, from: u64) -> BoxFuture<'a, ()> {
        let holds = move || self.with(shard, |s| s.closed || s.records.len() as u64 > from).unwrap_or(true);
        Box::pin(self.wait(holds))
    }
    fn reshaped<'a>(&'a self, last: Option<&'a str>) -> BoxFuture<'a, ()> {
        let holds = move || self.shards().map_or(true, |shards| shards.last().map(|s| s.id.as_str()) != last);
        Box::pin(self.wait(holds))
    }
}

/// What handlers saw: shard and payload, in order.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<(String, String)>>);

impl Seen {
    pub(crate) fn add(&self, turn: &Turn) {
        let text = |r: &Record| String::from_utf8(r.data.to_vec()).unwrap();
        self.0.lock().unwrap().extend(turn.records.iter().map(|r| (turn.shard.to_string(), text(r))));
    }
    pub(crate) fn data(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, data)| data.clone()).collect()
    }
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Resolves when a task is to end.
pub(crate) async fn stopped(mut stop: world::Stop) {
    stop.wait().await;
}
