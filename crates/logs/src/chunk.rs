//! Chunks: what is known of a run of a group's events without reading them, so that a look into the past reads little.

use crate::event::Event;
use crate::limits::EVENT_OVERHEAD;
use std::collections::BTreeMap;

/// What memory holds of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The index of its first event.
    pub(crate) first: u64,
    /// The index past its last.
    pub(crate) next: u64,
    /// The least time stamp, in milliseconds.
    pub(crate) oldest: i64,
    /// The greatest.
    pub(crate) newest: i64,
    /// Bytes of its events, as AWS counts them.
    pub(crate) bytes: u64,
    /// A bit for each stream in it, by its number modulo 64.
    pub(crate) mask: u64,
}

/// What a chunk holds of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The least time stamp.
    pub(crate) oldest: i64,
    /// The greatest.
    pub(crate) newest: i64,
    /// When the last of them came, in milliseconds.
    pub(crate) ingested: i64,
}

impl Seen {
    pub(crate) fn and(&mut self, other: Seen) {
        self.oldest = self.oldest.min(other.oldest);
        self.newest = self.newest.max(other.newest);
        self.ingested = self.ingested.max(other.ingested);
    }
}

/// What the disk holds of a chunk:
/// `[kind 1][first, 8 bytes][next, 8][bytes, 8]`, then of each stream `[number, 8][oldest, 8][newest, 8][ingested, 8]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) bytes: u64,
    pub(crate) streams: BTreeMap<u64, Seen>,
}

const KIND: u8 = 1;

pub(crate) fn bit(stream: u64) -> u64 {
    1 << (stream % 64)
}

/// How many bytes an event counts for.
pub(crate) fn counted(message: usize) -> u64 {
    (message + EVENT_OVERHEAD) as u64
}

impl Summary {
    pub(crate) fn begin(first: u64) -> Summary {
        Summary { first, next: first, ..Summary::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// Takes the next event.
    pub(crate) fn add(&mut self, index: u64, event: Event<'_>, ingested: i64) {
        self.next = index + 1;
        self.bytes += counted(event.message.len());
        let seen = Seen { oldest: event.at, newest: event.at, ingested };
        self.streams.entry(event.stream).and_modify(|known| known.and(seen)).or_insert(seen);
    }

    pub(crate) fn chunk(&self) -> Chunk {
        Chunk {
            first: self.first,
            next: self.next,
            oldest: self.streams.values().map(|seen| seen.oldest).min().unwrap_or(i64::MAX),
            newest: self.streams.values().map(|seen| seen.newest).max().unwrap_or(i64::MIN),
            bytes: self.bytes,
            mask: self.streams.keys().fold(0, |mask, stream| mask | bit(*stream)),
        }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = vec![KIND];
        [self.first, self.next, self.bytes].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        for (stream, seen) in &self.streams {
            out.extend_from_slice(&stream.to_le_bytes());
            [seen.oldest, seen.newest, seen.ingested].iter().for_each(|at| out.extend_from_slice(&at.to_le_bytes()));
        }
        out
    }

    /// `None` for a record that is no summary.
    pub(crate) fn read(record: &[u8]) -> Option<Summary> {
        let (KIND, mut rest) = record.split_first().map(|(kind, rest)| (*kind, rest))? else { return None };
        let mut next = || {
            let (number, left) = rest.split_first_chunk::<8>()?;
            rest = left;
            Some(u64::from_le_bytes(*number))
        };
        let mut summary = Summary { first: next()?, next: next()?, bytes: next()?, ..Summary::default() };
        while let Some(stream) = next() {
            let seen = Seen { oldest: next()? as i64, newest: next()? as i64, ingested: next()? as i64 };
            summary.streams.insert(stream, seen);
        }
        rest.is_empty().then_some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_go_there_and_back_and_say_what_is_in_a_chunk() {
        let mut summary = Summary::begin(7);
        assert!(summary.is_empty());
        summary.add(7, Event { stream: 3, at: 50, message: b"ab" }, 100);
        summary.add(8, Event { stream: 67, at: -20, message: b"" }, 101);
        summary.add(9, Event { stream: 3, at: 40, message: b"c" }, 102);
        let bytes = summary.write();
        assert_eq!(Summary::read(&bytes), Some(summary.clone()));
        for cut in 0..bytes.len() {
            let whole = cut == 25 || cut == 57;
            assert_eq!(Summary::read(&bytes[..cut]).is_some(), whole, "{cut}");
        }
        let mask = 1 << 3;
        let chunk = Chunk { first: 7, next: 10, oldest: -20, newest: 50, bytes: 3 * 26 + 3, mask };
        assert_eq!(summary.chunk(), chunk);
        assert_eq!(summary.streams[&3], Seen { oldest: 40, newest: 50, ingested: 102 });
    }
}
