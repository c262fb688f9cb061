//! Which processes there are, which of them are free, and whether one more may start. No I/O, no waiting.

use super::{FunctionSpec, Kept, Throttle, limits};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::sync::mpsc;
use world::Timestamp;

/// The processes of an executor; `T` is what one is sent to do.
pub(super) struct Pool<T> {
    max_running: usize,
    /// Of functions without a limit of their own, together.
    max_unreserved: AtomicUsize,
    max_memory_mb: u64,
    inner: Mutex<Inner<T>>,
    /// Told where a process has ended while some are kept.
    pub(super) changed: Notify,
}

struct Inner<T> {
    next: u64,
    processes: BTreeMap<u64, Process<T>>,
    /// By name and version, how many processes are always kept.
    kept: BTreeMap<String, BTreeMap<String, usize>>,
}

struct Process<T> {
    spec: Arc<FunctionSpec>,
    orders: mpsc::Sender<T>,
    expires: Timestamp,
    busy: bool,
    outdated: bool,
    /// It has got through its start.
    ready: bool,
    /// Grows with every use: the smallest among the idle was used longest ago. Zero: it was started ahead.
    used: u64,
}

/// A place to run an invocation. It counts as running until [`Pool::release`] or [`Pool::remove`].
pub(super) enum Place<T> {
    /// A process that waits for orders.
    Warm(mpsc::Sender<T>),
    /// Room for a process which has to be started.
    Cold { id: u64, orders: mpsc::Sender<T>, inbox: mpsc::Receiver<T> },
}

/// The part of all memory that processes may take which were started ahead and never used.
const AHEAD: u64 = 4;
/// How many processes of a version start ahead at once.
const GROWTH: usize = 4;

impl<T> Pool<T> {
    pub(super) fn new(max_running: usize, max_memory_mb: u64) -> Pool<T> {
        let inner = Mutex::new(Inner { next: 1, processes: BTreeMap::new(), kept: BTreeMap::new() });
        Pool {
            max_running,
            max_unreserved: AtomicUsize::new(max_running),
            max_memory_mb,
            inner,
            changed: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().expect("no panic holds this lock")
    }

    /// Takes a free process that may run `spec`, or room for a new one, ending idle ones that stand in its way.
    pub(super) fn reserve(&self, spec: &Arc<FunctionSpec>, now: Timestamp) -> Result<Place<T>, Throttle> {
        let mut inner = self.inner();
        inner.admit(spec, self.max_running, self.max_unreserved.load(Ordering::Relaxed))?;
        inner.outdate(spec.key(), |process| {
            !process.spec.runs_like(spec) || process.expires.since(now) < limits::CREDENTIALS_LEFT
        });
        self.lost(&inner);
        inner.next += 1;
        let id = inner.next;
        let free =
            inner.processes.values_mut().filter(|p| !p.busy && !p.orders.is_closed() && p.spec.key() == spec.key());
        if let Some(process) = free.max_by_key(|process| process.used) {
            (process.busy, process.used) = (true, id);
            // Its limits may have changed, and its code be held anew.
            process.spec = spec.clone();
            return Ok(Place::Warm(process.orders.clone()));
        }
        inner.make_room(self.max_memory_mb.saturating_sub(spec.memory_mb))?;
        let (orders, inbox) = inner.add(id, spec, true);
        Ok(Place::Cold { id, orders, inbox })
    }

    /// Room for a process that is started before it is needed, where fewer than `want` are free. Nobody gives way for it
    /// but processes of the same version that cannot run `spec`.
    pub(super) fn open_ahead(&self, spec: &Arc<FunctionSpec>, want: usize) -> Option<(u64, mpsc::Receiver<T>)> {
        if want == 0 {
            return None;
        }
        let mut inner = self.inner();
        inner.outdate(spec.key(), |process| !process.spec.runs_like(spec));
        let free =
            |p: &&Process<T>| !p.busy && !p.orders.is_closed() && p.spec.key() == spec.key() && p.spec.runs_like(spec);
        if inner.processes.values().filter(free).count() >= want {
            return None;
        }
        let sum = |ahead: bool| {
            let counted = inner.processes.values().filter(|p| !ahead || (p.used == 0 && !p.busy));
            counted.map(|p| p.spec.memory_mb).sum::<u64>() + spec.memory_mb
        };
        if sum(false) > self.max_memory_mb || sum(true) > self.max_memory_mb / AHEAD {
            return None;
        }
        inner.next += 1;
        let id = inner.next;
        let (_, inbox) = inner.add(id, spec, false);
        Some((id, inbox))
    }

    /// How many free processes a version should have, by how it is used: half as many as are at work, once there are two
    /// of those and none is free.
    pub(super) fn growth(&self, spec: &FunctionSpec) -> usize {
        let inner = self.inner();
        let mine = || inner.processes.values().filter(|p| p.spec.key() == spec.key());
        let busy = mine().filter(|p| p.busy).count();
        if busy < mine().count() { 0 } else { (busy / 2).min(GROWTH) }
    }

    /// Notes until when a process' credentials last.
    pub(super) fn expires(&self, id: u64, at: Timestamp) {
        if let Some(process) = self.inner().processes.get_mut(&id) {
            process.expires = at;
        }
    }

    /// A process finished an invocation. Whether it is kept; if not, it is forgotten and must end.
    pub(super) fn release(&self, id: u64) -> bool {
        let mut inner = self.inner();
        match inner.processes.get_mut(&id) {
            Some(process) if !process.outdated => {
                (process.busy, process.ready) = (false, true);
                true
            }
            _ => {
                inner.processes.remove(&id);
                self.lost(&inner);
                false
            }
        }
    }

    /// Forgets an idle process; false where it was given an invocation meanwhile.
    pub(super) fn retire_idle(&self, id: u64) -> bool {
        let mut inner = self.inner();
        if inner.processes.get(&id).is_some_and(|process| process.busy) {
            return false;
        }
        inner.processes.remove(&id);
        self.lost(&inner);
        true
    }

    /// Forgets a process.
    pub(super) fn remove(&self, id: u64) {
        let mut inner = self.inner();
        if inner.processes.remove(&id).is_some() {
            self.lost(&inner);
        }
    }

    /// A process is no more.
    fn lost(&self, inner: &Inner<T>) {
        if !inner.kept.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Replaces what is kept.
    pub(super) fn keep(&self, all: impl Iterator<Item = (String, String, usize)>) {
        let mut kept: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (name, version, count) in all {
            kept.entry(name).or_default().insert(version, count);
        }
        self.inner().kept = kept;
    }

    /// Room for a process that is to be kept, where fewer than `want` of its version are there; idle ones give way.
    pub(super) fn open_kept(&self, spec: &Arc<FunctionSpec>, want: usize) -> Option<(u64, mpsc::Receiver<T>)> {
        let mut inner = self.inner();
        inner.outdate(spec.key(), |process| !process.spec.runs_like(spec));
        let there = |p: &&Process<T>| !p.orders.is_closed() && !p.outdated && p.spec.key() == spec.key();
        if inner.processes.values().filter(there).count() >= want {
            return None;
        }
        inner.make_room(self.max_memory_mb.saturating_sub(spec.memory_mb)).ok()?;
        inner.next += 1;
        let id = inner.next;
        let (_, inbox) = inner.add(id, spec, false);
        Some((id, inbox))
    }

    /// A process has got through its start.
    pub(super) fn ready(&self, id: u64) {
        if let Some(process) = self.inner().processes.get_mut(&id) {
            process.ready = true;
        }
    }

    /// Whether a process is to stay though it has nothing to do.
    pub(super) fn keeps(&self, id: u64) -> bool {
        let inner = self.inner();
        inner.processes.get(&id).is_some_and(|process| !process.outdated && inner.needs(process.spec.key()))
    }

    /// What there is of a version.
    pub(super) fn kept(&self, name: &str, version: &str) -> Kept {
        let inner = self.inner();
        let mine = || inner.processes.values().filter(|p| p.spec.key() == (name, version) && !p.outdated);
        Kept {
            wanted: inner.wanted((name, version)),
            started: mine().count(),
            ready: mine().filter(|p| p.ready).count(),
            free: mine().filter(|p| p.ready && !p.busy).count(),
        }
    }

    /// Ends all processes of a function: idle ones now, the others after what they do.
    pub(super) fn retire(&self, name: &str) {
        let mut inner = self.inner();
        let versions: Vec<String> =
            inner.processes.values().filter(|p| p.spec.name == name).map(|p| p.spec.version.clone()).collect();
        for version in versions {
            inner.outdate((name, &version), |_| true);
        }
        self.lost(&inner);
    }

    /// The same of one version.
    pub(super) fn retire_version(&self, name: &str, version: &str) {
        self.inner().outdate((name, version), |_| true);
    }

    /// Sets how many invocations functions without a limit of their own may share.
    pub(super) fn limit_unreserved(&self, most: usize) {
        self.max_unreserved.store(most.min(self.max_running), Ordering::Relaxed);
    }

    /// Invocations of functions without a limit of their own.
    pub(super) fn unreserved(&self) -> usize {
        self.inner().unreserved()
    }

    /// How many processes there are, of one function or of all, and how many of them are running an invocation.
    pub(super) fn count(&self, name: Option<&str>) -> (usize, usize) {
        let inner = self.inner();
        let mine = || inner.processes.values().filter(|process| name.is_none_or(|name| process.spec.name == name));
        (mine().count(), mine().filter(|process| process.busy).count())
    }
}

impl<T> Inner<T> {
    fn add(&mut self, id: u64, spec: &Arc<FunctionSpec>, busy: bool) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        let (orders, inbox) = mpsc::channel(1);
        let process = Process {
            spec: spec.clone(),
            orders: orders.clone(),
            expires: Timestamp(i64::MAX),
            busy,
            outdated: false,
            ready: false,
            used: if busy { id } else { 0 },
        };
        self.processes.insert(id, process);
        (orders, inbox)
    }

    fn wanted(&self, (name, version): (&str, &str)) -> usize {
        self.kept.get(name).and_then(|versions| versions.get(version)).copied().unwrap_or(0)
    }

    /// Whether all processes of a version are among those that are kept.
    fn needs(&self, key: (&str, &str)) -> bool {
        let wanted = self.wanted(key);
        wanted > 0 && self.processes.values().filter(|p| p.spec.key() == key && !p.outdated).count() <= wanted
    }

    fn admit(&self, spec: &FunctionSpec, max_running: usize, max_unreserved: usize) -> Result<(), Throttle> {
        let busy = || self.processes.values().filter(|process| process.busy);
        if busy().count() >= max_running {
            return Err(Throttle::Total);
        }
        match spec.reserved_concurrency {
            Some(limit) if busy().filter(|process| process.spec.name == spec.name).count() >= limit => {
                Err(Throttle::Function)
            }
            None if self.unreserved() >= max_unreserved => Err(Throttle::Total),
            _ => Ok(()),
        }
    }

    /// Invocations of functions without a limit of their own.
    fn unreserved(&self) -> usize {
        let unreserved = |process: &&Process<T>| process.busy && process.spec.reserved_concurrency.is_none();
        self.processes.values().filter(unreserved).count()
    }

    /// Drops idle processes that are `outdated`, and marks the busy ones.
    fn outdate(&mut self, key: (&str, &str), outdated: impl Fn(&Process<T>) -> bool) {
        self.processes.retain(|_, process| {
            if process.spec.key() == key && outdated(process) {
                process.outdated = true;
            }
            process.busy || !process.outdated
        });
    }

    /// Ends idle processes, the longest unused first, until all together take no more than `room` MB.
    fn make_room(&mut self, room: u64) -> Result<(), Throttle> {
        let busy: u64 = self.processes.values().filter(|p| p.busy).map(|p| p.spec.memory_mb).sum();
        if busy > room {
            return Err(Throttle::Memory);
        }
        while self.processes.values().map(|process| process.spec.memory_mb).sum::<u64>() > room {
            let idle = self.processes.iter().filter(|(_, process)| !process.busy && !self.needs(process.spec.key()));
            let oldest = idle.min_by_key(|(_, process)| process.used).map(|(id, _)| *id);
            // What is left is at work or kept.
            let Some(oldest) = oldest else { return Err(Throttle::Memory) };
            self.processes.remove(&oldest);
        }
        Ok(())
    }
}
