mod format;
mod held;
mod ranges;
mod receive;
mod upkeep;

use crate::{Batch, LogId, ReadLimit, Store, StoreError, Timestamp};
use bytes::Bytes;
use format::{OVERHEAD, Sent, decode_acks, encode_acks};
use held::{Entry, Held};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use world::World;

/// A durable queue with per-message acknowledgement. Cheap to clone; open each name once and share the clones, because
/// what is in flight is known to them only.
///
/// Messages live in the journal; memory holds an entry for each that was received or is delayed, so a backlog costs
/// nothing. A crash forgets what was in flight: unacknowledged messages become visible again, and their receive counts
/// may start again.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    store: Store,
    world: World,
    messages: LogId,
    acks: LogId,
    held: Mutex<Held>,
    /// Something held became due earlier than a waiter thinks.
    changed: Notify,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Opaque.
    pub body: Bytes,
    /// Not to be received before this time.
    pub not_before: Option<Timestamp>,
}

/// What is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message's number in its queue: never used again.
    pub id: u64,
    /// The number of this receive: grows with each, over restarts too.
    pub receipt: u64,
    /// As sent.
    pub body: Bytes,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was first received, as far as is known after a crash.
    pub first_received_at: Timestamp,
    /// How often it was received, this time included, as far as is known after a crash.
    pub receives: u32,
}

/// How many messages a queue holds. As with SQS, approximate: a delayed message counts as visible until the queue has
/// been received from up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// May be received now.
    pub visible: u64,
    /// Received and not acknowledged, until their visibility ends.
    pub in_flight: u64,
    /// Not yet to be received.
    pub delayed: u64,
}

impl Queue {
    /// Opens the queue of this name, empty where there is none yet.
    pub async fn open(store: &Store, world: &World, name: &str) -> Result<Queue, StoreError> {
        let messages = store.log(&format!("{name}/messages")).await?;
        let acks = store.log(&format!("{name}/acks")).await?;
        let mut held = Held::default();
        held.next_receipt = world.now().micros().max(0) as u64;
        let mut from = 0;
        loop {
            let records = store.read(acks, from, ReadLimit { records: 10_000, bytes: 1 << 20 })?;
            let Some(last) = records.last() else { break };
            from = last.index + 1;
            held.ack_records += records.len() as u64;
            for record in &records {
                decode_acks(&record.data, &mut held.acked).ok_or_else(|| {
                    StoreError::corrupt(format!("queue {name:?}: acknowledgement {} is damaged", record.index))
                })?;
            }
        }
        held.cursor = store.extent(messages).first;
        let inner = Inner {
            store: store.clone(),
            world: world.clone(),
            messages,
            acks,
            held: held.into(),
            changed: Notify::new(),
        };
        Ok(Queue(Arc::new(inner)))
    }

    /// Sends; durable when it returns. The ids are in the order of the messages.
    pub async fn send(&self, messages: Vec<Message>) -> Result<Vec<u64>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let appended = self.0.store.append(vec![self.batch(&messages)]).await?;
        let first = appended[0].first;
        self.hold_delayed(first, appended[0].at, &messages);
        Ok((first..first + messages.len() as u64).collect())
    }

    /// Sends to several queues at once: after a crash all of it is there or nothing.
    pub async fn send_all(store: &Store, sends: Vec<(Queue, Vec<Message>)>) -> Result<(), StoreError> {
        let batches = sends.iter().map(|(queue, messages)| queue.batch(messages)).collect();
        let appended = store.append(batches).await?;
        for ((queue, messages), appended) in sends.iter().zip(appended) {
            queue.hold_delayed(appended.first, appended.at, messages);
        }
        Ok(())
    }

    /// Whether something may be received is worth asking again: a message arrived, a delay or a visibility ended.
    pub async fn arrival(&self) {
        let mut next = self.0.store.watch(self.0.messages);
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            let tail = *next.borrow_and_update();
            let due = {
                let held = self.held();
                if tail > held.cursor && held.has_room() {
                    return;
                }
                held.next_due()
            };
            let now = self.0.world.now();
            let wait = due.map(|due| due.since(now));
            if wait == Some(Duration::ZERO) {
                return;
            }
            let timer = async {
                match wait {
                    // The wall clock may be moved by hand meanwhile: look again at least every few seconds.
                    Some(wait) => self.0.world.clock.sleep(wait.min(Duration::from_secs(5))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                arrived = next.changed() => if arrived.is_err() {
                    // The queue was deleted: nothing will ever arrive.
                    std::future::pending::<()>().await;
                },
                () = changed => {}
                () = timer => {}
            }
        }
    }

    /// Acknowledges a message, and whether that was news. A crash right after may bring the message back.
    pub async fn ack(&self, id: u64) -> Result<bool, StoreError> {
        let Some(batch) = self.take_acks(&[id]).1 else { return Ok(false) };
        self.0.store.append_lazy(vec![batch]).await?;
        self.keep_up();
        Ok(true)
    }

    /// Acknowledges messages, and whether each was news; durable when it returns. After an error the messages are not
    /// received again by this process, but may be after a restart.
    pub async fn ack_durable(&self, ids: &[u64]) -> Result<Vec<bool>, StoreError> {
        let (fresh, batch) = self.take_acks(ids);
        if let Some(batch) = batch {
            self.0.store.append(vec![batch]).await?;
            self.keep_up();
        }
        Ok(fresh)
    }

    /// Changes when a received or delayed message may be received again, and whether it is held. In memory only:
    /// after a crash it may be received at once.
    pub async fn postpone(&self, id: u64, until: Timestamp) -> Result<bool, StoreError> {
        let mut held = self.held();
        let Some(entry) = held.get(id).cloned() else { return Ok(false) };
        held.put(id, Entry { due: until, ..entry });
        drop(held);
        self.0.changed.notify_waiters();
        Ok(true)
    }

    /// How many messages it holds.
    pub fn counts(&self) -> QueueCounts {
        let next = self.0.store.extent(self.0.messages).next;
        let held = self.held();
        held.counts(self.0.world.now(), next.saturating_sub(held.cursor))
    }

    /// The receipt of a message's latest receive by this process; `None` where there was none.
    pub fn receipt(&self, id: u64) -> Option<u64> {
        self.held().get(id).filter(|e| e.receives > 0).map(|e| e.receipt)
    }

    /// Acknowledges everything sent so far, durably.
    pub async fn purge(&self) -> Result<(), StoreError> {
        let below = self.0.store.extent(self.0.messages).next;
        if below == 0 {
            return Ok(());
        }
        let mut batch = Batch::new(self.0.acks);
        batch.push_with(16, |out| encode_acks([(0, below)].into_iter(), out));
        self.0.store.append(vec![batch]).await?;
        self.held().purge(below);
        self.keep_up();
        Ok(())
    }

    /// Forgets the queue and all it holds, durably and at once.
    pub async fn delete(self) -> Result<(), StoreError> {
        self.0.store.drop_logs(vec![self.0.messages, self.0.acks]).await
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().expect("no panic holds this lock")
    }

    fn batch(&self, messages: &[Message]) -> Batch {
        let bytes = messages.iter().map(|m| m.body.len() + OVERHEAD).sum();
        let mut batch = Batch::with_capacity(self.0.messages, bytes);
        for message in messages {
            let sent = Sent::New { not_before: message.not_before, body: message.body.clone() };
            batch.push_with(message.body.len() + OVERHEAD, |out| sent.encode(out));
        }
        batch
    }

    /// Delayed messages that follow on what is known already need not be read again to be counted as delayed.
    fn hold_delayed(&self, first: u64, sent_at: Timestamp, messages: &[Message]) {
        let now = self.0.world.now();
        let mut held = self.held();
        for (id, message) in (first..).zip(messages) {
            let Some(due) = message.not_before.filter(|due| *due > now) else { break };
            if held.cursor != id || !held.has_room() || held.acked.contains(id) {
                break;
            }
            held.put(id, Entry::untouched(id, due, sent_at));
            held.cursor = id + 1;
        }
    }

    /// Marks ids acknowledged; which were news, and the record of them if any was.
    fn take_acks(&self, ids: &[u64]) -> (Vec<bool>, Option<Batch>) {
        let next = self.0.store.extent(self.0.messages).next;
        let mut held = self.held();
        let fresh: Vec<bool> = ids.iter().map(|id| *id < next && held.ack(*id)).collect();
        let news = || ids.iter().zip(&fresh).filter(|(_, fresh)| **fresh).map(|(id, _)| (*id, *id + 1));
        if news().next().is_none() {
            return (fresh, None);
        }
        held.ack_records += 1;
        let mut batch = Batch::new(self.0.acks);
        batch.push_with(16 * ids.len(), |out| encode_acks(news(), out));
        (fresh, Some(batch))
    }
}
