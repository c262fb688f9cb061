//! What comes after a try that was not accepted. Pure.

use crate::limits::MIN_PAUSE;
use crate::{Backoff, Envelope, Verdict};
use names::Timestamp;
use std::time::Duration;

/// Why there is no further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// It was tried as often as its policy allows.
    Attempts,
    /// It is as old as its policy allows.
    Age,
}

impl Exhausted {
    /// EventBridge's name for it.
    pub(crate) fn condition(self) -> &'static str {
        match self {
            Exhausted::Attempts => "MaximumRetryAttempts",
            Exhausted::Age => "MaximumEventAgeInSeconds",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again after a pause.
    Pause(Duration),
    /// Never again.
    Over(Exhausted),
}

/// How often an envelope was handed to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tries that count.
    pub(crate) tries: u32,
    /// Times that the target was too busy to begin.
    pub(crate) busy: u32,
}

impl Count {
    /// One more, which came to this.
    pub(crate) fn after(self, verdict: &Verdict) -> Count {
        match verdict {
            Verdict::Busy { .. } => Count { busy: self.busy.saturating_add(1), ..self },
            _ => Count { tries: self.tries.saturating_add(1), ..self },
        }
    }
}

/// What follows on a try that failed at `now`; it is counted in `count`. `random` decides the jitter.
pub(crate) fn next(envelope: &Envelope, count: Count, failed: &Verdict, now: Timestamp, random: u64) -> Next {
    let policy = &envelope.policy;
    let Count { tries, busy } = count;
    let is_busy = matches!(failed, Verdict::Busy { .. });
    if !is_busy && policy.max_attempts != u32::MAX && tries >= policy.max_attempts {
        return Next::Over(Exhausted::Attempts);
    }
    let start = envelope.not_before.map_or(envelope.created, |at| at.max(envelope.created));
    let deadline = start.plus(policy.max_age);
    if now >= deadline {
        return Next::Over(Exhausted::Age);
    }
    let pause = match failed {
        Verdict::Busy { pace, .. } => pace.pause(busy, random),
        Verdict::Again { after: Some(after), .. } => policy.backoff.pause(tries, random).max(*after),
        _ => policy.backoff.pause(tries, random),
    };
    let pause = pause.max(MIN_PAUSE);
    // The last try is made at the deadline, not skipped because a pause would step over it.
    Next::Pause(pause.min(deadline.since(now)).max(MIN_PAUSE))
}

impl Backoff {
    pub(crate) fn longest(&self, tries: u32) -> Duration {
        let done = tries.saturating_sub(1);
        if let Some(ms) = usize::try_from(done).ok().and_then(|at| self.steps.get(at)) {
            return Duration::from_millis(u64::from(*ms));
        }
        let done = done - u32::try_from(self.steps.len()).unwrap_or(done);
        let growth = self.factor().powi(i32::try_from(done).unwrap_or(i32::MAX));
        // Past any cap the product may be infinite.
        Duration::try_from_secs_f64(self.first.as_secs_f64() * growth).unwrap_or(self.cap).min(self.cap)
    }

    fn pause(&self, tries: u32, random: u64) -> Duration {
        let longest = self.longest(tries);
        if !self.jitter {
            return longest;
        }
        longest.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// The factor as it counts.
    pub(crate) fn factor(&self) -> f64 {
        if self.factor.is_finite() { self.factor.max(1.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetryPolicy;
    use crate::codec::tests::envelope;
    use proptest::prelude::*;

    fn again(after: Option<Duration>) -> Verdict {
        Verdict::Again { code: "C".into(), why: "w".into(), after }
    }

    fn tried(tries: u32) -> Count {
        Count { tries, busy: 0 }
    }

    #[test]
    fn what_did_not_begin_is_no_try_and_has_its_own_pace() {
        let mut e = envelope();
        e.policy = RetryPolicy { max_attempts: 1, max_age: Duration::from_secs(3600), ..e.policy };
        let pace = Backoff {
            first: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(300),
            jitter: false,
            steps: vec![],
        };
        let busy = Verdict::Busy { code: "C".into(), why: "w".into(), pace };
        let mut count = Count::default();
        let pauses: Vec<Next> = (0..10)
            .map(|_| {
                count = count.after(&busy);
                next(&e, count, &busy, e.created, 0)
            })
            .collect();
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map(|s| Next::Pause(Duration::from_secs(s)));
        assert_eq!(pauses, expected);
        let late = e.created.plus(Duration::from_secs(3600));
        assert_eq!(next(&e, count, &busy, late, 0), Next::Over(Exhausted::Age));
        count = count.after(&again(None));
        assert_eq!(next(&e, count, &again(None), e.created, 0), Next::Over(Exhausted::Attempts));
    }

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(60),
            jitter: false,
            steps: vec![],
        };
        let pauses: Vec<u64> = (1..=8).map(|n| backoff.pause(n, 0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.pause(u32::MAX, 0), Duration::from_secs(60));
    }

    #[test]
    fn steps_come_before_the_formula() {
        let (first, cap) = (Duration::from_secs(5), Duration::from_secs(20));
        let backoff = Backoff { first, factor: 2.0, cap, jitter: false, steps: vec![0, 1_500] };
        let pauses: Vec<u128> = (1..=6).map(|n| backoff.pause(n, 0).as_millis()).collect();
        assert_eq!(pauses, [0, 1_500, 5_000, 10_000, 20_000, 20_000]);
    }

    #[test]
    fn the_last_try_is_at_the_deadline() {
        let mut e = envelope();
        e.policy.max_age = Duration::from_secs(10);
        e.policy.backoff =
            Backoff { first: Duration::from_secs(60), factor: 1.0, cap: Duration::MAX, jitter: false, steps: vec![] };
        let at = |secs| e.created.plus(Duration::from_secs(secs));
        assert_eq!(next(&e, tried(1), &again(None), at(4), 0), Next::Pause(Duration::from_secs(6)));
        assert_eq!(next(&e, tried(2), &again(None), at(10), 0), Next::Over(Exhausted::Age));
    }

    #[test]
    fn age_counts_from_not_before() {
        let mut e = envelope();
        e.policy.max_age = Duration::from_secs(10);
        e.not_before = Some(e.created.plus(Duration::from_secs(3600)));
        let now = e.created.plus(Duration::from_secs(3601));
        assert!(matches!(next(&e, tried(1), &again(None), now, 0), Next::Pause(_)));
    }

    #[test]
    fn without_limits_there_is_always_a_next_try() {
        let mut e = envelope();
        e.policy.max_attempts = u32::MAX;
        e.policy.max_age = Duration::MAX;
        let now = e.created.plus(Duration::from_secs(1 << 40));
        assert!(matches!(next(&e, tried(u32::MAX), &again(None), now, 7), Next::Pause(_)));
    }

    proptest! {
        #[test]
        fn pauses_keep_their_bounds(
            first in 0u64..10_000, factor in -1.0f64..10.0, cap in 0u64..600_000, tries in 1u32..400,
            after in 0u64..1000, random: u64, jitter: bool,
        ) {
            let mut e = envelope();
            e.policy.max_attempts = 1000;
            e.policy.max_age = Duration::MAX;
            e.policy.backoff = Backoff {
                first: Duration::from_millis(first), factor, cap: Duration::from_millis(cap), jitter, steps: vec![],
            };
            let after = Duration::from_millis(after);
            let Next::Pause(pause) = next(&e, tried(tries), &again(Some(after)), e.created, random) else {
                return Err(TestCaseError::fail("there are tries left"));
            };
            prop_assert!(pause >= after.max(MIN_PAUSE));
            prop_assert!(pause <= Duration::from_millis(cap).max(after).max(MIN_PAUSE));
        }
    }
}
