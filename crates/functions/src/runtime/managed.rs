//! The managed runtimes of a server, each prepared when first needed.

use super::Runtime;
use super::interpreter::{Interpreter, PrepareError, Progress};
use super::java::JavaRuntime;
use super::node::NodeRuntime;
use super::python::PythonRuntime;
use std::path::PathBuf;
use std::sync::Arc;
use world::World;

/// All of them.
pub struct Managed {
    python: PythonRuntime,
    node: NodeRuntime,
    java: JavaRuntime,
}

impl Managed {
    /// They are prepared below `runtimes`. `env` is the environment for doing so, usually the server's own: `PATH`,
    /// proxies, pip's settings.
    pub fn new(world: World, runtimes: PathBuf, env: Vec<(String, String)>) -> Managed {
        Managed {
            python: PythonRuntime::new(world.clone(), runtimes.clone(), env.clone()),
            node: NodeRuntime::new(world.clone(), runtimes.clone(), env.clone()),
            java: JavaRuntime::new(world, runtimes, env),
        }
    }

    /// What runs functions of `runtime`, prepared if it is not yet; nothing where the package brings its own.
    pub async fn ready(
        &self,
        runtime: &Runtime,
        progress: &dyn Progress,
    ) -> Result<Option<Arc<Interpreter>>, PrepareError> {
        match runtime {
            Runtime::Python(_) => Ok(Some(self.python.interpreter(progress).await?)),
            Runtime::Node(_) => Ok(Some(self.node.interpreter(progress).await?)),
            Runtime::Java(_) => Ok(Some(self.java.interpreter(progress).await?)),
            Runtime::Provided(_) | Runtime::Go(_) => Ok(None),
        }
    }
}
