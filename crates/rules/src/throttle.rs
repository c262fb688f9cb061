//! How many calls of `PutEvents` and how many invocations of targets an account has in a second. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>

use crate::limits::{INVOCATIONS_PER_S, PUTS_PER_S, Tier};
use names::Region;
use std::sync::Mutex;
use std::time::Duration;
use world::Bucket;

/// The two quotas of a house.
#[derive(Debug)]
pub(crate) struct Throttle {
    puts: Mutex<Bucket>,
    invocations: Mutex<Bucket>,
}

impl Throttle {
    pub(crate) fn new(region: &Region, now: Duration) -> Throttle {
        let tier = Tier::of(region.as_str()) as usize;
        let bucket = |per_s: [usize; 5]| Mutex::new(Bucket::per_second(per_s[tier], now));
        Throttle { puts: bucket(PUTS_PER_S), invocations: bucket(INVOCATIONS_PER_S) }
    }

    /// Whether another call may be made now; if so, it is counted.
    pub(crate) fn may_put(&self, now: Duration) -> bool {
        self.puts.lock().expect("no panic holds this lock").admit(1, now)
    }

    /// Counts an invocation. One over the quota still happens, so much later.
    pub(crate) fn invocation(&self, now: Duration) -> Option<Duration> {
        self.invocations.lock().expect("no panic holds this lock").turn(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_over_the_quota_are_refused_and_invocations_wait() {
        let region = |name: &str| Region::parse(name).unwrap();
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        let throttle = Throttle::new(&region("us-east-1"), zero);
        let puts = |at| (0..30_000).filter(|_| throttle.may_put(at)).count();
        assert_eq!((puts(zero), puts(zero), puts(second / 2)), (10_000, 0, 5_000));
        let late = |at| (0..18_750).filter_map(|_| throttle.invocation(at)).max();
        assert_eq!((late(zero), late(zero), late(10 * second)), (None, Some(second), None));
        let small = Throttle::new(&region("eu-south-1"), zero);
        assert_eq!((0..2_000).filter(|_| small.may_put(zero)).count(), 400);
        let other = Throttle::new(&region("sa-east-1"), zero);
        assert_eq!((0..2_000).filter(|_| other.invocation(zero).is_none()).count(), 1_100);
    }
}
