//! When a scheduled rule is due.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>

mod cron;
#[cfg(test)]
mod tests;

use cron::Cron;
use names::Timestamp;
use std::time::Duration;

/// Longest expression AWS takes:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>
const EXPRESSION_CHARS_MAX: usize = 256;

/// A compiled schedule expression. Schedules run in UTC, with a precision of a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rate(Duration),
    Cron(Cron),
}

/// The expression is not a schedule; AWS says no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Parameter ScheduleExpression is not valid.")]
pub struct ScheduleError;

impl Schedule {
    /// Parses `rate(5 minutes)` or `cron(0 10 * * ? *)` as rules take them: `1 minute` but `5 minutes`, and no other way.
    pub fn parse(expression: &str) -> Result<Schedule, ScheduleError> {
        Schedule::parse_where(expression, |value, plural| plural == (value > 1))
    }

    /// The same as the scheduler takes them: a unit in either number with any value. Its pages list both and pair neither with
    /// a value, and AWS's own samples have `rate(5 minute)`.
    /// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
    pub(crate) fn parse_in_either_number(expression: &str) -> Result<Schedule, ScheduleError> {
        Schedule::parse_where(expression, |_, _| true)
    }

    fn parse_where(expression: &str, agrees: fn(u32, bool) -> bool) -> Result<Schedule, ScheduleError> {
        if expression.len() > EXPRESSION_CHARS_MAX {
            return Err(ScheduleError);
        }
        let inside = |name: &str| expression.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return parse_rate(rate, agrees).map(|period| Schedule(Kind::Rate(period))).ok_or(ScheduleError);
        }
        let fields = inside("cron").ok_or(ScheduleError)?;
        Cron::parse(fields).map(|cron| Schedule(Kind::Cron(cron))).ok_or(ScheduleError)
    }

    /// How often it is due, for a rate.
    pub fn period(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Rate(period) => Some(*period),
            Kind::Cron(_) => None,
        }
    }

    /// The first time due strictly after `instant`, which for a rate is when it was due last (or was created).
    /// `None` if it is never due again.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Rate(period) => Some(instant.plus(*period)),
            Kind::Cron(cron) => cron.next_after(instant),
        }
    }
}

/// The period of a rate whose value and unit, plural or not, agree.
fn parse_rate(text: &str, agrees: fn(u32, bool) -> bool) -> Option<Duration> {
    let (value, unit) = text.split_once(' ')?;
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u32 = value.parse().ok().filter(|value| *value > 0)?;
    let unit_secs = match (unit.strip_suffix('s').unwrap_or(unit), unit.ends_with('s')) {
        (_, plural) if !agrees(value, plural) => return None,
        ("minute", _) => 60,
        ("hour", _) => 3600,
        ("day", _) => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(value) * unit_secs))
}
