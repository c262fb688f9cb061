//! Values that are more than text: numbers, times, networks.

use names::Timestamp;
use std::net::IpAddr;

/// A finite decimal number.
pub(crate) fn number(text: &str) -> Option<f64> {
    let plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse().ok().filter(|n: &f64| plain && n.is_finite())
}

/// `true` or `false`.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A point in time: ISO 8601 as W3C's profile has it, or seconds since 1970.
/// <https://www.w3.org/TR/NOTE-datetime>
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    if text.len() > 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: i64 = text.parse().ok()?;
        return Some(Timestamp(seconds.checked_mul(1_000_000)?));
    }
    let (date, clock) = text.split_once('T').map_or((text, None), |(date, clock)| (date, Some(clock)));
    let mut fields = date.split('-');
    let year = digits(fields.next()?, 4)?;
    let month = fields.next().map_or(Some(1), |m| digits(m, 2))?;
    let day = fields.next().map_or(Some(1), |d| digits(d, 2))?;
    let sound = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    if fields.next().is_some() || !sound || (clock.is_some() && date.len() != 10) {
        return None;
    }
    let micros = clock.map_or(Some(0), time_of_day)?;
    Some(Timestamp(days(year, month, day) * 86_400_000_000 + micros))
}

/// `hh:mm[:ss[.sss]]` and a zone, in microseconds from midnight UTC.
fn time_of_day(text: &str) -> Option<i64> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at(zone_at);
    let offset_minutes = match zone {
        "Z" => 0,
        _ => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            let size = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if zone.starts_with('-') { -size } else { size }
        }
    };
    let (clock, part) = clock.split_once('.').map_or((clock, None), |(clock, part)| (clock, Some(part)));
    let mut fields = clock.split(':');
    let (hour, minute) = (digits(fields.next()?, 2)?, digits(fields.next()?, 2)?);
    let second = match fields.next() {
        Some(seconds) => digits(seconds, 2)?,
        None if part.is_some() => return None,
        None => 0,
    };
    let part = part.map_or(Some(0), micros)?;
    let sound = hour < 24 && minute < 60 && second < 61 && fields.next().is_none();
    sound.then_some(((hour * 60 + minute - offset_minutes) * 60 + second) * 1_000_000 + part)
}

fn micros(part: &str) -> Option<i64> {
    let sound = !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    let shown: String = part.chars().chain("000000".chars()).take(6).collect();
    sound.then(|| shown.parse().ok())?
}

fn digits(text: &str, len: usize) -> Option<i64> {
    let sound = text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok())?
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01: <https://howardhinnant.github.io/date_algorithms.html>
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok().filter(|n| *n <= most)?,
            Some(_) => return None,
            None => most,
        };
        Some(Network { address, bits })
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, width: u32| {
            let shift = width - self.bits;
            shift >= 128 || (ours ^ theirs) >> shift == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => same(ours.to_bits().into(), theirs.to_bits().into(), 32),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, iso) in [
            ("2017-10-03T19:46:45Z", "2017-10-03T19:46:45.000Z"),
            ("2017-10-03T19:46Z", "2017-10-03T19:46:00.000Z"),
            ("2017-10-03T19:46:45.1239Z", "2017-10-03T19:46:45.123Z"),
            ("2017-10-03T19:46:45+02:30", "2017-10-03T17:16:45.000Z"),
            ("2000-03-01T00:00:00-00:01", "2000-03-01T00:01:00.000Z"),
            ("2000-02-29", "2000-02-29T00:00:00.000Z"),
            ("1969", "1969-01-01T00:00:00.000Z"),
            ("951782400", "2000-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(time(text).map(Timestamp::iso_millis).as_deref(), Some(iso), "{text}");
        }
        for bad in
            ["", "x", "2017-13", "2017-02-29", "2017-01-01T00:00:00", "2017-01T00:00Z", "2017-01-01T25:00Z", "-1"]
        {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_have_addresses() {
        let has = |network: &str, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("203.0.113.7", "203.0.113.7") && !has("203.0.113.7", "203.0.113.8"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1"));
        assert!(has("2001:db8::/32", "2001:db8::1") && has("::/0", "::1") && has("127.0.0.1", "::ffff:127.0.0.1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "1.2.3.4/", "1.2.3.4/+8"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_written_is_read(micros in -62_135_596_800_000_000i64..253_402_300_799_000_000) {
            let at = Timestamp::from_millis(micros / 1000);
            prop_assert_eq!(time(&at.iso_millis()), Some(at));
        }

        #[test]
        fn no_text_panics(text in "[-0-9TZ:.+/a-f]{0,30}") {
            let _ = (time(&text), number(&text), Network::parse(&text));
        }
    }
}
