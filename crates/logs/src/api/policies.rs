//! Resource policies: which services may put events in their own name.

use super::{limit, page};
use crate::Logs;
use crate::error::{invalid, refuse, too_many};
use crate::limits::{DESCRIBED, POLICIES};
use crate::state::{Change, Policy};
use policies::Policy as Document;
use shapes::logs::errors::RESOURCE_NOT_FOUND_EXCEPTION;
use shapes::logs::{
    DeleteResourcePolicyRequest, DescribeResourcePoliciesRequest, DescribeResourcePoliciesResponse, PolicyScope,
    PutResourcePolicyRequest, PutResourcePolicyResponse, ResourcePolicy,
};
use std::ops::Bound;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html>
pub(super) async fn put_resource_policy(
    logs: Arc<Logs>,
    call: Arc<Call>,
    input: PutResourcePolicyRequest,
) -> Result<PutResourcePolicyResponse, ApiError> {
    refuse(&[
        ("policies of single log groups (resourceArn)", input.resource_arn.is_some()),
        ("expectedRevisionId", input.expected_revision_id.is_some()),
    ])?;
    let name = input.policy_name.filter(|name| !name.is_empty()).ok_or_else(|| invalid("policyName is required."))?;
    let document = input.policy_document.ok_or_else(|| invalid("policyDocument is required."))?;
    Document::parse(&document, "logs").map_err(|why| invalid(format!("Invalid policy document: {why}")))?;
    let policy = Policy { name, document, updated: call.at };
    let shown = shape(&policy);
    logs.catalog
        .change(|state| {
            if state.policies.len() >= POLICIES && !state.policies.contains_key(&policy.name) {
                return Err(too_many("resource policies"));
            }
            Ok((vec![Change::PolicyPut(policy)], ()))
        })
        .await?;
    Ok(PutResourcePolicyResponse { resource_policy: Some(shown), revision_id: None })
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeResourcePolicies.html>
pub(super) async fn describe_resource_policies(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DescribeResourcePoliciesRequest,
) -> Result<DescribeResourcePoliciesResponse, ApiError> {
    let of_groups = input.resource_arn.is_some() || input.policy_scope == Some(PolicyScope::Resource);
    refuse(&[("policies of single log groups (resourceArn)", of_groups)])?;
    let after = input.next_token.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    logs.catalog.read(|state| {
        let rest = state.policies.range::<str, _>((after, Bound::Unbounded));
        let (policies, next_token) =
            page(rest.map(|(name, policy)| (name.clone(), shape(policy))), limit(input.limit, DESCRIBED));
        Ok(DescribeResourcePoliciesResponse { resource_policies: Some(policies), next_token })
    })
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteResourcePolicy.html>
pub(super) async fn delete_resource_policy(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DeleteResourcePolicyRequest,
) -> Result<Nothing, ApiError> {
    refuse(&[
        ("policies of single log groups (resourceArn)", input.resource_arn.is_some()),
        ("expectedRevisionId", input.expected_revision_id.is_some()),
    ])?;
    let name = input.policy_name.filter(|name| !name.is_empty()).ok_or_else(|| invalid("policyName is required."))?;
    logs.catalog
        .change(|state| {
            if !state.policies.contains_key(&name) {
                let why = format!("Policy with name [{name}] does not exist.");
                return Err(RESOURCE_NOT_FOUND_EXCEPTION.because(why));
            }
            Ok((vec![Change::PolicyDeleted { name }], ()))
        })
        .await?;
    Ok(Nothing {})
}

fn shape(policy: &Policy) -> ResourcePolicy {
    ResourcePolicy {
        policy_name: Some(policy.name.clone()),
        policy_document: Some(policy.document.clone()),
        last_updated_time: Some(policy.updated.millis()),
        policy_scope: Some(PolicyScope::Account),
        ..ResourcePolicy::default()
    }
}
