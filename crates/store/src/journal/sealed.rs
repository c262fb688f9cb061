//! The index file of a sealed segment: where each log's blocks are. Derived, so it is rebuilt where it is damaged.

use super::index::{Entry, Run};
use crate::Timestamp;
use bytes::{Buf, BufMut};

/// In an entry's count: its block is encrypted.
const SEALED: u32 = 1 << 31;
/// What is not count: no block has so many records.
const FLAGS: u32 = 0xf << 28;
const MAGIC: &[u8; 8] = b"HWINDEX1";
pub(crate) const HEADER: usize = 56;
pub(crate) const RUN: usize = 48;
pub(crate) const ENTRY: usize = 40;

/// What the header of an index file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) segment: u64,
    /// The last group of the segment, and its checksum.
    pub(crate) group: u64,
    pub(crate) checksum: u32,
    pub(crate) runs: u32,
    pub(crate) entries: u32,
    pub(crate) entries_checksum: u32,
    /// Where the segment's frames end.
    pub(crate) end: u64,
}

impl Header {
    /// Where the entries begin.
    pub(crate) fn entries_at(&self) -> u64 {
        HEADER as u64 + u64::from(self.runs) * RUN as u64
    }
    /// How long the file must be.
    pub(crate) fn file_len(&self) -> u64 {
        self.entries_at() + u64::from(self.entries) * ENTRY as u64
    }
}

/// The last frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) group: u64,
    pub(crate) checksum: u32,
    /// Where it ends.
    pub(crate) end: u64,
}

/// Entries must be sorted by log and index.
pub(crate) fn encode(segment: u64, last: Last, runs: &[Run], entries: &[Entry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * ENTRY);
    entries.iter().for_each(|entry| put_entry(&mut body, entry));
    let mut out = Vec::with_capacity(HEADER + runs.len() * RUN + body.len());
    out.put_slice(MAGIC);
    out.put_u64_le(segment);
    out.put_u64_le(last.group);
    out.put_u64_le(last.end);
    out.put_u32_le(last.checksum);
    out.put_u32_le(u32::try_from(runs.len()).expect("a segment is smaller than 4 GiB"));
    out.put_u32_le(u32::try_from(entries.len()).expect("a segment is smaller than 4 GiB"));
    out.put_u32_le(crc32c::crc32c(&body));
    out.put_u64_le(0);
    for run in runs {
        out.put_u64_le(run.log);
        out.put_u64_le(run.first);
        out.put_u64_le(run.next);
        out.put_u64_le(run.bytes);
        out.put_i64_le(run.first_at.0);
        out.put_i64_le(run.last_at.0);
    }
    let checksum = crc32c::crc32c(&out);
    out[HEADER - 8..HEADER - 4].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&body);
    out
}

pub(crate) fn decode_header(bytes: &[u8]) -> Option<Header> {
    let mut from = bytes.strip_prefix(MAGIC).filter(|rest| rest.len() >= HEADER - MAGIC.len())?;
    let (segment, group, end) = (from.get_u64_le(), from.get_u64_le(), from.get_u64_le());
    let checksum = from.get_u32_le();
    let (runs, entries, entries_checksum) = (from.get_u32_le(), from.get_u32_le(), from.get_u32_le());
    Some(Header { segment, group, checksum, runs, entries, entries_checksum, end })
}

/// The runs, where the front of the file (header and runs) is as it was written.
pub(crate) fn decode_runs(front: &[u8]) -> Option<Vec<Run>> {
    let mut zeroed = front.get(..HEADER)?.to_vec();
    let stored = (&zeroed[HEADER - 8..]).get_u32_le();
    zeroed[HEADER - 8..].fill(0);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&zeroed), &front[HEADER..]);
    let run = |mut from: &[u8]| Run {
        log: from.get_u64_le(),
        first: from.get_u64_le(),
        next: from.get_u64_le(),
        bytes: from.get_u64_le(),
        first_at: Timestamp(from.get_i64_le()),
        last_at: Timestamp(from.get_i64_le()),
    };
    (checksum == stored).then(|| front[HEADER..].chunks_exact(RUN).map(run).collect())
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.put_u64_le(entry.log);
    out.put_u64_le(entry.first);
    out.put_i64_le(entry.at.0);
    out.put_u32_le(entry.offset);
    out.put_u32_le(entry.bytes);
    out.put_u32_le(entry.count | if entry.sealed { SEALED } else { 0 });
    out.put_u32_le(entry.checksum);
}

/// Reads one entry's [`ENTRY`] bytes; `None` where it has flags that only a newer program knows.
pub(crate) fn decode_entry(mut from: &[u8]) -> Option<Entry> {
    let entry = Entry {
        log: from.get_u64_le(),
        first: from.get_u64_le(),
        at: Timestamp(from.get_i64_le()),
        offset: from.get_u32_le(),
        bytes: from.get_u32_le(),
        count: from.get_u32_le(),
        checksum: from.get_u32_le(),
        sealed: false,
    };
    let flags = entry.count & FLAGS;
    (flags & !SEALED == 0).then_some(Entry { count: entry.count & !FLAGS, sealed: flags & SEALED != 0, ..entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_index_comes_back_and_damage_shows() {
        let entry =
            Entry { log: 2, first: 5, at: Timestamp(9), offset: 64, bytes: 100, count: 3, checksum: 77, sealed: true };
        let runs = [Run { log: 2, first: 5, next: 8, bytes: 100, first_at: Timestamp(9), last_at: Timestamp(9) }];
        let mut file = encode(4, Last { group: 11, checksum: 12, end: 164 }, &runs, &[entry]);
        let header = decode_header(&file).unwrap();
        assert_eq!((header.segment, header.group, header.checksum, header.end), (4, 11, 12, 164));
        assert_eq!(header.file_len(), file.len() as u64);
        let at = header.entries_at() as usize;
        assert_eq!(decode_runs(&file[..at]).unwrap(), runs);
        assert_eq!(decode_entry(&file[at..]), Some(entry));
        for flag in 28..31 {
            let mut newer = file[at..].to_vec();
            newer[ENTRY - 8..ENTRY - 4].copy_from_slice(&(entry.count | 1 << flag).to_le_bytes());
            assert_eq!(decode_entry(&newer), None, "flag {flag}");
        }
        assert_eq!(crc32c::crc32c(&file[at..]), header.entries_checksum);
        for i in 0..at {
            file[i] ^= 1;
            assert!((HEADER - 4..HEADER).contains(&i) || decode_runs(&file[..at]).is_none(), "byte {i}");
            file[i] ^= 1;
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_header(&bytes);
            prop_assert_eq!(decode_runs(&bytes), None);
        }
    }
}
