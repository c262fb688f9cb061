//! Events over HTTP to a stream: how many a second are accepted and arrive, and how soon one can be read.

use crate::http::{Client, load};
use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const BATCH: usize = 10;
const RULES: usize = 100;
const CONNECTIONS: usize = 16;
const SHARDS: u32 = 16;
/// Events a second while latencies are measured.
const CALM: u32 = 1_000;

/// A call of ten events, each for one of the rules.
fn put_events(host: &str, number: usize) -> Request<Bytes> {
    let detail = json!({"order": number, "note": "x".repeat(200)}).to_string();
    let entries: Vec<Value> = (0..BATCH)
        .map(|i| {
            let source = format!("source-{}", (number * BATCH + i) % RULES);
            json!({"Source": source, "DetailType": "placed", "Detail": detail})
        })
        .collect();
    let body = json!({"Entries": entries}).to_string();
    sign::json(host, "events", "1.1", "AWSEvents.PutEvents", Bytes::from(body))
}

async fn set_up(binary: &Path, dir: &Path, shards: u32) -> Result<(Server, Client, String)> {
    let server = Server::headwater(binary, dir, &["--limits", "off"]).await?;
    let host = server.address.to_string();
    let mut client = Client::connect(server.address).await?;
    let body = json!({"StreamName": "events", "ShardCount": shards});
    client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.CreateStream", body).await?;
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/events";
    for number in 0..RULES {
        let (name, pattern) = (format!("r{number}"), json!({"source": [format!("source-{number}")]}).to_string());
        let rule = json!({"Name": name, "EventPattern": pattern});
        client.ask(&host, "events", "1.1", "AWSEvents.PutRule", rule).await?;
        let targets = json!({"Rule": name, "Targets": [{"Id": "1", "Arn": arn}]});
        let answer = client.ask(&host, "events", "1.1", "AWSEvents.PutTargets", targets).await?;
        ensure!(answer["FailedEntryCount"] == 0, "{answer}");
    }
    Ok((server, client, host))
}

/// Waits until nothing is on its way to the stream; how long that took.
async fn drained(client: &mut Client, host: &str) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let request = Request::builder().uri("/_headwater/status").header("host", host).body(Bytes::new())?;
        let (_, answer) = client.send(&request).await?;
        let status: Value = serde_json::from_slice(&answer)?;
        let left = status["lanes"].as_array().context("lanes")?.iter();
        let left: u64 =
            left.map(|lane| lane["waiting"].as_u64().unwrap_or(0) + lane["in_flight"].as_u64().unwrap_or(0)).sum();
        if left == 0 {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn throughput(binary: &Path, dir: &Path, time: Duration) -> Result<Vec<Vec<String>>> {
    let (server, mut client, host) = set_up(binary, dir, SHARDS).await?;
    let requests = (0..64).map(|number| put_events(&host, number)).collect();
    let before = server.processor_time()?;
    let load = load(server.address, CONNECTIONS, requests, time).await?;
    let rest = drained(&mut client, &host).await?;
    let events = load.latencies.len() * BATCH;
    let accepted = load.requests_per_s * BATCH as f64;
    let through = events as f64 / (events as f64 / accepted + rest.as_secs_f64());
    let spent = (server.processor_time()? - before).as_secs_f64() * 1e6 / events as f64;
    Ok(vec![
        vec!["PutEvents, accepted and durable".into(), format!("{accepted:.0} events/s"), "60,000 events/s".into()],
        vec!["... until all of them were in the stream".into(), format!("{through:.0} events/s"), String::new()],
        vec!["... answered within (p99)".into(), stats::ms(stats::percentile(&load.latencies, 0.99)), String::new()],
        vec!["... processor time of the server an event".into(), format!("{spent:.1} us"), String::new()],
    ])
}

/// Reads the stream from its start and notes when each event could be read.
async fn read(address: SocketAddr, count: usize) -> Result<Vec<(usize, Instant)>> {
    let host = address.to_string();
    let mut client = Client::connect(address).await?;
    let ask = json!({"StreamName": "events", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let answer = client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.GetShardIterator", ask).await?;
    let mut iterator = answer["ShardIterator"].as_str().context("an iterator")?.to_owned();
    let (mut seen, end) = (Vec::with_capacity(count), Instant::now() + Duration::from_secs(120));
    while seen.len() < count {
        ensure!(Instant::now() < end, "{} of {count} events came", seen.len());
        let ask = json!({"ShardIterator": iterator});
        let answer = client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.GetRecords", ask).await?;
        let now = Instant::now();
        for record in answer["Records"].as_array().context("records")? {
            let data = STANDARD.decode(record["Data"].as_str().context("data")?)?;
            let event: Value = serde_json::from_slice(&data)?;
            seen.push((event["detail"]["order"].as_u64().context("an order")? as usize, now));
        }
        iterator = answer["NextShardIterator"].as_str().context("an iterator")?.to_owned();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(seen)
}

/// From an event's being accepted to its being read, at a rate that is no load.
async fn latency(binary: &Path, dir: &Path, time: Duration) -> Result<Vec<Vec<String>>> {
    let (server, _, host) = set_up(binary, dir, 1).await?;
    let count = (time.as_secs().max(1) as usize) * CALM as usize;
    let reader = tokio::spawn(read(server.address, count));
    let (begun, mut writers) = (Instant::now(), Vec::new());
    for place in 0..4 {
        let (address, host) = (server.address, host.clone());
        writers.push(tokio::spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut accepted = Vec::new();
            for number in (place..count).step_by(4) {
                tokio::time::sleep_until((begun + Duration::from_secs(1) / CALM * number as u32).into()).await;
                let detail = json!({"order": number}).to_string();
                let entry =
                    json!({"Source": format!("source-{}", number % RULES), "DetailType": "placed", "Detail": detail});
                let body = Bytes::from(json!({"Entries": [entry]}).to_string());
                let request = sign::json(&host, "events", "1.1", "AWSEvents.PutEvents", body);
                let (status, answer) = client.send(&request).await?;
                ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&answer));
                accepted.push((number, Instant::now()));
            }
            Ok(accepted)
        }));
    }
    let mut accepted = vec![begun; count];
    for writer in writers {
        for (number, at) in writer.await?? {
            accepted[number] = at;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let mut latencies: Vec<Duration> =
        reader.await??.into_iter().map(|(number, at)| at.saturating_duration_since(accepted[number])).collect();
    latencies.sort();
    Ok(vec![
        vec![
            format!("accepted to readable at {:.0} events/s, p50", count as f64 / took),
            stats::ms(stats::percentile(&latencies, 0.5)),
            String::new(),
        ],
        vec!["... p99".into(), stats::ms(stats::percentile(&latencies, 0.99)), "under 10 ms".into()],
    ])
}

/// Prints both.
pub async fn run(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = throughput(binary, dir, time).await?;
    rows.extend(latency(binary, dir, time).await?);
    let head = ["10 events a call, 16 connections, 100 rules, one stream", "measured", "goal"];
    stats::table("Events", &head, rows);
    Ok(())
}
