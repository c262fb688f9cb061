//! Everything that is not a function of its input: time, randomness, files, sockets, children, signals, background work.
//!
//! Invariants: nothing else in the house touches the outside (`clippy.toml` forbids it with reasons); every port is
//! object-safe and has a real and a simulated implementation; no business meaning lives here.
//! Entry points: [`World::real`] and [`World::simulated`].

mod bucket;
mod clock;
pub mod disk;
mod entropy;
mod ids;
mod meter;
pub mod net;
pub mod processes;
mod tasks;

pub use bucket::Bucket;
pub use clock::{Clock, RealClock, SimClock, Timestamp};
pub use disk::{Disk, DiskFile};
pub use entropy::{Entropy, RealEntropy, SeededEntropy};
pub use meter::{Meter, Sample, Series, Signal, Unit};
pub use net::Net;
pub use processes::Processes;
pub use tasks::{Stage, Stop, Tasks};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future that may move between threads: what object-safe async ports return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An error that is ours and not the caller's: a disk, a socket, a bug. The layers above turn any of them into the
/// protocol's own internal failure without knowing the type.
pub trait Fault: std::error::Error {
    /// Whether the same call may work a little later, such as once a full disk has room.
    fn passes(&self) -> bool;
}

/// The window to the outside. Cheap to clone; every service holds one.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Child processes.
    pub processes: Arc<dyn Processes>,
    /// Metrics.
    pub meter: Arc<Meter>,
    /// Background work.
    pub tasks: Tasks,
}

impl World {
    /// The machine as it is. Needs a running Tokio runtime by the time anything is spawned or awaited.
    pub fn real() -> World {
        World {
            clock: Arc::new(RealClock),
            entropy: Arc::new(RealEntropy),
            disk: Arc::new(disk::RealDisk),
            net: Arc::new(net::RealNet::new()),
            processes: Arc::new(processes::RealProcesses::new()),
            meter: Arc::new(Meter::default()),
            tasks: Tasks::default(),
        }
    }

    /// A world under a seed: paused Tokio time, seeded randomness, a disk in memory with faults, no sockets, no children.
    /// Run it on a current-thread runtime with `start_paused`.
    pub fn simulated(seed: u64) -> (World, Arc<disk::SimDisk>) {
        let disk = Arc::new(disk::SimDisk::new(seed));
        let world = World {
            clock: Arc::new(SimClock::new()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            disk: disk.clone(),
            net: Arc::new(net::SimNet::default()),
            processes: Arc::new(processes::NoProcesses),
            meter: Arc::new(Meter::default()),
            tasks: Tasks::default(),
        };
        (world, disk)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
