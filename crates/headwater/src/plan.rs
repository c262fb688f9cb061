//! `headwater plan`: how many shards a pipeline needs, and whether its functions keep up.
//!
//! The formulas: shards = max(incoming KB/s / 1000, outgoing KB/s / 2000), at least 1, and no more than 1000 records/s
//! each; effective throughput = shards x batch size / (function duration x tries).

use crate::cli::PlanArgs;
use anyhow::{Result, ensure};

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

/// Records per second that a function works off: every shard has one invocation at a time.
pub fn effective_records_per_s(shards: u32, batch_size: u32, duration_s: f64, tries: f64) -> f64 {
    f64::from(shards) * f64::from(batch_size) / (duration_s * tries)
}

pub fn run(args: &PlanArgs) -> Result<()> {
    ensure!(args.records > 0.0 && args.record_kb > 0.0, "--records and --record-kb must be above zero");
    ensure!(args.tries >= 1.0, "--tries counts the first try too: it is at least 1");
    let incoming = args.records * args.record_kb;
    let outgoing = incoming * f64::from(args.consumers.max(1));
    let need = shards_needed(incoming, outgoing, args.records);
    println!("in   {:.0} records/s x {} KB = {incoming:.0} KB/s", args.records, args.record_kb);
    println!("out  {incoming:.0} KB/s x {} consumers = {outgoing:.0} KB/s", args.consumers.max(1));
    println!(
        "shards needed: max({incoming:.0} / 1000, {outgoing:.0} / 2000, {:.0} / 1000), rounded up = {need}",
        args.records
    );
    if let (Some(batch), Some(duration)) = (args.batch_size, args.duration) {
        ensure!(batch > 0 && duration > 0.0, "--batch-size and --duration must be above zero");
        keeps_up(args, batch, duration, args.shards.unwrap_or(need));
    }
    Ok(())
}

fn keeps_up(args: &PlanArgs, batch: u32, duration: f64, shards: u32) {
    let ideal = effective_records_per_s(shards, batch, duration, 1.0);
    let actual = effective_records_per_s(shards, batch, duration, args.tries);
    println!("functions: {shards} shards x {batch} records / {duration} s = {ideal:.0} records/s");
    if args.tries > 1.0 {
        println!("with {} tries a batch: {actual:.0} records/s, {:.2} x less", args.tries, ideal / actual);
    }
    println!("per minute: {:.0} written, {:.0} worked off", args.records * 60.0, actual * 60.0);
    if actual >= args.records {
        println!("it keeps up, with {:.0} % to spare", (actual / args.records - 1.0) * 100.0);
    } else {
        let cure = (args.records * duration * args.tries / f64::from(batch)).ceil();
        println!("it falls behind by {:.0} records/s; {cure:.0} shards would keep up", args.records - actual);
    }
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
        assert_eq!(effective_records_per_s(1, 10_000, 2.2, 1.0) as u32, 4545);
        assert_eq!(effective_records_per_s(1, 10_000, 6.0, 1.0) as u32, 1666);
        // 100,000 records a minute: two shards fall behind, four keep up.
        assert_eq!(effective_records_per_s(2, 1000, 1.7, 1.0) as u32, 1176);
        assert_eq!(effective_records_per_s(4, 1000, 1.7, 1.0) as u32, 2352);
    }
}
