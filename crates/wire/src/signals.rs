//! What wire measures.

use world::{Signal, Unit};

/// How long calls took, from the whole request to the whole answer, in microseconds; and so also how many there were.
pub(crate) static CALL_MICROS: Signal = Signal {
    namespace: "Headwater",
    name: "CallMicroseconds",
    unit: Unit::Count,
    dimensions: &["Service", "Operation"],
};

/// Calls that were answered with an error.
pub(crate) static CALL_ERRORS: Signal =
    Signal { namespace: "Headwater", name: "CallErrors", unit: Unit::Count, dimensions: &["Service", "Operation"] };
