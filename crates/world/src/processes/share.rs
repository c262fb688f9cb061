//! A share of the processor where no control group gives one: as many processors as the share needs, and a nice level by
//! which several on one of them divide it in proportion.

use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What one nice level more makes of a thread's weight: the scheduler's table, sched(7).
const STEP: f64 = 1.25;
/// The lowest priority.
const NICEST: i32 = 19;

/// Where the processors of the next child begin.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Holds processes to so many thousandths of one processor, as well as can be. What they start later inherits it.
pub(super) fn hold(members: &[u32], processor: u64) {
    let Ok(all) = sched_getaffinity(None) else { return };
    let place = some(&all, NEXT.fetch_add(1, Relaxed), processor.div_ceil(1000));
    let threads = members.iter().flat_map(|pid| threads(*pid));
    for thread in threads.filter_map(|id| Pid::from_raw(id as i32)) {
        // Whoever is gone has no share.
        let _ = sched_setaffinity(Some(thread), &place);
        let _ = setpriority_process(Some(thread), nice(processor));
    }
}

fn threads(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The first `count` of all processors from a place on that differs from child to child.
fn some(all: &CpuSet, from: usize, count: u64) -> CpuSet {
    let known: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    let mut chosen = CpuSet::new();
    let start = from % known.len().max(1);
    known.iter().cycle().skip(start).take(known.len().min(count as usize)).for_each(|cpu| chosen.set(*cpu));
    chosen
}

fn nice(processor: u64) -> i32 {
    let share = processor.clamp(1, 1000) as f64 / 1000.0;
    ((1.0 / share).log(STEP).round() as i32).min(NICEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_levels_and_processors() {
        assert_eq!([1, 72, 500, 1000, 5788].map(nice), [19, 12, 3, 0, 0]);
        let mut all = CpuSet::new();
        [1, 4, 6].into_iter().for_each(|cpu| all.set(cpu));
        let set = |from, count| -> Vec<usize> { (0..8).filter(|cpu| some(&all, from, count).is_set(*cpu)).collect() };
        assert_eq!((set(0, 1), set(2, 1), set(2, 2), set(1, 9)), (vec![1], vec![6], vec![1, 6], vec![1, 4, 6]));
    }
}
