//! The house under a seed: one thread, paused time, a disk that forgets what was not synced.
//!
//! A scenario builds a [`House`], asks it through its handlers, crashes it, opens it again on what the disk kept, and
//! compares what it then holds with what it had acknowledged.

mod flaky;
mod house;
#[path = "../../crates/headwater/src/wiring/inbox.rs"]
mod inbox;

pub use flaky::Flaky;
pub use house::{Events, House};

/// The policy of a queue that lets a service send: without one it does not come in.
pub fn lets_in(service: &str) -> String {
    let sends = serde_json::json!({
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": "*",
    });
    serde_json::json!({"Version": "2012-10-17", "Statement": sends}).to_string()
}

/// Plays a scenario to its end. The same seed does the same, so nothing else may run meanwhile and no time may pass that
/// nobody waits for.
pub fn play<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("the system has room for one more runtime").block_on(scenario)
}
