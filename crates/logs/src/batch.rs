//! What PutLogEvents asks of a batch.
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>

use crate::limits::{BATCH_BYTES, EVENT_BYTES, EVENT_OVERHEAD, NEWEST_MS, OLDEST_MS, SPAN_MS, days_ms};
use std::ops::Range;

/// Why a batch is refused as a whole, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("Log events in a single PutLogEvents request must be in chronological order.")]
    Order,
    #[error("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")]
    Span,
    #[error("Upload too large: {0} bytes exceeds limit of {BATCH_BYTES}")]
    Bytes(usize),
    #[error("Log event too large: {0} bytes exceeds limit of {BATCH_BYTES}")]
    Event(usize),
}

/// Which of a batch's events are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Their places.
    pub(crate) events: Range<usize>,
    /// The place past the last one that is too old for CloudWatch Logs.
    pub(crate) too_old: Option<usize>,
    /// The place past the last one that is older than its group's retention.
    pub(crate) expired: Option<usize>,
    /// The place of the first one that is too far in the future.
    pub(crate) too_new: Option<usize>,
}

/// The time stamp, in milliseconds, before which events of a group are no more.
pub(crate) fn cutoff(now_ms: i64, retention_days: Option<i32>) -> i64 {
    retention_days.map_or(i64::MIN, |days| now_ms.saturating_sub(days_ms(days)))
}

/// Checks a batch: of each event its time stamp and the bytes of its message.
pub(crate) fn check(events: &[(i64, usize)], now_ms: i64, retention_days: Option<i32>) -> Result<Taken, Unfit> {
    if let Some((_, bytes)) = events.iter().find(|(_, bytes)| *bytes > EVENT_BYTES) {
        return Err(Unfit::Event(bytes + EVENT_OVERHEAD));
    }
    let bytes = events.iter().map(|(_, bytes)| bytes + EVENT_OVERHEAD).sum();
    if bytes > BATCH_BYTES {
        return Err(Unfit::Bytes(bytes));
    }
    if !events.is_sorted_by_key(|(at, _)| at) {
        return Err(Unfit::Order);
    }
    let before = |limit: i64| events.partition_point(|(at, _)| *at < limit);
    let some = |count: usize| (count > 0).then_some(count);
    let too_old = before(now_ms - OLDEST_MS);
    // Those that are too old anyway are told of as such alone.
    let expired = before(cutoff(now_ms, retention_days));
    let end = before((now_ms + NEWEST_MS).saturating_add(1));
    let start = too_old.max(expired).min(end);
    let taken = &events[start..end];
    if taken.first().zip(taken.last()).is_some_and(|(first, last)| last.0 - first.0 > SPAN_MS) {
        return Err(Unfit::Span);
    }
    Ok(Taken {
        events: start..end,
        too_old: some(too_old),
        expired: some(expired).filter(|expired| *expired > too_old),
        too_new: (end < events.len()).then_some(end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn of(offsets: &[i64]) -> Vec<(i64, usize)> {
        offsets.iter().map(|offset| (NOW + offset, 5)).collect()
    }

    #[test]
    fn what_is_too_old_expired_or_too_new_is_told_and_the_rest_taken() {
        let events = of(&[-400 * HOUR, -337 * HOUR, -30 * HOUR, -HOUR, 0, 2 * HOUR, 2 * HOUR + 1]);
        let taken = check(&events, NOW, Some(1)).unwrap();
        let told = Taken { events: 3..6, too_old: Some(2), expired: Some(3), too_new: Some(6) };
        assert_eq!(taken, told);
        // The span counts between events that are taken.
        assert_eq!(check(&events, NOW, None), Err(Unfit::Span));
        let told = Taken { events: 0..1, too_old: None, expired: None, too_new: None };
        assert_eq!(check(&of(&[-336 * HOUR]), NOW, None), Ok(told));
    }

    #[test]
    fn a_batch_may_be_nothing_but_rejected() {
        let taken = check(&of(&[3 * HOUR, 4 * HOUR]), NOW, None).unwrap();
        assert_eq!((taken.events.len(), taken.too_new), (0, Some(0)));
        let taken = check(&of(&[-9999 * HOUR]), NOW, Some(3653)).unwrap();
        assert_eq!((taken.events.len(), taken.too_old, taken.expired), (0, Some(1), None));
    }

    #[test]
    fn order_and_size_are_asked_of_the_whole() {
        assert_eq!(check(&of(&[1, 0]), NOW, None), Err(Unfit::Order));
        assert!(check(&of(&[0, 0, 0]), NOW, None).is_ok());
        assert!(check(&of(&[0, 24 * HOUR - 23 * HOUR]), NOW, None).is_ok());
        assert!(check(&[(NOW, BATCH_BYTES - 26)], NOW, None).is_ok());
        assert_eq!(check(&[(NOW, BATCH_BYTES - 25)], NOW, None), Err(Unfit::Event(BATCH_BYTES + 1)));
        let halves = [(NOW, BATCH_BYTES / 2 - 26), (NOW, BATCH_BYTES / 2 - 25)];
        assert_eq!(check(&halves, NOW, None), Err(Unfit::Bytes(BATCH_BYTES + 1)));
    }
}
