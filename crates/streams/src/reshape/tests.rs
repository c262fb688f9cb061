use super::*;
use crate::sequence::Sequence;
use proptest::prelude::*;

/// A stream's shards, and the moment it is.
#[derive(Clone, Debug)]
struct Shards(Vec<Shard>, i64);

impl Shards {
    fn new(count: u32) -> Shards {
        let shard = |(number, (start, end))| Shard {
            number,
            parent: None,
            adjacent_parent: None,
            start,
            end,
            created: Timestamp(0),
            opened: Timestamp(0),
            log: 0,
            closed: None,
        };
        Shards((0..).zip(hash::split(count)).map(shard).collect(), 0)
    }

    /// The open ones by hash key.
    fn open(&self) -> Vec<&Shard> {
        let mut open: Vec<_> = self.0.iter().filter(|shard| shard.closed.is_none()).collect();
        open.sort_by_key(|shard| shard.start);
        open
    }

    fn apply(&mut self, reshape: Reshape) -> Plan {
        self.1 += 300_000;
        let at = Timestamp(self.1);
        let plan = reshape.plan(&self.0);
        let new = plan.shards(&self.0, &vec![0; plan.births.len()], at);
        let ending: Vec<u32> = plan.ending(&self.0).map(|shard| shard.number).collect();
        for shard in self.0.iter_mut().filter(|shard| ending.contains(&shard.number)) {
            shard.closed = Some(Closed { at, position: 5 });
        }
        self.0.extend(new);
        plan
    }

    /// Something that may be asked for, chosen by numbers.
    fn choose(&self, kind: u8, which: usize, place: u128) -> Reshape {
        let open = self.open();
        let i = which % open.len();
        let width = open[i].end.0 - open[i].start.0;
        match kind % 3 {
            0 if width > 3 => {
                Reshape::Split { shard: open[i].number, at: HashKey(open[i].start.0 + 2 + place % (width - 2)) }
            }
            1 if i + 1 < open.len() => Reshape::Merge { shard: open[i].number, adjacent: open[i + 1].number },
            _ => Reshape::Count(1 + which as u32 % (2 * open.len() as u32).min(24)),
        }
    }

    fn assert_tiled(&self) {
        let open = self.open();
        assert_eq!(open[0].start, HashKey(0));
        assert_eq!(open[open.len() - 1].end, HashKey(u128::MAX));
        for pair in open.windows(2) {
            assert_eq!(pair[0].end.0 + 1, pair[1].start.0);
        }
        assert!(self.0.is_sorted_by(|a, b| a.number < b.number), "numbers grow and are not used again");
    }

    fn parents<'a>(&'a self, shard: &'a Shard) -> impl Iterator<Item = &'a Shard> {
        let numbers = [shard.parent, shard.adjacent_parent].into_iter().flatten();
        numbers.map(|number| self.0.iter().find(|shard| shard.number == number).unwrap())
    }
}

fn numbers(shards: &[&Shard]) -> Vec<(u32, Option<u32>, Option<u32>)> {
    shards.iter().map(|shard| (shard.number, shard.parent, shard.adjacent_parent)).collect()
}

#[test]
fn doubling_splits_every_shard_and_halving_merges_pairs() {
    let mut shards = Shards::new(2);
    shards.apply(Reshape::Count(4));
    assert_eq!(
        numbers(&shards.open()),
        [(2, Some(0), None), (3, Some(0), None), (4, Some(1), None), (5, Some(1), None)]
    );
    shards.apply(Reshape::Count(2));
    assert_eq!(numbers(&shards.open()), [(6, Some(2), Some(3)), (7, Some(4), Some(5))]);
    let ranges: Vec<_> = shards.open().iter().map(|shard| (shard.start, shard.end)).collect();
    assert_eq!(ranges, hash::split(2).collect::<Vec<_>>());
}

#[test]
fn an_uneven_count_has_steps_that_are_closed_and_empty() {
    let mut shards = Shards::new(2);
    shards.apply(Reshape::Count(3));
    assert_eq!(numbers(&shards.open()), [(2, Some(0), None), (6, Some(3), Some(4)), (5, Some(1), None)]);
    let steps: Vec<_> = shards.0[2..].iter().filter(|shard| shard.closed.is_some()).collect();
    assert_eq!(steps.iter().map(|shard| shard.number).collect::<Vec<_>>(), [3, 4]);
    assert!(steps.iter().all(|shard| shard.closed.unwrap().position == 0));
}

#[test]
fn the_same_count_changes_nothing() {
    assert!(Shards::new(7).apply(Reshape::Count(7)).is_empty());
    assert!(Reshape::Split { shard: 9, at: HashKey(5) }.plan(&Shards::new(2).0).is_empty());
}

proptest! {
    /// Whatever is done, at every moment each hash key has exactly one open shard, and its shards are each other's
    /// descendants, with growing sequence numbers.
    #[test]
    fn ranges_tile_the_space_and_lineages_grow(
        first in 1u32..9,
        steps in proptest::collection::vec((any::<u8>(), any::<usize>(), any::<u128>()), 1..12),
        keys in proptest::collection::vec(any::<u128>(), 1..8),
    ) {
        let mut shards = Shards::new(first);
        // By key: the shards that were open for it, in time.
        let mut paths: Vec<Vec<u32>> = vec![Vec::new(); keys.len()];
        for (kind, which, place) in steps {
            for (key, path) in keys.iter().zip(&mut paths) {
                let holders: Vec<u32> = shards.open().iter()
                    .filter(|shard| (shard.start.0..=shard.end.0).contains(key)).map(|shard| shard.number).collect();
                prop_assert_eq!(holders.len(), 1);
                path.push(holders[0]);
            }
            let reshape = shards.choose(kind, which, place);
            let after = reshape.shards_after(shards.open().len());
            shards.apply(reshape);
            shards.assert_tiled();
            prop_assert_eq!(shards.open().len(), after);
        }
        for shard in &shards.0 {
            for parent in shards.parents(shard) {
                prop_assert!(parent.closed.is_some() && parent.number < shard.number);
                prop_assert!(parent.start <= shard.end && shard.start <= parent.end, "a child continues its parents");
                prop_assert_eq!(parent.closed.unwrap().at, shard.opened);
                let last = Sequence { created: parent.created.secs() as u64, shard: parent.number, index: 1 << 40, at: 0 };
                let first = shard.first_sequence();
                prop_assert!(String::from(last) < String::from(first), "numbers grow from parent to child");
            }
        }
        for path in paths {
            for pair in path.windows(2).filter(|pair| pair[0] != pair[1]) {
                let (mut above, mut seen) = (vec![pair[1]], BTreeSet::new());
                while let Some(number) = above.pop() {
                    if seen.insert(number) {
                        let shard = shards.0.iter().find(|shard| shard.number == number).unwrap();
                        above.extend(shards.parents(shard).map(|parent| parent.number));
                    }
                }
                prop_assert!(seen.contains(&pair[0]), "who holds a key next descends from who held it");
            }
        }
    }
}
