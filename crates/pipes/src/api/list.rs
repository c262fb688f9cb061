//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_ListPipes.html>

use super::{shown, state::current};
use crate::Pipes;
use crate::error::invalid;
use crate::limits::PAGE;
use crate::settings::Pipe;
use shapes::pipes as p;
use shapes::pipes::{ListPipesRequest, ListPipesResponse};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

pub(super) async fn list_pipes(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: ListPipesRequest,
) -> Result<ListPipesResponse, ApiError> {
    let pick = |_: &str, pipe: &Pipe| {
        let (current_state, state_reason) = current(&pipes, pipe);
        let wanted = wanted(pipe, &input) && input.current_state.is_none_or(|state| state == current_state);
        wanted.then(|| p::Pipe {
            arn: Some(pipes.arn(&pipe.name).to_string()),
            desired_state: Some(shown::desired(pipe)),
            current_state: Some(current_state),
            state_reason,
            creation_time: Some(pipe.created),
            last_modified_time: Some(pipe.modified),
            source: Some(pipe.source.to_string()),
            target: Some(pipe.target.arn.to_string()),
            enrichment: pipe.enrichment.as_ref().map(|enrichment| enrichment.arn.to_string()),
            name: Some(pipe.name.clone()),
        })
    };
    let part = (input.next_token.as_deref(), size(input.limit, PAGE));
    // What runs is not looked at under the catalog's lock.
    let known = pipes.catalog.read(|state| state.pipes.clone());
    let page = page(call.operation.name, &known, part, pick);
    let (found, next_token) = page.ok_or_else(|| invalid("The NextToken is invalid."))?;
    Ok(ListPipesResponse { pipes: Some(found), next_token })
}

fn wanted(pipe: &Pipe, input: &ListPipesRequest) -> bool {
    let starts = |text: &str, prefix: &Option<String>| prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix));
    starts(&pipe.name, &input.name_prefix)
        && starts(pipe.source.as_str(), &input.source_prefix)
        && starts(pipe.target.arn.as_str(), &input.target_prefix)
        && input.desired_state.is_none_or(|state| state == shown::desired(pipe))
}
