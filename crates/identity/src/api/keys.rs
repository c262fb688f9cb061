use super::{no_user, over_quota, user_name};
use crate::Identity;
use crate::limits::KEYS_PER_USER;
use crate::page::page;
use crate::purpose;
use crate::state::{AccessKey, Change, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shapes::iam::errors::{INVALID_INPUT_EXCEPTION, NO_SUCH_ENTITY_EXCEPTION};
use shapes::iam::{
    self, AccessKeyMetadata, CreateAccessKeyRequest, CreateAccessKeyResponse, DeleteAccessKeyRequest,
    ListAccessKeysRequest, ListAccessKeysResponse, StatusType, UpdateAccessKeyRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn create(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: CreateAccessKeyRequest,
) -> Result<CreateAccessKeyResponse, ApiError> {
    let user = user_name(input.user_name, &call.caller)?;
    let secret = identity.new_secret();
    let key = AccessKey {
        id: format!("AKIA{}", identity.world.base32_id(16)),
        user: user.clone(),
        sealed: STANDARD.encode(identity.seal.seal(purpose::SECRET, secret.as_bytes())),
        active: true,
        created: call.at,
    };
    let id = key.id.clone();
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if !state.users.contains_key(&user) {
                return Err(no_user(&user));
            }
            if state.keys_of(&user).count() >= KEYS_PER_USER {
                return Err(over_quota("AccessKeysPerUser", KEYS_PER_USER));
            }
            Ok((vec![Change::KeyMade(key)], ()))
        })
        .await?;
    let access_key = iam::AccessKey {
        user_name: user,
        access_key_id: id,
        status: StatusType::Active,
        secret_access_key: secret,
        create_date: Some(call.at),
    };
    Ok(CreateAccessKeyResponse { access_key })
}

pub(super) async fn list(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: ListAccessKeysRequest,
) -> Result<ListAccessKeysResponse, ApiError> {
    let user = user_name(input.user_name, &call.caller)?;
    identity.catalog.read(|state| {
        if !state.users.contains_key(&user) {
            return Err(no_user(&user));
        }
        let keys = state.keys_of(&user).map(|key| (key.id.as_str(), shape(key)));
        let page = page(keys, input.marker.as_deref(), input.max_items)?;
        Ok(ListAccessKeysResponse {
            access_key_metadata: page.items,
            is_truncated: page.is_truncated,
            marker: page.marker,
        })
    })
}

pub(super) async fn update(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: UpdateAccessKeyRequest,
) -> Result<Nothing, ApiError> {
    let user = user_name(input.user_name, &call.caller)?;
    let active = match input.status {
        StatusType::Active => true,
        StatusType::Inactive => false,
        // AWS sets this state itself; nobody may ask for it.
        StatusType::Expired => return Err(INVALID_INPUT_EXCEPTION.because("Status must be Active or Inactive.")),
    };
    let id = input.access_key_id;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            find(state, &user, &id)?;
            Ok((vec![Change::KeySet { id, active }], ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(super) async fn delete(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: DeleteAccessKeyRequest,
) -> Result<Nothing, ApiError> {
    let user = user_name(input.user_name, &call.caller)?;
    let id = input.access_key_id;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            find(state, &user, &id)?;
            Ok((vec![Change::KeyGone(id)], ()))
        })
        .await?;
    Ok(Nothing {})
}

fn find(state: &State, user: &str, id: &str) -> Result<(), ApiError> {
    if !state.users.contains_key(user) {
        return Err(no_user(user));
    }
    let found = state.keys.get(id).is_some_and(|key| key.user == user);
    let why = || NO_SUCH_ENTITY_EXCEPTION.because(format!("The Access Key with id {id} cannot be found."));
    found.then_some(()).ok_or_else(why)
}

fn shape(key: &AccessKey) -> AccessKeyMetadata {
    AccessKeyMetadata {
        user_name: Some(key.user.clone()),
        access_key_id: Some(key.id.clone()),
        status: Some(if key.active { StatusType::Active } else { StatusType::Inactive }),
        create_date: Some(key.created),
    }
}
