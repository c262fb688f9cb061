//! How fast an API destination is invoked. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateApiDestination.html>

use names::Timestamp;
use std::time::Duration;

/// When the next request may go.
#[derive(Debug, Default)]
pub(super) struct Pace(Timestamp);

/// Nobody waits longer: what is in hand at once is no more than a second's worth, and a clock may be set back.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

impl Pace {
    /// Takes the next turn.
    pub(super) fn turn(&mut self, rate: u32, now: Timestamp) -> Timestamp {
        let turn = self.0.max(now).min(now.plus(LONGEST));
        self.0 = turn.plus(Duration::from_secs(1) / rate.max(1));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spaced() {
        let (mut pace, now) = (Pace::default(), Timestamp::from_millis(1_000_000));
        let turns: Vec<i64> = (0..4).map(|_| pace.turn(4, now).millis() - now.millis()).collect();
        assert_eq!(turns, [0, 250, 500, 750]);
        let later = now.plus(Duration::from_secs(10));
        assert_eq!(pace.turn(4, later), later);
        // A clock that was set back stops nobody.
        assert_eq!(pace.turn(1, now), now.plus(LONGEST));
    }
}
