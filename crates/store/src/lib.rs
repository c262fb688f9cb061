//! What must survive: a log, a catalog, a queue and blobs, on one journal. The only crate that fsyncs.
//!
//! Invariants: what an awaited call has acknowledged is on disk; all batches of one [`Store::append`] are there after a
//! crash or none is; a log's indexes are dense and its times never go back; a torn tail is cut off, other damage in
//! the newest segment refuses to start, and a damaged block is never given out; every queue in here has a limit in bytes or
//! entries.
//! What it is not: it knows no AWS word, interprets no payload and opens no socket.
//! Entry points: [`Store::open`], [`Catalog::open`], [`Queue::open`], [`Store::blobs`]. Every byte on disk is described
//! in `FORMATS.md`, the reasons in `docs/adr/0001-one-journal.md`
//! and `docs/adr/0070-sealed-in-pieces.md`.

mod batch;
mod blobs;
mod catalog;
mod cipher;
mod error;
mod journal;
mod queue;
mod record;
mod seal;
mod store;
mod vault;

pub use batch::Batch;
pub use blobs::{BlobError, Blobs};
pub use catalog::{Catalog, State};
pub use cipher::MasterKey;
pub use error::{OpenError, StoreError};
pub use queue::{Message, Order, Queue, QueueCounts, Received, Sending};
pub use record::{ReadLimit, Record, Shown};
pub use seal::{Seal, SealError};
pub use store::{Durability, Store, StoreOptions, Submitted, Writer};
pub use vault::{KeyId, MasterKeys};
pub use world::Timestamp;

/// A log's number: dense, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u64);

/// Where the records of one batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The index of the batch's first record; the others follow densely.
    pub first: u64,
    /// The time of all its records. Never goes back within one log.
    pub at: Timestamp,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The oldest readable index.
    pub first: u64,
    /// The index the next record gets.
    pub next: u64,
    /// About how many bytes the readable records take on disk.
    pub bytes: u64,
    /// The time of the newest record ever appended.
    pub last_at: Timestamp,
}

/// What the journal takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Segments that hold records.
    pub segments: u64,
    /// Recycled segments kept to be written again.
    pub spares: u64,
    /// Bytes of all segments, spares included.
    pub bytes: u64,
    /// Bytes of them that records still readable take.
    pub live_bytes: u64,
    /// Logs that exist.
    pub logs: u64,
}
