//! What audit counts.

use world::{Signal, Unit};

/// Calls recorded.
pub(crate) static RECORDED: Signal =
    Signal { namespace: "Headwater", name: "AuditRecords", unit: Unit::Count, dimensions: &["Service"] };
/// Calls whose record could not be made durable.
pub(crate) static LOST: Signal =
    Signal { namespace: "Headwater", name: "AuditRecordsLost", unit: Unit::Count, dimensions: &["Service"] };
