//! One child: who belongs to it, how it is watched, and how it and its group are seen off.

use super::cgroup::Group;
use super::confine::control::{Control, End, Told};
use super::lines::PipeLines;
use super::{Child, Exit, Limits, Output, procfs, share};
use crate::BoxFuture;
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// How often memory is looked at where no control group watches it.
pub(super) const WATCH: Duration = Duration::from_millis(100);
/// How long the rest of a group may take to go once it was killed; uninterruptible disk reads are the slow ones.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// A child as those who watch it and those who hold it share it.
pub(super) struct Shared {
    pub(super) pid: u32,
    pub(super) group: Option<Group>,
    pub(super) limits: Limits,
    /// It is confined in namespaces of its own: between it and this process stand two processes of ours.
    pub(super) enclosed: bool,
    /// It has a network of its own, and no socket of it can be one of ours.
    pub(super) apart: bool,
    /// The inner one of the two processes of ours.
    inner: OnceLock<u32>,
    over_memory: AtomicBool,
    peak: AtomicU64,
    exit: watch::Sender<Option<Exit>>,
    /// The last connection found to be the group's own, with its socket: while the group holds that socket, nobody else
    /// can have that connection.
    caller: Mutex<Option<(SocketAddr, SocketAddr, u64)>>,
}

impl Shared {
    pub(super) fn new(pid: u32, group: Option<Group>, limits: Limits, layers: Option<(bool, bool)>) -> Arc<Shared> {
        let (enclosed, apart) = layers.unwrap_or_default();
        Arc::new(Shared {
            pid,
            group,
            limits,
            enclosed,
            apart,
            inner: OnceLock::new(),
            over_memory: AtomicBool::new(false),
            peak: AtomicU64::new(0),
            exit: watch::Sender::new(None),
            caller: Mutex::new(None),
        })
    }

    /// All processes of the group but those of ours.
    pub(super) fn members(&self) -> Vec<u32> {
        let mut members = self.everyone();
        if self.enclosed {
            let inner = match self.inner.get() {
                Some(inner) => Some(*inner),
                None => procfs::children(self.pid).first().map(|inner| *self.inner.get_or_init(|| *inner)),
            };
            members.retain(|pid| *pid != self.pid && Some(*pid) != inner);
        }
        members
    }

    fn everyone(&self) -> Vec<u32> {
        match &self.group {
            Some(group) => group.members(),
            None => procfs::group_members(self.pid),
        }
    }

    fn kill(&self) {
        if self.exit.borrow().is_some() {
            return;
        }
        if let Some(pid) = Pid::from_raw(self.pid as i32) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// Whether somebody has to look at its memory: nobody does where the kernel's limit is the function's own.
    fn wants_watch(&self) -> bool {
        self.limits.memory.is_some() && (self.group.is_none() || self.enclosed)
    }

    fn watch_memory(&self) {
        let over = match &self.group {
            Some(group) if group.crowds() => {
                tracing::warn!(
                    pid = self.pid,
                    "a child is ended: all together hold too much, and it has most in its /tmp"
                );
                true
            }
            Some(group) => group.used_beyond_limit(),
            None => {
                let used = procfs::resident(&self.members());
                self.peak.fetch_max(used, Ordering::Relaxed);
                self.limits.memory.is_some_and(|limit| used > limit)
            }
        };
        if over {
            self.over_memory.store(true, Ordering::Relaxed);
            self.kill();
        }
    }

    fn exit_of(&self, status: ExitStatus, told: Option<End>) -> Exit {
        let (code, signal) = match told {
            Some(End::Code(code)) => (Some(code), None),
            Some(End::Signal(signal)) => (None, Some(signal)),
            None => (status.code(), status.signal()),
        };
        let killed = signal == Some(Signal::KILL.as_raw());
        let over =
            self.over_memory.load(Ordering::Relaxed) || self.group.as_ref().is_some_and(Group::ran_out_of_memory);
        match (code, signal) {
            _ if killed && over => Exit::OutOfMemory,
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        }
    }
}

/// What the processes around a child have said.
pub(super) struct Report {
    control: Option<UnixStream>,
    ready: watch::Sender<Option<Start>>,
    ended: Option<End>,
}

/// How a start went: the sockets it was promised, until they are taken, or why there was none.
pub(super) type Start = Result<Arc<Mutex<Vec<TcpListener>>>, String>;

impl Report {
    /// Of a child that is confined, and so has somebody who tells of it.
    pub(super) fn of(control: Option<Control>) -> io::Result<Report> {
        let watched = |Control(fd)| -> io::Result<UnixStream> {
            let socket = std::os::unix::net::UnixStream::from(fd);
            socket.set_nonblocking(true)?;
            UnixStream::from_std(socket)
        };
        let control = control.map(watched).transpose()?;
        Ok(Report { control, ready: watch::Sender::new(None), ended: None })
    }

    pub(super) fn ready(&self) -> watch::Receiver<Option<Start>> {
        self.ready.subscribe()
    }

    /// Hears all that is said, until nobody is left to say anything.
    async fn hear(&mut self) {
        while let Some(control) = &self.control {
            let heard = control.readable().await.and_then(|()| {
                control.try_io(Interest::READABLE, || Control(control).receive::<Told>(RecvFlags::DONTWAIT))
            });
            match heard {
                Ok(Some((Told::Ready, sockets))) => {
                    self.ready.send_replace(Some(Ok(Arc::new(Mutex::new(sockets)))));
                }
                Ok(Some((Told::Failed { why, .. }, _))) => {
                    self.ready.send_if_modified(|ready| ready.is_none() && ready.replace(Err(why)).is_none());
                }
                Ok(Some((Told::Ended(end), _))) => self.ended = Some(end),
                Ok(None) => break,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "what stands around a child cannot be understood");
                    break;
                }
            }
        }
        self.control = None;
    }
}

/// Waits for the child, then sees its whole group off.
#[allow(clippy::disallowed_methods)] // this is the port
pub(super) async fn supervise(
    mut child: tokio::process::Child,
    shared: Arc<Shared>,
    mut report: Report,
    scratch: Option<PathBuf>,
) {
    let status = loop {
        tokio::select! {
            biased;
            () = report.hear(), if report.control.is_some() => {}
            status = child.wait() => break status,
            () = tokio::time::sleep(WATCH), if shared.wants_watch() => shared.watch_memory(),
        }
    };
    // Its processes cannot be asked any more.
    shared.peak.fetch_max(shared.group.as_ref().and_then(Group::peak).unwrap_or(0), Ordering::Relaxed);
    // The inner process goes with the outer one; its last word may still be on the way.
    let _ = tokio::time::timeout(LAST_BREATH, report.hear()).await;
    let exit = status.map_or(Exit::Signal(0), |status| shared.exit_of(status, report.ended));
    if exit == Exit::OutOfMemory {
        shared.peak.fetch_max(shared.limits.memory.unwrap_or(0), Ordering::Relaxed);
    }
    let pause = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < LAST_BREATH {
        shared.kill();
        reap(shared.pid);
        let gone = shared.everyone().is_empty();
        if gone && shared.group.as_ref().is_none_or(Group::remove) {
            break;
        }
        tokio::time::sleep(pause).await;
        waited += pause;
    }
    if let Some(scratch) = scratch {
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(scratch)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "cannot remove the scratch directory of a child");
        }
    }
    shared.exit.send_replace(Some(exit));
}

/// Takes the exit codes of orphans that fell to this process, as they do where it is the first of a container.
fn reap(group: u32) {
    let Some(group) = Pid::from_raw(group as i32) else { return };
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
}

pub(super) struct RealChild {
    pub(super) shared: Arc<Shared>,
    pub(super) output: Option<PipeLines>,
    /// How its start went, where there is somebody to tell.
    pub(super) started: Option<watch::Receiver<Option<Start>>>,
}

impl Child for RealChild {
    fn pid(&self) -> u32 {
        self.shared.pid
    }

    fn ready(&mut self) -> BoxFuture<'_, io::Result<Vec<TcpListener>>> {
        Box::pin(async {
            let Some(started) = &mut self.started else { return Ok(Vec::new()) };
            let start = match started.wait_for(Option::is_some).await {
                Ok(start) => start.clone().expect("waited for it"),
                Err(_) => Err("it ended before it began".to_owned()),
            };
            let sockets = start.map_err(io::Error::other)?;
            let sockets = std::mem::take(&mut *sockets.lock().expect("no panic holds this lock"));
            Ok(sockets)
        })
    }

    fn throttle(&self) {
        let Some(processor) = self.shared.limits.processor else { return };
        if !self.shared.group.as_ref().is_some_and(|group| group.throttle(processor)) {
            share::hold(&self.shared.members(), processor);
        }
    }

    fn output(&mut self) -> Box<dyn Output> {
        Box::new(self.output.take().expect("the output of a child is taken once"))
    }

    fn wait(&mut self) -> BoxFuture<'_, io::Result<Exit>> {
        let mut exit = self.shared.exit.subscribe();
        Box::pin(async move {
            let seen = exit.wait_for(Option::is_some).await.map_err(io::Error::other)?;
            Ok(seen.expect("waited for it"))
        })
    }

    fn kill(&self) {
        self.shared.kill();
    }

    fn peak_memory(&self) -> u64 {
        // Where none can be asked any more, the group tells.
        let asked = Some(procfs::peak(&self.shared.members())).filter(|peak| *peak > 0);
        let now = asked.or_else(|| self.shared.group.as_ref()?.peak()).unwrap_or(0);
        let seen = self.shared.peak.fetch_max(now, Ordering::Relaxed).max(now);
        self.shared.limits.memory.map_or(seen, |limit| seen.min(limit))
    }

    fn wanted_processor(&self) -> Duration {
        procfs::wanted_processor(&self.shared.members())
    }
    fn owns_connection(&self, peer: SocketAddr, local: SocketAddr) -> bool {
        let mut known = self.shared.caller.lock().expect("no panic holds this lock");
        let members = self.shared.members();
        let same = known.filter(|(p, l, _)| (*p, *l) == (peer, local));
        if same.is_some_and(|(.., inode)| procfs::holds_socket(&members, inode)) {
            return true;
        }
        let found = procfs::socket_inode(peer, local).filter(|inode| procfs::holds_socket(&members, *inode));
        *known = found.map(|inode| (peer, local, inode)).or(*known);
        found.is_some()
    }
}

impl Drop for RealChild {
    fn drop(&mut self) {
        self.shared.kill();
    }
}
