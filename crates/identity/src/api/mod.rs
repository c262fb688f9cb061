//! The asked door: one file per family of operations.

mod attached;
mod inline;
mod keys;
mod policies;
mod roles;
mod sts;
mod users;

use crate::Identity;
use crate::limits::TAGS;
use crate::state::{Grants, Holder, State, Tags};
use names::{Caller, CallerKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shapes::iam::errors::{
    DELETE_CONFLICT_EXCEPTION, INVALID_INPUT_EXCEPTION, LIMIT_EXCEEDED_EXCEPTION, NO_SUCH_ENTITY_EXCEPTION,
};
use shapes::iam::{self, Tag};
use std::sync::Arc;
use wire::{ApiError, Service, common};

pub(crate) fn iam(identity: &Arc<Identity>) -> Service {
    Service::new(&iam::SERVICE)
        .global()
        .on::<iam::CreateUserOp, _, _, _>(identity, users::create)
        .on::<iam::GetUserOp, _, _, _>(identity, users::get)
        .on::<iam::ListUsersOp, _, _, _>(identity, users::list)
        .on::<iam::DeleteUserOp, _, _, _>(identity, users::delete)
        .on::<iam::CreateAccessKeyOp, _, _, _>(identity, keys::create)
        .on::<iam::ListAccessKeysOp, _, _, _>(identity, keys::list)
        .on::<iam::UpdateAccessKeyOp, _, _, _>(identity, keys::update)
        .on::<iam::DeleteAccessKeyOp, _, _, _>(identity, keys::delete)
        .on::<iam::CreateRoleOp, _, _, _>(identity, roles::create)
        .on::<iam::GetRoleOp, _, _, _>(identity, roles::get)
        .on::<iam::ListRolesOp, _, _, _>(identity, roles::list)
        .on::<iam::DeleteRoleOp, _, _, _>(identity, roles::delete)
        .on::<iam::UpdateAssumeRolePolicyOp, _, _, _>(identity, roles::update_trust)
        .on::<iam::ListInstanceProfilesForRoleOp, _, _, _>(identity, roles::instance_profiles)
        .on::<iam::CreatePolicyOp, _, _, _>(identity, policies::create)
        .on::<iam::GetPolicyOp, _, _, _>(identity, policies::get)
        .on::<iam::GetPolicyVersionOp, _, _, _>(identity, policies::get_version)
        .on::<iam::ListPoliciesOp, _, _, _>(identity, policies::list)
        .on::<iam::DeletePolicyOp, _, _, _>(identity, policies::delete)
        .on::<iam::PutUserPolicyOp, _, _, _>(identity, inline::put_user)
        .on::<iam::PutRolePolicyOp, _, _, _>(identity, inline::put_role)
        .on::<iam::GetUserPolicyOp, _, _, _>(identity, inline::get_user)
        .on::<iam::GetRolePolicyOp, _, _, _>(identity, inline::get_role)
        .on::<iam::ListUserPoliciesOp, _, _, _>(identity, inline::list_user)
        .on::<iam::ListRolePoliciesOp, _, _, _>(identity, inline::list_role)
        .on::<iam::DeleteUserPolicyOp, _, _, _>(identity, inline::delete_user)
        .on::<iam::DeleteRolePolicyOp, _, _, _>(identity, inline::delete_role)
        .on::<iam::AttachUserPolicyOp, _, _, _>(identity, attached::attach_user)
        .on::<iam::AttachRolePolicyOp, _, _, _>(identity, attached::attach_role)
        .on::<iam::DetachUserPolicyOp, _, _, _>(identity, attached::detach_user)
        .on::<iam::DetachRolePolicyOp, _, _, _>(identity, attached::detach_role)
        .on::<iam::ListAttachedUserPoliciesOp, _, _, _>(identity, attached::list_user)
        .on::<iam::ListAttachedRolePoliciesOp, _, _, _>(identity, attached::list_role)
}

pub(crate) fn sts(identity: &Arc<Identity>) -> Service {
    Service::new(&shapes::sts::SERVICE)
        .global()
        .on::<shapes::sts::GetCallerIdentityOp, _, _, _>(identity, sts::get_caller_identity)
        .on::<shapes::sts::AssumeRoleOp, _, _, _>(identity, sts::assume_role)
}

fn no_user(name: &str) -> ApiError {
    NO_SUCH_ENTITY_EXCEPTION.because(format!("The user with name {name} cannot be found."))
}

fn no_role(name: &str) -> ApiError {
    NO_SUCH_ENTITY_EXCEPTION.because(format!("The role with name {name} cannot be found."))
}

fn no_policy(arn: &str) -> ApiError {
    NO_SUCH_ENTITY_EXCEPTION.because(format!("Policy {arn} was not found."))
}

fn over_quota(quota: &str, limit: usize) -> ApiError {
    LIMIT_EXCEEDED_EXCEPTION.because(format!("Cannot exceed quota for {quota}: {limit}"))
}

fn conflict(must: &str) -> ApiError {
    DELETE_CONFLICT_EXCEPTION.because(format!("Cannot delete entity, must {must} first."))
}

/// What a user or role holds, or that there is no such user or role.
fn grants<'a>(state: &'a State, holder: &Holder) -> Result<&'a Grants, ApiError> {
    state.grants(holder).ok_or_else(|| match holder {
        Holder::User(name) => no_user(name),
        Holder::Role(name) => no_role(name),
    })
}

/// Whoever is to be deleted must hold no policies any more.
fn holds_nothing(grants: &Grants) -> Result<(), ApiError> {
    if !grants.attached.is_empty() {
        return Err(conflict("detach all policies"));
    }
    if !grants.inline.is_empty() {
        return Err(conflict("delete policies"));
    }
    Ok(())
}

/// The user an operation without `UserName` means: the caller.
fn user_name(given: Option<String>, caller: &Caller) -> Result<String, ApiError> {
    match (given, &caller.kind) {
        (Some(name), _) => Ok(name),
        (None, CallerKind::User { name }) => Ok(name.clone()),
        (None, _) => Err(common::VALIDATION.because("Must specify userName when calling with non-User credentials")),
    }
}

fn tags_in(tags: Option<Vec<Tag>>) -> Result<Tags, ApiError> {
    let tags: Tags = tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    if tags.len() > TAGS {
        return Err(over_quota("TagsPerResource", TAGS));
    }
    for (i, (key, _)) in tags.iter().enumerate() {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(
                INVALID_INPUT_EXCEPTION.because("System tags cannot be added, modified, or deleted by requester.")
            );
        }
        if tags[..i].iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            return Err(INVALID_INPUT_EXCEPTION
                .because("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
    }
    Ok(tags)
}

fn tags_out(tags: &Tags) -> Option<Vec<Tag>> {
    let tag = |(key, value): &(String, String)| Tag { key: key.clone(), value: value.clone() };
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}

/// Policy documents travel percent-encoded after RFC 3986.
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>
fn encoded(document: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(document, ESCAPED).to_string()
}

fn path_of(given: Option<String>) -> String {
    given.unwrap_or_else(|| "/".to_owned())
}

fn under(path: &str, prefix: Option<&str>) -> bool {
    prefix.is_none_or(|prefix| path.starts_with(prefix))
}
