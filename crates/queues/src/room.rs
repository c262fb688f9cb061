//! A queue as it lives: its messages, and what memory knows of it.

use crate::attempts::Attempts;
use crate::dedup::{self, Window};
use crate::limits::{DEDUPLICATION, PURGE_PAUSE};
use crate::policy;
use crate::settings::Settings;
use crate::signals;
use crate::throttle::{Action, Throttle};
use names::{Arn, Timestamp};
use policies::Policy;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;
use store::{LogId, Order, QueueCounts, ReadLimit, Store, StoreError};
use tokio::sync::watch;
use world::{Series, World};

/// One queue.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) arn: Arn,
    pub(crate) life: u64,
    pub(crate) messages: store::Queue,
    pub(crate) fifo: Option<Fifo>,
    pub(crate) meters: Meters,
    settings: RwLock<Arc<Settings>>,
    /// The policy of these settings, ready to decide.
    policy: RwLock<Option<Arc<Policy>>>,
    /// When it was purged last, as far as this process knows.
    purged: Mutex<Option<Timestamp>>,
    gone: watch::Sender<bool>,
}

/// What only FIFO queues need.
pub(crate) struct Fifo {
    /// Whoever holds it says what is sent next.
    pub(crate) turn: tokio::sync::Mutex<Turn>,
    /// What was sent lately.
    pub(crate) log: LogId,
    pub(crate) attempts: Mutex<Attempts>,
    throttle: Mutex<Throttle>,
}

/// What the next message of a FIFO queue depends on.
pub(crate) struct Turn {
    pub(crate) next_sequence: u64,
    pub(crate) seen: Window,
}

/// The metrics of one queue.
pub(crate) struct Meters {
    pub(crate) sent: Arc<Series>,
    pub(crate) sent_size: Arc<Series>,
    pub(crate) deduplicated: Arc<Series>,
    pub(crate) deleted: Arc<Series>,
    received: Arc<Series>,
    empty_receives: Arc<Series>,
    visible: Arc<Series>,
    not_visible: Arc<Series>,
    delayed: Arc<Series>,
    age: Arc<Series>,
}

impl Room {
    /// Opens a queue with what lies in it.
    pub(crate) async fn open(
        (store, world): (&Store, &World),
        arn: Arn,
        life: u64,
        settings: &Settings,
    ) -> Result<Room, StoreError> {
        let name = arn.resource().to_owned();
        let log = log_name(&name, life);
        let order = if settings.fifo.is_some() { Order::Groups } else { Order::Loose };
        let fifo = match settings.fifo {
            Some(_) => Some(Fifo::open(store, world, &log).await?),
            None => None,
        };
        Ok(Room {
            messages: store::Queue::open_as(store, world, &log, order).await?,
            meters: Meters::new(world, &name),
            policy: RwLock::new(policy::kept(&name, settings)),
            settings: RwLock::new(Arc::new(settings.clone())),
            purged: Mutex::default(),
            gone: watch::Sender::new(false),
            fifo,
            name,
            arn,
            life,
        })
    }

    /// What it is set to now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().expect("no panic holds this lock").clone()
    }

    /// Who may do what with it, where it has a policy.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        self.policy.read().expect("no panic holds this lock").clone()
    }

    pub(crate) fn set(&self, settings: Settings) {
        *self.policy.write().expect("no panic holds this lock") = policy::kept(&self.name, &settings);
        *self.settings.write().expect("no panic holds this lock") = Arc::new(settings);
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.fifo.is_some()
    }

    /// The queue was deleted.
    pub(crate) fn end(&self) {
        self.gone.send_replace(true);
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    /// Resolves when the queue is deleted.
    pub(crate) async fn gone(&self) {
        // The sender lives as long as the room.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// How many messages it holds, about.
    pub(crate) fn counts(&self) -> QueueCounts {
        self.messages.counts()
    }

    /// Whether a purge may begin now; if so, it has begun.
    pub(crate) fn may_purge(&self, now: Timestamp) -> bool {
        let mut purged = self.purged.lock().expect("no panic holds this lock");
        let free = purged.is_none_or(|last| now.since(last) >= PURGE_PAUSE);
        if free {
            *purged = Some(now);
        }
        free
    }

    /// Whether a call may be made now; if so, it is counted.
    pub(crate) fn may(&self, action: Action, now: Duration) -> bool {
        let Some(fifo) = &self.fifo else { return true };
        let high = self.settings().fifo.is_some_and(|fifo| fifo.high_throughput);
        high || fifo.throttle.lock().expect("no panic holds this lock").may(action, now)
    }

    /// Records the metrics that are states.
    pub(crate) fn record_gauges(&self, now: Timestamp) {
        let counts = self.counts();
        self.meters.visible.record(counts.visible);
        self.meters.not_visible.record(counts.in_flight);
        self.meters.delayed.record(counts.delayed);
        match self.messages.oldest() {
            Ok(oldest) => self.meters.age.record(oldest.map_or(0, |at| now.since(at).as_secs())),
            Err(error) => tracing::warn!(%error, queue = self.name, "the age of the oldest message is not known"),
        }
    }
}

impl Fifo {
    async fn open(store: &Store, world: &World, queue: &str) -> Result<Fifo, StoreError> {
        let log = store.log(&dedup_log(queue)).await?;
        let extent = store.extent(log);
        let now = world.now();
        let (mut seen, mut next_sequence) = (Window::default(), 1);
        // The last record is always kept, for its sequence number.
        let mut from = store.find_time(log, before(now, DEDUPLICATION)).min(extent.next.saturating_sub(1));
        loop {
            let records = store.read(log, from, ReadLimit { records: 10_000, bytes: 1 << 20 })?;
            let Some(last) = records.last() else { break };
            from = last.index + 1;
            for record in records {
                let broken =
                    || StoreError::Corrupt { why: format!("{queue}: dedup {} is damaged", record.index).into() };
                let (next, all) = dedup::decode(record.data.clone()).ok_or_else(broken)?;
                next_sequence = next;
                all.into_iter().for_each(|(key, one)| seen.add(record.at, key, one));
            }
        }
        Ok(Fifo {
            turn: tokio::sync::Mutex::new(Turn { next_sequence, seen }),
            log,
            attempts: Mutex::default(),
            throttle: Mutex::new(Throttle::new(world.clock.monotonic())),
        })
    }

    pub(crate) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().expect("no panic holds this lock")
    }

    /// Gives back the disk of what no longer counts.
    pub(crate) fn trim(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let last = store.extent(self.log).next.saturating_sub(1);
        store.trim(self.log, store.find_time(self.log, before(now, DEDUPLICATION)).min(last))
    }
}

impl Meters {
    fn new(world: &World, queue: &str) -> Meters {
        let series = |signal| world.meter.series(signal, &[queue]);
        Meters {
            sent: series(&signals::SENT),
            sent_size: series(&signals::SENT_SIZE),
            deduplicated: series(&signals::DEDUPLICATED),
            deleted: series(&signals::DELETED),
            received: series(&signals::RECEIVED),
            empty_receives: series(&signals::EMPTY_RECEIVES),
            visible: series(&signals::VISIBLE),
            not_visible: series(&signals::NOT_VISIBLE),
            delayed: series(&signals::DELAYED),
            age: series(&signals::AGE),
        }
    }

    /// A receive gave so many messages.
    pub(crate) fn handed_out(&self, messages: usize) {
        match messages {
            0 => self.empty_receives.record(1),
            some => self.received.record(some as u64),
        }
    }
}

/// The log of a queue's messages: of this queue, not of its name, which may be used again.
pub(crate) fn log_name(name: &str, life: u64) -> String {
    format!("queues/{name}/{life}")
}

/// The log of what was sent lately.
pub(crate) fn dedup_log(queue: &str) -> String {
    format!("{queue}/dedup")
}

/// So long before.
pub(crate) fn before(now: Timestamp, time: Duration) -> Timestamp {
    Timestamp(now.micros().saturating_sub(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
}
