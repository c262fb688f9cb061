//! What java functions run on: the installed JDK, and a bootstrap of the house's own that it compiles once. Lambda's own
//! client for Java is on Maven Central alone, whose artifacts the house does not fetch.

use super::interpreter::{self, Interpreter, PrepareError, Progress};
use super::view;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use world::World;
use world::processes::Exit;

const BOOTSTRAP: &str = include_str!("Bootstrap.java");
/// The oldest version that the bootstrap is written for.
const OLDEST: u32 = 17;
const INSTALL: &str = "a JDK, 17 or newer (Debian and Ubuntu: apt-get install default-jdk-headless)";

/// The one Java of a server.
pub(super) struct JavaRuntime {
    world: World,
    runtimes: PathBuf,
    env: Vec<(String, String)>,
    prepared: Mutex<Option<Arc<Interpreter>>>,
}

impl JavaRuntime {
    pub(super) fn new(world: World, runtimes: PathBuf, env: Vec<(String, String)>) -> JavaRuntime {
        JavaRuntime { world, runtimes, env, prepared: Mutex::new(None) }
    }

    /// Finds it and compiles the bootstrap, once. A failure is not kept: the next one tries again.
    pub(super) async fn interpreter(&self, progress: &dyn Progress) -> Result<Arc<Interpreter>, PrepareError> {
        let mut prepared = self.prepared.lock().await;
        if let Some(interpreter) = &*prepared {
            return Ok(interpreter.clone());
        }
        progress.step("looking for java", 0.0);
        let program = self.find("java")?;
        let compiler = self.find("javac")?;
        self.world.disk.create_dir(&self.runtimes)?;
        let version = self.version(&compiler).await?;
        let name = format!("java{version}");
        let source = [("Bootstrap.java", BOOTSTRAP)];
        let dir = interpreter::write_once(&self.world, &self.runtimes, &name, &source)?;
        if !self.world.disk.exists(&dir.join("Bootstrap.class")) {
            progress.step("compiling the Java runtime's bootstrap", 0.2);
            self.compile(&compiler, &dir).await?;
        }
        let classes = dir.display().to_string();
        // One processor's worth of a function gains nothing from the second compiler or a parallel collector.
        let machine = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dfile.encoding=UTF-8"];
        let options = [&machine[..], &["-cp", &classes, "Bootstrap"]].concat();
        let interpreter = Arc::new(Interpreter {
            args: options.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            bin: program.parent().map(PathBuf::from).unwrap_or_default(),
            shows: vec![(dir.clone(), view::RUNTIME)],
            dir,
            name,
            version: format!("java:{version}"),
            program,
        });
        *prepared = Some(interpreter.clone());
        progress.step("the Java runtime is ready", 1.0);
        Ok(interpreter)
    }

    fn find(&self, program: &'static str) -> Result<PathBuf, PrepareError> {
        let found = interpreter::find(&self.world, &self.env, program);
        found.ok_or(PrepareError::Missing { program, what: INSTALL })
    }

    async fn run(&self, program: &std::path::Path, args: &[&str]) -> Result<(Exit, Vec<String>), PrepareError> {
        Ok(interpreter::run(&self.world, &self.runtimes, &self.env, (program, args), &mut |_| {}).await?)
    }

    /// The compiler's version, and so that of what it compiles for.
    async fn version(&self, compiler: &std::path::Path) -> Result<u32, PrepareError> {
        let (exit, lines) = self.run(compiler, &["-version"]).await?;
        let found = lines.iter().find_map(|line| line.strip_prefix("javac ")).unwrap_or_default().to_owned();
        let first = found.split(['.', '-', '+']).next().and_then(|major| major.parse().ok());
        match first {
            Some(version) if exit == Exit::Code(0) && version >= OLDEST => Ok(version),
            Some(_) if exit == Exit::Code(0) => Err(PrepareError::TooOld { program: "javac", found, oldest: "17" }),
            _ => Err(PrepareError::failed("javac -version", &lines)),
        }
    }

    /// Into a directory of its own first: another server may be doing the same, and half a class must not be found.
    async fn compile(&self, compiler: &std::path::Path, dir: &std::path::Path) -> Result<(), PrepareError> {
        let fresh = dir.join(format!(".{}", self.world.hex_id(8)));
        let source = dir.join("Bootstrap.java").display().to_string();
        let into = fresh.display().to_string();
        let (exit, lines) = self.run(compiler, &["-nowarn", "-encoding", "UTF-8", "-d", &into, &source]).await?;
        if exit != Exit::Code(0) {
            return Err(PrepareError::failed("javac Bootstrap.java", &lines));
        }
        let classes = self.world.disk.list(&fresh)?;
        // The main class comes last: its presence says that all are there.
        let (main, rest): (Vec<_>, Vec<_>) = classes.into_iter().partition(|class| class.name == "Bootstrap.class");
        for class in rest.into_iter().chain(main) {
            self.world.disk.rename(&fresh.join(&class.name), &dir.join(&class.name))?;
        }
        std::fs::remove_dir_all(&fresh)?;
        Ok(self.world.disk.sync_dir(dir)?)
    }
}
