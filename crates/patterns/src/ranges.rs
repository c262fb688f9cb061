//! Numeric ranges in the order of their lower ends.

/// Ranges whose upper ends are looked at together.
const BLOCK: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    /// Both ends belong to the range.
    low: i64,
    high: i64,
    owner: u32,
}

/// Ranges, each with an owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    sorted: Vec<Range>,
    /// The highest upper end of each block.
    tops: Vec<i64>,
}

impl Ranges {
    /// How many ranges hold a number.
    pub(crate) fn count(&self, number: i64) -> u32 {
        let mut count = 0;
        self.holding(number, &mut |_| count += 1);
        count
    }

    pub(crate) fn insert(&mut self, low: i64, high: i64, owner: u32) {
        let range = Range { low, high, owner };
        let at = self.sorted.partition_point(|other| *other < range);
        self.sorted.insert(at, range);
        let first = at / BLOCK;
        self.tops.truncate(first);
        let tops = self.sorted[first * BLOCK..].chunks(BLOCK);
        self.tops.extend(tops.map(|block| block.iter().map(|range| range.high).max().expect("chunks are not empty")));
    }

    /// Calls `found` with the owner of each range that holds a number.
    pub(crate) fn holding(&self, number: i64, found: &mut dyn FnMut(u32)) {
        let end = self.sorted.partition_point(|range| range.low <= number);
        for (block, top) in self.sorted[..end].chunks(BLOCK).zip(&self.tops) {
            if *top >= number {
                block.iter().filter(|range| range.high >= number).for_each(|range| found(range.owner));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holding_finds_what_a_search_finds(
            ranges in prop::collection::vec((-50i64..50, 0i64..60), 0..300),
            number in -60i64..120,
        ) {
            let mut set = Ranges::default();
            for (owner, (low, width)) in ranges.iter().enumerate() {
                set.insert(*low, low + width, owner as u32);
            }
            let mut found = Vec::new();
            set.holding(number, &mut |owner| found.push(owner as usize));
            found.sort_unstable();
            let wanted: Vec<usize> = (0..ranges.len())
                .filter(|owner| (ranges[*owner].0..=ranges[*owner].0 + ranges[*owner].1).contains(&number))
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
