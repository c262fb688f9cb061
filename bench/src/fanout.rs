//! From the call that puts a record to its event at a consumer with enhanced fan-out, at a steady rate.

use crate::http::{Client, with_stream};
use crate::{sign, stats};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const RATE: u32 = 1000;
const CONNECTIONS: u32 = 32;
/// A record says when it was put, and is filled up to this.
const RECORD: usize = 200;

/// Each connection puts at its own beat, so that together they come to the rate, evenly spread, however long an answer takes
/// (as long as it is there before the next beat).
async fn put(address: SocketAddr, nth: u32, start: Instant, until: Duration) -> Result<u32> {
    let host = address.to_string();
    let mut client = Client::connect(address).await?;
    let beat = Duration::from_secs(1) * CONNECTIONS / RATE;
    let mut due = beat * nth / CONNECTIONS;
    let mut count = 0;
    while due < until {
        tokio::time::sleep_until((start + due).into()).await;
        let mut data = (start.elapsed().as_nanos() as u64).to_be_bytes().to_vec();
        data.resize(RECORD, 0);
        let body = json!({"StreamName": "bench", "Data": STANDARD.encode(&data), "PartitionKey": nth.to_string()});
        client.ask(&host, "kinesis", "1.1", "Kinesis_20131202.PutRecord", body).await?;
        count += 1;
        due += beat;
    }
    Ok(count)
}

async fn consumer(client: &mut Client, host: &str) -> Result<String> {
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/bench";
    let body = json!({"StreamARN": stream, "ConsumerName": "bench"});
    let answer = client.ask(host, "kinesis", "1.1", "Kinesis_20131202.RegisterStreamConsumer", body).await?;
    let arn = answer["Consumer"]["ConsumerARN"].as_str().context("an ARN")?.to_owned();
    loop {
        let body = json!({"ConsumerARN": arn});
        let answer = client.ask(host, "kinesis", "1.1", "Kinesis_20131202.DescribeStreamConsumer", body).await?;
        if answer["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE" {
            return Ok(arn);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The body of an answer that goes on and on, and the events in it.
struct Events {
    body: Incoming,
    buffer: BytesMut,
}

impl Events {
    async fn subscribe(address: SocketAddr, consumer: &str) -> Result<Events> {
        let body = json!({"ConsumerARN": consumer, "ShardId": "shardId-000000000000",
            "StartingPosition": {"Type": "LATEST"}});
        let target = "Kinesis_20131202.SubscribeToShard";
        let request = sign::json(&address.to_string(), "kinesis", "1.1", target, Bytes::from(body.to_string()));
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request.map(Full::new)).await?;
        ensure!(answer.status().is_success(), "SubscribeToShard: {}", answer.status());
        Ok(Events { body: answer.into_body(), buffer: BytesMut::new() })
    }

    /// The payload of the next event.
    async fn next(&mut self) -> Result<Value> {
        loop {
            if self.buffer.len() >= 8 {
                let total = (&self.buffer[..]).get_u32() as usize;
                let headers = (&self.buffer[4..]).get_u32() as usize;
                if self.buffer.len() >= total {
                    let message = self.buffer.split_to(total);
                    return Ok(serde_json::from_slice(&message[12 + headers..total - 4])?);
                }
            }
            let Some(frame) = self.body.frame().await else { bail!("the subscription ended") };
            self.buffer.extend_from_slice(&frame?.into_data().unwrap_or_default());
        }
    }
}

pub async fn run(binary: &Path, dir: &Path, time: Duration) -> Result<()> {
    let (server, mut client, host) = with_stream(binary, dir, 1).await?;
    let consumer = consumer(&mut client, &host).await?;
    let mut events = Events::subscribe(server.address, &consumer).await?;
    // The first event comes at once: from there on nothing is missed.
    while events.next().await?.get("Records").is_none() {}
    let start = Instant::now();
    let puts: Vec<_> = (0..CONNECTIONS).map(|nth| tokio::spawn(put(server.address, nth, start, time))).collect();
    let total = (RATE * time.as_millis() as u32 / 1000) as usize;
    let mut seen = Vec::with_capacity(total);
    let mut events_seen = 0;
    while seen.len() < total {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await??;
        let now = start.elapsed();
        events_seen += 1;
        for record in event["Records"].as_array().context("records")? {
            let data = STANDARD.decode(record["Data"].as_str().context("data")?)?;
            seen.push(now.saturating_sub(Duration::from_nanos((&data[..]).get_u64())));
        }
    }
    let mut put = 0;
    for task in puts {
        put += task.await??;
    }
    ensure!(put as usize == total, "{put} of {total} were put");
    seen.sort();
    let rows = vec![vec![
        format!("{RATE} records/s of {RECORD} bytes for {} s", time.as_secs()),
        stats::ms(stats::percentile(&seen, 0.5)),
        stats::ms(stats::percentile(&seen, 0.99)),
        stats::ms(stats::percentile(&seen, 1.0)),
        format!("{:.1}", total as f64 / f64::from(events_seen)),
        "p99 5 ms".into(),
    ]];
    let title = "Put to seen through SubscribeToShard, durable, from before the call to the event read";
    stats::table(title, &["", "p50", "p99", "most", "records an event", "goal"], rows);
    Ok(())
}
