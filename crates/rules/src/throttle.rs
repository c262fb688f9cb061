//! How many calls of `PutEvents` and how many invocations of targets an account has in a second. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>

use crate::limits::{INVOCATIONS_PER_S, PUTS_PER_S, Tier};
use names::{Region, Timestamp};
use std::sync::Mutex;
use std::time::Duration;

/// What is left of a second, and of what was borrowed from those to come.
#[derive(Debug)]
struct Bucket {
    per_s: f64,
    left: f64,
    at: Timestamp,
}

/// The two quotas of a house.
#[derive(Debug)]
pub(crate) struct Throttle {
    puts: Mutex<Bucket>,
    invocations: Mutex<Bucket>,
}

impl Bucket {
    fn new(per_s: f64, now: Timestamp) -> Mutex<Bucket> {
        Mutex::new(Bucket { per_s, left: per_s, at: now })
    }

    fn fill(&mut self, now: Timestamp) {
        self.left = (self.left + now.since(self.at).as_secs_f64() * self.per_s).min(self.per_s);
        self.at = self.at.max(now);
    }
}

impl Throttle {
    pub(crate) fn new(region: &Region, now: Timestamp) -> Throttle {
        let tier = Tier::of(region.as_str()) as usize;
        Throttle { puts: Bucket::new(PUTS_PER_S[tier], now), invocations: Bucket::new(INVOCATIONS_PER_S[tier], now) }
    }

    /// Whether another call may be made now; if so, it is counted.
    pub(crate) fn may_put(&self, now: Timestamp) -> bool {
        let mut bucket = self.puts.lock().expect("no panic holds this lock");
        bucket.fill(now);
        let may = bucket.left >= 1.0;
        bucket.left -= f64::from(u8::from(may));
        may
    }

    /// Counts an invocation. One over the quota still happens, so much later.
    pub(crate) fn invocation(&self, now: Timestamp) -> Option<Duration> {
        let mut bucket = self.invocations.lock().expect("no panic holds this lock");
        bucket.fill(now);
        bucket.left -= 1.0;
        (bucket.left < 0.0).then(|| Duration::from_secs_f64(-bucket.left / bucket.per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_over_the_quota_are_refused_and_invocations_wait() {
        let region = |name: &str| Region::parse(name).unwrap();
        let second = |n: i64| Timestamp::from_millis(n * 1_000);
        let throttle = Throttle::new(&region("us-east-1"), second(0));
        let puts = |at| (0..30_000).filter(|_| throttle.may_put(at)).count();
        assert_eq!((puts(second(0)), puts(second(0)), puts(Timestamp::from_millis(500))), (10_000, 0, 5_000));
        assert_eq!((puts(second(90)), puts(second(80))), (10_000, 0), "a clock that goes back gives nothing");
        let late = |at| (0..18_750).filter_map(|_| throttle.invocation(at)).max();
        assert_eq!(late(second(0)), None);
        assert_eq!(late(second(0)), Some(Duration::from_secs(1)));
        assert_eq!(late(second(1)), Some(Duration::from_secs(1)), "what was borrowed is paid back first");
        assert_eq!(late(second(9)), None);
        let small = Throttle::new(&region("eu-south-1"), second(0));
        assert_eq!((0..2_000).filter(|_| small.may_put(second(0))).count(), 400);
        let other = Throttle::new(&region("sa-east-1"), second(0));
        assert_eq!((0..2_000).filter(|_| other.invocation(second(0)).is_none()).count(), 1_100);
    }
}
