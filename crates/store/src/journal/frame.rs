//! A group on disk: one frame, whose head carries the table of its blocks. Pure.
//!
//! The head's checksum covers the table, and the table a checksum of each block, so one pass over the data protects
//! the whole frame, and a reader can verify a block without its frame.

use crate::Timestamp;
use bytes::{Buf, BufMut};

/// Bytes of a frame's head before its table.
pub(crate) const FRAME_HEAD: usize = 32;
/// Bytes of one block in the table.
pub(crate) const BLOCK_HEAD: usize = 40;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u64 = 8;

/// A block was written before, into a segment that is given up.
const RELOCATED: u32 = 1;
/// Its body is encrypted.
const SEALED: u32 = 2;

/// The log of the journal's own records: names, trims, checkpoints. No user's log has this number.
pub(crate) const META_LOG: u64 = 0;

/// What a segment's checksums start from, so that frames of a file's earlier life never pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// `salt` is the store's, so that no payload can pass for a frame.
    pub(crate) fn of(salt: &[u8; 16], segment: u64) -> Seed {
        Seed(crc32c::crc32c_append(crc32c::crc32c(salt), &segment.to_le_bytes()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) checksum: u32,
    /// The checksum of the frame before, also across segments.
    pub(crate) previous: u32,
    pub(crate) group: u64,
    /// The last group that was known to be synced when this one was written. A frame that is damaged although a later
    /// one says it was synced is damage; any other is a torn tail.
    pub(crate) synced: u64,
    pub(crate) blocks: u32,
    pub(crate) body: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) log: u64,
    pub(crate) first: u64,
    pub(crate) at: Timestamp,
    pub(crate) count: u32,
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
    /// It was written before, into a segment that is given up.
    pub(crate) relocated: bool,
    /// Its body is encrypted.
    pub(crate) sealed: bool,
}

impl BlockHead {
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.log);
        out.put_u64_le(self.first);
        out.put_i64_le(self.at.0);
        out.put_u32_le(self.count);
        out.put_u32_le(self.bytes);
        out.put_u32_le(self.checksum);
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        out.put_u32_le(flag(self.relocated, RELOCATED) | flag(self.sealed, SEALED));
    }

    fn decode(mut from: &[u8]) -> BlockHead {
        let head = BlockHead {
            log: from.get_u64_le(),
            first: from.get_u64_le(),
            at: Timestamp(from.get_i64_le()),
            count: from.get_u32_le(),
            bytes: from.get_u32_le(),
            checksum: from.get_u32_le(),
            relocated: false,
            sealed: false,
        };
        let flags = from.get_u32_le();
        BlockHead { relocated: flags & RELOCATED != 0, sealed: flags & SEALED != 0, ..head }
    }
}

impl FrameHead {
    /// Reads the first [`FRAME_HEAD`] bytes. Nothing is verified yet.
    pub(crate) fn decode(mut from: &[u8]) -> FrameHead {
        FrameHead {
            checksum: from.get_u32_le(),
            previous: from.get_u32_le(),
            group: from.get_u64_le(),
            synced: from.get_u64_le(),
            blocks: from.get_u32_le(),
            body: from.get_u32_le(),
        }
    }

    /// Bytes up to where the blocks' bodies begin.
    pub(crate) fn len(&self) -> usize {
        FRAME_HEAD + self.blocks as usize * BLOCK_HEAD
    }

    /// Bytes of the whole frame, padding included.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.blocks as usize, self.body as usize)
    }
}

/// Bytes of a frame with so many blocks and so many bytes in them, padding included.
pub(crate) fn frame_len(blocks: usize, body: usize) -> u64 {
    ((FRAME_HEAD + blocks * BLOCK_HEAD) as u64 + body as u64).next_multiple_of(ALIGN)
}

/// What says where a frame stands in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) previous: u32,
    pub(crate) group: u64,
    pub(crate) synced: u64,
}

/// Writes a frame's head and table; its checksum.
pub(crate) fn encode_head(out: &mut Vec<u8>, seed: Seed, link: Link, blocks: impl Iterator<Item = BlockHead>) -> u32 {
    out.clear();
    out.put_u32_le(0);
    out.put_u32_le(link.previous);
    out.put_u64_le(link.group);
    out.put_u64_le(link.synced);
    out.put_u64_le(0);
    let (mut count, mut body) = (0u32, 0u64);
    for block in blocks {
        (count, body) = (count + 1, body + u64::from(block.bytes));
        block.encode(out);
    }
    out[24..28].copy_from_slice(&count.to_le_bytes());
    out[28..32].copy_from_slice(&u32::try_from(body).expect("a group is far smaller than 4 GiB").to_le_bytes());
    let checksum = crc32c::crc32c_append(seed.0, &out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// The table of a frame, where `head` (its first [`FrameHead::len`] bytes) is as it was written.
pub(crate) fn verify_head(seed: Seed, head: &[u8]) -> Option<Vec<BlockHead>> {
    let parsed = FrameHead::decode(head);
    if crc32c::crc32c_append(seed.0, &head[4..]) != parsed.checksum || parsed.blocks == 0 {
        return None;
    }
    let blocks: Vec<BlockHead> = head[FRAME_HEAD..].chunks_exact(BLOCK_HEAD).map(BlockHead::decode).collect();
    let body: u64 = blocks.iter().map(|b| u64::from(b.bytes)).sum();
    (body == u64::from(parsed.body) && blocks.iter().all(|b| b.first.checked_add(u64::from(b.count)).is_some()))
        .then_some(blocks)
}

/// Flags of a frame's blocks that this program does not know, where there are any: a newer one wrote them, and what they
/// change about reading is not known here. `head` is as it was written.
pub(crate) fn unknown_flags(head: &[u8]) -> Option<u32> {
    let flags = |block: &[u8]| (&block[BLOCK_HEAD - 4..]).get_u32_le() & !(RELOCATED | SEALED);
    head[FRAME_HEAD..].chunks_exact(BLOCK_HEAD).map(flags).find(|unknown| *unknown != 0)
}

/// Whether the bodies behind a frame's table are as they were written.
pub(crate) fn verify_bodies(blocks: &[BlockHead], mut bodies: &[u8]) -> bool {
    blocks.iter().all(|block| match bodies.split_at_checked(block.bytes as usize) {
        Some((body, rest)) => {
            bodies = rest;
            crc32c::crc32c(body) == block.checksum
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(log: u64, first: u64, body: &[u8]) -> BlockHead {
        let checksum = crc32c::crc32c(body);
        BlockHead {
            log,
            first,
            at: Timestamp(7),
            count: 3,
            bytes: body.len() as u32,
            checksum,
            relocated: false,
            sealed: log % 2 == 1,
        }
    }

    proptest! {
        #[test]
        fn a_head_comes_back_and_only_under_its_seed(n in 1usize..5, flip in 0usize..72, group in any::<u64>()) {
            let seed = Seed::of(&[1; 16], 9);
            let blocks: Vec<_> = (0..n).map(|i| block(i as u64, 5, b"abc")).collect();
            let mut out = Vec::new();
            let checksum = encode_head(&mut out, seed, Link { previous: 4, group, synced: 3 }, blocks.iter().copied());
            let head = FrameHead::decode(&out);
            prop_assert_eq!((head.checksum, head.previous, head.group, head.synced), (checksum, 4, group, 3));
            prop_assert_eq!(head.len(), out.len());
            let decoded = verify_head(seed, &out);
            prop_assert_eq!(decoded.as_ref(), Some(&blocks));
            prop_assert_eq!(verify_head(Seed::of(&[1; 16], 8), &out), None);
            prop_assert_eq!(verify_head(Seed::of(&[2; 16], 9), &out), None);
            out[flip] ^= 16;
            prop_assert_eq!(verify_head(seed, &out), None);
        }
    }
}
