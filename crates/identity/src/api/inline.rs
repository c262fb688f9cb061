use super::{encoded, grants};
use crate::Identity;
use crate::document::{check_identity, size};
use crate::limits::{ROLE_POLICY_SIZE, USER_POLICY_SIZE};
use crate::page::{Page, page};
use crate::state::{Change, Holder};
use shapes::iam::errors::{LIMIT_EXCEEDED_EXCEPTION, MALFORMED_POLICY_DOCUMENT_EXCEPTION, NO_SUCH_ENTITY_EXCEPTION};
use shapes::iam::{
    DeleteRolePolicyRequest, DeleteUserPolicyRequest, GetRolePolicyRequest, GetRolePolicyResponse,
    GetUserPolicyRequest, GetUserPolicyResponse, ListRolePoliciesRequest, ListRolePoliciesResponse,
    ListUserPoliciesRequest, ListUserPoliciesResponse, PutRolePolicyRequest, PutUserPolicyRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn put_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: PutUserPolicyRequest,
) -> Result<Nothing, ApiError> {
    put(&identity, Holder::User(input.user_name), input.policy_name, input.policy_document).await
}

pub(super) async fn put_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: PutRolePolicyRequest,
) -> Result<Nothing, ApiError> {
    put(&identity, Holder::Role(input.role_name), input.policy_name, input.policy_document).await
}

async fn put(identity: &Identity, holder: Holder, name: String, document: String) -> Result<Nothing, ApiError> {
    check_identity(&document).map_err(|why| MALFORMED_POLICY_DOCUMENT_EXCEPTION.because(why))?;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            let others = grants(state, &holder)?.inline.iter().filter(|(other, _)| **other != name);
            let total = others.map(|(_, document)| size(document)).sum::<usize>() + size(&document);
            let (limit, kind, of) = match &holder {
                Holder::User(of) => (USER_POLICY_SIZE, "user", of),
                Holder::Role(of) => (ROLE_POLICY_SIZE, "role", of),
            };
            if total > limit {
                let why = format!("Maximum policy size of {limit} bytes exceeded for {kind} {of}");
                return Err(LIMIT_EXCEEDED_EXCEPTION.because(why));
            }
            Ok((vec![Change::InlinePut { holder, name, document }], ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(super) async fn get_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: GetUserPolicyRequest,
) -> Result<GetUserPolicyResponse, ApiError> {
    let policy_document = get(&identity, &Holder::User(input.user_name.clone()), &input.policy_name)?;
    Ok(GetUserPolicyResponse { user_name: input.user_name, policy_name: input.policy_name, policy_document })
}

pub(super) async fn get_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: GetRolePolicyRequest,
) -> Result<GetRolePolicyResponse, ApiError> {
    let policy_document = get(&identity, &Holder::Role(input.role_name.clone()), &input.policy_name)?;
    Ok(GetRolePolicyResponse { role_name: input.role_name, policy_name: input.policy_name, policy_document })
}

fn get(identity: &Identity, holder: &Holder, name: &str) -> Result<String, ApiError> {
    identity.catalog.read(|state| {
        let document = grants(state, holder)?.inline.get(name);
        document.map(|document| encoded(document)).ok_or_else(|| no_inline(holder, name))
    })
}

fn no_inline(holder: &Holder, name: &str) -> ApiError {
    let kind = match holder {
        Holder::User(_) => "user",
        Holder::Role(_) => "role",
    };
    NO_SUCH_ENTITY_EXCEPTION.because(format!("The {kind} policy with name {name} cannot be found."))
}

pub(super) async fn list_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListUserPoliciesRequest,
) -> Result<ListUserPoliciesResponse, ApiError> {
    let page = list(&identity, &Holder::User(input.user_name), input.marker.as_deref(), input.max_items)?;
    Ok(ListUserPoliciesResponse { policy_names: page.items, is_truncated: page.is_truncated, marker: page.marker })
}

pub(super) async fn list_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListRolePoliciesRequest,
) -> Result<ListRolePoliciesResponse, ApiError> {
    let page = list(&identity, &Holder::Role(input.role_name), input.marker.as_deref(), input.max_items)?;
    Ok(ListRolePoliciesResponse { policy_names: page.items, is_truncated: page.is_truncated, marker: page.marker })
}

fn list(
    identity: &Identity,
    holder: &Holder,
    marker: Option<&str>,
    max: Option<i32>,
) -> Result<Page<String>, ApiError> {
    identity.catalog.read(|state| {
        let names = grants(state, holder)?.inline.keys();
        page(names.map(|name| (name.as_str(), name.clone())), marker, max)
    })
}

pub(super) async fn delete_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DeleteUserPolicyRequest,
) -> Result<Nothing, ApiError> {
    delete(&identity, Holder::User(input.user_name), input.policy_name).await
}

pub(super) async fn delete_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DeleteRolePolicyRequest,
) -> Result<Nothing, ApiError> {
    delete(&identity, Holder::Role(input.role_name), input.policy_name).await
}

async fn delete(identity: &Identity, holder: Holder, name: String) -> Result<Nothing, ApiError> {
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if !grants(state, &holder)?.inline.contains_key(&name) {
                return Err(no_inline(&holder, &name));
            }
            Ok((vec![Change::InlineGone { holder, name }], ()))
        })
        .await?;
    Ok(Nothing {})
}
