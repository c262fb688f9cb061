//! The six fields of `cron()`: minutes, hours, day of month, month, day of week, year.

use names::Timestamp;
use std::ops::RangeInclusive;

const YEARS: RangeInclusive<u32> = 1970..=2199;
const MONTH_NAMES: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAY_NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const SATURDAY: u32 = 7;
const SUNDAY: u32 = 1;

/// A compiled `cron()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    years: Set,
}

/// Which days of a month: exactly one of its two fields is `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DayOfMonth {
    On(Set),
    /// `L`
    Last,
    /// `LW`
    LastWeekday,
    /// `nW`: the weekday nearest to the day, in the same month.
    NearestWeekday(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DayOfWeek {
    On(Set),
    /// `nL`: the last such day of the month.
    Last(u32),
    /// `n#k`: the k-th such day of the month.
    Nth {
        day: u32,
        nth: u32,
    },
}

/// Numbers a field accepts, sorted and each once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Set(Vec<u32>);

impl Set {
    fn contains(&self, number: u32) -> bool {
        self.0.binary_search(&number).is_ok()
    }
    fn first_from(&self, number: u32) -> Option<u32> {
        self.0.get(self.0.partition_point(|n| *n < number)).copied()
    }
}

/// One field: its numbers, and the names some of them have.
struct Field {
    range: RangeInclusive<u32>,
    names: &'static [&'static str],
}

impl Field {
    fn set(&self, text: &str) -> Option<Set> {
        let mut numbers = Vec::new();
        for part in text.split(',') {
            self.part(part, &mut numbers)?;
        }
        numbers.sort_unstable();
        numbers.dedup();
        Some(Set(numbers))
    }

    /// `7`, `1-5`, `*`, or one of them with `/step`.
    fn part(&self, text: &str, numbers: &mut Vec<u32>) -> Option<()> {
        let (base, step) = match text.split_once('/') {
            Some((base, step)) => (base, Some(digits(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match base.split_once('-') {
            _ if base == "*" => (*self.range.start(), *self.range.end()),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(base)?;
                (first, if step.is_some() { *self.range.end() } else { first })
            }
        };
        let step = step.unwrap_or(1) as usize;
        if first <= last {
            numbers.extend((first..=last).step_by(step));
        } else {
            // A range may run over the end of its field, as FRI-MON does; time itself does not, so years may not.
            let years = self.range == YEARS;
            let around = (first..=*self.range.end()).chain(*self.range.start()..=last);
            numbers.extend(Some(around).filter(|_| !years)?.step_by(step));
        }
        Some(())
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(at) => *self.range.start() + u32::try_from(at).expect("at most twelve names"),
            None => digits(text)?,
        };
        self.range.contains(&number).then_some(number)
    }
}

/// A number without sign or blank.
fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl Cron {
    pub(super) fn parse(text: &str) -> Option<Cron> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year] = fields[..] else {
            return None;
        };
        let days = match (day_of_month, day_of_week) {
            ("?", "?") => return None,
            (of_month, "?") => Days::OfMonth(days_of_month(of_month)?),
            ("?", of_week) => Days::OfWeek(days_of_week(of_week)?),
            _ => return None,
        };
        Some(Cron {
            minutes: Field { range: 0..=59, names: &[] }.set(minutes)?,
            hours: Field { range: 0..=23, names: &[] }.set(hours)?,
            days,
            months: Field { range: 1..=12, names: &MONTH_NAMES }.set(month)?,
            years: Field { range: YEARS, names: &[] }.set(year)?,
        })
    }

    /// The first minute that matches, strictly after `instant`.
    pub(super) fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let from = instant.plus(std::time::Duration::from_secs(60));
        let (year, month, day, hour, minute, _) = from.civil();
        let year = u32::try_from(year).unwrap_or(0);
        // Whatever follows a later year, month, day or hour starts at its lowest.
        let mut at_year = self.years.first_from(year)?;
        loop {
            let same_year = at_year == year;
            let first_month = if same_year { month } else { 1 };
            for &at_month in self.months.0.iter().filter(|m| **m >= first_month) {
                let same_month = same_year && at_month == month;
                let first_day = if same_month { day } else { 1 };
                for at_day in first_day..=days_in_month(at_year, at_month) {
                    if !self.days.contains(at_year, at_month, at_day) {
                        continue;
                    }
                    let earliest = if same_month && at_day == day { (hour, minute) } else { (0, 0) };
                    if let Some((hour, minute)) = self.time_from(earliest) {
                        let days = days_from_epoch(at_year, at_month, at_day);
                        let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute);
                        return Some(Timestamp::from_millis(minutes * 60_000));
                    }
                }
            }
            at_year = self.years.first_from(at_year + 1)?;
        }
    }

    fn time_from(&self, (hour, minute): (u32, u32)) -> Option<(u32, u32)> {
        if self.hours.contains(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?))
    }
}

fn days_of_month(text: &str) -> Option<Vec<DayOfMonth>> {
    let field = Field { range: 1..=31, names: &[] };
    let part = |part: &str| match part {
        "L" => Some(DayOfMonth::Last),
        "LW" => Some(DayOfMonth::LastWeekday),
        _ => match part.strip_suffix('W') {
            Some(day) => field.number(day).map(DayOfMonth::NearestWeekday),
            None => field.set(part).map(DayOfMonth::On),
        },
    };
    text.split(',').map(part).collect()
}

fn days_of_week(text: &str) -> Option<Vec<DayOfWeek>> {
    let field = Field { range: SUNDAY..=SATURDAY, names: &DAY_NAMES };
    if let Some((day, nth)) = text.split_once('#') {
        // With '#' there is one expression in the field: AWS refuses "3#1,6#3".
        let nth = digits(nth).filter(|nth| (1..=5).contains(nth))?;
        return Some(vec![DayOfWeek::Nth { day: field.number(day)?, nth }]);
    }
    let part = |part: &str| match part.strip_suffix('L') {
        // The last day of the week.
        Some("") => Some(DayOfWeek::On(Set(vec![SATURDAY]))),
        Some(day) => field.number(day).map(DayOfWeek::Last),
        None => field.set(part).map(DayOfWeek::On),
    };
    text.split(',').map(part).collect()
}

impl Days {
    fn contains(&self, year: u32, month: u32, day: u32) -> bool {
        let length = days_in_month(year, month);
        match self {
            Days::OfMonth(rules) => rules.iter().any(|rule| match rule {
                DayOfMonth::On(days) => days.contains(day),
                DayOfMonth::Last => day == length,
                DayOfMonth::LastWeekday => day == nearest_weekday(year, month, length),
                DayOfMonth::NearestWeekday(near) => *near <= length && day == nearest_weekday(year, month, *near),
            }),
            Days::OfWeek(rules) => {
                let weekday = weekday(year, month, day);
                rules.iter().any(|rule| match rule {
                    DayOfWeek::On(days) => days.contains(weekday),
                    DayOfWeek::Last(last) => weekday == *last && day + 7 > length,
                    DayOfWeek::Nth { day: wanted, nth } => weekday == *wanted && day.div_ceil(7) == *nth,
                })
            }
        }
    }
}

fn nearest_weekday(year: u32, month: u32, day: u32) -> u32 {
    match weekday(year, month, day) {
        SATURDAY if day == 1 => 3,
        SATURDAY => day - 1,
        SUNDAY if day == days_in_month(year, month) => day - 2,
        SUNDAY => day + 1,
        _ => day,
    }
}

/// 1 is Sunday, 7 is Saturday.
fn weekday(year: u32, month: u32, day: u32) -> u32 {
    // The epoch was a Thursday, which is day 5.
    u32::try_from((days_from_epoch(year, month, day) + 4).rem_euclid(7)).expect("less than seven") + 1
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's days_from_civil: <https://howardhinnant.github.io/date_algorithms.html>
fn days_from_epoch(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
