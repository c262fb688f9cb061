use super::{encoded, holds_nothing, no_role, over_quota, path_of, tags_in, tags_out, under};
use crate::Identity;
use crate::document::{check_trust, complaint, size};
use crate::error::unsupported;
use crate::limits::{ROLES, TRUST_POLICY_SIZE};
use crate::page::{Page, page};
use crate::principals::exists;
use crate::state::{Change, Role, State};
use policies::Policy;
use shapes::iam::errors::{ENTITY_ALREADY_EXISTS_EXCEPTION, MALFORMED_POLICY_DOCUMENT_EXCEPTION};
use shapes::iam::{
    self, CreateRoleRequest, CreateRoleResponse, DeleteRoleRequest, GetRoleRequest, GetRoleResponse, InstanceProfile,
    ListInstanceProfilesForRoleRequest, ListInstanceProfilesForRoleResponse, ListRolesRequest, ListRolesResponse,
    RoleLastUsed, UpdateAssumeRolePolicyRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(super) async fn create(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: CreateRoleRequest,
) -> Result<CreateRoleResponse, ApiError> {
    if input.permissions_boundary.is_some() {
        return Err(unsupported("PermissionsBoundary"));
    }
    let trust = read_trust(&input.assume_role_policy_document)?;
    let role = Role::new(input.role_name, input.assume_role_policy_document, call.at, tags_in(input.tags)?);
    let role = Role {
        path: path_of(input.path),
        id: format!("AROA{}", identity.world.base32_id(17)),
        description: input.description,
        max_session_secs: input.max_session_duration.unwrap_or(role.max_session_secs),
        ..role
    };
    let answer = CreateRoleResponse { role: shape(&identity, &role, Detail::Made) };
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if state.roles.keys().any(|name| name.eq_ignore_ascii_case(&role.name)) {
                let why = format!("Role with name {} already exists.", role.name);
                return Err(ENTITY_ALREADY_EXISTS_EXCEPTION.because(why));
            }
            if state.roles.len() >= ROLES {
                return Err(over_quota("RolesPerAccount", ROLES));
            }
            names_whom_there_are(&trust, state, &identity)?;
            Ok((vec![Change::RoleMade(role)], ()))
        })
        .await?;
    Ok(answer)
}

/// Sessions that were given stay good, as at AWS: only who asks from now on is judged by the new policy.
/// `UnmodifiableEntity` is for service-linked roles, of which there are none here.
pub(super) async fn update_trust(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: UpdateAssumeRolePolicyRequest,
) -> Result<Nothing, ApiError> {
    let UpdateAssumeRolePolicyRequest { role_name: role, policy_document } = input;
    let trust = read_trust(&policy_document)?;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if !state.roles.contains_key(&role) {
                return Err(no_role(&role));
            }
            names_whom_there_are(&trust, state, &identity)?;
            Ok((vec![Change::TrustSet { role, trust: policy_document }], ()))
        })
        .await?;
    Ok(Nothing {})
}

fn read_trust(document: &str) -> Result<Policy, ApiError> {
    let trust = check_trust(document).map_err(|why| MALFORMED_POLICY_DOCUMENT_EXCEPTION.because(why))?;
    match size(document) > TRUST_POLICY_SIZE {
        true => Err(over_quota("ACLSizePerRole", TRUST_POLICY_SIZE)),
        false => Ok(trust),
    }
}

fn names_whom_there_are(trust: &Policy, state: &State, identity: &Identity) -> Result<(), ApiError> {
    let known = trust.check_principals(|name| exists(state, &identity.home, name));
    known.map_err(|why| MALFORMED_POLICY_DOCUMENT_EXCEPTION.because(complaint(&why)))
}

pub(super) async fn get(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: GetRoleRequest,
) -> Result<GetRoleResponse, ApiError> {
    identity.catalog.read(|state| {
        let role = state.roles.get(&input.role_name).ok_or_else(|| no_role(&input.role_name))?;
        Ok(GetRoleResponse { role: shape(&identity, role, Detail::Whole) })
    })
}

pub(super) async fn list(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListRolesRequest,
) -> Result<ListRolesResponse, ApiError> {
    identity.catalog.read(|state| {
        let roles = state.roles.iter().filter(|(_, role)| under(&role.path, input.path_prefix.as_deref()));
        let roles = roles.map(|(name, role)| (name.as_str(), shape(&identity, role, Detail::Listed)));
        let page = page(roles, input.marker.as_deref(), input.max_items)?;
        Ok(ListRolesResponse { roles: page.items, is_truncated: page.is_truncated, marker: page.marker })
    })
}

pub(super) async fn delete(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DeleteRoleRequest,
) -> Result<Nothing, ApiError> {
    let name = input.role_name;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            let role = state.roles.get(&name).ok_or_else(|| no_role(&name))?;
            holds_nothing(&role.grants)?;
            Ok((vec![Change::RoleGone(name)], ()))
        })
        .await?;
    Ok(Nothing {})
}

/// Instance profiles are not made here, so a role is in none: what tools ask before they delete it.
pub(super) async fn instance_profiles(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListInstanceProfilesForRoleRequest,
) -> Result<ListInstanceProfilesForRoleResponse, ApiError> {
    let known = identity.catalog.read(|state| state.roles.contains_key(&input.role_name));
    if !known {
        return Err(no_role(&input.role_name));
    }
    let none: Page<InstanceProfile> = page(std::iter::empty(), input.marker.as_deref(), input.max_items)?;
    Ok(ListInstanceProfilesForRoleResponse {
        instance_profiles: none.items,
        is_truncated: none.is_truncated,
        marker: none.marker,
    })
}

/// How much of a role an answer shows: IAM shows less of one just made and of those in lists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Made,
    Listed,
    Whole,
}

fn shape(identity: &Identity, role: &Role, detail: Detail) -> iam::Role {
    iam::Role {
        path: role.path.clone(),
        role_name: role.name.clone(),
        role_id: role.id.clone(),
        arn: identity.role_arn(role).to_string(),
        create_date: role.created,
        assume_role_policy_document: Some(encoded(&role.trust)),
        description: role.description.clone(),
        max_session_duration: Some(role.max_session_secs),
        tags: if detail == Detail::Listed { None } else { tags_out(&role.tags) },
        role_last_used: (detail == Detail::Whole).then(RoleLastUsed::default),
        ..iam::Role::default()
    }
}
