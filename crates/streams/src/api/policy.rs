//! Resource policies of streams and of their consumers, put, shown and taken away.

use crate::Streams;
use crate::consumer::ConsumerStatus;
use crate::state::Change;
use crate::streams::Asked;
use crate::{error, policy};
use shapes::kinesis::{
    DeleteResourcePolicyInput, GetResourcePolicyInput, GetResourcePolicyOutput, PutResourcePolicyInput, errors,
};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutResourcePolicy.html>
pub(crate) async fn put_resource_policy(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: PutResourcePolicyInput,
) -> Result<Nothing, ApiError> {
    let name = owner(&streams, &call, &input.resource_arn, input.stream_id.as_deref())?;
    policy::check(&input.policy, &input.resource_arn, &*streams.identities)
        .map_err(|why| error::argument(format!("Invalid policy: {why}")))?;
    set(&streams, name, input.resource_arn, Some(input.policy)).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteResourcePolicy.html>
pub(crate) async fn delete_resource_policy(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: DeleteResourcePolicyInput,
) -> Result<Nothing, ApiError> {
    let name = owner(&streams, &call, &input.resource_arn, input.stream_id.as_deref())?;
    get(&streams, &name, &input.resource_arn)?;
    set(&streams, name, input.resource_arn, None).await
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetResourcePolicy.html>
pub(crate) async fn get_resource_policy(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: GetResourcePolicyInput,
) -> Result<GetResourcePolicyOutput, ApiError> {
    let name = owner(&streams, &call, &input.resource_arn, input.stream_id.as_deref())?;
    Ok(GetResourcePolicyOutput { policy: get(&streams, &name, &input.resource_arn)? })
}

async fn set(streams: &Arc<Streams>, name: String, arn: String, policy: Option<String>) -> Result<Nothing, ApiError> {
    let changed = name.clone();
    streams.update(name, |_, _| Ok(vec![Change::Policy { name: changed, arn, policy }])).await?;
    Ok(Nothing {})
}

fn get(streams: &Streams, name: &str, arn: &str) -> Result<String, ApiError> {
    let stream = streams.find(Asked { name: Some(name), ..Asked::default() })?;
    let none = || {
        errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("No resource policy is attached to the resource {arn}."))
    };
    stream.def.policies.get(arn).cloned().ok_or_else(none)
}

/// The name of the stream that a policy is attached to, itself or one of its consumers.
fn owner(streams: &Streams, call: &Call, arn: &str, id: Option<&str>) -> Result<String, ApiError> {
    if arn.contains(":queue/") || arn.contains(":channel/") {
        return Err(error::not_served("policies of queues and channels"));
    }
    if arn.contains("/consumer/") {
        let (stream, consumer) = streams.consumer(arn, id)?;
        streams.admit_to_consumer(call, &stream, &consumer)?;
        if consumer.status != ConsumerStatus::Active {
            return Err(error::consumer_not_active(streams.home(), &stream.def.name, &consumer));
        }
        return Ok(stream.def.name.clone());
    }
    let name = streams.name_of(Asked { name: None, arn: Some(arn), id })?;
    streams.admit(call, Some(name))?;
    streams.find(Asked { name: Some(name), ..Asked::default() })?;
    Ok(name.to_owned())
}
