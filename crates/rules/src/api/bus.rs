//! Buses.

use super::page::page;
use super::tags;
use crate::Rules;
use crate::error::{invalid, no_bus, not_served, too_many};
use crate::limits::BUSES;
use crate::state::{Bus, Change, DEFAULT_BUS};
use shapes::events::{
    CreateEventBusRequest, CreateEventBusResponse, DeleteEventBusRequest, DescribeEventBusRequest,
    DescribeEventBusResponse, EventBus, Level, ListEventBusesRequest, ListEventBusesResponse, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html>
pub(super) async fn create_event_bus(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: CreateEventBusRequest,
) -> Result<CreateEventBusResponse, ApiError> {
    let CreateEventBusRequest { name, description, .. } = &input;
    let unserved = [
        (input.event_source_name.is_some(), "partner event sources"),
        (input.kms_key_identifier.is_some(), "KmsKeyIdentifier of CreateEventBus"),
        (input.dead_letter_config.is_some(), "DeadLetterConfig of CreateEventBus"),
        (
            input.log_config.as_ref().is_some_and(|log| log.level.is_some_and(|level| level != Level::Off)),
            "LogConfig of CreateEventBus",
        ),
    ];
    if let Some((_, what)) = unserved.iter().find(|(given, _)| *given) {
        return Err(not_served(what));
    }
    // A slash is for the buses of partners.
    if name.contains('/') {
        return Err(invalid(format!(
            "Event bus name {name} is not valid. Reason: custom event bus names can't contain '/'."
        )));
    }
    let made = Change::BusMade {
        name: name.clone(),
        at: rules.world.now(),
        description: description.clone(),
        tags: tags::given(input.tags.as_deref().unwrap_or_default())?,
    };
    rules
        .change(|state| {
            if state.buses.contains_key(name) {
                return Err(
                    errors::RESOURCE_ALREADY_EXISTS_EXCEPTION.because(format!("Event bus {name} already exists."))
                );
            }
            if state.buses.len() >= BUSES {
                return Err(too_many());
            }
            Ok((vec![made], ()))
        })
        .await?;
    Ok(CreateEventBusResponse {
        event_bus_arn: Some(arn(&rules, name)),
        description: input.description,
        log_config: input.log_config,
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteEventBus.html>
///
/// Deleting what is not there succeeds.
pub(super) async fn delete_event_bus(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DeleteEventBusRequest,
) -> Result<Nothing, ApiError> {
    let name = input.name;
    if name == DEFAULT_BUS {
        return Err(invalid("Cannot delete event bus default."));
    }
    rules
        .change(|state| match state.buses.get(&name) {
            None => Ok((vec![], Nothing {})),
            Some(bus) if !bus.rules.is_empty() => Err(invalid("EventBus can't be deleted since it has rules.")),
            Some(_) => Ok((vec![Change::BusDeleted { name }], Nothing {})),
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html>
pub(super) async fn describe_event_bus(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DescribeEventBusRequest,
) -> Result<DescribeEventBusResponse, ApiError> {
    let name = rules.bus_of(input.name.as_deref())?;
    rules.catalog.read(|state| {
        let bus = state.buses.get(name).ok_or_else(|| no_bus(name))?;
        Ok(DescribeEventBusResponse {
            name: Some(name.to_owned()),
            arn: Some(arn(&rules, name)),
            description: bus.description.clone(),
            creation_time: Some(bus.created),
            last_modified_time: Some(bus.modified),
            ..Default::default()
        })
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListEventBuses.html>
pub(super) async fn list_event_buses(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListEventBusesRequest,
) -> Result<ListEventBusesResponse, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let shown = |name: &str, bus: &Bus| {
        name.starts_with(prefix).then(|| EventBus {
            name: Some(name.to_owned()),
            arn: Some(arn(&rules, name)),
            description: bus.description.clone(),
            creation_time: Some(bus.created),
            last_modified_time: Some(bus.modified),
            ..Default::default()
        })
    };
    rules.catalog.read(|state| {
        let (buses, next_token) = page(&state.buses, input.next_token.as_deref(), input.limit, shown);
        Ok(ListEventBusesResponse { event_buses: Some(buses), next_token })
    })
}

fn arn(rules: &Rules, name: &str) -> String {
    rules.home.arn("events", &format!("event-bus/{name}")).to_string()
}
