use crate::target::Targets;
use crate::{Envelope, Verdict, attribute, code};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use world::World;

/// One try: within the target's time limit, and whatever the target does, with a verdict.
pub(crate) async fn attempt(world: &World, targets: &Targets, envelope: &Envelope) -> Verdict {
    let all = attempt_all(world, targets, std::slice::from_ref(envelope), false).await;
    all.into_iter().next().expect("there are as many verdicts as envelopes")
}

/// One try of each of several envelopes for one ARN; the verdicts are in their order. The target is not asked about those
/// that are said to be unfit for it, nor about those whose sender cannot take on the role it would come with.
pub(crate) async fn attempt_all(
    world: &World,
    targets: &Targets,
    envelopes: &[Envelope],
    in_order: bool,
) -> Vec<Verdict> {
    let stopped: Vec<Option<Verdict>> = envelopes.iter().map(|envelope| stopped(targets, envelope)).collect();
    if stopped.iter().all(Option::is_none) {
        return attempt_fit(world, targets, envelopes, in_order).await;
    }
    let fit = envelopes.iter().zip(&stopped).filter(|(_, stopped)| stopped.is_none());
    let fit: Vec<Envelope> = fit.map(|(envelope, _)| envelope.clone()).collect();
    let mut verdicts = attempt_fit(world, targets, &fit, in_order).await.into_iter();
    let all = stopped.into_iter().map(|stopped| stopped.or_else(|| verdicts.next()));
    all.map(|verdict| verdict.expect("there are as many verdicts as envelopes")).collect()
}

/// Why an envelope does not get as far as its target.
fn stopped(targets: &Targets, envelope: &Envelope) -> Option<Verdict> {
    if let Some(why) = envelope.attributes.get(attribute::UNFIT) {
        return Some(Verdict::refused(code::UNFIT, why));
    }
    let why = targets.assume(envelope).err()?;
    Some(Verdict::refused(code::ACCESS_DENIED, why))
}

async fn attempt_fit(world: &World, targets: &Targets, envelopes: &[Envelope], in_order: bool) -> Vec<Verdict> {
    let Some(to) = envelopes.first().map(|envelope| &envelope.to) else { return Vec::new() };
    let all = |verdict: Verdict| vec![verdict; envelopes.len()];
    let Some(target) = targets.find(to) else {
        let why = format!("nothing here takes deliveries to {to}");
        return all(Verdict::Refused { code: code::NO_TARGET.into(), why });
    };
    let limit = target.time_limit(to);
    let again = |code: &str, why: String| Verdict::Again { code: code.into(), why, after: None };
    let deliver = async {
        match envelopes {
            [one] => vec![target.deliver(one).await],
            many if in_order => target.deliver_in_order(many).await,
            many => target.deliver_all(many).await,
        }
    };
    tokio::select! {
        biased;
        verdicts = caught(deliver) => match verdicts {
            Ok(mut verdicts) => {
                // What a target says nothing of is not done.
                verdicts.resize(envelopes.len(), again(code::INTERNAL_ERROR, "no verdict".to_owned()));
                verdicts
            }
            Err(panic) => {
                tracing::error!(%to, id = envelopes[0].id, panic, "a target panicked");
                all(again(code::INTERNAL_ERROR, format!("panic: {panic}")))
            }
        },
        () = world.clock.sleep(limit) => all(again(code::TIMEOUT, format!("no answer within {} s", limit.as_secs_f64()))),
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
