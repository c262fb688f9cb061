//! CloudWatch Logs: log groups, their streams and events, and the one home of lines that other services write.
//!
//! Invariants: an event that was acknowledged is on disk; events are read in the order of their time stamps, those of one
//! time stamp as they came; memory is bounded by the number of groups and streams and a ten-thousandth of what they hold;
//! an event past its group's retention is seen by nobody; what AWS has and this crate has not is refused by name.
//! What it is not: a query engine, a source of metrics, or a sender of anything (subscription filters are refused).
//! Entry points: [`Logs::open`], then [`Logs::service`] (asked), [`Logs::target`] (pushed), [`Logs::write`] (lines that
//! nobody waits for), [`Logs::follow`] and [`Logs::start`] (woken).

mod api;
mod batch;
mod chunk;
mod error;
mod event;
mod intake;
mod limits;
mod logs;
mod pattern;
mod room;
mod scan;
mod selection;
mod signals;
mod state;
mod target;
mod tasks;
mod token;

pub use intake::Line;
pub use logs::{Followed, Logs};
