//! GetFunction, GetFunctionConfiguration, ListFunctions.

use super::{not_served, page, version_key};
use crate::called::{Called, Found};
use crate::functions::Functions;
use crate::state::Function;
use shapes::lambda::{
    Concurrency, FunctionCodeLocation, FunctionConfiguration, FunctionVersion, GetFunctionConfigurationRequest,
    GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call};

fn look_up(functions: &Functions, name: &str, qualifier: Option<&str>) -> Result<Found, ApiError> {
    let called = Called::parse(&functions.home, name, qualifier)?;
    functions.catalog.read(|state| called.find(state, &functions.home, ""))
}

pub(crate) async fn get_function(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionRequest,
) -> Result<GetFunctionResponse, ApiError> {
    let found = look_up(&functions, &input.function_name, input.qualifier.as_deref())?;
    let (reserved, tags) = functions.catalog.read(|state| {
        let name = &found.function.name;
        let tags = state.functions.get(name).map(|function| function.tags.clone());
        (state.family(name).and_then(|family| family.reserved), tags.unwrap_or_default())
    });
    let code = FunctionCodeLocation {
        repository_type: Some("S3".to_owned()),
        location: functions.code_link(&found.function.code_id),
        ..Default::default()
    };
    Ok(GetFunctionResponse {
        configuration: Some(functions.describe(&found.function, Some(&found.arn))),
        code: Some(code),
        tags: (!tags.is_empty()).then_some(tags),
        concurrency: reserved.map(|n| Concurrency { reserved_concurrent_executions: Some(n as i32) }),
        ..Default::default()
    })
}

pub(crate) async fn get_function_configuration(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let found = look_up(&functions, &input.function_name, input.qualifier.as_deref())?;
    Ok(functions.describe(&found.function, Some(&found.arn)))
}

pub(crate) async fn list_functions(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, ApiError> {
    if input.master_region.is_some_and(|r| r != "ALL" && r != functions.home.region.as_str()) {
        return Err(not_served("MasterRegion"));
    }
    let all = input.function_version == Some(FunctionVersion::All);
    let (found, next_marker) = functions.catalog.read(|state| {
        let published = |name: &str| state.family(name).into_iter().flat_map(|family| family.versions.values());
        let versions = state
            .functions
            .iter()
            .flat_map(|(name, latest)| std::iter::once(latest).chain(published(name).filter(|_| all)));
        // What separates the two sorts before all that names are made of.
        let key = |f: &Function| if all { format!("{}!{}", f.name, version_key(f)) } else { f.name.clone() };
        let (found, next) = page(&call, "", versions.map(|f| (key(f), f)), input.marker, input.max_items)?;
        Ok::<_, ApiError>((found.into_iter().cloned().collect::<Vec<_>>(), next))
    })?;
    let shown = |f| if all { functions.describe_qualified(f) } else { functions.describe(f, None) };
    Ok(ListFunctionsResponse { next_marker, functions: Some(found.iter().map(shown).collect()) })
}
