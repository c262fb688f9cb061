use crate::target::Targets;
use crate::{Envelope, Verdict, code};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use world::World;

/// One try: within the target's time limit, and whatever the target does, with a verdict.
pub(crate) async fn attempt(world: &World, targets: &Targets, envelope: &Envelope) -> Verdict {
    let to = &envelope.to;
    let Some(target) = targets.find(to) else {
        return Verdict::Refused {
            code: code::NO_TARGET.into(),
            why: format!("nothing here takes deliveries to {to}"),
        };
    };
    let limit = target.time_limit(to);
    tokio::select! {
        biased;
        verdict = caught(async { target.deliver(envelope).await }) => verdict.unwrap_or_else(|panic| {
            tracing::error!(%to, id = envelope.id, panic, "a target panicked");
            Verdict::Again { code: code::INTERNAL_ERROR.into(), why: format!("panic: {panic}"), after: None }
        }),
        () = world.clock.sleep(limit) => Verdict::Again {
            code: code::TIMEOUT.into(),
            why: format!("no answer within {} s", limit.as_secs_f64()),
            after: None,
        },
    }
}

/// A future's output, or the message of its panic. Nothing of a future that panicked is used again.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message(panic.as_ref()))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
