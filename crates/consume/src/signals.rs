//! The metrics of this crate.

use std::sync::Arc;
use world::{Series, Signal, Unit, World};

/// The age of the last record of each chunk when it was dealt with, as Lambda's metric of that name:
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>
static ITERATOR_AGE: Signal =
    Signal { namespace: "Headwater", name: "IteratorAge", unit: Unit::Milliseconds, dimensions: &["Consumer"] };

/// Records dealt with.
static RECORDS_CONSUMED: Signal =
    Signal { namespace: "Headwater", name: "RecordsConsumed", unit: Unit::Count, dimensions: &["Consumer"] };

/// A consumer's series.
pub(crate) struct WalkSignals {
    pub(crate) age_ms: Arc<Series>,
    pub(crate) records: Arc<Series>,
}

impl WalkSignals {
    pub(crate) fn new(world: &World, consumer: &str) -> WalkSignals {
        WalkSignals {
            age_ms: world.meter.series(&ITERATOR_AGE, &[consumer]),
            records: world.meter.series(&RECORDS_CONSUMED, &[consumer]),
        }
    }
}
