//! What was written last, kept in memory: a disk takes large writes past its cache, and whoever follows a log closely should
//! not wait for the disk to give back what has only just been written. Bounded in bytes.

use super::index::Entry;
use super::segment::Segment;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Only groups of this size and more: smaller ones are in the system's page cache.
pub(super) const LARGE_GROUP: u64 = 256 << 10;
/// As much is kept.
const MOST_BYTES: usize = 32 << 20;

/// Parts of blocks with their offsets in the segment, ascending.
pub(super) type Parts = Vec<(u32, Bytes)>;

/// The newest groups of one segment, each by the offset of its first part.
#[derive(Default)]
pub(super) struct Recent(Mutex<BTreeMap<u32, Parts>>);

impl Recent {
    fn groups(&self) -> MutexGuard<'_, BTreeMap<u32, Parts>> {
        self.0.lock().expect("no panic holds this lock")
    }

    /// Copies these blocks, each to its place in `bytes`, which begins at the first one's. Whether all were there.
    pub(super) fn copy(&self, blocks: &[Entry], bytes: &mut [u8]) -> bool {
        let groups = self.groups();
        let start = blocks.first().map_or(0, |first| first.offset);
        blocks.iter().all(|block| {
            let Some((_, parts)) = groups.range(..=block.offset).next_back() else { return false };
            let at = (block.offset - start) as usize;
            bytes.get_mut(at..at + block.bytes as usize).is_some_and(|into| copy_block(parts, block, into))
        })
    }
}

fn copy_block(parts: &Parts, block: &Entry, into: &mut [u8]) -> bool {
    let Ok(first) = parts.binary_search_by_key(&block.offset, |(offset, _)| *offset) else { return false };
    let mut done = 0;
    for (offset, part) in &parts[first..] {
        if done == into.len() {
            break;
        }
        let follows = *offset as usize == block.offset as usize + done;
        let Some(room) = into.get_mut(done..done + part.len()).filter(|_| follows) else { return false };
        room.copy_from_slice(part);
        done += part.len();
    }
    done == into.len()
}

/// What of all segments is kept, oldest first. The writer's.
#[derive(Default)]
pub(super) struct Kept {
    groups: VecDeque<(Weak<Segment>, u32, usize)>,
    bytes: usize,
}

impl Kept {
    /// Keeps a group, and lets the oldest go.
    pub(super) fn add(&mut self, segment: &Arc<Segment>, parts: Parts) {
        let Some((offset, _)) = parts.first() else { return };
        let (offset, bytes) = (*offset, parts.iter().map(|(_, part)| part.len()).sum());
        segment.recent.groups().insert(offset, parts);
        self.groups.push_back((Arc::downgrade(segment), offset, bytes));
        self.bytes += bytes;
        while self.bytes > MOST_BYTES
            && let Some((segment, offset, bytes)) = self.groups.pop_front()
        {
            self.bytes -= bytes;
            if let Some(segment) = segment.upgrade() {
                segment.recent.groups().remove(&offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn blocks_are_copied_to_their_places_or_not_at_all() {
        let recent = Recent::default();
        let part = |offset, bytes: &'static [u8]| (offset, Bytes::from_static(bytes));
        recent.groups().insert(100, vec![part(100, b"ab"), part(102, b"c")]);
        recent.groups().insert(110, vec![part(110, b"de"), part(115, b"f")]);
        let block = |offset, bytes| {
            let (log, first, at, count, checksum, sealed) = (1, 0, Timestamp(0), 1, 0, false);
            Entry { log, first, at, offset, bytes, count, checksum, sealed }
        };
        let copied = |blocks: &[Entry]| {
            let mut bytes = [b'.'; 12];
            recent.copy(blocks, &mut bytes).then(|| bytes.to_vec())
        };
        assert_eq!(copied(&[block(100, 3), block(110, 2)]).unwrap(), b"abc.......de");
        assert_eq!(copied(&[block(100, 2), block(102, 1)]).unwrap(), b"abc.........");
        for gone in [block(90, 3), block(107, 2), block(120, 1), block(100, 1), block(100, 4), block(110, 6)] {
            assert_eq!(copied(&[block(100, 3), gone]), None, "{gone:?}");
        }
    }
}
