//! The environment of a function's process, as Lambda's own.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use super::python::PythonEnv;
use super::{FunctionSpec, Runtime, SessionCredentials, limits};
use std::net::SocketAddr;
use std::path::PathBuf;
use world::processes::{Limits, Spawn};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin";

/// Variables that Lambda sets itself and lets nobody else set.
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// Whether users may not set a variable.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What is known about a process before it starts.
pub(super) struct Start<'a> {
    pub(super) spec: &'a FunctionSpec,
    pub(super) python: Option<&'a PythonEnv>,
    pub(super) credentials: &'a SessionCredentials,
    pub(super) api: SocketAddr,
    pub(super) log_stream: &'a str,
    pub(super) scratch: PathBuf,
    pub(super) max_processes: u64,
}

impl Start<'_> {
    /// What to start.
    pub(super) fn spawn(self) -> Spawn {
        let (program, args) = match self.python {
            Some(python) => {
                let args = ["-m", "awslambdaric", &self.spec.handler].map(str::to_owned).to_vec();
                (python.python.clone(), args)
            }
            None => (self.spec.code_dir.join("bootstrap"), Vec::new()),
        };
        let limits = Limits {
            memory: Some(self.spec.memory_mb << 20),
            processes: Some(self.max_processes),
            file_size: Some(self.spec.ephemeral_mb << 20),
            open_files: Some(limits::MAX_OPEN_FILES),
        };
        let env = self.env();
        let cwd = self.spec.code_dir.clone();
        Spawn { program, args, env, cwd, scratch: Some(self.scratch), limits }
    }

    fn env(&self) -> Vec<(String, String)> {
        let spec = self.spec;
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        let code_dir = spec.code_dir.display().to_string();
        let scratch = self.scratch.display().to_string();
        let (runtime_dir, path) = match self.python {
            Some(python) => (python.site.display().to_string(), format!("{}:{PATH}", python.bin().display())),
            None => (code_dir.clone(), PATH.to_owned()),
        };
        set("_HANDLER", &spec.handler);
        set("AWS_LAMBDA_FUNCTION_NAME", &spec.name);
        set("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string());
        set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
        set("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", spec.name));
        set("AWS_LAMBDA_LOG_STREAM_NAME", self.log_stream);
        set("AWS_LAMBDA_RUNTIME_API", &self.api.to_string());
        set("LAMBDA_TASK_ROOT", &code_dir);
        set("LAMBDA_RUNTIME_DIR", &runtime_dir);
        set("AWS_REGION", spec.region.as_str());
        set("AWS_DEFAULT_REGION", spec.region.as_str());
        set("AWS_ACCESS_KEY_ID", &self.credentials.access_key_id);
        set("AWS_SECRET_ACCESS_KEY", &self.credentials.secret_access_key);
        if let Some(token) = &self.credentials.session_token {
            set("AWS_SESSION_TOKEN", token);
        }
        set("AWS_ENDPOINT_URL", &spec.endpoint);
        set("TZ", ":UTC");
        set("LANG", "en_US.UTF-8");
        set("PATH", &path);
        set("HOME", &scratch);
        set("TMPDIR", &scratch);
        if let Runtime::Python(name) = &spec.runtime {
            set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{name}"));
            set("PYTHONPATH", &runtime_dir);
        }
        env.extend(spec.env.iter().cloned());
        env
    }
}
