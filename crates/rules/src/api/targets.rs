//! Targets of rules.

use super::rule::free;
use crate::Rules;
use crate::error::{bad_token, invalid, no_rule, not_an_arn, too_many};
use crate::limits::{PAGE, TARGETS};
use crate::policy::About;
use crate::route::is_bus;
use crate::state::{Change, HttpParameters, Retry, Target, Transformer};
use crate::table::{CompileError, LiveTarget};
use crate::target::is_whole;
use names::Arn;
use shapes::events as e;
use shapes::events::{
    ListTargetsByRuleRequest, ListTargetsByRuleResponse, PutTargetsRequest, PutTargetsResponse, PutTargetsResultEntry,
    RemoveTargetsRequest, RemoveTargetsResponse, RemoveTargetsResultEntry,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

/// Why a target is not taken.
enum Unfit {
    /// It is malformed: AWS refuses the whole call.
    Malformed(ApiError),
    /// It is AWS's and not served here: it fails alone.
    Unserved(String),
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html>
pub(super) async fn put_targets(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: PutTargetsRequest,
) -> Result<PutTargetsResponse, ApiError> {
    let told: Vec<(&str, &str)> =
        input.targets.iter().map(|target| ("events:TargetArn", target.arn.as_str())).collect();
    let about = About::Rule(&input.rule);
    let bus = rules.asked_of(&call, input.event_bus_name.as_deref(), about, &told)?.to_owned();
    let rule = input.rule;
    rules.catalog.read(|state| state.rule(&bus, &rule).map(|_| ()).ok_or_else(|| no_rule(&bus, &rule)))?;
    let (mut targets, mut failed) = (BTreeMap::new(), Vec::new());
    for target in input.targets {
        let id = target.id.clone();
        match read(&rules, target) {
            Ok(target) => {
                targets.insert(id, target);
            }
            Err(Unfit::Malformed(error)) => return Err(error),
            Err(Unfit::Unserved(what)) => failed.push(PutTargetsResultEntry {
                target_id: Some(id),
                error_code: Some("NotImplementedException".to_owned()),
                error_message: Some(format!("Headwater does not serve {what} yet.")),
            }),
        }
    }
    rules
        .change(|state| {
            let known = state.rule(&bus, &rule).ok_or_else(|| no_rule(&bus, &rule))?;
            free(&rule, known, false)?;
            if known.targets.len() + targets.keys().filter(|id| !known.targets.contains_key(*id)).count() > TARGETS {
                return Err(too_many());
            }
            let put = Change::TargetsPut { bus, rule, targets };
            let nothing = matches!(&put, Change::TargetsPut { targets, .. } if targets.is_empty());
            Ok((if nothing { vec![] } else { vec![put] }, ()))
        })
        .await?;
    Ok(PutTargetsResponse { failed_entry_count: Some(failed.len() as i32), failed_entries: Some(failed) })
}

/// A target as it is kept, where it is one we can send to.
fn read(rules: &Rules, target: e::Target) -> Result<Target, Unfit> {
    if let Some(block) = unserved_block(&target) {
        return Err(Unfit::Unserved(format!("{block} of targets")));
    }
    let arn = parse(&target.arn)?;
    if !is_whole(&arn) {
        return Err(Unfit::Malformed(not_an_arn(&target.arn)));
    }
    if !rules.delivery.knows(&arn) {
        return Err(Unfit::Unserved(format!("targets of {} such as {arn}", arn.service())));
    }
    if !rules.home.holds(&arn) {
        return Err(Unfit::Unserved(format!("targets of other accounts or regions such as {arn}")));
    }
    let id = target.id.clone();
    let kept = keep(target, arn)?;
    check(rules, &id, &kept)?;
    Ok(kept)
}

fn unserved_block(target: &e::Target) -> Option<&'static str> {
    let blocks = [
        (target.run_command_parameters.is_some(), "RunCommandParameters"),
        (target.ecs_parameters.is_some(), "EcsParameters"),
        (target.batch_parameters.is_some(), "BatchParameters"),
        (target.redshift_data_parameters.is_some(), "RedshiftDataParameters"),
        (target.sage_maker_pipeline_parameters.is_some(), "SageMakerPipelineParameters"),
        (target.app_sync_parameters.is_some(), "AppSyncParameters"),
    ];
    blocks.into_iter().find_map(|(given, name)| given.then_some(name))
}

fn keep(target: e::Target, arn: Arn) -> Result<Target, Unfit> {
    let dead_letter = target.dead_letter_config.and_then(|config| config.arn);
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    Ok(Target {
        arn,
        role: target.role_arn.as_deref().map(parse).transpose()?,
        input: target.input,
        input_path: target.input_path,
        transformer: target
            .input_transformer
            .map(|given| Transformer { paths: given.input_paths_map, template: given.input_template }),
        partition_key_path: target.kinesis_parameters.map(|given| given.partition_key_path),
        message_group: target.sqs_parameters.and_then(|given| given.message_group_id),
        http: target.http_parameters.map(|given| HttpParameters {
            path: given.path_parameter_values,
            headers: given.header_parameters,
            query: given.query_string_parameters,
        }),
        retry: target.retry_policy.map(|given| Retry {
            attempts: count(given.maximum_retry_attempts),
            age_s: count(given.maximum_event_age_in_seconds),
        }),
        dead_letter: dead_letter.as_deref().map(parse).transpose()?,
    })
}

/// Whether a target's settings fit each other and can be followed.
fn check(rules: &Rules, id: &str, target: &Target) -> Result<(), Unfit> {
    let malformed = |message: String| Err(Unfit::Malformed(invalid(message)));
    let service = target.arn.service();
    let compiled = LiveTarget::compile(id, target);
    if let Err(error @ (CompileError::Input(_) | CompileError::Path(_))) = compiled {
        return malformed(error.to_string());
    }
    let group = target.arn.resource_after("log-group:").map(|group| group.strip_suffix(":*").unwrap_or(group));
    if group.is_some_and(|group| group.contains(':')) {
        return malformed(format!(
            "Parameter {} is not valid. Reason: it must be a log group, not a part of one.",
            target.arn
        ));
    }
    if service == "logs" && !fits_log_group(target) {
        // AWS's own words could not be confirmed.
        return malformed(format!(
            "The input of target {id} is not valid: a log group takes the matched event, or an InputTemplate of the form \
             {{\"timestamp\": <timestamp>, \"message\": <message>}}."
        ));
    }
    if target.partition_key_path.is_some() && service != "kinesis" {
        return malformed(format!("Parameter(s) KinesisParameters not valid for target: {id}."));
    }
    let to_http = target.arn.service() == "events" && target.arn.resource().starts_with("api-destination/");
    if target.http.is_some() && !to_http {
        return malformed(format!("Parameter(s) HttpParameters not valid for target: {id}."));
    }
    if target.message_group.is_some() && service != "sqs" {
        return malformed(format!("Parameter(s) SqsParameters not valid for target: {id}."));
    }
    if service == "sqs" && target.arn.resource().ends_with(".fifo") && target.message_group.is_none() {
        return malformed(format!("Parameter(s) SqsParameters must be specified for target: {id}."));
    }
    if is_bus(&target.arn) && (target.input.is_some() || target.input_path.is_some() || target.transformer.is_some()) {
        return Err(Unfit::Unserved("inputs other than the matched event for targets that are event buses".to_owned()));
    }
    match &target.dead_letter {
        // <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>: standard queues only.
        Some(queue) if queue.service() != "sqs" || queue.resource().ends_with(".fifo") => malformed(format!(
            "Parameter DeadLetterConfig of target {id} is not valid. Reason: it must be the ARN of a standard SQS queue."
        )),
        Some(queue) if !rules.delivery.knows(queue) || !rules.home.holds(queue) => {
            Err(Unfit::Unserved(format!("dead-letter queues such as {queue}")))
        }
        _ => Ok(()),
    }
}

/// Whether a log group can be sent what a target makes of an event.
/// Source: <https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_events_targets.LogGroupTargetInputOptions.html>
fn fits_log_group(target: &Target) -> bool {
    if target.input.is_some() || target.input_path.is_some() {
        return false;
    }
    let Some(transformer) = &target.transformer else { return true };
    // That it is JSON once its placeholders are filled has been seen to.
    let mut pieces = transformer.template.split('<');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        filled.push('0');
        filled.push_str(piece.split_once('>').map_or(piece, |(_, rest)| rest));
    }
    serde_json::from_str::<LogInput>(&filled).is_ok()
}

/// What a template for a log group has, each once.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LogInput {
    #[serde(rename = "timestamp")]
    _timestamp: serde::de::IgnoredAny,
    #[serde(rename = "message")]
    _message: serde::de::IgnoredAny,
}

fn parse(text: &str) -> Result<Arn, Unfit> {
    text.parse().map_err(|_| Unfit::Malformed(not_an_arn(text)))
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemoveTargets.html>
pub(super) async fn remove_targets(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: RemoveTargetsRequest,
) -> Result<RemoveTargetsResponse, ApiError> {
    let bus = rules.asked(&call, input.event_bus_name.as_deref(), About::Rule(&input.rule))?.to_owned();
    let rule = input.rule;
    let force = input.force == Some(true);
    let failed = rules
        .change(|state| {
            let known = state.rule(&bus, &rule).ok_or_else(|| no_rule(&bus, &rule))?;
            free(&rule, known, force)?;
            let (ids, absent): (Vec<_>, Vec<_>) = input.ids.into_iter().partition(|id| known.targets.contains_key(id));
            let failed: Vec<_> = absent
                .into_iter()
                .map(|id| RemoveTargetsResultEntry {
                    error_code: Some("ResourceNotFoundException".to_owned()),
                    error_message: Some(format!("Rule {rule} does not have a target with the Id {id}.")),
                    target_id: Some(id),
                })
                .collect();
            let changes = if ids.is_empty() { vec![] } else { vec![Change::TargetsRemoved { bus, rule, ids }] };
            Ok((changes, failed))
        })
        .await?;
    Ok(RemoveTargetsResponse { failed_entry_count: Some(failed.len() as i32), failed_entries: Some(failed) })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListTargetsByRule.html>
pub(super) async fn list_targets_by_rule(
    rules: Arc<Rules>,
    call: Arc<Call>,
    input: ListTargetsByRuleRequest,
) -> Result<ListTargetsByRuleResponse, ApiError> {
    let (bus, rule) = (rules.asked(&call, input.event_bus_name.as_deref(), About::Rule(&input.rule))?, &input.rule);
    rules.catalog.read(|state| {
        let known = state.rule(bus, rule).ok_or_else(|| no_rule(bus, rule))?;
        let pick = |id: &str, target: &Target| Some(shown(id, target));
        let part = (input.next_token.as_deref(), size(input.limit, PAGE));
        let page = page(&format!("targets of {bus}/{rule}"), &known.targets, part, pick);
        let (targets, next_token) = page.ok_or_else(bad_token)?;
        Ok(ListTargetsByRuleResponse { targets: Some(targets), next_token })
    })
}

fn shown(id: &str, target: &Target) -> e::Target {
    let count = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let Target {
        arn,
        role,
        input,
        input_path,
        transformer,
        partition_key_path,
        message_group,
        retry,
        dead_letter,
        http,
    } = target.clone();
    e::Target {
        id: id.to_owned(),
        arn: arn.to_string(),
        role_arn: role.map(|arn| arn.to_string()),
        input,
        input_path,
        input_transformer: transformer
            .map(|kept| e::InputTransformer { input_paths_map: kept.paths, input_template: kept.template }),
        kinesis_parameters: partition_key_path.map(|path| e::KinesisParameters { partition_key_path: path }),
        sqs_parameters: message_group.map(|group| e::SqsParameters { message_group_id: Some(group) }),
        http_parameters: http.map(|kept| e::HttpParameters {
            path_parameter_values: kept.path,
            header_parameters: kept.headers,
            query_string_parameters: kept.query,
        }),
        retry_policy: retry.map(|kept| e::RetryPolicy {
            maximum_retry_attempts: count(kept.attempts),
            maximum_event_age_in_seconds: count(kept.age_s),
        }),
        dead_letter_config: dead_letter.map(|arn| e::DeadLetterConfig { arn: Some(arn.to_string()) }),
        ..Default::default()
    }
}
