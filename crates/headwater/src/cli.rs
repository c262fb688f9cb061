//! The command line: a contract that scripts depend on.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Runs the AWS real-time stack anywhere, as one durable program.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve all services on one endpoint.
    Serve(ServeArgs),
    /// Play the security pipeline end to end on a private server, with real boto3 code, and show every hop.
    Demo(DemoArgs),
    /// Print the `export AWS_...` lines that point SDKs and tools here.
    Env(ClientArgs),
    /// Work out how many shards a pipeline needs and whether its functions keep up.
    Plan(PlanArgs),
    /// Follow a stream's records, a log group's lines or the audit trail.
    Tail(TailArgs),
    /// Show what runs, lags and fails.
    Status(StatusArgs),
    /// Show which fields of an event match a pattern, and why others do not.
    ///
    /// Exits with 0 where the event matches, 1 where it does not, 2 where one of the two is invalid.
    Explain(ExplainArgs),
    /// Make a local certificate authority and a certificate for TLS.
    TlsInit(TlsArgs),
}

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk: survives power loss.
    Fsync,
    /// Handed to the operating system: survives a crash of the program, not of the machine.
    Os,
}

/// Whether AWS's throughput limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitsMode {
    /// As AWS does, with its throttling errors.
    Aws,
    /// No throughput limits.
    Off,
}

/// What is to hold functions back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// All that this machine offers; where it lacks something, the server does not start.
    Require,
    /// All that this machine offers; what it lacks is told.
    Best,
    /// Limits on memory, processor and processes alone.
    Off,
}

/// Whom functions may talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionNetwork {
    /// This server.
    Endpoint,
    /// Everybody whom this machine reaches.
    All,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it has to be an IP address and a port, such as 127.0.0.1:4566 or [::1]:4566".to_owned())
}

/// Options of `serve`. What is not given comes from `--config`, then from the defaults.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address and port to listen on [default: 127.0.0.1:4566]
    #[arg(long, value_name = "ADDRESS:PORT", env = "HEADWATER_LISTEN", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Where all state lives [default: the platform's data directory]
    #[arg(long, value_name = "DIR", env = "HEADWATER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file; unknown keys in it are refused
    #[arg(long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    pub config: Option<PathBuf>,
    /// The account all resources belong to [default: 000000000000]
    #[arg(long, value_name = "12 DIGITS")]
    pub account_id: Option<String>,
    /// The region all resources live in [default: us-east-1]
    #[arg(long)]
    pub region: Option<String>,
    /// What an acknowledgement promises [default: fsync]
    #[arg(long)]
    pub durability: Option<Durability>,
    /// Whether AWS's throughput limits are enforced [default: aws]
    #[arg(long)]
    pub limits: Option<LimitsMode>,
    /// Certificate chain (PEM): serve TLS (with ALPN) instead of plain HTTP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Where function runtimes are prepared, shared between data directories [default: DATA_DIR/runtimes]
    #[arg(long, value_name = "DIR", env = "HEADWATER_RUNTIMES")]
    pub runtimes: Option<PathBuf>,
    /// What holds functions back from the machine and from each other [default: best]
    #[arg(long, env = "HEADWATER_SANDBOX")]
    pub sandbox: Option<SandboxMode>,
    /// How log lines look [default: text]
    #[arg(long)]
    pub log_format: Option<LogFormat>,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the server running afterwards, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Where the Python runtime is prepared, once [default: the platform's cache directory]
    #[arg(long, value_name = "DIR", env = "HEADWATER_RUNTIMES")]
    pub runtimes: Option<PathBuf>,
    /// Print the timeline as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the server is.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// The server's address
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    pub endpoint: String,
    /// The access key that own routes ask for where the server is not on this machine
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "test")]
    pub access_key_id: String,
    /// Its secret
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", default_value = "test", hide_env_values = true)]
    pub secret_access_key: String,
    /// The region
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub region: String,
    /// Authorities that may vouch for a server with TLS (PEM), such as the one that `tls-init` makes
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    pub ca_bundle: Option<OsString>,
}

/// Options of `tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// A stream's name, a log group's (`/aws/lambda/FUNCTION`), or `audit`
    pub what: String,
    /// Start with what is there already instead of what comes next
    #[arg(long)]
    pub from_start: bool,
    /// Print what is there and end
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The pattern: JSON, a file, or `-` for standard input
    pub pattern: String,
    /// The event: JSON, a file, or `-` for standard input
    pub event: String,
    /// Whose pattern it is
    #[arg(long, value_enum, default_value_t = Language::Rule)]
    pub language: Language,
}

/// The services that share the pattern language, each with its own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A rule of EventBridge
    Rule,
    /// A filter of an event source mapping
    EventFilter,
    /// An SNS filter policy on attributes
    AttributePolicy,
    /// An SNS filter policy on message bodies
    BodyPolicy,
}

impl From<Language> for patterns::Dialect {
    fn from(language: Language) -> patterns::Dialect {
        match language {
            Language::Rule => patterns::Dialect::EventBus,
            Language::EventFilter => patterns::Dialect::EventSource,
            Language::AttributePolicy => patterns::Dialect::MessageAttributes,
            Language::BodyPolicy => patterns::Dialect::MessageBody,
        }
    }
}

/// Options of `tls-init`.
#[derive(Debug, Args)]
pub struct TlsArgs {
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "tls")]
    pub dir: PathBuf,
    /// Names and addresses the certificate is for
    #[arg(long = "name", value_name = "HOST", default_values = ["localhost", "127.0.0.1", "::1"])]
    pub names: Vec<String>,
}

/// The most that makes sense of anything: a trillion.
const MOST: f64 = 1e12;

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= MOST);
    number.ok_or_else(|| "it has to be a number above zero, and at most a trillion".to_owned())
}

fn tries(text: &str) -> Result<f64, String> {
    let number = positive(text)?;
    if number < 1.0 { Err("the first try counts too: it has to be at least 1".to_owned()) } else { Ok(number) }
}

/// Options of `plan`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct PlanArgs {
    /// Read the figures of this stream as it runs, instead of those given here
    #[arg(long, value_name = "NAME", conflicts_with_all = ["records", "incoming", "outgoing", "batch_size", "duration", "shards"])]
    pub stream: Option<String>,
    /// With --stream: for how many seconds it is watched
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "stream", value_parser = clap::value_parser!(u64).range(1..))]
    pub over: u64,
    /// With --stream: reshard it where that is the cure
    #[arg(long, requires = "stream")]
    pub apply: bool,
    /// Records written per second
    #[arg(long, value_name = "N", value_parser = positive)]
    pub records: Option<f64>,
    /// KB written per second, in place of --records or beside it
    #[arg(long, value_name = "KB", value_parser = positive)]
    pub incoming: Option<f64>,
    /// KB read per second by all consumers, in place of --consumers
    #[arg(long, value_name = "KB", value_parser = positive)]
    pub outgoing: Option<f64>,
    /// Average record size in KB
    #[arg(long, value_name = "KB", default_value_t = 1.0, value_parser = positive)]
    pub record_kb: f64,
    /// How many consumers read the whole stream
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub consumers: u32,
    /// Records per function invocation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,
    /// How long one invocation takes, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub duration: Option<f64>,
    /// Tries until a batch succeeds
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = tries)]
    pub tries: f64,
    /// Batches of one shard at once (ParallelizationFactor)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub lanes: u32,
    /// Shards the stream has; the need is worked out without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shards: Option<u32>,
    #[command(flatten)]
    pub client: ClientArgs,
}
