use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Timestamp {
        Timestamp(ms.saturating_mul(1000))
    }
    /// From seconds since the epoch, with a fraction, as AWS's JSON carries them.
    pub fn from_secs_f64(secs: f64) -> Timestamp {
        Timestamp((secs * 1e6).round() as i64)
    }
    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// Seconds since the epoch with a fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// This point and some time more.
    pub fn plus(self, by: std::time::Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
    /// How long after `earlier` this is; zero where it is not after.
    pub fn since(self, earlier: Timestamp) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
    /// `2017-10-03T19:46:45Z`: whole seconds in UTC, as CloudTrail and EventBridge write time.
    pub fn iso_secs(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }
    /// `2017-10-03T19:46:45.123Z`: milliseconds in UTC.
    pub fn iso_millis(self) -> String {
        let (y, mo, d, h, mi, s) = self.civil();
        let ms = self.millis().rem_euclid(1000);
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z")
    }
    /// Year, month, day, hour, minute, second in UTC (proleptic Gregorian calendar).
    pub fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let secs = self.secs();
        let days = secs.div_euclid(86_400);
        let rest = secs.rem_euclid(86_400) as u32;
        // Days to civil date, Howard Hinnant's algorithm: <https://howardhinnant.github.io/date_algorithms.html>
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
        let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_forms() {
        assert_eq!(Timestamp::from_millis(0).iso_secs(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_millis(1_507_060_005_123).iso_millis(), "2017-10-03T19:46:45.123Z");
        assert_eq!(Timestamp::from_millis(951_782_399_999).iso_secs(), "2000-02-28T23:59:59Z");
        assert_eq!(Timestamp::from_millis(951_782_400_000).iso_secs(), "2000-02-29T00:00:00Z");
    }
}
