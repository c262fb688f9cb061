//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_DescribePipe.html>

use super::state::current;
use crate::Pipes;
use crate::error::no_pipe;
use crate::settings::{Http, Level, Log, Pipe, Reading, Target};
use consume::{Kind, Start};
use shapes::pipes as p;
use shapes::pipes::{DescribePipeRequest, DescribePipeResponse, PipeState, RequestedPipeState};
use std::sync::Arc;
use wire::{ApiError, Call};

pub(super) async fn describe_pipe(
    pipes: Arc<Pipes>,
    _call: Arc<Call>,
    input: DescribePipeRequest,
) -> Result<DescribePipeResponse, ApiError> {
    let known = pipes.catalog.read(|state| state.pipes.get(&input.name).cloned());
    let leaving = || pipes.registry.leaving().into_iter().find(|leaving| leaving.name == input.name);
    let is_deleted = known.is_none();
    let pipe = known.or_else(leaving).ok_or_else(|| no_pipe(&input.name))?;
    let (current_state, state_reason) = current(&pipes, &pipe);
    let desired_state = match (is_deleted, pipe.running) {
        (true, _) => p::RequestedPipeStateDescribeResponse::Deleted,
        (false, true) => p::RequestedPipeStateDescribeResponse::Running,
        (false, false) => p::RequestedPipeStateDescribeResponse::Stopped,
    };
    Ok(DescribePipeResponse {
        arn: Some(pipes.arn(&pipe.name).to_string()),
        description: pipe.description.clone(),
        desired_state: Some(desired_state),
        current_state: Some(current_state),
        state_reason,
        source: Some(pipe.source.to_string()),
        source_parameters: Some(source(&pipe)),
        enrichment: pipe.enrichment.as_ref().map(|enrichment| enrichment.arn.to_string()),
        enrichment_parameters: pipe.enrichment.as_ref().map(|enrichment| p::PipeEnrichmentParameters {
            input_template: enrichment.template.clone(),
            http_parameters: enrichment.http.clone().map(|Http { path, headers, query }| {
                p::PipeEnrichmentHttpParameters {
                    path_parameter_values: path,
                    header_parameters: headers,
                    query_string_parameters: query,
                }
            }),
        }),
        target: Some(pipe.target.arn.to_string()),
        target_parameters: target(&pipe.target),
        role_arn: Some(pipe.role.to_string()),
        tags: Some(pipe.tags.clone()),
        creation_time: Some(pipe.created),
        last_modified_time: Some(pipe.modified),
        log_configuration: pipe.log.as_ref().map(log),
        kms_key_identifier: None,
        name: Some(pipe.name),
    })
}

/// What a call that changed a pipe answers; the shapes have the same members and no type in common.
macro_rules! changed {
    ($answer:ident, $pipes:expr, $pipe:expr, $state:expr) => {
        $answer {
            arn: Some($pipes.arn(&$pipe.name).to_string()),
            name: Some($pipe.name.clone()),
            desired_state: Some(shown::desired(&$pipe)),
            current_state: Some($state),
            creation_time: Some($pipe.created),
            last_modified_time: Some($pipe.modified),
        }
    };
}
pub(super) use changed;

/// What a pipe is to be.
pub(super) fn desired(pipe: &Pipe) -> RequestedPipeState {
    if pipe.running { RequestedPipeState::Running } else { RequestedPipeState::Stopped }
}

/// The state of a pipe whose task was not started.
pub(super) fn at_rest(pipe: &Pipe) -> PipeState {
    if pipe.running && pipe.halted.is_none() { PipeState::Running } else { PipeState::Stopped }
}

fn source(pipe: &Pipe) -> p::PipeSourceParameters {
    let filters = pipe.filters.iter().map(|pattern| p::Filter { pattern: Some(pattern.clone()) }).collect::<Vec<_>>();
    let (mut shown, reading) = (p::PipeSourceParameters::default(), &pipe.reading);
    if !filters.is_empty() {
        shown.filter_criteria = Some(p::FilterCriteria { filters: Some(filters) });
    }
    match pipe.kind() {
        Kind::Queue => {
            shown.sqs_queue_parameters = Some(p::PipeSourceSqsQueueParameters {
                batch_size: Some(reading.batch as i32),
                maximum_batching_window_in_seconds: Some(reading.window_s as i32),
            });
        }
        Kind::Stream => shown.kinesis_stream_parameters = Some(stream(reading)),
    }
    shown
}

fn log(log: &Log) -> p::PipeLogConfiguration {
    p::PipeLogConfiguration {
        cloudwatch_logs_log_destination: Some(p::CloudwatchLogsLogDestination {
            log_group_arn: Some(log.group.to_string()),
        }),
        level: Some(match log.level {
            Level::Error => p::LogLevel::Error,
            Level::Info => p::LogLevel::Info,
            Level::Trace => p::LogLevel::Trace,
        }),
        include_execution_data: log.data.then(|| vec![p::IncludeExecutionDataOption::All]),
        ..Default::default()
    }
}

fn stream(reading: &Reading) -> p::PipeSourceKinesisStreamParameters {
    let endless = |limit: Option<u32>| Some(limit.map_or(-1, |limit| limit as i32));
    let (position, at) = match reading.start {
        Start::TrimHorizon => (p::KinesisStreamStartPosition::TrimHorizon, None),
        Start::Latest => (p::KinesisStreamStartPosition::Latest, None),
        Start::At(at) => (p::KinesisStreamStartPosition::AtTimestamp, Some(at)),
    };
    p::PipeSourceKinesisStreamParameters {
        batch_size: Some(reading.batch as i32),
        dead_letter_config: reading.dead_letter.as_ref().map(|arn| p::DeadLetterConfig { arn: Some(arn.to_string()) }),
        on_partial_batch_item_failure: reading.bisect.then_some(p::OnPartialBatchItemFailureStreams::AutomaticBisect),
        maximum_batching_window_in_seconds: Some(reading.window_s as i32),
        maximum_record_age_in_seconds: endless(reading.max_age_s),
        maximum_retry_attempts: endless(reading.retries),
        parallelization_factor: Some(reading.lanes as i32),
        starting_position: position,
        starting_position_timestamp: at,
    }
}

fn target(target: &Target) -> Option<p::PipeTargetParameters> {
    let shown = p::PipeTargetParameters {
        input_template: target.template.clone(),
        lambda_function_parameters: target.forget.map(|forget| p::PipeTargetLambdaFunctionParameters {
            invocation_type: Some(match forget {
                true => p::PipeTargetInvocationType::FireAndForget,
                false => p::PipeTargetInvocationType::RequestResponse,
            }),
        }),
        kinesis_stream_parameters: target
            .partition_key
            .clone()
            .map(|partition_key| p::PipeTargetKinesisStreamParameters { partition_key }),
        sqs_queue_parameters: target.queue.clone().map(|queue| p::PipeTargetSqsQueueParameters {
            message_group_id: queue.group,
            message_deduplication_id: queue.deduplication,
        }),
        event_bridge_event_bus_parameters: target.bus.clone().map(|bus| p::PipeTargetEventBridgeEventBusParameters {
            endpoint_id: None,
            detail_type: bus.detail_type,
            source: bus.source,
            resources: bus.resources,
            time: bus.time,
        }),
        http_parameters: target.http.clone().map(|Http { path, headers, query }| p::PipeTargetHttpParameters {
            path_parameter_values: path,
            header_parameters: headers,
            query_string_parameters: query,
        }),
        cloud_watch_logs_parameters: target.logs.clone().map(|logs| p::PipeTargetCloudWatchLogsParameters {
            log_stream_name: logs.stream,
            timestamp: logs.timestamp,
        }),
        ..Default::default()
    };
    Some(shown).filter(|shown| *shown != Default::default())
}
