//! What many shards cost, and what a hundred million records do.

use crate::http::{Client, load, record, with_stream};
use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes};
use http::Request;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Batch, Durability, LogId, Store, StoreOptions, Submitted, Timestamp};

const BATCH: usize = 500;
const LIMITS_OFF: [&str; 2] = ["--limits", "off"];

/// PutRecords of 500 records of 1 KiB, each with a key of its own, over 16 connections.
fn put_records(host: &str, number: usize) -> Request<Bytes> {
    let record = |i: usize| json!({"Data": record(number * BATCH + i), "PartitionKey": format!("{number}-{i}")});
    let records: Vec<Value> = (0..BATCH).map(record).collect();
    let body = json!({"StreamName": "bench", "Records": records}).to_string();
    sign::json(host, "kinesis", "1.1", "Kinesis_20131202.PutRecords", Bytes::from(body))
}

/// Writing to streams of 1 to 10,000 shards. A stream of one shard is measured beside each, so that the ratio holds on a
/// machine that is busy with other things, too.
pub async fn shards(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = Vec::new();
    let mut idle_of_one = 0;
    for shards in [1, 10, 100, 1000, 10_000] {
        let (one, _, _) = measure(binary, dir, 1, time).await?;
        let (many, idle, restart) = measure(binary, dir, shards, time).await?;
        if shards == 1 {
            idle_of_one = idle;
        }
        let per_shard = (idle.saturating_sub(idle_of_one)) * 1024 / u64::from(shards.max(2) - 1);
        rows.push(vec![
            shards.to_string(),
            format!("{:.0}", many.0),
            format!("{:.2}", many.0 / one.0),
            format!("{:.2} us", many.1),
            format!("{:.2}", many.1 / one.1),
            format!("{per_shard} bytes"),
            stats::ms(restart),
        ]);
    }
    let head =
        ["shards", "records/s", "of one shard's", "processor time a record", "of one shard's", "idle shard", "restart"];
    stats::table("PutRecords 500 x 1 KiB, 16 connections, by shards (goals: 0.80; 4096 bytes; 2 s)", &head, rows);
    Ok(())
}

/// Records a second and the server's processor time for each in microseconds; its memory in KiB before the first record;
/// how long it takes to be ready again after it was killed.
async fn measure(binary: &Path, dir: &Path, shards: u32, time: Duration) -> Result<((f64, f64), u64, Duration)> {
    let (server, client, host) = with_stream(binary, dir, shards).await?;
    drop(client);
    let idle = server.resident_kib()?;
    let bodies = (0..64).map(|n| put_records(&host, n)).collect();
    let (before, start) = (server.processor_time()?, Instant::now());
    let put = load(server.address, 16, bodies, time).await?;
    let spent = server.processor_time()?.saturating_sub(before);
    let records = put.requests_per_s * start.elapsed().as_secs_f64() * BATCH as f64;
    let per_record = spent.as_secs_f64() * 1e6 / records;
    let again = Server::on(binary, server.kill()?, &LIMITS_OFF).await?;
    Ok(((put.requests_per_s * BATCH as f64, per_record), idle, again.ready_after))
}

const SHARDS: u32 = 4;
const PAYLOAD: usize = 100;
/// Records of one append.
const APPEND: u64 = 5000;
/// Appends that are on their way at a time.
const IN_FLIGHT: usize = 8;

/// Stores many small records, by the store itself and not over HTTP, and then looks at the server that has them.
pub async fn size(binary: &Path, dir: &Path, records: u64) -> Result<()> {
    let (server, client, _) = with_stream(binary, dir, SHARDS).await?;
    drop(client);
    let home = server.kill()?;
    let start = Instant::now();
    let marks = fill(&home.path().join("data"), records).await?;
    println!("{records} records stored in {:.1} s", start.elapsed().as_secs_f64());
    let server = Server::on(binary, home, &LIMITS_OFF).await?;
    let first_start = server.ready_after;
    let server = Server::on(binary, server.kill()?, &LIMITS_OFF).await?;
    let (restart, idle) = (server.ready_after, server.resident_kib()?);
    let host = server.address.to_string();
    let mut client = Client::connect(server.address).await?;
    let mut times = Vec::new();
    for mark in &marks {
        times.push(look_up(&mut client, &host, mark).await?);
    }
    times.sort();
    let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
    let rows = vec![
        vec!["start to ready".into(), stats::ms(first_start), "2 s".into()],
        vec!["again, after a kill".into(), stats::ms(restart), "2 s".into()],
        vec!["resident memory, idle".into(), mib(idle), "200 MiB".into()],
        vec![format!("resident memory after {} look-ups", marks.len()), mib(server.resident_kib()?), "200 MiB".into()],
        vec!["AT_TIMESTAMP, median".into(), stats::ms(stats::percentile(&times, 0.5)), String::new()],
        vec!["AT_TIMESTAMP, slowest".into(), stats::ms(stats::percentile(&times, 1.0)), String::new()],
    ];
    stats::table(&format!("{records} records of {PAYLOAD} bytes in {SHARDS} shards"), &["", "measured", "goal"], rows);
    Ok(())
}

/// The first record of an append: what a look-up of its time must find.
struct Mark {
    shard: u32,
    at: Timestamp,
    number: u64,
}

/// Appends in the form of `docs/formats/streams.md`.
async fn fill(data: &Path, records: u64) -> Result<Vec<Mark>> {
    let options = StoreOptions { durability: Durability::Os, ..StoreOptions::default() };
    let store = Store::open(&world::World::real(), data, options).await?;
    let logs: Vec<LogId> = (0..SHARDS)
        .map(|n| store.find_log(&format!("streams/bench/shardId-{n:012}")).context("the stream's logs"))
        .collect::<Result<_>>()?;
    let mut marks = Vec::new();
    let mut flying: VecDeque<(u32, u64, Submitted)> = VecDeque::new();
    let appends = records.div_ceil(APPEND);
    let every = (appends / 200).max(1);
    for append in 0..appends {
        let shard = (append % u64::from(SHARDS)) as u32;
        let mut batch = Batch::with_capacity(logs[shard as usize], APPEND as usize * (PAYLOAD + 32));
        for number in append * APPEND..(append + 1) * APPEND {
            batch.push_with(PAYLOAD + 16, |out| {
                let key = format!("{number:08}");
                out.put_u8(0);
                out.put_u16_le(key.len() as u16);
                out.put_slice(key.as_bytes());
                out.put_u64_le(number);
                out.put_bytes(append as u8, PAYLOAD - 8);
            });
        }
        flying.push_back((shard, append, store.submit(vec![batch]).await?));
        if flying.len() >= IN_FLIGHT || append + 1 == appends {
            land(&mut flying, &mut marks, every).await?;
        }
    }
    while !flying.is_empty() {
        land(&mut flying, &mut marks, every).await?;
    }
    store.close().await;
    // Appends of one group have one time: only the first of a time is what a look-up finds.
    let mut first = std::collections::HashSet::new();
    marks.retain(|mark: &(bool, Mark)| first.insert((mark.1.shard, mark.1.at)));
    Ok(marks.into_iter().filter(|(wanted, _)| *wanted).map(|(_, mark)| mark).collect())
}

async fn land(flying: &mut VecDeque<(u32, u64, Submitted)>, marks: &mut Vec<(bool, Mark)>, every: u64) -> Result<()> {
    if let Some((shard, append, submitted)) = flying.pop_front() {
        let at = submitted.durable().await?[0].at;
        marks.push((append % every == 0, Mark { shard, at, number: append * APPEND }));
    }
    Ok(())
}

/// Asks for an iterator by time, checks that it is exact, and gives how long it took to get it.
async fn look_up(client: &mut Client, host: &str, mark: &Mark) -> Result<Duration> {
    // The wire has milliseconds: the record must be the first at or after this one.
    let asked = mark.at.0.div_euclid(1000) as f64 / 1000.0;
    let body = json!({"StreamName": "bench", "ShardId": format!("shardId-{:012}", mark.shard),
                      "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": asked});
    let start = Instant::now();
    let answer = client.ask(host, "kinesis", "1.1", "Kinesis_20131202.GetShardIterator", body).await?;
    let took = start.elapsed();
    let body = json!({"ShardIterator": answer["ShardIterator"], "Limit": 10_000});
    let answer = client.ask(host, "kinesis", "1.1", "Kinesis_20131202.GetRecords", body).await?;
    let records = answer["Records"].as_array().context("records")?;
    let number = |record: &Value| -> Result<u64> {
        let data = STANDARD.decode(record["Data"].as_str().context("data")?)?;
        Ok(u64::from_le_bytes(data[..8].try_into()?))
    };
    let first = number(records.first().context("a record")?)?;
    let at = records[0]["ApproximateArrivalTimestamp"].as_f64().context("a time")?;
    ensure!(first <= mark.number && at >= asked - 0.000_5, "AT_TIMESTAMP is not exact: {first} for {}", mark.number);
    let found = records.iter().map(number).collect::<Result<Vec<_>>>()?;
    let same_milli = found.contains(&mark.number);
    ensure!(same_milli, "AT_TIMESTAMP began at {first}, more than a page before {}", mark.number);
    Ok(took)
}
