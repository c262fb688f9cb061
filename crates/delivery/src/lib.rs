//! Carries an envelope to an ARN until it is accepted, refused or dead: the only retry loop of the house.
//!
//! Invariants: an envelope is durable when [`Delivery::send`] returns, and leaves its lane only after its target accepted
//! it, its dead-letter target's lane has it, or the kept list has it; all envelopes of one `send` survive a crash or none
//! does; a lane's failures delay that lane only; a target that panics or hangs costs one attempt.
//! The backlog is bounded: who takes requests asks [`Delivery::admit`] first; what replaces an envelope never has to.
//! What it is not: it knows no target's protocol, orders envelopes only where they ask for it by [`attribute::ORDER`] (or
//! one at a time by [`Delivery::in_order`]) and promises at-least-once, not exactly-once: a crash between acceptance and acknowledgement
//! delivers again. How often an envelope was tried is known to this process only; after a crash its age still bounds it.
//! Entry points: [`Delivery::open`], [`Delivery::register`], [`Delivery::start`], [`Delivery::send`].

mod attempt;
mod backlog;
mod codec;
mod dead;
mod envelope;
mod lane;
mod letter;
mod limits;
mod ordered;
mod outbox;
mod retry;
mod settled;
mod signals;
mod target;

pub use backlog::{BacklogFull, Claim, Options};
pub use dead::DeadLetter;
pub use envelope::{Backoff, Envelope, RetryPolicy, attribute, code};
pub use lane::LaneStatus;
pub use letter::Failure;
pub use ordered::{Ordered, Try};
pub use outbox::Delivery;
pub use retry::Exhausted;
pub use settled::{Listener, Settled, Starter};
pub use target::{Target, Verdict};
