//! What a schedule sends.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html>

use super::Scheduler;
use super::state::Spec;
use crate::limits::{EVENT_AGE, RETRIES};
use bytes::Bytes;
use delivery::{Backoff, Envelope, RetryPolicy, attribute};
use names::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who calls the targets.
pub(super) const PRINCIPAL: &str = "scheduler.amazonaws.com";

/// A context attribute that is filled at each attempt at AWS; an envelope is the same at each.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>
pub(super) const UNSERVED: &str = "<aws.scheduler.attempt-number>";

pub(super) fn envelope(scheduler: &Scheduler, key: &str, spec: &Spec, due: Timestamp, now: Timestamp) -> Envelope {
    let (target, id) = (&spec.target, scheduler.world.uuid());
    let arn = scheduler.schedule_arn(key);
    let input = match &target.input {
        Some(input) => input
            .replace("<aws.scheduler.schedule-arn>", arn.as_str())
            .replace("<aws.scheduler.scheduled-time>", &due.iso_secs())
            .replace("<aws.scheduler.execution-id>", &id),
        None => told(scheduler, arn.as_str(), &id, due),
    };
    let body = match &target.event {
        Some((detail_type, source)) => event(scheduler, arn.as_str(), &id, due, (detail_type, source), &input),
        None => input,
    };
    let mut attributes = BTreeMap::new();
    if target.arn.service() == "lambda" {
        attributes.insert(attribute::INVOCATION.to_owned(), "Event".to_owned());
    }
    if let Some(key) = &target.partition_key {
        attributes.insert(attribute::PARTITION_KEY.to_owned(), key.clone());
    }
    if let Some(group) = &target.message_group {
        attributes.insert(attribute::MESSAGE_GROUP_ID.to_owned(), group.clone());
    }
    let age = target.age_s.map_or(EVENT_AGE, |seconds| Duration::from_secs(u64::from(seconds)));
    Envelope {
        id,
        to: target.arn.clone(),
        body: Bytes::from(body),
        attributes,
        from: Some(arn),
        principal: PRINCIPAL.to_owned(),
        role: Some(target.role.clone()),
        policy: RetryPolicy {
            max_attempts: target.retries.unwrap_or(RETRIES) + 1,
            max_age: age,
            backoff: Backoff::default(),
        },
        dead_letter: target.dead_letter.clone(),
        trace: None,
        not_before: None,
        created: now,
    }
}

/// What a target without an input is told.
fn told(scheduler: &Scheduler, arn: &str, id: &str, due: Timestamp) -> String {
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": scheduler.home.account.as_str(),
        "time": due.iso_secs(),
        "region": scheduler.home.region.as_str(),
        "resources": [arn],
        "detail": "{}",
    })
    .to_string()
}

/// The event for a bus; its detail is the input as it was written.
fn event(
    scheduler: &Scheduler,
    arn: &str,
    id: &str,
    due: Timestamp,
    (detail_type, source): (&str, &str),
    input: &str,
) -> String {
    let empty = || serde_json::from_str("{}").expect("an empty object is JSON");
    let detail: &RawValue = serde_json::from_str(input).unwrap_or_else(|_| empty());
    crate::entry::of_schedule(&scheduler.home, (detail_type, source), arn, id, due, detail)
}
