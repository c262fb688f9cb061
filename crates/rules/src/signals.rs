//! Metrics by CloudWatch's names: of a rule of the default bus by its name only, of any other by bus and name.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html>

use crate::state::DEFAULT_BUS;
use std::sync::Arc;
use world::{Meter, Series, Signal, Unit};

const fn signal(name: &'static str, dimensions: &'static [&'static str]) -> Signal {
    Signal { namespace: "AWS/Events", name, unit: Unit::Count, dimensions }
}

/// A metric of rules in its two forms.
struct OfRules {
    default: Signal,
    custom: Signal,
}

const fn of_rules(name: &'static str) -> OfRules {
    OfRules { default: signal(name, &["RuleName"]), custom: signal(name, &["EventBusName", "RuleName"]) }
}

static MATCHED: OfRules = of_rules("MatchedEvents");
static TRIGGERED: OfRules = of_rules("TriggeredRules");
static INVOCATIONS: OfRules = of_rules("Invocations");
static FAILED: OfRules = of_rules("FailedInvocations");

/// The metrics of one rule, kept so that matching looks nothing up.
#[derive(Debug)]
pub(crate) struct RuleSeries {
    /// Events that matched its pattern.
    pub(crate) matched: Arc<Series>,
    /// Times it ran, by event or schedule.
    pub(crate) triggered: Arc<Series>,
    /// Envelopes handed to delivery.
    pub(crate) invocations: Arc<Series>,
    /// Targets that could not be sent anything; what fails later is delivery's to count.
    pub(crate) failed: Arc<Series>,
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
        }
    }
}
