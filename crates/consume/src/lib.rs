//! Walks the shards of a source for a consumer, with durable checkpoints: the one path for pulling.
//!
//! Invariants: a shard's records are handled in order, one chunk at a time; a shard starts only once its listed parents
//! were read to their end; a shard that appears after [`Walker::pin`] is read from its beginning, whatever the consumer's
//! [`Start`] says, so resharding loses nothing; after a crash every record past the last checkpoint is handled again
//! (at least once). Dropping [`Walker::run`] drops all its work: nothing is spawned.
//! What it is not: it interprets no payload, retries no handler (a handler returns when its chunk is dealt with) and keeps
//! no record in memory beyond one chunk per shard.
//! Entry points: [`Source`], [`Checkpoints::open`], [`Walker::new`].

mod checkpoints;
mod chunk;
mod limits;
mod lineage;
mod set;
mod signals;
mod source;
mod walk;
mod walker;

pub use checkpoints::Checkpoints;
pub use chunk::{Chunk, Gather, Record};
pub use source::{ShardInfo, Source, SourceError, Start};
pub use store::ReadLimit;
pub use walker::{Progress, WalkError, Walker};
