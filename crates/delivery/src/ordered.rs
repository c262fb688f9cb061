use crate::retry::{Next, next};
use crate::{Delivery, Envelope, Verdict};
use bytes::Bytes;
use world::Stop;

/// How the ordered lane ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The target has it; its answer.
    Accepted(Bytes),
    /// The policy or the caller gave up.
    GaveUp {
        /// The last error's code.
        code: String,
        /// The last error's reason.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The stop signal came first. What was under way has ended, and was not accepted.
    Stopped,
}

impl Delivery {
    /// The ordered lane: tries one envelope until it is accepted, the policy is exhausted, `give_up` says so or `stop` is
    /// set, and lets the caller wait meanwhile, so that nothing overtakes it.
    ///
    /// `give_up` is asked after each failed try, with the number of tries so far. A refusal is final only if it says so:
    /// a shard blocks behind a batch that its function fails on until the batch expires, as with Lambda. Nothing is sent
    /// to a dead-letter target: what remains of a batch is the caller's to decide. A stop lets a try under way end;
    /// dropping the future does not.
    pub async fn in_order(
        &self,
        envelope: &Envelope,
        stop: &mut Stop,
        mut give_up: impl FnMut(u32, &Verdict) -> bool + Send,
    ) -> Ordered {
        let mut tries: u32 = 0;
        loop {
            if stop.is_set() {
                return Ordered::Stopped;
            }
            let verdict = self.attempt(envelope).await;
            tries = tries.saturating_add(1);
            let given_up = !matches!(verdict, Verdict::Accepted(_)) && give_up(tries, &verdict);
            let (code, why) = match &verdict {
                Verdict::Accepted(answer) => return Ordered::Accepted(answer.clone()),
                Verdict::Again { code, why, .. } | Verdict::Refused { code, why } => (code.clone(), why.clone()),
            };
            let (now, random) = (self.world.now(), self.world.entropy.u64());
            let pause = match next(envelope, tries, &verdict, now, random) {
                Next::Pause(pause) if !given_up => pause,
                _ => return Ordered::GaveUp { code, why, tries },
            };
            tracing::debug!(to = %envelope.to, id = envelope.id, tries, code, why, ?pause, "an ordered delivery waits");
            tokio::select! {
                biased;
                () = stop.wait() => return Ordered::Stopped,
                () = self.world.clock.sleep(pause) => {}
            }
        }
    }
}
