use crate::{KeyId, LogId};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data directory {dir} is in use by another server: stop that one, or choose another directory")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Bytes that had been synced are not as they were written.
    #[error("{file} is damaged at byte {offset}: {why}. {what_to_do}")]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: String,
        /// What the operator can do.
        what_to_do: &'static str,
    },
    /// The directory was written by a newer version.
    #[error(
        "{file} has format {found}, which a newer version of this program wrote; this one reads formats up to {newest}: use \
         the newer one"
    )]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        newest: u32,
    },
    /// A segment holds what only a newer version knows.
    #[error(
        "{file} was written by a newer version of this program: at byte {offset} is a block with flags ({flags:#x}) that this \
         one does not know. Nothing was changed: use the newer one"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Where its frame begins.
        offset: u64,
        /// The flags.
        flags: u32,
    },
    /// There are encrypted records, and no master key was given.
    #[error(
        "this data directory holds encrypted streams, and no master key is configured: give the one they were encrypted \
         under ([encryption] master_key_file)"
    )]
    NoMasterKey,
    /// The data keys are wrapped under another one.
    #[error(
        "the master key is not the one that this data directory's encrypted streams were encrypted under: give that one \
         as [encryption] master_key_file, or as previous_master_key_file where it was replaced"
    )]
    WrongMasterKey,
    /// The data keys are not as they were written.
    #[error("the data keys of the encrypted streams are damaged: {why}")]
    Keys {
        /// What is wrong.
        why: &'static str,
    },
    /// Their log could not be read or written.
    #[error("cannot ready the data keys of the encrypted streams: {0}")]
    Store(#[from] StoreError),
    /// The file system said no.
    #[error("cannot {doing} {path}: {why}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        why: io::Error,
    },
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A write or sync failed. What it was to make durable may or may not be on disk; the store only reads from here on.
    #[error("the journal has stopped: {why}; restart the server once the disk is repaired")]
    Failed {
        /// What failed.
        why: Arc<str>,
    },
    /// The disk is full. Nothing was written; the same call works once there is room.
    #[error("the disk is full")]
    Full,
    /// The journal could not go on in a new segment, for want of file handles for example. Nothing was written; the same
    /// call may work a little later.
    #[error("the journal is not ready for more: {why}")]
    Unready {
        /// What it lacks.
        why: Arc<str>,
    },
    /// No such log: never created, or dropped.
    #[error("there is no log {0:?}")]
    NoLog(LogId),
    /// No such data key: never made, or dropped.
    #[error("there is no data key {0:?}")]
    NoKey(KeyId),
    /// A data key cannot be made without a master key to wrap it under.
    #[error("no master key is configured")]
    NoMasterKey,
    /// More than one call may carry.
    #[error("{bytes} bytes in one call; at most {limit} are taken")]
    TooLarge {
        /// What was given.
        bytes: usize,
        /// What is taken.
        limit: usize,
    },
    /// What was read is not what was written.
    #[error("damaged data: {why}")]
    Corrupt {
        /// What and where.
        why: Arc<str>,
    },
    /// What was read is a newer program's.
    #[error("written by a newer version of this program: {why}")]
    Newer {
        /// What and where.
        why: Arc<str>,
    },
    /// Reading failed.
    #[error("cannot read the journal: {why}")]
    Read {
        /// The system's answer.
        why: Arc<str>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl world::Fault for StoreError {
    fn passes(&self) -> bool {
        matches!(self, StoreError::Full | StoreError::Unready { .. } | StoreError::Closed)
    }
}

impl StoreError {
    pub(crate) fn corrupt(why: impl Into<Arc<str>>) -> StoreError {
        StoreError::Corrupt { why: why.into() }
    }
    pub(crate) fn read(error: &io::Error) -> StoreError {
        StoreError::Read { why: error.to_string().into() }
    }
}
