//! Pipes as they run: each has one task, which does what the catalog says of it, lets what is in hand finish when that
//! changes, and tells when the source is gone.

use crate::limits::FAULT_PAUSE;
use crate::live::Live;
use crate::pipes::Pipes;
use crate::settings::Pipe;
use crate::state::Change;
use crate::{queue, stream};
use consume::{Cease, End, Kind};
use shapes::pipes::PipeState;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use store::StoreError;
use world::{Stage, Stop};

/// The pipes there are, and those that are on their way out, by name.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<String, Arc<Running>>>);

/// One of them.
pub(crate) type Running = consume::Running<Seen>;

/// What is known of it beside its settings.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `CurrentState`.
    pub(crate) state: PipeState,
    /// What its last execution failed on.
    pub(crate) failing: Option<String>,
    /// Since the start.
    pub(crate) executions: u64,
    /// Those of which some events failed.
    pub(crate) failures: u64,
    /// What it was, where the catalog knows it no more.
    pub(crate) deleted: Option<Pipe>,
}

impl Registry {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.0.lock().expect("no panic holds this lock")
    }

    /// What is known of a pipe, if its task was started.
    pub(crate) fn seen(&self, name: &str) -> Option<Seen> {
        self.all().get(name).map(|running| running.seen().clone())
    }

    /// Pipes that the catalog no longer knows and that are not gone yet.
    pub(crate) fn leaving(&self) -> Vec<Pipe> {
        self.all().values().filter_map(|running| running.seen().deleted.clone()).collect()
    }
}

impl Seen {
    /// Whether it stays as it is by itself; in all other states a pipe cannot be changed.
    pub(crate) fn is_settled(&self) -> bool {
        self.deleted.is_none() && matches!(self.state, PipeState::Running | PipeState::Stopped)
    }
}

impl Pipes {
    /// Makes what runs what the catalog says, in a while: what is in hand is finished first. Meanwhile the pipe is in
    /// `state`. `deleted` is what it was, where it is gone. The last of several calls sees the last state.
    pub(crate) fn settle(self: &Arc<Self>, name: &str, state: PipeState, deleted: Option<Pipe>) {
        let mut all = self.registry.all();
        if let Some(running) = all.get(name) {
            {
                let mut seen = running.seen();
                (seen.state, seen.failing) = (state, None);
                seen.deleted = deleted;
            }
            running.nudge();
            return;
        }
        let seen = Seen { state, failing: None, executions: 0, failures: 0, deleted };
        let running = Arc::new(Running::new(seen));
        all.insert(name.to_owned(), running.clone());
        let (pipes, name) = (self.clone(), name.to_owned());
        let task = format!("pipe {name}");
        self.world.tasks.spawn(Stage::Sources, task, move |stop| supervise(pipes, name, running, stop));
    }

    /// Forgets a pipe whose task ends, unless the catalog knows it again.
    fn dismiss(&self, name: &str) -> bool {
        let mut all = self.registry.all();
        let gone = self.catalog.read(|state| !state.pipes.contains_key(name));
        if gone {
            all.remove(name);
        }
        gone
    }
}

async fn supervise(pipes: Arc<Pipes>, name: String, running: Arc<Running>, stop: Stop) {
    let mut watch = running.watch();
    while !stop.is_set() {
        let cease = watch.look(&stop);
        let Some(pipe) = pipes.catalog.read(|state| state.pipes.get(&name).cloned()) else {
            let gone = running.seen().deleted.clone();
            if let Some(gone) = gone
                && let Err(error) = pipes.checkpoints.forget(&gone.consumer()).await
            {
                tracing::warn!(%error, pipe = name, "the checkpoints of a deleted pipe stay");
            }
            if pipes.dismiss(&name) {
                return;
            }
            continue;
        };
        // One of its name that was deleted just before.
        let before = running.seen().deleted.take();
        if let Some(before) = before.filter(|before| before.id != pipe.id)
            && let Err(error) = pipes.checkpoints.forget(&before.consumer()).await
        {
            tracing::warn!(%error, pipe = name, "the checkpoints of a deleted pipe stay");
        }
        if !pipe.running || pipe.halted.is_some() {
            running.rest(&watch, |seen| seen.state = PipeState::Stopped);
            cease.wait().await;
            continue;
        }
        running.rest(&watch, |seen| seen.state = PipeState::Running);
        let assumed = pipes.assume(&pipe.name, &pipe.role);
        running.seen().failing = assumed.as_ref().err().cloned();
        if let Err(why) = assumed {
            tracing::warn!(pipe = name, why, "a pipe does not read until its role is back");
            cease.pause(&*pipes.world.clock, FAULT_PAUSE).await;
            continue;
        }
        match run(&pipes, &pipe, &running, cease.clone()).await {
            End::Asked => {}
            End::Gone => halt(&pipes, &pipe).await,
            End::Fault(why) => {
                tracing::warn!(pipe = name, why, "a pipe ended, and will be started again");
                running.seen().failing = Some("Internal error.".to_owned());
                cease.pause(&*pipes.world.clock, FAULT_PAUSE).await;
            }
        }
    }
}

async fn run(pipes: &Arc<Pipes>, pipe: &Pipe, running: &Arc<Running>, cease: Cease) -> End {
    let live = match Live::new(pipes, pipe, running, cease) {
        Ok(live) => live,
        Err(error) => return End::Fault(error.to_string()),
    };
    match pipe.kind() {
        Kind::Stream => match pipes.neighbours.source(&pipe.source) {
            Some(source) => stream::run(live, source).await,
            None => End::Gone,
        },
        Kind::Queue => match pipes.neighbours.inbox(&pipe.source) {
            Some(inbox) => queue::run(live, inbox).await,
            None => End::Gone,
        },
    }
}

/// Nothing will ever come of this source again, also where another is made under its name: its positions are other ones.
/// Who starts the pipe begins anew.
async fn halt(pipes: &Pipes, pipe: &Pipe) {
    tracing::warn!(pipe = pipe.name, source = %pipe.source, "the source of a pipe is gone");
    let reason = format!("The source {} does not exist.", pipe.source);
    let halted = pipes
        .catalog
        .change(|state| {
            let same = state.pipes.get(&pipe.name).is_some_and(|known| known == pipe);
            let change = Change::Halted { name: pipe.name.clone(), reason };
            Ok::<_, StoreError>((same.then_some(change).into_iter().collect(), ()))
        })
        .await;
    if let Err(error) = halted {
        tracing::warn!(%error, pipe = pipe.name, "a pipe without a source could not be stopped");
        pipes.world.clock.sleep(FAULT_PAUSE).await;
    }
}
