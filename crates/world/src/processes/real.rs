use super::cgroup::{Group, Hierarchy};
use super::lines::PipeLines;
use super::shim::{ARGUMENT, Plan, set_rlimits};
use super::{Child, Exit, Output, Processes, Spawn, procfs};
use crate::BoxFuture;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often memory is looked at where no control group watches it.
const WATCH: Duration = Duration::from_millis(100);
/// How long the rest of a group may take to go once it was killed; uninterruptible disk reads are the slow ones.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// Without a shim a shell waits in the program's place until its limits are set, and leaves nothing of its own behind.
const GATE: &str = "read -r _; unset PWD OLDPWD SHLVL; exec \"$0\" \"$@\" </dev/null";

type Job = Box<dyn FnOnce() + Send>;

/// The machine's processes.
#[derive(Default)]
pub struct RealProcesses {
    shim: Option<PathBuf>,
    hierarchy: OnceLock<Option<Hierarchy>>,
    spawner: OnceLock<SyncSender<Job>>,
}

impl RealProcesses {
    /// Starts programs by way of `/bin/sh`.
    pub fn new() -> RealProcesses {
        RealProcesses::default()
    }

    /// Starts programs through `binary`, whose `main` calls [`super::child_main`]: they are in their control group
    /// before their first instruction, gain no privileges, and end with this process.
    pub fn with_shim(binary: PathBuf) -> RealProcesses {
        RealProcesses { shim: Some(binary), ..RealProcesses::default() }
    }

    /// Uses no control groups, as on a machine that has none to write.
    pub fn without_groups() -> RealProcesses {
        RealProcesses { hierarchy: OnceLock::from(None), ..RealProcesses::default() }
    }

    fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.get_or_init(Hierarchy::find).as_ref()
    }

    #[cfg(test)]
    pub(super) fn hierarchy_for_tests(&self) -> bool {
        self.hierarchy().is_some()
    }

    /// Runs `job` on the one thread that forks. The kernel sends the parent-death signal when the *thread* that forked
    /// ends (prctl(2), PR_SET_PDEATHSIG), and the threads of an async runtime come and go.
    fn on_spawner<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let spawner = self.spawner.get_or_init(|| {
            let (jobs, inbox) = sync_channel::<Job>(1);
            crate::Tasks::default().thread("spawner", move || inbox.into_iter().for_each(|job| job()));
            jobs
        });
        let (answer, answered) = sync_channel(1);
        let sent = spawner.send(Box::new(move || drop(answer.send(job()))));
        sent.map_err(|_| io::Error::other("the spawner thread is gone"))?;
        answered.recv().map_err(io::Error::other)
    }

    #[allow(clippy::disallowed_methods)] // this is the port
    fn command(&self, spawn: &Spawn, group: Option<&Group>) -> io::Result<tokio::process::Command> {
        let program = resolve(&spawn.program, &spawn.env)?;
        let mut command = match &self.shim {
            None => {
                let mut command = tokio::process::Command::new("/bin/sh");
                command.arg("-c").arg(GATE).arg(program).args(&spawn.args);
                command
            }
            Some(shim) => {
                let groups = group.iter().flat_map(|g| g.dirs()).map(Path::to_owned).collect();
                let plan = Plan { program, args: spawn.args.clone(), limits: spawn.limits, groups };
                let mut command = tokio::process::Command::new(shim);
                command.arg(ARGUMENT).arg(serde_json::to_string(&plan)?);
                command
            }
        };
        command.env_clear().envs(spawn.env.iter().map(|(k, v)| (k, v)));
        command.current_dir(&spawn.cwd).process_group(0).kill_on_drop(true);
        Ok(command)
    }

    fn start(&self, spawn: &Spawn, group: Option<Group>) -> io::Result<(RealChild, tokio::process::Child)> {
        let (reader, writer) = io::pipe()?;
        let output = PipeLines::new(reader.into())?;
        let mut command = self.command(spawn, group.as_ref())?;
        let (gate, opener) = io::pipe()?;
        command.stdin(gate).stdout(writer.try_clone()?).stderr(writer);
        let runtime = tokio::runtime::Handle::current();
        let child = self.on_spawner(move || {
            let _inside = runtime.enter();
            command.spawn()
        })??;
        let pid = child.id().ok_or_else(|| io::Error::other("the child ended before it was watched"))?;
        if self.shim.is_none() {
            set_rlimits(Pid::from_raw(pid as i32), &spawn.limits, group.is_some());
            match group.as_ref().map_or(Ok(()), |g| g.add(pid)) {
                // It may have ended already, which is not an error of starting it.
                Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        drop(opener);
        let shared = Arc::new(Shared {
            pid,
            group,
            memory: spawn.limits.memory,
            over_memory: AtomicBool::new(false),
            peak: AtomicU64::new(0),
            exit: watch::Sender::new(None),
            caller: Mutex::new(None),
        });
        Ok((RealChild { shared, output: Some(output) }, child))
    }
}

/// Finds the program as `exec` would, so that a missing one is an error here and not the exit code of a shim.
fn resolve(program: &Path, env: &[(String, String)]) -> io::Result<PathBuf> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{}: no such program", program.display()));
    if program.components().count() > 1 {
        return if program.exists() { Ok(program.to_owned()) } else { Err(missing()) };
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or("/usr/local/bin:/usr/bin:/bin", |(_, v)| v);
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| file.is_file()).ok_or_else(missing)
}

impl Processes for RealProcesses {
    #[allow(clippy::disallowed_methods)] // this is the port: one watching task per child, which ends with it
    fn spawn(&self, spawn: Spawn) -> io::Result<Box<dyn Child>> {
        let group = self.hierarchy().map(|hierarchy| hierarchy.group(&spawn.limits)).transpose()?;
        if let Some(scratch) = &spawn.scratch {
            std::fs::create_dir_all(scratch)?;
        }
        let (child, process) = self.start(&spawn, group).inspect_err(|_| {
            spawn.scratch.as_ref().map(std::fs::remove_dir_all);
        })?;
        tokio::spawn(supervise(process, child.shared.clone(), spawn.scratch));
        Ok(Box::new(child))
    }

    fn enforcement(&self) -> String {
        match self.hierarchy() {
            Some(hierarchy) => hierarchy.describe().to_owned(),
            None => format!(
                "no control group can be written here: memory is looked at every {} ms, processes are limited per user",
                WATCH.as_millis()
            ),
        }
    }
}

struct Shared {
    pid: u32,
    group: Option<Group>,
    memory: Option<u64>,
    over_memory: AtomicBool,
    peak: AtomicU64,
    exit: watch::Sender<Option<Exit>>,
    /// The last connection found to be the group's own, with its socket: while the group holds that socket, nobody else
    /// can have that connection.
    caller: Mutex<Option<(SocketAddr, SocketAddr, u64)>>,
}

impl Shared {
    fn members(&self) -> Vec<u32> {
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

    fn watch_memory(&self) {
        let used = procfs::resident(&self.members());
        self.peak.fetch_max(used, Ordering::Relaxed);
        if self.memory.is_some_and(|limit| used > limit) {
            self.over_memory.store(true, Ordering::Relaxed);
            self.kill();
        }
    }

    fn exit_of(&self, status: ExitStatus) -> Exit {
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        let over =
            self.over_memory.load(Ordering::Relaxed) || self.group.as_ref().is_some_and(Group::ran_out_of_memory);
        match (status.code(), status.signal()) {
            _ if killed && over => Exit::OutOfMemory,
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        }
    }
}

/// Waits for the child, then sees its whole group off.
#[allow(clippy::disallowed_methods)] // this is the port
async fn supervise(mut child: tokio::process::Child, shared: Arc<Shared>, scratch: Option<PathBuf>) {
    let status = loop {
        tokio::select! {
            biased;
            status = child.wait() => break status,
            () = tokio::time::sleep(WATCH), if shared.group.is_none() && shared.memory.is_some() => shared.watch_memory(),
        }
    };
    let exit = status.map_or(Exit::Signal(0), |status| shared.exit_of(status));
    if exit == Exit::OutOfMemory {
        shared.peak.fetch_max(shared.memory.unwrap_or(0), Ordering::Relaxed);
    }
    let pause = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < LAST_BREATH {
        shared.kill();
        reap(shared.pid);
        let gone = shared.members().is_empty();
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

struct RealChild {
    shared: Arc<Shared>,
    output: Option<PipeLines>,
}

impl Child for RealChild {
    fn pid(&self) -> u32 {
        self.shared.pid
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
        let now = procfs::peak(&self.shared.members());
        let seen = self.shared.peak.fetch_max(now, Ordering::Relaxed).max(now);
        self.shared.memory.map_or(seen, |limit| seen.min(limit))
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
