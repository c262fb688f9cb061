//! Which runtimes there are, and whether they are ready.

use crate::runtime::python::{Progress, PythonRuntime};
use crate::runtime::{Runtime, UnknownRuntime};
use std::sync::{Arc, Mutex};
use world::{Stage, World};

/// Whether functions of a runtime can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// They can.
    Ready,
    /// Soon: what is being done for it.
    Preparing(String),
    /// They cannot, and why.
    Failed(String),
}

/// The managed runtimes of a server. `provided` ones need nothing.
pub(crate) struct Runtimes {
    world: World,
    python: Arc<PythonRuntime>,
    seen: Arc<Seen>,
}

struct Seen(Mutex<Option<Readiness>>);

impl Seen {
    fn set(&self, readiness: Readiness) {
        *self.0.lock().expect("no panic holds this lock") = Some(readiness);
    }
}

impl Progress for Seen {
    fn step(&self, step: &str, _fraction: f64) {
        tracing::info!(step, "preparing the Python runtime");
        self.set(Readiness::Preparing(step.to_owned()));
    }
}

impl Runtimes {
    pub(crate) fn new(world: World, python: Arc<PythonRuntime>) -> Runtimes {
        Runtimes { world, python, seen: Arc::new(Seen(Mutex::new(None))) }
    }

    /// Whether a runtime's name is served.
    pub(crate) fn accept(&self, name: &str) -> Result<Runtime, UnknownRuntime> {
        Runtime::parse(name)
    }

    /// How far a runtime is.
    pub(crate) fn readiness(&self, name: &str) -> Readiness {
        match Runtime::parse(name) {
            Ok(Runtime::Python(_)) => {
                let seen = self.seen.0.lock().expect("no panic holds this lock");
                seen.clone().unwrap_or_else(|| Readiness::Preparing("waiting".to_owned()))
            }
            Ok(Runtime::Provided(_)) => Readiness::Ready,
            Err(unknown) => Readiness::Failed(unknown.to_string()),
        }
    }

    /// Makes a runtime ready, unless that is done or being done. A failure is tried again with the next function.
    pub(crate) fn prepare_in_background(&self, name: &str) {
        let Ok(Runtime::Python(_)) = Runtime::parse(name) else { return };
        {
            let mut seen = self.seen.0.lock().expect("no panic holds this lock");
            if matches!(*seen, Some(Readiness::Ready | Readiness::Preparing(_))) {
                return;
            }
            *seen = Some(Readiness::Preparing("starting".to_owned()));
        }
        let (python, seen) = (self.python.clone(), self.seen.clone());
        self.world.tasks.spawn(Stage::Delivery, "python runtime", move |mut stop| async move {
            let outcome = tokio::select! {
                biased;
                outcome = python.ready(&*seen) => outcome,
                () = stop.wait() => return,
            };
            match outcome {
                Ok(_) => seen.set(Readiness::Ready),
                Err(error) => {
                    tracing::error!(%error, "the Python runtime cannot be prepared");
                    seen.set(Readiness::Failed(error.to_string()));
                }
            }
        });
    }
}
