//! How many calls a FIFO queue takes in a second. Pure.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>

use crate::limits::FIFO_CALLS_PER_S;
use names::Timestamp;

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
pub(crate) struct Throttle {
    at: Timestamp,
    left: [f64; 4],
}

impl Throttle {
    pub(crate) fn new(now: Timestamp) -> Throttle {
        Throttle { at: now, left: [FIFO_CALLS_PER_S; 4] }
    }

    /// Whether another call may be made now; if so, it is counted.
    pub(crate) fn may(&mut self, action: Action, now: Timestamp) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        for left in &mut self.left {
            *left = (*left + passed * FIFO_CALLS_PER_S).min(FIFO_CALLS_PER_S);
        }
        let left = &mut self.left[action as usize];
        let may = *left >= 1.0;
        *left -= f64::from(u8::from(may));
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hundred_a_second_of_each() {
        let mut throttle = Throttle::new(Timestamp(0));
        let count =
            |throttle: &mut Throttle, action, at| (0..1000).filter(|_| throttle.may(action, Timestamp(at))).count();
        assert_eq!(count(&mut throttle, Action::Send, 0), 300);
        assert_eq!(count(&mut throttle, Action::Receive, 0), 300);
        assert_eq!(count(&mut throttle, Action::Send, 500_000), 150);
        assert_eq!(count(&mut throttle, Action::Send, 90_000_000), 300);
        assert_eq!(count(&mut throttle, Action::Send, 80_000_000), 0, "a clock that goes back gives nothing");
    }
}
