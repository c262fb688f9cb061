use std::collections::BTreeMap;

/// A set of numbers kept as ranges: first number to the one past the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, past)| number < *past)
    }

    /// Adds all numbers from `first` up to, not including, `past`.
    pub(super) fn insert(&mut self, mut first: u64, mut past: u64) {
        // What overlaps or touches is melted into one.
        while let Some((&f, &p)) = self.0.range(..=past).next_back() {
            if p < first {
                break;
            }
            self.0.remove(&f);
            first = first.min(f);
            past = past.max(p);
        }
        self.0.insert(first, past);
    }

    /// How many numbers there are from `from` on.
    pub(super) fn count_from(&self, from: u64) -> u64 {
        let before = self.0.range(..from).next_back().map_or(0, |(_, past)| past.saturating_sub(from));
        before + self.0.range(from..).map(|(first, past)| past - first).sum::<u64>()
    }

    /// The first number from `from` on that is not there.
    pub(super) fn gap(&self, from: u64) -> u64 {
        self.0.range(..=from).next_back().map_or(from, |(_, past)| from.max(*past))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(first, past)| (*first, *past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn same_as_a_set(spans in proptest::collection::vec((0u64..60, 1u64..9), 0..30)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, len) in spans {
                ranges.insert(first, first + len);
                set.extend(first..first + len);
            }
            for n in 0..80 {
                prop_assert_eq!(ranges.contains(n), set.contains(&n));
                prop_assert_eq!(ranges.count_from(n), set.range(n..).count() as u64);
                prop_assert_eq!(ranges.gap(n), (n..).find(|n| !set.contains(n)).unwrap());
            }
            let parts: Vec<_> = ranges.iter().collect();
            prop_assert!(parts.windows(2).all(|w| w[0].1 < w[1].0), "{:?} is not melted", parts);
        }
    }
}
