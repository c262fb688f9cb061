//! GetLogEvents: one stream, forward or backward.

use super::{limit, named};
use crate::Logs;
use crate::batch::cutoff;
use crate::error::{bad_token, no_group, no_stream};
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::pattern::Pattern;
use crate::scan::Query;
use crate::selection::{Direction, Room};
use crate::token::{END, of_stream, read_of_stream};
use shapes::logs::{GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>
/// At the end of the stream the token that was given comes back.
pub(super) async fn get_log_events(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, ApiError> {
    let group = named(&logs, input.log_group_name, input.log_group_identifier)?;
    let room = logs.room(&group)?;
    let (stream, days) = logs.catalog.read(|state| {
        let group = state.groups.get(&group).ok_or_else(no_group)?;
        let stream = group.streams.get(&input.log_stream_name).ok_or_else(no_stream)?;
        Ok::<_, ApiError>((stream.number, group.retention_days))
    })?;
    let start = input.start_time.unwrap_or(0).max(cutoff(logs.world.now().millis(), days));
    let (mut lo, mut hi) = ((start, 0), (input.end_time.unwrap_or(END).min(END), 0));
    let token = input.next_token.as_deref().map(|token| read_of_stream(token, room.number));
    let token = token.map(|token| token.ok_or_else(bad_token)).transpose()?;
    let usual = if input.start_from_head == Some(true) { Direction::Forward } else { Direction::Backward };
    let direction = token.map_or(usual, |(direction, _)| direction);
    match token {
        Some((Direction::Forward, at)) => lo = lo.max(at),
        Some((Direction::Backward, at)) => hi = hi.min(at),
        None => {}
    }
    let query = Query {
        direction,
        lo,
        hi,
        room: Room { events: limit(input.limit, PAGE_EVENTS), bytes: PAGE_BYTES },
        streams: Some([stream].into()),
        pattern: Pattern::All,
    };
    let page = room.look(&logs.store, &query).await?;
    // Where the page ends on either side; one without events is where its token was, or where reading got to.
    let stood = token.map_or(lo, |(_, at)| at);
    let before = page.events.first().map(|(key, _)| *key);
    let after = page.events.last().map(|((at, index), _)| (*at, index.saturating_add(1)));
    let (forward, backward) = match direction {
        Direction::Forward => (page.rest.or(after), before),
        Direction::Backward => (after, page.rest.or(before)),
    };
    let events = page.events.into_iter().map(|((at, _), found)| OutputLogEvent {
        timestamp: Some(at),
        message: Some(found.message),
        ingestion_time: Some(found.ingested),
    });
    Ok(GetLogEventsResponse {
        events: Some(events.collect()),
        next_forward_token: Some(of_stream(Direction::Forward, room.number, forward.unwrap_or(stood))),
        next_backward_token: Some(of_stream(Direction::Backward, room.number, backward.unwrap_or(stood))),
    })
}
