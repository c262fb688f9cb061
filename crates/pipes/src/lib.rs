//! EventBridge Pipes: from one stream or queue, through a filter and perhaps an enrichment, to one target.
//!
//! Invariants: a batch is done with at its source only after its target accepted it, or its dead letter is durable, or an
//! enrichment answered that nothing is left of it; a crash in between carries it again; records of a shard, or of a key
//! where a pipe has lanes, are handed over in order; a batch that fails holds up its own lane only; what is retried is
//! retried whole, enrichment included; what AWS has and this crate has not is refused by name when a pipe is made.
//! What it is not: a reader of streams and queues (`consume` walks and empties them), a retry loop (`delivery`'s ordered
//! lane is it), or one who knows a target's protocol.
//! Entry points: [`Pipes::open`], [`Pipes::service`] (asked), [`Pipes::start`] (woken).

mod aim;
mod api;
mod carry;
mod error;
mod item;
mod letter;
mod limits;
mod live;
mod pipes;
mod queue;
mod running;
mod settings;
mod signals;
mod state;
mod stream;
mod template;
mod text;
mod trail;

pub use pipes::{Neighbours, PipeStatus, Pipes};
