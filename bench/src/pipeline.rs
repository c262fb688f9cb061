//! From the answer to TerminateInstances to the text message in the outbox, with a warm function.

use crate::http::Client;
use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 100;
const HANDLER: &str = include_str!("../../examples/security-pipeline/handler.py");
const ROLE: &str = "arn:aws:iam::000000000000:role/bench";

struct Play {
    client: Client,
    host: String,
    /// Whose key signs the query services' calls: root's at first, then a user's. Root has no user name, and the
    /// function reads it.
    user: (String, String),
}

impl Play {
    async fn json(&mut self, service: &str, version: &str, target: &str, body: Value) -> Result<Value> {
        self.client.ask(&self.host, service, version, target, body).await
    }

    /// A call of a query service by the user, or by root where there is none yet; gives the XML.
    async fn query(&mut self, service: &str, version: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let mut form = format!("Version={version}");
        for (key, value) in parameters {
            let escaped: String = value
                .bytes()
                .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
                .collect();
            form.push_str(&format!("&{key}={escaped}"));
        }
        let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let (id, secret) = &self.user;
        let request = sign::request_by((id, secret), &self.host, service, "POST", "/", &kind, Bytes::from(form));
        let (status, answer) = self.client.send(&request).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        ensure!(status.is_success(), "{parameters:?}: {status} {text}");
        Ok(text)
    }

    async fn set_up(&mut self) -> Result<()> {
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        let role = [("Action", "CreateRole"), ("RoleName", "bench"), ("AssumeRolePolicyDocument", trust)];
        self.query("iam", "2010-05-08", &role).await?;
        self.query("iam", "2010-05-08", &[("Action", "CreateUser"), ("UserName", "jcv-iam")]).await?;
        let key = self.query("iam", "2010-05-08", &[("Action", "CreateAccessKey"), ("UserName", "jcv-iam")]).await?;
        let part = |name: &str| between(&key, &format!("<{name}>"), &format!("</{name}>")).map(str::to_owned);
        self.user = part("AccessKeyId").zip(part("SecretAccessKey")).context("an access key")?;
        self.json("kinesis", "1.1", "Kinesis_20131202.CreateStream", json!({"StreamName": "events", "ShardCount": 1}))
            .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let pattern = json!({"source": ["aws.ec2"], "detail": {"eventName": ["TerminateInstances"]}}).to_string();
        self.json("events", "1.1", "AWSEvents.PutRule", json!({"Name": "r", "EventPattern": pattern})).await?;
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/events";
        let targets = json!({"Rule": "r", "Targets": [{"Id": "s", "Arn": stream}]});
        let answer = self.json("events", "1.1", "AWSEvents.PutTargets", targets).await?;
        ensure!(answer["FailedEntryCount"] == 0, "PutTargets: {answer}");
        self.function(stream).await
    }

    async fn function(&mut self, stream: &str) -> Result<()> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("handler.py", zip::write::SimpleFileOptions::default())?;
        zip.write_all(HANDLER.as_bytes())?;
        let package = STANDARD.encode(zip.finish()?.into_inner());
        let create = json!({"FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "handler.handler",
            "Timeout": 30, "MemorySize": 256, "Code": {"ZipFile": package}});
        self.rest("POST", "/2015-03-31/functions", &create.to_string()).await?;
        for _ in 0..1200 {
            let answer = self.rest("GET", "/2015-03-31/functions/f/configuration", "").await?;
            let answer: Value = serde_json::from_str(&answer)?;
            match answer["State"].as_str() {
                Some("Active") => {
                    let mapping = json!({"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST", "BatchSize": 10});
                    self.rest("POST", "/2015-03-31/event-source-mappings", &mapping.to_string()).await?;
                    self.rest("POST", "/2015-03-31/functions/f/invocations", r#"{"Records":[]}"#).await?;
                    return Ok(());
                }
                Some("Pending") => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => bail!("the function is not fit: {answer}"),
            }
        }
        bail!("the runtime was not ready within two minutes")
    }

    async fn rest(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let request = sign::request(&self.host, "lambda", method, path, &[], Bytes::from(body.to_owned()));
        let (status, answer) = self.client.send(&request).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(text)
    }

    /// One termination; gives the time from its answer to the message.
    async fn round(&mut self) -> Result<Duration> {
        let run = [
            ("Action", "RunInstances"),
            ("ImageId", "ami-12345678"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Type"),
            ("TagSpecification.1.Tag.1.Value", "Production"),
        ];
        let answer = self.query("ec2", "2016-11-15", &run).await?;
        let instance = between(&answer, "<instanceId>", "</instanceId>").context("an instance")?.to_owned();
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.query("ec2", "2016-11-15", &[("Action", "TerminateInstances"), ("InstanceId.1", &instance)]).await?;
        let answered = world::World::real().now();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            let request = http::Request::get("/_headwater/outbox").header("host", &self.host).body(Bytes::new())?;
            let (_, body) = self.client.send(&request).await?;
            let outbox: Value = serde_json::from_slice(&body)?;
            let sent = outbox
                .as_array()
                .into_iter()
                .flatten()
                .find(|n| n["body"].as_str().is_some_and(|b| b.contains(&instance)));
            if let Some(sent) = sent {
                let left = millis(sent["time"].as_str().context("a time")?)?;
                return Ok(Duration::from_millis((left - answered.millis()).max(0) as u64));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("no message about {instance} within 10 s")
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

/// Milliseconds of the day's time in `2026-11-22T22:00:00.123Z`, on its day.
fn millis(iso: &str) -> Result<i64> {
    let number =
        |range: std::ops::Range<usize>| -> Result<i64> { Ok(iso.get(range).context("a time stamp")?.parse()?) };
    let (y, m, d) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days from the civil date, Howard Hinnant's algorithm.
    let y = if m <= 2 { y - 1 } else { y };
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let fraction = iso.get(20..23).and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
    Ok((days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?) * 1000 + fraction)
}

async fn measure(play: &mut Play) -> Result<Vec<Duration>> {
    play.set_up().await?;
    for _ in 0..5 {
        play.round().await?; // warm
    }
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(play.round().await?);
    }
    Ok(times)
}

pub async fn run(binary: &Path, dir: &Path) -> Result<()> {
    let runtimes = std::path::absolute(Path::new("target/runtimes"))?;
    let server = Server::headwater(binary, dir, &["--runtimes", &runtimes.display().to_string()]).await?;
    let mut play = Play {
        client: Client::connect(server.address).await?,
        host: server.address.to_string(),
        user: ("test".into(), "test".into()),
    };
    let mut times = match measure(&mut play).await {
        Ok(times) => times,
        Err(error) => return Err(error.context(format!("the server says:\n{}", server.log()))),
    };
    times.sort();
    let row = |name: &str, part: f64, goal: &str| {
        vec![name.to_owned(), stats::ms(stats::percentile(&times, part)), goal.to_owned()]
    };
    let rows = vec![row("p50", 0.5, "50 ms"), row("p99", 0.99, "250 ms"), row("max", 1.0, "")];
    stats::table(
        &format!("TerminateInstances answered -> text message in the outbox, warm function, {ROUNDS} rounds"),
        &["", "measured", "goal: under"],
        rows,
    );
    Ok(())
}
