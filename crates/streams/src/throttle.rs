//! How often the operations that change and describe streams may be called.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use world::Bucket;

/// More callers' places than this are not remembered when nothing is owed.
const REMEMBERED: usize = 10_000;

/// Counts calls by operation and, where a limit is one per stream, by stream.
#[derive(Default)]
pub(crate) struct Throttle {
    buckets: Mutex<BTreeMap<(&'static str, String), Bucket>>,
}

impl Throttle {
    /// Whether a call may be answered now; counts it if so.
    pub(crate) fn admit(&self, operation: &'static str, stream: &str, per_second: usize, now: Duration) -> bool {
        let mut buckets = self.buckets.lock().expect("no panic holds this lock");
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                !bucket.is_full()
            });
        }
        let key = (operation, stream.to_owned());
        buckets.entry(key).or_insert_with(|| Bucket::per_second(per_second, now)).admit(1, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_and_stream_has_its_own_rate() {
        let throttle = Throttle::default();
        let admitted = |operation, stream, now| (0..10).filter(|_| throttle.admit(operation, stream, 5, now)).count();
        assert_eq!(admitted("A", "", Duration::ZERO), 5);
        assert_eq!(admitted("B", "", Duration::ZERO), 5);
        assert_eq!(admitted("A", "s", Duration::ZERO), 5);
        assert_eq!(admitted("A", "", Duration::from_millis(400)), 2);
    }

    #[test]
    fn what_owes_nothing_is_forgotten() {
        let throttle = Throttle::default();
        for i in 0..3 * REMEMBERED {
            throttle.admit("A", &i.to_string(), 5, Duration::from_secs(i as u64));
        }
        assert!(throttle.buckets.lock().unwrap().len() <= REMEMBERED);
    }
}
