//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_CreatePipe.html>

use super::{aims, check, shown, source, tags};
use crate::Pipes;
use crate::error::{exists, invalid, too_many};
use crate::limits::PIPES;
use crate::settings::Pipe;
use crate::state::Change;
use names::Timestamp;
use shapes::pipes::{CreatePipeRequest, CreatePipeResponse, PipeState, RequestedPipeState};
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn create_pipe(
    pipes: Arc<Pipes>,
    call: Arc<Call>,
    input: CreatePipeRequest,
) -> Result<CreatePipeResponse, ApiError> {
    let name = input.name.clone();
    let pipe = pipe(&pipes, input, call.at)?;
    check::whole(&pipes, &pipe)?;
    if pipes.registry.leaving().iter().any(|leaving| leaving.name == name) {
        return Err(exists(&name));
    }
    check::source(&pipes, &pipe)?;
    // Where the pipe starts is settled and on disk before the answer: LATEST loses nothing from here on.
    check::pin(&pipes, &pipe).await?;
    let made = pipes
        .catalog
        .change(|state| {
            if state.pipes.contains_key(&name) {
                return Err(exists(&name));
            }
            if state.pipes.len() >= PIPES {
                return Err(too_many(&name, "pipes"));
            }
            Ok((vec![Change::Put(Box::new(pipe.clone()))], ()))
        })
        .await;
    if let Err(error) = made {
        pipes.checkpoints.forget(&pipe.consumer()).await?;
        return Err(error);
    }
    pipes.settle(&name, PipeState::Creating, None);
    Ok(shown::changed!(CreatePipeResponse, pipes, pipe, PipeState::Creating))
}

/// What the pipe is to be.
fn pipe(pipes: &Pipes, input: CreatePipeRequest, at: Timestamp) -> Result<Pipe, ApiError> {
    check::unserved(input.kms_key_identifier.as_deref())?;
    let log = input.log_configuration.map(check::log).transpose()?.flatten();
    let source = source::arn(&input.source)?;
    let mut target = aims::target(&input.target)?;
    aims::set_target(&mut target, input.target_parameters.unwrap_or_default())?;
    let enrichment = input.enrichment.filter(|arn| !arn.is_empty());
    let mut enrichment = enrichment.map(|arn| aims::enrichment(&arn)).transpose()?;
    match (&mut enrichment, input.enrichment_parameters) {
        (Some(enrichment), Some(given)) => aims::set_enrichment(enrichment, given)?,
        (None, Some(_)) => return Err(invalid("EnrichmentParameters need an Enrichment.")),
        (_, None) => {}
    }
    let most = check::most(&target, enrichment.as_ref())?;
    let (reading, filters) = source::of_creation(&source, input.source_parameters, most, at)?;
    let role = check::role(pipes, &input.name, &input.role_arn)?;
    Ok(Pipe {
        id: pipes.world.uuid(),
        name: input.name,
        description: input.description.filter(|text| !text.is_empty()),
        running: input.desired_state != Some(RequestedPipeState::Stopped),
        halted: None,
        source,
        reading,
        filters,
        enrichment,
        target,
        role,
        log,
        tags: tags::given(input.tags.unwrap_or_default())?,
        created: at,
        modified: at,
    })
}
