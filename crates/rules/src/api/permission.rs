//! Who may put events on a bus.

use crate::Rules;
use crate::error::{invalid, no_bus};
use crate::limits::POLICY_CHARS;
use crate::policy::{self, PUT_EVENTS, Unfit};
use crate::state::Change;
use policies::Policy;
use serde_json::{Value, json};
use shapes::events::{PutPermissionRequest, RemovePermissionRequest, errors};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html>
pub(super) async fn put_permission(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: PutPermissionRequest,
) -> Result<Nothing, ApiError> {
    let name = rules.bus_of(input.event_bus_name.as_deref())?.to_owned();
    let bus = rules.home.arn("events", &format!("event-bus/{name}")).to_string();
    let at = rules.world.now();
    let statement = match &input.policy {
        Some(_) if input.statement_id.is_some() || input.principal.is_some() || input.action.is_some() => {
            return Err(invalid("Policy can't be combined with Action, Principal, StatementId or Condition."));
        }
        Some(_) => None,
        None => Some(statement(&input, &bus)?),
    };
    rules
        .change(|state| {
            let known = state.buses.get(&name).ok_or_else(|| no_bus(&name))?;
            let policy = match (&statement, &input.policy) {
                (Some(statement), _) => {
                    let held = known.policy.as_deref().map(policy::parse).transpose().map_err(refuse)?;
                    let held = held.unwrap_or_else(|| Policy::empty(policy::VENDOR));
                    held.put(statement.clone()).map_err(|why| refuse(why.into()))?
                }
                (None, given) => {
                    let read = policy::parse(given.as_deref().unwrap_or_default()).map_err(refuse)?;
                    read.check_principals(|name| rules.identities.exists(name)).map_err(|why| refuse(why.into()))?;
                    read
                }
            };
            let text = policy.text().unwrap_or_default();
            if text.chars().count() > POLICY_CHARS {
                return Err(refuse(Unfit::TooLong));
            }
            // A document is kept and shown as it was written.
            let policy = Some(input.policy.clone().unwrap_or(text));
            Ok((vec![Change::BusPolicy { name, at, policy }], Nothing {}))
        })
        .await
}

fn refuse(error: Unfit) -> ApiError {
    match error {
        Unfit::TooLong => errors::POLICY_LENGTH_EXCEEDED_EXCEPTION.because(error.to_string()),
        Unfit::Malformed(_) => invalid(format!("Parameter Policy is not valid. Reason: {error}")),
    }
}

/// The statement that the single parameters make.
fn statement(input: &PutPermissionRequest, bus: &str) -> Result<Value, ApiError> {
    let required = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| invalid(format!("Parameter {name} is not valid. Reason: {name} is required.")))
    };
    let (sid, principal) = (required(&input.statement_id, "StatementId")?, required(&input.principal, "Principal")?);
    if required(&input.action, "Action")? != PUT_EVENTS {
        return Err(invalid("Provided value in parameter 'action' is not supported."));
    }
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
    };
    let mut statement =
        json!({"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": PUT_EVENTS, "Resource": bus});
    if let Some(condition) = &input.condition {
        if condition.r#type != "StringEquals" || condition.key != "aws:PrincipalOrgID" {
            return Err(invalid(
                "Parameter Condition is not valid. Reason: it must be StringEquals on aws:PrincipalOrgID.",
            ));
        }
        statement["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": condition.value}});
    }
    Ok(statement)
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemovePermission.html>
pub(super) async fn remove_permission(
    rules: Arc<Rules>,
    _call: Arc<Call>,
    input: RemovePermissionRequest,
) -> Result<Nothing, ApiError> {
    let name = rules.bus_of(input.event_bus_name.as_deref())?.to_owned();
    let at = rules.world.now();
    let all = input.remove_all_permissions == Some(true);
    if !all && input.statement_id.is_none() {
        return Err(invalid("Parameter StatementId is required."));
    }
    rules
        .change(|state| {
            let known = state.buses.get(&name).ok_or_else(|| no_bus(&name))?;
            let Some(held) = known.policy.as_deref() else {
                return match all {
                    true => Ok((vec![], Nothing {})),
                    false => Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because("EventBus does not have a policy.")),
                };
            };
            let sid = input.statement_id.as_deref().unwrap_or_default();
            let policy = policy::parse(held).map_err(refuse)?;
            if !all && !policy.has(sid) {
                return Err(
                    errors::RESOURCE_NOT_FOUND_EXCEPTION.because("Statement with the provided id does not exist.")
                );
            }
            let policy = policy.without(sid).text().filter(|_| !all);
            Ok((vec![Change::BusPolicy { name, at, policy }], Nothing {}))
        })
        .await
}
