//! Resource policies: which services may put events in their own name.

use super::limit;
use crate::Logs;
use crate::error::{bad_token, invalid, refuse, too_many};
use crate::limits::{DESCRIBED, POLICIES};
use crate::state::{Change, Policy, VENDOR};
use policies::Policy as Document;
use shapes::logs::errors::RESOURCE_NOT_FOUND_EXCEPTION;
use shapes::logs::{
    DeleteResourcePolicyRequest, DescribeResourcePoliciesRequest, DescribeResourcePoliciesResponse, PolicyScope,
    PutResourcePolicyRequest, PutResourcePolicyResponse, ResourcePolicy,
};
use std::sync::Arc;
use wire::page::page;
use wire::{ApiError, Call, Nothing};

const OF_GROUPS: &str = "policies of single log groups (resourceArn)";

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html>
pub(super) async fn put_resource_policy(
    logs: Arc<Logs>,
    call: Arc<Call>,
    input: PutResourcePolicyRequest,
) -> Result<PutResourcePolicyResponse, ApiError> {
    let name = named(input.policy_name, input.resource_arn, input.expected_revision_id)?;
    let document = input.policy_document.ok_or_else(|| invalid("policyDocument is required."))?;
    let read = Document::parse(&document, VENDOR);
    let read = read.map_err(|why| invalid(format!("Invalid policy document: {why}")))?;
    // Whole accounts, by number: whom of them it names is not checked at AWS, for it is never a user or a role.
    if read.principals().any(|name| name.starts_with("arn:")) {
        return Err(invalid("Principal section of policy contains ARN instead of account ID"));
    }
    let policy = Policy::new(name, document, call.at);
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
    call: Arc<Call>,
    input: DescribeResourcePoliciesRequest,
) -> Result<DescribeResourcePoliciesResponse, ApiError> {
    let of_groups = input.resource_arn.is_some() || input.policy_scope == Some(PolicyScope::Resource);
    refuse(&[(OF_GROUPS, of_groups)])?;
    let part = (input.next_token.as_deref(), limit(input.limit, DESCRIBED));
    logs.catalog.read(|state| {
        let page = page(call.operation.name, &state.policies, part, |_, policy| Some(shape(policy)));
        let (policies, next_token) = page.ok_or_else(bad_token)?;
        Ok(DescribeResourcePoliciesResponse { resource_policies: Some(policies), next_token })
    })
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteResourcePolicy.html>
pub(super) async fn delete_resource_policy(
    logs: Arc<Logs>,
    _call: Arc<Call>,
    input: DeleteResourcePolicyRequest,
) -> Result<Nothing, ApiError> {
    let name = named(input.policy_name, input.resource_arn, input.expected_revision_id)?;
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

/// The name of a policy of the account; those of single log groups, which have revisions, are not served.
fn named(name: Option<String>, group: Option<String>, revision: Option<String>) -> Result<String, ApiError> {
    refuse(&[(OF_GROUPS, group.is_some()), ("expectedRevisionId", revision.is_some())])?;
    name.filter(|name| !name.is_empty()).ok_or_else(|| invalid("policyName is required."))
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
