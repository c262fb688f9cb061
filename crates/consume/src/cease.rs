use std::time::Duration;
use tokio::sync::watch;
use world::{Clock, Stop};

/// Tells a consumer to finish what it has in hand: the house closes, or its settings changed.
#[derive(Clone)]
pub struct Cease {
    stop: Stop,
    nudged: watch::Receiver<u64>,
}

impl Cease {
    /// One that is told by `stop`, and by a change of what `nudged` has not seen.
    pub(crate) fn new(stop: Stop, nudged: watch::Receiver<u64>) -> Cease {
        Cease { stop, nudged }
    }

    /// Whether that is so.
    pub fn is_set(&self) -> bool {
        self.stop.is_set() || self.nudged.has_changed().unwrap_or(true)
    }

    /// Resolves when that is so.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let Cease { mut stop, mut nudged } = self.clone();
        async move {
            tokio::select! {
                biased;
                () = stop.wait() => {}
                // Its sender is the registry's; it is never dropped before this.
                _ = nudged.changed() => {}
            }
        }
    }

    /// Resolves then, or after some time.
    pub async fn pause(&self, clock: &dyn Clock, time: Duration) {
        tokio::select! {
            biased;
            () = self.wait() => {}
            () = clock.sleep(time) => {}
        }
    }
}
