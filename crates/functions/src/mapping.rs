//! Runs event source mappings: walks the stream's shards and invokes, in order, a failing batch blocking its shard and
//! no other, until it succeeds or its records expire.

use crate::api::invoke::PRINCIPAL;
use crate::event::{self, Origin};
use crate::functions::Functions;
use crate::limits;
use crate::state::{From, Mapping, State};
use consume::{Checkpoints, Gather, Handler, Progress, Source, Start, Turn, Walker};
use delivery::{Backoff, Envelope, Ordered, RetryPolicy, attribute};
use names::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use world::{BoxFuture, Stage, Stop};

/// The mappings that run.
pub(crate) struct Mappings {
    pub(crate) checkpoints: Arc<Checkpoints>,
    running: Mutex<HashMap<String, Running>>,
}

/// One that runs.
#[derive(Clone)]
pub(crate) struct Running {
    /// Set to end it.
    cancel: watch::Sender<bool>,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

/// What it came to so far.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `LastProcessingResult`.
    pub(crate) result: String,
    /// Age of the last processed record when it was processed.
    pub(crate) lag: Duration,
}

impl Mappings {
    pub(crate) fn new(checkpoints: Arc<Checkpoints>) -> Mappings {
        Mappings { checkpoints, running: Mutex::default() }
    }

    /// One that runs.
    pub(crate) fn get(&self, uuid: &str) -> Option<Running> {
        self.running.lock().expect("no panic holds this lock").get(uuid).cloned()
    }
}

pub(crate) fn start_of(from: From) -> Start {
    match from {
        From::TrimHorizon => Start::TrimHorizon,
        From::Latest => Start::Latest,
        From::At(at) => Start::At(at),
    }
}

impl Functions {
    pub(crate) fn walker(&self, mapping: &Mapping, source: Arc<dyn Source>) -> Walker {
        let checkpoints = self.mappings.checkpoints.clone();
        Walker::new(self.world.clone(), checkpoints, mapping.uuid.clone(), source, start_of(mapping.from))
    }

    /// Makes what runs what the catalog says: ends the mapping's task, whose batch in flight may be seen again, and starts
    /// one where the mapping exists and is enabled. Calls that change one mapping at the same time may come here in any
    /// order; the last of them sees the last state.
    pub(crate) fn settle_mapping(self: &Arc<Self>, uuid: &str) {
        let mut running = self.mappings.running.lock().expect("no panic holds this lock");
        if let Some(old) = running.remove(uuid) {
            old.cancel.send_replace(true);
        }
        let wanted = |state: &State| state.mappings.get(uuid).filter(|mapping| mapping.enabled).cloned();
        let Some(mapping) = self.catalog.read(wanted) else { return };
        let seen = Arc::new(Mutex::new(Seen { result: "No records processed".to_owned(), lag: Duration::ZERO }));
        let (cancel, cancelled) = watch::channel(false);
        running.insert(uuid.to_owned(), Running { cancel, seen: seen.clone() });
        let functions = self.clone();
        let name = format!("mapping {} -> {}", mapping.source, mapping.function);
        self.world.tasks.spawn(Stage::Sources, name, move |stop| async move {
            run(functions, mapping, seen, cancelled, stop).await;
        });
    }
}

async fn run(
    functions: Arc<Functions>,
    mapping: Mapping,
    seen: Arc<Mutex<Seen>>,
    mut cancelled: watch::Receiver<bool>,
    stop: Stop,
) {
    let Some(source) = functions.neighbours.source(&mapping.source) else {
        let problem = "PROBLEM: The stream does not exist.".to_owned();
        seen.lock().expect("no panic holds this lock").result = problem;
        return;
    };
    let gather = Gather {
        records: mapping.batch_size as usize,
        // Base64 makes four bytes of three, and each record has its envelope; what is still too much is split.
        bytes: limits::SYNC_PAYLOAD / 4 * 3,
        window: Duration::from_secs(u64::from(mapping.window_s)),
        lanes: 1,
    };
    let walker = functions.walker(&mapping, source.clone());
    let mapping = Arc::new(mapping);
    let batches = Batches { functions, mapping: mapping.clone(), source, seen: seen.clone(), stop: stop.clone() };
    let mut stop = stop;
    let ended = tokio::select! {
        biased;
        _ = cancelled.wait_for(|c| *c) => Ok(()),
        ended = walker.run(async { stop.wait().await }, gather, &batches) => ended,
    };
    if let Err(error) = ended {
        tracing::warn!(mapping = %mapping.uuid, %error, "an event source mapping ended");
        seen.lock().expect("no panic holds this lock").result = format!("PROBLEM: {error}");
    }
}

/// Makes batches of turns.
struct Batches {
    functions: Arc<Functions>,
    mapping: Arc<Mapping>,
    source: Arc<dyn Source>,
    seen: Arc<Mutex<Seen>>,
    stop: Stop,
}

impl Handler for Batches {
    fn handle<'a>(&'a self, turn: Turn) -> BoxFuture<'a, Progress> {
        let batch = Batch {
            functions: self.functions.clone(),
            mapping: self.mapping.clone(),
            source: self.source.clone(),
            seen: self.seen.clone(),
            stop: self.stop.clone(),
        };
        Box::pin(batch.process(turn))
    }
}

/// What the processing of one batch needs.
struct Batch {
    functions: Arc<Functions>,
    mapping: Arc<Mapping>,
    source: Arc<dyn Source>,
    seen: Arc<Mutex<Seen>>,
    stop: Stop,
}

impl Batch {
    async fn process(mut self, turn: Turn) -> Progress {
        let (shard, chunk) = (&*turn.shard, &turn);
        let mut done = 0;
        while done < chunk.records.len() {
            // Looked up for every batch: an update of the function or its deletion takes effect at once.
            let function = self.functions.catalog.read(|state| state.functions.get(&self.mapping.function).cloned());
            let role = function.as_ref().map_or_else(|| self.mapping.source.clone(), |f| f.role.clone());
            let origin = Origin { stream: &self.mapping.source, shard, role: &role };
            let rest = &chunk.records[done..];
            let Some((body, count)) = event::payloads(&origin, rest, limits::SYNC_PAYLOAD).into_iter().next() else {
                break;
            };
            let last = &rest[count - 1];
            let envelope = self.envelope(body);
            match self.deliver(&envelope, shard, last.position).await {
                Ordered::Accepted(_) => self.note("OK", last.at),
                Ordered::GaveUp { code, why, tries } => {
                    tracing::warn!(mapping = %self.mapping.uuid, shard, code, why, tries, "a batch expired before it succeeded");
                }
                Ordered::Stopped => return Progress::Stop,
            }
            turn.reach(last.position + 1);
            done += count;
        }
        Progress::Done
    }

    async fn deliver(&mut self, envelope: &Envelope, shard: &str, last: u64) -> Ordered {
        let (source, seen, clock) = (self.source.clone(), self.seen.clone(), self.functions.world.clock.clone());
        let (mapping, functions) = (self.mapping.clone(), self.functions.clone());
        let mut warned = None;
        let give_up = move |tries: u32, verdict: &delivery::Verdict| {
            let (code, why) = match verdict {
                delivery::Verdict::Again { code, why, .. } | delivery::Verdict::Refused { code, why } => (code, why),
                delivery::Verdict::Accepted(_) => return false,
            };
            let now = clock.now();
            if warned.is_none_or(|at: Timestamp| now.since(at) > Duration::from_secs(60)) {
                tracing::warn!(mapping = %mapping.uuid, code, why, tries, "a batch failed and blocks its shard");
                warned = Some(now);
            }
            let problem = match functions.catalog.read(|state| state.functions.contains_key(&mapping.function)) {
                true => "PROBLEM: Function call failed",
                // The batch waits for it: a function that is made anew goes on where the old one stopped.
                false => "PROBLEM: The function does not exist.",
            };
            seen.lock().expect("no panic holds this lock").result = problem.to_owned();
            // The oldest record still kept is newer than all of the batch: it has expired.
            source.start_at(shard, Start::TrimHorizon).is_ok_and(|oldest| oldest > last)
        };
        self.functions.delivery.in_order(envelope, &mut self.stop, give_up).await
    }

    fn note(&self, result: &str, at: Timestamp) {
        let mut seen = self.seen.lock().expect("no panic holds this lock");
        seen.result = result.to_owned();
        seen.lag = self.functions.world.now().since(at);
    }

    fn envelope(&self, body: bytes::Bytes) -> Envelope {
        let world = &self.functions.world;
        let to = self.functions.home.arn("lambda", &format!("function:{}", self.mapping.function));
        Envelope {
            id: world.uuid(),
            to,
            body,
            attributes: BTreeMap::from([(attribute::INVOCATION.to_owned(), "RequestResponse".to_owned())]),
            from: Some(self.mapping.source.clone()),
            principal: PRINCIPAL.to_owned(),
            role: None,
            policy: RetryPolicy {
                max_attempts: u32::MAX,
                max_age: Duration::MAX,
                backoff: Backoff { first: limits::RETRY_FIRST, factor: 2.0, cap: limits::RETRY_CAP, jitter: true },
            },
            dead_letter: None,
            trace: None,
            not_before: None,
            created: world.now(),
        }
    }
}

#[cfg(test)]
mod tests;
