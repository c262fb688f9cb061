//! Which processes there are, which of them are free, which invocations wait for one, and whether one more may start. No
//! I/O, no waiting.

use super::{FunctionSpec, Kept, Throttle, limits};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, oneshot};
use world::Timestamp;

#[cfg(test)]
mod tests;

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
    /// How many processes of a version start at once.
    max_starts: usize,
    processes: BTreeMap<u64, Process<T>>,
    /// What found no free process, in order of arrival. There are never fewer starts that may run it, so that it does not wait
    /// for what runs; whichever process is free first takes it.
    waiting: VecDeque<Waiting<T>>,
    /// By name and version, how many processes are always kept.
    kept: BTreeMap<String, BTreeMap<String, usize>>,
}

/// An invocation that waits for a process.
struct Waiting<T> {
    spec: Arc<FunctionSpec>,
    order: T,
    /// With which change the function became another since, or went.
    outdated: Option<u64>,
}

struct Process<T> {
    spec: Arc<FunctionSpec>,
    orders: mpsc::Sender<T>,
    expires: Timestamp,
    phase: Phase,
    busy: bool,
    /// As of an invocation: it runs those alone that became outdated with it.
    outdated: Option<u64>,
    /// Grows with every use: the smallest among the idle was used longest ago. Zero: it has run nothing yet.
    used: u64,
}

/// How far a process is.
enum Phase {
    /// It starts when others are through.
    Queued(oneshot::Sender<()>),
    Starting,
    /// It starts, and nobody waits for that any more before starting the next.
    Late,
    Ready,
}

/// What a new process has of the pool.
pub(super) struct Place<T> {
    pub(super) id: u64,
    /// Says when to start, where it is not closed before that.
    pub(super) go: oneshot::Receiver<()>,
    /// Closed when it is to end.
    pub(super) orders: mpsc::Receiver<T>,
}

/// What a process is to do next.
pub(super) enum Next<T> {
    Run(T),
    /// Wait for orders.
    Rest,
    /// It is forgotten.
    End,
}

/// The part of all memory that processes may take which were started ahead and never used.
const AHEAD: u64 = 4;
/// How many processes of a version start ahead at once.
const GROWTH: usize = 4;

impl<T> Process<T> {
    fn may_run(&self, waiting: &Waiting<T>) -> bool {
        self.is_like(&waiting.spec, waiting.outdated)
    }

    fn is_like(&self, spec: &FunctionSpec, outdated: Option<u64>) -> bool {
        self.outdated == outdated && self.spec.runs_like(spec)
    }

    fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether it is about to be free for the first time.
    fn is_start(&self) -> bool {
        !self.busy && !self.is_ready()
    }
}

impl<T> Pool<T> {
    pub(super) fn new(max_running: usize, max_memory_mb: u64, max_starts: usize) -> Pool<T> {
        let (processes, waiting, kept) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        Pool {
            max_running,
            max_unreserved: AtomicUsize::new(max_running),
            max_memory_mb,
            inner: Mutex::new(Inner { next: 1, max_starts, processes, waiting, kept }),
            changed: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().expect("no panic holds this lock")
    }

    /// Gives an order to a free process that may run `spec`. Where there is none it waits for the first that is, and a
    /// place for one more is given, unless one starts that nobody waits for; idle ones that stand in its way end.
    pub(super) fn place(
        &self,
        spec: &Arc<FunctionSpec>,
        order: T,
        now: Timestamp,
    ) -> Result<Option<Place<T>>, Throttle> {
        let mut inner = self.inner();
        inner.admit(spec, self.max_running, self.max_unreserved.load(Ordering::Relaxed))?;
        inner.next += 1;
        let change = inner.next;
        for process in inner.processes.values_mut().filter(|p| p.is_ready() && p.spec.key() == spec.key()) {
            if process.expires.since(now) < limits::CREDENTIALS_LEFT {
                process.outdated.get_or_insert(change);
            }
        }
        inner.outdate(spec.key(), |other| !other.runs_like(spec));
        self.lost(&inner);
        let idle = inner.processes.iter().filter(|(_, p)| p.is_ready() && !p.busy && p.spec.key() == spec.key());
        let idle = idle.max_by_key(|(_, process)| process.used).map(|(id, _)| *id);
        if let Some(process) = idle.and_then(|id| inner.occupy(id, spec)) {
            let sent = process.orders.try_send(order);
            debug_assert!(sent.is_ok(), "who has nothing to do has an empty mailbox");
            return Ok(None);
        }
        let lacks = inner.spare(spec, None) == 0;
        if lacks {
            inner.make_room(self.max_memory_mb.saturating_sub(spec.memory_mb))?;
        }
        inner.waiting.push_back(Waiting { spec: spec.clone(), order, outdated: None });
        Ok(lacks.then(|| inner.add_in_turn(spec)))
    }

    /// Room for a process that is started before it is needed, where fewer than `want` are free. Nobody gives way for it
    /// but processes of the same version that cannot run `spec`.
    pub(super) fn open_ahead(&self, spec: &Arc<FunctionSpec>, want: usize) -> Option<Place<T>> {
        if want == 0 {
            return None;
        }
        let mut inner = self.inner();
        inner.outdate(spec.key(), |other| !other.runs_like(spec));
        let idle = inner.processes.values().filter(|p| p.is_ready() && !p.busy && p.is_like(spec, None)).count();
        if idle + inner.spare(spec, None) >= want || inner.starting(spec.key()) >= inner.max_starts {
            return None;
        }
        let sum = |ahead: bool| {
            let counted = inner.processes.values().filter(|p| !ahead || (p.used == 0 && !inner.is_needed(p)));
            counted.map(|p| p.spec.memory_mb).sum::<u64>() + spec.memory_mb
        };
        if sum(false) > self.max_memory_mb || sum(true) > self.max_memory_mb / AHEAD {
            return None;
        }
        Some(inner.add_now(spec))
    }

    /// How many free processes a version should have, by how it is used: half as many as are at work, once there are two
    /// of those and none is free.
    pub(super) fn growth(&self, spec: &FunctionSpec) -> usize {
        let inner = self.inner();
        let there = || inner.processes.values().filter(|p| p.spec.key() == spec.key());
        let at_work = inner.running().filter(|running| running.key() == spec.key()).count();
        // What has changed since does not grow.
        let current = there().any(|process| process.is_like(spec, None));
        if at_work < there().count() || !current { 0 } else { (at_work / 2).min(GROWTH) }
    }

    /// Notes until when a process' credentials last.
    pub(super) fn expires(&self, id: u64, at: Timestamp) {
        if let Some(process) = self.inner().processes.get_mut(&id) {
            process.expires = at;
        }
    }

    /// A process is through with its start, or with an invocation: it takes what has waited longest, or rests.
    pub(super) fn next(&self, id: u64, now: Timestamp) -> Next<T> {
        let mut inner = self.inner();
        let Some(process) = inner.processes.get_mut(&id) else { return Next::End };
        // However short the credentials last that it was started with, there are no better.
        let fit = !process.is_ready() || process.expires.since(now) >= limits::CREDENTIALS_LEFT;
        (process.busy, process.phase) = (false, Phase::Ready);
        let (spec, outdated) = (process.spec.clone(), process.outdated);
        let order = if fit { inner.take(id) } else { None };
        let next = match order {
            Some(order) => Next::Run(order),
            None if outdated.is_none() => Next::Rest,
            None => {
                self.forget(&mut inner, id);
                Next::End
            }
        };
        inner.go(&spec);
        next
    }

    /// A start takes long, and not for want of a processor: others need not wait for it.
    pub(super) fn late(&self, id: u64) {
        let mut inner = self.inner();
        let Some(process) = inner.processes.get_mut(&id).filter(|process| process.is_start()) else { return };
        process.phase = Phase::Late;
        let spec = process.spec.clone();
        inner.go(&spec);
    }

    /// A start failed. Gives what waits where no other start is for it; the process is forgotten where there is nothing.
    pub(super) fn failed(&self, id: u64) -> Option<T> {
        let mut inner = self.inner();
        let process = inner.processes.get(&id).filter(|process| process.is_start())?;
        let spec = process.spec.clone();
        let order = inner.stranded(id);
        if order.is_none() {
            self.forget(&mut inner, id);
        }
        inner.go(&spec);
        order
    }

    /// Forgets a process that has nothing to do; false where it is needed.
    pub(super) fn retire_idle(&self, id: u64) -> bool {
        let mut inner = self.inner();
        if inner.processes.get(&id).is_some_and(|p| p.busy || (p.is_start() && inner.spare(&p.spec, p.outdated) == 0)) {
            return false;
        }
        self.forget(&mut inner, id);
        true
    }

    /// Forgets a process. Gives what waits and no other start is for, where it was still starting.
    pub(super) fn remove(&self, id: u64) -> Option<T> {
        let mut inner = self.inner();
        let order = inner.stranded(id);
        self.forget(&mut inner, id);
        order
    }

    fn forget(&self, inner: &mut Inner<T>, id: u64) {
        if let Some(process) = inner.processes.remove(&id) {
            self.lost(inner);
            inner.go(&process.spec);
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
        let mut inner = self.inner();
        inner.kept = kept;
        inner.unqueue_all(|_| true);
    }

    /// Room for a process that is to be kept, where fewer than `want` of its version are there; idle ones give way.
    pub(super) fn open_kept(&self, spec: &Arc<FunctionSpec>, want: usize) -> Option<Place<T>> {
        let mut inner = self.inner();
        inner.outdate(spec.key(), |other| !other.runs_like(spec));
        if inner.processes.values().filter(|p| p.outdated.is_none() && p.spec.key() == spec.key()).count() >= want {
            return None;
        }
        inner.make_room(self.max_memory_mb.saturating_sub(spec.memory_mb)).ok()?;
        Some(inner.add_in_turn(spec))
    }

    /// Whether a process is to stay though it has nothing to do.
    pub(super) fn keeps(&self, id: u64) -> bool {
        let inner = self.inner();
        inner.processes.get(&id).is_some_and(|process| process.outdated.is_none() && inner.needs(process.spec.key()))
    }

    /// What there is of a version.
    pub(super) fn kept(&self, name: &str, version: &str) -> Kept {
        let inner = self.inner();
        let mine = || inner.processes.values().filter(|p| p.spec.key() == (name, version) && p.outdated.is_none());
        Kept {
            wanted: inner.wanted((name, version)),
            started: mine().count(),
            ready: mine().filter(|p| p.is_ready()).count(),
            free: mine().filter(|p| p.is_ready() && !p.busy).count(),
        }
    }

    /// Ends all processes of a function: idle ones now, the others after what they do, or what waits for them.
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

    /// How many processes there are, of one function or of all, and how many invocations run or wait for one.
    pub(super) fn count(&self, name: Option<&str>) -> (usize, usize) {
        let inner = self.inner();
        let mine = |spec: &FunctionSpec| name.is_none_or(|name| spec.name == name);
        let there = inner.processes.values().filter(|p| !matches!(p.phase, Phase::Queued(_)) && mine(&p.spec));
        (there.count(), inner.running().filter(|spec| mine(spec)).count())
    }
}

impl<T> Inner<T> {
    fn add(&mut self, spec: &Arc<FunctionSpec>, phase: Phase, go: oneshot::Receiver<()>) -> Place<T> {
        self.next += 1;
        let id = self.next;
        let (sender, orders) = mpsc::channel(1);
        let process = Process {
            spec: spec.clone(),
            orders: sender,
            expires: Timestamp(i64::MAX),
            phase,
            busy: false,
            outdated: None,
            used: 0,
        };
        self.processes.insert(id, process);
        Place { id, go, orders }
    }

    /// One that starts at once.
    fn add_now(&mut self, spec: &Arc<FunctionSpec>) -> Place<T> {
        let (go, started) = oneshot::channel();
        let _ = go.send(());
        self.add(spec, Phase::Starting, started)
    }

    /// One that starts when it is its turn.
    fn add_in_turn(&mut self, spec: &Arc<FunctionSpec>) -> Place<T> {
        let (go, started) = oneshot::channel();
        let place = self.add(spec, Phase::Queued(go), started);
        self.go(spec);
        place
    }

    /// Processes of a version that start and that others wait for.
    fn starting(&self, key: (&str, &str)) -> usize {
        let starting = |p: &&Process<T>| p.is_start() && matches!(p.phase, Phase::Starting) && p.spec.key() == key;
        self.processes.values().filter(starting).count()
    }

    /// Lets processes of a version start, the first first, as many at once as may.
    fn go(&mut self, spec: &FunctionSpec) {
        while self.starting(spec.key()) < self.max_starts {
            let queued = |p: &&mut Process<T>| matches!(p.phase, Phase::Queued(_)) && p.spec.key() == spec.key();
            let Some(process) = self.processes.values_mut().find(queued) else { return };
            if let Phase::Queued(go) = std::mem::replace(&mut process.phase, Phase::Starting) {
                let _ = go.send(());
            }
        }
    }

    /// Starts that nobody waits for, of those which may run `spec`.
    fn spare(&self, spec: &FunctionSpec, outdated: Option<u64>) -> usize {
        let starts = self.processes.values().filter(|p| p.is_start() && p.is_like(spec, outdated)).count();
        let waiting = self.waiting.iter().filter(|w| w.outdated == outdated && w.spec.runs_like(spec)).count();
        debug_assert!(starts >= waiting, "nobody waits without a start");
        starts.saturating_sub(waiting)
    }

    /// Whether an invocation runs in a process or waits for one of its kind.
    fn is_needed(&self, process: &Process<T>) -> bool {
        process.busy || (process.is_start() && self.waiting.iter().any(|waiting| process.may_run(waiting)))
    }

    /// Puts a process to work.
    fn occupy(&mut self, id: u64, spec: &Arc<FunctionSpec>) -> Option<&Process<T>> {
        self.next += 1;
        let process = self.processes.get_mut(&id)?;
        (process.busy, process.used) = (true, self.next);
        // Its limits may have changed, and its code be held anew.
        process.spec = spec.clone();
        Some(process)
    }

    /// Gives a process what has waited longest of what it may run.
    fn take(&mut self, id: u64) -> Option<T> {
        let process = self.processes.get(&id)?;
        let longest = self.waiting.iter().position(|waiting| process.may_run(waiting))?;
        let Waiting { spec, order, outdated } = self.waiting.remove(longest)?;
        self.occupy(id, &spec);
        self.unqueue(&spec, outdated);
        Some(order)
    }

    fn unqueue_all(&mut self, of: impl Fn(&Process<T>) -> bool) {
        let queued = self.processes.values().filter(|p| matches!(p.phase, Phase::Queued(_)) && of(p));
        let queued: Vec<_> = queued.map(|process| (process.spec.clone(), process.outdated)).collect();
        queued.iter().for_each(|(spec, outdated)| self.unqueue(spec, *outdated));
    }

    /// Forgets what has not begun to start and need not: nobody waits for it, and it is not to be kept.
    fn unqueue(&mut self, spec: &FunctionSpec, outdated: Option<u64>) {
        while self.spare(spec, outdated) > 0 && (outdated.is_some() || !self.needs(spec.key())) {
            let queued = |p: &Process<T>| matches!(p.phase, Phase::Queued(_)) && p.is_like(spec, outdated);
            let last = self.processes.iter().rfind(|(_, process)| queued(process)).map(|(id, _)| *id);
            if last.and_then(|id| self.processes.remove(&id)).is_none() {
                return;
            }
        }
    }

    /// Gives a process that starts in vain what waits where no other start is for it.
    fn stranded(&mut self, id: u64) -> Option<T> {
        let process = self.processes.get(&id).filter(|process| process.is_start())?;
        if self.spare(&process.spec, process.outdated) > 0 { None } else { self.take(id) }
    }

    fn wanted(&self, (name, version): (&str, &str)) -> usize {
        self.kept.get(name).and_then(|versions| versions.get(version)).copied().unwrap_or(0)
    }

    /// Whether all processes of a version are among those that are kept.
    fn needs(&self, key: (&str, &str)) -> bool {
        let wanted = self.wanted(key);
        wanted > 0 && self.processes.values().filter(|p| p.spec.key() == key && p.outdated.is_none()).count() <= wanted
    }

    /// What the invocations are of that run or wait for a process.
    fn running(&self) -> impl Iterator<Item = &FunctionSpec> {
        let busy = self.processes.values().filter(|process| process.busy).map(|process| &*process.spec);
        busy.chain(self.waiting.iter().map(|waiting| &*waiting.spec))
    }

    fn admit(&self, spec: &FunctionSpec, max_running: usize, max_unreserved: usize) -> Result<(), Throttle> {
        if self.running().count() >= max_running {
            return Err(Throttle::Total);
        }
        match spec.reserved_concurrency {
            Some(limit) if self.running().filter(|running| running.name == spec.name).count() >= limit => {
                Err(Throttle::Function)
            }
            None if self.unreserved() >= max_unreserved => Err(Throttle::Total),
            _ => Ok(()),
        }
    }

    /// Invocations of functions without a limit of their own.
    fn unreserved(&self) -> usize {
        self.running().filter(|spec| spec.reserved_concurrency.is_none()).count()
    }

    /// Marks what runs otherwise than it should now, and drops of that what has nothing to do.
    fn outdate(&mut self, key: (&str, &str), outdated: impl Fn(&FunctionSpec) -> bool) {
        self.next += 1;
        let waiting = self.waiting.iter_mut().map(|w| (&w.spec, &mut w.outdated));
        let processes = self.processes.values_mut().map(|p| (&p.spec, &mut p.outdated));
        for (_, mark) in waiting.chain(processes).filter(|(spec, _)| spec.key() == key && outdated(spec)) {
            mark.get_or_insert(self.next);
        }
        let gone = |p: &Process<T>| p.outdated.is_some() && p.spec.key() == key && !self.is_needed(p);
        let gone: Vec<u64> = self.processes.iter().filter(|(_, p)| gone(p)).map(|(id, _)| *id).collect();
        let mut spec = None;
        gone.iter().for_each(|id| spec = self.processes.remove(id).map(|process| process.spec));
        self.unqueue_all(|process| process.outdated.is_some() && process.spec.key() == key);
        if let Some(spec) = spec {
            self.go(&spec);
        }
    }

    /// Ends idle processes, the longest unused first, until all together take no more than `room` MB.
    fn make_room(&mut self, room: u64) -> Result<(), Throttle> {
        let needed = self.processes.values().filter(|process| self.is_needed(process));
        if needed.map(|process| process.spec.memory_mb).sum::<u64>() > room {
            return Err(Throttle::Memory);
        }
        while self.processes.values().map(|process| process.spec.memory_mb).sum::<u64>() > room {
            let idle = self.processes.iter().filter(|(_, p)| !self.is_needed(p) && !self.needs(p.spec.key()));
            let oldest = idle.min_by_key(|(_, process)| process.used).map(|(id, _)| *id);
            // What is left is at work or kept.
            let Some(process) = oldest.and_then(|id| self.processes.remove(&id)) else { return Err(Throttle::Memory) };
            self.go(&process.spec);
        }
        Ok(())
    }
}
