use bytes::Bytes;
use names::Timestamp;
use std::time::Duration;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in its shard.
    pub position: u64,
    /// What its source calls that place.
    pub sequence: String,
    /// The key that put it into its shard.
    pub key: String,
    /// When it arrived.
    pub at: Timestamp,
    /// Its payload.
    pub data: Bytes,
    /// Whether its source keeps it encrypted.
    pub sealed: bool,
}

/// Records of one shard that follow one another, as a source reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// In order.
    pub records: Vec<Record>,
    /// Where reading goes on.
    pub next: u64,
    /// The shard is closed, and these are its last records.
    pub ended: bool,
    /// How far the chunk's end is behind the shard's.
    pub behind: Duration,
}
