//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_UpdatePipe.html>
//!
//! What the call does not say stays as it is, but the parameters of one service are one value.

use super::{aims, check, shown, source};
use crate::Pipes;
use crate::error::{invalid, no_pipe};
use crate::settings::{Pipe, Target};
use crate::state::Change;
use names::Timestamp;
use shapes::pipes::{PipeState, RequestedPipeState, UpdatePipeRequest, UpdatePipeResponse};
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn update_pipe(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: UpdatePipeRequest,
) -> Result<UpdatePipeResponse, ApiError> {
    let name = input.name.clone();
    let known = super::state::settled(&pipes, &name)?;
    let pipe = changed(&pipes, known.clone(), input, call.at)?;
    check::whole(&pipes, &pipe)?;
    if pipe.running {
        check::source(&pipes, &pipe)?;
        check::pin(&pipes, &pipe).await?;
    }
    pipes
        .catalog
        .change(|state| match state.pipes.get(&name) {
            None => Err(no_pipe(&name)),
            // Somebody else was faster.
            Some(now) if *now != known => Err(super::state::busy(&name, PipeState::Updating)),
            Some(_) => Ok((vec![Change::Put(Box::new(pipe.clone()))], ())),
        })
        .await?;
    pipes.settle(&name, PipeState::Updating, None);
    Ok(shown::changed!(UpdatePipeResponse, pipes, pipe, PipeState::Updating))
}

fn changed(pipes: &Pipes, mut pipe: Pipe, input: UpdatePipeRequest, at: Timestamp) -> Result<Pipe, ApiError> {
    check::unserved(input.kms_key_identifier.as_deref())?;
    if let Some(given) = input.log_configuration {
        pipe.log = check::log(given)?;
    }
    if let Some(text) = input.target {
        let fresh = aims::target(&text)?;
        // What a service's parameters say is of use for that service only.
        pipe.target = match kind(&fresh) == kind(&pipe.target) {
            true => Target { arn: fresh.arn, ..pipe.target },
            false => Target { template: pipe.target.template, ..fresh },
        };
    }
    if let Some(given) = input.target_parameters {
        aims::set_target(&mut pipe.target, given)?;
    }
    if let Some(text) = input.enrichment {
        let kept = pipe.enrichment.take();
        if !text.is_empty() {
            let mut fresh = aims::enrichment(&text)?;
            if let Some(kept) = kept {
                fresh.http = kept.http.filter(|_| fresh.arn.service() == kept.arn.service());
                fresh.template = kept.template;
            }
            pipe.enrichment = Some(fresh);
        }
    }
    match (&mut pipe.enrichment, input.enrichment_parameters) {
        (Some(enrichment), Some(given)) => aims::set_enrichment(enrichment, given)?,
        (None, Some(given)) if given != Default::default() => {
            return Err(invalid("EnrichmentParameters need an Enrichment."));
        }
        _ => {}
    }
    if let Some(given) = input.source_parameters {
        let most = check::most(&pipe.target, pipe.enrichment.as_ref())?;
        source::change(&pipe.source, &mut pipe.reading, &mut pipe.filters, given, most)?;
    }
    if let Some(text) = input.description {
        pipe.description = Some(text).filter(|text| !text.is_empty());
    }
    if let Some(state) = input.desired_state {
        pipe.running = state == RequestedPipeState::Running;
    }
    pipe.role = check::role(pipes, &pipe.name, &input.role_arn)?;
    (pipe.halted, pipe.modified) = (None, at);
    Ok(pipe)
}

/// What a target is: its service, and what it is of EventBridge's.
fn kind(target: &Target) -> (String, bool) {
    (target.arn.service().to_owned(), target.arn.resource().starts_with("api-destination/"))
}
