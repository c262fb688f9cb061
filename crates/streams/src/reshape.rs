//! How the shards of a stream are cut anew. Pure.
//!
//! Whatever is asked for is done in splits and merges of one or two shards, as AWS does it, so that no shard has more than
//! two parents. Shards that are only a step on the way are born closed and empty.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>

use crate::hash::{self, HashKey};
use crate::state::{Closed, Shard};
use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reshape {
    /// One shard becomes two.
    Split {
        /// Its number.
        shard: u32,
        /// The first hash key of the second.
        at: HashKey,
    },
    /// Two shards become one.
    Merge {
        /// The number of the one with the lower hash keys.
        shard: u32,
        /// The number of its neighbour.
        adjacent: u32,
    },
    /// So many shards of the same size.
    Count(u32),
}

/// The way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The shards to come, in the order of their numbers.
    pub(crate) births: Vec<Birth>,
    /// Of the shards there are and those to come, the numbers of those that take no records afterwards.
    pub(crate) closed: BTreeSet<u32>,
}

/// A shard to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    /// Its number.
    pub(crate) number: u32,
    parent: u32,
    adjacent_parent: Option<u32>,
    start: HashKey,
    end: HashKey,
}

/// A range of hash keys and the shard that has it.
#[derive(Clone, Copy)]
struct Piece {
    number: u32,
    start: HashKey,
    end: HashKey,
}

impl Reshape {
    /// How many shards are open afterwards, where `open` are before.
    pub(crate) fn shards_after(self, open: usize) -> usize {
        match self {
            Reshape::Split { .. } => open + 1,
            Reshape::Merge { .. } => open.saturating_sub(1),
            Reshape::Count(count) => count as usize,
        }
    }

    /// The way from the shards there are, by number. Nothing happens where a shard that is named is not open.
    pub(crate) fn plan(self, shards: &[Shard]) -> Plan {
        let open = shards.iter().filter(|shard| shard.closed.is_none());
        let mut pieces: Vec<Piece> =
            open.map(|shard| Piece { number: shard.number, start: shard.start, end: shard.end }).collect();
        pieces.sort_unstable_by_key(|piece| piece.start);
        let piece = |number: u32| pieces.iter().find(|piece| piece.number == number).copied();
        let next = shards.last().map_or(0, |shard| shard.number + 1);
        let mut cutter = Cutter { next, plan: Plan::default() };
        match self {
            Reshape::Split { shard, at } => {
                if let Some(piece) = piece(shard) {
                    cutter.split(piece, at);
                }
            }
            Reshape::Merge { shard, adjacent } => {
                if let (Some(left), Some(right)) = (piece(shard), piece(adjacent)) {
                    cutter.merge(left, right);
                }
            }
            Reshape::Count(count) => cutter.tile(&pieces, count),
        }
        cutter.plan
    }
}

struct Cutter {
    next: u32,
    plan: Plan,
}

impl Cutter {
    fn bear(&mut self, parent: u32, adjacent_parent: Option<u32>, start: HashKey, end: HashKey) -> Piece {
        let number = self.next;
        self.next += 1;
        self.plan.births.push(Birth { number, parent, adjacent_parent, start, end });
        self.plan.closed.extend([parent].into_iter().chain(adjacent_parent));
        Piece { number, start, end }
    }

    fn split(&mut self, piece: Piece, at: HashKey) -> (Piece, Piece) {
        let left = self.bear(piece.number, None, piece.start, HashKey(at.0 - 1));
        (left, self.bear(piece.number, None, at, piece.end))
    }

    fn merge(&mut self, left: Piece, right: Piece) -> Piece {
        self.bear(left.number, Some(right.number), left.start, right.end)
    }

    /// Cuts the pieces, which cover the space, wherever one of the wanted ranges begins, then joins what belongs to one.
    fn tile(&mut self, pieces: &[Piece], count: u32) {
        let ranges: Vec<(HashKey, HashKey)> = hash::split(count).collect();
        let mut cut = Vec::with_capacity(pieces.len() + ranges.len());
        let mut begins = ranges.iter().map(|(start, _)| *start).peekable();
        for piece in pieces {
            let mut rest = *piece;
            while let Some(at) = begins.next_if(|at| *at <= rest.end) {
                if at > rest.start {
                    let (left, right) = self.split(rest, at);
                    cut.push(left);
                    rest = right;
                }
            }
            cut.push(rest);
        }
        let mut cut = cut.into_iter().peekable();
        for (_, end) in ranges {
            let mut all = cut.next();
            while let (Some(left), Some(right)) = (all, cut.next_if(|piece| piece.end <= end)) {
                all = Some(self.merge(left, right));
            }
        }
    }
}

impl Plan {
    /// Whether all stays as it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.births.is_empty()
    }

    /// Of the shards there are, those that end.
    pub(crate) fn ending<'a>(&'a self, shards: &'a [Shard]) -> impl Iterator<Item = &'a Shard> {
        shards.iter().filter(|shard| self.closed.contains(&shard.number))
    }

    /// The shards to come, where those there are end at `at`, which is after all their records. `logs` holds the log of each
    /// birth, in order.
    pub(crate) fn shards(&self, old: &[Shard], logs: &[u64], at: Timestamp) -> Vec<Shard> {
        debug_assert_eq!(logs.len(), self.births.len(), "every shard has a log");
        let mut created: BTreeMap<u32, Timestamp> = old.iter().map(|shard| (shard.number, shard.created)).collect();
        let mut shards = Vec::with_capacity(self.births.len());
        for (birth, log) in self.births.iter().zip(logs) {
            let parents = [Some(birth.parent), birth.adjacent_parent].into_iter().flatten();
            let parents = parents.filter_map(|parent| created.get(&parent)).copied();
            let begins = Timestamp(parents.fold(at, Timestamp::max).micros().saturating_add(1_000_000));
            created.insert(birth.number, begins);
            shards.push(Shard {
                number: birth.number,
                parent: Some(birth.parent),
                adjacent_parent: birth.adjacent_parent,
                start: birth.start,
                end: birth.end,
                created: begins,
                opened: at,
                log: *log,
                closed: self.closed.contains(&birth.number).then_some(Closed { at, position: 0 }),
            });
        }
        shards
    }
}

#[cfg(test)]
mod tests;
