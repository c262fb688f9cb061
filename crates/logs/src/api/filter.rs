//! FilterLogEvents: all streams of a group, or some, by a pattern.

use super::{limit, named};
use crate::Logs;
use crate::batch::cutoff;
use crate::error::{bad_token, invalid, no_group, no_stream};
use crate::limits::{LATEST_FIRST_FROM_MS, PAGE_BYTES, PAGE_EVENTS};
use crate::pattern::Pattern;
use crate::scan::Query;
use crate::selection::{Direction, Found, Key, Room};
use crate::state::Group;
use crate::token::{END, event_id, fingerprint, of_filter, read_of_filter};
use shapes::logs::{FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>
/// `interleaved` says nothing any more, at AWS neither; `unmask` has nothing to unmask.
pub(super) async fn filter_log_events(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, ApiError> {
    let group = named(&logs, input.log_group_name.clone(), input.log_group_identifier.clone())?;
    let room = logs.room(&group)?;
    let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default());
    let pattern = pattern.map_err(|unfit| invalid(format!("Invalid filter pattern: {unfit}")))?;
    let usual = if input.start_from_head == Some(false) { Direction::Backward } else { Direction::Forward };
    if usual == Direction::Backward && input.start_time.is_some_and(|start| start < LATEST_FIRST_FROM_MS) {
        return Err(invalid(
            "startFromHead false is supported only with a startTime on or after 2024-01-01T00:00:00Z.",
        ));
    }
    let (streams, days) = logs.catalog.read(|state| {
        let group = state.groups.get(&group).ok_or_else(no_group)?;
        Ok::<_, ApiError>((asked(group, &input)?, group.retention_days))
    })?;
    let print = fingerprint(&format!(
        "{:?} {:?} {:?} {:?} {:?}",
        input.log_stream_names, input.log_stream_name_prefix, input.start_time, input.end_time, input.filter_pattern
    ));
    let token = input.next_token.as_deref().map(|token| read_of_filter(token, room.number, print));
    let token = token.map(|token| token.ok_or_else(bad_token)).transpose()?;
    let start = input.start_time.unwrap_or(0).max(cutoff(logs.world.now().millis(), days));
    let end = input.end_time.map_or(END, |end| end.saturating_add(1).min(END));
    let (mut lo, mut hi) = ((start, 0), (end, 0));
    match token {
        Some((Direction::Forward, at)) => lo = lo.max(at),
        Some((Direction::Backward, at)) => hi = hi.min(at),
        None => {}
    }
    let direction = token.map_or(usual, |(direction, _)| direction);
    let fits = Room { events: limit(input.limit, PAGE_EVENTS), bytes: PAGE_BYTES };
    let page = room.look(&logs.store, &Query { direction, lo, hi, room: fits, streams, pattern }).await?;
    let alive = room.streams();
    let shape = |(key, found): (Key, Found)| FilteredLogEvent {
        log_stream_name: alive.get(&found.stream).map(|live| live.name.to_string()),
        timestamp: Some(key.0),
        message: Some(found.message),
        ingestion_time: Some(found.ingested),
        event_id: Some(event_id(room.number, key)),
    };
    let mut events: Vec<FilteredLogEvent> = page.events.into_iter().map(shape).collect();
    if direction == Direction::Backward {
        events.reverse();
    }
    Ok(FilterLogEventsResponse {
        events: Some(events),
        // AWS gives an empty list since 2020.
        searched_log_streams: Some(Vec::new()),
        next_token: page.rest.map(|at| of_filter(direction, room.number, at, print)),
    })
}

/// The numbers of the streams that are asked for; all where none are.
fn asked(group: &Group, input: &FilterLogEventsRequest) -> Result<Option<BTreeSet<u64>>, ApiError> {
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive; specify only one of them."))
        }
        (Some(names), None) => {
            let number = |name: &String| group.streams.get(name).map(|stream| stream.number).ok_or_else(no_stream);
            names.iter().map(number).collect::<Result<_, _>>().map(Some)
        }
        (None, Some(prefix)) => {
            let fitting = group.streams.iter().filter(|(name, _)| name.starts_with(prefix.as_str()));
            Ok(Some(fitting.map(|(_, stream)| stream.number).collect()))
        }
    }
}
