//! What is read of a log.

use crate::Timestamp;
use bytes::Bytes;

/// One record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its index in the log.
    pub index: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// Its bytes: a slice of the buffer that was read, which lives as long as any of its slices.
    pub data: Bytes,
    /// Whether it is encrypted on disk.
    pub sealed: bool,
}

/// One record as [`crate::Store::read_each`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Its index in the log.
    pub index: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// Its bytes.
    pub data: &'a [u8],
    /// Whether it is encrypted on disk.
    pub sealed: bool,
}

/// How much one read may return. At least one record is returned if there is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// At most so many records.
    pub records: usize,
    /// At most so many bytes of data.
    pub bytes: usize,
}
