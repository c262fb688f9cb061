//! An executor on the real machine, and functions to run on it.
#![allow(clippy::unwrap_used)] // the lint knows tests by their attribute only

use bytes::Bytes;
use functions::code::Package;
use functions::runtime::*;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{BoxFuture, Timestamp, World};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Credentials that last for a given time from a fixed moment on.
pub(crate) struct Keys(pub(crate) Duration, pub(crate) World);

impl Credentials for Keys {
    fn issue(&self) -> BoxFuture<'_, Result<SessionCredentials, CredentialsError>> {
        Box::pin(async {
            Ok(SessionCredentials {
                access_key_id: "ASIATEST".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: Some("token".to_owned()),
                expires: self.1.now().plus(self.0),
            })
        })
    }
}

#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl LogSink for Lines {
    fn write(&self, _: &str, _: &str, _: Timestamp, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) executor: Executor,
    #[allow(dead_code)] // a test is its own binary
    pub(crate) logs: Arc<Lines>,
    pub(crate) dir: tempfile::TempDir,
    requests: Mutex<u64>,
}

#[allow(clippy::disallowed_methods, dead_code)] // a test is its own binary
pub(crate) fn own_environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}

/// Where the Python environment of the tests is kept between runs.
#[allow(dead_code)]
pub(crate) fn shared_runtimes() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runtimes")
}

#[allow(dead_code)]
pub(crate) fn path() -> String {
    own_environment().into_iter().find(|(name, _)| name == "PATH").map(|(_, value)| value).unwrap_or_default()
}

pub(crate) fn zip(files: &[(&str, &[u8])]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

impl House {
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> House {
        let world = World::real();
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().join("scratch"), 4096);
        options.max_processes = 64;
        // There is no shim here, without which nothing can be confined: escapes are tried in `conformance/`.
        options.confined = false;
        change(&mut options);
        let logs = Arc::new(Lines::default());
        let managed = Arc::new(Managed::new(world.clone(), shared_runtimes(), own_environment()));
        let executor = Executor::new(world.clone(), options, managed, logs.clone());
        House { world, executor, logs, dir, requests: Mutex::new(0) }
    }

    pub(crate) fn new() -> House {
        House::with(|_| {})
    }

    /// A function from these files.
    pub(crate) fn function(&self, name: &str, runtime: &str, files: &[(&str, &str)]) -> FunctionSpec {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        self.function_of(name, runtime, &files)
    }

    /// A function from these files, of whatever they hold.
    pub(crate) fn function_of(&self, name: &str, runtime: &str, files: &[(&str, &[u8])]) -> FunctionSpec {
        let package = Package::check(zip(files)).unwrap();
        FunctionSpec {
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}").parse().unwrap(),
            name: name.to_owned(),
            version: "$LATEST".to_owned(),
            runtime: Runtime::parse(runtime).unwrap(),
            handler: "function.handler".to_owned(),
            memory_mb: 128,
            timeout: Duration::from_secs(30),
            env: Vec::new(),
            code_dir: package.unpack(&self.dir.path().join("functions")).unwrap(),
            layers_dir: None,
            code_sha: package.code_sha256(),
            role: "arn:aws:iam::000000000000:role/house".parse().unwrap(),
            credentials: Arc::new(Keys(Duration::from_secs(3600), self.world.clone())),
            endpoint: "http://127.0.0.1:4566".to_owned(),
            region: names::Region::parse("us-east-1").unwrap(),
            ephemeral_mb: 512,
            reserved_concurrency: None,
            log_group: format!("/aws/lambda/{name}"),
            levels: None,
        }
    }

    /// A function that does what its payload says.
    #[allow(dead_code)]
    pub(crate) fn puppet(&self, name: &str) -> FunctionSpec {
        self.function(name, "provided.al2023", &[("bootstrap", &puppet())])
    }

    pub(crate) async fn invoke(&self, spec: &FunctionSpec, payload: &str) -> Result<InvokeOutcome, InvokeError> {
        self.invoke_into(spec, payload, None).await
    }

    /// The same; a response in pieces goes into `sink`.
    pub(crate) async fn invoke_into(
        &self,
        spec: &FunctionSpec,
        payload: &str,
        sink: Option<tokio::sync::mpsc::Sender<Chunk>>,
    ) -> Result<InvokeOutcome, InvokeError> {
        let number = {
            let mut requests = self.requests.lock().unwrap();
            *requests += 1;
            *requests
        };
        let invocation = Invocation {
            payload: Bytes::from(payload.to_owned()),
            request_id: format!("00000000-0000-4000-8000-{number:012}"),
            trace: Some(names::TraceContext::start(1, [7; 12])),
            client_context: Some(r#"{"custom":{"a":"b"}}"#.to_owned()),
            tail: true,
        };
        self.executor.invoke(&Arc::new(spec.clone()), invocation, sink).await
    }

    /// Invokes and reads the answer as JSON.
    pub(crate) async fn ask(&self, spec: &FunctionSpec, payload: &str) -> (serde_json::Value, InvokeOutcome) {
        let outcome = self.invoke(spec, payload).await.unwrap();
        (serde_json::from_slice(&outcome.payload).unwrap_or_default(), outcome)
    }
}

/// The text of the puppet's `bootstrap`, with the interpreter of this machine.
#[allow(dead_code, clippy::disallowed_methods)] // a test is its own binary
pub(crate) fn puppet() -> String {
    static PYTHON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let print = ["-c", "import sys; print(sys._base_executable or sys.executable)"];
        let output = std::process::Command::new("python3").args(print).output().expect("python3 is installed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    format!("#!{python}\n{}", include_str!("../fixtures/bootstrap.py"))
}
