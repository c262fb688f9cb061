//! `headwater demo`: a private server, the security pipeline end to end with real boto3 code, a timeline of every hop.

mod table;

use crate::cli::{DemoArgs, Durability, LimitsMode, LogFormat};
use crate::config::{self, Credentials, Settings};
use crate::out::say;
use crate::serve;
use anyhow::{Context, Result, bail};
use functions::runtime::{Progress, python};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use world::World;
use world::processes::{Exit, Spawn};

const PIPELINE: &str = include_str!("../../../../examples/security-pipeline/pipeline.py");
const HANDLER: &str = include_str!("../../../../examples/security-pipeline/handler.py");

pub async fn run(args: DemoArgs) -> Result<()> {
    let world = serve::world()?;
    let runtimes = match &args.runtimes {
        Some(dir) => std::path::absolute(dir)?,
        None => config::platform_dir("XDG_CACHE_HOME", ".cache")?.join("runtimes"),
    };
    let python = prepare(&world, &runtimes).await?;
    let room = tempfile::Builder::new().prefix("headwater-demo-").tempdir().context("cannot make a directory")?;
    let settings = Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: room.path().join("data"),
        home: names::Home::default(),
        durability: Durability::Fsync,
        limits: LimitsMode::Aws,
        tls: None,
        runtimes,
        log_format: LogFormat::Text,
        credentials: Credentials { access_key_id: "test".into(), secret_access_key: "test".into() },
        topics: topics::TopicsOptions::default(),
        sandbox: crate::cli::SandboxMode::Best,
        network: crate::cli::FunctionNetwork::Endpoint,
        streams_settle: None,
        delivery: delivery::Options::default(),
        encryption: None,
    };
    let server = serve::start(world.clone(), &settings).await?;
    let endpoint = format!("http://{}", server.address);
    let played = play(&world, &python, room.path(), &endpoint, args.json).await;
    let result = match played {
        Ok(done) if args.json => {
            say!("{}", serde_json::to_string_pretty(&done)?);
            Ok(())
        }
        Ok(done) => {
            table::show(&done, &endpoint, args.keep);
            Ok(())
        }
        Err(error) => Err(error),
    };
    if args.keep && result.is_ok() {
        eprintln!("serving at {endpoint} until Ctrl-C");
        serve::interrupted().await?;
    }
    server.stop().await;
    result
}

fn bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn step(&self, step: &str, fraction: f64) {
        self.0.set_position((fraction * 100.0) as u64);
        self.0.set_message(step.to_owned());
    }
}

/// The Python environment, made on first use: half a minute that a person should see pass.
async fn prepare(world: &World, runtimes: &Path) -> Result<PathBuf> {
    let bar = ProgressBar::new(100);
    let style = ProgressStyle::with_template("{bar:32.cyan/dim} {percent:>3} % {wide_msg} {elapsed:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let runtime = python::PythonRuntime::new(world.clone(), runtimes.to_owned(), config::environment());
    let environment = runtime.ready(&Bar(bar.clone())).await;
    bar.finish_and_clear();
    Ok(environment?.python.clone())
}

/// Runs the pipeline's script and returns what it found.
async fn play(world: &World, python: &Path, room: &Path, endpoint: &str, quiet: bool) -> Result<Value> {
    let script = room.join("pipeline.py");
    world.disk.replace(&script, PIPELINE.as_bytes())?;
    world.disk.replace(&room.join("handler.py"), HANDLER.as_bytes())?;
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let mut child = world.processes.spawn(Spawn {
        program: python.to_owned(),
        args: vec!["-u".into(), script.display().to_string()],
        env: vec![
            pair("PATH", "/usr/local/bin:/usr/bin:/bin"),
            pair("HOME", &room.display().to_string()),
            pair("AWS_ENDPOINT_URL", endpoint),
            pair("AWS_ACCESS_KEY_ID", "test"),
            pair("AWS_SECRET_ACCESS_KEY", "test"),
            pair("AWS_DEFAULT_REGION", "us-east-1"),
            pair("AWS_EC2_METADATA_DISABLED", "true"),
        ],
        cwd: room.to_owned(),
        ..Spawn::default()
    })?;
    let bar = bar(quiet);
    let mut lines = child.output();
    let mut rest = Vec::new();
    let mut outcome = None;
    while let Some(line) = lines.line().await {
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            rest.push(line.text);
            continue;
        };
        if let Some(step) = said["step"].as_str() {
            bar.println(format!("  {step}"));
            bar.set_message(step.to_owned());
        } else if let Some(why) = said["failed"].as_str() {
            outcome = Some(Err(anyhow::anyhow!("a hop failed: {why}")));
        } else if said["done"].is_object() {
            outcome = Some(Ok(said["done"].clone()));
        }
    }
    let exit = child.wait().await?;
    bar.finish_and_clear();
    match outcome {
        Some(outcome) => outcome,
        None if exit == Exit::Code(0) => bail!("the pipeline's script said nothing at its end"),
        None => bail!("the pipeline's script ended with {exit:?}\n{}", rest.join("\n")),
    }
}
