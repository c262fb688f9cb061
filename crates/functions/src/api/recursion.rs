//! PutFunctionRecursionConfig, GetFunctionRecursionConfig.

use super::find;
use crate::called::Called;
use crate::functions::Functions;
use crate::state::Change;
use shapes::lambda::{
    GetFunctionRecursionConfigRequest, GetFunctionRecursionConfigResponse, PutFunctionRecursionConfigRequest,
    PutFunctionRecursionConfigResponse, RecursiveLoop,
};
use std::sync::Arc;
use wire::{ApiError, Call};

pub(crate) async fn put_recursion_config(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: PutFunctionRecursionConfigRequest,
) -> Result<PutFunctionRecursionConfigResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    let allowed = input.recursive_loop == RecursiveLoop::Allow;
    functions
        .catalog
        .change(|state| {
            find(state, &functions.home, &name)?;
            Ok::<_, ApiError>((vec![Change::AllowLoops { function: name.clone(), allowed }], ()))
        })
        .await?;
    Ok(PutFunctionRecursionConfigResponse { recursive_loop: Some(input.recursive_loop) })
}

pub(crate) async fn get_recursion_config(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetFunctionRecursionConfigRequest,
) -> Result<GetFunctionRecursionConfigResponse, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    functions.catalog.read(|state| {
        find(state, &functions.home, &name)?;
        let allowed = state.family(&name).is_some_and(|family| family.loops_allowed);
        let recursive_loop = Some(if allowed { RecursiveLoop::Allow } else { RecursiveLoop::Terminate });
        Ok(GetFunctionRecursionConfigResponse { recursive_loop })
    })
}
