//! One execution of a pipe: a batch through its enrichment, where it has one, to its target.

use crate::aim::{Aim, Sender};
use crate::item::Item;
use crate::limits::AT_ONCE;
use crate::live::Live;
use crate::signals::Metric;
use crate::trail::{Said, Step, Trail};
use bytes::Bytes;
use consume::{Answer, Wanted};
use delivery::{Verdict, code};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use wire::common;

/// A batch.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) items: &'a [Item],
    /// What the source calls each.
    pub(crate) ids: &'a [String],
    /// Whether an event that is not accepted holds up those behind it.
    pub(crate) in_order: bool,
}

/// What an execution came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// All events are dealt with but these.
    Through(Vec<String>),
    /// The same, where these wait for the first of them, which was not reached or has no room.
    Stuck(Vec<String>),
    /// The enrichment or the target, as configured, failed: all did.
    Failed,
    /// They were not reached, or have no room: what AWS calls an internal error.
    Unreached,
}

/// What a stage left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    /// The ids of the events that failed.
    failed: Vec<String>,
    /// Whether nobody is to blame for that.
    stuck: bool,
}

/// A stage that did not come to its end.
struct Broken(Verdict);

impl Live {
    /// Carries a batch once. The verdict is that of what failed, where something did.
    pub(crate) async fn carry(&self, batch: Batch<'_>) -> (Ran, Verdict) {
        if let Some(verdict) = self.dismissed() {
            return (Ran::Unreached, verdict);
        }
        let clock = &self.pipes.world.clock;
        let begun = clock.monotonic();
        self.signals.record(Metric::Invocations, 1);
        self.signals.record(Metric::EventCount, batch.items.len() as u64);
        self.signals.record(Metric::EventSize, batch.items.iter().map(|item| item.text.len() as u64).sum());
        self.pipes.enter();
        let mut trail = Trail::new(self.pipe.log.as_ref(), &self.arn, || self.pipes.world.uuid());
        let payload = Said { payload: Some(batch.items), ..Said::default() };
        trail.step(Step::ExecutionStarted, self.now(), payload);
        let (ran, verdict) = match self.stages(batch, &mut trail).await {
            Ok(Left { failed, stuck: true }) => (Ran::Stuck(failed), Verdict::Accepted(Bytes::new())),
            Ok(Left { failed, .. }) => (Ran::Through(failed), Verdict::Accepted(Bytes::new())),
            Err(Broken(verdict)) => (if is_internal(&verdict) { Ran::Unreached } else { Ran::Failed }, verdict),
        };
        self.signals.took(Metric::Duration, clock.monotonic().saturating_sub(begun));
        self.pipes.leave();
        trail.step(outcome(&ran, &verdict), self.now(), payload);
        self.log(trail).await;
        self.tell(&ran, &verdict);
        (ran, verdict)
    }

    async fn stages(&self, batch: Batch<'_>, trail: &mut Trail<'_>) -> Result<Left, Broken> {
        let Some(enrichment) = &self.enrichment else {
            return self.reach(batch.items, Some(batch.ids), batch, trail).await;
        };
        let enriched = self.enrich(enrichment, batch, trail).await?;
        if enriched.is_empty() {
            self.signals.record(Metric::TargetStageSkipped, 1);
            trail.step(Step::TargetStageSkipped, self.now(), Said::default());
            return Ok(Left::default());
        }
        self.reach(&enriched, None, batch, trail).await
    }

    async fn enrich(&self, aim: &Aim, batch: Batch<'_>, trail: &mut Trail<'_>) -> Result<Vec<Item>, Broken> {
        let elapsed = self.stopwatch();
        let payload = Said { payload: Some(batch.items), ..Said::default() };
        trail.step(Step::EnrichmentStageEntered, self.now(), payload);
        let verdict = self.hand_over(aim, batch.items, true, Step::EnrichmentInvocationStarted, trail).await;
        let verdict = verdict.into_iter().next();
        self.signals.took(Metric::EnrichmentStageDuration, elapsed());
        let verdict = match verdict {
            Some(Verdict::Accepted(body)) => match Item::answered(&body) {
                Ok(items) => {
                    let said = Said { response: Some(&body), ..Said::default() };
                    trail.step(Step::EnrichmentInvocationSucceeded, self.now(), said);
                    trail.step(Step::EnrichmentStageExited, self.now(), said);
                    return Ok(items);
                }
                Err(error) => Verdict::refused("InvalidAnswer", error.to_string()),
            },
            Some(failed) => failed,
            None => return Ok(Vec::new()),
        };
        self.signals.record(Metric::EnrichmentStageFailed, 1);
        let failed = Said { failed: Some((&verdict, aim.to())), ..payload };
        trail.step(Step::EnrichmentInvocationFailed, self.now(), failed);
        Err(Broken(verdict))
    }

    /// Hands events to the target. `ids` are those of the batch's events, where these are the same ones.
    async fn reach(
        &self,
        items: &[Item],
        ids: Option<&[String]>,
        batch: Batch<'_>,
        trail: &mut Trail<'_>,
    ) -> Result<Left, Broken> {
        let aim = &self.target;
        let payload = Said { payload: Some(items), ..Said::default() };
        trail.step(Step::TargetStageEntered, self.now(), payload);
        if items.len() > aim.most() {
            self.signals.record(Metric::TargetStageFailed, 1);
            let why = format!("the enrichment answered with {} events, the target takes {}", items.len(), aim.most());
            let verdict = Verdict::refused("BatchTooLarge", why);
            let failed = Said { failed: Some((&verdict, aim.to())), ..payload };
            trail.step(Step::TargetStageFailed, self.now(), failed);
            return Err(Broken(verdict));
        }
        let elapsed = self.stopwatch();
        let verdicts = self.hand_over(aim, items, batch.in_order, Step::TargetInvocationStarted, trail).await;
        self.signals.took(Metric::TargetStageDuration, elapsed());
        let outcome = match verdicts.as_slice() {
            [Verdict::Accepted(answer)] if aim.reports() => {
                reported(answer).map(|failed| Left { failed, stuck: false }).map_err(Broken)
            }
            _ => accepted(items, ids, &verdicts, batch.in_order),
        };
        let outcome = outcome.and_then(|left| match are_of(&left.failed, batch.ids) {
            true => Ok(left),
            // What names no event of the batch says nothing about the others.
            false => Err(Broken(Verdict::refused("InvalidAnswer", "a failed item is none of the batch"))),
        });
        self.reached(&outcome, payload, trail);
        outcome
    }

    /// Tells how the target's stage came out.
    fn reached(&self, outcome: &Result<Left, Broken>, payload: Said<'_>, trail: &mut Trail<'_>) {
        let (steps, said) = match outcome {
            Ok(left) if left.failed.is_empty() => {
                ([Step::TargetInvocationSucceeded, Step::TargetStageSucceeded], Said::default())
            }
            Ok(_) => {
                self.signals.record(Metric::TargetStagePartiallyFailed, 1);
                ([Step::TargetInvocationPartiallyFailed, Step::TargetStagePartiallyFailed], payload)
            }
            Err(Broken(verdict)) => {
                self.signals.record(Metric::TargetStageFailed, 1);
                let failed = Said { failed: Some((verdict, self.target.to())), ..payload };
                ([Step::TargetInvocationFailed, Step::TargetStageFailed], failed)
            }
        };
        for step in steps {
            trail.step(step, self.now(), said);
        }
    }

    /// One verdict for each part of the events, which are made and handed over a few megabytes at a time.
    async fn hand_over(
        &self,
        aim: &Aim,
        items: &[Item],
        in_order: bool,
        step: Step,
        trail: &mut Trail<'_>,
    ) -> Vec<Verdict> {
        let sender = Sender { now: self.pipes.world.now(), ..self.sender() };
        let mut parts = aim.parts(items);
        let (count, mut verdicts) = (parts.len(), Vec::new());
        while verdicts.len() < count {
            let (mut good, mut unfit, mut bytes) = (Vec::new(), Vec::new(), 0);
            for (i, part) in parts.by_ref().enumerate() {
                match aim.sends(&sender, part, self.pipes.world.uuid()) {
                    Ok(envelope) => {
                        trail.step(step, self.now(), Said { request: Some(&envelope.body), ..Said::default() });
                        bytes += envelope.body.len() + envelope.attributes.values().map(String::len).sum::<usize>();
                        good.push(envelope);
                    }
                    Err(error) => {
                        unfit.push((verdicts.len() + i, Verdict::refused("ValidationException", error.to_string())))
                    }
                }
                if bytes >= AT_ONCE || (in_order && !unfit.is_empty()) {
                    break;
                }
            }
            verdicts.extend(self.pipes.delivery.hand_over(&good, in_order).await);
            for (i, verdict) in unfit {
                verdicts.insert(i, verdict);
            }
            if in_order && verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Accepted(_))) {
                break;
            }
        }
        let untried = || Verdict::again(code::NOT_TRIED, "what comes before it was not accepted");
        verdicts.resize_with(count, untried);
        verdicts
    }

    fn stopwatch(&self) -> impl Fn() -> Duration + Send + use<> {
        let clock = self.pipes.world.clock.clone();
        let begun = clock.monotonic();
        move || clock.monotonic().saturating_sub(begun)
    }
}

/// Whether all that failed are of a batch.
fn are_of(failed: &[String], ids: &[String]) -> bool {
    let ids: BTreeSet<&String> = if failed.is_empty() { BTreeSet::new() } else { ids.iter().collect() };
    failed.iter().all(|id| ids.contains(id))
}

/// How an execution ended.
fn outcome(ran: &Ran, verdict: &Verdict) -> Step {
    match ran {
        Ran::Through(failed) if failed.is_empty() => Step::ExecutionSucceeded,
        Ran::Through(_) | Ran::Stuck(_) => Step::ExecutionPartiallyFailed,
        _ if is_throttled(verdict) => Step::ExecutionThrottled,
        _ if matches!(verdict, Verdict::Again { code, .. } if code == code::TIMEOUT) => Step::ExecutionTimeout,
        _ => Step::ExecutionFailed,
    }
}

/// What a function says of its batch. Whatever is no report is success.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html#pipes-partial-batch-failure>
fn reported(answer: &Bytes) -> Result<Vec<String>, Verdict> {
    let reports = serde_json::from_slice::<Value>(answer).is_ok_and(|value| value.get("batchItemFailures").is_some());
    if !reports {
        return Ok(Vec::new());
    }
    let read = Answer::read(answer, Wanted { items: true, state: false });
    read.map(|answer| answer.failed).map_err(|why| Verdict::refused("InvalidAnswer", why))
}

/// The ids of events that were not accepted; that none was, or that an enrichment hid whose they are, fails them all.
fn accepted(items: &[Item], ids: Option<&[String]>, verdicts: &[Verdict], in_order: bool) -> Result<Left, Broken> {
    let failed: Vec<usize> =
        verdicts.iter().enumerate().filter(|(_, v)| !matches!(v, Verdict::Accepted(_))).map(|(i, _)| i).collect();
    let Some(first) = failed.first() else { return Ok(Left::default()) };
    // Where nothing may go on without the first, it is waited for as what it is.
    if failed.len() == verdicts.len() || (in_order && *first == 0) {
        return Err(Broken(verdicts[*first].clone()));
    }
    let named = failed.iter().map(|i| match ids {
        Some(ids) => ids.get(*i).cloned(),
        None => items[*i].id(),
    });
    let named = named.collect::<Option<Vec<String>>>().ok_or_else(|| Broken(verdicts[*first].clone()))?;
    Ok(Left { failed: named, stuck: in_order && is_internal(&verdicts[*first]) })
}

/// Whether a failure is none of the enrichment's or the target's own: such are retried for as long as the source keeps the
/// events, and count as no retry.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-error-troubleshooting.html>
fn is_internal(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) | Verdict::Refused { .. } => false,
        Verdict::Busy { .. } => true,
        Verdict::Again { code, .. } => !matches!(code.as_str(), "FunctionError" | "ERROR_FROM_TARGET" | code::TIMEOUT),
    }
}

/// Whether a target had no room.
pub(crate) fn is_throttled(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Busy { .. } => true,
        Verdict::Again { code, .. } => common::is_throttle(code),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> (Vec<Item>, Vec<String>) {
        let ids: Vec<String> = (0..count).map(|i| format!("m{i}")).collect();
        (ids.iter().map(|id| Item { text: format!("{{\"messageId\":\"{id}\"}}") }).collect(), ids)
    }

    #[test]
    fn what_was_not_accepted_is_named() {
        let (items, ids) = items(3);
        let ok = || Verdict::Accepted(Bytes::new());
        let no = || Verdict::refused("InvalidParameterValue", "no");
        let failed = |ids: Option<&[String]>, verdicts: &[Verdict]| {
            accepted(&items, ids, verdicts, false).map(|left| left.failed).map_err(|Broken(verdict)| verdict)
        };
        assert_eq!(failed(Some(&ids), &[ok(), ok(), ok()]), Ok(vec![]));
        assert_eq!(failed(Some(&ids), &[ok(), no(), ok()]), Ok(vec!["m1".to_owned()]));
        assert_eq!(failed(None, &[ok(), ok(), no()]), Ok(vec!["m2".to_owned()]), "an enriched event that kept its id");
        assert_eq!(failed(Some(&ids), &[no(), no(), no()]), Err(no()));
        let stuck = |verdict: Verdict| accepted(&items, Some(&ids), &[ok(), verdict, no()], true).ok().unwrap().stuck;
        assert!(stuck(Verdict::again("ProvisionedThroughputExceededException", "full")) && !stuck(no()));
        let hidden = [Item { text: "1".into() }, Item { text: "2".into() }];
        assert!(accepted(&hidden, None, &[ok(), no()], false).is_err(), "nobody knows whose it is");
    }

    #[test]
    fn answers_of_functions() {
        let failed = |answer: &str| reported(&Bytes::from(answer.to_owned())).ok();
        for success in ["", "null", "\"done\"", "[1]", "{}", r#"{"batchItemFailures":[]}"#, "no JSON"] {
            assert_eq!(failed(success), Some(vec![]), "{success}");
        }
        assert_eq!(failed(r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#), Some(vec!["a".to_owned()]));
        assert_eq!(failed(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#), None);
    }

    #[test]
    fn whose_fault_it_is() {
        for (verdict, internal, throttled) in [
            (Verdict::refused("AccessDenied", "no"), false, false),
            (Verdict::again("FunctionError", "raised"), false, false),
            (Verdict::again("ERROR_FROM_TARGET", "500"), false, false),
            (Verdict::again("TooManyRequestsException", "busy"), true, true),
            (Verdict::again("CONNECTION_FAILURE", "down"), true, false),
        ] {
            assert_eq!((is_internal(&verdict), is_throttled(&verdict)), (internal, throttled), "{verdict:?}");
        }
    }
}
