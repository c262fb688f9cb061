//! Children: started with limits, watched, and ended as whole groups.
//!
//! A child's group is the child and everything it forks. Where the machine has control groups that may be written, the
//! group is exactly that, even for what changed its session; otherwise it is the Unix process group.

mod cgroup;
mod child;
mod confine;
mod lines;
mod probe;
mod procfs;
mod real;
mod share;
mod shim;
#[cfg(test)]
mod tests;

pub use real::RealProcesses;
pub use shim::{ARGUMENT as CHILD_ARGUMENT, child_main};

use crate::BoxFuture;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// A line of output longer than this is handed out in pieces of this size.
pub const MAX_LINE: usize = 256 << 10;

/// What to start and within which limits.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    /// The program's path, or a name looked up in the `PATH` of `env`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// A directory made for it before it starts, and removed with all it holds once its group has ended.
    pub scratch: Option<PathBuf>,
    /// What it may use.
    pub limits: Limits,
    /// Who is not trusted is confined. `None`: it sees what this process sees.
    pub confinement: Option<Confinement>,
}

/// What a confined child sees and reaches; nothing else of the machine, as far as the kernel offers it
/// ([`Processes::offers`]). With a root of its own its program, working directory and environment are told in the
/// paths it sees, and so are those here; without one, everything lies where it lies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Confinement {
    /// Files and directories it may read: where they are, and where it sees them. The system's own programs and
    /// libraries (`/usr` and the like) are always there.
    pub sees: Vec<(PathBuf, PathBuf)>,
    /// Bytes its own `/tmp` may hold, all files together.
    pub tmp: u64,
    /// Whom it reaches.
    pub reach: Reach,
}

/// Whom a confined child can talk to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Everybody whom this process reaches.
    All,
    /// These TCP ports. Where it has a network of its own they are sockets in there, which this process serves
    /// ([`Child::listeners`]); otherwise they are this machine's.
    Ports(Vec<u16>),
}

impl Default for Reach {
    fn default() -> Reach {
        Reach::Ports(Vec::new())
    }
}

/// Limits of one child and all it forks. `None`: not limited.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory of the whole group, enforced by a control group where the machine has one that may be written.
    pub memory: Option<u64>,
    /// Bytes that all children together may hold, those in a `/tmp` that lies in memory among them, enforced as above:
    /// the one with most of these is ended with [`Exit::OutOfMemory`].
    pub together: Option<u64>,
    /// How many processes and threads the group may have, enforced as above.
    pub processes: Option<u64>,
    /// The largest file it may write.
    pub file_size: Option<u64>,
    /// How many files it may hold open.
    pub open_files: Option<u64>,
    /// Thousandths of one processor that the whole group gets, from [`Child::throttle`] on, enforced as memory is.
    pub processor: Option<u64>,
}

/// What this machine offers to confine a child with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Whether anything holds a confined child at all.
    pub any: bool,
    /// Whether it gets a root of its own, and with it its own process numbers, users and `/tmp`.
    pub root: bool,
    /// Whether it gets a network of its own where its reach is [`Reach::Ports`].
    pub network: bool,
    /// The names of the layers that hold.
    pub held: Vec<String>,
    /// What is missing and why, a sentence for each layer.
    pub missing: Vec<String>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Starts one in a group of its own. Must be called inside a Tokio runtime, which watches the child from then on.
    fn spawn(&self, spawn: Spawn) -> io::Result<Box<dyn Child>>;
    /// Which enforcement of [`Limits::memory`] and [`Limits::processes`] is in force, in words for a person.
    /// The first call, or the first child, also ends what a dead server left behind.
    fn enforcement(&self) -> String;
    /// With what a child can be confined here. The first call tries it out.
    fn offers(&self) -> Offered {
        Offered::default()
    }
    /// Whether a child that shares this process' network holds the socket at `peer`: whether a caller is one of them.
    fn is_child(&self, _peer: SocketAddr) -> bool {
        false
    }
    /// How many processors children may use.
    fn processors(&self) -> usize {
        1
    }
}

/// A running child. Dropping it ends the whole group. When the child itself ends, so does what it forked.
pub trait Child: Send + Sync {
    /// Its process id.
    fn pid(&self) -> u32;
    /// Waits until a confined child is about to run its program; at once for others. Gives the sockets of its own
    /// network, one for each of its [`Reach::Ports`], the first time.
    fn ready(&mut self) -> BoxFuture<'_, io::Result<Vec<TcpListener>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    /// From now on [`Limits::processor`] holds, where the machine can see to it.
    fn throttle(&self) {}
    /// Takes what the group writes to stdout and stderr; once. A child that writes faster than it is read is slowed.
    fn output(&mut self) -> Box<dyn Output>;
    /// Waits for its end.
    fn wait(&mut self) -> BoxFuture<'_, io::Result<Exit>>;
    /// Ends the whole group at once (SIGKILL).
    fn kill(&self);
    /// The largest amount of memory the group was seen to use so far, in bytes.
    fn peak_memory(&self) -> u64;
    /// How long what there is of the group has run so far, or could have run had a processor been free. It grows by less
    /// than the time that passes where the group waits for something else.
    fn wanted_processor(&self) -> Duration;
    /// Whether the group holds the socket at `peer` of a TCP connection whose other end is `local`: the kernel's word
    /// for who is calling, which no other child can forge.
    fn owns_connection(&self, peer: SocketAddr, local: SocketAddr) -> bool;
}

/// A line without its end, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was written.
    pub text: String,
    /// The line was cut here, and goes on in the next piece.
    pub cut: bool,
}

impl std::ops::Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// What a child writes, as lines, in the order written.
pub trait Output: Send {
    /// The next line; `None` once nobody can write any more. May be dropped while waiting without losing anything.
    fn line(&mut self) -> BoxFuture<'_, Option<Line>>;
    /// All that was written before this call and not yet taken, the last line even where it has no end yet.
    fn written(&mut self) -> Vec<Line>;
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
