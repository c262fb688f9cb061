//! CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction.

use super::invoke::{CANNOT_ASSUME, PRINCIPAL};
use super::versions::published;
use super::{check_revision, find, invalid, layers, refuse, tags};
use crate::called::{Called, not_found};
use crate::code::{CodeError, MAX_UNZIPPED};
use crate::functions::{ARCHITECTURE, Functions, group};
use crate::limits;
use crate::runtime::{Level, Levels, environment};
use crate::shelf::{Held, Merged, Unpacked};
use crate::state::{Change, Function, LATEST, State, UsedLayer};
use bytes::Bytes;
use names::Arn;
use shapes::lambda::{
    Architecture, CreateFunctionRequest, DeadLetterConfig, DeleteFunctionRequest, DeleteFunctionResponse, Environment,
    EphemeralStorage, FunctionConfiguration, LogFormat, LoggingConfig, PackageType, SnapStart, SnapStartApplyOn,
    TracingConfig, TracingMode, UpdateFunctionCodeRequest, UpdateFunctionConfigurationRequest, errors,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, common};

pub(crate) async fn create_function(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: CreateFunctionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    refuse_unserved(&input)?;
    let name = Called::whole(&functions.home, &input.function_name)?;
    if name.len() > limits::NAME {
        return Err(over("functionName", &name, "length", limits::NAME));
    }
    check_sizes(input.timeout, input.memory_size, input.ephemeral_storage.as_ref())?;
    let arn = functions.home.arn("lambda", &format!("function:{name}"));
    let runtime = input.runtime.ok_or_else(|| missing("Runtime"))?;
    functions.runtimes.accept(runtime.as_str()).map_err(invalid)?;
    let handler = without_nul("Handler", input.handler.ok_or_else(|| missing("Handler"))?)?;
    let tagged = input.tags.unwrap_or_default();
    tags::check(&tagged)?;
    let taken = |state: &State| state.functions.contains_key(&name);
    let exists = || errors::RESOURCE_CONFLICT_EXCEPTION.because(format!("Function already exist: {name}"));
    if functions.catalog.read(taken) {
        return Err(exists());
    }
    let role = role(&functions, &input.role)?;
    let package = input.code.zip_file.ok_or_else(|| missing("Code.ZipFile"))?;
    let used = used_layers(&functions, input.layers.as_deref().unwrap_or_default())?;
    let held = functions.shelf.hold().await;
    let code = unpack(&functions, &held, &package).await?;
    let merged = merge(&functions, &held, &used, &code.id).await?;
    let function = Function {
        layers: used,
        layers_id: merged.id.clone(),
        arn,
        runtime: runtime.as_str().to_owned(),
        role,
        handler,
        description: input.description.unwrap_or_default(),
        timeout_s: input.timeout.unwrap_or(limits::TIMEOUT_S.0) as u32,
        memory_mb: input.memory_size.unwrap_or(limits::MEMORY_MB.0) as u32,
        ephemeral_mb: input.ephemeral_storage.map_or(limits::EPHEMERAL_MB.0, |e| e.size) as u32,
        environment: variables(input.environment)?.unwrap_or_default(),
        code_sha256: code.sha256_base64,
        code_id: code.id,
        code_size: package.len() as u64,
        last_modified: call.at,
        revision: functions.world.uuid(),
        dead_letter: dead_letter(&functions, input.dead_letter_config)?.flatten(),
        tags: tagged,
        version: LATEST.to_owned(),
        levels: levels(input.logging_config.as_ref(), None)?,
        logs_to: logs_to(input.logging_config, &name).flatten(),
        permissions: BTreeMap::new(),
        name: name.clone(),
    };
    let revision = functions.world.uuid();
    let shown = functions
        .catalog
        .change(|state| {
            if taken(state) {
                return Err(exists());
            }
            Ok(put(state, function, input.publish == Some(true), &revision))
        })
        .await?;
    functions.prepare(shown.clone(), true);
    Ok(functions.describe(&shown, None))
}

/// Replaces a function and, where that is asked for, publishes it: the changes, and what is shown of it.
fn put(state: &State, function: Function, publish: bool, revision: &str) -> (Vec<Change>, Function) {
    let mut changes = vec![Change::PutFunction(Box::new(function.clone()))];
    if !publish {
        return (changes, function);
    }
    let (change, version) = published(state, &function, None, revision, function.last_modified);
    changes.extend(change);
    (changes, version)
}

/// The settings of functions that are not served, and whether each is asked for: the same members in the inputs of
/// CreateFunction and UpdateFunctionConfiguration.
macro_rules! unserved_settings {
    ($input:expr) => {
        [
            (
                "VpcConfig",
                $input.vpc_config.as_ref().is_some_and(|v| v.subnet_ids.as_ref().is_some_and(|s| !s.is_empty())),
            ),
            ("KMSKeyArn", $input.kms_key_arn.as_ref().is_some_and(|k| !k.is_empty())),
            ("TracingConfig Active", active(&$input.tracing_config)),
            ("FileSystemConfigs", $input.file_system_configs.as_ref().is_some_and(|f| !f.is_empty())),
            ("ImageConfig", $input.image_config.is_some()),
            ("SnapStart", snaps(&$input.snap_start)),
            ("LoggingConfig with a LogGroup that begins with aws/", is_reserved(&$input.logging_config)),
            ("CapacityProviderConfig", $input.capacity_provider_config.is_some()),
            ("DurableConfig", $input.durable_config.is_some()),
            ("RuntimeConfig", $input.runtime_config.is_some()),
            ("AcceleratorConfig", $input.accelerator_config.is_some()),
        ]
    };
}

fn refuse_unserved(input: &CreateFunctionRequest) -> Result<(), ApiError> {
    let code = &input.code;
    refuse(&unserved_settings!(input))?;
    refuse(&[
        ("Code.S3Bucket (send the package as Code.ZipFile)", code.s3_bucket.is_some()),
        ("Code.ImageUri", code.image_uri.is_some()),
        ("Code.SourceKMSKeyArn", code.source_kms_key_arn.is_some()),
        ("PackageType Image", input.package_type == Some(PackageType::Image)),
        ("PublishTo", input.publish_to.is_some()),
        ("CodeSigningConfigArn", input.code_signing_config_arn.is_some()),
        ("TenancyConfig", input.tenancy_config.is_some()),
        ("Architectures other than this machine's", foreign(&input.architectures)),
    ])
}

/// Whether code is for another machine than this.
fn foreign(architectures: &Option<Vec<Architecture>>) -> bool {
    architectures.iter().flatten().any(|architecture| architecture.as_str() != ARCHITECTURE)
}

fn active(tracing: &Option<TracingConfig>) -> bool {
    tracing.as_ref().is_some_and(|t| t.mode == Some(TracingMode::Active))
}

fn snaps(config: &Option<SnapStart>) -> bool {
    config.as_ref().is_some_and(|config| !matches!(config.apply_on, None | Some(SnapStartApplyOn::None)))
}

/// What is to be written of a log that is JSON, where it was to be so `before`.
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>
fn levels(config: Option<&LoggingConfig>, before: Option<Levels>) -> Result<Option<Levels>, ApiError> {
    let Some(config) = config else { return Ok(before) };
    let application = config.application_log_level.and_then(|level| Level::parse(level.as_str()));
    let system = config.system_log_level.and_then(|level| Level::parse(level.as_str()));
    if !config.log_format.map_or(before.is_some(), |format| format == LogFormat::Json) {
        return match application.or(system) {
            None => Ok(None),
            Some(_) => Err(invalid(
                "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the \
                 LogFormat to \"JSON\" and try again.",
            )),
        };
    }
    let before = before.unwrap_or_default();
    let (application, system) = (application.unwrap_or(before.application), system.unwrap_or(before.system));
    Ok(Some(Levels { application, system }))
}

/// Whether the log group is one that nobody can make.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html>
fn is_reserved(config: &Option<LoggingConfig>) -> bool {
    config.as_ref().and_then(|config| config.log_group.as_ref()).is_some_and(|group| group.starts_with("aws/"))
}

/// `None`: no log group is given; `Some(None)`: the function's own.
fn logs_to(config: Option<LoggingConfig>, name: &str) -> Option<Option<String>> {
    let asked = config?.log_group?;
    Some(Some(asked).filter(|asked| *asked != group(name)))
}

fn missing(what: &str) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION
        .because(format!("{what} is mandatory for functions created with deployment packages."))
}

fn over(member: &str, value: impl std::fmt::Display, what: &str, most: impl std::fmt::Display) -> ApiError {
    common::VALIDATION.because(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
         Member must have {what} less than or equal to {most}"
    ))
}

/// The quotas, which are below what the model allows.
fn check_sizes(
    timeout: Option<i32>,
    memory: Option<i32>,
    ephemeral: Option<&EphemeralStorage>,
) -> Result<(), ApiError> {
    for (member, given, most) in [
        ("timeout", timeout, limits::TIMEOUT_S.1),
        ("memorySize", memory, limits::MEMORY_MB.1),
        ("ephemeralStorage.size", ephemeral.map(|storage| storage.size), limits::EPHEMERAL_MB.1),
    ] {
        if let Some(value) = given.filter(|value| *value > most) {
            return Err(over(member, value, "value", most));
        }
    }
    Ok(())
}

/// What reaches a process by its environment or its arguments cannot hold a zero byte.
fn without_nul(what: &str, text: String) -> Result<String, ApiError> {
    if text.contains('\0') { Err(invalid(format!("{what} must not contain a null character."))) } else { Ok(text) }
}

/// An execution role that is there and trusts Lambda.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html>
fn role(functions: &Functions, text: &str) -> Result<Arn, ApiError> {
    let arn: Arn = text.parse().map_err(invalid)?;
    if arn.service() != "iam" || arn.resource_after("role/").is_none() {
        return Err(invalid(format!("{text} is not the ARN of a role")));
    }
    if !functions.neighbours.trusts(&arn, PRINCIPAL, None) {
        return Err(invalid(CANNOT_ASSUME));
    }
    Ok(arn)
}

async fn unpack(functions: &Functions, held: &Held, package: &Bytes) -> Result<Unpacked, ApiError> {
    functions.shelf.unpack(held, package.clone()).await.map_err(|error| match error {
        CodeError::Disk(cause) => ApiError::fault(cause),
        refused => invalid(refused),
    })
}

/// The layer versions that a function names, which must be there now.
fn used_layers(functions: &Functions, arns: &[String]) -> Result<Vec<UsedLayer>, ApiError> {
    if arns.len() > limits::LAYERS {
        return Err(invalid(format!("Cannot reference more than {} layers.", limits::LAYERS)));
    }
    let mut names = Vec::new();
    let used = arns.iter().map(|arn| {
        let gone = || invalid(format!("Layer version {arn} does not exist."));
        let (name, number) = layers::numbered(&functions.home, arn).ok_or_else(gone)?;
        if names.contains(&name) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function: {name}"
            )));
        }
        let version = functions.catalog.read(|state| state.layer_version(&name, number).cloned()).ok_or_else(gone)?;
        names.push(name);
        Ok(UsedLayer { arn: version.arn, code_size: version.code_size, code_id: version.code_id })
    });
    used.collect()
}

/// Merges layers for a function of some code, which together must not be too large.
async fn merge(functions: &Functions, held: &Held, used: &[UsedLayer], code_id: &str) -> Result<Merged, ApiError> {
    let ids = used.iter().map(|layer| layer.code_id.clone()).collect();
    let merged = functions.shelf.merge(held, ids, code_id).await.map_err(ApiError::fault)?;
    if merged.bytes > MAX_UNZIPPED {
        return Err(invalid(format!(
            "Function code combined with layers exceeds the maximum allowed size of {MAX_UNZIPPED} bytes. The actual size is \
             {} bytes.",
            merged.bytes
        )));
    }
    Ok(merged)
}

/// Variables that the runtime sets itself cannot be set.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn variables(environment: Option<Environment>) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let Some(variables) = environment.and_then(|e| e.variables) else { return Ok(None) };
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|k| environment::is_reserved(k)).collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let size: usize = variables.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > limits::ENVIRONMENT {
        return Err(invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             exceeded the 4KB limit. String measured: {size}"
        )));
    }
    let checked = variables.into_iter().map(|(name, value)| Ok((name, without_nul("Environment", value)?)));
    checked.collect::<Result<_, ApiError>>().map(Some)
}

/// `None`: not given; `Some(None)`: taken away.
fn dead_letter(functions: &Functions, config: Option<DeadLetterConfig>) -> Result<Option<Option<Arn>>, ApiError> {
    let Some(config) = config else { return Ok(None) };
    let Some(text) = config.target_arn.filter(|t| !t.is_empty()) else { return Ok(Some(None)) };
    let arn: Arn = text.parse().map_err(invalid)?;
    if !matches!(arn.service(), "sqs" | "sns") || !functions.delivery.knows(&arn) {
        return Err(invalid(format!("{text} is not the ARN of a queue or a topic")));
    }
    Ok(Some(Some(arn)))
}

pub(crate) async fn update_function_code(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateFunctionCodeRequest,
) -> Result<FunctionConfiguration, ApiError> {
    refuse(&[
        ("S3Bucket (send the package as ZipFile)", input.s3_bucket.is_some()),
        ("ImageUri", input.image_uri.is_some()),
        ("PublishTo", input.publish_to.is_some()),
        ("SourceKMSKeyArn", input.source_kms_key_arn.is_some()),
        ("Architectures other than this machine's", foreign(&input.architectures)),
    ])?;
    let name = Called::whole(&functions.home, &input.function_name)?;
    functions.catalog.read(|state| find(state, &functions.home, &name).map(|_| ()))?;
    let package = input.zip_file.ok_or_else(|| missing("ZipFile"))?;
    let held = functions.shelf.hold().await;
    let code = unpack(&functions, &held, &package).await?;
    let used = functions.catalog.read(|state| find(state, &functions.home, &name).map(|f| f.layers.clone()))?;
    merge(&functions, &held, &used, &code.id).await?;
    let (revision, published_revision) = (functions.world.uuid(), functions.world.uuid());
    let dry = input.dry_run == Some(true);
    let shown = functions
        .catalog
        .change(|state| {
            let mut function = find(state, &functions.home, &name)?.clone();
            check_revision(&function.revision, input.revision_id.as_deref())?;
            function.code_sha256 = code.sha256_base64;
            function.code_id = code.id;
            function.code_size = package.len() as u64;
            function.last_modified = call.at;
            function.revision = revision;
            let done = put(state, function, input.publish == Some(true), &published_revision);
            Ok::<_, ApiError>(if dry { (Vec::new(), done.1) } else { done })
        })
        .await?;
    if !dry {
        functions.prepare(shown.clone(), true);
    }
    functions.shelf.look();
    Ok(functions.describe(&shown, None))
}

pub(crate) async fn update_function_configuration(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    refuse(&unserved_settings!(input))?;
    let name = Called::whole(&functions.home, &input.function_name)?;
    if let Some(runtime) = input.runtime {
        functions.runtimes.accept(runtime.as_str()).map_err(invalid)?;
    }
    check_sizes(input.timeout, input.memory_size, input.ephemeral_storage.as_ref())?;
    let handler = input.handler.map(|text| without_nul("Handler", text)).transpose()?;
    let role = input.role.as_deref().map(|text| role(&functions, text)).transpose()?;
    let environment = variables(input.environment)?;
    let dead_letter = dead_letter(&functions, input.dead_letter_config)?;
    let used = input.layers.as_deref().map(|arns| used_layers(&functions, arns)).transpose()?;
    let held = functions.shelf.hold().await;
    let code_id = functions.catalog.read(|state| find(state, &functions.home, &name).map(|f| f.code_id.clone()))?;
    let merged = match &used {
        Some(used) => Some(merge(&functions, &held, used, &code_id).await?),
        None => None,
    };
    let revision = functions.world.uuid();
    let shown = functions
        .catalog
        .change(|state| {
            let mut f = find(state, &functions.home, &name)?.clone();
            check_revision(&f.revision, input.revision_id.as_deref())?;
            f.role = role.unwrap_or(f.role);
            f.handler = handler.unwrap_or(f.handler);
            f.description = input.description.unwrap_or(f.description);
            f.timeout_s = input.timeout.map_or(f.timeout_s, |t| t as u32);
            f.memory_mb = input.memory_size.map_or(f.memory_mb, |m| m as u32);
            f.ephemeral_mb = input.ephemeral_storage.map_or(f.ephemeral_mb, |e| e.size as u32);
            f.environment = environment.unwrap_or(f.environment);
            f.runtime = input.runtime.map_or(f.runtime, |r| r.as_str().to_owned());
            f.dead_letter = dead_letter.unwrap_or(f.dead_letter);
            f.layers = used.unwrap_or(f.layers);
            f.levels = levels(input.logging_config.as_ref(), f.levels)?;
            f.logs_to = logs_to(input.logging_config, &name).unwrap_or(f.logs_to);
            f.layers_id = merged.as_ref().map_or(f.layers_id, |merged| merged.id.clone());
            f.last_modified = call.at;
            f.revision = revision;
            Ok::<_, ApiError>((vec![Change::PutFunction(Box::new(f.clone()))], f))
        })
        .await?;
    functions.prepare(shown.clone(), true);
    Ok(functions.describe(&shown, None))
}

pub(crate) async fn delete_function(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteFunctionRequest,
) -> Result<DeleteFunctionResponse, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let name = called.name.clone();
    let version = functions
        .catalog
        .change(|state| match called.qualifier.as_deref() {
            None => {
                find(state, &functions.home, &name)?;
                Ok((vec![Change::DeleteFunction(name.clone())], None))
            }
            Some(qualifier) => {
                let version = deletable(state, &functions, &called, qualifier)?;
                let change = Change::DeleteVersion { function: name.clone(), version };
                Ok::<_, ApiError>((vec![change], Some(version.to_string())))
            }
        })
        .await?;
    match version {
        Some(version) => functions.retire_version(&name, &version),
        None => functions.retire(&name),
    }
    functions.apply_reservations();
    Ok(DeleteFunctionResponse { status_code: Some(204) })
}

/// The number of a version that nothing points at.
fn deletable(state: &State, functions: &Functions, called: &Called, qualifier: &str) -> Result<u64, ApiError> {
    if qualifier == LATEST {
        return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
    }
    let there = state.version(&called.name, qualifier);
    let version = there.and_then(|_| qualifier.parse().ok()).ok_or_else(|| not_found(&called.arn(&functions.home)))?;
    let aliases = state.family(&called.name).into_iter().flat_map(|family| family.aliases.values());
    let points = aliases.filter(|a| a.version == qualifier || a.weights.contains_key(qualifier));
    let names: Vec<&str> = points.map(|alias| alias.name.as_str()).collect();
    if !names.is_empty() {
        return Err(errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
            "Unable to delete version because the following aliases reference it: [{}]",
            names.join(", ")
        )));
    }
    Ok(version)
}
