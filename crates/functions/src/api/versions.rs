//! PublishVersion, ListVersionsByFunction: numbered copies of a function that never change.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html>

use super::{check_revision, find, invalid, not_served, page, version_key};
use crate::called::Called;
use crate::functions::Functions;
use crate::state::{Change, Function, State};
use names::Timestamp;
use shapes::lambda::{
    FunctionConfiguration, ListVersionsByFunctionRequest, ListVersionsByFunctionResponse, PublishVersionRequest,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call};

pub(crate) async fn publish_version(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: PublishVersionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    if input.publish_to.is_some() {
        return Err(not_served("PublishTo"));
    }
    let name = Called::whole(&functions.home, &input.function_name)?;
    let revision = functions.world.uuid();
    let version = functions
        .catalog
        .change(|state| {
            let latest = find(state, &functions.home, &name)?;
            check_revision(&latest.revision, input.revision_id.as_deref())?;
            if let Some(sha) = input.code_sha256.as_ref().filter(|sha| !sha.is_empty() && **sha != latest.code_sha256) {
                return Err(invalid(format!(
                    "CodeSHA256 ({sha}) is different from current CodeSHA256 in $LATEST ({}). Please try again with the \
                     CodeSHA256 in $LATEST.",
                    latest.code_sha256
                )));
            }
            let (change, version) = published(state, latest, input.description.clone(), &revision, call.at);
            Ok((change.into_iter().collect(), version))
        })
        .await?;
    Ok(functions.describe(&version, None))
}

/// The version that a function's present state is published as, and the change that makes it: none where nothing changed
/// since the last one.
pub(super) fn published(
    state: &State,
    latest: &Function,
    description: Option<String>,
    revision: &str,
    at: Timestamp,
) -> (Option<Change>, Function) {
    let family = state.family(&latest.name);
    let last = family.and_then(|family| family.versions.get(&family.last_version));
    if let Some(last) = last.filter(|last| same(last, latest)) {
        return (None, last.clone());
    }
    let number = family.map_or(0, |family| family.last_version) + 1;
    let version = Function {
        arn: names::Arn::new(
            "lambda",
            latest.arn.region(),
            latest.arn.account(),
            &format!("function:{}:{number}", latest.name),
        ),
        version: number.to_string(),
        description: description.unwrap_or_else(|| latest.description.clone()),
        last_modified: at,
        revision: revision.to_owned(),
        tags: BTreeMap::new(),
        permissions: BTreeMap::new(),
        ..latest.clone()
    };
    (Some(Change::PutVersion(Box::new(version.clone()))), version)
}

/// Whether two configurations differ in nothing that a version keeps.
fn same(version: &Function, latest: &Function) -> bool {
    let latest = Function {
        arn: version.arn.clone(),
        version: version.version.clone(),
        description: version.description.clone(),
        last_modified: version.last_modified,
        revision: version.revision.clone(),
        tags: BTreeMap::new(),
        permissions: BTreeMap::new(),
        ..latest.clone()
    };
    *version == latest
}

pub(crate) async fn list_versions(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListVersionsByFunctionRequest,
) -> Result<ListVersionsByFunctionResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let (found, next_marker) = functions.catalog.read(|state| {
        let latest = find(state, &functions.home, &name)?;
        let published = state.family(&name).into_iter().flat_map(|family| family.versions.values());
        let all = std::iter::once(latest).chain(published).map(|function| (version_key(function), function));
        let (found, next) = page(&call, &name, all, input.marker, input.max_items)?;
        Ok::<_, ApiError>((found.into_iter().cloned().collect::<Vec<_>>(), next))
    })?;
    let shown = found.iter().map(|function| functions.describe_qualified(function)).collect();
    Ok(ListVersionsByFunctionResponse { next_marker, versions: Some(shown) })
}
