//! What a call says of a pipe's target and enrichment.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeTargetParameters.html>

use crate::error::{invalid, not_served};
use crate::settings::{BusParameters, Enrichment, Http, LogParameters, QueueParameters, Target};
use names::Arn;
use shapes::pipes::{
    PipeEnrichmentParameters, PipeTargetEventBridgeEventBusParameters, PipeTargetInvocationType, PipeTargetParameters,
};
use wire::ApiError;

/// A target that is served, with nothing set.
pub(super) fn target(text: &str) -> Result<Target, ApiError> {
    let arn = parse(text, "target")?;
    let unserved = |what: &str| Err(not_served(&format!("{what} as a target of pipes")));
    match (arn.service(), arn.resource()) {
        ("lambda" | "kinesis" | "sqs" | "sns", _) => {}
        ("logs", resource) if resource.starts_with("log-group:") => {}
        ("events", resource) if resource.starts_with("event-bus/") || resource.starts_with("api-destination/") => {}
        ("ecs", _) => return unserved("Amazon ECS"),
        ("states", _) => return unserved("AWS Step Functions"),
        ("batch", _) => return unserved("AWS Batch"),
        ("redshift" | "redshift-serverless", _) => return unserved("Amazon Redshift"),
        ("sagemaker", _) => return unserved("Amazon SageMaker"),
        ("timestream", _) => return unserved("Amazon Timestream"),
        ("firehose", _) => return unserved("Amazon Data Firehose"),
        ("execute-api", _) => return unserved("Amazon API Gateway"),
        ("inspector", _) => return unserved("Amazon Inspector"),
        _ => return Err(invalid(format!("The target {text} is none that pipes send to."))),
    }
    Ok(Target {
        arn,
        template: None,
        forget: None,
        partition_key: None,
        queue: None,
        bus: None,
        http: None,
        logs: None,
    })
}

/// Sets what is given; the object of a service is one value.
pub(super) fn set_target(target: &mut Target, given: PipeTargetParameters) -> Result<(), ApiError> {
    let unserved = [
        ("StepFunctionStateMachineParameters", given.step_function_state_machine_parameters.is_some()),
        ("EcsTaskParameters", given.ecs_task_parameters.is_some()),
        ("BatchJobParameters", given.batch_job_parameters.is_some()),
        ("RedshiftDataParameters", given.redshift_data_parameters.is_some()),
        ("SageMakerPipelineParameters", given.sage_maker_pipeline_parameters.is_some()),
        ("TimestreamParameters", given.timestream_parameters.is_some()),
    ];
    if let Some((name, _)) = unserved.iter().find(|(_, given)| *given) {
        return Err(not_served(&format!("{name} of pipes")));
    }
    let is_destination = target.arn.resource().starts_with("api-destination/");
    let own = match target.arn.service() {
        "lambda" => "LambdaFunctionParameters",
        "kinesis" => "KinesisStreamParameters",
        "sqs" => "SqsQueueParameters",
        "events" if is_destination => "HttpParameters",
        "events" => "EventBridgeEventBusParameters",
        "logs" => "CloudWatchLogsParameters",
        _ => "",
    };
    let special = [
        ("LambdaFunctionParameters", given.lambda_function_parameters.is_some()),
        ("KinesisStreamParameters", given.kinesis_stream_parameters.is_some()),
        ("SqsQueueParameters", given.sqs_queue_parameters.is_some()),
        ("HttpParameters", given.http_parameters.is_some()),
        ("EventBridgeEventBusParameters", given.event_bridge_event_bus_parameters.is_some()),
        ("CloudWatchLogsParameters", given.cloud_watch_logs_parameters.is_some()),
    ];
    if let Some((name, _)) = special.iter().find(|(name, given)| *given && *name != own) {
        return Err(invalid(format!("{name} are not parameters of the target {}.", target.arn)));
    }
    if let Some(template) = given.input_template {
        target.template = Some(template).filter(|template| !template.is_empty());
    }
    if let Some(function) = given.lambda_function_parameters {
        target.forget = function.invocation_type.map(|kind| kind == PipeTargetInvocationType::FireAndForget);
    }
    if let Some(stream) = given.kinesis_stream_parameters {
        target.partition_key = Some(stream.partition_key);
    }
    if let Some(queue) = given.sqs_queue_parameters {
        let (group, deduplication) = (queue.message_group_id, queue.message_deduplication_id);
        target.queue = Some(QueueParameters { group, deduplication });
    }
    if let Some(bus) = given.event_bridge_event_bus_parameters {
        target.bus = Some(bus_parameters(bus)?);
    }
    if let Some(logs) = given.cloud_watch_logs_parameters {
        target.logs = Some(LogParameters { stream: logs.log_stream_name, timestamp: logs.timestamp });
    }
    if let Some(http) = given.http_parameters {
        let (path, headers) = (http.path_parameter_values, http.header_parameters);
        target.http = Some(Http { path, headers, query: http.query_string_parameters });
    }
    Ok(())
}

fn bus_parameters(given: PipeTargetEventBridgeEventBusParameters) -> Result<BusParameters, ApiError> {
    if given.endpoint_id.is_some() {
        return Err(not_served("EndpointId of pipes"));
    }
    if given.source.as_ref().is_some_and(|source| source.starts_with("aws.")) {
        return Err(invalid("The Source of a pipe's events must not begin with aws."));
    }
    let PipeTargetEventBridgeEventBusParameters { detail_type, source, resources, time, .. } = given;
    Ok(BusParameters { detail_type, source, resources, time })
}

/// An enrichment that is served, with nothing set.
pub(super) fn enrichment(text: &str) -> Result<Enrichment, ApiError> {
    let arn = parse(text, "enrichment")?;
    let unserved = |what: &str| Err(not_served(&format!("{what} as an enrichment of pipes")));
    match (arn.service(), arn.resource()) {
        ("lambda", _) => {}
        ("events", resource) if resource.starts_with("api-destination/") => {}
        ("states", _) => return unserved("AWS Step Functions"),
        ("execute-api", _) => return unserved("Amazon API Gateway"),
        _ => return Err(invalid(format!("The enrichment {text} is none that pipes ask."))),
    }
    Ok(Enrichment { arn, template: None, http: None })
}

/// Sets what is given.
pub(super) fn set_enrichment(enrichment: &mut Enrichment, given: PipeEnrichmentParameters) -> Result<(), ApiError> {
    if let Some(template) = given.input_template {
        enrichment.template = Some(template).filter(|template| !template.is_empty());
    }
    if let Some(http) = given.http_parameters {
        if enrichment.arn.service() == "lambda" {
            return Err(invalid("HttpParameters are not parameters of a function."));
        }
        let (path, headers) = (http.path_parameter_values, http.header_parameters);
        enrichment.http = Some(Http { path, headers, query: http.query_string_parameters });
    }
    Ok(())
}

fn parse(text: &str, what: &str) -> Result<Arn, ApiError> {
    text.parse().map_err(|_| invalid(format!("The {what} {text} is no ARN.")))
}
