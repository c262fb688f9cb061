//! A log group at work: its log of events, and what is known of them without reading.

use crate::chunk::{Chunk, Seen, Summary, bit};
use crate::event::{Event, NotAnEvent};
use crate::limits::{CHUNK_BYTES, CHUNK_EVENTS};
use crate::signals::{INCOMING_BYTES, INCOMING_EVENTS};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use store::{Batch, LogId, ReadLimit, Store, StoreError};
use world::{Meter, Series};

/// The prefixes of its two logs' names; its number follows.
pub(crate) const EVENTS: &str = "logs/events/";
pub(crate) const CHUNKS: &str = "logs/chunks/";

/// A stream that is there.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) name: Arc<str>,
    pub(crate) seen: Option<Seen>,
}

/// The chunks of a group, oldest first, and how far they reach.
#[derive(Default)]
pub(crate) struct Chunks {
    pub(crate) closed: VecDeque<Chunk>,
    /// The first event that is in none.
    pub(crate) next: u64,
}

pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) events: LogId,
    summaries: LogId,
    chunks: RwLock<Chunks>,
    streams: RwLock<BTreeMap<u64, Live>>,
    /// Bytes of the events that are in no chunk yet, about.
    open_bytes: AtomicU64,
    /// Chunks are made by one at a time.
    turn: tokio::sync::Mutex<()>,
    pub(crate) closing: AtomicBool,
    incoming_bytes: Arc<Series>,
    incoming_events: Arc<Series>,
}

/// Why a group's events could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Damaged(#[from] NotAnEvent),
    #[error("a summary of log group {0} is none")]
    NotASummary(String),
}

impl world::Fault for ReadError {
    fn passes(&self) -> bool {
        match self {
            ReadError::Store(error) => error.passes(),
            ReadError::Damaged(_) | ReadError::NotASummary(_) => false,
        }
    }
}

impl Room {
    /// Opens a group's logs, and reads what its chunks say and the events that are in none yet.
    pub(crate) async fn open(
        store: &Store,
        meter: &Meter,
        name: &str,
        number: u64,
        streams: impl Iterator<Item = (u64, Arc<str>)>,
    ) -> Result<Room, ReadError> {
        let room = Room {
            events: store.log(&format!("{EVENTS}{number}")).await?,
            summaries: store.log(&format!("{CHUNKS}{number}")).await?,
            name: name.to_owned(),
            number,
            chunks: RwLock::default(),
            streams: RwLock::new(streams.map(|(number, name)| (number, Live { name, seen: None })).collect()),
            open_bytes: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            closing: AtomicBool::new(false),
            incoming_bytes: meter.series(&INCOMING_BYTES, &[name]),
            incoming_events: meter.series(&INCOMING_EVENTS, &[name]),
        };
        room.recall(store)?;
        room.open_bytes.store(u64::MAX, Ordering::Relaxed);
        room.close_chunks(store).await?;
        let open = room.summarise(store, usize::MAX, usize::MAX)?;
        room.open_bytes.store(open.bytes, Ordering::Relaxed);
        room.saw_all(&open);
        Ok(room)
    }

    /// Reads what was written of the group's chunks.
    fn recall(&self, store: &Store) -> Result<(), ReadError> {
        let first = store.extent(self.events).first;
        let mut from = 0;
        self.write_chunks().next = first;
        loop {
            let page = match store.read(self.summaries, from, ReadLimit { records: 1000, bytes: 4 << 20 }) {
                Err(error @ (StoreError::Corrupt { .. } | StoreError::Read { .. })) => {
                    tracing::warn!(group = self.name, %error, "summaries of a log group are made anew from its events");
                    return Ok(());
                }
                page => page?,
            };
            let Some(last) = page.last() else { return Ok(()) };
            from = last.index + 1;
            for record in &page {
                let summary = Summary::read(&record.data);
                let summary = summary.ok_or_else(|| ReadError::NotASummary(self.name.clone()))?;
                self.saw_all(&summary);
                let mut chunks = self.write_chunks();
                // What is forgotten already, and what a crash had summarised again.
                if summary.next > chunks.next {
                    // Where events of a forgotten chunk came back with a crash, they are read with this one.
                    let first = chunks.next;
                    chunks.closed.push_back(Chunk { first, ..summary.chunk() });
                    chunks.next = summary.next;
                }
            }
        }
    }

    pub(crate) fn chunks(&self) -> RwLockReadGuard<'_, Chunks> {
        self.chunks.read().expect("no panic holds this lock")
    }

    fn write_chunks(&self) -> RwLockWriteGuard<'_, Chunks> {
        self.chunks.write().expect("no panic holds this lock")
    }

    pub(crate) fn streams(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Live>> {
        self.streams.read().expect("no panic holds this lock")
    }

    fn write_streams(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Live>> {
        self.streams.write().expect("no panic holds this lock")
    }

    pub(crate) fn add_stream(&self, number: u64, name: &str) {
        if self.streams().contains_key(&number) {
            return;
        }
        self.write_streams().entry(number).or_insert_with(|| Live { name: name.into(), seen: None });
    }

    pub(crate) fn drop_stream(&self, number: u64) {
        self.write_streams().remove(&number);
    }

    fn saw(&self, stream: u64, seen: Seen) {
        if let Some(live) = self.write_streams().get_mut(&stream) {
            live.seen.get_or_insert(seen).and(seen);
        }
    }

    fn saw_all(&self, summary: &Summary) {
        summary.streams.iter().for_each(|(stream, seen)| self.saw(*stream, *seen));
    }

    /// Bytes of all its events, as AWS counts them.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks().closed.iter().map(|chunk| chunk.bytes).sum::<u64>() + self.open_bytes.load(Ordering::Relaxed)
    }

    /// Appends events, each a stream's number, a time stamp and a message. Durable when it returns.
    pub(crate) async fn append<'a>(
        &self,
        store: &Store,
        now_ms: i64,
        events: impl Iterator<Item = (u64, i64, &'a str)>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new(self.events);
        let mut summary = Summary::begin(0);
        for (stream, at, message) in events {
            let event = Event { stream, at, message: message.as_bytes() };
            batch.push_with(event.size(), |out| event.write(out));
            summary.add(0, event, now_ms);
        }
        let count = batch.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let submitted = store.submit(vec![batch]).await?;
        // From here on it is appended, even if nobody waits any more.
        self.saw_all(&summary);
        self.open_bytes.fetch_add(summary.bytes, Ordering::Relaxed);
        submitted.durable().await?;
        self.incoming_bytes.record(summary.bytes);
        self.incoming_events.record(count);
        Ok(())
    }

    /// Whether there are enough events outside chunks for one.
    pub(crate) fn has_chunk(&self, store: &Store) -> bool {
        let open = store.extent(self.events).next.saturating_sub(self.chunks().next);
        open >= CHUNK_EVENTS as u64 || self.open_bytes.load(Ordering::Relaxed) >= CHUNK_BYTES as u64
    }

    /// What the next events that are in no chunk would be summarised as. A chunk may begin with events that cannot be
    /// read: who looks into it is told.
    fn summarise(&self, store: &Store, records: usize, bytes: usize) -> Result<Summary, ReadError> {
        let mut summary = Summary::begin(self.chunks().next);
        let read = store.read_over(self.events, summary.first, ReadLimit { records, bytes }, |lost, error| {
            tracing::error!(group = self.name, ?lost, %error, "events of a log group cannot be read");
        })?;
        for record in read {
            summary.add(record.index, Event::read(record.index, &record.data)?, record.at.millis());
        }
        Ok(summary)
    }

    /// Makes chunks of the events that are in none, where there are enough of them.
    pub(crate) async fn close_chunks(&self, store: &Store) -> Result<(), ReadError> {
        let _turn = self.turn.lock().await;
        while self.has_chunk(store) {
            let summary = self.summarise(store, CHUNK_EVENTS, CHUNK_BYTES)?;
            let full = summary.next - summary.first >= CHUNK_EVENTS as u64 || summary.bytes >= CHUNK_BYTES as u64;
            if summary.is_empty() || (!full && summary.next == store.extent(self.events).next) {
                return Ok(());
            }
            self.saw_all(&summary);
            let mut batch = Batch::new(self.summaries);
            batch.push(&summary.write());
            // Where a crash loses it, it is made again.
            store.append_lazy(vec![batch]).await?;
            let mut chunks = self.write_chunks();
            chunks.closed.push_back(summary.chunk());
            chunks.next = summary.next;
            let less = |bytes: u64| Some(bytes.saturating_sub(summary.bytes));
            let _ = self.open_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        Ok(())
    }

    /// Gives up the oldest chunks that hold nothing any more: all older than `cutoff`, or of streams that are gone.
    pub(crate) async fn forget(&self, store: &Store, cutoff: i64) -> Result<(), ReadError> {
        let _turn = self.turn.lock().await;
        let alive = self.streams().keys().fold(0, |mask, stream| mask | bit(*stream));
        let gone = |chunk: &Chunk| chunk.newest < cutoff || chunk.mask & alive == 0;
        let (mut before, mut count) = (None, 0);
        for chunk in self.chunks().closed.iter().take_while(|chunk| gone(chunk)) {
            (before, count) = (Some(chunk.next), count + 1);
        }
        let Some(before) = before else { return Ok(()) };
        store.trim(self.events, before)?;
        self.write_chunks().closed.drain(..count);
        let (mut from, mut keep) = (0, None);
        while keep.is_none() {
            // Those that cannot be read are of no use.
            let page = store.read_over(self.summaries, from, ReadLimit { records: 1000, bytes: 1 << 20 }, |_, _| {})?;
            let Some(last) = page.last() else { break };
            from = last.index + 1;
            let kept = |record: &&store::Record| Summary::read(&record.data).is_none_or(|known| known.next > before);
            keep = page.iter().find(kept).map(|record| record.index);
        }
        Ok(store.trim(self.summaries, keep.unwrap_or(from))?)
    }

    /// The group's logs, to be dropped with it.
    pub(crate) fn logs(&self) -> Vec<LogId> {
        vec![self.events, self.summaries]
    }
}
