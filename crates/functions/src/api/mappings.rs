//! Event source mappings: create, get, list, update, delete.

use super::{bare_name, find, not_served, refuse};
use crate::functions::Functions;
use crate::limits;
use crate::state::{Change, From, Mapping, State};
use names::{Arn, Timestamp};
use shapes::lambda::{
    CreateEventSourceMappingRequest, DeleteEventSourceMappingRequest, EventSourceMappingConfiguration,
    EventSourcePosition, GetEventSourceMappingRequest, ListEventSourceMappingsRequest, ListEventSourceMappingsResponse,
    UpdateEventSourceMappingRequest, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call};

fn invalid(why: impl Into<String>) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(why)
}

pub(crate) async fn create(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: CreateEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    refuse_unserved(&input)?;
    let name = bare_name(&functions.home, &input.function_name, None)?;
    functions.catalog.read(|state| find(state, &functions.home, &name).map(|_| ()))?;
    let arn = input.event_source_arn.as_deref().ok_or_else(|| invalid("EventSourceArn is required."))?;
    let arn: Arn = arn.parse().map_err(|error: names::ArnError| invalid(error.to_string()))?;
    if arn.service() != "kinesis" || arn.resource().contains("/consumer/") {
        return Err(not_served(&format!("the event source {arn} (Kinesis streams are served)")));
    }
    let source = functions
        .neighbours
        .source(&arn)
        .ok_or_else(|| errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Stream not found: {arn}")))?;
    let mapping = Mapping {
        uuid: functions.world.uuid(),
        function: name,
        source: arn,
        batch_size: input.batch_size.unwrap_or(limits::BATCH_SIZE.0) as u32,
        window_s: input.maximum_batching_window_in_seconds.unwrap_or(0) as u32,
        from: position(&input, call.at)?,
        enabled: input.enabled.unwrap_or(true),
        last_modified: call.at,
    };
    check_window(&mapping)?;
    let taken = |state: &State| {
        state
            .mappings
            .values()
            .find(|m| m.function == mapping.function && m.source == mapping.source)
            .map(|m| m.uuid.clone())
    };
    let exists = |uuid: String| {
        errors::RESOURCE_CONFLICT_EXCEPTION.because(format!(
            "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update or delete the \
             existing mapping with UUID {uuid}",
            mapping.source, mapping.function
        ))
    };
    if let Some(uuid) = functions.catalog.read(taken) {
        return Err(exists(uuid));
    }
    // Where the mapping starts is settled and on disk before the answer: LATEST loses nothing from here on.
    functions.walker(&mapping, source).pin().await.map_err(ApiError::fault)?;
    let made = functions
        .catalog
        .change(|state| match taken(state) {
            Some(uuid) => Err(exists(uuid)),
            None => Ok((vec![Change::PutMapping(Box::new(mapping.clone()))], ())),
        })
        .await;
    if let Err(error) = made {
        functions.mappings.checkpoints.forget(&mapping.uuid).await?;
        return Err(error);
    }
    functions.settle_mapping(&mapping.uuid);
    Ok(EventSourceMappingConfiguration { state: Some("Creating".to_owned()), ..describe(&functions, &mapping) })
}

fn refuse_unserved(input: &CreateEventSourceMappingRequest) -> Result<(), ApiError> {
    refuse(&[
        ("FilterCriteria", input.filter_criteria.is_some()),
        ("KMSKeyArn", input.kms_key_arn.is_some()),
        ("MetricsConfig", input.metrics_config.is_some()),
        ("LoggingConfig", input.logging_config.is_some()),
        ("ScalingConfig", input.scaling_config.is_some()),
        ("ParallelizationFactor above 1", input.parallelization_factor.is_some_and(|p| p != 1)),
        (
            "DestinationConfig",
            input.destination_config.as_ref().is_some_and(|d| d.on_failure.is_some() || d.on_success.is_some()),
        ),
        ("MaximumRecordAgeInSeconds other than -1", input.maximum_record_age_in_seconds.is_some_and(|a| a != -1)),
        ("BisectBatchOnFunctionError", input.bisect_batch_on_function_error == Some(true)),
        ("MaximumRetryAttempts other than -1", input.maximum_retry_attempts.is_some_and(|a| a != -1)),
        ("Tags", input.tags.as_ref().is_some_and(|t| !t.is_empty())),
        ("TumblingWindowInSeconds", input.tumbling_window_in_seconds.is_some_and(|t| t != 0)),
        ("Topics", input.topics.is_some()),
        ("Queues", input.queues.is_some()),
        ("SourceAccessConfigurations", input.source_access_configurations.is_some()),
        ("SelfManagedEventSource", input.self_managed_event_source.is_some()),
        ("FunctionResponseTypes", input.function_response_types.as_ref().is_some_and(|f| !f.is_empty())),
        ("AmazonManagedKafkaEventSourceConfig", input.amazon_managed_kafka_event_source_config.is_some()),
        ("SelfManagedKafkaEventSourceConfig", input.self_managed_kafka_event_source_config.is_some()),
        ("DocumentDBEventSourceConfig", input.document_db_event_source_config.is_some()),
        ("ProvisionedPollerConfig", input.provisioned_poller_config.is_some()),
    ])
}

fn position(input: &CreateEventSourceMappingRequest, now: Timestamp) -> Result<From, ApiError> {
    match (input.starting_position, input.starting_position_timestamp) {
        // <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>
        (Some(EventSourcePosition::AtTimestamp), Some(at)) if at > now => {
            Err(invalid("StartingPositionTimestamp cannot be in the future."))
        }
        (Some(EventSourcePosition::AtTimestamp), Some(at)) => Ok(From::At(at)),
        (Some(EventSourcePosition::AtTimestamp), None) => Err(invalid(
            "1 validation error detected: StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP.",
        )),
        (_, Some(_)) => Err(invalid("StartingPositionTimestamp is only valid when StartingPosition is AT_TIMESTAMP.")),
        (Some(EventSourcePosition::TrimHorizon), None) => Ok(From::TrimHorizon),
        (Some(EventSourcePosition::Latest), None) => Ok(From::Latest),
        (None, None) => Err(invalid(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
        )),
    }
}

fn check_window(mapping: &Mapping) -> Result<(), ApiError> {
    if mapping.batch_size == 0 || mapping.batch_size > limits::BATCH_SIZE.1 as u32 {
        return Err(invalid(format!("Batch size must be between 1 and {} for Kinesis.", limits::BATCH_SIZE.1)));
    }
    if mapping.window_s > limits::WINDOW_S as u32 {
        return Err(invalid(format!("Maximum batch window in seconds must be between 0 and {}.", limits::WINDOW_S)));
    }
    Ok(())
}

fn find_mapping(state: &State, uuid: &str) -> Result<Mapping, ApiError> {
    let missing = || errors::RESOURCE_NOT_FOUND_EXCEPTION.because("The resource you requested does not exist.");
    state.mappings.get(uuid).cloned().ok_or_else(missing)
}

pub(crate) fn describe(functions: &Functions, mapping: &Mapping) -> EventSourceMappingConfiguration {
    let running = functions.mappings.get(&mapping.uuid);
    let result = running.map(|r| r.seen.lock().expect("no panic holds this lock").result.clone());
    let (from, at) = match mapping.from {
        From::TrimHorizon => (EventSourcePosition::TrimHorizon, None),
        From::Latest => (EventSourcePosition::Latest, None),
        From::At(at) => (EventSourcePosition::AtTimestamp, Some(at)),
    };
    let arn = |resource: String| functions.home.arn("lambda", &resource).to_string();
    EventSourceMappingConfiguration {
        uuid: Some(mapping.uuid.clone()),
        event_source_mapping_arn: Some(arn(format!("event-source-mapping:{}", mapping.uuid))),
        starting_position: Some(from),
        starting_position_timestamp: at,
        batch_size: Some(mapping.batch_size as i32),
        maximum_batching_window_in_seconds: Some(mapping.window_s as i32),
        parallelization_factor: Some(1),
        event_source_arn: Some(mapping.source.to_string()),
        function_arn: Some(arn(format!("function:{}", mapping.function))),
        last_modified: Some(mapping.last_modified),
        last_processing_result: Some(result.unwrap_or_else(|| "No records processed".to_owned())),
        state: Some(if mapping.enabled { "Enabled" } else { "Disabled" }.to_owned()),
        state_transition_reason: Some("User action".to_owned()),
        maximum_record_age_in_seconds: Some(-1),
        bisect_batch_on_function_error: Some(false),
        maximum_retry_attempts: Some(-1),
        tumbling_window_in_seconds: Some(0),
        function_response_types: Some(Vec::new()),
        ..Default::default()
    }
}

pub(crate) async fn get(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    let mapping = functions.catalog.read(|state| find_mapping(state, &input.uuid))?;
    Ok(describe(&functions, &mapping))
}

pub(crate) async fn list(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: ListEventSourceMappingsRequest,
) -> Result<ListEventSourceMappingsResponse, ApiError> {
    let name = input.function_name.as_deref().map(|n| bare_name(&functions.home, n, None)).transpose()?;
    let after = input.marker.unwrap_or_default();
    let page = input.max_items.unwrap_or(100).clamp(1, 100) as usize;
    let mut found: Vec<Mapping> = functions.catalog.read(|state| {
        let wanted = |m: &&Mapping| {
            name.as_ref().is_none_or(|n| *n == m.function)
                && input.event_source_arn.as_ref().is_none_or(|a| *a == m.source.as_str())
                && m.uuid > after
        };
        state.mappings.values().filter(wanted).take(page + 1).cloned().collect()
    });
    let more = found.len() > page;
    found.truncate(page);
    let next_marker = if more { found.last().map(|m| m.uuid.clone()) } else { None };
    let event_source_mappings = Some(found.iter().map(|m| describe(&functions, m)).collect());
    Ok(ListEventSourceMappingsResponse { next_marker, event_source_mappings })
}

pub(crate) async fn update(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: UpdateEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    refuse(&[
        (
            "FilterCriteria",
            input.filter_criteria.as_ref().is_some_and(|f| f.filters.as_ref().is_some_and(|f| !f.is_empty())),
        ),
        ("KMSKeyArn", input.kms_key_arn.is_some()),
        ("MetricsConfig", input.metrics_config.is_some()),
        ("LoggingConfig", input.logging_config.is_some()),
        ("ScalingConfig", input.scaling_config.is_some()),
        ("ParallelizationFactor above 1", input.parallelization_factor.is_some_and(|p| p != 1)),
        (
            "DestinationConfig",
            input.destination_config.as_ref().is_some_and(|d| d.on_failure.is_some() || d.on_success.is_some()),
        ),
        ("MaximumRecordAgeInSeconds other than -1", input.maximum_record_age_in_seconds.is_some_and(|a| a != -1)),
        ("BisectBatchOnFunctionError", input.bisect_batch_on_function_error == Some(true)),
        ("MaximumRetryAttempts other than -1", input.maximum_retry_attempts.is_some_and(|a| a != -1)),
        ("TumblingWindowInSeconds", input.tumbling_window_in_seconds.is_some_and(|t| t != 0)),
        ("SourceAccessConfigurations", input.source_access_configurations.is_some()),
        ("FunctionResponseTypes", input.function_response_types.as_ref().is_some_and(|f| !f.is_empty())),
        ("ProvisionedPollerConfig", input.provisioned_poller_config.is_some()),
    ])?;
    let name = input.function_name.as_deref().map(|n| bare_name(&functions.home, n, None)).transpose()?;
    let mapping = functions
        .catalog
        .change(|state| {
            let mut mapping = find_mapping(state, &input.uuid)?;
            if let Some(name) = name {
                find(state, &functions.home, &name)?;
                mapping.function = name;
            }
            mapping.batch_size = input.batch_size.map_or(mapping.batch_size, |b| b as u32);
            mapping.window_s = input.maximum_batching_window_in_seconds.map_or(mapping.window_s, |w| w as u32);
            mapping.enabled = input.enabled.unwrap_or(mapping.enabled);
            mapping.last_modified = call.at;
            check_window(&mapping)?;
            Ok::<_, ApiError>((vec![Change::PutMapping(Box::new(mapping.clone()))], mapping))
        })
        .await?;
    functions.settle_mapping(&mapping.uuid);
    let state = if mapping.enabled { "Updating" } else { "Disabling" };
    Ok(EventSourceMappingConfiguration { state: Some(state.to_owned()), ..describe(&functions, &mapping) })
}

pub(crate) async fn delete(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteEventSourceMappingRequest,
) -> Result<EventSourceMappingConfiguration, ApiError> {
    let mapping = functions
        .catalog
        .change(|state| {
            let mapping = find_mapping(state, &input.uuid)?;
            Ok::<_, ApiError>((vec![Change::DeleteMapping(input.uuid.clone())], mapping))
        })
        .await?;
    let shown = describe(&functions, &mapping);
    functions.settle_mapping(&mapping.uuid);
    functions.mappings.checkpoints.forget(&mapping.uuid).await?;
    Ok(EventSourceMappingConfiguration { state: Some("Deleting".to_owned()), ..shown })
}
