//! Statements of a topic's policy, by label.

use super::topics::default_policy;
use crate::Topics;
use crate::error::{invalid, invalid_because, no_topic};
use crate::limits::{LABEL_LENGTH, POLICY_BYTES};
use crate::state::Change;
use serde_json::{Value, json};
use shapes::sns::{AddPermissionInput, RemovePermissionInput};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// What may be shared with other accounts.
/// Source: <https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html>
const SHARED: [&str; 9] = [
    "AddPermission",
    "DeleteTopic",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
    "Publish",
    "Receive",
    "RemovePermission",
    "SetTopicAttributes",
    "Subscribe",
];

/// <https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html>
pub(super) async fn add_permission(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: AddPermissionInput,
) -> Result<Nothing, ApiError> {
    if !LABEL_LENGTH.contains(&input.label.len()) {
        return Err(invalid("label"));
    }
    let sound = |id: &String| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    if input.aws_account_id.is_empty() || !input.aws_account_id.iter().all(sound) {
        return Err(invalid_because("AWSAccountId", "accounts are numbers of 12 digits"));
    }
    if input.action_name.is_empty() {
        return Err(invalid("ActionName"));
    }
    if let Some(action) = input.action_name.iter().find(|action| !SHARED.contains(&action.as_str())) {
        return Err(invalid(format!("Policy statement action out of service scope! {action}")));
    }
    edit(&topics, &input.topic_arn, |arn, statements| {
        if statements.iter().any(|statement| statement["Sid"] == input.label.as_str()) {
            return Err(invalid("Statement already exists"));
        }
        let principals = input.aws_account_id.iter().map(|id| format!("arn:aws:iam::{id}:root").into()).collect();
        let actions = input.action_name.iter().map(|action| format!("SNS:{action}").into()).collect();
        statements.push(json!({
            "Sid": input.label, "Effect": "Allow", "Principal": { "AWS": one_or_many(principals) },
            "Action": one_or_many(actions), "Resource": arn,
        }));
        Ok(())
    })
    .await
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_RemovePermission.html>: one that is not there is removed already.
pub(super) async fn remove_permission(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: RemovePermissionInput,
) -> Result<Nothing, ApiError> {
    edit(&topics, &input.topic_arn, |_, statements| {
        statements.retain(|statement| statement["Sid"] != input.label.as_str());
        Ok(())
    })
    .await
}

fn one_or_many(mut all: Vec<Value>) -> Value {
    if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
}

async fn edit(
    topics: &Topics,
    arn: &str,
    change: impl FnOnce(&str, &mut Vec<Value>) -> Result<(), ApiError>,
) -> Result<Nothing, ApiError> {
    let name = topics.name(arn)?;
    topics
        .catalog
        .change(|state| {
            let mut settings = state.topics.get(&name).ok_or_else(no_topic)?.settings.clone();
            let text = settings.policy.unwrap_or_else(|| default_policy(&topics.arn(&name), &topics.home));
            let mut policy: Value = serde_json::from_str(&text).map_err(ApiError::fault)?;
            let mut statements = match policy["Statement"].take() {
                Value::Array(all) => all,
                one => vec![one],
            };
            change(arn, &mut statements)?;
            policy["Statement"] = Value::Array(statements);
            let text = policy.to_string();
            if text.len() > POLICY_BYTES {
                return Err(invalid_because("Policy", format!("a policy has at most {POLICY_BYTES} bytes")));
            }
            settings.policy = Some(text);
            Ok((vec![Change::Set { name: name.clone(), settings }], ()))
        })
        .await?;
    Ok(Nothing {})
}
