//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, ListProvisionedConcurrencyConfigs,
//! DeleteProvisionedConcurrencyConfig.

use super::{find, invalid, page};
use crate::called::Called;
use crate::functions::Functions;
use crate::limits;
use crate::provision::Provisioned;
use crate::state::{Change, Door, LATEST, State};
use names::Timestamp;
use shapes::lambda::{
    DeleteProvisionedConcurrencyConfigRequest, GetProvisionedConcurrencyConfigRequest,
    GetProvisionedConcurrencyConfigResponse, ListProvisionedConcurrencyConfigsRequest,
    ListProvisionedConcurrencyConfigsResponse, ProvisionedConcurrencyConfigListItem, ProvisionedConcurrencyStatusEnum,
    PutProvisionedConcurrencyConfigRequest, PutProvisionedConcurrencyConfigResponse, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// A version or an alias of one.
fn called(functions: &Functions, name: &str, qualifier: &str) -> Result<Called, ApiError> {
    let called = Called::parse(&functions.home, name, Some(qualifier))?;
    let latest = |state: &State| {
        let alias = state.alias(&called.name, qualifier);
        qualifier == LATEST || alias.is_some_and(|alias| alias.version == LATEST)
    };
    if functions.catalog.read(latest) {
        return Err(invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions."));
    }
    Ok(called)
}

fn put(state: &State, called: &Called, provisioned: Option<Provisioned>) -> Change {
    let known = state.door(&called.name, Some(called.door())).cloned().unwrap_or_default();
    let door = Box::new(Door { provisioned, ..known });
    Change::PutDoor { function: called.name.clone(), qualifier: called.door().to_owned(), door }
}

/// Provisioned concurrency is taken from the function's reservation, or from what all share.
fn check(state: &State, called: &Called, wanted: u32) -> Result<(), ApiError> {
    let sum = |name: &str| -> u32 {
        let doors = state.family(name).into_iter().flat_map(|family| &family.doors);
        let others = doors.filter(|(qualifier, _)| name != called.name || qualifier.as_str() != called.door());
        others.filter_map(|(_, door)| door.provisioned.as_ref()).map(|p| p.wanted).sum()
    };
    let own = sum(&called.name).saturating_add(wanted);
    if let Some(reserved) = state.family(&called.name).and_then(|family| family.reserved) {
        return if own > reserved {
            Err(invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
            ))
        } else {
            Ok(())
        };
    }
    let unreserved = |name: &&String| state.family(name).is_some_and(|family| family.reserved.is_none());
    let others: u32 =
        state.families.keys().filter(|name| **name != called.name).filter(unreserved).map(|name| sum(name)).sum();
    let most = limits::ACCOUNT_CONCURRENCY.saturating_sub(state.reserved("") + limits::UNRESERVED);
    if own.saturating_add(others) > most {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum \
             value of [{}].",
            limits::UNRESERVED
        )));
    }
    Ok(())
}

/// What is shown of it.
struct Shown {
    wanted: i32,
    allocated: i32,
    available: i32,
    status: ProvisionedConcurrencyStatusEnum,
    modified: String,
}

fn shown(functions: &Functions, called: &Called, provisioned: &Provisioned) -> Shown {
    let kept = functions.kept(called, provisioned.wanted);
    let wanted = provisioned.wanted as usize;
    let ready = kept.ready >= wanted;
    Shown {
        wanted: provisioned.wanted as i32,
        allocated: kept.ready as i32,
        available: kept.free as i32,
        status: if ready {
            ProvisionedConcurrencyStatusEnum::Ready
        } else {
            ProvisionedConcurrencyStatusEnum::InProgress
        },
        modified: time(provisioned.modified),
    }
}

fn time(at: Timestamp) -> String {
    at.iso_millis().replace('Z', "+0000")
}

pub(crate) async fn put_config(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: PutProvisionedConcurrencyConfigRequest,
) -> Result<PutProvisionedConcurrencyConfigResponse, ApiError> {
    let called = called(&functions, &input.function_name, &input.qualifier)?;
    let wanted = u32::try_from(input.provisioned_concurrent_executions).map_err(invalid)?;
    let provisioned = Provisioned { wanted, modified: call.at };
    functions
        .catalog
        .change(|state| {
            called.find(state, &functions.home, "")?;
            check(state, &called, wanted)?;
            Ok::<_, ApiError>((vec![put(state, &called, Some(provisioned.clone()))], ()))
        })
        .await?;
    functions.executor().look_at_kept();
    Ok(PutProvisionedConcurrencyConfigResponse {
        requested_provisioned_concurrent_executions: Some(wanted as i32),
        allocated_provisioned_concurrent_executions: Some(0),
        available_provisioned_concurrent_executions: Some(0),
        status: Some(ProvisionedConcurrencyStatusEnum::InProgress),
        status_reason: None,
        last_modified: Some(time(provisioned.modified)),
    })
}

fn known(functions: &Functions, state: &State, called: &Called) -> Result<Provisioned, ApiError> {
    called.find(state, &functions.home, "")?;
    let door = state.door(&called.name, Some(called.door()));
    door.and_then(|door| door.provisioned.clone()).ok_or_else(|| {
        errors::PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND_EXCEPTION
            .because("No Provisioned Concurrency Config found for this function")
    })
}

pub(crate) async fn get_config(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetProvisionedConcurrencyConfigRequest,
) -> Result<GetProvisionedConcurrencyConfigResponse, ApiError> {
    let called = called(&functions, &input.function_name, &input.qualifier)?;
    let provisioned = functions.catalog.read(|state| known(&functions, state, &called))?;
    let shown = shown(&functions, &called, &provisioned);
    Ok(GetProvisionedConcurrencyConfigResponse {
        requested_provisioned_concurrent_executions: Some(shown.wanted),
        available_provisioned_concurrent_executions: Some(shown.available),
        allocated_provisioned_concurrent_executions: Some(shown.allocated),
        status: Some(shown.status),
        status_reason: None,
        last_modified: Some(shown.modified),
    })
}

pub(crate) async fn list_configs(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListProvisionedConcurrencyConfigsRequest,
) -> Result<ListProvisionedConcurrencyConfigsResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let (found, next_marker) = functions.catalog.read(|state| {
        find(state, &functions.home, &name)?;
        let doors = state.family(&name).into_iter().flat_map(|family| &family.doors);
        let all = doors
            .filter_map(|(qualifier, door)| Some((qualifier.clone(), (qualifier.clone(), door.provisioned.clone()?))));
        page(&call, &name, all, input.marker, input.max_items)
    })?;
    let items = found.into_iter().map(|(qualifier, provisioned)| {
        let called = Called { name: name.clone(), qualifier: Some(qualifier) };
        let shown = shown(&functions, &called, &provisioned);
        ProvisionedConcurrencyConfigListItem {
            function_arn: Some(called.arn(&functions.home).to_string()),
            requested_provisioned_concurrent_executions: Some(shown.wanted),
            available_provisioned_concurrent_executions: Some(shown.available),
            allocated_provisioned_concurrent_executions: Some(shown.allocated),
            status: Some(shown.status),
            status_reason: None,
            last_modified: Some(shown.modified),
        }
    });
    Ok(ListProvisionedConcurrencyConfigsResponse {
        provisioned_concurrency_configs: Some(items.collect()),
        next_marker,
    })
}

pub(crate) async fn delete_config(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteProvisionedConcurrencyConfigRequest,
) -> Result<Nothing, ApiError> {
    let called = called(&functions, &input.function_name, &input.qualifier)?;
    functions
        .catalog
        .change(|state| {
            called.find(state, &functions.home, "")?;
            Ok::<_, ApiError>((vec![put(state, &called, None)], ()))
        })
        .await?;
    functions.executor().look_at_kept();
    Ok(Nothing {})
}
