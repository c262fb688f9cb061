//! SQS: durable queues of messages with visibility time-outs, redrive to dead-letter queues and long polling, standard
//! and FIFO; also the home of the whole house's dead letters.
//!
//! Invariants: a message is on disk before its sender hears of it, and gone from disk before its deleter does; a message
//! is handed out at least once; a FIFO queue takes a message once in five minutes, across crashes, and hands out those of
//! a group in their order, none while another of the group is in flight; a receipt handle that the house did not make is
//! refused; a queue's number of messages never shows in memory, only those in flight, delayed or passed over do; every
//! attribute acts or is refused by name.
//! What it is not: what was in flight is known to this process only, so that a restart ends all visibility time-outs and
//! may begin receive counts anew. A queue's policy acts on what other services deliver, not on callers, who all belong to
//! the queue's account. Encryption at rest is refused by name. There is no retry loop here: what comes from other
//! services comes through [`delivery`].
//! Entry points: [`Queues::open`], [`Queues::service`] (asked), [`Queues::target`] (pushed), [`Queues::source`] (pulled),
//! [`Queues::start`] (woken).

mod address;
mod api;
mod attempts;
mod batch;
mod dedup;
mod digest;
mod error;
mod handout;
mod intake;
mod limits;
mod message;
mod moves;
mod policy;
mod queues;
mod receipt;
mod room;
mod settings;
mod signals;
mod source;
mod state;
mod target;
mod tasks;
mod throttle;

pub use queues::{Options, Queues};
pub use source::{PullError, PullLimit, Pulled, PulledAttribute, QueueSource};
