//! How many shards an on-demand stream needs. Pure.
//!
//! It is ready for double the greatest write throughput of the last 30 days, measured in shards: 1 MiB or 1000 records per
//! second each; never for less than it started with, nor for less than its warm throughput. In one step it at most doubles
//! or halves.
//! <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>

use crate::limits::{ON_DEMAND_SHARDS, PEAK_DAYS, WRITE_BYTES_PER_SECOND, WRITE_RECORDS_PER_SECOND};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a stream took per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peak {
    /// Bytes, partition keys included.
    pub(crate) bytes: u64,
    /// Records.
    pub(crate) records: u64,
}

/// What a stream took at most, by day since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peaks(BTreeMap<i64, Peak>);

impl Peak {
    /// What so many shards take at half of their capacity: a stream that took it is given as many.
    pub(crate) fn half_of(shards: usize) -> Peak {
        let half = |rate: usize| (shards * rate / 2) as u64;
        Peak { bytes: half(WRITE_BYTES_PER_SECOND), records: half(WRITE_RECORDS_PER_SECOND) }
    }

    fn max(self, other: Peak) -> Peak {
        Peak { bytes: self.bytes.max(other.bytes), records: self.records.max(other.records) }
    }

    /// The shards that are ready for double of it.
    fn shards(self) -> u64 {
        let shards = |amount: u64, rate: usize| amount.saturating_mul(2).div_ceil(rate as u64);
        shards(self.bytes, WRITE_BYTES_PER_SECOND).max(shards(self.records, WRITE_RECORDS_PER_SECOND))
    }
}

impl Peaks {
    /// Takes a measurement over; what is too old is forgotten.
    pub(crate) fn note(&mut self, day: i64, peak: Peak) {
        let known = self.0.entry(day).or_default();
        *known = known.max(peak);
        self.0.retain(|known, _| day - known < PEAK_DAYS);
    }

    /// Whether a measurement says something new about its day. Small differences are not worth a write to the disk.
    pub(crate) fn is_news(&self, day: i64, peak: Peak) -> bool {
        let known = self.0.get(&day).copied().unwrap_or_default();
        peak.shards() > known.shards()
    }

    fn shards(&self, day: i64) -> u64 {
        let counting = self.0.iter().filter(|(known, _)| day - **known < PEAK_DAYS);
        counting.map(|(_, peak)| peak.shards()).max().unwrap_or(0)
    }
}

/// How many shards a stream with `open` ones is to have next; `None` if it has what it needs.
pub(crate) fn shards(peaks: &Peaks, warm_mibps: Option<u32>, day: i64, open: u32, greatest: u32) -> Option<u32> {
    let warm = u64::from(warm_mibps.unwrap_or(0));
    let needed = peaks.shards(day).max(warm).clamp(u64::from(ON_DEMAND_SHARDS), u64::from(greatest)) as u32;
    if needed > open {
        Some(needed.min(open.saturating_mul(2)))
    } else if needed <= open / 2 {
        Some(needed.max(open.div_ceil(2)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn peaks(of: &[(i64, u64, u64)]) -> Peaks {
        let mut peaks = Peaks::default();
        for (day, bytes, records) in of {
            peaks.note(*day, Peak { bytes: *bytes, records: *records });
        }
        peaks
    }

    #[test]
    fn it_is_ready_for_double_its_peak() {
        for (bytes, records, open, next) in [
            (0, 0, 4, None),
            (2 * MIB, 10, 4, None),
            (3 * MIB, 10, 4, Some(6)),
            (4 * MIB, 10, 4, Some(8)),
            (40 * MIB, 10, 4, Some(8)),
            (0, 3001, 4, Some(7)),
            (0, 4000, 8, None),
            (0, 0, 7, None),
            (0, 0, 8, Some(4)),
            (0, 0, 19, Some(10)),
            (4 * MIB, 0, 100, Some(50)),
            (4000 * MIB, 0, 150, Some(200)),
        ] {
            let peaks = peaks(&[(5, bytes, records)]);
            assert_eq!(shards(&peaks, None, 5, open, 200), next, "{bytes} {records} {open}");
        }
    }

    #[test]
    fn a_peak_counts_for_thirty_days() {
        let peaks = peaks(&[(1, 4 * MIB, 0), (3, MIB, 0)]);
        assert_eq!(shards(&peaks, None, 30, 8, 200), None);
        assert_eq!(shards(&peaks, None, 31, 8, 200), Some(4));
    }

    #[test]
    fn warm_throughput_is_kept_ready() {
        assert_eq!(shards(&Peaks::default(), Some(16), 0, 8, 200), Some(16));
        assert_eq!(shards(&Peaks::default(), Some(16), 0, 16, 200), None);
    }

    #[test]
    fn so_many_shards_are_given_for_half_of_what_they_take() {
        for open in [4, 5, 33, 200] {
            let peak = Peak::half_of(open);
            assert_eq!(peak.shards(), open as u64);
        }
    }
}
