//! AddPermission, RemovePermission, GetPolicy: the function's resource policy. It is kept and shown; evaluation of
//! policies comes with identity's.

use super::{bare_name, check_revision, find, refuse};
use crate::functions::Functions;
use crate::state::{Change, Function};
use serde_json::{Value, json};
use shapes::lambda::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// The largest policy: 20 KB. <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const POLICY_BYTES: usize = 20 << 10;

pub(crate) async fn add_permission(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: AddPermissionRequest,
) -> Result<AddPermissionResponse, ApiError> {
    refuse(&[
        ("FunctionUrlAuthType", input.function_url_auth_type.is_some()),
        ("InvokedViaFunctionUrl", input.invoked_via_function_url.is_some()),
        ("EventSourceToken", input.event_source_token.is_some()),
    ])?;
    let name = bare_name(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let revision = functions.world.uuid();
    let text = functions
        .catalog
        .change(|state| {
            let mut function = find(state, &functions.home, &name)?.clone();
            check_revision(&function.revision, input.revision_id.as_deref())?;
            if function.permissions.contains_key(&input.statement_id) {
                return Err(errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    input.statement_id
                )));
            }
            let text = statement(&input, &function).to_string();
            function.permissions.insert(input.statement_id.clone(), text.clone());
            if function.permissions.values().map(String::len).sum::<usize>() > POLICY_BYTES {
                return Err(errors::POLICY_LENGTH_EXCEEDED_EXCEPTION
                    .because(format!("The final policy size ({POLICY_BYTES}) is bigger than the limit ({POLICY_BYTES}).")));
            }
            function.revision = revision;
            Ok((vec![Change::PutFunction(Box::new(function))], text))
        })
        .await?;
    Ok(AddPermissionResponse { statement: Some(text) })
}

fn statement(input: &AddPermissionRequest, function: &Function) -> Value {
    let who = &input.principal;
    let principal = match who.as_str() {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({"Service": service}),
        account if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => {
            json!({"AWS": format!("arn:aws:iam::{account}:root")})
        }
        arn => json!({"AWS": arn}),
    };
    let mut statement = json!({
        "Sid": input.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": input.action,
        "Resource": function.arn,
    });
    let mut condition = serde_json::Map::new();
    if let Some(arn) = &input.source_arn {
        condition.insert("ArnLike".into(), json!({"AWS:SourceArn": arn}));
    }
    let mut equals = serde_json::Map::new();
    if let Some(account) = &input.source_account {
        equals.insert("AWS:SourceAccount".into(), json!(account));
    }
    if let Some(organization) = &input.principal_org_id {
        equals.insert("aws:PrincipalOrgID".into(), json!(organization));
    }
    if !equals.is_empty() {
        condition.insert("StringEquals".into(), Value::Object(equals));
    }
    if !condition.is_empty() {
        statement["Condition"] = Value::Object(condition);
    }
    statement
}

fn no_policy() -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.")
}

pub(crate) async fn remove_permission(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: RemovePermissionRequest,
) -> Result<Nothing, ApiError> {
    let name = bare_name(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let revision = functions.world.uuid();
    functions
        .catalog
        .change(|state| {
            let mut function = find(state, &functions.home, &name)?.clone();
            check_revision(&function.revision, input.revision_id.as_deref())?;
            if function.permissions.remove(&input.statement_id).is_none() {
                return Err(errors::RESOURCE_NOT_FOUND_EXCEPTION
                    .because(format!("Statement {} is not found in resource policy.", input.statement_id)));
            }
            function.revision = revision;
            Ok((vec![Change::PutFunction(Box::new(function))], ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn get_policy(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetPolicyRequest,
) -> Result<GetPolicyResponse, ApiError> {
    let name = bare_name(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    functions.catalog.read(|state| {
        let function = find(state, &functions.home, &name)?;
        if function.permissions.is_empty() {
            return Err(no_policy());
        }
        let statements: Vec<Value> =
            function.permissions.values().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
        Ok(GetPolicyResponse { policy: Some(policy.to_string()), revision_id: Some(function.revision.clone()) })
    })
}
