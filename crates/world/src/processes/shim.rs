//! What has to be set inside a child before its program runs. Without unsafe code nothing can run between fork and
//! exec, so the house's own binary is started first, sets it, and becomes the program, or stands around it where it is
//! to be confined.

use super::confine::control::{Control, Told};
use super::confine::{self, Failed, INNER, Layers};
use super::{Confinement, Limits};
use rustix::net::RecvFlags;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// The first argument by which the binary knows that it is to become a child.
pub const ARGUMENT: &str = "__child";

/// What the shim is told. It comes over a socket: what stands in arguments or in the environment could be seen, or
/// could steer the shim itself, which is not confined yet.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    pub(super) scratch: Option<PathBuf>,
    pub(super) limits: Limits,
    /// The process that starts it.
    pub(super) parent: u32,
    /// Directories of the control groups to join; none where there are none.
    pub(super) groups: Vec<PathBuf>,
    pub(super) confinement: Option<Confined>,
    /// The user it becomes, where this process is one that may choose.
    pub(super) user: Option<u32>,
    /// Nothing is started: it is only tried whether the confinement can be had.
    pub(super) probe: bool,
}

/// A confinement and the layers it is made of.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Confined {
    pub(super) confinement: Confinement,
    pub(super) layers: Layers,
}

/// Becomes the child that the house describes. `main` calls this, before anything else, where the first argument is
/// `__child`. Returns only where there is nothing left to become.
pub fn child_main() -> ExitCode {
    forget_inherited();
    // What is prepared for functions must be readable for the users they become.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let inside = std::env::args().nth(2).as_deref() == Some(INNER);
    let control = match Control::inherited() {
        Ok(control) => control,
        Err(error) => {
            eprintln!("cannot start the child: {error}");
            return ExitCode::from(127);
        }
    };
    let done = control.receive::<Plan>(RecvFlags::empty()).map_err(Failed::from).and_then(|plan| {
        let (plan, _) = plan.ok_or_else(|| io::Error::other("the house is gone"))?;
        if inside { confine::inner(&plan, &control).map(|()| ExitCode::SUCCESS) } else { outside(&plan, &control) }
    });
    done.unwrap_or_else(|failed| {
        let _ = control.send(&Told::from(&failed), &[]);
        eprintln!("cannot start the child: {}", failed.error);
        ExitCode::from(127)
    })
}

/// Closes what whoever started the house left open for all its descendants: nothing of it is meant for a function.
fn forget_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    // Collected first: the listing itself is one of them, and is closed by then.
    let open: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
}

#[allow(clippy::disallowed_methods)] // this is the port
fn outside(plan: &Plan, control: &Control) -> Result<ExitCode, Failed> {
    for dir in &plan.groups {
        std::fs::write(dir.join("cgroup.procs"), "0")?;
    }
    match &plan.confinement {
        Some(confined) if confined.layers.namespaces => return confine::outer(plan, confined.layers),
        _ => confine::die_with_parent(plan)?,
    }
    rustix::thread::set_no_new_privs(true)?;
    set_rlimits(None, &plan.limits, !plan.groups.is_empty());
    confine::restrict(plan)?;
    if plan.confinement.is_some() {
        control.send(&Told::Ready, &[])?;
    }
    if plan.probe {
        return Ok(ExitCode::SUCCESS);
    }
    let mut program = Command::new(&plan.program);
    program.args(&plan.args).env_clear().envs(plan.env.iter().map(|(k, v)| (k, v)));
    Err(program.current_dir(&plan.cwd).stdin(Stdio::null()).exec().into())
}

/// Sets the limits of one process (`None`: this one) and of what it will fork.
pub(super) fn set_rlimits(pid: Option<Pid>, limits: &Limits, grouped: bool) {
    let wanted = [
        (Resource::Core, Some(0)),
        (Resource::Fsize, limits.file_size),
        (Resource::Nofile, limits.open_files),
        // Stand-ins for control groups: of one process each, and the second is counted per user and ignored for root.
        (Resource::Data, limits.memory.filter(|_| !grouped)),
        (Resource::Nproc, limits.processes.filter(|_| !grouped)),
    ];
    for (resource, value) in wanted {
        let Some(value) = value else { continue };
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        if let Err(error) = prlimit(pid, resource, limit) {
            tracing::debug!(?resource, value, %error, "cannot set a limit of a child");
        }
    }
}
