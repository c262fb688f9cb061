//! What nodejs functions run on: the installed Node.js and a bootstrap of the house's own. Lambda's own client for Node.js
//! is built with cmake when it is installed, which few machines have.

use super::interpreter::{self, Interpreter, PrepareError, Progress};
use super::view;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use world::World;
use world::processes::Exit;

const BOOTSTRAP: &str = include_str!("bootstrap.cjs");
/// The oldest major version that the bootstrap is written for.
const OLDEST: u32 = 18;

/// The one Node.js of a server.
pub(super) struct NodeRuntime {
    world: World,
    runtimes: PathBuf,
    env: Vec<(String, String)>,
    prepared: Mutex<Option<Arc<Interpreter>>>,
}

impl NodeRuntime {
    pub(super) fn new(world: World, runtimes: PathBuf, env: Vec<(String, String)>) -> NodeRuntime {
        NodeRuntime { world, runtimes, env, prepared: Mutex::new(None) }
    }

    /// Finds it, once. A failure is not kept: the next one tries again.
    pub(super) async fn interpreter(&self, progress: &dyn Progress) -> Result<Arc<Interpreter>, PrepareError> {
        let mut prepared = self.prepared.lock().await;
        if let Some(interpreter) = &*prepared {
            return Ok(interpreter.clone());
        }
        progress.step("looking for node", 0.0);
        let missing = || PrepareError::Missing {
            program: "node",
            what: "Node.js 18 or newer (Debian and Ubuntu: apt-get install nodejs)",
        };
        let program = interpreter::find(&self.world, &self.env, "node").ok_or_else(missing)?;
        let major = self.major(&program).await?;
        let dir = interpreter::write_once(&self.world, &self.runtimes, "node", &[("bootstrap.cjs", BOOTSTRAP)])?;
        let interpreter = Arc::new(Interpreter {
            args: vec![dir.join("bootstrap.cjs").display().to_string()],
            env: Vec::new(),
            bin: program.parent().map(PathBuf::from).unwrap_or_default(),
            shows: vec![(dir.clone(), view::RUNTIME)],
            dir,
            name: format!("nodejs{major}.x"),
            version: format!("nodejs:{major}"),
            program,
        });
        *prepared = Some(interpreter.clone());
        progress.step("the Node.js runtime is ready", 1.0);
        Ok(interpreter)
    }

    async fn major(&self, program: &std::path::Path) -> Result<u32, PrepareError> {
        self.world.disk.create_dir(&self.runtimes)?;
        let command = (program, &["--version"][..]);
        let (exit, lines) = interpreter::run(&self.world, &self.runtimes, &self.env, command, &mut |_| {}).await?;
        let found = lines.last().cloned().unwrap_or_default();
        let major = found.strip_prefix('v').and_then(|v| v.split('.').next()?.parse().ok());
        match major {
            Some(major) if exit == Exit::Code(0) && major >= OLDEST => Ok(major),
            Some(_) if exit == Exit::Code(0) => Err(PrepareError::TooOld { program: "node", found, oldest: "18" }),
            _ => Err(PrepareError::failed("node --version", &lines)),
        }
    }
}
