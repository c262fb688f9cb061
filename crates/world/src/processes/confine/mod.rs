//! How a child that is not trusted is confined: by every layer that the kernel offers here.
//!
//! Two processes of ours stand around it. The outer one is in the house's own namespaces and makes new ones; the inner
//! one is the first process of these, furnishes the root, gives up its rights, starts the program, collects orphans and
//! tells how the program ended. The inner one ends with the outer, the outer with the house, and everything in the
//! namespace with the inner one.

pub(super) mod control;
mod files;
mod filter;
mod network;
mod root;
mod user;

pub(super) use user::privileged;

use super::shim::Plan;
use control::{Control, End, Told};
use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};

/// The second argument of the inner process.
pub(super) const INNER: &str = "inside";

/// Which layers a child gets; what is asked for and fails is an error of the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layers {
    pub(super) namespaces: bool,
    pub(super) proc: bool,
    pub(super) network: bool,
    pub(super) landlock: bool,
    pub(super) seccomp: bool,
}

impl Layers {
    pub(super) const ALL: Layers =
        Layers { namespaces: true, proc: true, network: true, landlock: true, seccomp: true };

    /// Does without one layer, and with it without those that stand on it.
    pub(super) fn without(mut self, layer: Layer) -> Layers {
        match layer {
            Layer::Namespaces => (self.namespaces, self.proc, self.network) = (false, false, false),
            Layer::Proc => self.proc = false,
            Layer::Network => self.network = false,
            Layer::Landlock => self.landlock = false,
            Layer::Seccomp => self.seccomp = false,
        }
        self
    }
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Layer {
    Namespaces,
    Proc,
    Network,
    Landlock,
    Seccomp,
}

/// What failed, and in which layer, where it is one that can be done without.
pub(super) struct Failed {
    pub(super) layer: Option<Layer>,
    pub(super) error: io::Error,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed { layer: None, error }
    }
}

impl From<rustix::io::Errno> for Failed {
    fn from(error: rustix::io::Errno) -> Failed {
        io::Error::from(error).into()
    }
}

/// Names the step that failed.
pub(super) trait Step<T> {
    fn step(self, layer: Option<Layer>, what: &str) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, layer: Option<Layer>, what: &str) -> Result<T, Failed> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            Failed { layer, error: io::Error::new(error.kind(), format!("{what}: {error}")) }
        })
    }
}

/// The outer process: makes the namespaces, starts the inner one and lasts as long as it.
#[allow(clippy::disallowed_methods, deprecated)] // this is the port; unshare is unsafe only with FILES, which is not asked
pub(super) fn outer(plan: &Plan, layers: Layers) -> Result<ExitCode, Failed> {
    let mut flags = UnshareFlags::NEWPID
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if layers.network {
        flags |= UnshareFlags::NEWNET;
    }
    if privileged() {
        rustix::thread::unshare(flags).step(Some(Layer::Namespaces), "new namespaces")?;
    } else {
        user::unshare_as_root(flags).step(Some(Layer::Namespaces), "new namespaces of an ordinary user")?;
    }
    die_with_parent(plan)?;
    let mut inner = Command::new("/proc/self/exe");
    inner.arg(super::CHILD_ARGUMENT).arg(INNER).env_clear().current_dir("/").stdin(Stdio::inherit());
    let status = inner.spawn().step(Some(Layer::Namespaces), "the first process of a namespace")?.wait()?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255)))
}

/// Ends with the process that started this one, also where that ended before this call.
pub(super) fn die_with_parent(plan: &Plan) -> Result<(), Failed> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Pid::from_raw(plan.parent as i32) {
        return Err(io::Error::other("the parent is gone").into());
    }
    Ok(())
}

/// The inner process, which the kernel made the first of its namespace. Returns when the program has ended.
pub(super) fn inner(plan: &Plan, control: &Control) -> Result<(), Failed> {
    let confinement = plan.confinement.as_ref().ok_or_else(|| io::Error::other("no confinement was planned"))?;
    let (confinement, layers) = (&confinement.confinement, confinement.layers);
    let listeners = match (&confinement.reach, layers.network) {
        (super::Reach::Ports(ports), true) => {
            network::listen(ports).step(Some(Layer::Network), "a network of its own")?
        }
        _ => Vec::new(),
    };
    // The kernel takes the mapping of users through a file that the new root may not show.
    let own = user::own_directory()?;
    root::furnish(confinement, layers)?;
    user::become_nobody(plan.user, &own).step(Some(Layer::Namespaces), "an identity of its own")?;
    drop(own);
    set_parent_process_death_signal(Some(Signal::KILL))?;
    restrict(plan)?;
    if plan.probe {
        return Ok(control.send(&Told::Ready, &as_fds(&listeners))?);
    }
    let program = start(plan)?;
    // A house that died meanwhile cannot be told, and ends this too.
    control.send(&Told::Ready, &as_fds(&listeners))?;
    drop(listeners);
    Ok(control.send(&Told::Ended(wait_for(program)?), &[])?)
}

/// The layers that need no namespace. What follows holds for this process and all it will start.
pub(super) fn restrict(plan: &Plan) -> Result<(), Failed> {
    let Some(confinement) = &plan.confinement else { return Ok(()) };
    super::shim::set_rlimits(None, &plan.limits, !plan.groups.is_empty());
    if confinement.layers.landlock {
        files::restrict(plan, confinement).step(Some(Layer::Landlock), "Landlock")?;
    }
    if confinement.layers.seccomp {
        filter::apply().step(Some(Layer::Seccomp), "a filter of system calls")?;
    }
    Ok(())
}

fn as_fds(listeners: &[TcpListener]) -> Vec<rustix::fd::BorrowedFd<'_>> {
    listeners.iter().map(|listener| listener.as_fd()).collect()
}

#[allow(clippy::disallowed_methods)] // this is the port
fn start(plan: &Plan) -> Result<Pid, Failed> {
    let output = || rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3).map(Stdio::from);
    let mut program = Command::new(&plan.program);
    program.args(&plan.args).env_clear().envs(plan.env.iter().map(|(k, v)| (k, v))).current_dir(&plan.cwd);
    program.stdin(Stdio::null()).stdout(output()?).stderr(output()?);
    let child = program.spawn().step(None, &format!("cannot start {}", plan.program.display()))?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::Error::other("a process without a number").into())
}

/// Collects what ends, until the program does.
fn wait_for(program: Pid) -> Result<End, Failed> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => {
                let signal = status.terminating_signal().map(End::Signal);
                return Ok(signal.unwrap_or(End::Code(status.exit_status().unwrap_or(255))));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
