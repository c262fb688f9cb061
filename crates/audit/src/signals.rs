//! What audit counts.

use world::{Signal, Unit};

/// Calls recorded.
pub(crate) static RECORDED: Signal =
    Signal { namespace: "Headwater", name: "AuditRecords", unit: Unit::Count, dimensions: &["Service"] };
/// Calls whose record could not be made durable.
pub(crate) static LOST: Signal =
    Signal { namespace: "Headwater", name: "AuditRecordsLost", unit: Unit::Count, dimensions: &["Service"] };
/// Calls that the default bus is never told of, because their records are damaged.
pub(crate) static UNREADABLE: Signal =
    Signal { namespace: "Headwater", name: "AuditRecordsUnreadable", unit: Unit::Count, dimensions: &[] };
