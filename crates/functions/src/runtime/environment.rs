//! The environment of a function's process, as Lambda's own.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use super::interpreter::Interpreter;
use super::view::{self, View};
use super::{FunctionSpec, Runtime, SessionCredentials, limits};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use world::processes::{Confinement, Limits, Reach, Spawn};

/// The part of a function's memory that objects of Java may take; the rest is for the machine itself.
const JAVA_HEAP_PERCENT: u64 = 75;

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
    pub(super) interpreter: Option<&'a Interpreter>,
    pub(super) credentials: &'a SessionCredentials,
    pub(super) api: SocketAddr,
    pub(super) log_stream: &'a str,
    /// Whether it is provisioned, and not started for want of it.
    pub(super) kept: bool,
    /// Its temporary directory, where it has no root of its own.
    pub(super) scratch: PathBuf,
    pub(super) max_processes: u64,
    /// What all processes together may hold, in MB.
    pub(super) max_memory_mb: u64,
    /// Thousandths of a processor that it gets once it is ready.
    pub(super) processor: Option<u64>,
    /// Whether it gets a root of its own.
    pub(super) rooted: bool,
    /// Whom it may talk to; `None`: it is not confined at all.
    pub(super) reach: Option<Reach>,
    /// What begins the line that tells of the end of an extension, where there are any.
    pub(super) extensions: Option<&'a String>,
}

/// Starts extensions beside the runtime, within its limits, and tells of their ends.
const WITH_EXTENSIONS: &str = r#"mark=$1; dir=$2; shift 2
for e in "$dir"/*; do if [ -f "$e" ] && [ -x "$e" ]; then ("$e"; echo "$mark $? ${e##*/}") & fi; done
exec "$@""#;

impl Start<'_> {
    /// What to start.
    pub(super) fn spawn(self) -> Spawn {
        let view = self.view();
        let (program, args) = self.command(&view);
        let tmp = self.spec.ephemeral_mb << 20;
        let limits = Limits {
            memory: Some(self.spec.memory_mb << 20),
            together: Some(self.max_memory_mb << 20),
            processes: Some(self.max_processes),
            file_size: Some(tmp),
            open_files: Some(limits::MAX_OPEN_FILES),
            processor: self.processor,
        };
        Spawn {
            program,
            args,
            env: self.env(&view),
            cwd: view.of(&self.spec.code_dir),
            scratch: (!view.rooted()).then(|| self.scratch.clone()),
            limits,
            confinement: self.reach.map(|reach| Confinement { sees: view.into_sees(), tmp, reach }),
        }
    }

    /// What it sees of this machine.
    fn view(&self) -> View {
        let mut view = View::new(self.rooted);
        view.show(&self.spec.code_dir, view::TASK);
        if let Some(layers) = &self.spec.layers_dir {
            view.show(layers, view::LAYERS);
        }
        if let Some(interpreter) = self.interpreter {
            for (here, there) in &interpreter.shows {
                view.show(here, there);
            }
            view.show_program(&interpreter.program);
        }
        view
    }

    /// The program and its arguments, in the paths that the process sees.
    fn command(&self, view: &View) -> (PathBuf, Vec<String>) {
        let spec = self.spec;
        let (program, mut args) = match (self.interpreter, &spec.runtime) {
            (Some(interpreter), runtime) => {
                let seen = interpreter.args.iter().map(|arg| view.of(Path::new(arg)).display().to_string());
                let mut args: Vec<String> = seen.collect();
                if matches!(runtime, Runtime::Java(_)) {
                    args.insert(0, format!("-Xmx{}m", spec.memory_mb * JAVA_HEAP_PERCENT / 100));
                    if let Some(layers) = &spec.layers_dir {
                        args.insert(0, format!("-Dheadwater.layers={}", view.of(layers).display()));
                    }
                }
                args.push(spec.handler.clone());
                (interpreter.program.clone(), args)
            }
            (None, Runtime::Go(_)) => (spec.code_dir.join(&spec.handler), Vec::new()),
            (None, _) => (spec.code_dir.join("bootstrap"), Vec::new()),
        };
        let program = view.of(&program);
        let (Some(marker), Some(dir)) = (self.extensions, spec.extensions_dir()) else { return (program, args) };
        let first = ["-c", WITH_EXTENSIONS, "sh", marker].map(str::to_owned);
        let places = [view.of(&dir), program].map(|path| path.display().to_string());
        args.splice(..0, first.into_iter().chain(places));
        (PathBuf::from("/bin/sh"), args)
    }

    /// Where layers put what a runtime finds by itself.
    /// Source: <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>
    fn layers_env(&self, interpreter: &Interpreter, seen: &dyn Fn(&Path) -> String) -> Vec<(&'static str, String)> {
        let Some(layers) = self.spec.layers_dir.as_deref().map(seen) else { return Vec::new() };
        let version = interpreter.version.rsplit(':').next().unwrap_or_default();
        let mut env = vec![("LD_LIBRARY_PATH", format!("{layers}/lib"))];
        match &self.spec.runtime {
            Runtime::Python(_) => {
                let own = interpreter.env.iter().find(|(name, _)| name == "PYTHONPATH").map(|(_, value)| value);
                let own = own.map(|value| seen(Path::new(value))).unwrap_or_default();
                let path = format!("{layers}/python/lib/python{version}/site-packages:{layers}/python:{own}");
                env.push(("PYTHONPATH", path));
            }
            Runtime::Node(_) => {
                let path = format!("{layers}/nodejs/node{version}/node_modules:{layers}/nodejs/node_modules");
                env.push(("NODE_PATH", path));
            }
            Runtime::Java(_) | Runtime::Provided(_) | Runtime::Go(_) => {}
        }
        env
    }

    fn env(&self, view: &View) -> Vec<(String, String)> {
        let spec = self.spec;
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        let seen = |path: &Path| view.of(path).display().to_string();
        let code_dir = seen(&spec.code_dir);
        let tmp = if view.rooted() { view::TMP.to_owned() } else { self.scratch.display().to_string() };
        let (runtime_dir, path) = match self.interpreter {
            Some(interpreter) => (seen(&interpreter.dir), format!("{}:{PATH}", seen(&interpreter.bin))),
            None => (code_dir.clone(), PATH.to_owned()),
        };
        set("_HANDLER", &spec.handler);
        set("AWS_LAMBDA_FUNCTION_NAME", &spec.name);
        set("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mb.to_string());
        set("AWS_LAMBDA_INITIALIZATION_TYPE", if self.kept { "provisioned-concurrency" } else { "on-demand" });
        set("AWS_LAMBDA_LOG_GROUP_NAME", &spec.log_group);
        set("AWS_LAMBDA_LOG_STREAM_NAME", self.log_stream);
        set("AWS_LAMBDA_RUNTIME_API", &self.api.to_string());
        if let Some(levels) = spec.levels {
            set("AWS_LAMBDA_LOG_FORMAT", "JSON");
            set("AWS_LAMBDA_LOG_LEVEL", levels.application.name());
        }
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
        set("HOME", &tmp);
        set("TMPDIR", &tmp);
        if let Some(interpreter) = self.interpreter {
            set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", spec.runtime.name()));
            for (name, value) in &interpreter.env {
                set(name, &seen(Path::new(value)));
            }
            for (name, value) in self.layers_env(interpreter, &seen) {
                set(name, &value);
            }
        }
        env.extend(spec.env.iter().cloned());
        env
    }
}
