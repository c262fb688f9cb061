//! Event source mappings: create, get, list, update, delete.

mod settings;
mod shown;

use super::page_of;
use crate::called::Called;
use crate::functions::Functions;
use crate::mapping::Phase;
use crate::mapping::settings::{From, Mapping, kind_of};
use crate::state::Change;
use consume::{Kind, SourceError, WalkError};
use names::{Arn, Timestamp};
use shapes::lambda::{
    CreateEventSourceMappingRequest, DeleteEventSourceMappingRequest, EventSourceMappingConfiguration,
    EventSourcePosition, GetEventSourceMappingRequest, ListEventSourceMappingsRequest, ListEventSourceMappingsResponse,
    UpdateEventSourceMappingRequest, errors,
};
use shown::describe;
use std::sync::Arc;
use wire::{ApiError, Call};

fn invalid(why: impl Into<String>) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(why)
}

pub(crate) async fn create(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: CreateEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, None)?;
    functions.catalog.read(|state| called.find(state, &functions.home, "").map(|_| ()))?;
    let arn = input.event_source_arn.as_deref().ok_or_else(|| invalid("EventSourceArn is required."))?;
    let arn: Arn = arn.parse().map_err(|error: names::ArnError| invalid(error.to_string()))?;
    let kind = source_kind(&arn)?;
    let mut mapping = settings::fresh(functions.world.uuid(), called.to_string(), arn, call.at);
    settings::change(&mut mapping, &input)?;
    settings::check(&mapping, &functions)?;
    mapping.from = position(&input, kind, call.at)?;
    must_exist(&functions, &mapping)?;
    if let Some(uuid) = twin(&functions, &mapping) {
        return Err(exists(&mapping, &uuid));
    }
    // Where the mapping starts is settled and on disk before the answer: LATEST loses nothing from here on.
    pin(&functions, &mapping).await?;
    let made = functions
        .catalog
        .change(|state| {
            let same = |m: &&Mapping| m.function == mapping.function && m.source == mapping.source;
            match state.mappings.values().find(same) {
                Some(twin) => Err(exists(&mapping, &twin.uuid)),
                None => Ok((vec![Change::PutMapping(Box::new(mapping.clone()))], ())),
            }
        })
        .await;
    if let Err(error) = made {
        functions.mappings.checkpoints.forget(&mapping.uuid).await?;
        return Err(error);
    }
    let answer = EventSourceMappingConfiguration { state: Some("Creating".into()), ..describe(&functions, &mapping) };
    functions.settle_mapping(&mapping.uuid, Phase::Creating, None);
    Ok(answer)
}

/// What an ARN names, where it can be read at all.
fn source_kind(arn: &Arn) -> Result<Kind, ApiError> {
    match arn.service() {
        "kinesis" | "sqs" => Ok(kind_of(arn)),
        "dynamodb" | "kafka" | "mq" | "docdb" | "rds" => Err(super::not_served(&format!("the event source {arn}"))),
        _ => Err(invalid(format!("Unrecognized event source, must be kinesis, dynamodb stream or sqs. {arn}"))),
    }
}

/// Refuses a mapping whose source is not there.
fn must_exist(functions: &Functions, mapping: &Mapping) -> Result<(), ApiError> {
    let arn = &mapping.source;
    let there = match mapping.kind() {
        Kind::Stream => functions.neighbours.source(arn).is_some(),
        Kind::Queue => functions.neighbours.inbox(arn).is_some(),
    };
    match (there, mapping.kind()) {
        (true, _) => Ok(()),
        (false, Kind::Stream) => {
            let what = if arn.resource().contains("/consumer/") { "Stream consumer" } else { "Stream" };
            Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("{what} not found: {arn}")))
        }
        (false, Kind::Queue) => Err(invalid(format!(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error \
             Message: The specified queue does not exist. ({arn})"
        ))),
    }
}

/// Settles where a stream is read from, durably; anew where the stream is another than it was.
async fn pin(functions: &Functions, mapping: &Mapping) -> Result<(), ApiError> {
    let Some(source) = functions.neighbours.source(&mapping.source).filter(|_| mapping.kind() == Kind::Stream) else {
        return Ok(());
    };
    let walker = functions.walker(mapping, source);
    match walker.pin().await {
        Err(WalkError::Source(SourceError::Gone(_))) => {
            functions.mappings.checkpoints.forget(&mapping.uuid).await?;
            walker.pin().await.map_err(ApiError::fault)
        }
        done => done.map_err(ApiError::fault),
    }
}

/// Another mapping of the same function and source.
fn twin(functions: &Functions, mapping: &Mapping) -> Option<String> {
    let same = |m: &Mapping| m.function == mapping.function && m.source == mapping.source;
    functions.all_mappings().into_values().find(same).map(|m| m.uuid)
}

fn exists(mapping: &Mapping, uuid: &str) -> ApiError {
    errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
        "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update or delete the \
         existing mapping with UUID {uuid}",
        mapping.source, mapping.function
    ))
}

fn position(input: &CreateEventSourceMappingRequest, kind: Kind, now: Timestamp) -> Result<From, ApiError> {
    // <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
    match (input.starting_position, input.starting_position_timestamp) {
        (None, None) if kind == Kind::Queue => Ok(From::TrimHorizon),
        _ if kind == Kind::Queue => Err(invalid("StartingPosition is not valid for SQS event sources.")),
        (Some(EventSourcePosition::AtTimestamp), Some(at)) if at > now => {
            Err(invalid("StartingPositionTimestamp cannot be in the future."))
        }
        (Some(EventSourcePosition::AtTimestamp), Some(at)) => Ok(From::At(at)),
        (Some(EventSourcePosition::AtTimestamp), None) => Err(invalid(
            "1 validation error detected: StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP.",
        )),
        (_, Some(_)) => Err(invalid("StartingPositionTimestamp is only valid when StartingPosition is AT_TIMESTAMP.")),
        (Some(EventSourcePosition::TrimHorizon), None) => Ok(From::TrimHorizon),
        (Some(EventSourcePosition::Latest), None) => Ok(From::Latest),
        (None, None) => Err(invalid(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
        )),
    }
}

fn found(functions: &Functions, uuid: &str) -> Result<Mapping, ApiError> {
    functions
        .find_mapping(uuid)
        .ok_or_else(|| errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist."))
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    Ok(describe(&functions, &found(&functions, &input.uuid)?))
}

pub(crate) async fn list(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListEventSourceMappingsRequest,
) -> Result<ListEventSourceMappingsResponse, ApiError> {
    let name = input.function_name.as_deref().map(|n| Called::parse(&functions.home, n, None)).transpose()?;
    let name = name.map(|called| called.to_string());
    let wanted = |m: &Mapping| {
        name.as_ref().is_none_or(|n| *n == m.function)
            && input.event_source_arn.as_ref().is_none_or(|a| *a == m.source.as_str())
    };
    let all = functions.all_mappings().into_iter().filter(|(_, m)| wanted(m));
    let (found, next_marker) = page_of(100, &call, "", all, input.marker, input.max_items)?;
    let event_source_mappings = Some(found.iter().map(|m| describe(&functions, m)).collect());
    Ok(ListEventSourceMappingsResponse { next_marker, event_source_mappings })
}

/// Refuses to touch a mapping that is on its way from one state to another.
fn must_be_settled(functions: &Functions, uuid: &str, what: &str) -> Result<(), ApiError> {
    match functions.mappings.seen(uuid) {
        Some(seen) if !seen.phase.is_settled() => Err(errors::RESOURCE_IN_USE_EXCEPTION
            .because(format!("Cannot {what} the event source mapping because it is in use."))),
        _ => Ok(()),
    }
}

pub(crate) async fn update(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    let old = found(&functions, &input.uuid)?;
    must_be_settled(&functions, &old.uuid, "update")?;
    let called = input.function_name.as_deref().map(|n| Called::parse(&functions.home, n, None)).transpose()?;
    let asked = settings::as_creation(input);
    let mut mapping = old.clone();
    settings::change(&mut mapping, &asked)?;
    if let Some(called) = called {
        functions.catalog.read(|state| called.find(state, &functions.home, "").map(|_| ()))?;
        mapping.function = called.to_string();
        if let Some(twin) = twin(&functions, &mapping).filter(|uuid| *uuid != mapping.uuid) {
            return Err(exists(&mapping, &twin));
        }
    }
    mapping.last_modified = call.at;
    settings::check(&mapping, &functions)?;
    if mapping.enabled && !old.enabled {
        must_exist(&functions, &mapping)?;
        pin(&functions, &mapping).await?;
        mapping.reason = None;
    }
    functions
        .catalog
        .change(|state| match state.mappings.get(&mapping.uuid) {
            // Somebody was quicker: it is on its way elsewhere.
            Some(known) if *known != old => Err(errors::RESOURCE_IN_USE_EXCEPTION
                .because("Cannot update the event source mapping because it is in use.")),
            Some(_) => Ok((vec![Change::PutMapping(Box::new(mapping.clone()))], ())),
            None => Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.")),
        })
        .await?;
    let phase = match (old.enabled, mapping.enabled) {
        (true, false) => Phase::Disabling,
        (false, true) => Phase::Enabling,
        _ => Phase::Updating,
    };
    let state = Some(format!("{phase:?}"));
    let answer = EventSourceMappingConfiguration { state, ..describe(&functions, &mapping) };
    functions.settle_mapping(&mapping.uuid, phase, None);
    Ok(answer)
}

pub(crate) async fn delete(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    let mapping = found(&functions, &input.uuid)?;
    must_be_settled(&functions, &mapping.uuid, "delete")?;
    functions.catalog.change(|_| Ok::<_, ApiError>((vec![Change::DeleteMapping(input.uuid.clone())], ()))).await?;
    let answer = EventSourceMappingConfiguration { state: Some("Deleting".into()), ..describe(&functions, &mapping) };
    functions.settle_mapping(&input.uuid, Phase::Deleting, Some(mapping));
    Ok(answer)
}
