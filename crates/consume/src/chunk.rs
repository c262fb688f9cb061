//! What one call of a handler gets. Pure.

use bytes::Bytes;
use names::Timestamp;
use std::time::Duration;
use store::ReadLimit;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in its shard.
    pub position: u64,
    /// What its source calls that place.
    pub sequence: String,
    /// The key that put it into its shard.
    pub key: String,
    /// When it arrived.
    pub at: Timestamp,
    /// Its payload.
    pub data: Bytes,
}

/// Records of one shard that follow one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// In order.
    pub records: Vec<Record>,
    /// Where reading goes on.
    pub next: u64,
    /// The shard is closed, and these are its last records.
    pub ended: bool,
    /// How far the chunk's end is behind the shard's.
    pub behind: Duration,
}

/// How large a chunk is to be. It is handed over when it is full, when `window` has passed since its first record was
/// read, or when its shard ended. Without a window, what is there is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// At most so many records; at least one.
    pub records: usize,
    /// At most so many bytes of data, but never less than one record.
    pub bytes: usize,
    /// How long to wait for a full chunk.
    pub window: Duration,
}

impl Chunk {
    pub(crate) fn starting_at(next: u64) -> Chunk {
        Chunk { next, ..Chunk::default() }
    }

    fn bytes(&self) -> usize {
        self.records.iter().map(|r| r.data.len()).sum()
    }

    pub(crate) fn is_full(&self, gather: &Gather) -> bool {
        self.records.len() >= gather.records.max(1) || (!self.records.is_empty() && self.bytes() >= gather.bytes)
    }

    /// What may still be added.
    pub(crate) fn room(&self, gather: &Gather) -> ReadLimit {
        ReadLimit {
            records: gather.records.max(1).saturating_sub(self.records.len()),
            bytes: gather.bytes.saturating_sub(self.bytes()).max(1),
        }
    }

    /// Adds what follows; whether the chunk can take no more. What does not fit is left to be read again.
    pub(crate) fn take(&mut self, more: Chunk, gather: &Gather) -> bool {
        let mut bytes = self.bytes();
        self.behind = more.behind;
        for record in more.records {
            let fits = self.records.len() < gather.records.max(1) && bytes + record.data.len() <= gather.bytes;
            if !fits && !self.records.is_empty() {
                self.next = record.position;
                return true;
            }
            bytes += record.data.len();
            self.records.push(record);
        }
        self.next = more.next;
        self.ended = more.ended;
        self.is_full(gather)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(from: u64, sizes: &[usize], ended: bool) -> Chunk {
        let record = |(i, size): (usize, &usize)| Record {
            position: from + i as u64,
            sequence: i.to_string(),
            key: "k".into(),
            at: Timestamp(0),
            data: vec![0; *size].into(),
        };
        let records = sizes.iter().enumerate().map(record).collect();
        Chunk { records, next: from + sizes.len() as u64, ended, behind: Duration::ZERO }
    }

    #[test]
    fn a_record_over_the_limit_comes_alone() {
        let gather = Gather { records: 10, bytes: 100, window: Duration::ZERO };
        let mut all = Chunk::starting_at(5);
        assert!(all.take(chunk(5, &[1000, 1], true), &gather));
        assert_eq!((all.records.len(), all.next, all.ended), (1, 6, false));
    }

    #[test]
    fn the_end_is_told_with_the_last_record_only() {
        let gather = Gather { records: 2, bytes: 100, window: Duration::ZERO };
        let mut all = Chunk::starting_at(0);
        assert!(all.take(chunk(0, &[1, 1, 1], true), &gather));
        assert_eq!((all.next, all.ended), (2, false));
        let mut rest = Chunk::starting_at(2);
        assert!(!rest.take(chunk(2, &[1], true), &gather));
        assert_eq!((rest.next, rest.ended), (3, true));
    }

    proptest! {
        #[test]
        fn chunks_cover_every_record_once_within_the_limits(
            sizes in proptest::collection::vec(0usize..50, 0..40), records in 1usize..10, bytes in 1usize..120,
        ) {
            let gather = Gather { records, bytes, window: Duration::ZERO };
            let (mut from, mut seen) = (0usize, 0usize);
            while from < sizes.len() {
                let mut all = Chunk::starting_at(from as u64);
                let room = all.room(&gather);
                let until = (from + room.records).min(sizes.len());
                all.take(chunk(from as u64, &sizes[from..until], until == sizes.len()), &gather);
                prop_assert!(!all.records.is_empty() && all.records.len() <= records);
                prop_assert!(all.records.len() == 1 || all.bytes() <= bytes);
                prop_assert_eq!(all.records[0].position, from as u64);
                seen += all.records.len();
                from = all.next as usize;
                prop_assert_eq!(from, seen);
                prop_assert_eq!(all.ended, from == sizes.len());
            }
        }
    }
}
