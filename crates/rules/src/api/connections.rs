//! Connections.

use crate::Rules;
use crate::destinations::auth::Auth;
use crate::destinations::state::{Change, Connection, State, Status};
use crate::error::{bad_token, invalid, not_served, too_many};
use crate::limits::{CONNECTIONS, PAGE};
use shapes::events::{
    ConnectionAuthorizationType, ConnectionState, CreateConnectionRequest, CreateConnectionResponse,
    DeauthorizeConnectionRequest, DeauthorizeConnectionResponse, DeleteConnectionRequest, DeleteConnectionResponse,
    DescribeConnectionRequest, DescribeConnectionResponse, ListConnectionsRequest, ListConnectionsResponse,
    UpdateConnectionRequest, UpdateConnectionResponse, errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

fn absent(name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION
        .because(format!("Failed to describe the connection(s). Connection '{name}' does not exist."))
}

fn arn(rules: &Rules, name: &str, known: &Connection) -> String {
    rules.home.arn("events", &format!("connection/{name}/{}", known.id)).to_string()
}

fn word(status: Status) -> ConnectionState {
    match status {
        Status::Authorizing => ConnectionState::Authorizing,
        Status::Authorized => ConnectionState::Authorized,
        Status::Deauthorized => ConnectionState::Deauthorized,
    }
}

/// A connection is made, or made anew with what it has now.
fn set(rules: &Rules, name: &str, id: String, description: Option<String>, auth: &Auth) -> Change {
    Change::ConnectionSet {
        name: name.to_owned(),
        at: rules.world.now(),
        id,
        description,
        kind: auth.kind().as_str().to_owned(),
        sealed: Some(rules.destinations.seal(auth)),
        status: first_status(auth),
    }
}

/// A connection with credentials that only the endpoint can judge is as good as authorized.
fn first_status(auth: &Auth) -> Status {
    match auth.kind() {
        ConnectionAuthorizationType::OauthClientCredentials => Status::Authorizing,
        _ => Status::Authorized,
    }
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateConnection.html>
pub(super) async fn create_connection(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: CreateConnectionRequest,
) -> Result<CreateConnectionResponse, ApiError> {
    unserved(input.invocation_connectivity_parameters.is_some(), input.kms_key_identifier.as_deref())?;
    let auth = Auth::created(input.authorization_type, input.auth_parameters)?;
    let name = input.name;
    let set = set(&rules, &name, rules.world.uuid(), input.description, &auth);
    rules
        .destinations
        .catalog
        .change(|state| {
            if state.connections.contains_key(&name) {
                return Err(
                    errors::RESOURCE_ALREADY_EXISTS_EXCEPTION.because(format!("Connection {name} already exists."))
                );
            }
            if state.connections.len() >= CONNECTIONS {
                return Err(too_many());
            }
            Ok((vec![set], ()))
        })
        .await?;
    let known = settle(&rules, &name)?;
    Ok(CreateConnectionResponse {
        connection_arn: Some(arn(&rules, &name, &known)),
        connection_state: Some(word(known.status)),
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
    })
}

fn unserved(private: bool, key: Option<&str>) -> Result<(), ApiError> {
    if private {
        return Err(not_served("InvocationConnectivityParameters of connections"));
    }
    if key.is_some_and(|key| !key.is_empty()) {
        return Err(not_served("KmsKeyIdentifier of connections"));
    }
    Ok(())
}

/// A connection as it has just become, on its way to be authorized where that takes a token.
fn settle(rules: &Rules, name: &str) -> Result<Connection, ApiError> {
    let known = find(rules, name)?;
    if known.status == Status::Authorizing {
        rules.destinations.authorize(name.to_owned(), known.revision);
    }
    Ok(known)
}

fn find(rules: &Rules, name: &str) -> Result<Connection, ApiError> {
    rules.destinations.catalog.read(|state| state.connections.get(name).cloned()).ok_or_else(|| absent(name))
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateConnection.html>
pub(super) async fn update_connection(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: UpdateConnectionRequest,
) -> Result<UpdateConnectionResponse, ApiError> {
    unserved(input.invocation_connectivity_parameters.is_some(), input.kms_key_identifier.as_deref())?;
    let name = input.name;
    rules
        .destinations
        .catalog
        .change(|state| {
            let known = state.connections.get(&name).ok_or_else(|| absent(&name))?;
            let before = rules.destinations.unseal(known)?;
            let kind = match input.authorization_type {
                Some(kind) => kind,
                None => known.kind.parse().map_err(|_| ApiError::fault("a connection of an unknown kind"))?,
            };
            if before.is_none() && input.auth_parameters.is_none() {
                return Err(invalid("AuthParameters must be specified for a connection that was deauthorized."));
            }
            let auth = Auth::updated(before, kind, input.auth_parameters)?;
            let description = input.description.or_else(|| known.description.clone());
            Ok((vec![set(&rules, &name, known.id.clone(), description, &auth)], ()))
        })
        .await?;
    let known = settle(&rules, &name)?;
    Ok(UpdateConnectionResponse {
        connection_arn: Some(arn(&rules, &name, &known)),
        connection_state: Some(word(known.status)),
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
        last_authorized_time: known.authorized,
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeauthorizeConnection.html>
///
/// Its credentials are gone for good.
pub(super) async fn deauthorize_connection(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DeauthorizeConnectionRequest,
) -> Result<DeauthorizeConnectionResponse, ApiError> {
    let name = input.name;
    let at = rules.world.now();
    rules
        .destinations
        .catalog
        .change(|state| {
            let known = state.connections.get(&name).ok_or_else(|| absent(&name))?;
            let set = Change::ConnectionSet {
                name: name.clone(),
                at,
                id: known.id.clone(),
                description: known.description.clone(),
                kind: known.kind.clone(),
                sealed: None,
                status: Status::Deauthorized,
            };
            Ok::<_, ApiError>((vec![set], ()))
        })
        .await?;
    let known = find(&rules, &name)?;
    rules.destinations.forget(&known.id);
    Ok(DeauthorizeConnectionResponse {
        connection_arn: Some(arn(&rules, &name, &known)),
        connection_state: Some(word(known.status)),
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
        last_authorized_time: known.authorized,
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteConnection.html>
///
/// API destinations that use it become inactive.
pub(super) async fn delete_connection(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DeleteConnectionRequest,
) -> Result<DeleteConnectionResponse, ApiError> {
    let name = input.name;
    let known = rules
        .destinations
        .catalog
        .change(|state: &State| {
            let known = state.connections.get(&name).cloned().ok_or_else(|| absent(&name))?;
            Ok::<_, ApiError>((vec![Change::ConnectionDeleted { name: name.clone() }], known))
        })
        .await?;
    rules.destinations.forget(&known.id);
    Ok(DeleteConnectionResponse {
        connection_arn: Some(arn(&rules, &name, &known)),
        connection_state: Some(ConnectionState::Deleting),
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
        last_authorized_time: known.authorized,
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeConnection.html>
pub(super) async fn describe_connection(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: DescribeConnectionRequest,
) -> Result<DescribeConnectionResponse, ApiError> {
    let known = find(&rules, &input.name)?;
    let auth = rules.destinations.unseal(&known)?;
    Ok(DescribeConnectionResponse {
        connection_arn: Some(arn(&rules, &input.name, &known)),
        name: Some(input.name),
        connection_state: Some(word(known.status)),
        authorization_type: known.kind.parse().ok(),
        auth_parameters: auth.map(|auth| auth.shown()),
        description: known.description,
        state_reason: known.reason,
        creation_time: Some(known.created),
        last_modified_time: Some(known.modified),
        last_authorized_time: known.authorized,
        ..Default::default()
    })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListConnections.html>
pub(super) async fn list_connections(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: ListConnectionsRequest,
) -> Result<ListConnectionsResponse, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let pick = |name: &str, known: &Connection| {
        let state = word(known.status);
        let wanted = name.starts_with(prefix) && input.connection_state.is_none_or(|wanted| wanted == state);
        wanted.then(|| shapes::events::Connection {
            connection_arn: Some(arn(&rules, name, known)),
            name: Some(name.to_owned()),
            connection_state: Some(state),
            state_reason: known.reason.clone(),
            authorization_type: known.kind.parse().ok(),
            creation_time: Some(known.created),
            last_modified_time: Some(known.modified),
            last_authorized_time: known.authorized,
        })
    };
    rules.destinations.catalog.read(|state| {
        let (connections, next_token) =
            page("connections", &state.connections, (input.next_token.as_deref(), size(input.limit, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListConnectionsResponse { connections: Some(connections), next_token })
    })
}
