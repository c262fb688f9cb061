//! How things are called: ARNs, accounts, regions, callers, traces. Parsed once, carried as types.
//!
//! Invariants: no I/O, no clock, no randomness. A value of a type here is well formed by construction.
//! What it is not: a registry of what exists (services own that).

mod arn;
mod caller;
mod home;
mod time;
mod trace;

pub use arn::{Arn, ArnError};
pub use caller::{Caller, CallerKind};
pub use home::{Account, Home, NameError, Region};
pub use time::Timestamp;
pub use trace::TraceContext;
