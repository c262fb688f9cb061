//! The one writer: plans a group, writes it, syncs it, makes it readable, and then tells the callers.

use super::Journal;
use super::compact::Compaction;
use super::frame::{ALIGN, Link, Seed, encode_head};
use super::index::runs;
use super::meta::Meta;
use super::plan::{Block, Group, Request, meta_block, plan};
use super::recent::{Kept, LARGE_GROUP, Recent};
use super::sealed::{Header, Last, decode_header, encode};
use super::segment::{Blocks, Segment, index_path, segment_path, spare_path};
use crate::store::Durability;
use crate::{StoreError, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use world::{Clock, Disk, DiskFile};

/// Recycled segments that are kept.
const SPARES: usize = 4;

/// Where the journal ends.
pub(super) struct Tail {
    pub(super) dir: PathBuf,
    pub(super) salt: [u8; 16],
    /// The segment that is being written, and where.
    pub(super) active: Option<(Arc<Segment>, u64)>,
    pub(super) next_segment: u64,
    pub(super) group: u64,
    pub(super) checksum: u32,
    /// Spare files by the number in their names.
    pub(super) spares: Vec<(u64, u64)>,
}

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    pub(super) tail: Tail,
    segment_bytes: u64,
    durability: Durability,
    /// The last group known to be synced.
    synced: u64,
    /// To where the segment has been written before, if only with zeros.
    paved: u64,
    /// Segments given up that somebody still reads.
    retired: Vec<Arc<Segment>>,
    pub(super) compaction: Option<Compaction>,
    /// Segments that cannot be read in full, so not be given up.
    pub(super) unmovable: Vec<u64>,
    /// What was written last.
    kept: Kept,
    head: Vec<u8>,
}

/// Groups of so many bytes at most are written with zeros behind them, for the next ones. A file system notes of preallocated
/// room whether it was ever written, and syncing the first write to it writes that note, too; and where a segment is
/// recycled, a part of a page that is not in memory is written by reading it first. Either is another trip to the disk, for
/// which a small group waits longer than for itself.
const PAVES: usize = 16 << 10;
static PAVEMENT: [u8; (128 << 10) + 8] = [0; (128 << 10) + 8];

/// How many zeros are written behind a group that ends at `end`.
fn pave(paved: u64, end: u64, group: usize, segment: u64) -> usize {
    match group <= PAVES && paved < end {
        true => (PAVEMENT.len() as u64 - 8).min(segment.saturating_sub(end)) as usize,
        false => 0,
    }
}

/// A segment on a disk that has no room for a whole one is smaller, but not smaller than one part in so many.
const SMALLEST_ONE_IN: u64 = 64;

/// Why a group was not written.
enum Trouble {
    /// Nothing happened. The next group may fare better.
    Passing(StoreError),
    /// Nobody knows what the disk has.
    Lasting(String),
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Trouble {
    fn of(doing: &str, error: &io::Error) -> Trouble {
        match is_full(error) {
            true => Trouble::Passing(StoreError::Full),
            false => Trouble::Lasting(format!("cannot {doing}: {error}")),
        }
    }

    /// What goes wrong before a byte of a group is written costs that group and not the journal: a process that is out of
    /// file handles has some again a little later.
    fn before_writing(doing: &str, error: &io::Error) -> Trouble {
        let why = || StoreError::Unready { why: format!("cannot {doing}: {error}").into() };
        Trouble::Passing(if is_full(error) { StoreError::Full } else { why() })
    }
}

impl Writer {
    pub(super) fn new(world: &world::World, journal: &Journal, tail: Tail) -> Writer {
        Writer {
            disk: world.disk.clone(),
            clock: world.clock.clone(),
            segment_bytes: journal.options.segment_bytes,
            durability: journal.options.durability,
            synced: tail.group,
            paved: 0,
            tail,
            retired: Vec::new(),
            compaction: None,
            unmovable: Vec::new(),
            kept: Kept::default(),
            head: Vec::new(),
        }
    }

    /// Bytes left in the segment for records. A little is kept back, so that on a full disk trims and drops, which
    /// make room, can still be written.
    pub(super) fn room(&self) -> u64 {
        self.left().saturating_sub(self.kept_back())
    }

    fn kept_back(&self) -> u64 {
        (self.segment_bytes / 16).min(64 << 10)
    }

    fn left(&self) -> u64 {
        self.tail.active.as_ref().map_or(0, |(segment, offset)| segment.size.saturating_sub(*offset))
    }

    /// Whether there is work although nobody waits.
    pub(super) fn has_more(&self) -> bool {
        self.compaction.is_some()
    }

    /// Bytes of blocks moved with one group.
    pub(super) fn step_bytes(&self) -> u64 {
        self.segment_bytes / 128
    }

    /// Writes one group.
    pub(super) fn commit(&mut self, journal: &Journal, requests: Vec<Request>) {
        if let Some(error) = journal.failure() {
            self.compaction = None;
            return requests.into_iter().for_each(|request| request.refuse(&error));
        }
        let moved = self.moved_blocks(journal);
        let group = self.plan(journal, requests, moved);
        match self.write(journal, &group) {
            Ok(placed) => self.publish(journal, group, placed),
            Err(Trouble::Lasting(why)) => Writer::fail(journal, group, &why),
            Err(Trouble::Passing(error)) => {
                self.compaction = None;
                let rest = group.refuse_appends(&error);
                let group = self.plan(journal, rest, Vec::new());
                match self.write(journal, &group) {
                    Ok(placed) => self.publish(journal, group, placed),
                    Err(Trouble::Lasting(why)) => Writer::fail(journal, group, &why),
                    Err(Trouble::Passing(error)) => group.refuse(&error),
                }
            }
        }
        self.keep_house(journal);
    }

    fn plan(&self, journal: &Journal, requests: Vec<Request>, moved: Vec<Block>) -> Group {
        let now: Timestamp = self.clock.now();
        plan(&journal.read_index(), now, requests, moved)
    }

    fn fail(journal: &Journal, group: Group, why: &str) {
        journal.fail(why);
        group.refuse(&journal.failure().expect("it has just failed"));
    }

    /// Writes and syncs a group's frame; where the bodies of its blocks begin.
    fn write(&mut self, journal: &Journal, group: &Group) -> Result<u64, Trouble> {
        if group.is_empty() {
            return Ok(0);
        }
        let mut own = meta_block(&group.meta);
        let len = group.frame_len(own.as_ref().map_or(0, |block| block.head.bytes as usize));
        let room = if group.blocks.is_empty() { self.left() } else { self.room() };
        if self.tail.active.is_none() || len > room {
            self.roll(journal, len)?;
        }
        if self.tail.active.as_ref().is_some_and(|(_, offset)| *offset == 0) {
            own = Some(checkpointed(journal, group));
        }
        let blocks = || own.iter().chain(&group.blocks);
        let (segment, offset) = self.tail.active.as_mut().expect("rolling made one");
        let link = Link { previous: self.tail.checksum, group: self.tail.group + 1, synced: self.synced };
        let checksum = encode_head(&mut self.head, segment.seed, link, blocks().map(|block| block.head));
        let mut parts: Vec<&[u8]> = vec![&self.head];
        parts.extend(blocks().flat_map(Block::parts).map(|part| &part[..]));
        let written: usize = parts.iter().map(|part| part.len()).sum();
        let end = *offset + written.next_multiple_of(8) as u64;
        let padding = written.next_multiple_of(8) - written;
        let mut paved = pave(self.paved, end, written, segment.size);
        parts.push(&PAVEMENT[..padding + paved]);
        let mut outcome = segment.file.write_vectored_at(&parts, *offset);
        if paved > 0 && outcome.as_ref().is_err_and(is_full) {
            // Where room is not promised beforehand, the group may be written and the zeros not.
            *parts.last_mut().expect("it was just pushed") = &PAVEMENT[..padding];
            outcome = segment.file.write_vectored_at(&parts, *offset);
            paved = 0;
        }
        outcome.map_err(|e| Trouble::of("write a group", &e))?;
        if self.durability == Durability::Fsync {
            // After a failed sync nobody knows what the disk has: not even a full disk is harmless then.
            segment.file.sync().map_err(|e| Trouble::Lasting(format!("cannot sync a group: {e}")))?;
            self.synced = link.group;
        }
        let bodies = *offset + (self.head.len() + own.map_or(0, |block| block.first.len())) as u64;
        self.paved = self.paved.max(end + paved as u64);
        *offset = end;
        (self.tail.group, self.tail.checksum) = (link.group, checksum);
        if len >= LARGE_GROUP {
            self.kept.add(segment, group.parts_at(bodies));
        }
        Ok(bodies)
    }

    /// Makes a durable group readable and tells its callers.
    fn publish(&mut self, journal: &Journal, mut group: Group, bodies: u64) {
        let mut index = journal.write_index();
        for meta in std::mem::take(&mut group.meta) {
            if let Meta::Trimmed { log, before } = meta
                && index.logs.get(&log).is_none_or(|log| log.first <= before)
            {
                index.trims.remove(&log);
            }
            index.apply(meta);
        }
        let (mut watched, mut at) = (Vec::new(), bodies);
        for Block { head, .. } in &group.blocks {
            match index.add(head, at) {
                Ok(true) => watched.push(head.log),
                Ok(false) => {}
                Err(why) => {
                    drop(index);
                    return Writer::fail(journal, group, &format!("a group was planned wrongly: {why}"));
                }
            }
            at += u64::from(head.bytes);
        }
        for log in watched.iter().filter_map(|log| index.logs.get(log)) {
            log.watch.get().into_iter().for_each(|watch| _ = watch.send_replace(log.next));
        }
        drop(index);
        group.acknowledge();
    }

    /// Goes on in a new segment that has room for at least `len` bytes and a checkpoint.
    fn roll(&mut self, journal: &Journal, len: u64) -> Result<(), Trouble> {
        let checkpoint = {
            let index = journal.read_index();
            index.logs.values().map(|log| 40 + log.name.len() as u64).sum::<u64>()
        };
        let number = self.tail.next_segment;
        let next = self.next_segment_that_fits(number, len + checkpoint + 128)?;
        if let Some((old, end)) = self.tail.active.take() {
            if let Err(error) = self.sync(&old) {
                self.tail.active = Some((old, end));
                return Err(Trouble::Lasting(format!("cannot sync a segment: {error}")));
            }
            self.seal(journal, &old, end);
        }
        self.tail.next_segment += 1;
        journal.write_index().begin(next.clone());
        self.tail.active = Some((next, 0));
        self.paved = 0;
        self.count_spares(journal);
        Ok(())
    }

    /// The next segment, smaller than others where the disk has no room for a whole one: otherwise a disk that holds less
    /// than two could never give one up, since what is written last cannot be.
    fn next_segment_that_fits(&mut self, number: u64, needed: u64) -> Result<Arc<Segment>, Trouble> {
        let needed = needed.next_multiple_of(ALIGN);
        let least = (self.segment_bytes / SMALLEST_ONE_IN).max(needed + self.kept_back()).next_multiple_of(ALIGN);
        let mut size = self.segment_bytes.max(needed);
        loop {
            match self.next_segment(number, size) {
                Err(Trouble::Passing(StoreError::Full)) if size > least => {
                    size = (size / 2).next_multiple_of(ALIGN).max(least);
                }
                done => return done,
            }
        }
    }

    /// A file for the next segment under its name: a spare one, or a new one.
    fn next_segment(&mut self, number: u64, size: u64) -> Result<Arc<Segment>, Trouble> {
        let path = segment_path(&self.tail.dir, number);
        let spare = self.tail.spares.pop();
        match self.prepare(&path, spare, size) {
            Ok((file, size)) => {
                // The name must be durable before anything written under it is acknowledged. After a failed sync nobody
                // knows whether it is, nor does a later sync that succeeds.
                let synced = self.disk.sync_dir(&self.tail.dir);
                synced.map_err(|e| Trouble::Lasting(format!("cannot sync the name of a segment: {e}")))?;
                let seed = Seed::of(&self.tail.salt, number);
                Ok(Arc::new(Segment { number, size, file, seed, blocks: OnceLock::new(), recent: Recent::default() }))
            }
            Err(error) => {
                // What is left under the name holds no group: either way it is taken again the next time.
                let back = spare.filter(|(n, _)| self.disk.rename(&path, &spare_path(&self.tail.dir, *n)).is_ok());
                self.tail.spares.extend(back);
                if back.is_none() {
                    let _ = self.disk.remove(&path);
                }
                Err(Trouble::before_writing("prepare a segment", &error))
            }
        }
    }

    fn prepare(&self, path: &Path, spare: Option<(u64, u64)>, size: u64) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        if let Some((spare, _)) = spare {
            self.disk.rename(&spare_path(&self.tail.dir, spare), path)?;
        }
        let file = self.disk.open(path, world::disk::Open::Write)?;
        file.allocate(size)?;
        let size = file.len()?;
        Ok((file, size))
    }

    fn sync(&mut self, segment: &Segment) -> io::Result<()> {
        if self.synced < self.tail.group {
            segment.file.sync()?;
            self.synced = self.tail.group;
        }
        Ok(())
    }

    /// Writes a finished segment's index file. It is derived, so it need not be synced, and a failure is no harm.
    fn seal(&mut self, journal: &Journal, segment: &Arc<Segment>, end: u64) {
        let entries = journal.read_index().all_active_blocks();
        let last = Last { group: self.tail.group, checksum: self.tail.checksum, end };
        let bytes = encode(segment.number, last, &runs(&entries), &entries);
        let header = decode_header(&bytes).expect("it was just encoded");
        let blocks = self.write_index(segment, header, &bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, segment = segment.number, "cannot write an index file: it is kept in memory");
            let checked = OnceLock::from(Some(entries));
            Blocks { file: segment.file.clone(), header, checked }
        });
        // Only the writer seals, and it seals once.
        let _ = segment.blocks.set(blocks);
    }

    fn write_index(&self, segment: &Segment, header: Header, bytes: &[u8]) -> io::Result<Blocks> {
        let file = self.disk.open(&index_path(&self.tail.dir, segment.number), world::disk::Open::Write)?;
        file.set_len(bytes.len() as u64)?;
        file.write_at(bytes, 0)?;
        Ok(Blocks { file, header, checked: OnceLock::from(None) })
    }

    /// Gives up segments in which nothing is wanted, and looks for one that is worth emptying.
    fn keep_house(&mut self, journal: &Journal) {
        let mut index = journal.write_index();
        if !index.freed && self.retired.is_empty() {
            return;
        }
        index.freed = false;
        let active = index.active;
        let dead: Vec<u64> =
            index.segments.iter().filter(|(n, t)| t.spans == 0 && **n != active).map(|(n, _)| *n).collect();
        if !dead.is_empty() && self.durability == Durability::Os {
            drop(index);
            // What made them dead must outlive them.
            let active = self.tail.active.as_ref().map(|(segment, _)| segment.clone());
            if let Some(Err(error)) = active.map(|segment| self.sync(&segment)) {
                return journal.fail(&format!("cannot sync a segment: {error}"));
            }
            index = journal.write_index();
        }
        self.retired.extend(dead.iter().filter_map(|n| index.segments.remove(n)).map(|tenure| tenure.segment));
        if self.compaction.is_none() {
            self.compaction = Compaction::find(&index, &self.unmovable);
        }
        drop(index);
        for segment in std::mem::take(&mut self.retired) {
            match Arc::try_unwrap(segment) {
                Ok(segment) => self.recycle(&segment),
                Err(read) => self.retired.push(read),
            }
        }
        self.count_spares(journal);
    }

    fn recycle(&mut self, segment: &Segment) {
        let (dir, number) = (&self.tail.dir, segment.number);
        // An index file without its segment is removed when the store is next opened.
        let _ = self.disk.remove(&index_path(dir, number));
        let keep = self.tail.spares.len() < SPARES && segment.size == self.segment_bytes;
        let done = match keep {
            true => self.disk.rename(&segment_path(dir, number), &spare_path(dir, number)),
            false => self.disk.remove(&segment_path(dir, number)),
        };
        match done {
            Ok(()) if keep => self.tail.spares.push((number, segment.size)),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, segment = number, "cannot give up a segment"),
        }
    }

    pub(super) fn count_spares(&self, journal: &Journal) {
        let mut index = journal.write_index();
        index.spares = self.tail.spares.len() as u64;
        index.spare_bytes = self.tail.spares.iter().map(|(_, size)| size).sum();
    }

    /// Writes what was trimmed and syncs what was not.
    pub(super) fn finish(&mut self, journal: &Journal) {
        self.compaction = None;
        self.commit(journal, Vec::new());
        if let Some((segment, _)) = self.tail.active.take()
            && journal.failure().is_none()
            && let Err(error) = self.sync(&segment)
        {
            journal.fail(&format!("cannot sync a segment: {error}"));
        }
    }
}

/// The first block of a segment's first group: everything about all logs, and then what the group says itself.
fn checkpointed(journal: &Journal, group: &Group) -> Block {
    let mut meta = vec![journal.read_index().checkpoint()];
    meta.extend(group.meta.iter().cloned());
    meta_block(&meta).expect("it has a record")
}
