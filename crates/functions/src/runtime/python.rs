//! Prepares what Python functions run on: a virtual environment with Lambda's own runtime interface client and boto3,
//! pinned by version and hash, made once and reused by every server that is given the same directory.

use super::interpreter::{self, Interpreter, PrepareError, Progress, last};
use super::view;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use world::processes::Exit;
use world::{Disk, World};

/// Versions and hashes of all packages, as `pip install --require-hashes` reads them.
pub const REQUIREMENTS: &str = include_str!("requirements.txt");
/// The oldest Python the runtime interface client supports.
const OLDEST_MINOR: u32 = 10;
const OLDEST: &str = "3.10";
const MISSING: PrepareError = PrepareError::Missing {
    program: "python3",
    what: "Python 3.10 or newer (Debian and Ubuntu: apt-get install python3 python3-venv)",
};
/// The file whose presence says that an environment is whole.
const MARKER: &str = "headwater-ready";
/// Starts the interface client, and points SDKs at the house that know no `AWS_ENDPOINT_URL`.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// An environment that is ready.
#[derive(Clone, Debug)]
pub struct PythonEnv {
    /// The directory that holds all of it.
    pub dir: PathBuf,
    /// Its interpreter.
    pub python: PathBuf,
    /// Its packages.
    pub site: PathBuf,
    /// Its version, such as `3.11`.
    pub version: String,
}

impl PythonEnv {
    fn at(dir: &Path, version: &str) -> PythonEnv {
        let site = dir.join(format!("lib/python{version}/site-packages"));
        PythonEnv { dir: dir.to_owned(), python: dir.join("bin/python"), site, version: version.to_owned() }
    }

    fn bin(&self) -> &Path {
        self.python.parent().expect("an interpreter lies in a directory")
    }
}

/// The one Python of a server, prepared when first needed.
pub struct PythonRuntime {
    world: World,
    runtimes: PathBuf,
    env: Vec<(String, String)>,
    prepared: Mutex<Option<Arc<PythonEnv>>>,
}

impl PythonRuntime {
    /// Environments are made below `runtimes`. `env` is the environment for Python and pip while preparing, usually
    /// the server's own: `PATH`, proxies, pip's settings.
    pub fn new(world: World, runtimes: PathBuf, env: Vec<(String, String)>) -> PythonRuntime {
        PythonRuntime { world, runtimes, env, prepared: Mutex::new(None) }
    }

    /// The environment, prepared if it is not yet. Others who ask meanwhile wait for the same. A failure is not kept:
    /// the next one tries again.
    pub async fn ready(&self, progress: &dyn Progress) -> Result<Arc<PythonEnv>, PrepareError> {
        let mut prepared = self.prepared.lock().await;
        if let Some(env) = &*prepared {
            return Ok(env.clone());
        }
        let env = Arc::new(self.prepare(progress).await?);
        *prepared = Some(env.clone());
        Ok(env)
    }

    /// What runs functions: the environment and the bootstrap beside it.
    pub(super) async fn interpreter(&self, progress: &dyn Progress) -> Result<Arc<Interpreter>, PrepareError> {
        let env = self.ready(progress).await?;
        let files = [("bootstrap.py", BOOTSTRAP)];
        let dir = interpreter::write_once(&self.world, &self.runtimes, "python", &files)?;
        Ok(Arc::new(Interpreter {
            args: vec![dir.join("bootstrap.py").display().to_string()],
            env: vec![("PYTHONPATH".to_owned(), env.site.display().to_string())],
            bin: env.bin().to_owned(),
            shows: vec![(env.dir.clone(), view::LANG), (dir, view::RUNTIME)],
            dir: env.site.clone(),
            name: format!("python{}", env.version),
            version: format!("python:{}", env.version),
            program: env.python.clone(),
        }))
    }

    async fn prepare(&self, progress: &dyn Progress) -> Result<PythonEnv, PrepareError> {
        progress.step("looking for python3", 0.0);
        self.disk().create_dir(&self.runtimes)?;
        let version = self.version().await?;
        let hash = ring::digest::digest(&ring::digest::SHA256, REQUIREMENTS.as_bytes());
        let hash: String = hash.as_ref().iter().take(6).map(|b| format!("{b:02x}")).collect();
        let name = format!("python{version}-{hash}");
        let place = self.runtimes.join(&name);
        if self.disk().exists(&place.join(MARKER)) {
            progress.step("the Python runtime is ready", 1.0);
            return Ok(PythonEnv::at(&place, &version));
        }
        let temporary = self.runtimes.join(format!(".{name}-{}", self.world.hex_id(8)));
        let built = self.build(&temporary, &version, progress).await;
        let placed = built.and_then(|()| self.put_in_place(&temporary, &place));
        if self.disk().exists(&temporary) {
            // Unfinished, or another server was faster.
            std::fs::remove_dir_all(&temporary)?;
        }
        placed?;
        progress.step("the Python runtime is ready", 1.0);
        Ok(PythonEnv::at(&place, &version))
    }

    fn disk(&self) -> &dyn Disk {
        &*self.world.disk
    }

    async fn version(&self) -> Result<String, PrepareError> {
        let print = "import sys; print('%d.%d' % sys.version_info[:2])";
        if interpreter::find(&self.world, &self.env, "python3").is_none() {
            return Err(MISSING);
        }
        let (exit, lines) = self.run("python3".as_ref(), &["-c", print], &mut |_| {}).await?;
        let version = lines.last().cloned().unwrap_or_default();
        let minor = version.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
        match minor {
            Some(minor) if exit == Exit::Code(0) && minor >= OLDEST_MINOR => {}
            Some(_) if exit == Exit::Code(0) => {
                return Err(PrepareError::TooOld { program: "python3", found: version, oldest: OLDEST });
            }
            _ => return Err(PrepareError::failed("python3", &lines)),
        }
        let (exit, _) = self.run("python3".as_ref(), &["-c", "import venv, ensurepip"], &mut |_| {}).await?;
        if exit == Exit::Code(0) { Ok(version) } else { Err(PrepareError::VenvMissing(version)) }
    }

    async fn build(&self, dir: &Path, version: &str, progress: &dyn Progress) -> Result<(), PrepareError> {
        progress.step(&format!("making a virtual environment for Python {version}"), 0.05);
        let place = dir.display().to_string();
        let (exit, lines) = self.run("python3".as_ref(), &["-m", "venv", &place], &mut |_| {}).await?;
        if exit != Exit::Code(0) {
            return Err(PrepareError::failed("python3 -m venv", &lines));
        }
        let requirements = dir.join("requirements.txt");
        self.disk().replace(&requirements, REQUIREMENTS.as_bytes())?;
        let requirements = requirements.display().to_string();
        let python = dir.join("bin/python");
        let packages = REQUIREMENTS.matches("==").count().max(1) as f64;
        let mut seen = 0.0;
        let mut tell = |line: &str| {
            if let Some(package) = line.strip_prefix("Collecting ") {
                seen += 1.0;
                let package = package.split(" (").next().unwrap_or(package);
                progress.step(&format!("fetching {package}"), 0.2 + 0.55 * (seen / packages).min(1.0));
            } else if line.starts_with("Installing collected packages") {
                progress.step("installing and compiling packages", 0.8);
            }
        };
        let pip = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-color", "--compile"];
        let what = ["--prefer-binary", "--require-hashes", "--requirement", &requirements];
        let (exit, lines) = self.run(&python, &[&pip[..], &what[..]].concat(), &mut tell).await?;
        match exit {
            Exit::Code(0) => Ok(()),
            _ if lines.iter().any(|line| unreachable(line)) => Err(PrepareError::NoNetwork(last(&lines))),
            _ => Err(PrepareError::failed("pip install", &lines)),
        }
    }

    fn put_in_place(&self, temporary: &Path, place: &Path) -> Result<(), PrepareError> {
        let disk = self.disk();
        disk.replace(&temporary.join(MARKER), b"")?;
        match disk.rename(temporary, place) {
            Err(_) if disk.exists(&place.join(MARKER)) => {}
            renamed => renamed?,
        }
        Ok(disk.sync_dir(&self.runtimes)?)
    }

    async fn run(
        &self,
        program: &Path,
        args: &[&str],
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<(Exit, Vec<String>)> {
        interpreter::run(&self.world, &self.runtimes, &self.env, (program, args), tell).await
    }
}

/// Whether a line of pip's says that it could not reach its index.
fn unreachable(line: &str) -> bool {
    ["NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "Network is unreachable"]
        .iter()
        .any(|sign| line.contains(sign))
}
