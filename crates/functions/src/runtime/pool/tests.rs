//! The pool against its promises: whichever process is free first takes what has waited longest, and nothing is lost.

use super::*;
use crate::runtime::{Credentials, CredentialsError, Runtime, SessionCredentials};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use world::BoxFuture;

struct NoKeys;

impl Credentials for NoKeys {
    fn issue(&self) -> BoxFuture<'_, Result<SessionCredentials, CredentialsError>> {
        unreachable!("nothing is started")
    }
}

const NOW: Timestamp = Timestamp(0);
const STARTS: usize = 2;

fn spec(name: &str, code: &str, memory_mb: u64, reserved: Option<usize>) -> Arc<FunctionSpec> {
    Arc::new(FunctionSpec {
        arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}").parse().unwrap(),
        name: name.to_owned(),
        version: "$LATEST".to_owned(),
        runtime: Runtime::parse("provided.al2023").unwrap(),
        handler: "h".to_owned(),
        memory_mb,
        timeout: Duration::from_secs(3),
        env: Vec::new(),
        code_dir: code.into(),
        layers_dir: None,
        code_sha: code.to_owned(),
        role: "arn:aws:iam::000000000000:role/r".parse().unwrap(),
        credentials: Arc::new(NoKeys),
        endpoint: String::new(),
        region: names::Region::parse("us-east-1").unwrap(),
        ephemeral_mb: 512,
        reserved_concurrency: reserved,
        log_group: format!("/aws/lambda/{name}"),
        levels: None,
    })
}

/// Processes as their tasks see them, around a pool.
struct House {
    pool: Pool<u32>,
    processes: BTreeMap<u64, Seen>,
    specs: Vec<Arc<FunctionSpec>>,
    /// How often each function was changed or deleted, and what it is now.
    changes: BTreeMap<String, (u32, usize)>,
    /// By order: its function as it was, how often that had changed.
    accepted: BTreeMap<u32, (usize, u32)>,
    run: Vec<u32>,
    orders: u32,
    now: Timestamp,
}

struct Seen {
    place: Place<u32>,
    spec: usize,
    changes: u32,
    doing: Doing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Waits,
    Starts,
    Rests,
    Runs(u32),
}

impl House {
    fn new(specs: Vec<Arc<FunctionSpec>>, max_running: usize, max_memory_mb: u64) -> House {
        House {
            pool: Pool::new(max_running, max_memory_mb, STARTS),
            processes: BTreeMap::new(),
            specs,
            changes: BTreeMap::new(),
            accepted: BTreeMap::new(),
            run: Vec::new(),
            orders: 0,
            now: NOW,
        }
    }

    /// One function of 128 MB, and room for a hundred processes.
    fn of_one() -> House {
        House::new(vec![spec("f", "a", 128, None)], 100, 12_800)
    }

    /// Uses a function as it is now. How often it has changed.
    fn change(&mut self, spec: usize) -> u32 {
        let (count, now) = self.changes.entry(self.specs[spec].name.clone()).or_insert((0, spec));
        *count += u32::from(*now != spec);
        *now = spec;
        *count
    }

    fn delete(&mut self, spec: usize) {
        let name = self.specs[spec].name.clone();
        self.pool.retire(&name);
        self.changes.entry(name).or_insert((0, spec)).0 += 1;
        self.look();
    }

    fn put(&mut self, place: Option<Place<u32>>, spec: usize) {
        let changes = self.change(spec);
        if let Some(place) = place {
            self.processes.insert(place.id, Seen { place, spec, changes, doing: Doing::Waits });
        }
        self.look();
    }

    fn invoke(&mut self, spec: usize) -> Result<u32, Throttle> {
        self.orders += 1;
        let order = self.orders;
        match self.pool.place(&self.specs[spec], order, self.now) {
            Ok(place) => {
                let changes = self.change(spec);
                self.accepted.insert(order, (spec, changes));
                self.put(place, spec);
                Ok(order)
            }
            Err(throttle) => {
                if throttle == Throttle::Memory {
                    self.put(None, spec);
                }
                Err(throttle)
            }
        }
    }

    /// Invokes the first function so many times.
    fn burst(&mut self, count: u32) {
        for _ in 0..count {
            self.invoke(0).unwrap();
        }
    }

    /// What the tasks of processes hear of.
    fn look(&mut self) {
        let mut runs = Vec::new();
        self.processes.retain(|id, seen| {
            if seen.doing == Doing::Waits {
                match seen.place.go.try_recv() {
                    Ok(()) => seen.doing = Doing::Starts,
                    Err(oneshot::error::TryRecvError::Closed) => return false,
                    Err(oneshot::error::TryRecvError::Empty) => {}
                }
            }
            match seen.place.orders.try_recv() {
                Ok(order) => {
                    assert_eq!(seen.doing, Doing::Rests, "who is not ready is sent nothing");
                    runs.push((*id, order));
                    true
                }
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    assert!(!matches!(seen.doing, Doing::Runs(_)), "who works is not forgotten");
                    false
                }
                Err(mpsc::error::TryRecvError::Empty) => true,
            }
        });
        runs.into_iter().for_each(|(id, order)| self.runs(id, order));
    }

    fn runs(&mut self, id: u64, order: u32) {
        let seen = self.processes.get_mut(&id).unwrap();
        let (spec, changes) = self.accepted.remove(&order).expect("an order is given once");
        assert!(self.specs[seen.spec].runs_like(&self.specs[spec]), "by what it was placed for");
        assert!(seen.changes >= changes, "a function made anew is not run by what is left of the old one");
        let same = |(_, (s, d)): &(&u32, &(usize, u32))| (*s, *d) == (spec, changes);
        let before: Vec<_> = self.accepted.iter().filter(same).filter(|(other, _)| **other < order).collect();
        assert!(before.is_empty(), "{order} came after {before:?}");
        seen.doing = Doing::Runs(order);
        self.run.push(order);
    }

    /// A process is through with its start, or with what it runs.
    fn through(&mut self, id: u64) {
        match self.pool.next(id, self.now) {
            Next::Run(order) => self.runs(id, order),
            Next::Rest => self.processes.get_mut(&id).unwrap().doing = Doing::Rests,
            Next::End => drop(self.processes.remove(&id)),
        }
        self.look();
    }

    fn fails(&mut self, id: u64) {
        match self.pool.failed(id) {
            Some(order) => self.runs(id, order),
            None => drop(self.processes.remove(&id)),
        }
        self.look();
    }

    fn ends(&mut self, id: u64) {
        if self.pool.retire_idle(id) || self.processes[&id].doing != Doing::Starts {
            let stranded = self.pool.remove(id);
            assert_eq!(stranded, None);
            self.processes.remove(&id);
        }
        self.look();
    }

    /// Those that do something.
    fn doing(&self, what: impl Fn(Doing) -> bool) -> Vec<u64> {
        self.processes.iter().filter(|(_, seen)| what(seen.doing)).map(|(id, _)| *id).collect()
    }

    fn starts(&self) -> Vec<u64> {
        self.doing(|doing| doing == Doing::Starts)
    }

    fn at_work(&self) -> Vec<u64> {
        self.doing(|doing| matches!(doing, Doing::Runs(_)))
    }

    /// What holds at any time.
    fn check(&self) {
        let inner = self.pool.inner();
        let known: BTreeSet<u64> = inner.processes.keys().copied().collect();
        assert_eq!(known, self.processes.keys().copied().collect(), "nobody is forgotten who does not hear of it");
        let running = self.at_work().len() + self.accepted.len();
        assert!(running == inner.running().count() && running <= self.pool.max_running);
        assert_eq!(inner.waiting.len(), self.accepted.len(), "what is accepted waits or runs");
        assert!(inner.processes.values().map(|p| p.spec.memory_mb).sum::<u64>() <= self.pool.max_memory_mb);
        for spec in &self.specs {
            if let Some(limit) = spec.reserved_concurrency {
                assert!(inner.running().filter(|running| running.name == spec.name).count() <= limit);
            }
            let marks: BTreeSet<Option<u64>> = inner.processes.values().map(|p| p.outdated).collect();
            for outdated in marks {
                // It asserts, too, that nobody waits without a start.
                inner.spare(spec, outdated);
                let like = |p: &&Process<u32>| p.is_like(spec, outdated);
                let queued = inner.processes.values().filter(like).filter(|p| matches!(p.phase, Phase::Queued(_)));
                let waiting = inner.waiting.iter().filter(|w| w.outdated == outdated && w.spec.runs_like(spec));
                let kept = if outdated.is_none() { inner.wanted(spec.key()) } else { 0 };
                assert!(queued.count() <= waiting.count() + kept, "what nobody waits for does not begin to start");
            }
            let queued =
                inner.processes.values().any(|p| matches!(p.phase, Phase::Queued(_)) && p.spec.key() == spec.key());
            assert!(!queued || inner.starting(spec.key()) >= STARTS, "nobody queues for nothing");
        }
        for process in inner.processes.values().filter(|p| p.is_ready() && !p.busy) {
            assert!(process.expires != Timestamp(i64::MAX) || !inner.waiting.iter().any(|w| process.may_run(w)));
        }
    }

    /// All that starts is ready, and all that runs comes to its end.
    fn drain(&mut self) {
        loop {
            let next = self.starts().into_iter().chain(self.at_work()).next();
            let Some(id) = next else { return };
            self.through(id);
            self.check();
        }
    }
}

#[test]
fn a_burst_is_served_by_who_is_free_first() {
    let mut house = House::of_one();
    let orders: Vec<u32> = (0..10).map(|_| house.invoke(0).unwrap()).collect();
    assert_eq!((house.starts().len(), house.processes.len()), (STARTS, 10), "no more than two start at once");
    assert_eq!(house.pool.count(None), (STARTS, 10), "those who wait count as running");
    let first = house.starts()[0];
    house.through(first);
    for done in 0..10 {
        assert_eq!(house.at_work(), [first]);
        assert_eq!(house.run, orders[..=done]);
        house.through(first);
        house.check();
    }
    assert_eq!(house.processes.len(), STARTS + 1, "the next had begun to start; the others need not any more");
    house.drain();
    assert_eq!(house.pool.count(None), (STARTS + 1, 0));
    assert_eq!(house.run.len(), 10);
}

#[test]
fn long_invocations_do_not_wait_for_one_another() {
    let mut house = House::of_one();
    house.burst(5);
    while let Some(id) = house.starts().first() {
        house.through(*id);
        house.check();
    }
    assert_eq!(house.at_work().len(), 5);
    house.invoke(0).unwrap();
    assert_eq!((house.starts().len(), house.run.len()), (1, 5));
}

#[test]
fn a_slow_start_keeps_nobody_waiting() {
    let mut house = House::of_one();
    house.burst(4);
    let slow = house.starts();
    slow.iter().for_each(|id| house.pool.late(*id));
    house.look();
    assert_eq!(house.starts().len(), 4);
    slow.iter().for_each(|id| house.pool.late(*id));
    house.drain();
    assert_eq!(house.run, [1, 2, 3, 4]);
}

#[test]
fn what_starts_ahead_serves_who_comes_meanwhile() {
    let mut house = House::of_one();
    let place = house.pool.open_ahead(&house.specs[0], 1);
    house.put(place, 0);
    assert!(house.pool.open_ahead(&house.specs[0], 1).is_none(), "no more than asked for");
    house.invoke(0).unwrap();
    assert_eq!(house.processes.len(), 1, "nothing else is started for it");
    assert!(!house.pool.retire_idle(house.starts()[0]), "somebody waits for it");
    house.invoke(0).unwrap();
    assert_eq!(house.processes.len(), 2);
    house.drain();
    assert!(house.pool.retire_idle(house.doing(|doing| doing == Doing::Rests)[0]));
}

#[test]
fn what_is_at_work_grows_unless_it_has_changed_since() {
    let mut house = House::new(vec![spec("f", "a", 128, None), spec("f", "b", 128, None)], 100, 12_800);
    house.burst(6);
    assert_eq!(house.pool.growth(&house.specs[0]), 3);
    assert!(house.pool.open_ahead(&house.specs[0], 3).is_none(), "those who wait come first");
    while let Some(id) = house.starts().first() {
        house.through(*id);
    }
    let place = house.pool.open_ahead(&house.specs[0], house.pool.growth(&house.specs[0]));
    house.put(place, 0);
    assert_eq!((house.starts().len(), house.pool.growth(&house.specs[0])), (1, 0));
    house.invoke(0).unwrap();
    house.invoke(1).unwrap();
    assert_eq!((house.pool.growth(&house.specs[0]), house.pool.growth(&house.specs[1])), (0, 4));
}

#[test]
fn an_error_of_a_start_is_told_only_to_whom_no_other_process_is_left() {
    let mut house = House::of_one();
    house.burst(3);
    // One is free before: what it takes, the start that fails need not answer.
    let first = house.starts()[0];
    house.through(first);
    house.through(first);
    assert_eq!(house.run, [1, 2]);
    house.fails(house.starts()[0]);
    assert_eq!(house.run, [1, 2], "the other start is for the third");
    house.fails(house.starts()[0]);
    assert_eq!(house.run, [1, 2, 3], "nothing else would have run it");
    house.check();
}

#[test]
fn what_waits_for_a_deleted_function_is_run_by_what_is_left_of_it() {
    let mut house = House::new(vec![spec("f", "a", 128, None), spec("f", "b", 128, None)], 100, 12_800);
    house.burst(3);
    house.delete(0);
    house.check();
    // The same code again, and other code.
    house.burst(2);
    house.invoke(1).unwrap();
    assert_eq!(house.processes.len(), 6, "each has its own");
    house.drain();
    assert_eq!(house.run.iter().copied().collect::<BTreeSet<u32>>(), (1..=6).collect());
    assert_eq!(house.processes.len(), 1, "those before the last change have ended");
}

#[test]
fn short_lived_credentials_serve_who_waited_for_them_and_nobody_else() {
    let mut house = House::of_one();
    house.burst(2);
    for id in house.starts() {
        house.pool.expires(id, NOW.plus(Duration::from_secs(299)));
    }
    let first = house.starts()[0];
    house.through(first);
    house.through(first);
    assert_eq!(house.run, [1], "the second waits for its own");
    house.drain();
    assert_eq!(house.run, [1, 2]);
    house.invoke(0).unwrap();
    assert_eq!((house.processes.len(), house.starts().len()), (1, 1));
}

#[test]
fn a_process_with_the_keys_of_another_role_runs_nothing_more() {
    let old = spec("f", "a", 128, None);
    let role = "arn:aws:iam::000000000000:role/another".parse().unwrap();
    let house = House::new(vec![old.clone(), Arc::new(FunctionSpec { role, ..(*old).clone() })], 100, 12_800);
    let first = house.pool.open_kept(&house.specs[0], 1).unwrap();
    assert!(house.pool.open_kept(&house.specs[0], 1).is_none(), "it is there");
    let second = house.pool.open_kept(&house.specs[1], 1).expect("the other does not count");
    assert_ne!(first.id, second.id);
}

#[test]
fn memory_is_promised_to_who_waits() {
    let mut house = House::new(vec![spec("f", "a", 128, None), spec("g", "a", 128, None)], 100, 384);
    house.burst(3);
    assert_eq!(house.invoke(0), Err(Throttle::Memory));
    assert_eq!(house.invoke(1), Err(Throttle::Memory));
    let first = house.starts()[0];
    (0..3).for_each(|_| house.through(first));
    assert_eq!(house.run, [1, 2, 3]);
    house.invoke(1).unwrap();
    house.check();
    house.drain();
    assert_eq!(house.run, [1, 2, 3, 5 + 1]);
}

#[derive(Clone, Debug)]
enum Step {
    Invoke(usize),
    Through(usize),
    Fails(usize),
    Late(usize),
    Ends(usize),
    Ahead(usize, usize),
    Keep(usize, usize),
    Expires(usize, u64),
    Delete(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..4).prop_map(Step::Invoke),
        6 => (0usize..100).prop_map(Step::Through),
        2 => (0usize..100).prop_map(Step::Fails),
        1 => (0usize..100).prop_map(Step::Late),
        1 => (0usize..100).prop_map(Step::Ends),
        1 => (0usize..4, 0usize..3).prop_map(|(spec, want)| Step::Ahead(spec, want)),
        1 => (0usize..4, 0usize..3).prop_map(|(spec, want)| Step::Keep(spec, want)),
        1 => (0usize..100, 0u64..1000).prop_map(|(process, seconds)| Step::Expires(process, seconds)),
        1 => (0usize..4).prop_map(Step::Delete),
        1 => (0u64..400).prop_map(Step::Pass),
    ]
}

/// One of some, where there is any.
fn pick(ids: &[u64], number: usize) -> Option<u64> {
    ids.get(number.checked_rem(ids.len())?).copied()
}

impl House {
    fn step(&mut self, step: &Step) {
        let any = || self.doing(|doing| doing != Doing::Waits);
        match *step {
            Step::Invoke(spec) => _ = self.invoke(spec),
            Step::Through(n) => {
                let ids = [self.starts(), self.at_work()].concat();
                pick(&ids, n).into_iter().for_each(|id| self.through(id));
            }
            Step::Fails(n) => pick(&self.starts(), n).into_iter().for_each(|id| self.fails(id)),
            Step::Late(n) => pick(&any(), n).into_iter().for_each(|id| self.pool.late(id)),
            Step::Ends(n) => pick(&any(), n).into_iter().for_each(|id| self.ends(id)),
            Step::Ahead(spec, more) => {
                let place = self.pool.open_ahead(&self.specs[spec], 1 + more);
                self.put(place, spec);
            }
            Step::Keep(spec, want) => {
                let kept = (self.specs[spec].name.clone(), self.specs[spec].version.clone(), want);
                self.pool.keep([kept].into_iter());
                let place = self.pool.open_kept(&self.specs[spec], want);
                self.put(place, spec);
            }
            Step::Expires(n, seconds) => {
                let at = self.now.plus(Duration::from_secs(seconds));
                pick(&self.starts(), n).into_iter().for_each(|id| self.pool.expires(id, at));
            }
            Step::Delete(spec) => self.delete(spec),
            Step::Pass(seconds) => self.now = self.now.plus(Duration::from_secs(seconds)),
        }
        self.look();
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn nothing_is_lost_and_nobody_waits_in_vain(steps in prop::collection::vec(step(), 1..120)) {
        let specs = vec![
            spec("f", "a", 128, None), spec("f", "b", 128, None), spec("g", "a", 256, Some(3)), spec("h", "a", 512, None),
        ];
        let mut house = House::new(specs, 8, 2048);
        steps.iter().for_each(|step| house.step(step));
        house.drain();
        prop_assert!(house.accepted.is_empty(), "{:?} were not run", house.accepted);
    }
}
