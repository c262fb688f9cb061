//! The machine's own files.

mod direct;

use super::{Disk, DiskFile, Entry, Open};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The machine's file system. What is created here only its owner may read: there are keys, events and messages in it.
pub struct RealDisk;

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;
/// What the kernel takes in one call (IOV_MAX).
const MOST_SLICES: usize = 1024;
/// Writes of so many bytes go past the page cache: copying into pages that are not there yet costs more than all else that
/// is done with the bytes. Smaller ones are read again soon, and from memory.
const DIRECT_FROM: usize = 256 << 10;

/// Makes durable all that was written so far to the file system of a directory, whoever wrote it: what syncing each of
/// thousands of files would take minutes for.
#[allow(clippy::disallowed_methods)] // this is the port
pub fn sync_file_system(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

struct RealFile {
    file: File,
    /// Whether the file system is still believed to take direct writes.
    direct: AtomicBool,
}

impl RealFile {
    fn new(file: File) -> Arc<RealFile> {
        Arc::new(RealFile { file, direct: AtomicBool::new(true) })
    }
}

#[allow(clippy::disallowed_methods)] // this is the port
impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(PRIVATE_FILE);
        match how {
            Open::Read => &mut options,
            Open::Write => options.write(true).create(true).truncate(false),
            Open::New => options.write(true).create_new(true),
        };
        Ok(RealFile::new(options.open(path)?))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let is_dir = meta.is_dir();
            let name = entry.file_name().to_string_lossy().into_owned();
            out.push(Entry { name, len: if is_dir { 0 } else { meta.len() }, is_dir });
        }
        out.sort();
        Ok(out)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(PRIVATE_FILE).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
    fn write_vectored_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total >= DIRECT_FROM && self.direct.load(Relaxed) {
            match direct::write(&self.file, parts, offset) {
                Err(error) if direct::is_refused(&error) => self.direct.store(false, Relaxed),
                done => return done,
            }
        }
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        write_slices(&self.file, &mut slices, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // File systems without fallocate still work, only without the reservation.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(len),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes all slices, one after another.
fn write_slices(file: &File, mut left: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    while left.iter().any(|part| !part.is_empty()) {
        let at_once = left.len().min(MOST_SLICES);
        match rustix::io::pwritev(file, &left[..at_once], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                IoSlice::advance_slices(&mut left, n);
                offset += n as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // looks at what the port did
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_what_is_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data/below");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        RealDisk.create_dir(&dir).unwrap();
        RealDisk.replace(&dir.join("key"), b"secret").unwrap();
        drop(RealDisk.open(&dir.join("segment"), Open::New).unwrap());
        drop(RealDisk.lock(&dir.join("lock")).unwrap());
        for path in [dir.parent().unwrap(), &dir] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        for name in ["key", "segment", "lock"] {
            assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn what_is_written_in_parts_is_read_whole() {
        let root = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&root.path().join("f"), Open::New).unwrap();
        file.allocate(8 << 20).unwrap();
        let mut expected = vec![0; 8 << 20];
        let bytes: Vec<u8> = (0..5_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        // Small and large, at any offset, over each other, in one part and in thousands.
        for (offset, len, part) in
            [(0, 100, 9), (100, 300_000, 4096), (8, 4096, 5), (4096, 1 << 20, 1 << 20), (300_101, 5_000_000, 1031)]
        {
            let parts: Vec<&[u8]> = bytes[..len].chunks(part).collect();
            file.write_vectored_at(&parts, offset as u64).unwrap();
            expected[offset..offset + len].copy_from_slice(&bytes[..len]);
            let mut found = vec![1; expected.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            assert!(found == expected, "{len} bytes at {offset}");
        }
        file.sync().unwrap();
        assert!(RealDisk.read(&root.path().join("f")).unwrap() == expected);
    }
}
