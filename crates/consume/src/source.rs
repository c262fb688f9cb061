use crate::Chunk;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::ReadLimit;
use world::BoxFuture;

/// A service's pull door: shards with a lineage, each a sequence of records at growing positions.
pub trait Source: Send + Sync {
    /// What it is called.
    fn arn(&self) -> Arn;
    /// When it was made: tells it from an earlier one of its name, whose positions mean nothing here.
    fn since(&self) -> Timestamp;
    /// All shards that hold records or may yet get some, in the order they were made. Children appear together with the
    /// end of their parents.
    fn shards(&self) -> Result<Vec<ShardInfo>, SourceError>;
    /// The position to read a shard from. For `Latest`, that of the next record to come.
    fn start_at(&self, shard: &str, start: Start) -> Result<u64, SourceError>;
    /// The records from position `from` on; from the oldest there is, where `from` is no longer. At least one record if
    /// there is any, even if it is over the limit of bytes.
    fn read(&self, shard: &str, from: u64, limit: ReadLimit) -> Result<Chunk, SourceError>;
    /// Resolves when reading from there may return something, or the shard ended or is gone.
    fn changed<'a>(&'a self, shard: &'a str, from: u64) -> BoxFuture<'a, ()>;
    /// Resolves when the shard listed last is another than `last`, or the source is gone.
    fn reshaped<'a>(&'a self, last: Option<&'a str>) -> BoxFuture<'a, ()>;
}

/// A shard and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its id, never used again in its source.
    pub id: String,
    /// The shards it continues: none, one (a split) or two (a merge).
    pub parents: Vec<String>,
}

/// Where a consumer starts, in shards that it has no checkpoint for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// With the oldest record.
    TrimHorizon,
    /// With the first record after now.
    Latest,
    /// With the first record of that time or later.
    At(Timestamp),
}

/// Why a source did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The source no longer exists, or is another of the same name.
    #[error("the source is gone: {0}")]
    Gone(String),
    /// The shard no longer exists; the source does.
    #[error("the shard is gone: {0}")]
    NoShard(String),
    /// Whoever reads has read what it may for now.
    #[error("the reader's allowance is used up for {0:?}")]
    NotYet(Duration),
    /// Something of ours failed; it may pass.
    #[error("the source cannot be read: {0}")]
    Fault(String),
}
