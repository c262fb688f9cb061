//! Children: started with limits, watched, and ended as whole process groups.

mod real;

pub use real::RealProcesses;

use crate::BoxFuture;
use std::io;
use std::path::PathBuf;

/// What to start and within which limits.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    /// The program's path, or a name looked up in the parent's `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// What it may use.
    pub limits: Limits,
}

/// Limits of one child and all it forks. `None`: not limited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Bytes of memory of the whole group, enforced by a control group where the machine has one that may be written.
    pub memory: Option<u64>,
    /// How many processes and threads the group may have, enforced as above.
    pub processes: Option<u64>,
    /// The largest file it may write.
    pub file_size: Option<u64>,
    /// How many files it may hold open.
    pub open_files: Option<u64>,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The memory limit ended it.
    OutOfMemory,
}

/// Starts children.
pub trait Processes: Send + Sync {
    /// Starts one in a process group of its own.
    fn spawn(&self, spawn: Spawn) -> io::Result<Box<dyn Child>>;
    /// Which enforcement of [`Limits::memory`] and [`Limits::processes`] is in force, in words for a person.
    fn enforcement(&self) -> String;
}

/// A running child. Dropping it ends the whole group.
pub trait Child: Send {
    /// Its process id.
    fn pid(&self) -> u32;
    /// Takes the stream of lines (without line ends, at most 256 KiB each) that it writes to stdout and stderr; once.
    fn output(&mut self) -> tokio::sync::mpsc::Receiver<String>;
    /// Waits for its end.
    fn wait(&mut self) -> BoxFuture<'_, io::Result<Exit>>;
    /// Ends the whole group at once (SIGKILL).
    fn kill(&self);
    /// The largest amount of memory the group used so far, in bytes.
    fn peak_memory(&self) -> u64;
}

/// A world without children.
pub struct NoProcesses;

impl Processes for NoProcesses {
    fn spawn(&self, _: Spawn) -> io::Result<Box<dyn Child>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this world has no processes"))
    }
    fn enforcement(&self) -> String {
        "no processes".to_owned()
    }
}
