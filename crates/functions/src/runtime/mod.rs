//! Runs functions: processes that speak the Lambda Runtime API, kept warm, limited, and ended whole.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod api;
pub(crate) mod environment;
mod executor;
mod extensions;
mod interpreter;
mod isolation;
mod java;
mod kinds;
mod levels;
mod limits;
mod managed;
mod node;
mod outlet;
mod pace;
mod pool;
pub mod python;
mod report;
mod sandbox;
mod taken;
mod turn;
mod view;
mod word;

pub use executor::{Door, Executor, Network, Options};
pub use interpreter::{Interpreter, PrepareError, Progress, Silent};
pub use kinds::{Runtime, UnknownRuntime};
pub use levels::{Level, Levels};
pub use limits::{IDLE, LOG_TAIL, MAX_CONCURRENCY, MAX_PROCESSES, MAX_RESPONSE, MAX_STREAM};
pub use managed::Managed;
pub use outlet::Chunk;

use bytes::Bytes;
use names::{Arn, Region, TraceContext};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use world::{BoxFuture, Timestamp};

/// Keys of a role for a limited time.
#[derive(Clone)]
pub struct SessionCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The session token, where the key needs one.
    pub session_token: Option<String>,
    /// When they end.
    pub expires: Timestamp,
}

/// Why no credentials could be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no credentials for the function's role: {0}")]
pub struct CredentialsError(pub String);

/// Issues credentials of a function's execution role.
pub trait Credentials: Send + Sync {
    /// New ones, for a process that is about to start.
    fn issue(&self) -> BoxFuture<'_, Result<SessionCredentials, CredentialsError>>;
}

/// Takes what functions write.
pub trait LogSink: Send + Sync {
    /// One event of a function's log. It may hold line breaks: one event of the function, several lines.
    fn write(&self, group: &str, stream_name: &str, at: Timestamp, line: String);
}

/// A function as it is to be run.
#[derive(Clone)]
pub struct FunctionSpec {
    /// The ARN it is invoked by.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// What interprets its code.
    pub runtime: Runtime,
    /// Which part of the code is called; its form is the runtime's matter.
    pub handler: String,
    /// Memory it may use, in MB.
    pub memory_mb: u64,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Its own environment variables.
    pub env: Vec<(String, String)>,
    /// Where its code lies, unpacked.
    pub code_dir: PathBuf,
    /// Where its layers lie, merged into one directory, if it has any.
    pub layers_dir: Option<PathBuf>,
    /// Which code that is.
    pub code_sha: String,
    /// Whose keys it has.
    pub role: Arn,
    /// Those keys.
    pub credentials: Arc<dyn Credentials>,
    /// Where AWS is for it (`AWS_ENDPOINT_URL`).
    pub endpoint: String,
    /// Its region.
    pub region: Region,
    /// What its temporary directory may hold, in MB; where it has no root of its own, the largest file in there.
    pub ephemeral_mb: u64,
    /// How many of it may run at once, where it has its own limit.
    pub reserved_concurrency: Option<usize>,
    /// The log group that its lines go to.
    pub log_group: String,
    /// What is written of its log, where that is JSON. Text is written whole.
    pub levels: Option<Levels>,
}

impl FunctionSpec {
    /// Whether a process of `other` may run this.
    fn runs_like(&self, other: &FunctionSpec) -> bool {
        fn code(s: &FunctionSpec) -> impl PartialEq + '_ {
            (&s.code_sha, &s.code_dir, &s.layers_dir, &s.runtime, &s.handler)
        }
        fn place(s: &FunctionSpec) -> impl PartialEq + '_ {
            (&s.role, &s.endpoint, &s.region, &s.log_group, s.levels, s.memory_mb, s.ephemeral_mb, &s.env, s.timeout)
        }
        self.key() == other.key() && code(self) == code(other) && place(self) == place(other)
    }

    /// Where the executables of its extensions lie.
    fn extensions_dir(&self) -> Option<PathBuf> {
        self.layers_dir.as_ref().map(|dir| dir.join("extensions"))
    }

    /// Its extensions, by name.
    fn extensions(&self) -> Vec<String> {
        self.extensions_dir().map(|dir| extensions::in_directory(&dir)).unwrap_or_default()
    }

    /// Which processes belong together: those of one version of one function.
    fn key(&self) -> (&str, &str) {
        (&self.name, &self.version)
    }
}

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What the function is given.
    pub payload: Bytes,
    /// The request's id, unguessable.
    pub request_id: String,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// The client context, as JSON.
    pub client_context: Option<String>,
    /// Whether the end of its log is wanted with the answer.
    pub tail: bool,
}

/// That a function failed, as opposed to Lambda.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// The error's type, such as `Runtime.ExitError` or the name of an exception.
    pub error_type: String,
    /// Who tells of it.
    pub teller: Teller,
}

/// Who tells of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The function, or its runtime.
    Function,
    /// The same, behind a response that had begun. Lambda counts that as an answer.
    Midstream,
    /// Lambda itself, of a function that cannot.
    Lambda,
}

impl FunctionError {
    /// The value of `X-Amz-Function-Error`. Lambda has told handled errors apart only for runtimes of the past.
    pub const HEADER: &'static str = "Unhandled";
}

/// What an invocation came to.
#[derive(Clone, Debug)]
pub struct InvokeOutcome {
    /// The response where it was not taken in pieces, or the error as JSON.
    pub payload: Bytes,
    /// Set where the function failed.
    pub error: Option<FunctionError>,
    /// The last 4 KB of the log, where they were wanted.
    pub log_tail: String,
    /// What it took.
    pub report: Report,
}

/// What an invocation took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// From handing it to the runtime to the answer, in milliseconds.
    pub duration_ms: f64,
    /// What Lambda would bill.
    pub billed_ms: u64,
    /// The memory it could have used.
    pub memory_mb: u64,
    /// The memory its process used at most so far.
    pub max_memory_mb: u64,
    /// How long its process took to be ready, where it was started for this invocation.
    pub init_ms: Option<f64>,
}

/// Processes of a version of which some are always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many are to be there.
    pub wanted: usize,
    /// How many are there.
    pub started: usize,
    /// Of these, how many have got through their start.
    pub ready: usize,
    /// Of these, how many run nothing.
    pub free: usize,
}

/// Which limit is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The function's reserved concurrency.
    Function,
    /// All functions together.
    Total,
    /// Memory for one more process.
    Memory,
}

/// Why a function could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// A limit is reached: try again later. Nothing is queued here.
    #[error("Rate Exceeded.")]
    TooManyRequests(Throttle),
    /// Its process could not be started.
    #[error("cannot start a process for the function: {0}")]
    Start(#[from] io::Error),
    /// Its runtime could not be prepared.
    #[error("{0}")]
    Runtime(#[from] PrepareError),
    /// Its role's keys could not be had.
    #[error("{0}")]
    Credentials(#[from] CredentialsError),
    /// Its process ended again and again before it took the invocation, or the house is closing.
    #[error("no process took the invocation")]
    Unavailable,
}
