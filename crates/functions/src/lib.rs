//! Lambda: functions, their code and runtimes, their invocation, and event source mappings.
//!
//! Invariants: one process runs one invocation at a time; a process talks only to its own Runtime API port, and only it
//! can; whatever a function does, its group of processes stays within its limits and is ended with it; nothing queues
//! here: what cannot run now is refused with [`runtime::InvokeError::TooManyRequests`]. A mapping invokes in order and
//! blocks its own shard only; where it goes on is on disk.
//! What it is not: a reader of streams (mappings go through `consume`) and a retry loop (`delivery`).
//! Entry points: [`Functions::open`], [`Functions::service`], [`Functions::target`], [`Functions::answer_url`]; below them [`runtime::Executor`]
//! and [`code::Package`], which know nothing of the API.

mod api;
mod asynchronous;
mod called;
pub mod code;
mod code_link;
mod event;
mod functions;
mod invocation;
mod layers;
mod limits;
mod lineage;
mod mailbox;
mod mapping;
mod permission;
mod provision;
pub mod runtime;
mod runtimes;
mod shelf;
mod shown;
mod signals;
mod state;
mod streaming;
mod target;
mod url;
mod url_door;
mod url_stream;

pub use code_link::BELOW as PACKAGES;
pub use functions::{Functions, Hold, Neighbours, Options, group};
pub use url_door::UrlRequest;
