//! Walks the frames of a segment, and tells a torn tail from damage.

use super::frame::{
    ALIGN, BLOCK_HEAD, BlockHead, FRAME_HEAD, FrameHead, META_LOG, Seed, unknown_flags, verify_bodies, verify_head,
};
use std::io;
use std::sync::Arc;
use world::DiskFile;

/// A frame that is as it was written.
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) head: FrameHead,
    pub(crate) blocks: Vec<BlockHead>,
    /// The body of the journal's own block, which is the first where there is one.
    pub(crate) meta: Option<Vec<u8>>,
    /// Flags of its blocks that only a newer program knows.
    unknown: Option<u32>,
}

impl Frame {
    /// Where each block's body is in the segment.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (&BlockHead, u64)> {
        let mut offset = self.offset + self.head.len() as u64;
        self.blocks.iter().map(move |block| {
            let at = offset;
            offset += u64::from(block.bytes);
            (block, at)
        })
    }
}

/// How a segment's frames end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Here: what follows was never synced.
    At(u64),
    /// A frame is not as it was written although it had been synced.
    Damaged { offset: u64, why: String },
    /// A frame is a newer program's: its blocks have flags that this one does not know.
    Newer { offset: u64, flags: u32 },
}

/// Reads a file through a buffer.
struct Window<'a> {
    file: &'a Arc<dyn DiskFile>,
    len: u64,
    start: u64,
    buffer: Vec<u8>,
}

const WINDOW: u64 = 1 << 20;

impl Window<'_> {
    /// Bytes of the file; `None` where it is shorter.
    fn get(&mut self, offset: u64, len: u64) -> io::Result<Option<&[u8]>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        if offset < self.start || offset + len > self.start + self.buffer.len() as u64 {
            let take = len.max(WINDOW).min(self.len - offset);
            self.buffer.resize(usize::try_from(take).map_err(io::Error::other)?, 0);
            self.start = offset;
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, offset) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let at = (offset - self.start) as usize;
        Ok(Some(&self.buffer[at..at + len as usize]))
    }

    /// The frame at an offset, where there is one whose head and table are as they were written. Its bodies are not looked
    /// at.
    fn head(&mut self, seed: Seed, offset: u64) -> io::Result<Option<Frame>> {
        let Some(bytes) = self.get(offset, FRAME_HEAD as u64)? else { return Ok(None) };
        let head = FrameHead::decode(bytes);
        if head.blocks == 0 || head.synced >= head.group {
            return Ok(None);
        }
        if offset + head.frame_len() > self.len {
            return Ok(None);
        }
        let Some(bytes) = self.get(offset, head.len() as u64)? else { return Ok(None) };
        let Some(blocks) = verify_head(seed, bytes) else { return Ok(None) };
        Ok(Some(Frame { offset, head, blocks, meta: None, unknown: unknown_flags(bytes) }))
    }

    /// The frame at an offset, where there is one that is as it was written.
    fn frame(&mut self, seed: Seed, offset: u64) -> io::Result<Option<Frame>> {
        let Some(mut frame) = self.head(seed, offset)? else { return Ok(None) };
        let Some(bytes) = self.get(offset, frame.head.frame_len())? else { return Ok(None) };
        let bodies = &bytes[frame.head.len()..];
        if !verify_bodies(&frame.blocks, bodies) {
            return Ok(None);
        }
        let own = frame.blocks.first().filter(|b| b.log == META_LOG);
        frame.meta = own.map(|block| bodies[..block.bytes as usize].to_vec());
        Ok(Some(frame))
    }

    /// Looks behind an unusable frame for one which says that the unusable one had been synced.
    /// `expected` is the unusable frame's group, where it is known.
    fn proof_of_damage(&mut self, seed: Seed, from: u64, expected: Option<u64>) -> io::Result<Option<Frame>> {
        let mut offset = from;
        while offset + (FRAME_HEAD + BLOCK_HEAD) as u64 <= self.len {
            let Some(bytes) = self.get(offset, FRAME_HEAD as u64)? else { break };
            let head = FrameHead::decode(bytes);
            let limit = (self.len - offset) / BLOCK_HEAD as u64;
            // Without a known group, a frame proves damage if it says that its own predecessor was synced: that one
            // would be in this segment, too.
            let expected = expected.unwrap_or(head.group.wrapping_sub(1));
            let plausible =
                head.synced >= expected && head.group > expected && head.group - expected <= self.len / ALIGN;
            if plausible
                && u64::from(head.blocks) <= limit
                && let Some(frame) = self.frame(seed, offset)?
                && offset > 0
            {
                return Ok(Some(frame));
            }
            offset += ALIGN;
        }
        Ok(None)
    }
}

/// Shows all frames of a finished segment whose heads are as they were written, also those behind damage. Its last group is
/// `newest`, and it ends at `end`.
pub(crate) fn list(
    file: &Arc<dyn DiskFile>,
    seed: Seed,
    (newest, end): (u64, u64),
    mut visit: impl FnMut(&Frame),
) -> io::Result<End> {
    let mut window = Window { file, len: file.len()?, start: 0, buffer: Vec::new() };
    let (mut offset, mut last, mut damaged) = (0, 0, None);
    while offset < end.min(window.len) {
        let group = window.get(offset, FRAME_HEAD as u64)?.map(|bytes| FrameHead::decode(bytes).group);
        // Most of what is no head is told by its group, before more is read.
        let plausible = group.is_some_and(|group| group > last && group <= newest && newest - group <= end / ALIGN);
        match if plausible { window.head(seed, offset)? } else { None } {
            Some(Frame { unknown: Some(flags), .. }) => return Ok(End::Newer { offset, flags }),
            Some(frame) => {
                visit(&frame);
                last = frame.head.group;
                offset += frame.head.frame_len();
            }
            None => {
                damaged.get_or_insert(offset);
                offset += ALIGN;
            }
        }
    }
    let damage = |offset| End::Damaged { offset, why: "the head of a frame is not as it was written".into() };
    Ok(damaged.map_or(End::At(offset), damage))
}

/// Walks all frames from the start of a segment. `visit` may refuse a frame, which is damage.
pub(crate) fn scan(
    file: &Arc<dyn DiskFile>,
    seed: Seed,
    mut visit: impl FnMut(Frame) -> Result<(), String>,
) -> io::Result<End> {
    let mut window = Window { file, len: file.len()?, start: 0, buffer: Vec::new() };
    let (mut offset, mut last) = (0, None::<FrameHead>);
    loop {
        let frame = window.frame(seed, offset)?.filter(|frame| {
            last.is_none_or(|last| frame.head.group == last.group + 1 && frame.head.previous == last.checksum)
        });
        let Some(frame) = frame else { break };
        if let Some(flags) = frame.unknown {
            return Ok(End::Newer { offset, flags });
        }
        last = Some(frame.head);
        let next = offset + frame.head.frame_len();
        if let Err(why) = visit(frame) {
            return Ok(End::Damaged { offset, why });
        }
        offset = next;
    }
    let expected = last.map(|last| last.group + 1);
    Ok(match window.proof_of_damage(seed, offset, expected)? {
        None => End::At(offset),
        Some(later) => {
            let why = format!(
                "group {} at byte {} is intact and says that everything up to group {} had been synced, but here is none",
                later.head.group, later.offset, later.head.synced
            );
            End::Damaged { offset, why }
        }
    })
}
