//! AddPermission, RemovePermission, GetPolicy: the resource policy of a function, or of a version or an alias of it. It
//! acts on other services and on URLs: see `permission.rs`.

use super::{check_revision, refuse};
use crate::called::Called;
use crate::functions::Functions;
use crate::permission;
use crate::state::{Alias, Change, Door, Function, LATEST, State};
use names::Arn;
use policies::PolicyError;
use serde_json::{Value, json};
use shapes::lambda::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest, errors,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// The largest policy: 20 KB. <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const POLICY_BYTES: usize = 20 << 10;

pub(crate) async fn add_permission(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: AddPermissionRequest,
) -> Result<AddPermissionResponse, ApiError> {
    refuse(&[("EventSourceToken", input.event_source_token.is_some())])?;
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let revision = functions.world.uuid();
    let text = functions
        .catalog
        .change(|state| {
            let mut policy = Policy::of(state, &functions, &called)?;
            check_revision(&policy.revision, input.revision_id.as_deref())?;
            if policy.statements.contains_key(&input.statement_id) {
                return Err(errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    input.statement_id
                )));
            }
            let text = statement(&input, &called.arn(&functions.home)).to_string();
            policy.statements.insert(input.statement_id.clone(), text.clone());
            // Who is gone meanwhile is as good as one who never was, whichever statement names him.
            if let Some(whole) = permission::policy(&policy.statements).map_err(unfit)? {
                whole.check_principals(|name| functions.neighbours.exists(name)).map_err(unfit)?;
            }
            if policy.statements.values().map(String::len).sum::<usize>() > POLICY_BYTES {
                return Err(errors::POLICY_LENGTH_EXCEEDED_EXCEPTION
                    .because(format!("The final policy size ({POLICY_BYTES}) is bigger than the limit ({POLICY_BYTES}).")));
            }
            Ok((policy.put(state, &called, revision), text))
        })
        .await?;
    Ok(AddPermissionResponse { statement: Some(text) })
}

/// A resource policy, and the revision of what it belongs to.
struct Policy {
    statements: BTreeMap<String, String>,
    revision: String,
}

impl Policy {
    fn of(state: &State, functions: &Functions, called: &Called) -> Result<Policy, ApiError> {
        let function = called.find(state, &functions.home, "")?.function;
        let Some(qualifier) = called.qualifier.as_deref().filter(|qualifier| *qualifier != LATEST) else {
            return Ok(Policy { statements: function.permissions, revision: function.revision });
        };
        let alias = state.alias(&called.name, qualifier).map(|alias| alias.revision.clone());
        let statements = state.door(&called.name, Some(qualifier)).map(|door| door.permissions.clone());
        Ok(Policy { statements: statements.unwrap_or_default(), revision: alias.unwrap_or(function.revision) })
    }

    /// The changes that make it this.
    fn put(self, state: &State, called: &Called, revision: String) -> Vec<Change> {
        let function = called.name.clone();
        let Some(qualifier) = called.qualifier.clone().filter(|qualifier| qualifier != LATEST) else {
            let latest = state.functions.get(&function).cloned();
            let put = |f| Change::PutFunction(Box::new(Function { permissions: self.statements, revision, ..f }));
            return latest.map(put).into_iter().collect();
        };
        let known = state.door(&function, Some(&qualifier)).cloned().unwrap_or_default();
        let door = Box::new(Door { permissions: self.statements, ..known });
        let owner = match state.alias(&function, &qualifier).cloned() {
            Some(alias) => {
                Some(Change::PutAlias { function: function.clone(), alias: Box::new(Alias { revision, ..alias }) })
            }
            None => {
                let version = state.version(&function, &qualifier).cloned();
                version.map(|v| Change::PutVersion(Box::new(Function { revision, ..v })))
            }
        };
        owner.into_iter().chain([Change::PutDoor { function, qualifier, door }]).collect()
    }
}

fn statement(input: &AddPermissionRequest, resource: &Arn) -> Value {
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
        "Resource": resource,
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
    if let Some(auth) = &input.function_url_auth_type {
        equals.insert("lambda:FunctionUrlAuthType".into(), json!(auth.as_str()));
    }
    if let Some(via) = input.invoked_via_function_url {
        condition.insert("Bool".into(), json!({"lambda:InvokedViaFunctionUrl": via.to_string()}));
    }
    if !equals.is_empty() {
        condition.insert("StringEquals".into(), Value::Object(equals));
    }
    if !condition.is_empty() {
        statement["Condition"] = Value::Object(condition);
    }
    statement
}

/// A statement that cannot be judged.
fn unfit(why: PolicyError) -> ApiError {
    match why {
        PolicyError::Principal(_) | PolicyError::NoSuchPrincipal(_) => errors::INVALID_PARAMETER_VALUE_EXCEPTION
            .because("The provided principal was invalid. Please check the principal and try again."),
        why => errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(why.to_string()),
    }
}

fn no_policy() -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.")
}

pub(crate) async fn remove_permission(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: RemovePermissionRequest,
) -> Result<Nothing, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let revision = functions.world.uuid();
    functions
        .catalog
        .change(|state| {
            let mut policy = Policy::of(state, &functions, &called)?;
            check_revision(&policy.revision, input.revision_id.as_deref())?;
            if policy.statements.remove(&input.statement_id).is_none() {
                return Err(errors::RESOURCE_NOT_FOUND_EXCEPTION
                    .because(format!("Statement {} is not found in resource policy.", input.statement_id)));
            }
            Ok((policy.put(state, &called, revision), ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn get_policy(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetPolicyRequest,
) -> Result<GetPolicyResponse, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let Policy { statements, revision } = functions.catalog.read(|state| Policy::of(state, &functions, &called))?;
    if statements.is_empty() {
        return Err(no_policy());
    }
    let statements: Vec<Value> = statements.values().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
    Ok(GetPolicyResponse { policy: Some(policy.to_string()), revision_id: Some(revision) })
}
