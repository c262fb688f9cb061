//! A mapping as the API shows it.

use crate::functions::Functions;
use crate::mapping::settings::{From, Mapping};
use consume::Kind;
use shapes::lambda::{
    DestinationConfig, EventSourceMappingConfiguration, EventSourceMappingMetric, EventSourceMappingMetricsConfig,
    EventSourcePosition, Filter, FilterCriteria, FunctionResponseType, OnFailure, ScalingConfig,
};

pub(super) fn describe(functions: &Functions, mapping: &Mapping) -> EventSourceMappingConfiguration {
    let seen = functions.mappings.seen(&mapping.uuid);
    let settled = if mapping.enabled { "Enabled" } else { "Disabled" };
    let state = seen.as_ref().map_or_else(|| settled.to_owned(), |seen| format!("{:?}", seen.phase));
    let arn = |resource: String| functions.home.arn("lambda", &resource).to_string();
    let patterns = || mapping.filters.iter().map(|pattern| Filter { pattern: Some(pattern.clone()) }).collect();
    let filter_criteria = (!mapping.filters.is_empty()).then(|| FilterCriteria { filters: Some(patterns()) });
    let report = mapping.report.then_some(FunctionResponseType::ReportBatchItemFailures);
    let metrics_config = mapping
        .counted
        .then(|| EventSourceMappingMetricsConfig { metrics: Some(vec![EventSourceMappingMetric::EventCount]) });
    let common = EventSourceMappingConfiguration {
        uuid: Some(mapping.uuid.clone()),
        event_source_mapping_arn: Some(arn(format!("event-source-mapping:{}", mapping.uuid))),
        batch_size: Some(mapping.batch_size as i32),
        maximum_batching_window_in_seconds: Some(mapping.window_s as i32),
        event_source_arn: Some(mapping.source.to_string()),
        function_arn: Some(arn(format!("function:{}", mapping.function))),
        last_modified: Some(mapping.last_modified),
        state: Some(state),
        function_response_types: Some(report.into_iter().collect()),
        filter_criteria,
        metrics_config,
        ..Default::default()
    };
    let result = seen.map_or_else(|| "No records processed".to_owned(), |seen| seen.result);
    match mapping.kind() {
        Kind::Stream => stream(mapping, result, common),
        Kind::Queue => EventSourceMappingConfiguration {
            state_transition_reason: Some(mapping.reason.clone().unwrap_or_else(|| "USER_INITIATED".to_owned())),
            scaling_config: mapping.concurrency.map(|most| ScalingConfig { maximum_concurrency: Some(most as i32) }),
            ..common
        },
    }
}

fn stream(
    mapping: &Mapping,
    result: String,
    common: EventSourceMappingConfiguration,
) -> EventSourceMappingConfiguration {
    let (from, at) = match mapping.from {
        From::TrimHorizon => (EventSourcePosition::TrimHorizon, None),
        From::Latest => (EventSourcePosition::Latest, None),
        From::At(at) => (EventSourcePosition::AtTimestamp, Some(at)),
    };
    let or_endless = |limit: Option<u32>| Some(limit.map_or(-1, |limit| limit as i32));
    let on_failure = mapping.on_failure.as_ref().map(|arn| OnFailure { destination: Some(arn.to_string()) });
    EventSourceMappingConfiguration {
        starting_position: Some(from),
        starting_position_timestamp: at,
        parallelization_factor: Some(mapping.lanes as i32),
        destination_config: Some(DestinationConfig { on_failure, on_success: None }),
        maximum_record_age_in_seconds: or_endless(mapping.max_age_s),
        bisect_batch_on_function_error: Some(mapping.bisect),
        maximum_retry_attempts: or_endless(mapping.retries),
        tumbling_window_in_seconds: Some(mapping.tumble_s as i32),
        last_processing_result: Some(result),
        state_transition_reason: Some(mapping.reason.clone().unwrap_or_else(|| "User action".to_owned())),
        ..common
    }
}
