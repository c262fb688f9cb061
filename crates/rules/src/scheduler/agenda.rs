//! Which schedules fire now, and when to look again. Pure.
//!
//! A schedule fires within its window after it was due, at a place in it that only its name and that time decide: so a
//! restart changes nothing. What was missed while the house was down fires once.

use super::expression::Expression;
use super::state::{Schedule, State};
use names::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How late a schedule may be before it counts as missed.
const GRACE: Duration = Duration::from_secs(60);
/// Times that one schedule fires at once, at most: the others follow.
const AT_ONCE: usize = 100;

/// When every schedule fires next.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    revision: u64,
    by_time: BTreeSet<(Timestamp, String)>,
    known: BTreeMap<String, (u64, Option<Timestamp>)>,
}

/// What one schedule comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fired {
    /// The times it was due for which it fires now.
    pub(crate) due: Vec<Timestamp>,
    /// From where it counts now.
    pub(crate) last: Option<Timestamp>,
    /// When it fires next; never again where there is none.
    pub(crate) next: Option<Timestamp>,
}

impl Agenda {
    /// Takes over what changed since it was asked last.
    pub(crate) fn refresh(&mut self, state: &State) {
        if self.revision == state.revision && self.known.len() == state.schedules.len() {
            return;
        }
        self.revision = state.revision;
        let gone: Vec<String> = self.known.keys().filter(|key| !state.schedules.contains_key(*key)).cloned().collect();
        gone.iter().for_each(|key| self.forget(key));
        for (key, schedule) in &state.schedules {
            if self.known.get(key).is_none_or(|(revision, _)| *revision != schedule.revision) {
                let next = fired(key, schedule, Timestamp(i64::MIN)).next;
                self.set(key, schedule.revision, next);
            }
        }
    }

    /// The schedules that fire now.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<String> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }

    /// When the next one fires.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Notes when a schedule fires next.
    pub(crate) fn set(&mut self, key: &str, revision: u64, next: Option<Timestamp>) {
        self.forget(key);
        self.known.insert(key.to_owned(), (revision, next));
        if let Some(next) = next {
            self.by_time.insert((next, key.to_owned()));
        }
    }

    fn forget(&mut self, key: &str) {
        if let Some((_, Some(at))) = self.known.remove(key) {
            self.by_time.remove(&(at, key.to_owned()));
        }
    }
}

/// What a schedule comes to at `now`.
pub(crate) fn fired(key: &str, schedule: &Schedule, now: Timestamp) -> Fired {
    let spec = &schedule.spec;
    let none = Fired { last: schedule.last, ..Fired::default() };
    let Ok(expression) = Expression::parse(&spec.expression, &spec.zone) else { return none };
    if !spec.enabled {
        return none;
    }
    let anchor = spec.start.unwrap_or(schedule.modified);
    let from = anchor.max(schedule.modified);
    let window = Duration::from_secs(u64::from(spec.window.unwrap_or(0)) * 60);
    let mut fired = none;
    loop {
        let due = expression.next(anchor, from, fired.last);
        let counts = |due: &Timestamp| spec.takes_past || !expression.is_once() || due.plus(GRACE) > from;
        let due = due.filter(|due| spec.end.is_none_or(|end| *due <= end)).filter(counts);
        let Some(due) = due else { return fired };
        let fires = due.plus(offset(key, due, window));
        if fires > now || fired.due.len() >= AT_ONCE {
            return Fired { next: Some(fires), ..fired };
        }
        fired.due.push(due);
        fired.last = Some(due);
        let late = due.plus(window + GRACE) < now;
        if late && !expression.is_once() {
            // All that was missed with it is left out.
            let skip = Timestamp(now.micros() - (window + GRACE).as_micros() as i64);
            fired.last = Some(due.max(skip));
        }
    }
}

/// A place in the window that looks random and is always the same.
fn offset(key: &str, due: Timestamp, window: Duration) -> Duration {
    if window.is_zero() {
        return Duration::ZERO;
    }
    let mut hasher = DefaultHasher::new();
    (key, due.micros()).hash(&mut hasher);
    Duration::from_secs(hasher.finish() % window.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::state::{Change, Spec, Target};
    use store::State as _;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn schedule(expression: &str, change: impl FnOnce(&mut Spec)) -> Schedule {
        let arn: names::Arn = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
        let target = Target {
            role: arn.clone(),
            arn,
            input: None,
            dead_letter: None,
            retries: None,
            age_s: None,
            partition_key: None,
            message_group: None,
            event: None,
        };
        let mut spec = Spec {
            expression: expression.into(),
            zone: "UTC".into(),
            start: None,
            end: None,
            description: None,
            enabled: true,
            window: None,
            delete_after: false,
            takes_past: true,
            target,
        };
        change(&mut spec);
        Schedule { spec, created: at(10), modified: at(10), token: None, last: None, revision: 1 }
    }

    fn due(schedule: &Schedule, now: i64) -> (Vec<i64>, Option<i64>) {
        let fired = fired("g/s", schedule, at(now));
        let minutes = |at: Timestamp| at.millis() / MINUTE;
        (fired.due.into_iter().map(minutes).collect(), fired.next.map(minutes))
    }

    #[test]
    fn a_rate_fires_at_its_start_and_then_in_its_beat() {
        let now_on = schedule("rate(5 minutes)", |_| {});
        assert_eq!(due(&now_on, 10), (vec![10], Some(15)));
        assert_eq!(due(&Schedule { last: Some(at(15)), ..now_on }, 19), (vec![], Some(20)));
        let later = schedule("rate(5 minutes)", |spec| spec.start = Some(at(22)));
        assert_eq!(due(&later, 21), (vec![], Some(22)));
        let past = schedule("rate(5 minutes)", |spec| spec.start = Some(at(1)));
        assert_eq!(due(&past, 9), (vec![], Some(11)));
        let ends = schedule("rate(5 minutes)", |spec| spec.end = Some(at(12)));
        assert_eq!(due(&ends, 10), (vec![10], None));
        assert_eq!(due(&schedule("rate(5 minutes)", |spec| spec.enabled = false), 10), (vec![], None));
    }

    #[test]
    fn what_was_missed_fires_once() {
        let rate = Schedule { last: Some(at(15)), ..schedule("rate(5 minutes)", |_| {}) };
        assert_eq!(due(&rate, 1003), (vec![20], Some(1005)));
        let once = schedule("at(1970-01-01T00:30:00)", |_| {});
        assert_eq!(due(&once, 29), (vec![], Some(30)));
        assert_eq!(due(&once, 500), (vec![30], None));
        assert_eq!(due(&Schedule { last: Some(at(30)), ..once }, 501), (vec![], None));
        // One that had gone by when it was set.
        let past = schedule("at(1970-01-01T00:05:00)", |_| {});
        assert_eq!(due(&past, 10), (vec![5], None));
        let by_older_program = schedule("at(1970-01-01T00:05:00)", |spec| spec.takes_past = false);
        assert_eq!(due(&by_older_program, 10), (vec![], None));
        let missed = schedule("at(1970-01-01T00:30:00)", |spec| spec.takes_past = false);
        assert_eq!(due(&missed, 500), (vec![30], None));
    }

    #[test]
    fn a_window_moves_each_time_within_it_and_loses_none() {
        let flexible = schedule("rate(1 minute)", |spec| spec.window = Some(15));
        let (mut schedule, mut all, mut now) = (flexible, Vec::new(), 10 * MINUTE);
        while now < 200 * MINUTE {
            let fired = fired("g/s", &schedule, Timestamp::from_millis(now));
            for due in &fired.due {
                assert!(due.millis() <= now && now <= due.millis() + 15 * MINUTE, "{due:?} at {now}");
            }
            all.extend(fired.due);
            schedule.last = fired.last;
            now = fired.next.unwrap().millis().max(now + 1);
        }
        let wanted: Vec<Timestamp> = (10..10 + all.len() as i64).map(at).collect();
        assert_eq!(all, wanted);
    }

    #[test]
    fn the_agenda_follows_the_state() {
        let (mut agenda, mut state) = (Agenda::default(), State::default());
        let set = |state: &mut State, key: &str, expression: &str| {
            let spec = Box::new(schedule(expression, |_| {}).spec);
            state.apply(&Change::Set { key: key.into(), at: at(10), spec, token: None });
        };
        set(&mut state, "g/a", "rate(5 minutes)");
        set(&mut state, "g/b", "at(1970-01-01T00:12:00)");
        agenda.refresh(&state);
        assert_eq!((agenda.first(), agenda.due(at(11))), (Some(at(10)), vec!["g/a".to_owned()]));
        agenda.set("g/a", 1, Some(at(15)));
        assert_eq!(agenda.due(at(15)), ["g/b", "g/a"]);
        state.apply(&Change::Deleted { key: "g/b".into() });
        agenda.refresh(&state);
        assert_eq!(agenda.first(), Some(at(15)));
        set(&mut state, "g/a", "at(1970-01-01T00:00:00)");
        agenda.refresh(&state);
        assert_eq!(agenda.first(), Some(at(0)), "gone by");
    }
}
