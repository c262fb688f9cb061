//! `headwater plan`: how many shards a pipeline needs, and whether its functions keep up. From figures that are given, or
//! with `--stream` from those of a stream as it runs.

mod formula;
mod live;
mod reading;

use crate::cli::PlanArgs;
use anyhow::{Result, bail, ensure};
use formula::{effective_records_per_s, shards_needed, shards_to_keep_up};

pub async fn run(args: &PlanArgs) -> Result<()> {
    match &args.stream {
        Some(stream) => live::run(args, stream).await,
        None => calculate(args),
    }
}

fn calculate(args: &PlanArgs) -> Result<()> {
    ensure!(args.record_kb > 0.0, "--record-kb must be above zero");
    ensure!(args.tries >= 1.0, "--tries counts the first try too: it is at least 1");
    let (records, incoming) = match (args.records, args.incoming) {
        (Some(records), None) => (records, records * args.record_kb),
        (None, Some(incoming)) => (incoming / args.record_kb, incoming),
        (Some(records), Some(incoming)) => (records, incoming),
        (None, None) => bail!(
            "say what comes in: --records N (a second) or --incoming KB (a second), or --stream NAME to read it from a stream"
        ),
    };
    ensure!(records > 0.0 && incoming > 0.0, "what comes in must be above zero");
    let outgoing = args.outgoing.unwrap_or(incoming * f64::from(args.consumers.max(1)));
    let need = shards_needed(incoming, outgoing, records);
    println!("in   {records:.0} records/s, {incoming:.0} KB/s");
    match args.outgoing {
        Some(_) => println!("out  {outgoing:.0} KB/s"),
        None => println!("out  {incoming:.0} KB/s x {} consumers = {outgoing:.0} KB/s", args.consumers.max(1)),
    }
    println!(
        "shards needed: max({incoming:.0} / 1000, {outgoing:.0} / 2000, {records:.0} / 1000), rounded up = {need}"
    );
    if let Some(duration) = args.duration {
        ensure!(duration > 0.0, "--duration must be above zero");
        let shards = args.shards.unwrap_or(need);
        let most = f64::from(shards) * 2000.0 / duration;
        println!("theoretical: {shards} shards x 2000 KB / {duration} s = {most:.0} KB/s");
        if let Some(batch) = args.batch_size {
            ensure!(batch > 0, "--batch-size must be above zero");
            keeps_up(args, records, f64::from(batch), duration, shards);
        }
    }
    Ok(())
}

fn keeps_up(args: &PlanArgs, records: f64, batch: f64, duration: f64, shards: u32) {
    let ideal = effective_records_per_s(shards, args.lanes, batch, duration);
    let actual = effective_records_per_s(shards, args.lanes, batch, duration * args.tries);
    let lanes = if args.lanes > 1 { format!(" x {} lanes", args.lanes) } else { String::new() };
    println!("functions: {shards} shards{lanes} x {batch} records / {duration} s = {ideal:.0} records/s");
    if args.tries > 1.0 {
        println!("with {} tries a batch: {actual:.0} records/s, {:.2} x less", args.tries, ideal / actual);
    }
    println!("per minute: {:.0} written, {:.0} worked off", records * 60.0, actual * 60.0);
    if actual >= records {
        println!("it keeps up, with {:.0} % to spare", (actual / records - 1.0) * 100.0);
    } else {
        let cure = shards_to_keep_up(records, args.lanes, batch, duration * args.tries);
        println!("it falls behind by {:.0} records/s; {cure} shards would keep up", records - actual);
    }
}
