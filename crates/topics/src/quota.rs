//! How many messages an account, a FIFO topic and a message group take in a second, and how many text messages leave. Pure.
//! Source: <https://docs.aws.amazon.com/general/latest/gr/sns.html>

use crate::limits::{FIFO_GROUP_PER_S, FIFO_PER_S, PUBLISH_PER_S, QUOTAS_KNOWN, SMS_PER_S};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use world::Bucket;

/// The quotas of a house.
#[derive(Debug)]
pub(crate) struct Quotas {
    account: Mutex<Bucket>,
    texts: Mutex<Bucket>,
    /// Those of FIFO topics and of their groups, by name. One that is full again need not be known.
    fifo: Mutex<BTreeMap<String, Bucket>>,
}

impl Quotas {
    pub(crate) fn new(now: Duration) -> Quotas {
        Quotas {
            account: Mutex::new(Bucket::per_second(PUBLISH_PER_S, now)),
            texts: Mutex::new(Bucket::per_second(SMS_PER_S, now)),
            fifo: Mutex::default(),
        }
    }

    /// Whether so many messages may be published to a standard topic now; if so, they are counted.
    pub(crate) fn may_publish(&self, messages: usize, now: Duration) -> bool {
        self.account.lock().expect("no panic holds this lock").admit(messages, now)
    }

    /// Whether messages of these groups may be published to a FIFO topic now; if so, they are counted. A topic that counts
    /// by group has no quota of its own.
    pub(crate) fn may_publish_in_order<'a>(
        &self,
        topic: &str,
        by_group: bool,
        groups: impl Iterator<Item = &'a str>,
        now: Duration,
    ) -> bool {
        let mut wanted = BTreeMap::<String, (usize, usize)>::new();
        let mut count = |name: String, per_s: usize| wanted.entry(name).or_insert((per_s, 0)).1 += 1;
        for group in groups {
            count(format!("{topic}/{group}"), FIFO_GROUP_PER_S);
            if !by_group {
                count(topic.to_owned(), FIFO_PER_S);
            }
        }
        let mut known = self.fifo.lock().expect("no panic holds this lock");
        if known.len() >= QUOTAS_KNOWN {
            known.retain(|_, bucket| {
                bucket.refill(now);
                !bucket.is_full()
            });
        }
        let mut all = wanted.into_iter().map(|(name, (per_s, messages))| {
            let mut bucket = known.get(&name).cloned().unwrap_or_else(|| Bucket::per_second(per_s, now));
            bucket.admit(messages, now).then_some((name, bucket))
        });
        let Some(taken) = all.by_ref().collect::<Option<Vec<_>>>() else { return false };
        drop(all);
        known.extend(taken);
        true
    }

    /// Counts a text message. One over the quota still leaves, so much later.
    pub(crate) fn text(&self, now: Duration) -> Option<Duration> {
        self.texts.lock().expect("no panic holds this lock").turn(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_and_no_more() {
        let (quotas, zero) = (Quotas::new(Duration::ZERO), Duration::ZERO);
        let batches = |at| (0..10_000).filter(|_| quotas.may_publish(10, at)).count();
        assert_eq!(
            (batches(zero), batches(Duration::from_millis(100)), batches(Duration::from_millis(60_000))),
            (3_000, 300, 3_000)
        );
        let group = |group: &str, by_group, at| {
            (0..5_000).filter(|_| quotas.may_publish_in_order("t.fifo", by_group, [group].into_iter(), at)).count()
        };
        assert_eq!((group("a", false, zero), group("a", false, zero), group("b", false, zero)), (300, 0, 300));
        let many: usize = (0..20).map(|n| group(&n.to_string(), false, zero)).sum();
        assert_eq!(many, 2_400, "the topic's own quota");
        let by_group: usize = (0..20).map(|n| group(&format!("g{n}"), true, zero)).sum();
        assert_eq!(by_group, 6_000);
        assert_eq!(group("a", false, Duration::from_millis(500)), 150);
    }

    #[test]
    fn text_messages_wait() {
        let quotas = Quotas::new(Duration::ZERO);
        let waits: Vec<_> = (0..60).map(|_| quotas.text(Duration::ZERO)).collect();
        assert_eq!(
            (waits[19], waits[20], waits[59]),
            (None, Some(Duration::from_millis(50)), Some(Duration::from_secs(2)))
        );
    }
}
