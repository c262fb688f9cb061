//! Starts and stops the programs that are measured.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that ends with this value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub dir: tempfile::TempDir,
    /// From start to the first answer of the health route.
    pub ready_after: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// `headwater serve` on an empty data directory.
    pub async fn headwater(binary: &Path, dir: &Path, extra: &[&str]) -> Result<Server> {
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(dir)?;
        Server::on(binary, dir, extra).await
    }

    /// Kills the server, and gives what it left behind.
    pub fn kill(mut self) -> Result<tempfile::TempDir> {
        self.child.kill()?;
        self.child.wait()?;
        let empty = tempfile::tempdir()?;
        Ok(std::mem::replace(&mut self.dir, empty))
    }

    /// `headwater serve` on a directory that another server left.
    pub async fn on(binary: &Path, dir: tempfile::TempDir, extra: &[&str]) -> Result<Server> {
        let address = free_port()?;
        let started = Instant::now();
        let child = Command::new(binary)
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(dir.path().join("data"))
            .args(extra)
            .stderr(std::fs::File::create(dir.path().join("log"))?)
            .spawn()
            .with_context(|| format!("cannot start {}: build it with `cargo build --release`", binary.display()))?;
        let mut server = Server { child, address, dir, ready_after: Duration::ZERO };
        while !healthy(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("headwater ended with {status}: {}", std::fs::read_to_string(server.dir.path().join("log"))?);
            }
            if started.elapsed() > Duration::from_secs(20) {
                bail!("headwater was not ready within 20 s");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// The server that discards.
    pub fn discarding(dir: &Path) -> Result<Server> {
        use std::io::{BufRead, BufReader};
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(dir)?;
        let mut child = Command::new(std::env::current_exe()?).arg("discard-server").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening ").context("the server says where it listens")?.parse()?;
        Ok(Server { child, address, dir, ready_after: Duration::ZERO })
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Processor time so far, of the threads there are and of the kernel for them.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(stat) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            let ran = stat.split_whitespace().next().context("a thread's state")?.parse()?;
            total += Duration::from_nanos(ran);
        }
        Ok(total)
    }

    /// Bytes the server has made the kernel write to disk so far.
    pub fn written_bytes(&self) -> Result<u64> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = io.lines().find_map(|l| l.strip_prefix("write_bytes:")).context("write_bytes")?;
        Ok(line.trim().parse()?)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

fn healthy(address: SocketAddr) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let request = format!("GET /_headwater/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Start to ready on an empty data directory, and memory when idle.
pub async fn startup(binary: &Path, dir: &Path) -> Result<()> {
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..7 {
        let server = Server::headwater(binary, dir, &[]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        times.push(server.ready_after);
        memory.push(server.resident_kib()?);
    }
    times.sort();
    memory.sort_unstable();
    let rows = vec![
        vec!["start to ready, empty data directory (median of 7)".into(), crate::stats::ms(times[3]), "100 ms".into()],
        vec!["resident memory, idle".into(), format!("{:.1} MiB", memory[3] as f64 / 1024.0), "30 MiB".into()],
    ];
    crate::stats::table("Start-up", &["", "measured", "goal: under"], rows);
    Ok(())
}
