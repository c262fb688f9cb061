//! The asked door: LookupEvents.
//! Source: <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>

use crate::Audit;
use crate::entry::Entry;
use crate::history::Query;
use crate::limits::PAGE;
use shapes::cloudtrail::errors::{
    INVALID_LOOKUP_ATTRIBUTES_EXCEPTION, INVALID_NEXT_TOKEN_EXCEPTION, INVALID_TIME_RANGE_EXCEPTION,
};
use shapes::cloudtrail::{Event, LookupEventsOp, LookupEventsRequest, LookupEventsResponse, Resource, SERVICE};
use std::sync::Arc;
use wire::{ApiError, Call, Service};

pub(crate) fn service(audit: &Arc<Audit>) -> Service {
    Service::new(&SERVICE).on::<LookupEventsOp, _, _, _>(audit, lookup_events)
}

async fn lookup_events(
    audit: Arc<Audit>,
    _: Arc<Call>,
    input: LookupEventsRequest,
) -> Result<LookupEventsResponse, ApiError> {
    let query = query(&input)?;
    let before = input.next_token.as_deref().map(|token| decode(token, &query)).transpose()?;
    // The only category that can be named is that of Insights events, and there are none.
    if input.event_category.is_some() {
        return Ok(LookupEventsResponse { events: Some(Vec::new()), next_token: None });
    }
    let max = input.max_results.map_or(PAGE, |max| (max.max(1) as usize).min(PAGE));
    let found = audit.look_back(&query, before, max).await?;
    Ok(LookupEventsResponse {
        next_token: found.rest.map(|index| format!("{index:016x}{:016x}", query.fingerprint())),
        events: Some(found.entries.into_iter().map(shape).collect()),
    })
}

fn query(input: &LookupEventsRequest) -> Result<Query, ApiError> {
    let mut attributes = input.lookup_attributes.iter().flatten();
    let attribute = attributes.next().map(|asked| (asked.attribute_key, asked.attribute_value.clone()));
    if attributes.next().is_some() {
        let why = "You can use only one lookup attribute per request.";
        return Err(INVALID_LOOKUP_ATTRIBUTES_EXCEPTION.because(why));
    }
    let query =
        Query { attribute, start: input.start_time.map(|at| at.secs()), end: input.end_time.map(|at| at.secs()) };
    if query.start.zip(query.end).is_some_and(|(start, end)| start > end) {
        return Err(INVALID_TIME_RANGE_EXCEPTION.because("The start time must not be after the end time."));
    }
    Ok(query)
}

/// A token is the index below which to go on, and the fingerprint of its query.
fn decode(token: &str, query: &Query) -> Result<u64, ApiError> {
    let parts = token.split_at_checked(16).filter(|_| token.len() == 32);
    let parts = parts
        .and_then(|(index, print)| Some((u64::from_str_radix(index, 16).ok()?, u64::from_str_radix(print, 16).ok()?)));
    let index = parts.and_then(|(index, print)| (print == query.fingerprint()).then_some(index));
    let why = "The next token is invalid, or was made for a request with other parameters.";
    index.ok_or_else(|| INVALID_NEXT_TOKEN_EXCEPTION.because(why))
}

fn shape(entry: Entry) -> Event {
    let summary = entry.summary;
    let resource = |(kind, name)| Resource { resource_type: Some(kind), resource_name: Some(name) };
    Event {
        event_id: Some(summary.id),
        event_name: Some(summary.name),
        read_only: Some(summary.read_only.to_string()),
        access_key_id: Some(summary.access_key_id).filter(|key| !key.is_empty()),
        event_time: Some(names::Timestamp(summary.at.secs() * 1_000_000)),
        event_source: Some(summary.source),
        username: Some(summary.user),
        resources: Some(summary.resources.into_iter().map(resource).collect()),
        cloud_trail_event: Some(entry.event),
    }
}
