//! A stream of one shard and a queue, in memory.

use bytes::Bytes;
use consume::{Chunk, Inbox, InboxError, Message, ReadLimit, Record, ShardInfo, Source, SourceError, Start};
use names::{Arn, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use world::{BoxFuture, Clock};

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

/// A queue that the test fills: visible messages, and those that were taken with when they come back.
pub(crate) struct Queue {
    clock: Arc<dyn Clock>,
    visible: Mutex<Vec<Message>>,
    taken: Mutex<Vec<(Duration, Message)>>,
    deleted: Mutex<Vec<String>>,
    bell: Notify,
    /// How often there was something to take.
    receives: Mutex<usize>,
    pub(crate) fifo: Mutex<bool>,
}

impl Queue {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Queue {
        let (visible, taken, deleted) = (Mutex::default(), Mutex::default(), Mutex::default());
        Queue {
            clock,
            visible,
            taken,
            deleted,
            bell: Notify::new(),
            receives: Mutex::default(),
            fifo: Mutex::default(),
        }
    }

    pub(crate) fn send(&self, bodies: &[&str]) {
        for body in bodies {
            let (id, handle) = (format!("id-{body}"), format!("handle-{body}"));
            let message = Message { handle, body: (*body).to_owned(), id, ..Message::default() };
            self.visible.lock().unwrap().push(message);
        }
        self.bell.notify_one();
    }

    pub(crate) fn receives(&self) -> usize {
        *self.receives.lock().unwrap()
    }

    /// The bodies of what was deleted, sorted.
    pub(crate) fn deleted(&self) -> Vec<String> {
        let mut all = self.deleted.lock().unwrap().clone();
        all.sort();
        all
    }
}

impl Inbox for Queue {
    fn arn(&self) -> Arn {
        super::QUEUE.parse().unwrap()
    }
    fn is_fifo(&self) -> bool {
        *self.fifo.lock().unwrap()
    }
    fn visibility(&self) -> Result<Duration, InboxError> {
        Ok(Duration::from_secs(30))
    }
    fn receive(&self, limit: ReadLimit, visibility: Duration) -> BoxFuture<'_, Result<Vec<Message>, InboxError>> {
        Box::pin(async move {
            let now = self.clock.monotonic();
            let (mut visible, mut taken) = (self.visible.lock().unwrap(), self.taken.lock().unwrap());
            let back = taken.extract_if(.., |(until, _)| *until <= now).map(|(_, message)| message);
            visible.extend(back);
            let count = visible.len().min(limit.records);
            let out: Vec<Message> = visible.drain(..count).collect();
            *self.receives.lock().unwrap() += usize::from(count > 0);
            taken.extend(out.iter().map(|message| (now + visibility, message.clone())));
            Ok(out)
        })
    }
    fn arrival(&self) -> BoxFuture<'_, ()> {
        let next = self.taken.lock().unwrap().iter().map(|(until, _)| *until).min();
        let left = next.map_or(Duration::from_secs(1 << 30), |until| until.saturating_sub(self.clock.monotonic()));
        Box::pin(async move {
            tokio::select! {
                biased;
                () = self.bell.notified() => {}
                () = self.clock.sleep(left) => {}
            }
        })
    }
    fn delete<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            self.taken.lock().unwrap().retain(|(_, message)| !handles.contains(&message.handle));
            self.deleted.lock().unwrap().extend(handles.iter().map(|h| h.replace("handle-", "")));
            Ok(())
        })
    }
    fn give_back<'a>(&'a self, handles: &'a [String]) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            let mut taken = self.taken.lock().unwrap();
            let back = taken.extract_if(.., |(_, message)| handles.contains(&message.handle));
            self.visible.lock().unwrap().extend(back.map(|(_, message)| message));
            self.bell.notify_one();
            Ok(())
        })
    }
}
