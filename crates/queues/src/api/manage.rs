//! Queues themselves: made, purged, deleted.

use crate::error::{
    INVALID_PARAMETER_VALUE, PURGE_QUEUE_IN_PROGRESS, QUEUE_DELETED_RECENTLY, QUEUE_NAME_EXISTS, bad_value,
};
use crate::policy;
use crate::settings::Settings;
use crate::state::{Change, State};
use crate::{Queues, address, limits};
use names::{Arn, Timestamp};
use shapes::sqs::{CreateQueueRequest, CreateQueueResult, DeleteQueueRequest, PurgeQueueRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
pub(super) async fn create_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: CreateQueueRequest,
) -> Result<CreateQueueResult, ApiError> {
    let name = input.queue_name;
    let given = input.attributes.unwrap_or_default();
    let settings = Settings::new(&given)?;
    check_name(&name, settings.fifo.is_some())?;
    let at = queues.world.now();
    let tags = input.tags.unwrap_or_default();
    super::tags::check(&name, &tags)?;
    let decide = |state: &State| {
        if let Some(known) = state.queues.get(&name) {
            return match known.settings.differs(&settings, &given) {
                None => Ok(vec![]),
                Some(attribute) => Err(QUEUE_NAME_EXISTS.because(format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                ))),
            };
        }
        create(&queues, state, name.clone(), at, settings, tags)
    };
    queues.make(&name, decide).await?;
    Ok(CreateQueueResult { queue_url: Some(address::url(call.tls, &call.host, &queues.home, &name)) })
}

fn check_name(name: &str, fifo: bool) -> Result<(), ApiError> {
    let fine = match name.strip_suffix(".fifo") {
        Some(stem) => fifo && address::is_name(stem) && limits::NAME_LENGTH.contains(&name.len()),
        None => !fifo && address::is_name(name),
    };
    let why = match fifo {
        true => {
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."
        }
        false => "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    };
    if fine { Ok(()) } else { Err(INVALID_PARAMETER_VALUE.because(why)) }
}

fn create(
    queues: &Queues,
    state: &State,
    name: String,
    at: Timestamp,
    settings: Settings,
    tags: BTreeMap<String, String>,
) -> Result<Vec<Change>, ApiError> {
    let fresh = |deleted: &Timestamp| at.since(*deleted) < limits::NAME_PAUSE;
    if state.deleted.get(&name).is_some_and(fresh) {
        return Err(QUEUE_DELETED_RECENTLY.because(
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ));
    }
    let arn = queues.home.arn("sqs", &name);
    check_redrive(state, &arn, &settings)?;
    policy::check(&*queues.identities, &arn, &settings)?;
    let old = state.deleted.iter().filter(|(_, deleted)| !fresh(deleted)).map(|(name, _)| name.clone()).collect();
    Ok(vec![Change::Released(old), Change::Created { name, at, settings, tags }])
}

/// A dead-letter queue must exist and allow its source.
pub(super) fn check_redrive(state: &State, source: &Arn, settings: &Settings) -> Result<(), ApiError> {
    let Some(redrive) = &settings.redrive else { return Ok(()) };
    let place = |arn: &Arn| (arn.partition().to_owned(), arn.region().to_owned(), arn.account().to_owned());
    let here = place(&redrive.to) == place(source);
    let Some(dead) = state.queues.get(redrive.to.resource()).filter(|_| here) else {
        return Err(bad_value("RedrivePolicy", &redrive.to, "Dead letter target does not exist."));
    };
    if dead.settings.fifo.is_some() != settings.fifo.is_some() {
        return Err(bad_value(
            "RedrivePolicy",
            &redrive.to,
            "Dead-letter queue must be same type of queue as the source.",
        ));
    }
    if dead.settings.redrive_allow.as_ref().is_some_and(|allow| !allow.allows(source)) {
        let why = "The dead letter target does not allow this queue to use it (RedriveAllowPolicy).";
        return Err(bad_value("RedrivePolicy", &redrive.to, why));
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html>
pub(super) async fn delete_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: DeleteQueueRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    queues.delete(&room).await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>
pub(super) async fn purge_queue(
    queues: Arc<Queues>,
    call: Arc<Call>,
    input: PurgeQueueRequest,
) -> Result<Nothing, ApiError> {
    let room = queues.asked(&call, &input.queue_url)?;
    if !room.may_purge(queues.world.now()) {
        let text = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", room.name);
        return Err(PURGE_QUEUE_IN_PROGRESS.because(text));
    }
    room.messages.purge().await?;
    Ok(Nothing {})
}
