//! The protocols from the outside: bytes in, values out, and back; over the real models.

#![allow(clippy::unwrap_used)] // the helpers here are tests too

mod answers;
mod constraints;
mod events;
mod golden;
mod house;
mod properties;
mod requests;
mod signatures;
