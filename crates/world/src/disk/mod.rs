//! Files. The real disk, and one in memory that loses, tears, fails and fills under a seed.

mod real;
mod simulated;

pub use real::{RealDisk, sync_file_system};
pub use simulated::{DiskFaults, SimDisk};

use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; created where it does not exist, kept as it is where it does.
    Write,
    /// For reading and writing; must not exist yet.
    New,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The file's name without its directory.
    pub name: String,
    /// Its length in bytes; zero for directories.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A file system. Durability is what POSIX promises and no more: bytes survive a crash once the file was synced,
/// and a created, renamed or removed name survives once its directory was synced.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// What a directory holds, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a directory and its parents.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether a name exists.
    fn exists(&self, path: &Path) -> bool;
    /// Takes an exclusive lock on a file (created as needed), held until the guard is dropped or the process ends.
    /// `WouldBlock` where another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let mut out = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_exact_at(&mut out, 0)?;
        Ok(out)
    }

    /// Writes a whole file so that after a crash there is either the old content or the new: a temporary file,
    /// sync, rename, directory sync.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = path.with_extension("tmp");
        let file = self.open(&temporary, Open::Write)?;
        file.set_len(content.len() as u64)?;
        file.write_at(content, 0)?;
        file.sync()?;
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(dir)
    }
}

/// An open file. Reads and writes name their offset, so one file may be shared by threads.
pub trait DiskFile: Send + Sync {
    /// Reads up to the buffer's length; fewer bytes only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes all parts one after another, as one write.
    fn write_vectored_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.write_at(&parts.concat(), offset)
    }
    /// Makes all written bytes (and the length) durable: fdatasync.
    fn sync(&self) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room on the disk for the first `len` bytes and extends the file to it, so that later writes there
    /// neither fail for want of space nor change the file's metadata.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Fills the whole buffer or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}
