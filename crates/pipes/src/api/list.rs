//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_ListPipes.html>

use super::{shown, state::current};
use crate::Pipes;
use crate::error::invalid;
use crate::limits::PAGE;
use crate::settings::Pipe;
use shapes::pipes as p;
use shapes::pipes::{ListPipesRequest, ListPipesResponse};
use std::ops::Bound;
use std::sync::Arc;
use wire::{ApiError, Call, page};

pub(super) async fn list_pipes(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: ListPipesRequest,
) -> Result<ListPipesResponse, ApiError> {
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let after = input.next_token.as_deref();
    let after =
        after.map(|token| page::after(call.operation.name, token).ok_or_else(|| invalid("The NextToken is invalid.")));
    let after = after.transpose()?;
    let after = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let known: Vec<Pipe> = pipes.catalog.read(|state| {
        let rest = state.pipes.range::<str, _>((after, Bound::Unbounded)).map(|(_, pipe)| pipe);
        rest.filter(|pipe| wanted(pipe, &input)).cloned().collect()
    });
    let in_state = |pipe: &Pipe| input.current_state.is_none_or(|state| state == current(&pipes, pipe).0);
    let mut rest = known.into_iter().filter(in_state);
    let found: Vec<Pipe> = rest.by_ref().take(limit).collect();
    let last = found.last().filter(|_| rest.next().is_some());
    let next_token = last.map(|pipe| page::token(call.operation.name, &pipe.name));
    let all = found.into_iter().map(|pipe| {
        let (current_state, state_reason) = current(&pipes, &pipe);
        p::Pipe {
            arn: Some(pipes.arn(&pipe.name).to_string()),
            desired_state: Some(shown::desired(&pipe)),
            current_state: Some(current_state),
            state_reason,
            creation_time: Some(pipe.created),
            last_modified_time: Some(pipe.modified),
            source: Some(pipe.source.to_string()),
            target: Some(pipe.target.arn.to_string()),
            enrichment: pipe.enrichment.map(|enrichment| enrichment.arn.to_string()),
            name: Some(pipe.name),
        }
    });
    Ok(ListPipesResponse { pipes: Some(all.collect()), next_token })
}

fn wanted(pipe: &Pipe, input: &ListPipesRequest) -> bool {
    let starts = |text: &str, prefix: &Option<String>| prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix));
    starts(&pipe.name, &input.name_prefix)
        && starts(pipe.source.as_str(), &input.source_prefix)
        && starts(pipe.target.arn.as_str(), &input.target_prefix)
        && input.desired_state.is_none_or(|state| state == shown::desired(pipe))
}
