//! Functions: how soon a new process runs its handler, what an invocation costs above the bare Runtime API, and how fast
//! a stream goes through a function.

use crate::http::Client;
use crate::server::Server;
use crate::{sign, stats};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const ROLE: &str = "arn:aws:iam::000000000000:role/bench";
const INVOKE: &str = "/2015-03-31/functions/f/invocations";
const ROUNDS: usize = 15;
const INVOCATIONS: usize = 500;
/// Invocations at once.
const BURST: usize = 16;
/// How often so many.
const BURSTS: usize = 5;
/// As long is nothing done before an invocation of an idle process.
const PAUSE: Duration = Duration::from_millis(2);
/// Imports boto3 and makes a client, as most handlers do; says when it was entered.
const BOTO3: &str = "import time, boto3\nboto3.client('sqs', region_name='us-east-1')\n\
                     def handler(event, context):\n    return time.time()\n";
const CLOCK: &str = "import time\ndef handler(event, context):\n    return time.time()\n";
const NOTHING: &str = "def handler(event, context):\n    return None\n";

struct Lab {
    server: Server,
    client: Client,
    host: String,
}

impl Lab {
    async fn open(binary: &Path, dir: &Path, extra: &[&str]) -> Result<Lab> {
        let runtimes = runtimes()?.display().to_string();
        let server = Server::headwater(binary, dir, &[&["--runtimes", &runtimes], extra].concat()).await?;
        let client = Client::connect(server.address).await?;
        let host = server.address.to_string();
        let mut lab = Lab { server, client, host };
        let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A\
                     %7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
        let form = format!("Version=2010-05-08&Action=CreateRole&RoleName=bench&AssumeRolePolicyDocument={trust}");
        let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let request = sign::request_by(("test", "test"), &lab.host, "iam", "POST", "/", &kind, Bytes::from(form));
        let (status, answer) = lab.client.send(&request).await?;
        ensure!(status.is_success(), "CreateRole: {status} {}", String::from_utf8_lossy(&answer));
        Ok(lab)
    }

    async fn rest(&mut self, method: &str, path: &str, body: &str) -> Result<(http::StatusCode, Value)> {
        let request = sign::request(&self.host, "lambda", method, path, &[], Bytes::from(body.to_owned()));
        let (status, answer) = self.client.send(&request).await?;
        ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok((status, if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? }))
    }

    async fn function(&mut self, source: &str) -> Result<()> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("handler.py", zip::write::SimpleFileOptions::default())?;
        zip.write_all(source.as_bytes())?;
        let package = STANDARD.encode(zip.finish()?.into_inner());
        let create = json!({"FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "handler.handler",
            "Timeout": 30, "MemorySize": 512, "Code": {"ZipFile": package}});
        self.rest("POST", "/2015-03-31/functions", &create.to_string()).await?;
        for _ in 0..1200 {
            let (_, answer) = self.rest("GET", "/2015-03-31/functions/f/configuration", "").await?;
            match answer["State"].as_str() {
                Some("Active") => return Ok(()),
                Some("Pending") => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => bail!("the function is not fit: {answer}"),
            }
        }
        bail!("the runtime was not ready within two minutes")
    }

    /// Invokes, and gives the answer and the end of the log.
    async fn invoke_with_log(&mut self) -> Result<(Value, String)> {
        let tail = [("x-amz-log-type", "Tail")];
        let request = sign::request(&self.host, "lambda", "POST", INVOKE, &tail, Bytes::from_static(b"{}"));
        let (status, headers, answer) = self.client.send_whole(&request).await?;
        ensure!(status.is_success() && !headers.contains_key("x-amz-function-error"), "Invoke: {status} {answer:?}");
        let log = headers.get("x-amz-log-result").context("a log")?;
        Ok((serde_json::from_slice(&answer)?, String::from_utf8(STANDARD.decode(log)?)?))
    }

    /// One value of the server's own metrics, all its series together.
    async fn metric(&mut self, name: &str) -> Result<f64> {
        let request = http::Request::get("/_headwater/metrics").header("host", &self.host).body(Bytes::new())?;
        let (_, body) = self.client.send(&request).await?;
        let text = String::from_utf8_lossy(&body);
        let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
        Ok(values.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
    }
}

fn runtimes() -> Result<PathBuf> {
    Ok(std::path::absolute(Path::new("target/runtimes"))?)
}

fn row(name: &str, times: &mut [Duration], goal: &str) -> Vec<String> {
    times.sort();
    let at = |part: f64| stats::ms(stats::percentile(times, part));
    vec![name.to_owned(), at(0.5), at(0.99), goal.to_owned()]
}

/// What a new process took.
#[derive(Default)]
struct Starts {
    /// From the request to the handler's first line.
    entered: Vec<Duration>,
    /// From the process' start until it asked for work.
    started: Vec<Duration>,
}

impl Lab {
    /// Makes the function start anew: after `pause`, long enough for its code to be loaded, one process stands ready.
    async fn renew(&mut self, round: usize, pause: Duration) -> Result<()> {
        let change = json!({"Environment": {"Variables": {"ROUND": round.to_string()}}}).to_string();
        self.rest("PUT", "/2015-03-31/functions/f/configuration", &change).await?;
        // Ready is what has loaded its code; nothing outside tells when that is.
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Makes the function start anew, and invokes it.
    async fn start_anew(&mut self, round: usize, pause: Duration, starts: &mut Starts) -> Result<()> {
        self.renew(round, pause).await?;
        let asked = world::World::real().now().micros();
        let (at, log) = self.invoke_with_log().await?;
        let init = log.split("Init Duration: ").nth(1).and_then(|rest| rest.split(' ').next());
        let init: f64 = init.context("each round has a process of its own")?.parse()?;
        starts.started.push(Duration::from_secs_f64(init / 1000.0));
        starts.entered.push(until(asked, &at)?);
        Ok(())
    }

    /// Invokes the function so many times at once, each by a connection of its own. From each request to the handler's
    /// first line.
    async fn burst(&self) -> Result<Vec<Duration>> {
        let mut clients = Vec::new();
        for _ in 0..BURST {
            clients.push(Client::connect(self.server.address).await?);
        }
        let calls = clients.into_iter().map(|mut client| {
            let request = sign::request(&self.host, "lambda", "POST", INVOKE, &[], Bytes::from_static(b"{}"));
            tokio::spawn(async move {
                let asked = world::World::real().now().micros();
                let (status, answer) = client.send(&request).await?;
                ensure!(status.is_success(), "Invoke: {status} {}", String::from_utf8_lossy(&answer));
                until(asked, &serde_json::from_slice(&answer)?)
            })
        });
        let mut entered = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            entered.push(call.await??);
        }
        Ok(entered)
    }
}

/// From when it was asked, in microseconds, to what the handler says was its first line.
fn until(asked: i64, entered: &Value) -> Result<Duration> {
    let entered = (entered.as_f64().with_context(|| format!("a time, not {entered}"))? * 1e6) as u64;
    Ok(Duration::from_micros(entered.saturating_sub(asked as u64)))
}

/// From a request that needs a new process to the handler's first line, beside what starting that process took; and the same
/// of many requests at once while one process stands ready.
pub async fn cold_start(binary: &Path, dir: &Path) -> Result<()> {
    let mut lab = Lab::open(binary, dir, &[]).await?;
    lab.function(BOTO3).await?;
    let mut starts = Starts::default();
    for round in 0..ROUNDS {
        lab.start_anew(round, Duration::from_secs(3), &mut starts).await?;
    }
    let (mut burst, mut last) = (Vec::new(), Vec::new());
    for round in 0..BURSTS {
        lab.renew(ROUNDS + round, Duration::from_secs(3)).await?;
        let entered = lab.burst().await?;
        last.extend(entered.iter().max());
        burst.extend(entered);
    }
    let rows = vec![
        row("request -> handler, process started ahead", &mut starts.entered, "30 ms"),
        row("its start: what the request would have waited for", &mut starts.started, ""),
        row(&format!("{BURST} requests at once, one process ready"), &mut burst, ""),
        row("  the last of them", &mut last, ""),
    ];
    stats::table(
        &format!("Cold start, Python with boto3, {ROUNDS} rounds, {BURSTS} of many at once"),
        &["", "p50", "p99", "goal: under"],
        rows,
    );
    Ok(())
}

/// How much later a process asks for work because it is confined: both kinds of server in turn.
pub async fn sandbox(binary: &Path, dir: &Path) -> Result<()> {
    let (mut confined, mut free) = (Starts::default(), Starts::default());
    let mut labs = [
        (Lab::open(binary, dir, &["--sandbox", "best"]).await?, &mut confined),
        (Lab::open(binary, dir, &["--sandbox", "off"]).await?, &mut free),
    ];
    for (lab, _) in &mut labs {
        lab.function(CLOCK).await?;
    }
    for round in 0..ROUNDS {
        for (lab, starts) in &mut labs {
            lab.start_anew(round, Duration::from_secs(1), starts).await?;
        }
    }
    let mut rows = vec![row("confined", &mut confined.started, ""), row("--sandbox off", &mut free.started, "")];
    let more = stats::percentile(&confined.started, 0.5).saturating_sub(stats::percentile(&free.started, 0.5));
    rows.push(vec!["the sandbox".into(), stats::ms(more), String::new(), "10 ms".into()]);
    let title = format!("Start of a Python process, {ROUNDS} of each in turn");
    stats::table(&title, &["", "p50", "p99", "goal: under"], rows);
    Ok(())
}

/// What an invocation costs above handing it to the same client by hand: of a process that has nothing to do, and of one that
/// is given one after the other, where each round takes in that the client asks for the next.
pub async fn dispatch(binary: &Path, dir: &Path) -> Result<()> {
    let mut lab = Lab::open(binary, dir, &[]).await?;
    lab.function(NOTHING).await?;
    let mut rows = Vec::new();
    for (name, pause) in [("idle process", PAUSE), ("one after the other", Duration::ZERO)] {
        let address = lab.server.address;
        let mut whole = tokio::spawn(invocations(address, pause)).await??;
        let place = dir.to_owned();
        let mut bare = tokio::task::spawn_blocking(move || by_hand(&place, pause)).await??;
        rows.push(row(&format!("{name}: Invoke over HTTP, signed"), &mut whole, ""));
        rows.push(row(&format!("{name}: bare Runtime API"), &mut bare, ""));
        let above = stats::percentile(&whole, 0.5).saturating_sub(stats::percentile(&bare, 0.5));
        rows.push(vec!["  above it".into(), stats::ms(above), String::new(), "0.3 ms".into()]);
    }
    stats::table(
        &format!("An invocation that does nothing, {INVOCATIONS} times each way"),
        &["", "p50", "p99", "goal: under"],
        rows,
    );
    drop(lab.server);
    Ok(())
}

/// How long invocations take that the same connection asks for. A task of its own: what hops between threads of the load
/// generator would be measured, too.
async fn invocations(address: SocketAddr, pause: Duration) -> Result<Vec<Duration>> {
    let mut client = Client::connect(address).await?;
    let host = address.to_string();
    let request = sign::request(&host, "lambda", "POST", INVOKE, &[], Bytes::from("{}"));
    let mut times = Vec::new();
    for number in 0..INVOCATIONS + 50 {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let (status, answer) = client.send(&request).await?;
        ensure!(status.is_success(), "Invoke: {status} {}", String::from_utf8_lossy(&answer));
        if number >= 50 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Runtime API by hand: no checks, no log, one connection. From an event to the response, or without a pause between
/// them from one event to the next.
fn by_hand(dir: &Path, pause: Duration) -> Result<Vec<Duration>> {
    let task = tempfile::Builder::new().prefix("bench-").tempdir_in(dir)?;
    std::fs::write(task.path().join("handler.py"), NOTHING)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let python = std::fs::read_dir(runtimes()?)?
        .flatten()
        .map(|entry| entry.path().join("bin/python"))
        .find(|path| path.exists())
        .context("the Python runtime is prepared")?;
    let address = listener.local_addr()?.to_string();
    let mut command = Command::new(python);
    command.args(["-m", "awslambdaric", "handler.handler"]).current_dir(task.path());
    let _child = Killed(command.env("AWS_LAMBDA_RUNTIME_API", address).spawn()?);
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let (ok, event) = ("HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}", "{}");
    let (mut times, mut before) = (Vec::new(), None);
    for number in 0..INVOCATIONS + 50 {
        request(&mut stream)?;
        let deadline = world::World::real().now().millis() + 30_000;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {number}\r\n\
             Lambda-Runtime-Deadline-Ms: {deadline}\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        std::thread::sleep(pause);
        let now = Instant::now();
        let begun = if pause.is_zero() { before.replace(now) } else { Some(now) };
        stream.write_all(answer.as_bytes())?;
        request(&mut stream)?;
        if let Some(begun) = begun.filter(|_| number >= 50) {
            times.push(if pause.is_zero() { now - begun } else { begun.elapsed() });
        }
        stream.write_all(ok.as_bytes())?;
    }
    Ok(times)
}

/// Reads one request to its end.
fn request(stream: &mut TcpStream) -> Result<()> {
    let mut have = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        ensure!(read > 0, "the client closed its connection");
        have.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&have).to_lowercase();
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length = text[..end].split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if have.len() >= end + 4 + length.unwrap_or("0").trim().parse::<usize>()? {
            return Ok(());
        }
    }
}

const RECORDS: usize = 100_000;

/// A stream of four shards through a function that does nothing.
pub async fn mapping(binary: &Path, dir: &Path) -> Result<()> {
    let mut lab = Lab::open(binary, dir, &["--limits", "off"]).await?;
    let host = lab.host.clone();
    let target = |name: &str| format!("Kinesis_20131202.{name}");
    let create = json!({"StreamName": "s", "ShardCount": 4});
    lab.client.ask(&host, "kinesis", "1.1", &target("CreateStream"), create).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.function(NOTHING).await?;
    let data = STANDARD.encode([b'x'; 1024]);
    for batch in 0..RECORDS / 500 {
        let record = |i: usize| json!({"Data": data, "PartitionKey": format!("{batch}-{i}")});
        let put = json!({"StreamName": "s", "Records": (0..500).map(record).collect::<Vec<_>>()});
        let answer = lab.client.ask(&host, "kinesis", "1.1", &target("PutRecords"), put).await?;
        ensure!(answer["FailedRecordCount"] == 0, "PutRecords: {answer}");
    }
    let before = lab.server.processor_time()?;
    let begun = Instant::now();
    let create = json!({"FunctionName": "f", "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "StartingPosition": "TRIM_HORIZON", "BatchSize": 1000, "MetricsConfig": {"Metrics": ["EventCount"]}});
    lab.rest("POST", "/2015-03-31/event-source-mappings", &create.to_string()).await?;
    // The age of a batch's last record is told when the function is through with it: each batch counts once.
    while lab.metric("aws_lambda_iteratorage_milliseconds_count").await? < (RECORDS / 1000) as f64 {
        ensure!(begun.elapsed() < Duration::from_secs(120), "the stream was not read: {}", lab.server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let taken = begun.elapsed();
    let own = lab.server.processor_time()? - before;
    let rows = vec![
        vec!["time, the first start of processes included".into(), stats::ms(taken), "3000 ms".into()],
        vec!["processor time of the server".into(), stats::ms(own), String::new()],
        vec!["records a second".into(), format!("{:.0}", RECORDS as f64 / taken.as_secs_f64()), String::new()],
    ];
    let title = "100,000 records of 1 KiB, 4 shards, batches of 1,000, a Python function that does nothing";
    stats::table(title, &["", "measured", "goal: under"], rows);
    Ok(())
}
