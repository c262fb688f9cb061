//! The stream's hot operations over HTTP, against the bare journal and a server that discards.

use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORD: usize = 1024;
const BATCH: usize = 500;
/// The end of an answer that is kept: an iterator and what is behind it.
const TAIL: usize = 1024;
/// Shards that are drained, and as many connections.
const READERS: u32 = 4;

/// What a run of the load generator came to.
pub struct Load {
    pub requests_per_s: f64,
    pub latencies: Vec<Duration>,
}

/// A connection of the load generator.
pub struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Result<Client> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&mut self, request: &Request<Bytes>) -> Result<(http::StatusCode, Bytes)> {
        let (status, _, body) = self.send_whole(request).await?;
        Ok((status, body))
    }

    /// Sends one request and reads the whole answer, its headers too.
    pub async fn send_whole(&mut self, request: &Request<Bytes>) -> Result<(http::StatusCode, http::HeaderMap, Bytes)> {
        let mut again =
            Request::builder().method(request.method()).uri(request.uri()).body(Full::new(request.body().clone()))?;
        *again.headers_mut() = request.headers().clone();
        self.sender.ready().await?;
        let answer = self.sender.send_request(again).await?;
        let (head, body) = answer.into_parts();
        Ok((head.status, head.headers, body.collect().await?.to_bytes()))
    }

    /// Sends a request and counts how often `what` is in the answer while that comes in, keeping only its end: what a reader
    /// that keeps up would do, and no copy of megabytes that would be measured, too.
    async fn count(&mut self, request: &Request<Bytes>, what: &[u8]) -> Result<(usize, Bytes)> {
        let again = Request::builder().method(request.method()).uri(request.uri());
        let mut again = again.body(Full::new(request.body().clone()))?;
        *again.headers_mut() = request.headers().clone();
        self.sender.ready().await?;
        let answer = self.sender.send_request(again).await?;
        let (status, mut body) = (answer.status(), answer.into_body());
        let (mut found, mut seam, mut end) = (0, Vec::new(), Bytes::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            // What is cut by the border of two frames.
            seam.extend_from_slice(&data[..data.len().min(what.len() - 1)]);
            found += count(&seam, what) + count(&data, what);
            if data.len() < what.len() {
                seam.drain(..seam.len().saturating_sub(what.len() - 1));
            } else {
                seam = data[data.len() - (what.len() - 1)..].to_vec();
            }
            let joined = [&end[end.len().saturating_sub(TAIL)..], &data[data.len().saturating_sub(TAIL)..]].concat();
            end = joined.into();
        }
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&end));
        Ok((found, end))
    }

    /// Asks a JSON service and gives its answer, which must be a success.
    pub async fn ask(&mut self, host: &str, service: &str, version: &str, target: &str, body: Value) -> Result<Value> {
        let request = sign::json(host, service, version, target, Bytes::from(body.to_string()));
        let (status, answer) = self.send(&request).await?;
        ensure!(status.is_success(), "{target}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }
}

/// Sends the requests in turn over `connections` connections for `time`.
pub async fn load(
    address: SocketAddr,
    connections: usize,
    requests: Vec<Request<Bytes>>,
    time: Duration,
) -> Result<Load> {
    let requests = Arc::new(requests);
    let start = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..connections {
        let requests = requests.clone();
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut latencies = Vec::new();
            for turn in number.. {
                let begun = Instant::now();
                if begun - start > time {
                    break;
                }
                let (status, answer) = client.send(&requests[turn % requests.len()]).await?;
                ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&answer));
                ensure!(!answer.starts_with(b"{\"FailedRecordCount\":1"), "records failed");
                latencies.push(begun.elapsed());
            }
            Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort();
    Ok(Load { requests_per_s: latencies.len() as f64 / seconds, latencies })
}

/// Bodies that differ, so that nothing can be answered from a cache.
pub fn record(number: usize) -> String {
    let mut x = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let bytes: Vec<u8> = (0..RECORD)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) as u8
        })
        .collect();
    STANDARD.encode(bytes)
}

fn put_records(host: &str, number: usize) -> Request<Bytes> {
    let records: Vec<Value> =
        (0..BATCH).map(|i| json!({"Data": record(number * BATCH + i), "PartitionKey": format!("key-{i}")})).collect();
    let body = json!({"StreamName": "bench", "Records": records}).to_string();
    sign::json(host, "kinesis", "1.1", "Kinesis_20131202.PutRecords", Bytes::from(body))
}

fn put_record(host: &str, number: usize) -> Request<Bytes> {
    let body =
        json!({"StreamName": "bench", "Data": record(number), "PartitionKey": format!("key-{number}")}).to_string();
    sign::json(host, "kinesis", "1.1", "Kinesis_20131202.PutRecord", Bytes::from(body))
}

pub async fn with_stream(binary: &Path, dir: &Path, shards: u32) -> Result<(Server, Client, String)> {
    let server = Server::headwater(binary, dir, &["--limits", "off"]).await?;
    let host = server.address.to_string();
    let mut client = Client::connect(server.address).await?;
    let body = json!({"StreamName": "bench", "ShardCount": shards});
    client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.CreateStream", body).await?;
    loop {
        let body = json!({"StreamName": "bench"});
        let answer = client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.DescribeStreamSummary", body).await?;
        if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return Ok((server, client, host));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the disk gives, in this run.
async fn bare(dir: &Path, time: Duration) -> Result<f64> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || crate::journal::bare(&dir, time)).await?
}

pub async fn run(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let bare = bare(dir, time).await?;
    let mut rows = Vec::new();
    put_many(binary, dir, time, bare, &mut rows).await?;
    put_one(binary, dir, time, &mut rows).await?;
    get(binary, dir, time, &mut rows).await?;
    show(rows);
    Ok(())
}

pub async fn put_single(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = Vec::new();
    put_one(binary, dir, time, &mut rows).await?;
    show(rows);
    Ok(())
}

pub async fn put_alone(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = Vec::new();
    put_many(binary, dir, time, bare(dir, time).await?, &mut rows).await?;
    show(rows);
    Ok(())
}

pub async fn get_alone(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = Vec::new();
    get(binary, dir, time, &mut rows).await?;
    show(rows);
    Ok(())
}

fn show(rows: Vec<Vec<String>>) {
    let title = "Streams over HTTP, durable (fsync on), two cores shared with the load generator";
    stats::table(title, &["", "headwater", "yardstick", "ratio", "goal"], rows);
}

async fn put_many(binary: &Path, dir: &Path, time: Duration, bare: f64, rows: &mut Vec<Vec<String>>) -> Result<()> {
    let discard = Server::discarding(dir)?;
    let host = discard.address.to_string();
    let bodies = (0..64).map(|n| put_records(&host, n)).collect();
    let thrown = load(discard.address, 16, bodies, time).await?.requests_per_s * BATCH as f64;
    drop(discard);
    let (server, _client, host) = with_stream(binary, dir, 4).await?;
    let bodies = (0..64).map(|n| put_records(&host, n)).collect();
    let (worked, written) = (server.processor_time()?, server.written_bytes()?);
    let put = load(server.address, 16, bodies, time).await?;
    let worked = server.processor_time()? - worked;
    let written = server.written_bytes()? - written;
    let records = put.requests_per_s * BATCH as f64;
    let total = (put.latencies.len() * BATCH) as f64;
    rows.push(vec![
        "PutRecords 500 x 1 KiB, 16 connections".into(),
        format!(
            "{records:.0} records/s, p99 {}, {:.2} us of the server's processor time a record",
            stats::ms(stats::percentile(&put.latencies, 0.99)),
            worked.as_secs_f64() * 1e6 / total
        ),
        format!("bare recycled journal {bare:.0} records/s"),
        format!("{:.2}", records / bare),
        "0.70".into(),
    ]);
    rows.push(vec![
        "  the same against a server that discards".into(),
        String::new(),
        format!("{thrown:.0} records/s"),
        format!("{:.2}", records / thrown),
        String::new(),
    ]);
    rows.push(vec![
        "  bytes written to disk".into(),
        format!("{:.0} MB", written as f64 / 1e6),
        format!("{:.0} MB of records received", total * RECORD as f64 / 1e6),
        format!("{:.3}", written as f64 / (total * RECORD as f64)),
        "at most 1.1".into(),
    ]);
    Ok(())
}

async fn put_one(binary: &Path, dir: &Path, time: Duration, rows: &mut Vec<Vec<String>>) -> Result<()> {
    for connections in [64, 1] {
        let discard = Server::discarding(dir)?;
        let host = discard.address.to_string();
        let bodies = (0..256).map(|n| put_record(&host, n)).collect();
        let idle = discard.processor_time()?;
        let thrown = load(discard.address, connections, bodies, time).await?;
        let thrown_work = per_request(discard.processor_time()? - idle, &thrown);
        drop(discard);
        let (server, _client, host) = with_stream(binary, dir, 4).await?;
        let bodies = (0..256).map(|n| put_record(&host, n)).collect();
        let idle = server.processor_time()?;
        let put = load(server.address, connections, bodies, time).await?;
        let work = per_request(server.processor_time()? - idle, &put);
        drop(server);
        let median = |load: &Load| stats::percentile(&load.latencies, 0.5);
        rows.push(vec![
            format!("PutRecord 1 KiB, {connections} connections"),
            format!("{:.0}/s, p50 {}, {work}", put.requests_per_s, stats::ms(median(&put))),
            format!(
                "discarding server {:.0}/s, p50 {}, {thrown_work}",
                thrown.requests_per_s,
                stats::ms(median(&thrown))
            ),
            format!("{:.2}", put.requests_per_s / thrown.requests_per_s),
            if connections == 64 { "0.70".into() } else { String::new() },
        ]);
        if connections == 1 {
            let dir = dir.to_owned();
            let append = tokio::task::spawn_blocking(move || crate::journal::bare_append(&dir, time)).await??;
            let bare = append + median(&thrown);
            rows.push(vec![
                "  its latency".into(),
                format!("p50 {}", stats::ms(median(&put))),
                format!("bare 1 KiB append and sync {}, and that round trip", stats::ms(append)),
                format!("{:.2}", median(&put).as_secs_f64() / bare.as_secs_f64()),
                "at most 1.5".into(),
            ]);
        }
    }
    Ok(())
}

/// The server's processor time, which a busy machine changes less than the rate.
fn per_request(worked: Duration, load: &Load) -> String {
    format!("{:.1} us of processor time each", worked.as_secs_f64() * 1e6 / load.latencies.len().max(1) as f64)
}

/// Drains shards from their oldest record, each over a connection of its own, again and again.
async fn get(binary: &Path, dir: &Path, time: Duration, rows: &mut Vec<Vec<String>>) -> Result<()> {
    let (server, mut client, host) = with_stream(binary, dir, READERS).await?;
    for number in 0..400 {
        let (status, _) = client.send(&put_records(&host, number)).await?;
        ensure!(status.is_success(), "PutRecords: {status}");
    }
    let (start, idle) = (Instant::now(), server.processor_time()?);
    let readers = (0..READERS).map(|shard| tokio::spawn(drain(server.address, host.clone(), shard, start, time)));
    let mut payload = 0;
    for reader in readers.collect::<Vec<_>>() {
        payload += reader.await??;
    }
    let mb = payload as f64 / 1e6;
    rows.push(vec![
        format!("GetRecords from the page cache, {READERS} shards over {READERS} connections"),
        format!(
            "{:.0} MB/s of payload, {:.2} ms of the server's processor time a MB",
            mb / start.elapsed().as_secs_f64(),
            (server.processor_time()? - idle).as_secs_f64() * 1e3 / mb
        ),
        String::new(),
        String::new(),
        "500 MB/s".into(),
    ]);
    Ok(())
}

/// Bytes of payload that one reader was given.
async fn drain(address: SocketAddr, host: String, shard: u32, start: Instant, time: Duration) -> Result<usize> {
    let mut client = Client::connect(address).await?;
    let mut payload = 0;
    while start.elapsed() < time {
        let shard = format!("shardId-{shard:012}");
        let body = json!({"StreamName": "bench", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let answer = client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.GetShardIterator", body).await?;
        let mut iterator = answer["ShardIterator"].as_str().context("an iterator")?.to_owned();
        while start.elapsed() < time {
            let body = Bytes::from(json!({"ShardIterator": iterator}).to_string());
            let request = sign::json(&host, "kinesis", "1.1", "Kinesis_20131202.GetRecords", body);
            // A record is told by its key's name: parsing 14 MB of JSON here would measure the parser.
            let (records, end) = client.count(&request, b"\"PartitionKey\"").await?;
            payload += records * RECORD;
            if records == 0 {
                break;
            }
            iterator = after(&end, b"\"NextShardIterator\":\"").context("a next iterator")?;
        }
    }
    Ok(payload)
}

fn count(text: &[u8], what: &[u8]) -> usize {
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = find(&text[at..], what) {
        found += 1;
        at += next + what.len();
    }
    found
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn after(text: &[u8], what: &[u8]) -> Option<String> {
    let start = find(text, what)? + what.len();
    let end = text[start..].iter().position(|b| *b == b'"')? + start;
    String::from_utf8(text[start..end].to_vec()).ok()
}
