//! SQS: durable queues of messages with visibility time-outs, redrive to dead-letter queues and long polling; also the
//! home of the whole house's dead letters.
//!
//! Invariants: a message is on disk before its sender hears of it, and gone from disk before its deleter does; a message
//! is handed out at least once; a receipt handle that the house did not make is refused; a queue's number of messages
//! never shows in memory, only those in flight do; every attribute acts or is refused by name.
//! What it is not: FIFO queues are not served yet and are refused when somebody makes one. There is no retry loop here:
//! what comes from other services comes through [`delivery`].
//! Entry points: [`Queues::open`], [`Queues::service`] (asked), [`Queues::target`] (pushed), [`Queues::start`] (woken).

mod address;
mod api;
mod batch;
mod digest;
mod error;
mod limits;
mod message;
mod queues;
mod receipt;
mod settings;
mod signals;
mod state;
mod target;
mod tasks;

pub use queues::Queues;
