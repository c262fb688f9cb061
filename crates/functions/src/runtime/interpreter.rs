//! What runs the code of a managed runtime, once it is prepared.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use world::World;
use world::processes::{Exit, Limits, Spawn};

/// How many of the last lines of a failed step are told.
const TOLD: usize = 15;

/// Hears how preparation goes on.
pub trait Progress: Send + Sync {
    /// What is being done now, and how much of all is done (0 to 1).
    fn step(&self, text: &str, fraction: f64);
}

/// Hears nothing.
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: &str, _: f64) {}
}

/// Why functions of a managed runtime cannot run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PrepareError {
    /// A program is not installed.
    #[error("{program} was not found: install {what}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What to install.
        what: &'static str,
    },
    /// One that is too old.
    #[error("{program} is version {found}, but {oldest} or newer is needed")]
    TooOld {
        /// Its name.
        program: &'static str,
        /// Its version.
        found: String,
        /// The least version.
        oldest: &'static str,
    },
    /// Debian splits it off.
    #[error("python3 {0} lacks the venv module: install it (Debian and Ubuntu: apt-get install python3-venv)")]
    VenvMissing(String),
    /// The package index cannot be reached.
    #[error(
        "the packages of the Python runtime could not be fetched; is there a network? The end of pip's output:\n{0}"
    )]
    NoNetwork(String),
    /// A step failed otherwise.
    #[error("preparing the runtime failed ({step}); the end of its output:\n{output}")]
    Failed {
        /// Which step.
        step: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The disk failed.
    #[error("preparing the runtime failed: {0}")]
    Disk(Arc<io::Error>),
}

impl From<io::Error> for PrepareError {
    fn from(error: io::Error) -> PrepareError {
        PrepareError::Disk(Arc::new(error))
    }
}

impl PrepareError {
    pub(super) fn failed(step: &str, lines: &[String]) -> PrepareError {
        PrepareError::Failed { step: step.to_owned(), output: last(lines) }
    }
}

/// The last lines of a program's output.
pub(super) fn last(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(TOLD)..].join("\n")
}

/// What runs functions of a managed runtime.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without the handler; a path is one of this machine.
    pub args: Vec<String>,
    /// Variables of its own; a path is one of this machine.
    pub env: Vec<(String, String)>,
    /// Directories that its functions see, and where.
    pub shows: Vec<(PathBuf, &'static str)>,
    /// What comes first in `PATH`.
    pub bin: PathBuf,
    /// Where its files are (`LAMBDA_RUNTIME_DIR`).
    pub dir: PathBuf,
    /// Its name as Lambda has it, such as `nodejs20.x`.
    pub name: String,
    /// The version as `INIT_START` shows it, such as `nodejs:20`.
    pub version: String,
}

/// Runs a program to its end; its output's last lines come back, each one is shown to `tell`.
pub(super) async fn run(
    world: &World,
    cwd: &Path,
    env: &[(String, String)],
    command: (&Path, &[&str]),
    tell: &mut (dyn FnMut(&str) + Send),
) -> io::Result<(Exit, Vec<String>)> {
    let mut child = world.processes.spawn(Spawn {
        program: command.0.to_owned(),
        args: command.1.iter().map(|&arg| arg.to_owned()).collect(),
        env: env.to_vec(),
        cwd: cwd.to_owned(),
        limits: Limits::default(),
        ..Spawn::default()
    })?;
    let mut output = child.output();
    let mut lines = Vec::new();
    while let Some(line) = output.line().await {
        tell(&line);
        lines.push(line.text);
        if lines.len() > 4 * TOLD {
            lines.drain(..2 * TOLD);
        }
    }
    Ok((child.wait().await?, lines))
}

/// Where a program is, by the `PATH` of `env`.
pub(super) fn find(world: &World, env: &[(String, String)], program: &str) -> Option<PathBuf> {
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str())?;
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| world.disk.exists(file))
}

/// Writes files of the house's own into a directory named after their content, once. Returns the directory.
pub(super) fn write_once(
    world: &World,
    runtimes: &Path,
    name: &str,
    files: &[(&str, &str)],
) -> Result<PathBuf, PrepareError> {
    let mut content = ring::digest::Context::new(&ring::digest::SHA256);
    for (file, text) in files {
        content.update(file.as_bytes());
        content.update(text.as_bytes());
    }
    let hash: String = content.finish().as_ref().iter().take(6).map(|b| format!("{b:02x}")).collect();
    let place = runtimes.join(format!("{name}-{hash}"));
    world.disk.create_dir(&place)?;
    for (file, text) in files {
        let path = place.join(file);
        if !world.disk.exists(&path) {
            world.disk.replace(&path, text.as_bytes())?;
        }
        readable(&path, 0o644)?;
    }
    readable(&place, 0o755)?;
    Ok(place)
}

/// Lets functions read what the house keeps to itself otherwise: they are other users.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) {
        // A disk that is only simulated has no readers either.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
