//! The metrics of event source mappings, by Lambda's names:
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>

use std::sync::Arc;
use world::{Series, Signal, Unit, World};

const NAMESPACE: &str = "AWS/Lambda";

/// How old the last record of a batch was when the function was through with it.
static ITERATOR_AGE: Signal = Signal {
    namespace: NAMESPACE,
    name: "IteratorAge",
    unit: Unit::Milliseconds,
    dimensions: &["FunctionName", "EventSourceMappingUUID"],
};

macro_rules! counts {
    ($($id:ident $name:literal $doc:literal,)*) => {
        /// What a mapping counts of its events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count {
            $(#[doc = $doc] $id,)*
        }
        const COUNTS: &[&Signal] = &[$(&Signal {
            namespace: NAMESPACE,
            name: $name,
            unit: Unit::Count,
            dimensions: &["EventSourceMappingUUID"],
        },)*];
    };
}

counts! {
    Polled "PolledEventCount" "Read from the source, before any filter.",
    FilteredOut "FilteredOutEventCount" "Not let through by the filters.",
    Invoked "InvokedEventCount" "Handed to the function, each time.",
    FailedInvoke "FailedInvokeEventCount" "Handed to the function, and it failed or was not reached.",
    Dropped "DroppedEventCount" "Given up as too old or failed too often.",
    ToDestination "OnFailureDestinationDeliveredEventCount" "Given up, and the destination was told.",
    Deleted "DeletedEventCount" "Deleted from the queue after success.",
}

/// A mapping's series. Events are counted only where the mapping's `MetricsConfig` asks for it.
pub(crate) struct Signals {
    pub(crate) age_ms: Option<Arc<Series>>,
    counts: Vec<Arc<Series>>,
}

impl Signals {
    pub(crate) fn new(world: &World, mapping: &super::settings::Mapping) -> Signals {
        let uuid = mapping.uuid.as_str();
        let function = mapping.function.split(':').next().unwrap_or_default();
        let is_stream = mapping.kind() == consume::Kind::Stream;
        let age_ms = is_stream.then(|| world.meter.series(&ITERATOR_AGE, &[function, uuid]));
        let counted = COUNTS.iter().filter(|_| mapping.counted);
        Signals { age_ms, counts: counted.map(|signal| world.meter.series(signal, &[uuid])).collect() }
    }

    pub(crate) fn count(&self, what: Count, events: usize) {
        if let Some(series) = self.counts.get(what as usize).filter(|_| events > 0) {
            series.record(events as u64);
        }
    }
}
