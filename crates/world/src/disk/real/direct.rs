//! Writes past the page cache. Whole blocks go from an aligned buffer straight to the disk; what is before the first and
//! behind the last of them goes the usual way, so a file may be written both ways at any offset. Reading stays as it is: the
//! kernel keeps the page cache and direct writes coherent.

use super::write_slices;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Offsets, lengths and addresses are multiples of this: of every disk's block.
const BLOCK: u64 = 4096;
/// What is copied together and written at once. Small enough to stay in the processor's cache.
const STAGE: usize = 2 << 20;

thread_local! {
    /// One thread writes the journal, and keeps its buffer.
    static STAGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Whether the file system takes no direct writes, rather than that one has failed.
pub(super) fn is_refused(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOENT, Errno::ACCESS]
        .iter()
        .any(|no| error.raw_os_error() == Some(no.raw_os_error()))
}

/// Writes all parts, one after another, at `offset`.
pub(super) fn write(file: &File, parts: &[&[u8]], offset: u64) -> io::Result<()> {
    let total: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let (start, end) = (offset.next_multiple_of(BLOCK), (offset + total) / BLOCK * BLOCK);
    let mut rest = Parts { parts, used: 0 };
    let direct = reopen(file)?;
    let mut front = rest.take((start - offset) as usize);
    write_slices(file, &mut front, offset)?;
    STAGED.with_borrow_mut(|buffer| -> io::Result<()> {
        buffer.resize(STAGE + BLOCK as usize, 0);
        let aligned = buffer.as_ptr().align_offset(BLOCK as usize);
        let stage = &mut buffer[aligned..aligned + STAGE];
        let mut at = start;
        while at < end {
            let stage = &mut stage[..usize::try_from(end - at).unwrap_or(STAGE).min(STAGE)];
            rest.copy(stage);
            direct.write_all_at(stage, at)?;
            at += stage.len() as u64;
        }
        Ok(())
    })?;
    let mut back = rest.take((offset + total - end) as usize);
    write_slices(file, &mut back, end)
}

/// Another handle on the same file, whatever its name is by now. A system call for hundreds of kilobytes is little, and a
/// handle kept for each segment would be much.
fn reopen(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// What is left of some parts.
struct Parts<'a> {
    parts: &'a [&'a [u8]],
    /// How much of the first is used.
    used: usize,
}

impl<'a> Parts<'a> {
    /// The next piece, `most` bytes at most; none where nothing is left.
    fn next(&mut self, most: usize) -> Option<&'a [u8]> {
        let (first, others) = self.parts.split_first()?;
        let piece = &first[self.used..];
        if piece.len() <= most {
            (self.parts, self.used) = (others, 0);
            return Some(piece);
        }
        self.used += most;
        Some(&piece[..most])
    }

    fn take(&mut self, mut bytes: usize) -> Vec<IoSlice<'a>> {
        let mut taken = Vec::new();
        while bytes > 0
            && let Some(piece) = self.next(bytes)
        {
            bytes -= piece.len();
            taken.push(IoSlice::new(piece));
        }
        taken
    }

    fn copy(&mut self, into: &mut [u8]) {
        let mut done = 0;
        while done < into.len()
            && let Some(piece) = self.next(into.len() - done)
        {
            into[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        }
    }
}
