//! Measures Headwater against the limits of the machine it runs on, side by side in one run.
//!
//! `cargo run --release -p bench -- all` prints every figure; each subcommand prints its own. Figures are ratios first:
//! absolute numbers mean nothing on a shared machine.

mod discard;
mod events;
mod fanout;
mod http;
mod journal;
mod lambda;
mod matching;
mod pipeline;
mod queues;
mod scale;
mod server;
mod sign;
mod stats;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
struct Bench {
    #[command(subcommand)]
    what: What,
    /// Seconds each figure is measured for
    #[arg(long, default_value_t = 5, global = true)]
    seconds: u64,
    /// The headwater binary
    #[arg(long, default_value = "target/release/headwater", global = true)]
    headwater: PathBuf,
    /// The one family of rules that `matching` measures
    #[arg(long, global = true)]
    family: Option<String>,
    /// The records that `size` stores
    #[arg(long, default_value_t = 100_000_000, global = true)]
    records: u64,
    /// Where data directories are made
    #[arg(long, default_value = "target/bench", global = true)]
    dir: PathBuf,
}

#[derive(Subcommand, Clone, Copy, PartialEq)]
enum What {
    /// The journal against bare writes and fdatasync
    Journal,
    /// PutRecords, PutRecord and GetRecords against the journal and a server that discards what it gets
    Streams,
    /// PutRecord alone, for a profiler
    PutRecord,
    /// PutRecords alone, for a profiler
    PutRecords,
    /// GetRecords alone, for a profiler
    GetRecords,
    /// From putting a record to seeing it through SubscribeToShard
    Fanout,
    /// From the answer to TerminateInstances to the text message
    Pipeline,
    /// From a request that needs a new process to the handler
    ColdStart,
    /// Starts of confined processes against those of unconfined ones
    Sandbox,
    /// An invocation against the bare Runtime API
    Dispatch,
    /// A stream through a function
    Mapping,
    /// Events a second against thousands of rules, beside another matcher
    Matching,
    /// PutEvents to a stream through a hundred rules
    Events,
    /// Send, receive and delete in batches of ten
    Queues,
    /// What ten million messages in a queue cost in memory
    QueueBacklog,
    /// Streams of 1 to 10,000 shards: writing, memory, restart
    Shards,
    /// A hundred million records of 100 bytes: memory, restart, look-up by time
    Size,
    /// Start to ready, and memory when idle
    Startup,
    /// Everything
    All,
    /// A server that discards the bodies of requests (started by `streams`)
    #[command(hide = true)]
    DiscardServer,
}

fn main() -> Result<()> {
    let bench = Bench::parse();
    std::fs::create_dir_all(&bench.dir)?;
    let time = Duration::from_secs(bench.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let wants = |what: What| bench.what == what || bench.what == What::All;
        if bench.what == What::DiscardServer {
            return discard::run().await;
        }
        if wants(What::Startup) {
            server::startup(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::Matching) {
            matching::run(time, bench.family.as_deref())?;
        }
        if wants(What::Journal) {
            let dir = bench.dir.clone();
            tokio::task::spawn_blocking(move || journal::run(&dir, time)).await??;
        }
        if wants(What::Streams) {
            http::run(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::PutRecord {
            http::put_single(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::PutRecords {
            http::put_alone(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::GetRecords {
            http::get_alone(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::Shards {
            scale::shards(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::Size {
            scale::size(&bench.headwater, &bench.dir, bench.records).await?;
        }
        if wants(What::Events) {
            events::run(&bench.headwater, &bench.dir, time).await?;
        }
        if wants(What::Queues) {
            queues::run(&bench.headwater, &bench.dir, time).await?;
        }
        if bench.what == What::QueueBacklog {
            queues::backlog(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::Fanout) {
            fanout::run(&bench.headwater, &bench.dir, time).await?;
        }
        if wants(What::Pipeline) {
            pipeline::run(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::ColdStart) {
            lambda::cold_start(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::Sandbox) {
            lambda::sandbox(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::Dispatch) {
            lambda::dispatch(&bench.headwater, &bench.dir).await?;
        }
        if wants(What::Mapping) {
            lambda::mapping(&bench.headwater, &bench.dir).await?;
        }
        Ok(())
    })
}
