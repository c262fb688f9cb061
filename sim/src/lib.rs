//! The house under a seed: one thread, paused time, a disk that forgets what was not synced.
//!
//! A scenario builds a [`House`], asks it through its handlers, crashes it, opens it again on what the disk kept, and
//! compares what it then holds with what it had acknowledged.

mod flaky;
mod house;

pub use flaky::Flaky;
pub use house::{Events, House};
