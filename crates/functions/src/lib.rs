//! Lambda: code packages, runtimes, processes that run functions, and their invocation.
//!
//! Invariants: one process runs one invocation at a time; a process talks only to its own Runtime API port, and only it
//! can; whatever a function does, its group of processes stays within its limits and is ended with it; nothing queues
//! here: what cannot run now is refused with [`runtime::InvokeError::TooManyRequests`].
//! What it is not: a reader of streams (event source mappings go through `consume`) and a retry loop (`delivery`).
//! Entry points: [`runtime::Executor`], [`code::Package`].

pub mod code;
pub mod runtime;
