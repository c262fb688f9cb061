//! In which order a replay goes through an archive: by minute of the events' times, within a minute as they were
//! archived. Pure.

use super::state::Place;
use names::Timestamp;

/// Records of one minute that follow one another in the log, those of other minutes left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) minute: i64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What is still to be replayed, as far as it fits into memory.
#[derive(Debug)]
pub(super) struct Plan {
    runs: Vec<Run>,
    limit: usize,
    place: Place,
    /// Minutes from here on are for another plan.
    cut: Option<i64>,
}

pub(super) fn minute(at: Timestamp) -> i64 {
    at.micros().div_euclid(60_000_000)
}

impl Plan {
    /// A plan from a place on, of some `limit` runs.
    pub(super) fn new(place: Place, limit: usize) -> Plan {
        Plan { runs: Vec::new(), limit, place, cut: None }
    }

    /// Takes the next record of the log.
    pub(super) fn add(&mut self, index: u64, at: Timestamp) {
        let minute = minute(at);
        let done = self.place.minute.is_some_and(|now| minute < now || (minute == now && index < self.place.next));
        if done || self.cut.is_some_and(|cut| minute >= cut) {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.minute == minute => run.last = index,
            _ => self.runs.push(Run { minute, first: index, last: index }),
        }
        if self.runs.len() > self.limit {
            self.shorten();
        }
    }

    /// Leaves the later half to another plan. One minute always stays whole.
    fn shorten(&mut self) {
        self.runs.sort_unstable();
        let middle = self.runs[self.runs.len() / 2].minute;
        let cut = if middle > self.runs[0].minute {
            Some(middle)
        } else {
            self.runs.iter().map(|run| run.minute).find(|m| *m > middle)
        };
        if let Some(cut) = cut {
            self.runs.retain(|run| run.minute < cut);
            self.cut = Some(cut);
        }
        // What comes next is no longer behind the last run: it starts one of its own.
        self.limit = self.limit.max(2 * self.runs.len());
        self.runs.sort_unstable_by_key(|run| run.last);
    }

    /// The runs in their order, and whether minutes are left for another plan.
    pub(super) fn finish(mut self) -> (Vec<Run>, bool) {
        self.runs.sort_unstable();
        (self.runs, self.cut.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp(minute * 60_000_000 + 5)
    }

    /// The order in which plan after plan, each cut at `limit`, goes through a log.
    fn order(minutes: &[i64], limit: usize, mut place: Place) -> Vec<(i64, u64)> {
        let mut all = Vec::new();
        loop {
            let mut plan = Plan::new(place, limit);
            (0u64..).zip(minutes).for_each(|(index, minute)| plan.add(index, at(*minute)));
            let (runs, more) = plan.finish();
            for run in &runs {
                let within = (run.first..=run.last).filter(|index| minutes[*index as usize] == run.minute);
                all.extend(within.map(|index| (run.minute, index)));
            }
            if !more {
                return all;
            }
            let last = runs.last().expect("a plan that was cut has a first minute");
            place = Place { minute: Some(last.minute), next: last.last + 1, last: None };
        }
    }

    #[test]
    fn minutes_come_in_order() {
        let wanted = vec![(1, 1), (1, 3), (2, 0), (2, 2), (3, 4)];
        assert_eq!(order(&[2, 1, 2, 1, 3], 100, Place::default()), wanted);
        let place = Place { minute: Some(2), next: 1, last: None };
        assert_eq!(order(&[2, 1, 2, 1, 3], 100, place), [(2, 2), (3, 4)]);
    }

    proptest! {
        #[test]
        fn every_record_comes_once_in_the_order_of_minutes(
            minutes in proptest::collection::vec(0i64..8, 0..60), limit in 1usize..12,
        ) {
            let mut wanted: Vec<(i64, u64)> = minutes.iter().copied().zip(0u64..).collect();
            wanted.sort_unstable();
            prop_assert_eq!(order(&minutes, limit, Place::default()), wanted);
        }
    }
}
