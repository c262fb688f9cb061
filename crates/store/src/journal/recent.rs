//! What was written last, kept in memory: a disk takes large writes past its cache, and whoever follows a log closely should
//! not wait for the disk to give back what has only just been written. Bounded in bytes.

use super::frame::BlockHead;
use super::segment::Segment;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Only blocks of groups of this size and more: smaller ones are in the system's page cache.
pub(super) const LARGE_GROUP: u64 = 256 << 10;
/// As much is kept.
const MOST_BYTES: usize = 32 << 20;

/// The newest blocks of one segment, by their offsets.
#[derive(Default)]
pub(super) struct Recent(Mutex<BTreeMap<u32, Vec<Bytes>>>);

impl Recent {
    fn blocks(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<Bytes>>> {
        self.0.lock().expect("no panic holds this lock")
    }

    /// Copies the blocks at these offsets, each to its place in `bytes`, which begins at the first one's. Whether all were
    /// there.
    pub(super) fn copy(&self, offsets: impl ExactSizeIterator<Item = u32>, bytes: &mut [u8]) -> bool {
        let blocks = self.blocks();
        if blocks.len() < offsets.len() {
            return false;
        }
        let mut start = None;
        for offset in offsets {
            let Some(parts) = blocks.get(&offset) else { return false };
            let mut at = (offset - *start.get_or_insert(offset)) as usize;
            for part in parts {
                bytes[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
        true
    }
}

/// What of all segments is kept, oldest first. The writer's.
#[derive(Default)]
pub(super) struct Kept {
    blocks: VecDeque<(Weak<Segment>, u32, usize)>,
    bytes: usize,
}

impl Kept {
    /// Keeps a block, and lets the oldest go.
    pub(super) fn add(&mut self, segment: &Arc<Segment>, head: &BlockHead, offset: u64, parts: Vec<Bytes>) {
        let Ok(offset) = u32::try_from(offset) else { return };
        segment.recent.blocks().insert(offset, parts);
        self.blocks.push_back((Arc::downgrade(segment), offset, head.bytes as usize));
        self.bytes += head.bytes as usize;
        while self.bytes > MOST_BYTES
            && let Some((segment, offset, bytes)) = self.blocks.pop_front()
        {
            self.bytes -= bytes;
            if let Some(segment) = segment.upgrade() {
                segment.recent.blocks().remove(&offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_copied_to_their_places_or_not_at_all() {
        let recent = Recent::default();
        let block = |parts: &[&'static [u8]]| parts.iter().map(|part| Bytes::from_static(part)).collect::<Vec<_>>();
        recent.blocks().insert(100, block(&[b"ab", b"c"]));
        recent.blocks().insert(110, block(&[b"de"]));
        let mut bytes = [b'.'; 12];
        assert!(!recent.copy([100, 107].into_iter(), &mut bytes));
        assert!(!recent.copy([100, 110, 120].into_iter(), &mut bytes));
        let mut bytes = [b'.'; 12];
        assert!(recent.copy([100, 110].into_iter(), &mut bytes));
        assert_eq!(&bytes, b"abc.......de");
    }
}
