//! PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig, GetFunctionEventInvokeConfig,
//! ListFunctionEventInvokeConfigs, DeleteFunctionEventInvokeConfig.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html>

use super::{find, invalid, not_served, page};
use crate::asynchronous::AsyncSettings;
use crate::called::Called;
use crate::functions::Functions;
use crate::state::{Change, Door, State};
use names::Arn;
use shapes::lambda::{
    DeleteFunctionEventInvokeConfigRequest, DestinationConfig, FunctionEventInvokeConfig,
    GetFunctionEventInvokeConfigRequest, ListFunctionEventInvokeConfigsRequest, ListFunctionEventInvokeConfigsResponse,
    OnFailure, OnSuccess, PutFunctionEventInvokeConfigRequest, UpdateFunctionEventInvokeConfigRequest, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(crate) async fn put(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: PutFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    set(&functions, &call, input, |_, _| Ok(AsyncSettings::default())).await
}

pub(crate) async fn update(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let asked = PutFunctionEventInvokeConfigRequest {
        function_name: input.function_name,
        qualifier: input.qualifier,
        maximum_retry_attempts: input.maximum_retry_attempts,
        maximum_event_age_in_seconds: input.maximum_event_age_in_seconds,
        destination_config: input.destination_config,
    };
    set(&functions, &call, asked, |state, called| known(&functions, state, called)).await
}

/// Sets what is asked for, over what there is `from` before.
async fn set(
    functions: &Functions,
    call: &Call,
    asked: PutFunctionEventInvokeConfigRequest,
    from: impl FnOnce(&State, &Called) -> Result<AsyncSettings, ApiError>,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let called = Called::parse(&functions.home, &asked.function_name, asked.qualifier.as_deref())?;
    let (retries, max_age_s) = (asked.maximum_retry_attempts, asked.maximum_event_age_in_seconds);
    if retries.is_none() && max_age_s.is_none() && asked.destination_config.is_none() {
        return Err(invalid("You must specify at least one error handling or destination setting."));
    }
    let (success, failure) = asked.destination_config.map_or((None, None), |config| {
        let success = config.on_success.map(|to| to.destination.unwrap_or_default());
        (Some(success), Some(config.on_failure.map(|to| to.destination.unwrap_or_default())))
    });
    let read = |to: Option<Option<String>>| to.map(|to| destination(functions, &called, to.as_deref())).transpose();
    let (success, failure) = (read(success)?, read(failure)?);
    let settings = functions
        .catalog
        .change(|state| {
            called.find(state, &functions.home, "")?;
            let mut settings = from(state, &called)?;
            settings.retries = retries.map_or(settings.retries, |n| Some(n as u32));
            settings.max_age_s = max_age_s.map_or(settings.max_age_s, |n| Some(n as u32));
            settings.on_success = success.unwrap_or(settings.on_success);
            settings.on_failure = failure.unwrap_or(settings.on_failure);
            settings.last_modified = call.at;
            let change = door(state, &called, Some(settings.clone()));
            Ok::<_, ApiError>((vec![change], settings))
        })
        .await?;
    Ok(shown(called.door_arn(&functions.home), settings))
}

fn door(state: &State, called: &Called, asynchronous: Option<AsyncSettings>) -> Change {
    let known = state.door(&called.name, Some(called.door())).cloned().unwrap_or_default();
    let door = Box::new(Door { asynchronous, ..known });
    Change::PutDoor { function: called.name.clone(), qualifier: called.door().to_owned(), door }
}

/// A destination that can be told.
fn destination(functions: &Functions, called: &Called, text: Option<&str>) -> Result<Option<Arn>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let refuse =
        || invalid(format!("The provided destination config DestinationConfig(destination={text}) is invalid."));
    let arn: Arn = text.parse().map_err(|_| refuse())?;
    if arn.resource().ends_with(".fifo") {
        return Err(invalid(format!(
            "The destination {text} is a FIFO resource; only standard queues and topics are supported."
        )));
    }
    match arn.service() {
        "lambda" => {
            let other = Called::parse(&functions.home, text, None)?;
            if other.name == called.name {
                return Err(invalid("You can't specify the function as a destination for itself."));
            }
        }
        "s3" => return Err(not_served("S3 as a destination")),
        "sqs" | "sns" | "events" => {}
        _ => return Err(refuse()),
    }
    if functions.delivery.knows(&arn) { Ok(Some(arn)) } else { Err(refuse()) }
}

fn known(functions: &Functions, state: &State, called: &Called) -> Result<AsyncSettings, ApiError> {
    called.find(state, &functions.home, "")?;
    let door = state.door(&called.name, Some(called.door()));
    door.and_then(|door| door.asynchronous.clone()).ok_or_else(|| {
        let arn = called.door_arn(&functions.home);
        errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("The function {arn} doesn't have an EventInvokeConfig"))
    })
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    let settings = functions.catalog.read(|state| known(&functions, state, &called))?;
    Ok(shown(called.door_arn(&functions.home), settings))
}

pub(crate) async fn list(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListFunctionEventInvokeConfigsRequest,
) -> Result<ListFunctionEventInvokeConfigsResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let (found, next_marker) = functions.catalog.read(|state| {
        find(state, &functions.home, &name)?;
        let doors = state.family(&name).into_iter().flat_map(|family| &family.doors);
        let all = doors
            .filter_map(|(qualifier, door)| Some((qualifier.clone(), (qualifier.clone(), door.asynchronous.clone()?))));
        page(&call, &name, all, input.marker, input.max_items)
    })?;
    let arn = |qualifier: &str| functions.home.arn("lambda", &format!("function:{name}:{qualifier}"));
    let configs = found.into_iter().map(|(qualifier, settings)| shown(arn(&qualifier), settings)).collect();
    Ok(ListFunctionEventInvokeConfigsResponse { function_event_invoke_configs: Some(configs), next_marker })
}

pub(crate) async fn delete(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteFunctionEventInvokeConfigRequest,
) -> Result<Nothing, ApiError> {
    let called = Called::parse(&functions.home, &input.function_name, input.qualifier.as_deref())?;
    functions
        .catalog
        .change(|state| {
            known(&functions, state, &called)?;
            Ok::<_, ApiError>((vec![door(state, &called, None)], ()))
        })
        .await?;
    Ok(Nothing {})
}

fn shown(arn: Arn, settings: AsyncSettings) -> FunctionEventInvokeConfig {
    let text = |arn: Arn| Some(arn.to_string());
    FunctionEventInvokeConfig {
        last_modified: Some(settings.last_modified),
        function_arn: Some(arn.to_string()),
        maximum_retry_attempts: settings.retries.map(|n| n as i32),
        maximum_event_age_in_seconds: settings.max_age_s.map(|n| n as i32),
        destination_config: Some(DestinationConfig {
            on_success: Some(OnSuccess { destination: settings.on_success.and_then(text) }),
            on_failure: Some(OnFailure { destination: settings.on_failure.and_then(text) }),
        }),
    }
}
