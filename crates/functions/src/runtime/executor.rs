use super::managed::Managed;
use super::pool::Pool;
use super::sandbox::{Gone, House, Order};
use super::{
    Chunk, FunctionSpec, IDLE, Invocation, InvokeError, InvokeOutcome, Kept, LogSink, MAX_CONCURRENCY, MAX_PROCESSES,
};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use world::World;
use world::net::HttpService;

/// How often an invocation looks for another process where the one that took it had just ended.
const ATTEMPTS: usize = 4;

/// How much functions may take of the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the temporary directories of processes are made.
    pub scratch_dir: PathBuf,
    /// Invocations at once, of all functions together.
    pub max_concurrency: usize,
    /// The sum of the memory sizes of all processes, in MB; idle ones give way. Files in `/tmp` are not promised
    /// beforehand, for few write any: what all really hold is looked at, and may not be more than this either.
    pub max_memory_mb: u64,
    /// Processes and threads of one function's group.
    pub max_processes: u64,
    /// How long an idle process is kept.
    pub idle: Duration,
    /// Whether processes are confined, by all that the machine offers for it.
    pub confined: bool,
    /// Whom a confined process may talk to.
    pub network: Network,
    /// Whether functions are as slow as Lambda makes them: processor time in proportion to memory, and what follows the
    /// first megabytes of a response in pieces.
    pub limited: bool,
}

/// Whom functions may talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The endpoint, and nobody else.
    #[default]
    Endpoint,
    /// Everybody whom this machine reaches.
    All,
}

/// What answers at the endpoint when a function calls it from a network of its own.
pub struct Door {
    /// It knows that functions ask.
    pub service: Arc<dyn HttpService>,
    /// Certificate chain and key, where the endpoint has them.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Options {
    /// Lambda's own limits, and `max_memory_mb` for all processes.
    pub fn new(scratch_dir: PathBuf, max_memory_mb: u64) -> Options {
        Options {
            scratch_dir,
            max_concurrency: MAX_CONCURRENCY,
            max_memory_mb,
            max_processes: MAX_PROCESSES,
            idle: IDLE,
            confined: true,
            network: Network::Endpoint,
            limited: true,
        }
    }
}

/// Runs functions.
pub struct Executor {
    house: Arc<House>,
}

impl Executor {
    /// An executor without processes; they start as functions are invoked. What a dead server left in
    /// `options.scratch_dir` is removed, so nobody else may be using that directory.
    pub fn new(world: World, options: Options, managed: Arc<Managed>, logs: Arc<dyn LogSink>) -> Executor {
        match std::fs::remove_dir_all(&options.scratch_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove temporary directories of functions");
            }
            _ => {}
        }
        // More at once would all be ready as late as the last.
        let max_starts = world.processes.processors();
        let pool = Pool::new(options.max_concurrency, options.max_memory_mb, max_starts);
        Executor { house: Arc::new(House { world, options, managed, logs, pool, door: OnceLock::new() }) }
    }

    /// Says who answers functions that call the endpoint from a network of their own. Before the first is invoked.
    pub fn connect(&self, door: Door) {
        let _ = self.house.door.set(door);
    }

    /// Runs a function once. It runs to its end even where the caller stops waiting. A response that comes in pieces goes
    /// into `sink`, where there is one; the function waits for who takes them. Otherwise it is part of the outcome.
    pub async fn invoke(
        &self,
        spec: &Arc<FunctionSpec>,
        invocation: Invocation,
        sink: Option<mpsc::Sender<Chunk>>,
    ) -> Result<InvokeOutcome, InvokeError> {
        for _ in 0..ATTEMPTS {
            let (answer, answered) = oneshot::channel();
            let order = Order { invocation: invocation.clone(), spec: spec.clone(), answer, sink: sink.clone() };
            let now = self.house.world.now();
            let place = self.house.pool.place(spec, order, now).map_err(InvokeError::TooManyRequests)?;
            if let Some(place) = place {
                self.house.launch(place, spec, false);
            }
            self.house.grow(spec);
            match answered.await {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(Gone)) => {}
                Err(_) => break,
            }
        }
        Err(InvokeError::Unavailable)
    }

    /// Starts processes before they are needed, until `want` of a version are free and what runs ahead takes a quarter
    /// of all memory: who comes then finds the code loaded. How many were started.
    pub fn ahead(&self, spec: &Arc<FunctionSpec>, want: usize) -> usize {
        self.house.ahead(spec, want)
    }

    /// Ends the processes of a function: idle ones now, the others after their invocation.
    pub fn retire(&self, name: &str) {
        self.house.pool.retire(name);
    }

    /// The same of one version.
    pub fn retire_version(&self, name: &str, version: &str) {
        self.house.pool.retire_version(name, version);
    }

    /// Sets how many processes of which versions are always kept; [`Executor::fill`] starts what is missing.
    pub fn keep(&self, all: impl Iterator<Item = (String, String, usize)>) {
        self.house.pool.keep(all);
    }

    /// Starts processes until there are `want` of a version, as far as there is memory.
    pub fn fill(&self, spec: &Arc<FunctionSpec>, want: usize) {
        while let Some(place) = self.house.pool.open_kept(spec, want) {
            self.house.launch(place, spec, true);
        }
    }

    /// What there is of a version.
    pub fn kept(&self, name: &str, version: &str) -> Kept {
        self.house.pool.kept(name, version)
    }

    /// Resolves when a process has ended where some are kept, or [`Executor::look_at_kept`] was called.
    pub async fn kept_changed(&self) {
        self.house.pool.changed.notified().await;
    }

    /// What is to be kept may have changed.
    pub fn look_at_kept(&self) {
        self.house.pool.changed.notify_one();
    }

    /// What keeps functions less to themselves here than it could be, in words for a person.
    pub fn missing(&self) -> Vec<String> {
        if self.house.options.confined {
            self.house.world.processes.offers().missing
        } else {
            vec!["sandbox: functions are not confined, as the server was told".to_owned()]
        }
    }

    /// Sets how many invocations functions without a reservation may share.
    pub fn limit_unreserved(&self, most: usize) {
        self.house.pool.limit_unreserved(most);
    }

    /// Invocations of functions without a reservation.
    pub fn unreserved(&self) -> usize {
        self.house.pool.unreserved()
    }

    /// How many processes there are, and how many of them are running an invocation.
    pub fn processes(&self) -> (usize, usize) {
        self.house.pool.count(None)
    }

    /// The same of one function.
    pub fn processes_of(&self, name: &str) -> (usize, usize) {
        self.house.pool.count(Some(name))
    }
}
