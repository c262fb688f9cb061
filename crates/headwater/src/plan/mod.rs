//! `headwater plan`: how many shards a pipeline needs, and whether its functions keep up. From figures that are given, or
//! with `--stream` from those of a stream as it runs.

mod formula;
mod live;
mod reading;

use crate::cli::PlanArgs;
use crate::out::say;
use anyhow::{Result, bail};
use formula::{effective_records_per_s, shards_needed, shards_to_keep_up};

pub async fn run(args: &PlanArgs) -> Result<()> {
    match &args.stream {
        Some(stream) => live::run(args, stream).await,
        None => calculate(args),
    }
}

fn calculate(args: &PlanArgs) -> Result<()> {
    let (records, incoming) = match (args.records, args.incoming) {
        (Some(records), None) => (records, records * args.record_kb),
        (None, Some(incoming)) => (incoming / args.record_kb, incoming),
        (Some(records), Some(incoming)) => (records, incoming),
        (None, None) => bail!(
            "say what comes in: --records N (a second) or --incoming KB (a second), or --stream NAME to read it from a stream"
        ),
    };
    let outgoing = args.outgoing.unwrap_or(incoming * f64::from(args.consumers));
    let need = shards_needed(incoming, outgoing, records);
    say!("in   {records:.0} records/s, {incoming:.0} KB/s");
    match args.outgoing {
        Some(_) => say!("out  {outgoing:.0} KB/s"),
        None => say!("out  {incoming:.0} KB/s x {} consumers = {outgoing:.0} KB/s", args.consumers),
    }
    say!("shards needed: max({incoming:.0} / 1000, {outgoing:.0} / 2000, {records:.0} / 1000), rounded up = {need}");
    if let Some(duration) = args.duration {
        let shards = args.shards.unwrap_or(need);
        let most = f64::from(shards) * 2000.0 / duration;
        say!("theoretical: {shards} shards x 2000 KB / {duration} s = {most:.0} KB/s");
        if let Some(batch) = args.batch_size {
            keeps_up(args, records, f64::from(batch), duration, shards);
        }
    }
    Ok(())
}

fn keeps_up(args: &PlanArgs, records: f64, batch: f64, duration: f64, shards: u32) {
    let ideal = effective_records_per_s(shards, args.lanes, batch, duration);
    let actual = effective_records_per_s(shards, args.lanes, batch, duration * args.tries);
    let lanes = if args.lanes > 1 { format!(" x {} lanes", args.lanes) } else { String::new() };
    say!("functions: {shards} shards{lanes} x {batch} records / {duration} s = {ideal:.0} records/s");
    if args.tries > 1.0 {
        say!("with {} tries a batch: {actual:.0} records/s, {:.2} x less", args.tries, ideal / actual);
    }
    say!("per minute: {:.0} written, {:.0} worked off", records * 60.0, actual * 60.0);
    if actual >= records {
        say!("it keeps up, with {:.0} % to spare", (actual / records - 1.0) * 100.0);
    } else {
        let cure = shards_to_keep_up(records, args.lanes, batch, duration * args.tries);
        say!("it falls behind by {:.0} records/s; {cure} shards would keep up", records - actual);
    }
}
