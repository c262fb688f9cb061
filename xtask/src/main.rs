//! The house's chores: `cargo xtask shapes [--check]`, `cargo xtask tidy`.

mod layout;
mod models;
mod served;
mod shapes;
mod tidy;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["shapes"] => shapes::run(false),
        ["shapes", "--check"] => shapes::run(true),
        ["tidy"] => tidy::run(),
        _ => bail!("usage: cargo xtask shapes [--check] | cargo xtask tidy"),
    }
}
