//! How fast a response in pieces goes.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html> (bandwidth limits)

use super::limits;
use std::sync::Arc;
use std::time::Duration;
use world::Clock;

/// The pace of one response: the first megabytes as they come, the rest at a rate.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    /// What may still go at once.
    burst: usize,
    /// When the last piece went, by the monotonic clock. What is not used of the time since is not caught up for.
    last: Duration,
}

impl Pace {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Pace {
        Pace { clock, burst: limits::STREAM_BURST, last: Duration::ZERO }
    }

    /// Resolves when a piece of so many bytes may go.
    pub(super) async fn next(&mut self, size: usize) {
        let over = size.saturating_sub(self.burst);
        self.burst = self.burst.saturating_sub(size);
        if over == 0 {
            return;
        }
        let now = self.clock.monotonic();
        self.last = self.last.max(now) + Duration::from_nanos(over as u64 * 1_000_000_000 / limits::STREAM_RATE);
        self.clock.sleep(self.last - now).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::SimClock;

    #[tokio::test(start_paused = true)]
    async fn six_megabytes_go_at_once_and_two_a_second_follow() {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::new());
        let mut pace = Pace::new(clock.clone());
        let mut gone = Vec::new();
        for _ in 0..12 {
            pace.next(1 << 20).await;
            gone.push((clock.monotonic().as_secs_f64() * 2.0).round() / 2.0);
        }
        assert_eq!(gone, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        // Nothing was saved up while nothing came.
        clock.sleep(Duration::from_secs(60)).await;
        let before = clock.monotonic();
        pace.next(2 << 20).await;
        assert_eq!((clock.monotonic() - before).as_secs_f64().round(), 1.0);
    }
}
