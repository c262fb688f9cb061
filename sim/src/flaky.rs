use bytes::Bytes;
use delivery::{Envelope, Target, Verdict};
use names::Arn;
use std::sync::{Arc, Mutex};
use world::{BoxFuture, Entropy, SeededEntropy};

/// A target that fails, hangs and panics at random, and remembers what it took.
pub struct Flaky {
    random: SeededEntropy,
    taken: Mutex<Vec<String>>,
}

impl Flaky {
    /// The same seed gives the same failures.
    pub fn new(seed: u64) -> Arc<Flaky> {
        Arc::new(Flaky { random: SeededEntropy::new(seed ^ 0xf1a6), taken: Mutex::default() })
    }
    /// The bodies it took, over all lives.
    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("no panic holds this lock").clone()
    }
}

impl Target for Flaky {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let again = |why: &str| Verdict::Again { code: "Flaky".to_owned(), why: why.to_owned(), after: None };
            match self.random.below(6) {
                0 => again("busy"),
                1 => std::future::pending().await,
                2 => panic!("a target that panics costs one attempt"),
                _ => {
                    let body = String::from_utf8_lossy(&envelope.body).into_owned();
                    self.taken.lock().expect("no panic holds this lock").push(body);
                    Verdict::Accepted(Bytes::new())
                }
            }
        })
    }
    fn concurrency(&self, _: &Arn) -> usize {
        4
    }
}
