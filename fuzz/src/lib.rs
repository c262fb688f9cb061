//! Bytes that nobody asked for, given to everything that reads bytes from outside: what is on a disk, in a body, in a header,
//! in a token, in a pattern. None may panic, hang, or be taken for something it is not.
//!
//! Each target is a plain function of bytes with seeds to begin with. `fuzz/tests/bounded.rs` drives all of them with a fixed
//! number of random changes, on stable and in CI; `fuzz/libfuzzer` gives the same functions to libFuzzer, where that is there.
//! Entry points: [`TARGETS`] and [`drive`].

mod cbor;
mod drive;
mod patterns;
mod policies;
mod recovery;
mod signatures;
mod tokens;

pub use drive::drive;

/// Something that reads bytes.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads the bytes; panics where they did harm.
    pub run: fn(&[u8]),
    /// Bytes worth changing.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "recovery", run: recovery::run, seeds: recovery::seeds },
    Target { name: "cbor", run: cbor::run, seeds: cbor::seeds },
    Target { name: "tokens", run: tokens::run, seeds: tokens::seeds },
    Target { name: "patterns", run: patterns::run, seeds: patterns::seeds },
    Target { name: "policies", run: policies::run, seeds: policies::seeds },
    Target { name: "signatures", run: signatures::run, seeds: signatures::seeds },
];

/// The target of this name.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}
