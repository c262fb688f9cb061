//! What a call says of a pipe's source.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeSourceParameters.html>

use crate::error::{invalid, not_served};
use crate::limits::{QUEUE_BATCH, RECORD_AGE_S, STREAM_BATCH};
use crate::settings::{Reading, kind_of};
use consume::{Kind, Start};
use names::{Arn, Timestamp};
use shapes::pipes::{
    DeadLetterConfig, FilterCriteria, KinesisStreamStartPosition, PipeSourceKinesisStreamParameters,
    PipeSourceParameters, PipeSourceSqsQueueParameters, UpdatePipeSourceKinesisStreamParameters,
    UpdatePipeSourceParameters,
};
use wire::ApiError;

/// Refuses what is said of sources that are not served; the shapes of creating and changing have no type in common.
macro_rules! foreign {
    ($given:ident) => {
        served(&[
            ("DynamoDBStreamParameters", $given.dynamo_db_stream_parameters.is_some()),
            ("ActiveMQBrokerParameters", $given.active_mq_broker_parameters.is_some()),
            ("RabbitMQBrokerParameters", $given.rabbit_mq_broker_parameters.is_some()),
            ("ManagedStreamingKafkaParameters", $given.managed_streaming_kafka_parameters.is_some()),
            ("SelfManagedKafkaParameters", $given.self_managed_kafka_parameters.is_some()),
        ])
    };
}

/// A source that is served.
pub(super) fn arn(text: &str) -> Result<Arn, ApiError> {
    if text.starts_with("smk://") {
        return Err(not_served("self-managed Apache Kafka as a source of pipes"));
    }
    let arn: Arn = text.parse().map_err(|_| invalid(format!("The source {text} is no ARN.")))?;
    match arn.service() {
        "kinesis" if arn.resource().starts_with("stream/") => Ok(arn),
        "sqs" => Ok(arn),
        "dynamodb" => Err(not_served("DynamoDB streams as a source of pipes")),
        "mq" => Err(not_served("Amazon MQ as a source of pipes")),
        "kafka" => Err(not_served("Amazon MSK as a source of pipes")),
        _ => Err(invalid(format!("The source {text} is none that pipes read."))),
    }
}

/// How a source is read where nothing is said; `most` is what the target takes at once.
pub(super) fn fresh(source: &Arn, most: usize) -> Reading {
    let batch = match kind_of(source) {
        Kind::Stream => STREAM_BATCH,
        Kind::Queue => QUEUE_BATCH,
    };
    Reading {
        batch: batch.min(u32::try_from(most).unwrap_or(u32::MAX)),
        window_s: 0,
        lanes: 1,
        retries: None,
        max_age_s: None,
        bisect: false,
        dead_letter: None,
        start: Start::TrimHorizon,
    }
}

/// The parameters of a new pipe.
pub(super) fn of_creation(
    source: &Arn,
    given: Option<PipeSourceParameters>,
    most: usize,
    now: Timestamp,
) -> Result<(Reading, Vec<String>), ApiError> {
    let given = given.unwrap_or_default();
    foreign!(given)?;
    let filters = filters(given.filter_criteria.as_ref());
    let mut reading = fresh(source, most);
    match (kind_of(source), given.kinesis_stream_parameters, given.sqs_queue_parameters) {
        (Kind::Stream, Some(stream), None) => {
            reading.start = start(&stream, now)?;
            set_stream(&mut reading, &of_update(stream))?;
        }
        (Kind::Stream, None, None) => {
            return Err(invalid("KinesisStreamParameters with a StartingPosition is required for a Kinesis stream."));
        }
        (Kind::Queue, None, queue) => set_queue(&mut reading, &queue.unwrap_or_default()),
        _ => return Err(invalid("The SourceParameters are not those of the source.")),
    }
    Ok((reading, filters))
}

/// Changes what is given; the object of a service is one value.
pub(super) fn change(
    source: &Arn,
    reading: &mut Reading,
    filter_patterns: &mut Vec<String>,
    given: UpdatePipeSourceParameters,
    most: usize,
) -> Result<(), ApiError> {
    foreign!(given)?;
    if given.filter_criteria.is_some() {
        *filter_patterns = filters(given.filter_criteria.as_ref());
    }
    let start = reading.start;
    match (kind_of(source), given.kinesis_stream_parameters, given.sqs_queue_parameters) {
        (_, None, None) => {}
        (Kind::Stream, Some(stream), None) => {
            *reading = Reading { start, ..fresh(source, most) };
            set_stream(reading, &stream)?;
        }
        (Kind::Queue, None, Some(queue)) => {
            *reading = Reading { start, ..fresh(source, most) };
            let queue = PipeSourceSqsQueueParameters {
                batch_size: queue.batch_size,
                maximum_batching_window_in_seconds: queue.maximum_batching_window_in_seconds,
            };
            set_queue(reading, &queue);
        }
        _ => return Err(invalid("The SourceParameters are not those of the source.")),
    }
    Ok(())
}

fn served(others: &[(&str, bool)]) -> Result<(), ApiError> {
    match others.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(not_served(&format!("{name} of pipes"))),
        None => Ok(()),
    }
}

fn filters(given: Option<&FilterCriteria>) -> Vec<String> {
    let all = given.into_iter().flat_map(|criteria| criteria.filters.iter().flatten());
    all.map(|filter| filter.pattern.clone().unwrap_or_default()).collect()
}

fn set_queue(reading: &mut Reading, queue: &PipeSourceSqsQueueParameters) {
    if let Some(size) = queue.batch_size {
        reading.batch = size as u32;
    }
    reading.window_s = queue.maximum_batching_window_in_seconds.unwrap_or(0) as u32;
}

fn set_stream(reading: &mut Reading, stream: &UpdatePipeSourceKinesisStreamParameters) -> Result<(), ApiError> {
    // -1 stands for no limit.
    let endless = |limit: Option<i32>| limit.and_then(|limit| u32::try_from(limit).ok());
    if let Some(size) = stream.batch_size {
        reading.batch = size as u32;
    }
    reading.window_s = stream.maximum_batching_window_in_seconds.unwrap_or(0) as u32;
    reading.lanes = stream.parallelization_factor.unwrap_or(1) as u32;
    reading.retries = endless(stream.maximum_retry_attempts);
    reading.max_age_s = endless(stream.maximum_record_age_in_seconds);
    if reading.max_age_s.is_some_and(|age| age < RECORD_AGE_S as u32) {
        return Err(invalid(format!("MaximumRecordAgeInSeconds must be -1 or at least {RECORD_AGE_S} seconds.")));
    }
    reading.bisect = stream.on_partial_batch_item_failure.is_some();
    reading.dead_letter = dead_letter(stream.dead_letter_config.as_ref())?;
    Ok(())
}

/// A standard queue or topic.
fn dead_letter(config: Option<&DeadLetterConfig>) -> Result<Option<Arn>, ApiError> {
    let Some(text) = config.and_then(|config| config.arn.as_deref()) else { return Ok(None) };
    let arn: Arn = text.parse().map_err(|_| invalid(format!("The dead-letter target {text} is no ARN.")))?;
    match arn.service() {
        "sqs" | "sns" if !arn.resource().ends_with(".fifo") => Ok(Some(arn)),
        _ => Err(invalid(format!("The dead-letter target {text} must be a standard queue or topic."))),
    }
}

fn start(stream: &PipeSourceKinesisStreamParameters, now: Timestamp) -> Result<Start, ApiError> {
    match (stream.starting_position, stream.starting_position_timestamp) {
        (KinesisStreamStartPosition::AtTimestamp, Some(at)) if at > now => {
            Err(invalid("StartingPositionTimestamp cannot be in the future."))
        }
        (KinesisStreamStartPosition::AtTimestamp, Some(at)) => Ok(Start::At(at)),
        (KinesisStreamStartPosition::AtTimestamp, None) => {
            Err(invalid("StartingPositionTimestamp is required where StartingPosition is AT_TIMESTAMP."))
        }
        (_, Some(_)) => Err(invalid("StartingPositionTimestamp is only valid where StartingPosition is AT_TIMESTAMP.")),
        (KinesisStreamStartPosition::TrimHorizon, None) => Ok(Start::TrimHorizon),
        (KinesisStreamStartPosition::Latest, None) => Ok(Start::Latest),
    }
}

fn of_update(stream: PipeSourceKinesisStreamParameters) -> UpdatePipeSourceKinesisStreamParameters {
    UpdatePipeSourceKinesisStreamParameters {
        batch_size: stream.batch_size,
        dead_letter_config: stream.dead_letter_config,
        on_partial_batch_item_failure: stream.on_partial_batch_item_failure,
        maximum_batching_window_in_seconds: stream.maximum_batching_window_in_seconds,
        maximum_record_age_in_seconds: stream.maximum_record_age_in_seconds,
        maximum_retry_attempts: stream.maximum_retry_attempts,
        parallelization_factor: stream.parallelization_factor,
    }
}
