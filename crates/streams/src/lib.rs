//! Kinesis Data Streams: durable, sharded, ordered.
//!
//! Invariants: a record that was acknowledged is on disk; the records of a shard have one order, that of their sequence
//! numbers, and are read in it; every record goes in through one write path (`write.rs`), whoever brings it; what AWS has
//! and this crate has not is refused by name.
//! What it is not: it carries nothing anywhere and keeps no reader's place (`delivery` and `consume` do).
//! Entry points: [`Streams::open`], then [`Streams::service`] (asked), [`Streams::target`] (pushed), [`Streams::source`]
//! (pulled) and [`Streams::start`] (woken).

mod api;
mod consumer;
mod demand;
mod error;
mod hash;
mod hot;
mod limits;
mod live;
mod policy;
mod reader;
mod record;
mod reshape;
mod reshard;
mod sequence;
mod signals;
mod source;
mod state;
mod status;
mod streams;
mod subscription;
mod target;
mod tasks;
mod throttle;
mod token;
mod write;

pub use limits::Limits;
pub use streams::{Options, Streams};
