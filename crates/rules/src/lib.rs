//! EventBridge: which events a rule is for, when a schedule is due, and what a target is sent.
//!
//! Invariants: these modules are pure. They do no I/O, read no clock, and answer every text, however malformed, with a
//! value or with AWS's own reason for refusing it.
//! What it is not: a delivery loop; events that match are handed to `delivery`.

mod json;
pub mod path;
pub mod pattern;
pub mod schedule;
pub mod transform;
