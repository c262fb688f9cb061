//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use crate::Identity;
use crate::error::unsupported;
use crate::limits::{CHAINED_SESSION_MAX, SESSION_DEFAULT};
use crate::session::last_part;
use crate::state::Role;
use crate::trust::caller_may_assume;
use names::{Arn, Caller, CallerKind};
use shapes::sts::{AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, Credentials};
use shapes::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use std::sync::Arc;
use std::time::Duration;
use wire::{ApiError, Call, ErrorModel, Fault, common};

/// STS denies with 403, where JSON services use 400.
static ACCESS_DENIED: ErrorModel =
    ErrorModel { name: "AccessDenied", code: "AccessDenied", status: 403, fault: Fault::Client };

pub(super) async fn get_caller_identity(
    _: Arc<Identity>,
    call: Arc<Call>,
    _: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, ApiError> {
    Ok(GetCallerIdentityResponse {
        user_id: Some(call.caller.principal_id.clone()),
        account: Some(call.caller.account.to_string()),
        arn: Some(call.caller.arn.clone()),
    })
}

pub(super) async fn assume_role(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: AssumeRoleRequest,
) -> Result<AssumeRoleResponse, ApiError> {
    refuse_unserved(&input)?;
    if call.caller.kind == CallerKind::Root {
        return Err(ACCESS_DENIED.because("Roles may not be assumed by root accounts."));
    }
    let arn: Arn =
        input.role_arn.parse().map_err(|_| common::VALIDATION.because(format!("{} is invalid", input.role_arn)))?;
    let role = identity.catalog.read(|state| {
        let role = arn.resource_after("role/").and_then(|path| state.roles.get(last_part(path)));
        role.filter(|role| identity.role_arn(role) == arn).cloned()
    });
    // A role that does not exist and one that trusts somebody else look the same from outside.
    let role = role.filter(|role| caller_may_assume(&identity, role, &call, &input));
    let role = role.ok_or_else(|| denied(&call.caller, &arn))?;
    let valid = duration(&role, &call.caller, input.duration_seconds)?;
    let session = identity.new_session(&role, &input.role_session_name, valid);
    Ok(AssumeRoleResponse {
        assumed_role_user: Some(AssumedRoleUser {
            assumed_role_id: format!("{}:{}", role.id, input.role_session_name),
            arn: identity.session_arn(&role.name, &input.role_session_name).to_string(),
        }),
        credentials: Some(Credentials {
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
            expiration: session.expires,
        }),
        ..AssumeRoleResponse::default()
    })
}

/// Session policies, session tags and second factors would change what the session may do: better refused than ignored.
fn refuse_unserved(input: &AssumeRoleRequest) -> Result<(), ApiError> {
    let given = [
        ("Policy", input.policy.is_some()),
        ("PolicyArns", input.policy_arns.is_some()),
        ("Tags", input.tags.is_some()),
        ("TransitiveTagKeys", input.transitive_tag_keys.is_some()),
        ("SerialNumber", input.serial_number.is_some()),
        ("TokenCode", input.token_code.is_some()),
        ("SourceIdentity", input.source_identity.is_some()),
        ("ProvidedContexts", input.provided_contexts.is_some()),
        ("MinimumSessionTokenSize", input.minimum_session_token_size.is_some()),
    ];
    given.iter().find(|(_, given)| *given).map_or(Ok(()), |(name, _)| Err(unsupported(name)))
}

fn denied(caller: &Caller, role: &Arn) -> ApiError {
    let who = &caller.arn;
    ACCESS_DENIED.because(format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}"))
}

fn duration(role: &Role, caller: &Caller, asked_secs: Option<i32>) -> Result<Duration, ApiError> {
    let Some(secs) = asked_secs else { return Ok(SESSION_DEFAULT) };
    let asked = Duration::from_secs(secs.max(0) as u64);
    if matches!(caller.kind, CallerKind::AssumedRole { .. }) && asked > CHAINED_SESSION_MAX {
        let why = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(common::VALIDATION.because(why));
    }
    if secs > role.max_session_secs {
        let why = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(common::VALIDATION.because(why));
    }
    Ok(asked)
}
