//! Schedules.

use super::{bad_token, invalid, no_group, no_schedule, too_many};
use crate::error::not_served;
use crate::limits::{PAGE, SCHEDULES, START_GRACE};
use crate::scheduler::Scheduler;
use crate::scheduler::expression::Expression;
use crate::scheduler::invocation::{PRINCIPAL, UNSERVED};
use crate::scheduler::state::{Change, DEFAULT_GROUP, Schedule, Spec, Target, key};
use crate::target::is_whole;
use names::{Arn, Timestamp};
use serde_json::value::RawValue;
use shapes::scheduler as s;
use shapes::scheduler::{
    ActionAfterCompletion, CreateScheduleInput, CreateScheduleOutput, DeleteScheduleInput, DeleteScheduleOutput,
    FlexibleTimeWindow, FlexibleTimeWindowMode, GetScheduleInput, GetScheduleOutput, ListSchedulesInput,
    ListSchedulesOutput, ScheduleState, ScheduleSummary, TargetSummary, UpdateScheduleInput, UpdateScheduleOutput,
    errors,
};
use std::sync::Arc;
use wire::page::{page, size};
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>
pub(super) async fn create_schedule(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: CreateScheduleInput,
) -> Result<CreateScheduleOutput, ApiError> {
    let (group, name) = (group(input.group_name.as_deref()).to_owned(), input.name.clone());
    let (at, token, key) = (scheduler.world.now(), input.client_token.clone(), key(&group, &name));
    let schedule_arn = scheduler.schedule_arn(&key).to_string();
    let spec = spec(
        &scheduler,
        UpdateScheduleInput {
            name: input.name,
            group_name: input.group_name,
            schedule_expression: input.schedule_expression,
            start_date: input.start_date,
            end_date: input.end_date,
            description: input.description,
            schedule_expression_timezone: input.schedule_expression_timezone,
            state: input.state,
            kms_key_arn: input.kms_key_arn,
            target: input.target,
            flexible_time_window: input.flexible_time_window,
            client_token: input.client_token,
            action_after_completion: input.action_after_completion,
        },
    )?;
    scheduler
        .change(|state| {
            if !state.groups.contains_key(&group) {
                return Err(no_group(&group));
            }
            match state.schedules.get(&key) {
                // The same call again.
                Some(known) if token.is_some() && known.token == token && known.spec == spec => Ok((vec![], ())),
                Some(_) => Err(errors::CONFLICT_EXCEPTION.because(format!("Schedule {name} already exists."))),
                None if state.schedules.len() >= SCHEDULES => Err(too_many("schedules")),
                None => {
                    check_start(&spec, None, at)?;
                    Ok((vec![Change::Set { key, at, spec: Box::new(spec), token }], ()))
                }
            }
        })
        .await?;
    Ok(CreateScheduleOutput { schedule_arn })
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html>
///
/// What the call does not say is set back to what it is by default.
pub(super) async fn update_schedule(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: UpdateScheduleInput,
) -> Result<UpdateScheduleOutput, ApiError> {
    let (key, name) = (key(group(input.group_name.as_deref()), &input.name), input.name.clone());
    let schedule_arn = scheduler.schedule_arn(&key).to_string();
    let (at, spec) = (scheduler.world.now(), spec(&scheduler, input)?);
    scheduler
        .change(|state| {
            let known = state.schedules.get(&key).ok_or_else(|| no_schedule(&name))?;
            check_start(&spec, known.spec.start, at)?;
            Ok((vec![Change::Set { key, at, spec: Box::new(spec), token: None }], ()))
        })
        .await?;
    Ok(UpdateScheduleOutput { schedule_arn })
}

fn group(given: Option<&str>) -> &str {
    given.unwrap_or(DEFAULT_GROUP)
}

/// A start is not set to what is long over; the one that a schedule has may stay.
fn check_start(spec: &Spec, known: Option<Timestamp>, now: Timestamp) -> Result<(), ApiError> {
    let over = |start: &Timestamp| start.plus(START_GRACE) < now;
    match spec.start.filter(over) {
        Some(start) if known != Some(start) => {
            Err(invalid("The StartDate you specify cannot be earlier than 5 minutes ago."))
        }
        _ => Ok(()),
    }
}

/// What a schedule is to be, where that is possible.
fn spec(scheduler: &Scheduler, input: UpdateScheduleInput) -> Result<Spec, ApiError> {
    if input.kms_key_arn.is_some() {
        return Err(not_served("KmsKeyArn of schedules"));
    }
    let zone = input.schedule_expression_timezone.unwrap_or_else(|| "UTC".to_owned());
    let expression =
        Expression::parse(&input.schedule_expression, &zone).map_err(|error| invalid(error.to_string()))?;
    let (start, end) = (input.start_date, input.end_date);
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        return Err(invalid("StartDate must be before EndDate."));
    }
    // A one-time schedule has no use for them, and AWS overlooks them.
    let (start, end) = if expression.is_once() { (None, None) } else { (start, end) };
    let window = match (input.flexible_time_window.mode, input.flexible_time_window.maximum_window_in_minutes) {
        (FlexibleTimeWindowMode::Off, None) => None,
        (FlexibleTimeWindowMode::Flexible, Some(minutes)) => u32::try_from(minutes).ok(),
        (FlexibleTimeWindowMode::Off, Some(_)) => {
            return Err(invalid("MaximumWindowInMinutes can't be set with the mode OFF of FlexibleTimeWindow."));
        }
        (FlexibleTimeWindowMode::Flexible, None) => {
            return Err(invalid("MaximumWindowInMinutes must be set with the mode FLEXIBLE of FlexibleTimeWindow."));
        }
    };
    let target = target(scheduler, input.target)?;
    let key = key(group(input.group_name.as_deref()), &input.name);
    check_role(scheduler, &target.role, &scheduler.schedule_arn(&key))?;
    Ok(Spec {
        expression: input.schedule_expression,
        zone,
        start,
        end,
        description: input.description,
        enabled: input.state != Some(ScheduleState::Disabled),
        window,
        delete_after: input.action_after_completion == Some(ActionAfterCompletion::Delete),
        takes_past: true,
        target,
    })
}

fn target(scheduler: &Scheduler, given: s::Target) -> Result<Target, ApiError> {
    let unserved = [
        (given.ecs_parameters.is_some(), "EcsParameters"),
        (given.sage_maker_pipeline_parameters.is_some(), "SageMakerPipelineParameters"),
        (given.event_bridge_put_events_v2_parameters.is_some(), "EventBridgePutEventsV2Parameters"),
        (given.event_bridge_put_raw_events_parameters.is_some(), "EventBridgePutRawEventsParameters"),
    ];
    if let Some((_, block)) = unserved.iter().find(|(set, _)| *set) {
        return Err(not_served(&format!("{block} of schedules")));
    }
    let parse =
        |text: &str| text.parse::<Arn>().map_err(|_| invalid(format!("Provided Arn {text} is not in correct format.")));
    let arn = parse(&given.arn)?;
    if !is_whole(&arn) {
        return Err(invalid(format!("Provided Arn {arn} is not in correct format.")));
    }
    if arn.resource().starts_with("aws-sdk:") {
        return Err(not_served(&format!("universal targets of schedules such as {arn}")));
    }
    reachable(scheduler, &arn, "targets of schedules")?;
    let dead_letter = given.dead_letter_config.and_then(|config| config.arn).as_deref().map(parse).transpose()?;
    if let Some(queue) = &dead_letter {
        if queue.service() != "sqs" || queue.resource().ends_with(".fifo") {
            return Err(invalid("The dead-letter queue must be a standard SQS queue."));
        }
        reachable(scheduler, queue, "dead-letter queues")?;
    }
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    let retry = given.retry_policy.unwrap_or_default();
    let target = Target {
        role: parse(&given.role_arn)?,
        input: given.input,
        dead_letter,
        retries: count(retry.maximum_retry_attempts),
        age_s: count(retry.maximum_event_age_in_seconds),
        partition_key: given.kinesis_parameters.map(|parameters| parameters.partition_key),
        message_group: given.sqs_parameters.and_then(|parameters| parameters.message_group_id),
        event: given.event_bridge_parameters.map(|parameters| (parameters.detail_type, parameters.source)),
        arn,
    };
    check(&target)?;
    Ok(target)
}

/// A role that is there and lets the scheduler take it on.
fn check_role(scheduler: &Scheduler, role: &Arn, schedule: &Arn) -> Result<(), ApiError> {
    match scheduler.identities.trusts(role, PRINCIPAL, Some(schedule)) {
        true => Ok(()),
        false => {
            Err(invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role."))
        }
    }
}

fn reachable(scheduler: &Scheduler, arn: &Arn, what: &str) -> Result<(), ApiError> {
    match scheduler.home.holds(arn) && scheduler.delivery.knows(arn) {
        true => Ok(()),
        false => Err(not_served(&format!("{what} such as {arn}"))),
    }
}

/// Whether a target's settings fit each other.
fn check(target: &Target) -> Result<(), ApiError> {
    let service = target.arn.service();
    let is_bus = service == "events" && target.arn.resource().starts_with("event-bus/");
    if (service == "events" && !is_bus) || service == "logs" {
        return Err(not_served(&format!("targets of schedules such as {}", target.arn)));
    }
    let fifo = service == "sqs" && target.arn.resource().ends_with(".fifo");
    for (given, fits, needed, name) in [
        (target.partition_key.is_some(), service == "kinesis", service == "kinesis", "KinesisParameters"),
        (target.message_group.is_some(), service == "sqs", fifo, "SqsParameters"),
        (target.event.is_some(), is_bus, is_bus, "EventBridgeParameters"),
    ] {
        if given && !fits {
            return Err(invalid(format!("{name} can't be set for the target {}.", target.arn)));
        }
        if needed && !given {
            return Err(invalid(format!("{name} must be set for the target {}.", target.arn)));
        }
    }
    let Some(input) = &target.input else { return Ok(()) };
    if input.contains(UNSERVED) {
        return Err(not_served(&format!("{UNSERVED} in the Input of schedules")));
    }
    let json = serde_json::from_str::<&RawValue>(input).ok();
    if service == "lambda" && json.is_none() {
        return Err(invalid("Invalid RequestJson provided. Reason: The Input of a Lambda function must be JSON."));
    }
    if is_bus && json.is_none_or(|json| !json.get().starts_with('{')) {
        return Err(invalid("Invalid RequestJson provided. Reason: The Input of an event bus must be a JSON object."));
    }
    if target.event.as_ref().is_some_and(|(_, source)| source.starts_with("aws.")) {
        return Err(invalid("The Source of EventBridgeParameters can't begin with aws."));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteSchedule.html>
pub(super) async fn delete_schedule(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: DeleteScheduleInput,
) -> Result<DeleteScheduleOutput, ApiError> {
    let key = key(group(input.group_name.as_deref()), &input.name);
    scheduler
        .change(|state| match state.schedules.contains_key(&key) {
            true => Ok((vec![Change::Deleted { key }], DeleteScheduleOutput {})),
            false => Err(no_schedule(&input.name)),
        })
        .await
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html>
pub(super) async fn get_schedule(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: GetScheduleInput,
) -> Result<GetScheduleOutput, ApiError> {
    let group = group(input.group_name.as_deref()).to_owned();
    let key = key(&group, &input.name);
    let known = scheduler.catalog.read(|state| state.schedules.get(&key).cloned());
    let Schedule { spec, created, modified, .. } = known.ok_or_else(|| no_schedule(&input.name))?;
    let window = match spec.window {
        None => FlexibleTimeWindow { mode: FlexibleTimeWindowMode::Off, maximum_window_in_minutes: None },
        Some(minutes) => FlexibleTimeWindow {
            mode: FlexibleTimeWindowMode::Flexible,
            maximum_window_in_minutes: i32::try_from(minutes).ok(),
        },
    };
    let after = if spec.delete_after { ActionAfterCompletion::Delete } else { ActionAfterCompletion::None };
    Ok(GetScheduleOutput {
        arn: Some(scheduler.schedule_arn(&key).to_string()),
        group_name: Some(group),
        name: Some(input.name),
        schedule_expression: Some(spec.expression),
        start_date: spec.start,
        end_date: spec.end,
        description: spec.description,
        schedule_expression_timezone: Some(spec.zone),
        state: Some(word(spec.enabled)),
        creation_date: Some(created),
        last_modification_date: Some(modified),
        kms_key_arn: None,
        target: Some(shown(spec.target)),
        flexible_time_window: Some(window),
        action_after_completion: Some(after),
    })
}

fn word(enabled: bool) -> ScheduleState {
    if enabled { ScheduleState::Enabled } else { ScheduleState::Disabled }
}

fn shown(target: Target) -> s::Target {
    let count = |value: Option<u32>, default: u32| i32::try_from(value.unwrap_or(default)).ok();
    s::Target {
        arn: target.arn.to_string(),
        role_arn: target.role.to_string(),
        dead_letter_config: target.dead_letter.map(|arn| s::DeadLetterConfig { arn: Some(arn.to_string()) }),
        retry_policy: Some(s::RetryPolicy {
            maximum_event_age_in_seconds: count(target.age_s, crate::limits::EVENT_AGE.as_secs() as u32),
            maximum_retry_attempts: count(target.retries, crate::limits::RETRIES),
        }),
        input: target.input,
        event_bridge_parameters: target
            .event
            .map(|(detail_type, source)| s::EventBridgeParameters { detail_type, source }),
        kinesis_parameters: target.partition_key.map(|partition_key| s::KinesisParameters { partition_key }),
        sqs_parameters: target.message_group.map(|group| s::SqsParameters { message_group_id: Some(group) }),
        ..Default::default()
    }
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListSchedules.html>
pub(super) async fn list_schedules(
    scheduler: Arc<Scheduler>,
    _call: Arc<Call>,
    input: ListSchedulesInput,
) -> Result<ListSchedulesOutput, ApiError> {
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let pick = |key: &str, known: &Schedule| {
        let (group, name) = key.split_once('/')?;
        let state = word(known.spec.enabled);
        let fits = input.group_name.as_deref().is_none_or(|wanted| wanted == group)
            && input.state.is_none_or(|wanted| wanted == state)
            && name.starts_with(prefix);
        fits.then(|| ScheduleSummary {
            arn: Some(scheduler.schedule_arn(key).to_string()),
            name: Some(name.to_owned()),
            group_name: Some(group.to_owned()),
            state: Some(state),
            creation_date: Some(known.created),
            last_modification_date: Some(known.modified),
            target: Some(TargetSummary { arn: known.spec.target.arn.to_string() }),
        })
    };
    scheduler.catalog.read(|state| {
        if let Some(group) = input.group_name.as_ref().filter(|group| !state.groups.contains_key(*group)) {
            return Err(no_group(group));
        }
        let (schedules, next_token) =
            page("schedules", &state.schedules, (input.next_token.as_deref(), size(input.max_results, PAGE)), pick)
                .ok_or_else(bad_token)?;
        Ok(ListSchedulesOutput { schedules, next_token })
    })
}
