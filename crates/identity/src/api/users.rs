use super::{conflict, holds_nothing, no_user, over_quota, path_of, tags_in, tags_out, under};
use crate::Identity;
use crate::error::unsupported;
use crate::limits::USERS;
use crate::page::page;
use crate::state::{Change, Grants, User};
use names::CallerKind;
use shapes::iam::errors::ENTITY_ALREADY_EXISTS_EXCEPTION;
use shapes::iam::{
    self, CreateUserRequest, CreateUserResponse, DeleteUserRequest, GetUserRequest, GetUserResponse, ListUsersRequest,
    ListUsersResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn create(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: CreateUserRequest,
) -> Result<CreateUserResponse, ApiError> {
    if input.permissions_boundary.is_some() {
        return Err(unsupported("PermissionsBoundary"));
    }
    let user = User {
        path: path_of(input.path),
        id: format!("AIDA{}", identity.world.base32_id(17)),
        created: call.at,
        tags: tags_in(input.tags)?,
        grants: Grants::default(),
        name: input.user_name,
    };
    let answer = CreateUserResponse { user: Some(shape(&identity, &user, true)) };
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if state.users.keys().any(|name| name.eq_ignore_ascii_case(&user.name)) {
                let why = format!("User with name {} already exists.", user.name);
                return Err(ENTITY_ALREADY_EXISTS_EXCEPTION.because(why));
            }
            if state.users.len() >= USERS {
                return Err(over_quota("UsersPerAccount", USERS));
            }
            Ok((vec![Change::UserMade(user)], ()))
        })
        .await?;
    Ok(answer)
}

pub(super) async fn get(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: GetUserRequest,
) -> Result<GetUserResponse, ApiError> {
    if input.user_name.is_none() && call.caller.kind == CallerKind::Root {
        return Ok(GetUserResponse { user: root(&identity) });
    }
    let name = super::user_name(input.user_name, &call.caller)?;
    identity.catalog.read(|state| {
        let user = state.users.get(&name).ok_or_else(|| no_user(&name))?;
        Ok(GetUserResponse { user: shape(&identity, user, true) })
    })
}

pub(super) async fn list(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListUsersRequest,
) -> Result<ListUsersResponse, ApiError> {
    identity.catalog.read(|state| {
        let users = state.users.iter().filter(|(_, user)| under(&user.path, input.path_prefix.as_deref()));
        let users = users.map(|(name, user)| (name.as_str(), shape(&identity, user, false)));
        let page = page(users, input.marker.as_deref(), input.max_items)?;
        Ok(ListUsersResponse { users: page.items, is_truncated: page.is_truncated, marker: page.marker })
    })
}

pub(super) async fn delete(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DeleteUserRequest,
) -> Result<Nothing, ApiError> {
    let name = input.user_name;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            let user = state.users.get(&name).ok_or_else(|| no_user(&name))?;
            if state.keys_of(&name).next().is_some() {
                return Err(conflict("delete access keys"));
            }
            holds_nothing(&user.grants)?;
            Ok((vec![Change::UserGone(name)], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Lists leave tags out.
fn shape(identity: &Identity, user: &User, whole: bool) -> iam::User {
    iam::User {
        path: user.path.clone(),
        user_name: user.name.clone(),
        user_id: user.id.clone(),
        arn: identity.user_arn(user).to_string(),
        create_date: user.created,
        tags: if whole { tags_out(&user.tags) } else { None },
        ..iam::User::default()
    }
}

/// The account itself has no name and no path.
fn root(identity: &Identity) -> iam::User {
    iam::User {
        user_id: identity.home.account.to_string(),
        arn: identity.home.global_arn("iam", "root").to_string(),
        create_date: identity.catalog.read(|state| state.founded.unwrap_or_default()),
        ..iam::User::default()
    }
}
