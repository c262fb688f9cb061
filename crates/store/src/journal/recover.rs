//! Opens a journal: finds its end, cuts off a torn tail, refuses damage, and rebuilds the directory in memory.

use super::frame::{FrameHead, META_LOG, Seed};
use super::index::{Entry, Index, Log, Run, Span, Tenure, runs};
use super::meta::Meta;
use super::recent::Recent;
use super::scan::{End, Frame, scan};
use super::sealed::{self, HEADER, Last};
use super::segment::{Blocks, Segment, index_path, segment_path, spare_path};
use super::writer::Tail;
use crate::{OpenError, Timestamp};
use bytes::{Buf, Bytes};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use world::disk::Open;
use world::{Disk, World};

const RESTORE: &str = "Nothing was changed. Restore the data directory from a backup, or move it away to start empty";
const IDENTITY: &[u8; 8] = b"HWSTORE1";
/// The format that is written. Blocks may be sealed since 2; a directory of format 1 has none, and is one of 2 from its next
/// start on.
const FORMAT: u32 = 2;

pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) tail: Tail,
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |why| OpenError::Io { doing, path: path.to_owned(), why }
}

fn corrupt(file: PathBuf, offset: u64, why: impl Into<String>) -> OpenError {
    OpenError::Corrupt { file, offset, why: why.into(), what_to_do: RESTORE }
}

/// Creates the directory and takes it for this process.
pub(super) fn lock(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.create_dir(dir).map_err(failed("create", dir))?;
    let path = dir.join("lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { dir: dir.to_owned() },
        _ => failed("lock", &path)(error),
    })
}

pub(super) fn recover(world: &World, dir: &Path) -> Result<Recovered, OpenError> {
    let journal_dir = dir.join("journal");
    world.disk.create_dir(&journal_dir).map_err(failed("create", &journal_dir))?;
    let mut files = Files::list(&world.disk, &journal_dir)?;
    let salt = identity(world, dir, files.segments.is_empty())?;
    let recovery = Recovery { disk: world.disk.clone(), dir: journal_dir, salt };
    let Some(newest) = recovery.newest(&mut files)? else {
        let tail = Tail {
            dir: recovery.dir,
            salt,
            active: None,
            next_segment: 1,
            group: 0,
            checksum: 0,
            spares: files.spares.into_iter().collect(),
        };
        return Ok(Recovered { index: Index::default(), tail });
    };
    recovery.rest(newest, files)
}

/// The store's salt, made when the store is.
fn identity(world: &World, dir: &Path, fresh: bool) -> Result<[u8; 16], OpenError> {
    let path = dir.join("store");
    if !world.disk.exists(&path) {
        if !fresh {
            return Err(corrupt(path, 0, "the file is missing although there is a journal"));
        }
        let mut salt = [0; 16];
        world.entropy.fill(&mut salt);
        world.disk.replace(&path, &identity_of(&salt)).map_err(failed("write", &path))?;
        // The directory's own name, too. Its parent may not be ours to sync, and then it was there before us.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let _ = world.disk.sync_dir(parent);
        }
    }
    let content = world.disk.read(&path).map_err(failed("read", &path))?;
    let whole = content.len() == 32
        && content.starts_with(IDENTITY)
        && crc32c::crc32c(&content[..28]) == (&content[28..]).get_u32_le();
    if !whole {
        return Err(corrupt(path, 0, "the store's identity is not as it was written"));
    }
    let found = (&content[8..12]).get_u32_le();
    if !(1..=FORMAT).contains(&found) {
        return Err(OpenError::Format { file: path, found, newest: FORMAT });
    }
    Ok(content[12..28].try_into().expect("sixteen bytes"))
}

/// Makes the directory one of the newest format. Only once all of it was opened: until then an older program may be what is
/// needed. A full disk is no reason not to go on; the next start tries again.
pub(crate) fn raise(world: &World, dir: &Path) {
    let path = dir.join("store");
    let older = |content: &Vec<u8>| (&content[8..12]).get_u32_le() < FORMAT;
    let raised = world.disk.read(&path).map(|content| Some(content).filter(older)).and_then(|content| match content {
        Some(content) => world.disk.replace(&path, &identity_of(content[12..28].try_into().expect("sixteen bytes"))),
        None => Ok(()),
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the data directory stays one of an older format for now");
    }
}

/// What the store's identity says of a store with this salt.
fn identity_of(salt: &[u8; 16]) -> [u8; 32] {
    let mut content = [0; 32];
    content[..8].copy_from_slice(IDENTITY);
    content[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    content[12..28].copy_from_slice(salt);
    let checksum = crc32c::crc32c(&content[..28]);
    content[28..].copy_from_slice(&checksum.to_le_bytes());
    content
}

/// What is in the journal's directory: numbers in names, and lengths.
struct Files {
    segments: Vec<u64>,
    spares: BTreeMap<u64, u64>,
}

impl Files {
    fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Files, OpenError> {
        let mut files = Files { segments: Vec::new(), spares: BTreeMap::new() };
        let mut indexes = Vec::new();
        for entry in disk.list(dir).map_err(failed("list", dir))? {
            let number = |hex: &str| u64::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 16);
            if let Some(n) = entry.name.strip_prefix("spare-").and_then(|n| n.strip_suffix(".log")).and_then(number) {
                files.spares.insert(n, entry.len);
            } else if let Some(n) = entry.name.strip_suffix(".log").and_then(number) {
                files.segments.push(n);
            } else if let Some(n) = entry.name.strip_suffix(".idx").and_then(number) {
                indexes.push(n);
            }
        }
        files.segments.sort_unstable();
        for n in indexes.iter().filter(|n| files.segments.binary_search(n).is_err()) {
            let path = index_path(dir, *n);
            disk.remove(&path).map_err(failed("remove", &path))?;
        }
        Ok(files)
    }
}

/// The newest segment that holds a group.
struct Newest {
    segment: Arc<Segment>,
    /// Names, trims and ends of all logs, as of its last group. No spans yet.
    index: Index,
    entries: Vec<Entry>,
    first: FrameHead,
    last: FrameHead,
    last_offset: u64,
    end: u64,
}

struct Recovery {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    salt: [u8; 16],
}

impl Recovery {
    fn open(&self, number: u64) -> Result<Segment, OpenError> {
        let path = segment_path(&self.dir, number);
        let file = self.disk.open(&path, Open::Write).map_err(failed("open", &path))?;
        let size = file.len().map_err(failed("measure", &path))?;
        if size > u64::from(u32::MAX) {
            return Err(corrupt(path, 0, "it is longer than a segment can be"));
        }
        let seed = Seed::of(&self.salt, number);
        Ok(Segment { number, size, file, seed, blocks: OnceLock::new(), recent: Recent::default() })
    }

    /// Finds the journal's end. A newest segment without any group was being prepared, and becomes a spare.
    fn newest(&self, files: &mut Files) -> Result<Option<Newest>, OpenError> {
        let mut empty = None;
        while let Some(number) = files.segments.pop() {
            let segment = self.open(number)?;
            if let Some(newest) = self.scan_newest(segment)? {
                self.settle(&newest)?;
                return Ok(Some(newest));
            }
            let (path, spare) = (segment_path(&self.dir, number), spare_path(&self.dir, number));
            if number > 1 && files.segments.is_empty() {
                return Err(corrupt(path, 0, "its first group is missing, and there is no older segment"));
            }
            self.disk.rename(&path, &spare).map_err(failed("rename", &path))?;
            let len = self.disk.open(&spare, Open::Read).and_then(|f| f.len()).map_err(failed("measure", &spare))?;
            files.spares.insert(number, len);
            if empty.replace(number).is_some() {
                return Err(corrupt(spare, 0, "two segments in a row hold no group"));
            }
        }
        Ok(None)
    }

    fn scan_newest(&self, segment: Segment) -> Result<Option<Newest>, OpenError> {
        let path = segment_path(&self.dir, segment.number);
        let mut index = Index { active: segment.number, ..Index::default() };
        let mut entries = Vec::new();
        let mut ends: Option<(FrameHead, FrameHead, u64)> = None;
        let visit = |frame: Frame| {
            replay(&mut index, &mut entries, &frame, ends.is_none())?;
            let first = ends.map_or(frame.head, |ends| ends.0);
            ends = Some((first, frame.head, frame.offset));
            Ok(())
        };
        let end = match scan(&segment.file, segment.seed, visit).map_err(failed("read", &path))? {
            End::At(end) => end,
            End::Damaged { offset, why } => return Err(corrupt(path, offset, why)),
            End::Newer { offset, flags } => return Err(OpenError::Newer { file: path, offset, flags }),
        };
        let Some((first, last, last_offset)) = ends else { return Ok(None) };
        entries.sort_by_key(|entry| (entry.log, entry.first));
        Ok(Some(Newest { segment: Arc::new(segment), index, entries, first, last, last_offset, end }))
    }

    /// Makes what was found durable. A group may have been read from a page cache whose sync had failed in an earlier
    /// process, and which the kernel takes for clean: so the last group, the only one that can be, is written again.
    fn settle(&self, newest: &Newest) -> Result<(), OpenError> {
        let path = segment_path(&self.dir, newest.segment.number);
        let file = &newest.segment.file;
        let rewrite = || -> io::Result<()> {
            let mut bytes = vec![0; newest.last.frame_len() as usize];
            file.read_exact_at(&mut bytes, newest.last_offset)?;
            file.write_at(&bytes, newest.last_offset)?;
            file.sync()
        };
        rewrite().map_err(failed("sync", &path))?;
        // From a time when this segment was taken for finished, and a crash undid that.
        let stale = index_path(&self.dir, newest.segment.number);
        if self.disk.exists(&stale) {
            self.disk.remove(&stale).map_err(failed("remove", &stale))?;
            self.disk.sync_dir(&self.dir).map_err(failed("sync", &self.dir))?;
        }
        Ok(())
    }

    /// Adds what the older segments hold.
    fn rest(self, newest: Newest, files: Files) -> Result<Recovered, OpenError> {
        let Newest { segment, mut index, entries, first, last, end, .. } = newest;
        let number = segment.number;
        let mut found: BTreeMap<u64, Vec<(u64, Run)>> = BTreeMap::new();
        let mut add = |number: u64, runs: Vec<Run>| {
            runs.into_iter().filter(|run| run.log != META_LOG).for_each(|run| {
                found.entry(run.log).or_default().push((number, run));
            });
        };
        add(number, runs(&entries));
        for entry in entries {
            index.logs.get_mut(&entry.log).into_iter().for_each(|log| log.blocks.push(entry));
        }
        index.segments.insert(number, Tenure { segment: segment.clone(), live_bytes: 0, spans: 0 });
        for older in files.segments.iter().rev() {
            let segment = self.open(*older)?;
            let before = (older + 1 == number).then_some(first);
            add(*older, self.sealed_runs(&segment, before)?);
            index.segments.insert(*older, Tenure { segment: Arc::new(segment), live_bytes: 0, spans: 0 });
        }
        for (id, log) in &mut index.logs {
            let runs = found.remove(id).unwrap_or_default();
            log.spans = spans(log, runs).map_err(|why| corrupt(self.dir.clone(), 0, why))?.into();
            for span in &log.spans {
                let tenure = index.segments.get_mut(&span.segment).expect("its runs were found");
                tenure.live_bytes += span.run.bytes;
                tenure.spans += 1;
            }
        }
        index.freed = true;
        let spares: Vec<(u64, u64)> = files.spares.into_iter().collect();
        index.spares = spares.len() as u64;
        index.spare_bytes = spares.iter().map(|(_, len)| len).sum();
        let tail = Tail {
            dir: self.dir,
            salt: self.salt,
            active: Some((segment, end)),
            next_segment: number + 1,
            group: last.group,
            checksum: last.checksum,
            spares,
        };
        Ok(Recovered { index, tail })
    }

    /// What a finished segment holds: from its index file, or else from itself. `next` is the first frame of the
    /// segment after it, where that is known.
    fn sealed_runs(&self, segment: &Segment, next: Option<FrameHead>) -> Result<Vec<Run>, OpenError> {
        let fits = |last: &Last| next.is_none_or(|n| n.group == last.group + 1 && n.previous == last.checksum);
        if let Some((blocks, runs)) = self.index_file(segment, &fits) {
            let _ = segment.blocks.set(blocks);
            return Ok(runs);
        }
        let path = segment_path(&self.dir, segment.number);
        let (mut entries, mut last) = (Vec::new(), None);
        let visit = |frame: Frame| {
            entries.extend(frame.bodies().map(|(block, offset)| Entry::of(block, offset)));
            let end = frame.offset + frame.head.frame_len();
            last = Some(Last { group: frame.head.group, checksum: frame.head.checksum, end });
            Ok(())
        };
        match scan(&segment.file, segment.seed, visit).map_err(failed("read", &path))? {
            End::At(_) => {}
            End::Damaged { offset, why } => return Err(corrupt(path, offset, why)),
            End::Newer { offset, flags } => return Err(OpenError::Newer { file: path, offset, flags }),
        }
        let Some(last) = last else {
            return Err(corrupt(path, 0, "it holds no group although a newer segment does"));
        };
        if !fits(&last) {
            return Err(corrupt(path, last.end, "groups before the next segment's first are missing"));
        }
        entries.sort_by_key(|entry| (entry.log, entry.first));
        let found = runs(&entries);
        let bytes = sealed::encode(segment.number, last, &found, &entries);
        let header = sealed::decode_header(&bytes).expect("it was just encoded");
        // The next start may read it; this one has it in memory.
        let index = index_path(&self.dir, segment.number);
        let written = self.disk.open(&index, Open::Write).and_then(|file| {
            file.set_len(bytes.len() as u64)?;
            file.write_at(&bytes, 0)?;
            Ok(file)
        });
        let blocks = match written {
            Ok(file) => Blocks { file, header, checked: OnceLock::from(None) },
            Err(_) => Blocks { file: segment.file.clone(), header, checked: OnceLock::from(Some(entries)) },
        };
        let _ = segment.blocks.set(blocks);
        Ok(found)
    }

    /// The index file's runs, where there is one that is whole and belongs to this segment. Its entries are verified
    /// when they are first needed.
    fn index_file(&self, segment: &Segment, fits: &dyn Fn(&Last) -> bool) -> Option<(Blocks, Vec<Run>)> {
        let file = self.disk.open(&index_path(&self.dir, segment.number), Open::Read).ok()?;
        let len = file.len().ok()?;
        let mut front = vec![0; HEADER];
        file.read_exact_at(&mut front, 0).ok()?;
        let header = sealed::decode_header(&front)?;
        let last = Last { group: header.group, checksum: header.checksum, end: header.end };
        if header.segment != segment.number || header.file_len() != len || !fits(&last) {
            return None;
        }
        front.resize(header.entries_at() as usize, 0);
        file.read_exact_at(&mut front, 0).ok()?;
        let runs = sealed::decode_runs(&front)?;
        Some((Blocks { file, header, checked: OnceLock::new() }, runs))
    }
}

/// Takes a frame of the newest segment over: what the journal says of itself, and where the logs' blocks are.
fn replay(index: &mut Index, entries: &mut Vec<Entry>, frame: &Frame, first: bool) -> Result<(), String> {
    let mut own = Bytes::from(frame.meta.clone().unwrap_or_default());
    let mut expect_checkpoint = first;
    while !own.is_empty() {
        let meta = crate::batch::take_record(&mut own).and_then(|record| Meta::decode(&record));
        let meta = meta.ok_or("a record of the journal's own is not readable")?;
        if std::mem::take(&mut expect_checkpoint) != matches!(meta, Meta::Checkpoint { .. }) {
            return Err("a segment begins with a checkpoint and has no other".to_owned());
        }
        index.apply(meta);
    }
    if expect_checkpoint {
        return Err("the segment does not begin with a checkpoint".to_owned());
    }
    for (block, offset) in frame.bodies().filter(|(block, _)| block.log != META_LOG) {
        entries.push(Entry::of(block, offset));
        let Some(log) = index.logs.get_mut(&block.log).filter(|_| !block.relocated) else { continue };
        if block.first != log.next {
            return Err(format!("log {} goes on with record {}, not {}", block.log, block.first, log.next));
        }
        log.next = block.next();
        log.last_at = log.last_at.max(block.at);
    }
    Ok(())
}

/// A log's spans from the runs of all segments, newest segment first. What was moved is in two segments until the old
/// one is given up: the newer counts.
fn spans(log: &Log, runs: Vec<(u64, Run)>) -> Result<Vec<Span>, String> {
    let mut spans: Vec<Span> = Vec::new();
    for (segment, run) in runs {
        let mut first = run.first.max(log.durable_first);
        // `spans` is in order and without overlaps: what this run adds is what lies between them.
        let mut at = spans.partition_point(|span| span.run.next <= first);
        while first < run.next {
            let covered = spans.get(at).map(|span| (span.run.first, span.run.next));
            let next = covered.map_or(run.next, |(start, _)| start.min(run.next));
            if first < next {
                spans.insert(at, Span { segment, run: part(&run, first, next) });
                at += 1;
            }
            first = covered.map_or(run.next, |(_, past)| past.max(first));
            at += 1;
        }
    }
    // Of a run that is cut, the last time is only known not to be later than the next one's.
    let mut bound = Timestamp(i64::MAX);
    for span in spans.iter_mut().rev() {
        span.run.last_at = span.run.last_at.min(bound);
        bound = span.run.last_at;
    }
    let mut next = log.durable_first;
    for span in &spans {
        if span.run.first != next {
            break;
        }
        next = span.run.next;
    }
    match next == log.next {
        true => Ok(spans),
        false => Err(format!("record {next} of log {:?} is in no segment; it should go on to {}", log.name, log.next)),
    }
}

/// The part of a run from `first` up to `next`.
fn part(run: &Run, first: u64, next: u64) -> Run {
    let (all, kept) = (u128::from(run.next - run.first), u128::from(next - first));
    let bytes = (u128::from(run.bytes) * kept / all.max(1)) as u64;
    Run { first, next, bytes, ..*run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::meta::LogState;
    use proptest::prelude::*;

    fn run(first: u64, next: u64) -> Run {
        Run { log: 1, first, next, bytes: (next - first) * 10, first_at: Timestamp(0), last_at: Timestamp(0) }
    }

    fn log(first: u64, next: u64) -> Log {
        let mut index = Index::default();
        let state = LogState { log: 1, first, next, last_at: Timestamp(0), name: "a".into() };
        index.apply(Meta::Checkpoint { next_log: 2, logs: vec![state] });
        index.logs.remove(&1).unwrap()
    }

    #[test]
    fn the_newer_copy_counts_and_a_gap_is_refused() {
        let found =
            spans(&log(4, 30), vec![(9, run(20, 30)), (9, run(0, 5)), (5, run(10, 20)), (3, run(0, 10))]).unwrap();
        let found: Vec<_> = found.iter().map(|s| (s.segment, s.run.first, s.run.next)).collect();
        assert_eq!(found, [(9, 4, 5), (3, 5, 10), (5, 10, 20), (9, 20, 30)]);
        assert!(spans(&log(4, 30), vec![(9, run(20, 30)), (3, run(0, 10))]).is_err());
        assert!(spans(&log(4, 31), vec![(9, run(0, 30))]).is_err());
        assert!(spans(&log(4, 4), vec![(9, run(0, 4))]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn every_index_is_in_its_newest_segment(given in proptest::collection::vec((0u64..40, 1u64..20), 1..8)) {
            let runs: Vec<_> = given.iter().enumerate().map(|(i, (f, n))| (99 - i as u64, run(*f, f + n))).collect();
            let newest = |i: u64| runs.iter().find(|(_, r)| r.first <= i && i < r.next).map(|(s, _)| *s);
            if let Ok(found) = spans(&log(0, 25), runs.clone()) {
                for i in 0..25 {
                    let span = found.iter().find(|s| s.run.first <= i && i < s.run.next).map(|s| s.segment);
                    prop_assert_eq!(span, newest(i));
                }
            } else {
                prop_assert!((0..60).any(|i| newest(i).is_some() != (i < 25)));
            }
        }
    }
}
