//! GetFunction, GetFunctionConfiguration, ListFunctions.

use super::{bare_name, find, not_served};
use crate::functions::Functions;
use crate::limits;
use shapes::lambda::{
    FunctionCodeLocation, FunctionConfiguration, GetFunctionConfigurationRequest, GetFunctionRequest,
    GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call};

fn look_up(functions: &Functions, name: &str, qualifier: Option<&str>) -> Result<crate::state::Function, ApiError> {
    let name = bare_name(&functions.home, name, qualifier)?;
    functions.catalog.read(|state| find(state, &functions.home, &name).cloned())
}

pub(crate) async fn get_function(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionRequest,
) -> Result<GetFunctionResponse, ApiError> {
    let function = look_up(&functions, &input.function_name, input.qualifier.as_deref())?;
    // There is no S3 here to hand out a presigned URL of; the package lies unpacked in the data directory.
    let code = FunctionCodeLocation { repository_type: Some("Headwater".to_owned()), ..Default::default() };
    Ok(GetFunctionResponse {
        configuration: Some(functions.describe(&function)),
        code: Some(code),
        tags: (!function.tags.is_empty()).then_some(function.tags),
        ..Default::default()
    })
}

pub(crate) async fn get_function_configuration(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let function = look_up(&functions, &input.function_name, input.qualifier.as_deref())?;
    Ok(functions.describe(&function))
}

pub(crate) async fn list_functions(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, ApiError> {
    if input.master_region.is_some_and(|r| r != "ALL" && r != functions.home.region.as_str()) {
        return Err(not_served("MasterRegion"));
    }
    let after = input.marker.unwrap_or_default();
    let page = input.max_items.unwrap_or(limits::PAGE).clamp(1, limits::PAGE) as usize;
    let mut found: Vec<_> = functions.catalog.read(|state| {
        let from = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        state.functions.range::<String, _>(from).take(page + 1).map(|(_, f)| f.clone()).collect()
    });
    let more = found.len() > page;
    found.truncate(page);
    let next_marker = if more { found.last().map(|f| f.name.clone()) } else { None };
    let described = found.iter().map(|f| functions.describe(f)).collect();
    Ok(ListFunctionsResponse { next_marker, functions: Some(described) })
}
