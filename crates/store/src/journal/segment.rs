//! A segment's files, and reading from them.

use super::frame::Seed;
use super::index::Entry;
use super::scan::{End, scan};
use super::sealed::{self, ENTRY, Header};
use crate::batch::take_record;
use crate::vault::Vault;
use crate::{ReadLimit, Record, StoreError};
use bytes::{Bytes, BytesMut};
use std::io;
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

impl Segment {
    /// The entries of a sealed segment's list from the first one that `before` does not hold for, or the one before it.
    /// `before` must be true for some front of the list, which is sorted by log and index, and false for the rest.
    fn find(&self, before: impl Fn(&Entry) -> bool, step_back: bool, max: usize) -> Result<Vec<Entry>, StoreError> {
        let blocks = self.blocks.get().ok_or_else(|| self.damaged("it has no index"))?;
        if let Some(entries) = blocks.checked.get_or_init(|| self.check(blocks)) {
            let at = entries.partition_point(before).saturating_sub(usize::from(step_back));
            return Ok(entries[at..].iter().take(max).copied().collect());
        }
        let read = |start: usize, n: usize| -> Result<Vec<Entry>, StoreError> {
            let n = n.min(blocks.header.entries as usize - start);
            let mut bytes = vec![0; n * ENTRY];
            let at = blocks.header.entries_at() + (start * ENTRY) as u64;
            blocks.file.read_exact_at(&mut bytes, at).map_err(|e| StoreError::read(&e))?;
            Ok(bytes.chunks_exact(ENTRY).map(sealed::decode_entry).collect())
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

    /// Verifies the list; one made from the segment itself where it is damaged.
    fn check(&self, blocks: &Blocks) -> Option<Vec<Entry>> {
        let mut bytes = vec![0; blocks.header.entries as usize * ENTRY];
        let read = blocks.file.read_exact_at(&mut bytes, blocks.header.entries_at());
        if read.is_ok() && crc32c::crc32c(&bytes) == blocks.header.entries_checksum {
            return None;
        }
        tracing::warn!(segment = self.number, "the segment's index file is damaged: it is rebuilt in memory");
        // Where the segment is damaged as well, the blocks that are missing show as damage when they are read.
        Some(self.scan_entries().unwrap_or_default())
    }

    fn scan_entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let end = scan(&self.file, self.seed, |frame| {
            entries.extend(frame.bodies().map(|(block, offset)| Entry::of(block, offset)));
            Ok(())
        })?;
        if let End::Damaged { offset, why } = end {
            tracing::error!(segment = self.number, offset, why, "the segment is damaged");
        }
        entries.sort_by_key(|entry| (entry.log, entry.first));
        Ok(entries)
    }

    /// Up to `max` blocks from the one that holds `index` on.
    pub(crate) fn blocks_from(&self, log: u64, index: u64, max: usize) -> Result<Vec<Entry>, StoreError> {
        let mut found = self.find(|entry| (entry.log, entry.first) <= (log, index), true, max)?;
        found.retain(|entry| entry.log == log);
        Ok(found)
    }

    /// The first block of a log whose time is `at` or later and which ends behind `from`.
    pub(crate) fn block_at(&self, log: u64, from: u64, at: crate::Timestamp) -> Result<Option<Entry>, StoreError> {
        let before = |e: &Entry| e.log < log || (e.log == log && (e.next() <= from || e.at < at));
        Ok(self.find(before, false, 1)?.into_iter().find(|entry| entry.log == log))
    }

    pub(crate) fn damaged(&self, why: &str) -> StoreError {
        StoreError::corrupt(format!("segment {:016x}: {why}", self.number))
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

    /// Reads records from these blocks, which follow one another in index and offset, until `out` is full.
    pub(crate) fn read(&self, vault: &Vault, mut entries: &[Entry], out: &mut Reading) -> Result<(), StoreError> {
        while let (Some(first), false) = (entries.first(), out.full) {
            let start = u64::from(first.offset);
            let end = |entry: &Entry| u64::from(entry.offset) + u64::from(entry.bytes);
            let want = READ_BYTES.min(out.bytes_left().saturating_add(READ_GAP));
            let mut n = 1;
            while let Some(entry) = entries.get(n) {
                let offset = u64::from(entry.offset);
                let near = offset.checked_sub(end(&entries[n - 1])).is_some_and(|gap| gap <= READ_GAP);
                if !near || end(entry) - start > want || u64::from(n as u32) > out.records_left() {
                    break;
                }
                n += 1;
            }
            let mut bytes = BytesMut::zeroed((end(&entries[n - 1]) - start) as usize);
            self.file.read_exact_at(&mut bytes, start).map_err(|e| StoreError::read(&e))?;
            let bytes = bytes.freeze();
            for entry in &entries[..n] {
                let at = (u64::from(entry.offset) - start) as usize;
                let block = bytes.slice(at..at + entry.bytes as usize);
                self.verify(entry, &block)?;
                let block = if entry.sealed { vault.open(entry.log, &block)? } else { block };
                out.take(entry, block).ok_or_else(|| self.damaged("a block's records do not add up"))?;
                if out.full {
                    break;
                }
            }
            entries = &entries[n..];
        }
        Ok(())
    }
}

/// Records as they are gathered.
pub(crate) struct Reading {
    pub(crate) records: Vec<Record>,
    /// The index to go on with.
    pub(crate) from: u64,
    pub(crate) full: bool,
    bytes: usize,
    limit: ReadLimit,
}

impl Reading {
    pub(crate) fn new(from: u64, limit: ReadLimit) -> Reading {
        Reading { records: Vec::new(), from, full: limit.records == 0, bytes: 0, limit }
    }
    fn bytes_left(&self) -> u64 {
        self.limit.bytes.saturating_sub(self.bytes) as u64
    }
    fn records_left(&self) -> u64 {
        (self.limit.records - self.records.len()) as u64
    }

    /// Takes a block's records from `self.from` on. `None` where the block is not what its entry says.
    fn take(&mut self, entry: &Entry, mut block: Bytes) -> Option<()> {
        for index in entry.first..entry.next() {
            let data = take_record(&mut block)?;
            if index < self.from {
                continue;
            }
            if self.records.len() >= self.limit.records
                || (!self.records.is_empty() && self.bytes + data.len() > self.limit.bytes)
            {
                self.full = true;
                return Some(());
            }
            self.bytes += data.len();
            self.from = index + 1;
            self.records.push(Record { index, at: entry.at, data, sealed: entry.sealed });
        }
        block.is_empty().then_some(())
    }
}
