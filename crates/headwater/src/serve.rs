//! `headwater serve`: opens the house, listens, and drains on SIGTERM.

use crate::app::{App, FunctionsDoor};
use crate::cli::{LogFormat, SandboxMode, ServeArgs};
use crate::config::{self, Settings};
use crate::wiring::House;
use anyhow::{Context, Result, anyhow, bail};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::OpenError;
use world::net::Listen;
use world::processes::RealProcesses;
use world::{Stage, World};

/// Answers and invocations in flight have this long at shutdown.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs.
pub struct Server {
    pub address: SocketAddr,
    house: Arc<House>,
}

pub async fn run(args: ServeArgs) -> Result<()> {
    let settings = Settings::load(args)?;
    log_to_stderr(settings.log_format);
    let world = world()?;
    let server = start(world, &settings).await?;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    tracing::info!(
        address = %server.address,
        data_dir = %settings.data_dir.display(),
        account = %settings.home.account,
        region = %settings.home.region,
        "serving at {scheme}://{}", server.address
    );
    if settings.durability == crate::cli::Durability::Os {
        tracing::warn!("durability is `os`: an acknowledged write may be lost when the machine loses power");
    }
    interrupted().await?;
    tracing::info!("stopping: answers in flight are finished");
    server.stop().await;
    Ok(())
}

/// The machine as it is; children go through our own binary, which sets their limits.
pub fn world() -> Result<World> {
    world::net::raise_handles();
    let own = std::env::current_exe().context("cannot find our own binary")?;
    Ok(World { processes: Arc::new(RealProcesses::with_shim(own)), ..World::real() })
}

/// Opens the house and listens.
pub async fn start(world: World, settings: &Settings) -> Result<Server> {
    let house = House::open(world.clone(), settings).await.map_err(|error| explain(error, settings))?;
    hold_functions(&world, settings)?;
    let app = Arc::new(App::new(house.clone(), settings));
    house.functions.connect(functions::runtime::Door { service: FunctionsDoor::of(&app), tls: settings.tls.clone() });
    let listen = Listen { address: settings.listen, tls: settings.tls.clone() };
    let stop = world.tasks.stop(Stage::Sockets);
    let (address, work) =
        world.net.serve(listen, app, stop).map_err(|error| unreachable_port(error, settings.listen))?;
    house.start(&format!("{}://{address}", if settings.tls.is_some() { "https" } else { "http" }));
    world.tasks.spawn(Stage::Sockets, "http", |_| work);
    Ok(Server { address, house })
}

/// Says what this machine lacks to hold functions, or refuses to go on without.
fn hold_functions(world: &World, settings: &Settings) -> Result<()> {
    if settings.sandbox == SandboxMode::Off {
        tracing::warn!("functions are not confined: they may read and call what this server may");
        return Ok(());
    }
    let missing = world.processes.offers().missing;
    if settings.sandbox == SandboxMode::Require && !missing.is_empty() {
        bail!("--sandbox require, but this machine lacks:\n  {}", missing.join("\n  "));
    }
    for layer in missing {
        tracing::warn!("the sandbox of functions lacks {layer}");
    }
    Ok(())
}

impl Server {
    /// Drains and closes everything.
    pub async fn stop(self) {
        for name in self.house.world.tasks.shut_down(PATIENCE).await {
            tracing::warn!(task = name, "did not end in time and was aborted");
        }
        self.house.store.close().await;
    }
}

/// Resolves on SIGTERM or Ctrl-C.
pub async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn log_to_stderr(format: LogFormat) {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    use tracing_subscriber::{Layer, fmt, registry};
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let filter = config::log_filter();
    match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
            registry().with(lines.with_filter(filter)).init();
        }
        LogFormat::Json => registry().with(lines.json().with_filter(filter)).init(),
    }
}

/// What a person can do about a house that does not open.
fn explain(error: anyhow::Error, settings: &Settings) -> anyhow::Error {
    let dir = settings.data_dir.display();
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::Locked { .. }) => anyhow!(
            "another server uses {dir}: `fuser -v {dir}/lock` shows which. Stop it, or give this one another --data-dir."
        ),
        _ => error.context(format!("cannot start with the data directory {dir}")),
    }
}

fn unreachable_port(error: io::Error, address: SocketAddr) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is taken: `ss -ltnp 'sport = :{port}'` shows by whom. Stop it, or give another --listen ADDRESS:PORT."
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!("{address} is not an address of this machine; `ip addr` lists them"),
        io::ErrorKind::InvalidInput => {
            anyhow!("cannot serve TLS: {error}. `headwater tls-init` makes a certificate and its key")
        }
        io::ErrorKind::PermissionDenied => anyhow!("not allowed to listen on {address}: ports below 1024 need root"),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    }
}

/// Refuses data directories that cannot work before anything is written.
pub fn check_directory(world: &World, settings: &Settings) -> Result<()> {
    let dir = &settings.data_dir;
    if let Err(error) = world.disk.create_dir(dir) {
        match error.kind() {
            io::ErrorKind::AlreadyExists => bail!("{} is not a directory", dir.display()),
            io::ErrorKind::StorageFull => bail!("the disk of {} is full: `df -h {0}` shows it", dir.display()),
            _ => return Err(error).with_context(|| format!("cannot create {}", dir.display())),
        }
    }
    Ok(())
}
