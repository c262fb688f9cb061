//! A segment's files, and reading from them.

use super::frame::Seed;
use super::index::Entry;
use super::recent::Recent;
use super::scan::{self, End};
use super::sealed::{self, ENTRY, Header};
use crate::batch::{split_record, take_record};
use crate::vault::Vault;
use crate::{ReadLimit, Record, Shown, StoreError};
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use world::DiskFile;

pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) size: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) seed: Seed,
    /// Set when it is sealed.
    pub(crate) blocks: OnceLock<Blocks>,
    /// What was written to it last.
    pub(super) recent: Recent,
}

/// A sealed segment's list of blocks.
pub(crate) struct Blocks {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) header: Header,
    /// What was found when the list was first needed: fine (`None`), or damaged and made anew.
    pub(crate) checked: OnceLock<Option<Vec<Entry>>>,
}

pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.log"))
}
pub(crate) fn index_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.idx"))
}
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("spare-{number:016x}.log"))
}

/// How near two blocks must be to be read as one.
const READ_GAP: u64 = 4096;
/// How much is read as one.
const READ_BYTES: u64 = 1 << 20;
/// How much is read as one where it is only shown: as much as stays in a processor's own cache, beside what becomes of it.
const SHOW_BYTES: u64 = 256 << 10;

impl Segment {
    /// The entries of a sealed segment's list from the first one that `before` does not hold for, or the one before it.
    /// `before` must be true for some front of the list, which is sorted by log and index, and false for the rest.
    fn find(&self, before: impl Fn(&Entry) -> bool, step_back: bool, max: usize) -> Result<Vec<Entry>, StoreError> {
        let blocks = self.blocks.get().ok_or_else(|| self.damaged("it has no index"))?;
        if let Some(entries) = self.made_anew(blocks)? {
            let at = entries.partition_point(before).saturating_sub(usize::from(step_back));
            return Ok(entries[at..].iter().take(max).copied().collect());
        }
        let read = |start: usize, n: usize| -> Result<Vec<Entry>, StoreError> {
            let n = n.min(blocks.header.entries as usize - start);
            let mut bytes = vec![0; n * ENTRY];
            let at = blocks.header.entries_at() + (start * ENTRY) as u64;
            blocks.file.read_exact_at(&mut bytes, at).map_err(|e| StoreError::read(&e))?;
            let entries = bytes.chunks_exact(ENTRY).map(sealed::decode_entry).collect::<Option<Vec<_>>>();
            entries.ok_or_else(|| self.newer())
        };
        let (mut low, mut high) = (0, blocks.header.entries as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&read(middle, 1)?[0]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        read(low.saturating_sub(usize::from(step_back)), max)
    }

    /// The list as it was made from the segment itself, where the one in the file is damaged. A failure may pass, and is
    /// never kept.
    fn made_anew<'a>(&self, blocks: &'a Blocks) -> Result<Option<&'a [Entry]>, StoreError> {
        let checked = match blocks.checked.get() {
            Some(checked) => checked,
            None => {
                let checked = self.check_list(blocks)?;
                blocks.checked.get_or_init(|| checked)
            }
        };
        Ok(checked.as_deref())
    }

    /// Verifies the list; one made from the segment itself where it is damaged.
    fn check_list(&self, blocks: &Blocks) -> Result<Option<Vec<Entry>>, StoreError> {
        let mut bytes = vec![0; blocks.header.entries as usize * ENTRY];
        let read = blocks.file.read_exact_at(&mut bytes, blocks.header.entries_at());
        if read.is_ok() && crc32c::crc32c(&bytes) == blocks.header.entries_checksum {
            return Ok(None);
        }
        tracing::warn!(segment = self.number, "the segment's index file is damaged: it is rebuilt in memory");
        let mut entries = Vec::new();
        let end = scan::list(&self.file, self.seed, (blocks.header.group, blocks.header.end), |frame| {
            entries.extend(frame.bodies().map(|(block, offset)| Entry::of(block, offset)));
        });
        match end.map_err(|error| StoreError::read(&error))? {
            End::At(_) => {}
            End::Damaged { offset, why } => {
                tracing::error!(segment = self.number, offset, why, "the segment is damaged");
                // What is missing in a list shows as damage, so there must be no hope of a better one.
                read.map_err(|error| StoreError::read(&error))?;
            }
            End::Newer { .. } => return Err(self.newer()),
        }
        entries.sort_by_key(|entry| (entry.log, entry.first));
        Ok(Some(entries))
    }

    /// Up to `max` blocks from the one that holds `index` on.
    pub(crate) fn blocks_from(&self, log: u64, index: u64, max: usize) -> Result<Vec<Entry>, StoreError> {
        let mut found = self.find(|entry| (entry.log, entry.first) <= (log, index), true, max)?;
        found.retain(|entry| entry.log == log);
        Ok(found)
    }

    /// The end of a log's last block that ends at `from` or whose time is before `at`; `from` where there is none behind it.
    /// Whether a block follows there does not matter: of one that the list lacks the time is not known.
    pub(crate) fn end_before(&self, log: u64, from: u64, at: crate::Timestamp) -> Result<u64, StoreError> {
        let before = |e: &Entry| e.log < log || (e.log == log && (e.next() <= from || e.at < at));
        let last = self.find(before, true, 1)?.into_iter().find(|entry| entry.log == log && before(entry));
        Ok(last.map_or(from, |entry| entry.next().max(from)))
    }

    pub(crate) fn damaged(&self, why: &str) -> StoreError {
        StoreError::corrupt(format!("segment {:016x}: {why}", self.number))
    }

    fn newer(&self) -> StoreError {
        StoreError::Newer {
            why: format!("segment {:016x} has a block with flags that are not known", self.number).into(),
        }
    }

    /// Reads and verifies one block's framed records.
    pub(crate) fn block(&self, entry: &Entry) -> Result<Bytes, StoreError> {
        let mut bytes = BytesMut::zeroed(entry.bytes as usize);
        self.file.read_exact_at(&mut bytes, u64::from(entry.offset)).map_err(|e| StoreError::read(&e))?;
        let bytes = bytes.freeze();
        self.verify(entry, &bytes)?;
        Ok(bytes)
    }

    fn verify(&self, entry: &Entry, bytes: &[u8]) -> Result<(), StoreError> {
        if crc32c::crc32c(bytes) == entry.checksum {
            return Ok(());
        }
        Err(self.damaged(&format!("the block of {} bytes at byte {} has another checksum", entry.bytes, entry.offset)))
    }

    /// Whether a block can be read. An error says why not.
    pub(crate) fn check(&self, vault: &Vault, entry: &Entry) -> Result<(), StoreError> {
        let mut block = self.block(entry)?;
        if entry.sealed {
            block = vault.open(entry.log, &block)?;
        }
        let adds_up = (0..entry.count).all(|_| take_record(&mut block).is_some()) && block.is_empty();
        if adds_up { Ok(()) } else { Err(self.no_records()) }
    }

    fn no_records(&self) -> StoreError {
        self.damaged("a block's records do not add up")
    }

    /// Reads records from these blocks, which follow one another in index and offset, until `out` is full. After an error
    /// it has those before.
    pub(crate) fn read(&self, vault: &Vault, mut entries: &[Entry], out: &mut Reading) -> Result<(), StoreError> {
        while !entries.is_empty() && !out.portion.full {
            let (stretch, rest) = out.portion.stretch(entries, READ_BYTES);
            let mut bytes = BytesMut::zeroed(length(stretch));
            let (sound, outcome) = self.fill(stretch, &mut bytes);
            let bytes = bytes.freeze();
            for entry in sound {
                let block = bytes.slice(place(stretch, entry));
                let block = if entry.sealed { vault.open(entry.log, &block)? } else { block };
                out.take(entry, block).ok_or_else(|| self.no_records())?;
            }
            outcome?;
            entries = rest;
        }
        Ok(())
    }

    /// The same, but shows the records one after another and keeps none: what is read is still in the processor's cache
    /// when it is shown, and the next stretch is read into the same buffer.
    pub(crate) fn show(&self, vault: &Vault, mut entries: &[Entry], out: &mut Showing<'_>) -> Result<(), StoreError> {
        while !entries.is_empty() && !out.portion.full {
            let (stretch, rest) = out.portion.stretch(entries, SHOW_BYTES);
            let mut buffer = std::mem::take(&mut out.buffer);
            let len = length(stretch);
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            let (sound, outcome) = self.fill(stretch, &mut buffer[..len]);
            for entry in sound {
                let block = &buffer[place(stretch, entry)];
                let opened = if entry.sealed { Some(vault.open(entry.log, block)?) } else { None };
                let block = opened.as_deref().unwrap_or(block);
                out.take(entry, block).ok_or_else(|| self.no_records())?;
            }
            outcome?;
            (out.buffer, entries) = (buffer, rest);
        }
        Ok(())
    }

    /// Reads a stretch of blocks and verifies each: those that are as they were written, up to the first that is not, and
    /// what is wrong with that one.
    fn fill<'a>(&self, stretch: &'a [Entry], bytes: &mut [u8]) -> (&'a [Entry], Result<(), StoreError>) {
        let whole =
            self.recent.copy(stretch, bytes) || self.file.read_exact_at(bytes, u64::from(stretch[0].offset)).is_ok();
        for (n, entry) in stretch.iter().enumerate() {
            let block = &mut bytes[place(stretch, entry)];
            let read = if whole { Ok(()) } else { self.file.read_exact_at(block, u64::from(entry.offset)) };
            let sound = read.map_err(|error| StoreError::read(&error)).and_then(|()| self.verify(entry, block));
            if sound.is_err() {
                return (&stretch[..n], sound);
            }
        }
        (stretch, Ok(()))
    }
}

/// Where one block of a stretch is in its bytes.
fn place(stretch: &[Entry], entry: &Entry) -> Range<usize> {
    let at = (entry.offset - stretch[0].offset) as usize;
    at..at + entry.bytes as usize
}

/// Bytes from the start of the first block to the end of the last.
fn length(stretch: &[Entry]) -> usize {
    let last = &stretch[stretch.len() - 1];
    (last.offset - stretch[0].offset) as usize + last.bytes as usize
}

/// How much of a log is wanted, and how far it is.
pub(crate) struct Portion {
    /// The index to go on with.
    pub(crate) from: u64,
    pub(crate) full: bool,
    bytes: usize,
    records: usize,
    limit: ReadLimit,
}

impl Portion {
    fn new(from: u64, limit: ReadLimit) -> Portion {
        Portion { from, full: limit.records == 0, bytes: 0, records: 0, limit }
    }

    /// Whether nothing was read yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// As many of the blocks as are near one another, are likely to be wanted, and fit into about `most` bytes; at least
    /// one. And the rest.
    fn stretch<'a>(&self, entries: &'a [Entry], most: u64) -> (&'a [Entry], &'a [Entry]) {
        let bytes_left = self.limit.bytes.saturating_sub(self.bytes) as u64;
        let records_left = (self.limit.records - self.records) as u64;
        let want = most.min(bytes_left.saturating_add(READ_GAP));
        let end = |entry: &Entry| u64::from(entry.offset) + u64::from(entry.bytes);
        let start = u64::from(entries[0].offset);
        let mut n = 1;
        while let Some(entry) = entries.get(n) {
            let near = u64::from(entry.offset).checked_sub(end(&entries[n - 1])).is_some_and(|gap| gap <= READ_GAP);
            if !near || end(entry) - start > want || n as u64 > records_left {
                break;
            }
            n += 1;
        }
        entries.split_at(n)
    }

    /// Whether the record at `index`, of so many bytes, is wanted. Counts it if so.
    fn admit(&mut self, index: u64, bytes: usize) -> bool {
        self.full = self.full
            || self.records >= self.limit.records
            || (self.records > 0 && self.bytes + bytes > self.limit.bytes);
        if !self.full {
            self.bytes += bytes;
            self.records += 1;
            self.from = index + 1;
        }
        !self.full
    }
}

/// Records as they are gathered.
pub(crate) struct Reading {
    pub(crate) records: Vec<Record>,
    pub(crate) portion: Portion,
}

impl Reading {
    pub(crate) fn new(from: u64, limit: ReadLimit) -> Reading {
        Reading { records: Vec::new(), portion: Portion::new(from, limit) }
    }

    /// Takes a block's records from where the portion stands. `None` where the block is not what its entry says, or does
    /// not reach back so far.
    fn take(&mut self, entry: &Entry, mut block: Bytes) -> Option<()> {
        if entry.first > self.portion.from {
            return None;
        }
        for index in entry.first..entry.next() {
            let data = take_record(&mut block)?;
            if index < self.portion.from {
                continue;
            }
            if !self.portion.admit(index, data.len()) {
                return Some(());
            }
            self.records.push(Record { index, at: entry.at, data, sealed: entry.sealed });
        }
        block.is_empty().then_some(())
    }
}

/// Records as they are shown.
pub(crate) struct Showing<'a> {
    pub(crate) portion: Portion,
    buffer: Vec<u8>,
    show: &'a mut dyn FnMut(Shown<'_>),
}

impl<'a> Showing<'a> {
    pub(crate) fn new(from: u64, limit: ReadLimit, show: &'a mut dyn FnMut(Shown<'_>)) -> Showing<'a> {
        Showing { portion: Portion::new(from, limit), buffer: Vec::new(), show }
    }

    /// As [`Reading::take`].
    fn take(&mut self, entry: &Entry, mut block: &[u8]) -> Option<()> {
        if entry.first > self.portion.from {
            return None;
        }
        for index in entry.first..entry.next() {
            let data = split_record(&mut block)?;
            if index < self.portion.from {
                continue;
            }
            if !self.portion.admit(index, data.len()) {
                return Some(());
            }
            (self.show)(Shown { index, at: entry.at, data, sealed: entry.sealed });
        }
        block.is_empty().then_some(())
    }
}
