//! Queues over HTTP: sent, received and deleted in batches of ten, durable; and what a long backlog costs.

use crate::http::Client;
use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const BATCH: usize = 10;
const BODY: usize = 256;
const CONNECTIONS: usize = 16;
/// Messages of the backlog, and the bytes of each.
const BACKLOG: usize = 10_000_000;
const SMALL: usize = 100;

/// What the connections came to.
#[derive(Default)]
struct Round {
    messages: usize,
    latencies: Vec<Duration>,
}

/// A connection that works on one queue.
struct Worker {
    client: Client,
    host: String,
    url: String,
    fifo: bool,
    number: usize,
}

impl Worker {
    async fn connect(address: SocketAddr, url: &str, number: usize) -> Result<Worker> {
        let client = Client::connect(address).await?;
        let fifo = url.ends_with(".fifo");
        Ok(Worker { client, host: address.to_string(), url: url.to_owned(), fifo, number })
    }

    async fn ask(&mut self, operation: &str, body: String) -> Result<Bytes> {
        let target = format!("AmazonSQS.{operation}");
        let request = sign::json(&self.host, "sqs", "1.0", &target, Bytes::from(body));
        let (status, answer) = self.client.send(&request).await?;
        ensure!(status.is_success(), "{operation}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }

    async fn send(&mut self, turn: usize, size: usize) -> Result<()> {
        let entries: Vec<Value> = (0..BATCH)
            .map(|i| {
                let mut entry = json!({"Id": i.to_string(), "MessageBody": body(turn * BATCH + i, size)});
                if self.fifo {
                    entry["MessageGroupId"] = json!(format!("group-{}-{}", self.number, turn % 8));
                    entry["MessageDeduplicationId"] = json!(format!("{}-{turn}-{i}", self.number));
                }
                entry
            })
            .collect();
        let body = json!({"QueueUrl": self.url, "Entries": entries}).to_string();
        let answer = self.ask("SendMessageBatch", body).await?;
        ensure!(memchr::memmem::find(&answer, b"SenderFault").is_none(), "{}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    /// Receives and deletes; how many messages there were.
    async fn drain(&mut self) -> Result<usize> {
        let body = json!({"QueueUrl": self.url, "MaxNumberOfMessages": BATCH}).to_string();
        let answer = self.ask("ReceiveMessage", body).await?;
        // A whole JSON parser would measure the load generator.
        let handles = handles(&answer)?;
        if handles.is_empty() {
            return Ok(0);
        }
        let entries: Vec<Value> = handles
            .iter()
            .enumerate()
            .map(|(i, handle)| json!({"Id": i.to_string(), "ReceiptHandle": handle}))
            .collect();
        let body = json!({"QueueUrl": self.url, "Entries": entries}).to_string();
        let answer = self.ask("DeleteMessageBatch", body).await?;
        ensure!(memchr::memmem::find(&answer, b"SenderFault").is_none(), "{}", String::from_utf8_lossy(&answer));
        Ok(handles.len())
    }
}

fn body(number: usize, size: usize) -> String {
    let mut text = format!("message {number} ");
    text.extend(std::iter::repeat_n('x', size.saturating_sub(text.len())));
    text
}

fn handles(answer: &[u8]) -> Result<Vec<&str>> {
    let mut all = Vec::new();
    for at in memchr::memmem::find_iter(answer, b"\"ReceiptHandle\":\"") {
        let start = at + b"\"ReceiptHandle\":\"".len();
        let end = start + memchr::memchr(b'"', &answer[start..]).context("the end of a handle")?;
        all.push(std::str::from_utf8(&answer[start..end])?);
    }
    Ok(all)
}

async fn create(address: SocketAddr, name: &str) -> Result<String> {
    let host = address.to_string();
    let mut attributes = json!({});
    if name.ends_with(".fifo") {
        attributes = json!({
            "FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
        });
    }
    let body = json!({"QueueName": name, "Attributes": attributes});
    let mut client = Client::connect(address).await?;
    let answer = client.ask(&host, "sqs", "1.0", "AmazonSQS.CreateQueue", body).await?;
    Ok(answer["QueueUrl"].as_str().context("a URL")?.to_owned())
}

/// Every connection sends ten, receives ten and deletes them, in turn.
async fn cycle(address: SocketAddr, url: &str, time: Duration) -> Result<(f64, Vec<Duration>)> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let url = url.to_owned();
        tasks.push(tokio::spawn(async move {
            let mut worker = Worker::connect(address, &url, number).await?;
            let mut round = Round::default();
            for turn in 0.. {
                let begun = Instant::now();
                if begun - start > time {
                    break;
                }
                worker.send(turn, BODY).await?;
                round.messages += worker.drain().await?;
                round.latencies.push(begun.elapsed());
            }
            Ok::<_, anyhow::Error>(round)
        }));
    }
    let mut all = Round::default();
    for task in tasks {
        let round = task.await??;
        all.messages += round.messages;
        all.latencies.extend(round.latencies);
    }
    all.latencies.sort();
    Ok((all.messages as f64 / start.elapsed().as_secs_f64(), all.latencies))
}

pub async fn run(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let mut rows = Vec::new();
    for name in ["standard", "ordered.fifo"] {
        let server = Server::headwater(binary, dir, &["--limits", "off"]).await?;
        let url = create(server.address, name).await?;
        let before = server.processor_time()?;
        let (rate, latencies) = cycle(server.address, &url, time).await?;
        let spent = (server.processor_time()? - before).as_secs_f64();
        rows.push(vec![
            format!("{name}: send, receive, delete 10 x {BODY} B, {CONNECTIONS} connections"),
            format!("{rate:.0} messages/s"),
            format!("all three p50 {}", stats::ms(stats::percentile(&latencies, 0.5))),
            format!("p99 {}", stats::ms(stats::percentile(&latencies, 0.99))),
            format!("{:.0} us of processor a message", spent * 1e6 / (rate * time.as_secs_f64())),
            "20000/s".into(),
        ]);
    }
    let title = "Queues over HTTP, durable (fsync on), two cores shared with the load generator";
    stats::table(title, &["", "headwater", "", "", "server", "goal"], rows);
    Ok(())
}

/// Resident memory with ten million messages in a queue, and after a restart with them.
pub async fn backlog(binary: &Path, dir: &Path) -> Result<()> {
    let server = Server::headwater(binary, dir, &["--limits", "off"]).await?;
    let url = create(server.address, "backlog").await?;
    let before = server.resident_kib()?;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let (url, address) = (url.clone(), server.address);
        tasks.push(tokio::spawn(async move {
            let mut worker = Worker::connect(address, &url, number).await?;
            for turn in 0..BACKLOG / BATCH / CONNECTIONS {
                worker.send(turn, SMALL).await?;
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let rate = BACKLOG as f64 / start.elapsed().as_secs_f64();
    let after = server.resident_kib()?;
    let mut worker = Worker::connect(server.address, &url, 0).await?;
    let begun = Instant::now();
    ensure!(worker.drain().await? == BATCH, "the backlog is there");
    let rows = vec![
        vec![format!("{BACKLOG} messages of {SMALL} B sent"), format!("{rate:.0} messages/s")],
        vec!["resident memory before".into(), format!("{:.1} MiB", before as f64 / 1024.0)],
        vec!["resident memory with the backlog".into(), format!("{:.1} MiB", after as f64 / 1024.0)],
        vec![
            "a message of the backlog".into(),
            format!("{:.2} bytes of memory", (after.saturating_sub(before) * 1024) as f64 / BACKLOG as f64),
        ],
        vec!["receive and delete of the first ten".into(), stats::ms(begun.elapsed())],
    ];
    stats::table("A long backlog", &["", "measured"], rows);
    Ok(())
}
