//! PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency, GetAccountSettings.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>

use super::{find, invalid};
use crate::called::Called;
use crate::code;
use crate::functions::Functions;
use crate::limits;
use crate::state::{Change, State};
use shapes::lambda::{
    AccountLimit, AccountUsage, Concurrency, DeleteFunctionConcurrencyRequest, GetAccountSettingsRequest,
    GetAccountSettingsResponse, GetFunctionConcurrencyRequest, GetFunctionConcurrencyResponse,
    PutFunctionConcurrencyRequest,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(crate) async fn put_function_concurrency(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: PutFunctionConcurrencyRequest,
) -> Result<Concurrency, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let wanted = u32::try_from(input.reserved_concurrent_executions).map_err(invalid)?;
    reserve(&functions, name, Some(wanted)).await?;
    Ok(Concurrency { reserved_concurrent_executions: Some(input.reserved_concurrent_executions) })
}

pub(crate) async fn delete_function_concurrency(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteFunctionConcurrencyRequest,
) -> Result<Nothing, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    reserve(&functions, name, None).await?;
    Ok(Nothing {})
}

async fn reserve(functions: &Functions, name: String, wanted: Option<u32>) -> Result<(), ApiError> {
    functions
        .catalog
        .change(|state| {
            find(state, &functions.home, &name)?;
            let left = limits::ACCOUNT_CONCURRENCY.checked_sub(state.reserved(&name) + wanted.unwrap_or(0));
            if wanted.is_some() && left.is_none_or(|left| left < limits::UNRESERVED) {
                return Err(invalid(format!(
                    "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution \
                     below its minimum value of [{}].",
                    limits::UNRESERVED
                )));
            }
            Ok((vec![Change::Reserve { function: name.clone(), reserved: wanted }], ()))
        })
        .await?;
    functions.apply_reservations();
    Ok(())
}

impl Functions {
    /// What functions without a reservation may share.
    pub(crate) fn apply_reservations(&self) {
        self.executor().limit_unreserved(self.catalog.read(unreserved) as usize);
    }
}

fn unreserved(state: &State) -> u32 {
    limits::ACCOUNT_CONCURRENCY.saturating_sub(state.reserved(""))
}

pub(crate) async fn get_function_concurrency(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionConcurrencyRequest,
) -> Result<GetFunctionConcurrencyResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    functions.catalog.read(|state| {
        find(state, &functions.home, &name)?;
        let reserved = state.family(&name).and_then(|family| family.reserved);
        Ok(GetFunctionConcurrencyResponse { reserved_concurrent_executions: reserved.map(|n| n as i32) })
    })
}

pub(crate) async fn get_account_settings(
    functions: Arc<Functions>,
    _: Arc<Call>,
    _: GetAccountSettingsRequest,
) -> Result<GetAccountSettingsResponse, ApiError> {
    let (unreserved, count, size) = functions.catalog.read(|state| {
        let size: u64 = state.all_versions().map(|function| function.code_size).sum();
        (unreserved(state), state.functions.len(), size)
    });
    Ok(GetAccountSettingsResponse {
        account_limit: Some(AccountLimit {
            total_code_size: Some(limits::CODE_STORAGE as i64),
            code_size_unzipped: Some(code::MAX_UNZIPPED as i64),
            code_size_zipped: Some(code::MAX_ZIPPED as i64),
            concurrent_executions: Some(limits::ACCOUNT_CONCURRENCY as i32),
            unreserved_concurrent_executions: Some(unreserved as i32),
        }),
        account_usage: Some(AccountUsage { total_code_size: Some(size as i64), function_count: Some(count as i64) }),
    })
}
