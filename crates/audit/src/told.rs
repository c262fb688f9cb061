//! The default bus is told of each call from the log, so that what there is no room for now is told later, and by the same
//! id again where it is not sure that it was.

use crate::Audit;
use crate::entry::Entry;
use crate::limits::{BLOCK_BYTES, NOTE_AFTER, NOTE_EVERY, PAUSE, TELL};
use crate::record;
use crate::signals::UNREADABLE;
use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, Verdict, attribute, code};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use store::{Batch, LogId, ReadLimit, Record, Store, StoreError};
use world::Stop;

/// The first byte of a note.
const FORMAT: u8 = 1;

/// How far the bus was told: the index in `audit/events` of what comes next. The log `audit/told` holds it.
pub(crate) struct Told {
    log: LogId,
    next: AtomicU64,
    /// What the log says, which may be less.
    noted: AtomicU64,
    /// Calls since the start whose records are damaged, so that the bus never hears of them.
    unreadable: AtomicU64,
}

/// What came of going on.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Told,
    /// There is nothing to tell.
    Done,
    /// The backlog of deliveries has no room.
    Full,
}

impl Told {
    /// What was noted.
    pub(crate) async fn open(store: &Store) -> Result<Told, StoreError> {
        let log = store.log("audit/told").await?;
        let last = store.extent(log).next.checked_sub(1);
        let last = last.map(|last| store.read(log, last, ReadLimit { records: 1, bytes: 1 })).transpose()?;
        let next = match last.as_deref() {
            Some([note]) => read(&note.data).ok_or_else(|| StoreError::Corrupt { why: "audit/told".into() })?,
            // Records of older programs say of themselves that the bus is not to be told of them any more.
            _ => 0,
        };
        Ok(Told { log, next: next.into(), noted: next.into(), unreadable: AtomicU64::new(0) })
    }

    fn unnoted(&self) -> u64 {
        self.next.load(Relaxed) - self.noted.load(Relaxed)
    }

    /// Makes it durable. A failure only means that after a crash more is told twice.
    async fn note(&self, store: &Store) {
        let next = self.next.load(Relaxed);
        if next == self.noted.load(Relaxed) {
            return;
        }
        match note(store, self.log, next).await {
            Ok(()) => self.noted.store(next, Relaxed),
            Err(error) => tracing::warn!(%error, "how far the default bus was told of calls could not be noted"),
        }
    }
}

async fn note(store: &Store, log: LogId, next: u64) -> Result<(), StoreError> {
    let mut batch = Batch::new(log);
    batch.push_with(9, |out| {
        out.push(FORMAT);
        out.extend_from_slice(&next.to_le_bytes());
    });
    let appended = store.append(vec![batch]).await?;
    store.trim(log, appended[0].first)
}

fn read(note: &[u8]) -> Option<u64> {
    let (format, next) = note.split_first()?;
    (*format == FORMAT).then(|| next.try_into().map(u64::from_le_bytes).ok())?
}

impl Audit {
    /// About how many calls the default bus was not told of yet.
    pub fn untold(&self) -> u64 {
        self.store.extent(self.log).next.saturating_sub(self.told.next.load(Relaxed))
    }

    /// How many calls since the start the default bus will never be told of, because their records are damaged.
    pub fn unreadable(&self) -> u64 {
        self.told.unreadable.load(Relaxed)
    }

    /// Tells the bus of all there is, and goes on when there is more.
    pub(crate) async fn tell(&self, mut stop: Stop) {
        let mut grown = self.store.watch(self.log);
        let (clock, mut waits) = (&self.world.clock, false);
        // When the first was told that is not noted.
        let mut unnoted_since = None;
        while !stop.is_set() {
            grown.borrow_and_update();
            let step = self.tell_next().await;
            self.say_once(&step, &mut waits);
            if self.told.unnoted() == 0 {
                unnoted_since = None;
            }
            let now = clock.monotonic();
            let due = *unnoted_since.get_or_insert(now) + NOTE_AFTER;
            match step {
                Ok(Step::Told) if self.told.unnoted() < NOTE_EVERY && now < due => {}
                Ok(Step::Told) => {
                    self.told.note(&self.store).await;
                    unnoted_since = None;
                }
                Ok(Step::Done) => tokio::select! {
                    biased;
                    () = stop.wait() => {}
                    changed = grown.changed() => if changed.is_err() { break },
                    () = clock.sleep(due.saturating_sub(now)), if self.told.unnoted() > 0 => {
                        self.told.note(&self.store).await;
                        unnoted_since = None;
                    }
                },
                Ok(Step::Full) | Err(_) => tokio::select! {
                    biased;
                    () = stop.wait() => {}
                    () = clock.sleep(PAUSE) => self.told.note(&self.store).await,
                },
            }
        }
        self.told.note(&self.store).await;
    }

    /// Says when calls begin to wait and when they no longer do, not each time.
    fn say_once(&self, step: &Result<Step, StoreError>, waits: &mut bool) {
        let untold = self.untold();
        match step {
            Ok(Step::Full) if !*waits => {
                tracing::warn!(untold, "deliveries have no room: the default bus is told of calls later");
            }
            Err(error) if !*waits => tracing::warn!(untold, %error, "the default bus is told of calls later"),
            Ok(Step::Told | Step::Done) if *waits => tracing::info!(untold, "the default bus is told of calls again"),
            _ => {}
        }
        *waits = matches!(step, Ok(Step::Full) | Err(_));
    }

    async fn tell_next(&self) -> Result<Step, StoreError> {
        let from = self.told.next.load(Relaxed).max(self.store.extent(self.log).first);
        let limit = ReadLimit { records: TELL, bytes: BLOCK_BYTES };
        let records = self.store.read_over(self.log, from, limit, |lost, error| {
            self.never_told(lost.start, lost.end - lost.start, error);
            self.told.next.store(lost.end, Relaxed);
        })?;
        let Some(last) = records.last() else { return Ok(Step::Done) };
        let envelopes: Vec<Envelope> = records.iter().filter_map(|record| self.envelope(record)).collect();
        if !envelopes.is_empty() {
            let (bytes, limit) = self.delivery.backlog();
            if bytes >= limit {
                return Ok(Step::Full);
            }
            let verdicts = self.delivery.hand_over(&envelopes, false).await;
            let full = |verdict: &Verdict| matches!(verdict, Verdict::Again { code, .. } if code == code::BACKLOG_FULL);
            if verdicts.iter().any(full) {
                return Ok(Step::Full);
            }
            // What the bus does not take at once has a place in its lane, which knows what to do.
            let rest = envelopes.into_iter().zip(verdicts);
            let rest = rest.filter(|(_, verdict)| !matches!(verdict, Verdict::Accepted(_)));
            self.delivery.send(rest.map(|(envelope, _)| envelope).collect()).await?;
        }
        self.told.next.store(last.index + 1, Relaxed);
        Ok(Step::Told)
    }

    fn never_told(&self, index: u64, calls: u64, error: &dyn std::error::Error) {
        tracing::warn!(index, calls, %error, "audit records are damaged: the default bus will not be told of these calls");
        self.told.unreadable.fetch_add(calls, Relaxed);
        self.world.meter.record(&UNREADABLE, &[], calls);
    }

    /// The event that tells of a call; none where the bus is not to hear of it.
    fn envelope(&self, record: &Record) -> Option<Envelope> {
        let entry = Entry::decode(&record.data).inspect_err(|error| self.never_told(record.index, 1, error)).ok()?;
        let tell = entry.summary.tell.clone()?;
        let mut attributes = BTreeMap::new();
        if tell.question {
            // Only rules that ask for all management events see it.
            attributes.insert(attribute::READ_ONLY.to_owned(), "true".to_owned());
        }
        Some(Envelope {
            body: Bytes::from(record::event(&self.home, &tell.id, &entry)),
            id: tell.id,
            to: self.bus.clone(),
            attributes,
            from: None,
            principal: "cloudtrail.amazonaws.com".to_owned(),
            role: None,
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: tell.trace,
            not_before: None,
            created: self.world.now(),
        })
    }
}
