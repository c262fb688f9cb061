//! Walks the shards of a source for a consumer, with durable checkpoints: the one path for pulling. And the port through
//! which queues are emptied, which have neither shards nor checkpoints.
//!
//! Invariants: records of one key are handled in order, one batch at a time, and no checkpoint passes a record that is not
//! dealt with; a shard starts only once its listed parents were read to their end; a shard that appears after
//! [`Walker::pin`] is read from its beginning, whatever the consumer's [`Start`] says, so resharding loses nothing; after
//! a crash every record past the last checkpoint is handled again (at least once). Dropping [`Walker::run`] drops all its
//! work: nothing is spawned.
//! What consumers share beside that is here too, and pure: which records their filters let through ([`Filters`]), what is
//! left to do of a batch that failed in part ([`Plan`]), what an answer says of its batch ([`Answer`]), what records look
//! like ([`shape`]), and how a consumer's task is told that its settings changed ([`Running`]).
//! What it is not: it looks into a payload only where a filter asks for it, retries no handler (a handler returns when its
//! batch is dealt with) and keeps no more of a shard in memory than a full batch per lane.
//! Entry points: [`Source`], [`Handler`], [`Checkpoints::open`], [`Walker::new`]; [`Inbox`], [`Taker`], [`Emptier::new`].

mod answer;
mod cease;
mod checkpoints;
mod desk;
mod emptier;
mod expiry;
mod filter;
mod handler;
mod inbox;
mod lanes;
mod limits;
mod lineage;
mod plan;
mod record;
mod running;
mod set;
pub mod shape;
mod shard;
mod signals;
mod source;
mod walk;
mod walker;

pub use answer::{Answer, Wanted};
pub use cease::Cease;
pub use checkpoints::Checkpoints;
pub use emptier::{Dealt, Emptied, Emptier, Fate, Gathering, Growth, Taker};
pub use expiry::expiry;
pub use filter::{Filters, InvalidFilter, Kind};
pub use handler::{Handler, Note, Progress, Turn};
pub use inbox::{Inbox, InboxError, Message, MessageAttribute};
pub use lanes::Gather;
pub use plan::{Follow, Outcome, Piece, Plan, Rules, Step, Why};
pub use record::{Chunk, Record};
pub use running::{End, Running, Watch};
pub use set::Set;
pub use source::{ShardInfo, Source, SourceError, Start};
pub use store::ReadLimit;
pub use walker::{WalkError, Walker};
