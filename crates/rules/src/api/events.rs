//! Events, and trying a pattern on one.

use super::rule::compile;
use crate::Rules;
use crate::entry::{self, EntryError};
use crate::error::{invalid, not_served};
use crate::limits::ENTRIES_BYTES;
use crate::route::Incoming;
use crate::table::Table;
use bytes::Bytes;
use delivery::{Claim, Envelope};
use names::TraceContext;
use patterns::Event;
use serde_json::{Map, Value};
use shapes::events::{
    PutEventsRequest, PutEventsRequestEntry, PutEventsResponse, PutEventsResultEntry, TestEventPatternRequest,
    TestEventPatternResponse, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
///
/// All that the entries lead to becomes durable at once, before the answer. As with AWS, an entry for a bus that does not
/// exist gets an id, and is matched by no rule.
pub(super) async fn put_events(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: PutEventsRequest,
) -> Result<PutEventsResponse, ApiError> {
    let (begun, size) = (rules.world.clock.monotonic(), input.entries.iter().map(entry::counted).sum::<usize>());
    let answer = put(&rules, &call, &input, size).await;
    let puts = &rules.puts;
    puts.calls.record(1);
    puts.bytes.record(size as u64);
    puts.latency_ms.record(rules.world.clock.monotonic().saturating_sub(begun).as_millis() as u64);
    match &answer {
        Ok(answer) => {
            puts.done.record(1);
            puts.entries.record(input.entries.len() as u64);
            match answer.failed_entry_count {
                Some(failed) if failed > 0 => puts.entries_failed.record(failed as u64),
                _ => {}
            }
        }
        Err(_) => puts.failed.record(1),
    }
    answer
}

async fn put(rules: &Rules, call: &Call, input: &PutEventsRequest, size: usize) -> Result<PutEventsResponse, ApiError> {
    if input.endpoint_id.is_some() {
        return Err(not_served("EndpointId of PutEvents"));
    }
    if size > ENTRIES_BYTES {
        return Err(invalid("Total size of the entries in the request is over the limit."));
    }
    let now = rules.world.clock.monotonic();
    if rules.throttle.as_ref().is_some_and(|throttle| !throttle.may_put(now)) {
        return Err(errors::THROTTLING_EXCEPTION.because("Rate exceeded"));
    }
    let table = rules.table();
    let mut envelopes = Vec::new();
    let mut results = Vec::with_capacity(input.entries.len());
    let mut failed = 0;
    for entry in &input.entries {
        results.push(match accept(rules, &table, call, entry, &mut envelopes) {
            Ok(id) => PutEventsResultEntry { event_id: Some(id), ..Default::default() },
            Err(error) => {
                failed += 1;
                PutEventsResultEntry {
                    error_code: Some(error.code().to_owned()),
                    error_message: Some(error.to_string()),
                    ..Default::default()
                }
            }
        });
    }
    rules.delivery.send(envelopes).await?;
    Ok(PutEventsResponse { failed_entry_count: Some(failed), entries: Some(results) })
}

/// Adds what an entry leads to, and gives its event's id.
fn accept(
    rules: &Rules,
    table: &Table,
    call: &Call,
    entry: &PutEventsRequestEntry,
    envelopes: &mut Vec<Envelope>,
) -> Result<String, EntryError> {
    let (id, now) = (rules.world.uuid(), rules.world.now());
    let body = Bytes::from(entry::event(&rules.home, entry, &id, now)?);
    let bus = entry.event_bus_name.as_deref().filter(|name| !name.is_empty());
    let bus = rules.bus_named(bus).ok_or_else(|| EntryError::ForeignBus(bus.unwrap_or_default().to_owned()))?;
    admit(rules, table, call, bus, entry)?;
    let before = envelopes.len();
    let trace = entry.trace_header.as_deref().and_then(TraceContext::from_header).or_else(|| call.trace.clone());
    let incoming = Incoming { id, body, ingested: now, now, read_only: false, forwarded: false, only: None, trace };
    rules.route(table, bus, &incoming, envelopes).map_err(|error| {
        tracing::debug!(%error, "an entry's detail cannot be read");
        EntryError::Detail
    })?;
    if envelopes.len() > before {
        rules.delivery.admit(Claim::Request).inspect_err(|_| envelopes.truncate(before))?;
    }
    Ok(incoming.id)
}

/// Whether the bus's policy lets the caller in.
fn admit(
    rules: &Rules,
    table: &Table,
    call: &Call,
    bus: &str,
    entry: &PutEventsRequestEntry,
) -> Result<(), EntryError> {
    let Some(bus) = table.bus(bus) else { return Ok(()) };
    let more = [
        ("events:source", entry.source.as_deref().unwrap_or_default()),
        ("events:detail-type", entry.detail_type.as_deref().unwrap_or_default()),
    ];
    rules.judge(call, bus, bus.arn.as_str(), &more).map_err(EntryError::Denied)
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html>
pub(super) async fn test_event_pattern(
    _rules: Arc<Rules>,
    _call: Arc<Call>,
    input: TestEventPatternRequest,
) -> Result<TestEventPatternResponse, ApiError> {
    let pattern = compile(&input.event_pattern)?;
    let unfit = |why: String| invalid(format!("Parameter Event is not valid. Reason: {why}"));
    let event = Event::parse(&input.event).map_err(|error| unfit(error.to_string()))?;
    let fields: Map<String, Value> = serde_json::from_str(&input.event).map_err(|error| unfit(error.to_string()))?;
    const MANDATORY: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];
    if let Some(absent) = MANDATORY.into_iter().find(|name| !fields.contains_key(*name)) {
        return Err(unfit(format!("{absent} is a required field of an event.")));
    }
    Ok(TestEventPatternResponse { result: Some(pattern.matches(&event)) })
}
