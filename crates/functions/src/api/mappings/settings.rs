//! What a mapping can be set to: one table for making and changing one. Ranges are the model's.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html>

use super::super::{not_served, tags};
use super::invalid;
use crate::functions::Functions;
use crate::limits;
use crate::mapping::settings::{From, Mapping, kind_of};
use consume::{Filters, Kind};
use names::{Arn, Timestamp};
use shapes::lambda::{
    CreateEventSourceMappingRequest, EventSourceMappingMetric, FunctionResponseType, UpdateEventSourceMappingRequest,
};
use std::collections::BTreeMap;
use wire::ApiError;

/// Which event sources take a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Streams.
    Streams,
    /// Queues.
    Queues,
    /// None that is served here.
    Others,
}

/// The settings that not every event source takes, and whether each is there.
fn special(input: &CreateEventSourceMappingRequest) -> [(&'static str, Of, bool); 18] {
    let kms = input.kms_key_arn.as_ref().is_some_and(|arn| !arn.is_empty());
    let destination = input.destination_config.as_ref();
    [
        ("BisectBatchOnFunctionError", Of::Streams, input.bisect_batch_on_function_error.is_some()),
        ("DestinationConfig", Of::Streams, destination.is_some_and(|d| d.on_failure.is_some())),
        ("MaximumRecordAgeInSeconds", Of::Streams, input.maximum_record_age_in_seconds.is_some()),
        ("MaximumRetryAttempts", Of::Streams, input.maximum_retry_attempts.is_some()),
        ("ParallelizationFactor", Of::Streams, input.parallelization_factor.is_some()),
        ("TumblingWindowInSeconds", Of::Streams, input.tumbling_window_in_seconds.is_some()),
        ("ScalingConfig", Of::Queues, input.scaling_config.is_some()),
        ("DestinationConfig with OnSuccess", Of::Others, destination.is_some_and(|d| d.on_success.is_some())),
        ("KMSKeyArn", Of::Others, kms),
        ("LoggingConfig", Of::Others, input.logging_config.is_some()),
        ("Topics", Of::Others, input.topics.is_some()),
        ("Queues", Of::Others, input.queues.is_some()),
        ("SourceAccessConfigurations", Of::Others, input.source_access_configurations.is_some()),
        ("SelfManagedEventSource", Of::Others, input.self_managed_event_source.is_some()),
        ("AmazonManagedKafkaEventSourceConfig", Of::Others, input.amazon_managed_kafka_event_source_config.is_some()),
        ("SelfManagedKafkaEventSourceConfig", Of::Others, input.self_managed_kafka_event_source_config.is_some()),
        ("DocumentDBEventSourceConfig", Of::Others, input.document_db_event_source_config.is_some()),
        ("ProvisionedPollerConfig", Of::Others, input.provisioned_poller_config.is_some()),
    ]
}

/// An update, as what would be asked of a creation.
pub(super) fn as_creation(input: UpdateEventSourceMappingRequest) -> CreateEventSourceMappingRequest {
    CreateEventSourceMappingRequest {
        enabled: input.enabled,
        batch_size: input.batch_size,
        filter_criteria: input.filter_criteria,
        kms_key_arn: input.kms_key_arn,
        metrics_config: input.metrics_config,
        logging_config: input.logging_config,
        scaling_config: input.scaling_config,
        maximum_batching_window_in_seconds: input.maximum_batching_window_in_seconds,
        parallelization_factor: input.parallelization_factor,
        destination_config: input.destination_config,
        maximum_record_age_in_seconds: input.maximum_record_age_in_seconds,
        bisect_batch_on_function_error: input.bisect_batch_on_function_error,
        maximum_retry_attempts: input.maximum_retry_attempts,
        tumbling_window_in_seconds: input.tumbling_window_in_seconds,
        source_access_configurations: input.source_access_configurations,
        function_response_types: input.function_response_types,
        amazon_managed_kafka_event_source_config: input.amazon_managed_kafka_event_source_config,
        self_managed_kafka_event_source_config: input.self_managed_kafka_event_source_config,
        document_db_event_source_config: input.document_db_event_source_config,
        provisioned_poller_config: input.provisioned_poller_config,
        ..Default::default()
    }
}

/// A mapping with nothing set.
pub(super) fn fresh(uuid: String, function: String, source: Arn, at: Timestamp) -> Mapping {
    let batch_size = match kind_of(&source) {
        Kind::Stream => limits::STREAM_BATCH,
        Kind::Queue => limits::QUEUE_BATCH,
    };
    Mapping {
        uuid,
        function,
        source,
        batch_size: batch_size as u32,
        window_s: 0,
        from: From::TrimHorizon,
        enabled: true,
        reason: None,
        last_modified: at,
        lanes: 1,
        retries: None,
        max_age_s: None,
        bisect: false,
        report: false,
        filters: Vec::new(),
        on_failure: None,
        tumble_s: 0,
        counted: false,
        concurrency: None,
        tags: BTreeMap::new(),
    }
}

/// Sets what is given. What an event source does not take is refused by name.
pub(super) fn change(mapping: &mut Mapping, input: &CreateEventSourceMappingRequest) -> Result<(), ApiError> {
    let own = if mapping.kind() == Kind::Stream { Of::Streams } else { Of::Queues };
    let foreign = special(input).into_iter().find(|(_, of, given)| *given && *of != own);
    if let Some((name, of, _)) = foreign {
        return Err(match of {
            Of::Others => not_served(name),
            _ => invalid(format!("Unsupported {name} parameter for given event source mapping type.")),
        });
    }
    if let Some(tags) = &input.tags {
        tags::check(tags)?;
        mapping.tags = tags.clone();
    }
    let endless = |limit: i32| u32::try_from(limit).ok();
    if let Some(size) = input.batch_size {
        mapping.batch_size = size as u32;
    }
    if let Some(window) = input.maximum_batching_window_in_seconds {
        mapping.window_s = window as u32;
    }
    if let Some(enabled) = input.enabled {
        mapping.enabled = enabled;
    }
    if let Some(factor) = input.parallelization_factor {
        mapping.lanes = factor as u32;
    }
    if let Some(retries) = input.maximum_retry_attempts {
        mapping.retries = endless(retries);
    }
    if let Some(age) = input.maximum_record_age_in_seconds {
        mapping.max_age_s = endless(age);
    }
    if let Some(bisect) = input.bisect_batch_on_function_error {
        mapping.bisect = bisect;
    }
    if let Some(window) = input.tumbling_window_in_seconds {
        mapping.tumble_s = window as u32;
    }
    if let Some(types) = &input.function_response_types {
        mapping.report = types.contains(&FunctionResponseType::ReportBatchItemFailures);
    }
    if let Some(criteria) = &input.filter_criteria {
        let patterns = criteria.filters.iter().flatten().map(|filter| filter.pattern.clone().unwrap_or_default());
        mapping.filters = patterns.collect();
    }
    if let Some(scaling) = &input.scaling_config {
        mapping.concurrency = scaling.maximum_concurrency.map(|most| most as u32);
    }
    if let Some(config) = &input.metrics_config {
        let metrics = config.metrics.as_deref().unwrap_or_default();
        if let Some(metric) = metrics.iter().find(|metric| **metric != EventSourceMappingMetric::EventCount) {
            return Err(invalid(format!("Unsupported metric {metric} for given event source mapping type.")));
        }
        mapping.counted = !metrics.is_empty();
    }
    if let Some(config) = &input.destination_config {
        let to = config.on_failure.as_ref().and_then(|failure| failure.destination.as_deref());
        mapping.on_failure = to.filter(|arn| !arn.is_empty()).map(destination).transpose()?;
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html>
fn destination(text: &str) -> Result<Arn, ApiError> {
    let arn: Arn = text.parse().map_err(|_| invalid(format!("The destination ARN {text} is invalid.")))?;
    match arn.service() {
        "sqs" | "sns" if arn.resource().ends_with(".fifo") => Err(invalid(format!(
            "The destination {arn} is a FIFO resource; only standard queues and topics are supported."
        ))),
        "sqs" | "sns" => Ok(arn),
        "s3" => Err(not_served("S3 as a destination")),
        "kafka" => Err(not_served("Kafka as a destination")),
        _ => Err(invalid(format!("The destination ARN {text} is invalid."))),
    }
}

/// Refuses settings that do not go together. The texts are Lambda's where it has one.
pub(super) fn check(mapping: &Mapping, functions: &Functions) -> Result<(), ApiError> {
    if mapping.filters.len() > limits::FILTERS {
        return Err(invalid(format!("The number of filters exceeds the limit of {}.", limits::FILTERS)));
    }
    Filters::compile(&mapping.filters, mapping.kind()).map_err(|error| invalid(error.to_string()))?;
    match mapping.kind() {
        Kind::Stream => check_stream(mapping),
        Kind::Queue => check_queue(mapping, functions),
    }
}

fn check_stream(mapping: &Mapping) -> Result<(), ApiError> {
    if mapping.max_age_s.is_some_and(|age| age < limits::RECORD_AGE_S as u32) {
        return Err(invalid(format!(
            "MaximumRecordAgeInSeconds must be -1 or at least {} seconds.",
            limits::RECORD_AGE_S
        )));
    }
    if mapping.tumble_s > 0 && mapping.lanes > 1 {
        return Err(not_served("TumblingWindowInSeconds with a ParallelizationFactor above 1"));
    }
    Ok(())
}

fn check_queue(mapping: &Mapping, functions: &Functions) -> Result<(), ApiError> {
    let most = limits::QUEUE_BATCH as u32;
    let inbox = functions.neighbours.inbox(&mapping.source);
    if inbox.as_ref().is_some_and(|inbox| inbox.is_fifo()) {
        if mapping.window_s > 0 {
            return Err(invalid("Batching window is not supported for FIFO queues"));
        }
        if mapping.batch_size > most {
            return Err(invalid(format!("Maximum batch size for FIFO queues is {most}.")));
        }
    }
    if mapping.batch_size > most && mapping.window_s == 0 {
        return Err(invalid(format!(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than {most}"
        )));
    }
    let timeout =
        functions.catalog.read(|state| state.configuration(&mapping.function).map(|f| u64::from(f.timeout_s)));
    let visibility = inbox.and_then(|inbox| inbox.visibility().ok()).map(|visibility| visibility.as_secs());
    match (visibility, timeout) {
        (Some(visibility), Some(timeout)) if visibility < timeout => Err(invalid(format!(
            "Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
        ))),
        _ => Ok(()),
    }
}
