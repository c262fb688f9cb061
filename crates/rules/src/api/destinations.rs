//! API destinations.

use crate::Rules;
use crate::destinations::endpoint;
use crate::destinations::state::{Change, Destination, State, Status};
use crate::error::{bad_token, invalid, not_an_arn, too_many};
use crate::limits::{DESTINATIONS, INVOCATION_RATE, PAGE};
use names::Arn;
use shapes::events::{
    ApiDestination, ApiDestinationState, CreateApiDestinationRequest, CreateApiDestinationResponse,
    DeleteApiDestinationRequest, DeleteApiDestinationResponse, DescribeApiDestinationRequest,
    DescribeApiDestinationResponse, ListApiDestinationsRequest, ListApiDestinationsResponse,
    UpdateApiDestinationRequest, UpdateApiDestinationResponse, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

fn absent(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION
        .because(format!("Failed to describe the api-destination(s). An api-destination '{name}' does not exist."))
}

fn arn(rules: &Rules, name: &str, known: &Destination) -> String {
    rules.home.arn("events", &format!("api-destination/{name}/{}", known.id)).to_string()
}

/// A destination is as good as its connection.
fn word(state: &State, known: &Destination) -> ApiDestinationState {
    let arn = known.connection.parse::<Arn>().ok();
    let connection = arn.as_ref().and_then(|arn| state.connection_at(arn.resource_after("connection/")?));
    match connection {
        Some((_, connection)) if connection.status == Status::Authorized => ApiDestinationState::Active,
        _ => ApiDestinationState::Inactive,
    }
}

fn checked_endpoint(text: String) -> Result<String, ApiError> {
    let refuse = |why| invalid(format!("Parameter InvocationEndpoint is not valid. Reason: {why}"));
    endpoint(&text).map_err(refuse)?;
    Ok(text)
}

/// The connection that a call names, where there is one.
fn checked_connection(rules: &Rules, state: &State, text: &str) -> Result<String, ApiError> {
    let arn: Arn = text.parse().map_err(|_| not_an_arn(text))?;
    let known = arn.resource_after("connection/").and_then(|path| state.connection_at(path));
    if !rules.is_ours(&arn) || known.is_none() {
        return Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Connection '{text}' does not exist.")));
    }
    Ok(text.to_owned())
}

fn rate(given: Option<i32>) -> Option<u32> {
    given.and_then(|rate| u32::try_from(rate).ok())
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateApiDestination.html>
pub(super) async fn create_api_destination(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: CreateApiDestinationRequest,
) -> Result<CreateApiDestinationResponse, ApiError> {
    let (name, at) = (input.name, rules.world.now());
    let endpoint = checked_endpoint(input.invocation_endpoint)?;
    let id = rules.world.uuid();
    let (known, state) = rules
        .destinations
        .catalog
        .change(|state| {
            if state.destinations.contains_key(&name) {
                return Err(errors::RESOURCE_ALREADY_EXISTS_EXCEPTION
                    .because(format!("An api-destination '{name}' already exists.")));
            }
            if state.destinations.len() >= DESTINATIONS {
                return Err(too_many());
            }
            let destination = Destination {
                id,
                description: input.description,
                connection: checked_connection(&rules, state, &input.connection_arn)?,
                endpoint,
                method: input.http_method.as_str().to_owned(),
                rate: rate(input.invocation_rate_limit_per_second).unwrap_or(INVOCATION_RATE),
                created: at,
                modified: at,
            };
            let answer = (destination.clone(), word(state, &destination));
            Ok((vec![Change::DestinationSet { name: name.clone(), destination }], answer))
        })
        .await?;
    Ok(CreateApiDestinationResponse {
        api_destination_arn: Some(arn(&rules, &name, &known)),
        api_destination_state: Some(state),
        creation_time: Some(at),
        last_modified_time: Some(at),
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateApiDestination.html>
pub(super) async fn update_api_destination(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: UpdateApiDestinationRequest,
) -> Result<UpdateApiDestinationResponse, ApiError> {
    let (name, at) = (input.name, rules.world.now());
    let endpoint = input.invocation_endpoint.map(checked_endpoint).transpose()?;
    let (known, state) = rules
        .destinations
        .catalog
        .change(|state| {
            let known = state.destinations.get(&name).cloned().ok_or_else(|| absent(&name))?;
            let connection = match &input.connection_arn {
                Some(text) => checked_connection(&rules, state, text)?,
                None => known.connection,
            };
            let destination = Destination {
                description: input.description.or(known.description),
                connection,
                endpoint: endpoint.unwrap_or(known.endpoint),
                method: input.http_method.map_or(known.method, |method| method.as_str().to_owned()),
                rate: rate(input.invocation_rate_limit_per_second).unwrap_or(known.rate),
                modified: at,
                ..known
            };
            let answer = (destination.clone(), word(state, &destination));
            Ok::<_, ApiError>((vec![Change::DestinationSet { name: name.clone(), destination }], answer))
        })
        .await?;
    Ok(UpdateApiDestinationResponse {
        api_destination_arn: Some(arn(&rules, &name, &known)),
        api_destination_state: Some(state),
        creation_time: Some(known.created),
        last_modified_time: Some(at),
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteApiDestination.html>
pub(super) async fn delete_api_destination(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DeleteApiDestinationRequest,
) -> Result<DeleteApiDestinationResponse, ApiError> {
    let name = input.name;
    rules
        .destinations
        .catalog
        .change(|state| match state.destinations.contains_key(&name) {
            false => Err(absent(&name)),
            true => Ok((vec![Change::DestinationDeleted { name }], DeleteApiDestinationResponse {})),
        })
        .await
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeApiDestination.html>
pub(super) async fn describe_api_destination(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DescribeApiDestinationRequest,
) -> Result<DescribeApiDestinationResponse, ApiError> {
    rules.destinations.catalog.read(|state| {
        let known = state.destinations.get(&input.name).ok_or_else(|| absent(&input.name))?;
        let shown = shown(&rules, state, &input.name, known);
        Ok(DescribeApiDestinationResponse {
            api_destination_arn: shown.api_destination_arn,
            name: shown.name,
            description: known.description.clone(),
            api_destination_state: shown.api_destination_state,
            connection_arn: shown.connection_arn,
            invocation_endpoint: shown.invocation_endpoint,
            http_method: shown.http_method,
            invocation_rate_limit_per_second: shown.invocation_rate_limit_per_second,
            creation_time: shown.creation_time,
            last_modified_time: shown.last_modified_time,
        })
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListApiDestinations.html>
pub(super) async fn list_api_destinations(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListApiDestinationsRequest,
) -> Result<ListApiDestinationsResponse, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    rules.destinations.catalog.read(|state| {
        let pick = |name: &str, known: &Destination| {
            let wanted = input.connection_arn.as_ref().is_none_or(|arn| *arn == known.connection);
            (wanted && name.starts_with(prefix)).then(|| shown(&rules, state, name, known))
        };
        let (found, next_token) =
            page("API destinations", &state.destinations, (input.next_token.as_deref(), size(input.limit, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListApiDestinationsResponse { api_destinations: Some(found), next_token })
    })
}

fn shown(rules: &Rules, state: &State, name: &str, known: &Destination) -> ApiDestination {
    ApiDestination {
        api_destination_arn: Some(arn(rules, name, known)),
        name: Some(name.to_owned()),
        api_destination_state: Some(word(state, known)),
        connection_arn: Some(known.connection.clone()),
        invocation_endpoint: Some(known.endpoint.clone()),
        http_method: known.method.parse().ok(),
        invocation_rate_limit_per_second: i32::try_from(known.rate).ok(),
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
    }
}
