use super::{grants, no_policy, over_quota, under};
use crate::Identity;
use crate::limits::ATTACHED;
use crate::page::{Page, page};
use crate::state::{Change, Holder};
use shapes::iam::errors::NO_SUCH_ENTITY_EXCEPTION;
use shapes::iam::{
    AttachRolePolicyRequest, AttachUserPolicyRequest, AttachedPolicy, DetachRolePolicyRequest, DetachUserPolicyRequest,
    ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResponse, ListAttachedUserPoliciesRequest,
    ListAttachedUserPoliciesResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn attach_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: AttachUserPolicyRequest,
) -> Result<Nothing, ApiError> {
    attach(&identity, Holder::User(input.user_name), input.policy_arn).await
}

pub(super) async fn attach_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: AttachRolePolicyRequest,
) -> Result<Nothing, ApiError> {
    attach(&identity, Holder::Role(input.role_name), input.policy_arn).await
}

async fn attach(identity: &Identity, holder: Holder, arn: String) -> Result<Nothing, ApiError> {
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            let attached = &grants(state, &holder)?.attached;
            if state.policy(&arn).is_none() {
                let why = format!("Policy {arn} does not exist or is not attachable.");
                return Err(NO_SUCH_ENTITY_EXCEPTION.because(why));
            }
            if attached.contains(&arn) {
                return Ok((Vec::new(), ()));
            }
            if attached.len() >= ATTACHED {
                let quota = match &holder {
                    Holder::User(_) => "PoliciesPerUser",
                    Holder::Role(_) => "PoliciesPerRole",
                };
                return Err(over_quota(quota, ATTACHED));
            }
            Ok((vec![Change::Attached { holder, arn }], ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(super) async fn detach_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DetachUserPolicyRequest,
) -> Result<Nothing, ApiError> {
    detach(&identity, Holder::User(input.user_name), input.policy_arn).await
}

pub(super) async fn detach_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DetachRolePolicyRequest,
) -> Result<Nothing, ApiError> {
    detach(&identity, Holder::Role(input.role_name), input.policy_arn).await
}

async fn detach(identity: &Identity, holder: Holder, arn: String) -> Result<Nothing, ApiError> {
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if !grants(state, &holder)?.attached.contains(&arn) {
                return Err(no_policy(&arn));
            }
            Ok((vec![Change::Detached { holder, arn }], ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(super) async fn list_user(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListAttachedUserPoliciesRequest,
) -> Result<ListAttachedUserPoliciesResponse, ApiError> {
    let (prefix, marker) = (input.path_prefix.as_deref(), input.marker.as_deref());
    let page = list(&identity, &Holder::User(input.user_name), prefix, marker, input.max_items)?;
    Ok(ListAttachedUserPoliciesResponse {
        attached_policies: Some(page.items),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn list_role(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListAttachedRolePoliciesRequest,
) -> Result<ListAttachedRolePoliciesResponse, ApiError> {
    let (prefix, marker) = (input.path_prefix.as_deref(), input.marker.as_deref());
    let page = list(&identity, &Holder::Role(input.role_name), prefix, marker, input.max_items)?;
    Ok(ListAttachedRolePoliciesResponse {
        attached_policies: Some(page.items),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

fn list(
    identity: &Identity,
    holder: &Holder,
    prefix: Option<&str>,
    marker: Option<&str>,
    max: Option<i32>,
) -> Result<Page<AttachedPolicy>, ApiError> {
    identity.catalog.read(|state| {
        let attached = grants(state, holder)?.attached.iter();
        let policies = attached.filter_map(|arn| Some((arn.as_str(), state.policy(arn)?)));
        let policies = policies.filter(|(_, policy)| under(&policy.path, prefix));
        let shapes = policies.map(|(arn, policy)| {
            (arn, AttachedPolicy { policy_name: Some(policy.name), policy_arn: Some(policy.arn) })
        });
        page(shapes, marker, max)
    })
}
