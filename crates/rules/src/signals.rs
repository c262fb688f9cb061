//! Metrics by CloudWatch's names: of a rule of the default bus by its name only, of any other by bus and name.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html>

use crate::state::DEFAULT_BUS;
use delivery::{Envelope, Settled, attribute};
use names::Timestamp;
use std::sync::Arc;
use world::{Meter, Series, Signal, Unit};

const fn signal(name: &'static str, unit: Unit, dimensions: &'static [&'static str]) -> Signal {
    Signal { namespace: "AWS/Events", name, unit, dimensions }
}

/// A metric of rules in its two forms.
struct OfRules {
    default: Signal,
    custom: Signal,
}

const fn of_rules(name: &'static str, unit: Unit) -> OfRules {
    OfRules { default: signal(name, unit, &["RuleName"]), custom: signal(name, unit, &["EventBusName", "RuleName"]) }
}

static MATCHED: OfRules = of_rules("MatchedEvents", Unit::Count);
static TRIGGERED: OfRules = of_rules("TriggeredRules", Unit::Count);
static INVOCATIONS: OfRules = of_rules("Invocations", Unit::Count);
static FAILED: OfRules = of_rules("FailedInvocations", Unit::Count);
static THROTTLED: OfRules = of_rules("ThrottledRules", Unit::Count);
static RETRIES: OfRules = of_rules("RetryInvocationAttempts", Unit::Count);
static TO_DEAD_LETTER: OfRules = of_rules("InvocationsSentToDlq", Unit::Count);
static NOT_TO_DEAD_LETTER: OfRules = of_rules("InvocationsFailedToBeSentToDlq", Unit::Count);
static START: OfRules = of_rules("IngestionToInvocationStartLatency", Unit::Milliseconds);
static SUCCESS: OfRules = of_rules("IngestionToInvocationSuccessLatency", Unit::Milliseconds);

static CALLS: Signal = signal("PutEventsApproximateCallCount", Unit::Count, &[]);
static CALLS_DONE: Signal = signal("PutEventsApproximateSuccessCount", Unit::Count, &[]);
static CALLS_FAILED: Signal = signal("PutEventsApproximateFailedCount", Unit::Count, &[]);
static ENTRIES: Signal = signal("PutEventsEntriesCount", Unit::Count, &[]);
static ENTRIES_FAILED: Signal = signal("PutEventsFailedEntriesCount", Unit::Count, &[]);
static LATENCY: Signal = signal("PutEventsLatency", Unit::Milliseconds, &[]);
static SIZE: Signal = signal("PutEventsRequestSize", Unit::Bytes, &[]);

/// The metrics of `PutEvents`.
#[derive(Debug)]
pub(crate) struct PutSeries {
    pub(crate) calls: Arc<Series>,
    pub(crate) done: Arc<Series>,
    pub(crate) failed: Arc<Series>,
    pub(crate) entries: Arc<Series>,
    pub(crate) entries_failed: Arc<Series>,
    pub(crate) latency_ms: Arc<Series>,
    pub(crate) bytes: Arc<Series>,
}

impl PutSeries {
    pub(crate) fn new(meter: &Meter) -> PutSeries {
        let series = |signal| meter.series(signal, &[]);
        PutSeries {
            calls: series(&CALLS),
            done: series(&CALLS_DONE),
            failed: series(&CALLS_FAILED),
            entries: series(&ENTRIES),
            entries_failed: series(&ENTRIES_FAILED),
            latency_ms: series(&LATENCY),
            bytes: series(&SIZE),
        }
    }
}

/// The metrics of one rule, kept so that matching looks nothing up.
#[derive(Debug)]
pub(crate) struct RuleSeries {
    /// Events that matched its pattern.
    pub(crate) matched: Arc<Series>,
    /// Times it ran, by event or schedule.
    pub(crate) triggered: Arc<Series>,
    /// Invocations of its targets that ended, well or not.
    pub(crate) invocations: Arc<Series>,
    /// Those that were given up, and what could not even begin.
    pub(crate) failed: Arc<Series>,
    /// Invocations that were delayed, for there were too many.
    pub(crate) throttled: Arc<Series>,
    /// Tries after the first.
    pub(crate) retries: Arc<Series>,
    /// What was given up and sent to a dead-letter queue.
    pub(crate) to_dead_letter: Arc<Series>,
    /// What could not be sent there.
    pub(crate) not_to_dead_letter: Arc<Series>,
    /// From an event's coming to its being sent to a target for the first time.
    pub(crate) start_ms: Arc<Series>,
    /// From an event's coming to its target's having it.
    pub(crate) success_ms: Arc<Series>,
}

impl RuleSeries {
    pub(crate) fn new(meter: &Meter, bus: &str, rule: &str) -> RuleSeries {
        let series = |signal: &'static OfRules| match bus {
            DEFAULT_BUS => meter.series(&signal.default, &[rule]),
            _ => meter.series(&signal.custom, &[bus, rule]),
        };
        RuleSeries {
            matched: series(&MATCHED),
            triggered: series(&TRIGGERED),
            invocations: series(&INVOCATIONS),
            failed: series(&FAILED),
            throttled: series(&THROTTLED),
            retries: series(&RETRIES),
            to_dead_letter: series(&TO_DEAD_LETTER),
            not_to_dead_letter: series(&NOT_TO_DEAD_LETTER),
            start_ms: series(&START),
            success_ms: series(&SUCCESS),
        }
    }

    /// Counts an envelope's first try.
    pub(crate) fn started(&self, envelope: &Envelope, now: Timestamp) {
        if !envelope.attributes.contains_key(attribute::LETTER) {
            self.start_ms.record(now.since(envelope.created).as_millis() as u64);
        }
    }

    /// Counts what became of an envelope that the rule sent. A letter is one of a rule that was given up before.
    pub(crate) fn settled(&self, envelope: &Envelope, settled: &Settled<'_>, now: Timestamp) {
        if envelope.attributes.contains_key(attribute::LETTER) {
            match settled {
                Settled::Accepted { .. } => self.to_dead_letter.record(1),
                Settled::GivenUp(_) => self.not_to_dead_letter.record(1),
            }
            return;
        }
        self.invocations.record(1);
        let tries = match settled {
            Settled::Accepted { tries, .. } => {
                self.success_ms.record(now.since(envelope.created).as_millis() as u64);
                *tries
            }
            Settled::GivenUp(failure) => {
                self.failed.record(1);
                failure.tries
            }
        };
        if tries > 1 {
            self.retries.record(u64::from(tries - 1));
        }
    }
}
