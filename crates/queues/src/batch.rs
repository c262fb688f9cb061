//! The rules that all batch operations share.
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use crate::error::{BATCH_ENTRY_IDS_NOT_DISTINCT, EMPTY_BATCH_REQUEST, INVALID_BATCH_ENTRY_ID, TOO_MANY_ENTRIES};
use crate::limits::{BATCH_ENTRIES, BATCH_ID_LENGTH};
use shapes::sqs::BatchResultErrorEntry;
use std::collections::BTreeSet;
use wire::{ApiError, Fault};

/// Refuses a batch that SQS refuses whole.
pub(crate) fn check<'a>(kind: &str, ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), ApiError> {
    if ids.len() == 0 {
        return Err(EMPTY_BATCH_REQUEST.because(format!("There should be at least one {kind} in the request.")));
    }
    if ids.len() > BATCH_ENTRIES {
        let text = format!("Maximum number of entries per request are {BATCH_ENTRIES}. You have sent {}.", ids.len());
        return Err(TOO_MANY_ENTRIES.because(text));
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        let fine = (1..=BATCH_ID_LENGTH).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fine {
            return Err(INVALID_BATCH_ENTRY_ID.because(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(BATCH_ENTRY_IDS_NOT_DISTINCT.because(format!("Id {id} repeated.")));
        }
    }
    Ok(())
}

/// One entry's error.
pub(crate) fn failed(id: String, error: ApiError) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id,
        sender_fault: error.model.fault == Fault::Client,
        code: error.model.code.to_owned(),
        message: Some(error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(ids: &[&str]) -> Option<&'static str> {
        check("Entry", ids.iter().copied()).err().map(|error| error.model.name)
    }

    #[test]
    fn batches_are_checked_whole() {
        assert_eq!(code(&["a", "b-_1"]), None);
        assert_eq!(code(&[]), Some("EmptyBatchRequest"));
        assert_eq!(code(&["a"; 11]), Some("TooManyEntriesInBatchRequest"));
        assert_eq!(code(&["a", "a"]), Some("BatchEntryIdsNotDistinct"));
        assert_eq!(code(&["a.b"]), Some("InvalidBatchEntryId"));
        assert_eq!(code(&["a".repeat(81).as_str()]), Some("InvalidBatchEntryId"));
    }
}
