//! Statements of a topic's policy, by label.

use crate::error::{invalid, invalid_because, no_topic};
use crate::limits::{LABEL_LENGTH, POLICY_BYTES, STATEMENTS};
use crate::state::Change;
use crate::{Topics, access};
use names::Arn;
use policies::{Policy, share};
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
    call: Arc<Call>,
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
    if input.action_name.iter().any(|action| !SHARED.contains(&action.as_str())) {
        return Err(invalid("Policy statement action out of service scope!"));
    }
    edit(&topics, &call, &input.topic_arn, |arn, policy| {
        if policy.has(&input.label) {
            return Err(invalid("Statement already exists"));
        }
        let statement = share(&input.label, &input.aws_account_id, "SNS", &input.action_name, arn.as_str());
        policy.put(statement).map_err(|why| invalid_because("Policy", why))
    })
    .await
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_RemovePermission.html>: one that is not there is removed already.
pub(super) async fn remove_permission(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: RemovePermissionInput,
) -> Result<Nothing, ApiError> {
    edit(&topics, &call, &input.topic_arn, |_, policy| Ok(policy.without(&input.label))).await
}

async fn edit(
    topics: &Topics,
    call: &Call,
    arn: &str,
    change: impl FnOnce(&Arn, &Policy) -> Result<Policy, ApiError>,
) -> Result<Nothing, ApiError> {
    let name = topics.asked(call, arn)?;
    let arn = topics.arn(&name);
    topics
        .catalog
        .change(|state| {
            let mut settings = state.topics.get(&name).ok_or_else(no_topic)?.settings.clone();
            let policy = change(&arn, &access::kept(&arn, &topics.home, &settings))?;
            if policy.len() > STATEMENTS {
                return Err(invalid_because("Policy", format!("a policy has at most {STATEMENTS} statements")));
            }
            let text = policy.document();
            if text.len() > POLICY_BYTES {
                return Err(invalid_because("Policy", format!("a policy has at most {POLICY_BYTES} bytes")));
            }
            settings.policy = Some(text);
            Ok((vec![Change::Set { name: name.clone(), settings }], ()))
        })
        .await?;
    Ok(Nothing {})
}
