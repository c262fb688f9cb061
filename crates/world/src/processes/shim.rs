//! What has to be set inside a child before its program runs. Without unsafe code nothing can run between fork and
//! exec, so the house's own binary is started first, sets it, and becomes the program.

use super::Limits;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// The first argument by which the binary knows that it is to become a child.
pub const ARGUMENT: &str = "__child";

/// What the shim is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) limits: Limits,
    /// Directories of the control groups to join; none where there are none.
    pub(super) groups: Vec<PathBuf>,
}

/// Becomes the child that the second argument describes. `main` calls this, before anything else, where the first
/// argument is `__child`. Returns only where that failed.
pub fn child_main() -> ExitCode {
    let plan = std::env::args().nth(2).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput));
    let error = match plan.and_then(|text| Ok(serde_json::from_str::<Plan>(&text)?)) {
        Ok(plan) => become_child(&plan),
        Err(error) => error,
    };
    eprintln!("cannot start the child: {error}");
    ExitCode::from(127)
}

#[allow(clippy::disallowed_methods)] // this is the port
fn become_child(plan: &Plan) -> io::Error {
    let prepared = || -> io::Result<()> {
        for dir in &plan.groups {
            std::fs::write(dir.join("cgroup.procs"), "0")?;
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::thread::set_no_new_privs(true)?;
        set_rlimits(None, &plan.limits, !plan.groups.is_empty());
        Ok(())
    };
    match prepared() {
        Ok(()) => std::process::Command::new(&plan.program).args(&plan.args).exec(),
        Err(error) => error,
    }
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
