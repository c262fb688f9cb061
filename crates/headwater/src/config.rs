//! Settings: what `serve` was told, from the command line, the configuration file and the defaults, in this order.

use crate::cli::{Durability, FunctionNetwork, LimitsMode, LogFormat, SandboxMode, ServeArgs};
use anyhow::{Context, Result, anyhow, bail};
use names::{Account, Home, Region};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The configuration file. Unknown keys are refused: a setting that is not served must not look accepted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    account_id: Option<String>,
    region: Option<String>,
    durability: Option<Durability>,
    limits: Option<LimitsMode>,
    runtimes: Option<PathBuf>,
    credentials: Option<Credentials>,
    tls: Option<Tls>,
    public_url: Option<String>,
    sms: Option<topics::SmsProvider>,
    smpp: Option<topics::SmppGateway>,
    mail: Option<topics::MailRelay>,
    sandbox: Option<SandboxMode>,
    #[serde(default)]
    channels: Channels,
    sns: Option<Sns>,
    #[serde(default)]
    streams: Streams,
    encryption: Option<Encryption>,
    #[serde(default)]
    functions: Functions,
    #[serde(default)]
    delivery: Outbox,
}

/// What streams are encrypted under that ask for it. Each file holds 32 bytes, or 64 hexadecimal digits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// The master key.
    pub master_key_file: PathBuf,
    /// The one before it, until everything is wrapped under the new one: that is done by one start with both.
    pub previous_master_key_file: Option<PathBuf>,
}

/// The chats that notifications may go to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Channels {
    slack: Channel,
    pagerduty: Channel,
    teams: Channel,
}

/// One of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Channel {
    /// Further hosts that speak as it does.
    hosts: Vec<String>,
    /// A file with a template of what it is sent.
    template: Option<PathBuf>,
}

/// What signs notifications, instead of a key that the house makes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sns {
    signing_key: PathBuf,
    signing_certificate: PathBuf,
}

/// How functions run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    /// Whom they may talk to.
    network: Option<FunctionNetwork>,
}

/// How the outbox behaves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbox {
    /// How many bytes may wait for delivery before requests are refused.
    backlog_bytes: Option<u64>,
}

/// How streams behave.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Streams {
    /// How long a stream shows CREATING, UPDATING or DELETING at least, in milliseconds.
    settle_ms: Option<u64>,
}

/// The root key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials {{ access_key_id: {:?}, .. }}", self.access_key_id)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert: PathBuf,
    key: PathBuf,
}

/// All settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub home: Home,
    pub durability: Durability,
    pub limits: LimitsMode,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub runtimes: PathBuf,
    pub log_format: LogFormat,
    pub credentials: Credentials,
    pub topics: topics::TopicsOptions,
    pub streams_settle: Option<Duration>,
    pub encryption: Option<Encryption>,
    pub sandbox: SandboxMode,
    pub network: FunctionNetwork,
    pub delivery: delivery::Options,
}

const DEFAULT_LISTEN: &str = "127.0.0.1:4566";
const DEFAULT_KEY: &str = "test";

impl Settings {
    /// Puts the sources together and checks what they say.
    pub fn load(args: ServeArgs) -> Result<Settings> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let account = args.account_id.or(file.account_id);
        let region = args.region.or(file.region);
        let home = Home {
            account: Account::parse(account.as_deref().unwrap_or("000000000000"))?,
            region: Region::parse(region.as_deref().unwrap_or("us-east-1"))?,
        };
        let listen = match args.listen.or(file.listen) {
            Some(address) => address,
            None => DEFAULT_LISTEN.parse().context("the default address")?,
        };
        let data_dir = match args.data_dir.or(file.data_dir) {
            // Functions run in directories of their own: a relative path would mean another place there.
            Some(dir) => std::path::absolute(dir)?,
            None => platform_dir("XDG_DATA_HOME", ".local/share")?,
        };
        let tls = args.tls_cert.zip(args.tls_key).or(file.tls.map(|t| (t.cert, t.key)));
        let default = || Credentials { access_key_id: DEFAULT_KEY.into(), secret_access_key: DEFAULT_KEY.into() };
        let credentials = file.credentials.unwrap_or_else(default);
        if credentials.access_key_id.is_empty() || credentials.secret_access_key.is_empty() {
            bail!("[credentials] in the configuration: neither the access key id nor its secret may be empty");
        }
        if credentials.secret_access_key == DEFAULT_KEY && !listen.ip().is_loopback() {
            bail!(
                "{listen} can be reached from other machines, and the root key is still the default test/test.\n\
                 Give a root key in the configuration file:\n\n  [credentials]\n  access_key_id = \"...\"\n  \
                 secret_access_key = \"...\"\n\nor listen on a loopback address such as {DEFAULT_LISTEN}."
            );
        }
        let gateways = (file.sms, file.smpp, file.mail);
        let topics = topics_options(gateways, file.channels, file.sns, file.public_url, &data_dir)?;
        Ok(Settings {
            listen,
            home,
            durability: args.durability.or(file.durability).unwrap_or(Durability::Fsync),
            limits: args.limits.or(file.limits).unwrap_or(LimitsMode::Aws),
            tls,
            runtimes: match args.runtimes.or(file.runtimes) {
                Some(dir) => std::path::absolute(dir)?,
                None => data_dir.join("runtimes"),
            },
            log_format: args.log_format.unwrap_or(LogFormat::Text),
            credentials,
            topics,
            encryption: file.encryption.map(|keys| keys.outside(&data_dir)).transpose()?,
            sandbox: args.sandbox.or(file.sandbox).unwrap_or(SandboxMode::Best),
            network: file.functions.network.unwrap_or(FunctionNetwork::Endpoint),
            delivery: file.delivery.options()?,
            streams_settle: file.streams.settle_ms.map(Duration::from_millis),
            data_dir,
        })
    }
}

impl Outbox {
    fn options(self) -> Result<delivery::Options> {
        let mut options = delivery::Options::default();
        match self.backlog_bytes {
            Some(0) => bail!("[delivery] in the configuration: with backlog_bytes = 0 nothing could be delivered"),
            Some(bytes) => options.backlog_bytes = bytes,
            None => {}
        }
        Ok(options)
    }
}

impl Encryption {
    /// Refuses keys that lie with what is encrypted under them: a copy of the directory would open itself.
    fn outside(self, data_dir: &Path) -> Result<Encryption> {
        for file in std::iter::once(&self.master_key_file).chain(&self.previous_master_key_file) {
            if std::path::absolute(file)?.starts_with(data_dir) {
                bail!(
                    "[encryption] in the configuration: {} lies in the data directory, so a copy of that would open itself: \
                     keep the key elsewhere",
                    file.display()
                );
            }
        }
        Ok(self)
    }

    /// Reads the keys.
    pub fn read(&self, disk: &dyn world::Disk) -> Result<store::MasterKeys> {
        let current = master_key(disk, &self.master_key_file)?;
        let previous = self.previous_master_key_file.as_deref().map(|file| master_key(disk, file)).transpose()?;
        Ok(store::MasterKeys { current, previous })
    }
}

fn master_key(disk: &dyn world::Disk, file: &Path) -> Result<store::MasterKey> {
    let shown = file.display();
    let bytes = disk.read(file).with_context(|| format!("cannot read the master key {shown}"))?;
    let key = parse_key(&bytes).with_context(|| {
        format!(
            "{shown} is no master key: it must hold 32 random bytes or 64 hexadecimal digits. `openssl rand -hex 32` makes one"
        )
    })?;
    Ok(store::MasterKey::new(&key))
}

fn parse_key(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let digits = std::str::from_utf8(bytes).ok()?.trim();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

fn topics_options(
    (sms, smpp, mail): (Option<topics::SmsProvider>, Option<topics::SmppGateway>, Option<topics::MailRelay>),
    channels: Channels,
    sns: Option<Sns>,
    public_url: Option<String>,
    data_dir: &Path,
) -> Result<topics::TopicsOptions> {
    if let Some(Err(why)) = sms.as_ref().map(topics::SmsProvider::check) {
        bail!("[sms] in the configuration: {why}");
    }
    if let Some(Err(why)) = smpp.as_ref().map(topics::SmppGateway::check) {
        bail!("[smpp] in the configuration: {why}");
    }
    if sms.is_some() && smpp.is_some() {
        bail!("[sms] and [smpp] in the configuration: one of them carries text messages");
    }
    if let Some(Err(why)) = mail.as_ref().map(topics::MailRelay::check) {
        bail!("[mail] in the configuration: {why}");
    }
    let chat = |name: &str, channel: Channel| {
        let template = channel.template.map(|path| text(&path)).transpose()?;
        let options = topics::ChatOptions { hosts: channel.hosts, template };
        match options.check() {
            Ok(()) => Ok(options),
            Err(why) => Err(anyhow!("[channels.{name}] in the configuration: {why}")),
        }
    };
    let signing = sns.map(|sns| {
        Ok::<_, anyhow::Error>(topics::SigningKey {
            key: text(&sns.signing_key)?,
            certificate: text(&sns.signing_certificate)?,
        })
    });
    Ok(topics::TopicsOptions {
        // The mode of limits says it.
        throttle: false,
        data_dir: data_dir.to_owned(),
        signing: signing.transpose()?,
        slack: chat("slack", channels.slack)?,
        pagerduty: chat("pagerduty", channels.pagerduty)?,
        teams: chat("teams", channels.teams)?,
        sms,
        smpp,
        mail,
        public_url,
    })
}

fn read(path: &Path) -> Result<File> {
    toml::from_str(&text(path)?).with_context(|| format!("{} is not a configuration of Headwater", path.display()))
}

#[allow(clippy::disallowed_methods)] // the configuration is read before there is a world
fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// `headwater` inside one of the user's directories, as the XDG base directory specification places them.
#[allow(clippy::disallowed_methods)] // the environment is read here, once
pub fn platform_dir(variable: &str, under_home: &str) -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(variable).filter(|d| !d.is_empty()) {
        return Ok(PathBuf::from(dir).join("headwater"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set: say where state lives with --data-dir DIR")?;
    Ok(PathBuf::from(home).join(under_home).join("headwater"))
}

/// What is logged: `HEADWATER_LOG` is a level, or levels by module (`info,streams=debug`); what makes no sense of it is
/// said, and `info` holds.
#[allow(clippy::disallowed_methods)] // the environment is read here, once
pub fn log_filter() -> Targets {
    let plain = Targets::new().with_default(LevelFilter::INFO);
    let Ok(text) = std::env::var("HEADWATER_LOG") else { return plain };
    text.parse().unwrap_or_else(|error| {
        eprintln!("HEADWATER_LOG={text} is not understood ({error}): info is logged");
        plain
    })
}

/// The environment for tools that prepare runtimes: the server's own, less its secrets.
pub fn environment() -> Vec<(String, String)> {
    let secret = |key: &str| key.starts_with("AWS_") || key.contains("SECRET") || key.contains("TOKEN");
    std::env::vars().filter(|(key, _)| !secret(key)).collect()
}

/// Memory that functions may be promised: three quarters of the machine's, in MB.
pub fn memory_mb() -> u64 {
    let total = rustix::system::sysinfo();
    let bytes = total.totalram * u64::from(total.mem_unit);
    (bytes / 4 * 3) >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = toml::from_str::<File>("retention = 3").unwrap_err().to_string();
        assert!(error.contains("unknown field `retention`"), "{error}");
    }

    /// What `serve` would make of a configuration file and an address.
    #[allow(clippy::disallowed_methods)] // it is the test's own file
    fn load(file: &str, listen: &str) -> Result<Settings> {
        use clap::Parser;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("headwater.toml");
        std::fs::write(&path, file)?;
        let config = path.display().to_string();
        let args = ["headwater", "serve", "--data-dir", "/nowhere", "--listen", listen, "--config", &config];
        match crate::cli::Cli::try_parse_from(args)?.command {
            crate::cli::Command::Serve(args) => Settings::load(args),
            _ => bail!("serve was asked for"),
        }
    }

    #[test]
    fn weak_root_keys_stay_on_this_machine() {
        let key = |id: &str, secret: &str| {
            format!("[credentials]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n")
        };
        let (here, everywhere) = ("127.0.0.1:0", "0.0.0.0:0");
        assert!(load("", here).is_ok() && load(&key("test", "test"), here).is_ok());
        assert!(load(&key("AKIAROOT", "long and secret"), everywhere).is_ok());
        for weak in [String::new(), key("test", "test"), key("AKIAROOT", "test")] {
            let error = load(&weak, everywhere).unwrap_err().to_string();
            assert!(error.contains("can be reached from other machines"), "{error}");
        }
        for empty in [key("", "secret"), key("AKIAROOT", "")] {
            assert!(load(&empty, here).unwrap_err().to_string().contains("may be empty"));
        }
    }

    #[test]
    fn master_keys_are_read_and_kept_out_of_the_data_directory() {
        assert_eq!(parse_key(&[7; 32]), Some([7; 32]));
        assert_eq!(parse_key("0a".repeat(32).as_bytes()), Some([10; 32]));
        assert_eq!(parse_key(format!("{}\n", "0a".repeat(32)).as_bytes()), Some([10; 32]));
        assert_eq!(parse_key(b"secret"), None);
        assert_eq!(parse_key("xy".repeat(32).as_bytes()), None);
        let section = |file: &str| format!("[encryption]\nmaster_key_file = \"{file}\"\n");
        assert!(load(&section("/elsewhere/key"), "127.0.0.1:0").is_ok());
        let error = load(&section("/nowhere/key"), "127.0.0.1:0").unwrap_err().to_string();
        assert!(error.contains("lies in the data directory"), "{error}");
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // they are the test's own files
    fn channels_are_read_with_their_templates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slack.json");
        let file =
            format!("[channels.slack]\nhosts = [\"chat.example.com\"]\ntemplate = {:?}\n", path.display().to_string());
        std::fs::write(&path, r#"{"text":"{title}"}"#).unwrap();
        let slack = load(&file, "127.0.0.1:0").unwrap().topics.slack;
        assert_eq!((slack.hosts.len(), slack.template.as_deref()), (1, Some(r#"{"text":"{title}"}"#)));
        std::fs::write(&path, r#"{"text":{title}}"#).unwrap();
        assert!(load(&file, "127.0.0.1:0").unwrap_err().to_string().contains("[channels.slack]"));
        assert!(load("[channels.fax]\n", "127.0.0.1:0").is_err());
    }

    #[test]
    fn the_backlog_is_bounded_by_choice() {
        let bytes = |file: &str| load(file, "127.0.0.1:0").map(|settings| settings.delivery.backlog_bytes);
        assert_eq!(bytes("").unwrap(), 8 << 30);
        assert_eq!(bytes("[delivery]\nbacklog_bytes = 1000\n").unwrap(), 1000);
        assert!(bytes("[delivery]\nbacklog_bytes = 0\n").unwrap_err().to_string().contains("[delivery]"));
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", Credentials { access_key_id: "id".into(), secret_access_key: "hush".into() });
        assert!(!shown.contains("hush"));
    }
}
