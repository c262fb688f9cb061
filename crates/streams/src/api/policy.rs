//! Resource policies of streams and of their consumers: checked and kept, as all policies here are, and not evaluated:
//! there is one account, and it owns all.

use crate::Streams;
use crate::consumer::ConsumerStatus;
use crate::error;
use crate::limits::POLICY_BYTES;
use crate::state::Change;
use crate::streams::Asked;
use serde_json::Value;
use shapes::kinesis::{
    DeleteResourcePolicyInput, GetResourcePolicyInput, GetResourcePolicyOutput, PutResourcePolicyInput, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutResourcePolicy.html>
pub(crate) async fn put_resource_policy(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: PutResourcePolicyInput,
) -> Result<Nothing, ApiError> {
    let name = owner(&streams, &input.resource_arn, input.stream_id.as_deref())?;
    check(&input.policy, &input.resource_arn).map_err(|why| error::argument(format!("Invalid policy: {why}.")))?;
    set(&streams, name, input.resource_arn, Some(input.policy)).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteResourcePolicy.html>
pub(crate) async fn delete_resource_policy(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: DeleteResourcePolicyInput,
) -> Result<Nothing, ApiError> {
    let name = owner(&streams, &input.resource_arn, input.stream_id.as_deref())?;
    get(&streams, &name, &input.resource_arn)?;
    set(&streams, name, input.resource_arn, None).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetResourcePolicy.html>
pub(crate) async fn get_resource_policy(
    streams: Arc<Streams>,
    _call: Arc<Call>,
    input: GetResourcePolicyInput,
) -> Result<GetResourcePolicyOutput, ApiError> {
    let name = owner(&streams, &input.resource_arn, input.stream_id.as_deref())?;
    Ok(GetResourcePolicyOutput { policy: get(&streams, &name, &input.resource_arn)? })
}

async fn set(streams: &Arc<Streams>, name: String, arn: String, policy: Option<String>) -> Result<Nothing, ApiError> {
    let changed = name.clone();
    streams.update(name, |_, _| Ok(vec![Change::Policy { name: changed, arn, policy }])).await?;
    Ok(Nothing {})
}

fn get(streams: &Streams, name: &str, arn: &str) -> Result<String, ApiError> {
    let stream = streams.find(Asked { name: Some(name), ..Asked::default() })?;
    let none = || {
        errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("No resource policy is attached to the resource {arn}."))
    };
    stream.def.policies.get(arn).cloned().ok_or_else(none)
}

/// The name of the stream that a policy is attached to, itself or one of its consumers.
fn owner(streams: &Streams, arn: &str, id: Option<&str>) -> Result<String, ApiError> {
    if arn.contains(":queue/") || arn.contains(":channel/") {
        return Err(error::not_served("policies of queues and channels"));
    }
    if arn.contains("/consumer/") {
        let (stream, consumer) = streams.consumer(arn, id)?;
        if consumer.status != ConsumerStatus::Active {
            return Err(error::consumer_not_active(streams.home(), &stream.def.name, &consumer));
        }
        return Ok(stream.def.name.clone());
    }
    let name = streams.name_of(Asked { name: None, arn: Some(arn), id })?;
    streams.find(Asked { name: Some(name), ..Asked::default() })?;
    Ok(name.to_owned())
}

/// Whether a policy says who may do what, in the shape that IAM's policies have.
/// <https://docs.aws.amazon.com/streams/latest/dev/resource-based-policy-examples.html>
fn check(policy: &str, arn: &str) -> Result<(), String> {
    if policy.len() > POLICY_BYTES {
        return Err(format!("it is longer than {POLICY_BYTES} bytes"));
    }
    let policy: Value = serde_json::from_str(policy).map_err(|error| format!("it is not JSON: {error}"))?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err("it has no statement".to_owned()),
    };
    statements.into_iter().try_for_each(|statement| check_statement(statement, arn))
}

fn check_statement(statement: &Value, arn: &str) -> Result<(), String> {
    if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
        return Err("a statement's Effect must be Allow or Deny".to_owned());
    }
    if statement.get("Principal").or(statement.get("NotPrincipal")).is_none_or(Value::is_null) {
        return Err("a statement must have a principal".to_owned());
    }
    let actions = texts(&statement["Action"]);
    if actions.is_empty() || !actions.iter().all(|action| *action == "*" || action.starts_with("kinesis:")) {
        return Err("a statement's actions must be actions of kinesis".to_owned());
    }
    let resources = texts(&statement["Resource"]);
    if resources.is_empty() || !resources.contains(&arn) {
        return Err(format!("a statement's resource must be {arn}"));
    }
    Ok(())
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

    fn policy(statement: Value) -> String {
        serde_json::json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    #[test]
    fn a_policy_says_who_may_do_what_with_the_resource() {
        let good = serde_json::json!({
            "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": ["kinesis:PutRecord"], "Resource": ARN,
        });
        assert_eq!(check(&policy(good.clone()), ARN), Ok(()));
        assert_eq!(check(&policy(serde_json::json!([good, good])), ARN), Ok(()));
        for (member, value) in [
            ("Effect", Value::from("Maybe")),
            ("Principal", Value::Null),
            ("Action", Value::from("s3:GetObject")),
            ("Action", Value::Null),
            ("Resource", Value::from("arn:aws:kinesis:us-east-1:000000000000:stream/other")),
        ] {
            let mut bad = good.clone();
            bad[member] = value.clone();
            assert!(check(&policy(bad), ARN).is_err(), "{member}: {value}");
        }
        for bad in ["", "[]", "{}", "{\"Statement\":[]}", "no JSON"] {
            assert!(check(bad, ARN).is_err(), "{bad}");
        }
    }
}
