//! `headwater plan --stream`: the figures of a stream as it runs, what they mean, and with `--apply` the cure.

use super::reading::{Consumer, Reading, Verdict};
use crate::cli::PlanArgs;
use crate::client::Client;
use crate::out::say;
use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::Duration;
use world::World;

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream may take to reshard.
const RESHARD: Duration = Duration::from_secs(60);

pub async fn run(args: &PlanArgs, stream: &str) -> Result<()> {
    let (world, client) = (World::real(), Client::new(&args.client)?);
    let before = client.get("status", PATIENCE).await?;
    let known: Vec<&str> =
        before["streams"].as_array().into_iter().flatten().filter_map(|s| s["name"].as_str()).collect();
    ensure!(known.contains(&stream), "there is no stream {stream}; there are: {}", listed(&known));
    let begun = world.clock.monotonic();
    watch(&world, args.over, stream).await;
    let seconds = world.clock.monotonic().saturating_sub(begun).as_secs_f64();
    let after = client.get("status", PATIENCE).await?;
    let Some(reading) = Reading::between(&before, &after, stream, seconds) else {
        bail!("the stream {stream} was deleted meanwhile");
    };
    tell(stream, &reading);
    let cure = reading.cure();
    if cure <= reading.shards {
        return Ok(());
    }
    if !args.apply {
        say!("\n`headwater plan --stream {stream} --apply` reshards it");
        return Ok(());
    }
    reshard(&world, &client, stream, reading.shards, cure).await
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

async fn watch(world: &World, seconds: u64, stream: &str) {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} s").expect("the template is constant");
    let bar = ProgressBar::new(seconds).with_style(style).with_message(format!("watching {stream}"));
    for _ in 0..seconds {
        world.clock.sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
    bar.finish_and_clear();
}

fn tell(stream: &str, reading: &Reading) {
    let Reading { seconds, shards, records_per_s, in_kb_per_s, .. } = reading;
    let out = reading.out_kb_per_s();
    say!("{stream}: {shards} shards, watched for {seconds:.0} s");
    say!("in   {records_per_s:.0} records/s, {in_kb_per_s:.0} KB/s");
    say!("out  {out:.0} KB/s from the throughput that consumers share");
    let need = reading.carry();
    say!(
        "shards needed to carry it: max({in_kb_per_s:.0} / 1000, {out:.0} / 2000, {records_per_s:.0} / 1000), rounded up = {need}"
    );
    if reading.consumers.is_empty() {
        say!("no function reads it through an event source mapping");
    }
    for consumer in &reading.consumers {
        tell_consumer(reading, consumer);
    }
    let cure = reading.cure();
    if cure > reading.shards {
        say!("\nthe cure: {cure} shards instead of {shards}");
    } else {
        say!("\nits {shards} shards are enough");
    }
}

fn tell_consumer(reading: &Reading, consumer: &Consumer) {
    say!("\n{} ({}, last result: {})", consumer.function, consumer.state, consumer.result);
    let verdict = reading.verdict(consumer);
    let incoming = reading.records_per_s;
    if let Verdict::KeepsUp(works) | Verdict::FallsBehind(works, _) = verdict {
        let lanes = if consumer.lanes > 1 { format!(" x {} lanes", consumer.lanes) } else { String::new() };
        say!(
            "  {} shards{lanes} x {:.0} records a batch / {:.3} s a batch = {works:.0} records/s at most",
            reading.shards,
            consumer.batch(),
            consumer.seconds(),
        );
        let tries = consumer.tries / consumer.batches;
        if tries > 1.005 && consumer.last_s > 0.0 {
            let (last, all) = (consumer.last_s / consumer.batches, consumer.seconds());
            say!(
                "  {tries:.2} tries a batch: the last one took {last:.3} s, all {all:.3} s with the pauses between them, \
                 {:.2} x",
                all / last
            );
        }
        say!(
            "  per minute: {:.0} written, {:.0} worked off; the last record was {} ms old when it was through",
            incoming * 60.0,
            consumer.records / reading.seconds * 60.0,
            consumer.lag_ms
        );
    }
    match verdict {
        Verdict::Off => say!("  it does not read"),
        Verdict::Idle => say!("  nothing came, so nothing can be said"),
        Verdict::Stuck => say!(
            "  STUCK: records came and it got through with none. A batch that fails is tried again until it succeeds or its \
             records expire: `headwater tail /aws/lambda/{}` shows why. More shards do not help.",
            consumer.function
        ),
        Verdict::KeepsUp(works) if incoming > 0.0 => {
            say!("  it keeps up, with {:.0} % to spare", (works / incoming - 1.0) * 100.0);
            if consumer.batch() < f64::from(consumer.batch_size) * 0.9 {
                say!("  its batches are not full ({} records): fuller ones would carry more", consumer.batch_size);
            }
        }
        Verdict::KeepsUp(_) => say!("  it works off what was left"),
        Verdict::FallsBehind(works, shards) => {
            say!(
                "  FALLING BEHIND by {:.0} records/s. {incoming:.0} records/s x {:.3} s / ({:.0} records x {} lanes), \
                 rounded up = {shards} shards would keep up",
                incoming - works,
                consumer.seconds(),
                consumer.batch(),
                consumer.lanes
            );
            let lanes = (f64::from(consumer.lanes) * f64::from(shards) / f64::from(reading.shards)).ceil();
            if lanes <= 10.0 {
                say!("  so would {} shards with a ParallelizationFactor of {lanes:.0}", reading.shards);
            }
        }
    }
}

/// UpdateShardCount at most doubles, so a large step takes several.
async fn reshard(world: &World, client: &Client, stream: &str, from: u32, to: u32) -> Result<()> {
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is constant");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut shards = from;
    while shards < to {
        shards = (shards * 2).min(to);
        bar.set_message(format!("resharding {stream} to {shards} shards"));
        let ask = json!({"StreamName": stream, "TargetShardCount": shards, "ScalingType": "UNIFORM_SCALING"});
        client.kinesis("UpdateShardCount", &ask).await.with_context(|| format!("{stream} cannot be resharded"))?;
        settle(world, client, stream).await?;
    }
    bar.finish_and_clear();
    say!("{stream} has {to} shards now");
    Ok(())
}

async fn settle(world: &World, client: &Client, stream: &str) -> Result<()> {
    let end = world.clock.monotonic() + RESHARD;
    loop {
        let summary: Value = client.kinesis("DescribeStreamSummary", &json!({"StreamName": stream})).await?;
        if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return Ok(());
        }
        ensure!(world.clock.monotonic() < end, "{stream} is not ACTIVE after {} s", RESHARD.as_secs());
        world.clock.sleep(Duration::from_millis(200)).await;
    }
}
