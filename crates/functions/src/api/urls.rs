//! CreateFunctionUrlConfig, UpdateFunctionUrlConfig, GetFunctionUrlConfig, ListFunctionUrlConfigs,
//! DeleteFunctionUrlConfig. <https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html>

use super::{find, invalid, page};
use crate::called::Called;
use crate::functions::Functions;
use crate::state::{Change, Door, LATEST, State};
use crate::url::{Cors, Url};
use names::Arn;
use shapes::lambda as shape;
use shapes::lambda::{
    CreateFunctionUrlConfigRequest, CreateFunctionUrlConfigResponse, DeleteFunctionUrlConfigRequest,
    FunctionUrlAuthType, FunctionUrlConfig, GetFunctionUrlConfigRequest, GetFunctionUrlConfigResponse, InvokeMode,
    ListFunctionUrlConfigsRequest, ListFunctionUrlConfigsResponse, UpdateFunctionUrlConfigRequest,
    UpdateFunctionUrlConfigResponse, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, IntoValue, Nothing, Shape, Value};

/// A URL belongs to a function or to an alias.
fn called(functions: &Functions, name: &str, qualifier: Option<&str>) -> Result<Called, ApiError> {
    let called = Called::parse(&functions.home, name, qualifier)?;
    match called.qualifier.as_deref() {
        Some(version) if version == LATEST || version.bytes().all(|b| b.is_ascii_digit()) => {
            Err(invalid("Function URLs are supported for functions and aliases only."))
        }
        _ => Ok(called),
    }
}

fn streams(mode: InvokeMode) -> bool {
    mode == InvokeMode::ResponseStream
}

fn cors(given: shape::Cors) -> Cors {
    Cors {
        credentials: given.allow_credentials,
        headers: given.allow_headers,
        methods: given.allow_methods,
        origins: given.allow_origins,
        exposed: given.expose_headers,
        max_age: given.max_age.map(|age| age as u32),
    }
}

fn shown_cors(cors: &Cors) -> shape::Cors {
    shape::Cors {
        allow_credentials: cors.credentials,
        allow_headers: cors.headers.clone(),
        allow_methods: cors.methods.clone(),
        allow_origins: cors.origins.clone(),
        expose_headers: cors.exposed.clone(),
        max_age: cors.max_age.map(|age| age as i32),
    }
}

fn put(state: &State, called: &Called, url: Option<Url>) -> Change {
    let known = state.door(&called.name, Some(called.door())).cloned().unwrap_or_default();
    let door = Box::new(Door { url, ..known });
    Change::PutDoor { function: called.name.clone(), qualifier: called.door().to_owned(), door }
}

fn known(functions: &Functions, state: &State, called: &Called) -> Result<Url, ApiError> {
    called.find(state, &functions.home, "")?;
    let url = state.door(&called.name, Some(called.door())).and_then(|door| door.url.clone());
    url.ok_or_else(|| errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist."))
}

/// A URL as lists show it.
fn shown(functions: &Functions, arn: &Arn, url: &Url) -> FunctionUrlConfig {
    FunctionUrlConfig {
        function_url: functions.url_of(url),
        function_arn: arn.to_string(),
        auth_type: if url.signed { FunctionUrlAuthType::AwsIam } else { FunctionUrlAuthType::None },
        cors: url.cors.as_ref().map(shown_cors),
        creation_time: url.created.iso_millis(),
        last_modified_time: url.modified.iso_millis(),
        invoke_mode: Some(if url.streams { InvokeMode::ResponseStream } else { InvokeMode::Buffered }),
    }
}

/// The same as an answer: the model has it under a name of its own for each operation.
fn answer<T: Shape>(functions: &Functions, called: &Called, url: &Url) -> Result<T, ApiError> {
    let value = shown(functions, &called.arn(&functions.home), url).into_value();
    T::from_value(value.unwrap_or(Value::Struct(Vec::new()))).map_err(ApiError::fault)
}

pub(crate) async fn create(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: CreateFunctionUrlConfigRequest,
) -> Result<CreateFunctionUrlConfigResponse, ApiError> {
    let called = called(&functions, &input.function_name, input.qualifier.as_deref())?;
    let url = Url {
        id: functions.world.hex_id(32),
        signed: input.auth_type == FunctionUrlAuthType::AwsIam,
        streams: input.invoke_mode.is_some_and(streams),
        cors: input.cors.map(cors),
        created: call.at,
        modified: call.at,
    };
    let arn = called.arn(&functions.home);
    functions
        .catalog
        .change(|state| {
            called.find(state, &functions.home, "")?;
            if known(&functions, state, &called).is_ok() {
                return Err(errors::RESOURCE_CONFLICT_EXCEPTION
                    .because(format!("FunctionUrlConfig exists for this Lambda function: {arn}")));
            }
            Ok((vec![put(state, &called, Some(url.clone()))], ()))
        })
        .await?;
    answer(&functions, &called, &url)
}

pub(crate) async fn update(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateFunctionUrlConfigRequest,
) -> Result<UpdateFunctionUrlConfigResponse, ApiError> {
    let called = called(&functions, &input.function_name, input.qualifier.as_deref())?;
    let url = functions
        .catalog
        .change(|state| {
            let mut url = known(&functions, state, &called)?;
            url.signed = input.auth_type.map_or(url.signed, |auth| auth == FunctionUrlAuthType::AwsIam);
            url.streams = input.invoke_mode.map_or(url.streams, streams);
            url.cors = input.cors.map(cors).or(url.cors);
            url.modified = call.at;
            Ok::<_, ApiError>((vec![put(state, &called, Some(url.clone()))], url))
        })
        .await?;
    answer(&functions, &called, &url)
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionUrlConfigRequest,
) -> Result<GetFunctionUrlConfigResponse, ApiError> {
    let called = called(&functions, &input.function_name, input.qualifier.as_deref())?;
    let url = functions.catalog.read(|state| known(&functions, state, &called))?;
    answer(&functions, &called, &url)
}

pub(crate) async fn list(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListFunctionUrlConfigsRequest,
) -> Result<ListFunctionUrlConfigsResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let (found, next_marker) = functions.catalog.read(|state| {
        find(state, &functions.home, &name)?;
        let doors = state.family(&name).into_iter().flat_map(|family| &family.doors);
        let all =
            doors.filter_map(|(qualifier, door)| Some((qualifier.clone(), (qualifier.clone(), door.url.clone()?))));
        page(&call, &name, all, input.marker, input.max_items)
    })?;
    let arn = |qualifier: &str| -> Arn {
        let suffix = if qualifier == LATEST { String::new() } else { format!(":{qualifier}") };
        functions.home.arn("lambda", &format!("function:{name}{suffix}"))
    };
    let shown = found.into_iter().map(|(qualifier, url)| shown(&functions, &arn(&qualifier), &url));
    Ok(ListFunctionUrlConfigsResponse { function_url_configs: shown.collect(), next_marker })
}

pub(crate) async fn delete(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteFunctionUrlConfigRequest,
) -> Result<Nothing, ApiError> {
    let called = called(&functions, &input.function_name, input.qualifier.as_deref())?;
    functions
        .catalog
        .change(|state| {
            known(&functions, state, &called)?;
            Ok::<_, ApiError>((vec![put(state, &called, None)], ()))
        })
        .await?;
    Ok(Nothing {})
}
