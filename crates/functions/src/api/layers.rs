//! PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions, DeleteLayerVersion.
//! <https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html>

use super::{invalid, page, refuse};
use crate::code::CodeError;
use crate::functions::Functions;
use crate::state::{Change, Layer, LayerVersion, State};
use names::{Arn, Home};
use shapes::lambda::{
    Architecture, DeleteLayerVersionRequest, GetLayerVersionByArnRequest, GetLayerVersionRequest,
    GetLayerVersionResponse, LayerVersionContentOutput, LayerVersionsListItem, LayersListItem,
    ListLayerVersionsRequest, ListLayerVersionsResponse, ListLayersRequest, ListLayersResponse,
    PublishLayerVersionRequest, PublishLayerVersionResponse, Runtime, errors,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(crate) async fn publish(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: PublishLayerVersionRequest,
) -> Result<PublishLayerVersionResponse, ApiError> {
    refuse(&[("Content.S3Bucket (send the package as Content.ZipFile)", input.content.s3_bucket.is_some())])?;
    let name = name(&functions.home, &input.layer_name)?;
    let package = input.content.zip_file.ok_or_else(|| invalid("Content.ZipFile is mandatory."))?;
    let held = functions.shelf.hold().await;
    let code = functions.shelf.unpack(&held, package.clone()).await.map_err(|error| match error {
        CodeError::Disk(cause) => ApiError::fault(cause),
        refused => invalid(refused),
    })?;
    let texts = |items: Option<Vec<String>>| items.unwrap_or_default();
    let runtimes = texts(input.compatible_runtimes.map(|all| all.iter().map(|r| r.as_str().to_owned()).collect()));
    let architectures =
        texts(input.compatible_architectures.map(|all| all.iter().map(|a| a.as_str().to_owned()).collect()));
    let revision = functions.world.uuid();
    let home = &functions.home;
    let made = functions
        .catalog
        .change(|state| {
            let number = state.layers.get(&name).map_or(0, |layer| layer.last_version) + 1;
            let made = LayerVersion {
                arn: home.arn("lambda", &format!("layer:{name}:{number}")),
                number,
                description: input.description.unwrap_or_default(),
                license: input.license_info,
                runtimes,
                architectures,
                code_sha256: code.sha256_base64.clone(),
                code_id: code.id.clone(),
                code_size: package.len() as u64,
                created: call.at,
                permissions: BTreeMap::new(),
                revision,
            };
            let change = Change::PutLayerVersion { layer: name.clone(), version: Box::new(made.clone()) };
            Ok::<_, ApiError>((vec![change], made))
        })
        .await?;
    Ok(PublishLayerVersionResponse {
        content: Some(content(&functions, &made)),
        layer_arn: Some(layer_arn(home, &name).to_string()),
        layer_version_arn: Some(made.arn.to_string()),
        description: Some(made.description.clone()),
        created_date: Some(date(&made)),
        version: Some(made.number as i64),
        compatible_runtimes: runtimes_of(&made),
        license_info: made.license.clone(),
        compatible_architectures: architectures_of(&made),
    })
}

/// A layer's name out of itself or its ARN.
pub(super) fn name(home: &Home, given: &str) -> Result<String, ApiError> {
    let Some(rest) = given.strip_prefix("arn:") else { return Ok(given.to_owned()) };
    let ours = home.arn("lambda", "layer:");
    let ours = ours.as_str().strip_prefix("arn:").and_then(|prefix| rest.strip_prefix(prefix));
    ours.filter(|name| !name.contains(':'))
        .map(str::to_owned)
        .ok_or_else(|| invalid(format!("{given} is not a layer.")))
}

/// A layer's name and a version's number out of the version's ARN.
pub(super) fn numbered(home: &Home, given: &str) -> Option<(String, u64)> {
    let (layer, number) = given.rsplit_once(':')?;
    given.starts_with("arn:").then_some(())?;
    Some((name(home, layer).ok()?, number.parse().ok()?))
}

pub(super) fn not_there() -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.")
}

fn layer_arn(home: &Home, name: &str) -> Arn {
    home.arn("lambda", &format!("layer:{name}"))
}

fn content(functions: &Functions, version: &LayerVersion) -> LayerVersionContentOutput {
    LayerVersionContentOutput {
        location: functions.code_link(&version.code_id),
        code_sha256: Some(version.code_sha256.clone()),
        code_size: Some(version.code_size as i64),
        ..Default::default()
    }
}

fn date(version: &LayerVersion) -> String {
    version.created.iso_millis().replace('Z', "+0000")
}

fn runtimes_of(version: &LayerVersion) -> Option<Vec<Runtime>> {
    (!version.runtimes.is_empty()).then(|| version.runtimes.iter().filter_map(|name| name.parse().ok()).collect())
}

fn architectures_of(version: &LayerVersion) -> Option<Vec<Architecture>> {
    let names = &version.architectures;
    (!names.is_empty()).then(|| names.iter().filter_map(|name| name.parse().ok()).collect())
}

fn found(functions: &Functions, name: &str, number: u64) -> Result<GetLayerVersionResponse, ApiError> {
    let version = functions.catalog.read(|state| state.layer_version(name, number).cloned()).ok_or_else(not_there)?;
    Ok(GetLayerVersionResponse {
        content: Some(content(functions, &version)),
        layer_arn: Some(layer_arn(&functions.home, name).to_string()),
        layer_version_arn: Some(version.arn.to_string()),
        description: Some(version.description.clone()),
        created_date: Some(date(&version)),
        version: Some(version.number as i64),
        compatible_runtimes: runtimes_of(&version),
        license_info: version.license.clone(),
        compatible_architectures: architectures_of(&version),
    })
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetLayerVersionRequest,
) -> Result<GetLayerVersionResponse, ApiError> {
    let name = name(&functions.home, &input.layer_name)?;
    found(&functions, &name, u64::try_from(input.version_number).map_err(invalid)?)
}

pub(crate) async fn get_by_arn(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetLayerVersionByArnRequest,
) -> Result<GetLayerVersionResponse, ApiError> {
    let (name, number) = numbered(&functions.home, &input.arn).ok_or_else(not_there)?;
    found(&functions, &name, number)
}

/// Whether a version is for a runtime and an architecture, where these are asked for.
fn fits(version: &LayerVersion, runtime: Option<&Runtime>, architecture: Option<&Architecture>) -> bool {
    let among =
        |names: &[String], wanted: Option<&str>| wanted.is_none_or(|wanted| names.iter().any(|name| name == wanted));
    among(&version.runtimes, runtime.map(|runtime| runtime.as_str()))
        && among(&version.architectures, architecture.map(|architecture| architecture.as_str()))
}

fn item(version: &LayerVersion) -> LayerVersionsListItem {
    LayerVersionsListItem {
        layer_version_arn: Some(version.arn.to_string()),
        version: Some(version.number as i64),
        description: Some(version.description.clone()),
        created_date: Some(date(version)),
        compatible_runtimes: runtimes_of(version),
        license_info: version.license.clone(),
        compatible_architectures: architectures_of(version),
    }
}

pub(crate) async fn list_layers(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListLayersRequest,
) -> Result<ListLayersResponse, ApiError> {
    let fits = |v: &&LayerVersion| fits(v, input.compatible_runtime.as_ref(), input.compatible_architecture.as_ref());
    let (found, next_marker) = functions.catalog.read(|state| {
        let newest = |layer: &Layer| layer.versions.values().rev().find(fits).cloned();
        let all = state.layers.iter().filter_map(|(name, layer)| Some((name.clone(), (name.clone(), newest(layer)?))));
        page(&call, "", all, input.marker, input.max_items)
    })?;
    let shown = found.into_iter().map(|(name, version)| LayersListItem {
        layer_arn: Some(layer_arn(&functions.home, &name).to_string()),
        layer_name: Some(name),
        latest_matching_version: Some(item(&version)),
    });
    Ok(ListLayersResponse { next_marker, layers: Some(shown.collect()) })
}

/// The newest first.
pub(crate) async fn list_versions(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListLayerVersionsRequest,
) -> Result<ListLayerVersionsResponse, ApiError> {
    let name = name(&functions.home, &input.layer_name)?;
    let fits = |v: &&LayerVersion| fits(v, input.compatible_runtime.as_ref(), input.compatible_architecture.as_ref());
    let (found, next_marker) = functions.catalog.read(|state| {
        let all = state.layers.get(&name).into_iter().flat_map(|layer| layer.versions.values().rev()).filter(fits);
        let all = all.map(|version| (format!("{:020}", u64::MAX - version.number), item(version)));
        page(&call, &name, all, input.marker, input.max_items)
    })?;
    Ok(ListLayerVersionsResponse { next_marker, layer_versions: Some(found) })
}

/// A version that is not there is gone already. Functions that use it keep it.
pub(crate) async fn delete(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteLayerVersionRequest,
) -> Result<Nothing, ApiError> {
    let name = name(&functions.home, &input.layer_name)?;
    let number = u64::try_from(input.version_number).map_err(invalid)?;
    functions
        .catalog
        .change(|state: &State| {
            let there = state.layer_version(&name, number).is_some();
            let change = Change::DeleteLayerVersion { layer: name.clone(), version: number };
            Ok::<_, ApiError>((there.then_some(change).into_iter().collect(), ()))
        })
        .await?;
    functions.shelf.look();
    Ok(Nothing {})
}
