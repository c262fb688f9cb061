//! What is left to do of a batch of stream records: which part is handed over next, and what is dropped. Pure. The rules
//! are those of Lambda's mappings, which EventBridge's pipes share.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>: a function's error counts against
//! the retries, halving a batch does not, and neither does what kept the batch from reaching the function.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html>: what comes before the
//! lowest failed record is done; with both settings the batch is cut there, and only then halved.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// How a consumer deals with errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Retries after the first try; `None` for no limit.
    pub retries: Option<u32>,
    /// Whether a batch that failed is halved.
    pub bisect: bool,
}

/// Records that are invoked or dropped together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of the batch.
    pub range: Range<usize>,
    /// Failures that count against the retries.
    pub failures: u32,
    /// How often they were handed over, in this piece or a larger one.
    pub invokes: u32,
}

/// Why records are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They failed too often.
    Retries,
    /// They are too old.
    Age,
}

impl Why {
    /// What it is called where it is told of.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>
    pub fn condition(self) -> &'static str {
        match self {
            Why::Retries => "RetryAttemptsExhausted",
            Why::Age => "RecordAgeExceeded",
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand these over.
    Invoke(Piece),
    /// Drop these.
    Drop(Piece, Why),
    /// All is dealt with.
    Done,
}

/// What became of handing a piece over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All records of the piece are dealt with.
    Success,
    /// This record of the batch failed, or all from the piece's first.
    FailedAt(usize),
    /// All before this record of the batch are dealt with, and nobody was reached with it.
    Until(usize),
    /// Whoever was to get them was not reached.
    Unreached,
}

/// What to do after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The same piece again, after a pause.
    Again,
    /// Whatever [`Plan::next`] says.
    Next,
}

/// A batch on its way.
pub struct Plan {
    rules: Rules,
    /// In order and without gaps; the first is next.
    pieces: VecDeque<Piece>,
    /// Everything before this is dealt with.
    done: usize,
}

impl Plan {
    /// A plan for so many records.
    pub fn new(count: usize, rules: Rules) -> Plan {
        let whole = (count > 0).then_some(Piece { range: 0..count, failures: 0, invokes: 0 });
        Plan { rules, pieces: whole.into_iter().collect(), done: 0 }
    }

    /// How many records, from the first, are dealt with.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Whether the next piece was tried before.
    pub fn is_retry(&self) -> bool {
        self.pieces.front().is_some_and(|piece| piece.invokes > 0)
    }

    /// The next step. `expired` says which records are too old. What is dropped counts as dealt with from here on.
    pub fn next(&mut self, expired: impl Fn(usize) -> bool) -> Step {
        let exhausted = |piece: &Piece| self.rules.retries.is_some_and(|retries| piece.failures > retries);
        let Some(piece) = self.pieces.front() else { return Step::Done };
        if exhausted(piece) {
            return self.drop_first(piece.range.len(), Why::Retries);
        }
        // Records are in the order of their arrival.
        let old = piece.range.clone().take_while(|i| expired(*i)).count();
        if old > 0 {
            return self.drop_first(old, Why::Age);
        }
        Step::Invoke(piece.clone())
    }

    fn drop_first(&mut self, count: usize, why: Why) -> Step {
        self.cut(count);
        let Some(piece) = self.pieces.pop_front() else { return Step::Done };
        self.done = piece.range.end;
        Step::Drop(piece, why)
    }

    /// The next piece is only its first `count` records; the others follow it.
    pub fn cut(&mut self, count: usize) {
        let Some(piece) = self.pieces.front_mut().filter(|piece| count < piece.range.len()) else { return };
        let at = piece.range.start + count;
        let rest = Piece { range: at..piece.range.end, ..piece.clone() };
        piece.range.end = at;
        self.pieces.insert(1, rest);
    }

    /// What it means that items of these names failed, where `names` are those of all records, in order. An item that is
    /// none of the batch's says nothing about where to go on: all failed.
    pub fn judge<N: Borrow<str> + Ord>(&self, failed: &[String], names: impl Iterator<Item = N>) -> Outcome {
        if failed.is_empty() {
            return Outcome::Success;
        }
        let places: BTreeMap<N, usize> = names.enumerate().skip(self.done).map(|(i, name)| (name, i)).collect();
        let places = failed.iter().map(|name| places.get(name.as_str()).copied());
        // Whatever has no place is less than what has one.
        Outcome::FailedAt(places.min().flatten().unwrap_or(self.done))
    }

    /// The next piece was handed over.
    pub fn after(&mut self, outcome: Outcome) -> Follow {
        let bisect = self.rules.bisect;
        let Some(piece) = self.pieces.front_mut() else { return Follow::Next };
        let failed_at = match outcome {
            Outcome::Unreached => return Follow::Again,
            Outcome::Until(at) if at > piece.range.start && at < piece.range.end => {
                // What was not reached cost no retry.
                (piece.invokes, piece.range.start, self.done) = (piece.invokes + 1, at, at);
                return Follow::Next;
            }
            Outcome::Until(_) => return Follow::Again,
            Outcome::Success => piece.range.end,
            Outcome::FailedAt(lowest) => lowest.clamp(piece.range.start, piece.range.end - 1),
        };
        piece.invokes += 1;
        self.done = failed_at;
        if failed_at == piece.range.end {
            self.pieces.pop_front();
            return Follow::Next;
        }
        let progressed = failed_at > piece.range.start;
        piece.range.start = failed_at;
        let halves = bisect && piece.range.len() > 1;
        let is_cut = halves || (bisect && progressed);
        if !is_cut {
            piece.failures += 1;
        }
        if progressed {
            return Follow::Next;
        }
        if halves {
            let half = piece.range.len().div_ceil(2);
            self.cut(half);
            return Follow::Next;
        }
        let exhausted = self.rules.retries.is_some_and(|retries| piece.failures > retries);
        if exhausted { Follow::Next } else { Follow::Again }
    }
}

#[cfg(test)]
mod tests;
