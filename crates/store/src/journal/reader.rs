use super::Journal;
use super::index::Entry;
use super::segment::{Portion, Reading, Segment, Showing};
use crate::vault::Vault;
use crate::{LogId, ReadLimit, Record, Shown, StoreError, Timestamp};
use std::sync::Arc;

/// Blocks looked up at once.
const LOOK_AHEAD: usize = 64;

/// Blocks of a segment that hold what is looked for, and the index past all that the segment has there.
struct Located {
    segment: Arc<Segment>,
    entries: Vec<Entry>,
    end: u64,
}

/// Blocks that bring a reader no further lack the record it stands at.
fn advanced(segment: &Segment, log: LogId, before: u64, portion: &Portion) -> Result<(), StoreError> {
    if portion.from > before || portion.full {
        return Ok(());
    }
    Err(segment.damaged(&format!("record {before} of log {} is missing", log.0)))
}

impl Journal {
    pub(crate) fn read(&self, log: LogId, from: u64, limit: ReadLimit) -> Result<Vec<Record>, StoreError> {
        let mut out = Reading::new(from, limit);
        self.walk(log, &mut out, |out| &mut out.portion, Segment::read)?;
        Ok(out.records)
    }

    pub(crate) fn show(
        &self,
        log: LogId,
        from: u64,
        limit: ReadLimit,
        show: &mut dyn FnMut(Shown<'_>),
    ) -> Result<(), StoreError> {
        self.walk(log, &mut Showing::new(from, limit, show), |out| &mut out.portion, Segment::show)
    }

    /// Reads on until `out` is full. What is before a record that cannot be read is an answer; only who begins with that
    /// record is told why.
    fn walk<T>(
        &self,
        log: LogId,
        out: &mut T,
        portion: fn(&mut T) -> &mut Portion,
        read: fn(&Segment, &Vault, &[Entry], &mut T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        while !portion(out).full {
            let located = self.locate(log, &mut portion(out).from);
            let step = located.and_then(|located| {
                let Some(Located { segment, entries, .. }) = located else { return Ok(false) };
                let before = portion(out).from;
                read(&segment, &self.vault, &entries, out)?;
                advanced(&segment, log, before, portion(out)).map(|()| true)
            });
            match step {
                Ok(true) => {}
                Err(error) if portion(out).is_empty() => return Err(error),
                Ok(false) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// The index of the first record from `from` on that is not damaged; the log's end where there is none. Whether it can
    /// be read now is another matter: what a disk does not give it may give later.
    pub(crate) fn next_undamaged(&self, log: LogId, mut from: u64) -> Result<u64, StoreError> {
        while let Some(Located { segment, entries, end }) = self.locate(log, &mut from)? {
            let before = from;
            for entry in entries.iter().filter(|entry| entry.next() > before) {
                if !matches!(segment.check(&self.vault, entry), Err(StoreError::Corrupt { .. })) {
                    return Ok(from.max(entry.first));
                }
                from = entry.next();
            }
            if from == before {
                // Nothing is known of what else the segment has of the log.
                from = end;
            }
        }
        Ok(from)
    }

    /// The blocks from the one that holds `from` on (or the log's first record, where that is later), as far as they
    /// are in one segment. `None` at the log's end. The segment is not recycled while it is held.
    fn locate(&self, id: LogId, from: &mut u64) -> Result<Option<Located>, StoreError> {
        let index = self.read_index();
        let log = index.logs.get(&id.0).ok_or(StoreError::NoLog(id))?;
        *from = (*from).max(log.first);
        if *from >= log.next {
            return Ok(None);
        }
        let missing = || StoreError::corrupt(format!("record {from} of log {} is in no segment", id.0));
        let span = *log.span(*from).ok_or_else(missing)?;
        let segment = index.segments.get(&span.segment).ok_or_else(missing)?.segment.clone();
        let mut entries = if span.segment == index.active {
            index.active_blocks(id.0, *from, LOOK_AHEAD)
        } else {
            drop(index);
            segment.blocks_from(id.0, *from, LOOK_AHEAD)?
        };
        // What is behind the span has been moved to a newer segment, or is another run.
        entries.retain(|entry| entry.first < span.run.next);
        Ok(Some(Located { segment, entries, end: span.run.next }))
    }

    /// Where the look-up fails on a damaged disk, the log's first index: whoever reads from there learns why.
    pub(crate) fn find_time(&self, id: LogId, at: Timestamp) -> u64 {
        self.try_find_time(id, at).unwrap_or_else(|error| {
            tracing::error!(%error, log = id.0, "cannot look up a time");
            self.extent(id).first
        })
    }

    fn try_find_time(&self, id: LogId, at: Timestamp) -> Result<u64, StoreError> {
        let index = self.read_index();
        let Some(log) = index.logs.get(&id.0) else { return Ok(0) };
        // Neither indexes nor times go back from span to span.
        let i = log.spans.partition_point(|span| span.run.next <= log.first || span.run.last_at < at);
        let Some(span) = log.spans.get(i).copied() else { return Ok(log.next) };
        let from = log.first.max(span.run.first);
        if span.segment == index.active {
            let block = index.active_block_at(id.0, from..span.run.next, at);
            return Ok(block.map_or(from, |entry| entry.first.max(from)));
        }
        let segment = index.segments.get(&span.segment).map(|tenure| tenure.segment.clone());
        drop(index);
        // What the segment's list lacks is not passed: it may be of that time.
        let end = segment.map_or(Ok(from), |segment| segment.end_before(id.0, from, at))?;
        Ok(end.min(span.run.next))
    }
}
