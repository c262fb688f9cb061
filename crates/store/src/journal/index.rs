//! Where every durable record is: a small directory in memory. Blocks of the active segment are listed one by one;
//! of a sealed segment only the runs are known here, and its index file knows the blocks.

use super::frame::BlockHead;
use super::meta::{LogState, Meta};
use super::segment::Segment;
use crate::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// A block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) log: u64,
    pub(crate) first: u64,
    pub(crate) at: Timestamp,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
    pub(crate) count: u32,
    pub(crate) checksum: u32,
    pub(crate) sealed: bool,
}

impl Entry {
    pub(crate) fn of(block: &BlockHead, offset: u64) -> Entry {
        Entry {
            log: block.log,
            first: block.first,
            at: block.at,
            offset: u32::try_from(offset).expect("a segment is smaller than 4 GiB"),
            bytes: block.bytes,
            count: block.count,
            checksum: block.checksum,
            sealed: block.sealed,
        }
    }
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

/// Blocks of one log in one segment without a gap in their indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) log: u64,
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) bytes: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
}

/// The runs of entries that are sorted by log and index.
pub(crate) fn runs(entries: &[Entry]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        match runs.last_mut() {
            Some(run) if run.log == entry.log && run.next == entry.first => {
                run.next = entry.next();
                run.bytes += u64::from(entry.bytes);
                run.last_at = entry.at;
            }
            _ => runs.push(Run {
                log: entry.log,
                first: entry.first,
                next: entry.next(),
                bytes: u64::from(entry.bytes),
                first_at: entry.at,
                last_at: entry.at,
            }),
        }
    }
    runs
}

/// A run as a log sees it: the part of it that is not trimmed and not superseded by a newer segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) segment: u64,
    pub(crate) run: Run,
}

impl Span {
    /// Gives up the indexes below `first`; how many bytes that is about.
    fn cut_front(&mut self, first: u64) -> u64 {
        let (had, left) = (self.run.next - self.run.first, self.run.next.saturating_sub(first));
        let bytes = (u128::from(self.run.bytes) * u128::from(left) / u128::from(had.max(1))) as u64;
        let gone = self.run.bytes - bytes;
        self.run.first = first;
        self.run.bytes = bytes;
        gone
    }
}

pub(crate) struct Log {
    pub(crate) name: Arc<str>,
    /// The oldest readable index.
    pub(crate) first: u64,
    /// The oldest index that is readable after a crash: what is below may be given up.
    pub(crate) durable_first: u64,
    pub(crate) next: u64,
    pub(crate) last_at: Timestamp,
    /// In the order of their indexes, without gaps. The times of their last records never go back.
    pub(crate) spans: VecDeque<Span>,
    /// Its blocks in the segment that is being written, in the order of their indexes.
    pub(crate) blocks: Vec<Entry>,
    /// There once somebody has asked for it: most logs are watched by nobody.
    pub(crate) watch: OnceLock<watch::Sender<u64>>,
}

impl Log {
    fn new(state: LogState) -> Log {
        Log {
            name: state.name.into(),
            first: state.first,
            durable_first: state.first,
            next: state.next,
            last_at: state.last_at,
            spans: VecDeque::new(),
            blocks: Vec::new(),
            watch: OnceLock::new(),
        }
    }

    /// Takes a block of the active segment over; mostly the newest.
    fn list(&mut self, entry: Entry) {
        let at = self.blocks.partition_point(|other| other.first < entry.first);
        self.blocks.insert(at, entry);
    }
    /// The span that holds an index.
    pub(crate) fn span(&self, index: u64) -> Option<&Span> {
        let at = self.spans.partition_point(|span| span.run.next <= index);
        self.spans.get(at).filter(|span| span.run.first <= index)
    }
}

/// A segment and what of it is still wanted.
pub(crate) struct Tenure {
    pub(crate) segment: Arc<Segment>,
    pub(crate) live_bytes: u64,
    pub(crate) spans: u64,
}

#[derive(Default)]
pub(crate) struct Index {
    pub(crate) next_log: u64,
    pub(crate) logs: BTreeMap<u64, Log>,
    pub(crate) names: BTreeMap<Arc<str>, u64>,
    pub(crate) segments: BTreeMap<u64, Tenure>,
    /// The number of the segment that is being written.
    pub(crate) active: u64,
    /// Trims that are not durable yet.
    pub(crate) trims: BTreeSet<u64>,
    /// Bytes became unwanted since a segment to give up was last looked for.
    pub(crate) freed: bool,
    pub(crate) spares: u64,
    pub(crate) spare_bytes: u64,
}

impl Index {
    /// Takes one of the journal's own records over.
    pub(crate) fn apply(&mut self, meta: Meta) {
        match meta {
            Meta::Created { log, name } => {
                self.next_log = self.next_log.max(log + 1);
                self.create(LogState { log, first: 0, next: 0, last_at: Timestamp::default(), name });
            }
            Meta::Dropped { log } => self.drop_log(log),
            Meta::Trimmed { log, before } => self.trim(log, before),
            Meta::Checkpoint { next_log, logs } => {
                self.next_log = next_log;
                logs.into_iter().for_each(|state| self.create(state));
            }
        }
    }

    fn create(&mut self, state: LogState) {
        let id = state.log;
        let log = Log::new(state);
        self.names.insert(log.name.clone(), id);
        self.logs.insert(id, log);
    }

    fn drop_log(&mut self, id: u64) {
        let Some(log) = self.logs.remove(&id) else { return };
        self.names.remove(&log.name);
        self.trims.remove(&id);
        for span in &log.spans {
            self.release(span.segment, span.run.bytes, 1);
        }
    }

    fn release(&mut self, segment: u64, bytes: u64, spans: u64) {
        if let Some(tenure) = self.segments.get_mut(&segment) {
            tenure.live_bytes -= bytes;
            tenure.spans -= spans;
            self.freed = true;
        }
    }

    fn trim(&mut self, id: u64, before: u64) {
        let Some(log) = self.logs.get_mut(&id) else { return };
        log.durable_first = log.durable_first.max(before);
        log.first = log.first.max(before);
        let mut released = Vec::new();
        while let Some(span) = log.spans.front_mut() {
            if span.run.next <= before {
                released.push((span.segment, span.run.bytes, 1));
                log.spans.pop_front();
            } else {
                if span.run.first < before {
                    released.push((span.segment, span.cut_front(before), 0));
                }
                break;
            }
        }
        released.into_iter().for_each(|(segment, bytes, spans)| self.release(segment, bytes, spans));
    }

    /// Takes a block of the active segment over; whether somebody waits for what it adds. `Err` where it does not follow on
    /// the log's last record.
    pub(crate) fn add(&mut self, block: &BlockHead, offset: u64) -> Result<bool, String> {
        let Some(log) = self.logs.get_mut(&block.log) else { return Ok(false) };
        if block.relocated {
            self.relocate(block, offset);
            return Ok(false);
        }
        if block.first != log.next {
            return Err(format!("log {} goes on with record {}, not {}", block.log, block.first, log.next));
        }
        log.next = block.next();
        log.last_at = log.last_at.max(block.at);
        let watched = log.watch.get().is_some();
        let entry = Entry::of(block, offset);
        log.blocks.push(entry);
        let at = log.spans.len();
        if join(log, at, self.active, &entry) {
            self.hold(entry.bytes, 0);
        } else {
            let run = runs(&[entry])[0];
            log.spans.push_back(Span { segment: self.active, run });
            self.hold(entry.bytes, 1);
        }
        Ok(watched)
    }

    fn hold(&mut self, bytes: u32, spans: u64) {
        let tenure = self.segments.get_mut(&self.active).expect("the active segment is known");
        tenure.live_bytes += u64::from(bytes);
        tenure.spans += spans;
    }

    /// The active segment has a block that an older one had. One that was trimmed meanwhile is nobody's.
    fn relocate(&mut self, block: &BlockHead, offset: u64) {
        let log = self.logs.get_mut(&block.log).expect("the caller has looked");
        let at = log.spans.partition_point(|span| span.run.next < block.next());
        let Some(old) = log.spans.get_mut(at).filter(|s| s.run.first < block.next() && s.segment != self.active) else {
            return;
        };
        let from = old.segment;
        let gone = old.cut_front(block.next());
        let emptied = old.run.first >= old.run.next;
        if emptied {
            log.spans.remove(at);
        }
        let entry = Entry::of(block, offset);
        log.list(entry);
        if join(log, at, self.active, &entry) {
            self.hold(entry.bytes, 0);
        } else {
            log.spans.insert(at, Span { segment: self.active, run: runs(&[entry])[0] });
            self.hold(entry.bytes, 1);
        }
        self.release(from, gone, u64::from(emptied));
    }

    /// What a segment begins with.
    pub(crate) fn checkpoint(&self) -> Meta {
        let state = |(id, log): (&u64, &Log)| LogState {
            log: *id,
            first: log.durable_first,
            next: log.next,
            last_at: log.last_at,
            name: log.name.to_string(),
        };
        Meta::Checkpoint { next_log: self.next_log, logs: self.logs.iter().map(state).collect() }
    }

    /// The first block of the active segment that holds some of these indexes of a log and whose time is `at` or later.
    /// The indexes are those of one span, or the end of one.
    pub(crate) fn active_block_at(&self, log: u64, indexes: Range<u64>, at: Timestamp) -> Option<Entry> {
        let blocks = &self.logs.get(&log)?.blocks;
        let first = blocks.partition_point(|entry| entry.next() <= indexes.start);
        let found = first + blocks[first..].partition_point(|entry| entry.first < indexes.end && entry.at < at);
        blocks.get(found).copied().filter(|entry| entry.first < indexes.end)
    }

    /// Up to `max` blocks of the active segment from the one that holds `index` on.
    pub(crate) fn active_blocks(&self, log: u64, index: u64, max: usize) -> Vec<Entry> {
        let Some(log) = self.logs.get(&log) else { return Vec::new() };
        let start = log.blocks.partition_point(|entry| entry.next() <= index);
        log.blocks[start..].iter().take(max).copied().collect()
    }

    /// All blocks of the active segment, by log and index.
    pub(crate) fn all_active_blocks(&self) -> Vec<Entry> {
        self.logs.values().flat_map(|log| &log.blocks).copied().collect()
    }

    /// Makes another segment the one that is being written.
    pub(crate) fn begin(&mut self, segment: Arc<Segment>) {
        self.active = segment.number;
        // Room that was used stays with nobody: most logs are quiet.
        self.logs.values_mut().for_each(|log| log.blocks = Vec::new());
        self.segments.insert(segment.number, Tenure { segment, live_bytes: 0, spans: 0 });
    }
}

/// Lets the span before `at` grow by a block of the active segment, where the block follows on it.
fn join(log: &mut Log, at: usize, active: u64, entry: &Entry) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|i| log.spans.get_mut(i)) else { return false };
    let follows = before.segment == active && before.run.next == entry.first;
    if follows {
        before.run.next = entry.next();
        before.run.bytes += u64::from(entry.bytes);
        before.run.last_at = entry.at;
    }
    follows
}
