//! AddLayerVersionPermission, RemoveLayerVersionPermission, GetLayerVersionPolicy: kept and shown, as functions' policies.

use super::check_revision;
use super::layers::{name, not_there};
use crate::functions::Functions;
use crate::state::{Change, LayerVersion, State};
use serde_json::{Value, json};
use shapes::lambda::{
    AddLayerVersionPermissionRequest, AddLayerVersionPermissionResponse, GetLayerVersionPolicyRequest,
    GetLayerVersionPolicyResponse, RemoveLayerVersionPermissionRequest, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

fn known(state: &State, layer: &str, number: i64) -> Result<LayerVersion, ApiError> {
    let number = u64::try_from(number).map_err(super::invalid)?;
    state.layer_version(layer, number).cloned().ok_or_else(not_there)
}

fn put(layer: &str, version: LayerVersion) -> Vec<Change> {
    vec![Change::PutLayerVersion { layer: layer.to_owned(), version: Box::new(version) }]
}

pub(crate) async fn add(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: AddLayerVersionPermissionRequest,
) -> Result<AddLayerVersionPermissionResponse, ApiError> {
    let layer = name(&functions.home, &input.layer_name)?;
    let revision = functions.world.uuid();
    let (statement, revision) = functions
        .catalog
        .change(|state| {
            let mut version = known(state, &layer, input.version_number)?;
            check_revision(&version.revision, input.revision_id.as_deref())?;
            if version.permissions.contains_key(&input.statement_id) {
                return Err(errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    input.statement_id
                )));
            }
            let text = statement(&input, &version).to_string();
            version.permissions.insert(input.statement_id.clone(), text.clone());
            version.revision.clone_from(&revision);
            Ok((put(&layer, version), (text, revision)))
        })
        .await?;
    Ok(AddLayerVersionPermissionResponse { statement: Some(statement), revision_id: Some(revision) })
}

fn statement(input: &AddLayerVersionPermissionRequest, version: &LayerVersion) -> Value {
    let principal = match input.principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
    };
    let mut statement = json!({
        "Sid": input.statement_id, "Effect": "Allow", "Principal": principal, "Action": input.action,
        "Resource": version.arn,
    });
    if let Some(organization) = &input.organization_id {
        statement["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": organization}});
    }
    statement
}

pub(crate) async fn remove(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: RemoveLayerVersionPermissionRequest,
) -> Result<Nothing, ApiError> {
    let layer = name(&functions.home, &input.layer_name)?;
    let revision = functions.world.uuid();
    functions
        .catalog
        .change(|state| {
            let mut version = known(state, &layer, input.version_number)?;
            check_revision(&version.revision, input.revision_id.as_deref())?;
            if version.permissions.remove(&input.statement_id).is_none() {
                return Err(errors::RESOURCE_NOT_FOUND_EXCEPTION
                    .because(format!("Statement {} is not found in resource policy.", input.statement_id)));
            }
            version.revision = revision;
            Ok((put(&layer, version), ()))
        })
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetLayerVersionPolicyRequest,
) -> Result<GetLayerVersionPolicyResponse, ApiError> {
    let layer = name(&functions.home, &input.layer_name)?;
    let version = functions.catalog.read(|state| known(state, &layer, input.version_number))?;
    if version.permissions.is_empty() {
        return Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because("No policy is associated with the given resource."));
    }
    let statements: Vec<Value> =
        version.permissions.values().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
    Ok(GetLayerVersionPolicyResponse { policy: Some(policy.to_string()), revision_id: Some(version.revision) })
}
