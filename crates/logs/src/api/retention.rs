//! How long a group keeps its events.

use super::groups::change;
use crate::Logs;
use crate::error::invalid;
use crate::limits::RETENTION_DAYS;
use crate::state::Change;
use shapes::logs::{DeleteRetentionPolicyRequest, PutRetentionPolicyRequest};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
/// Older events are seen by nobody from now on; AWS takes up to 72 hours for that.
pub(super) async fn put_retention_policy(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: PutRetentionPolicyRequest,
) -> Result<Nothing, ApiError> {
    let days = input.retention_in_days;
    if !RETENTION_DAYS.contains(&days) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must \
             satisfy enum value set: {RETENTION_DAYS:?}"
        )));
    }
    change(&logs, input.log_group_name, |name| Change::Retained { name, days: Some(days) }).await
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteRetentionPolicy.html>
pub(super) async fn delete_retention_policy(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DeleteRetentionPolicyRequest,
) -> Result<Nothing, ApiError> {
    change(&logs, input.log_group_name, |name| Change::Retained { name, days: None }).await
}
