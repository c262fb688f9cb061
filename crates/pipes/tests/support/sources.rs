//! A stream of one shard, in memory.

use bytes::Bytes;
use consume::{Chunk, ReadLimit, Record, ShardInfo, Source, SourceError, Start};
use names::{Arn, Timestamp};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use world::BoxFuture;

const SHARD: &str = "shardId-000000000000";

/// A stream that the test writes to.
pub(crate) struct Stream {
    records: Mutex<Vec<Record>>,
    gone: Mutex<bool>,
    version: watch::Sender<u64>,
    since: Timestamp,
}

impl Stream {
    pub(crate) fn new(since: Timestamp) -> Stream {
        Stream { records: Mutex::default(), gone: Mutex::default(), version: watch::Sender::new(0), since }
    }

    pub(crate) fn put(&self, key: &str, data: &str, at: Timestamp) {
        let mut records = self.records.lock().unwrap();
        let position = records.len() as u64;
        let (sequence, data) = (format!("{position:05}"), Bytes::from(data.to_owned()));
        records.push(Record { position, sequence, key: key.to_owned(), at, data, sealed: false });
        drop(records);
        self.version.send_modify(|v| *v += 1);
    }

    pub(crate) fn remove(&self) {
        *self.gone.lock().unwrap() = true;
        self.version.send_modify(|v| *v += 1);
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.lock().unwrap()
    }

    fn check(&self) -> Result<(), SourceError> {
        if self.is_gone() { Err(SourceError::Gone("s".into())) } else { Ok(()) }
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
        super::STREAM.parse().unwrap()
    }
    fn since(&self) -> Timestamp {
        self.since
    }
    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError> {
        self.check()?;
        Ok(vec![ShardInfo { id: SHARD.to_owned(), parents: vec![] }])
    }
    fn start_at(&self, _: &str, start: Start) -> Result<u64, SourceError> {
        Ok(if start == Start::Latest { self.records.lock().unwrap().len() as u64 } else { 0 })
    }
    fn read(&self, _: &str, from: u64, limit: ReadLimit) -> Result<Chunk, SourceError> {
        self.check()?;
        let records = self.records.lock().unwrap();
        let records: Vec<Record> = records[from as usize..].iter().take(limit.records).cloned().collect();
        let next = from + records.len() as u64;
        Ok(Chunk { ended: false, next, records, behind: Duration::ZERO })
    }
    fn changed<'a>(&'a self, _: &'a str, from: u64) -> BoxFuture<'a, ()> {
        Box::pin(self.wait(move || self.is_gone() || self.records.lock().unwrap().len() as u64 > from))
    }
    fn reshaped<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, ()> {
        Box::pin(self.wait(|| self.is_gone()))
    }
}
