//! Buses.

use super::tags;
use crate::Rules;
use crate::error::{bad_token, invalid, no_bus, not_an_arn, not_served, too_many};
use crate::limits::{BUSES, PAGE};
use crate::policy::About;
use crate::state::{Bus, Change, DEFAULT_BUS};
use names::Arn;
use shapes::events::{
    CreateEventBusRequest, CreateEventBusResponse, DeadLetterConfig, DeleteEventBusRequest, DescribeEventBusRequest,
    DescribeEventBusResponse, EventBus, Level, ListEventBusesRequest, ListEventBusesResponse, LogConfig,
    UpdateEventBusRequest, UpdateEventBusResponse, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html>
pub(super) async fn create_event_bus(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: CreateEventBusRequest,
) -> Result<CreateEventBusResponse, ApiError> {
    let CreateEventBusRequest { name, description, .. } = &input;
    if input.event_source_name.is_some() {
        return Err(not_served("partner event sources"));
    }
    unserved(input.kms_key_identifier.as_deref(), input.log_config.as_ref())?;
    let dead_letter = dead_letter(&rules, input.dead_letter_config.as_ref())?;
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
        dead_letter,
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
        dead_letter_config: input.dead_letter_config,
        log_config: input.log_config,
        ..Default::default()
    })
}

/// What a bus may have at AWS and has not here.
fn unserved(key: Option<&str>, log: Option<&LogConfig>) -> Result<(), ApiError> {
    if key.is_some_and(|key| !key.is_empty()) {
        return Err(not_served("KmsKeyIdentifier of event buses"));
    }
    if log.is_some_and(|log| log.level.is_some_and(|level| level != Level::Off)) {
        return Err(not_served("LogConfig of event buses other than OFF"));
    }
    Ok(())
}

/// The dead-letter queue of a call, where it is one we can send to.
fn dead_letter(rules: &Rules, config: Option<&DeadLetterConfig>) -> Result<Option<Arn>, ApiError> {
    let Some(text) = config.and_then(|config| config.arn.as_deref()) else { return Ok(None) };
    let arn: Arn = text.parse().map_err(|_| not_an_arn(text))?;
    if arn.service() != "sqs" || arn.resource().ends_with(".fifo") {
        return Err(invalid(
            "Parameter DeadLetterConfig is not valid. Reason: it must be the ARN of a standard SQS queue.",
        ));
    }
    if !rules.delivery.knows(&arn) || !rules.home.holds(&arn) {
        return Err(not_served(&format!("dead-letter queues such as {arn}")));
    }
    Ok(Some(arn))
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateEventBus.html>
///
/// What the call does not say stays, except a dead-letter queue that is said to be none.
pub(super) async fn update_event_bus(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: UpdateEventBusRequest,
) -> Result<UpdateEventBusResponse, ApiError> {
    let name = rules.asked(&call, input.name.as_deref(), About::Bus)?.to_owned();
    unserved(input.kms_key_identifier.as_deref(), input.log_config.as_ref())?;
    let given = dead_letter(&rules, input.dead_letter_config.as_ref())?;
    let (at, arn) = (rules.world.now(), arn(&rules, &name));
    rules
        .change(|state| {
            let known = state.buses.get(&name).ok_or_else(|| no_bus(&name))?;
            let dead_letter = if input.dead_letter_config.is_some() { given } else { known.dead_letter.clone() };
            let description = input.description.or_else(|| known.description.clone());
            let answer = UpdateEventBusResponse {
                arn: Some(arn),
                name: Some(name.clone()),
                description: description.clone(),
                dead_letter_config: shown_dead_letter(dead_letter.as_ref()),
                log_config: input.log_config,
                ..Default::default()
            };
            Ok((vec![Change::BusSet { name, at, description, dead_letter }], answer))
        })
        .await
}

fn shown_dead_letter(arn: Option<&Arn>) -> Option<DeadLetterConfig> {
    arn.map(|arn| DeadLetterConfig { arn: Some(arn.to_string()) })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteEventBus.html>
///
/// Deleting what is not there succeeds.
pub(super) async fn delete_event_bus(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: DeleteEventBusRequest,
) -> Result<Nothing, ApiError> {
    let name = input.name;
    if name == DEFAULT_BUS {
        return Err(invalid("Cannot delete event bus default."));
    }
    rules.asked(&call, Some(&name), About::Bus)?;
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
    call: Arc<Call>,
    input: DescribeEventBusRequest,
) -> Result<DescribeEventBusResponse, ApiError> {
    let name = rules.asked(&call, input.name.as_deref(), About::Bus)?;
    rules.catalog.read(|state| {
        let bus = state.buses.get(name).ok_or_else(|| no_bus(name))?;
        Ok(DescribeEventBusResponse {
            name: Some(name.to_owned()),
            arn: Some(arn(&rules, name)),
            description: bus.description.clone(),
            policy: bus.policy.clone(),
            dead_letter_config: shown_dead_letter(bus.dead_letter.as_ref()),
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
            policy: bus.policy.clone(),
            creation_time: Some(bus.created),
            last_modified_time: Some(bus.modified),
            ..Default::default()
        })
    };
    rules.catalog.read(|state| {
        let (buses, next_token) =
            page("buses", &state.buses, (input.next_token.as_deref(), size(input.limit, PAGE)), shown)
                .ok_or_else(bad_token)?;
        Ok(ListEventBusesResponse { event_buses: Some(buses), next_token })
    })
}

fn arn(rules: &Rules, name: &str) -> String {
    rules.home.arn("events", &format!("event-bus/{name}")).to_string()
}
