//! Whether a pipe can be as a call wants it. The names of errors are AWS's; their texts could not be confirmed.

use crate::Pipes;
use crate::aim::{Aim, AimError};
use crate::error::{invalid, not_served};
use crate::limits::UNGATHERED_BATCH;
use crate::settings::{Enrichment, Level, Log, Pipe, Target};
use consume::{Filters, Kind, SourceError, WalkError};
use names::Arn;
use shapes::pipes::{LogLevel, PipeLogConfigurationParameters, errors};
use wire::ApiError;

/// What a pipe may have at AWS and has not here.
pub(super) fn unserved(key: Option<&str>) -> Result<(), ApiError> {
    match key.filter(|key| !key.is_empty()) {
        Some(_) => Err(not_served("KmsKeyIdentifier of pipes")),
        None => Ok(()),
    }
}

/// Where executions are to be told of.
/// <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeLogConfigurationParameters.html>
pub(super) fn log(given: PipeLogConfigurationParameters) -> Result<Option<Log>, ApiError> {
    let level = match given.level {
        LogLevel::Off => return Ok(None),
        LogLevel::Error => Level::Error,
        LogLevel::Info => Level::Info,
        LogLevel::Trace => Level::Trace,
    };
    if given.s3_log_destination.is_some() {
        return Err(not_served("S3LogDestination of pipes"));
    }
    if given.firehose_log_destination.is_some() {
        return Err(not_served("FirehoseLogDestination of pipes"));
    }
    let group = given.cloudwatch_logs_log_destination.map(|destination| destination.log_group_arn);
    let group = group.ok_or_else(|| invalid("A LogConfiguration with a level other than OFF needs a destination."))?;
    let group = group.parse().map_err(|_| invalid(format!("The log group {group} is no ARN.")))?;
    Ok(Some(Log { level, group, data: given.include_execution_data.is_some_and(|data| !data.is_empty()) }))
}

/// A role that is there and lets pipes take it on.
pub(super) fn role(pipes: &Pipes, name: &str, text: &str) -> Result<Arn, ApiError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("The role {text} is no ARN.")))?;
    pipes.assume(name, &arn).map_err(invalid)?;
    Ok(arn)
}

/// What the target takes at once, and the enrichment before it; refuses those that cannot be.
pub(super) fn most(target: &Target, enrichment: Option<&Enrichment>) -> Result<usize, ApiError> {
    let unfit = |error: AimError| invalid(error.to_string());
    let target = Aim::target(target).map_err(unfit)?;
    let enrichment = enrichment.map(Aim::enrichment).transpose().map_err(unfit)?;
    Ok(target.most().min(enrichment.map_or(usize::MAX, |enrichment| enrichment.most())))
}

/// Refuses settings that do not go together.
pub(super) fn whole(pipes: &Pipes, pipe: &Pipe) -> Result<(), ApiError> {
    Filters::compile(&pipe.filters, pipe.kind()).map_err(|error| invalid(format!("{error} Reason: {}", error.why)))?;
    let most = most(&pipe.target, pipe.enrichment.as_ref())?;
    if pipe.target.arn.service() == "kinesis" && pipe.target.partition_key.as_ref().is_none_or(String::is_empty) {
        return Err(invalid("KinesisStreamParameters with a PartitionKey is required for a Kinesis stream."));
    }
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
