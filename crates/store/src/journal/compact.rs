//! Empties segments in which little is wanted: what is, is written again at the head with its index and time.

use super::Journal;
use super::frame::BlockHead;
use super::index::{Entry, Index};
use super::plan::Block;
use super::writer::Writer;
use crate::StoreError;

/// A segment is emptied when less than one part in so many is wanted.
const LIVE_ONE_IN: u64 = 4;
/// The newest segments are left alone: much of them will be unwanted soon without any work.
const YOUNG: u64 = 2;
/// Blocks moved with one group at most.
const STEP_BLOCKS: usize = 256;

/// A segment that is being emptied.
pub(super) struct Compaction {
    segment: u64,
    /// Logs that may still have blocks in it.
    logs: Vec<u64>,
}

impl Compaction {
    /// The oldest segment worth emptying.
    pub(super) fn find(index: &Index, unmovable: &[u64]) -> Option<Compaction> {
        let worth = |(number, tenure): &(&u64, &super::index::Tenure)| {
            **number + YOUNG <= index.active
                && tenure.spans > 0
                && tenure.live_bytes * LIVE_ONE_IN < tenure.segment.size
                && !unmovable.contains(number)
        };
        let segment = *index.segments.iter().find(worth)?.0;
        let inside = |log: &super::index::Log| log.spans.iter().any(|span| span.segment == segment);
        let logs = index.logs.iter().filter(|(_, log)| inside(log)).map(|(id, _)| *id).collect();
        Some(Compaction { segment, logs })
    }
}

impl Writer {
    /// The next few blocks to move, if a segment is being emptied.
    pub(super) fn moved_blocks(&mut self, journal: &Journal) -> Vec<Block> {
        let Some(mut compaction) = self.compaction.take() else { return Vec::new() };
        match self.next_blocks(journal, &mut compaction) {
            Ok(blocks) => {
                if !blocks.is_empty() {
                    self.compaction = Some(compaction);
                } else {
                    // There may be another one.
                    journal.write_index().freed = true;
                }
                blocks
            }
            Err(error) => {
                tracing::error!(%error, segment = compaction.segment, "cannot empty a segment: it stays");
                self.unmovable.push(compaction.segment);
                Vec::new()
            }
        }
    }

    fn next_blocks(&self, journal: &Journal, compaction: &mut Compaction) -> Result<Vec<Block>, StoreError> {
        while let Some(id) = compaction.logs.last().copied() {
            let found = {
                let index = journal.read_index();
                index.logs.get(&id).and_then(|log| {
                    let here =
                        |span: &&super::index::Span| span.segment == compaction.segment && span.run.next > log.first;
                    let span = *log.spans.iter().find(here)?;
                    let segment = index.segments.get(&compaction.segment)?.segment.clone();
                    Some((segment, span.run.first.max(log.first), span.run.next))
                })
            };
            let Some((segment, from, next)) = found else {
                compaction.logs.pop();
                continue;
            };
            let mut entries = segment.blocks_from(id, from, STEP_BLOCKS)?;
            entries.retain(|entry| entry.first < next);
            if entries.first().is_none_or(|entry| entry.first > from || entry.next() <= from) {
                return Err(segment.damaged(&format!("record {from} of log {id} is missing")));
            }
            let (mut blocks, mut bytes, mut end) = (Vec::new(), 0, from);
            for entry in &entries {
                // What the list of a damaged segment lacks must stay where it is.
                if entry.first > end {
                    break;
                }
                end = entry.next();
                blocks.push(Block::new(moved(entry), segment.block(entry)?));
                bytes += u64::from(entry.bytes);
                if bytes >= self.step_bytes() {
                    break;
                }
            }
            return Ok(blocks);
        }
        Ok(Vec::new())
    }
}

fn moved(entry: &Entry) -> BlockHead {
    BlockHead {
        log: entry.log,
        first: entry.first,
        at: entry.at,
        count: entry.count,
        bytes: entry.bytes,
        checksum: entry.checksum,
        relocated: true,
        sealed: entry.sealed,
    }
}
