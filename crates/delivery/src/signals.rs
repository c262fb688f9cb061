//! The metrics of this crate, named as EventBridge names its own:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html>

use crate::Claim;
use std::sync::Arc;
use world::{Series, Signal, Unit, World};

macro_rules! signal {
    ($id:ident, $name:literal, $unit:ident) => {
        static $id: Signal = Signal { namespace: "Headwater", name: $name, unit: Unit::$unit, dimensions: &["Lane"] };
    };
}

signal!(INVOCATIONS, "Invocations", Count);
signal!(FAILED_INVOCATIONS, "FailedInvocations", Count);
signal!(RETRY_INVOCATION_ATTEMPTS, "RetryInvocationAttempts", Count);
signal!(INVOCATIONS_SENT_TO_DLQ, "InvocationsSentToDlq", Count);
signal!(INVOCATIONS_KEPT, "InvocationsKept", Count);
signal!(INGESTION_TO_START, "IngestionToInvocationStartLatency", Milliseconds);
signal!(INGESTION_TO_ACCEPTED, "IngestionToAccepted", Milliseconds);

/// Dead letters that were dropped because too many were kept.
static DEAD_LETTERS_DROPPED: Signal =
    Signal { namespace: "Headwater", name: "DeadLettersDropped", unit: Unit::Count, dimensions: &[] };

/// Requests, and records of the house, that found the backlog full.
static BACKLOG_REFUSED: Signal =
    Signal { namespace: "Headwater", name: "BacklogRefused", unit: Unit::Count, dimensions: &["Claim"] };

/// A lane's series.
pub(crate) struct LaneSignals {
    /// Tries.
    pub(crate) invocations: Arc<Series>,
    /// Envelopes given up.
    pub(crate) failed: Arc<Series>,
    /// Tries after the first.
    pub(crate) retries: Arc<Series>,
    /// Envelopes sent to their dead-letter target.
    pub(crate) to_dead_letter: Arc<Series>,
    /// Envelopes kept because they had none, or were dead letters themselves.
    pub(crate) kept: Arc<Series>,
    /// From the making of an envelope to its first try.
    pub(crate) start_ms: Arc<Series>,
    /// From the making of an envelope to its acceptance.
    pub(crate) latency_ms: Arc<Series>,
}

impl LaneSignals {
    pub(crate) fn new(world: &World, lane: &str) -> LaneSignals {
        let series = |signal| world.meter.series(signal, &[lane]);
        LaneSignals {
            invocations: series(&INVOCATIONS),
            failed: series(&FAILED_INVOCATIONS),
            retries: series(&RETRY_INVOCATION_ATTEMPTS),
            to_dead_letter: series(&INVOCATIONS_SENT_TO_DLQ),
            kept: series(&INVOCATIONS_KEPT),
            start_ms: series(&INGESTION_TO_START),
            latency_ms: series(&INGESTION_TO_ACCEPTED),
        }
    }
}

/// Counts a try outside the independent lanes.
pub(crate) fn invoked(world: &World, lane: &str) {
    world.meter.record(&INVOCATIONS, &[lane], 1);
}

pub(crate) fn refused(world: &World, claim: Claim) {
    let claim = match claim {
        Claim::Request => "Request",
        Claim::Record => "Record",
    };
    world.meter.record(&BACKLOG_REFUSED, &[claim], 1);
}

pub(crate) fn dropped(world: &World, count: u64) {
    world.meter.record(&DEAD_LETTERS_DROPPED, &[], count);
}
