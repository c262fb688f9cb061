//! What goes wrong, and AWS's words for it.

use crate::consumer::Consumer;
use crate::record::NotARecord;
use crate::sequence::Sequence;
use crate::state::{Shard, Status, shard_id};
use names::Home;
use shapes::kinesis::errors;
use wire::{ApiError, common};

/// A record in a log that cannot be read: a fault.
pub(crate) fn damaged(error: NotARecord, shard: &str) -> ApiError {
    ApiError::fault(format!("{error} in {shard}"))
}

pub(crate) fn no_stream(home: &Home, name: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Stream {name} under account {} not found.", home.account))
}

pub(crate) fn stream_exists(home: &Home, name: &str) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION.because(format!("Stream {name} under account {} already exists.", home.account))
}

pub(crate) fn not_active(home: &Home, name: &str, status: Status) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION.because(format!(
        "Stream {name} under account {} not ACTIVE, instead in state {}",
        home.account,
        status.as_str()
    ))
}

pub(crate) fn no_shard(home: &Home, stream: &str, shard: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION
        .because(format!("Could not find shard {shard} in stream {stream} under account {}.", home.account))
}

/// A shard that ended can be neither split nor merged.
pub(crate) fn shard_ended(home: &Home, stream: &str, shard: u32) -> ApiError {
    argument(format!(
        "Shard {} in stream {stream} under account {} has already been merged or split, and thus is not eligible for merging \
         or splitting.",
        shard_id(shard),
        home.account
    ))
}

pub(crate) fn not_adjacent(home: &Home, stream: &str, shard: u32, adjacent: u32) -> ApiError {
    argument(format!(
        "Shards {} and {} in stream {stream} under account {} are not an adjacent pair of shards eligible for merging",
        shard_id(shard),
        shard_id(adjacent),
        home.account
    ))
}

pub(crate) fn unfit_split(home: &Home, stream: &str, shard: &Shard, at: &str) -> ApiError {
    argument(format!(
        "NewStartingHashKey {at} used in SplitShard() on shard {} in stream {stream} under account {} is not both greater \
         than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
        shard.id(),
        home.account,
        shard.start,
        shard.end
    ))
}

/// The service chooses the shards of this stream, nobody else.
pub(crate) fn on_demand(home: &Home, stream: &str) -> ApiError {
    errors::VALIDATION_EXCEPTION
        .because(format!("Request is invalid. Stream {stream} under account {} is in On-Demand mode.", home.account))
}

pub(crate) fn no_consumer(consumer: &str, account: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Consumer {consumer}, account {account} not found."))
}

pub(crate) fn consumer_exists(home: &Home, stream: &str, consumer: &str) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION
        .because(format!("Consumer {consumer} under stream {stream} and account {} already exists.", home.account))
}

pub(crate) fn consumer_not_active(home: &Home, stream: &str, consumer: &Consumer) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION.because(format!(
        "Consumer {} with creation timestamp {} under stream: {stream} , account {} is not in ACTIVE status.",
        consumer.name,
        consumer.created.secs(),
        home.account
    ))
}

pub(crate) fn too_many_consumers(home: &Home, stream: &str, limit: usize) -> ApiError {
    errors::LIMIT_EXCEEDED_EXCEPTION.because(format!(
        "Stream {stream} under account {} cannot have more than {limit} registered consumers.",
        home.account
    ))
}

/// `what` are streams or consumers. In our words: AWS's are not known.
pub(crate) fn too_many_creating(home: &Home, limit: usize, what: &str) -> ApiError {
    errors::LIMIT_EXCEEDED_EXCEPTION
        .because(format!("Account {} cannot have more than {limit} {what} in CREATING status.", home.account))
}

/// Only one subscription reads a shard for a consumer.
pub(crate) fn other_subscription(label: &str) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION.because(format!("Another active subscription exists for this consumer: {label}"))
}

/// A shard that was subscribed to is forgotten.
pub(crate) fn no_shard_left(label: &str) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("The shard of this subscription does not exist: {label}"))
}

pub(crate) fn has_consumers(home: &Home, stream: &str) -> ApiError {
    errors::RESOURCE_IN_USE_EXCEPTION.because(format!(
        "DeleteStream can't delete {}:{stream} because there are consumers associated with this data stream. To delete \
         {stream} anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that \
         are associated with it.",
        home.account
    ))
}

pub(crate) fn shard_gone(home: &Home, stream: &str, shard: u32) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!(
        "Shard {} in stream {stream} under account {} does not exist",
        shard_id(shard),
        home.account
    ))
}

/// The message of a throttled call and of a throttled record within a call.
pub(crate) fn rate_exceeded(home: &Home, stream: &str, shard: &str) -> String {
    format!("Rate exceeded for shard {shard} in stream {stream} under account {}.", home.account)
}

/// An operation is called more often than it may be.
pub(crate) fn too_many_calls(home: &Home, stream: Option<&str>) -> ApiError {
    errors::LIMIT_EXCEEDED_EXCEPTION.because(match stream {
        Some(stream) => format!("Rate exceeded for stream {stream} under account {}.", home.account),
        None => format!("Rate exceeded for account {}.", home.account),
    })
}

pub(crate) fn too_many_shards(home: &Home, now: usize, limit: usize, more: usize) -> ApiError {
    errors::LIMIT_EXCEEDED_EXCEPTION.because(format!(
        "This request would exceed the shard limit for the account {} in {}. Current shard count for the account: {now}. \
         Limit: {limit}. Number of additional shards that would have resulted from this request: {more}. Refer to the AWS \
         Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and \
         how to request higher limits.",
        home.account, home.region
    ))
}

/// An argument that the model lets through and the service does not.
pub(crate) fn argument(message: impl Into<String>) -> ApiError {
    errors::INVALID_ARGUMENT_EXCEPTION.because(message)
}

/// A constraint that depends on the circumstances, in the words of the model's own ones.
fn constraint(value: &str, member: &str, constraint: impl std::fmt::Display) -> ApiError {
    errors::VALIDATION_EXCEPTION.because(format!(
        "1 validation error detected: Value {value}at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// A required member is absent.
pub(crate) fn absent(member: &str) -> ApiError {
    constraint("null ", member, "Member must not be null")
}

/// A payload is longer than this stream takes. Payloads are not shown.
pub(crate) fn too_long(member: &str, limit: usize) -> ApiError {
    constraint("", member, format!("Member must have length less than or equal to {limit}"))
}

/// What AWS has and this server has not yet is refused, never ignored.
pub(crate) fn not_served(what: &str) -> ApiError {
    common::NOT_IMPLEMENTED
        .because(format!("Headwater does not serve {what} yet. See docs/coverage.md for what it serves."))
}

pub(crate) fn foreign_sequence(expected: u32, got: Sequence) -> ApiError {
    argument(format!(
        "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a shard with {}",
        shard_id(got.shard),
        shard_id(expected)
    ))
}

impl Status {
    /// AWS's word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "CREATING",
            Status::Active => "ACTIVE",
            Status::Updating => "UPDATING",
            Status::Deleting => "DELETING",
        }
    }
}
