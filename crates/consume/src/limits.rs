//! Every number of this crate.

use std::time::Duration;

/// A checkpoint is made durable at most so long after its batch was dealt with,
pub(crate) const CHECKPOINT_AFTER: Duration = Duration::from_millis(100);
/// or after so many steps.
pub(crate) const CHECKPOINT_AFTER_STEPS: u32 = 1000;
/// The first pause after a fault of the source or the store, and after a handler that was woken and did nothing.
pub(crate) const FAULT_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
pub(crate) const FAULT_PAUSE_CAP: Duration = Duration::from_secs(10);
