//! The metrics of functions, by Lambda's names: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>

use crate::called::Found;
use names::Arn;
use std::sync::Arc;
use world::{Series, Signal, Unit, World};

const NAMESPACE: &str = "AWS/Lambda";

macro_rules! metrics {
    ($($id:ident $name:literal $unit:ident $doc:literal,)*) => {
        /// What is measured of a function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Metric {
            $(#[doc = $doc] $id,)*
        }
        /// By function, and by function and qualifier.
        static SIGNALS: &[(Signal, Signal)] = &[$((
            Signal { namespace: NAMESPACE, name: $name, unit: Unit::$unit, dimensions: &["FunctionName"] },
            Signal { namespace: NAMESPACE, name: $name, unit: Unit::$unit, dimensions: &["FunctionName", "Resource"] },
        ),)*];
    };
}

metrics! {
    Invocations "Invocations" Count "The code was run.",
    Errors "Errors" Count "The code was run and failed.",
    Throttles "Throttles" Count "A limit of concurrency was in the way.",
    Duration "Duration" Milliseconds "How long the code ran.",
    ConcurrentExecutions "ConcurrentExecutions" Count "Invocations at once.",
    AsyncEventsReceived "AsyncEventsReceived" Count "Events taken for asynchronous invocation.",
    AsyncEventAge "AsyncEventAge" Milliseconds "From taking an event to the invocation.",
    AsyncEventsDropped "AsyncEventsDropped" Count "Events given up.",
    DeadLetterErrors "DeadLetterErrors" Count "An event could not be sent to the dead-letter target.",
    DestinationDeliveryFailures "DestinationDeliveryFailures" Count "A record could not be sent to its destination.",
    Provisioned "ProvisionedConcurrencyInvocations" Count "The code was run on provisioned concurrency.",
    Spillover "ProvisionedConcurrencySpilloverInvocations" Count "The code was run beyond what is provisioned.",
    ProvisionedNow "ProvisionedConcurrentExecutions" Count "Provisioned processes at work.",
    Utilization "ProvisionedConcurrencyUtilization" Ratio "The share of the provisioned processes that is at work.",
    LoopsDropped "RecursiveInvocationsDropped" Count "The function invoked itself too often.",
}

/// Functions without a reservation, together.
pub(crate) static UNRESERVED: Signal =
    Signal { namespace: NAMESPACE, name: "UnreservedConcurrentExecutions", unit: Unit::Count, dimensions: &[] };

/// Where the metrics of an invocation go.
pub(crate) struct Meters<'a> {
    world: &'a World,
    name: &'a str,
    resource: Option<String>,
}

impl<'a> Meters<'a> {
    /// Of a function as it was called.
    pub(crate) fn new(world: &'a World, found: &'a Found) -> Meters<'a> {
        let name = found.function.name.as_str();
        let resource = found.qualifier.as_ref().map(|qualifier| format!("{name}:{qualifier}"));
        Meters { world, name, resource }
    }

    /// Of a function by its ARN.
    pub(crate) fn of(world: &'a World, function: &'a Arn) -> Meters<'a> {
        let called = function.resource_after("function:").unwrap_or_default();
        let name = called.split(':').next().unwrap_or_default();
        Meters { world, name, resource: (name != called).then(|| called.to_owned()) }
    }

    pub(crate) fn record(&self, metric: Metric, value: u64) {
        self.series(metric).for_each(|series| series.record(value));
    }

    fn series(&self, metric: Metric) -> impl Iterator<Item = Arc<Series>> {
        let (whole, part) = &SIGNALS[metric as usize];
        let part = self.resource.as_ref().map(|r| self.world.meter.series(part, &[self.name, r]));
        std::iter::once(self.world.meter.series(whole, &[self.name])).chain(part)
    }
}
