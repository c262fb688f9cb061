use crate::attempt::attempt_all;
use crate::retry::{Count, Next, next};
use crate::{Claim, Delivery, Envelope, Verdict, code};
use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use world::BoxFuture;

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

/// One try of the ordered lane.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// Its number, from 1.
    pub number: u32,
    /// How long it took.
    pub took: Duration,
}

impl Delivery {
    /// The ordered lane: tries one envelope until it is accepted, the policy is exhausted, `again` says no or `stop`
    /// resolves, and lets the caller wait meanwhile, so that nothing overtakes it.
    ///
    /// `again` is asked after each try: whether there is to be another. It may say so of
    /// an accepted one, too, whose answer tells that it failed. A refusal is final only if `again` says so: a shard blocks
    /// behind a batch that its function fails on until the batch expires, as with Lambda. Nothing is sent to a dead-letter
    /// target: what remains of a batch is the caller's to decide. A stop lets a try under way end; dropping the future
    /// does not.
    pub async fn in_order(
        &self,
        envelope: &Envelope,
        stop: impl Future<Output = ()> + Send,
        again: impl FnMut(Try, &Verdict) -> bool + Send,
    ) -> Ordered {
        self.in_order_by(envelope, stop, || Box::pin(self.attempt(envelope)), again).await
    }

    /// The same for what is more than one delivery: `attempt` makes each try, such as one through several targets, each by
    /// [`Delivery::hand_over`]. `course` gives the policy and the time it counts from; what it says of a target is not used.
    pub async fn in_order_by<'a>(
        &self,
        course: &Envelope,
        stop: impl Future<Output = ()> + Send,
        mut attempt: impl FnMut() -> BoxFuture<'a, Verdict> + Send,
        mut again: impl FnMut(Try, &Verdict) -> bool + Send,
    ) -> Ordered {
        let envelope = course;
        let mut stop = pin!(stop);
        let mut count = Count::default();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ordered::Stopped,
                () = self.world.clock.sleep(pause), if !pause.is_zero() => {}
                () = std::future::ready(()), if pause.is_zero() => {}
            }
            let begun = self.world.clock.monotonic();
            let verdict = attempt().await;
            let took = self.world.clock.monotonic().saturating_sub(begun);
            count = count.after(&verdict);
            let tries = count.tries;
            let again = again(Try { number: tries, took }, &verdict);
            let (now, random) = (self.world.now(), self.world.entropy.u64());
            pause = match (next(envelope, count, &verdict, now, random), verdict) {
                (Next::Pause(pause), _) if again => pause,
                (_, Verdict::Accepted(answer)) => return Ordered::Accepted(answer),
                (
                    _,
                    Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } | Verdict::Refused { code, why },
                ) => {
                    return Ordered::GaveUp { code, why, tries };
                }
            };
            tracing::debug!(to = %envelope.to, id = envelope.id, tries, ?pause, "an ordered delivery waits");
        }
    }
    /// One try of several envelopes for one ARN, one after another or as many at once as the target takes; the verdicts are
    /// in their order. Where `in_order` is set, what comes after one that was not accepted is not tried. A full
    /// backlog takes nothing that becomes envelopes again.
    pub async fn hand_over(&self, envelopes: &[Envelope], in_order: bool) -> Vec<Verdict> {
        let Some(to) = envelopes.first().map(|envelope| &envelope.to) else { return Vec::new() };
        let target = self.targets.find(to);
        let at_once = target.as_ref().map_or(1, |target| target.batch(to)).max(1);
        if target.is_some_and(|target| target.sends_on(&envelopes[0]))
            && let Err(full) = self.admit(Claim::Request)
        {
            let again = || Verdict::Again { code: code::BACKLOG_FULL.to_owned(), why: full.to_string(), after: None };
            return std::iter::repeat_with(again).take(envelopes.len()).collect();
        }
        let mut verdicts = Vec::with_capacity(envelopes.len());
        for some in envelopes.chunks(at_once) {
            verdicts.extend(attempt_all(&self.world, &self.targets, some, in_order).await);
            if in_order && verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Accepted(_))) {
                break;
            }
        }
        let why = || "what comes before it was not accepted".to_owned();
        let untried = || Verdict::Again { code: code::NOT_TRIED.to_owned(), why: why(), after: None };
        verdicts.resize_with(envelopes.len(), untried);
        verdicts
    }
}
