//! A token bucket that may go into debt: how rates are kept against the clock that never goes back.

use std::time::Duration;

/// So much a second: it fills at a steady rate, and never holds more than flows in during one second.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: f64,
    tokens: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    pub fn per_second(rate: usize, now: Duration) -> Bucket {
        Bucket { rate: rate as f64, tokens: rate as f64, at: now }
    }

    /// Lets in what has flowed since the last time.
    #[inline]
    pub fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.rate);
        self.at = self.at.max(now);
    }

    /// Whether `amount` may be taken. What is more than the bucket ever holds passes when it is full, and leaves a debt:
    /// a record larger than a second's worth must get through at some time.
    #[inline]
    pub fn has(&self, amount: usize) -> bool {
        self.tokens >= (amount as f64).min(self.rate)
    }

    /// Whether there is no debt left: for reads, whose size is known only afterwards.
    #[inline]
    pub fn is_paid(&self) -> bool {
        self.tokens > 0.0
    }

    /// How long until the debt is paid; `None` where there is none.
    #[inline]
    pub fn until_paid(&self) -> Option<Duration> {
        // A little more than just paid, so that whoever waits for it finds it so.
        (!self.is_paid()).then(|| Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }

    /// Whether it holds all that it can hold.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.tokens >= self.rate
    }

    /// Takes, into debt if need be.
    #[inline]
    pub fn take(&mut self, amount: usize) {
        self.tokens -= amount as f64;
    }

    /// Whether `amount` may be taken now; if so, it is.
    #[inline]
    pub fn admit(&mut self, amount: usize, now: Duration) -> bool {
        self.refill(now);
        let may = self.has(amount);
        if may {
            self.take(amount);
        }
        may
    }

    /// Takes one, for what cannot be refused: how much later it is to happen, where it is over the rate.
    #[inline]
    pub fn turn(&mut self, now: Duration) -> Option<Duration> {
        self.refill(now);
        self.take(1);
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_refills_it_and_no_more() {
        let mut bucket = Bucket::per_second(10, Duration::ZERO);
        assert!(bucket.has(10));
        bucket.take(10);
        assert!(!bucket.has(1));
        bucket.refill(Duration::from_millis(500));
        assert!(bucket.has(5) && !bucket.has(6));
        bucket.refill(Duration::from_secs(60));
        assert!(bucket.has(10));
        bucket.take(1);
        assert!(!bucket.has(10));
    }

    #[test]
    fn more_than_it_holds_leaves_a_debt_to_be_paid_back() {
        let mut bucket = Bucket::per_second(10, Duration::ZERO);
        assert!(bucket.has(50));
        bucket.take(50);
        bucket.refill(Duration::from_secs(4));
        assert!(!bucket.is_paid());
        bucket.refill(Duration::from_millis(4100));
        assert!(bucket.is_paid());
    }

    #[test]
    fn what_cannot_be_refused_waits_for_its_turn() {
        let mut bucket = Bucket::per_second(10, Duration::ZERO);
        let waits: Vec<_> = (0..30).map(|_| bucket.turn(Duration::ZERO)).collect();
        let after = |ms| Some(Duration::from_millis(ms));
        assert_eq!((waits[9], waits[10], waits[29]), (None, after(100), after(2000)));
        assert!(!bucket.admit(1, Duration::from_secs(2)), "what was borrowed is paid back first");
        assert!(bucket.admit(5, Duration::from_millis(2500)) && !bucket.admit(1, Duration::from_millis(2500)));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_fills_nothing() {
        let mut bucket = Bucket::per_second(10, Duration::from_secs(5));
        bucket.take(10);
        bucket.refill(Duration::from_secs(1));
        bucket.refill(Duration::from_secs(5));
        assert!(!bucket.has(1));
    }
}
