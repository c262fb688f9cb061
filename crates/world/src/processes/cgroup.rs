//! Control groups, version 1 or 2, whichever this process may write.
//!
//! Groups are made below the one this process is in, so that limits set on it from outside hold for its children too:
//! `<own>/headwater-<pid>/<number>`, one directory per child. What a dead server left is ended and removed.
//! Sources: <https://docs.kernel.org/admin-guide/cgroup-v1/memory.html>, <https://docs.kernel.org/admin-guide/cgroup-v2.html>

use super::Limits;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "headwater-";
/// Files in memory that are worth a process' end: each has a few small ones of the house's.
const SOME_FILES: u64 = 1 << 20;
/// Over this much time a share of the processor is reckoned.
const PERIOD_US: u64 = 100_000;
/// The kernel grants no less.
const LEAST_QUOTA_US: u64 = 1000;
/// Numbers directories apart where one process has more than one [`Hierarchy`].
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where groups of children are made.
pub(super) enum Hierarchy {
    /// One tree per controller.
    V1 { memory: PathBuf, pids: Option<PathBuf>, cpu: Option<PathBuf> },
    /// One tree.
    V2(PathBuf),
}

/// The control group of one child.
pub(super) struct Group {
    v2: bool,
    memory: PathBuf,
    pids: Option<PathBuf>,
    /// All children together weigh as much here as one busy thread of this process: the scheduler's default share.
    cpu: Option<PathBuf>,
    /// Bytes that its own processes may hold.
    limit: Option<u64>,
    /// Bytes that all groups of the house may hold, files in memory too.
    together: Option<u64>,
}

/// Bytes in memory that nobody else can have.
struct Held {
    own: u64,
    files: u64,
}

#[allow(clippy::disallowed_methods)] // the port's own files: the kernel's, not data
fn write(dir: &Path, file: &str, text: &str) -> io::Result<()> {
    fs::write(dir.join(file), text)
}

fn enable_controllers(dir: &Path) -> io::Result<()> {
    write(dir, "cgroup.subtree_control", "+memory +pids")?;
    // Sharing processor time fairly is welcome, not needed.
    let _ = write(dir, "cgroup.subtree_control", "+cpu");
    Ok(())
}

impl Hierarchy {
    /// Finds what may be written, makes this server's directory there and clears what dead servers left.
    pub(super) fn find() -> Option<Hierarchy> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Hierarchy::find_v2(&mounts, &own).or_else(|| Hierarchy::find_v1(&mounts, &own))
    }

    fn find_v1(mounts: &str, own: &str) -> Option<Hierarchy> {
        let house = |controller: &str| make_house(&own_dir(mounts, own, Some(controller))?).ok();
        Some(Hierarchy::V1 { memory: house("memory")?, pids: house("pids"), cpu: house("cpu") })
    }

    fn find_v2(mounts: &str, own: &str) -> Option<Hierarchy> {
        let own = own_dir(mounts, own, None)?;
        // A group with processes of its own cannot hand controllers down (except the root), its parent may.
        [Some(own.as_path()), own.parent()].into_iter().flatten().find_map(|dir| {
            let controllers = fs::read_to_string(dir.join("cgroup.controllers")).ok()?;
            let has = |name: &str| controllers.split_ascii_whitespace().any(|c| c == name);
            if !has("memory") || !has("pids") {
                return None;
            }
            enable_controllers(dir).ok()?;
            let house = make_house(dir).ok()?;
            enable_controllers(&house).ok()?;
            Some(Hierarchy::V2(house))
        })
    }

    /// The controllers that cannot be had.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        match self {
            Hierarchy::V1 { pids, cpu, .. } => {
                let all = [("pids", pids.is_none()), ("cpu", cpu.is_none())];
                all.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect()
            }
            Hierarchy::V2(house) => {
                let has = fs::read_to_string(house.join("cgroup.subtree_control")).unwrap_or_default();
                if has.split_ascii_whitespace().any(|name| name == "cpu") { Vec::new() } else { vec!["cpu"] }
            }
        }
    }

    /// In words for a person.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Hierarchy::V1 { pids: Some(_), .. } => "control groups (version 1) for memory and processes",
            Hierarchy::V1 { pids: None, .. } => "a control group (version 1) for memory, none for processes",
            Hierarchy::V2(_) => "control groups (version 2) for memory and processes",
        }
    }

    /// Makes the group of one child.
    ///
    /// Files in a `/tmp` that lies in memory count as memory of the group, and are no memory of the function: the
    /// kernel's limit has room for `tmp` bytes of them, and [`Group::used_beyond_limit`] tells who takes it otherwise.
    pub(super) fn group(&self, limits: &Limits, tmp: u64) -> io::Result<Group> {
        let (limit, together) = (limits.memory, limits.together);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let group = match self {
            Hierarchy::V1 { memory, pids, cpu } => {
                let [pids, cpu] = [pids, cpu].map(|house| house.as_ref().map(|house| house.join(&name)));
                Group { v2: false, memory: memory.join(&name), pids, cpu, limit, together }
            }
            Hierarchy::V2(house) => {
                Group { v2: true, memory: house.join(&name), pids: Some(house.join(&name)), cpu: None, limit, together }
            }
        };
        group.create(limits, tmp)?;
        Ok(group)
    }
}

/// Removes this server's directories, where they are empty; a group of another [`Hierarchy`] makes them again.
impl Drop for Hierarchy {
    fn drop(&mut self) {
        match self {
            Hierarchy::V1 { memory, pids, cpu } => {
                for house in std::iter::once(&*memory).chain(pids.as_ref()).chain(cpu.as_ref()) {
                    let _ = fs::remove_dir(house);
                }
            }
            Hierarchy::V2(house) => drop(fs::remove_dir(house)),
        }
    }
}

impl Group {
    fn create(&self, limits: &Limits, tmp: u64) -> io::Result<()> {
        for dir in self.dirs() {
            let house = dir.parent().expect("a group lies in the directory of its house");
            fs::create_dir_all(house)?;
            if self.v2 {
                enable_controllers(house)?;
            }
            fs::create_dir(dir)?;
        }
        if let Some(bytes) = limits.memory {
            let bytes = bytes.saturating_add(tmp);
            let (limit, swap) = match self.v2 {
                true => ("memory.max", ("memory.swap.max", "0".to_owned())),
                false => ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes.to_string())),
            };
            write(&self.memory, limit, &bytes.to_string())?;
            // Not every kernel accounts for swap; without it there is nothing to limit.
            let _ = write(&self.memory, swap.0, &swap.1);
        }
        if let (Some(count), Some(dir)) = (limits.processes, &self.pids) {
            write(dir, "pids.max", &count.to_string())?;
        }
        Ok(())
    }

    /// The directories whose `cgroup.procs` takes a member.
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        let pids = self.pids.as_deref().filter(|_| !self.v2);
        std::iter::once(self.memory.as_path()).chain(pids).chain(self.cpu.as_deref())
    }

    /// Puts a process into the group.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        self.dirs().try_for_each(|dir| write(dir, "cgroup.procs", &pid.to_string()))
    }

    /// Gives the group this many thousandths of one processor. Where it did not use them it may catch up a little. False
    /// where that cannot be had.
    pub(super) fn throttle(&self, processor: u64) -> bool {
        let quota = (processor * PERIOD_US / 1000).max(LEAST_QUOTA_US).to_string();
        let burst = quota.as_str();
        let (set, burst) = match (&self.cpu, self.v2) {
            (_, true) => {
                let set = write(&self.memory, "cpu.max", &format!("{quota} {PERIOD_US}"));
                (set, write(&self.memory, "cpu.max.burst", burst))
            }
            (Some(dir), false) => {
                let set = write(dir, "cpu.cfs_period_us", &PERIOD_US.to_string());
                let set = set.and_then(|()| write(dir, "cpu.cfs_quota_us", &quota));
                (set, write(dir, "cpu.cfs_burst_us", burst))
            }
            (None, false) => return false,
        };
        // Not every kernel lets a group catch up.
        drop(burst);
        set.is_ok()
    }

    /// Whether its processes hold more memory than its limit, files in memory not counted.
    pub(super) fn used_beyond_limit(&self) -> bool {
        let Some(limit) = self.limit else { return false };
        self.charged(&self.memory) > limit && self.held(&self.memory).is_some_and(|held| held.own > limit)
    }

    /// Whether all groups of the house together hold more than they may, and no other has more files in memory than this
    /// one: what processes hold themselves has a limit each, and the sum of those is the house's to promise.
    pub(super) fn crowds(&self) -> bool {
        let (Some(most), Some(house)) = (self.together, self.memory.parent()) else { return false };
        if self.charged(house) <= most || self.held(house).is_none_or(|held| held.own + held.files <= most) {
            return false;
        }
        let Some(mine) = self.held(&self.memory).map(|held| held.files).filter(|files| *files >= SOME_FILES) else {
            return false;
        };
        let others = fs::read_dir(house).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
        others.filter_map(|other| self.held(&other.path())).all(|other| other.files <= mine)
    }

    /// Bytes that the kernel counts for a group and all below it, with files on disk that it would forget for others.
    fn charged(&self, dir: &Path) -> u64 {
        let file = if self.v2 { "memory.current" } else { "memory.usage_in_bytes" };
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        // What cannot be read is looked at closer.
        text.trim().parse().unwrap_or(u64::MAX)
    }

    /// The same without those.
    fn held(&self, dir: &Path) -> Option<Held> {
        let stat = fs::read_to_string(dir.join("memory.stat")).ok()?;
        let field = |name: &str| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
            stat.lines().find_map(value)
        };
        let (own, files) = if self.v2 { ("anon", "shmem") } else { ("total_rss", "total_shmem") };
        Some(Held { own: field(own)?, files: field(files).unwrap_or(0) })
    }

    /// The most bytes it has held at once, files among them, where the kernel has kept count.
    pub(super) fn peak(&self) -> Option<u64> {
        let file = if self.v2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        fs::read_to_string(self.memory.join(file)).ok()?.trim().parse().ok()
    }

    /// All processes in the group.
    pub(super) fn members(&self) -> Vec<u32> {
        members(&self.memory)
    }

    /// Whether the memory limit ended one of its processes.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let file = if self.v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.memory.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|n| n.trim().parse().ok());
        count.unwrap_or(0u64) > 0
    }

    /// Ends every process in the group; a few may still be on their way out when it returns.
    pub(super) fn kill(&self) {
        if self.v2 && write(&self.memory, "cgroup.kill", "1").is_ok() {
            return;
        }
        if let Some(dir) = &self.pids {
            // From here on nobody can outrun the killing by forking.
            let _ = write(dir, "pids.max", "0");
        }
        kill_all(&self.memory);
    }

    /// Removes the directories; false where something in them still runs.
    pub(super) fn remove(&self) -> bool {
        self.dirs().all(|dir| fs::remove_dir(dir).is_ok() || !dir.exists())
    }
}

/// Whatever way a start failed, its empty directories do not stay.
impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

fn members(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn kill_all(dir: &Path) {
    // Without a limit on processes a fork may slip through between reading and killing: look again a few times.
    for _ in 0..8 {
        let pids = members(dir);
        if pids.is_empty() {
            return;
        }
        for pid in pids.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The directory of the group this process is in, for a version 1 controller or (`None`) version 2.
fn own_dir(mounts: &str, own: &str, controller: Option<&str>) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let wanted = match controller {
            Some(name) => controllers.split(',').any(|c| c == name),
            None => controllers.is_empty(),
        };
        wanted.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, PathBuf::from(left.next()?));
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        let fits = match controller {
            Some(name) => kind == "cgroup" && options.split(',').any(|o| o == name),
            None => kind == "cgroup2",
        };
        if !fits {
            return None;
        }
        // In a container the mount may show only a part of the tree, with this process' group as its root.
        let below = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
        let dir = point.join(below);
        Some(if dir.is_dir() { dir } else { point })
    })
}

/// Makes this server's directory, after clearing those of servers that are gone.
fn make_house(parent: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(parent)?.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            clear(&entry.path());
        }
    }
    let house = parent.join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&house)?;
    Ok(house)
}

/// Ends and removes the groups of a server that is gone. What is still dying is left to the next start.
fn clear(house: &Path) {
    for entry in fs::read_dir(house).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        let dir = entry.path();
        kill_all(&dir);
        for _ in 0..100 {
            if fs::remove_dir(&dir).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    let _ = fs::remove_dir(house);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_in_the_mount_table() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().display().to_string();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let mounts = format!("30 1 0:2 / {point} rw,nosuid - cgroup cgroup rw,memory\n");
        let found = own_dir(&mounts, "4:memory:/a/b\n0::/\n", Some("memory"));
        assert_eq!(found, Some(dir.path().join("a/b")));
        let hidden = own_dir(&mounts, "4:memory:/docker/1\n", Some("memory"));
        assert_eq!(hidden, Some(dir.path().to_owned()), "a path the mount does not show: its root stands for it");
        assert_eq!(own_dir(&mounts, "4:memory:/a/b\n", Some("pids")), None);
        assert_eq!(own_dir(&mounts, "0::/a\n", None), None);
        let v2 = format!("30 1 0:2 / {point} rw - cgroup2 cgroup2 rw\n");
        assert_eq!(own_dir(&v2, "0::/a\n", None), Some(dir.path().join("a")));
    }
}
