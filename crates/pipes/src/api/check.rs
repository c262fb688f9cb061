//! Whether a pipe can be as a call wants it. The names of errors are AWS's; their texts could not be confirmed.

use crate::Pipes;
use crate::aim::{Aim, PRINCIPAL};
use crate::error::{invalid, not_served};
use crate::limits::UNGATHERED_BATCH;
use crate::settings::Pipe;
use consume::{Filters, Kind, SourceError, WalkError};
use names::Arn;
use shapes::pipes::{LogLevel, PipeLogConfigurationParameters, errors};
use wire::ApiError;

/// What a pipe may have at AWS and has not here.
pub(super) fn unserved(log: Option<&PipeLogConfigurationParameters>, key: Option<&str>) -> Result<(), ApiError> {
    if key.is_some_and(|key| !key.is_empty()) {
        return Err(not_served("KmsKeyIdentifier of pipes"));
    }
    if log.is_some_and(|log| log.level != LogLevel::Off) {
        return Err(not_served("LogConfiguration of pipes other than OFF"));
    }
    Ok(())
}

/// A role that is there and lets pipes take it on.
pub(super) fn role(pipes: &Pipes, text: &str) -> Result<Arn, ApiError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("The role {text} is no ARN.")))?;
    if !pipes.neighbours.trusts(&arn, PRINCIPAL) {
        return Err(invalid(format!("The role {text} cannot be assumed by {PRINCIPAL}.")));
    }
    Ok(arn)
}

/// What the target takes at once, and the enrichment before it.
pub(super) fn most(pipe_target: &Aim, enrichment: Option<&Aim>) -> usize {
    pipe_target.most().min(enrichment.map_or(usize::MAX, Aim::most))
}

/// Refuses settings that do not go together.
pub(super) fn whole(pipes: &Pipes, pipe: &Pipe) -> Result<(), ApiError> {
    Filters::compile(&pipe.filters, pipe.kind()).map_err(|error| invalid(error.to_string()))?;
    let target = Aim::target(&pipe.target).map_err(|error| invalid(error.to_string()))?;
    if pipe.target.arn.service() == "kinesis" && pipe.target.partition_key.as_ref().is_none_or(String::is_empty) {
        return Err(invalid("KinesisStreamParameters with a PartitionKey is required for a Kinesis stream."));
    }
    let enrichment = pipe.enrichment.as_ref().map(Aim::enrichment).transpose();
    let enrichment = enrichment.map_err(|error| invalid(error.to_string()))?;
    let most = most(&target, enrichment.as_ref());
    if pipe.reading.batch as usize > most {
        return Err(invalid(format!(
            "BatchSize {} is larger than the {most} that the target and the enrichment take at once.",
            pipe.reading.batch
        )));
    }
    if pipe.kind() == Kind::Queue { queue(pipes, pipe) } else { Ok(()) }
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-sqs.html>
fn queue(pipes: &Pipes, pipe: &Pipe) -> Result<(), ApiError> {
    let is_fifo = pipes.neighbours.inbox(&pipe.source).is_some_and(|inbox| inbox.is_fifo());
    let (batch, window) = (pipe.reading.batch, pipe.reading.window_s);
    if is_fifo && window > 0 {
        return Err(invalid("MaximumBatchingWindowInSeconds is not supported for FIFO queues."));
    }
    if batch > UNGATHERED_BATCH && (is_fifo || window == 0) {
        return Err(invalid(format!(
            "A BatchSize above {UNGATHERED_BATCH} needs a standard queue and MaximumBatchingWindowInSeconds of at least 1."
        )));
    }
    Ok(())
}

/// Refuses a pipe whose source is not there.
pub(super) fn source(pipes: &Pipes, pipe: &Pipe) -> Result<(), ApiError> {
    let there = match pipe.kind() {
        Kind::Stream => pipes.neighbours.source(&pipe.source).is_some(),
        Kind::Queue => pipes.neighbours.inbox(&pipe.source).is_some(),
    };
    match there {
        true => Ok(()),
        false => Err(errors::NOT_FOUND_EXCEPTION.because(format!("The source {} does not exist.", pipe.source))),
    }
}

/// Settles where a stream is read from, durably; anew where the stream is another than it was.
pub(super) async fn pin(pipes: &Pipes, pipe: &Pipe) -> Result<(), ApiError> {
    let Some(source) = pipes.neighbours.source(&pipe.source).filter(|_| pipe.kind() == Kind::Stream) else {
        return Ok(());
    };
    let walker = pipes.walker(pipe, source);
    match walker.pin().await {
        Err(WalkError::Source(SourceError::Gone(_))) => {
            pipes.checkpoints.forget(&pipe.consumer()).await?;
            walker.pin().await.map_err(ApiError::fault)
        }
        done => done.map_err(ApiError::fault),
    }
}
