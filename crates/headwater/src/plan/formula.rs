//! The published formulas: shards = max(incoming KB/s / 1000, outgoing KB/s / 2000), at least 1, and no more than 1000
//! records/s each; effective throughput = shards x batch size / time a batch takes with all its tries.

/// A shard takes 1 MB/s and 1000 records/s and gives 2 MB/s.
/// <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>
const IN_KB_PER_S: f64 = 1000.0;
const OUT_KB_PER_S: f64 = 2000.0;
const IN_RECORDS_PER_S: f64 = 1000.0;

/// How many shards carry this traffic.
pub fn shards_needed(incoming_kb_per_s: f64, outgoing_kb_per_s: f64, records_per_s: f64) -> u32 {
    let shards = (incoming_kb_per_s / IN_KB_PER_S)
        .max(outgoing_kb_per_s / OUT_KB_PER_S)
        .max(records_per_s / IN_RECORDS_PER_S)
        .ceil();
    shards.max(1.0) as u32
}

/// Records per second that a function works off: every lane of every shard has one invocation at a time.
pub fn effective_records_per_s(shards: u32, lanes: u32, batch: f64, seconds: f64) -> f64 {
    f64::from(shards) * f64::from(lanes) * batch / seconds
}

/// How many shards let a function keep up.
pub fn shards_to_keep_up(records_per_s: f64, lanes: u32, batch: f64, seconds: f64) -> u32 {
    (records_per_s * seconds / (batch * f64::from(lanes))).ceil().max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_by_the_formula() {
        assert_eq!(shards_needed(500.0, 500.0, 10.0), 1);
        assert_eq!(shards_needed(3500.0, 3500.0, 10.0), 4);
        assert_eq!(shards_needed(1000.0, 6000.0, 10.0), 3);
        assert_eq!(shards_needed(1.0, 1.0, 2500.0), 3);
    }

    #[test]
    fn the_published_examples() {
        // A 10,000-record batch: 2.2 s alone, 6 s with its retries.
        assert_eq!(effective_records_per_s(1, 1, 10_000.0, 2.2) as u32, 4545);
        assert_eq!(effective_records_per_s(1, 1, 10_000.0, 6.0) as u32, 1666);
        // 100,000 records a minute: two shards fall behind, four keep up.
        assert_eq!(effective_records_per_s(2, 1, 1000.0, 1.7) as u32, 1176);
        assert_eq!(effective_records_per_s(4, 1, 1000.0, 1.7) as u32, 2352);
        assert_eq!(shards_to_keep_up(100_000.0 / 60.0, 1, 1000.0, 1.7), 3);
    }
}
