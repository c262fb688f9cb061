use super::{encoded, no_policy, over_quota, path_of, tags_in, tags_out, under};
use crate::Identity;
use crate::document::{check_identity, size};
use crate::limits::{MANAGED_POLICY_SIZE, POLICIES};
use crate::managed;
use crate::page::page;
use crate::state::{Change, Policy, State};
use shapes::iam::errors::{
    DELETE_CONFLICT_EXCEPTION, ENTITY_ALREADY_EXISTS_EXCEPTION, MALFORMED_POLICY_DOCUMENT_EXCEPTION,
    NO_SUCH_ENTITY_EXCEPTION,
};
use shapes::iam::{
    self, CreatePolicyRequest, CreatePolicyResponse, DeletePolicyRequest, GetPolicyRequest, GetPolicyResponse,
    GetPolicyVersionRequest, GetPolicyVersionResponse, ListPoliciesRequest, ListPoliciesResponse, PolicyScopeType,
    PolicyUsageType, PolicyVersion,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// Policies have one version until CreatePolicyVersion is served.
const ONLY_VERSION: &str = "v1";

pub(super) async fn create(
    identity: Arc<Identity>,
    call: Arc<Call>,
    input: CreatePolicyRequest,
) -> Result<CreatePolicyResponse, ApiError> {
    check_identity(&input.policy_document).map_err(|why| MALFORMED_POLICY_DOCUMENT_EXCEPTION.because(why))?;
    if size(&input.policy_document) > MANAGED_POLICY_SIZE {
        return Err(over_quota("PolicySize", MANAGED_POLICY_SIZE));
    }
    let path = path_of(input.path);
    let arn = identity.home.global_arn("iam", &format!("policy{path}{}", input.policy_name));
    let policy = Policy {
        name: input.policy_name,
        path,
        id: Some(format!("ANPA{}", identity.world.base32_id(17))),
        arn: arn.to_string(),
        description: input.description,
        created: call.at,
        document: input.policy_document,
        tags: tags_in(input.tags)?,
    };
    // As AWS does, the answer to the making shows neither description nor more than what identifies the policy.
    let answer = iam::Policy { description: None, ..shape(&policy, 0, true) };
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if state.policies.values().any(|other| other.name.eq_ignore_ascii_case(&policy.name)) {
                let why = format!("A policy called {} already exists. Duplicate names are not allowed.", policy.name);
                return Err(ENTITY_ALREADY_EXISTS_EXCEPTION.because(why));
            }
            if state.policies.len() >= POLICIES {
                return Err(over_quota("PoliciesPerAccount", POLICIES));
            }
            Ok((vec![Change::PolicyMade(policy)], ()))
        })
        .await?;
    Ok(CreatePolicyResponse { policy: Some(answer) })
}

pub(super) async fn get(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: GetPolicyRequest,
) -> Result<GetPolicyResponse, ApiError> {
    identity.catalog.read(|state| {
        let policy = state.policy(&input.policy_arn).ok_or_else(|| no_policy(&input.policy_arn))?;
        Ok(GetPolicyResponse { policy: Some(shape(&policy, state.attachments(&policy.arn), true)) })
    })
}

pub(super) async fn get_version(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: GetPolicyVersionRequest,
) -> Result<GetPolicyVersionResponse, ApiError> {
    let policy = identity.catalog.read(|state| state.policy(&input.policy_arn));
    let policy = policy.ok_or_else(|| no_policy(&input.policy_arn))?;
    if input.version_id != ONLY_VERSION {
        let why =
            format!("Policy {} version {} does not exist or is not attachable.", input.policy_arn, input.version_id);
        return Err(NO_SUCH_ENTITY_EXCEPTION.because(why));
    }
    let version = PolicyVersion {
        document: Some(encoded(&policy.document)),
        version_id: Some(ONLY_VERSION.to_owned()),
        is_default_version: Some(true),
        create_date: Some(policy.created),
    };
    Ok(GetPolicyVersionResponse { policy_version: Some(version) })
}

pub(super) async fn list(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: ListPoliciesRequest,
) -> Result<ListPoliciesResponse, ApiError> {
    identity.catalog.read(|state| {
        let policies = wanted(state, &input);
        let shapes = policies.iter().map(|(arn, (policy, attached))| (arn.as_str(), shape(policy, *attached, false)));
        let page = page(shapes, input.marker.as_deref(), input.max_items)?;
        Ok(ListPoliciesResponse { policies: Some(page.items), is_truncated: page.is_truncated, marker: page.marker })
    })
}

/// The policies asked for, by ARN, with how often each is attached.
fn wanted(state: &State, input: &ListPoliciesRequest) -> BTreeMap<String, (Policy, usize)> {
    let scope = input.scope.unwrap_or(PolicyScopeType::All);
    let aws = managed::all().filter(|_| scope != PolicyScopeType::Local);
    let own = state.policies.values().filter(|_| scope != PolicyScopeType::Aws).cloned();
    // Nothing is used as a boundary here: boundaries are refused.
    let boundaries = input.policy_usage_filter == Some(PolicyUsageType::PermissionsBoundary);
    aws.chain(own)
        .filter(|policy| !boundaries && under(&policy.path, input.path_prefix.as_deref()))
        .map(|policy| (state.attachments(&policy.arn), policy))
        .filter(|(attached, _)| *attached > 0 || input.only_attached != Some(true))
        .map(|(attached, policy)| (policy.arn.clone(), (policy, attached)))
        .collect()
}

pub(super) async fn delete(
    identity: Arc<Identity>,
    _: Arc<Call>,
    input: DeletePolicyRequest,
) -> Result<Nothing, ApiError> {
    let arn = input.policy_arn;
    identity
        .catalog
        .change::<_, ApiError>(|state| {
            if !state.policies.contains_key(&arn) {
                return Err(no_policy(&arn));
            }
            if state.attachments(&arn) > 0 {
                let why = "Cannot delete a policy attached to entities.";
                return Err(DELETE_CONFLICT_EXCEPTION.because(why));
            }
            Ok((vec![Change::PolicyGone(arn)], ()))
        })
        .await?;
    Ok(Nothing {})
}

fn shape(policy: &Policy, attached: usize, whole: bool) -> iam::Policy {
    iam::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: policy.id.clone(),
        arn: Some(policy.arn.clone()),
        path: Some(policy.path.clone()),
        default_version_id: Some(ONLY_VERSION.to_owned()),
        attachment_count: Some(attached as i32),
        permissions_boundary_usage_count: Some(0),
        is_attachable: Some(true),
        description: if whole { policy.description.clone() } else { None },
        create_date: Some(policy.created),
        update_date: Some(policy.created),
        tags: if whole { tags_out(&policy.tags) } else { None },
    }
}
