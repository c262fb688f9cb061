//! Which runtimes there are, and whether they are ready.

use crate::runtime::{Interpreter, Managed, Progress, Runtime, UnknownRuntime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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

/// The runtimes of a server, and how far each family of them is.
pub(crate) struct Runtimes {
    managed: Arc<Managed>,
    seen: Mutex<BTreeMap<&'static str, Readiness>>,
    versions: Mutex<BTreeMap<&'static str, String>>,
}

/// Shows preparation to who asks for a function's state.
struct Shown<'a>(&'a Runtimes, &'static str);

impl Progress for Shown<'_> {
    fn step(&self, step: &str, fraction: f64) {
        if fraction < 1.0 {
            tracing::info!(step, "preparing the {} runtime", self.1);
            self.0.see(self.1, Readiness::Preparing(step.to_owned()));
        }
    }
}

fn family(runtime: &Runtime) -> Option<&'static str> {
    match runtime {
        Runtime::Python(_) => Some("Python"),
        Runtime::Node(_) => Some("Node.js"),
        Runtime::Java(_) => Some("Java"),
        Runtime::Provided(_) | Runtime::Go(_) => None,
    }
}

impl Runtimes {
    pub(crate) fn new(managed: Arc<Managed>) -> Runtimes {
        Runtimes { managed, seen: Mutex::default(), versions: Mutex::default() }
    }

    /// Whether a runtime's name is served.
    pub(crate) fn accept(&self, name: &str) -> Result<Runtime, UnknownRuntime> {
        Runtime::parse(name)
    }

    fn see(&self, family: &'static str, readiness: Readiness) {
        self.seen.lock().expect("no panic holds this lock").insert(family, readiness);
    }

    /// How far a runtime is.
    pub(crate) fn readiness(&self, name: &str) -> Readiness {
        let runtime = match Runtime::parse(name) {
            Ok(runtime) => runtime,
            Err(unknown) => return Readiness::Failed(unknown.to_string()),
        };
        let Some(family) = family(&runtime) else { return Readiness::Ready };
        let seen = self.seen.lock().expect("no panic holds this lock");
        seen.get(family).cloned().unwrap_or_else(|| Readiness::Preparing("waiting".to_owned()))
    }

    /// The version of what runs functions of a runtime, once it is ready.
    pub(crate) fn version(&self, name: &str) -> Option<String> {
        let family = family(&Runtime::parse(name).ok()?)?;
        self.versions.lock().expect("no panic holds this lock").get(family).cloned()
    }

    /// Makes a runtime ready. A failure is tried again with the next function. `None`: there is none, or nothing to run.
    pub(crate) async fn ready(&self, runtime: &Runtime) -> Result<Option<Arc<Interpreter>>, ()> {
        let Some(family) = family(runtime) else { return Ok(None) };
        match self.managed.ready(runtime, &Shown(self, family)).await {
            Ok(interpreter) => {
                let version = interpreter.as_ref().map(|interpreter| (family, interpreter.version.clone()));
                self.versions.lock().expect("no panic holds this lock").extend(version);
                self.see(family, Readiness::Ready);
                Ok(interpreter)
            }
            Err(error) => {
                tracing::error!(%error, "the {family} runtime cannot be prepared");
                self.see(family, Readiness::Failed(error.to_string()));
                Err(())
            }
        }
    }
}
