use super::{Disk, DiskFile, Entry, Open};
use crate::{Entropy, SeededEntropy};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// A disk in memory with a written fault model.
///
/// - A write is visible at once and durable only after [`DiskFile::sync`] of that file.
/// - A crash ([`SimDisk::crash`]) keeps, of every write since the last sync, any subset of its 512-byte sectors.
/// - A created, renamed or removed name is durable after [`Disk::sync_dir`]; a crash keeps some prefix of the
///   name changes since then (a journalling file system orders them).
/// - A failed sync may have lost any of the writes it was to make durable, and says so only once.
/// - With a capacity, growing past it fails with `StorageFull`.
///
/// Handles opened before a crash fail afterwards, as those of a dead process would.
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// What may go wrong while the disk is up; one in N operations, zero for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// One in so many writes fails with an I/O error, having written any prefix.
    pub write_error_one_in: u64,
    /// One in so many syncs fails with an I/O error.
    pub sync_error_one_in: u64,
    /// Bytes the disk holds; zero for no limit.
    pub capacity: u64,
    /// The power fails in the middle of the operation after so many that change something: it may happen in part,
    /// and all later ones fail until [`SimDisk::crash`]. Zero for never.
    pub halt_after: u64,
}

struct State {
    random: SeededEntropy,
    faults: DiskFaults,
    /// Counts crashes; handles of an earlier life fail.
    life: u64,
    /// The power is gone.
    halted: bool,
    names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Inode>>>,
    pending: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    /// A running hash of every operation: the same seed gives the same trace.
    trace: u64,
}

enum NameChange {
    Set(PathBuf, Arc<Mutex<Inode>>),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    /// Offsets that cannot be read.
    spoilt: BTreeSet<usize>,
    /// Since the last sync, oldest first.
    unsynced: Vec<Undo>,
}

enum Undo {
    Write { offset: usize, old: Vec<u8>, new: Vec<u8> },
    Length { old: usize },
}

const SECTOR: usize = 512;

impl SimDisk {
    /// An empty disk. The same seed gives the same faults.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            random: SeededEntropy::new(seed ^ 0x0064_6973_6b00),
            faults: DiskFaults::default(),
            life: 0,
            halted: false,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds this lock")
    }

    /// Sets what may go wrong from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// The power fails: everything not durable is lost, torn or kept, at random.
    pub fn crash(&self) {
        let mut state = self.state();
        state.life += 1;
        state.halted = false;
        state.faults.halt_after = 0;
        state.locks.clear();
        let kept = match state.pending.len() {
            0 => 0,
            n => state.random.below(n as u64 + 1) as usize,
        };
        let pending = std::mem::take(&mut state.pending);
        let mut names = state.durable_names.clone();
        for change in pending.into_iter().take(kept) {
            change.apply(&mut names);
        }
        state.durable_names = names.clone();
        state.names = names;
        let inodes: Vec<_> = state.names.values().cloned().collect();
        for inode in inodes {
            inode.lock().expect("no panic holds this lock").lose_unsynced(&state.random);
        }
    }

    /// Flips one bit: for tests of checksums.
    pub fn corrupt(&self, path: &Path, offset: u64) {
        let state = self.state();
        let inode = &state.names[path];
        inode.lock().expect("no panic holds this lock").bytes[offset as usize] ^= 1;
    }

    /// From now on every read of this byte fails with an I/O error, as of a bad sector.
    pub fn spoil(&self, path: &Path, offset: u64) {
        let state = self.state();
        let inode = &state.names[path];
        inode.lock().expect("no panic holds this lock").spoilt.insert(offset as usize);
    }

    /// All of a file can be read again.
    pub fn heal(&self, path: &Path) {
        let state = self.state();
        let inode = &state.names[path];
        inode.lock().expect("no panic holds this lock").spoilt.clear();
    }

    /// A hash over everything done so far.
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Bytes that all files together hold.
    pub fn used(&self) -> u64 {
        self.state().used()
    }
}

impl State {
    fn note(&mut self, what: &str, path: &Path, a: u64, bytes: &[u8]) {
        let mut h = self.trace;
        let text = path.as_os_str().as_encoded_bytes();
        for part in [what.as_bytes(), text, &a.to_le_bytes(), bytes] {
            for word in part.chunks(8) {
                let mut padded = [0; 8];
                padded[..word.len()].copy_from_slice(word);
                h = (h.rotate_left(5) ^ u64::from_le_bytes(padded)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
            h = (h ^ part.len() as u64).wrapping_mul(0x0100_0000_01b3);
        }
        self.trace = h;
    }
    fn used(&self) -> u64 {
        self.names.values().map(|i| i.lock().expect("no panic holds this lock").bytes.len() as u64).sum()
    }
    /// Counts an operation that changes something; `Err` once the power is gone.
    fn count(&mut self) -> io::Result<()> {
        if self.faults.halt_after > 0 {
            self.faults.halt_after -= 1;
            self.halted |= self.faults.halt_after == 0;
        }
        match self.halted {
            true => Err(io::Error::other("simulated power failure")),
            false => Ok(()),
        }
    }
    fn strikes(&self, one_in: u64) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }
    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Arc<Mutex<Inode>>>) {
        match self {
            NameChange::Set(path, inode) => {
                names.insert(path.clone(), inode.clone());
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Inode {
    fn resize(&mut self, len: usize) {
        if len != self.bytes.len() {
            self.unsynced.push(Undo::Length { old: self.bytes.len() });
            self.bytes.resize(len, 0);
        }
    }

    fn write(&mut self, offset: usize, new: &[u8]) {
        if offset + new.len() > self.bytes.len() {
            self.resize(offset + new.len());
        }
        let old = self.bytes[offset..offset + new.len()].to_vec();
        self.bytes[offset..offset + new.len()].copy_from_slice(new);
        self.unsynced.push(Undo::Write { offset, old, new: new.to_vec() });
    }

    /// Each sector of each unsynced write is kept or lost by itself; the length is kept or lost as a whole.
    fn lose_unsynced(&mut self, random: &SeededEntropy) {
        let undo = std::mem::take(&mut self.unsynced);
        let long = self.bytes.len();
        let mut durable_len = long;
        for step in undo.iter().rev() {
            match step {
                Undo::Write { offset, old, .. } => {
                    if self.bytes.len() < offset + old.len() {
                        self.bytes.resize(offset + old.len(), 0);
                    }
                    self.bytes[*offset..offset + old.len()].copy_from_slice(old);
                }
                Undo::Length { old } => durable_len = *old,
            }
        }
        self.bytes.resize(long.max(durable_len), 0);
        let keep_all = random.below(4) == 0;
        for step in &undo {
            if let Undo::Write { offset, new, .. } = step {
                let mut at = 0;
                while at < new.len() {
                    let upto = (at + SECTOR - (offset + at) % SECTOR).min(new.len());
                    if (keep_all || random.below(2) == 0) && offset + upto <= self.bytes.len() {
                        self.bytes[offset + at..offset + upto].copy_from_slice(&new[at..upto]);
                    }
                    at = upto;
                }
            }
        }
        let len = if keep_all || random.below(2) == 0 { long } else { durable_len };
        self.bytes.truncate(len);
    }
}

struct SimFile {
    disk: Arc<Mutex<State>>,
    inode: Arc<Mutex<Inode>>,
    path: PathBuf,
    life: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock().expect("no panic holds this lock");
        if state.life != self.life {
            return Err(io::Error::other("this handle belongs to a process that crashed"));
        }
        Ok(state)
    }
    fn room(state: &State, inode: &Inode, len: usize) -> io::Result<()> {
        let more = len.saturating_sub(inode.bytes.len()) as u64;
        let others: u64 = state.names.values().filter_map(|i| i.try_lock().ok().map(|i| i.bytes.len() as u64)).sum();
        if state.faults.capacity > 0 && more > 0 && others + inode.bytes.len() as u64 + more > state.faults.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _state = self.state()?;
        let inode = self.inode.lock().expect("no panic holds this lock");
        let start = (offset as usize).min(inode.bytes.len());
        let n = buffer.len().min(inode.bytes.len() - start);
        if inode.spoilt.range(start..start + n).next().is_some() {
            return Err(io::Error::other("simulated I/O error on read"));
        }
        buffer[..n].copy_from_slice(&inode.bytes[start..start + n]);
        Ok(n)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.note("write", &self.path, offset, bytes);
        let mut inode = self.inode.lock().expect("no panic holds this lock");
        SimFile::room(&state, &inode, offset as usize + bytes.len())?;
        let before = state.halted;
        if let Err(error) = state.count() {
            if !before {
                inode.write(offset as usize, bytes);
            }
            return Err(error);
        }
        if state.strikes(state.faults.write_error_one_in) {
            let part = state.random.below(bytes.len() as u64 + 1) as usize;
            inode.write(offset as usize, &bytes[..part]);
            return Err(io::Error::other("simulated I/O error on write"));
        }
        inode.write(offset as usize, bytes);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.note("sync", &self.path, 0, &[]);
        state.count()?;
        let mut inode = self.inode.lock().expect("no panic holds this lock");
        if state.strikes(state.faults.sync_error_one_in) {
            inode.lose_unsynced(&state.random);
            return Err(io::Error::other("simulated I/O error on sync"));
        }
        inode.unsynced.clear();
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        let _state = self.state()?;
        Ok(self.inode.lock().expect("no panic holds this lock").bytes.len() as u64)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.note("len", &self.path, len, &[]);
        state.count()?;
        let mut inode = self.inode.lock().expect("no panic holds this lock");
        SimFile::room(&state, &inode, len as usize)?;
        inode.resize(len as usize);
        Ok(())
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        let more = self.len()?.max(len);
        self.set_len(more)
    }
}

struct SimLock(Arc<Mutex<State>>, PathBuf, u64);

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.0.lock().expect("no panic holds this lock");
        if state.life == self.2 {
            state.locks.remove(&self.1);
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let inode = match (state.names.get(path).cloned(), how) {
            (Some(_), Open::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, Open::Read) => return Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                if path.parent().is_some_and(|dir| !state.dirs.contains(dir)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.count()?;
                let inode = Arc::new(Mutex::new(Inode::default()));
                state.note("create", path, 0, &[]);
                state.change(NameChange::Set(path.to_owned(), inode.clone()));
                inode
            }
        };
        Ok(Arc::new(SimFile { disk: self.state.clone(), inode, path: path.to_owned(), life: state.life }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.note("rename", from, 0, to.as_os_str().as_encoded_bytes());
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.count()?;
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.note("remove", path, 0, &[]);
        state.count()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let files = state.names.iter().filter(|(p, _)| p.parent() == Some(dir)).map(|(p, i)| {
            let len = i.lock().expect("no panic holds this lock").bytes.len() as u64;
            Entry { name: name(p), len, is_dir: false }
        });
        let dirs = state.dirs.iter().filter(|p| p.parent() == Some(dir));
        let dirs = dirs.map(|p| Entry { name: name(p), len: 0, is_dir: true });
        let mut out: Vec<_> = files.chain(dirs).collect();
        out.sort();
        Ok(out)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        for parent in dir.ancestors() {
            state.dirs.insert(parent.to_owned());
        }
        Ok(())
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.note("sync_dir", dir, 0, &[]);
        state.count()?;
        // One journal for all names: syncing any directory makes all earlier name changes durable.
        state.pending.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
    fn exists(&self, path: &Path) -> bool {
        let state = self.state();
        state.names.contains_key(path) || state.dirs.contains(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.state();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock(self.state.clone(), path.to_owned(), state.life)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_bytes_survive_and_others_may_not() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            let dir = Path::new("/d");
            disk.create_dir(dir).unwrap();
            let file = disk.open(&dir.join("f"), Open::New).unwrap();
            disk.sync_dir(dir).unwrap();
            file.write_at(&[1; 600], 0).unwrap();
            file.sync().unwrap();
            file.write_at(&[2; 600], 600).unwrap();
            disk.crash();
            assert!(file.len().is_err(), "handles die with their process");
            let bytes = disk.read(&dir.join("f")).unwrap();
            assert_eq!(&bytes[..600], &[1; 600]);
            lost += usize::from(bytes[600..] != [2; 600]);
        }
        assert!(lost > 10 && lost < 50, "{lost} of 50 crashes lost bytes");
    }

    #[test]
    fn a_full_disk_says_so() {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new("/d")).unwrap();
        disk.set_faults(DiskFaults { capacity: 100, ..DiskFaults::default() });
        let file = disk.open(Path::new("/d/f"), Open::New).unwrap();
        file.write_at(&[0; 100], 0).unwrap();
        assert_eq!(file.write_at(&[0; 1], 100).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(file.write_at(&[1; 50], 10).is_ok(), "overwriting needs no room");
    }
}
