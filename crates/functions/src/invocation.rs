//! One invocation, whoever asks for it: loops are stopped, and it is measured.

use crate::called::Found;
use crate::functions::Functions;
use crate::lineage::{self, Lineage};
use crate::runtime::{Chunk, Invocation, InvokeError, InvokeOutcome, Teller, UnknownRuntime};
use crate::signals::{Meters, Metric, UNRESERVED};
use crate::{asynchronous, limits};
use names::TraceContext;
use tokio::sync::mpsc;

/// Why a function was not run.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// It invoked itself too often.
    Loop,
    /// Its runtime is none that is served.
    Runtime(UnknownRuntime),
    /// Something else.
    Invoke(InvokeError),
}

impl NotRun {
    /// By Lambda's name of the error.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            NotRun::Loop => asynchronous::code::LOOP,
            NotRun::Runtime(_) | NotRun::Invoke(InvokeError::Runtime(_)) => "InvalidRuntimeException",
            NotRun::Invoke(InvokeError::TooManyRequests(_)) => asynchronous::code::THROTTLED,
            NotRun::Invoke(InvokeError::Credentials(_)) => "AccessDeniedException",
            NotRun::Invoke(_) => "ServiceException",
        }
    }
}

impl std::fmt::Display for NotRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotRun::Loop => f.write_str(
                "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped \
                 your function's invocation",
            ),
            NotRun::Runtime(error) => error.fmt(f),
            NotRun::Invoke(error) => error.fmt(f),
        }
    }
}

impl Functions {
    /// Runs a function once.
    pub(crate) async fn run(&self, found: &Found, invocation: Invocation) -> Result<InvokeOutcome, NotRun> {
        self.run_into(found, invocation, None).await
    }

    /// The same; a response that comes in pieces goes into `sink`, where there is one.
    pub(crate) async fn run_into(
        &self,
        found: &Found,
        mut invocation: Invocation,
        sink: Option<mpsc::Sender<Chunk>>,
    ) -> Result<InvokeOutcome, NotRun> {
        let meters = Meters::new(&self.world, found);
        let Lineage { trace, count } = self.lineage(found, invocation.trace.as_ref());
        if count > limits::LOOP && !self.loops_allowed(found) {
            meters.record(Metric::LoopsDropped, 1);
            tracing::warn!(function = %found.arn, count, "a function that invokes itself again and again was stopped");
            return Err(NotRun::Loop);
        }
        invocation.trace = Some(trace);
        let spec = self.spec(found).map_err(NotRun::Runtime)?;
        meters.record(Metric::ConcurrentExecutions, self.executor().processes_of(&spec.name).1 as u64 + 1);
        if spec.reserved_concurrency.is_none() {
            self.world.meter.record(&UNRESERVED, &[], self.executor().unreserved() as u64 + 1);
        }
        let kept = self.executor().kept(&spec.name, &spec.version);
        if kept.wanted > 0 {
            let busy = kept.started.saturating_sub(kept.free);
            let spills = busy >= kept.wanted;
            meters.record(if spills { Metric::Spillover } else { Metric::Provisioned }, 1);
            let at_work = (busy + 1).min(kept.wanted);
            meters.record(Metric::ProvisionedNow, at_work as u64);
            meters.record(Metric::Utilization, (at_work * 1000 / kept.wanted) as u64);
        }
        match self.executor().invoke(&spec, invocation, sink).await {
            Ok(outcome) => {
                meters.record(Metric::Invocations, 1);
                let failed = outcome.error.as_ref().is_some_and(|error| error.teller != Teller::Midstream);
                meters.record(Metric::Errors, u64::from(failed));
                meters.record(Metric::Duration, outcome.report.duration_ms.round() as u64);
                Ok(outcome)
            }
            Err(error) => {
                if matches!(error, InvokeError::TooManyRequests(_)) {
                    meters.record(Metric::Throttles, 1);
                }
                Err(NotRun::Invoke(error))
            }
        }
    }

    fn loops_allowed(&self, found: &Found) -> bool {
        self.catalog.read(|state| state.family(&found.function.name).is_some_and(|family| family.loops_allowed))
    }

    /// The chain of invocations that one of a function belongs to; a new one where there is none.
    pub(crate) fn lineage(&self, found: &Found, trace: Option<&TraceContext>) -> Lineage {
        let own = self.home.arn("lambda", &format!("function:{}", found.function.name));
        match trace {
            Some(trace) => lineage::extend(trace, &own),
            None => {
                let mut random = [0; 12];
                self.world.entropy.fill(&mut random);
                lineage::extend(&TraceContext::start(self.world.now().secs(), random), &own)
            }
        }
    }
}
