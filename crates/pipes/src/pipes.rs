use crate::aim::PRINCIPAL;
use crate::api;
use crate::running::Registry;
use crate::settings::Pipe;
use crate::signals;
use crate::state::State;
use consume::{Checkpoints, Inbox, Source, Walker};
use delivery::Delivery;
use names::{Arn, Home};
use policies::Identities;
use serde::Serialize;
use shapes::pipes::PipeState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use store::{Catalog, Store, StoreError};
use wire::Service;
use world::{Series, World};

/// What the room needs of other rooms; the binary wires it.
pub trait Neighbours: Identities {
    /// The stream behind an ARN.
    fn source(&self, arn: &Arn) -> Option<Arc<dyn Source>>;
    /// The queue behind an ARN.
    fn inbox(&self, arn: &Arn) -> Option<Arc<dyn Inbox>>;
}

/// All pipes of a house.
pub struct Pipes {
    pub(crate) world: World,
    pub(crate) home: Home,
    pub(crate) catalog: Arc<Catalog<State>>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) neighbours: Arc<dyn Neighbours>,
    pub(crate) registry: Registry,
    /// Executions that are under way.
    executing: AtomicU64,
    concurrency: Arc<Series>,
}

/// A pipe as operators see it; counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipeStatus {
    /// Its name.
    pub name: String,
    /// Its state, in AWS's word.
    pub state: &'static str,
    /// What it reads.
    pub source: Arn,
    /// Where it sends.
    pub target: Arn,
    /// Executions.
    pub executions: u64,
    /// Those of which some events failed.
    pub failures: u64,
    /// What the last one failed on.
    pub last_error: Option<String>,
}

impl Pipes {
    /// Opens what the store holds. Nothing runs yet.
    pub async fn open(
        world: World,
        home: Home,
        store: &Store,
        delivery: Arc<Delivery>,
        checkpoints: Arc<Checkpoints>,
        neighbours: Arc<dyn Neighbours>,
    ) -> Result<Arc<Pipes>, StoreError> {
        let catalog = Catalog::<State>::open(store, "pipes").await?;
        let known: Vec<String> = catalog.read(|state| state.pipes.values().map(Pipe::consumer).collect());
        // A crash came between the end of a pipe and this.
        for consumer in checkpoints.consumers() {
            if consumer.starts_with("pipe/") && !known.contains(&consumer) {
                checkpoints.forget(&consumer).await?;
            }
        }
        let (registry, executing) = (Registry::default(), AtomicU64::new(0));
        let concurrency = signals::concurrency(&world, &home);
        let pipes = Pipes { world, home, catalog, delivery, checkpoints, neighbours, registry, executing, concurrency };
        Ok(Arc::new(pipes))
    }

    /// The asked door: the table of handlers.
    pub fn service(self: &Arc<Self>) -> Service {
        api::service(self)
    }

    /// The woken door: pipes go on where they stopped.
    pub fn start(self: &Arc<Self>) {
        let names: Vec<String> = self.catalog.read(|state| state.pipes.keys().cloned().collect());
        for name in names {
            self.settle(&name, PipeState::Starting, None);
        }
    }

    /// Every pipe.
    pub fn status(&self) -> Vec<PipeStatus> {
        let pipes: Vec<Pipe> = self.catalog.read(|state| state.pipes.values().cloned().collect());
        let shown = pipes.into_iter().map(|pipe| {
            let seen = self.registry.seen(&pipe.name);
            let (executions, failures) = seen.as_ref().map_or((0, 0), |seen| (seen.executions, seen.failures));
            PipeStatus {
                state: seen.as_ref().map_or(PipeState::Stopped, |seen| seen.state).as_str(),
                last_error: pipe.halted.clone().or_else(|| seen?.failing),
                name: pipe.name,
                source: pipe.source,
                target: pipe.target.arn,
                executions,
                failures,
            }
        });
        shown.collect()
    }

    /// An execution begins.
    pub(crate) fn enter(&self) {
        self.concurrency.record(self.executing.fetch_add(1, Relaxed) + 1);
    }

    /// An execution ended.
    pub(crate) fn leave(&self) {
        self.executing.fetch_sub(1, Relaxed);
    }

    /// Takes on the role of a pipe; or why not.
    pub(crate) fn assume(&self, name: &str, role: &Arn) -> Result<(), String> {
        self.neighbours.assume(role, PRINCIPAL, Some(&self.arn(name)))
    }

    pub(crate) fn arn(&self, name: &str) -> Arn {
        self.home.arn("pipes", &format!("pipe/{name}"))
    }

    pub(crate) fn walker(&self, pipe: &Pipe, source: Arc<dyn Source>) -> Walker {
        let checkpoints = self.checkpoints.clone();
        Walker::new(self.world.clone(), checkpoints, pipe.consumer(), source, pipe.reading.start)
    }
}
