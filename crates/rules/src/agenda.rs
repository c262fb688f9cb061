//! Which schedules are due, and when to look again. Pure.

use crate::schedule::Schedule;
use names::Timestamp;
use std::time::Duration;

/// A schedule of a rule that does not rest.
pub(crate) struct Scheduled<'a, Rule> {
    pub(crate) rule: Rule,
    pub(crate) schedule: &'a Schedule,
    /// When it was due last, or began to count.
    pub(crate) since: Timestamp,
}

/// A schedule that has come to something.
#[derive(Debug, PartialEq)]
pub(crate) struct Tick<Rule> {
    pub(crate) rule: Rule,
    /// When it was due; `None` where the clock was set back and it only counts anew.
    pub(crate) due: Option<Timestamp>,
    /// From where it counts now.
    pub(crate) since: Timestamp,
}

/// A last tick that lies further ahead than this tells that the clock was set back, and not just corrected.
const CORRECTION: Duration = Duration::from_secs(60);

/// What ticks now, and the time of the first tick after that.
///
/// However many times a schedule was due while the house was down, it ticks once, for the first time it missed, and goes
/// on from now.
pub(crate) fn agenda<'a, Rule>(
    all: impl IntoIterator<Item = Scheduled<'a, Rule>>,
    now: Timestamp,
) -> (Vec<Tick<Rule>>, Option<Timestamp>) {
    let mut ticks = Vec::new();
    let mut first: Option<Timestamp> = None;
    for Scheduled { rule, schedule, mut since } in all {
        if since > now.plus(CORRECTION) {
            since = now;
            ticks.push(Tick { rule, due: None, since });
        } else if let Some(due) = schedule.next_after(since).filter(|due| *due <= now) {
            let missed = schedule.next_after(due).is_some_and(|next| next <= now);
            since = if missed { now } else { due };
            ticks.push(Tick { rule, due: Some(due), since });
        }
        if let Some(next) = schedule.next_after(since) {
            first = Some(first.map_or(next, |first| first.min(next)));
        }
    }
    (ticks, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn one(
        expression: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> (Option<(Option<Timestamp>, Timestamp)>, Option<Timestamp>) {
        let schedule = Schedule::parse(expression).unwrap();
        let (ticks, next) = agenda([Scheduled { rule: (), schedule: &schedule, since }], now);
        (ticks.first().map(|tick| (tick.due, tick.since)), next)
    }

    #[test]
    fn a_rate_counts_from_its_last_tick() {
        assert_eq!(one("rate(5 minutes)", at(10), at(14)), (None, Some(at(15))));
        assert_eq!(one("rate(5 minutes)", at(10), at(15)), (Some((Some(at(15)), at(15))), Some(at(20))));
        // A little late is no drift.
        assert_eq!(one("rate(5 minutes)", at(10), at(16)), (Some((Some(at(15)), at(15))), Some(at(20))));
    }

    #[test]
    fn what_was_missed_is_one_tick() {
        assert_eq!(one("rate(5 minutes)", at(10), at(1000)), (Some((Some(at(15)), at(1000))), Some(at(1005))));
        assert_eq!(one("cron(0 * * * ? *)", at(10), at(1000)), (Some((Some(at(60)), at(1000))), Some(at(1020))));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_a_rate() {
        assert_eq!(one("rate(5 minutes)", at(1000), at(10)), (Some((None, at(10))), Some(at(15))));
        // A correction of the clock repeats nothing.
        assert_eq!(one("cron(0 * * * ? *)", at(60), Timestamp(at(60).micros() - 50_000)), (None, Some(at(120))));
    }

    #[test]
    fn the_first_of_all_is_next() {
        let (slow, fast) = (Schedule::parse("rate(1 hour)").unwrap(), Schedule::parse("rate(1 minute)").unwrap());
        let all = [&slow, &fast].map(|schedule| Scheduled { rule: (), schedule, since: at(0) });
        assert_eq!(agenda(all, at(0)), (vec![], Some(at(1))));
        assert_eq!(agenda::<()>([], at(0)), (vec![], None));
    }
}
