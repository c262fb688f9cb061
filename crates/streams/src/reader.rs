//! What a registered consumer may still read of each shard, and who reads for it: kept in memory, for as long as the
//! consumer is registered.

use crate::limits::{CONSUMER_BYTES_PER_SECOND, Limits, SUBSCRIPTION_HELD, SUBSCRIPTIONS_PER_SECOND};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;
use world::Bucket;

/// A consumer's desk at each shard.
#[derive(Default)]
pub(crate) struct Reader {
    desks: Mutex<BTreeMap<u32, Desk>>,
}

struct Desk {
    bytes: Bucket,
    calls: Bucket,
    /// The subscription, and since when.
    holder: Option<(Duration, oneshot::Sender<TakenOver>)>,
}

/// Another subscription goes on in this one's place.
#[derive(Debug)]
pub(crate) struct TakenOver;

/// Why a shard cannot be subscribed to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The last subscription is too young to be taken over.
    Held,
    /// There were too many calls.
    Exceeded,
}

impl Reader {
    fn desks(&self) -> MutexGuard<'_, BTreeMap<u32, Desk>> {
        self.desks.lock().expect("no panic holds this lock")
    }

    /// Takes the shard over from whoever reads it. The receiver tells when another does so in turn; it is closed when the
    /// consumer is gone.
    /// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>
    pub(crate) fn subscribe(
        &self,
        shard: u32,
        limits: Limits,
        now: Duration,
    ) -> Result<oneshot::Receiver<TakenOver>, Busy> {
        let mut desks = self.desks();
        let desk = desks.entry(shard).or_insert_with(|| Desk::new(now));
        if desk.holder.as_ref().is_some_and(|(since, _)| now.saturating_sub(*since) < SUBSCRIPTION_HELD) {
            return Err(Busy::Held);
        }
        desk.calls.refill(now);
        if limits == Limits::Aws && !desk.calls.has(1) {
            return Err(Busy::Exceeded);
        }
        desk.calls.take(1);
        let (sender, receiver) = oneshot::channel();
        if let Some((_, former)) = desk.holder.replace((now, sender)) {
            // The former reader may have gone by itself.
            let _ = former.send(TakenOver);
        }
        Ok(receiver)
    }

    /// How long until more may be read of a shard; `None` if now.
    pub(crate) fn wait(&self, shard: u32, now: Duration) -> Option<Duration> {
        let mut desks = self.desks();
        let desk = desks.get_mut(&shard)?;
        desk.bytes.refill(now);
        desk.bytes.until_paid()
    }

    /// Counts what was read of a shard.
    pub(crate) fn gave(&self, shard: u32, bytes: usize, now: Duration) {
        if bytes > 0 {
            let mut desks = self.desks();
            desks.entry(shard).or_insert_with(|| Desk::new(now)).bytes.take(bytes);
        }
    }

    /// Forgets the shards that are no more.
    pub(crate) fn keep(&self, is_known: impl Fn(u32) -> bool) {
        self.desks().retain(|shard, _| is_known(*shard));
    }
}

impl Desk {
    fn new(now: Duration) -> Desk {
        Desk {
            bytes: Bucket::per_second(CONSUMER_BYTES_PER_SECOND, now),
            calls: Bucket::per_second(SUBSCRIPTIONS_PER_SECOND, now),
            holder: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn subscribe(reader: &Reader, shard: u32, now: Duration) -> Result<oneshot::Receiver<TakenOver>, Busy> {
        reader.subscribe(shard, Limits::Aws, now)
    }

    #[test]
    fn a_subscription_is_taken_over_after_five_seconds() {
        let reader = Reader::default();
        let mut first = subscribe(&reader, 0, SECOND).unwrap();
        assert_eq!(subscribe(&reader, 0, 5 * SECOND).unwrap_err(), Busy::Held);
        let _other = subscribe(&reader, 1, 5 * SECOND).unwrap();
        assert!(first.try_recv().is_err(), "nobody took it over");
        let mut second = subscribe(&reader, 0, 6 * SECOND).unwrap();
        assert!(first.try_recv().is_ok());
        drop(reader);
        assert_eq!(second.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
    }

    #[test]
    fn what_was_read_is_paid_back_at_the_consumers_own_rate() {
        let reader = Reader::default();
        assert_eq!(reader.wait(0, SECOND), None);
        reader.gave(0, 3 * CONSUMER_BYTES_PER_SECOND, SECOND);
        let wait = reader.wait(0, SECOND).unwrap();
        assert!(wait > 2 * SECOND - SECOND / 10 && wait < 2 * SECOND + SECOND / 10, "{wait:?}");
        assert_eq!(reader.wait(1, SECOND), None, "each shard has its own");
        assert_eq!(reader.wait(0, SECOND + wait), None);
    }
}
