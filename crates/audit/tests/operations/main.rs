//! What calls leave behind, and how it is looked up: in process, the clock moved by hand.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod lookup;
mod records;
mod support;
mod told;
