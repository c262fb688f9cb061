//! What a running pipe has at hand, whatever it reads.

use crate::aim::{Aim, AimError, Sender, logged};
use crate::carry::{Ran, is_throttled};
use crate::limits::{REASON_CHARS, RETRY_CAP, RETRY_FIRST};
use crate::pipes::Pipes;
use crate::running::Running;
use crate::settings::Pipe;
use crate::signals::{Metric, Signals};
use crate::template::Facts;
use crate::trail::Trail;
use bytes::Bytes;
use consume::{Cease, Filters, InvalidFilter};
use delivery::{Backoff, Claim, Envelope, RetryPolicy, Verdict, attribute, code};
use names::{Arn, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A pipe, compiled, and what is told of it.
pub(crate) struct Live {
    pub(crate) pipes: Arc<Pipes>,
    pub(crate) pipe: Pipe,
    pub(crate) arn: Arn,
    pub(crate) filters: Filters,
    pub(crate) enrichment: Option<Aim>,
    pub(crate) target: Aim,
    pub(crate) signals: Signals,
    pub(crate) cease: Cease,
    facts: Facts,
    running: Arc<Running>,
}

/// Why a pipe cannot run: it was checked when it was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    #[error(transparent)]
    Aim(#[from] AimError),
}

impl Live {
    pub(crate) fn new(
        pipes: &Arc<Pipes>,
        pipe: &Pipe,
        running: &Arc<Running>,
        cease: Cease,
    ) -> Result<Arc<Live>, Unfit> {
        let arn = pipes.arn(&pipe.name);
        Ok(Arc::new(Live {
            filters: Filters::compile(&pipe.filters, pipe.kind())?,
            enrichment: pipe.enrichment.as_ref().map(Aim::enrichment).transpose()?,
            target: Aim::target(&pipe.target)?,
            signals: Signals::new(&pipes.world, &pipe.name),
            facts: Facts {
                pipe_arn: arn.to_string(),
                pipe_name: pipe.name.clone(),
                source_arn: pipe.source.to_string(),
                enrichment_arn: pipe.enrichment.as_ref().map(|e| e.arn.to_string()).unwrap_or_default(),
                target_arn: pipe.target.arn.to_string(),
            },
            arn,
            pipes: pipes.clone(),
            pipe: pipe.clone(),
            cease,
            running: running.clone(),
        }))
    }

    /// Ends the reading where the role is gone: a batch that nobody may carry is no execution, and costs its source no try.
    pub(crate) fn dismissed(&self) -> Option<Verdict> {
        let why = self.pipes.assume(&self.pipe.name, &self.pipe.role).err()?;
        self.running.nudge();
        Some(Verdict::again("AccessDenied", why))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.pipes.world.now()
    }

    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender { facts: &self.facts, pipe: &self.arn, role: &self.pipe.role, now: self.now() }
    }

    /// The stage that gets events first: the enrichment, where there is one.
    pub(crate) fn first(&self) -> &Aim {
        self.enrichment.as_ref().unwrap_or(&self.target)
    }

    /// How long and how often a batch is tried: until whoever reads the source has enough, or `max_age` after `created`.
    pub(crate) fn course(&self, created: Timestamp, max_age: Duration) -> Envelope {
        let backoff = Backoff { first: RETRY_FIRST, factor: 2.0, cap: RETRY_CAP, jitter: true, steps: Vec::new() };
        Envelope {
            id: self.pipe.name.clone(),
            to: self.pipe.target.arn.clone(),
            body: Bytes::new(),
            attributes: BTreeMap::new(),
            from: Some(self.arn.clone()),
            principal: crate::aim::PRINCIPAL.to_owned(),
            role: Some(self.pipe.role.clone()),
            policy: RetryPolicy { max_attempts: u32::MAX, max_age, backoff },
            dead_letter: None,
            trace: None,
            not_before: None,
            created,
        }
    }

    /// A message for the dead-letter target.
    pub(crate) fn letter(&self, to: &Arn, body: String) -> Envelope {
        let course = self.course(self.now(), Duration::ZERO);
        let id = self.pipes.world.uuid();
        Envelope { id, to: to.clone(), body: body.into(), policy: RetryPolicy::default(), ..course }
    }

    /// Leaves what an execution did in the pipe's log group.
    pub(crate) async fn log(&self, trail: Trail<'_>) {
        let Some(log) = &self.pipe.log else { return };
        let envelopes = trail.records().into_iter().map(|record| {
            let mut envelope = self.letter(&log.group, logged(record.at.millis(), &record.text));
            // Records of one millisecond stay in their order.
            envelope.attributes.insert(attribute::ORDER.to_owned(), self.arn.to_string());
            envelope
        });
        let envelopes: Vec<Envelope> = envelopes.collect();
        if envelopes.is_empty() {
            return;
        }
        if let Err(full) = self.pipes.delivery.admit(Claim::Record) {
            tracing::warn!(%full, pipe = self.pipe.name, "a pipe's log lost the records of an execution");
            return;
        }
        if let Err(error) = self.pipes.delivery.send(envelopes).await {
            tracing::warn!(%error, pipe = self.pipe.name, "a pipe's log lost the records of an execution");
        }
    }

    /// Tells of an execution.
    pub(crate) fn tell(&self, ran: &Ran, verdict: &Verdict) {
        let partly = matches!(ran, Ran::Through(failed) | Ran::Stuck(failed) if !failed.is_empty());
        let failed = matches!(ran, Ran::Failed | Ran::Unreached);
        for (holds, metric) in [
            (partly, Metric::ExecutionPartiallyFailed),
            (failed, Metric::ExecutionFailed),
            (is_throttled(verdict), Metric::ExecutionThrottled),
            (matches!(verdict, Verdict::Again { code, .. } if code == code::TIMEOUT), Metric::ExecutionTimeout),
        ] {
            if holds {
                self.signals.record(metric, 1);
            }
        }
        let reason = match verdict {
            Verdict::Accepted(_) => None,
            Verdict::Again { code, why, .. } | Verdict::Busy { code, why, .. } | Verdict::Refused { code, why } => {
                Some(format!("{code}: {why}").chars().take(REASON_CHARS).collect::<String>())
            }
        };
        let mut seen = self.running.seen();
        if seen.failing != reason {
            tracing::info!(
                pipe = self.pipe.name,
                reason = reason.as_deref().unwrap_or("none"),
                "a pipe's failure changed"
            );
            seen.failing = reason;
        }
        seen.executions += 1;
        seen.failures += u64::from(failed || partly);
    }
}
