//! The metrics of pipes, by AWS's names:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-monitoring.html>

use names::Home;
use std::sync::Arc;
use std::time::Duration;
use world::{Series, Signal, Unit, World};

macro_rules! metrics {
    ($($id:ident $name:literal $unit:ident $doc:literal,)*) => {
        /// What is measured of a pipe.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Metric {
            $(#[doc = $doc] $id,)*
        }
        const METRICS: &[&Signal] = &[$(&Signal {
            namespace: "AWS/EventBridge/Pipes",
            name: $name,
            unit: Unit::$unit,
            dimensions: &["PipeName"],
        },)*];
    };
}

metrics! {
    Invocations "Invocations" Count "Executions, each try of a batch being one.",
    Duration "Duration" Milliseconds "How long an execution took.",
    EventCount "EventCount" Count "Events of an execution.",
    EventSize "EventSize" Bytes "Bytes of the events of an execution.",
    ExecutionFailed "ExecutionFailed" Count "Executions that failed.",
    ExecutionPartiallyFailed "ExecutionPartiallyFailed" Count "Executions of which some events failed.",
    ExecutionThrottled "ExecutionThrottled" Count "Executions that an enrichment or a target throttled.",
    ExecutionTimeout "ExecutionTimeout" Count "Executions that got no answer in time.",
    EnrichmentStageDuration "EnrichmentStageDuration" Milliseconds "How long the enrichment took.",
    EnrichmentStageFailed "EnrichmentStageFailed" Count "Enrichments that failed.",
    TargetStageDuration "TargetStageDuration" Milliseconds "How long the target took.",
    TargetStageFailed "TargetStageFailed" Count "Targets that failed.",
    TargetStagePartiallyFailed "TargetStagePartiallyFailed" Count "Targets that took some events only.",
    TargetStageSkipped "TargetStageSkipped" Count "Targets that were not called, as the enrichment left nothing.",
}

/// The number of executions at once.
static CONCURRENCY: Signal = Signal {
    namespace: "AWS/EventBridge/Pipes",
    name: "Concurrency",
    unit: Unit::Count,
    dimensions: &["AwsAccountId"],
};

/// How many executions there are at once, each time one begins.
pub(crate) fn concurrency(world: &World, home: &Home) -> Arc<Series> {
    world.meter.series(&CONCURRENCY, &[home.account.as_str()])
}

/// A pipe's series.
pub(crate) struct Signals(Vec<Arc<Series>>);

impl Signals {
    pub(crate) fn new(world: &World, pipe: &str) -> Signals {
        Signals(METRICS.iter().map(|signal| world.meter.series(signal, &[pipe])).collect())
    }

    pub(crate) fn record(&self, what: Metric, value: u64) {
        if let Some(series) = self.0.get(what as usize) {
            series.record(value);
        }
    }

    pub(crate) fn took(&self, what: Metric, time: Duration) {
        self.record(what, time.as_millis() as u64);
    }
}
