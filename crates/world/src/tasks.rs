use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The order in which background work is drained at shutdown: the front of the house first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Sockets: no new calls.
    Sockets,
    /// What makes new work: schedules, walkers.
    Sources,
    /// What carries work out: delivery, invocations.
    Delivery,
    /// What keeps it: the journal.
    Store,
}

/// Tells a task that its stage is being drained.
#[derive(Clone)]
pub struct Stop(watch::Receiver<Option<Stage>>, Stage);

impl Stop {
    /// Whether the task should finish now.
    pub fn is_set(&self) -> bool {
        self.0.borrow().is_some_and(|reached| reached >= self.1)
    }
    /// Resolves when the task should finish.
    pub async fn wait(&mut self) {
        while !self.is_set() {
            if self.0.changed().await.is_err() {
                return;
            }
        }
    }
}

struct Running {
    stage: Stage,
    name: String,
    handle: JoinHandle<()>,
}

struct Inner {
    signal: watch::Sender<Option<Stage>>,
    running: Mutex<Vec<Running>>,
}

/// All background work of a house: every loop has a name and a place in the drain order.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

impl Default for Tasks {
    fn default() -> Self {
        Tasks(Arc::new(Inner { signal: watch::Sender::new(None), running: Mutex::default() }))
    }
}

impl Tasks {
    /// Starts a task on the current Tokio runtime. It should end soon after its `Stop` is set.
    #[allow(clippy::disallowed_methods)] // this is the port
    pub fn spawn<F, Fut>(&self, stage: Stage, name: impl Into<String>, work: F)
    where
        F: FnOnce(Stop) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let future = work(self.stop(stage));
        let handle = tokio::spawn(future);
        let mut running = self.0.running.lock().expect("no panic holds this lock");
        if running.len() >= 64 && running.len().is_power_of_two() {
            running.retain(|r| !r.handle.is_finished());
        }
        running.push(Running { stage, name: name.into(), handle });
    }

    /// Runs work to its end, also where whoever waits for it goes away meanwhile: what must not stop halfway. `None`
    /// where it panicked or was aborted.
    pub async fn finish<T: Send + 'static>(
        &self,
        stage: Stage,
        name: impl Into<String>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.spawn(stage, name, |_| async move {
            // The caller may be gone.
            let _ = done.send(work.await);
        });
        result.await.ok()
    }

    /// A stop signal for work that is not a Tokio task, such as a thread.
    pub fn stop(&self, stage: Stage) -> Stop {
        Stop(self.0.signal.subscribe(), stage)
    }

    /// Starts an operating-system thread.
    #[allow(clippy::disallowed_methods)] // this is the port
    pub fn thread(&self, name: &str, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
        std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system has room for one more thread")
    }

    /// Does work that blocks, in this thread, while the runtime's other tasks go on in another. `None` where the runtime
    /// has no other: it was not done.
    pub fn in_place<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        use tokio::runtime::{Handle, RuntimeFlavor};
        let runtime = Handle::try_current().ok()?;
        (runtime.runtime_flavor() == RuntimeFlavor::MultiThread).then(|| tokio::task::block_in_place(work))
    }

    /// Names of the tasks that still run.
    pub fn running(&self) -> Vec<String> {
        let running = self.0.running.lock().expect("no panic holds this lock");
        running.iter().filter(|r| !r.handle.is_finished()).map(|r| r.name.clone()).collect()
    }

    /// Drains stage after stage; a task that has not ended `patience` after its stage was
    /// stopped is aborted.
    /// Returns the names of those that had to be aborted.
    pub async fn shut_down(&self, patience: Duration) -> Vec<String> {
        let mut aborted = Vec::new();
        for stage in [Stage::Sockets, Stage::Sources, Stage::Delivery, Stage::Store] {
            self.0.signal.send_replace(Some(stage));
            // One patience for all of a stage: a hundred stragglers must not take a hundred times as long.
            let end = tokio::time::Instant::now() + patience;
            loop {
                let next = {
                    let mut running = self.0.running.lock().expect("no panic holds this lock");
                    running.iter().position(|r| r.stage == stage).map(|i| running.swap_remove(i))
                };
                let Some(mut task) = next else { break };
                if tokio::time::timeout_at(end, &mut task.handle).await.is_err() {
                    task.handle.abort();
                    aborted.push(task.name);
                }
            }
        }
        aborted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn stages_drain_in_order_and_stragglers_are_named() {
        let tasks = Tasks::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        for stage in [Stage::Store, Stage::Sockets, Stage::Delivery] {
            let order = order.clone();
            tasks.spawn(stage, format!("{stage:?}"), move |mut stop| async move {
                stop.wait().await;
                order.lock().unwrap().push(stage);
            });
        }
        tasks.spawn(Stage::Sources, "deaf", |_| std::future::pending());
        assert_eq!(tasks.shut_down(Duration::from_secs(1)).await, ["deaf"]);
        assert_eq!(*order.lock().unwrap(), [Stage::Sockets, Stage::Delivery, Stage::Store]);
    }

    #[tokio::test(start_paused = true)]
    async fn stragglers_share_one_patience() {
        let tasks = Tasks::default();
        for i in 0..20 {
            tasks.spawn(Stage::Sources, format!("deaf {i}"), |_| std::future::pending());
        }
        let before = tokio::time::Instant::now();
        assert_eq!(tasks.shut_down(Duration::from_secs(10)).await.len(), 20);
        assert!(before.elapsed() < Duration::from_secs(11), "in simulated time");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_is_finished_though_nobody_waits() {
        let tasks = Tasks::default();
        let (step, mut steps) = tokio::sync::mpsc::channel(4);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            step.send(1).await.unwrap();
            let _ = gone.await;
            step.send(2).await.unwrap();
        };
        let waited = tokio::time::timeout(Duration::from_millis(1), tasks.finish(Stage::Sockets, "call", work)).await;
        assert!(waited.is_err(), "the caller went away");
        go.send(()).unwrap();
        assert_eq!((steps.recv().await, steps.recv().await), (Some(1), Some(2)));
        assert_eq!(tasks.finish(Stage::Sockets, "sum", async { 1 + 1 }).await, Some(2));
    }
}
