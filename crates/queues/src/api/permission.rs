//! Statements of a queue's policy, by label.

use crate::error::{INVALID_PARAMETER_VALUE, MISSING_PARAMETER, OVER_LIMIT, bad_value};
use crate::limits::{ACTIONS, STATEMENTS};
use crate::policy::{self, SHARED};
use crate::settings::Settings;
use crate::state::State;
use crate::{Queues, address};
use shapes::sqs::{AddPermissionRequest, RemovePermissionRequest};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html>
pub(super) async fn add_permission(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: AddPermissionRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    check(&input)?;
    let decide = |_: &State, settings: &Settings| {
        let policy = match &settings.policy {
            Some(text) => policy::parse(text).map_err(ApiError::fault)?,
            None => policy::empty(room.arn.as_str()).map_err(ApiError::fault)?,
        };
        if policy.has(&input.label) {
            return Err(bad_value("Label", &input.label, "Already exists."));
        }
        let statement = policies::share(&input.label, &input.aws_account_ids, "SQS", &input.actions, room.arn.as_str());
        let text = policy.put(statement).map_err(ApiError::fault)?.text().unwrap_or_default();
        policy::parse(&text).map_err(|why| OVER_LIMIT.because(why.to_string()))?;
        Ok(Settings { policy: Some(text), ..settings.clone() })
    };
    queues.set(&room, decide).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_RemovePermission.html>
pub(super) async fn remove_permission(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: RemovePermissionRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    let decide = |_: &State, settings: &Settings| {
        let known = settings.policy.as_deref().map(policy::parse).transpose().map_err(ApiError::fault)?;
        let Some(policy) = known.filter(|policy| policy.has(&input.label)) else {
            return Err(bad_value("Label", &input.label, "can't find label on existing policy."));
        };
        Ok(Settings { policy: policy.without(&input.label).text(), ..settings.clone() })
    };
    queues.set(&room, decide).await?;
    Ok(Nothing {})
}

fn check(input: &AddPermissionRequest) -> Result<(), ApiError> {
    if input.actions.is_empty() {
        return Err(MISSING_PARAMETER.because("The request must contain the parameter Actions."));
    }
    if input.aws_account_ids.is_empty() {
        let text = "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.";
        return Err(INVALID_PARAMETER_VALUE.because(text));
    }
    if input.actions.len() > ACTIONS {
        return Err(
            OVER_LIMIT.because(format!("{} Actions were found, maximum allowed is {ACTIONS}.", input.actions.len()))
        );
    }
    if !address::is_name(&input.label) {
        let why = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(bad_value("Label", &input.label, why));
    }
    for action in &input.actions {
        if !SHARED.contains(&action.as_str()) {
            let known = shapes::sqs::SERVICE.operation(action).is_some();
            return Err(match known {
                true => bad_value(
                    "ActionName",
                    format!("SQS:{action}"),
                    "Only the queue owner is allowed to invoke this action.",
                ),
                false => bad_value(
                    "ActionName",
                    format!("SQS:{action}"),
                    "Please refer to the appropriate WSDL for a list of valid actions.",
                ),
            });
        }
    }
    let sound = |id: &String| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    if input.aws_account_ids.len() > STATEMENTS || !input.aws_account_ids.iter().all(sound) {
        let text = format!(
            "Value {:?} for parameter PrincipalId is invalid. Reason: Unable to verify.",
            input.aws_account_ids
        );
        return Err(INVALID_PARAMETER_VALUE.because(text));
    }
    Ok(())
}
