use super::cgroup::{Group, Hierarchy};
use super::child::{RealChild, Report, Shared, WATCH, supervise};
use super::confine::Layers;
use super::confine::control::{self, Control};
use super::lines::PipeLines;
use super::probe::{self, Probed};
use super::shim::{ARGUMENT, Confined, Plan, set_rlimits};
use super::{Child, Limits, Offered, Processes, Reach, Spawn, procfs};
use rustix::process::Pid;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// Without a shim a shell waits in the program's place until its limits are set, and leaves nothing of its own behind.
const GATE: &str = "read -r _; unset PWD OLDPWD SHLVL; exec \"$0\" \"$@\" </dev/null";

type Job = Box<dyn FnOnce() + Send>;

/// The machine's processes.
#[derive(Default)]
pub struct RealProcesses {
    shim: Option<PathBuf>,
    hierarchy: OnceLock<Option<Hierarchy>>,
    spawner: OnceLock<SyncSender<Job>>,
    probed: OnceLock<Probed>,
    started: AtomicU64,
    /// Those that share this process' network.
    near: Mutex<Vec<Weak<Shared>>>,
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

    /// What a confined child gets; `None` without a shim, which nothing can be confined without.
    fn probed(&self) -> Option<&Probed> {
        let shim = self.shim.as_ref()?;
        Some(self.probed.get_or_init(|| Probed::of(shim)))
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

    /// The command that starts a child, and the house's end of the wire to those who stand around it.
    #[allow(clippy::disallowed_methods)] // this is the port
    fn command(&self, spawn: &Spawn, group: Option<&Group>) -> io::Result<(tokio::process::Command, Wire)> {
        let confined = self.confined(spawn)?;
        let enclosed = confined.as_ref().is_some_and(|confined| confined.layers.namespaces);
        let program = resolve(spawn, enclosed)?;
        let Some(shim) = &self.shim else {
            let mut command = tokio::process::Command::new("/bin/sh");
            command.arg("-c").arg(GATE).arg(program).args(&spawn.args);
            command.env_clear().envs(spawn.env.iter().map(|(k, v)| (k, v))).current_dir(&spawn.cwd);
            let (gate, opener) = io::pipe()?;
            command.stdin(gate);
            return Ok((command, Wire::Gate(opener)));
        };
        let plan = Plan {
            program,
            args: spawn.args.clone(),
            env: spawn.env.clone(),
            cwd: spawn.cwd.clone(),
            scratch: spawn.scratch.clone(),
            limits: spawn.limits,
            parent: std::process::id(),
            groups: group.iter().flat_map(|g| g.dirs()).map(Path::to_owned).collect(),
            user: confined.as_ref().and_then(|_| probe::user(self.started.fetch_add(1, Ordering::Relaxed))),
            confinement: confined,
            probe: false,
        };
        let (ours, theirs) = control::pair()?;
        // The outer process reads one, the inner one the other.
        (0..1 + usize::from(enclosed)).try_for_each(|_| ours.send(&plan, &[]))?;
        let mut command = tokio::process::Command::new(shim);
        command.arg(ARGUMENT).env_clear().current_dir("/").stdin(theirs);
        Ok((command, Wire::Control(ours, plan.confinement.map(|confined| confined.layers))))
    }

    fn confined(&self, spawn: &Spawn) -> io::Result<Option<Confined>> {
        let Some(confinement) = &spawn.confinement else { return Ok(None) };
        let probed = self.probed().ok_or_else(|| io::Error::other("nothing can be confined without a shim"))?;
        let mut layers = probed.layers;
        layers.network &= confinement.reach != Reach::All;
        Ok(Some(Confined { confinement: confinement.clone(), layers }))
    }

    fn start(&self, spawn: &Spawn, group: Option<Group>) -> io::Result<(RealChild, Report, tokio::process::Child)> {
        let (reader, writer) = io::pipe()?;
        let output = PipeLines::new(reader.into())?;
        let (mut command, wire) = self.command(spawn, group.as_ref())?;
        command.stdout(writer.try_clone()?).stderr(writer).process_group(0).kill_on_drop(true);
        let runtime = tokio::runtime::Handle::current();
        let child = self.on_spawner(move || {
            let _inside = runtime.enter();
            command.spawn()
        })??;
        let pid = child.id().ok_or_else(|| io::Error::other("the child ended before it was watched"))?;
        let (control, layers) = match wire {
            Wire::Control(control, layers) => (layers.is_some().then_some(control), layers),
            Wire::Gate(opener) => {
                hold_to_limits(pid, &spawn.limits, group.as_ref())?;
                drop(opener);
                (None, None)
            }
        };
        let shared = Shared::new(pid, group, spawn.limits, layers.map(|layers| (layers.namespaces, layers.network)));
        if !shared.apart {
            let mut near = self.near.lock().expect("no panic holds this lock");
            near.retain(|known| known.strong_count() > 0);
            near.push(Arc::downgrade(&shared));
        }
        let report = Report::of(control)?;
        let started = layers.map(|_| report.ready());
        Ok((RealChild { shared, output: Some(output), started }, report, child))
    }
}

/// What a child that has just been started waits for, or who tells of it.
enum Wire {
    Gate(io::PipeWriter),
    Control(Control, Option<Layers>),
}

/// Limits that are set from outside, while a shell waits in the program's place.
fn hold_to_limits(pid: u32, limits: &Limits, group: Option<&Group>) -> io::Result<()> {
    set_rlimits(Pid::from_raw(pid as i32), limits, group.is_some());
    match group.map_or(Ok(()), |g| g.add(pid)) {
        // It may have ended already, which is not an error of starting it.
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => Err(error),
        _ => Ok(()),
    }
}

/// Finds the program as `exec` would, so that a missing one is an error here and not the exit code of a shim.
/// `enclosed`: in a root of its own, where other things lie at its paths.
fn resolve(spawn: &Spawn, enclosed: bool) -> io::Result<PathBuf> {
    let (program, env) = (&spawn.program, &spawn.env);
    let here = |path: &Path| -> PathBuf {
        let sees = spawn.confinement.iter().filter(|_| enclosed).flat_map(|confinement| &confinement.sees);
        let mut known = sees.filter_map(|(here, there)| Some(here.join(path.strip_prefix(there).ok()?)));
        known.next().unwrap_or_else(|| path.to_owned())
    };
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{}: no such program", program.display()));
    if program.components().count() > 1 {
        return if here(program).exists() { Ok(program.to_owned()) } else { Err(missing()) };
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or("/usr/local/bin:/usr/bin:/bin", |(_, v)| v);
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| here(file).is_file()).ok_or_else(missing)
}

impl Processes for RealProcesses {
    #[allow(clippy::disallowed_methods)] // this is the port: one watching task per child, which ends with it
    fn spawn(&self, spawn: Spawn) -> io::Result<Box<dyn Child>> {
        let rooted = spawn.confinement.as_ref().filter(|_| self.probed().is_some_and(|p| p.layers.namespaces));
        let tmp = rooted.map_or(0, |confinement| confinement.tmp);
        let group = self.hierarchy().map(|hierarchy| hierarchy.group(&spawn.limits, tmp)).transpose()?;
        if let Some(scratch) = &spawn.scratch {
            std::fs::create_dir_all(scratch)?;
        }
        let (child, report, process) = self.start(&spawn, group).inspect_err(|_| {
            spawn.scratch.as_ref().map(std::fs::remove_dir_all);
        })?;
        tokio::spawn(supervise(process, child.shared.clone(), report, spawn.scratch));
        Ok(Box::new(child))
    }

    fn enforcement(&self) -> String {
        match self.hierarchy() {
            Some(hierarchy) => hierarchy.describe().to_owned(),
            None => format!(
                "no control group can be written here: memory is looked at every {} ms, processes are limited per user, and \
                 share the processor by nice levels and on processors of their own",
                WATCH.as_millis()
            ),
        }
    }

    fn offers(&self) -> Offered {
        let mut offered = match self.probed() {
            Some(probed) => probed.offered(),
            None => {
                let why = "sandbox: functions are not confined, for they are started without this program's help";
                Offered { missing: vec![why.to_owned()], ..Offered::default() }
            }
        };
        match self.hierarchy().map(|hierarchy| (hierarchy, hierarchy.missing())) {
            Some((_, missing)) if missing.is_empty() => offered.held.push("control groups".to_owned()),
            Some((_, missing)) => {
                let missing = missing.join(" and ");
                offered.missing.push(format!("control groups: {missing} cannot be limited for a function as a whole"));
            }
            None => offered.missing.push(format!("control groups: {}", self.enforcement())),
        }
        offered
    }

    fn processors(&self) -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    fn is_child(&self, peer: SocketAddr) -> bool {
        let near: Vec<_> =
            self.near.lock().expect("no panic holds this lock").iter().filter_map(Weak::upgrade).collect();
        let members: Vec<u32> = near.iter().flat_map(|shared| shared.members()).collect();
        !members.is_empty()
            && procfs::socket_inodes(peer).into_iter().any(|inode| procfs::holds_socket(&members, inode))
    }
}
