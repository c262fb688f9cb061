//! PutLogEvents.

use crate::Logs;
use crate::batch::check;
use crate::error::{invalid, no_group, no_stream};
use crate::token::event_id;
use shapes::logs::{
    EntityRejectionErrorType, PutLogEventsRequest, PutLogEventsResponse, RejectedEntityInfo, RejectedLogEventsInfo,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>
/// Sequence tokens are taken and say nothing, as at AWS.
pub(super) async fn put_log_events(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, ApiError> {
    let room = logs.room(&input.log_group_name)?;
    let (stream, days) = logs.catalog.read(|state| {
        let group = state.groups.get(&input.log_group_name).ok_or_else(no_group)?;
        let stream = group.streams.get(&input.log_stream_name).ok_or_else(no_stream)?;
        Ok::<_, ApiError>((stream.number, group.retention_days))
    })?;
    let events = input.log_events;
    let sizes: Vec<(i64, usize)> = events.iter().map(|event| (event.timestamp, event.message.len())).collect();
    let now = logs.world.now().millis();
    let taken = check(&sizes, now, days).map_err(|unfit| invalid(unfit.to_string()))?;
    let fit = events[taken.events.clone()].iter();
    logs.append(&room, fit.map(|event| (stream, event.timestamp, event.message.as_str()))).await?;
    let place = |place: Option<usize>| place.and_then(|place| i32::try_from(place).ok());
    let rejected = RejectedLogEventsInfo {
        too_new_log_event_start_index: place(taken.too_new),
        too_old_log_event_end_index: place(taken.too_old),
        expired_log_event_end_index: place(taken.expired),
    };
    // Entities group what belongs to one workload in CloudWatch's pages, which are not served: they are refused by the
    // answer that AWS has for it, and the events are kept.
    let entity =
        input.entity.map(|_| RejectedEntityInfo { error_type: EntityRejectionErrorType::UnsupportedLogGroupType });
    Ok(PutLogEventsResponse {
        next_sequence_token: Some(event_id(room.number, (now, stream))),
        rejected_log_events_info: (taken.events.len() < events.len()).then_some(rejected),
        rejected_entity_info: entity,
    })
}
