//! Pipes start, stop and go.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_StartPipe.html>

use super::{check, shown};
use crate::Pipes;
use crate::error::{conflict, no_pipe};
use crate::settings::Pipe;
use crate::state::Change;
use shapes::pipes::{
    DeletePipeRequest, DeletePipeResponse, PipeState, RequestedPipeStateDescribeResponse, StartPipeRequest,
    StartPipeResponse, StopPipeRequest, StopPipeResponse,
};
use std::sync::Arc;
use wire::{ApiError, Call};

/// The pipe is on its way from one state to another.
pub(super) fn busy(name: &str, state: PipeState) -> ApiError {
    conflict(name, format!("Pipe {name} is in the state {}.", state.as_str()))
}

/// A pipe that may be changed now.
pub(super) fn settled(pipes: &Pipes, name: &str) -> Result<Pipe, ApiError> {
    let known = pipes.catalog.read(|state| state.pipes.get(name).cloned());
    let seen = pipes.registry.seen(name);
    match (known, seen) {
        (_, Some(seen)) if !seen.is_settled() => Err(busy(name, seen.state)),
        (Some(pipe), _) => Ok(pipe),
        (None, _) => Err(no_pipe(name)),
    }
}

pub(super) async fn start_pipe(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: StartPipeRequest,
) -> Result<StartPipeResponse, ApiError> {
    let pipe = settled(&pipes, &input.name)?;
    check::role(&pipes, &pipe.name, pipe.role.as_str())?;
    check::source(&pipes, &pipe)?;
    check::pin(&pipes, &pipe).await?;
    let pipe = set(&pipes, &call, pipe, true).await?;
    Ok(shown::changed!(StartPipeResponse, pipes, pipe, PipeState::Starting))
}

pub(super) async fn stop_pipe(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: StopPipeRequest,
) -> Result<StopPipeResponse, ApiError> {
    let pipe = settled(&pipes, &input.name)?;
    let pipe = set(&pipes, &call, pipe, false).await?;
    Ok(shown::changed!(StopPipeResponse, pipes, pipe, PipeState::Stopping))
}

async fn set(pipes: &Arc<Pipes>, call: &Call, pipe: Pipe, running: bool) -> Result<Pipe, ApiError> {
    let name = pipe.name.clone();
    pipes
        .catalog
        .change(|state| match state.pipes.contains_key(&name) {
            true => Ok((vec![Change::Desired { name: name.clone(), running, at: call.at }], ())),
            false => Err(no_pipe(&name)),
        })
        .await?;
    let state = if running { PipeState::Starting } else { PipeState::Stopping };
    pipes.settle(&pipe.name, state, None);
    Ok(Pipe { running, modified: call.at, ..pipe })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_DeletePipe.html>
pub(super) async fn delete_pipe(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: DeletePipeRequest,
) -> Result<DeletePipeResponse, ApiError> {
    let pipe = pipes.catalog.read(|state| state.pipes.get(&input.name).cloned());
    let Some(pipe) = pipe else {
        let leaving = pipes.registry.leaving().into_iter().find(|leaving| leaving.name == input.name);
        return Err(leaving.map_or_else(|| no_pipe(&input.name), |_| busy(&input.name, PipeState::Deleting)));
    };
    let gone = pipes
        .catalog
        .change(|state| match state.pipes.get(&pipe.name).cloned() {
            Some(now) => Ok((vec![Change::Deleted { name: now.name.clone() }], now)),
            None => Err(no_pipe(&pipe.name)),
        })
        .await?;
    pipes.settle(&pipe.name, PipeState::Deleting, Some(gone));
    Ok(DeletePipeResponse {
        arn: Some(pipes.arn(&pipe.name).to_string()),
        desired_state: Some(RequestedPipeStateDescribeResponse::Deleted),
        current_state: Some(PipeState::Deleting),
        creation_time: Some(pipe.created),
        last_modified_time: Some(call.at),
        name: Some(pipe.name),
    })
}

/// What a pipe shows of its state: the current one, and why where there is something to say.
pub(super) fn current(pipes: &Pipes, pipe: &Pipe) -> (PipeState, Option<String>) {
    let seen = pipes.registry.seen(&pipe.name);
    let state = seen.as_ref().map_or_else(|| shown::at_rest(pipe), |seen| seen.state);
    (state, pipe.halted.clone().or_else(|| seen?.failing))
}
