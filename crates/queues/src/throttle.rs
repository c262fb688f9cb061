//! How many calls a FIFO queue takes in a second. Pure.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>

use crate::limits::FIFO_CALLS_PER_S;
use std::time::Duration;
use world::Bucket;

/// The calls that are counted, each on its own; a batch is one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Send,
    Receive,
    Delete,
    ChangeVisibility,
}

/// What is left of each.
#[derive(Debug)]
pub(crate) struct Throttle([Bucket; 4]);

impl Throttle {
    pub(crate) fn new(now: Duration) -> Throttle {
        Throttle(std::array::from_fn(|_| Bucket::per_second(FIFO_CALLS_PER_S, now)))
    }

    /// Whether another call may be made now; if so, it is counted.
    pub(crate) fn may(&mut self, action: Action, now: Duration) -> bool {
        self.0[action as usize].admit(1, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_a_second_of_each() {
        let mut throttle = Throttle::new(Duration::ZERO);
        let mut count = |action, ms| (0..1000).filter(|_| throttle.may(action, Duration::from_millis(ms))).count();
        assert_eq!(count(Action::Send, 0), 300);
        assert_eq!(count(Action::Receive, 0), 300);
        assert_eq!(count(Action::Send, 500), 150);
        assert_eq!(count(Action::Send, 90_000), 300);
    }
}
