//! The protocols from the outside: bytes in, values out, and back; over the real models.

mod answers;
mod constraints;
mod golden;
mod house;
mod properties;
mod requests;
mod signatures;
