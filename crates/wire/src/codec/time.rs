//! Time in the forms the protocols write it.

use crate::TimeFormat;
use bytes::BytesMut;
use names::Timestamp;

/// Writes a time as text.
pub(super) fn write(time: Timestamp, format: TimeFormat) -> String {
    match format {
        TimeFormat::Iso8601 if time.millis().rem_euclid(1000) == 0 => time.iso_secs(),
        TimeFormat::Iso8601 => time.iso_millis(),
        TimeFormat::UnixTimestamp => {
            let mut out = BytesMut::new();
            super::fast::epoch_into(time, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        TimeFormat::Rfc822 => rfc822(time),
    }
}

fn rfc822(time: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (y, mo, d, h, mi, s) = time.civil();
    // The epoch was a Thursday.
    let day = DAYS[time.secs().div_euclid(86_400).rem_euclid(7) as usize];
    format!("{day}, {d:02} {} {y:04} {h:02}:{mi:02}:{s:02} GMT", MONTHS[mo as usize - 1])
}

/// Reads a time from text in whichever of the three forms it is: they cannot be mistaken for one another, and AWS's
/// services are as lenient.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(secs) = text.parse::<f64>() {
        return from_secs(secs);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(time.as_microsecond()));
    }
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp(zoned.timestamp().as_microsecond()))
}

/// Seconds since the epoch, where they are a number within the range of microseconds.
pub(super) fn from_secs(secs: f64) -> Option<Timestamp> {
    (secs.is_finite() && secs.abs() < 9e12).then(|| Timestamp::from_secs_f64(secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_there_and_back() {
        let time = Timestamp::from_millis(1_507_060_005_000);
        assert_eq!(write(time, TimeFormat::Rfc822), "Tue, 03 Oct 2017 19:46:45 GMT");
        assert_eq!(write(time, TimeFormat::Iso8601), "2017-10-03T19:46:45Z");
        assert_eq!(write(time, TimeFormat::UnixTimestamp), "1507060005");
        for format in [TimeFormat::Rfc822, TimeFormat::Iso8601, TimeFormat::UnixTimestamp] {
            assert_eq!(read(&write(time, format)), Some(time), "{format:?}");
        }
        assert_eq!(read("2017-10-03T21:46:45.5+02:00"), Some(Timestamp(1_507_060_005_500_000)));
        assert_eq!(write(Timestamp::from_millis(1_507_060_005_500), TimeFormat::Iso8601), "2017-10-03T19:46:45.500Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "NaN", "inf", "1e300", "2017-13-40T00:00:00Z"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
