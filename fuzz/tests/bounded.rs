//! Every target on some thousand inputs, the same each time. With `HEADWATER_FUZZ_RUNS` as many as one likes, from another seed
//! each time that number is another.

#![allow(clippy::disallowed_methods)] // a test harness reads its environment

fn run(name: &str, runs: u64) {
    let asked = std::env::var("HEADWATER_FUZZ_RUNS").ok().and_then(|text| text.parse().ok());
    fuzz::drive(fuzz::target(name), asked.unwrap_or(1), asked.unwrap_or(runs));
}

#[test]
fn a_damaged_disk() {
    run("recovery", 1500);
}

#[test]
fn a_body() {
    run("cbor", 10_000);
}

#[test]
fn what_clients_give_back() {
    run("tokens", 1500);
}

#[test]
fn a_pattern_and_an_event() {
    run("patterns", 6000);
}

#[test]
fn a_policy_of_a_resource() {
    run("policies", 8000);
}

#[test]
fn a_signature() {
    run("signatures", 6000);
}
