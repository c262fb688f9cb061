use crate::{Plan, Record, Source, Start};
use names::Timestamp;
use std::time::Duration;

/// Which records of a batch are too old at `now`: for their consumer, or for the stream, which no longer keeps them.
pub fn expiry<'r>(
    source: &dyn Source,
    shard: &str,
    records: &'r [Record],
    plan: &Plan,
    max_age: Option<Duration>,
    now: Timestamp,
) -> impl Fn(usize) -> bool + Send + use<'r> {
    // What was just read was still there.
    let oldest = match plan.is_retry() {
        true => source.start_at(shard, Start::TrimHorizon).unwrap_or(0),
        false => 0,
    };
    move |i| {
        let record = &records[i];
        max_age.is_some_and(|age| now.since(record.at) >= age) || record.position < oldest
    }
}
