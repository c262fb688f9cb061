//! Every number of this crate.

use std::time::Duration;

/// A checkpoint is made durable at most so long after its chunk was dealt with,
pub(crate) const CHECKPOINT_AFTER: Duration = Duration::from_millis(100);
/// or after so many chunks.
pub(crate) const CHECKPOINT_AFTER_CHUNKS: u32 = 1000;
/// The first pause after a fault of the source or the store.
pub(crate) const FAULT_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
pub(crate) const FAULT_PAUSE_CAP: Duration = Duration::from_secs(10);
