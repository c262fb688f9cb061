//! EventBridge: which events a rule is for, when a schedule is due, and what a target is sent; archives and replays; API
//! destinations; and the scheduler.
//!
//! Invariants: what `PutEvents` answered with an id is, for every target of every rule it matched, durable in `delivery`;
//! all of one call goes out in one append; an event travels from bus to bus once at most; what AWS has and this crate has
//! not is refused by name. The modules `path`, `schedule` and `transform` are pure: they answer every text,
//! however malformed, with a value or with AWS's own reason for refusing it.
//! What it is not: a delivery loop; it never waits for a target.
//! Entry points: [`Rules::open`], then [`Rules::service`] (asked), [`Rules::targets`] (pushed) and [`Rules::start`] (woken);
//! [`Scheduler::open`] for the service `scheduler`.

mod agenda;
mod api;
mod archive;
mod destinations;
mod entry;
mod error;
mod http;
mod limits;
pub mod path {
    //! Paths into events.

    pub use patterns::{JsonPath, PathError};
}
mod policy;
mod route;
mod rules;
pub mod schedule;
mod scheduler;
mod signals;
mod state;
mod status;
mod table;
mod target;
mod tasks;
mod throttle;
pub mod transform;

pub use destinations::OpenError;
pub use rules::{Options, Rules};
pub use scheduler::Scheduler;
pub use status::{ArchiveStatus, BusStatus, ReplayProgress, RuleStatus, ScheduleStatus, SchedulerStatus};
