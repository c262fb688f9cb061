mod format;
mod held;
mod ranges;
mod receive;
mod upkeep;

use crate::store::Submitted;
use crate::{Batch, LogId, ReadLimit, Store, StoreError, Timestamp};
use bytes::Bytes;
use format::{OVERHEAD, Sent, decode_acks, encode_acks};
use held::{Entry, Held, Phase};
use ranges::Ranges;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use world::World;

/// A durable queue with per-message acknowledgement. Cheap to clone; open each name once and share the clones, because
/// what is in flight is known to them only.
///
/// Messages live in the journal; memory holds an entry for each that was received, is delayed or was passed over, so a
/// backlog costs nothing. A crash forgets what was in flight: unacknowledged messages become visible again, and their
/// receive counts may start again.
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

/// What the groups of messages mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Messages come roughly as they were sent. Those of a group that has a large share of what is in flight wait behind
    /// those of others.
    #[default]
    Loose,
    /// Messages of one group come as they were sent: none while another of its group is in flight, but for those that
    /// are received together.
    Groups,
}

/// What is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Opaque.
    pub body: Bytes,
    /// Not to be received before this time.
    pub not_before: Option<Timestamp>,
    /// The group it belongs to: a hash of its name will do.
    pub group: Option<u64>,
}

/// Messages on their way: their place among all others is settled.
#[must_use]
pub struct Sending {
    submitted: Submitted,
    queue: Queue,
    messages: Vec<Message>,
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
    /// Until when it is invisible.
    pub until: Timestamp,
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
    /// Opens the queue of this name, empty where there is none yet. Its groups, if any, have no order.
    pub async fn open(store: &Store, world: &World, name: &str) -> Result<Queue, StoreError> {
        Queue::open_as(store, world, name, Order::Loose).await
    }

    /// Opens the queue of this name, empty where there is none yet.
    pub async fn open_as(store: &Store, world: &World, name: &str, order: Order) -> Result<Queue, StoreError> {
        let messages = store.log(&format!("{name}/messages")).await?;
        let acks = store.log(&format!("{name}/acks")).await?;
        let (mut acked, mut ack_records) = (Ranges::default(), 0);
        let mut from = 0;
        loop {
            let records = store.read(acks, from, ReadLimit { records: 10_000, bytes: 1 << 20 })?;
            let Some(last) = records.last() else { break };
            from = last.index + 1;
            ack_records += records.len() as u64;
            for record in &records {
                decode_acks(&record.data, &mut acked).ok_or_else(|| {
                    StoreError::corrupt(format!("queue {name:?}: acknowledgement {} is damaged", record.index))
                })?;
            }
        }
        let next_receipt = world.now().micros().max(0) as u64;
        let mut held = Held::new(order, acked, store.extent(messages).first, next_receipt);
        held.ack_records = ack_records;
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
        self.submit(messages, Vec::new()).await?.durable().await
    }

    /// Puts messages on their way, and with them batches for other logs: after a crash all of it is there or nothing.
    /// When it returns, what is submitted later comes after.
    pub async fn submit(&self, messages: Vec<Message>, along: Vec<Batch>) -> Result<Sending, StoreError> {
        let mut batches = vec![self.batch(&messages)];
        batches.extend(along);
        let submitted = self.0.store.submit(batches).await?;
        Ok(Sending { submitted, queue: self.clone(), messages })
    }

    /// Moves messages to another queue, in a new form, with batches for other logs: after a crash each is either here or
    /// there. What was acknowledged meanwhile must not be given.
    pub async fn forward(
        &self,
        ids: &[u64],
        to: &Queue,
        messages: Vec<Message>,
        mut along: Vec<Batch>,
    ) -> Result<Sending, StoreError> {
        along.extend(self.take_acks(ids).1);
        let sending = to.submit(messages, along).await?;
        self.keep_up();
        Ok(sending)
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
            let now = self.0.world.now();
            let due = {
                let mut held = self.held();
                held.advance(now);
                if held.is_ready() || tail > held.cursor() && held.has_room() {
                    return;
                }
                held.next_due()
            };
            let wait = due.map(|due| due.since(now));
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

    /// Acknowledges messages, as [`Queue::ack`] does one.
    pub async fn ack_all(&self, ids: &[u64]) -> Result<(), StoreError> {
        if let Some(batch) = self.take_acks(ids).1 {
            self.0.store.append_lazy(vec![batch]).await?;
            self.keep_up();
        }
        Ok(())
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
        let known = self.held().postpone(id, until);
        if known {
            self.0.changed.notify_waiters();
        }
        Ok(known)
    }

    /// How many messages it holds.
    pub fn counts(&self) -> QueueCounts {
        let next = self.0.store.extent(self.0.messages).next;
        let mut held = self.held();
        held.advance(self.0.world.now());
        held.counts(next)
    }

    /// About how many bytes its messages take on disk. Of a log with acknowledged ones in it, its share by their number.
    pub fn bytes(&self) -> u64 {
        let extent = self.0.store.extent(self.0.messages);
        let QueueCounts { visible, in_flight, delayed } = self.counts();
        let (held, all) = (visible + in_flight + delayed, extent.next - extent.first);
        (u128::from(extent.bytes) * u128::from(held.min(all)) / u128::from(all.max(1))) as u64
    }

    /// The id that the next message gets: those of all others are below.
    pub fn next_id(&self) -> u64 {
        self.0.store.extent(self.0.messages).next
    }

    /// When the oldest message was sent, about.
    pub fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let (held, from) = {
            let held = self.held();
            (held.oldest(), held.acked.gap(held.cursor()))
        };
        // What is damaged is told of by whoever receives.
        let one = ReadLimit { records: 1, bytes: 1 };
        let rest = self.0.store.read_over(self.0.messages, from, one, |_, _| {})?;
        Ok(held.into_iter().chain(rest.first().map(|record| record.at)).min())
    }

    /// The receipt of a message's latest receive by this process; `None` where there was none.
    pub fn receipt(&self, id: u64) -> Option<u64> {
        self.held().get(id).filter(|e| e.receives > 0).map(|e| e.receipt)
    }

    /// Whether a message was received by this process and its visibility has not ended.
    pub fn is_in_flight(&self, id: u64) -> bool {
        let mut held = self.held();
        held.advance(self.0.world.now());
        held.get(id).is_some_and(|entry| entry.phase == Phase::InFlight)
    }

    /// Acknowledges everything sent so far, durably.
    pub async fn purge(&self) -> Result<(), StoreError> {
        let below = self.0.store.extent(self.0.messages).next;
        self.drop_old((0, below), Timestamp(i64::MIN)).await
    }

    /// Acknowledges everything that was sent before `at`, durably. What was moved here from another queue was sent when
    /// it was moved.
    pub async fn expire(&self, at: Timestamp) -> Result<(), StoreError> {
        let first = self.0.store.extent(self.0.messages).first;
        let past = self.0.store.find_time(self.0.messages, at);
        self.drop_old((first, past.max(first)), at).await
    }

    async fn drop_old(&self, range: (u64, u64), at: Timestamp) -> Result<(), StoreError> {
        let (others, known) = {
            let mut held = self.held();
            let known = held.acked.gap(range.0) >= range.1;
            held.ack_records += 1;
            (held.drop_old(range, at), known)
        };
        if known && others.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(self.0.acks);
        let ranges = others.into_iter().map(|id| (id, id + 1)).chain(std::iter::once(range));
        batch.push_with(16, |out| encode_acks(ranges.filter(|(first, past)| first < past), out));
        self.0.store.append(vec![batch]).await?;
        self.0.changed.notify_waiters();
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
            let Message { body, not_before, group } = message.clone();
            let sent = Sent::New { not_before, group, body };
            batch.push_with(message.body.len() + OVERHEAD, |out| sent.encode(out));
        }
        batch
    }

    /// Delayed messages need not be read again to be counted as delayed. Where groups have an order, that holds only for
    /// those that follow on what is known already.
    fn hold_delayed(&self, first: u64, sent_at: Timestamp, messages: &[Message]) {
        if messages.iter().all(|message| message.not_before.is_none()) {
            return;
        }
        let now = self.0.world.now();
        let mut held = self.held();
        for (id, message) in (first..).zip(messages) {
            let Some(due) = message.not_before.filter(|due| *due > now) else { continue };
            let next = held.cursor() == id;
            if !held.has_room() || held.acked.contains(id) || id < held.cursor() {
                continue;
            }
            if held.order() == Order::Groups && !next {
                break;
            }
            if next {
                held.pass(id);
            }
            held.put(id, Entry::untouched(id, due, sent_at, message.group));
        }
    }

    /// Marks ids acknowledged; which were news, and the record of them if any was.
    fn take_acks(&self, ids: &[u64]) -> (Vec<bool>, Option<Batch>) {
        let next = self.0.store.extent(self.0.messages).next;
        let mut held = self.held();
        let offers = held.offers();
        let fresh: Vec<bool> = ids.iter().map(|id| *id < next && held.ack(*id)).collect();
        if held.offers() > offers {
            self.0.changed.notify_waiters();
        }
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

impl Sending {
    /// Waits until all of it is durable. The ids are in the order of the messages.
    pub async fn durable(self) -> Result<Vec<u64>, StoreError> {
        let Sending { submitted, queue, messages } = self;
        let appended = submitted.durable().await?;
        queue.hold_delayed(appended[0].first, appended[0].at, &messages);
        Ok((appended[0].first..appended[0].first + messages.len() as u64).collect())
    }
}
